// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Scatter gather lists: memory described piece by piece (Base Specification 2.0, section 4.1.2). */
#include <errno.h>

#include "iommu/table.h"
#include "nvme/nvme.h"
#include "support/error.h"

/* Most bytes of one descriptor: what follows them starts on a page again. */
#define SGLD_LEN_MAX 0xfffff000u

struct sgl {
	struct nvme_lists *lists;
	/* page, and slot in it, for the next descriptor; the last slot may become a link */
	struct nvme_sgld *segment;
	int page;
	size_t slot, slots;
	bool full;
	/* contiguous memory that has no descriptor yet */
	iova_t iova;
	size_t len;
};

static struct nvme_sgld descriptor(enum nvme_sgld_type type, iova_t addr, size_t len)
{
	return (struct nvme_sgld){
		.addr = cpu_to_le64(addr),
		.len = cpu_to_le32((uint32_t)len),
		.type = (uint8_t)(type << NVME_SGLD_TYPE_SHIFT),
	};
}

static bool misaligned(const struct nvme_ctrl *ctrl, iova_t iova, size_t len)
{
	return ctrl->flags & NVME_CTRL_F_SGLS_DWORD_ALIGNMENT && (iova | len) & 3;
}

static void set_psdt(union nvme_cmd *cmd)
{
	cmd->flags &= (uint8_t) ~(NVME_CMD_FLAGS_PSDT_MASK << NVME_CMD_FLAGS_PSDT_SHIFT);
	cmd->flags |= NVME_CMD_FLAGS_PSDT_SGL_MPTR_CONTIG << NVME_CMD_FLAGS_PSDT_SHIFT;
}

static int check_alignment(const struct sgl *sgl)
{
	struct nvme_ctrl *ctrl = sgl->lists->ctrl;

	if (misaligned(ctrl, sgl->iova, sgl->len))
		return vfn_fail(
			EINVAL,
			"%s: %zu bytes of data at 0x%llx: the controller wants SGL data in multiples of 4",
			nvme_name(ctrl), sgl->len, (unsigned long long)sgl->iova);

	return 0;
}

static int put(struct sgl *sgl, struct nvme_sgld sgld)
{
	struct nvme_sgld *next;

	if (sgl->slot == sgl->slots) {
		if (sgl->page + 1 >= sgl->lists->n) {
			sgl->full = true;
			return -1;
		}

		/* finish() makes the link of the last slot, what it had moves on */
		next = nvme_list_page(sgl->lists, ++sgl->page);
		next[0] = sgl->segment[sgl->slots - 1];
		sgl->segment = next;
		sgl->slot = 1;
	}

	if (!sgl->slot && nvme_begin_lists(sgl->lists))
		return -1;

	sgl->segment[sgl->slot++] = sgld;

	return 0;
}

/* Describe what has no descriptor yet. */
static int put_data(struct sgl *sgl)
{
	if (check_alignment(sgl))
		return -1;

	while (sgl->len) {
		size_t len = sgl->len < SGLD_LEN_MAX ? sgl->len : SGLD_LEN_MAX;

		if (put(sgl, descriptor(NVME_SGLD_TYPE_DATA_BLOCK, sgl->iova, len)))
			return -1;

		sgl->iova += len;
		sgl->len -= len;
	}

	return 0;
}

static int add(void *opaque, iova_t iova, size_t len)
{
	struct sgl *sgl = opaque;

	if (sgl->len && iova == sgl->iova + sgl->len) {
		sgl->len += len;
		return 0;
	}

	if (put_data(sgl))
		return -1;

	sgl->iova = iova;
	sgl->len = len;

	return 0;
}

