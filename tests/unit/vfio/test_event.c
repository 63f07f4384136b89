// SPDX-License-Identifier: GPL-2.0-or-later
/* What the kernel tells about a device: it is wanted back, the bus has failed. */
#include "device.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

static bool is_readable(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return poll(&pollfd, 1, 0) == 1 && pollfd.revents == POLLIN;
}

static void assert_tells(int fd, void (*event)(struct emu_pci *))
{
	uint64_t count;

	assert_true(fd > 2);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_false(is_readable(fd));
	assert_int_equal(read(fd, &count, sizeof(count)), -1);
	assert_int_equal(errno, EAGAIN);
	event(hw);
	assert_true(is_readable(fd));
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	assert_false(is_readable(fd));
}

/* H1 */
static void device_that_is_wanted_back_makes_its_descriptor_readable(void **state)
{
	open_with();
	assert_tells(vfn_vfio_request_fd(&pci), emu_pci_request);
}

/* H5 */
static void error_of_the_bus_makes_its_descriptor_readable(void **state)
{
	open_with();
	assert_tells(vfn_vfio_error_fd(&pci), emu_pci_error);
}

static void each_event_has_one_descriptor(void **state)
{
	int request, error;

	open_with();
	request = vfn_vfio_request_fd(&pci);
	error = vfn_vfio_error_fd(&pci);
	assert_int_not_equal(request, error);
	emu_calls_clear();
	assert_int_equal(vfn_vfio_request_fd(&pci), request);
	assert_int_equal(vfn_vfio_error_fd(&pci), error);
	assert_string_equal(emu_calls(), "");

	emu_pci_error(hw);
	assert_false(is_readable(request));
	assert_true(is_readable(error));
}

static void interrupts_and_events_do_not_know_of_each_other(void **state)
{
	int fd;

	open_with();
	fd = vfn_vfio_request_fd(&pci);
	assert_int_equal(vfn_vfio_setup_irqs(&pci.dev, (int[]){ -1 }, 1, 1), 1);
	assert_int_equal(vfio_disable_irq_all(&pci.dev), 0);
	assert_int_equal(vfn_vfio_select_irq(&pci, VFN_IRQ_INTX), 0);
	assert_int_equal(vfio_reset(&pci.dev), 0);
	emu_pci_request(hw);
	assert_true(is_readable(fd));
}

static void events_are_closed_with_their_device(void **state)
{
	const struct emu_usage nothing = {};
	int fd;

	open_with();
	fd = vfn_vfio_request_fd(&pci);
	assert_true(fd > 0);
	assert_true(vfn_vfio_error_fd(&pci) > 0);
	assert_int_equal(vfio_pci_close(&pci), 0);
	emu_assert_usage(&nothing);
	assert_int_equal(fcntl(fd, F_GETFD), -1);

	assert_fails_with(vfn_vfio_request_fd(&pci), ENODEV);
	assert_fails_with(vfn_vfio_error_fd(&pci), ENODEV);
}

static void kernel_without_events_is_not_supported(void **state)
{
	open_with(.num_irqs = VFIO_PCI_ERR_IRQ_INDEX);
	assert_fails_with(vfn_vfio_request_fd(&pci), ENOTSUP);
	assert_error_has(EMU_BDF ": the kernel does not tell that it wants the device back");
	assert_fails_with(vfn_vfio_error_fd(&pci), ENOTSUP);
	assert_error_has("of errors of the bus");
}

static void device_without_error_reports_is_not_supported(void **state)
{
	open_with(.not_express = true);
	assert_fails_with(vfn_vfio_error_fd(&pci), ENOTSUP);
	assert_error_has("VFIO interrupt index 3");
	assert_true(vfn_vfio_request_fd(&pci) > 0);
}

static int open_and_ask(void *arg)
{
	int saved;

	(void)arg;
	if (vfio_pci_open(&pci, EMU_BDF))
		return -1;
	if (vfn_vfio_request_fd(&pci) > 0 && vfn_vfio_error_fd(&pci) > 0)
		return 0;

	saved = errno;
	(void)vfio_pci_close(&pci);
	errno = saved;

	return -1;
}

static void close_again(void *arg)
{
	(void)arg;
	assert_int_equal(vfio_pci_close(&pci), 0);
}

/* V11 */
static void event_failing_at_n_leaves_nothing(void **state)
{
	plug((struct emu_pci_opts){});
	assert_true(emu_fail_each(EMU_INIT, -EMFILE, open_and_ask, close_again, NULL) > 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(device_that_is_wanted_back_makes_its_descriptor_readable),
		test(error_of_the_bus_makes_its_descriptor_readable),
		test(each_event_has_one_descriptor),
		test(interrupts_and_events_do_not_know_of_each_other),
		test(events_are_closed_with_their_device),
		test(kernel_without_events_is_not_supported),
		test(device_without_error_reports_is_not_supported),
		test(event_failing_at_n_leaves_nothing),
	};

	return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
