// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A store of keys and values that is a log: every value is appended, and a key has the last one of its values. What the
 * store has acknowledged is on the medium, and whatever ends the program, or the power, does not change that.
 *
 * The log starts at block 0. A record starts at a block and says which one of the log it is; it belongs to the log if its
 * checksum is right and it is the one that is due, and the first one that is not is the log's end. So nothing else has to
 * be written, and a record that was written in part has never been there.
 *
 * Many records are written at a time, and the later ones of them may be on the medium when the program ends while an
 * earlier one is not. The next program's records take their places, and must not make them part of the log. That is what
 * sessions are for: a program that writes first appends a record without a key, of a session that is one higher, and
 * waits until that is on the medium (Force Unit Access). A record of an earlier session is not due any more.
 */
#include <assert.h>
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <vfn/blk.h>
#include <vfn/support.h>

#include "common.h"

#define MAGIC UINT64_C(0x31766b2d6e66762d) /* "-vfn-kv1" */
#define DEPTH 32
#define RECORD_MAX 16384
#define WINDOW (1UL << 18)

/* How a record starts. Its key and its value follow, and zeroes up to the end of a block. */
struct record {
	leint64_t magic;
	leint64_t crc;	   /* nvme_crc64() of what follows, up to the end of the value */
	leint64_t store;   /* random: what was there before belongs to another store */
	leint64_t session; /* which of the programs that wrote */
	leint64_t number;  /* from 0 on */
	leint32_t key_len; /* 0 where a session starts */
	leint32_t value_len;
};

#define DATA_MAX (RECORD_MAX - sizeof(struct record))
#define KEY_MAX 255

/* A key, and where its last record is. */
struct place {
	uint64_t lba;
	char key[KEY_MAX + 1];
};

/* An open store: what its last record said, and what is behind that one. */
struct store {
	struct vfn_blk *blk;
	struct vfn_blk_info info;
	struct vfn_blk_queue *queue;
	uint64_t id, session, number, tail;
	void *keys; /* as tsearch() has it */

	/* blocks of the log in memory, to read it from */
	char *window;
	uint64_t start, blocks;

	/* records to be written */
	struct vfn_blk_req reqs[DEPTH];
	char *records;
};

/* ---- records ---- */

static const char *key_of(const struct record *rec)
{
	return (const char *)(rec + 1);
}

static const char *value_of(const struct record *rec)
{
	return key_of(rec) + le32_to_cpu(rec->key_len);
}

static size_t size_of(const struct record *rec)
{
	return sizeof(*rec) + le32_to_cpu(rec->key_len) + le32_to_cpu(rec->value_len);
}

static uint64_t checksum(const struct record *rec)
{
	const size_t from = offsetof(struct record, store);

	return nvme_crc64(~0ULL, (const unsigned char *)rec + from, size_of(rec) - from);
}

static uint64_t blocks_of(const struct store *kv, const struct record *rec)
{
	return (size_of(rec) + kv->info.block_size - 1) / kv->info.block_size;
}

/* What is at a block, if that is a record: all of it is in memory then. */
static const struct record *record_at(struct store *kv, uint64_t lba)
{
	uint64_t most = RECORD_MAX / kv->info.block_size, left = kv->info.nblocks - lba;
	const struct record *rec;

	if (most > left)
		most = left;
	if (lba < kv->start || lba + most > kv->start + kv->blocks) {
		kv->start = lba;
		kv->blocks = WINDOW / kv->info.block_size;
		if (kv->blocks > left)
			kv->blocks = left;
		if (vfn_blk_read(kv->blk, kv->window, lba, kv->blocks))
			die_vfn("cannot read the log");
	}

	rec = (const void *)(kv->window + (lba - kv->start) * kv->info.block_size);
	if (le64_to_cpu(rec->magic) != MAGIC || le32_to_cpu(rec->key_len) > KEY_MAX ||
	    le32_to_cpu(rec->value_len) > DATA_MAX || blocks_of(kv, rec) > most ||
	    le64_to_cpu(rec->crc) != checksum(rec))
		return NULL;

	return rec;
}

/* ---- keys ---- */

static int compare(const void *a, const void *b)
{
	const struct place *one = a, *other = b;

	return strcmp(one->key, other->key);
}

static void note_key(struct store *kv, const struct record *rec)
{
	struct place *place = calloc(1, sizeof(*place)), **found;

	if (!place)
		die("out of memory");
	memcpy(place->key, key_of(rec), le32_to_cpu(rec->key_len));
	found = tsearch(place, &kv->keys, compare);
	if (!found)
		die("out of memory");
	if (*found != place)
		free(place);
	(*found)->lba = kv->tail;
}

