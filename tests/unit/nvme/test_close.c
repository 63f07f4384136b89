// SPDX-License-Identifier: GPL-2.0-or-later
/* Closing: in order, whatever state the controller is in, within a bounded time. */
#include "machine.h"

static const struct nvme_ctrl zero;

static void assert_closed(const struct nvme_ctrl *ctrl)
{
	assert_memory_equal(ctrl, &zero, sizeof(zero));
}

/* C20, W7 */
static void close_goes_from_queues_to_device(void **state)
{
	struct machine m;

	start(&m, NULL);
	assert_int_equal(nvme_create_ioqpair(&m.ctrl, 1, 8, -1, 0), 0);
	assert_int_equal(nvme_create_ioqpair(&m.ctrl, 2, 8, -1, 0), 0);
	emu_calls_clear();
	nvme_close(&m.ctrl);
	emu_assert_order("admin DELETE_SQ 1", "admin DELETE_SQ 2", "admin DELETE_CQ 1",
			 "admin DELETE_CQ 2", "reg write 0x14 0x464001", "reg write 0x14 0x464000",
			 emu_unmap_call(), "close " EMU_BDF, NULL);
	assert_int_equal(emu_nvme_reg(m.nvme, REG_CSTS) & CSTS_RDY, 0);
	assert_closed(&m.ctrl);
}

/* H7: who removes a device holds its part of sysfs while he waits for the close */
static void close_of_a_controller_in_use_leaves_sysfs_alone(void **state)
{
	union nvme_cmd cmd = flush_cmd();
	struct machine m;

	start_pair(&m, NULL, 8);
	emu_calls_clear();
	assert_int_equal(nvme_sync(&m.ctrl, m.sq, &cmd, NULL, 0, NULL), 0);
	post_flush(m.sq);
	iommu_put_dmabuf(&m.buf);
	nvme_close(&m.ctrl);
	assert_closed(&m.ctrl);
	assert_true(emu_call_count("close " EMU_BDF) > 0);
	assert_null(strstr(emu_calls(), "/sys/"));
}

/* W7: submission queues first, whoever created the completion queue */
static void close_deletes_all_submission_queues_of_a_shared_cq(void **state)
{
	struct machine m;

	start(&m, NULL);
	assert_int_equal(nvme_create_iocq(&m.ctrl, 1, 64, -1), 0);
	for (int qid = 1; qid <= 3; qid++)
		assert_int_equal(nvme_create_iosq(&m.ctrl, qid, 8, &m.ctrl.cq[1], 0), 0);
	nvme_close(&m.ctrl);
	assert_closed(&m.ctrl);
}

/* W7 */
static void close_with_60_commands_in_flight_is_clean(void **state)
{
	struct machine m;

	start_pair(&m, NULL, 64);
	emu_nvme_fault(m.nvme, &(struct emu_fault){
				       .kind = EMU_LOSE,
				       .qid = 1,
				       .opcode = EMU_ANY,
				       .count = UINT32_MAX,
			       });
	for (int i = 0; i < 60; i++)
		post_flush(m.sq);
	assert_int_equal(emu_nvme_stats(m.nvme).outstanding, 60);
	emu_calls_clear();
	iommu_put_dmabuf(&m.buf);
	nvme_close(&m.ctrl);
	emu_assert_order("admin DELETE_SQ 1", "admin DELETE_CQ 1", "reg write 0x14 0x464001", NULL);
	assert_closed(&m.ctrl);
}

/* W7: deleting a queue with commands in flight gives them back, aborted */
static void delete_with_commands_in_flight_is_clean(void **state)
{
	struct machine m;

	start_pair(&m, NULL, 64);
	emu_nvme_fault(m.nvme, &(struct emu_fault){
				       .kind = EMU_LOSE,
				       .qid = 1,
				       .opcode = EMU_ANY,
				       .count = UINT32_MAX,
			       });
	for (int i = 0; i < 60; i++)
		post_flush(m.sq);
	assert_int_equal(nvme_delete_ioqpair(&m.ctrl, 1), 0);
	emu_assert_order("admin DELETE_SQ 1", emu_unmap_call(), NULL);
	assert_int_equal(m.ctrl.sq[1].qsize, 0);
	stop(&m);
}

