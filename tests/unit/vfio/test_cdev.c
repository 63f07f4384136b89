// SPDX-License-Identifier: GPL-2.0-or-later
/* Devices that are opened by a node of their own, and how that is chosen over groups. */
#include "device.h"

#include <stdlib.h>

#define CDEV "/dev/vfio/devices/vfio0"
#define FORCE "VFN_IOMMU_FORCE_VFIO"

static char why[256];

static int setup_both(void **state)
{
	unsetenv(FORCE);
	setup(state);
	emu_iommu()->no_iommufd = false;

	return 0;
}

static int teardown_both(void **state)
{
	unsetenv(FORCE);

	return teardown(state);
}

static void assert_open_by(bool iommufd, const char *reason)
{
	open_device();
	assert_int_equal(iommu_ctx_is_iommufd(pci.dev.ctx), iommufd);
	if (!strstr(vfn_iommu_reason(pci.dev.ctx), reason))
		fail_msg("'%s' is not in '%s'", reason, vfn_iommu_reason(pci.dev.ctx));
	assert_int_equal(vfio_pci_close(&pci), 0);
}

static void assert_choice(enum vfn_iommu_backend choice, const char *reason)
{
	const struct emu_usage before = emu_usage();

	emu_calls_clear();
	assert_int_equal(vfn_iommu_choose(EMU_BDF, why, sizeof(why)), choice);
	if (!strstr(why, reason))
		fail_msg("'%s' is not in '%s'", reason, why);
	assert_int_equal(emu_call_count("open /dev"), 0);
	emu_assert_usage(&before);
}

/* ---- open and close ---- */

static void open_of_a_node_takes_steps_in_the_order_of_the_kernel(void **state)
{
	open_with();
	emu_assert_order("open /dev/iommu", "IOAS_ALLOC", "open " CDEV, "BIND_IOMMUFD",
			 "ATTACH_IOMMUFD_PT", "IOAS_IOVA_RANGES", "DEVICE_GET_INFO", NULL);
	assert_int_equal(emu_call_count("open " GROUP), 0);
}

/* W31 */
static void close_of_a_node_goes_from_the_device_outwards(void **state)
{
	const struct emu_usage nothing = {};

	open_with();
	emu_calls_clear();
	assert_int_equal(vfio_pci_close(&pci), 0);
	emu_assert_order("close " EMU_BDF, "ioctl DESTROY", "close iommufd", NULL);
	emu_assert_usage(&nothing);
}

static void devices_share_the_process_one_iommufd(void **state)
{
	struct vfio_pci_device other = {};

	emu_pci_add(&(struct emu_pci_opts){ .bdf = EMU_BDF2 });
	open_with();
	assert_int_equal(vfio_pci_open(&other, EMU_BDF2), 0);
	assert_ptr_not_equal(other.dev.ctx, pci.dev.ctx);
	assert_int_equal(emu_call_count("open /dev/iommu"), 1);
	assert_int_equal(vfio_pci_close(&pci), 0);
	assert_int_equal(emu_call_count("close iommufd"), 0);
	assert_int_equal(vfio_pci_close(&other), 0);
	assert_int_equal(emu_call_count("close iommufd"), 1);
}

/* ---- the choice ---- */

static void iommufd_is_preferred(void **state)
{
	plug((struct emu_pci_opts){});
	assert_choice(VFN_IOMMU_IOMMUFD, "iommufd: ");
	assert_open_by(true, "iommufd: ");
}

static void groups_can_be_forced(void **state)
{
	plug((struct emu_pci_opts){});
	setenv(FORCE, "1", 1);
	assert_choice(VFN_IOMMU_TYPE1, FORCE);
	assert_open_by(false, FORCE);
	setenv(FORCE, "yes", 1);
	assert_open_by(false, FORCE);
	setenv(FORCE, "0", 1);
	assert_open_by(true, "iommufd");
	setenv(FORCE, "", 1);
	assert_open_by(true, "iommufd");
}

