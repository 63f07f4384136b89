// SPDX-License-Identifier: GPL-2.0-or-later
/* vfntool verify lat: how long it takes to submit requests, and until they have completed. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "verify.h"

#define RUNTIME 30
#define LEN 4096UL
#define SECOND_NS 1000000000ULL

struct times {
	uint64_t count, least, most, sum;
};

struct lat {
	struct verify *v;
	const struct blocks *b;
	uint64_t random, end;
	unsigned int n;
	struct vfn_blk_queue *queue;
	struct vfn_blk_req *reqs;
	uint64_t *started;
	char *data;
	struct times submit[2], complete[2]; /* of reads, of writes */
	bool ok;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

static void add_time(struct times *t, uint64_t ns)
{
	if (!t->count++ || ns < t->least)
		t->least = ns;
	if (ns > t->most)
		t->most = ns;
	t->sum += ns;
}

static void add_times(struct times *t, const struct times *other)
{
	if (!other->count)
		return;
	if (!t->count || other->least < t->least)
		t->least = other->least;
	if (other->most > t->most)
		t->most = other->most;
	t->count += other->count;
	t->sum += other->sum;
}

static bool start(struct lat *l, unsigned int i)
{
	struct vfn_blk_req *req = &l->reqs[i];
	uint64_t nlb = LEN / l->b->info.block_size;

	*req = (struct vfn_blk_req){
		.op = verify_random(&l->random) & 1 ? VFN_BLK_WRITE : VFN_BLK_READ,
		.lba = verify_below(&l->random, l->b->info.nblocks / nlb) * nlb,
		.nlb = nlb,
		.buf = l->data + i * LEN,
	};
	l->started[i] = now_ns();
	if (vfn_blk_submit(l->queue, req)) {
		verify_failed(l->v, l->b);
		return false;
	}
	add_time(&l->submit[req->op], now_ns() - l->started[i]);

	return true;
}

static bool finish(struct lat *l, struct vfn_blk_req *req)
{
	add_time(&l->complete[req->op], now_ns() - l->started[req - l->reqs]);
	if (req->error)
		verify_lost(l->v, l->b, req);

	return !req->error;
}

static bool run(struct lat *l)
{
	struct vfn_blk_req *done;
	unsigned int out = 0;
	bool ok = true;

	while (ok && out < l->n)
		ok = start(l, out++);
	if (!ok)
		out--;
	while (out) {
		if (vfn_blk_wait(l->queue, &done, 1, 1, -1) < 0) {
			verify_failed(l->v, l->b);
			return false;
		}
		out--;
		ok &= finish(l, done);
		if (ok && !caught_signal() && now_ns() < l->end) {
			ok = start(l, (unsigned int)(done - l->reqs));
			out += ok;
		}
	}

	return ok;
}

static void *run_thread(void *arg)
{
	struct lat *l = arg;

	l->queue = vfn_blk_get_queue(l->b->blk);
	l->data = vfn_blk_alloc(l->b->blk, l->n * LEN);
	l->reqs = calloc(l->n, sizeof(*l->reqs));
	l->started = calloc(l->n, sizeof(*l->started));
	if (l->queue && l->data && l->reqs && l->started)
		l->ok = run(l);
	else
		verify_failed(l->v, l->b);

	free(l->started);
	free(l->reqs);
	(void)vfn_blk_put_queue(l->queue);
	(void)vfn_blk_free(l->b->blk, l->data);

	return NULL;
}

static void put_times(struct verify *v, const char *what, const struct times *t)
{
	verify_note(v, what, "min %.2f avg %.2f max %.2f us", (double)t->least / 1000,
		    t->count ? (double)t->sum / (double)t->count / 1000 : 0.0,
		    (double)t->most / 1000);
}

void verify_lat(struct verify *v, struct blocks *b, unsigned int n)
{
	const uint64_t end = now_ns() + number_or(v->req, OPT_RUNTIME, RUNTIME) * SECOND_NS;
	static const char *const names[][2] = { { "read slat", "read clat" },
						{ "write slat", "write clat" } };
	unsigned int threads = b->info.queues - 1;
	struct lat *all = calloc(threads, sizeof(*all)), sum = { .ok = all };

	(void)n;
	for (unsigned int i = 0; all && i < threads; i++) {
		all[i] = (struct lat){
			.v = v, .b = b, .random = v->seed + i, .end = end, .n = b->info.depth - 1
		};
	}
	if (all)
		verify_threads(all, sizeof(*all), threads, run_thread);
	for (unsigned int i = 0; all && i < threads; i++) {
		sum.ok &= all[i].ok;
		for (int op = 0; op < 2; op++) {
			add_times(&sum.submit[op], &all[i].submit[op]);
			add_times(&sum.complete[op], &all[i].complete[op]);
		}
	}
	free(all);

	for (int op = 0; op < 2; op++) {
		put_times(v, names[op][0], &sum.submit[op]);
		put_times(v, names[op][1], &sum.complete[op]);
	}
	verify_result(v, sum.ok, "%s: %" PRIu64 " reads, %" PRIu64 " writes", b->name,
		      sum.complete[0].count, sum.complete[1].count);
}
