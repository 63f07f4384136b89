/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Inside the translation table: what a reader needs to find an address without a call. */
#ifndef VFN_SRC_IOMMU_TABLE_H
#define VFN_SRC_IOMMU_TABLE_H

#include <vfn/support/atomic.h>
#include <vfn/support/compiler.h>

#include "iommu/context.h"

/*
 * Addresses have 48 bits: 12 for each of three levels, and 12 within a page. An
 * entry of the last level is the I/O virtual address of a page, which is never 0;
 * its lower bits are of enum iommu_page_bits and, from bit 3 on, a run: how many
 * pages from this one on lie in the same mapping, as far as the field goes, so
 * that a transfer takes one look. It is stored after the IOMMU has the whole
 * mapping, so a run holds as long as the mapping does, whatever other threads map.
 * A run of 0 asks for more than that look: nothing is there, not all devices and
 * commands may use it, or it is no memory of the process.
 */
#define TABLE_PAGE_SHIFT 12
#define TABLE_LEVEL_SHIFT 12
#define TABLE_ENTRIES (1UL << TABLE_LEVEL_SHIFT)
#define TABLE_LEAF_SHIFT (TABLE_PAGE_SHIFT + TABLE_LEVEL_SHIFT)
#define TABLE_ROOT_SHIFT (TABLE_LEAF_SHIFT + TABLE_LEVEL_SHIFT)
#define TABLE_VADDR_BITS (TABLE_ROOT_SHIFT + TABLE_LEVEL_SHIFT)

#define TABLE_PAGE_BYTES (1UL << TABLE_PAGE_SHIFT)
#define TABLE_PAGE_MASK (TABLE_PAGE_BYTES - 1)
#define TABLE_LEAF_BYTES (1UL << TABLE_LEAF_SHIFT)

#define TABLE_RUN_SHIFT 3
#define TABLE_RUN_MAX 511UL
#define TABLE_RUN_MASK (TABLE_RUN_MAX << TABLE_RUN_SHIFT)

struct iommu_table {
	uint64_t entry[TABLE_ENTRIES];
};

__static_assert(sizeof(struct iommu_table) == IOMMU_TABLE_BYTES);

static inline size_t iommu_table_index(uint64_t vaddr, unsigned int shift)
{
	return vaddr >> shift & (TABLE_ENTRIES - 1);
}

static inline struct iommu_table *iommu_table_below(const uint64_t *entry)
{
	return (struct iommu_table *)(uintptr_t)atomic_load_acquire(entry);
}

/* The table with the entry of @vaddr's page, or NULL. It stays as long as the address space. */
static inline struct iommu_table *iommu_table_leaf(const struct iommu_ctx *ctx, uint64_t vaddr)
{
	struct iommu_table *table;

	if (unlikely(vaddr >> TABLE_VADDR_BITS))
		return NULL;

	table = iommu_table_below(&ctx->root->entry[vaddr >> TABLE_ROOT_SHIFT]);

	return likely(table) ? iommu_table_below(
				       &table->entry[iommu_table_index(vaddr, TABLE_LEAF_SHIFT)]) :
			       NULL;
}

/* The entry of @vaddr's page; 0 without. */
static inline uint64_t iommu_table_entry(const struct iommu_ctx *ctx, uint64_t vaddr)
{
	struct iommu_table *leaf = iommu_table_leaf(ctx, vaddr);

	return likely(leaf) ? atomic_load_acquire(
				      &leaf->entry[iommu_table_index(vaddr, TABLE_PAGE_SHIFT)]) :
			      0;
}

/* Bytes from the start of the entry's page on that the entry speaks for; 0: look closer. */
static inline size_t iommu_entry_run(uint64_t entry)
{
	return (entry & TABLE_RUN_MASK) << (TABLE_PAGE_SHIFT - TABLE_RUN_SHIFT);
}

/* The I/O virtual address of @vaddr, whose page has this entry. */
static inline iova_t iommu_entry_iova(uint64_t entry, uint64_t vaddr)
{
	return (entry & ~TABLE_PAGE_MASK) | (vaddr & TABLE_PAGE_MASK);
}

#endif /* VFN_SRC_IOMMU_TABLE_H */
