// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* From addresses of the process to I/O virtual addresses: three levels, as in a page table. */
#include <errno.h>
#include <stdlib.h>

#include <vfn/support/align.h>
#include <vfn/support/atomic.h>

#include "iommu/context.h"
#include "iommu/table.h"
#include "support/error.h"

static int add_table(uint64_t *entry)
{
	struct iommu_table *table;

	if (*entry)
		return 0;

	table = vfn_zalloc(sizeof(*table));
	if (!table)
		return -1;

	atomic_store_release(entry, (uint64_t)(uintptr_t)table);

	return 0;
}

/* End of the part of [vaddr, end) that has the same last table. */
static uint64_t leaf_end(uint64_t vaddr, uint64_t end)
{
	uint64_t next = ALIGN_DOWN(vaddr, TABLE_LEAF_BYTES) + TABLE_LEAF_BYTES;

	return next < end ? next : end;
}

int iommu_table_reserve(struct iommu_ctx *ctx, const void *vaddr, size_t len)
{
	uint64_t addr = (uintptr_t)vaddr, end = addr + len, *entry;

	if (end < addr || end > 1ULL << TABLE_VADDR_BITS)
		return vfn_fail(EINVAL, "%s: %p is beyond 48 bits of address", ctx->name, vaddr);

	for (; addr < end; addr = leaf_end(addr, end)) {
		entry = &ctx->root->entry[addr >> TABLE_ROOT_SHIFT];
		if (add_table(entry))
			return -1;

		entry = &iommu_table_below(entry)->entry[iommu_table_index(addr, TABLE_LEAF_SHIFT)];
		if (add_table(entry))
			return -1;
	}

	return 0;
}

static uint64_t run_bits(uint64_t pages)
{
	return (pages < TABLE_RUN_MAX ? pages : TABLE_RUN_MAX) << TABLE_RUN_SHIFT;
}

void iommu_table_set(struct iommu_ctx *ctx, const void *vaddr, size_t len, iova_t iova,
		     unsigned int bits, bool plain)
{
	uint64_t addr = (uintptr_t)vaddr, end = addr + len, entry = iova | bits;

	while (addr < end) {
		uint64_t *leaf = iommu_table_leaf(ctx, addr)->entry, stop = leaf_end(addr, end);

		for (; addr < stop; addr += TABLE_PAGE_BYTES, entry += TABLE_PAGE_BYTES)
			atomic_store_release(&leaf[iommu_table_index(addr, TABLE_PAGE_SHIFT)],
					     entry | (plain ? run_bits((end - addr) >>
								       TABLE_PAGE_SHIFT) :
							      0));
	}
}

void iommu_table_clear(struct iommu_ctx *ctx, const void *vaddr, size_t len)
{
	uint64_t addr = (uintptr_t)vaddr, end = addr + len;

	while (addr < end) {
		uint64_t *leaf = iommu_table_leaf(ctx, addr)->entry, stop = leaf_end(addr, end);

		for (; addr < stop; addr += TABLE_PAGE_BYTES)
			atomic_store_release(&leaf[iommu_table_index(addr, TABLE_PAGE_SHIFT)], 0UL);
	}
}

bool iommu_table_is_empty(struct iommu_ctx *ctx, const void *vaddr, size_t len)
{
	uint64_t addr = (uintptr_t)vaddr, end = addr + len;

	/* nothing is mapped beyond what the table covers, however long that is */
	while (addr < end && !(addr >> TABLE_VADDR_BITS)) {
		if (!iommu_table_leaf(ctx, addr)) {
			addr = leaf_end(addr, end);
			continue;
		}

		if (iommu_table_entry(ctx, addr))
			return false;
		addr += TABLE_PAGE_BYTES;
	}

	return true;
}

size_t iommu_table_lookup(struct iommu_ctx *ctx, const void *vaddr, size_t len, iova_t *iova,
			  unsigned int *bits)
{
	uint64_t addr = (uintptr_t)vaddr, entry = iommu_table_entry(ctx, addr), next = entry;
	size_t done = 0, run;

	if (!entry)
		return 0;

	*iova = iommu_entry_iova(entry, addr);
	*bits = (unsigned int)(entry & TABLE_PAGE_MASK & ~TABLE_RUN_MASK);

	do {
		run = iommu_entry_run(next);
		done += (run ? run : TABLE_PAGE_BYTES) - ((addr + done) & TABLE_PAGE_MASK);
		if (done >= len)
			return len;
		next = iommu_table_entry(ctx, addr + done);
	} while ((next & ~TABLE_RUN_MASK) == ((*iova + done) | *bits));

	return done;
}

void iommu_table_free(struct iommu_ctx *ctx)
{
	if (!ctx->root)
		return;

	for (size_t i = 0; i < TABLE_ENTRIES; i++) {
		struct iommu_table *table = iommu_table_below(&ctx->root->entry[i]);

		for (size_t j = 0; table && j < TABLE_ENTRIES; j++)
			free(iommu_table_below(&table->entry[j]));
		free(table);
	}

	free(ctx->root);
	ctx->root = NULL;
}

bool iommu_translate_vaddr(struct iommu_ctx *ctx, void *vaddr, iova_t *iova)
{
	uint64_t addr = (uintptr_t)vaddr, entry = ctx ? iommu_table_entry(ctx, addr) : 0;

	if (!entry)
		return ctx && iommu_map_deferred(ctx, vaddr) &&
		       vfn_iommu_translate(ctx, vaddr, 1, iova);

	*iova = iommu_entry_iova(entry, addr);

	return true;
}

size_t vfn_iommu_translate(struct iommu_ctx *ctx, const void *vaddr, size_t len, iova_t *iova)
{
	unsigned int bits;
	size_t run;

	if (!ctx)
		return 0;

	run = iommu_table_lookup(ctx, vaddr, len, iova, &bits);
	if (!run && iommu_map_deferred(ctx, vaddr))
		run = iommu_table_lookup(ctx, vaddr, len, iova, &bits);

	return run;
}
