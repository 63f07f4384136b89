// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A million maps and unmaps of every kind against a model: nothing drifts, and all
 * is as before in the end. CYCLES and SEED in the environment change how many and which.
 */
#include "space.h"

#include <stdio.h>

#define SLOTS 32
#define SLOT_PAGES (MEM_BYTES / PAGE / SLOTS)

/* Fixed maps go here, close enough together to meet each other and the rest. */
#define FIXED_PAGES 16384UL

struct slot {
	iova_t iova;
	size_t len;
	char *vaddr;
};

static struct slot slots[SLOTS];
static uint64_t seed;

static uint64_t below(uint64_t n)
{
	/* xorshift: never 0, whatever it starts from but that */
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;

	return seed % n;
}

/* Mostly a few pages. */
static size_t any_len(size_t pages)
{
	return (1 + below(below(16) ? (pages < 16 ? pages : 16) : pages)) * PAGE;
}

static bool is_free(iova_t iova, size_t len)
{
	for (unsigned int i = 0; i < SLOTS; i++)
		if (slots[i].len && iova < slots[i].iova + slots[i].len &&
		    slots[i].iova < iova + len)
			return false;

	return true;
}

static bool in_ranges(iova_t iova, size_t len)
{
	for (unsigned int i = 0; i < emu_iommu()->nranges; i++)
		if (iova >= emu_iommu()->ranges[i].start &&
		    iova + len - 1 <= emu_iommu()->ranges[i].last)
			return true;

	return false;
}

static void check_new(const struct slot *slot, iova_t iova, size_t align)
{
	iova_t got;

	assert_true(iova && ALIGNED(iova, align));
	assert_true(in_ranges(iova, slot->len));
	assert_int_equal(vfn_iommu_translate(ctx, slot->vaddr, slot->len, &got), slot->len);
	assert_int_equal(got, iova);
}

static void map_somewhere(struct slot *slot)
{
	size_t align = below(2) ? PAGE : PAGE << below(10);

	assert_int_equal(iommu_map_vaddr_align(ctx, slot->vaddr, slot->len, align, &slot->iova,
					       below(4) ? 0 : IOMMU_MAP_EPHEMERAL),
			 0);
	assert_true(is_free(slot->iova, slot->len));
	check_new(slot, slot->iova, align);
}

static bool map_there(struct slot *slot)
{
	slot->iova = (1 + below(FIXED_PAGES)) * PAGE;
	if (!is_free(slot->iova, slot->len)) {
		assert_fails_with(try_fixed(slot->vaddr, slot->len, slot->iova), EEXIST);
		return false;
	}
	map_fixed(slot->vaddr, slot->len, slot->iova);
	check_new(slot, slot->iova, PAGE);

	return true;
}

static void fill(unsigned int n)
{
	size_t page = below(SLOT_PAGES);
	struct slot slot = { .vaddr = mem + (n * SLOT_PAGES + page) * PAGE };

	slot.len = any_len(SLOT_PAGES - page);
	if (below(3))
		map_somewhere(&slot);
	else if (!map_there(&slot))
		return;
	slots[n] = slot;
}

static void empty(unsigned int n)
{
	size_t len;

	assert_int_equal(iommu_unmap_vaddr(ctx, slots[n].vaddr + below(slots[n].len), &len), 0);
	assert_int_equal(len, slots[n].len);
	assert_false(is_mapped(slots[n].vaddr));
	slots[n].len = 0;
}

/* The allocator, the table and the kernel have what the model has, and no more. */
static void check_all(const struct tally *before, const struct emu_usage *usage)
{
	uint64_t bytes = 0;
	unsigned int used = 0;

	for (unsigned int i = 0; i < SLOTS; i++) {
		if (!slots[i].len)
			continue;
		assert_true(emu_iova_mapped(EMU_BDF, slots[i].iova, slots[i].len));
		check_new(&slots[i], slots[i].iova, PAGE);
		bytes += slots[i].len;
		used++;
	}
	assert_int_equal(tally().free_bytes, before->free_bytes - bytes);
	assert_int_equal(emu_usage().dma_maps, usage->dma_maps + used);
	assert_int_equal(emu_usage().dma_bytes, usage->dma_bytes + bytes);
}

#define EXTENTS 8

/* All that the allocator has. */
static unsigned int copy_extents(struct iommu_extent *copy)
{
	unsigned int n = 0;
	uint64_t addr = 0;

	for (struct iommu_extent *ext; (ext = tree_next(ctx->extents, addr)); n++) {
		assert_true(n < EXTENTS);
		copy[n] = *ext;
		copy[n].left = copy[n].right = NULL;
		copy[n].max_free = 0;
		copy[n].rank = 0;
		addr = ext->start + ext->len;
	}

	return n;
}

/* D6, W13, W28, W29 */
static void cycles_leave_the_address_space_as_it_was(void **state)
{
	const uint64_t cycles = unit_number("CYCLES", 1000000);
	const struct emu_usage usage = emu_usage();
	const struct tally before = tally();
	struct iommu_extent was[EXTENTS], is[EXTENTS];
	unsigned int n = copy_extents(was);

	for (uint64_t done = 0; done < cycles;) {
		unsigned int i = (unsigned int)below(SLOTS);

		if (!slots[i].len) {
			fill(i);
			continue;
		}
		empty(i);
		if (++done % 4096 == 0)
			check_all(&before, &usage);
	}

	for (unsigned int i = 0; i < SLOTS; i++)
		if (slots[i].len)
			empty(i);
	assert_int_equal(copy_extents(is), n);
	assert_memory_equal(was, is, n * sizeof(*was));
	emu_assert_usage(&usage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(cycles_leave_the_address_space_as_it_was),
	};

	seed = unit_number("SEED", 88172645463325252ULL) | 1;
	printf("# SEED=%llu\n", (unsigned long long)seed);

	return cmocka_run_group_tests_name("cycles", tests, NULL, NULL);
}