static void print_value(struct store *kv, uint64_t lba)
{
	const struct record *rec = record_at(kv, lba);

	if (!rec)
		die("block %llu had a record, and has none any more", (unsigned long long)lba);
	printf("%.*s\n", (int)le32_to_cpu(rec->value_len), value_of(rec));
}

/* ---- the log ---- */

static bool is_due(const struct store *kv, const struct record *rec)
{
	uint64_t session = kv->session + !le32_to_cpu(rec->key_len);

	return le64_to_cpu(rec->store) == kv->id && le64_to_cpu(rec->session) == session &&
	       le64_to_cpu(rec->number) == kv->number;
}

/* Find all keys, and the end. */
static void read_log(struct store *kv)
{
	const struct record *rec = record_at(kv, 0);

	if (rec) {
		kv->id = le64_to_cpu(rec->store);
		kv->session = le64_to_cpu(rec->session) - 1;
	}

	while (kv->tail < kv->info.nblocks && (rec = record_at(kv, kv->tail)) && is_due(kv, rec)) {
		if (le32_to_cpu(rec->key_len))
			note_key(kv, rec);
		kv->session = le64_to_cpu(rec->session);
		kv->number++;
		kv->tail += blocks_of(kv, rec);
	}
	if (!kv->tail)
		die("%s/%u has no store: --format makes one", kv->info.bdf, kv->info.nsid);
}

/* Submit the next record, as one of those that may be on their way. It is in the log once all before it are. */
static void append(struct store *kv, unsigned int slot, const char *key, size_t key_len,
		   const char *value, size_t value_len, uint8_t flags)
{
	struct record *rec = (void *)(kv->records + slot * RECORD_MAX);
	struct vfn_blk_req *req = &kv->reqs[slot];

	memset(rec, 0, RECORD_MAX);
	rec->magic = cpu_to_le64(MAGIC);
	rec->store = cpu_to_le64(kv->id);
	rec->session = cpu_to_le64(kv->session);
	rec->number = cpu_to_le64(kv->number);
	rec->key_len = cpu_to_le32((uint32_t)key_len);
	rec->value_len = cpu_to_le32((uint32_t)value_len);
	memcpy(rec + 1, key, key_len);
	memcpy((char *)(rec + 1) + key_len, value, value_len);
	rec->crc = cpu_to_le64(checksum(rec));

	*req = (struct vfn_blk_req){
		.op = VFN_BLK_WRITE,
		.flags = flags,
		.lba = kv->tail,
		.nlb = blocks_of(kv, rec),
		.buf = rec,
	};
	if (req->nlb > kv->info.nblocks - kv->tail)
		die("the store is full");
	if (vfn_blk_submit(kv->queue, req))
		die_vfn("cannot write");
	kv->number++;
	kv->tail += req->nlb;
}

static void wait_for(struct store *kv, unsigned int slots)
{
	for (unsigned int i = 0; i < slots; i++) {
		if (vfn_blk_wait_req(&kv->reqs[i], -1))
			die_vfn("cannot wait");
		if (kv->reqs[i].error)
			die("cannot write: %s", kv->reqs[i].status ?
							vfn_nvme_status_text(kv->reqs[i].status) :
							strerror(kv->reqs[i].error));
	}
}

/* Nothing else is written before this is on the medium. */
static void start_session(struct store *kv)
{
	kv->session++;
	append(kv, 0, "", 0, "", 0, VFN_BLK_FUA);
	wait_for(kv, 1);
}

/* ---- what one can do ---- */

/* The first record makes the store. */
static void format(struct store *kv)
{
	if (getrandom(&kv->id, sizeof(kv->id), 0) != sizeof(kv->id))
		die("no random numbers");
	start_session(kv);
	printf("%s/%u has a store of %s\n", kv->info.bdf, kv->info.nsid,
	       size_text(kv->info.nblocks * kv->info.block_size));
}

/* Where the key ends, and 0 if there is none; the value is behind one more character. */
static size_t parse_pair(const char *pair, size_t len, char separator)
{
	const char *end = memchr(pair, separator, len);

	if (!end || end - pair > KEY_MAX || len - 1 > DATA_MAX || memchr(pair, '\0', len) ||
	    memchr(pair, '\n', len) || memchr(pair, ' ', (size_t)(end - pair)))
		return 0;

	return (size_t)(end - pair);
}

/* On the medium when the write has completed. */
static void put(struct store *kv, const char *pair)
{
	size_t len = strlen(pair), key = parse_pair(pair, len, '=');

	if (!key)
		usage_error("--put: '%.300s' is no KEY=VALUE", pair);
	start_session(kv);
	append(kv, 0, pair, key, pair + key + 1, len - key - 1, VFN_BLK_FUA);
	wait_for(kv, 1);
}

