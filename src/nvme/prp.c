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

static int add(struct prps *prps, iova_t iova, size_t len)
{
	size_t mask = prps->pagesize - 1;
	uint64_t addr = iova, end = iova + len;

	if (!len || end < iova)
		return vfn_fail(EINVAL,
				"%s: a piece of data of %zu bytes at 0x%llx is empty or wraps",
				nvme_name(prps->ctrl), len, (unsigned long long)iova);

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

static int add_iova_vec(struct prps *prps, const struct iova_vec *iov, int niov)
{
	for (int i = 0; i < niov; i++)
		if (add(prps, iov[i].iova, iov[i].len))
			return -1;

	return 0;
}

/* A piece may lie in several mappings. */
static int add_vaddr(struct prps *prps, const char *vaddr, size_t len)
{
	struct iommu_ctx *ctx = __iommu_ctx(prps->ctrl);
	iova_t iova;
	size_t run;

	if (!len || (uintptr_t)vaddr + len < len)
		return vfn_fail(EINVAL, "%s: a piece of data of %zu bytes at %p is empty or wraps",
				nvme_name(prps->ctrl), len, (const void *)vaddr);

	for (; len; vaddr += run, len -= run) {
		run = vfn_iommu_translate(ctx, vaddr, len, &iova);
		if (!run)
			return vfn_fail(EFAULT,
					"%s: data at %p is not mapped: see iommu_map_vaddr()",
					nvme_name(prps->ctrl), (const void *)vaddr);
		if (add(prps, iova, run))
			return -1;
	}

	return 0;
}

static int add_iovec(struct prps *prps, const struct iovec *iov, int niov)
{
	for (int i = 0; i < niov; i++)
		if (add_vaddr(prps, iov[i].iov_base, iov[i].iov_len))
			return -1;

	return 0;
}

/*
 * Whatever happens, the command has a data pointer that can do no harm: address
 * 0 is never mapped.
 */
static void clear_dptr(union nvme_cmd *cmd)
{
	cmd->flags &= (uint8_t) ~(NVME_CMD_FLAGS_PSDT_MASK << NVME_CMD_FLAGS_PSDT_SHIFT);
	cmd->dptr.prp1 = cpu_to_le64(0);
	cmd->dptr.prp2 = cpu_to_le64(0);
}

static void finish(const struct prps *prps, union nvme_cmd *cmd)
{
	cmd->dptr.prp1 = cpu_to_le64(prps->first);

	if (prps->page || prps->slot > 1)
		cmd->dptr.prp2 = cpu_to_le64(prps->list_iova);
	else if (prps->slot)
		cmd->dptr.prp2 = prps->list[0];
}

static int check_vector(struct nvme_ctrl *ctrl, const void *iov, int niov)
{
	if (!iov || niov < 1)
		return vfn_fail(EINVAL, "%s: no pieces of data", nvme_name(ctrl));

	return 0;
}

static int build_iova(struct prps *prps, union nvme_cmd *cmd, const struct iova_vec *iov, int niov)
{
	clear_dptr(cmd);
	if (check_vector(prps->ctrl, iov, niov) || add_iova_vec(prps, iov, niov))
		return -1;
	finish(prps, cmd);

	return 0;
}

static int build(struct prps *prps, union nvme_cmd *cmd, const struct iovec *iov, int niov)
{
	clear_dptr(cmd);
	if (check_vector(prps->ctrl, iov, niov) || add_iovec(prps, iov, niov))
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
	clear_dptr(cmd);

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

	return build_iova(&prps, cmd, iov, niov);
}

int nvme_rq_mapv_prp(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd,
		     struct iovec *iov, int niov)
{
	struct prps prps = request_list(ctrl, rq);

	return build(&prps, cmd, iov, niov);
}

int nvme_rq_mapv(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd, struct iovec *iov,
		 int niov)
{
	return nvme_rq_mapv_prp(ctrl, rq, cmd, iov, niov);
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

	return build_iova(&prps, cmd, iov, niov);
}

int nvme_mapv_prp(struct nvme_ctrl *ctrl, leint64_t *prplists, int nprplists, union nvme_cmd *cmd,
		  struct iovec *iov, int niov)
{
	struct prps prps;

	if (caller_list(ctrl, prplists, nprplists, cmd, &prps))
		return -1;

	return build(&prps, cmd, iov, niov);
}
