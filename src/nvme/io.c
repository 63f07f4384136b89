// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Reads and writes at the least cost. Each of the two calls handles the common case
 * itself and leaves everything else to functions out of line, so that it needs few
 * registers.
 */
#include <errno.h>
#include <stdbool.h>

#include <vfn/nvme/io.h>

#include "iommu/table.h"
#include "nvme/nvme.h"
#include "nvme/piece.h"
#include "nvme/quick.h"
#include "support/error.h"

#define NLB_MAX 65536

int vfn_nvme_io_prep(struct vfn_nvme_io *io, struct nvme_ctrl *ctrl, uint8_t opcode, uint32_t nsid,
		     unsigned int lba_shift)
{
	if (!ctrl->regs)
		return vfn_fail(ENODEV, "the controller is closed");
	if (lba_shift < 9 || lba_shift > 16)
		return vfn_fail(EINVAL, "%s: blocks of 2^%u bytes: 9 to 16 are possible",
				nvme_name(ctrl), lba_shift);

	*io = (struct vfn_nvme_io){
		.cmd = { .opcode = opcode, .nsid = cpu_to_le32(nsid) },
		.first_page = UINT64_MAX / 2,
		.block = 1ULL << lba_shift,
		.room = (int64_t)TABLE_PAGE_BYTES - (1L << lba_shift),
		.slow = ctrl->config.mps ? UINT64_MAX : 3,
	};

	return 0;
}

/* ---- submit ---- */

/* Any memory, by the calls that take any. */
static __attribute__((noinline)) int submit_slowly(struct nvme_sq *sq, struct vfn_nvme_io *io,
						   uint64_t slba, uint32_t nlb, void *buf,
						   void *opaque)
{
	struct nvme_ctrl *ctrl = sq->cq->ctrl;
	struct iovec iov = { .iov_base = buf, .iov_len = nlb * io->block };
	union nvme_cmd cmd = io->cmd;
	struct nvme_rq *rq;

	if (nlb < 1 || nlb > NLB_MAX)
		return vfn_fail(EINVAL, "%s: a command of %u blocks: 1 to 65536 are possible",
				nvme_name(ctrl), nlb);

	rq = nvme_rq_acquire(sq);
	if (!rq)
		return -1;

	if (nvme_rq_mapv_prp(ctrl, rq, &cmd, &iov, 1)) {
		int saved = errno;

		nvme_rq_release(rq);
		errno = saved;
		return -1;
	}

	sq->rq_top = rq;
	return nvme_quick_post(sq, io, rq, slba, nlb, le64_to_cpu(cmd.dptr.prp1),
			       le64_to_cpu(cmd.dptr.prp2), opaque);
}

/* Memory in another part of the address space than that of the last command. */
static __attribute__((noinline)) int submit_elsewhere(struct nvme_sq *sq, struct vfn_nvme_io *io,
						      uint64_t slba, uint32_t nlb, void *buf,
						      void *opaque)
{
	const struct iommu_table *leaf =
		iommu_table_leaf(__iommu_ctx(sq->cq->ctrl), (uintptr_t)buf);

	if (!leaf)
		return submit_slowly(sq, io, slba, nlb, buf, opaque);

	io->leaf = leaf->entry;
	io->first_page = (uintptr_t)buf >> TABLE_LEAF_SHIFT << TABLE_LEVEL_SHIFT;

	return vfn_nvme_io_submit(sq, io, slba, nlb, buf, opaque);
}

/* More than what is left of a page of 4 KiB, on controllers with pages of that size. */
static __attribute__((noinline)) int submit_pages(struct nvme_sq *sq, struct vfn_nvme_io *io,
						  uint64_t slba, uint32_t nlb, void *buf,
						  void *opaque)
{
	uint64_t addr = (uintptr_t)buf, page = (addr >> TABLE_PAGE_SHIFT) - io->first_page;
	uint64_t end = (addr & TABLE_PAGE_MASK) + nlb * io->block, entry, iova;
	struct nvme_rq *rq;

	if (unlikely(page >= TABLE_ENTRIES))
		return submit_elsewhere(sq, io, slba, nlb, buf, opaque);

	entry = atomic_load_acquire(&io->leaf[page]);
	rq = sq->rq_top;
	if (unlikely(!rq || end > iommu_entry_run(entry) || (addr & io->slow)))
		return submit_slowly(sq, io, slba, nlb, buf, opaque);

	iova = iommu_entry_iova(entry, addr);
	if (end > 2 * TABLE_PAGE_BYTES) {
		if (unlikely(!rq->page.iova))
			return submit_slowly(sq, io, slba, nlb, buf, opaque);
		nvme_quick_post(sq, io, rq, slba, nlb, iova, rq->page.iova, opaque);
		/* a run has fewer pages than a list has entries */
		nvme_put_pages(rq->page.vaddr, (iova | TABLE_PAGE_MASK) + 1,
			       (end - 1) >> TABLE_PAGE_SHIFT);
		return 0;
	}

	if (unlikely(!nlb))
		return submit_slowly(sq, io, slba, nlb, buf, opaque);

	return nvme_quick_post(sq, io, rq, slba, nlb, iova, (iova | TABLE_PAGE_MASK) + 1, opaque);
}

