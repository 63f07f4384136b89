// SPDX-License-Identifier: GPL-2.0-or-later
/* Mapping: what is refused and with which errno, and that a failure leaves nothing. */
#include "space.h"

#include "emu_internal.h"

#define NOWRITE IOMMU_MAP_NOWRITE
#define NOREAD IOMMU_MAP_NOREAD

static void map_reaches_the_kernel(void **state)
{
	iova_t iova = map(mem, 2 * PAGE, 0);

	assert_true(emu_iova_mapped(EMU_BDF, iova, 2 * PAGE));
	unmap(mem);
	assert_false(emu_iova_mapped(EMU_BDF, iova, PAGE));
}

static void map_without_wish_for_the_address_works(void **state)
{
	assert_int_equal(iommu_map_vaddr(ctx, mem, PAGE, NULL, 0), 0);
	unmap(mem);
}

static void assert_no_ioctl(void)
{
	assert_int_equal(count_maps(), 0);
}

/* D1 */
static void map_of_unaligned_memory_is_refused(void **state)
{
	iova_t iova = 0xbad;

	assert_fails_with(iommu_map_vaddr(ctx, mem + 1, PAGE, &iova, 0), EINVAL);
	assert_fails_with(iommu_map_vaddr(ctx, mem, PAGE - 1, &iova, 0), EINVAL);
	assert_fails_with(iommu_map_vaddr(ctx, mem + PAGE / 2, PAGE / 2, &iova, 0), EINVAL);
	assert_int_equal(iova, 0xbad);
	assert_no_ioctl();
}

/* D1 */
static void map_at_an_unaligned_address_is_refused(void **state)
{
	assert_fails_with(try_fixed(mem, PAGE, 0x100800), EINVAL);
	assert_no_ioctl();
}

/* D2 */
static void map_of_no_or_wrapping_length_is_refused(void **state)
{
	assert_fails_with(iommu_map_vaddr(ctx, mem, 0, NULL, 0), EINVAL);
	assert_fails_with(iommu_map_vaddr(ctx, mem, SIZE_MAX, NULL, 0), EINVAL);
	assert_fails_with(iommu_map_vaddr(ctx, mem, SIZE_MAX & ~(PAGE - 1), NULL, 0), EINVAL);
	assert_fails_with(try_fixed(mem, 2 * PAGE, UINT64_MAX - PAGE + 1), EINVAL);
	assert_no_ioctl();
}

static void map_of_more_than_an_address_has_is_refused(void **state)
{
	assert_fails_with(iommu_map_vaddr(ctx, (void *)(1UL << 48), PAGE, NULL, 0), EINVAL);
	assert_fails_with(iommu_map_vaddr(ctx, (void *)((1UL << 48) - PAGE), 2 * PAGE, NULL, 0),
			  EINVAL);
	assert_fails_with(iommu_map_vaddr(ctx, mem, 1UL << 62, NULL, 0), EINVAL);
	assert_no_ioctl();
}

static void map_with_bad_flags_is_refused(void **state)
{
	assert_fails_with(iommu_map_vaddr(ctx, mem, PAGE, NULL, 1 << 4), EINVAL);
	assert_fails_with(iommu_map_vaddr(ctx, mem, PAGE, NULL, NOREAD | NOWRITE), EINVAL);
	assert_fails_with(iommu_map_vaddr(ctx, mem, PAGE, NULL, IOMMU_MAP_FIXED_IOVA), EINVAL);
	assert_no_ioctl();
}

static void map_without_address_space_is_refused(void **state)
{
	assert_fails_with(iommu_map_vaddr(NULL, mem, PAGE, NULL, 0), EINVAL);
	assert_fails_with(iommu_unmap_vaddr(NULL, mem, NULL), EINVAL);
	assert_fails_with(iommu_unmap_all(NULL), EINVAL);
}

static void map_before_a_device_is_open_is_refused(void **state)
{
	ctx = iommu_get_context("floating");
	assert_fails_with(iommu_map_vaddr(ctx, mem, PAGE, NULL, 0), ENODEV);
	assert_error_has("open a device");
	vfn_iommu_put_context(ctx);
}

