// SPDX-License-Identifier: GPL-2.0-or-later
/* vfntool verify: tests of a controller and of what lies between it and a program. Data are overwritten. */
#include "verify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <vfn/nvme.h>
#include <vfn/support/log.h>

/* ---- report ---- */

void verify_result(struct verify *v, bool ok, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);

	pthread_mutex_lock(&v->lock);
	v->tests++;
	v->failures += !ok;
	if (v->req->json) {
		json_open(&v->json, NULL, '{');
		json_bool(&v->json, "ok", ok);
		json_string(&v->json, "text", text);
		json_close(&v->json, '}');
	} else {
		printf("%s %u - %s\n", ok ? "ok" : "not ok", v->tests, text);
		fflush(stdout);
	}
	pthread_mutex_unlock(&v->lock);
}

void verify_note(struct verify *v, const char *key, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);

	pthread_mutex_lock(&v->lock);
	if (v->req->json) {
		json_open(&v->json, NULL, '{');
		json_string(&v->json, key, text);
		json_close(&v->json, '}');
	} else {
		printf("# %s: %s\n", key, text);
		fflush(stdout);
	}
	pthread_mutex_unlock(&v->lock);
}

static void set_status(struct verify *v, int err)
{
	pthread_mutex_lock(&v->lock);
	if (!v->status)
		v->status = blocks_lost(err) ? EXIT_OUTSTANDING : EXIT_FAILURE;
	pthread_mutex_unlock(&v->lock);
}

void verify_failed(struct verify *v, const struct blocks *b)
{
	int err = errno;

	verify_result(v, false, "%s: %s", err == ENODEV ? "device lost" : b->name,
		      vfn_last_error());
	set_status(v, err);
}

void verify_lost(struct verify *v, const struct blocks *b, const struct vfn_blk_req *req)
{
	verify_result(v, false, "%s: %s of %" PRIu64 " blocks from %" PRIu64 " on: %s%s", b->name,
		      req->op == VFN_BLK_READ ? "read" : "write", req->nlb, req->lba,
		      req->error == ENODEV ? "device lost: " : "",
		      req->status ? vfn_nvme_status_text(req->status) : strerror(req->error));
	set_status(v, req->error);
}

/* ---- data ---- */

#define GOLDEN 0x9e3779b97f4a7c15ULL

/* Numbers by the constants of Steele, Lea and Flood's SplitMix. */
uint64_t verify_random(uint64_t *state)
{
	uint64_t z = *state += GOLDEN;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;

	return z ^ z >> 31;
}

uint64_t verify_below(uint64_t *state, uint64_t n)
{
	return verify_random(state) % n;
}

static uint64_t word_at(uint64_t seed, uint64_t at)
{
	return (seed + at / sizeof(uint64_t)) * GOLDEN;
}

void verify_fill(void *mem, size_t len, uint64_t seed, uint64_t at)
{
	for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
		uint64_t word = word_at(seed, at + i);

		memcpy((char *)mem + i, &word, sizeof(word));
	}
}

size_t verify_compare(const void *mem, size_t len, uint64_t seed, uint64_t at)
{
	for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
		uint64_t word = word_at(seed, at + i);

		if (memcmp((const char *)mem + i, &word, sizeof(word)))
			return i;
	}

	return len;
}

void verify_threads(void *elements, size_t size, unsigned int n, void *(*run)(void *element))
{
	pthread_t *threads = calloc(n, sizeof(*threads));
	unsigned int started = 0;

	for (unsigned int i = 0; threads && i < n; i++, started++) {
		if (pthread_create(&threads[i], NULL, run, (char *)elements + i * size))
			break;
	}
	/* what gets no thread is done in turn */
	for (unsigned int i = started; i < n; i++)
		run((char *)elements + i * size);
	for (unsigned int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	free(threads);
}

/* ---- tests ---- */

static const struct test {
	const char *name;
	void (*run)(struct verify *v, struct blocks *b, unsigned int n);
	unsigned int threads, depth;
	unsigned int most; /* namespaces */
} tests[] = {
	{ "sim", verify_sim, 4, 8, 1 },
	{ "api", verify_api, 2, 500, 1 },
	{ "mts", NULL, 6, 100, 1 },
	{ "lat", verify_lat, 1, 8, 1 },
	{ "mcd", verify_sim, 4, 8, MAX_OPERANDS },
	{ "off", verify_off, 1, 32, 1 },
};

#define NR_TESTS (sizeof(tests) / sizeof(tests[0]))

static const struct test *find_test(const char *name)
{
	for (size_t i = 0; i < NR_TESTS; i++) {
		if (!strcmp(tests[i].name, name))
			return &tests[i];
	}

	return NULL;
}

/* Seeds that can be written down. */
static uint64_t any_seed(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);

	return ((uint64_t)now.tv_nsec / 1000 + (uint64_t)now.tv_sec * 1000003) % 1000000000;
}

