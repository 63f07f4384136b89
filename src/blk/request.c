// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Requests: split into commands, and sent as there is room for them. The common case is one command, of which nothing but
 * that is remembered (BLK_PLAIN); what else there is to know of a request is filled in when it is needed.
 */
#include <errno.h>
#include <string.h>

#include "blk/blk.h"
#include "nvme/quick.h"
#include "os/os.h"
#include "support/error.h"

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

void blk_take_out(struct blk_list *list, struct vfn_blk_req *req)
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

static void begin(struct vfn_blk_req *req, uint64_t left, uint32_t pieces)
{
	req->error = 0;
	req->status = 0;
	req->priv.state = BLK_SENT;
	req->priv.left = left;
	req->priv.deadline = 0;
	req->priv.copy = NULL;
	req->priv.pieces = pieces;
	req->priv.reason = 0;
	req->priv.aborted = false;
}

void blk_fill_in(struct vfn_blk_req *req)
{
	if (req->priv.state == BLK_PLAIN)
		begin(req, 0, 1);
}

void blk_end(struct vfn_blk_queue *q, struct vfn_blk_req *req)
{
	blk_finish_data(q, req);
	req->priv.state = BLK_ENDED;
	append(&q->ended, req);
	q->polls = 1;
}

void blk_fail(struct vfn_blk_queue *q, struct vfn_blk_req *req, int err, uint16_t status)
{
	if (!req->error) {
		req->error = err;
		req->status = status;
	}
	if (req->priv.left) {
		req->priv.left = 0;
		blk_take_out(&q->waiting, req);
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

__attribute__((noinline)) void blk_end_piece(struct vfn_blk_queue *q, struct vfn_blk_req *req,
					     uint16_t status)
{
	blk_fill_in(req);
	if (status)
		blk_fail(q, req, error_of(req, status), status);
	if (!--req->priv.pieces && !req->priv.left)
		blk_end(q, req);
}

/* ---- sending ---- */

static bool has_blocks(const struct vfn_blk_req *req)
{
	return req->op != VFN_BLK_FLUSH && req->op != VFN_BLK_CMD;
}

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
			.control = cpu_to_le16(q->blk->protection),
		},
	};

	if (q->blk->has_reftag)
		cmd.cdw14 = cpu_to_le32((uint32_t)lba);

	return post(q, req, rq, &cmd);
}

/* One that somebody else has made. */
static int post_foreign(struct vfn_blk_queue *q, struct vfn_blk_req *req, struct nvme_rq *rq)
{
	struct iovec data = { .iov_base = req->priv.copy ? req->priv.copy : req->buf,
			      .iov_len = req->nlb };
	union nvme_cmd cmd = *req->cmd;

	memset(&cmd.dptr, 0, sizeof(cmd.dptr));
	if (req->nlb && nvme_rq_mapv_prp(&q->dev->ctrl, rq, &cmd, &data, 1))
		return -1;
	rq->opaque = req;
	nvme_rq_post(rq, &cmd);

	return 0;
}

/* A command that transfers no blocks. Returns how many it has, 1 where there are none, or 0 with errno. */
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
	} else if (req->op == VFN_BLK_CMD) {
		ret = post_foreign(q, req, rq);
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
	uint64_t lba = has_blocks(req) ? req->lba + (req->nlb - req->priv.left) : 0;
	uint32_t n;

	if (!q->sq->rq_top) {
		errno = EBUSY;
		return -1;
	}

	if (blk_is_transfer(req))
		n = blk_send_data(q, req, lba, blk_piece(q, lba, req->priv.left));
	else
		n = send_other(q, req, lba);
	if (!n)
		return -1;

	req->priv.left -= n;
	req->priv.pieces++;

	return 0;
}

void blk_push(struct vfn_blk_queue *q)
{
	struct vfn_blk_req *req;

	while ((req = q->waiting.first)) {
		if (!send_piece(q, req)) {
			if (!req->priv.left)
				blk_take_out(&q->waiting, req);
			continue;
		}

		if (errno == EBUSY)
			return;
		blk_fail(q, req, errno, 0);
		if (!req->priv.pieces)
			blk_end(q, req);
	}

	/* each command has a tag of its own there */
	if (!q->blk->has_reftag)
		q->quick = q->may_write ? VFN_BLK_WRITE : VFN_BLK_READ;
}

