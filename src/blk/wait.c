// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Waiting for requests, and handing them out. The common case, commands that were successful and are all there is to their
 * requests (BLK_PLAIN), is handled where completions are taken.
 */
#include <errno.h>

#include "blk/blk.h"
#include "nvme/quick.h"
#include "os/os.h"
#include "support/error.h"

#define MS 1000000ULL

/* Completions that are taken at a time. */
#define BATCH 64

/* A wait without interrupts polls for that long, and sleeps between polls then. */
#define SPIN_NS (1 * MS)
#define NAP_NS 20000

/* A wait for an interrupt looks around as often. */
#define SLEEP_NS (10 * MS)

static void hand_out(struct vfn_blk_queue *q, struct vfn_blk_req *req, struct vfn_blk_req **done)
{
	q->out--;
	blk_take_out(&q->ended, req);
	req->priv.state = BLK_IDLE;
	if (done)
		*done = req;
	if (req->complete)
		req->complete(req);
}

/* Take completions, send as much of what waits as there is room for, and tell the controller. */
static void advance(struct vfn_blk_queue *q)
{
	struct vfn_nvme_done cqes[BATCH];
	uint64_t events;
	int n;

	/* what comes from here on is seen below, or signalled again */
	if (q->event_fd >= 0)
		(void)!os_read(q->event_fd, &events, sizeof(events));

	if (blk_lost(q->dev)) {
		q->quick = BLK_NONE_QUICK;
		blk_end_all(q, blk_lost(q->dev));
		return;
	}

	do {
		n = vfn_nvme_io_poll(q->sq, cqes, BATCH);
		for (int i = 0; i < n; i++) {
			struct vfn_blk_req *req = cqes[i].opaque;

			req->result = le64_to_cpu(cqes[i].cqe.qw0);
			blk_end_piece(q, req, le16_to_cpu(cqes[i].cqe.sfp) >> 1);
		}
		blk_push(q);
		nvme_sq_update_tail(q->sq);
	} while (n == BATCH);
}

/* The same, and what is called off because of that. */
static void advance_by(struct vfn_blk_queue *q, uint64_t now)
{
	advance(q);
	if (blk_look(q, now))
		advance(q);
}

/* Time of a wait, and what it is now. */
struct patience {
	uint64_t start, now, deadline;
};

static struct patience patience_of(int64_t timeout_ns)
{
	uint64_t now = os_clock_ns();

	return (struct patience){
		.start = now,
		.now = now,
		.deadline = timeout_ns < 0 ? UINT64_MAX : now + (uint64_t)timeout_ns,
	};
}

/* False if the time was up before the last look. */
static bool wait_a_little(const struct vfn_blk_queue *q, struct patience *patience)
{
	uint64_t left = patience->deadline - patience->now;

	if (patience->now >= patience->deadline)
		return false;

	if (q->event_fd >= 0)
		(void)os_wait_fd(q->event_fd, left < SLEEP_NS ? left : SLEEP_NS);
	else if (patience->now - patience->start >= SPIN_NS)
		os_sleep_ns(NAP_NS);
	patience->now = os_clock_ns();

	return true;
}

static __attribute__((noinline)) int bad_wait(const struct vfn_blk_queue *q, int min, int max,
					      int64_t timeout_ns)
{
	return vfn_fail(EINVAL, "%s: waiting for %d to %d of %u requests, %lld ns",
			q->blk->info.bdf, min, max, q->out, (long long)timeout_ns);
}

/* The rest of a wait that has handed out @got. */
static __attribute__((noinline)) int wait_slowly(struct vfn_blk_queue *q, int got)
{
	const struct blk_ask ask = q->ask;
	struct patience patience = patience_of(ask.min ? ask.timeout_ns : 0);

	if (!ask.max)
		return bad_wait(q, 0, 0, ask.timeout_ns);

	do {
		advance_by(q, patience.now);
		while (q->ended.first && got < ask.max) {
			hand_out(q, q->ended.first, ask.done ? ask.done + got : NULL);
			got++;
		}
		/* callbacks may have submitted */
		if (!blk_lost(q->dev))
			nvme_sq_update_tail(q->sq);
	} while ((!got || got < ask.min) && wait_a_little(q, &patience));

	q->polls = q->ended.first || q->waiting.first ? 1 : q->calm;
	blk_signal(q);
	if (!got && ask.min) {
		errno = ETIMEDOUT;
		return -1;
	}

	return got;
}

