// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Reads and writes at the least cost. Each of the two calls handles the common case
 * itself and leaves everything else to functions out of line, so that it needs few
 * registers.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <vfn/nvme/io.h>

#include "iommu/table.h"
#include "nvme/nvme.h"
#include "nvme/piece.h"
#include "support/error.h"

#define NLB_MAX 65536

/* What a template says, in two parts: dwords 0 to 3, and 12 to 15. */
#define TEMPLATE_LOW 16
#define TEMPLATE_HIGH offsetof(struct nvme_cmd_rw, nlb)

__static_assert(offsetof(struct nvme_cmd_rw, mptr) == TEMPLATE_LOW);

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

/* The command into its slot, the request, which is the next free one, to its owner. */
static inline int post(struct nvme_sq *sq, const struct vfn_nvme_io *io, struct nvme_rq *rq,
		       uint64_t slba, uint32_t nlb, uint64_t prp1, uint64_t prp2, void *opaque)
{
	struct nvme_cmd_rw *rw = (struct nvme_cmd_rw *)sq->mem.vaddr + sq->tail;

	sq->tail = __vfn_nvme_next(sq->tail, sq->qsize);

	memcpy(rw, &io->cmd, TEMPLATE_LOW);
	memcpy((char *)rw + TEMPLATE_HIGH, (const char *)&io->cmd + TEMPLATE_HIGH,
	       sizeof(*rw) - TEMPLATE_HIGH);
	rw->cid = rq->cid;
	rw->mptr = cpu_to_le64(0);
	rw->dptr.prp1 = cpu_to_le64(prp1);
	rw->dptr.prp2 = cpu_to_le64(prp2);
	rw->slba = cpu_to_le64(slba);
	rw->nlb = cpu_to_le16((uint16_t)(nlb - 1));

	sq->rq_top = rq->rq_next;
	rq->opaque = opaque;
	rq->state = VFN_NVME_RQ_POSTED;

	return 0;
}

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
	return post(sq, io, rq, slba, nlb, le64_to_cpu(cmd.dptr.prp1), le64_to_cpu(cmd.dptr.prp2),
		    opaque);
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
		post(sq, io, rq, slba, nlb, iova, rq->page.iova, opaque);
		/* a run has fewer pages than a list has entries */
		nvme_put_pages(rq->page.vaddr, (iova | TABLE_PAGE_MASK) + 1,
			       (end - 1) >> TABLE_PAGE_SHIFT);
		return 0;
	}

	if (unlikely(!nlb))
		return submit_slowly(sq, io, slba, nlb, buf, opaque);

	return post(sq, io, rq, slba, nlb, iova, (iova | TABLE_PAGE_MASK) + 1, opaque);
}

__static_assert(TABLE_RUN_MAX << TABLE_PAGE_SHIFT <= NLB_MAX * 512UL);
__static_assert(TABLE_RUN_MAX <= TABLE_PAGE_BYTES / sizeof(leint64_t));

int vfn_nvme_io_submit(struct nvme_sq *sq, struct vfn_nvme_io *io, uint64_t slba, uint32_t nlb,
		       void *buf, void *opaque)
{
	uint64_t addr = (uintptr_t)buf, offset = addr & TABLE_PAGE_MASK, page, entry;
	struct nvme_rq *rq;

	/* none are very many here */
	if ((int64_t)(offset + (nlb - 1) * io->block) > io->room)
		return submit_pages(sq, io, slba, nlb, buf, opaque);

	page = (addr >> TABLE_PAGE_SHIFT) - io->first_page;
	if (unlikely(page >= TABLE_ENTRIES))
		return submit_elsewhere(sq, io, slba, nlb, buf, opaque);

	entry = atomic_load_acquire(&io->leaf[page]);
	rq = sq->rq_top;
	if (unlikely(!rq || !(entry & TABLE_RUN_MASK) || (addr & 3)))
		return submit_slowly(sq, io, slba, nlb, buf, opaque);

	return post(sq, io, rq, slba, nlb, iommu_entry_iova(entry, addr), 0, opaque);
}

/* ---- poll ---- */

/* The bits of a completion that say whose it is, and whether it is new. */
#define MATCH (0xffffULL << NVME_DW2_SQID_SHIFT | NVME_DW2_PHASE)

/* The request with an identifier is where the identifier, shifted, points. */
#define RQ_SHIFT 6

__static_assert(sizeof(struct nvme_rq) == 1 << RQ_SHIFT);

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

int vfn_nvme_io_poll(struct nvme_sq *sq, struct vfn_nvme_done *done, int max)
{
	struct nvme_cq *cq = sq->cq;
	int head = cq->head, n = cq->qsize - head;
	struct nvme_cqe *cqe = (struct nvme_cqe *)cq->mem.vaddr + head, *end;
	bool odd = false;
	struct nvme_rq *top;
	uint64_t want;

	if (sq->tail != sq->ptail)
		return tell_and_poll(sq, done, max);

	end = cqe + (n < max ? n : max);
	want = sq->match ^ NVME_DW2_PHASE * (unsigned int)cq->phase;
	top = sq->rq_top;

	for (; cqe < end; cqe++, done++) {
		uint64_t dw2 =
			le64_to_cpu((leint64_t __force)atomic_load_acquire((uint64_t *)&cqe->sqhd));
		size_t offset;
		struct nvme_rq *rq;

		dw2 ^= want;
		if (dw2 & MATCH) {
			odd = !(dw2 & NVME_DW2_PHASE);
			break;
		}

		offset = dw2 >> (NVME_DW2_CID_SHIFT - RQ_SHIFT) & 0xffffULL << RQ_SHIFT;
		rq = (struct nvme_rq *)((char *)sq->rqs + offset);
		if (unlikely(offset >= sq->rqs_len || rq->state > VFN_NVME_RQ_POSTED)) {
			odd = true;
			break;
		}

		done->opaque = rq->opaque;
		done->cqe.qw0 = cqe->qw0;
		((leint64_t *)&done->cqe)[1] = ((leint64_t *)cqe)[1];

		rq->state = VFN_NVME_RQ_FREE;
		rq->rq_next = top;
		top = rq;
	}

	sq->rq_top = top;
	head = (int)(cqe - (struct nvme_cqe *)cq->mem.vaddr);
	n = head - cq->head;
	cq->head = (uint16_t)head;

	if (unlikely(head == cq->qsize))
		return poll_next_round(sq, done, max - n, n);
	if (unlikely(odd))
		return poll_slowly(sq, done, max - n, n);
	if (unlikely((unsigned int)(head - cq->phead) > (unsigned int)cq->slack))
		return tell_head(cq, n);

	return n;
}
