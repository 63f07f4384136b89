// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Requests: split into commands, sent as there is room for them, and handed out once when all of their commands have
 * ended. The common case, a command of one piece of memory, is handled where it comes in and where it goes out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vfn/support/mutex.h>

#include "blk/blk.h"
#include "nvme/nvme.h"
#include "os/os.h"
#include "support/error.h"

#define MS 1000000ULL

#define OPCODE_FLUSH 0x00
#define OPCODE_WRITE_ZEROES 0x08
#define OPCODE_DSM 0x09
#define OPCODE_VERIFY 0x0c

/* Dataset Management, attribute Deallocate, in dword 11. */
#define DSM_DEALLOCATE (1 << 2)

/* Command Abort Requested; Compare Failure. */
#define STATUS_ABORT_REQUESTED 0x007
#define STATUS_COMPARE_FAILURE 0x285
#define STATUS_CODE 0x7ff

/* Completions that are taken at a time. */
#define BATCH 32

/* How often limits and the controller's status are looked at, and in any case after so many polls. */
#define LOOK_NS (10 * MS)
#define LOOK_POLLS 256

/* An abort should not take longer. */
#define ABORT_NS (5000 * MS)

/* A wait polls for that long, and sleeps between polls then. */
#define SPIN_NS (1 * MS)
#define NAP_NS 20000

/* ---- lists ---- */

static void append(struct blk_list *list, struct vfn_blk_req *req)
{
	req->priv.next = NULL;
	if (list->first)
		list->last->priv.next = req;
	else
		list->first = req;
	list->last = req;
}

static void take_out(struct blk_list *list, struct vfn_blk_req *req)
{
	struct vfn_blk_req *before = NULL, *at = list->first;

	for (; at != req; at = at->priv.next)
		before = at;

	if (before)
		before->priv.next = req->priv.next;
	else
		list->first = req->priv.next;
	if (list->last == req)
		list->last = before;
}

/* ---- the end of a request ---- */

static void end(struct vfn_blk_queue *q, struct vfn_blk_req *req)
{
	blk_finish_data(q, req);
	req->priv.ended = true;
	append(&q->ended, req);
}

/* The first error counts, and what was not sent is not sent any more. */
static void fail(struct vfn_blk_queue *q, struct vfn_blk_req *req, int err, uint16_t status)
{
	if (!req->error) {
		req->error = err;
		req->status = status;
	}
	if (req->priv.left) {
		req->priv.left = 0;
		take_out(&q->waiting, req);
	}
}

static int error_of(const struct vfn_blk_req *req, uint16_t status)
{
	if ((status & STATUS_CODE) == STATUS_ABORT_REQUESTED && req->priv.reason)
		return req->priv.reason;
	if ((status & STATUS_CODE) == STATUS_COMPARE_FAILURE)
		return EILSEQ;

	return vfn_nvme_status_errno(status);
}

static void end_piece(struct vfn_blk_queue *q, struct vfn_blk_req *req, uint16_t status)
{
	if (status)
		fail(q, req, error_of(req, status), status);
	if (!--req->priv.pieces && !req->priv.left)
		end(q, req);
}

static void hand_out(struct vfn_blk_queue *q, struct vfn_blk_req *req, struct vfn_blk_req **done)
{
	q->out--;
	req->priv.queue = NULL;
	if (done)
		*done = req;
	if (req->complete)
		req->complete(req);
}

/* ---- sending ---- */

uint32_t blk_piece(const struct vfn_blk_queue *q, uint64_t lba, uint64_t left)
{
	uint64_t n = left < q->max_blocks ? left : q->max_blocks;

	if (q->boundary) {
		uint64_t room = q->boundary - lba % q->boundary;

		n = n < room ? n : room;
	}

	return (uint32_t)n;
}

static int post(struct vfn_blk_queue *q, struct vfn_blk_req *req, struct nvme_rq *rq,
		union nvme_cmd *cmd)
{
	cmd->nsid = cpu_to_le32(q->blk->info.nsid);
	rq->opaque = req;
	nvme_rq_post(rq, cmd);