static void begin(struct verify *v, const struct test *test)
{
	if (v->req->json) {
		v->json = (struct json){ .out = v->report.out };
		json_open(&v->json, NULL, '{');
		json_string(&v->json, "test", test->name);
		json_int(&v->json, "seed", (long long)v->seed);
		json_open(&v->json, "results", '[');
	} else {
		printf("# %s, --seed %" PRIu64 "\n", test->name, v->seed);
		fflush(stdout);
	}
}

static int end(struct verify *v)
{
	int status = v->failures && !v->status ? EXIT_FAILURE : v->status;

	if (caught_signal()) {
		complain("called off");
		status = 128 + caught_signal();
	}
	if (v->req->json) {
		json_close(&v->json, ']');
		json_bool(&v->json, "ok", !status);
		json_close(&v->json, '}');
		return report_print(&v->report) ? EXIT_FAILURE : status;
	}
	printf("1..%u\n", v->tests);

	return status;
}

static int run(struct verify *v, const struct test *test, struct blocks *b, unsigned int n)
{
	if (v->req->json && report_open(&v->report))
		return EXIT_FAILURE;

	begin(v, test);
	catch_signals();
	if (test->run)
		test->run(v, b, n);
	else
		verify_mts(v, v->req->operands[1]);
	release_signals();

	return end(v);
}

/* ---- namespaces ---- */

static struct vfn_blk_opts opts_of(const struct request *req, const struct test *test)
{
	return (struct vfn_blk_opts){
		/* one more is for calls that wait */
		.queues = (unsigned int)number_or(req, OPT_THREADS, test->threads) + 1,
		.depth = (unsigned int)number_or(req, OPT_DEPTH, test->depth),
		.flags = VFN_BLK_EXACT | (is_given(req, OPT_SGL) ? VFN_BLK_SGL : 0),
	};
}

static int open_all(const struct request *req, const struct test *test, struct blocks *b,
		    unsigned int n, unsigned int *opened)
{
	const struct vfn_blk_opts opts = opts_of(req, test);
	int status = EXIT_SUCCESS;

	for (*opened = 0; *opened < n && !status;) {
		status = blocks_open(&b[*opened], req, req->operands[*opened + 1], &opts);
		if (!status)
			status = blocks_guard(&b[(*opened)++], req);
	}

	return status;
}

/* Nobody has one of the controllers. */
static int check_idle(const struct request *req, unsigned int n)
{
	char bdf[VFN_PCI_BDF_LEN];

	for (unsigned int i = 1; i <= n; i++) {
		if (!parse_namespace(req->operands[i], bdf)) {
			complain_usage("verify: a namespace is written 0000:01:00.0/1");
			return EXIT_USAGE;
		}
		if (vfn_pci_check_idle(bdf))
			return complain_last_error();
	}

	return EXIT_SUCCESS;
}

static unsigned int count_operands(const struct request *req)
{
	unsigned int n = 0;

	while (n < MAX_OPERANDS && req->operands[n])
		n++;

	return n;
}

int cmd_verify(const struct request *req)
{
	const struct test *test = find_test(req->operands[0]);
	struct verify v = { .req = req, .lock = PTHREAD_MUTEX_INITIALIZER };
	unsigned int n = count_operands(req) - 1, opened;
	struct blocks b[MAX_OPERANDS] = {};
	int status;

	if (!test)
		return complain_usage("verify: the tests are sim, api, mts, lat, mcd and off");
	if (n > test->most)
		return complain_usage("verify: several namespaces are for mcd");
	status = check_idle(req, n);
	if (status)
		return status;

	v.seed = number_or(req, OPT_SEED, any_seed());
	status = open_all(req, test, b, n, &opened);
	/* which opens namespaces itself */
	if (!status && !test->run)
		status = blocks_close(&b[0]);
	if (!status)
		status = run(&v, test, b, n);
	for (unsigned int i = 0; i < opened; i++) {
		if (b[i].blk && blocks_close(&b[i]) && !status)
			status = EXIT_FAILURE;
	}

	return status;
}
