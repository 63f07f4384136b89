// SPDX-License-Identifier: GPL-2.0-or-later
/* Fault queues of iommufd. */
#include "space.h"

#include <poll.h>
#include <pthread.h>

#include <vfn/iommu/iommufd.h>

#include "emu_internal.h"

static struct iommufd_fault_queue fq;

static int setup_queue(void **state)
{
	if (setup_closed(state))
		return -1;
	emu_iommu()->no_iommufd = false;
	memset(&fq, 0, sizeof(fq));

	return 0;
}

static void queue_comes_and_goes_without_a_device(void **state)
{
	const struct emu_usage before = emu_usage();

	assert_int_equal(iommufd_alloc_fault_queue(&fq), 0);
	assert_true(fq.fault_id > 0);
	assert_true(fq.fault_fd > 2);
	vfn_iommufd_free_fault_queue(&fq);
	vfn_iommufd_free_fault_queue(&fq);
	emu_assert_usage(&before);
}

static void device_keeps_its_mappings_with_a_queue(void **state)
{
	const struct emu_usage before = emu_usage();
	iova_t iova;

	open_space();
	iova = map(mem, PAGE, 0);
	assert_int_equal(iommufd_alloc_fault_queue(&fq), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(iommufd_set_fault_queue(ctx, &fq, pci.dev.fd), 0);
		assert_true(emu_iova_mapped(EMU_BDF, iova, PAGE));
	}
	iova = map(mem + PAGE, PAGE, 0);
	assert_true(emu_iova_mapped(EMU_BDF, iova, PAGE));
	assert_int_equal(iommufd_set_fault_queue(ctx, NULL, pci.dev.fd), 0);
	assert_true(emu_iova_mapped(EMU_BDF, iova, PAGE));
	assert_int_equal(iommufd_set_fault_queue(ctx, &fq, pci.dev.fd), 0);
	assert_int_equal(iommu_unmap_all(ctx), 0);

	/* close takes the page table along */
	assert_int_equal(vfio_pci_close(&pci), 0);
	vfn_iommufd_free_fault_queue(&fq);
	emu_assert_usage(&before);
}

static void queue_outlives_the_address_space(void **state)
{
	open_space();
	assert_int_equal(iommufd_alloc_fault_queue(&fq), 0);
	assert_int_equal(vfio_pci_close(&pci), 0);
	assert_int_equal(emu_call_count("close iommufd"), 0);
	vfn_iommufd_free_fault_queue(&fq);
	assert_int_equal(emu_call_count("close iommufd"), 1);
}

static void kernel_without_queues_is_not_supported(void **state)
{
	emu_iommu()->no_fault_queue = true;
	assert_fails_with(iommufd_alloc_fault_queue(&fq), ENOTSUP);
	assert_error_has("Linux 6.11");
	assert_int_equal(fq.fault_fd, -1);
	vfn_iommufd_free_fault_queue(&fq);
}

static void machine_without_iommufd_is_enodev(void **state)
{
	emu_iommu()->no_iommufd = true;
	assert_fails_with(iommufd_alloc_fault_queue(&fq), ENODEV);
	assert_error_has("/dev/iommu");
}

static void type1_has_no_queues(void **state)
{
	emu_iommu()->no_iommufd = true;
	open_space();
	assert_fails_with(iommufd_set_fault_queue(ctx, &fq, pci.dev.fd), ENOTSUP);
	assert_error_has("fault queues take iommufd");
}

static void queue_for_no_device_is_refused(void **state)
{
	open_space();
	assert_int_equal(iommufd_alloc_fault_queue(&fq), 0);
	assert_fails_with(iommufd_set_fault_queue(ctx, &fq, pci.dev.fd + 1), ENODEV);
	assert_fails_with(iommufd_set_fault_queue(NULL, &fq, pci.dev.fd), EINVAL);
	vfn_iommufd_free_fault_queue(&fq);
	assert_fails_with(iommufd_set_fault_queue(ctx, &fq, pci.dev.fd), EINVAL);
}

static void device_that_cannot_stays_as_it_was(void **state)
{
	iova_t iova;

	open_space();
	iova = map(mem, PAGE, 0);
	assert_int_equal(iommufd_alloc_fault_queue(&fq), 0);
	emu_iommu()->no_fault_hwpt = true;
	assert_fails_with(iommufd_set_fault_queue(ctx, &fq, pci.dev.fd), ENOTSUP);
	assert_error_has("does not hand page faults on");
	emu_iommu()->no_fault_hwpt = false;
	emu_iommu()->no_pri = true;
	assert_fails_with(iommufd_set_fault_queue(ctx, &fq, pci.dev.fd), ENODEV);
	assert_error_has(EMU_BDF " has no page faults: it, or its IOMMU, has no PRI");
	assert_true(emu_iova_mapped(EMU_BDF, iova, PAGE));
	unmap(mem);
	vfn_iommufd_free_fault_queue(&fq);
}