static void get(struct store *kv, const char *key)
{
	struct place wanted = {}, **found;

	snprintf(wanted.key, sizeof(wanted.key), "%s", key);
	found = tfind(&wanted, &kv->keys, compare);
	if (!found || strlen(key) > KEY_MAX)
		die("'%s' is not in the store", key);
	print_value(kv, (*found)->lba);
}

static void list_key(const void *node, VISIT which, void *kv)
{
	const struct place *place = *(struct place *const *)node;

	if (which != postorder && which != leaf)
		return;
	printf("%s ", place->key);
	print_value(kv, place->lba);
}

/* A flush for many writes costs less than as many that go past the cache. None is acknowledged before. */
static void load(struct store *kv)
{
	unsigned int n, i;
	char *line = NULL;
	ssize_t len = 0;
	size_t room = 0;

	start_session(kv);
	while (len >= 0) {
		for (n = 0; n < DEPTH && (len = getline(&line, &room, stdin)) >= 0; n++) {
			size_t end = (size_t)len - (line[len - 1] == '\n');
			size_t key = parse_pair(line, end, ' ');

			if (!key)
				die("'%.*s' is no KEY VALUE", end < 300 ? (int)end : 300, line);
			append(kv, n, line, key, line + key + 1, end - key - 1, 0);
		}

		wait_for(kv, n);
		if (vfn_blk_flush(kv->blk))
			die_vfn("cannot flush");
		for (i = 0; i < n; i++) {
			const struct record *rec = kv->reqs[i].buf;

			printf("%.*s\n", (int)le32_to_cpu(rec->key_len), key_of(rec));
		}
		if (fflush(stdout))
			die("cannot write to standard output");
	}
	free(line);
}

/* ---- */

static void open_store(struct store *kv, const char *bdf, unsigned int nsid, bool writes)
{
	/* a queue for the records, and one for reading and flushing */
	const struct vfn_blk_opts opts = { .queues = 2, .flags = writes ? 0 : VFN_BLK_RDONLY };
	char name[64];

	snprintf(name, sizeof(name), "%s/%u", bdf, nsid);
	if (vfn_blk_open(&kv->blk, name, &opts))
		die_vfn("cannot open %s", name);
	vfn_blk_get_info(kv->blk, &kv->info);
	if (kv->info.block_size > RECORD_MAX)
		die("blocks of %u bytes are too large", kv->info.block_size);

	kv->queue = vfn_blk_get_queue(kv->blk);
	kv->window = vfn_blk_alloc(kv->blk, WINDOW);
	kv->records = vfn_blk_alloc(kv->blk, DEPTH * RECORD_MAX);
	if (!kv->queue || !kv->window || !kv->records)
		die_vfn("no memory");
}

static void close_store(struct store *kv)
{
	tdestroy(kv->keys, free);
	if (vfn_blk_put_queue(kv->queue) || vfn_blk_close(kv->blk))
		die_vfn("cannot close the store");
}

int main(int argc, char **argv)
{
	bool make = false, list = false, fill = false;
	const char *pair = NULL, *key = NULL;
	uint64_t nsid = 1;
	const struct option_spec options[] = {
		{ 'n', "nsid", "NSID", "namespace (default 1)", .number = &nsid, .min = 1,
		  .max = 0xfffffffe },
		{ 'f', "format", NULL, "make an empty store. ALL DATA OF THE NAMESPACE ARE LOST",
		  .flag = &make },
		{ 'p', "put", "KEY=VALUE", "give a key a value", .text = &pair },
		{ 'g', "get", "KEY", "print its value", .text = &key },
		{ 'l', "list", NULL, "print every key, a space, and its value", .flag = &list },
		{ 'i', "load", NULL, "put what list prints; say each key that is safely there",
		  .flag = &fill },
		{},
	};
	const char *bdf = parse_options(argc, argv, "Store values on a namespace.", options);
	struct store kv = {};

	if (make + list + fill + !!pair + !!key != 1)
		usage_error("what to do? One of --format, --put, --get, --list, --load");

	open_store(&kv, bdf, (unsigned int)nsid, make || pair || fill);
	if (make)
		format(&kv);
	else
		read_log(&kv);

	if (pair)
		put(&kv, pair);
	if (key)
		get(&kv, key);
	if (list)
		twalk_r(kv.keys, list_key, &kv);
	if (fill)
		load(&kv);
	close_store(&kv);

	return 0;
}
