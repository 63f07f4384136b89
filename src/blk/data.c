// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Where the data of a request is, and commands that transfer it. */
#include <errno.h>
#include <string.h>

#include "blk/blk.h"
#include "support/error.h"

/* Pieces of memory in one command. */
#define VEC_MAX 64

/* A copy is kept for the next request up to this length. */
#define SPARE_MAX (1UL << 20)

/* ---- vectors ---- */

struct place {
	const struct iovec *iov;
	size_t offset;
};

/*
 * The pieces, from @at on, that a command of @blocks blocks or less takes. PRPs describe no gaps: an inner
 * piece begins and ends with a page. Returns how many blocks they are.
 */
static uint32_t gather(const struct vfn_blk_queue *q, struct place *at, uint32_t blocks,
		       struct iovec *vec, int *n)
{
	const size_t page = __mps_to_pagesize(q->dev->ctrl.config.mps) - 1;
	const unsigned int shift = q->blk->lba_shift;
	size_t want = (size_t)blocks << shift, have = 0, excess;

	*n = 0;
	while (have < want) {
		char *base = (char *)at->iov->iov_base + at->offset;
		size_t len = at->iov->iov_len - at->offset;
		struct iovec *last = &vec[*n - 1];

		if (!len) {
			*at = (struct place){ .iov = at->iov + 1 };
			continue;
		}
		if (len > want - have)
			len = want - have;

		if (*n && (char *)last->iov_base + last->iov_len == base) {
			last->iov_len += len;
		} else {
			if (*n == VEC_MAX)
				break;
			if (*n && !q->sgl &&
			    (((uintptr_t)last->iov_base + last->iov_len) | (uintptr_t)base) & page)
				break;
			vec[(*n)++] = (struct iovec){ .iov_base = base, .iov_len = len };
		}
		have += len;
		at->offset += len;
	}

	/* what is not a block goes with the next command */
	excess = have & ((1UL << shift) - 1);
	have -= excess;
	while (excess && *n) {
		struct iovec *last = &vec[*n - 1];
		size_t cut = last->iov_len < excess ? last->iov_len : excess;

		last->iov_len -= cut;
		excess -= cut;
		if (!last->iov_len)
			(*n)--;
	}

	return (uint32_t)(have >> shift);
}

static void step(struct place *at, size_t len)
{
	while (len) {
		size_t left = at->iov->iov_len - at->offset, n = left < len ? left : len;

		at->offset += n;
		len -= n;
		if (at->offset == at->iov->iov_len)
			*at = (struct place){ .iov = at->iov + 1 };
	}
}

/* Whether a command can start with these: addresses and lengths that the controller takes. */
static bool is_aligned(const struct iovec *vec, int n)
{
	uintptr_t bits = 0;

	for (int i = 0; i < n; i++)
		bits |= (uintptr_t)vec[i].iov_base | vec[i].iov_len;

	return !(bits & 3);
}

static bool is_mapped(const struct vfn_blk_queue *q, const void *buf, size_t len)
{
	const char *p = buf;
	iova_t iova;

	while (len) {
		size_t run = vfn_iommu_translate(blk_ctx(q->blk), p, len, &iova);

		if (!run)
			return false;
		p += run;
		len -= run;
	}

	return true;
}

/* Whether commands can describe all of a vector as it is. */
static bool vector_goes(const struct vfn_blk_queue *q, const struct vfn_blk_req *req)
{
	struct place at = { .iov = req->iov }, next;
	uint64_t lba = req->lba, left = req->nlb;
	struct iovec vec[VEC_MAX];
	int n;

	for (int i = 0; i < req->niov; i++) {
		if (!is_mapped(q, req->iov[i].iov_base, req->iov[i].iov_len))
			return false;
	}

	while (left) {
		uint32_t blocks = blk_piece(q, lba, left);

		next = at;
		blocks = gather(q, &next, blocks, vec, &n);
		if (!blocks || !is_aligned(vec, n))
			return false;
		step(&at, (size_t)blocks << q->blk->lba_shift);
		lba += blocks;
		left -= blocks;
	}

	return true;
}

/* ---- copies ---- */

/* The direction that the lower bits of an opcode say (Base Specification 2.0, figure 86). */
#define TO_CONTROLLER (1 << 0)
#define FROM_CONTROLLER (1 << 1)

static bool is_from_memory(const struct vfn_blk_req *req)
{
	return req->op == VFN_BLK_CMD ? req->cmd->opcode & TO_CONTROLLER : req->op != VFN_BLK_READ;
}

static bool is_to_memory(const struct vfn_blk_req *req)
{
	return req->op == VFN_BLK_CMD ? req->cmd->opcode & FROM_CONTROLLER :
					req->op == VFN_BLK_READ;
}

