/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kv example is killed while it loads values, again and again: everything that it has acknowledged is in the store for
 * who opens it next, and in the blocks that the kernel's driver reads. ROUNDS and SEED in the environment change how
 * often and when.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define KEYS 500
#define BLOCK 512UL
#define RECORD_MAX 16384UL
#define WINDOW (1UL << 18)
#define MEDIUM (64UL << 20)
#define ACKNOWLEDGED "/tmp/acknowledged"
#define LISTED "/tmp/listed"

/* As many records as the program has on their way at a time. */
#define DEPTH 32

static uint64_t seed;

/* The pair that every key has now: its round and number there; round 0 for none. */
static struct {
	unsigned int round, n;
} pairs[KEYS];

/* What the log says so far, as far as the kernel's driver has read it. */
static struct {
	uint64_t store, session, number, place;
} raw;

static uint64_t below(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;

	return seed % n;
}

/* ---- what is loaded: in every round it is something else ---- */

static unsigned int key_of(unsigned int round, unsigned int n)
{
	return (round * 131 + n * 7) % KEYS;
}

/* In one block, or in several. */
static size_t make_value(char *value, unsigned int round, unsigned int n)
{
	size_t len = (size_t)sprintf(value, "%u/%u ", round, n), more = (round + n) * 37 % 1500;

	memset(value + len, 'a' + (int)(n % 26), more);
	value[len + more] = '\0';

	return len + more;
}

static void feed(int fd, unsigned int round)
{
	FILE *to = fdopen(fd, "w");
	char value[2048];

	for (unsigned int n = 0; to; n++) {
		(void)make_value(value, round, n);
		if (fprintf(to, "key%u %s\n", key_of(round, n), value) < 0)
			break;
	}
	_exit(0);
}

/* ---- the program ---- */

static pid_t start(const char *action, int in, const char *out)
{
	pid_t child;

	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child)
		return child;

	if (dup2(in, STDIN_FILENO) < 0 ||
	    dup2(open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600), STDOUT_FILENO) < 0)
		_exit(99);
	execlp("kv", "kv", "-d", guest_bdf("a"), action, (char *)NULL);
	_exit(99);
}

static void run(const char *action, const char *out)
{
	int status, null = open("/dev/null", O_RDONLY);
	pid_t child = start(action, null, out);

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(null);
}

static off_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : st.st_size;
}

/* Most are killed at work, the others at any moment from their start on. */
static void load_until_killed(unsigned int round)
{
	pid_t feeder, child;
	int ends[2], status;

	(void)unlink(ACKNOWLEDGED);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	child = start("--load", ends[0], ACKNOWLEDGED);
	close(ends[0]);
	feeder = fork();
	assert_true(feeder >= 0);
	if (!feeder)
		feed(ends[1], round);
	close(ends[1]);

	if (below(5)) {
		while (!size_of(ACKNOWLEDGED)) {
			assert_int_equal(waitpid(child, &status, WNOHANG), 0);
			usleep(500);
		}
		usleep((unsigned int)below(20000));
	} else {
		usleep((unsigned int)below(120000));
	}

	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(waitpid(feeder, &status, 0), feeder);
}

/* ---- what there is then ---- */

static unsigned int count_acknowledged(unsigned int round)
{
	FILE *file = fopen(ACKNOWLEDGED, "r");
	unsigned int n = 0, key;

	while (file && fscanf(file, "key%u\n", &key) == 1)
		assert_int_equal(key, key_of(round, n++));
	if (file)
		fclose(file);

	return n;
}

