// SPDX-License-Identifier: GPL-2.0-or-later
/* The iommu layer: map memory, translate, share an address space. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vfn/iommu.h>
#include <vfn/iommu/iommufd.h>
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

/* [choice] */
static void print_choice(const char *bdf)
{
	char why[256];

	switch (vfn_iommu_choose(bdf, why, sizeof(why))) {
	case VFN_IOMMU_IOMMUFD:
	case VFN_IOMMU_TYPE1:
		printf("would open by %s\n", why);
		break;
	case VFN_IOMMU_NONE:
		printf("cannot open it: %s\n", why);
		break;
	default:
		fail();
	}
}
/* [choice-end] */

/* [file] */
static void map_file(struct iommu_ctx *ctx)
{
	const size_t len = 64 * 1024;
	int fd = memfd_create("buffer", MFD_CLOEXEC);
	iova_t iova;
	void *mem;

	if (fd < 0 || ftruncate(fd, (off_t)len))
		fail();
	mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		fail();

	/* where the kernel cannot do it, the memory is mapped as any other */
	if (vfn_iommu_map_file(ctx, fd, 0, mem, len, &iova, 0) &&
	    (errno != ENOTSUP || iommu_map_vaddr(ctx, mem, len, &iova, 0)))
		fail();
	close(fd);

	if (iommu_unmap_vaddr(ctx, mem, NULL))
		fail();
	munmap(mem, len);
}
/* [file-end] */

/* [faults] */
static bool back_page(struct iommu_ctx *ctx, uint64_t addr)
{
	size_t size = __VFN_PAGESIZE;
	iova_t iova = addr & ~(uint64_t)(size - 1);
	void *page;

	if (iommu_translate_iova(ctx, iova, &page) > 0)
		return true; /* it asks once more */
	if (pgmap(&page, size) < 0)
		return false;
	if (!iommu_map_vaddr(ctx, page, size, &iova, IOMMU_MAP_FIXED_IOVA))
		return true;

	pgunmap(page, size);

	return false;
}

/* whenever poll(2) says that fq->fault_fd is readable */
static void serve_faults(struct iommu_ctx *ctx, struct iommufd_fault_queue *fq)
{
	struct vfn_iommufd_fault faults[64];
	int n = vfn_iommufd_get_faults(fq, faults, 64);
	bool resolved = true;

	if (n < 0)
		fail();
	for (int i = 0; i < n; i++) {
		resolved = back_page(ctx, faults[i].addr) && resolved;
		if (!(faults[i].flags & VFN_IOMMUFD_FAULT_LAST))
			continue;
		if (vfn_iommufd_answer_fault(fq, &faults[i], resolved))
			fail();
		resolved = true;
	}
}

static void with_page_faults(struct nvme_ctrl *ctrl)
{
	struct iommu_ctx *ctx = __iommu_ctx(ctrl);
	struct iommufd_fault_queue fq;

	if (!iommu_ctx_is_iommufd(ctx))
		return;
	if (iommufd_alloc_fault_queue(&fq))
		fail();
	if (iommufd_set_fault_queue(ctx, &fq, ctrl->pci.dev.fd))
		fail();

	serve_faults(ctx, &fq);

	if (iommufd_set_fault_queue(ctx, NULL, ctrl->pci.dev.fd))
		fail();
	vfn_iommufd_free_fault_queue(&fq);
}
/* [faults-end] */

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

	print_choice(argv[1]);
	map_and_unmap(ctx);
	map_file(ctx);
	with_page_faults(&first);
	translate(ctx, &buffer);
	print_ranges(ctx);

	iommu_put_dmabuf(&buffer);
	nvme_close(&second);
	nvme_close(&first);

	return 0;
}
