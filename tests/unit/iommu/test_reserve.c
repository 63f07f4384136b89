// SPDX-License-Identifier: GPL-2.0-or-later
/* Addresses for memory that a device reaches without the IOMMU. */
#include "space.h"

static iova_t reserve(void *vaddr, size_t len)
{
	iova_t iova = 0;

	assert_int_equal(iommu_reserve_vaddr(ctx, vaddr, len, &iova, 0), 0);
	assert_int_not_equal(iova, 0);

	return iova;
}

static int reserve_at(void *vaddr, size_t len, iova_t iova)
{
	return iommu_reserve_vaddr(ctx, vaddr, len, &iova, IOMMU_MAP_FIXED_IOVA);
}

static void reserved_memory_translates_and_is_not_mapped(void **state)
{
	const struct emu_usage before = emu_usage();
	iova_t iova = reserve(mem, 4 * PAGE), got;
	void *vaddr;
	size_t len;

	assert_int_equal(emu_usage().dma_maps, before.dma_maps);
	assert_int_equal(vfn_iommu_translate(ctx, mem + PAGE, 9 * PAGE, &got), 3 * PAGE);
	assert_int_equal(got, iova + PAGE);
	assert_int_equal(iommu_translate_iova(ctx, iova, &vaddr), 4 * PAGE);
	assert_ptr_equal(vaddr, mem);

	/* what asks before every command is content with it */
	assert_int_equal(map(mem, 2 * PAGE, 0), iova);
	assert_int_equal(emu_usage().dma_maps, before.dma_maps);

	assert_int_equal(iommu_unmap_vaddr(ctx, mem, &len), 0);
	assert_int_equal(len, 4 * PAGE);
	assert_false(is_mapped(mem));
}

static void reserved_addresses_are_not_given_out(void **state)
{
	const struct tally before = tally();

	assert_int_equal(reserve_at(mem, PAGE, 0x1000), 0);
	assert_int_equal(map(mem + PAGE, PAGE, 0), 0x2000);
	assert_fails_with(try_fixed(mem + 2 * PAGE, PAGE, 0x1000), EEXIST);
	unmap(mem);
	unmap(mem + PAGE);
	assert_tally(&before);
	assert_int_equal(map(mem, PAGE, 0), 0x1000);
	unmap(mem);
}

/* A bus address may have more bits than the IOMMU. */
static void reserved_address_may_lie_outside_the_ranges(void **state)
{
	const iova_t far = 1ULL << 45;
	const struct tally before = tally();
	iova_t got;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(reserve_at(mem, 2 * PAGE, far), 0);
		assert_true(iommu_translate_vaddr(ctx, mem + PAGE, &got));
		assert_int_equal(got, far + PAGE);
		assert_fails_with(reserve_at(mem + 2 * PAGE, PAGE, far + PAGE), EEXIST);
		assert_fails_with(try_fixed(mem + 2 * PAGE, PAGE, far + 2 * PAGE), EINVAL);
		unmap(mem);
		assert_tally(&before);
	}
}

static void reservation_across_the_end_of_a_range_is_refused(void **state)
{
	const struct tally before = tally();

	assert_fails_with(reserve_at(mem, 2 * PAGE, 0xfedff000), EINVAL);
	assert_fails_with(reserve_at(mem, 2 * PAGE, 0xfeeff000), EINVAL);
	assert_tally(&before);
	assert_false(is_mapped(mem));
}

static void reservation_of_mapped_memory_is_refused(void **state)
{
	map(mem + PAGE, PAGE, 0);
	assert_fails_with(iommu_reserve_vaddr(ctx, mem, 2 * PAGE, NULL, 0), EEXIST);
	unmap(mem + PAGE);
	reserve(mem, PAGE);
	assert_fails_with(iommu_reserve_vaddr(ctx, mem, PAGE, NULL, 0), EEXIST);
	unmap(mem);
}

static void reservation_of_bad_memory_is_refused(void **state)
{
	assert_fails_with(iommu_reserve_vaddr(ctx, mem + 1, PAGE, NULL, 0), EINVAL);
	assert_fails_with(iommu_reserve_vaddr(ctx, mem, 0, NULL, 0), EINVAL);
	assert_fails_with(iommu_reserve_vaddr(ctx, mem, PAGE, NULL, IOMMU_MAP_FIXED_IOVA), EINVAL);
	assert_fails_with(reserve_at(mem, PAGE, 1ULL << 45 | 1), EINVAL);
}

static void reservation_without_memory_leaves_nothing(void **state)
{
	const struct tally before = tally();
	unsigned int n = 0;
	int ret;

	do {
		emu_fail_at(EMU_ALLOC, ++n, ENOMEM);
		ret = reserve_at(mem, PAGE, 1ULL << 45);
		assert_int_equal(ret, emu_fail_fired() ? -1 : 0);
		emu_fail_at(0, 0, 0);
		assert_true(!ret == is_mapped(mem));
	} while (ret);
	assert_true(n > 1);
	unmap(mem);
	assert_tally(&before);
}

static void unmap_of_all_takes_reservations(void **state)
{
	const struct tally before = tally();

	reserve(mem, PAGE);
	assert_int_equal(reserve_at(mem + PAGE, PAGE, 1ULL << 45), 0);
	map(mem + 2 * PAGE, PAGE, 0);
	assert_int_equal(iommu_unmap_all(ctx), 0);
	assert_tally(&before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(reserved_memory_translates_and_is_not_mapped),
		test(reserved_addresses_are_not_given_out),
		test(reserved_address_may_lie_outside_the_ranges),
		test(reservation_across_the_end_of_a_range_is_refused),
		test(reservation_of_mapped_memory_is_refused),
		test(reservation_of_bad_memory_is_refused),
		test(reservation_without_memory_leaves_nothing),
		test(unmap_of_all_takes_reservations),
	};

	return cmocka_run_group_tests_name("reserve", tests, NULL, NULL);
}