	return 0;
}

/* Deallocate, by a list of one range in the request's page. */
static int post_range(struct vfn_blk_queue *q, struct vfn_blk_req *req, struct nvme_rq *rq,
		      uint64_t lba, uint32_t n)
{
	union nvme_cmd cmd = { .opcode = OPCODE_DSM, .cdw11 = cpu_to_le32(DSM_DEALLOCATE) };
	struct {
		leint32_t attributes;
		leint32_t nlb;
		leint64_t slba;
	} range = { .nlb = cpu_to_le32(n), .slba = cpu_to_le64(lba) };

	if (vfn_nvme_rq_ready(rq))
		return -1;

	memcpy(rq->page.vaddr, &range, sizeof(range));
	cmd.dptr.prp1 = cpu_to_le64(rq->page.iova);

	return post(q, req, rq, &cmd);
}

static int post_blocks(struct vfn_blk_queue *q, struct vfn_blk_req *req, struct nvme_rq *rq,
		       uint64_t lba, uint32_t n)
{
	union nvme_cmd cmd = {
		.rw = {
			.opcode = req->op == VFN_BLK_VERIFY ? OPCODE_VERIFY : OPCODE_WRITE_ZEROES,
			.slba = cpu_to_le64(lba),
			.nlb = cpu_to_le16((uint16_t)(n - 1)),
		},
	};

	return post(q, req, rq, &cmd);
}

/* A command without data of the caller's. Returns how many blocks it has, 1 for a flush, or 0 with errno. */
static uint32_t send_other(struct vfn_blk_queue *q, struct vfn_blk_req *req, uint64_t lba)
{
	union nvme_cmd flush = { .opcode = OPCODE_FLUSH };
	struct nvme_rq *rq = nvme_rq_acquire(q->sq);
	uint64_t left = req->priv.left;
	uint32_t n = 1;
	int ret;

	if (!rq)
		return 0;

	if (req->op == VFN_BLK_FLUSH) {
		ret = post(q, req, rq, &flush);
	} else if (req->op == VFN_BLK_DISCARD) {
		n = left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
		ret = post_range(q, req, rq, lba, n);
	} else {
		n = blk_piece(q, lba, left);
		ret = post_blocks(q, req, rq, lba, n);
	}

	if (ret) {
		int saved = errno;

		nvme_rq_release(rq);
		errno = saved;
		return 0;
	}

	return n;
}

/* The next command of a request: -1 with errno EBUSY where there is no room for it, and others. */
static int send_piece(struct vfn_blk_queue *q, struct vfn_blk_req *req)
{
	uint64_t lba = req->lba + (req->nlb - req->priv.left);
	uint32_t n;

	if (!q->sq->rq_top) {
		errno = EBUSY;
		return -1;
	}

	if (blk_has_data(req))
		n = blk_send_data(q, req, lba, blk_piece(q, lba, req->priv.left));
	else
		n = send_other(q, req, lba);
	if (!n)
		return -1;

	req->priv.left -= n;
	req->priv.pieces++;

	return 0;
}

/* Send what there is room for. */
static void push(struct vfn_blk_queue *q)
{
	struct vfn_blk_req *req;

	while ((req = q->waiting.first)) {
		if (!send_piece(q, req)) {
			if (!req->priv.left)
				take_out(&q->waiting, req);
			continue;
		}

		if (errno == EBUSY)
			return;
		fail(q, req, errno, 0);
		if (!req->priv.pieces)
			end(q, req);
	}
}

/* ---- submit ---- */

int blk_check_blocks(const struct vfn_blk *blk, uint64_t lba, uint64_t nlb)
{
	const struct vfn_blk_info *info = &blk->info;

	if (!nlb || lba >= info->nblocks || nlb > info->nblocks - lba)
		return vfn_fail(EINVAL, "%s/%u: no %llu blocks from %llu on: it has %llu",
				info->bdf, info->nsid, (unsigned long long)nlb,
				(unsigned long long)lba, (unsigned long long)info->nblocks);

	return 0;
}