/* Between the copy and the caller's memory. */
static void transfer(const struct vfn_blk_queue *q, const struct vfn_blk_req *req, bool to_copy)
{
	const struct iovec whole = { .iov_base = req->buf, .iov_len = blk_data_len(q, req) };
	const struct iovec *iov = req->iov ? req->iov : &whole;
	int niov = req->iov ? req->niov : 1;
	char *copy = req->priv.copy;

	for (int i = 0; i < niov; i++) {
		if (to_copy && iov[i].iov_len)
			memcpy(copy, iov[i].iov_base, iov[i].iov_len);
		else if (iov[i].iov_len)
			memcpy(iov[i].iov_base, copy, iov[i].iov_len);
		copy += iov[i].iov_len;
	}
}

static int make_copy(struct vfn_blk_queue *q, struct vfn_blk_req *req)
{
	const size_t len = blk_data_len(q, req);
	struct iommu_dmabuf buf = q->spare;

	if ((size_t)buf.len >= len)
		memset(&q->spare, 0, sizeof(q->spare));
	else if (iommu_get_dmabuf(blk_ctx(q->blk), &buf, len, 0))
		return -1;

	req->priv.copy = buf.vaddr;
	req->priv.copy_len = (size_t)buf.len;
	if (is_from_memory(req))
		transfer(q, req, true);

	return 0;
}

static void put_copy(struct vfn_blk_queue *q, struct vfn_blk_req *req)
{
	struct iommu_dmabuf buf = {
		.ctx = blk_ctx(q->blk),
		.vaddr = req->priv.copy,
		.len = (ssize_t)req->priv.copy_len,
	};

	if (buf.len > q->spare.len && (size_t)buf.len <= SPARE_MAX) {
		struct iommu_dmabuf old = q->spare;

		q->spare = buf;
		buf = old;
	}
	iommu_put_dmabuf(&buf);
	req->priv.copy = NULL;
}

int blk_prepare_data(struct vfn_blk_queue *q, struct vfn_blk_req *req)
{
	const size_t len = blk_data_len(q, req);

	req->priv.iov = req->iov;
	req->priv.iov_offset = 0;
	if (req->iov ? vector_goes(q, req) :
		       !((uintptr_t)req->buf & 3) && is_mapped(q, req->buf, len))
		return 0;

	return make_copy(q, req);
}

void blk_finish_data(struct vfn_blk_queue *q, struct vfn_blk_req *req)
{
	if (!req->priv.copy)
		return;

	if (!req->error && is_to_memory(req))
		transfer(q, req, false);
	put_copy(q, req);
}

/* ---- commands ---- */

static uint32_t send_vector(struct vfn_blk_queue *q, struct vfn_blk_req *req,
			    const struct vfn_nvme_io *io, uint64_t lba, uint32_t blocks)
{
	struct place at = { .iov = req->priv.iov, .offset = req->priv.iov_offset }, next = at;
	union nvme_cmd cmd = io->cmd;
	struct iovec vec[VEC_MAX];
	struct nvme_rq *rq;
	int n, err;

	rq = nvme_rq_acquire(q->sq);
	if (!rq)
		return 0;

	blocks = gather(q, &next, blocks, vec, &n);
	err = q->sgl ? nvme_rq_mapv_sgl(&q->dev->ctrl, rq, &cmd, vec, n) :
		       nvme_rq_mapv_prp(&q->dev->ctrl, rq, &cmd, vec, n);
	if (err) {
		int saved = errno;

		nvme_rq_release(rq);
		errno = saved;
		return 0;
	}

	cmd.rw.slba = cpu_to_le64(lba);
	cmd.rw.nlb = cpu_to_le16((uint16_t)(blocks - 1));
	rq->opaque = req;
	nvme_rq_post(rq, &cmd);

	step(&at, (size_t)blocks << q->blk->lba_shift);
	req->priv.iov = at.iov;
	req->priv.iov_offset = at.offset;

	return blocks;
}

uint32_t blk_send_data(struct vfn_blk_queue *q, struct vfn_blk_req *req, uint64_t lba, uint32_t n)
{
	struct vfn_nvme_io *io = &q->io[req->op + 3 * (req->flags & VFN_BLK_FUA)];
	char *data = req->priv.copy ? req->priv.copy : req->buf;

	if (q->blk->has_reftag)
		io->cmd.cdw14 = cpu_to_le32((uint32_t)lba);
	if (req->iov && !req->priv.copy)
		return send_vector(q, req, io, lba, n);

	data += (lba - req->lba) << q->blk->lba_shift;

	return vfn_nvme_io_submit(q->sq, io, lba, n, data, req) ? 0 : n;
}
