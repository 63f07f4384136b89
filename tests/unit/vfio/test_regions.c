// SPDX-License-Identifier: GPL-2.0-or-later
/* Base address registers and configuration space: bounds, and what cannot be mapped. */
#include "device.h"

#include <stdio.h>
#include <sys/mman.h>

#include <vfn/support/mmio.h>

#define RW (PROT_READ | PROT_WRITE)

/* ---- BARs ---- */

static void bar_is_mapped_and_reaches_the_device(void **state)
{
	uint32_t val = 0;
	char *bar;

	open_with(.bar0_size = 4 * PAGE);
	bar = vfio_pci_map_bar(&pci, 0, 4 * PAGE, 0, RW);
	assert_non_null(bar);
	mmio_write32(bar + 3 * PAGE, cpu_to_le32(0x12345678));
	assert_int_equal(le32_to_cpu(mmio_read32(bar + 3 * PAGE)), 0x12345678);
	vfio_pci_unmap_bar(&pci, 0, bar, 4 * PAGE, 0);

	bar = vfio_pci_map_bar(&pci, 0, PAGE, 3 * PAGE, RW);
	val = le32_to_cpu(mmio_read32(bar));
	assert_int_equal(val, 0x12345678);
	vfio_pci_unmap_bar(&pci, 0, bar, PAGE, 3 * PAGE);
}

/* V15 */
static void bar_length_is_cut_to_the_region(void **state)
{
	struct emu_usage before;
	void *bar;

	open_with(.bar0_size = 4 * PAGE);
	before = emu_usage();
	bar = vfio_pci_map_bar(&pci, 0, SIZE_MAX, PAGE, PROT_READ);
	assert_non_null(bar);
	assert_int_equal(emu_usage().mmap_bytes - before.mmap_bytes, 3 * PAGE);
	vfio_pci_unmap_bar(&pci, 0, bar, SIZE_MAX, PAGE);
	emu_assert_usage(&before);
}

/* V16, K16 */
static void bar_offset_outside_is_refused(void **state)
{
	open_with(.bar0_size = 2 * PAGE);
	assert_null_with(vfio_pci_map_bar(&pci, 0, PAGE, 2 * PAGE, RW), EINVAL);
	assert_null_with(vfio_pci_map_bar(&pci, 0, PAGE, UINT64_MAX - PAGE + 1, RW), EINVAL);
	assert_null_with(vfio_pci_map_bar(&pci, 0, PAGE, 512, RW), EINVAL);
	assert_null_with(vfio_pci_map_bar(&pci, 0, 0, 0, RW), EINVAL);
}

/* W17: as with NDEBUG */
static void bar_index_outside_is_refused(void **state)
{
	open_with();
	assert_null_with(vfio_pci_map_bar(&pci, -1, PAGE, 0, RW), EINVAL);
	assert_null_with(vfio_pci_map_bar(&pci, 6, PAGE, 0, RW), EINVAL);
	assert_null_with(vfio_pci_map_bar(&pci, INT32_MAX, PAGE, 0, RW), EINVAL);
}

/* V15 */
static void bar_that_is_absent_is_refused(void **state)
{
	open_with(.bar0_absent = true);
	assert_null_with(vfio_pci_map_bar(&pci, 0, PAGE, 0, RW), EINVAL);
	assert_null_with(vfio_pci_map_bar(&pci, 2, PAGE, 0, RW), EINVAL);
}

/* V15 */
static void bar_that_cannot_be_mapped_is_not_supported(void **state)
{
	open_with(.bar0_no_mmap = true);
	assert_null_with(vfio_pci_map_bar(&pci, 0, PAGE, 0, RW), ENOTSUP);
}

static void bar_of_a_closed_device_is_enodev(void **state)
{
	assert_null_with(vfio_pci_map_bar(&pci, 0, PAGE, 0, RW), ENODEV);
}

/* D18 */
static void bar_is_kept_from_children(void **state)
{
	char call[32];
	void *bar;

	open_with();
	bar = vfio_pci_map_bar(&pci, 0, PAGE, 0, RW);
	snprintf(call, sizeof(call), "madvise %d", MADV_DONTFORK);
	assert_int_equal(emu_call_count(call), 1);
	vfio_pci_unmap_bar(&pci, 0, bar, PAGE, 0);
}

static int do_map(void *arg)
{
	*(void **)arg = vfio_pci_map_bar(&pci, 0, PAGE, 0, RW);

	return *(void **)arg ? 0 : -1;
}