static int check_data(const struct vfn_blk_queue *q, const struct vfn_blk_req *req)
{
	uint64_t len = req->nlb << q->blk->lba_shift, sum = 0;

	if (!req->iov) {
		if (!req->buf || (uintptr_t)req->buf + len < len)
			return vfn_fail(EINVAL, "%s: %llu bytes at %p", q->blk->info.bdf,
					(unsigned long long)len, req->buf);
		return 0;
	}

	for (int i = 0; i < req->niov; i++) {
		const struct iovec *iov = &req->iov[i];

		if ((!iov->iov_base && iov->iov_len) || iov->iov_len > len - sum)
			return vfn_fail(EINVAL, "%s: piece %d of a vector: %zu bytes at %p",
					q->blk->info.bdf, i, iov->iov_len, iov->iov_base);
		sum += iov->iov_len;
	}
	if (sum != len)
		return vfn_fail(EINVAL, "%s: a vector of %llu bytes for %llu blocks",
				q->blk->info.bdf, (unsigned long long)sum,
				(unsigned long long)req->nlb);

	return 0;
}

static int check(const struct vfn_blk_queue *q, const struct vfn_blk_req *req)
{
	static const struct {
		unsigned int feature;
		bool writes;
	} ops[] = {
		[VFN_BLK_READ] = {},
		[VFN_BLK_WRITE] = { .writes = true },
		[VFN_BLK_COMPARE] = { .feature = VFN_BLK_F_COMPARE },
		[VFN_BLK_FLUSH] = {},
		[VFN_BLK_DISCARD] = { .feature = VFN_BLK_F_DISCARD, .writes = true },
		[VFN_BLK_WRITE_ZEROES] = { .feature = VFN_BLK_F_WRITE_ZEROES, .writes = true },
		[VFN_BLK_VERIFY] = { .feature = VFN_BLK_F_VERIFY },
	};
	const struct vfn_blk_info *info = &q->blk->info;

	if (req->op > VFN_BLK_VERIFY || req->flags & ~VFN_BLK_FUA ||
	    (req->flags && req->op > VFN_BLK_WRITE))
		return vfn_fail(EINVAL, "%s: operation %u, flags 0x%x", info->bdf, req->op,
				req->flags);
	if (req->op != VFN_BLK_FLUSH && blk_check_blocks(q->blk, req->lba, req->nlb))
		return -1;
	if (blk_has_data(req) && check_data(q, req))
		return -1;
	if (ops[req->op].writes && info->features & VFN_BLK_F_RDONLY)
		return vfn_fail(EROFS, "%s/%u cannot be written", info->bdf, info->nsid);
	if (ops[req->op].feature & ~info->features)
		return vfn_fail(ENOTSUP, "%s has no command for operation %u", info->bdf, req->op);

	return 0;
}

static void begin(struct vfn_blk_queue *q, struct vfn_blk_req *req, uint64_t left)
{
	req->error = 0;
	req->status = 0;
	req->priv.queue = q;
	req->priv.left = left;
	req->priv.deadline = 0;
	req->priv.copy = NULL;
	req->priv.pieces = 0;
	req->priv.reason = 0;
	req->priv.aborted = false;
	req->priv.ended = false;
}

static __attribute__((noinline)) int submit_slowly(struct vfn_blk_queue *q, struct vfn_blk_req *req)
{
	const struct vfn_blk_info *info = &q->blk->info;
	const bool flush = req->op == VFN_BLK_FLUSH;
	int lost = blk_lost(q->dev);

	if (req->priv.queue)
		return vfn_fail(EBUSY, "%s: the request is submitted already", info->bdf);
	if (check(q, req))
		return -1;
	if (lost)
		return vfn_fail(lost, "%s: the controller is lost", info->bdf);
	if (q->blk->flags & VFN_BLK_TRY && (q->waiting.first || !q->sq->rq_top)) {
		errno = EAGAIN;
		return -1;
	}

	begin(q, req, flush ? 1 : req->nlb);
	if (blk_has_data(req) && blk_prepare_data(q, req)) {
		req->priv.queue = NULL;
		return -1;
	}

	q->out++;
	if (flush && !(info->features & VFN_BLK_F_WRITE_CACHE)) {
		req->priv.left = 0;
		end(q, req);
		return 0;
	}

	append(&q->waiting, req);
	push(q);

	return 0;
}

