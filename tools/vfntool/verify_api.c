// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vfntool verify api: many more requests than a queue holds, of random lengths, in memory that begins anywhere, waited for in
 * reverse order; then the same by calls that wait.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "verify.h"

#define RATIO 4

/* Bytes of the namespace that a queue has. */
#define LENGTH (32ULL << 20)

/* Around each piece of memory. */
#define SLACK 4096UL

struct job {
	struct verify *v;
	const struct blocks *b;
	uint64_t first, blocks;
	uint64_t random;
	unsigned int n; /* requests */
	unsigned int submitted, ended, wrong;
	struct vfn_blk_queue *queue;
	struct vfn_blk_req *reqs;
	char *data;
	bool ok;
};

/* Where a request is and where its memory is: one behind the other, and a bit further. */
static void plan(struct job *j, uint64_t ratio)
{
	const uint32_t block = j->b->info.block_size;
	uint64_t lba = j->first, left = j->blocks;
	char *data = j->data;

	for (unsigned int i = 0; i < j->n; i++) {
		uint64_t most = 2 * left / (j->n - i), limit = ratio * j->b->info.max_blocks;

		if (most > limit)
			most = limit;
		if (!most)
			most = 1;
		j->reqs[i] = (struct vfn_blk_req){
			.lba = lba,
			.nlb = 1 + verify_below(&j->random, most),
			.buf = data + verify_below(&j->random, SLACK / 4) * 4,
		};
		if (j->reqs[i].nlb > left)
			j->reqs[i].nlb = left;
		lba += j->reqs[i].nlb;
		left -= j->reqs[i].nlb;
		data += j->reqs[i].nlb * block + SLACK;
		if (!left) {
			j->n = i + 1;
			return;
		}
	}
}

static bool check(struct job *j, const struct vfn_blk_req *req)
{
	const uint32_t block = j->b->info.block_size;
	size_t len = req->nlb * block,
	       same = verify_compare(req->buf, len, j->v->seed, req->lba * block);

	if (same == len)
		return true;
	j->wrong++;
	verify_result(j->v, false, "%s: byte %" PRIu64 " is not what was written", j->b->name,
		      req->lba * block + same);

	return false;
}

static bool submit_all(struct job *j, uint8_t op)
{
	const uint32_t block = j->b->info.block_size;

	for (unsigned int i = 0; i < j->n && !caught_signal(); i++) {
		struct vfn_blk_req *req = &j->reqs[i];

		req->op = op;
		if (op == VFN_BLK_WRITE)
			verify_fill(req->buf, req->nlb * block, j->v->seed, req->lba * block);
		else
			memset(req->buf, 0, req->nlb * block);
		if (vfn_blk_submit(j->queue, req)) {
			verify_failed(j->v, j->b);
			return false;
		}
		j->submitted++;
	}

	return true;
}

/* The last one first. All end, whatever happens. */
static bool wait_all(struct job *j, unsigned int out, bool ok)
{
	for (unsigned int i = out; i-- > 0;) {
		struct vfn_blk_req *req = &j->reqs[i];

		if (vfn_blk_wait_req(req, -1)) {
			verify_failed(j->v, j->b);
			return false;
		}
		j->ended++;
		if (req->error && ok)
			verify_lost(j->v, j->b, req);
		if (req->error || (ok && req->op == VFN_BLK_READ && !check(j, req)))
			ok = false;
	}

	return ok;
}

static bool pass(struct job *j, uint8_t op)
{
	unsigned int before = j->submitted;
	bool ok = submit_all(j, op);

	return wait_all(j, j->submitted - before, ok);
}

static bool pass_that_waits(struct job *j)
{
	for (unsigned int i = 0; i < j->n && !caught_signal(); i++) {
		struct vfn_blk_req *req = &j->reqs[i];

		memset(req->buf, 0, req->nlb * j->b->info.block_size);
		if (vfn_blk_read(j->b->blk, req->buf, req->lba, req->nlb)) {
			verify_failed(j->v, j->b);
			return false;
		}
		if (!check(j, req))
			return false;
	}

	return true;
}

static void *run_job(void *arg)
{
	struct job *j = arg;
	uint64_t ratio = number_or(j->v->req, OPT_RATIO, RATIO);
	size_t len = j->blocks * j->b->info.block_size + (j->n + 1) * SLACK;

	j->queue = vfn_blk_get_queue(j->b->blk);
	j->data = vfn_blk_alloc(j->b->blk, len);
	j->reqs = calloc(j->n, sizeof(*j->reqs));
	if (j->queue && j->data && j->reqs) {
		plan(j, ratio);
		j->ok = pass(j, VFN_BLK_WRITE) && pass(j, VFN_BLK_READ) && pass_that_waits(j);
	} else {
		verify_failed(j->v, j->b);
	}

	free(j->reqs);
	if (vfn_blk_put_queue(j->queue)) {
		verify_failed(j->v, j->b);
		j->ok = false;
	}
	(void)vfn_blk_free(j->b->blk, j->data);

	return NULL;
}

void verify_api(struct verify *v, struct blocks *b, unsigned int n)
{
	unsigned int threads = b->info.queues - 1, requests = 0, leaks = 0, wrong = 0;
	uint64_t most = number_or(v->req, OPT_LENGTH, LENGTH * threads) / b->info.block_size;
	uint64_t blocks = (most < b->info.nblocks ? most : b->info.nblocks) / threads;
	struct job *jobs = calloc(threads, sizeof(*jobs));
	bool ok = jobs && blocks;

	(void)n;
	for (unsigned int i = 0; ok && i < threads; i++) {
		jobs[i] = (struct job){
			.v = v,
			.b = b,
			.first = blocks * i,
			.blocks = blocks,
			.random = v->seed + i,
			.n = (unsigned int)number_or(v->req, OPT_RATIO, RATIO) *
			     (b->info.depth - 1),
		};
	}
	if (ok)
		verify_threads(jobs, sizeof(*jobs), threads, run_job);
	for (unsigned int i = 0; jobs && i < threads; i++) {
		ok &= jobs[i].ok;
		requests += jobs[i].submitted;
		leaks += jobs[i].submitted - jobs[i].ended;
		wrong += jobs[i].wrong;
	}
	free(jobs);

	verify_result(v, ok || caught_signal(),
		      "%s: %u queues, %u requests: %u miscompares, %u leaks", b->name, threads,
		      requests, wrong, leaks);
}
