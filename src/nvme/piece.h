/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* PRPs of the common case: one piece of memory whose list, if any, fits in the request's page. */
#ifndef VFN_SRC_NVME_PIECE_H
#define VFN_SRC_NVME_PIECE_H

#include <stdbool.h>

#include "nvme/nvme.h"

/*
 * Entries for @n pages from @addr on. They are written eight at a time: what is behind
 * the last one, up to the next multiple of eight, is written, too.
 */
#ifdef __CHECKER__
/* sparse knows no vectors */
static inline void nvme_put_pages(void *list, uint64_t addr, size_t n, uint64_t page)
{
	for (uint64_t *to = list; n--; addr += page)
		*to++ = addr;
}
#else
/* Two entries of a list at a time. */
typedef uint64_t nvme_prp_pair __attribute__((vector_size(16)));

static inline void nvme_put_pages(void *list, uint64_t addr, size_t n, uint64_t page)
{
	nvme_prp_pair *to = list, *end = (nvme_prp_pair *)((uint64_t *)list + n);
	nvme_prp_pair a = { addr, addr + page }, b = a + 2 * page;
	const nvme_prp_pair step = { 4 * page, 4 * page };

	do {
		to[0] = a;
		to[1] = b;
		a += step;
		b += step;
		to[2] = a;
		to[3] = b;
		a += step;
		b += step;
		to += 4;
	} while (to < end);
}
#endif

/*
 * The second PRP of @len bytes at @iova, whose list is @rq's page. False where that
 * does not do, and nvme_rq_mapv_iova_prp() has to. @mask: bytes of a page less one.
 */
static inline bool nvme_second_prp(const struct nvme_rq *rq, uint64_t iova, uint64_t len,
				   uint64_t mask, uint64_t *prp2)
{
	uint64_t rest = (iova & mask) + len - 1, page = mask + 1, next = (iova | mask) + 1;
	size_t n;

	if (rest <= mask) {
		*prp2 = 0;
		return true;
	}

	if (rest < 2 * page) {
		*prp2 = next;
		return true;
	}

	n = rest >> __builtin_ctzll(page);
	if (unlikely(n > page / sizeof(uint64_t) || !rq->page.iova))
		return false;

	nvme_put_pages(rq->page.vaddr, next, n, page);
	*prp2 = rq->page.iova;

	return true;
}

#endif /* VFN_SRC_NVME_PIECE_H */
