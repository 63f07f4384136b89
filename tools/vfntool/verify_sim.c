// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vfntool verify sim and mcd: each queue writes its part of a namespace with many requests at once, and reads it again. What
 * is there then has a digest, for others to compare.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sha256.h"
#include "verify.h"

#define PIECE (256UL << 10)

/* Of one namespace, if no option says so. */
#define LENGTH (100ULL << 20)
#define LENGTH_OF_MANY (256ULL << 20)

struct part {
	struct verify *v;
	const struct blocks *b;
	uint64_t start, len; /* bytes */
	bool ok;
};

/* Memory and requests of a queue. */
struct window {
	const struct part *part;
	struct vfn_blk_queue *queue;
	struct vfn_blk_req *reqs;
	char *data;
	unsigned int n;
};

/* The next requests, as many as there is room for; returns how many bytes they are about. */
static uint64_t submit(struct window *w, uint8_t op, uint64_t done, unsigned int *out)
{
	const struct part *p = w->part;
	const uint32_t block = p->b->info.block_size;
	uint64_t bytes = 0;

	for (*out = 0; *out < w->n && done + bytes < p->len; (*out)++) {
		uint64_t at = p->start + done + bytes, left = p->len - done - bytes;
		uint64_t len = left < PIECE ? left : PIECE;
		struct vfn_blk_req *req = &w->reqs[*out];

		*req = (struct vfn_blk_req){
			.op = op,
			.lba = at / block,
			.nlb = len / block,
			.buf = w->data + *out * PIECE,
		};
		if (op == VFN_BLK_WRITE)
			verify_fill(req->buf, len, p->v->seed, at);
		else
			memset(req->buf, 0, len);
		if (vfn_blk_submit(w->queue, req)) {
			verify_failed(p->v, p->b);
			return 0;
		}
		bytes += len;
	}

	return bytes;
}

static bool is_right(const struct window *w, const struct vfn_blk_req *req)
{
	const struct part *p = w->part;
	const uint32_t block = p->b->info.block_size;
	size_t len = req->nlb * block, same;

	if (req->error) {
		verify_lost(p->v, p->b, req);
		return false;
	}
	if (req->op == VFN_BLK_WRITE)
		return true;

	same = verify_compare(req->buf, len, p->v->seed, req->lba * block);
	if (same < len)
		verify_result(p->v, false, "%s: byte %" PRIu64 " is not what was written",
			      p->b->name, req->lba * block + same);

	return same == len;
}

static bool pass(struct window *w, uint8_t op)
{
	bool ok = true;

	for (uint64_t done = 0, n; ok && done < w->part->len && !caught_signal(); done += n) {
		unsigned int out;

		n = submit(w, op, done, &out);
		ok = n;
		for (unsigned int i = 0; i < out; i++) {
			if (vfn_blk_wait_req(&w->reqs[i], -1) || !is_right(w, &w->reqs[i]))
				ok = false;
		}
	}

	return ok;
}

static void *run_part(void *arg)
{
	struct part *p = arg;
	struct window w = { .part = p, .n = p->b->info.depth - 1 };

	if (w.n > 64)
		w.n = 64;
	w.queue = vfn_blk_get_queue(p->b->blk);
	w.data = vfn_blk_alloc(p->b->blk, w.n * PIECE);
	w.reqs = calloc(w.n, sizeof(*w.reqs));
	if (w.queue && w.data && w.reqs)
		p->ok = pass(&w, VFN_BLK_WRITE) && pass(&w, VFN_BLK_READ);
	else
		verify_failed(p->v, p->b);

	free(w.reqs);
	(void)vfn_blk_put_queue(w.queue);
	(void)vfn_blk_free(p->b->blk, w.data);

	return NULL;
}

static void put_digest(struct verify *v, const struct blocks *b, uint64_t len)
{
	const uint32_t block = b->info.block_size;
	char *data = vfn_blk_alloc(b->blk, PIECE);
	char text[SHA256_TEXT];
	struct sha256 sum;

	if (!data) {
		verify_failed(v, b);
		return;
	}

	sha256_begin(&sum);
	for (uint64_t at = 0; at < len; at += PIECE) {
		size_t n = len - at < PIECE ? len - at : PIECE;

		if (vfn_blk_read(b->blk, data, at / block, n / block)) {
			verify_failed(v, b);
			break;
		}
		sha256_add(&sum, data, n);
	}
	sha256_end(&sum, text);
	(void)vfn_blk_free(b->blk, data);
	verify_note(v, "sha256", "%s %s, first %" PRIu64 " bytes", text, b->name, len);
}

static uint64_t length_of(const struct verify *v, const struct blocks *b, unsigned int n)
{
	uint64_t len = number_or(v->req, OPT_LENGTH, n > 1 ? LENGTH_OF_MANY : LENGTH);

	return (len < b->bytes ? len : b->bytes) / b->info.block_size * b->info.block_size;
}

void verify_sim(struct verify *v, struct blocks *b, unsigned int n)
{
	unsigned int threads = b[0].info.queues - 1;
	struct part *parts = calloc((size_t)n * threads, sizeof(*parts));

	for (unsigned int i = 0; parts && i < n * threads; i++) {
		const struct blocks *ns = &b[i / threads];
		uint64_t block = ns->info.block_size, blocks = length_of(v, ns, n) / block;
		uint64_t first = blocks * (i % threads) / threads;
		uint64_t last = blocks * (i % threads + 1) / threads;

		parts[i] = (struct part){ v, ns, first * block, (last - first) * block, false };
	}
	if (parts)
		verify_threads(parts, sizeof(*parts), n * threads, run_part);

	for (unsigned int i = 0; parts && i < n && !caught_signal(); i++) {
		bool ok = true;

		for (unsigned int j = 0; j < threads; j++)
			ok &= parts[i * threads + j].ok;
		verify_result(v, ok,
			      "%s: %" PRIu64 " bytes written by %u queues are read by them again",
			      b[i].name, length_of(v, &b[i], n), threads);
		if (ok)
			put_digest(v, &b[i], length_of(v, &b[i], n));
	}
	free(parts);
}
