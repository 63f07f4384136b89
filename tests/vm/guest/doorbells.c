/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shadow doorbells spare register writes, and NVME_QUIRK_BROKEN_DBBUF does without; the data is right both ways. */
#include <stdlib.h>

#include "guest.h"

#define LEN 4096
#define BURST 32
#define BURSTS 8
#define COMMANDS (BURST * BURSTS)

/* QEMU's trace events. */
#define CONFIGURED "pci_nvme_dbbuf_config"
#define REGISTER "pci_nvme_mmio_doorbell_sq"
#define SHADOW "pci_nvme_shadow_doorbell_sq"

static char *mem;

static int setup(void **state)
{
	(void)state;
	mem = guest_alloc(COMMANDS * LEN);
	host_trace(CONFIGURED);
	host_trace(REGISTER);
	host_trace(SHADOW);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	guest_free(mem, COMMANDS * LEN);
	return 0;
}

/* Write with every command announced on its own, many at a time; return how often the register was written. */
static long announcements(struct nvme_ctrl *ctrl, uint64_t seed)
{
	struct nvme_sq *sq = &ctrl->sq[1];
	long before;
	iova_t iova;
	int i, j;

	assert_vfn(iommu_map_vaddr(__iommu_ctx(ctrl), mem, COMMANDS * LEN, &iova, 0) == 0);
	for (i = 0; i < COMMANDS; i++)
		guest_fill(mem + i * LEN, LEN, seed + i);

	before = host_trace_count(REGISTER " sqid 1 ");
	for (i = 0; i < COMMANDS; i += BURST) {
		for (j = i; j < i + BURST; j++) {
			union nvme_cmd cmd = guest_rw(NVME_IO_WRITE, &guest_ns4096, j, LEN);
			struct nvme_rq *rq = nvme_rq_acquire(sq);

			assert_non_null(rq);
			assert_vfn(nvme_rq_map_prp(ctrl, rq, &cmd, iova + j * LEN, LEN) == 0);
			nvme_rq_exec(rq, &cmd);
		}
		for (j = 0; j < BURST; j++) {
			struct timespec limit = { .tv_sec = 30 };
			struct nvme_cqe cqe;

			assert_vfn(nvme_cq_wait_cqes(sq->cq, &cqe, 1, &limit) == 1);
			assert_true(nvme_cqe_ok(&cqe));
			nvme_rq_release(nvme_rq_from_cqe(ctrl, &cqe));
			nvme_cq_update_head(sq->cq);
		}
	}
	for (i = 0; i < COMMANDS; i += 17)
		guest_kernel_check(&guest_ns4096, i, LEN, seed + i);

	return host_trace_count(REGISTER " sqid 1 ") - before;
}

static void test_shadow_doorbells_spare_register_writes(void **state)
{
	long configured = host_trace_count(CONFIGURED), shadow = host_trace_count(SHADOW);
	struct nvme_ctrl ctrl = {};
	long writes;

	(void)state;
	guest_open(&ctrl, getenv("CONTROLLER"), 0);
	assert_int_equal(host_trace_count(CONFIGURED), configured + 1);
	assert_non_null(ctrl.dbbuf.doorbells.vaddr);

	writes = announcements(&ctrl, 1000);
	assert_in_range(writes, 1, COMMANDS - 1);
	assert_true(host_trace_count(SHADOW) > shadow);

	nvme_close(&ctrl);
}

static void test_quirk_does_without_shadow_doorbells(void **state)
{
	long configured = host_trace_count(CONFIGURED), shadow = host_trace_count(SHADOW);
	struct nvme_ctrl ctrl = {};

	(void)state;
	guest_open(&ctrl, getenv("CONTROLLER"), NVME_QUIRK_BROKEN_DBBUF);
	assert_null(ctrl.dbbuf.doorbells.vaddr);

	assert_int_equal(announcements(&ctrl, 2000), COMMANDS);
	assert_int_equal(host_trace_count(CONFIGURED), configured);
	assert_int_equal(host_trace_count(SHADOW), shadow);

	nvme_close(&ctrl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shadow_doorbells_spare_register_writes),
		cmocka_unit_test(test_quirk_does_without_shadow_doorbells),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
