// SPDX-License-Identifier: GPL-2.0-or-later
/* What an entry of the translation table tells: an address, and how far its mapping goes. */
#include "space.h"

#define LONG (TABLE_RUN_MAX + 45)

static uint64_t entry_at(const void *vaddr)
{
	return iommu_table_entry(ctx, (uintptr_t)vaddr);
}

static size_t run_at(const void *vaddr)
{
	return iommu_entry_run(entry_at(vaddr));
}

/* Each page's entry tells the way to the end of the mapping. */
static void assert_runs(char *vaddr, size_t pages, iova_t iova)
{
	for (size_t i = 0; i < pages; i++) {
		const size_t left = pages - i, run = left < TABLE_RUN_MAX ? left : TABLE_RUN_MAX;
		char *page = vaddr + i * PAGE;

		assert_int_equal(run_at(page), run * PAGE);
		assert_int_equal(iommu_entry_iova(entry_at(page), (uintptr_t)page + 0x123),
				 iova + i * PAGE + 0x123);
	}
}

static void assert_no_runs(char *vaddr, size_t pages)
{
	for (size_t i = 0; i < pages; i++) {
		assert_int_not_equal(entry_at(vaddr + i * PAGE), 0);
		assert_int_equal(run_at(vaddr + i * PAGE), 0);
	}
}

static void run_goes_to_the_end_of_its_mapping(void **state)
{
	assert_runs(mem, 3, map(mem, 3 * PAGE, 0));
	assert_int_equal(entry_at(mem + 3 * PAGE), 0);
	unmap(mem);
	assert_int_equal(entry_at(mem), 0);
	assert_int_equal(entry_at(mem + 2 * PAGE), 0);
}

static void run_is_as_long_as_the_field_allows(void **state)
{
	iova_t iova = map(mem, LONG * PAGE, 0), got;

	assert_runs(mem, LONG, iova);
	/* and translation takes as many looks as it needs */
	assert_int_equal(vfn_iommu_translate(ctx, mem + 5, SIZE_MAX, &got), LONG * PAGE - 5);
	assert_int_equal(got, iova + 5);
	unmap(mem);
}

static void run_goes_on_in_the_next_table(void **state)
{
	char *start = mem + BLOCK - 3 * PAGE;

	assert_runs(start, LONG, map(start, LONG * PAGE, 0));
	assert_ptr_not_equal(iommu_table_leaf(ctx, (uintptr_t)start),
			     iommu_table_leaf(ctx, (uintptr_t)mem + BLOCK));
	unmap(start);
}

/* Each of them may go at any moment. */
static void run_ends_where_the_neighbour_starts(void **state)
{
	iova_t got;

	map_fixed(mem, 2 * PAGE, 0x100000);
	map_fixed(mem + 2 * PAGE, 3 * PAGE, 0x102000);
	assert_runs(mem, 2, 0x100000);
	assert_runs(mem + 2 * PAGE, 3, 0x102000);
	assert_int_equal(vfn_iommu_translate(ctx, mem, 9 * PAGE, &got), 5 * PAGE);
	unmap(mem + 2 * PAGE);
	assert_runs(mem, 2, 0x100000);
	unmap(mem);
}

static void run_stays_when_an_ephemeral_map_becomes_persistent(void **state)
{
	iova_t iova = map(mem, 4 * PAGE, IOMMU_MAP_EPHEMERAL);

	assert_runs(mem, 4, iova);
	assert_true(entry_at(mem) & IOMMU_PAGE_EPHEMERAL);
	assert_int_equal(map(mem + PAGE, PAGE, 0), iova + PAGE);
	assert_runs(mem, 4, iova);
	assert_false(entry_at(mem) & IOMMU_PAGE_EPHEMERAL);
	unmap(mem);
	unmap(mem);
	assert_int_equal(entry_at(mem), 0);
}

