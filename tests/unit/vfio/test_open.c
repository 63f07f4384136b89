// SPDX-License-Identifier: GPL-2.0-or-later
/* Opening a device: what works, and for what does not the errno and the advice. */
#include "device.h"

#include <stdlib.h>

static void open_fills_the_device_in(void **state)
{
	open_with(.classcode = 0x010802);
	assert_string_equal(pci.bdf, EMU_BDF);
	assert_int_equal(pci.classcode, 0x010802);
	assert_non_null(pci.dev.ctx);
	assert_true(pci.dev.fd > 2);
	assert_true(pci.dev.device_info.flags & VFIO_DEVICE_FLAGS_PCI);
	assert_int_equal(pci.bar_region_info[0].size, PAGE);
	assert_int_equal(pci.config_region_info.size, 4096);
}

static void open_without_domain_takes_the_first(void **state)
{
	plug((struct emu_pci_opts){});
	assert_int_equal(vfio_pci_open(&pci, "01:00.0"), 0);
	assert_string_equal(pci.bdf, EMU_BDF);
}

static void open_enables_bus_mastering(void **state)
{
	plug((struct emu_pci_opts){});
	assert_false(emu_pci_bus_master(hw));
	open_device();
	assert_true(emu_pci_bus_master(hw));
}

static void open_of_a_group_takes_steps_in_the_order_of_the_kernel(void **state)
{
	only_groups();
	open_with();
	emu_assert_order("open " GROUP, "GROUP_GET_STATUS", "open /dev/vfio/vfio",
			 "GET_API_VERSION", "CHECK_EXTENSION", "GROUP_SET_CONTAINER", "SET_IOMMU",
			 "IOMMU_GET_INFO", "GROUP_GET_DEVICE_FD", "DEVICE_GET_INFO", NULL);
}

/* V1 */
static void address_that_is_none_is_refused_without_a_call(void **state)
{
	char dots[301];
	const char *const bad[] = {
		NULL, "", "1:2.3", "0000:01:00.8", "../..", "0000:01:00.0 ", "0000:01:20.0", dots,
	};

	memset(dots, '.', sizeof(dots) - 1);
	dots[sizeof(dots) - 1] = '\0';
	plug((struct emu_pci_opts){});
	emu_calls_clear();
	for (size_t i = 0; i < UNIT_ARRAY_SIZE(bad); i++)
		assert_fails_with(vfio_pci_open(&pci, bad[i]), EINVAL);
	assert_string_equal(emu_calls(), "");
}

/* V2 */
static void device_that_is_absent_is_named(void **state)
{
	assert_open_fails(ENODEV, EMU_BDF);
	assert_int_equal(emu_call_count("open /dev"), 0);
}

/* W20, K14: an attribute that fills every buffer it could be read into */
static void class_of_any_length_is_read_whole(void **state)
{
	static const unsigned int lengths[] = { 31, 32, 33, 255, 256, 4095, 4096 };
	char text[4097];

	plug((struct emu_pci_opts){});
	for (size_t i = 0; i < UNIT_ARRAY_SIZE(lengths); i++) {
		memset(text, '0', sizeof(text));
		text[lengths[i] - 1] = '7';
		text[lengths[i]] = '\0';
		emu_file("/sys/bus/pci/devices/" EMU_BDF "/class", text);
		open_device();
		assert_int_equal(pci.classcode, 7);
		assert_int_equal(vfio_pci_close(&pci), 0);
	}
}

/* W20 */
static void class_that_is_no_number_is_refused(void **state)
{
	plug((struct emu_pci_opts){});
	emu_file("/sys/bus/pci/devices/" EMU_BDF "/class",
		 "pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02\n");
	assert_open_fails(EINVAL, "class is no number");
}

/* V4, W14, K13 */
static void device_without_iommu_group_is_told_how_to_get_one(void **state)
{
	plug((struct emu_pci_opts){ .no_group = true });
	assert_open_fails(ENODEV, "intel_iommu=on");
}

/* W14 */
static void device_without_iommu_group_beside_an_open_one_fails_too(void **state)
{
	struct vfio_pci_device other = {};

	plug((struct emu_pci_opts){ .bdf = EMU_BDF2 });
	plug((struct emu_pci_opts){ .no_group = true });
	assert_int_equal(vfio_pci_open(&other, EMU_BDF2), 0);
	assert_open_fails(ENODEV, "intel_iommu=on");
	assert_int_equal(vfio_pci_close(&other), 0);
}

/* V5, W14 */
static void machine_without_vfio_is_told_what_to_load(void **state)
{
	only_groups();
	plug((struct emu_pci_opts){});
	emu_iommu()->no_vfio = true;
	assert_open_fails(ENODEV, "modprobe vfio-pci");
}

/* V6 */
static void device_of_another_driver_is_busy_and_keeps_it(void **state)
{
	plug((struct emu_pci_opts){ .driver = "nvme" });
	assert_open_fails(EBUSY, "bound to nvme: run vfntool bind " EMU_BDF);
	assert_string_equal(emu_pci_driver(hw), "nvme");
}

