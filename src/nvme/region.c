// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Memory of the controller's own: part of a base address register, with an I/O virtual address. */
#include <errno.h>
#include <sys/mman.h>

#include <vfn/support/align.h>
#include <vfn/support/mem.h>

#include "iommu/context.h"
#include "nvme/nvme.h"
#include "support/error.h"

/* The part of the region that there is, in whole pages of the host; 0 if none. */
static size_t clip(struct nvme_ctrl *ctrl, const struct nvme_region *region)
{
	uint64_t room = 0, size = region->size;

	/* BAR 1 can only be the upper half of BAR 0 */
	if (region->bar < PCI_STD_NUM_BARS && region->bar != 1)
		room = ctrl->pci.bar_region_info[region->bar].size;

	room = region->offset < room ? room - region->offset : 0;

	return ALIGN_DOWN(size < room ? size : room, __VFN_PAGESIZE);
}

/*
 * Commands of this controller need an address for the memory. That the IOMMU leads
 * other devices there, too, is more than every kernel can do, or every address allows.
 */
static int map_at(struct iommu_ctx *ctx, struct nvme_region *region, unsigned long flags)
{
	bool beyond = flags & IOMMU_MAP_FIXED_IOVA && !region->movable;

	region->peers = !iommu_map_vaddr(ctx, region->vaddr, region->size, &region->iova, flags);
	if (region->peers)
		return 0;
	if (errno != ENOTSUP && !(errno == EINVAL && beyond))
		return -1;

	return iommu_reserve_vaddr(ctx, region->vaddr, region->size, &region->iova, flags);
}

static int map_address(struct iommu_ctx *ctx, struct nvme_region *region)
{
	if (region->iova) {
		if (!map_at(ctx, region, IOMMU_MAP_FIXED_IOVA))
			return 0;
		/* in use, or beyond the IOMMU */
		if (!region->movable || (errno != EEXIST && errno != EINVAL))
			return -1;
	}

	return map_at(ctx, region, 0);
}

int nvme_map_region(struct nvme_ctrl *ctrl, struct nvme_region *region)
{
	size_t size = clip(ctrl, region);

	if (!size)
		return vfn_fail(ENOTSUP, "%s: BAR %d has no memory at 0x%llx, where some should be",
				nvme_name(ctrl), region->bar, (unsigned long long)region->offset);

	region->size = size;
	region->vaddr = vfio_pci_map_bar(&ctrl->pci, region->bar, size, region->offset,
					 PROT_READ | PROT_WRITE);
	if (!region->vaddr)
		return -1;

	if (map_address(__iommu_ctx(ctrl), region)) {
		int saved = errno;

		vfio_pci_unmap_bar(&ctrl->pci, region->bar, region->vaddr, size, region->offset);
		errno = saved;
		return -1;
	}

	return 0;
}

void nvme_unmap_region(struct nvme_ctrl *ctrl, const struct nvme_region *region)
{
	int saved = errno;

	(void)iommu_unmap_vaddr(__iommu_ctx(ctrl), region->vaddr, NULL);
	vfio_pci_unmap_bar(&ctrl->pci, region->bar, region->vaddr, region->size, region->offset);
	errno = saved;
}
