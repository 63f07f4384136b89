// SPDX-License-Identifier: GPL-2.0-or-later
/* Every system call and allocation on the way up fails in turn, and nothing is left behind. */
#include "machine.h"

static int init(void *arg)
{
	struct nvme_ctrl *ctrl = arg;

	memset(ctrl, 0, sizeof(*ctrl));

	return nvme_init(ctrl, EMU_BDF, NULL);
}

static void close_it(void *arg)
{
	nvme_close(arg);
}

/* V11, W30 */
static void init_with_each_system_call_failing_leaves_nothing(void **state)
{
	static const int errors[] = { EIO, ENOMEM };
	struct nvme_ctrl ctrl;

	emu_nvme_add(&(struct emu_nvme_opts){ .dbbuf = true });
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++)
		assert_true(emu_fail_each(EMU_SYSCALL, errors[i], init, close_it, &ctrl) > 30);
}

/* V12, W30 */
static void init_with_each_allocation_failing_leaves_nothing(void **state)
{
	struct nvme_ctrl ctrl;

	emu_nvme_add(&(struct emu_nvme_opts){ .dbbuf = true });
	assert_true(emu_fail_each(EMU_ALLOC, ENOMEM, init, close_it, &ctrl) > 5);
}

/* V12, W22: after each failure the next attempt works */
static void init_after_each_failure_works(void **state)
{
	struct nvme_ctrl ctrl = {};
	bool fired;

	emu_nvme_add(NULL);
	for (unsigned int n = 1;; n++) {
		emu_fail_at(EMU_INIT, n, ENOMEM);
		(void)nvme_init(&ctrl, EMU_BDF, NULL);
		fired = emu_fail_fired();
		emu_fail_at(0, 0, 0);
		if (!ctrl.regs)
			assert_int_equal(nvme_init(&ctrl, EMU_BDF, NULL), 0);
		nvme_close(&ctrl);
		if (!fired)
			break;
	}
}

static int create_pair(void *arg)
{
	struct nvme_ctrl *ctrl = arg;

	return nvme_create_ioqpair(ctrl, 1, 16, -1, 0);
}

static void delete_pair(void *arg)
{
	assert_int_equal(nvme_delete_ioqpair(arg, 1), 0);
}

/* V11, V12, W30 */
static void create_ioqpair_with_each_call_failing_leaves_nothing(void **state)
{
	static const int errors[] = { EIO, ENOMEM };
	struct machine m;

	start(&m, NULL);
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		assert_true(emu_fail_each(EMU_INIT, errors[i], create_pair, delete_pair, &m.ctrl) >=
			    7);
		assert_int_equal(emu_nvme_stats(m.nvme).cqs, 0);
	}
	nvme_close(&m.ctrl);
}

/* W16 */
static void create_without_memory_then_close_returns(void **state)
{
	for (unsigned int n = 1; n <= 8; n++) {
		struct machine m;

		start(&m, NULL);
		emu_fail_at(EMU_INIT, n, ENOMEM);
		(void)nvme_create_ioqpair(&m.ctrl, 1, 16, -1, 0);
		emu_fail_at(0, 0, 0);
		nvme_close(&m.ctrl);
		emu_fini();
		emu_init();
	}
}

/* C14 */
static void create_refused_at_each_command_leaves_nothing(void **state)
{
	static const int opcodes[] = { OP_CREATE_CQ, OP_CREATE_SQ };

	for (size_t i = 0; i < 2; i++) {
		struct emu_usage before;
		struct machine m;

		start(&m, NULL);
		before = emu_usage();
		refuse(m.nvme, opcodes[i], 1);
		assert_fails_with(create_pair(&m.ctrl), EIO);
		emu_assert_usage(&before);
		assert_int_equal(emu_nvme_stats(m.nvme).cqs, 0);
		assert_int_equal(m.ctrl.cq[1].qsize, 0);
		assert_int_equal(m.ctrl.sq[1].qsize, 0);
		assert_int_equal(create_pair(&m.ctrl), 0);
		nvme_close(&m.ctrl);
		emu_fini();
		emu_init();
	}
}

/* C14 */
static void create_refused_at_the_kth_keeps_the_others(void **state)
{
	struct machine m;

	start(&m, NULL);
	refuse(m.nvme, OP_CREATE_SQ, 5);
	for (int qid = 1; qid <= 4; qid++)
		assert_int_equal(nvme_create_ioqpair(&m.ctrl, qid, 8, -1, 0), 0);
	assert_fails_with(nvme_create_ioqpair(&m.ctrl, 5, 8, -1, 0), EIO);
	assert_int_equal(emu_nvme_stats(m.nvme).cqs, 4);
	assert_int_equal(emu_nvme_stats(m.nvme).sqs, 4);
	nvme_close(&m.ctrl);
}

/* W7: whether the queue exists is not known, so its memory stays */
static void create_that_times_out_keeps_the_memory(void **state)
{
	static const struct {
		int opcode;
		enum emu_fault_kind kind;
	} cases[] = {
		{ OP_CREATE_CQ, EMU_DROP },
		{ OP_CREATE_SQ, EMU_DROP },
		{ OP_CREATE_CQ, EMU_LOSE },
		{ OP_CREATE_SQ, EMU_LOSE },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct machine m;

		start(&m, NULL);
		vfn_nvme_set_timeout(&m.ctrl, 100);
		add_fault(&m, cases[i].kind, 0, cases[i].opcode);
		assert_fails_with(create_pair(&m.ctrl), ETIMEDOUT);
		emu_assert_clean();
		assert_fails_with(create_pair(&m.ctrl), EEXIST);
		nvme_close(&m.ctrl);
		emu_assert_clean();
		emu_fini();
		emu_init();
	}
}

static void close_with_each_undo_failing_leaves_nothing(void **state)
{
	const struct emu_usage nothing = {};
	bool fired = true;

	for (unsigned int n = 1; fired; n++) {
		struct machine m;

		start(&m, NULL);
		assert_int_equal(create_pair(&m.ctrl), 0);
		emu_fail_at(EMU_CLOSE | EMU_MUNMAP, n, EIO);
		nvme_close(&m.ctrl);
		fired = emu_fail_fired();
		emu_fail_at(0, 0, 0);
		emu_assert_usage(&nothing);
		emu_fini();
		emu_init();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(init_with_each_system_call_failing_leaves_nothing),
		test(init_with_each_allocation_failing_leaves_nothing),
		test(init_after_each_failure_works),
		test(create_ioqpair_with_each_call_failing_leaves_nothing),
		test(create_without_memory_then_close_returns),
		test(create_refused_at_each_command_leaves_nothing),
		test(create_refused_at_the_kth_keeps_the_others),
		test(create_that_times_out_keeps_the_memory),
		test(close_with_each_undo_failing_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
