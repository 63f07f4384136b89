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

/* How QEMU heard of commands. The kernel's controllers count, too, so nothing may happen on them meanwhile. */
struct heard {
	long configured, by_register, by_shadow;
};

static struct heard count(void)
{
	return (struct heard){
		.configured = host_trace_count(CONFIGURED),
		.by_register = host_trace_count(REGISTER " sqid 1 "),
		.by_shadow = host_trace_count(SHADOW " sqid 1 "),
	};
}

/* Open, and write with every command announced on its own, many at a time. */
static struct heard announce(struct nvme_ctrl *ctrl, unsigned int quirks, uint64_t seed)
{
	struct heard before = count(), after;
	struct nvme_sq *sq;
	iova_t iova;
	int i, j;

	guest_open(ctrl, getenv("CONTROLLER"), quirks);
	sq = &ctrl->sq[1];

	assert_vfn(iommu_map_vaddr(__iommu_ctx(ctrl), mem, COMMANDS * LEN, &iova, 0) == 0);
	for (i = 0; i < COMMANDS; i++)
		guest_fill(mem + i * LEN, LEN, seed + i);

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
	after = count();

	for (i = 0; i < COMMANDS; i += 17)
		guest_kernel_check(&guest_ns4096, i, LEN, seed + i);

	return (struct heard){
		.configured = after.configured - before.configured,
		.by_register = after.by_register - before.by_register,
		.by_shadow = after.by_shadow - before.by_shadow,
	};
}

static void test_shadow_doorbells_spare_register_writes(void **state)
{
	struct nvme_ctrl ctrl = {};
	struct heard heard;

	(void)state;
	heard = announce(&ctrl, 0, 1000);
	assert_non_null(ctrl.dbbuf.doorbells.vaddr);
	assert_int_equal(heard.configured, 1);
	assert_true(heard.by_shadow > 0);
	/* with ioeventfd, a register that is written ends up in an eventfd, which is not traced */
	if (getenv("IOEVENTFD"))
		assert_int_equal(heard.by_register, 0);
	else
		assert_in_range(heard.by_register, 1, COMMANDS - 1);

	nvme_close(&ctrl);
}

static void test_quirk_does_without_shadow_doorbells(void **state)
{
	struct nvme_ctrl ctrl = {};
	struct heard heard;

	(void)state;
	heard = announce(&ctrl, NVME_QUIRK_BROKEN_DBBUF, 2000);
	assert_null(ctrl.dbbuf.doorbells.vaddr);
	assert_int_equal(heard.configured, 0);
	assert_int_equal(heard.by_shadow, 0);
	assert_int_equal(heard.by_register, COMMANDS);

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
