// SPDX-License-Identifier: GPL-2.0-or-later
/* Secondary controllers: who is which virtual function, flexible resources, online and offline. */
#include "machine.h"

enum {
	OP_VIRT_MGMT = 0x1c,
	QUEUES = 10,
	VECTORS = 6
};

static const struct emu_nvme_opts with_secondaries = {
	.virt = { .secondaries = 3, .total = { QUEUES, VECTORS }, .max = { 4, 3 } },
};

/* What Identify says of a secondary controller: state, queues, interrupts. */
static void assert_secondary(struct machine *m, uint16_t scid, bool online, int nvq, int nvi)
{
	union nvme_cmd cmd = {};
	uint8_t *list = (uint8_t *)new_pages(PAGE);

	cmd.identify.opcode = OP_IDENTIFY;
	cmd.identify.cns = 0x15;
	cmd.identify.ctrlid = cpu_to_le16(scid);
	assert_int_equal(nvme_admin(&m->ctrl, &cmd, list, PAGE, NULL), 0);
	assert_int_equal(list[32] | list[33] << 8, scid);
	assert_int_equal(list[32 + 4], online);
	assert_int_equal(list[32 + 10], nvq);
	assert_int_equal(list[32 + 12], nvi);
	free(list);
}

/* Up, and the primary controller has nothing that is flexible. */
static void start_released(struct machine *m, const struct emu_nvme_opts *opts)
{
	start(m, opts);
	assert_int_equal(vfn_nvme_vm_set_primary_flexible(&m->ctrl, 0, 0), 0);
	nvme_close(&m->ctrl);
	assert_int_equal(nvme_init(&m->ctrl, EMU_BDF, NULL), 0);
}

static void virtual_functions_have_their_identifiers(void **state)
{
	uint16_t cntlid = 0;
	struct machine m;

	start(&m, &with_secondaries);
	for (int vf = 1; vf <= 3; vf++) {
		assert_int_equal(nvme_get_vf_cntlid(&m.ctrl, vf, &cntlid), 0);
		assert_int_equal(cntlid, EMU_SCID + 3 * (vf - 1));
	}
	assert_fails_with(nvme_get_vf_cntlid(&m.ctrl, 4, &cntlid), ENOENT);
	assert_error_has("virtual function 4");
	assert_fails_with(nvme_get_vf_cntlid(&m.ctrl, 0xffff, &cntlid), ENOENT);
	assert_fails_with(nvme_get_vf_cntlid(&m.ctrl, 0, &cntlid), EINVAL);
	assert_fails_with(nvme_get_vf_cntlid(&m.ctrl, -1, &cntlid), EINVAL);
	assert_fails_with(nvme_get_vf_cntlid(&m.ctrl, 0x10001, &cntlid), EINVAL);
	nvme_close(&m.ctrl);
}

/* A list has 127. */
static void more_secondaries_than_a_list_has_are_found(void **state)
{
	static const int vfs[] = { 1, 127, 128, 129, 254, 255, 300 };
	const struct emu_nvme_opts opts = { .virt.secondaries = 300 };
	uint16_t cntlid = 0;
	struct machine m;

	start(&m, &opts);
	for (size_t i = 0; i < UNIT_ARRAY_SIZE(vfs); i++) {
		assert_int_equal(nvme_get_vf_cntlid(&m.ctrl, vfs[i], &cntlid), 0);
		assert_int_equal(cntlid, EMU_SCID + 3 * (vfs[i] - 1));
	}
	assert_fails_with(nvme_get_vf_cntlid(&m.ctrl, 301, &cntlid), ENOENT);
	nvme_close(&m.ctrl);
}

static void list_that_never_goes_on_ends(void **state)
{
	const struct emu_nvme_opts opts = { .virt = { .secondaries = 300, .stuck_list = true } };
	uint16_t cntlid = 0;
	struct machine m;

	start(&m, &opts);
	assert_int_equal(nvme_get_vf_cntlid(&m.ctrl, 127, &cntlid), 0);
	assert_fails_with(nvme_get_vf_cntlid(&m.ctrl, 128, &cntlid), ENOENT);
	assert_true(emu_nvme_stats(m.nvme).admin[OP_IDENTIFY] < 6);
	nvme_close(&m.ctrl);
}

static void controller_without_secondaries_refuses(void **state)
{
	uint16_t cntlid = 0;
	struct machine m;

	start(&m, NULL);
	assert_fails_with(nvme_get_vf_cntlid(&m.ctrl, 1, &cntlid), EIO);
	assert_fails_with(nvme_vm_assign_max_flexible(&m.ctrl, EMU_SCID), EIO);
	assert_fails_with(vfn_nvme_vm_set_primary_flexible(&m.ctrl, 0, 0), EIO);
	assert_fails_with(nvme_vm_set_online(&m.ctrl, EMU_SCID), EIO);
	assert_fails_with(nvme_vm_set_offline(&m.ctrl, EMU_SCID), EIO);
	nvme_close(&m.ctrl);
}

