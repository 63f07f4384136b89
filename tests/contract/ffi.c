// SPDX-License-Identifier: GPL-2.0-or-later
/* A foreign language's way: no headers but for layouts, every function found by its name, inline ones included. */
#include "contract.h"

#include <dlfcn.h>

static void *find(const char *name)
{
	void *p = dlsym(RTLD_DEFAULT, name);

	if (!p)
		fail_msg("there is no symbol '%s'", name);

	return p;
}

#define CALL(result, name, types, ...) (((result(*) types)find(name))(__VA_ARGS__))

static uint64_t le64(uint64_t v)
{
	return CALL(uint64_t, "cpu_to_le64", (uint64_t), v);
}

static void program_without_headers_identifies_and_reads(void **state)
{
	struct nvme_ctrl *ctrl = CALL(void *, "zmalloc", (size_t), sizeof(*ctrl));
	union nvme_cmd cmd = {};
	struct nvme_cqe *cqe;
	struct nvme_rq *rq;
	uint64_t cap, iova = 0;
	void *buf;
	long len;

	CALL(void, "logv_set", (int), -1);
	assert_false(CALL(bool, "logv", (int), 0));
	assert_ok(CALL(int, "nvme_init", (void *, const char *, const void *), ctrl, contract_bdf(),
		       NULL));

	cap = CALL(uint64_t, "le64_to_cpu", (uint64_t),
		   CALL(uint64_t, "mmio_lh_read64", (void *), ctrl->regs));
	assert_int_equal(ctrl->config.mqes, cap & 0xffff);
	assert_int_not_equal(CALL(uint32_t, "mmio_read32", (void *), (char *)ctrl->regs + 8), 0);

	len = CALL(long, "pgmap", (void **, size_t), &buf, 4096);
	assert_int_equal(len, 4096);
	assert_ok(CALL(int, "iommu_map_vaddr", (void *, void *, size_t, uint64_t *, unsigned long),
		       ctrl->pci.dev.ctx, buf, 4096, &iova, 0));

	cmd.opcode = 6;
	cmd.cdw10 = CALL(uint32_t, "cpu_to_le32", (uint32_t), 1);
	assert_ok(CALL(int, "nvme_admin", (void *, void *, void *, size_t, void *), ctrl, &cmd, buf,
		       4096, NULL));

	assert_ok(CALL(int, "nvme_create_ioqpair", (void *, int, int, int, unsigned long), ctrl, 1,
		       32, -1, 0));
	rq = CALL(void *, "nvme_rq_acquire", (void *), &ctrl->sq[1]);
	assert_non_null(rq);

	memset(&cmd, 0, sizeof(cmd));
	cmd.opcode = 2;
	cmd.nsid = CALL(uint32_t, "cpu_to_le32", (uint32_t), 1);
	cmd.dptr.prp1 = le64(iova);
	CALL(void, "nvme_rq_prep_cmd", (void *, void *), rq, &cmd);
	assert_int_equal(cmd.cid, rq->cid);
	CALL(void, "nvme_sq_exec", (void *, const void *), &ctrl->sq[1], &cmd);
	CALL(void, "nvme_cq_spin", (void *), &ctrl->cq[1]);
	cqe = CALL(void *, "nvme_cq_get_cqe", (void *), &ctrl->cq[1]);
	assert_non_null(cqe);
	assert_true(CALL(bool, "nvme_cqe_ok", (void *), cqe));
	assert_ptr_equal(CALL(void *, "nvme_rq_from_cqe", (void *, void *), ctrl, cqe), rq);
	CALL(void, "nvme_cq_update_head", (void *), &ctrl->cq[1]);
	CALL(void, "nvme_rq_release", (void *), rq);

	assert_ok(CALL(int, "iommu_unmap_vaddr", (void *, void *, size_t *), ctrl->pci.dev.ctx, buf,
		       NULL));
	CALL(void, "nvme_close", (void *), ctrl);
	CALL(void, "pgunmap", (void *, size_t), buf, (size_t)len);
	free(ctrl);
}

/* The macros of these names hide functions of 4 and 3 arguments. */
static void interrupt_functions_have_their_full_form(void **state)
{
	struct vfio_pci_device *pci = calloc(1, sizeof(*pci));
	int none[2] = { -1, -1 };

	assert_ok(CALL(int, "vfio_pci_open", (void *, const char *), pci, contract_bdf()));
	assert_ok(CALL(int, "vfio_set_irq", (void *, int *, int, int), pci, none, 0, 2));
	assert_ok(CALL(int, "vfio_disable_irq", (void *, int, int), pci, 0, 2));
	assert_ok(CALL(int, "vfio_disable_irq_all", (void *), pci));
	assert_ok(CALL(int, "vfio_pci_close", (void *), pci));
	free(pci);
}

static void shadow_doorbells_are_functions(void **state)
{
	uint32_t index = 0, event = 5;
	struct nvme_dbbuf dbbuf = { &index, &event };

	assert_int_equal(CALL(int, "nvme_try_dbbuf", (uint16_t, void *), 3, &dbbuf), 0);
	assert_int_equal(index, CALL(uint32_t, "cpu_to_le32", (uint32_t), 3));
	assert_true(CALL(bool, "__nvme_need_mmio", (uint16_t, uint16_t, uint16_t), 5, 6, 3));
	assert_false(CALL(bool, "__nvme_need_mmio", (uint16_t, uint16_t, uint16_t), 5, 4, 3));
}

static void variables_are_symbols(void **state)
{
	assert_int_equal(*(size_t *)find("__VFN_PAGESIZE"), __VFN_PAGESIZE);
	assert_int_equal(*(int *)find("__VFN_PAGESHIFT"), __VFN_PAGESHIFT);
	assert_ptr_equal(find("__log_state"), &__log_state);
	assert_false(*(bool *)find("TRACE_NVME_SQ_POST_ACTIVE"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(program_without_headers_identifies_and_reads),
		cmocka_unit_test(interrupt_functions_have_their_full_form),
		cmocka_unit_test(shadow_doorbells_are_functions),
		cmocka_unit_test(variables_are_symbols),
	};

	return cmocka_run_group_tests_name("contract-ffi", tests, NULL, NULL);
}