static inline bool is_one_command(const struct vfn_blk_queue *q, uint64_t lba, uint64_t nlb)
{
	return nlb - 1 < q->max_blocks && lba < q->nblocks && nlb <= q->nblocks - lba &&
	       (likely(!q->boundary) || lba % q->boundary + nlb <= q->boundary);
}

int vfn_blk_submit(struct vfn_blk_queue *q, struct vfn_blk_req *req)
{
	unsigned int kind = req->op * 2U + req->flags;

	if (unlikely(req->flags > VFN_BLK_FUA || kind >= BLK_KINDS || !(q->quick >> kind & 1) ||
		     req->priv.queue || req->iov || q->waiting.first ||
		     !is_one_command(q, req->lba, req->nlb) || blk_lost(q->dev)))
		return submit_slowly(q, req);

	if (unlikely(!q->sq->rq_top || vfn_nvme_io_submit(q->sq, &q->io[kind], req->lba,
							  (uint32_t)req->nlb, req->buf, req)))
		return submit_slowly(q, req);

	begin(q, req, 0);
	req->priv.pieces = 1;
	q->out++;

	return 0;
}

/* ---- what does not end by itself ---- */

/* The request of a command that is out, or NULL. */
static struct vfn_blk_req *owner(const struct nvme_rq *rq)
{
	return rq->state == VFN_NVME_RQ_POSTED ? rq->opaque : NULL;
}

static int nrequests(const struct vfn_blk_queue *q)
{
	return q->sq->qsize - 1;
}

/* Everything that is out and everything that waits; the controller does not use their memory any more. */
static void end_all(struct vfn_blk_queue *q, int err)
{
	struct vfn_blk_req *req;

	for (int i = 0; i < nrequests(q); i++) {
		struct nvme_rq *rq = &q->sq->rqs[i];

		req = owner(rq);
		if (!req)
			continue;
		nvme_rq_release(rq);
		fail(q, req, err, VFN_NVME_STATUS_LOST);
		end_piece(q, req, 0);
	}

	while ((req = q->waiting.first)) {
		fail(q, req, err, VFN_NVME_STATUS_LOST);
		end(q, req);
	}
}

static void lose(struct vfn_blk_queue *q, int err)
{
	__autolock(&q->dev->lock);

	blk_lose(q->dev, err);
}

/* Try to have the commands of a request end now. */
static void abort_pieces(struct vfn_blk_queue *q, struct vfn_blk_req *req)
{
	int err = 0;

	nvme_sq_update_tail(q->sq);
	req->priv.aborted = true;

	for (int i = 0; i < nrequests(q) && !err; i++) {
		union nvme_cmd cmd = {
			.opcode = ADMIN_ABORT,
			.cdw10 = cpu_to_le32((uint32_t)q->id | (uint32_t)i << 16),
		};

		if (owner(&q->sq->rqs[i]) != req)
			continue;

		__autolock(&q->dev->lock);

		/* that it cannot is no error */
		if (nvme_admin(&q->dev->ctrl, &cmd, NULL, 0, NULL) && errno != EIO)
			err = errno;
	}

	if (err)
		lose(q, err == ENODEV ? ENODEV : EIO);
}

static void call_off(struct vfn_blk_queue *q, struct vfn_blk_req *req, int reason)
{
	if (!req->priv.reason)
		req->priv.reason = reason;
	if (req->priv.left)
		fail(q, req, req->priv.reason, 0);
	if (req->priv.pieces)
		abort_pieces(q, req);
	else
		end(q, req);
}

static int delete_and_create(struct vfn_blk_queue *q)
{
	struct nvme_ctrl *ctrl = &q->dev->ctrl;

	__autolock(&q->dev->lock);

	return nvme_delete_ioqpair(ctrl, q->id) ||
	       nvme_create_ioqpair(ctrl, q->id, (int)q->blk->info.depth, -1, 0);
}

