/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A request for tests of data pointers: no device, no mapping, only arithmetic. */
#ifndef VFN_TESTS_UNIT_NVME_BENCH_H
#define VFN_TESTS_UNIT_NVME_BENCH_H

#include "decode.h"

#define LIST_IOVA 0x7f000000ULL

/* A request as of a controller with pages of 2^(12 + mps) bytes, without one. */
struct bench {
	struct nvme_ctrl ctrl;
	struct nvme_rq rq;
	union nvme_cmd cmd;
	struct lists lists;
	struct ranges want, got;
};

static inline void bench_new(struct bench *b, int mps)
{
	uint64_t page = __mps_to_pagesize(mps);

	memset(b, 0, sizeof(*b));
	b->ctrl.config.mps = mps;
	b->rq.page.vaddr = aligned_alloc(page, page);
	b->rq.page.iova = LIST_IOVA;
	b->lists = (struct lists){ b->rq.page.vaddr, LIST_IOVA, page, page, NULL };
	/* what an earlier command left must not shine through */
	memset(b->rq.page.vaddr, 0xa5, page);
}

static inline void bench_free(struct bench *b)
{
	free(b->rq.page.vaddr);
	free(b->want.r);
	free(b->got.r);
}

#endif /* VFN_TESTS_UNIT_NVME_BENCH_H */
