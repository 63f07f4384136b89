// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vfntool verify mts: several handles of one namespace, each with queues and as many threads, which write and read by calls
 * that wait.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <vfn/support/log.h>

#include "verify.h"

#define SESSIONS 4
#define THREADS 6
#define DEPTH 100
#define MOST_BLOCKS 2048
#define ROUNDS 8

struct worker {
	struct verify *v;
	const struct blocks *b;
	uint64_t first, blocks, most;
	uint64_t random;
	bool ok;
};

/* Write somewhere, read it again. */
static bool round_of(struct worker *w, char *data, uint64_t seed)
{
	const uint32_t block = w->b->info.block_size;
	uint64_t nlb = 1 + verify_below(&w->random, w->most);
	uint64_t lba = w->first + verify_below(&w->random, w->blocks - nlb + 1);
	size_t len = nlb * block, same;

	verify_fill(data, len, seed, lba * block);
	if (vfn_blk_write(w->b->blk, data, lba, nlb)) {
		verify_failed(w->v, w->b);
		return false;
	}
	memset(data, 0, len);
	if (vfn_blk_read(w->b->blk, data, lba, nlb)) {
		verify_failed(w->v, w->b);
		return false;
	}
	same = verify_compare(data, len, seed, lba * block);
	if (same < len)
		verify_result(w->v, false, "%s: byte %" PRIu64 " is not what was written",
			      w->b->name, lba * block + same);

	return same == len;
}

static void *run_worker(void *arg)
{
	struct worker *w = arg;
	char *data = vfn_blk_alloc(w->b->blk, w->most * w->b->info.block_size);

	if (!data)
		verify_failed(w->v, w->b);
	w->ok = data;
	for (unsigned int i = 0; i < ROUNDS && w->ok && !caught_signal(); i++)
		w->ok = round_of(w, data, w->v->seed + i);
	(void)vfn_blk_free(w->b->blk, data);

	return NULL;
}

/* How many there would have been. */
static unsigned int queues_left(const struct request *req, const char *name)
{
	const struct vfn_blk_opts opts = { .queues = UINT16_MAX };
	struct blocks b = {};
	unsigned int queues = 0;

	if (!vfn_blk_open(&b.blk, name, &opts)) {
		vfn_blk_get_info(b.blk, &b.info);
		queues = b.info.queues;
		(void)blocks_close(&b);
	}

	return queues;
}

static unsigned int open_sessions(struct verify *v, const char *name, struct blocks *b,
				  unsigned int n, const struct vfn_blk_opts *opts)
{
	for (unsigned int i = 0; i < n; i++) {
		unsigned int left;

		if (!vfn_blk_open(&b[i].blk, name, opts)) {
			vfn_blk_get_info(b[i].blk, &b[i].info);
			snprintf(b[i].name, sizeof(b[i].name), "%s/%u", b[i].info.bdf,
				 b[i].info.nsid);
			continue;
		}
		verify_note(v, "error", "%s", vfn_last_error());
		left = queues_left(v->req, name);
		verify_result(v, false,
			      "session %u is refused: %u queues, and %u of %u are available", i + 1,
			      opts->queues, left, left + i * opts->queues);
		return i;
	}

	return n;
}

static void run_sessions(struct verify *v, struct blocks *b, unsigned int n, unsigned int threads)
{
	struct worker *workers = calloc((size_t)n * threads, sizeof(*workers));
	uint64_t blocks = b->info.nblocks / (n * threads);
	uint64_t most = number_or(v->req, OPT_BLOCKS, MOST_BLOCKS);

	for (unsigned int i = 0; workers && i < n * threads; i++) {
		workers[i] = (struct worker){
			.v = v,
			.b = &b[i / threads],
			.first = blocks * i,
			.blocks = blocks,
			.most = most < blocks ? most : blocks,
			.random = v->seed + i,
		};
	}
	if (workers)
		verify_threads(workers, sizeof(*workers), n * threads, run_worker);
	for (unsigned int i = 0; workers && i < n; i++) {
		bool ok = true;

		for (unsigned int j = 0; j < threads; j++)
			ok &= workers[i * threads + j].ok;
		verify_result(v, ok, "session %u: %u queues, %u threads", i + 1, threads, threads);
	}
	free(workers);
}

void verify_mts(struct verify *v, const char *name)
{
	unsigned int n = (unsigned int)number_or(v->req, OPT_SESSIONS, SESSIONS), opened;
	const struct vfn_blk_opts opts = {
		.queues = (unsigned int)number_or(v->req, OPT_THREADS, THREADS),
		.depth = (unsigned int)number_or(v->req, OPT_DEPTH, DEPTH),
		.timeout_ms = (unsigned int)number_or(v->req, OPT_TIMEOUT, 0),
		.flags = VFN_BLK_EXACT,
	};
	struct blocks *b = calloc(n, sizeof(*b));

	opened = b ? open_sessions(v, name, b, n, &opts) : 0;
	if (opened)
		run_sessions(v, b, opened, opts.queues);
	for (unsigned int i = 0; i < opened; i++)
		(void)blocks_close(&b[i]);
	free(b);
}
