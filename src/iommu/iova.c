// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Allocation of I/O virtual addresses. */
#include <errno.h>
#include <stdlib.h>

#include <vfn/support/align.h>
#include <vfn/support/mem.h>

#include "iommu/context.h"
#include "support/error.h"

static struct iommu_extent *new_extent(uint64_t start, uint64_t len)
{
	struct iommu_extent *ext = vfn_zalloc(sizeof(*ext));

	if (ext) {
		ext->start = start;
		ext->len = len;
	}

	return ext;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct iommu_iova_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Sort, drop what is empty, join what overlaps or touches. */
static int normalise(struct iommu_iova_range *ranges, unsigned int nranges)
{
	int n = 0;

	qsort(ranges, nranges, sizeof(*ranges), compare_ranges);

	for (unsigned int i = 0; i < nranges; i++) {
		struct iommu_iova_range *prev = n ? &ranges[n - 1] : NULL;

		if (ranges[i].start > ranges[i].last)
			continue;

		if (!prev || (prev->last != UINT64_MAX && ranges[i].start > prev->last + 1))
			ranges[n++] = ranges[i];
		else if (ranges[i].last > prev->last)
			prev->last = ranges[i].last;
	}

	return n;
}

/* Whole pages of the range, without the first of all and without the very last byte. */
static int add_range(struct iommu_ctx *ctx, const struct iommu_iova_range *range)
{
	uint64_t start = range->start, end, first;
	struct iommu_extent *ext;

	if (start < __VFN_PAGESIZE)
		start = __VFN_PAGESIZE;

	first = ALIGN_UP(start, __VFN_PAGESIZE);
	end = range->last == UINT64_MAX ? UINT64_MAX : range->last + 1;
	end = ALIGN_DOWN(end, __VFN_PAGESIZE);
	if (first < start || first >= end)
		return 0;

	ext = new_extent(first, end - first);
	if (!ext)
		return -1;

	tree_insert(&ctx->extents, ext);

	return 0;
}

/* Cut [start, start + len) out of a free extent, whose rest stays free. */
static struct iommu_extent *carve(struct iommu_ctx *ctx, struct iommu_extent *ext, uint64_t start,
				  uint64_t len)
{
	uint64_t end = start + len, ext_end = ext->start + ext->len;
	struct iommu_extent *cut, *after = NULL;

	if (len == ext->len) {
		ext->count = 1;
		tree_update(ctx->extents, ext);
		return ext;
	}

	cut = new_extent(start, len);
	if (!cut)
		return NULL;
	cut->count = 1;

	if (start == ext->start) {
		ext->start = end;
		ext->len -= len;
	} else {
		if (end < ext_end) {
			after = new_extent(end, ext_end - end);
			if (!after) {
				free(cut);
				return NULL;
			}
		}
		ext->len = start - ext->start;
	}

	tree_update(ctx->extents, ext);
	tree_insert(&ctx->extents, cut);
	if (after)
		tree_insert(&ctx->extents, after);

	return cut;
}

/* Nobody gets what lies in [start, end) any more. What is mapped there stays. */
static int withdraw(struct iommu_ctx *ctx, uint64_t start, uint64_t end)
{
	struct iommu_extent *ext;

	while (start < end && (ext = tree_next(ctx->extents, start)) && ext->start < end) {
		uint64_t from = ext->start > start ? ext->start : start;
		uint64_t ext_end = ext->start + ext->len;
		uint64_t to = ext_end < end ? ext_end : end;

		if (!ext->count && !carve(ctx, ext, from, to - from))
			return -1;
		start = to;
	}

	return 0;
}

/* Leave only what lies in the ranges. */
static int narrow(struct iommu_ctx *ctx, const struct iommu_iova_range *ranges, int n)
{
	uint64_t start = 0;

	for (int i = 0; i < n; i++) {
		uint64_t end = ALIGN_UP(ranges[i].start, __VFN_PAGESIZE);

		if (withdraw(ctx, start, end < ranges[i].start ? UINT64_MAX : end))
			return -1;
		if (ranges[i].last == UINT64_MAX)
			return 0;
		start = ALIGN_DOWN(ranges[i].last + 1, __VFN_PAGESIZE);
	}

	return withdraw(ctx, start, UINT64_MAX);
}

static int fill(struct iommu_ctx *ctx, const struct iommu_iova_range *ranges, int n)
{
	for (int i = 0; i < n; i++) {
		if (add_range(ctx, &ranges[i])) {
			iommu_forget_all(ctx);
			return -1;
		}
	}

	if (!ctx->extents)
		return vfn_fail(EPROTO, "%s: the IOMMU reports no usable address range", ctx->name);

	return 0;
}

int iova_set_ranges(struct iommu_ctx *ctx, const struct iommu_iova_range *ranges,
		    unsigned int nranges)
{
	struct iommu_iova_range *copy;
	int n;

	/* never empty, so that no range at all is not taken for lack of memory */
	copy = vfn_zalloc((nranges + 1) * sizeof(*copy));
	if (!copy)
		return -1;

	for (unsigned int i = 0; i < nranges; i++)
		copy[i] = ranges[i];

	n = normalise(copy, nranges);

	if (ctx->extents ? narrow(ctx, copy, n) : fill(ctx, copy, n)) {
		int saved = errno;

		free(copy);
		errno = saved;
		return -1;
	}

	free(ctx->ranges);
	ctx->ranges = copy;
	ctx->nranges = n;

	return 0;
}

struct iommu_extent *iova_alloc(struct iommu_ctx *ctx, uint64_t len, uint64_t align, bool top)
{
	struct iommu_extent *ext = tree_fit(ctx->extents, len, align, top);
	uint64_t start;

