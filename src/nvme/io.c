// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Reads and writes at the least cost. Each of the two calls handles the common case
 * itself and leaves everything else to functions out of line, so that it needs few
 * registers.
 */
#include <errno.h>
#include <stddef.h>

#include <vfn/nvme/io.h>

#include "iommu/table.h"
#include "nvme/nvme.h"
#include "nvme/piece.h"
#include "support/error.h"

#define NLB_MAX 65536

/* Where a command that is built as host words has its fields. */
enum {
	WORD_DW0,
	WORD_DW2,
	WORD_MPTR,
	WORD_PRP1,
	WORD_PRP2,
	WORD_SLBA,
	WORD_DW12,
	WORD_DW14
};

__static_assert(offsetof(struct nvme_cmd_rw, slba) == 8 * WORD_SLBA);
__static_assert(offsetof(struct nvme_cmd_rw, nlb) == 8 * WORD_DW12);

int vfn_nvme_io_prep(struct vfn_nvme_io *io, struct nvme_ctrl *ctrl, uint8_t opcode, uint32_t nsid,
		     unsigned int lba_shift)
{
	if (!ctrl->regs)
		return vfn_fail(ENODEV, "the controller is closed");
	if (lba_shift < 9 || lba_shift > 16)
		return vfn_fail(EINVAL, "%s: blocks of 2^%u bytes: 9 to 16 are possible",
				nvme_name(ctrl), lba_shift);

	*io = (struct vfn_nvme_io){
		.dw0 = opcode | (uint64_t)nsid << 32,
		.first_page = UINT64_MAX / 2,
		.block = 1ULL << lba_shift,
		.page_mask = __mps_to_pagesize(ctrl->config.mps) - 1,
	};

	return 0;
}

/* ---- submit ---- */

/* Once per round of the ring. Out of line, as a choice costs more than a branch not taken. */
static __attribute__((noinline, cold)) int wrap(struct nvme_sq *sq)
{
	sq->tail = 0;

	return 0;
}

/* The command into its slot, the request, which is the next free one, to its owner. */
static inline int post(struct nvme_sq *sq, const struct vfn_nvme_io *io, struct nvme_rq *rq,
		       uint64_t slba, uint32_t nlb, uint64_t prp1, uint64_t prp2, void *opaque)
{
	char *slot = (char *)sq->mem.vaddr + ((size_t)sq->tail << NVME_SQES);
	leint64_t *word = (leint64_t *)slot;

	sq->tail++;

	rq->opaque = opaque;
	rq->state = VFN_NVME_RQ_TAKEN;
	sq->rq_top = rq->rq_next;

	word[WORD_DW0] = cpu_to_le64(io->dw0);
	word[WORD_DW2] = cpu_to_le64(0);
	word[WORD_MPTR] = cpu_to_le64(0);
	word[WORD_PRP1] = cpu_to_le64(prp1);
	word[WORD_PRP2] = cpu_to_le64(prp2);
	word[WORD_SLBA] = cpu_to_le64(slba);
	word[WORD_DW12] = cpu_to_le64(io->dw12);
	word[WORD_DW14] = cpu_to_le64(0);
	((struct nvme_cmd_rw *)slot)->cid = rq->cid;
	((struct nvme_cmd_rw *)slot)->nlb = cpu_to_le16((uint16_t)(nlb - 1));

	/* read back, so that no register is kept for it */
	return unlikely(LOAD(sq->tail) == sq->qsize) ? wrap(sq) : 0;
}

