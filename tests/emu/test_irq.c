// SPDX-License-Identifier: GPL-2.0-or-later
/* Interrupts of the fake VFIO: INTx with automask, MSI, MSI-X, and SET_IRQS errnos. */
#include "raw.h"

#define TRIGGER_NONE (VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_NONE)
#define UNMASK (VFIO_IRQ_SET_ACTION_UNMASK | VFIO_IRQ_SET_DATA_NONE)
#define MSIX VFIO_PCI_MSIX_IRQ_INDEX

static uint64_t events(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static int new_eventfd(void)
{
	return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

#define assert_einval(expr) \
	do { \
		assert_int_equal(expr, -1); \
		assert_int_equal(errno, EINVAL); \
	} while (0)

static void set_irqs_rejects_nonsense(void **state)
{
	const int closed[1] = { 1000 }, null[1] = { os_open("/dev/vfio/vfio", O_RDWR) };
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = MSIX };
	struct raw r;

	emu_nvme_add(NULL);
	raw_open(&r, EMU_BDF);
	assert_int_equal(os_ioctl(r.dev, VFIO_DEVICE_GET_IRQ_INFO, &info), 0);
	assert_int_equal(info.count, 9);
	assert_true(info.flags & VFIO_IRQ_INFO_NORESIZE);
	info.index = 99;
	assert_einval(os_ioctl(r.dev, VFIO_DEVICE_GET_IRQ_INFO, &info));
	assert_einval(raw_set_irqs(&r, 99, TRIGGER_NONE, 0, 0, NULL));
	assert_einval(raw_set_irqs(&r, MSIX, TRIGGER_NONE, 9, 0, NULL));
	assert_einval(raw_set_irqs(&r, MSIX, TRIGGER_NONE, 0, 10, NULL));
	assert_einval(raw_set_irqs(&r, MSIX, RAW_TRIGGER_FD, 0, 1, NULL));
	assert_einval(raw_set_irqs(&r, MSIX, TRIGGER_NONE, 0, 0, NULL));
	assert_einval(raw_set_irqs(&r, VFIO_PCI_MSI_IRQ_INDEX, TRIGGER_NONE, 0, 0, NULL));
	assert_int_equal(raw_set_irqs(&r, MSIX, RAW_TRIGGER_FD, 0, 1, closed), -1);
	assert_int_equal(errno, EBADF);
	assert_einval(raw_set_irqs(&r, MSIX, RAW_TRIGGER_FD, 0, 1, null));
	assert_int_equal(emu_pci_irq_enabled(emu_nvme_pci(r.nvme), MSIX), 0);
	os_close(null[0]);
	raw_close(&r);
}

static void msix_signals_the_queues_vector(void **state)
{
	struct raw_cmd read = raw_rw(2, 1, 0, 1, RAW_BUF_IOVA, 0);
	int fds[3] = { new_eventfd(), new_eventfd(), new_eventfd() };
	struct raw r;

	emu_nvme_add(NULL);
	raw_open(&r, EMU_BDF);
	assert_int_equal(raw_set_irqs(&r, MSIX, RAW_TRIGGER_FD, 0, 3, fds), 0);
	raw_enable(&r);
	raw_create_cq(&r, 1, 2);
	raw_create_sq(&r, 1);
	assert_int_equal(events(fds[0]), 2);
	assert_int_equal(raw_sync(&r, 1, &read), 0);
	assert_int_equal(events(fds[2]), 1);
	assert_int_equal(events(fds[1]), 0);
	emu_pci_irq_spurious(emu_nvme_pci(r.nvme), 1);
	assert_int_equal(events(fds[1]), 1);
	assert_int_equal(raw_set_irqs(&r, MSIX, TRIGGER_NONE, 0, 0, NULL), 0);
	assert_int_equal(raw_sync(&r, 1, &read), 0);
	assert_int_equal(events(fds[2]), 0);
	raw_stop(&r);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}

static void noresize_and_dynamic_msix(void **state)
{
	struct emu_nvme_opts opts = {};
	int fds[2] = { new_eventfd(), -1 };
	struct raw r;

	emu_nvme_add(&opts);
	opts.pci.bdf = EMU_BDF2;
	opts.pci.msix_dynamic = true;
	emu_nvme_add(&opts);
	raw_open(&r, EMU_BDF);
	assert_int_equal(raw_set_irqs(&r, MSIX, RAW_TRIGGER_FD, 0, 2, fds), 0);
	assert_int_equal(raw_set_irqs(&r, MSIX, RAW_TRIGGER_FD, 1, 1, fds), 0);
	assert_einval(raw_set_irqs(&r, MSIX, RAW_TRIGGER_FD, 2, 1, fds));
	raw_close(&r);
	raw_open(&r, EMU_BDF2);
	assert_int_equal(raw_set_irqs(&r, MSIX, RAW_TRIGGER_FD, 0, 1, fds), 0);
	assert_int_equal(raw_set_irqs(&r, MSIX, RAW_TRIGGER_FD, 2, 1, fds), 0);
	assert_int_equal(emu_pci_irq_enabled(emu_nvme_pci(r.nvme), MSIX), 3);
	raw_close(&r);
	close(fds[0]);
}

static void vectors_may_be_scarce(void **state)
{
	const struct emu_nvme_opts opts = { .pci.vectors_avail = 2 };
	int fds[3] = { -1, -1, -1 };
	struct raw r;

	emu_nvme_add(&opts);
	raw_open(&r, EMU_BDF);
	assert_int_equal(raw_set_irqs(&r, MSIX, RAW_TRIGGER_FD, 0, 3, fds), 2);
	assert_int_equal(raw_set_irqs(&r, MSIX, RAW_TRIGGER_FD, 0, 2, fds), 0);
	raw_close(&r);
}

static void intx_is_masked_until_unmasked(void **state)
{
	int fd = new_eventfd();
	struct raw_cqe cqe;
	struct raw_cmd id = raw_identify(1, 0);
	struct raw r;

	emu_nvme_add(NULL);
	raw_open(&r, EMU_BDF);
	assert_int_equal(raw_set_irqs(&r, VFIO_PCI_INTX_IRQ_INDEX, RAW_TRIGGER_FD, 0, 1, &fd), 0);
	assert_einval(raw_set_irqs(&r, MSIX, RAW_TRIGGER_FD, 0, 1, &fd));
	raw_enable(&r);
	raw_submit(&r, 0, &id);
	assert_int_equal(events(fd), 1);
	assert_true(raw_poll(&r, 0, &cqe));
	raw_submit(&r, 0, &id);
	assert_int_equal(events(fd), 0);
	/* still asserted: unmasking signals at once */
	assert_int_equal(raw_set_irqs(&r, VFIO_PCI_INTX_IRQ_INDEX, UNMASK, 0, 1, NULL), 0);
	assert_int_equal(events(fd), 1);
	assert_true(raw_poll(&r, 0, &cqe));
	/* not asserted any more: it does not */
	assert_int_equal(raw_set_irqs(&r, VFIO_PCI_INTX_IRQ_INDEX, UNMASK, 0, 1, NULL), 0);
	assert_int_equal(events(fd), 0);
	raw_submit(&r, 0, &id);
	assert_int_equal(events(fd), 1);
	assert_true(raw_poll(&r, 0, &cqe));
	/* INTMS keeps the line down */
	assert_int_equal(raw_set_irqs(&r, VFIO_PCI_INTX_IRQ_INDEX, UNMASK, 0, 1, NULL), 0);
	raw_write(&r, 0x0c, 1);
	raw_submit(&r, 0, &id);
	assert_int_equal(events(fd), 0);
	raw_write(&r, 0x10, 1);
	assert_int_equal(events(fd), 1);
	assert_true(raw_poll(&r, 0, &cqe));
	raw_stop(&r);
	close(fd);
}

static void msi_signals(void **state)
{
	const struct emu_nvme_opts opts = { .pci = { .no_msix = true, .msi_vectors = 4 } };
	int fds[2] = { new_eventfd(), new_eventfd() };
	struct raw_cmd read = raw_rw(2, 1, 0, 1, RAW_BUF_IOVA, 0);
	struct raw r;

	emu_nvme_add(&opts);
	raw_open(&r, EMU_BDF);
	assert_int_equal(raw_set_irqs(&r, VFIO_PCI_MSI_IRQ_INDEX, RAW_TRIGGER_FD, 0, 2, fds), 0);
	raw_enable(&r);
	raw_create_cq(&r, 1, 1);
	raw_create_sq(&r, 1);
	assert_int_equal(raw_sync(&r, 1, &read), 0);
	assert_int_equal(events(fds[1]), 1);
	raw_stop(&r);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, emu_setup, emu_teardown)
		T(set_irqs_rejects_nonsense),	  T(msix_signals_the_queues_vector),
		T(noresize_and_dynamic_msix),	  T(vectors_may_be_scarce),
		T(intx_is_masked_until_unmasked), T(msi_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