/* ---- what is mapped already ---- */

static void map_again_is_the_same_map(void **state)
{
	iova_t iova = map(mem, 4 * PAGE, 0);

	assert_int_equal(map(mem, 4 * PAGE, 0), iova);
	assert_int_equal(map(mem + PAGE, 2 * PAGE, 0), iova + PAGE);
	assert_int_equal(count_maps(), 1);
	unmap(mem);
	assert_false(is_mapped(mem));
}

/* As a program does that asks for each of its buffers before each command. */
static void map_again_needs_no_alignment(void **state)
{
	iova_t iova = map(mem, 2 * PAGE, 0);

	assert_int_equal(map(mem + 512, 512, 0), iova + 512);
	assert_int_equal(map(mem + 100, PAGE, 0), iova + 100);
	assert_int_equal(map(mem + 512, 512, IOMMU_MAP_EPHEMERAL), iova + 512);
	unmap(mem);
	assert_true(is_mapped(mem));
	unmap(mem);
}

static void map_again_across_neighbours_at_consecutive_addresses_works(void **state)
{
	map_fixed(mem, PAGE, 0x100000);
	map_fixed(mem + PAGE, PAGE, 0x101000);
	assert_int_equal(map(mem, 2 * PAGE, 0), 0x100000);
	unmap(mem);
	unmap(mem + PAGE);
}

/* D4, W6, K10 */
static void map_that_runs_past_a_map_is_refused(void **state)
{
	map(mem + PAGE, PAGE, 0);
	assert_fails_with(iommu_map_vaddr(ctx, mem + PAGE, 2 * PAGE, NULL, 0), EEXIST);
	assert_fails_with(iommu_map_vaddr(ctx, mem + PAGE, MIB, NULL, 0), EEXIST);
	assert_error_has("mapped already");
	unmap(mem + PAGE);
}

/* D4, W6, K11 */
static void map_that_starts_below_a_map_is_refused(void **state)
{
	map(mem + PAGE, PAGE, 0);
	assert_fails_with(iommu_map_vaddr(ctx, mem, 2 * PAGE, NULL, 0), EEXIST);
	unmap(mem + PAGE);
}

/* D4, W6 */
static void map_around_a_map_is_refused(void **state)
{
	struct tally before = tally();

	map(mem + BLOCK + PAGE, PAGE, 0);
	assert_fails_with(iommu_map_vaddr(ctx, mem, 3 * BLOCK, NULL, 0), EEXIST);
	unmap(mem + BLOCK + PAGE);
	assert_tally(&before);
}

/* W6 */
static void map_again_elsewhere_is_refused(void **state)
{
	map_fixed(mem, PAGE, 0x100000);
	map_fixed(mem, PAGE, 0x100000);
	assert_fails_with(try_fixed(mem, PAGE, 0x200000), EEXIST);
	unmap(mem);
}

/* W6 */
static void map_again_with_other_permissions_is_refused(void **state)
{
	map(mem, PAGE, NOWRITE);
	map(mem, PAGE, NOWRITE);
	assert_fails_with(iommu_map_vaddr(ctx, mem, PAGE, NULL, 0), EEXIST);
	assert_fails_with(iommu_map_vaddr(ctx, mem, PAGE, NULL, NOREAD), EEXIST);
	assert_fails_with(iommu_map_vaddr(ctx, mem, PAGE, NULL, IOMMU_MAP_EPHEMERAL), EEXIST);
	unmap(mem);
}

static void map_again_with_more_alignment_is_refused(void **state)
{
	iova_t iova;

	map_fixed(mem, PAGE, 0x101000);
	assert_int_equal(iommu_map_vaddr_align(ctx, mem, PAGE, PAGE, &iova, 0), 0);
	assert_fails_with(iommu_map_vaddr_align(ctx, mem, PAGE, MIB, &iova, 0), EEXIST);
	unmap(mem);
}