/* ---- the common case ---- */

/* Where requests go that are handed out, and whether any of them has a callback. */
struct harvest {
	struct vfn_blk_req **next;
	uintptr_t callbacks;
};

static inline bool take(void *to, void *opaque, const struct nvme_cqe *cqe)
{
	struct vfn_blk_req *req = opaque;
	struct harvest *h = to;

	if (unlikely(req->priv.state != BLK_PLAIN || le16_to_cpu(cqe->sfp) & ~1))
		return false;

	req->priv.state = BLK_IDLE;
	h->callbacks |= (uintptr_t)req->complete;
	*h->next++ = req;

	return true;
}

/* The end of the ring was reached, or the controller waits to hear what was consumed. */
static inline bool is_far(const struct nvme_cq *cq, int n)
{
	return nvme_quick_at_end(cq, n) || cq->head - cq->phead > cq->slack;
}

/* All that is not common after the completion queue was looked at. */
static __attribute__((noinline)) int wait_on(struct vfn_blk_queue *q, int got)
{
	struct nvme_cq *cq = q->sq->cq;

	if (is_far(cq, got)) {
		if (nvme_quick_at_end(cq, got)) {
			cq->phase ^= 1;
			cq->head = 0;
		}
		nvme_cq_update_head(cq);
	}

	for (int i = 0; i < got; i++) {
		struct vfn_blk_req *req = q->ask.done[i];

		/* they are all there, which analysers do not see */
		if (req && req->complete)
			req->complete(req);
	}
	/* of what callbacks have submitted */
	nvme_sq_update_tail(q->sq);

	return got && got >= q->ask.min ? got : wait_slowly(q, got);
}

/* Tell the controller of what was submitted, and hand out what is common, up to the end of the ring. */
static inline int harvest(struct vfn_blk_queue *q)
{
	struct harvest h = { .next = q->ask.done };
	struct nvme_sq *sq = q->sq;
	struct nvme_cq *cq = sq->cq;
	bool odd;
	int n;

	nvme_sq_update_tail(sq);
	n = nvme_quick_poll(sq, cq, q->ask.max, &odd, take, &h);
	q->out -= (unsigned int)n;

	if (unlikely(is_far(cq, n) || h.callbacks || !n || n < q->ask.min))
		return wait_on(q, n);

	return n;
}

static __attribute__((noinline)) int wait_without_list(struct vfn_blk_queue *q)
{
	struct vfn_blk_req *done[BATCH] = {};

	if (q->ask.min > BATCH)
		return wait_slowly(q, 0);

	q->ask.done = done;
	if (q->ask.max > BATCH)
		q->ask.max = BATCH;

	return harvest(q);
}

int vfn_blk_wait(struct vfn_blk_queue *q, struct vfn_blk_req **done, int min, int max,
		 int64_t timeout_ns)
{
	/* what is negative is very many, too */
	if (unlikely((unsigned int)min > q->out || min > max || timeout_ns < -1))
		return bad_wait(q, min, max, timeout_ns);

	q->ask = (struct blk_ask){ .done = done, .timeout_ns = timeout_ns, .min = min, .max = max };
	if (unlikely(!--q->polls || blk_lost(q->dev)))
		return wait_slowly(q, 0);

	return likely(done) ? harvest(q) : wait_without_list(q);
}

int vfn_blk_wait_req(struct vfn_blk_req *req, int64_t timeout_ns)
{
	struct vfn_blk_queue *q = req->priv.queue;
	struct patience patience;

	if (!req->priv.state || timeout_ns < -1)
		return vfn_fail(EINVAL, "the request is not submitted, or a limit of %lld ns",
				(long long)timeout_ns);

	patience = patience_of(timeout_ns);
	for (;;) {
		advance_by(q, patience.now);
		if (req->priv.state == BLK_ENDED)
			break;
		if (!wait_a_little(q, &patience)) {
			errno = timeout_ns ? ETIMEDOUT : EAGAIN;
			return -1;
		}
	}

	hand_out(q, req, NULL);
	blk_signal(q);

	return 0;
}