static void device_without_driver_is_told_to_bind(void **state)
{
	plug((struct emu_pci_opts){ .driver = "" });
	assert_open_fails(ENODEV, "run vfntool bind " EMU_BDF);
}

/* V7 */
static void group_of_another_process_is_busy_and_tried_once(void **state)
{
	only_groups();
	plug((struct emu_pci_opts){});
	emu_fail_at(EMU_OPEN, 2, EBUSY);
	assert_open_fails(EBUSY, "in use by another process");
	assert_int_equal(emu_call_count("open " GROUP), 1);
}

/* V8 */
static void group_without_permission_is_eacces(void **state)
{
	only_groups();
	plug((struct emu_pci_opts){});
	emu_file_error(GROUP, EACCES);
	assert_open_fails(EACCES, "no permission to open " GROUP);
	emu_file_error(GROUP, EPERM);
	assert_open_fails(EACCES, "no permission");
}

/* V8 */
static void container_without_permission_is_eacces(void **state)
{
	only_groups();
	plug((struct emu_pci_opts){});
	emu_file_error("/dev/vfio/vfio", EACCES);
	assert_open_fails(EACCES, "no permission to open /dev/vfio/vfio");
}

static void open_that_fails_otherwise_has_the_text_of_the_errno(void **state)
{
	only_groups();
	plug((struct emu_pci_opts){});
	emu_file_error(GROUP, EMFILE);
	assert_open_fails(EMFILE, "Too many open files");
	emu_file_error(GROUP, 0);
	emu_file_error("/dev/vfio/vfio", ENFILE);
	assert_open_fails(ENFILE, "Too many open files in system");
}

/* V9 */
static void group_that_is_not_viable_names_who_is_in_the_way(void **state)
{
	plug((struct emu_pci_opts){ .bdf = EMU_BDF2, .driver = "nvme" });
	plug((struct emu_pci_opts){ .bdf = EMU_BDF3, .driver = "xhci_hcd" });
	plug((struct emu_pci_opts){ .bdf = "0000:05:00.0", .driver = "" });
	plug((struct emu_pci_opts){ .bdf = "0000:05:00.1", .driver = "pci-stub" });
	plug((struct emu_pci_opts){});
	assert_open_fails(EPERM, EMU_BDF2 " (nvme), " EMU_BDF3 " (xhci_hcd); run");
}

/* V9: a text of fixed size */
static void group_that_is_not_viable_may_be_large(void **state)
{
	char bdf[] = "0000:05:00.0";

	for (unsigned int i = 0; i < 30; i++) {
		bdf[8] = (char)('0' + i / 8 / 2);
		bdf[9] = (char)('0' + i / 8);
		bdf[11] = (char)('0' + i % 8);
		plug((struct emu_pci_opts){ .bdf = bdf, .driver = "nvme" });
	}
	plug((struct emu_pci_opts){});
	assert_open_fails(EPERM, "0000:05:00.0 (nvme)");
}

/* V10 */
static void kernel_with_another_api_is_not_supported(void **state)
{
	only_groups();
	plug((struct emu_pci_opts){});
	emu_iommu()->api_version = 1;
	assert_open_fails(ENOTSUP, "version 1");
}

/* V10 */
static void kernel_without_type1v2_is_not_supported(void **state)
{
	only_groups();
	plug((struct emu_pci_opts){});
	emu_iommu()->no_type1v2 = true;
	assert_open_fails(ENOTSUP, "vfio_iommu_type1");
}

static void device_without_configuration_space_is_not_supported(void **state)
{
	plug((struct emu_pci_opts){ .num_regions = VFIO_PCI_CONFIG_REGION_INDEX });
	assert_open_fails(ENOTSUP, "not a PCI device");
}

/* V20 */
static void device_that_does_not_answer_is_enodev(void **state)
{
	plug((struct emu_pci_opts){});
	memset(emu_pci_config(hw), 0xff, 256);
	assert_open_fails(ENODEV, "does not answer");
}

/* V23 */
static void device_in_noiommu_mode_is_refused(void **state)
{
	only_groups();
	plug((struct emu_pci_opts){});
	emu_iommu()->noiommu = true;
	emu_remove(GROUP);
	emu_file("/dev/vfio/noiommu-7", "");
	assert_open_fails(ENOTSUP, "no-IOMMU mode");
	assert_int_equal(emu_call_count("open /dev/vfio/noiommu"), 0);
}

/* V22 */
static void two_devices_of_a_group_are_both_usable(void **state)
{
	struct vfio_pci_device other = {};
	uint16_t vendor = 0;

	plug((struct emu_pci_opts){ .bdf = EMU_BDF2 });
	open_with();
	assert_int_equal(vfio_pci_open(&other, EMU_BDF2), 0);
	assert_ptr_equal(other.dev.ctx, pci.dev.ctx);
	assert_int_equal(vfio_pci_close(&pci), 0);
	assert_int_equal(vfio_pci_read_config(&other, &vendor, 2, 0), 2);
	assert_int_equal(vendor, 0x1b36);
	assert_int_equal(vfio_pci_close(&other), 0);
}

