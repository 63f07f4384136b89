// SPDX-License-Identifier: GPL-2.0-or-later
/* Every scripted fault happens, to the right command and to no other. */
#include "raw.h"

#define READ 2
#define WRITE 1

static struct raw_cmd read_cmd(uint16_t cid)
{
	return raw_rw(READ, cid, 0, 1, RAW_BUF_IOVA, 0);
}

static void submit_read(struct raw *r, uint16_t cid)
{
	const struct raw_cmd cmd = read_cmd(cid);

	raw_submit(r, 1, &cmd);
}

static unsigned int start_with(struct raw *r, const struct emu_fault *fault)
{
	raw_start(r, NULL);
	memset(emu_nvme_disk(r->nvme, 1, NULL), 0x77, 512);

	return emu_nvme_fault(r->nvme, fault);
}

static void dropped_command_is_executed_and_not_completed(void **state)
{
	const struct emu_fault f = { .kind = EMU_DROP, .qid = 1, .opcode = READ, .nth = 2 };
	struct raw_cqe cqe;
	struct raw r;
	unsigned int id = start_with(&r, &f);

	submit_read(&r, 1);
	assert_int_equal(raw_wait(&r, 1).cid, 1);
	memset(r.buf, 0, 512);
	submit_read(&r, 2);
	os_sleep_ns(1000000000);
	assert_false(raw_poll(&r, 1, &cqe));
	assert_int_equal(r.buf[0], 0x77);
	submit_read(&r, 3);
	assert_int_equal(raw_wait(&r, 1).cid, 3);
	assert_int_equal(emu_nvme_fault_hits(r.nvme, id), 1);
	assert_int_equal(emu_nvme_stats(r.nvme).outstanding, 1);
	raw_stop(&r);
}

static void lost_command_is_not_executed(void **state)
{
	const struct emu_fault f = { .kind = EMU_LOSE, .qid = EMU_ANY, .opcode = READ };
	struct raw_cqe cqe;
	struct raw r;

	start_with(&r, &f);
	submit_read(&r, 1);
	assert_false(raw_poll(&r, 1, &cqe));
	assert_int_equal(r.buf[0], 0);
	raw_stop(&r);
}

static void delayed_command_takes_its_time(void **state)
{
	const struct emu_fault f = {
		.kind = EMU_DELAY,
		.qid = 1,
		.opcode = READ,
		.delay_ns = 5000000000ULL,
	};
	struct raw_cqe cqe;
	struct raw r;

	start_with(&r, &f);
	submit_read(&r, 1);
	os_sleep_ns(4900000000ULL);
	assert_false(raw_poll(&r, 1, &cqe));
	assert_int_equal(r.buf[0], 0);
	os_sleep_ns(200000000);
	assert_true(raw_poll(&r, 1, &cqe));
	assert_int_equal(r.buf[0], 0x77);
	raw_stop(&r);
}

static void duplicate_comes_twice(void **state)
{
	const struct emu_fault f = { .kind = EMU_DUPLICATE, .qid = 1, .opcode = READ };
	struct raw_cqe cqe;
	struct raw r;

	start_with(&r, &f);
	submit_read(&r, 9);
	assert_true(raw_poll(&r, 1, &cqe));
	assert_int_equal(cqe.cid, 9);
	assert_true(raw_poll(&r, 1, &cqe));
	assert_int_equal(cqe.cid, 9);
	assert_false(raw_poll(&r, 1, &cqe));
	raw_stop(&r);
}

static void reordered_completion_lets_the_next_pass(void **state)
{
	const struct emu_fault f = { .kind = EMU_REORDER, .qid = 1, .opcode = READ };
	struct raw_cqe cqe;
	struct raw r;

	start_with(&r, &f);
	submit_read(&r, 1);
	assert_false(raw_poll(&r, 1, &cqe));
	submit_read(&r, 2);
	assert_int_equal(raw_wait(&r, 1).cid, 2);
	assert_int_equal(raw_wait(&r, 1).cid, 1);
	raw_stop(&r);
}

