// SPDX-License-Identifier: GPL-2.0-or-later
/* Commands that fail for now, and are sent again. */
#include "machine.h"

#include <string.h>

#define ID_CRDT 128
#define HOST_BEHAVIOR 0x16
#define OP_GET_FEATURES 0x0a

#define NOT_READY 0x082
#define CRD(n) ((n) << 11)
#define DNR 0x4000

/* A controller that asks for @crdt in 100 ms. */
static void start_with_delays(struct machine *m, const uint16_t crdt[3])
{
	uint8_t *id;

	memset(m, 0, sizeof(*m));
	m->nvme = emu_nvme_add(NULL);
	id = emu_nvme_identify_ctrl(m->nvme);
	for (int i = 0; i < 3; i++) {
		id[ID_CRDT + 2 * i] = (uint8_t)crdt[i];
		id[ID_CRDT + 2 * i + 1] = (uint8_t)(crdt[i] >> 8);
	}
	assert_int_equal(nvme_init(&m->ctrl, EMU_BDF, NULL), 0);
	add_pair(m, 8);
}

static void fail_reads(struct machine *m, uint16_t status, uint32_t count)
{
	struct emu_fault fault = {
		.kind = EMU_STATUS, .qid = 1, .opcode = OP_READ, .status = status, .count = count
	};

	emu_nvme_fault(m->nvme, &fault);
}

static int read_retried(struct machine *m, struct nvme_cqe *cqe)
{
	union nvme_cmd cmd = rw_cmd(OP_READ, 0, 1);

	return vfn_nvme_sync_retry(&m->ctrl, m->sq, &cmd, m->buf.vaddr, 512, cqe);
}

static void host_behavior(struct machine *m, uint8_t opcode, uint8_t data[512])
{
	union nvme_cmd cmd = { .features = { .opcode = opcode, .fid = HOST_BEHAVIOR } };

	memcpy(m->buf.vaddr, data, 512);
	assert_int_equal(nvme_admin(&m->ctrl, &cmd, m->buf.vaddr, 512, NULL), 0);
	memcpy(data, m->buf.vaddr, 512);
}

static const uint16_t delays[3] = { 3, 50, 600 };

/* Q15: for loops of one's own */
static void status_says_whether_to_send_again(void **state)
{
	for (unsigned int status = 0; status < 0x8000; status++) {
		struct nvme_cqe cqe = { .sfp = cpu_to_le16((uint16_t)(status << 1)) };
		struct nvme_ctrl ctrl = { .priv = { .crdt = { 1, 2, 3 }, .retry_delays = true } };
		bool again = status && !(status & DNR) && (status & 0x7ff) != VFN_NVME_STATUS_LOST;
		uint64_t delay;

		assert_int_equal(vfn_nvme_may_retry(&ctrl, &cqe, 1, &delay), again);
		assert_int_equal(delay, (status >> 11 & 3) * 100 * MS);
		assert_int_equal(vfn_nvme_may_retry(&ctrl, &cqe, VFN_NVME_RETRIES, &delay), again);
		assert_false(vfn_nvme_may_retry(&ctrl, &cqe, VFN_NVME_RETRIES + 1, &delay));
	}
}

/* Q15 */
static void command_that_fails_for_now_is_sent_again(void **state)
{
	struct nvme_cqe cqe;
	struct machine m;

	start_pair(&m, NULL, 8);
	((uint8_t *)emu_nvme_disk(m.nvme, 1, NULL))[511] = 0x5a;
	fail_reads(&m, NOT_READY, VFN_NVME_RETRIES);
	assert_int_equal(read_retried(&m, &cqe), 0);
	assert_true(nvme_cqe_ok(&cqe));
	assert_int_equal(((uint8_t *)m.buf.vaddr)[511], 0x5a);
	assert_int_equal(emu_nvme_stats(m.nvme).io[OP_READ], VFN_NVME_RETRIES + 1);
	stop(&m);
}

/* Q15 */
static void command_that_goes_on_failing_is_given_up(void **state)
{
	struct nvme_cqe cqe;
	struct machine m;

	start_pair(&m, NULL, 8);
	fail_reads(&m, NOT_READY, UINT32_MAX);
	assert_fails_with(read_retried(&m, &cqe), EIO);
	assert_int_equal(le16_to_cpu(cqe.sfp) >> 1, NOT_READY);
	assert_int_equal(emu_nvme_stats(m.nvme).io[OP_READ], VFN_NVME_RETRIES + 1);
	assert_fails_with(read_retried(&m, NULL), EIO);
	stop(&m);
}

/* Q15 */
static void command_that_is_not_to_be_sent_again_is_not(void **state)
{
	static const uint16_t never[] = { NOT_READY | DNR, VFN_NVME_STATUS_LOST };

	for (size_t i = 0; i < 2; i++) {
		struct machine m;

		start_pair(&m, NULL, 8);
		fail_reads(&m, never[i], 1);
		assert_fails_with(read_retried(&m, NULL), EIO);
		assert_int_equal(emu_nvme_stats(m.nvme).io[OP_READ], 1);
		stop(&m);
		emu_fini();
		emu_init();
	}
}

/* Q15 */
static void command_without_a_status_is_not_sent_again(void **state)
{
	struct emu_fault lost = { .kind = EMU_LOSE, .qid = 1, .opcode = OP_READ };
	struct nvme_cqe cqe = { .sfp = cpu_to_le16(NOT_READY << 1) };
	struct machine m;

	start_pair(&m, NULL, 8);
	vfn_nvme_set_timeout(&m.ctrl, 10);
	emu_nvme_fault(m.nvme, &lost);
	assert_fails_with(read_retried(&m, &cqe), ETIMEDOUT);
	assert_true(nvme_cqe_ok(&cqe));
	assert_int_equal(emu_nvme_stats(m.nvme).io[OP_READ], 1);
	stop(&m);
}