/* D3 */
static void fixed_map_over_another_is_refused(void **state)
{
	struct tally before;

	map_fixed(mem, 2 * PAGE, 0x101000);
	before = tally();
	assert_fails_with(try_fixed(mem + MIB, 2 * PAGE, 0x100000), EEXIST);
	assert_fails_with(try_fixed(mem + MIB, 2 * PAGE, 0x102000), EEXIST);
	assert_fails_with(try_fixed(mem + MIB, PAGE, 0x101000), EEXIST);
	assert_fails_with(try_fixed(mem + MIB, 4 * PAGE, 0x100000), EEXIST);
	assert_error_has("in use");
	assert_tally(&before);
	assert_false(is_mapped(mem + MIB));
	unmap(mem);
}

static void fixed_map_outside_the_ranges_is_refused(void **state)
{
	assert_fails_with(try_fixed(mem, PAGE, 0xfee00000), EINVAL);
	assert_fails_with(try_fixed(mem, PAGE, 1ULL << 39), EINVAL);
	assert_fails_with(try_fixed(mem, 2 * PAGE, (1ULL << 39) - PAGE), EINVAL);
	assert_error_has("outside");
	assert_no_ioctl();
}

/* ---- permissions ---- */

static bool device_may(iova_t iova, bool write)
{
	return space_translate(pci_space(pci_find(EMU_BDF)), iova, write);
}

static void permissions_are_the_devices(void **state)
{
	iova_t both = map(mem, PAGE, 0), read = map(mem + PAGE, PAGE, NOWRITE);
	iova_t write = map(mem + 2 * PAGE, PAGE, NOREAD);

	assert_true(device_may(both, false) && device_may(both, true));
	assert_true(device_may(read, false));
	assert_false(device_may(read, true));
	assert_false(device_may(write, false));
	assert_true(device_may(write, true));
	assert_int_equal(iommu_unmap_all(ctx), 0);
}

/* D11 */
static void read_only_memory_is_mapped_for_reading_only(void **state)
{
	assert_int_equal(mprotect(mem, PAGE, PROT_READ), 0);
	assert_fails_with(iommu_map_vaddr(ctx, mem, PAGE, NULL, 0), EFAULT);
	assert_error_has("may write");
	map(mem, PAGE, NOWRITE);
	unmap(mem);
}

static void map_of_no_memory_is_refused(void **state)
{
	assert_int_equal(munmap(mem, PAGE), 0);
	assert_fails_with(iommu_map_vaddr(ctx, mem, PAGE, NULL, NOWRITE), EFAULT);
	assert_error_has("may read");
}

/* ---- limits ---- */

/* D8 */
static void map_beyond_the_memlock_limit_is_enomem_and_says_so(void **state)
{
	struct tally before = tally();

	emu_iommu()->memlock = 64 * KIB;
	map(mem, 32 * KIB, 0);
	assert_fails_with(iommu_map_vaddr(ctx, mem + MIB, MIB, NULL, 0), ENOMEM);
	assert_error_has("ulimit -l");
	assert_error_has("limits.conf");
	assert_error_has("1048576 more bytes");
	assert_error_has("65536 bytes");
	unmap(mem);
	assert_tally(&before);
}

/* D8: who has no limit must not look for one */
static void map_without_memory_in_the_kernel_is_enomem(void **state)
{
	emu_fail_at(EMU_DMA_MAP, 1, ENOMEM);
	assert_fails_with(iommu_map_vaddr(ctx, mem, PAGE, NULL, 0), ENOMEM);
	assert_error_has("short of memory");
}

/* what iommufd says of an address beyond its reach */
static void map_that_overflows_in_the_kernel_is_einval(void **state)
{
	emu_fail_at(EMU_DMA_MAP, 1, EOVERFLOW);
	assert_fails_with(iommu_map_vaddr(ctx, mem, PAGE, NULL, 0), EINVAL);
	assert_error_has("cannot map 4096 bytes");
}

