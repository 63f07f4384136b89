/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* PRPs of the common case: one piece of memory in pages of 4 KiB, whose list, if any, fits in the request's page. */
#ifndef VFN_SRC_NVME_PIECE_H
#define VFN_SRC_NVME_PIECE_H

#include <stdbool.h>

#include "nvme/nvme.h"

#define PRP_PAGE_SHIFT 12
#define PRP_PAGE_BYTES (1UL << PRP_PAGE_SHIFT)
#define PRP_PAGE_MASK (PRP_PAGE_BYTES - 1)
/* What a page in the command and those of a full list are together. */
#define PRP_LIST_BYTES (PRP_PAGE_BYTES + PRP_PAGE_BYTES * (PRP_PAGE_BYTES / sizeof(uint64_t)))

/*
 * Entries for @n pages from @addr on. They are written eight at a time: what is behind
 * the last one, up to the next multiple of eight, is written, too.
 */
#ifdef __CHECKER__
/* sparse knows no vectors */
static inline void nvme_put_pages(void *list, uint64_t addr, size_t n)
{
	for (uint64_t *to = list; n--; addr += PRP_PAGE_BYTES)
		*to++ = addr;
}
#else
/* Two entries of a list at a time. */
typedef uint64_t nvme_prp_pair __attribute__((vector_size(16)));

static inline void nvme_put_pages(void *list, uint64_t addr, size_t n)
{
	nvme_prp_pair *to = list, *end = (nvme_prp_pair *)((uint64_t *)list + n);
	const nvme_prp_pair start = { addr, addr },
			    step = { 8 * PRP_PAGE_BYTES, 8 * PRP_PAGE_BYTES };
	nvme_prp_pair a = start + (nvme_prp_pair){ 0, PRP_PAGE_BYTES };
	nvme_prp_pair b = start + (nvme_prp_pair){ 2 * PRP_PAGE_BYTES, 3 * PRP_PAGE_BYTES };
	nvme_prp_pair c = start + (nvme_prp_pair){ 4 * PRP_PAGE_BYTES, 5 * PRP_PAGE_BYTES };
	nvme_prp_pair d = start + (nvme_prp_pair){ 6 * PRP_PAGE_BYTES, 7 * PRP_PAGE_BYTES };

	do {
		to[0] = a;
		to[1] = b;
		to[2] = c;
		to[3] = d;
		a += step;
		b += step;
		c += step;
		d += step;
		to += 4;
	} while (to < end);
}
#endif

/*
 * The second PRP of data that begins at @iova and ends @end bytes behind the start of
 * its first page, and not in that. False where that takes more than the request's own page,
 * if there is one.
 */
static inline bool nvme_second_prp(const struct nvme_rq *rq, uint64_t iova, uint64_t end,
				   uint64_t *prp2)
{
	uint64_t next = (iova | PRP_PAGE_MASK) + 1;

	if (end <= 2 * PRP_PAGE_BYTES) {
		*prp2 = next;
		return true;
	}

	if (unlikely(end > PRP_LIST_BYTES || !rq->page.iova))
		return false;

	nvme_put_pages(rq->page.vaddr, next, (end - 1) >> PRP_PAGE_SHIFT);
	*prp2 = rq->page.iova;

	return true;
}

#endif /* VFN_SRC_NVME_PIECE_H */
