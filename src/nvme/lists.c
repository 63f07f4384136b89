// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Pages for PRP lists and SGL segments: a request's, which grow, and a caller's, which do not. */
#include <errno.h>

#include "nvme/nvme.h"
#include "support/error.h"

/* Enough for 500 MiB in pages of 4 KiB; what takes more is a mistake. */
#define PAGES_MAX 256

struct nvme_lists nvme_rq_lists(struct nvme_ctrl *ctrl, struct nvme_rq *rq)
{
	const struct iommu_dmabuf *more = rq->extra ? &rq->extra->lists : &(struct iommu_dmabuf){};
	size_t pagesize = __mps_to_pagesize(ctrl->config.mps);

	return (struct nvme_lists){
		.ctrl = ctrl,
		.rq = rq,
		.pagesize = pagesize,
		.n = 1 + (int)((size_t)more->len / pagesize),
		.vaddr = { rq->page.vaddr, more->vaddr },
		.iova = { rq->page.iova, more->iova },
	};
}

struct nvme_lists nvme_caller_lists(struct nvme_ctrl *ctrl, void *vaddr, iova_t iova, int n)
{
	size_t pagesize = __mps_to_pagesize(ctrl->config.mps);

	return (struct nvme_lists){
		.ctrl = ctrl,
		.pagesize = pagesize,
		.n = n,
		.vaddr = { vaddr, (char *)vaddr + pagesize },
		.iova = { iova, iova + pagesize },
	};
}

int nvme_no_lists(struct nvme_ctrl *ctrl, const void *vaddr, int n)
{
	return vfn_fail(EFAULT, "%s: the list's %d pages at %p are not mapped as one",
			nvme_name(ctrl), n, vaddr);
}

int nvme_begin_lists(struct nvme_lists *lists)
{
	size_t len = (size_t)lists->n * lists->pagesize;
	struct nvme_rq *rq = lists->rq;

	if (lists->iova[0])
		return 0;

	if (rq) {
		if (vfn_nvme_rq_ready(rq))
			return -1;
		lists->iova[0] = rq->page.iova;
		return 0;
	}

	if (vfn_iommu_translate(__iommu_ctx(lists->ctrl), lists->vaddr[0], len, &lists->iova[0]) <
	    len)
		return nvme_no_lists(lists->ctrl, lists->vaddr[0], lists->n);
	lists->iova[1] = lists->iova[0] + lists->pagesize;

	return 0;
}

int nvme_grow_lists(struct nvme_lists *lists)
{
	struct nvme_rq *rq = lists->rq;
	struct iommu_dmabuf more;

	if (!rq || !rq->extra || lists->n >= PAGES_MAX) {
		/* a request does not keep what did not help */
		if (rq && rq->extra)
			iommu_put_dmabuf(&rq->extra->lists);
		return vfn_fail(
			EINVAL,
			"%s: the data takes more PRP entries or SGL descriptors than %d pages hold",
			nvme_name(lists->ctrl), lists->n);
	}

	/* doubled, the request's own page included */
	if (iommu_get_dmabuf(__iommu_ctx(lists->ctrl), &more,
			     (size_t)(2 * lists->n - 1) * lists->pagesize, 0))
		return -1;

	iommu_put_dmabuf(&rq->extra->lists);
	rq->extra->lists = more;

	*lists = nvme_rq_lists(lists->ctrl, rq);

	return 0;
}