static void reordered_completion_comes_before_its_queue_goes(void **state)
{
	const struct emu_fault f = { .kind = EMU_REORDER, .qid = 1, .opcode = READ };
	struct raw_cmd delete_sq = { { [0] = 0, [10] = 1 } };
	struct raw_cqe cqe;
	struct raw r;

	start_with(&r, &f);
	submit_read(&r, 1);
	assert_false(raw_poll(&r, 1, &cqe));
	assert_int_equal(raw_sync(&r, 0, &delete_sq), 0);
	assert_true(raw_poll(&r, 1, &cqe));
	assert_int_equal(cqe.cid, 1);
	assert_int_equal(emu_nvme_stats(r.nvme).outstanding, 0);
	raw_stop(&r);
}

static void corrupt_overwrites_what_it_is_told(void **state)
{
	static const struct {
		unsigned int fields;
		struct raw_cqe cqe;
	} cases[] = {
		{ EMU_CQE_CID, { .cid = 0x1234, .sqid = 1, .sqhd = 1, .sfp = 1 } },
		{ EMU_CQE_SQID, { .cid = 5, .sqid = 0x22, .sqhd = 1, .sfp = 1 } },
		{ EMU_CQE_SQHD, { .cid = 5, .sqid = 1, .sqhd = 0x99, .sfp = 1 } },
		{ EMU_CQE_STATUS, { .cid = 5, .sqid = 1, .sqhd = 1, .sfp = 0x0281 << 1 | 1 } },
		{ EMU_CQE_DW0, { .dw0 = 0xdead, .cid = 5, .sqid = 1, .sqhd = 1, .sfp = 1 } },
		{ EMU_CQE_PHASE, { .cid = 5, .sqid = 1, .sqhd = 1, .sfp = 0 } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct emu_fault f = {
			.kind = EMU_CORRUPT,
			.qid = 1,
			.opcode = READ,
			.fields = cases[i].fields,
			.cid = 0x1234,
			.sqid = 0x22,
			.sqhd = 0x99,
			.status = 0x0281,
			.dw0 = 0xdead,
		};
		struct raw r;

		emu_fini();
		emu_init();
		start_with(&r, &f);
		submit_read(&r, 5);
		assert_memory_equal(&r.q[1].cq[0], &cases[i].cqe, sizeof(cases[i].cqe));
		raw_stop(&r);
	}
}

static void status_is_given_without_execution(void **state)
{
	const struct emu_fault f = {
		.kind = EMU_STATUS,
		.qid = 1,
		.opcode = WRITE,
		.nth = 2,
		.count = 2,
		.status = 0x0280,
	};
	const uint16_t expected[] = { 0, 0x0280, 0x0280, 0 };
	struct raw r;

	start_with(&r, &f);
	for (int i = 0; i < 4; i++) {
		struct raw_cmd write = raw_rw(WRITE, 1, 0, 1, RAW_BUF_IOVA, 0);

		memset(r.buf, i + 1, 512);
		assert_int_equal(raw_sync(&r, 1, &write), expected[i]);
		if (i == 2)
			assert_int_equal(*(char *)emu_nvme_disk(r.nvme, 1, NULL), 1);
	}
	raw_stop(&r);
}

static void create_is_refused_at_the_kth(void **state)
{
	const struct emu_fault f = {
		.kind = EMU_STATUS,
		.qid = 0,
		.opcode = 0x01,
		.nth = 2,
		.status = 0x4101,
	};
	struct raw_cmd sq = { {
		[0] = 1,
		[6] = RAW_IOVA + 0x6000,
		[10] = (RAW_DEPTH - 1) << 16 | 3,
		[11] = 3 << 16 | 1,
	} };
	struct raw r;

	emu_nvme_add(NULL);
	raw_open(&r, EMU_BDF);
	emu_nvme_fault(r.nvme, &f);
	raw_enable(&r);
	raw_create_cq(&r, 1, -1);
	raw_create_sq(&r, 1);
	raw_create_cq(&r, 3, -1);
	sq.dw[6] = RAW_IOVA + 0x4000;
	assert_int_equal(raw_sync(&r, 0, &sq), 0x4101);
	assert_int_equal(emu_nvme_stats(r.nvme).sqs, 1);
	assert_int_equal(raw_sync(&r, 0, &sq), 0);
	raw_stop(&r);
}

static void cfs_at_the_nth_command(void **state)
{
	const struct emu_fault f = { .kind = EMU_CFS, .qid = 1, .opcode = EMU_ANY, .nth = 2 };
	struct raw_cqe cqe;
	struct raw r;

	start_with(&r, &f);
	submit_read(&r, 1);
	assert_true(raw_poll(&r, 1, &cqe));
	submit_read(&r, 2);
	assert_int_equal(raw_read(&r, 0x1c), 3);
	assert_false(raw_poll(&r, 1, &cqe));
	raw_disable(&r);
	assert_int_equal(raw_read(&r, 0x1c), 0);
	raw_enable(&r);
	raw_stop(&r);
}

static void cfs_when_the_test_says_so(void **state)
{
	struct raw r;

	raw_start(&r, NULL);
	emu_nvme_set_cfs(r.nvme);
	assert_int_equal(raw_read(&r, 0x1c), 3);
	raw_stop(&r);
}

static void cfs_at_enable(void **state)
{
	struct raw r;

	emu_nvme_add(NULL);
	raw_open(&r, EMU_BDF);
	emu_nvme_set(r.nvme, EMU_CFS_AT_ENABLE, true);
	raw_write(&r, 0x24, 0xf000f);
	raw_write(&r, 0x28, RAW_IOVA);
	raw_write(&r, 0x2c, 0);
	raw_write(&r, 0x30, RAW_IOVA + 4096);
	raw_write(&r, 0x34, 0);
	raw_write(&r, 0x14, 1);
	assert_int_equal(raw_read(&r, 0x1c), 2);
	raw_disable(&r);
	raw_close(&r);
}

static void interrupt_can_be_lost(void **state)
{
	const struct emu_fault f = { .kind = EMU_NO_IRQ, .qid = 0, .opcode = 6 };
	struct raw_cmd id = raw_identify(1, 0);
	const int fd = eventfd(0, EFD_NONBLOCK);
	struct raw r;

	emu_nvme_add(NULL);
	raw_open(&r, EMU_BDF);
	emu_nvme_fault(r.nvme, &f);
	assert_int_equal(raw_set_irqs(&r, VFIO_PCI_MSIX_IRQ_INDEX, RAW_TRIGGER_FD, 0, 1, &fd), 0);
	raw_enable(&r);
	assert_int_equal(raw_sync(&r, 0, &id), 0);
	assert_int_equal(emu_nvme_stats(r.nvme).irqs, 0);
	assert_int_equal(raw_sync(&r, 0, &id), 0);
	assert_int_equal(emu_nvme_stats(r.nvme).irqs, 1);
	raw_stop(&r);
	close(fd);
}

static void registers_fail_at_the_nth_access(void **state)
{
	struct raw_cqe cqe;
	struct raw r;

	raw_start(&r, NULL);
	emu_nvme_fail_regs(r.nvme, 3, UINT32_MAX);
	assert_int_equal(raw_read(&r, 0x1c), 1);
	assert_int_equal(raw_read(&r, 0x1c), 1);
	assert_int_equal(raw_read(&r, 0x1c), UINT32_MAX);
	assert_int_equal(raw_read(&r, 0x08), UINT32_MAX);
	submit_read(&r, 1);
	assert_false(raw_poll(&r, 1, &cqe));
	emu_nvme_fail_regs(r.nvme, 1, 0);
	assert_int_equal(raw_read(&r, 0x1c), 0);
	raw_write(&r, 0x14, 0);
	emu_nvme_fail_regs(r.nvme, 0, 0);
	assert_int_equal(raw_read(&r, 0x14) & 1, 1);
	raw_stop(&r);
}

static void never_ready_and_never_unready(void **state)
{
	struct raw r;

	emu_nvme_add(NULL);
	raw_open(&r, EMU_BDF);
	raw_enable(&r);
	emu_nvme_set(r.nvme, EMU_NEVER_UNREADY, true);
	raw_write(&r, 0x14, 0);
	os_sleep_ns(100000000000ULL);
	assert_int_equal(raw_read(&r, 0x1c), 1);
	emu_nvme_set(r.nvme, EMU_NEVER_UNREADY, false);
	assert_int_equal(os_ioctl(r.dev, VFIO_DEVICE_RESET, NULL), 0);
	assert_int_equal(raw_read(&r, 0x1c), 0);
	emu_nvme_set(r.nvme, EMU_NEVER_READY, true);
	raw_bus_master(&r, true);
	memset(r.queue_mem, 0, 8192);
	raw_write(&r, 0x14, 1);
	os_sleep_ns(100000000000ULL);
	assert_int_equal(raw_read(&r, 0x1c), 0);
	raw_stop(&r);
}

static void shutdown_may_never_end(void **state)
{
	struct raw r;

	raw_start(&r, NULL);
	emu_nvme_set(r.nvme, EMU_NEVER_SHUT_DOWN, true);
	raw_write(&r, 0x14, 1 | 1 << 14 | 6 << 16 | 4 << 20);
	os_sleep_ns(100000000000ULL);
	assert_int_equal(raw_read(&r, 0x1c) >> 2 & 3, 1);
	raw_stop(&r);
}

static void held_completions_come_when_released(void **state)
{
	struct raw_cqe cqe;
	struct raw r;

	raw_start(&r, NULL);
	emu_nvme_set(r.nvme, EMU_HOLD, true);
	submit_read(&r, 1);
	submit_read(&r, 2);
	os_sleep_ns(1000000000);
	assert_false(raw_poll(&r, 1, &cqe));
	emu_nvme_set(r.nvme, EMU_HOLD, false);
	assert_true(raw_poll(&r, 1, &cqe));
	assert_true(raw_poll(&r, 1, &cqe));
	assert_int_equal(cqe.cid, 2);
	raw_stop(&r);
}

static void cleared_faults_hit_no_more(void **state)
{
	const struct emu_fault f = {
		.kind = EMU_STATUS,
		.qid = 1,
		.opcode = EMU_ANY,
		.count = UINT32_MAX,
		.status = 6,
	};
	struct raw_cmd read = read_cmd(1);
	struct raw r;

	start_with(&r, &f);
	assert_int_equal(raw_sync(&r, 1, &read), 6);
	assert_int_equal(raw_sync(&r, 1, &read), 6);
	emu_nvme_clear_faults(r.nvme);
	assert_int_equal(raw_sync(&r, 1, &read), 0);
	raw_stop(&r);
}

static void deleting_a_queue_completes_its_commands(void **state)
{
	const struct emu_fault f = { .kind = EMU_LOSE, .qid = 1, .opcode = READ };
	struct raw_cmd del = { { [0] = 0x00, [10] = 1 } };
	struct raw_cqe cqe;
	struct raw r;

	start_with(&r, &f);
	submit_read(&r, 4);
	assert_int_equal(raw_sync(&r, 0, &del), 0);
	cqe = raw_wait(&r, 1);
	assert_int_equal(cqe.cid, 4);
	assert_int_equal(cqe.sfp >> 1, 0x0008);
	raw_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, emu_setup, emu_teardown)
		T(dropped_command_is_executed_and_not_completed),
		T(lost_command_is_not_executed),
		T(delayed_command_takes_its_time),
		T(duplicate_comes_twice),
		T(reordered_completion_lets_the_next_pass),
		T(reordered_completion_comes_before_its_queue_goes),
		T(corrupt_overwrites_what_it_is_told),
		T(status_is_given_without_execution),
		T(create_is_refused_at_the_kth),
		T(cfs_at_the_nth_command),
		T(cfs_when_the_test_says_so),
		T(cfs_at_enable),
		T(interrupt_can_be_lost),
		T(registers_fail_at_the_nth_access),
		T(never_ready_and_never_unready),
		T(shutdown_may_never_end),
		T(held_completions_come_when_released),
		T(cleared_faults_hit_no_more),
		T(deleting_a_queue_completes_its_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
