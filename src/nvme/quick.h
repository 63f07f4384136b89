/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * The common case of reads and writes: a command whose data lies in a page of 4 KiB, and completions of the queue's
 * own commands. Inlined where it is used, as each of its users has something of its own to do with them.
 */
#ifndef VFN_SRC_NVME_QUICK_H
#define VFN_SRC_NVME_QUICK_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <vfn/nvme/io.h>

#include "iommu/table.h"
#include "nvme/nvme.h"

/* ---- submit ---- */

/* What a template says, in two parts: dwords 0 to 3, and 12 to 15. */
#define TEMPLATE_LOW 16
#define TEMPLATE_HIGH offsetof(struct nvme_cmd_rw, nlb)

__static_assert(offsetof(struct nvme_cmd_rw, mptr) == TEMPLATE_LOW);

/* The command into its slot, the request, which is the next free one, to its owner. */
static inline int nvme_quick_post(struct nvme_sq *sq, const struct vfn_nvme_io *io,
				  struct nvme_rq *rq, uint64_t slba, uint32_t nlb, uint64_t prp1,
				  uint64_t prp2, void *opaque)
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

/* Whether a command of these bytes goes, and the template knows their memory. */
static inline bool nvme_quick_reaches(const struct vfn_nvme_io *io, const void *buf, size_t len)
{
	uint64_t addr = (uintptr_t)buf, page = (addr >> TABLE_PAGE_SHIFT) - io->first_page;

	return page < TABLE_ENTRIES && !(addr & 3) &&
	       (addr & TABLE_PAGE_MASK) + len <=
		       iommu_entry_run(atomic_load_acquire(&io->leaf[page]));
}

/* What came of nvme_quick_submit(): the command is in the queue; or nothing was done, because of this. */
enum nvme_quick {
	NVME_QUICK_DONE,
	NVME_QUICK_PAGES, /* data beyond its first page, or none */
	NVME_QUICK_ELSEWHERE, /* memory in another part of the address space than that of the last command */
	NVME_QUICK_RARE, /* whatever else */
};

/* @rest is what all blocks but one have in bytes. */
static inline enum nvme_quick nvme_quick_submit(struct nvme_sq *sq, const struct vfn_nvme_io *io,
						uint64_t slba, uint32_t nlb, uint64_t rest,
						void *buf, void *opaque)
{
	uint64_t addr = (uintptr_t)buf, offset = addr & TABLE_PAGE_MASK, page, entry;
	struct nvme_rq *rq;

	if ((int64_t)(offset + rest) > io->room)
		return NVME_QUICK_PAGES;

	page = (addr >> TABLE_PAGE_SHIFT) - io->first_page;
	if (unlikely(page >= TABLE_ENTRIES))
		return NVME_QUICK_ELSEWHERE;

	entry = atomic_load_acquire(&io->leaf[page]);
	rq = sq->rq_top;
	if (unlikely(!rq || !(entry & TABLE_RUN_MASK) || (addr & 3)))
		return NVME_QUICK_RARE;

	nvme_quick_post(sq, io, rq, slba, nlb, iommu_entry_iova(entry, addr), 0, opaque);

	return NVME_QUICK_DONE;
}

/* ---- poll ---- */

/* The bits of a completion that say whose it is, and whether it is new. */
#define NVME_QUICK_MATCH (0xffffULL << NVME_DW2_SQID_SHIFT | NVME_DW2_PHASE)

/* The request with an identifier is where the identifier, shifted, points. */
#define NVME_RQ_SHIFT 6

__static_assert(sizeof(struct nvme_rq) == 1 << NVME_RQ_SHIFT);

/*
 * Up to @max completions, as far as they are new and of commands of this queue, up to the end of the ring: @take has
 * each, with what came with the command, or refuses, which leaves it where it is. It must not use the queue. Requests
 * of what is taken are released. Returns how many; *odd says whether the next completion is new, but not like that.
 */
static inline __attribute__((always_inline)) int
nvme_quick_poll(struct nvme_sq *sq, struct nvme_cq *cq, int max, bool *odd,
		bool (*take)(void *to, void *opaque, const struct nvme_cqe *cqe), void *to)
{
	struct nvme_cqe *first = (struct nvme_cqe *)cq->mem.vaddr + cq->head, *cqe = first, *end;
	int n = cq->qsize - cq->head;
	struct nvme_rq *top;
	uint64_t want;

	*odd = false;
	end = cqe + (n < max ? n : max);
	want = sq->match ^ NVME_DW2_PHASE * (unsigned int)cq->phase;
	top = sq->rq_top;

	for (; cqe < end; cqe++) {
		uint64_t dw2 =
			le64_to_cpu((leint64_t __force)atomic_load_acquire((uint64_t *)&cqe->sqhd));
		size_t offset;
		struct nvme_rq *rq;

		dw2 ^= want;
		if (dw2 & NVME_QUICK_MATCH) {
			*odd = !(dw2 & NVME_DW2_PHASE);
			break;
		}

		offset = dw2 >> (NVME_DW2_CID_SHIFT - NVME_RQ_SHIFT) & 0xffffULL << NVME_RQ_SHIFT;
		rq = (struct nvme_rq *)((char *)sq->rqs + offset);
		if (unlikely(offset >= sq->rqs_len || rq->state > VFN_NVME_RQ_POSTED)) {
			*odd = true;
			break;
		}

		if (unlikely(!take(to, rq->opaque, cqe)))
			break;

		rq->state = VFN_NVME_RQ_FREE;
		rq->rq_next = top;
		top = rq;
	}

	sq->rq_top = top;
	n = (int)(cqe - first);
	cq->head = (uint16_t)(cq->head + n);

	return n;
}

/* Whether a poll that took @n took the last entry of the ring. Behind that of 65536 the head is 0, as it is before any. */
static inline bool nvme_quick_at_end(const struct nvme_cq *cq, int n)
{
	return cq->head == (uint16_t)cq->qsize && n;
}

#endif /* VFN_SRC_NVME_QUICK_H */