/* Q15 */
static void delay_that_the_controller_asks_for_is_waited(void **state)
{
	for (unsigned int crd = 1; crd <= 3; crd++) {
		struct machine m;
		uint64_t before;

		start_with_delays(&m, delays);
		assert_int_equal(vfn_nvme_enable_retry_delays(&m.ctrl), 0);
		vfn_nvme_set_timeout(&m.ctrl, 200000);
		fail_reads(&m, NOT_READY | CRD(crd), 2);
		before = emu_now();
		assert_int_equal(read_retried(&m, NULL), 0);
		assert_in_range(emu_now() - before, 2 * delays[crd - 1] * 100 * MS,
				2 * delays[crd - 1] * 100 * MS + 10 * MS);
		stop(&m);
		emu_fini();
		emu_init();
	}
}

/* Q15 */
static void delays_are_no_longer_than_the_time_limit_in_all(void **state)
{
	struct machine m;
	uint64_t before;

	start_with_delays(&m, delays);
	assert_int_equal(vfn_nvme_enable_retry_delays(&m.ctrl), 0);
	vfn_nvme_set_timeout(&m.ctrl, 10000);
	fail_reads(&m, NOT_READY | CRD(2), UINT32_MAX);
	before = emu_now();
	assert_fails_with(read_retried(&m, NULL), EIO);
	assert_in_range(emu_now() - before, 10000 * MS, 10010 * MS);
	/* two delays of 5 s are, a third one is not */
	assert_int_equal(emu_nvme_stats(m.nvme).io[OP_READ], 3);
	stop(&m);
}

/* Q15 */
static void delay_comes_only_where_it_was_asked_for(void **state)
{
	struct machine m;
	uint64_t before;

	start_with_delays(&m, delays);
	fail_reads(&m, NOT_READY | CRD(3), 1);
	before = emu_now();
	assert_int_equal(read_retried(&m, NULL), 0);
	assert_in_range(emu_now() - before, 0, 10 * MS);
	stop(&m);
}

/* Q15: what else a program has told the controller of itself stays */
static void enabling_delays_changes_nothing_else(void **state)
{
	uint8_t data[512] = { [2] = 1, [511] = 7 };
	struct machine m;

	start_with_delays(&m, delays);
	host_behavior(&m, OP_SET_FEATURES, data);
	assert_int_equal(vfn_nvme_enable_retry_delays(&m.ctrl), 0);
	host_behavior(&m, OP_GET_FEATURES, data);
	assert_int_equal(data[0], 1);
	assert_int_equal(data[2], 1);
	assert_int_equal(data[511], 7);
	stop(&m);
}

/* Q15 */
static void delays_are_enabled_again_after_a_reset(void **state)
{
	for (int asked = 0; asked < 2; asked++) {
		uint8_t data[512] = {};
		struct machine m;

		start_with_delays(&m, delays);
		if (asked)
			assert_int_equal(vfn_nvme_enable_retry_delays(&m.ctrl), 0);
		assert_int_equal(vfn_nvme_reset_ctrl(&m.ctrl, NULL), 0);
		host_behavior(&m, OP_GET_FEATURES, data);
		assert_int_equal(data[0], asked);
		stop(&m);
		emu_fini();
		emu_init();
	}
}

/* Q15 */
static void controller_without_delays_is_not_supported(void **state)
{
	struct nvme_ctrl closed = {};
	struct machine m;

	start_pair(&m, NULL, 8);
	assert_fails_with(vfn_nvme_enable_retry_delays(&m.ctrl), ENOTSUP);
	assert_int_equal(emu_nvme_stats(m.nvme).admin[OP_GET_FEATURES], 0);
	stop(&m);
	assert_fails_with(vfn_nvme_enable_retry_delays(&closed), ENODEV);
}

/* Q15 */
static void controller_that_refuses_to_be_asked_leaves_nothing(void **state)
{
	static const int commands[] = { OP_GET_FEATURES, OP_SET_FEATURES };

	for (size_t i = 0; i < 2; i++) {
		struct emu_fault fault = {
			.kind = EMU_STATUS, .qid = 0, .opcode = commands[i], .status = 2
		};
		struct emu_usage before;
		struct machine m;

		start_with_delays(&m, delays);
		before = emu_usage();
		emu_nvme_fault(m.nvme, &fault);
		assert_fails_with(vfn_nvme_enable_retry_delays(&m.ctrl), EIO);
		assert_int_equal(emu_usage().dma_maps, before.dma_maps);
		assert_int_equal(vfn_nvme_enable_retry_delays(&m.ctrl), 0);
		stop(&m);
		emu_fini();
		emu_init();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(status_says_whether_to_send_again),
		test(command_that_fails_for_now_is_sent_again),
		test(command_that_goes_on_failing_is_given_up),
		test(command_that_is_not_to_be_sent_again_is_not),
		test(command_without_a_status_is_not_sent_again),
		test(delay_that_the_controller_asks_for_is_waited),
		test(delays_are_no_longer_than_the_time_limit_in_all),
		test(delay_comes_only_where_it_was_asked_for),
		test(enabling_delays_changes_nothing_else),
		test(delays_are_enabled_again_after_a_reset),
		test(controller_without_delays_is_not_supported),
		test(controller_that_refuses_to_be_asked_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
