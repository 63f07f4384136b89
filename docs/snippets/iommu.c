// SPDX-License-Identifier: GPL-2.0-or-later
/* The iommu layer: map memory, translate, share an address space. */
#include <inttypes.h>
#include <stdio.h>

#include <vfn/iommu.h>
#include <vfn/nvme.h>

#include "snippet.h"

/* [map] */
static void map_and_unmap(struct iommu_ctx *ctx)
{
	ssize_t len;
	iova_t iova;
	void *mem;

	len = pgmap(&mem, 64 * 1024);
	if (len < 0 || iommu_map_vaddr(ctx, mem, (size_t)len, &iova, 0))
		fail();

	/* a second time costs little, and gives the same address */
	if (iommu_map_vaddr(ctx, (char *)mem + 512, 100, &iova, 0))
		fail();

	if (iommu_unmap_vaddr(ctx, mem, NULL))
		fail();
	pgunmap(mem, (size_t)len);
}
/* [map-end] */

/* [translate] */
static void translate(struct iommu_ctx *ctx, struct iommu_dmabuf *buffer)
{
	size_t len = (size_t)buffer->len;
	iova_t iova;
	void *vaddr;

	/* how much of it follows each other for the device, too: all, it is one mapping */
	if (vfn_iommu_translate(ctx, buffer->vaddr, len, &iova) != len)
		fail();

	/* and back, which takes a lock */
	if (iommu_translate_iova(ctx, iova + 512, &vaddr) < 0)
		fail();
	printf("offset %td\n", (char *)vaddr - (char *)buffer->vaddr);
}
/* [translate-end] */

/* [ranges] */
static void print_ranges(struct iommu_ctx *ctx)
{
	struct iommu_iova_range *ranges;
	int n = iommu_get_iova_ranges(ctx, &ranges);

	if (n < 0)
		fail();
	for (int i = 0; i < n; i++)
		printf("0x%" PRIx64 " to 0x%" PRIx64 "\n", (uint64_t)ranges[i].start,
		       (uint64_t)ranges[i].last);
}
/* [ranges-end] */

int main(int argc, char **argv)
{
	/* [share] */
	struct iommu_ctx *ctx = iommu_get_context("both");
	struct nvme_ctrl first = { .pci.dev.ctx = ctx }, second = { .pci.dev.ctx = ctx };
	struct iommu_dmabuf buffer;

	if (!ctx || nvme_init(&first, argv[1], NULL))
		fail();
	if (argc > 2 && nvme_init(&second, argv[2], NULL))
		fail();

	/* reachable for both, at the same address */
	if (iommu_get_dmabuf(ctx, &buffer, 4096, 0))
		fail();
	/* [share-end] */

	map_and_unmap(ctx);
	translate(ctx, &buffer);
	print_ranges(ctx);

	iommu_put_dmabuf(&buffer);
	nvme_close(&second);
	nvme_close(&first);

	return 0;
}