/* All in one piece needs no segment. */
static int finish(struct sgl *sgl, struct nvme_sgld *link)
{
	if (!sgl->page && !sgl->slot && sgl->len <= SGLD_LEN_MAX) {
		if (check_alignment(sgl))
			return -1;
		*link = descriptor(NVME_SGLD_TYPE_DATA_BLOCK, sgl->iova, sgl->len);
		return 0;
	}

	if (put_data(sgl))
		return -1;

	/* each page but the last is full, and its last descriptor leads to the next */
	for (int i = 0; i <= sgl->page; i++) {
		bool last = i == sgl->page;

		*link = descriptor(last ? NVME_SGLD_TYPE_LAST_SEGMENT : NVME_SGLD_TYPE_SEGMENT,
				   nvme_list_iova(sgl->lists, i),
				   (last ? sgl->slot : sgl->slots) * sizeof(*link));
		link = (struct nvme_sgld *)nvme_list_page(sgl->lists, i) + sgl->slots - 1;
	}

	return 0;
}

static int build(struct nvme_lists *lists, union nvme_cmd *cmd, const struct nvme_data *data)
{
	struct nvme_ctrl *ctrl = lists->ctrl;
	struct sgl sgl;

	do {
		sgl = (struct sgl){
			.lists = lists,
			.segment = nvme_list_page(lists, 0),
			.slots = lists->n ? lists->pagesize / sizeof(*sgl.segment) : 0,
		};
		if (!nvme_walk_data(ctrl, cmd->opcode, data, add, &sgl) &&
		    !finish(&sgl, &cmd->dptr.sgl)) {
			set_psdt(cmd);
			return 0;
		}
	} while (sgl.full && !nvme_grow_lists(lists));

	return -1;
}

/* Out of line, so that the common case needs few registers. */
static __attribute__((noinline)) int build_for_rq(struct nvme_ctrl *ctrl, struct nvme_rq *rq,
						  union nvme_cmd *cmd, const struct iovec *iov,
						  const struct iova_vec *iova, int n)
{
	struct nvme_lists lists = nvme_rq_lists(ctrl, rq);

	nvme_clear_dptr(cmd);

	return build(&lists, cmd, &(struct nvme_data){ .iov = iov, .iova = iova, .n = n });
}

/*
 * The common case, one piece: it is described in the command. False leaves that as it is,
 * and the rest of this file sees to it.
 */
static inline bool map_piece(const struct nvme_ctrl *ctrl, union nvme_cmd *cmd, iova_t iova,
			     size_t len)
{
	if (unlikely(iova + len <= iova || len > SGLD_LEN_MAX || misaligned(ctrl, iova, len) ||
		     nvme_in_cmb(ctrl, iova)))
		return false;

	/* a data block, whose type is 0, in two words: what is stored in smaller parts is slow to copy */
	cmd->dptr.prp1 = cpu_to_le64(iova);
	cmd->dptr.prp2 = cpu_to_le64(len);
	set_psdt(cmd);

	return true;
}

static inline bool map_iova(const struct nvme_ctrl *ctrl, union nvme_cmd *cmd,
			    const struct iova_vec *iov, int niov)
{
	return niov == 1 && iov && map_piece(ctrl, cmd, iov->iova, iov->len);
}

__static_assert(NVME_SGLD_TYPE_DATA_BLOCK == 0);

/* One look at the mapping must tell of all of it. */
static inline bool map_vaddr(const struct nvme_ctrl *ctrl, union nvme_cmd *cmd,
			     const struct iovec *iov, int niov)
{
	const struct iommu_ctx *ctx = __iommu_ctx(ctrl);
	uint64_t addr, entry;

	if (unlikely(niov != 1) || unlikely(!iov) || unlikely(!ctx))
		return false;

	addr = (uintptr_t)iov->iov_base;
	entry = iommu_table_entry(ctx, addr);

	return likely((addr & TABLE_PAGE_MASK) + iov->iov_len <= iommu_entry_run(entry)) &&
	       map_piece(ctrl, cmd, iommu_entry_iova(entry, addr), iov->iov_len);
}