static void resources_of_the_primary_are_not_free_before_its_reset(void **state)
{
	struct machine m;

	start(&m, &with_secondaries);
	assert_fails_with(nvme_vm_assign_max_flexible(&m.ctrl, EMU_SCID), ENOSPC);
	assert_int_equal(vfn_nvme_vm_set_primary_flexible(&m.ctrl, 7, 4), 0);
	assert_fails_with(nvme_vm_assign_max_flexible(&m.ctrl, EMU_SCID), ENOSPC);
	assert_error_has("10 flexible queue");
	nvme_close(&m.ctrl);
	assert_int_equal(nvme_init(&m.ctrl, EMU_BDF, NULL), 0);
	assert_int_equal(nvme_vm_assign_max_flexible(&m.ctrl, EMU_SCID), 0);
	assert_secondary(&m, EMU_SCID, false, 3, 2);
	nvme_close(&m.ctrl);
}

static void assigned_is_the_most_that_there_is(void **state)
{
	struct machine m;

	start_released(&m, &with_secondaries);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(nvme_vm_assign_max_flexible(&m.ctrl, EMU_SCID), 0);
		assert_int_equal(nvme_vm_assign_max_flexible(&m.ctrl, EMU_SCID + 3), 0);
	}
	assert_secondary(&m, EMU_SCID, false, 4, 3);
	assert_secondary(&m, EMU_SCID + 3, false, 4, 3);
	/* two queues are left, and no interrupt */
	assert_fails_with(nvme_vm_assign_max_flexible(&m.ctrl, EMU_SCID + 6), ENOSPC);
	assert_error_has("6 flexible interrupt");
	assert_secondary(&m, EMU_SCID + 6, false, 2, 0);
	assert_fails_with(nvme_vm_assign_max_flexible(&m.ctrl, EMU_SCID + 1), ENOENT);
	assert_fails_with(nvme_vm_assign_max_flexible(&m.ctrl, EMU_SCID + 9), ENOENT);
	assert_fails_with(nvme_vm_assign_max_flexible(&m.ctrl, 0), ENOENT);
	assert_fails_with(nvme_vm_assign_max_flexible(&m.ctrl, 0xffff), ENOENT);
	nvme_close(&m.ctrl);
}

static void secondary_goes_online_with_resources_only(void **state)
{
	struct machine m;

	start_released(&m, &with_secondaries);
	assert_fails_with(nvme_vm_set_online(&m.ctrl, EMU_SCID), EIO);
	assert_error_has("0x4120");
	assert_int_equal(nvme_vm_assign_max_flexible(&m.ctrl, EMU_SCID), 0);
	assert_int_equal(nvme_vm_set_online(&m.ctrl, EMU_SCID), 0);
	assert_secondary(&m, EMU_SCID, true, 4, 3);
	assert_fails_with(nvme_vm_assign_max_flexible(&m.ctrl, EMU_SCID), EIO);
	assert_int_equal(nvme_vm_set_offline(&m.ctrl, EMU_SCID), 0);
	assert_secondary(&m, EMU_SCID, false, 4, 3);
	assert_int_equal(nvme_vm_assign_max_flexible(&m.ctrl, EMU_SCID), 0);
	assert_fails_with(nvme_vm_set_online(&m.ctrl, EMU_CNTLID), EIO);
	assert_fails_with(nvme_vm_set_offline(&m.ctrl, 0x1f), EIO);
	nvme_close(&m.ctrl);
}

/* W16: what the controller may still write to is not freed, and not used again either */
static void identify_that_times_out_keeps_its_memory(void **state)
{
	uint16_t cntlid = 0;
	struct emu_usage before;
	struct machine m;

	start(&m, &with_secondaries);
	before = emu_usage();
	vfn_nvme_set_timeout(&m.ctrl, 100);
	emu_nvme_fault(m.nvme, &(struct emu_fault){
				       .kind = EMU_DELAY,
				       .opcode = OP_IDENTIFY,
				       .delay_ns = SEC,
			       });
	assert_fails_with(nvme_get_vf_cntlid(&m.ctrl, 1, &cntlid), ETIMEDOUT);
	assert_true(emu_usage().dma_maps > before.dma_maps);
	assert_fails_with(nvme_get_vf_cntlid(&m.ctrl, 1, &cntlid), EBUSY);
	emu_advance(2 * SEC);
	nvme_close(&m.ctrl);
	assert_int_equal(nvme_init(&m.ctrl, EMU_BDF, NULL), 0);
	assert_int_equal(nvme_get_vf_cntlid(&m.ctrl, 1, &cntlid), 0);
	nvme_close(&m.ctrl);
}

static int assign(void *arg)
{
	uint16_t cntlid;

	return nvme_get_vf_cntlid(arg, 2, &cntlid) || nvme_vm_assign_max_flexible(arg, cntlid) ||
			       nvme_vm_set_online(arg, cntlid) ?
		       -1 :
		       0;
}

static void offline(void *arg)
{
	assert_int_equal(nvme_vm_set_offline(arg, EMU_SCID + 3), 0);
}

/* V11, V12 */
static void each_call_failing_leaves_nothing(void **state)
{
	struct machine m;

	start_released(&m, &with_secondaries);
	assert_true(emu_fail_each(EMU_INIT, ENOMEM, assign, offline, &m.ctrl) >= 6);
	nvme_close(&m.ctrl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(virtual_functions_have_their_identifiers),
		test(more_secondaries_than_a_list_has_are_found),
		test(list_that_never_goes_on_ends),
		test(controller_without_secondaries_refuses),
		test(resources_of_the_primary_are_not_free_before_its_reset),
		test(assigned_is_the_most_that_there_is),
		test(secondary_goes_online_with_resources_only),
		test(identify_that_times_out_keeps_its_memory),
		test(each_call_failing_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
