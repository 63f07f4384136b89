// SPDX-License-Identifier: GPL-2.0-or-later
/* Unmapping: by any address of the map, once, and what happens when the kernel balks. */
#include "space.h"

static void unmap_returns_the_length_of_the_map(void **state)
{
	size_t len;

	map(mem, 3 * PAGE, 0);
	assert_int_equal(iommu_unmap_vaddr(ctx, mem, &len), 0);
	assert_int_equal(len, 3 * PAGE);
}

static void unmap_takes_any_address_inside(void **state)
{
	size_t len;

	map(mem, 3 * PAGE, 0);
	assert_int_equal(iommu_unmap_vaddr(ctx, mem + 2 * PAGE + 77, &len), 0);
	assert_int_equal(len, 3 * PAGE);
	assert_false(is_mapped(mem));
}

/* D13 */
static void unmap_of_what_is_not_mapped_is_enoent(void **state)
{
	size_t len = 77;

	assert_fails_with(iommu_unmap_vaddr(ctx, mem, &len), ENOENT);
	assert_fails_with(iommu_unmap_vaddr(ctx, NULL, &len), ENOENT);
	assert_fails_with(iommu_unmap_vaddr(ctx, (void *)UINTPTR_MAX, &len), ENOENT);
	assert_int_equal(len, 77);
}

/* D13 */
static void unmap_twice_is_enoent(void **state)
{
	map(mem, PAGE, 0);
	unmap(mem);
	assert_fails_with(iommu_unmap_vaddr(ctx, mem, NULL), ENOENT);
}

static void unmap_leaves_neighbours(void **state)
{
	iova_t iova;

	map(mem, PAGE, 0);
	iova = map(mem + PAGE, PAGE, 0);
	map(mem + 2 * PAGE, PAGE, 0);
	unmap(mem);
	unmap(mem + 2 * PAGE);
	assert_true(emu_iova_mapped(EMU_BDF, iova, PAGE));
	assert_true(is_mapped(mem + PAGE));
	unmap(mem + PAGE);
}

/* D14, W17 */
static void unmap_that_is_short_is_eio_and_its_addresses_are_lost(void **state)
{
	set_range(0x100000, 0x101fff);
	open_space();
	map(mem, PAGE, 0);

	emu_iommu()->short_unmap = true;
	assert_fails_with(iommu_unmap_vaddr(ctx, mem, NULL), EIO);
	emu_iommu()->short_unmap = false;

	assert_false(is_mapped(mem));
	assert_fails_with(iommu_unmap_vaddr(ctx, mem, NULL), ENOENT);
	assert_int_equal(map(mem, PAGE, 0), 0x101000);
	assert_fails_with(iommu_map_vaddr(ctx, mem + PAGE, PAGE, NULL, 0), ENOMEM);
	assert_fails_with(try_fixed(mem + PAGE, PAGE, 0x100000), EEXIST);
	unmap(mem);
}

static void address_that_is_lost_does_not_translate(void **state)
{
	iova_t iova = map(mem, PAGE, 0);
	void *vaddr;

	emu_iommu()->short_unmap = true;
	assert_fails_with(iommu_unmap_vaddr(ctx, mem, NULL), EIO);
	assert_fails_with(iommu_translate_iova(ctx, iova, &vaddr), EINVAL);
}

/* W17 */
static void unmap_that_the_kernel_refuses_keeps_the_map(void **state)
{
	iova_t iova = map(mem, PAGE, 0), again;

	emu_fail_at(EMU_DMA_UNMAP, 1, EBUSY);
	assert_fails_with(iommu_unmap_vaddr(ctx, mem, NULL), EBUSY);
	assert_true(iommu_translate_vaddr(ctx, mem, &again));
	assert_int_equal(again, iova);
	unmap(mem);
	assert_false(is_mapped(mem));
}

/* W29 */
static void unmap_all_leaves_nothing(void **state)
{
	struct tally before = tally();

	map(mem, PAGE, 0);
	map(mem + PAGE, PAGE, IOMMU_MAP_EPHEMERAL);
	map(mem + PAGE, PAGE, IOMMU_MAP_EPHEMERAL);
	map_fixed(mem + 2 * PAGE, PAGE, 0x40000000);
	map(mem + BLOCK, BLOCK, 0);
	assert_int_equal(iommu_unmap_all(ctx), 0);
	assert_int_equal(emu_usage().dma_maps, 0);
	for (unsigned int i = 0; i < 3; i++)
		assert_false(is_mapped(mem + i * PAGE));
	assert_tally(&before);
}

/* W29 */
static void unmap_all_lets_map_again(void **state)
{
	iova_t iova = map(mem, PAGE, IOMMU_MAP_EPHEMERAL);

	assert_int_equal(iommu_unmap_all(ctx), 0);
	assert_int_equal(map(mem, PAGE, IOMMU_MAP_EPHEMERAL), iova);
	unmap(mem);
	assert_false(is_mapped(mem));
}

static void unmap_all_of_nothing_makes_no_call(void **state)
{
	emu_calls_clear();
	assert_int_equal(iommu_unmap_all(ctx), 0);
	assert_string_equal(emu_calls(), "");
}

static void unmap_all_removes_what_it_can(void **state)
{
	for (unsigned int i = 0; i < 4; i++)
		map(mem + i * PAGE, PAGE, 0);

	emu_fail_at(EMU_DMA_UNMAP, 2, EBUSY);
	assert_fails_with(iommu_unmap_all(ctx), EBUSY);
	assert_int_equal(emu_usage().dma_maps, 1);
	assert_int_equal(iommu_unmap_all(ctx), 0);
}

static void unmap_all_does_not_touch_what_is_lost(void **state)
{
	map(mem, PAGE, 0);
	emu_iommu()->short_unmap = true;
	assert_fails_with(iommu_unmap_vaddr(ctx, mem, NULL), EIO);
	emu_calls_clear();
	assert_int_equal(iommu_unmap_all(ctx), 0);
	assert_string_equal(emu_calls(), "");
}

/* D16 */
static void memory_that_is_gone_can_be_unmapped(void **state)
{
	map(mem, PAGE, 0);
	assert_int_equal(munmap(mem, PAGE), 0);
	unmap(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(unmap_returns_the_length_of_the_map),
		test(unmap_takes_any_address_inside),
		test(unmap_of_what_is_not_mapped_is_enoent),
		test(unmap_twice_is_enoent),
		test(unmap_leaves_neighbours),
		test_closed(unmap_that_is_short_is_eio_and_its_addresses_are_lost),
		test(address_that_is_lost_does_not_translate),
		test(unmap_that_the_kernel_refuses_keeps_the_map),
		test(unmap_all_leaves_nothing),
		test(unmap_all_lets_map_again),
		test(unmap_all_of_nothing_makes_no_call),
		test(unmap_all_removes_what_it_can),
		test(unmap_all_does_not_touch_what_is_lost),
		test(memory_that_is_gone_can_be_unmapped),
	};

	return cmocka_run_group_tests_name("unmap", tests, NULL, NULL);
}