/* C20 */
static void close_with_held_admin_completions_is_bounded(void **state)
{
	uint64_t begin;
	struct machine m;

	start_pair(&m, NULL, 8);
	emu_nvme_set(m.nvme, EMU_HOLD, true);
	begin = emu_now();
	stop(&m);
	assert_true(emu_now() - begin < 20 * SEC);
	assert_closed(&m.ctrl);
}

static void close_with_a_lost_delete_is_bounded(void **state)
{
	uint64_t begin;
	struct machine m;

	start(&m, NULL);
	assert_int_equal(nvme_create_ioqpair(&m.ctrl, 1, 8, -1, 0), 0);
	add_fault(&m, EMU_LOSE, 0, OP_DELETE_SQ);
	begin = emu_now();
	nvme_close(&m.ctrl);
	assert_in_range(emu_now() - begin, 5 * SEC, 6 * SEC);
	emu_assert_order("admin DELETE_SQ 1", "reg write 0x14 0x464001", "reg write 0x14 0x464000",
			 NULL);
}

/* C7 */
static void close_with_fatal_status_disables(void **state)
{
	uint64_t begin;
	struct machine m;

	start_pair(&m, NULL, 8);
	emu_nvme_set_cfs(m.nvme);
	begin = emu_now();
	iommu_put_dmabuf(&m.buf);
	nvme_close(&m.ctrl);
	assert_true(emu_now() - begin < 100 * MS);
	assert_int_equal(emu_nvme_reg(m.nvme, REG_CC) & 1, 0);
	assert_closed(&m.ctrl);
}

/* H2, H3 */
static void close_of_a_removed_device_is_quick(void **state)
{
	uint64_t begin;
	struct machine m;

	start_pair(&m, NULL, 8);
	emu_pci_remove(emu_nvme_pci(m.nvme));
	begin = emu_now();
	stop(&m);
	assert_true(emu_now() - begin < 100 * MS);
	assert_closed(&m.ctrl);
}

/* C19 */
static void close_gives_up_on_a_shutdown_that_never_completes(void **state)
{
	uint64_t begin;
	struct machine m;

	start(&m, NULL);
	emu_nvme_set(m.nvme, EMU_NEVER_SHUT_DOWN, true);
	begin = emu_now();
	nvme_close(&m.ctrl);
	assert_in_range(emu_now() - begin, 5 * SEC, 6 * SEC);
	emu_assert_order("reg write 0x14 0x464001", "reg write 0x14 0x464000", NULL);
	assert_closed(&m.ctrl);
}

/* Identify Controller has RTD3E at bytes 88 to 91, in microseconds. */
static uint64_t close_with_rtd3e(uint32_t us)
{
	struct emu_nvme *nvme = emu_nvme_add(NULL);
	struct nvme_ctrl ctrl = {};
	uint64_t begin;

	us = htole32(us);
	memcpy(emu_nvme_identify_ctrl(nvme) + 88, &us, sizeof(us));
	assert_int_equal(nvme_init(&ctrl, EMU_BDF, NULL), 0);
	emu_nvme_set(nvme, EMU_NEVER_SHUT_DOWN, true);
	begin = emu_now();
	nvme_close(&ctrl);

	return emu_now() - begin;
}

/* C19 */
static void close_waits_for_the_shutdown_as_long_as_rtd3e(void **state)
{
	assert_in_range(close_with_rtd3e(20000000), 20 * SEC, 21 * SEC);
}

/* C19 */
static void close_waits_for_no_more_than_a_minute(void **state)
{
	assert_in_range(close_with_rtd3e(UINT32_MAX), 60 * SEC, 61 * SEC);
}

