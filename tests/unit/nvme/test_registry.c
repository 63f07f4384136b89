// SPDX-License-Identifier: GPL-2.0-or-later
/* Controllers found again by their addresses. */
#include "machine.h"

static void add_two(struct nvme_ctrl *a, struct nvme_ctrl *b)
{
	const struct emu_nvme_opts other = { .pci.bdf = EMU_BDF2 };

	memset(a, 0, sizeof(*a));
	memset(b, 0, sizeof(*b));
	emu_nvme_add(NULL);
	emu_nvme_add(&other);
	assert_int_equal(nvme_init(a, EMU_BDF, NULL), 0);
	assert_int_equal(nvme_init(b, EMU_BDF2, NULL), 0);
}

static void added_controllers_are_found_by_address(void **state)
{
	struct nvme_ctrl a, b;

	add_two(&a, &b);
	assert_null_with(nvme_get_ctrl(EMU_BDF), ENODEV);
	assert_int_equal(nvme_add_ctrl(&a), 0);
	assert_int_equal(nvme_add_ctrl(&b), 0);
	assert_ptr_equal(nvme_get_ctrl(EMU_BDF), &a);
	assert_ptr_equal(nvme_get_ctrl(EMU_BDF2), &b);
	assert_null_with(nvme_get_ctrl(EMU_BDF3), ENODEV);
	assert_null_with(nvme_get_ctrl(NULL), EINVAL);
	nvme_close(&a);
	nvme_close(&b);
}

/* W18 */
static void close_takes_the_controller_out(void **state)
{
	struct nvme_ctrl a, b;

	add_two(&a, &b);
	assert_int_equal(nvme_add_ctrl(&a), 0);
	assert_int_equal(nvme_add_ctrl(&b), 0);
	nvme_close(&a);
	assert_null_with(nvme_get_ctrl(EMU_BDF), ENODEV);
	assert_ptr_equal(nvme_get_ctrl(EMU_BDF2), &b);
	assert_fails_with(nvme_del_ctrl(&a), ENODEV);

	assert_int_equal(nvme_init(&a, EMU_BDF, NULL), 0);
	assert_int_equal(nvme_add_ctrl(&a), 0);
	assert_ptr_equal(nvme_get_ctrl(EMU_BDF), &a);
	nvme_close(&a);
	nvme_close(&b);
}

/* W18 */
static void init_in_place_that_fails_takes_the_controller_out(void **state)
{
	struct nvme_ctrl a, b;

	add_two(&a, &b);
	assert_int_equal(nvme_add_ctrl(&a), 0);
	assert_int_equal(nvme_reset(&a), 0);
	emu_fail_at(EMU_MMAP, 1, ENOMEM);
	assert_fails_with(nvme_ctrl_init(&a, EMU_BDF, NULL), ENOMEM);
	emu_fail_at(0, 0, 0);
	assert_null_with(nvme_get_ctrl(EMU_BDF), ENODEV);
	nvme_close(&b);
}

static void second_of_an_address_is_refused(void **state)
{
	struct nvme_ctrl a, b;

	add_two(&a, &b);
	assert_int_equal(nvme_add_ctrl(&a), 0);
	assert_fails_with(nvme_add_ctrl(&a), EEXIST);
	assert_int_equal(nvme_del_ctrl(&a), 0);
	assert_int_equal(nvme_add_ctrl(&a), 0);
	nvme_close(&a);
	nvme_close(&b);
}

static void controller_that_is_not_there_cannot_be_taken_out(void **state)
{
	struct nvme_ctrl a, b;

	add_two(&a, &b);
	assert_int_equal(nvme_add_ctrl(&b), 0);
	assert_fails_with(nvme_del_ctrl(&a), ENODEV);
	assert_int_equal(nvme_del_ctrl(&b), 0);
	assert_fails_with(nvme_del_ctrl(&b), ENODEV);
	nvme_close(&a);
	nvme_close(&b);
}

static void closed_controller_is_refused(void **state)
{
	struct nvme_ctrl ctrl = {};

	assert_fails_with(nvme_add_ctrl(&ctrl), ENODEV);
	assert_fails_with(nvme_del_ctrl(&ctrl), ENODEV);
}

static void no_memory_is_reported(void **state)
{
	struct nvme_ctrl a, b;

	add_two(&a, &b);
	emu_fail_at(EMU_ALLOC, 1, ENOMEM);
	assert_fails_with(nvme_add_ctrl(&a), ENOMEM);
	emu_fail_at(0, 0, 0);
	assert_null_with(nvme_get_ctrl(EMU_BDF), ENODEV);
	nvme_close(&a);
	nvme_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(added_controllers_are_found_by_address),
		test(close_takes_the_controller_out),
		test(init_in_place_that_fails_takes_the_controller_out),
		test(second_of_an_address_is_refused),
		test(controller_that_is_not_there_cannot_be_taken_out),
		test(closed_controller_is_refused),
		test(no_memory_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
