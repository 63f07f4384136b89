// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Memory for data: the library's, and the caller's that the controller is to reach. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <vfn/support/align.h>
#include <vfn/support/mem.h>
#include <vfn/support/mutex.h>

#include "blk/blk.h"
#include "os/os.h"
#include "support/error.h"

#define HUGE_PAGE (2UL << 20)

static struct blk_area **bucket_of(struct vfn_blk *blk, const void *start)
{
	uint64_t page = (uintptr_t)start >> 12;

	return &blk->areas.bucket[page * 0x9e3779b97f4a7c15ULL >> 56];
}

static void add_area(struct vfn_blk *blk, struct blk_area *area)
{
	struct blk_area **bucket = bucket_of(blk, area->start);

	__autolock(&blk->areas.lock);

	area->next = *bucket;
	*bucket = area;
}

static struct blk_area *take_area(struct vfn_blk *blk, const void *start, bool allocated)
{
	struct blk_area **p = bucket_of(blk, start), *area;

	__autolock(&blk->areas.lock);

	while (*p && ((*p)->start != start || (*p)->allocated != allocated))
		p = &(*p)->next;

	area = *p;
	if (area)
		*p = area->next;

	return area;
}

/* Room for that many bytes, at a huge page if there is one in it. */
static ssize_t get_pages(void **mem, size_t len)
{
	char *start, *aligned, *end;
	size_t lead;

	if (len < HUGE_PAGE)
		return pgmap(mem, len);

	len = ALIGN_UP(len, __VFN_PAGESIZE);
	if (len > PTRDIFF_MAX - HUGE_PAGE) {
		errno = ENOMEM;
		return -1;
	}
	if (pgmap(mem, len + HUGE_PAGE) < 0)
		return -1;

	start = *mem;
	end = start + len + HUGE_PAGE;
	lead = -(uintptr_t)start & (HUGE_PAGE - 1);
	aligned = start + lead;
	if (lead)
		pgunmap(start, lead);
	if (aligned + len < end)
		pgunmap(aligned + len, (size_t)(end - (aligned + len)));

	/* what the kernel does not have it does not give */
	(void)os_madvise(aligned, len, MADV_HUGEPAGE);
	*mem = aligned;

	return (ssize_t)len;
}

void *vfn_blk_alloc(struct vfn_blk *blk, size_t len)
{
	struct blk_area *area = vfn_zalloc(sizeof(*area));
	ssize_t size;
	void *mem;
	int saved;

	if (!area)
		return NULL;

	size = get_pages(&mem, len);
	if (size < 0) {
		(void)vfn_fail(errno, "%s: cannot allocate %zu bytes", blk->info.bdf, len);
		goto free_area;
	}

	if (os_madvise(mem, (size_t)size, MADV_DONTFORK) ||
	    iommu_map_vaddr(blk_ctx(blk), mem, (size_t)size, NULL, 0))
		goto unmap;

	*area = (struct blk_area){
		.start = mem, .vaddr = mem, .len = (size_t)size, .allocated = true
	};
	add_area(blk, area);

	return mem;

unmap:
	saved = errno;
	pgunmap(mem, (size_t)size);
	errno = saved;
free_area:
	saved = errno;
	free(area);
	errno = saved;
	return NULL;
}

static void release(struct vfn_blk *blk, struct blk_area *area)
{
	/* what cannot be unmapped the controller may still reach */
	if (!iommu_unmap_vaddr(blk_ctx(blk), area->vaddr, NULL) && area->allocated)
		pgunmap(area->vaddr, area->len);
	free(area);
}

int vfn_blk_free(struct vfn_blk *blk, void *mem)
{
	struct blk_area *area;

	if (!mem)
		return 0;

	area = take_area(blk, mem, true);
	if (!area)
		return vfn_fail(ENOENT, "%s: %p is no memory of vfn_blk_alloc()", blk->info.bdf,
				mem);
	release(blk, area);

	return 0;
}

int vfn_blk_register(struct vfn_blk *blk, void *mem, size_t len)
{
	uint64_t start = (uintptr_t)mem, end = start + len, mask = __VFN_PAGESIZE - 1;
	struct blk_area *area;

	if (!len || end < start || end > UINT64_MAX - mask)
		return vfn_fail(EINVAL, "%s: cannot register %zu bytes at %p", blk->info.bdf, len,
				mem);

	area = vfn_zalloc(sizeof(*area));
	if (!area)
		return -1;

	*area = (struct blk_area){
		.start = mem,
		.vaddr = (char *)mem - (start & mask),
		.len = ALIGN_UP(end, __VFN_PAGESIZE) - (start & ~mask),
	};

	/* which is counted, so that handles do not take memory from each other */
	if (iommu_map_vaddr(blk_ctx(blk), area->vaddr, area->len, NULL, IOMMU_MAP_EPHEMERAL)) {
		int saved = errno;

		free(area);
		errno = saved;
		return -1;
	}

	add_area(blk, area);

	return 0;
}

int vfn_blk_unregister(struct vfn_blk *blk, void *mem)
{
	struct blk_area *area = take_area(blk, mem, false);

	if (!area)
		return vfn_fail(ENOENT, "%s: %p is not registered", blk->info.bdf, mem);
	release(blk, area);

	return 0;
}

void blk_release_areas(struct vfn_blk *blk)
{
	for (size_t i = 0; i < BLK_BUCKETS; i++) {
		struct blk_area *area;

		while ((area = blk->areas.bucket[i])) {
			blk->areas.bucket[i] = area->next;
			release(blk, area);
		}
	}
}
