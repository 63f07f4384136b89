// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Physical region pages: memory described page by page (Base Specification 2.0, section 4.1.1). */
#include <errno.h>

#include <vfn/support/align.h>

#include "iommu/table.h"
#include "nvme/nvme.h"
#include "nvme/piece.h"
#include "support/error.h"

/*
 * The first entry goes into the command, and the second one, too, if there is no third.
 * Otherwise the second and what follows go into the list.
 */
struct prps {
	struct nvme_lists *lists;
	uint64_t second;
	/* list page and slot for the next entry; NULL as long as there is no list */
	leint64_t *list;
	int page;
	size_t slot;
	bool full;
	/* 0 before the first piece; then its start, then where the last piece ended */
	iova_t first;
	iova_t end;
};

static int put(struct prps *prps, uint64_t addr)
{
	size_t slots = prps->lists->pagesize / sizeof(*prps->list);
	leint64_t *next;

	if (!prps->slot) {
		prps->second = addr;
		prps->slot = 1;
		return 0;
	}

	if (!prps->list) {
		if (nvme_begin_lists(prps->lists))
			return -1;
		prps->list = nvme_list_page(prps->lists, 0);
		prps->list[0] = cpu_to_le64(prps->second);
	}

	if (prps->slot == slots) {
		if (prps->page + 1 == prps->lists->n) {
			prps->full = true;
			return -1;
		}

		/* the last slot becomes the link, what it had moves on */
		next = nvme_list_page(prps->lists, ++prps->page);
		next[0] = prps->list[slots - 1];
		prps->list[slots - 1] = cpu_to_le64(nvme_list_iova(prps->lists, prps->page));
		prps->list = next;
		prps->slot = 1;
	}

	prps->list[prps->slot++] = cpu_to_le64(addr);

	return 0;
}

static int add(void *opaque, iova_t iova, size_t len)
{
	struct prps *prps = opaque;
	size_t pagesize = prps->lists->pagesize, mask = pagesize - 1;
	uint64_t addr = iova, end = iova + len;

	if (!prps->end) {
		if (iova & 3)
			return vfn_fail(EINVAL, "%s: data at 0x%llx is not a multiple of 4",
					nvme_name(prps->lists->ctrl), (unsigned long long)iova);

		prps->first = iova;
		addr = ALIGN_DOWN(iova, pagesize) + pagesize;
		/* the last page of all has no next one */
		if (addr < iova)
			addr = end;
	} else if ((prps->end | iova) & mask) {
		return vfn_fail(
			EINVAL,
			"%s: PRPs cannot describe a piece of data that ends at 0x%llx with one at 0x%llx behind it: pieces must meet on pages of %zu bytes",
			nvme_name(prps->lists->ctrl), (unsigned long long)prps->end,
			(unsigned long long)iova, pagesize);
	}

	for (; addr < end; addr += pagesize)
		if (put(prps, addr))
			return -1;

	prps->end = end;

	return 0;
}

static void finish(const struct prps *prps, union nvme_cmd *cmd)
{
	cmd->dptr.prp1 = cpu_to_le64(prps->first);
	cmd->dptr.prp2 = cpu_to_le64(prps->list ? nvme_list_iova(prps->lists, 0) : prps->second);
}

static int build(struct nvme_lists *lists, union nvme_cmd *cmd, const struct nvme_data *data)
{
	struct prps prps;

	do {
		prps = (struct prps){ .lists = lists };
		if (!nvme_walk_data(lists->ctrl, cmd->opcode, data, add, &prps)) {
			finish(&prps, cmd);
			return 0;
		}
	} while (prps.full && !nvme_grow_lists(lists));

	return -1;
}

static int build_for_rq(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd,
			const struct nvme_data *data)
{
	struct nvme_lists lists = nvme_rq_lists(ctrl, rq);

	nvme_clear_dptr(cmd);

	return build(&lists, cmd, data);
}

/* The common case; false leaves the command as it is, and the rest of this file sees to it. */
static inline bool map_piece(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd,
			     iova_t iova, size_t len)
{
	uint64_t end = (iova & PRP_PAGE_MASK) + len, prp2 = 0;

	if (unlikely((iova & 3) || iova + len <= iova || ctrl->config.mps ||
		     nvme_in_cmb(ctrl, iova)))
		return false;

	if (end > PRP_PAGE_BYTES && unlikely(!nvme_second_prp(rq, iova, end, &prp2)))
		return false;

	cmd->flags &= (uint8_t) ~(NVME_CMD_FLAGS_PSDT_MASK << NVME_CMD_FLAGS_PSDT_SHIFT);
	cmd->dptr.prp1 = cpu_to_le64(iova);
	cmd->dptr.prp2 = cpu_to_le64(prp2);

	return true;
}