/* W22, L6 */
static void close_of_a_zeroed_controller_does_nothing(void **state)
{
	struct nvme_ctrl ctrl = {};

	nvme_close(&ctrl);
	assert_closed(&ctrl);
	assert_string_equal(emu_calls(), "");
}

/* L6 */
static void close_twice_does_nothing_more(void **state)
{
	struct machine m;

	start(&m, NULL);
	nvme_close(&m.ctrl);
	emu_calls_clear();
	nvme_close(&m.ctrl);
	assert_string_equal(emu_calls(), "");
}

/* W22, L6 */
static void close_of_a_half_built_controller_is_clean(void **state)
{
	struct nvme_ctrl ctrl = {};

	emu_nvme_add(NULL);
	assert_int_equal(nvme_ctrl_init(&ctrl, EMU_BDF, NULL), 0);
	nvme_close(&ctrl);
	assert_closed(&ctrl);

	assert_int_equal(nvme_ctrl_init(&ctrl, EMU_BDF, NULL), 0);
	assert_int_equal(nvme_configure_adminq(&ctrl, 0), 0);
	nvme_close(&ctrl);
	assert_closed(&ctrl);
}

/* W22 */
static void close_after_a_failed_init_does_nothing(void **state)
{
	struct nvme_ctrl ctrl = {};
	struct emu_nvme *nvme = emu_nvme_add(NULL);

	emu_nvme_set(nvme, EMU_CFS_AT_ENABLE, true);
	assert_fails_with(nvme_init(&ctrl, EMU_BDF, NULL), EIO);
	assert_closed(&ctrl);
	nvme_close(&ctrl);
	assert_closed(&ctrl);
}

/* C15, W7 */
static void delete_refused_keeps_the_queue(void **state)
{
	union nvme_cmd cmd = flush_cmd();
	struct emu_usage before;
	struct machine m;

	start_pair(&m, NULL, 8);
	before = emu_usage();
	refuse(m.nvme, OP_DELETE_SQ, 1);
	assert_fails_with(nvme_delete_ioqpair(&m.ctrl, 1), EIO);
	emu_assert_usage(&before);
	assert_int_equal(nvme_sync(&m.ctrl, m.sq, &cmd, NULL, 0, NULL), 0);

	refuse(m.nvme, OP_DELETE_CQ, 1);
	assert_int_equal(nvme_delete_iosq(&m.ctrl, 1), 0);
	assert_fails_with(nvme_delete_iocq(&m.ctrl, 1), EIO);
	assert_int_equal(m.ctrl.cq[1].qsize, 8);
	assert_int_equal(nvme_delete_iocq(&m.ctrl, 1), 0);
	assert_int_equal(m.ctrl.cq[1].qsize, 0);
	stop(&m);
}

/* C15 */
static void delete_that_times_out_keeps_the_memory(void **state)
{
	struct emu_usage before;
	struct machine m;

	start_pair(&m, NULL, 8);
	before = emu_usage();
	vfn_nvme_set_timeout(&m.ctrl, 100);
	add_fault(&m, EMU_LOSE, 0, OP_DELETE_SQ);
	assert_fails_with(nvme_delete_iosq(&m.ctrl, 1), ETIMEDOUT);
	emu_assert_usage(&before);
	stop(&m);
}

/* C20: the other queues are deleted in their order all the same */
static void close_with_a_refused_delete_goes_on(void **state)
{
	struct machine m;

	start(&m, NULL);
	for (int qid = 1; qid <= 3; qid++)
		assert_int_equal(nvme_create_ioqpair(&m.ctrl, qid, 8, -1, 0), 0);
	refuse(m.nvme, OP_DELETE_SQ, 2);
	nvme_close(&m.ctrl);
	emu_assert_order("admin DELETE_SQ 1", "admin DELETE_SQ 3", "admin DELETE_CQ 1",
			 "admin DELETE_CQ 3", "reg write 0x14 0x464001", NULL);
	assert_closed(&m.ctrl);
}