static void forced_groups_are_not_replaced(void **state)
{
	plug((struct emu_pci_opts){});
	only_iommufd();
	setenv(FORCE, "1", 1);
	assert_choice(VFN_IOMMU_NONE, "none: ");
	assert_open_fails(ENODEV, "vfio");
}

/* V10 */
static void kernel_without_iommufd_has_groups(void **state)
{
	plug((struct emu_pci_opts){});
	emu_iommu()->no_iommufd = true;
	assert_choice(VFN_IOMMU_TYPE1, "type1: ");
	assert_open_by(false, EMU_BDF);
}

/* Debian's 6.12 names the nodes in sysfs, and has none. */
static void nodes_that_are_only_named_leave_groups(void **state)
{
	plug((struct emu_pci_opts){});
	emu_iommu()->no_cdev = true;
	assert_choice(VFN_IOMMU_TYPE1, "type1: ");
	assert_open_by(false, "type1: ");
}

/* W17: it used to end the process */
static void iommufd_without_permission_leaves_groups(void **state)
{
	plug((struct emu_pci_opts){});
	emu_file_error("/dev/iommu", EACCES);
	assert_choice(VFN_IOMMU_TYPE1, "no permission to open /dev/iommu");
	assert_open_by(false, "no permission to open /dev/iommu");
	emu_file_error("/dev/iommu", 0);
	emu_file_error(CDEV, EACCES);
	assert_choice(VFN_IOMMU_TYPE1, "no permission to open " CDEV);
	assert_open_by(false, "no permission to open " CDEV);
}

static void kernel_without_groups_has_iommufd(void **state)
{
	plug((struct emu_pci_opts){});
	only_iommufd();
	assert_choice(VFN_IOMMU_IOMMUFD, "iommufd");
	assert_open_by(true, "iommufd");
}

static void choice_for_another_drivers_device_is_none(void **state)
{
	plug((struct emu_pci_opts){ .driver = "nvme" });
	assert_choice(VFN_IOMMU_NONE, "bound to nvme: run vfntool bind");
}

static void choice_for_no_device_fails(void **state)
{
	plug((struct emu_pci_opts){});
	assert_fails_with(vfn_iommu_choose("", why, sizeof(why)), EINVAL);
	assert_fails_with(vfn_iommu_choose("0000:77:00.0", why, sizeof(why)), ENODEV);
}

static void reason_is_cut_to_fit(void **state)
{
	char small[8];

	plug((struct emu_pci_opts){});
	assert_int_equal(vfn_iommu_choose(EMU_BDF, small, sizeof(small)), VFN_IOMMU_IOMMUFD);
	assert_string_equal(small, "iommufd");
}

/* V10: what fails by the one and works by the other works */
static void each_step_that_fails_falls_back_to_groups(void **state)
{
	static const char *const steps[] = { "IOAS_ALLOC", "BIND_IOMMUFD", "ATTACH_IOMMUFD_PT",
					     "IOAS_IOVA_RANGES" };
	unsigned int n = 0;

	plug((struct emu_pci_opts){});
	for (size_t i = 0; i < UNIT_ARRAY_SIZE(steps); i++) {
		do {
			emu_fail_at(EMU_IOCTL, ++n, ENOTTY);
			open_device();
			assert_true(emu_fail_fired());
			if (strstr(emu_fail_call(), steps[i]))
				break;
			assert_int_equal(vfio_pci_close(&pci), 0);
		} while (n < 10);
		assert_false(iommu_ctx_is_iommufd(pci.dev.ctx));
		assert_memory_equal(vfn_iommu_reason(pci.dev.ctx), "type1: " EMU_BDF,
				    strlen("type1: " EMU_BDF));
		assert_int_equal(vfio_pci_close(&pci), 0);
	}
}

/* A device takes what its address space has. */
static void further_device_does_not_choose(void **state)
{
	struct vfio_pci_device other = {};

	emu_pci_add(&(struct emu_pci_opts){ .bdf = EMU_BDF2 });
	open_with();
	setenv(FORCE, "1", 1);
	other.dev.ctx = pci.dev.ctx;
	assert_int_equal(vfio_pci_open(&other, EMU_BDF2), 0);
	assert_int_equal(emu_call_count("open " GROUP), 0);
	assert_int_equal(vfio_pci_close(&pci), 0);
	assert_int_equal(vfio_pci_close(&other), 0);
}