static int build_for_caller(struct nvme_ctrl *ctrl, struct nvme_sgld *seglist, iova_t iova,
			    int npages, union nvme_cmd *cmd, const struct nvme_data *data)
{
	struct nvme_lists lists = nvme_caller_lists(ctrl, seglist, iova, seglist ? npages : 0);

	nvme_clear_dptr(cmd);

	if (npages < 1)
		return vfn_fail(EINVAL, "%s: %d pages for SGL segments", nvme_name(ctrl), npages);
	if (iova & 7)
		return vfn_fail(EINVAL, "%s: the SGL segment at 0x%llx is not aligned to 8 bytes",
				nvme_name(ctrl), (unsigned long long)iova);

	if (nvme_in_cmb(ctrl, iova) && vfn_nvme_cmb_check(ctrl, VFN_NVME_CMB_LISTS))
		return -1;

	return build(&lists, cmd, data);
}

int vfn_nvme_mapv_iova_sgl(struct nvme_ctrl *ctrl, struct nvme_sgld *seglist, iova_t seglist_iova,
			   int npages, union nvme_cmd *cmd, struct iova_vec *iov, int niov)
{
	return build_for_caller(ctrl, seglist, seglist_iova, npages, cmd,
				&(struct nvme_data){ .iova = iov, .n = niov });
}

int vfn_nvme_mapv_sgl(struct nvme_ctrl *ctrl, struct nvme_sgld *seglist, iova_t seglist_iova,
		      int npages, union nvme_cmd *cmd, struct iovec *iov, int niov)
{
	return build_for_caller(ctrl, seglist, seglist_iova, npages, cmd,
				&(struct nvme_data){ .iov = iov, .n = niov });
}

int nvme_mapv_iova_sgl(struct nvme_ctrl *ctrl, struct nvme_sgld *seglist, iova_t seglist_iova,
		       union nvme_cmd *cmd, struct iova_vec *iov, int niov)
{
	return vfn_nvme_mapv_iova_sgl(ctrl, seglist, seglist_iova, 1, cmd, iov, niov);
}

int nvme_mapv_sgl(struct nvme_ctrl *ctrl, struct nvme_sgld *seglist, iova_t seglist_iova,
		  union nvme_cmd *cmd, struct iovec *iov, int niov)
{
	return vfn_nvme_mapv_sgl(ctrl, seglist, seglist_iova, 1, cmd, iov, niov);
}

int nvme_rq_mapv_iova_sgl(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd,
			  struct iova_vec *iov, int niov)
{
	if (likely(map_iova(ctrl, cmd, iov, niov)))
		return 0;

	return build_for_rq(ctrl, rq, cmd, NULL, iov, niov);
}

int nvme_rq_mapv_sgl(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd,
		     struct iovec *iov, int niov)
{
	if (likely(map_vaddr(ctrl, cmd, iov, niov)))
		return 0;

	return build_for_rq(ctrl, rq, cmd, iov, NULL, niov);
}

/* What is off its dwords, or much too long, for an SGL may still suit PRPs. */
static __attribute__((noinline)) int build_either(struct nvme_ctrl *ctrl, struct nvme_rq *rq,
						  union nvme_cmd *cmd, struct iovec *iov, int niov)
{
	if (!build_for_rq(ctrl, rq, cmd, iov, NULL, niov))
		return 0;

	return errno == EINVAL ? nvme_rq_mapv_prp(ctrl, rq, cmd, iov, niov) : -1;
}

int nvme_rq_mapv(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd, struct iovec *iov,
		 int niov)
{
	if (!(ctrl->flags & NVME_CTRL_F_SGLS_SUPPORTED) || rq->sq->id == NVME_AQ)
		return nvme_rq_mapv_prp(ctrl, rq, cmd, iov, niov);

	if (likely(map_vaddr(ctrl, cmd, iov, niov)))
		return 0;

	return build_either(ctrl, rq, cmd, iov, niov);
}
