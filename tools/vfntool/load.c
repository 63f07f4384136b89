// SPDX-License-Identifier: GPL-2.0-or-later
/* Load on a namespace: threads that keep so many requests going, each on a queue of its own. */
#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <vfn/nvme.h>
#include <vfn/support/log.h>

#include "verify.h"

#define SECOND_NS 1000000000ULL

const char *const load_names[NR_LOAD_OPS] = { "read", "write", "randread", "randwrite", "randrw" };

int load_parse_op(const char *word, unsigned int *op)
{
	for (*op = 0; *op < NR_LOAD_OPS; (*op)++) {
		if (!strcmp(load_names[*op], word))
			return 0;
	}
	complain("--rw: none of read, write, randread, randwrite, randrw: %s", word);

	return EXIT_USAGE;
}

int load_check(const struct load *load)
{
	int status = blocks_check_range(load->b, 0, load->bs);

	if (!status)
		status = blocks_check_range(load->b, 0, load->bytes);
	if (!status && load->bytes < load->bs)
		status = complain("%s: %llu bytes are fewer than a request has", load->b->name,
				  (unsigned long long)load->bytes);

	return status;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

/* ---- the library ---- */

struct library {
	struct vfn_blk_queue *queue;
	struct vfn_blk_req *reqs;
};

static int library_open(struct load_thread *t)
{
	const struct blocks *b = t->load->b;
	struct library *l = calloc(1, sizeof(*l));

	t->priv = l;
	if (!l)
		return complain("out of memory");
	l->reqs = calloc(t->load->iodepth, sizeof(*l->reqs));
	l->queue = vfn_blk_get_queue(b->blk);
	t->data = vfn_blk_alloc(b->blk, (size_t)t->load->iodepth * t->load->bs);

	return l->reqs && l->queue && t->data ? 0 : complain_last_error();
}

static void library_close(struct load_thread *t)
{
	struct library *l = t->priv;

	if (!l)
		return;
	(void)vfn_blk_put_queue(l->queue);
	(void)vfn_blk_free(t->load->b->blk, t->data);
	free(l->reqs);
	free(l);
}

static int library_submit(struct load_thread *t, unsigned int i, bool write, uint64_t offset)
{
	const uint32_t block = t->load->b->info.block_size;
	struct library *l = t->priv;

	l->reqs[i] = (struct vfn_blk_req){
		.op = write ? VFN_BLK_WRITE : VFN_BLK_READ,
		.lba = offset / block,
		.nlb = t->load->bs / block,
		.buf = t->data + (size_t)i * t->load->bs,
	};

	return vfn_blk_submit(l->queue, &l->reqs[i]) ? complain_last_error() : 0;
}

static int library_wait(struct load_thread *t, unsigned int *ended, unsigned int max)
{
	struct library *l = t->priv;
	struct vfn_blk_req *done[LOAD_BATCH];
	int n = vfn_blk_wait(l->queue, done, 1, (int)max, -1);

	if (n < 0) {
		complain_last_error();
		return -1;
	}
	for (int i = 0; i < n; i++) {
		ended[i] = (unsigned int)(done[i] - l->reqs);
		if (!done[i]->error || t->failed)
			continue;
		complain("%s: %s%s", t->load->b->name,
			 done[i]->error == ENODEV ? "device lost: " : "",
			 done[i]->status ? vfn_nvme_status_text(done[i]->status) :
					   strerror(done[i]->error));
		t->failed = true;
	}

	return n;
}

const struct load_engine load_library = {
	.open = library_open,
	.close = library_close,
	.submit = library_submit,
	.wait = library_wait,
};

/* ---- threads ---- */

/* Each thread has its part of the namespace where it goes on from place to place. */
static uint64_t next_offset(struct load_thread *t)
{
	const struct load *load = t->load;
	uint64_t places = load->bytes / load->bs, own = places / load->threads;

	if (load->op >= LOAD_RANDREAD)
		return verify_below(&t->random, places) * load->bs;
	if (!own)
		own = 1;

	return (t->number * own + t->next++ % own) % places * load->bs;
}

static bool next_writes(struct load_thread *t)
{
	if (t->load->op == LOAD_RANDRW)
		return verify_random(&t->random) & 1;

	return load_writes(t->load->op);
}

static int start(struct load_thread *t, const struct load_engine *engine, unsigned int i,
		 uint64_t now)
{
	t->started[i] = now;

	return engine->submit(t, i, next_writes(t), next_offset(t));
}

static void run(struct load_thread *t, const struct load_engine *engine)
{
	unsigned int ended[LOAD_BATCH], out = 0;
	uint64_t now = now_ns();

	t->start_ns = now;
	t->count_ns = now + t->load->runtime_ns / 10;
	t->end_ns = t->count_ns + t->load->runtime_ns;
	while (out < t->load->iodepth && !t->failed) {
		if (start(t, engine, out, now))
			t->failed = true;
		else
			out++;
	}

	while (out) {
		int n = engine->wait(t, ended, out < LOAD_BATCH ? out : LOAD_BATCH);

		if (n < 0) {
			t->failed = true;
			return;
		}
		now = now_ns();
		out -= (unsigned int)n;
		for (int i = 0; i < n; i++) {
			if (now >= t->count_ns && now < t->end_ns)
				hist_add(&t->hist, now - t->started[ended[i]]);
			if (t->failed || now >= t->end_ns || caught_signal())
				continue;
			if (start(t, engine, ended[i], now))
				t->failed = true;
			else
				out++;
		}
	}
}

static void *run_thread(void *arg)
{
	struct load_thread *t = arg;
	const struct load_engine *engine = t->load->fd < 0 ? &load_library : &load_kernel;

	t->started = calloc(t->load->iodepth, sizeof(*t->started));
	if (!t->started || engine->open(t))
		t->failed = true;
	else
		run(t, engine);
	engine->close(t);
	free(t->started);

	return NULL;
}

int load_run(const struct load *load, struct load_result *result)
{
	struct load_thread *threads = calloc(load->threads, sizeof(*threads));
	bool failed = !threads;

	memset(result, 0, sizeof(*result));
	for (unsigned int i = 0; threads && i < load->threads; i++) {
		threads[i].load = load;
		threads[i].number = i;
		threads[i].random = load->seed + i;
	}
	if (threads)
		verify_threads(threads, sizeof(*threads), load->threads, run_thread);
	for (unsigned int i = 0; threads && i < load->threads; i++) {
		hist_merge(&result->hist, &threads[i].hist);
		failed |= threads[i].failed;
	}
	free(threads);
	result->seconds = (double)load->runtime_ns / SECOND_NS;

	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