/* A program may keep an address space from device to device, without any between. */
static void address_space_that_was_empty_chooses_again(void **state)
{
	struct iommu_ctx *mine = iommu_get_context("mine");

	plug((struct emu_pci_opts){});
	pci.dev.ctx = mine;
	iommu_hold(mine);
	open_device();
	assert_true(iommu_ctx_is_iommufd(mine));
	assert_int_equal(vfio_pci_close(&pci), 0);
	assert_memory_equal(vfn_iommu_reason(mine), "none", 4);
	setenv(FORCE, "1", 1);
	pci.dev.ctx = mine;
	open_device();
	assert_false(iommu_ctx_is_iommufd(mine));
	iommu_let_go(mine);
}

/* ---- what is wrong, and what to do ---- */

static void fail_ioctl(const char *name, int err, int expected, const char *text)
{
	unsigned int n = 0;

	do {
		emu_fail_at(EMU_IOCTL, ++n, err);
		assert_int_equal(vfio_pci_open(&pci, EMU_BDF), -1);
	} while (n < 10 && !strstr(emu_fail_call(), name));
	assert_int_equal(errno, expected);
	assert_error_has(text);
	assert_error_has(EMU_BDF);
}

/* V7: the kernel says EINVAL of a device that is open elsewhere, EBUSY of one whose group is */
static void device_of_another_process_is_busy(void **state)
{
	plug((struct emu_pci_opts){});
	only_iommufd();
	fail_ioctl("BIND_IOMMUFD", EBUSY, EBUSY, "in use by another process");
	fail_ioctl("BIND_IOMMUFD", EINVAL, EBUSY, "in use by another process");
}

static void device_without_interrupt_remapping_is_eperm(void **state)
{
	plug((struct emu_pci_opts){});
	only_iommufd();
	fail_ioctl("BIND_IOMMUFD", EPERM, EPERM, "interrupt remapping");
}

/* V9 */
static void group_that_is_not_viable_names_who_is_in_the_way(void **state)
{
	emu_pci_add(&(struct emu_pci_opts){ .bdf = EMU_BDF2, .group = 7, .driver = "nvme" });
	plug((struct emu_pci_opts){});
	only_iommufd();
	assert_open_fails(EPERM, EMU_BDF2 " (nvme)");
}

static void address_space_with_memory_where_the_device_allows_none_is_einval(void **state)
{
	plug((struct emu_pci_opts){});
	only_iommufd();
	fail_ioctl("ATTACH_IOMMUFD_PT", EADDRINUSE, EINVAL, "memory mapped where");
}

/* V8 */
static void node_without_permission_is_eacces(void **state)
{
	plug((struct emu_pci_opts){});
	only_iommufd();
	emu_file_error(CDEV, EPERM);
	assert_open_fails(EACCES, "no permission to open " CDEV);
	emu_file_error(CDEV, 0);
	emu_file_error("/dev/iommu", EACCES);
	assert_open_fails(EACCES, "no permission to open /dev/iommu");
}

/* Two causes, and one is not the other. */
static void both_causes_are_named_where_they_differ(void **state)
{
	plug((struct emu_pci_opts){});
	emu_file_error(GROUP, EACCES);
	fail_ioctl("BIND_IOMMUFD", EBUSY, EACCES, "no permission to open " GROUP);
	assert_error_has("; and with iommufd: " EMU_BDF " is in use");
}

static void unbound_device_is_told_nothing_of_iommufd(void **state)
{
	plug((struct emu_pci_opts){ .driver = "nvme" });
	assert_open_fails(EBUSY, "bound to nvme: run vfntool bind");
	assert_null(strstr(vfn_last_error(), "iommufd"));
}

