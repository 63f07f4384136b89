// SPDX-License-Identifier: GPL-2.0-or-later
/* The time stamp counter and its frequency, on the real clock. */
#include "../unit.h"

#include <stdlib.h>
#include <time.h>

#include <vfn/support/ticks.h>
#include <vfn/support/timer.h>

#include "support/ticks.h"

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void ticks_advance(void **state)
{
	uint64_t before = get_ticks();

	__usleep(1000);
	assert_true(get_ticks() > before);
}

/* W25: ratios that are no whole numbers, products beyond 32 bits, a CPU that states half of it. */
static void frequency_of_a_crystal_is_exact(void **state)
{
	assert_int_equal(ticks_of_crystal(2, 168, 24000000), 2016000000);
	assert_int_equal(ticks_of_crystal(2, 175, 24000000), 2100000000);
	assert_int_equal(ticks_of_crystal(2, 156, 38400000), 2995200000);
	assert_int_equal(ticks_of_crystal(2, 216, 25000000), 2700000000);
	assert_int_equal(ticks_of_crystal(3, 1000, 24000000), 8000000000);
	assert_int_equal(ticks_of_crystal(0, 168, 24000000), 0);
	assert_int_equal(ticks_of_crystal(2, 0, 24000000), 0);
	assert_int_equal(ticks_of_crystal(2, 168, 0), 0);
}

/* W25: where the CPU does not say, the counter is measured, and is not the core's highest clock. */
static void frequency_that_is_not_stated_is_measured(void **state)
{
	/* a loaded machine may take us from the CPU between two reads, but not each time */
	for (int i = 0; i < 50; i++) {
		uint64_t a = ticks_measure(), b = ticks_measure();

		if (llabs((long long)(a - b)) < (long long)(a / 1000)) {
			assert_in_range(vfn_ticks_freq(), a - a / 50, a + a / 50);
			return;
		}
	}
	fail_msg("no two measurements agree");
}

static void frequency_is_never_zero_and_stays(void **state)
{
	uint64_t freq = vfn_ticks_freq();

	assert_int_not_equal(freq, 0);
	assert_int_equal(vfn_ticks_freq(), freq);
	assert_int_equal(__vfn_ticks_freq, freq);
}

/* W25: that of the counter, not of the CPU */
static void frequency_agrees_with_the_monotonic_clock(void **state)
{
	uint64_t ns = now_ns(), ticks = get_ticks(), measured;

	__usleep(50000);
	ticks = get_ticks() - ticks;
	ns = now_ns() - ns;

	/* roughly: a loaded machine may take us from the CPU between two reads */
	measured = ticks * 1000 / (ns / 1000) * 1000;
	assert_in_range(vfn_ticks_freq(), measured / 2, measured * 2);
}

static void usleep_sleeps_at_least_that_long(void **state)
{
	uint64_t start = now_ns();

	__usleep(3000);
	assert_true(now_ns() - start >= 3000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ticks_advance),
		cmocka_unit_test(frequency_of_a_crystal_is_exact),
		cmocka_unit_test(frequency_that_is_not_stated_is_measured),
		cmocka_unit_test(frequency_is_never_zero_and_stays),
		cmocka_unit_test(frequency_agrees_with_the_monotonic_clock),
		cmocka_unit_test(usleep_sleeps_at_least_that_long),
	};

	return cmocka_run_group_tests_name("ticks", tests, NULL, NULL);
}