__static_assert(TABLE_RUN_MAX << TABLE_PAGE_SHIFT <= NLB_MAX * 512UL);
__static_assert(TABLE_RUN_MAX <= TABLE_PAGE_BYTES / sizeof(leint64_t));

int vfn_nvme_io_submit(struct nvme_sq *sq, struct vfn_nvme_io *io, uint64_t slba, uint32_t nlb,
		       void *buf, void *opaque)
{
	/* none are very many here */
	switch (nvme_quick_submit(sq, io, slba, nlb, (nlb - 1) * io->block, buf, opaque)) {
	case NVME_QUICK_DONE:
		return 0;
	case NVME_QUICK_PAGES:
		return submit_pages(sq, io, slba, nlb, buf, opaque);
	case NVME_QUICK_ELSEWHERE:
		return submit_elsewhere(sq, io, slba, nlb, buf, opaque);
	default:
		return submit_slowly(sq, io, slba, nlb, buf, opaque);
	}
}

/* ---- poll ---- */

/* A completion of another queue, a late one, one more, or none. Returns how many it is for the caller. */
static int take_slowly(struct nvme_cq *cq, struct vfn_nvme_done *done)
{
	struct nvme_cqe *cqe;
	struct nvme_rq *rq;

	while ((cqe = nvme_cq_get_cqe(cq))) {
		rq = nvme_rq_from_cqe(cq->ctrl, cqe);
		if (!rq) {
			/* of a request that exists it was counted there, where it was one too many */
			if (errno == EINVAL)
				nvme_stray(cq->ctrl, le16_to_cpu(cqe->sqid), cqe->cid);
			continue;
		}

		*done = (struct vfn_nvme_done){ .opaque = rq->opaque, .cqe = *cqe };
		nvme_rq_release(rq);
		return 1;
	}

	return 0;
}

/* The rest of a poll that has taken @n, from a completion on that is not as the others. */
static __attribute__((noinline)) int poll_slowly(struct nvme_sq *sq, struct vfn_nvme_done *done,
						 int max, int n)
{
	int more = 0;

	while (more < max && take_slowly(sq->cq, &done[more]))
		more++;

	nvme_cq_update_head(sq->cq);

	return n + more;
}

/* The rest of a poll that has taken @n, the last of the ring among them. */
static __attribute__((noinline)) int poll_next_round(struct nvme_sq *sq, struct vfn_nvme_done *done,
						     int max, int n)
{
	sq->cq->head = 0;
	sq->cq->phase ^= 1;
	nvme_cq_update_head(sq->cq);

	return n + vfn_nvme_io_poll(sq, done, max);
}

static __attribute__((noinline)) int tell_and_poll(struct nvme_sq *sq, struct vfn_nvme_done *done,
						   int max)
{
	nvme_sq_update_tail(sq);

	return vfn_nvme_io_poll(sq, done, max);
}

static __attribute__((noinline)) int tell_head(struct nvme_cq *cq, int n)
{
	nvme_cq_update_head(cq);

	return n;
}

static inline bool put_done(void *to, void *opaque, const struct nvme_cqe *cqe)
{
	struct vfn_nvme_done **done = to;

	(*done)->opaque = opaque;
	(*done)->cqe.qw0 = cqe->qw0;
	((leint64_t *)&(*done)->cqe)[1] = ((const leint64_t *)cqe)[1];
	(*done)++;

	return true;
}

int vfn_nvme_io_poll(struct nvme_sq *sq, struct vfn_nvme_done *done, int max)
{
	struct nvme_cq *cq = sq->cq;
	bool odd;
	int n;

	if (sq->tail != sq->ptail)
		return tell_and_poll(sq, done, max);

	n = nvme_quick_poll(sq, cq, max, &odd, put_done, &done);

	if (unlikely(nvme_quick_at_end(cq, n)))
		return poll_next_round(sq, done, max - n, n);
	if (unlikely(odd))
		return poll_slowly(sq, done, max - n, n);
	if (unlikely((unsigned int)(cq->head - cq->phead) > (unsigned int)cq->slack))
		return tell_head(cq, n);

	return n;
}
