// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Memory that is allocated and mapped in one. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <vfn/support/align.h>
#include <vfn/support/log.h>
#include <vfn/support/mem.h>
#include <vfn/support/mutex.h>

#include "iommu/context.h"
#include "os/os.h"
#include "support/error.h"

int iommu_get_dmabuf(struct iommu_ctx *ctx, struct iommu_dmabuf *buffer, size_t len,
		     unsigned long flags)
{
	ssize_t size;
	void *vaddr;
	iova_t iova;

	memset(buffer, 0, sizeof(*buffer));

	if (flags & IOMMU_MAP_FIXED_IOVA)
		return vfn_fail(EINVAL, "buffer: a fixed address cannot be asked for");

	size = pgmap(&vaddr, len);
	if (size < 0)
		return vfn_fail(errno, "buffer: cannot allocate %zu bytes", len);

	/* a child that writes to it must not take the page from under the device */
	if (os_madvise(vaddr, (size_t)size, MADV_DONTFORK) ||
	    iommu_map_vaddr(ctx, vaddr, (size_t)size, &iova, flags)) {
		int saved = errno;

		pgunmap(vaddr, (size_t)size);
		errno = saved;
		return -1;
	}

	*buffer = (struct iommu_dmabuf){
		.ctx = ctx,
		.vaddr = vaddr,
		.iova = iova,
		.len = size,
	};

	return 0;
}

void iommu_put_dmabuf(struct iommu_dmabuf *buffer)
{
	if (!buffer->len)
		return;

	if (!iommu_unmap_vaddr(buffer->ctx, buffer->vaddr, NULL))
		pgunmap(buffer->vaddr, (size_t)buffer->len);
	else
		log_error("%s: %zd bytes stay allocated", vfn_last_error(), buffer->len);

	memset(buffer, 0, sizeof(*buffer));
}

/* Pages at just this address, or NULL. */
static void *pages_at(uint64_t addr, size_t len)
{
	void *want = (void *)(uintptr_t)addr, *got;

	got = os_mmap(want, len, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | (want ? MAP_FIXED_NOREPLACE : 0), -1, 0);
	if (got == MAP_FAILED)
		return NULL;

	/* to kernels before 4.17, and to qemu-user, the flag is a hint */
	if (want && got != want) {
		(void)os_munmap(got, len);
		return NULL;
	}

	return got;
}

static void *map_same(struct iommu_ctx *ctx, uint64_t addr, size_t len)
{
	void *vaddr = pages_at(addr, len);
	iova_t iova = same_iova(vaddr);

	if (!vaddr)
		return NULL;

	if (!iommu_map_vaddr(ctx, vaddr, len, &iova, IOMMU_MAP_FIXED_IOVA))
		return vaddr;

	(void)os_munmap(vaddr, len);

	return NULL;
}

/* Where the highest, or lowest, free range lies; 0 if there is none. */
static uint64_t free_place(struct iommu_ctx *ctx, size_t len, bool top)
{
	struct iommu_extent *ext;
	uint64_t start = 0;

	__autolock(&ctx->lock);

	ext = tree_fit(ctx->extents, len, __VFN_PAGESIZE, top);
	if (ext)
		(void)extent_place(ext, len, __VFN_PAGESIZE, top, &start);

	return start;
}

void *iommu_alloc_same_iova(struct iommu_ctx *ctx, size_t len)
{
	size_t size = ALIGN_UP(len, __VFN_PAGESIZE);
	void *vaddr;

	if (!ctx || size < len || !size) {
		(void)vfn_fail(EINVAL, "buffer: bad size of %zu bytes, or no address space", len);
		return NULL;
	}

	/* where the kernel likes it; many IOMMUs have fewer bits of address than that */
	vaddr = map_same(ctx, 0, size);
	for (int top = 1; !vaddr && top >= 0; top--) {
		uint64_t start = free_place(ctx, size, top);

		if (start)
			vaddr = map_same(ctx, start, size);
	}

	if (!vaddr)
		(void)vfn_fail(ENOMEM,
			       "%s: no %zu bytes are free at the same place in both address spaces",
			       ctx->name, size);

	return vaddr;
}

int iommu_free_same_iova(struct iommu_ctx *ctx, void *vaddr)
{
	size_t len;

	if (iommu_unmap_vaddr(ctx, vaddr, &len))
		return -1;

	return os_munmap(vaddr, len);
}
