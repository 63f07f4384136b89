// SPDX-License-Identifier: GPL-2.0-or-later
/* The time stamp counter and its frequency, on the real clock. */
#include "../unit.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
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

static struct ticks_cpuid leaves[4];

static struct ticks_cpuid cpuid(uint32_t leaf)
{
	switch (leaf) {
	case 0:
		return (struct ticks_cpuid){ .eax = 0x16 };
	case 1:
		return leaves[0];
	case 0x15:
		return leaves[1];
	case 0x40000000:
		return leaves[2];
	case 0x40000010:
		return leaves[3];
	}
	fail_msg("nobody needs leaf %#x", leaf);

	return leaves[0];
}

/* Its last leaf is 0xd; what Intel's CPUs answer for one beyond the last is of no use. */
static struct ticks_cpuid old_cpuid(uint32_t leaf)
{
	return leaf ? cpuid(leaf) : (struct ticks_cpuid){ .eax = 0xd };
}

/* Its last leaf is just that of the crystal. */
static struct ticks_cpuid sparse_cpuid(uint32_t leaf)
{
	return leaf ? cpuid(leaf) : (struct ticks_cpuid){ .eax = 0x15 };
}

static void set_cpuid(bool guest, const char *name, uint32_t last, uint32_t khz, uint32_t crystal)
{
	memset(leaves, 0, sizeof(leaves));
	leaves[0].ecx = guest ? 1U << 31 : 0;
	leaves[1] = (struct ticks_cpuid){ .eax = 2, .ebx = 168, .ecx = crystal };
	leaves[2].eax = last;
	memcpy(&leaves[2].ebx, name, 12);
	leaves[3].eax = khz;
}

static void frequency_is_that_of_the_crystal(void **state)
{
	set_cpuid(false, "KVMKVMKVM\0\0", 0x40000010, 1, 24000000);
	assert_int_equal(ticks_stated(cpuid), 2016000000);
	assert_int_equal(ticks_stated(sparse_cpuid), 2016000000);
	/* Skylake: the ratio, but not of what */
	set_cpuid(false, "GenuineIntel", 0, 0, 0);
	assert_int_equal(ticks_stated(cpuid), 0);
	/* one that has no leaf 0x15 */
	set_cpuid(false, "GenuineIntel", 0, 0, 24000000);
	assert_int_equal(ticks_stated(old_cpuid), 0);
}

static void hypervisor_knows_better_than_the_crystal(void **state)
{
	set_cpuid(true, "VMwareVMware", 0x40000010, 2893201, 24000000);
	assert_int_equal(ticks_stated(cpuid), 2893201000);
	set_cpuid(true, "KVMKVMKVM\0\0", 0x40000010, 4294967295U, 24000000);
	assert_int_equal(ticks_stated(cpuid), 4294967295000);
	assert_int_equal(ticks_stated(old_cpuid), 4294967295000);
	/* one that does not say, does not have the leaf, or has something else there */
	set_cpuid(true, "KVMKVMKVM\0\0", 0x40000010, 0, 24000000);
	assert_int_equal(ticks_stated(cpuid), 2016000000);
	set_cpuid(true, "KVMKVMKVM\0\0", 0x40000001, 2893201, 24000000);
	assert_int_equal(ticks_stated(cpuid), 2016000000);
	set_cpuid(true, "Microsoft Hv", 0x40000082, 2893201, 24000000);
	assert_int_equal(ticks_stated(cpuid), 2016000000);
	set_cpuid(true, "KVMKVMKVM\0\0", UINT32_MAX, 2893201, 24000000);
	assert_int_equal(ticks_stated(cpuid), 2016000000);
}

static void look_at_the_clock_that_took_least_is_the_best(void **state)
{
	const struct ticks_moment moments[] = {
		{ 100, 5, 150 },
		{ UINT64_MAX - 5, 6, 10 },
		{ 20, 7, 1000020 },
		{ 1000030, 8, 1000060 },
	};

	assert_ptr_equal(ticks_sharpest(moments, 4), &moments[1]);
	assert_ptr_equal(ticks_sharpest(moments, 1), &moments[0]);
	assert_ptr_equal(ticks_sharpest(moments + 2, 2), &moments[3]);
}

/* W25: where nobody says, the counter is measured, and is not the core's highest clock. */
static void frequency_that_is_not_stated_is_measured(void **state)
{
	uint64_t a = ticks_measure(), b = ticks_measure();

	assert_in_range(b, a - a / 1000, a + a / 1000);
	assert_in_range(vfn_ticks_freq(), a - a / 50, a + a / 50);
}

#define THREADS 4

static pthread_barrier_t together;

static void *ask(void *freq)
{
	pthread_barrier_wait(&together);
	*(uint64_t *)freq = vfn_ticks_freq();

	return NULL;
}

/* The first test that asks. */
static void frequency_is_the_same_for_threads_that_are_first_together(void **state)
{
	pthread_t threads[THREADS];
	uint64_t freqs[THREADS];

	pthread_barrier_init(&together, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask, &freqs[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(freqs[i], vfn_ticks_freq());
	pthread_barrier_destroy(&together);
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
		cmocka_unit_test(frequency_is_the_same_for_threads_that_are_first_together),
		cmocka_unit_test(ticks_advance),
		cmocka_unit_test(frequency_of_a_crystal_is_exact),
		cmocka_unit_test(frequency_is_that_of_the_crystal),
		cmocka_unit_test(hypervisor_knows_better_than_the_crystal),
		cmocka_unit_test(look_at_the_clock_that_took_least_is_the_best),
		cmocka_unit_test(frequency_that_is_not_stated_is_measured),
		cmocka_unit_test(frequency_is_never_zero_and_stays),
		cmocka_unit_test(frequency_agrees_with_the_monotonic_clock),
		cmocka_unit_test(usleep_sleeps_at_least_that_long),
	};

	return cmocka_run_group_tests_name("ticks", tests, NULL, NULL);
}