/* D9 */
static void map_beyond_the_mapping_limit_is_enomem_and_says_so(void **state)
{
	/* iommufd has none */
	emu_iommu()->no_iommufd = true;
	emu_iommu()->dma_entry_limit = 2;
	open_space();
	map(mem, PAGE, 0);
	map(mem + PAGE, PAGE, 0);
	assert_fails_with(iommu_map_vaddr(ctx, mem + 2 * PAGE, PAGE, NULL, 0), ENOMEM);
	assert_error_has("dma_entry_limit");
	unmap(mem);
	map(mem + 2 * PAGE, PAGE, 0);
	assert_int_equal(iommu_unmap_all(ctx), 0);
}

/* ---- fail at n ---- */

static int do_map(void *arg)
{
	/* at an address of its own, so that tables are made, too */
	return iommu_map_vaddr(ctx, mem + BLOCK - PAGE, 2 * PAGE, NULL, *(unsigned long *)arg);
}

static void undo_map(void *arg)
{
	unmap(mem + BLOCK);
}

/* D12, W28, W30, K12 */
static void map_leaves_nothing_whatever_fails(void **state)
{
	static unsigned long flags[] = { 0, IOMMU_MAP_EPHEMERAL };
	struct tally before = tally();

	for (unsigned int i = 0; i < 2; i++) {
		assert_true(emu_fail_each(EMU_INIT, EPERM, do_map, undo_map, &flags[i]) >= 2);
		assert_tally(&before);
	}
}

static int do_map_fixed(void *arg)
{
	return try_fixed(mem, PAGE, 0x100000);
}

static void undo_map_fixed(void *arg)
{
	unmap(mem);
}

/* D12, W13 */
static void fixed_map_leaves_nothing_whatever_fails(void **state)
{
	struct tally before = tally();

	/* the tables of the translation are there from now on */
	map(mem, PAGE, 0);
	unmap(mem);

	/* the extents before and behind, and the ioctl */
	assert_int_equal(emu_fail_each(EMU_INIT, EPERM, do_map_fixed, undo_map_fixed, NULL), 3);
	assert_tally(&before);
}

/* D12, W28: none of the failures takes an address */
static void failed_maps_do_not_use_addresses_up(void **state)
{
	set_range(0x100000, 0x103fff);
	open_space();
	for (unsigned int i = 0; i < 1000; i++) {
		emu_fail_at(EMU_DMA_MAP, 1, ENOMEM);
		assert_fails_with(iommu_map_vaddr(ctx, mem, 3 * PAGE, NULL, 0), ENOMEM);
	}
	map(mem, 4 * PAGE, 0);
	unmap(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(map_reaches_the_kernel),
		test(map_without_wish_for_the_address_works),
		test(map_of_unaligned_memory_is_refused),
		test(map_at_an_unaligned_address_is_refused),
		test(map_of_no_or_wrapping_length_is_refused),
		test(map_of_more_than_an_address_has_is_refused),
		test(map_with_bad_flags_is_refused),
		test(map_without_address_space_is_refused),
		test_closed(map_before_a_device_is_open_is_refused),
		test(map_again_is_the_same_map),
		test(map_again_needs_no_alignment),
		test(map_again_across_neighbours_at_consecutive_addresses_works),
		test(map_that_runs_past_a_map_is_refused),
		test(map_that_starts_below_a_map_is_refused),
		test(map_around_a_map_is_refused),
		test(map_again_elsewhere_is_refused),
		test(map_again_with_other_permissions_is_refused),
		test(map_again_with_more_alignment_is_refused),
		test(fixed_map_over_another_is_refused),
		test(fixed_map_outside_the_ranges_is_refused),
		test(permissions_are_the_devices),
		test(read_only_memory_is_mapped_for_reading_only),
		test(map_of_no_memory_is_refused),
		test(map_beyond_the_memlock_limit_is_enomem_and_says_so),
		test(map_without_memory_in_the_kernel_is_enomem),
		test(map_that_overflows_in_the_kernel_is_einval),
		test_closed(map_beyond_the_mapping_limit_is_enomem_and_says_so),
		test(map_leaves_nothing_whatever_fails),
		test(fixed_map_leaves_nothing_whatever_fails),
		test_closed(failed_maps_do_not_use_addresses_up),
	};

	return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
