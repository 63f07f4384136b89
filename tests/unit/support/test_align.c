// SPDX-License-Identifier: GPL-2.0-or-later
/* Rounding up, down and to the nearest. */
#include "../unit.h"

#include <vfn/support/align.h>

static void align_goes_to_the_power_of_two_above_and_below(void **state)
{
	assert_int_equal(ALIGN_DOWN(0x1fffUL, 0x1000), 0x1000);
	assert_int_equal(ALIGN_UP(0x1001UL, 0x1000), 0x2000);
}

static void align_leaves_multiples_alone(void **state)
{
	assert_int_equal(ALIGN_DOWN(0x3000UL, 0x1000), 0x3000);
	assert_int_equal(ALIGN_UP(0x3000UL, 0x1000), 0x3000);
	assert_int_equal(ALIGN_UP(0UL, 0x1000), 0);
}

static void align_of_a_wide_value_is_not_cut_to_the_width_of_the_alignment(void **state)
{
	assert_int_equal(ALIGN_DOWN(0x123456789abcULL, 4096), 0x123456789000);
	assert_int_equal(ALIGN_UP(0x1ffffffffULL, 4096), 0x200000000);
	assert_false(ALIGNED(0x100000001ULL, 4096));
}

static void aligned_tells_multiples(void **state)
{
	assert_true(ALIGNED(0UL, 4));
	assert_true(ALIGNED(12UL, 4));
	assert_false(ALIGNED(13UL, 4));
}

static void round_takes_any_multiple(void **state)
{
	assert_int_equal(ROUND_DOWN(20, 7), 14);
	assert_int_equal(ROUND_UP(15, 7), 21);
	assert_int_equal(ROUND_UP(21, 7), 21);
}

static void round_goes_to_the_nearest_and_halves_go_up(void **state)
{
	assert_int_equal(ROUND(14, 10), 10);
	assert_int_equal(ROUND(15, 10), 20);
	assert_int_equal(ROUND(16, 10), 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(align_goes_to_the_power_of_two_above_and_below),
		cmocka_unit_test(align_leaves_multiples_alone),
		cmocka_unit_test(align_of_a_wide_value_is_not_cut_to_the_width_of_the_alignment),
		cmocka_unit_test(aligned_tells_multiples),
		cmocka_unit_test(round_takes_any_multiple),
		cmocka_unit_test(round_goes_to_the_nearest_and_halves_go_up),
	};

	return cmocka_run_group_tests_name("align", tests, NULL, NULL);
}
