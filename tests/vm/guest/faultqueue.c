/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fault queues on a real kernel. QEMU 7.2's IOMMUs and controllers have no page
 * requests: what the library says then is what can be seen here, and that the
 * device goes on as before.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <vfn/iommu/iommufd.h>

#include "guest.h"

static struct nvme_ctrl ctrl;
static struct iommu_ctx *ctx;

static void assert_error_has(const char *part)
{
	if (!strstr(vfn_last_error(), part))
		fail_msg("'%s' is not in '%s'", part, vfn_last_error());
}

static void check_io(uint64_t seed)
{
	const size_t len = 4 * guest_ns512.block;
	char *mem = guest_alloc(len);

	guest_fill(mem, len, seed);
	guest_write(&ctrl, 1, &guest_ns512, 0, mem, len);
	guest_kernel_check(&guest_ns512, 0, len, seed);
	guest_free(mem, len);
}

static void test_queue_comes_empty_and_goes(void **state)
{
	struct vfn_iommufd_fault faults[8];
	struct iommufd_fault_queue fq;

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		struct pollfd p = { .events = POLLIN };

		assert_vfn(iommufd_alloc_fault_queue(&fq) == 0);
		assert_true(fq.fault_id > 0 && fq.fault_fd > 2);
		p.fd = fq.fault_fd;
		assert_int_equal(poll(&p, 1, 0), 0);
		assert_int_equal(vfn_iommufd_get_faults(&fq, faults, 8), 0);
		vfn_iommufd_free_fault_queue(&fq);
	}
}

static void test_answer_to_nothing_is_refused(void **state)
{
	const struct vfn_iommufd_fault fault = { .cookie = 1 };
	struct iommufd_fault_queue fq;

	(void)state;
	assert_vfn(iommufd_alloc_fault_queue(&fq) == 0);
	assert_int_equal(vfn_iommufd_answer_fault(&fq, &fault, true), -1);
	assert_int_equal(errno, EINVAL);
	vfn_iommufd_free_fault_queue(&fq);
}

static void test_device_without_page_requests_is_told_so_and_goes_on(void **state)
{
	struct iommufd_fault_queue fq;
	int err;

	(void)state;
	check_io(1);
	assert_vfn(iommufd_alloc_fault_queue(&fq) == 0);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(iommufd_set_fault_queue(ctx, &fq, ctrl.pci.dev.fd), -1);
		err = errno;
		printf("# %s\n", vfn_last_error());
		assert_true(err == ENOTSUP || err == ENODEV);
		assert_error_has("page faults");
		assert_error_has(guest_bdf("a"));
		check_io(2 + i);
	}
	assert_vfn(iommufd_set_fault_queue(ctx, NULL, ctrl.pci.dev.fd) == 0);
	check_io(4);
	vfn_iommufd_free_fault_queue(&fq);
}

static int setup(void **state)
{
	(void)state;
	guest_open(&ctrl, "a", 0);
	ctx = __iommu_ctx(&ctrl);

	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nvme_close(&ctrl);

	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queue_comes_empty_and_goes),
		cmocka_unit_test(test_answer_to_nothing_is_refused),
		cmocka_unit_test(test_device_without_page_requests_is_told_so_and_goes_on),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
