/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory that was unmapped is out of the controller's reach, and the kernel reports that it tried. */
#include <unistd.h>

#include "guest.h"

#define LEN 4096

/* D19 */
static void test_unmapped_memory_is_out_of_reach(void **state)
{
	struct nvme_ctrl ctrl = {};
	union nvme_cmd cmd = guest_rw(NVME_IO_READ, &guest_ns512, 0, LEN);
	void *mem = guest_alloc(LEN);
	struct nvme_rq *rq;
	iova_t iova, none;

	(void)state;
	guest_open(&ctrl, "a", 0);

	guest_fill(mem, LEN, 17000);
	guest_write(&ctrl, 1, &guest_ns512, 0, mem, LEN);

	guest_fill(mem, LEN, 17001);
	assert_vfn(iommu_map_vaddr(__iommu_ctx(&ctrl), mem, LEN, &iova, 0) == 0);
	assert_vfn(iommu_unmap_vaddr(__iommu_ctx(&ctrl), mem, NULL) == 0);
	assert_false(iommu_translate_vaddr(__iommu_ctx(&ctrl), mem, &none));

	rq = nvme_rq_acquire(&ctrl.sq[1]);
	assert_non_null(rq);
	cmd.dptr.prp1 = cpu_to_le64(iova);
	nvme_rq_exec(rq, &cmd);
	/* QEMU may well call that a success */
	if (nvme_rq_spin(rq, NULL))
		assert_int_equal(errno, EIO);
	guest_check(mem, LEN, 17001);

	/* the kernel's report comes by an interrupt of its own */
	usleep(200 * 1000);
	nvme_close(&ctrl);
	guest_free(mem, LEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unmapped_memory_is_out_of_reach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