/* W22 */
static void open_of_what_is_open_is_ealready(void **state)
{
	int fd;

	open_with();
	fd = pci.dev.fd;
	assert_fails_with(vfio_pci_open(&pci, EMU_BDF), EALREADY);
	assert_string_equal(pci.bdf, EMU_BDF);
	assert_int_equal(pci.dev.fd, fd);
}

/* W22 */
static void open_after_a_failed_one_starts_anew(void **state)
{
	static const struct vfio_pci_device closed;

	plug((struct emu_pci_opts){});
	emu_fail_at(EMU_PREAD, 1, EIO);
	assert_open_fails(EIO, "configuration space");
	assert_memory_equal(&pci, &closed, sizeof(closed));
	open_device();
}

static void open_that_fails_leaves_the_callers_address_space(void **state)
{
	struct iommu_ctx *ctx = iommu_get_context("mine");

	plug((struct emu_pci_opts){});
	pci.dev.ctx = ctx;
	emu_fail_at(EMU_PREAD, 1, EIO);
	assert_fails_with(vfio_pci_open(&pci, EMU_BDF), EIO);
	assert_ptr_equal(pci.dev.ctx, ctx);
	pci.dev.ctx = NULL;
	vfn_iommu_put_context(ctx);
}

/* W41: every text, and what comes between failure and return, leaves errno */
static void noisy_hook(int level, const char *text, void *opaque)
{
	errno = EMFILE;
}

static void errno_survives_logging_and_clean_up(void **state)
{
	plug((struct emu_pci_opts){ .no_group = true });
	vfn_log_set_hook(noisy_hook, NULL);
	logv_set(LOG_DEBUG);
	errno = 0;
	assert_int_equal(vfio_pci_open(&pci, EMU_BDF), -1);
	assert_int_equal(errno, ENODEV);
	logv_set(VFN_LOG_OFF);
	vfn_log_set_hook(NULL, NULL);
}

/* ---- fail at n ---- */

static int do_open(void *arg)
{
	return vfio_pci_open(&pci, EMU_BDF);
}

static void undo_open(void *arg)
{
	assert_int_equal(vfio_pci_close(&pci), 0);
}

/* V11, W30 */
static void open_leaves_nothing_whatever_call_fails(void **state)
{
	plug((struct emu_pci_opts){ .msi_vectors = 4 });
	assert_true(emu_fail_each(EMU_SYSCALL, EIO, do_open, undo_open, NULL) > 20);
}

/* V12, W30 */
static void open_leaves_nothing_whatever_allocation_fails(void **state)
{
	plug((struct emu_pci_opts){});
	assert_true(emu_fail_each(EMU_ALLOC, ENOMEM, do_open, undo_open, NULL) > 10);
}

/* W17: an errno that no step expects ends the call, not the process */
static void open_survives_every_errno(void **state)
{
	static const int errs[] = { EPERM, ENOENT, ENXIO, ENODEV, ENOTTY, ENOSPC, EINTR };

	plug((struct emu_pci_opts){ .no_msix = true });
	for (size_t i = 0; i < UNIT_ARRAY_SIZE(errs); i++)
		(void)emu_fail_each(EMU_SYSCALL, -errs[i], do_open, undo_open, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(open_fills_the_device_in),
		test(open_without_domain_takes_the_first),
		test(open_enables_bus_mastering),
		test(open_of_a_group_takes_steps_in_the_order_of_the_kernel),
		test(address_that_is_none_is_refused_without_a_call),
		test(device_that_is_absent_is_named),
		test(class_of_any_length_is_read_whole),
		test(class_that_is_no_number_is_refused),
		test(device_without_iommu_group_is_told_how_to_get_one),
		test(device_without_iommu_group_beside_an_open_one_fails_too),
		test(machine_without_vfio_is_told_what_to_load),
		test(device_of_another_driver_is_busy_and_keeps_it),
		test(device_without_driver_is_told_to_bind),
		test(group_of_another_process_is_busy_and_tried_once),
		test(group_without_permission_is_eacces),
		test(container_without_permission_is_eacces),
		test(open_that_fails_otherwise_has_the_text_of_the_errno),
		test(group_that_is_not_viable_names_who_is_in_the_way),
		test(group_that_is_not_viable_may_be_large),
		test(kernel_with_another_api_is_not_supported),
		test(kernel_without_type1v2_is_not_supported),
		test(device_that_does_not_answer_is_enodev),
		test(device_without_configuration_space_is_not_supported),
		test(device_in_noiommu_mode_is_refused),
		test(two_devices_of_a_group_are_both_usable),
		test(open_of_what_is_open_is_ealready),
		test(open_after_a_failed_one_starts_anew),
		test(open_that_fails_leaves_the_callers_address_space),
		test(errno_survives_logging_and_clean_up),
		test(open_leaves_nothing_whatever_call_fails),
		test(open_leaves_nothing_whatever_allocation_fails),
		test(open_survives_every_errno),
	};

	return cmocka_run_group_tests_name("open", tests, NULL, NULL);
}