/* The record that is due at @raw.place, of which @left bytes are in memory, or NULL. */
static const char *due(const char *rec, size_t left, uint32_t len[2])
{
	struct {
		char magic[8];
		uint64_t crc, store, session, number;
		uint32_t len[2];
	} head;

	memcpy(&head, rec, sizeof(head));
	memcpy(len, head.len, sizeof(head.len));
	if (memcmp(head.magic, "-vfn-kv1", 8) || len[0] > left || len[1] > left ||
	    sizeof(head) + len[0] + len[1] > left || head.number != raw.number ||
	    head.session != raw.session + !len[0] || (raw.number && head.store != raw.store) ||
	    nvme_crc64(~0ULL, (const unsigned char *)rec + 16, 32 + len[0] + len[1]) != head.crc)
		return NULL;

	raw.store = head.store;
	raw.session = head.session;
	raw.number++;
	raw.place += (sizeof(head) + len[0] + len[1] + BLOCK - 1) / BLOCK * BLOCK;

	return rec + sizeof(head);
}

/* Go on in the log by the kernel's driver: it has pairs of this round, in order. Returns how many. */
static unsigned int read_raw(unsigned int round)
{
	char *mem = guest_alloc(WINDOW), key[16], value[2048];
	uint64_t start = raw.place;
	unsigned int n = 0;
	const char *data;
	uint32_t len[2];

	guest_kernel_read(&guest_ns512, start / BLOCK, mem, WINDOW);
	while ((data = due(mem + (raw.place - start), WINDOW - (raw.place - start), len))) {
		if (len[0]) {
			assert_int_equal(len[0], sprintf(key, "key%u", key_of(round, n)));
			assert_int_equal(len[1], make_value(value, round, n));
			assert_memory_equal(data, key, len[0]);
			assert_memory_equal(data + len[0], value, len[1]);
			n++;
		}
		assert_true(raw.place + WINDOW < MEDIUM);
		if (raw.place - start + RECORD_MAX > WINDOW) {
			start = raw.place;
			guest_kernel_read(&guest_ns512, start / BLOCK, mem, WINDOW);
		}
	}
	guest_free(mem, WINDOW);

	return n;
}

/* What the program finds when it opens the store. */
static void check_list(void)
{
	char value[2048], wanted[2048];
	unsigned int key, n = 0, found = 0;
	FILE *file;

	run("--list", LISTED);
	file = fopen(LISTED, "r");
	assert_non_null(file);
	while (fscanf(file, "key%u ", &key) == 1 && fgets(value, sizeof(value), file)) {
		assert_true(key < KEYS && pairs[key].round);
		(void)make_value(wanted, pairs[key].round, pairs[key].n);
		value[strcspn(value, "\n")] = '\0';
		assert_string_equal(value, wanted);
		found++;
	}
	assert_true(feof(file));
	fclose(file);

	for (key = 0; key < KEYS; key++)
		n += pairs[key].round != 0;
	assert_int_equal(found, n);
}

/* L1, E17 */
static void test_no_acknowledged_value_is_lost(void **state)
{
	const char *rounds = getenv("ROUNDS"), *first = getenv("SEED");
	unsigned int last = rounds ? (unsigned int)atoi(rounds) : 50, busy = 0, values = 0,
		     safe = 0;
	unsigned long first_seed;

	(void)state;
	seed = first ? strtoull(first, NULL, 0) : (uint64_t)time(NULL) << 16 | (uint64_t)getpid();
	first_seed = seed;
	print_message("# SEED=%lu\n", first_seed);
	run("--format", LISTED);

	for (unsigned int round = 1; round <= last; round++) {
		unsigned int acknowledged, n;

		load_until_killed(round);
		acknowledged = count_acknowledged(round);
		n = read_raw(round);
		assert_in_range(n, acknowledged, acknowledged + DEPTH);
		for (unsigned int i = 0; i < n; i++) {
			pairs[key_of(round, i)].round = round;
			pairs[key_of(round, i)].n = i;
		}
		/* the next round's records are where they belong only if all of these were found */
		if (round % 5 == 0 || round == last)
			check_list();
		busy += acknowledged > 0;
		safe += acknowledged;
		values += n;
	}

	assert_true(busy > last / 2);
	print_message(
		"# note: SEED=%lu: %u kills, %u of them at work, %u values, %u acknowledged\n",
		first_seed, last, busy, values, safe);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_acknowledged_value_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
