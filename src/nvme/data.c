// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* A command's data as callers describe it: vectors, walked piece by contiguous piece. */
#include <errno.h>

#include "nvme/nvme.h"
#include "support/error.h"

static int empty_or_wraps(struct nvme_ctrl *ctrl, uint64_t start, size_t len)
{
	return vfn_fail(EINVAL, "%s: a piece of data of %zu bytes at 0x%llx is empty or wraps",
			nvme_name(ctrl), len, (unsigned long long)start);
}

/* Bits 1:0 of an opcode say which way the data goes (section 3.3.3.1). */
static int check_cmb(struct nvme_ctrl *ctrl, uint8_t opcode, iova_t iova)
{
	if (likely(!nvme_in_cmb(ctrl, iova)))
		return 0;

	return vfn_nvme_cmb_check(ctrl, (opcode & 1 ? VFN_NVME_CMB_WRITE : 0) |
						(opcode & 2 ? VFN_NVME_CMB_READ : 0));
}

/* A piece may lie in several mappings. */
static int walk_vaddr(struct nvme_ctrl *ctrl, uint8_t opcode, const char *vaddr, size_t len,
		      nvme_piece_fn *add, void *opaque)
{
	struct iommu_ctx *ctx = __iommu_ctx(ctrl);
	iova_t iova;
	size_t run;

	if ((uintptr_t)vaddr + len <= (uintptr_t)vaddr)
		return empty_or_wraps(ctrl, (uintptr_t)vaddr, len);

	for (; len; vaddr += run, len -= run) {
		run = vfn_iommu_translate(ctx, vaddr, len, &iova);
		if (!run)
			return vfn_fail(EFAULT,
					"%s: data at %p is not mapped: see iommu_map_vaddr()",
					nvme_name(ctrl), (const void *)vaddr);
		if (check_cmb(ctrl, opcode, iova) || add(opaque, iova, run))
			return -1;
	}

	return 0;
}

static int walk_iova(struct nvme_ctrl *ctrl, uint8_t opcode, iova_t iova, size_t len,
		     nvme_piece_fn *add, void *opaque)
{
	if (iova + len <= iova)
		return empty_or_wraps(ctrl, iova, len);
	if (check_cmb(ctrl, opcode, iova))
		return -1;

	return add(opaque, iova, len);
}

int nvme_walk_data(struct nvme_ctrl *ctrl, uint8_t opcode, const struct nvme_data *data,
		   nvme_piece_fn *add, void *opaque)
{
	int ret = 0;

	if ((!data->iov && !data->iova) || data->n < 1)
		return vfn_fail(EINVAL, "%s: no pieces of data", nvme_name(ctrl));

	for (int i = 0; i < data->n && !ret; i++) {
		if (data->iov)
			ret = walk_vaddr(ctrl, opcode, data->iov[i].iov_base, data->iov[i].iov_len,
					 add, opaque);
		else
			ret = walk_iova(ctrl, opcode, data->iova[i].iova, data->iova[i].len, add,
					opaque);
	}

	return ret;
}

void nvme_clear_dptr(union nvme_cmd *cmd)
{
	cmd->flags &= (uint8_t) ~(NVME_CMD_FLAGS_PSDT_MASK << NVME_CMD_FLAGS_PSDT_SHIFT);
	cmd->dptr.prp1 = cpu_to_le64(0);
	cmd->dptr.prp2 = cpu_to_le64(0);
}
