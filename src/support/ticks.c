// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Frequency of the time stamp counter, and sleeping. */
#include <vfn/support/ticks.h>

#include <vfn/support/atomic.h>
#include <vfn/support/timer.h>

#ifdef __x86_64__
#include <cpuid.h>
#endif

#include "os/os.h"
#include "support/ticks.h"

static uint64_t known_freq;

#define CALIBRATION_NS (20 * 1000000ULL)

uint64_t get_ticks_freq_arch(void)
{
#ifdef __x86_64__
	unsigned int denominator, numerator, crystal, unused;

	if (!__get_cpuid(0x15, &denominator, &numerator, &crystal, &unused))
		return 0;

	return ticks_of_crystal(denominator, numerator, crystal);
#else
	uint64_t v;

	__asm__ __volatile__("mrs %0, cntfrq_el0" : "=r"(v));

	return v;
#endif
}

uint64_t ticks_measure(void)
{
	uint64_t ns = os_clock_ns(), ticks = get_ticks();

	os_sleep_ns(CALIBRATION_NS);

	ticks = get_ticks() - ticks;
	ns = os_clock_ns() - ns;

	return (uint64_t)((unsigned __int128)ticks * NS_PER_SEC / (ns ? ns : 1));
}

uint64_t vfn_ticks_freq(void)
{
	uint64_t freq = atomic_load_acquire(&known_freq);

	if (freq)
		return freq;

	freq = get_ticks_freq_arch();
	if (!freq)
		freq = ticks_measure();
	if (!freq)
		freq = 1;

	atomic_store_release(&known_freq, freq);

	return freq;
}

void __usleep(unsigned int usec)
{
	os_sleep_ns((uint64_t)usec * 1000);
}