static void run_of_what_the_kernel_did_not_unmap_stays(void **state)
{
	iova_t iova = map(mem, 2 * PAGE, 0);

	emu_fail_at(EMU_DMA_UNMAP, 1, ENOMEM);
	assert_int_equal(iommu_unmap_vaddr(ctx, mem, NULL), -1);
	assert_runs(mem, 2, iova);
	unmap(mem);
}

static void memory_with_permissions_has_no_run(void **state)
{
	map(mem, 2 * PAGE, IOMMU_MAP_NOWRITE);
	map(mem + 2 * PAGE, 2 * PAGE, IOMMU_MAP_NOREAD | IOMMU_MAP_EPHEMERAL);
	assert_no_runs(mem, 4);
	unmap(mem);
	unmap(mem + 2 * PAGE);
}

static void reserved_memory_has_no_run(void **state)
{
	iova_t iova = 0, got;

	assert_int_equal(iommu_reserve_vaddr(ctx, mem, 3 * PAGE, &iova, 0), 0);
	assert_no_runs(mem, 3);
	assert_int_equal(vfn_iommu_translate(ctx, mem, 3 * PAGE, &got), 3 * PAGE);
	unmap(mem);
}

/* With a fixed address that has all the bits an address can have. */
static void entry_holds_any_address(void **state)
{
	const iova_t last = UINT64_MAX - 2 * PAGE + 1;
	iova_t iova = last;

	assert_int_equal(iommu_reserve_vaddr(ctx, mem, PAGE, &iova, IOMMU_MAP_FIXED_IOVA), 0);
	assert_int_equal(iommu_entry_iova(entry_at(mem), (uintptr_t)mem + 9), last + 9);
	unmap(mem);

	set_range(0, UINT64_MAX);
	assert_int_equal(vfio_pci_close(&pci), 0);
	open_space();
	map_fixed(mem, PAGE, last);
	assert_runs(mem, 1, last);
	unmap(mem);
}

static void memory_of_a_device_has_no_run(void **state)
{
	const struct emu_pci_opts opts = { .bdf = EMU_BDF2, .bar_size = { [2] = 4 * PAGE } };
	struct vfio_pci_device peer = {};
	char *bar;

	emu_pci_add(&opts);
	assert_int_equal(vfio_pci_open(&peer, EMU_BDF2), 0);
	bar = vfio_pci_map_bar(&peer, 2, SIZE_MAX, 0, PROT_READ | PROT_WRITE);
	assert_non_null(bar);
	open_space();

	map(bar, 4 * PAGE, 0);
	assert_no_runs(bar, 4);
	unmap(bar);

	vfio_pci_unmap_bar(&peer, 2, bar, 4 * PAGE, 0);
	assert_int_equal(vfio_pci_close(&peer), 0);
}

static void last_page_of_the_table_is_one_of_it(void **state)
{
	const char *last = (const char *)((1ULL << TABLE_VADDR_BITS) - PAGE);

	assert_int_equal(iommu_table_reserve(ctx, last, PAGE), 0);
	assert_fails_with(iommu_table_reserve(ctx, last, 2 * PAGE), EINVAL);
}

static void address_beyond_the_table_has_no_entry(void **state)
{
	assert_int_equal(iommu_table_entry(ctx, 1ULL << TABLE_VADDR_BITS), 0);
	assert_int_equal(iommu_table_entry(ctx, UINT64_MAX), 0);
	assert_int_equal(iommu_table_entry(ctx, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(run_goes_to_the_end_of_its_mapping),
		test(run_is_as_long_as_the_field_allows),
		test(run_goes_on_in_the_next_table),
		test(run_ends_where_the_neighbour_starts),
		test(run_stays_when_an_ephemeral_map_becomes_persistent),
		test(run_of_what_the_kernel_did_not_unmap_stays),
		test(memory_with_permissions_has_no_run),
		test(reserved_memory_has_no_run),
		test(entry_holds_any_address),
		test_closed(memory_of_a_device_has_no_run),
		test(last_page_of_the_table_is_one_of_it),
		test(address_beyond_the_table_has_no_entry),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
