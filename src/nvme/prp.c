// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Physical region pages: memory described page by page (Base Specification 2.0, section 4.1.1). */
#include <errno.h>

#include <vfn/support/align.h>

#include "nvme/nvme.h"
#include "support/error.h"

/*
 * The first entry goes into the command. The others go into the list as they
 * come; if there is only one of them, it moves into the command in the end.
 */
struct prps {
	struct nvme_ctrl *ctrl;
	size_t pagesize;
	/* all pages of the list, contiguous */
	leint64_t *list;
	iova_t list_iova;
	int npages;
	/* list page and slot for the next entry */
	int page;
	size_t slot;
	/* 0 before the first piece; then its start, then where the last piece ended */
	iova_t first;
	iova_t end;
};

static int put(struct prps *prps, uint64_t addr)
{
	size_t slots = prps->pagesize / sizeof(*prps->list);
	leint64_t *page = prps->list + (size_t)prps->page * slots;

	if (prps->slot == slots) {
		if (prps->page + 1 == prps->npages)
			return vfn_fail(
				EINVAL,
				"%s: the data takes more PRP entries than the list's %d pages hold",
				nvme_name(prps->ctrl), prps->npages);

		/* the last slot becomes the link, what it had moves on */
		prps->page++;
		page[slots] = page[slots - 1];
		page[slots - 1] =
			cpu_to_le64(prps->list_iova + (size_t)prps->page * prps->pagesize);
		page += slots;
		prps->slot = 1;
	}

	page[prps->slot++] = cpu_to_le64(addr);

	return 0;
}

static int add(void *opaque, iova_t iova, size_t len)
{
	struct prps *prps = opaque;
	size_t mask = prps->pagesize - 1;
	uint64_t addr = iova, end = iova + len;

	if (!prps->end) {
		if (iova & 3)
			return vfn_fail(EINVAL, "%s: data at 0x%llx is not a multiple of 4",
					nvme_name(prps->ctrl), (unsigned long long)iova);

		prps->first = iova;
		addr = ALIGN_DOWN(iova, prps->pagesize) + prps->pagesize;
		/* the last page of all has no next one */
		if (addr < iova)
			addr = end;
	} else if ((prps->end | iova) & mask) {
		return vfn_fail(
			EINVAL,
			"%s: PRPs cannot describe a piece of data that ends at 0x%llx with one at 0x%llx behind it: pieces must meet on pages of %zu bytes",
			nvme_name(prps->ctrl), (unsigned long long)prps->end,
			(unsigned long long)iova, prps->pagesize);
	}

	for (; addr < end; addr += prps->pagesize)
		if (put(prps, addr))
			return -1;

	prps->end = end;

	return 0;
}

static void finish(const struct prps *prps, union nvme_cmd *cmd)
{
	cmd->dptr.prp1 = cpu_to_le64(prps->first);

	if (prps->page || prps->slot > 1)
		cmd->dptr.prp2 = cpu_to_le64(prps->list_iova);
	else if (prps->slot)
		cmd->dptr.prp2 = prps->list[0];
}

static int build(struct prps *prps, union nvme_cmd *cmd, const struct nvme_data *data)
{
	nvme_clear_dptr(cmd);
	if (nvme_walk_data(prps->ctrl, data, add, prps))
		return -1;
	finish(prps, cmd);

	return 0;
}

static struct prps request_list(struct nvme_ctrl *ctrl, struct nvme_rq *rq)
{
	return (struct prps){
		.ctrl = ctrl,
		.pagesize = __mps_to_pagesize(ctrl->config.mps),
		.list = rq->page.vaddr,
		.list_iova = rq->page.iova,
		.npages = 1,
	};
}

static int caller_list(struct nvme_ctrl *ctrl, leint64_t *list, int npages, union nvme_cmd *cmd,
		       struct prps *prps)
{
	size_t pagesize = __mps_to_pagesize(ctrl->config.mps), len;
	iova_t iova;

	*prps = (struct prps){
		.ctrl = ctrl,
		.pagesize = pagesize,
		.list = list,
		.npages = npages,
	};
	nvme_clear_dptr(cmd);

	if (npages < 1)
		return vfn_fail(EINVAL, "%s: %d pages for PRP lists", nvme_name(ctrl), npages);

	len = (size_t)npages * pagesize;
	if (vfn_iommu_translate(__iommu_ctx(ctrl), list, len, &iova) < len)
		return vfn_fail(EFAULT, "%s: the PRP list's %d pages at %p are not mapped as one",
				nvme_name(ctrl), npages, (void *)list);
	if (!ALIGNED(iova, pagesize))
		return vfn_fail(EINVAL, "%s: the PRP list at %p must start on a page of %zu bytes",
				nvme_name(ctrl), (void *)list, pagesize);

	prps->list_iova = iova;

	return 0;
}

int nvme_rq_map_prp(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd, iova_t iova,
		    size_t len)
{
	struct iova_vec piece = { .iova = iova, .len = len };

	return nvme_rq_mapv_iova_prp(ctrl, rq, cmd, &piece, 1);
}

int nvme_rq_mapv_iova_prp(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd,
			  struct iova_vec *iov, int niov)
{
	struct prps prps = request_list(ctrl, rq);

	return build(&prps, cmd, &(struct nvme_data){ .iova = iov, .n = niov });
}

int nvme_rq_mapv_prp(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd,
		     struct iovec *iov, int niov)
{
	struct prps prps = request_list(ctrl, rq);

	return build(&prps, cmd, &(struct nvme_data){ .iov = iov, .n = niov });
}

int nvme_map_prp(struct nvme_ctrl *ctrl, leint64_t *prplists, int nprplists, union nvme_cmd *cmd,
		 iova_t iova, size_t len)
{
	struct iova_vec piece = { .iova = iova, .len = len };

	return nvme_mapv_iova_prp(ctrl, prplists, nprplists, cmd, &piece, 1);
}

int nvme_mapv_iova_prp(struct nvme_ctrl *ctrl, leint64_t *prplists, int nprplists,
		       union nvme_cmd *cmd, struct iova_vec *iov, int niov)
{
	struct prps prps;

	if (caller_list(ctrl, prplists, nprplists, cmd, &prps))
		return -1;

	return build(&prps, cmd, &(struct nvme_data){ .iova = iov, .n = niov });
}

int nvme_mapv_prp(struct nvme_ctrl *ctrl, leint64_t *prplists, int nprplists, union nvme_cmd *cmd,
		  struct iovec *iov, int niov)
{
	struct prps prps;

	if (caller_list(ctrl, prplists, nprplists, cmd, &prps))
		return -1;

	return build(&prps, cmd, &(struct nvme_data){ .iov = iov, .n = niov });
}