/* An abort was not enough: everything that is out ends with its queue, which is made anew. */
static void renew(struct vfn_blk_queue *q)
{
	struct vfn_blk_req **owners =
		vfn_zalloc((size_t)nrequests(q) * sizeof(struct vfn_blk_req *));
	int n = 0;

	if (!owners) {
		lose(q, EIO);
		return;
	}

	for (int i = 0; i < nrequests(q); i++) {
		struct vfn_blk_req *req = owner(&q->sq->rqs[i]);

		if (req)
			owners[n++] = req;
	}

	if (delete_and_create(q)) {
		free(owners);
		lose(q, EIO);
		return;
	}

	for (int i = 0; i < n; i++) {
		struct vfn_blk_req *req = owners[i];

		fail(q, req, req->priv.reason ? req->priv.reason : ECANCELED,
		     VFN_NVME_STATUS_ABORTED);
		end_piece(q, req, 0);
	}
	free(owners);
}

static uint64_t limit_of(const struct vfn_blk_queue *q, const struct vfn_blk_req *req)
{
	return req->timeout_ms ? req->timeout_ms * MS : q->blk->timeout_ns;
}

/* Its time runs from the first look at it. */
static bool is_late(const struct vfn_blk_queue *q, struct vfn_blk_req *req, uint64_t now)
{
	if (!req->priv.deadline)
		req->priv.deadline = now + limit_of(q, req);

	return now >= req->priv.deadline;
}

static struct vfn_blk_req *find_late(struct vfn_blk_queue *q, uint64_t now)
{
	for (int i = 0; i < nrequests(q); i++) {
		struct vfn_blk_req *req = owner(&q->sq->rqs[i]);

		if (req && is_late(q, req, now))
			return req;
	}

	for (struct vfn_blk_req *req = q->waiting.first; req; req = req->priv.next) {
		if (is_late(q, req, now))
			return req;
	}

	return NULL;
}

static void look_at_controller(struct vfn_blk_queue *q)
{
	uint32_t csts = nvme_read32(&q->dev->ctrl, NVME_REG_CSTS);

	if (csts == UINT32_MAX)
		lose(q, ENODEV);
	else if (csts & CSTS_CFS || !(csts & CSTS_RDY))
		lose(q, EIO);
}

static void look(struct vfn_blk_queue *q, uint64_t now)
{
	struct vfn_blk_req *req;

	if (now < q->next_look)
		return;
	q->next_look = now + LOOK_NS;

	look_at_controller(q);

	while (!blk_lost(q->dev) && (req = find_late(q, now))) {
		if (req->priv.aborted) {
			renew(q);
			continue;
		}
		req->priv.deadline = now + ABORT_NS;
		call_off(q, req, ETIMEDOUT);
	}
}

/* ---- wait ---- */

/* Take completions, send as much of what waits as there is room for, and tell the controller. */
static void advance(struct vfn_blk_queue *q)
{
	struct vfn_nvme_done cqes[BATCH];
	int n;

	if (blk_lost(q->dev)) {
		end_all(q, blk_lost(q->dev));
		return;
	}

	do {
		n = vfn_nvme_io_poll(q->sq, cqes, BATCH);
		for (int i = 0; i < n; i++)
			end_piece(q, cqes[i].opaque, le16_to_cpu(cqes[i].cqe.sfp) >> 1);
		push(q);
		nvme_sq_update_tail(q->sq);
	} while (n == BATCH);
}

/* Time of a wait. */
struct patience {
	uint64_t start;
	uint64_t deadline;
};

static struct patience patience_of(int64_t timeout_ns)
{
	uint64_t now = os_clock_ns();

	return (struct patience){
		.start = now,
		.deadline = timeout_ns < 0 ? UINT64_MAX : now + (uint64_t)timeout_ns,
	};
}