static int caller_lists(struct nvme_ctrl *ctrl, leint64_t *list, int npages, union nvme_cmd *cmd,
			struct nvme_lists *lists)
{
	size_t pagesize = __mps_to_pagesize(ctrl->config.mps), len;
	struct iommu_ctx *ctx = __iommu_ctx(ctrl);
	unsigned int bits;
	iova_t iova = 0;

	nvme_clear_dptr(cmd);

	if (npages < 1)
		return vfn_fail(EINVAL, "%s: %d pages for PRP lists", nvme_name(ctrl), npages);

	len = (size_t)npages * pagesize;
	if (!ctx || iommu_table_lookup(ctx, list, len, &iova, &bits) < len) {
		/* pages of requests are mapped when there is something to put into them */
		if (!ctx || !iommu_is_deferred(ctx, list, len)) {
			(void)nvme_no_lists(ctrl, list, npages);
			return -1;
		}
		iova = 0;
	}

	if (!ALIGNED(iova ? iova : (uintptr_t)list, pagesize))
		return vfn_fail(EINVAL, "%s: the PRP list at %p must start on a page of %zu bytes",
				nvme_name(ctrl), (void *)list, pagesize);

	if (nvme_in_cmb(ctrl, iova) && vfn_nvme_cmb_check(ctrl, VFN_NVME_CMB_LISTS))
		return -1;

	*lists = nvme_caller_lists(ctrl, list, iova, npages);

	return 0;
}

/* Out of line, so that the common case needs few registers. */
static __attribute__((noinline)) int map_slowly(struct nvme_ctrl *ctrl, struct nvme_rq *rq,
						union nvme_cmd *cmd, iova_t iova, size_t len)
{
	struct iova_vec piece = { .iova = iova, .len = len };

	return build_for_rq(ctrl, rq, cmd, &(struct nvme_data){ .iova = &piece, .n = 1 });
}

static __attribute__((noinline)) int mapv_slowly(struct nvme_ctrl *ctrl, struct nvme_rq *rq,
						 union nvme_cmd *cmd, struct iovec *iov, int niov)
{
	return build_for_rq(ctrl, rq, cmd, &(struct nvme_data){ .iov = iov, .n = niov });
}

int nvme_rq_map_prp(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd, iova_t iova,
		    size_t len)
{
	return likely(map_piece(ctrl, rq, cmd, iova, len)) ? 0 :
							     map_slowly(ctrl, rq, cmd, iova, len);
}

int nvme_rq_mapv_iova_prp(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd,
			  struct iova_vec *iov, int niov)
{
	return build_for_rq(ctrl, rq, cmd, &(struct nvme_data){ .iova = iov, .n = niov });
}

int nvme_rq_mapv_prp(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd,
		     struct iovec *iov, int niov)
{
	const struct iommu_ctx *ctx = __iommu_ctx(ctrl);
	uint64_t addr, entry;

	if (unlikely(niov != 1) || unlikely(!iov) || unlikely(!ctx))
		return mapv_slowly(ctrl, rq, cmd, iov, niov);

	addr = (uintptr_t)iov->iov_base;
	entry = iommu_table_entry(ctx, addr);

	return likely((addr & TABLE_PAGE_MASK) + iov->iov_len <= iommu_entry_run(entry)) &&
			       likely(map_piece(ctrl, rq, cmd, iommu_entry_iova(entry, addr),
						iov->iov_len)) ?
		       0 :
		       mapv_slowly(ctrl, rq, cmd, iov, niov);
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
	struct nvme_lists lists;

	if (caller_lists(ctrl, prplists, nprplists, cmd, &lists))
		return -1;

	return build(&lists, cmd, &(struct nvme_data){ .iova = iov, .n = niov });
}

int nvme_mapv_prp(struct nvme_ctrl *ctrl, leint64_t *prplists, int nprplists, union nvme_cmd *cmd,
		  struct iovec *iov, int niov)
{
	struct nvme_lists lists;

	if (caller_lists(ctrl, prplists, nprplists, cmd, &lists))
		return -1;

	return build(&lists, cmd, &(struct nvme_data){ .iov = iov, .n = niov });
}
