// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The lower bound: a driver by hand that takes a virtual address and a pointer, and
 * checks nothing. It knows one piece of memory and one size of block, and that all
 * is where it was put.
 */
#include <stdlib.h>

#include "ring.h"

#define PAGE_SHIFT 12
#define PAGE (1UL << PAGE_SHIFT)

struct bound {
	leint64_t *slots;
	struct nvme_cqe *cqes;
	volatile uint32_t *sq_doorbell, *cq_doorbell;
	uint32_t tail, head, phase, ntop;
	uintptr_t mem;
	/* a page per command for its list */
	char *lists;
	iova_t lists_iova;
	uint16_t free[QUEUE_ENTRIES];
	void *opaque[QUEUE_ENTRIES];
	struct iommu_dmabuf list_mem;
	iova_t iova_of_page[];
};

typedef uint64_t pair __attribute__((vector_size(16)));

struct bound *bound_new(struct ring *r)
{
	size_t pages = MEM_BYTES >> PAGE_SHIFT;
	struct bound *b = calloc(1, sizeof(*b) + pages * sizeof(iova_t));

	if (!b || iommu_get_dmabuf(__iommu_ctx(r->ctrl), &b->list_mem, DEPTH_MAX * PAGE, 0))
		return NULL;

	b->lists = b->list_mem.vaddr;
	b->lists_iova = b->list_mem.iova;
	b->mem = (uintptr_t)r->mem;
	for (size_t i = 0; i < pages; i++)
		b->iova_of_page[i] = r->iova + (i << PAGE_SHIFT);
	while (b->ntop < DEPTH_MAX) {
		b->free[b->ntop] = (uint16_t)b->ntop;
		b->ntop++;
	}

	return b;
}

void bound_take(struct bound *b, struct ring *r)
{
	b->slots = r->sq->mem.vaddr;
	b->cqes = r->cq->mem.vaddr;
	b->sq_doorbell = r->sq->doorbell;
	b->cq_doorbell = r->cq->doorbell;
	b->tail = r->sq->tail;
	b->head = r->cq->head;
	b->phase = (uint32_t)!r->cq->phase;
}

void bound_give_back(struct bound *b, struct ring *r)
{
	r->sq->tail = r->sq->ptail = (uint16_t)b->tail;
	r->cq->head = r->cq->phead = (uint16_t)b->head;
	r->cq->phase = !b->phase;
}

static inline uint64_t second_prp(struct bound *b, unsigned int cid, uint64_t iova, size_t rest)
{
	uint64_t next = (iova & ~(PAGE - 1)) + PAGE;
	char *list = b->lists + ((size_t)cid << PAGE_SHIFT);
	pair *to = (pair *)list, *end = (pair *)((uint64_t *)list + (rest >> PAGE_SHIFT));
	pair entry = { next, next + PAGE };
	const pair step = { 2 * PAGE, 2 * PAGE };

	if (rest < 2 * PAGE)
		return next;

	do {
		to[0] = entry;
		entry += step;
		to[1] = entry;
		entry += step;
		to[2] = entry;
		entry += step;
		to[3] = entry;
		entry += step;
		to += 4;
	} while (to < end);

	return b->lists_iova + ((uint64_t)cid << PAGE_SHIFT);
}

__attribute__((noinline)) void bound_submit(struct bound *b, uint64_t slba, uint32_t nlb, char *buf,
					    void *opaque)
{
	leint64_t *to = b->slots + (size_t)b->tail * 8;
	unsigned int cid = b->free[--b->ntop];
	uintptr_t offset = (uintptr_t)buf - b->mem;
	uint64_t iova = b->iova_of_page[offset >> PAGE_SHIFT] | (offset & (PAGE - 1));
	size_t rest = (offset & (PAGE - 1)) + ((size_t)nlb << BLOCK_SHIFT) - 1;

	b->opaque[cid] = opaque;
	b->tail = (b->tail + 1) & (QUEUE_ENTRIES - 1);
	to[0] = cpu_to_le64(OP_READ | cid << 16 | (uint64_t)NSID << 32);
	to[1] = cpu_to_le64(0);
	to[2] = cpu_to_le64(0);
	to[3] = cpu_to_le64(iova);
	to[4] = cpu_to_le64(rest < PAGE ? 0 : second_prp(b, cid, iova, rest));
	to[5] = cpu_to_le64(slba);
	to[6] = cpu_to_le64(nlb - 1);
	to[7] = cpu_to_le64(0);
}

__attribute__((noinline)) void bound_ring(struct bound *b)
{
	dma_wmb();
	*b->sq_doorbell = b->tail;
}

__attribute__((noinline)) int bound_poll(struct bound *b, struct vfn_nvme_done *done, int max)
{
	uint32_t head = b->head, phase = b->phase, ntop = b->ntop;
	int n;

	for (n = 0; n < max; n++) {
		struct nvme_cqe *cqe = &b->cqes[head];
		uint64_t dw2 =
			le64_to_cpu((leint64_t __force)atomic_load_acquire((uint64_t *)&cqe->sqhd));
		uint16_t cid = (uint16_t)(dw2 >> 32);

		if ((dw2 >> 48 & 1) != phase)
			break;
		b->free[ntop++] = cid;
		done[n].opaque = b->opaque[cid];
		done[n].cqe.sfp = cpu_to_le16((uint16_t)(dw2 >> 48));
		if (++head == QUEUE_ENTRIES) {
			head = 0;
			phase ^= 1;
		}
	}

	b->head = head;
	b->phase = phase;
	b->ntop = ntop;
	*b->cq_doorbell = head;

	return n;
}
