// SPDX-License-Identifier: GPL-2.0-or-later
/* From addresses of the process to those of the device and back. */
#include "space.h"

static void assert_run(void *vaddr, size_t len, size_t want, iova_t at)
{
	iova_t iova = 0;

	assert_int_equal(vfn_iommu_translate(ctx, vaddr, len, &iova), want);
	assert_int_equal(iova, at);
}

static void address_inside_a_page_keeps_its_offset(void **state)
{
	iova_t iova = map(mem, PAGE, 0), at;

	assert_true(iommu_translate_vaddr(ctx, mem + 0x123, &at));
	assert_int_equal(at, iova + 0x123);
	unmap(mem);
}

static void address_that_is_not_mapped_does_not_translate(void **state)
{
	static int beyond;
	iova_t iova = 0xbad;

	assert_false(iommu_translate_vaddr(ctx, mem, &iova));
	assert_false(iommu_translate_vaddr(ctx, &beyond, &iova));
	assert_false(iommu_translate_vaddr(ctx, NULL, &iova));
	assert_false(iommu_translate_vaddr(ctx, (void *)UINTPTR_MAX, &iova));
	assert_false(iommu_translate_vaddr(ctx, (void *)(1UL << 48), &iova));
	assert_int_equal(iova, 0xbad);
}

static void address_does_not_translate_after_unmap(void **state)
{
	map(mem, BLOCK + PAGE, 0);
	unmap(mem);
	assert_false(is_mapped(mem));
	assert_false(is_mapped(mem + BLOCK - 1));
	assert_false(is_mapped(mem + BLOCK));
}

static void last_byte_of_a_map_translates_and_the_next_does_not(void **state)
{
	iova_t iova = map(mem, 3 * PAGE, 0);

	assert_run(mem + 3 * PAGE - 1, 1, 1, iova + 3 * PAGE - 1);
	assert_false(is_mapped(mem + 3 * PAGE));
	unmap(mem);
}

static void map_across_tables_is_one_run(void **state)
{
	char *start = mem + BLOCK - PAGE;
	iova_t iova = map(start, 3 * PAGE, 0);

	assert_run(start, 3 * PAGE, 3 * PAGE, iova);
	assert_run(start + PAGE, 10, 10, iova + PAGE);
	unmap(start);
}

static void map_of_whole_tables_is_one_run(void **state)
{
	char *start = mem + BLOCK - PAGE;
	size_t len = 2 * BLOCK + 2 * PAGE;
	iova_t iova = map(start, len, 0);

	assert_run(start, len, len, iova);
	assert_run(mem + BLOCK + 0x1234, PAGE, PAGE, iova + PAGE + 0x1234);
	assert_run(mem + 2 * BLOCK + 5 * PAGE, PAGE, PAGE, iova + PAGE + BLOCK + 5 * PAGE);
	assert_run(mem + 3 * BLOCK - 1, 2, 2, iova + PAGE + 2 * BLOCK - 1);
	unmap(start);
	assert_false(is_mapped(mem + BLOCK));
	assert_false(is_mapped(mem + 2 * BLOCK));
}

static void table_that_had_a_page_takes_a_whole_map(void **state)
{
	iova_t iova;

	map(mem + PAGE, PAGE, 0);
	unmap(mem + PAGE);
	iova = map(mem, BLOCK, 0);
	assert_run(mem, BLOCK, BLOCK, iova);
	unmap(mem);
	assert_false(is_mapped(mem + PAGE));
}

static void table_that_was_full_takes_a_page(void **state)
{
	iova_t iova;

	map(mem, BLOCK, 0);
	unmap(mem);
	iova = map(mem + PAGE, PAGE, 0);
	assert_run(mem + PAGE, PAGE, PAGE, iova);
	assert_false(is_mapped(mem));
	unmap(mem + PAGE);
}

/* D5, W6 */
static void range_that_runs_past_its_map_is_cut(void **state)
{
	iova_t iova = map(mem, 2 * PAGE, 0);

	assert_run(mem, SIZE_MAX, 2 * PAGE, iova);
	assert_run(mem + 100, 2 * PAGE, 2 * PAGE - 100, iova + 100);
	unmap(mem);
}

