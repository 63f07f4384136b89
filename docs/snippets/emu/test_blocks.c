// SPDX-License-Identifier: GPL-2.0-or-later
/* Tests of the tool, whose main() the compiler has called blocks_main(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <nvme/types.h>
#include <vfn/emu.h>

int blocks_main(int argc, char **argv);

static int blocks(void)
{
	char *argv[] = { "blocks", EMU_BDF, NULL };

	return blocks_main(2, argv);
}

static void tool_without_a_controller_fails(void **state)
{
	(void)state;
	assert_int_equal(blocks(), 1);
}

static void tool_has_an_answer(void **state)
{
	(void)state;
	emu_nvme_add(NULL);
	assert_int_equal(blocks(), 0);
}

static void tool_passes_the_failure_of_a_command_on(void **state)
{
	const struct emu_fault fault = {
		.kind = EMU_STATUS,
		.opcode = nvme_admin_identify,
		.nth = 2, /* the library has sent the first one */
		.status = 0xb,
	};
	struct emu_nvme *nvme = emu_nvme_add(NULL);

	(void)state;
	emu_nvme_fault(nvme, &fault);
	assert_int_equal(blocks(), 1);
}

/* The time-out of 60 s passes on the machine's clock, not on ours. */
static void tool_does_not_wait_for_ever(void **state)
{
	const struct emu_fault fault = {
		.kind = EMU_LOSE,
		.opcode = nvme_admin_identify,
		.nth = 2,
	};
	struct emu_nvme *nvme = emu_nvme_add(NULL);

	(void)state;
	emu_nvme_fault(nvme, &fault);
	assert_int_equal(blocks(), 1);
}

static void tool_survives_a_removal_at_any_moment(void **state)
{
	unsigned int n = 0;
	int status;

	(void)state;
	do {
		struct emu_nvme *nvme = emu_nvme_add(NULL);

		emu_nvme_fail_regs(nvme, ++n, UINT32_MAX);
		status = blocks();
		emu_fini();
		emu_init();
	} while (status);
	assert_true(n > 10);
}

/* After each of these the machine looks for violations, and for what was left open. */
#define test(name) cmocka_unit_test_setup_teardown(name, emu_setup, emu_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(tool_without_a_controller_fails),	       test(tool_has_an_answer),
		test(tool_passes_the_failure_of_a_command_on), test(tool_does_not_wait_for_ever),
		test(tool_survives_a_removal_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