/* Look around, and say whether to go on. */
static bool pause_or_stop(struct vfn_blk_queue *q, const struct patience *patience)
{
	uint64_t now = os_clock_ns();

	look(q, now);
	/* what that has ended counts */
	if (q->ended.first || blk_lost(q->dev))
		return true;
	if (now >= patience->deadline)
		return false;
	if (now - patience->start >= SPIN_NS)
		os_sleep_ns(NAP_NS);

	return true;
}

static __attribute__((noinline)) int wait_slowly(struct vfn_blk_queue *q, struct vfn_blk_req **done,
						 int got, int min, int max, int64_t timeout_ns)
{
	struct patience patience = patience_of(timeout_ns);
	bool again = true;

	for (;;) {
		advance(q);
		while (q->ended.first && got < max) {
			struct vfn_blk_req *req = q->ended.first;

			take_out(&q->ended, req);
			hand_out(q, req, done ? done + got : NULL);
			got++;
		}
		/* callbacks may have submitted */
		if (!blk_lost(q->dev))
			nvme_sq_update_tail(q->sq);

		if (got && got >= min)
			return got;
		if (!again)
			break;
		if (!min) {
			look(q, patience.start);
			again = false;
			continue;
		}
		/* one more look when the time is up */
		again = pause_or_stop(q, &patience);
	}

	if (!got && min) {
		errno = ETIMEDOUT;
		return -1;
	}

	return got;
}

static int bad_wait(const struct vfn_blk_queue *q, int min, int max, int64_t timeout_ns)
{
	return vfn_fail(EINVAL, "%s: waiting for %d to %d of %u requests, %lld ns",
			q->blk->info.bdf, min, max, q->out, (long long)timeout_ns);
}

int vfn_blk_wait(struct vfn_blk_queue *q, struct vfn_blk_req **done, int min, int max,
		 int64_t timeout_ns)
{
	struct vfn_nvme_done cqes[BATCH];
	int n, got = 0;

	if (unlikely(min < 0 || max < 1 || min > max || (unsigned int)min > q->out ||
		     timeout_ns < -1))
		return bad_wait(q, min, max, timeout_ns);

	if (unlikely(q->ended.first || q->waiting.first || blk_lost(q->dev) ||
		     ++q->polls % LOOK_POLLS == 0))
		return wait_slowly(q, done, 0, min, max, timeout_ns);

	n = vfn_nvme_io_poll(q->sq, cqes, max < BATCH ? max : BATCH);
	for (int i = 0; i < n; i++) {
		struct vfn_blk_req *req = cqes[i].opaque;

		if (likely(req->priv.pieces == 1 && !req->priv.left && !req->error &&
			   !req->priv.copy && nvme_cqe_ok(&cqes[i].cqe)))
			hand_out(q, req, done ? done + got++ : (got++, NULL));
		else
			end_piece(q, req, le16_to_cpu(cqes[i].cqe.sfp) >> 1);
	}

	if (likely(got && got >= min && !q->ended.first))
		return got;

	return wait_slowly(q, done, got, min, max, timeout_ns);
}

int vfn_blk_wait_req(struct vfn_blk_req *req, int64_t timeout_ns)
{
	struct vfn_blk_queue *q = req->priv.queue;
	struct patience patience;
	bool again = true;

	if (!q || timeout_ns < -1)
		return vfn_fail(EINVAL, "the request is not submitted, or a limit of %lld ns",
				(long long)timeout_ns);

	patience = patience_of(timeout_ns);
	for (;;) {
		advance(q);
		if (req->priv.ended)
			break;
		if (!again) {
			errno = timeout_ns ? ETIMEDOUT : EAGAIN;
			return -1;
		}
		again = pause_or_stop(q, &patience) && timeout_ns;
	}

	take_out(&q->ended, req);
	hand_out(q, req, NULL);

	return 0;
}

int vfn_blk_cancel(struct vfn_blk_req *req)
{
	struct vfn_blk_queue *q = req->priv.queue;

	if (!q)
		return vfn_fail(EINVAL, "the request is not submitted");
	if (!req->priv.ended && !blk_lost(q->dev))
		call_off(q, req, ECANCELED);

	return 0;
}
