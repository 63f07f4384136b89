// SPDX-License-Identifier: GPL-2.0-or-later
/* The time stamp counter and its frequency, on the real clock. */
#include "../unit.h"

#include <time.h>

#include <vfn/support/ticks.h>
#include <vfn/support/timer.h>

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
		cmocka_unit_test(frequency_is_never_zero_and_stays),
		cmocka_unit_test(frequency_agrees_with_the_monotonic_clock),
		cmocka_unit_test(usleep_sleeps_at_least_that_long),
	};

	return cmocka_run_group_tests_name("ticks", tests, NULL, NULL);
}