static void queue_without_faults_has_none(void **state)
{
	struct vfn_iommufd_fault fault;

	open_space();
	assert_int_equal(iommufd_alloc_fault_queue(&fq), 0);
	assert_int_equal(iommufd_set_fault_queue(ctx, &fq, pci.dev.fd), 0);
	assert_int_equal(vfn_iommufd_get_faults(&fq, &fault, 1), 0);
	assert_fails_with(vfn_iommufd_get_faults(&fq, &fault, 0), EINVAL);
	assert_int_equal(vfio_pci_close(&pci), 0);
	vfn_iommufd_free_fault_queue(&fq);
}

#define MISSING 0x50000000ULL
#define PAGES 3

/* A device that misses pages; what it is told. */
static void *miss(void *resolved)
{
	struct emu_pci *hw = emu_pci_find(EMU_BDF);

	emu_lock();
	*(bool *)resolved = iommufd_page_fault(hw, MISSING + 4, PAGES, true);
	emu_unlock(NULL);

	return NULL;
}

static void check_fault(const struct vfn_iommufd_fault *fault, unsigned int i)
{
	const unsigned int last = i == PAGES - 1 ? VFN_IOMMUFD_FAULT_LAST : 0;

	assert_int_equal(fault->addr, MISSING + i * PAGE);
	assert_int_equal(fault->flags, VFN_IOMMUFD_FAULT_WRITE | last);
	assert_int_equal(fault->devfd, pci.dev.fd);
}

static bool handle_miss(bool map_it)
{
	struct vfn_iommufd_fault faults[8];
	struct pollfd p = { .fd = fq.fault_fd, .events = POLLIN };
	bool resolved = !map_it;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, miss, &resolved), 0);
	assert_int_equal(poll(&p, 1, 10000), 1);
	/* whole groups only */
	assert_int_equal(vfn_iommufd_get_faults(&fq, faults, PAGES - 1), 0);
	assert_int_equal(vfn_iommufd_get_faults(&fq, faults, 8), PAGES);
	for (unsigned int i = 0; i < PAGES; i++)
		check_fault(&faults[i], i);
	if (map_it)
		map_fixed(mem, PAGES * PAGE, MISSING);
	assert_int_equal(vfn_iommufd_answer_fault(&fq, &faults[PAGES - 1], map_it), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(vfn_iommufd_get_faults(&fq, faults, 8), 0);

	return resolved;
}

static void device_is_given_the_pages_it_misses(void **state)
{
	open_space();
	assert_int_equal(iommufd_alloc_fault_queue(&fq), 0);
	assert_int_equal(iommufd_set_fault_queue(ctx, &fq, pci.dev.fd), 0);
	assert_false(handle_miss(false));
	assert_true(handle_miss(true));
	assert_true(emu_iova_mapped(EMU_BDF, MISSING, PAGES * PAGE));
	unmap(mem);
	assert_int_equal(vfio_pci_close(&pci), 0);
	vfn_iommufd_free_fault_queue(&fq);
}

/* ---- fail at n ---- */

static int do_set(void *arg)
{
	if (iommufd_alloc_fault_queue(&fq))
		return -1;
	if (!iommufd_set_fault_queue(ctx, &fq, pci.dev.fd))
		return 0;
	vfn_iommufd_free_fault_queue(&fq);

	return -1;
}

static void undo_set(void *arg)
{
	assert_int_equal(iommufd_set_fault_queue(ctx, NULL, pci.dev.fd), 0);
	vfn_iommufd_free_fault_queue(&fq);
}

/* V11, W31 */
static void set_leaves_nothing_whatever_fails(void **state)
{
	open_space();
	assert_true(emu_fail_each(EMU_INIT, EIO, do_set, undo_set, NULL) >= 3);
	assert_int_equal(vfio_pci_close(&pci), 0);
}

#undef test
#define test(name) cmocka_unit_test_setup_teardown(name, setup_queue, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(queue_comes_and_goes_without_a_device),
		test(device_keeps_its_mappings_with_a_queue),
		test(queue_outlives_the_address_space),
		test(kernel_without_queues_is_not_supported),
		test(machine_without_iommufd_is_enodev),
		test(type1_has_no_queues),
		test(queue_for_no_device_is_refused),
		test(device_that_cannot_stays_as_it_was),
		test(queue_without_faults_has_none),
		test(device_is_given_the_pages_it_misses),
		test(set_leaves_nothing_whatever_fails),
	};

	return cmocka_run_group_tests_name("fault-queue", tests, NULL, NULL);
}
