// SPDX-License-Identifier: GPL-2.0-or-later
/* Closing a device: everything goes, in order, once; and what was never open is left alone. */
#include "device.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void close_leaves_nothing(void **state)
{
	static const struct vfio_pci_device closed;
	const struct emu_usage nothing = {};

	open_with();
	assert_int_equal(vfio_pci_close(&pci), 0);
	assert_memory_equal(&pci, &closed, sizeof(closed));
	emu_assert_usage(&nothing);
}

static void close_goes_from_the_device_outwards(void **state)
{
	only_groups();
	open_with();
	emu_calls_clear();
	assert_int_equal(vfio_pci_close(&pci), 0);
	emu_assert_order("close " EMU_BDF, "close group", "close container", NULL);
}

static void close_switches_interrupts_off_first(void **state)
{
	int fd = eventfd(0, 0);

	open_with();
	assert_int_equal(vfio_set_irq(&pci.dev, &fd, 1), 0);
	emu_calls_clear();
	assert_int_equal(vfio_pci_close(&pci), 0);
	emu_assert_order("DEVICE_SET_IRQS", "close " EMU_BDF, NULL);
	close(fd);
}

static void close_twice_does_nothing_the_second_time(void **state)
{
	open_with();
	assert_int_equal(vfio_pci_close(&pci), 0);
	emu_calls_clear();
	assert_int_equal(vfio_pci_close(&pci), 0);
	assert_string_equal(emu_calls(), "");
}

/* W22 */
static void close_of_what_was_never_open_leaves_descriptor_0(void **state)
{
	struct vfio_pci_device never = {};

	emu_calls_clear();
	assert_int_equal(vfio_pci_close(&never), 0);
	assert_string_equal(emu_calls(), "");
	assert_true(fcntl(0, F_GETFD) >= 0);
}

/* V11: what releases may fail, and releases all the same */
static void close_releases_all_whatever_fails(void **state)
{
	const struct emu_usage nothing = {};
	bool fired = true;
	int fd = eventfd(0, 0);

	plug((struct emu_pci_opts){});
	for (unsigned int n = 1; fired; n++) {
		open_device();
		assert_int_equal(vfio_set_irq(&pci.dev, &fd, 1), 0);
		emu_fail_at(EMU_UNDO | EMU_IOCTL, n, EIO);
		(void)vfio_pci_close(&pci);
		fired = emu_fail_fired();
		emu_fail_at(0, 0, 0);
		assert_null(pci.bdf);
		emu_assert_usage(&nothing);
	}
	close(fd);
}

static void close_that_cannot_switch_interrupts_off_says_so_and_closes(void **state)
{
	int fd = eventfd(0, 0);

	open_with();
	assert_int_equal(vfio_set_irq(&pci.dev, &fd, 1), 0);
	emu_fail_at(EMU_IOCTL, 1, EIO);
	assert_fails_with(vfio_pci_close(&pci), EIO);
	assert_null(pci.bdf);
	close(fd);
}

static void close_of_a_device_that_is_gone_works(void **state)
{
	open_with();
	emu_pci_remove(hw);
	assert_int_equal(vfio_pci_close(&pci), 0);
}

/* ---- reset ---- */

static void reset_reaches_the_device(void **state)
{
	open_with();
	assert_int_equal(vfio_reset(&pci.dev), 0);
	assert_int_equal(emu_call_count("ioctl DEVICE_RESET"), 1);
}

static void reset_of_a_device_that_cannot_is_not_supported(void **state)
{
	open_with(.no_reset = true);
	assert_fails_with(vfio_reset(&pci.dev), ENOTSUP);
	assert_int_equal(emu_call_count("ioctl DEVICE_RESET"), 0);
}

static void reset_that_fails_has_the_errno_of_the_kernel(void **state)
{
	open_with();
	emu_fail_at(EMU_IOCTL, 1, EAGAIN);
	assert_fails_with(vfio_reset(&pci.dev), EAGAIN);
}

/* V21 */
static void bus_mastering_comes_back_after_a_reset(void **state)
{
	open_with();
	assert_int_equal(vfio_reset(&pci.dev), 0);
	assert_false(emu_pci_bus_master(hw));
	assert_int_equal(vfn_vfio_pci_set_master(&pci), 0);
	assert_true(emu_pci_bus_master(hw));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(close_leaves_nothing),
		test(close_goes_from_the_device_outwards),
		test(close_switches_interrupts_off_first),
		test(close_twice_does_nothing_the_second_time),
		test(close_of_what_was_never_open_leaves_descriptor_0),
		test(close_releases_all_whatever_fails),
		test(close_that_cannot_switch_interrupts_off_says_so_and_closes),
		test(close_of_a_device_that_is_gone_works),
		test(reset_reaches_the_device),
		test(reset_of_a_device_that_cannot_is_not_supported),
		test(reset_that_fails_has_the_errno_of_the_kernel),
		test(bus_mastering_comes_back_after_a_reset),
	};

	return cmocka_run_group_tests_name("close", tests, NULL, NULL);
}