void blk_signal(struct vfn_blk_queue *q)
{
	const uint64_t one = 1;

	/* if it is full it is readable */
	if (q->event_fd >= 0 && q->ended.first)
		(void)!os_write(q->event_fd, &one, sizeof(one));
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
	uint64_t len = blk_data_len(q, req), sum = 0;

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

/* What is not sure not to write: all but data from the controller. */
static bool is_unknown_write(const struct vfn_blk_req *req)
{
	return req->op == VFN_BLK_CMD && (req->cmd->opcode & 3) != 2;
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
		[VFN_BLK_CMD] = {},
	};
	const struct vfn_blk_info *info = &q->blk->info;

	if (req->op > VFN_BLK_CMD || req->flags & ~VFN_BLK_FUA ||
	    (req->flags && req->op > VFN_BLK_WRITE))
		return vfn_fail(EINVAL, "%s: operation %u, flags 0x%x", info->bdf, req->op,
				req->flags);
	if (req->op == VFN_BLK_CMD && (!req->cmd || req->iov))
		return vfn_fail(EINVAL, "%s: no command, or one with a vector", info->bdf);
	if (has_blocks(req) && blk_check_blocks(q->blk, req->lba, req->nlb))
		return -1;
	if (blk_has_data(req) && check_data(q, req))
		return -1;
	if ((ops[req->op].writes || is_unknown_write(req)) && info->features & VFN_BLK_F_RDONLY)
		return vfn_fail(EROFS, "%s/%u cannot be written", info->bdf, info->nsid);
	if (ops[req->op].feature & ~info->features)
		return vfn_fail(ENOTSUP, "%s has no command for operation %u", info->bdf, req->op);

	return 0;
}

static __attribute__((noinline)) int submit_slowly(struct vfn_blk_queue *q, struct vfn_blk_req *req)
{
	const struct vfn_blk_info *info = &q->blk->info;
	const bool flush = req->op == VFN_BLK_FLUSH;
	int lost = blk_lost(q->dev);

	if (req->priv.state)
		return vfn_fail(EBUSY, "%s: the request is submitted already", info->bdf);
	if (check(q, req))
		return -1;
	if (lost)
		return vfn_fail(lost, "%s: the controller is lost", info->bdf);
	if (q->blk->flags & VFN_BLK_TRY && (q->waiting.first || !q->sq->rq_top)) {
		errno = EAGAIN;
		return -1;
	}

	begin(req, has_blocks(req) ? req->nlb : 1, 0);
	if (blk_has_data(req) && blk_prepare_data(q, req)) {
		req->priv.state = BLK_IDLE;
		return -1;
	}

	req->priv.queue = q;
	q->out++;
	if (flush && !(info->features & VFN_BLK_F_WRITE_CACHE)) {
		req->priv.left = 0;
		blk_end(q, req);
		blk_signal(q);
		return 0;
	}

	append(&q->waiting, req);
	q->quick = BLK_NONE_QUICK;
	q->polls = 1;
	blk_push(q);
	blk_signal(q);

	return 0;
}

/* A command is out, and that is all there is to the request. */
static inline int be_plain(struct vfn_blk_queue *q, struct vfn_blk_req *req)
{
	req->error = 0;
	req->status = 0;
	req->priv.queue = q;
	req->priv.state = BLK_PLAIN;
	q->out++;

	return 0;
}

/* Whether the controller reaches all of the data of a command. */
static bool is_reached(const struct vfn_blk_queue *q, const struct vfn_blk_req *req)
{
	const size_t len = (size_t)req->nlb << q->blk->lba_shift;
	iova_t iova;

	return nvme_quick_reaches(&q->io[req->op], req->buf, len) ||
	       (!((uintptr_t)req->buf & 3) &&
		vfn_iommu_translate(blk_ctx(q->blk), req->buf, len, &iova) == len);
}

/* One command, but of more than a page, or of memory elsewhere than that of the last one. */
static __attribute__((noinline)) int submit_piece(struct vfn_blk_queue *q, struct vfn_blk_req *req)
{
	if (req->nlb > q->max_blocks || !q->sq->rq_top || !is_reached(q, req) ||
	    vfn_nvme_io_submit(q->sq, &q->io[req->op], req->lba, (uint32_t)req->nlb, req->buf, req))
		return submit_slowly(q, req);

	return be_plain(q, req);
}

int vfn_blk_submit(struct vfn_blk_queue *q, struct vfn_blk_req *req)
{
	const uint64_t lba = req->lba, nlb = req->nlb;
	const size_t op = req->op;
	struct vfn_nvme_io *io;

	/* a read or write whose turn it is, of blocks that there are, and that crosses no boundary */
	if (unlikely((int)(op | (size_t)req->flags << 8) > q->quick || req->priv.state ||
		     req->iov || lba >= q->nblocks || nlb - 1 >= q->nblocks - lba ||
		     (q->boundary && lba % q->boundary + nlb > q->boundary)))
		return submit_slowly(q, req);

	/* a page is not too long for a command, whatever its limit is */
	io = &q->io[op];
	if (unlikely(nvme_quick_submit(q->sq, io, lba, (uint32_t)nlb, (nlb - 1) * io->block,
				       req->buf, req) != NVME_QUICK_DONE))
		return submit_piece(q, req);

	return be_plain(q, req);
}