static void undo_map(void *arg)
{
	vfio_pci_unmap_bar(&pci, 0, *(void **)arg, PAGE, 0);
}

/* W30 */
static void map_bar_leaves_nothing_whatever_fails(void **state)
{
	void *bar;

	open_with();
	assert_int_equal(emu_fail_each(EMU_INIT, EAGAIN, do_map, undo_map, &bar), 3);
}

static void unmap_of_no_bar_does_nothing(void **state)
{
	open_with();
	emu_calls_clear();
	vfio_pci_unmap_bar(&pci, 0, NULL, PAGE, 0);
	vfio_pci_unmap_bar(&pci, 6, &pci, PAGE, 0);
	vfio_pci_unmap_bar(&pci, -1, &pci, PAGE, 0);
	assert_string_equal(emu_calls(), "");
}

/* ---- configuration space ---- */

static void config_is_read_at_its_offset(void **state)
{
	uint8_t buf[4];
	static const uint8_t want[] = { 0x36, 0x1b, 0x10, 0x00 };

	open_with();
	assert_int_equal(vfio_pci_read_config(&pci, buf, 4, 0), 4);
	assert_memory_equal(buf, want, 4);
	assert_int_equal(vfio_pci_read_config(&pci, buf, 1, 3), 1);
	assert_int_equal(vfn_vfio_pci_pread(&pci, buf, 2, 2), 2);
	assert_memory_equal(buf, want + 2, 2);
}

static void config_is_written(void **state)
{
	uint8_t line = 0x5a;

	open_with();
	assert_int_equal(vfio_pci_write_config(&pci, &line, 1, PCI_INTERRUPT_LINE), 1);
	assert_int_equal(emu_pci_config(hw)[PCI_INTERRUPT_LINE], 0x5a);
	line = 0xa5;
	assert_int_equal(vfn_vfio_pci_pwrite(&pci, &line, 1, PCI_INTERRUPT_LINE), 1);
	assert_int_equal(emu_pci_config(hw)[PCI_INTERRUPT_LINE], 0xa5);
}

static void config_outside_is_refused(void **state)
{
	uint8_t buf[4];

	open_with();
	assert_fails_with(vfio_pci_read_config(&pci, buf, 4, 4093), EINVAL);
	assert_fails_with(vfio_pci_read_config(&pci, buf, 1, 4096), EINVAL);
	assert_fails_with(vfio_pci_read_config(&pci, buf, 1, -1), EINVAL);
	assert_fails_with(vfio_pci_read_config(&pci, buf, SIZE_MAX, 4), EINVAL);
	assert_fails_with(vfio_pci_write_config(&pci, buf, 4, 4094), EINVAL);
	assert_int_equal(vfio_pci_read_config(&pci, buf, 4, 4092), 4);
}

static void config_of_a_closed_device_is_enodev(void **state)
{
	uint8_t buf[4] = {};

	assert_fails_with(vfio_pci_read_config(&pci, buf, 4, 0), ENODEV);
	assert_fails_with(vfio_pci_write_config(&pci, buf, 4, 0), ENODEV);
	assert_fails_with(vfn_vfio_pci_set_master(&pci), ENODEV);
}

static void set_master_of_a_device_that_is_gone_is_enodev(void **state)
{
	open_with();
	emu_pci_remove(hw);
	assert_fails_with(vfn_vfio_pci_set_master(&pci), ENODEV);
}

static int do_set_master(void *arg)
{
	return vfn_vfio_pci_set_master(&pci);
}

static void set_master_returns_the_errno_of_what_fails(void **state)
{
	open_with();
	assert_int_equal(emu_fail_each(EMU_INIT, EIO, do_set_master, NULL, NULL), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(bar_is_mapped_and_reaches_the_device),
		test(bar_length_is_cut_to_the_region),
		test(bar_offset_outside_is_refused),
		test(bar_index_outside_is_refused),
		test(bar_that_is_absent_is_refused),
		test(bar_that_cannot_be_mapped_is_not_supported),
		test(bar_of_a_closed_device_is_enodev),
		test(bar_is_kept_from_children),
		test(map_bar_leaves_nothing_whatever_fails),
		test(unmap_of_no_bar_does_nothing),
		test(config_is_read_at_its_offset),
		test(config_is_written),
		test(config_outside_is_refused),
		test(config_of_a_closed_device_is_enodev),
		test(set_master_of_a_device_that_is_gone_is_enodev),
		test(set_master_returns_the_errno_of_what_fails),
	};

	return cmocka_run_group_tests_name("regions", tests, NULL, NULL);
}