/* V13, V14 */
static void ranges_that_cannot_be_are_eproto(void **state)
{
	static const enum emu_hostile bad[] = { EMU_CHAIN_NONE, EMU_CHAIN_COUNT_HUGE,
						EMU_CHAIN_ARGSZ_GROWS };

	plug((struct emu_pci_opts){});
	only_iommufd();
	for (size_t i = 0; i < UNIT_ARRAY_SIZE(bad); i++) {
		emu_iommu()->chain = bad[i];
		assert_open_fails(EPROTO, "address range");
	}
}

/* V14 */
static void more_ranges_than_expected_are_all_read(void **state)
{
	struct iommu_iova_range *ranges;
	const unsigned int n = UNIT_ARRAY_SIZE(emu_iommu()->ranges);

	plug((struct emu_pci_opts){});
	for (unsigned int i = 0; i < n; i++)
		emu_iommu()->ranges[i] = (struct emu_range){ i * MIB, i * MIB + PAGE - 1 };
	emu_iommu()->nranges = n;
	open_device();
	assert_int_equal(iommu_get_iova_ranges(pci.dev.ctx, &ranges), n);
	assert_int_equal(ranges[n - 1].start, (n - 1) * MIB);
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

/* V11, W30, W31 */
static void open_leaves_nothing_whatever_call_fails(void **state)
{
	plug((struct emu_pci_opts){ .msi_vectors = 4 });
	only_iommufd();
	assert_true(emu_fail_each(EMU_SYSCALL, EIO, do_open, undo_open, NULL) > 20);
}

/* V12, W30 */
static void open_leaves_nothing_whatever_allocation_fails(void **state)
{
	plug((struct emu_pci_opts){});
	only_iommufd();
	assert_true(emu_fail_each(EMU_ALLOC, ENOMEM, do_open, undo_open, NULL) > 10);
}

/* W17: an errno that no step expects ends the call, not the process */
static void open_survives_every_errno(void **state)
{
	static const int errs[] = { EPERM, ENOENT, ENXIO, ENODEV, ENOTTY,   ENOSPC,
				    EINTR, EINVAL, EBUSY, EACCES, EMSGSIZE, E2BIG };

	plug((struct emu_pci_opts){ .no_msix = true });
	for (size_t i = 0; i < UNIT_ARRAY_SIZE(errs); i++) {
		only_iommufd();
		(void)emu_fail_each(EMU_SYSCALL, -errs[i], do_open, undo_open, NULL);
		emu_iommu()->no_vfio = false;
		(void)emu_fail_each(EMU_SYSCALL, -errs[i], do_open, undo_open, NULL);
	}
}

#define both(name) cmocka_unit_test_setup_teardown(name, setup_both, teardown_both)

int main(void)
{
	const struct CMUnitTest tests[] = {
		both(open_of_a_node_takes_steps_in_the_order_of_the_kernel),
		both(close_of_a_node_goes_from_the_device_outwards),
		both(devices_share_the_process_one_iommufd),
		both(iommufd_is_preferred),
		both(groups_can_be_forced),
		both(forced_groups_are_not_replaced),
		both(kernel_without_iommufd_has_groups),
		both(nodes_that_are_only_named_leave_groups),
		both(iommufd_without_permission_leaves_groups),
		both(kernel_without_groups_has_iommufd),
		both(choice_for_another_drivers_device_is_none),
		both(choice_for_no_device_fails),
		both(reason_is_cut_to_fit),
		both(each_step_that_fails_falls_back_to_groups),
		both(further_device_does_not_choose),
		both(address_space_that_was_empty_chooses_again),
		both(device_of_another_process_is_busy),
		both(device_without_interrupt_remapping_is_eperm),
		both(group_that_is_not_viable_names_who_is_in_the_way),
		both(address_space_with_memory_where_the_device_allows_none_is_einval),
		both(node_without_permission_is_eacces),
		both(both_causes_are_named_where_they_differ),
		both(unbound_device_is_told_nothing_of_iommufd),
		both(ranges_that_cannot_be_are_eproto),
		both(more_ranges_than_expected_are_all_read),
		both(open_leaves_nothing_whatever_call_fails),
		both(open_leaves_nothing_whatever_allocation_fails),
		both(open_survives_every_errno),
	};

	return cmocka_run_group_tests_name("cdev", tests, NULL, NULL);
}
