/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Page memory that is mapped for DMA from allocation to release. */
#ifndef VFN_IOMMU_DMABUF_H
#define VFN_IOMMU_DMABUF_H

#include <sys/types.h>

#include <vfn/iommu/dma.h>
#include <vfn/support/autoptr.h>
#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS

/**
 * struct iommu_dmabuf - a buffer for DMA
 * @ctx: address space it is mapped in
 * @vaddr: address for the program
 * @iova: address for devices
 * @len: bytes, whole pages; 0 means there is no buffer
 */
struct iommu_dmabuf {
	struct iommu_ctx *ctx;
	void *vaddr;
	iova_t iova;
	ssize_t len;
};

/**
 * iommu_get_dmabuf - allocate zeroed pages and map them
 * @ctx: address space
 * @buffer: filled in; all zero on error
 * @len: bytes, rounded up to pages
 * @flags: of enum iommu_map_flags
 *
 * Thread-safe. The buffer belongs to the caller until iommu_put_dmabuf().
 * Children of a fork() do not get it. Core dumps have it, unless the caller
 * says madvise(buffer->vaddr, buffer->len, MADV_DONTDUMP).
 *
 * Return: 0, or -1 with errno as pgmap() and iommu_map_vaddr().
 */
int iommu_get_dmabuf(struct iommu_ctx *ctx, struct iommu_dmabuf *buffer, size_t len,
		     unsigned long flags);

/**
 * iommu_put_dmabuf - unmap and free a buffer, and zero its description
 * @buffer: buffer; nothing happens where its len is 0
 *
 * Memory that cannot be unmapped is not freed: a device may still reach it. Thread-safe as
 * far as buffers are not shared.
 */
void iommu_put_dmabuf(struct iommu_dmabuf *buffer);

/**
 * __do_iommu_put_dmabuf - iommu_put_dmabuf() as __autovar_s() calls it
 * @p: buffer
 *
 * Thread rule as for that.
 */
VFN_INLINE void __do_iommu_put_dmabuf(void *p)
{
	iommu_put_dmabuf((struct iommu_dmabuf *)p);
}

/* __autovar_s(iommu_dmabuf) buffer = {}; is released at the end of its scope. */
DEFINE_AUTOVAR_STRUCT(iommu_dmabuf, __do_iommu_put_dmabuf)

VFN_END_DECLS

#endif /* VFN_IOMMU_DMABUF_H */
