/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A search tree of extents that do not overlap, which also finds free room. */
#ifndef VFN_SRC_IOMMU_TREE_H
#define VFN_SRC_IOMMU_TREE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Part of an I/O virtual address space. A free one has count 0; a mapping has
 * one count if it is persistent, one for each ephemeral map and one for each pin.
 */
struct iommu_extent {
	/* the tree's */
	struct iommu_extent *left, *right;
	uint64_t max_free;
	uint32_t rank;

	unsigned int count;
	uint64_t start;
	uint64_t len;

	void *vaddr;
	unsigned int ephemeral;
	unsigned int permissions;
	bool persistent;
	/* the kernel knows nothing of it; and it is in no range of the IOMMU */
	bool reserved;
	bool outside;
};

/*
 * A treap: a binary tree ordered by start, and a heap by rank, a hash, which keeps
 * it balanced. max_free is the length of the longest free extent below. Update the
 * tree after each change of an extent's start, length or count; it must not move
 * past another.
 */
void tree_insert(struct iommu_extent **root, struct iommu_extent *ext);
void tree_remove(struct iommu_extent **root, struct iommu_extent *ext);
void tree_update(struct iommu_extent *root, const struct iommu_extent *ext);

/* The extent that contains @addr, or NULL. */
struct iommu_extent *tree_find(struct iommu_extent *root, uint64_t addr);
/* The first extent that ends behind @addr, or NULL. */
struct iommu_extent *tree_next(struct iommu_extent *root, uint64_t addr);
/* The lowest, or highest, free extent with room for @len bytes at a multiple of @align. */
struct iommu_extent *tree_fit(struct iommu_extent *root, uint64_t len, uint64_t align, bool top);
/* Where in a free extent the @len bytes go. False if there is no room. */
bool extent_place(const struct iommu_extent *ext, uint64_t len, uint64_t align, bool top,
		  uint64_t *start);

#endif /* VFN_SRC_IOMMU_TREE_H */