/* Any memory, by the calls that take any; and the next command finds this memory faster. */
static __attribute__((noinline)) int submit_slowly(struct nvme_sq *sq, struct vfn_nvme_io *io,
						   uint64_t slba, uint32_t nlb, void *buf,
						   void *opaque)
{
	struct nvme_ctrl *ctrl = sq->cq->ctrl;
	struct iommu_table *leaf = iommu_table_leaf(__iommu_ctx(ctrl), (uintptr_t)buf);
	struct iovec iov = { .iov_base = buf, .iov_len = nlb * io->block };
	union nvme_cmd cmd = {};
	struct nvme_rq *rq;

	if (leaf) {
		io->leaf = leaf->entry;
		io->first_page = (uintptr_t)buf >> TABLE_LEAF_SHIFT << TABLE_LEVEL_SHIFT;
	}

	if (nlb < 1 || nlb > NLB_MAX)
		return vfn_fail(EINVAL, "%s: a command of %u blocks: 1 to 65536 are possible",
				nvme_name(ctrl), nlb);

	rq = nvme_rq_acquire(sq);
	if (!rq)
		return -1;

	cmd.opcode = (uint8_t)io->dw0;
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

/* More than what is left of a page of 4 KiB, on controllers with pages of that size. */
static __attribute__((noinline)) int submit_pages(struct nvme_sq *sq, struct vfn_nvme_io *io,
						  uint64_t slba, uint32_t nlb, void *buf,
						  void *opaque)
{
	uint64_t addr = (uintptr_t)buf, page = (addr >> TABLE_PAGE_SHIFT) - io->first_page, entry;
	uint64_t len = nlb * io->block, prp1, prp2;
	struct nvme_rq *rq = sq->rq_top;

	if (unlikely(!rq || page >= TABLE_ENTRIES))
		return submit_slowly(sq, io, slba, nlb, buf, opaque);

	/* a run is less than the most that a command can have */
	entry = atomic_load_acquire(&io->leaf[page]);
	prp1 = iommu_entry_iova(entry, addr);
	if (unlikely((addr & TABLE_PAGE_MASK) + len > iommu_entry_run(entry) || (addr & 3) ||
		     io->page_mask != TABLE_PAGE_MASK ||
		     !nvme_second_prp(rq, prp1, len, TABLE_PAGE_MASK, &prp2)))
		return submit_slowly(sq, io, slba, nlb, buf, opaque);

	return post(sq, io, rq, slba, nlb, prp1, prp2, opaque);
}

__static_assert(TABLE_RUN_MAX << TABLE_PAGE_SHIFT <= NLB_MAX * 512UL);

int vfn_nvme_io_submit(struct nvme_sq *sq, struct vfn_nvme_io *io, uint64_t slba, uint32_t nlb,
		       void *buf, void *opaque)
{
	uint64_t addr = (uintptr_t)buf, page = (addr >> TABLE_PAGE_SHIFT) - io->first_page, entry;
	struct nvme_rq *rq = sq->rq_top;

	if ((addr & TABLE_PAGE_MASK) + nlb * io->block > TABLE_PAGE_BYTES)
		return submit_pages(sq, io, slba, nlb, buf, opaque);

	if (unlikely(!rq || page >= TABLE_ENTRIES))
		return submit_slowly(sq, io, slba, nlb, buf, opaque);

	entry = atomic_load_acquire(&io->leaf[page]);
	if (unlikely(!(entry & TABLE_RUN_MASK) || (addr & 3) || !nlb))
		return submit_slowly(sq, io, slba, nlb, buf, opaque);

	return post(sq, io, rq, slba, nlb, iommu_entry_iova(entry, addr), 0, opaque);
}

/* ---- poll ---- */

/* The bits of a completion's second half that say whose it is, and whether it is new. */
#define DW2_SQID_SHIFT 16
#define DW2_CID_SHIFT 32
#define DW2_PHASE_SHIFT 48
#define DW2_MATCH (0xffffULL << DW2_SQID_SHIFT | 1ULL << DW2_PHASE_SHIFT)

/* A completion of another queue, a late one, one more, or none. Returns how many it is for the caller. */
static __attribute__((noinline)) int take_slowly(struct nvme_cq *cq, struct vfn_nvme_done *done)
{
	struct nvme_cqe *cqe;
	struct nvme_rq *rq;

	while ((cqe = nvme_cq_get_cqe(cq))) {
		rq = nvme_rq_from_cqe(cq->ctrl, cqe);
		if (!rq)
			continue;

		*done = (struct vfn_nvme_done){ .opaque = rq->opaque, .cqe = *cqe };
		nvme_rq_release(rq);
		return 1;
	}

	return 0;
}

/* As many as are of this queue and as they should be. */
static inline struct vfn_nvme_done *take(struct nvme_sq *sq, struct nvme_cq *cq,
					 struct vfn_nvme_done *to, struct vfn_nvme_done *end)
{
	struct nvme_cqe *ring = cq->mem.vaddr, *cqe = ring + cq->head;
	const struct nvme_cqe *ring_end = ring + cq->qsize;
	uint64_t want = (uint64_t)!cq->phase << DW2_PHASE_SHIFT | (uint64_t)(unsigned int)sq->id
									  << DW2_SQID_SHIFT;
	unsigned int ncid = (unsigned int)sq->qsize - 1;
	struct nvme_rq *top = sq->rq_top, *rqs = sq->rqs;

	for (; to < end; to++) {
		uint64_t dw2 =
			le64_to_cpu((leint64_t __force)atomic_load_acquire((uint64_t *)&cqe->sqhd));
		unsigned int cid = (uint16_t)(dw2 >> DW2_CID_SHIFT);
		struct nvme_rq *rq = &rqs[cid];

		if ((dw2 & DW2_MATCH) != want)
			break;
		if (unlikely(cid >= ncid || rq->state != VFN_NVME_RQ_TAKEN))
			break;

		to->opaque = rq->opaque;
		to->cqe = *cqe;

		rq->state = VFN_NVME_RQ_FREE;
		rq->rq_next = top;
		top = rq;

		cqe++;
		if (unlikely(cqe == ring_end)) {
			cqe = ring;
			want ^= 1ULL << DW2_PHASE_SHIFT;
		}
	}

	sq->rq_top = top;
	cq->head = (uint16_t)(cqe - ring);
	cq->phase = !(want >> DW2_PHASE_SHIFT);

	return to;
}

int vfn_nvme_io_poll(struct nvme_sq *sq, struct vfn_nvme_done *done, int max)
{
	struct vfn_nvme_done *to = done, *end = done + (max > 0 ? max : 0);
	struct nvme_cq *cq = sq->cq;

	nvme_sq_update_tail(sq);

	do
		to = take(sq, cq, to, end);
	while (to < end && unlikely(__vfn_nvme_cqe_is_new(nvme_cq_head(cq), cq->phase)) &&
	       take_slowly(cq, to) && ++to < end);

	nvme_cq_update_head(cq);

	return (int)(to - done);
}
