// SPDX-License-Identifier: GPL-2.0-or-later
/* Ephemeral maps are counted, and always come back. */
#include "space.h"

#define EPHEMERAL IOMMU_MAP_EPHEMERAL

static void ephemeral_map_goes_with_its_unmap(void **state)
{
	struct tally before = tally();

	map(mem, PAGE, EPHEMERAL);
	assert_true(is_mapped(mem));
	unmap(mem);
	assert_false(is_mapped(mem));
	assert_tally(&before);
}

static void users_of_one_page_share_a_map_until_the_last(void **state)
{
	iova_t iova = map(mem, PAGE, EPHEMERAL);

	assert_int_equal(map(mem, PAGE, EPHEMERAL), iova);
	assert_int_equal(emu_usage().dma_maps, 1);
	unmap(mem);
	assert_true(is_mapped(mem));
	unmap(mem);
	assert_false(is_mapped(mem));
	assert_fails_with(iommu_unmap_vaddr(ctx, mem, NULL), ENOENT);
}

static void user_of_a_part_shares_the_map(void **state)
{
	iova_t iova = map(mem, 4 * PAGE, EPHEMERAL);

	assert_int_equal(map(mem + PAGE, PAGE, EPHEMERAL), iova + PAGE);
	unmap(mem);
	assert_true(is_mapped(mem + PAGE));
	unmap(mem + PAGE);
	assert_false(is_mapped(mem));
}

/* W6 */
static void user_of_more_than_the_map_is_refused(void **state)
{
	map(mem, PAGE, EPHEMERAL);
	assert_fails_with(iommu_map_vaddr(ctx, mem, 2 * PAGE, NULL, EPHEMERAL), EEXIST);
	unmap(mem);
	assert_false(is_mapped(mem));
}

/* Each of the two would go at its own time. */
static void user_of_two_neighbouring_maps_is_refused(void **state)
{
	iova_t iova = 0x100000;

	assert_int_equal(iommu_map_vaddr(ctx, mem, PAGE, &iova, EPHEMERAL | IOMMU_MAP_FIXED_IOVA),
			 0);
	iova += PAGE;
	assert_int_equal(iommu_map_vaddr(ctx, mem + PAGE, PAGE, &iova,
					 EPHEMERAL | IOMMU_MAP_FIXED_IOVA),
			 0);
	assert_fails_with(iommu_map_vaddr(ctx, mem, 2 * PAGE, NULL, EPHEMERAL), EEXIST);
	assert_fails_with(iommu_map_vaddr(ctx, mem, 2 * PAGE, NULL, 0), EEXIST);
	unmap(mem);
	unmap(mem + PAGE);
}

static void user_of_a_persistent_map_leaves_it(void **state)
{
	iova_t iova = map(mem, PAGE, 0);

	assert_int_equal(map(mem, PAGE, EPHEMERAL), iova);
	unmap(mem);
	assert_true(is_mapped(mem));
	unmap(mem);
	assert_false(is_mapped(mem));
}

static void persistent_map_of_an_ephemeral_one_outlives_it(void **state)
{
	iova_t iova = map(mem, PAGE, EPHEMERAL);

	assert_int_equal(map(mem, PAGE, 0), iova);
	unmap(mem);
	assert_true(is_mapped(mem));

	/* and is counted once, however often it is asked for */
	assert_int_equal(map(mem, PAGE, 0), iova);
	unmap(mem);
	assert_false(is_mapped(mem));
}

/* W28 */
static void failed_maps_do_not_count(void **state)
{
	struct tally before;

	set_range(0x100000, 0x10ffff);
	open_space();
	before = tally();

	for (unsigned int i = 0; i < 100; i++) {
		assert_fails_with(iommu_map_vaddr(ctx, mem + 0x200, PAGE, NULL, EPHEMERAL), EINVAL);
		emu_fail_at(EMU_DMA_MAP, 1, EFAULT);
		assert_fails_with(iommu_map_vaddr(ctx, mem, PAGE, NULL, EPHEMERAL), EFAULT);
	}

	assert_tally(&before);
	map(mem, 16 * PAGE, EPHEMERAL);
	unmap(mem);
	assert_tally(&before);
}

/* W28 */
static void window_is_not_limited(void **state)
{
	map(mem, BLOCK, EPHEMERAL);
	map(mem + BLOCK, MIB, EPHEMERAL);
	unmap(mem);
	unmap(mem + BLOCK);
}

/* W28 */
static void aligned_ephemeral_maps_count_like_others(void **state)
{
	struct tally before = tally();
	iova_t iova, again;

	assert_int_equal(iommu_map_vaddr_align(ctx, mem, PAGE, MIB, &iova, EPHEMERAL), 0);
	assert_int_equal(iommu_map_vaddr_align(ctx, mem, PAGE, MIB, &again, EPHEMERAL), 0);
	assert_int_equal(again, iova);
	unmap(mem);
	assert_true(is_mapped(mem));
	unmap(mem);
	assert_tally(&before);
}

static void many_cycles_do_not_drift(void **state)
{
	struct tally before = tally();

	for (unsigned int i = 0; i < 20000; i++) {
		map(mem + (i % 7) * PAGE, PAGE, EPHEMERAL);
		unmap(mem + (i % 7) * PAGE);
	}

	assert_tally(&before);
}

/* Short-lived maps are kept from splitting the room of large ones. */
static void ephemeral_maps_come_from_the_top(void **state)
{
	iova_t low = map(mem, PAGE, 0), high = map(mem + PAGE, PAGE, EPHEMERAL);

	assert_int_equal(low, PAGE);
	assert_int_equal(high, (1ULL << 39) - PAGE);
	unmap(mem);
	unmap(mem + PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(ephemeral_map_goes_with_its_unmap),
		test(users_of_one_page_share_a_map_until_the_last),
		test(user_of_a_part_shares_the_map),
		test(user_of_more_than_the_map_is_refused),
		test(user_of_two_neighbouring_maps_is_refused),
		test(user_of_a_persistent_map_leaves_it),
		test(persistent_map_of_an_ephemeral_one_outlives_it),
		test_closed(failed_maps_do_not_count),
		test(window_is_not_limited),
		test(aligned_ephemeral_maps_count_like_others),
		test(many_cycles_do_not_drift),
		test(ephemeral_maps_come_from_the_top),
	};

	return cmocka_run_group_tests_name("ephemeral", tests, NULL, NULL);
}
