// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* From addresses of the process to I/O virtual addresses: three levels, as in a page table. */
#include <errno.h>
#include <stdlib.h>

#include <vfn/support/align.h>
#include <vfn/support/atomic.h>

#include "iommu/context.h"
#include "support/error.h"

/*
 * Addresses have 48 bits: 12 for each level and 12 within a page. An entry of
 * the second level is either a third-level table or, for 16 MiB that one
 * mapping covers, the translation itself, told apart by IOMMU_PAGE_PRESENT.
 */
#define PAGE_SHIFT 12
#define LEVEL_SHIFT 12
#define LEVEL_ENTRIES (1UL << LEVEL_SHIFT)
#define BLOCK_SHIFT (PAGE_SHIFT + LEVEL_SHIFT)
#define ROOT_SHIFT (BLOCK_SHIFT + LEVEL_SHIFT)
#define VADDR_BITS (ROOT_SHIFT + LEVEL_SHIFT)

#define PAGE_BYTES (1UL << PAGE_SHIFT)
#define BLOCK_BYTES (1UL << BLOCK_SHIFT)
#define BITS_MASK (PAGE_BYTES - 1)

struct iommu_table {
	uint64_t entry[LEVEL_ENTRIES];
};

__static_assert(sizeof(struct iommu_table) == IOMMU_TABLE_BYTES);

static size_t index_at(uint64_t vaddr, unsigned int shift)
{
	return vaddr >> shift & (LEVEL_ENTRIES - 1);
}

static struct iommu_table *to_table(uint64_t entry)
{
	return (struct iommu_table *)(uintptr_t)entry;
}

/* The second-level entry of an address, or NULL where there is no table yet. */
static uint64_t *block_entry(struct iommu_ctx *ctx, uint64_t vaddr)
{
	struct iommu_table *table;

	if (vaddr >> VADDR_BITS)
		return NULL;

	table = to_table(atomic_load_acquire(&ctx->root->entry[index_at(vaddr, ROOT_SHIFT)]));

	return table ? &table->entry[index_at(vaddr, BLOCK_SHIFT)] : NULL;
}

/* The translation of the page at @vaddr, with its bits; 0 without. */
static uint64_t lookup(struct iommu_ctx *ctx, uint64_t vaddr)
{
	uint64_t *block = block_entry(ctx, vaddr), entry;

	entry = block ? atomic_load_acquire(block) : 0;
	if (!entry)
		return 0;

	if (entry & IOMMU_PAGE_PRESENT)
		return entry + ALIGN_DOWN(vaddr & (BLOCK_BYTES - 1), PAGE_BYTES);

	return atomic_load_acquire(&to_table(entry)->entry[index_at(vaddr, PAGE_SHIFT)]);
}

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

/* End of the part of [vaddr, end) that lies in the same block. */
static uint64_t block_end(uint64_t vaddr, uint64_t end)
{
	uint64_t next = ALIGN_DOWN(vaddr, BLOCK_BYTES) + BLOCK_BYTES;

	return next < end ? next : end;
}

int iommu_table_reserve(struct iommu_ctx *ctx, const void *vaddr, size_t len)
{
	uint64_t addr = (uintptr_t)vaddr, end = addr + len, next;

	if (end < addr || end > 1ULL << VADDR_BITS)
		return vfn_fail(EINVAL, "%s: %p is beyond 48 bits of address", ctx->name, vaddr);

	for (; addr < end; addr = next) {
		next = block_end(addr, end);

		if (add_table(&ctx->root->entry[index_at(addr, ROOT_SHIFT)]))
			return -1;
		if (next - addr < BLOCK_BYTES && add_table(block_entry(ctx, addr)))
			return -1;
	}

	return 0;
}

static void set_pages(struct iommu_table *table, uint64_t addr, uint64_t end, uint64_t entry)
{
	uint64_t step = entry ? PAGE_BYTES : 0;

	for (; addr < end; addr += PAGE_BYTES, entry += step)
		atomic_store_release(&table->entry[index_at(addr, PAGE_SHIFT)], entry);
}

void iommu_table_set(struct iommu_ctx *ctx, const void *vaddr, size_t len, iova_t iova,
		     unsigned int bits)
{
	uint64_t addr = (uintptr_t)vaddr, end = addr + len, next;
	uint64_t entry = bits ? iova | bits : 0;

	for (; addr < end; addr = next) {
		uint64_t *block = block_entry(ctx, addr);

		next = block_end(addr, end);

		if (next - addr == BLOCK_BYTES && (!*block || *block & IOMMU_PAGE_PRESENT))
			atomic_store_release(block, entry);
		else
			set_pages(to_table(*block), addr, next, entry);

		if (entry)
			entry += next - addr;
	}
}

bool iommu_table_is_empty(struct iommu_ctx *ctx, const void *vaddr, size_t len)
{
	uint64_t addr = (uintptr_t)vaddr, end = addr + len, next;

	/* nothing is mapped beyond what the table covers, however long that is */
	for (; addr < end && !(addr >> VADDR_BITS); addr = next) {
		uint64_t *block = block_entry(ctx, addr);

		if (!block || !*block) {
			next = block_end(addr, end);
			continue;
		}

		if (lookup(ctx, addr))
			return false;
		next = addr + PAGE_BYTES;
	}

	return true;
}

size_t iommu_table_lookup(struct iommu_ctx *ctx, const void *vaddr, size_t len, iova_t *iova,
			  unsigned int *bits)
{
	uint64_t addr = (uintptr_t)vaddr, offset = addr & BITS_MASK, done;
	uint64_t entry = lookup(ctx, addr);

	if (!entry)
		return 0;

	*iova = (entry & ~BITS_MASK) + offset;
	*bits = entry & BITS_MASK;

	for (done = PAGE_BYTES - offset; done < len; done += PAGE_BYTES) {
		entry += PAGE_BYTES;
		if (lookup(ctx, addr + done) != entry)
			break;
	}

	return done < len ? done : len;
}

void iommu_table_free(struct iommu_ctx *ctx)
{
	if (!ctx->root)
		return;

	for (size_t i = 0; i < LEVEL_ENTRIES; i++) {
		struct iommu_table *blocks = to_table(ctx->root->entry[i]);

		for (size_t j = 0; blocks && j < LEVEL_ENTRIES; j++)
			if (!(blocks->entry[j] & IOMMU_PAGE_PRESENT))
				free(to_table(blocks->entry[j]));
		free(blocks);
	}

	free(ctx->root);
	ctx->root = NULL;
}

bool iommu_translate_vaddr(struct iommu_ctx *ctx, void *vaddr, iova_t *iova)
{
	return vfn_iommu_translate(ctx, vaddr, 1, iova) > 0;
}

size_t vfn_iommu_translate(struct iommu_ctx *ctx, const void *vaddr, size_t len, iova_t *iova)
{
	unsigned int bits;

	return ctx ? iommu_table_lookup(ctx, vaddr, len, iova, &bits) : 0;
}
