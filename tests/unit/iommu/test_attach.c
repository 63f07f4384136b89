// SPDX-License-Identifier: GPL-2.0-or-later
/* What attaching a device changes in an address space, and what a failure does not. */
#include "space.h"

static struct vfio_pci_device other;

static int open_other(void *arg)
{
	memset(&other, 0, sizeof(other));
	other.dev.ctx = ctx;

	return vfio_pci_open(&other, EMU_BDF2);
}

static void close_other(void *arg)
{
	assert_int_equal(vfio_pci_close(&other), 0);
}

static void plug_other(void)
{
	const struct emu_pci_opts opts = { .bdf = EMU_BDF2 };

	emu_pci_add(&opts);
}

/* It was the program's before the library looked for one of that name. */
static void failed_open_keeps_an_address_space_of_the_devices_name(void **state)
{
	struct iommu_ctx *floating = iommu_get_context(EMU_BDF2);
	const struct emu_pci_opts opts = { .bdf = EMU_BDF2, .driver = "nvme" };

	assert_non_null(floating);
	emu_pci_add(&opts);
	assert_int_equal(vfio_pci_open(&other, EMU_BDF2), -1);
	assert_false(iommu_ctx_is_iommufd(floating));
	assert_ptr_equal(iommu_get_context(EMU_BDF2), floating);
	assert_string_equal(floating->name, EMU_BDF2);
	vfn_iommu_put_context(floating);
}

/* What is missing is worth an error only if there is nothing else to take. */
static void back_end_that_is_not_there_is_no_error(void **state)
{
	char why[256];

	emu_iommu()->no_iommufd = true;
	assert_messages(open_space(), 0, 1);
	assert_int_equal(vfio_pci_close(&pci), 0);
	assert_messages(vfn_iommu_choose(EMU_BDF, why, sizeof(why)), 0, 1);

	emu_iommu()->no_vfio = true;
	assert_messages(vfn_iommu_choose(EMU_BDF, why, sizeof(why)), 0, 2);
	assert_messages(assert_int_equal(vfio_pci_open(&pci, EMU_BDF), -1), 1, 2);
}

/* V22 */
static void narrowing_keeps_what_is_mapped_outside(void **state)
{
	const iova_t fixed = 0x800000, across = 0x2ff000;
	struct iommu_iova_range *ranges;
	void *vaddr;
	iova_t iova;

	plug_other();
	set_range(0x100000, 0x8fffff);
	open_space();
	assert_int_equal(map(mem, PAGE, 0), 0x100000);
	map_fixed(mem + PAGE, PAGE, fixed);
	map_fixed(mem + 16 * PAGE, 2 * PAGE, across);

	set_range(0x200000, 0x2fffff);
	assert_int_equal(open_other(NULL), 0);
	assert_int_equal(iommu_get_iova_ranges(ctx, &ranges), 1);
	assert_int_equal(ranges[0].start, 0x200000);
	assert_int_equal(ranges[0].last, 0x2fffff);
	assert_true(is_mapped(mem));
	assert_true(emu_iova_mapped(EMU_BDF, fixed, PAGE));
	assert_int_equal(vfn_iommu_translate(ctx, mem + 16 * PAGE, 2 * PAGE, &iova), 2 * PAGE);
	assert_int_equal(iommu_translate_iova(ctx, across, &vaddr), 2 * PAGE);
	assert_int_equal(map(mem + 2 * PAGE, PAGE, 0), 0x200000);
	assert_int_equal(map(mem + 3 * PAGE, PAGE, IOMMU_MAP_EPHEMERAL), 0x2fe000);
	assert_int_equal(try_fixed(mem + 4 * PAGE, PAGE, 0x300000), -1);
	assert_int_equal(iommu_unmap_all(ctx), 0);
	close_other(NULL);
}

static void narrowing_to_nothing_leaves_no_range(void **state)
{
	struct iommu_iova_range *ranges;

	plug_other();
	open_space();
	emu_iommu()->nranges = 0;
	assert_int_equal(open_other(NULL), 0);
	assert_fails_with(iommu_get_iova_ranges(ctx, &ranges), ENODEV);
	assert_int_equal(iommu_map_vaddr(ctx, mem, PAGE, NULL, 0), -1);
	close_other(NULL);
}

/* V22: the kernel would refuse them */
static void addresses_outside_are_not_given_out_once_they_are_unmapped(void **state)
{
	plug_other();
	set_range(0x100000, 0x8fffff);
	open_space();
	map(mem, PAGE, 0);
	map(mem + PAGE, PAGE, IOMMU_MAP_EPHEMERAL);
	map_fixed(mem + 16 * PAGE, 2 * PAGE, 0x1ff000);
	set_range(0x200000, 0x2fffff);
	assert_int_equal(open_other(NULL), 0);
	unmap(mem);
	unmap(mem + PAGE);
	unmap(mem + 16 * PAGE);
	for (int i = 0; i < 3; i++) {
		assert_true(map(mem, PAGE, 0) >= 0x200000);
		assert_true(map(mem + PAGE, PAGE, IOMMU_MAP_EPHEMERAL) < 0x300000);
		unmap(mem);
		unmap(mem + PAGE);
	}
	close_other(NULL);
}

/* W28, W30 */
static void failed_attach_that_narrows_leaves_nothing(void **state)
{
	const struct emu_range narrow[] = {
		{ 0x200000, 0x2fffff },
		{ 0x400000, 0x4fffff },
		{ 0x600000, 0x6fffff },
	};
	struct iommu_iova_range *ranges;
	iova_t iova;

	plug_other();
	set_range(0x100000, 0x8fffff);
	open_space();
	iova = map(mem, PAGE, 0);
	memcpy(emu_iommu()->ranges, narrow, sizeof(narrow));
	emu_iommu()->nranges = 3;
	assert_true(emu_fail_each(EMU_INIT, -EPERM, open_other, close_other, NULL) > 10);
	assert_true(emu_iova_mapped(EMU_BDF, iova, PAGE));
	assert_int_equal(iommu_get_iova_ranges(ctx, &ranges), 3);
	unmap(mem);
	assert_int_equal(open_other(NULL), 0);
	assert_int_equal(map(mem, PAGE, 0), 0x200000);
	unmap(mem);
	close_other(NULL);
}

/* ---- large maps ---- */

/* The alignment is nice to have; 6 MiB of the 6.9 are free, but not from a multiple of 2 MiB. */
static void large_map_takes_unaligned_room_if_there_is_no_other(void **state)
{
	const unsigned long flags[] = { 0, IOMMU_MAP_EPHEMERAL };

	set_range(0x1000, 0x6fffff);
	open_space();
	for (int i = 0; i < 2; i++) {
		struct tally before = tally();

		assert_false(ALIGNED(map(mem, 6 * MIB, flags[i]), 2 * MIB));
		unmap(mem);
		assert_tally(&before);
		assert_true(ALIGNED(map(mem, 4 * MIB, flags[i]), 2 * MIB));
		unmap(mem);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_closed(failed_open_keeps_an_address_space_of_the_devices_name),
		test_closed(back_end_that_is_not_there_is_no_error),
		test_closed(narrowing_keeps_what_is_mapped_outside),
		test_closed(narrowing_to_nothing_leaves_no_range),
		test_closed(addresses_outside_are_not_given_out_once_they_are_unmapped),
		test_closed(failed_attach_that_narrows_leaves_nothing),
		test_closed(large_map_takes_unaligned_room_if_there_is_no_other),
	};

	return cmocka_run_group_tests_name("attach", tests, NULL, NULL);
}
