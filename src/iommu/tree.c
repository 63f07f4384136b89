// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The extents of an address space as a treap. */
#include "iommu/tree.h"

#include <stddef.h>

#include <vfn/support/align.h>

/* Bits that are spread evenly, whatever @v: from the finaliser of splitmix64. */
static uint32_t hash(uint64_t v)
{
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9ULL;
	v = (v ^ v >> 27) * 0x94d049bb133111ebULL;

	return (uint32_t)(v >> 32);
}

static void update(struct iommu_extent *ext)
{
	uint64_t max = ext->count ? 0 : ext->len;

	if (ext->left && ext->left->max_free > max)
		max = ext->left->max_free;
	if (ext->right && ext->right->max_free > max)
		max = ext->right->max_free;

	ext->max_free = max;
}

/* All of @left lies below all of @right. */
static struct iommu_extent *merge(struct iommu_extent *left, struct iommu_extent *right)
{
	if (!left)
		return right;
	if (!right)
		return left;

	if (left->rank > right->rank) {
		left->right = merge(left->right, right);
		update(left);
		return left;
	}

	right->left = merge(left, right->left);
	update(right);

	return right;
}

static void split(struct iommu_extent *root, uint64_t start, struct iommu_extent **left,
		  struct iommu_extent **right)
{
	if (!root) {
		*left = *right = NULL;
		return;
	}

	if (root->start < start) {
		split(root->right, start, &root->right, right);
		*left = root;
	} else {
		split(root->left, start, left, &root->left);
		*right = root;
	}

	update(root);
}

static void insert(struct iommu_extent **root, struct iommu_extent *ext)
{
	if (*root && (*root)->rank > ext->rank) {
		insert(ext->start < (*root)->start ? &(*root)->left : &(*root)->right, ext);
		update(*root);
		return;
	}

	split(*root, ext->start, &ext->left, &ext->right);
	update(ext);
	*root = ext;
}

void tree_insert(struct iommu_extent **root, struct iommu_extent *ext)
{
	ext->rank = hash(ext->start);
	insert(root, ext);
}

void tree_update(struct iommu_extent *root, const struct iommu_extent *ext)
{
	if (root != ext)
		tree_update(ext->start < root->start ? root->left : root->right, ext);
	update(root);
}

void tree_remove(struct iommu_extent **root, struct iommu_extent *ext)
{
	if (*root == ext) {
		*root = merge(ext->left, ext->right);
		return;
	}

	tree_remove(ext->start < (*root)->start ? &(*root)->left : &(*root)->right, ext);
	update(*root);
}

struct iommu_extent *tree_find(struct iommu_extent *root, uint64_t addr)
{
	struct iommu_extent *ext = tree_next(root, addr);

	return ext && ext->start <= addr ? ext : NULL;
}

struct iommu_extent *tree_next(struct iommu_extent *root, uint64_t addr)
{
	struct iommu_extent *next = NULL;

	while (root) {
		if (addr < root->start || addr - root->start < root->len) {
			next = root;
			root = root->left;
		} else {
			root = root->right;
		}
	}

	return next;
}

bool extent_place(const struct iommu_extent *ext, uint64_t len, uint64_t align, bool top,
		  uint64_t *start)
{
	uint64_t last = ext->start + (ext->len - 1), first;

	if (ext->count || ext->len < len)
		return false;

	if (top) {
		first = ALIGN_DOWN(last - (len - 1), align);
		if (first < ext->start)
			return false;
	} else {
		first = ALIGN_UP(ext->start, align);
		if (first < ext->start || first > last || last - first < len - 1)
			return false;
	}

	*start = first;

	return true;
}

struct iommu_extent *tree_fit(struct iommu_extent *root, uint64_t len, uint64_t align, bool top)
{
	struct iommu_extent *found;
	uint64_t start;

	if (!root || root->max_free < len)
		return NULL;

	found = tree_fit(top ? root->right : root->left, len, align, top);
	if (found)
		return found;

	if (extent_place(root, len, align, top, &start))
		return root;

	return tree_fit(top ? root->left : root->right, len, align, top);
}