/* C15 */
static void delete_of_a_pair_goes_on_where_it_stopped(void **state)
{
	struct machine m;

	start(&m, NULL);
	assert_int_equal(nvme_create_ioqpair(&m.ctrl, 1, 8, -1, 0), 0);
	refuse(m.nvme, OP_DELETE_CQ, 1);
	assert_fails_with(nvme_delete_ioqpair(&m.ctrl, 1), EIO);
	assert_int_equal(m.ctrl.sq[1].qsize, 0);
	assert_int_equal(nvme_delete_ioqpair(&m.ctrl, 1), 0);
	assert_fails_with(nvme_delete_ioqpair(&m.ctrl, 1), ENOENT);
	nvme_close(&m.ctrl);
}

/* W7: what cannot be disabled is reset before its queues' memory goes */
static void close_of_a_controller_that_stays_enabled_resets_the_function(void **state)
{
	struct machine m;

	start(&m, NULL);
	assert_int_equal(nvme_create_ioqpair(&m.ctrl, 1, 8, -1, 0), 0);
	emu_nvme_set(m.nvme, EMU_NEVER_UNREADY, true);
	emu_calls_clear();
	nvme_close(&m.ctrl);
	emu_assert_order("reg write 0x14 0x464000", "ioctl DEVICE_RESET", emu_unmap_call(), NULL);
	assert_closed(&m.ctrl);
}

/* W7 */
static void init_that_never_gets_ready_resets_the_function(void **state)
{
	struct nvme_ctrl ctrl = {};
	struct emu_nvme *nvme = emu_nvme_add(NULL);

	emu_nvme_set(nvme, EMU_NEVER_READY, true);
	assert_fails_with(nvme_init(&ctrl, EMU_BDF, NULL), ETIMEDOUT);
	emu_assert_order("reg write 0x14 0x460001", "ioctl DEVICE_RESET", emu_unmap_call(), NULL);
	emu_nvme_set(nvme, EMU_NEVER_READY, false);
	assert_int_equal(nvme_init(&ctrl, EMU_BDF, NULL), 0);
	nvme_close(&ctrl);
}

/* What the caller only configured is not the controller's to delete. */
static void close_of_queues_configured_by_hand_sends_no_delete(void **state)
{
	struct machine m;

	start(&m, NULL);
	assert_int_equal(nvme_configure_cq(&m.ctrl, 1, 8, -1), 0);
	assert_int_equal(nvme_configure_sq(&m.ctrl, 1, 8, &m.ctrl.cq[1], 0), 0);
	nvme_close(&m.ctrl);
	assert_int_equal(emu_nvme_stats(m.nvme).admin[OP_DELETE_SQ], 0);
	assert_int_equal(emu_nvme_stats(m.nvme).admin[OP_DELETE_CQ], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(close_goes_from_queues_to_device),
		test(close_of_a_controller_in_use_leaves_sysfs_alone),
		test(close_deletes_all_submission_queues_of_a_shared_cq),
		test(close_with_60_commands_in_flight_is_clean),
		test(delete_with_commands_in_flight_is_clean),
		test(close_with_held_admin_completions_is_bounded),
		test(close_with_a_lost_delete_is_bounded),
		test(close_with_fatal_status_disables),
		test(close_of_a_removed_device_is_quick),
		test(close_gives_up_on_a_shutdown_that_never_completes),
		test(close_waits_for_the_shutdown_as_long_as_rtd3e),
		test(close_waits_for_no_more_than_a_minute),
		test(close_of_a_zeroed_controller_does_nothing),
		test(close_twice_does_nothing_more),
		test(close_of_a_half_built_controller_is_clean),
		test(close_after_a_failed_init_does_nothing),
		test(delete_refused_keeps_the_queue),
		test(delete_that_times_out_keeps_the_memory),
		test(close_with_a_refused_delete_goes_on),
		test(delete_of_a_pair_goes_on_where_it_stopped),
		test(close_of_a_controller_that_stays_enabled_resets_the_function),
		test(init_that_never_gets_ready_resets_the_function),
		test(close_of_queues_configured_by_hand_sends_no_delete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