	if (!ext || !extent_place(ext, len, align, top, &start)) {
		(void)vfn_fail(ENOMEM, "%s: no free range of %llu bytes of I/O virtual addresses",
			       ctx->name, (unsigned long long)len);
		return NULL;
	}

	return carve(ctx, ext, start, len);
}

struct iommu_extent *iova_reserve(struct iommu_ctx *ctx, iova_t iova, uint64_t len)
{
	struct iommu_extent *ext = tree_find(ctx->extents, iova);
	uint64_t addr = iova;

	/* free extents never touch each other, so one must hold it all */
	if (ext && !ext->count && ext->len - (iova - ext->start) >= len)
		return carve(ctx, ext, iova, len);

	while (ext) {
		if (ext->count) {
			(void)vfn_fail(EEXIST, "%s: I/O virtual address 0x%llx is in use",
				       ctx->name, (unsigned long long)addr);
			return NULL;
		}

		addr = ext->start + ext->len;
		if (addr - iova >= len)
			break;
		ext = tree_find(ctx->extents, addr);
	}

	(void)vfn_fail(EINVAL, "%s: 0x%llx is outside the address ranges of the IOMMU", ctx->name,
		       (unsigned long long)addr);

	return NULL;
}

struct iommu_extent *iova_reserve_any(struct iommu_ctx *ctx, iova_t iova, uint64_t len)
{
	struct iommu_extent *next = tree_next(ctx->extents, iova), *ext;

	if (next && next->start < iova + len)
		return iova_reserve(ctx, iova, len);

	ext = new_extent(iova, len);
	if (!ext)
		return NULL;

	ext->count = 1;
	ext->outside = true;
	tree_insert(&ctx->extents, ext);

	return ext;
}

/* The free extent at an address, or NULL. */
static struct iommu_extent *find_free(const struct iommu_ctx *ctx, uint64_t addr)
{
	struct iommu_extent *ext = tree_find(ctx->extents, addr);

	return ext && !ext->count ? ext : NULL;
}

/* A free extent takes in one that it touches. */
static void join(struct iommu_ctx *ctx, struct iommu_extent *ext, struct iommu_extent *neighbour)
{
	tree_remove(&ctx->extents, neighbour);
	if (neighbour->start < ext->start)
		ext->start = neighbour->start;
	ext->len += neighbour->len;
	free(neighbour);
	tree_update(ctx->extents, ext);
}

/* Whether it may be given out again: a further group may have narrowed the ranges since. */
static bool usable(const struct iommu_ctx *ctx, const struct iommu_extent *ext)
{
	for (int i = 0; i < ctx->nranges; i++)
		if (ext->start >= ctx->ranges[i].start &&
		    ext->start + ext->len - 1 <= ctx->ranges[i].last)
			return true;

	return false;
}

void iova_release(struct iommu_ctx *ctx, struct iommu_extent *ext)
{
	struct iommu_extent *prev, *next;

	if (ext->outside) {
		tree_remove(&ctx->extents, ext);
		free(ext);
		return;
	}

	ext->vaddr = NULL;
	ext->ephemeral = 0;
	ext->persistent = false;
	ext->permissions = 0;
	ext->reserved = false;
	ext->count = !usable(ctx, ext);

	/* what lies outside by now stays withdrawn */
	if (ext->count)
		return;

	next = find_free(ctx, ext->start + ext->len);
	prev = find_free(ctx, ext->start - 1);

	tree_update(ctx->extents, ext);
	if (next)
		join(ctx, ext, next);
	if (prev)
		join(ctx, prev, ext);
}