/* D5 */
static void range_with_a_gap_is_cut_at_the_gap(void **state)
{
	map_fixed(mem, PAGE, 0x100000);
	map_fixed(mem + 2 * PAGE, PAGE, 0x102000);
	assert_run(mem, 3 * PAGE, PAGE, 0x100000);
	unmap(mem);
	unmap(mem + 2 * PAGE);
}

static void neighbours_at_consecutive_addresses_are_one_run(void **state)
{
	map_fixed(mem, PAGE, 0x100000);
	map_fixed(mem + PAGE, PAGE, 0x101000);
	assert_run(mem, 2 * PAGE, 2 * PAGE, 0x100000);
	unmap(mem);
	unmap(mem + PAGE);
}

/* W6 */
static void neighbours_at_other_addresses_are_two_runs(void **state)
{
	map_fixed(mem, PAGE, 0x100000);
	map_fixed(mem + PAGE, PAGE, 0x200000);
	assert_run(mem, 2 * PAGE, PAGE, 0x100000);
	assert_run(mem + PAGE, PAGE, PAGE, 0x200000);
	unmap(mem);
	unmap(mem + PAGE);
}

static void iova_translates_back_to_the_end_of_its_map(void **state)
{
	iova_t iova = map(mem, 3 * PAGE, 0);
	void *vaddr = NULL;

	assert_int_equal(iommu_translate_iova(ctx, iova, &vaddr), 3 * PAGE);
	assert_ptr_equal(vaddr, mem);
	assert_int_equal(iommu_translate_iova(ctx, iova + PAGE + 5, &vaddr), 2 * PAGE - 5);
	assert_ptr_equal(vaddr, mem + PAGE + 5);
	assert_int_equal(iommu_translate_iova(ctx, iova + 3 * PAGE - 1, &vaddr), 1);
	unmap(mem);
}

/* W34 */
static void iova_that_is_not_mapped_does_not_translate(void **state)
{
	iova_t iova = map(mem, PAGE, 0);
	void *vaddr = &iova;

	assert_fails_with(iommu_translate_iova(ctx, iova + PAGE, &vaddr), EINVAL);
	assert_fails_with(iommu_translate_iova(ctx, UINT64_MAX, &vaddr), EINVAL);
	unmap(mem);
	assert_fails_with(iommu_translate_iova(ctx, iova, &vaddr), EINVAL);
	assert_fails_with(iommu_translate_iova(NULL, iova, &vaddr), EINVAL);
	assert_ptr_equal(vaddr, &iova);
}

static void both_translations_are_inverse_for_many_maps(void **state)
{
	void *vaddr;
	iova_t iova;

	for (unsigned int i = 0; i < 512; i++)
		map(mem + i * 3 * PAGE, (1 + i % 3) * PAGE, 0);

	for (unsigned int i = 0; i < 512; i++) {
		char *p = mem + i * 3 * PAGE + i;

		assert_true(iommu_translate_vaddr(ctx, p, &iova));
		assert_int_equal(iommu_translate_iova(ctx, iova, &vaddr), (1 + i % 3) * PAGE - i);
		assert_ptr_equal(vaddr, p);
	}

	assert_int_equal(iommu_unmap_all(ctx), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(address_inside_a_page_keeps_its_offset),
		test(address_that_is_not_mapped_does_not_translate),
		test(address_does_not_translate_after_unmap),
		test(last_byte_of_a_map_translates_and_the_next_does_not),
		test(map_across_tables_is_one_run),
		test(map_of_whole_tables_is_one_run),
		test(table_that_had_a_page_takes_a_whole_map),
		test(table_that_was_full_takes_a_page),
		test(range_that_runs_past_its_map_is_cut),
		test(range_with_a_gap_is_cut_at_the_gap),
		test(neighbours_at_consecutive_addresses_are_one_run),
		test(neighbours_at_other_addresses_are_two_runs),
		test(iova_translates_back_to_the_end_of_its_map),
		test(iova_that_is_not_mapped_does_not_translate),
		test(both_translations_are_inverse_for_many_maps),
	};

	return cmocka_run_group_tests_name("translate", tests, NULL, NULL);
}
