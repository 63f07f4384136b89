/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The CPU's time stamp counter and its frequency. */
#ifndef VFN_SUPPORT_TICKS_H
#define VFN_SUPPORT_TICKS_H

#include <stdint.h>

#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS

/* Thread-safe, all of it. */

/**
 * get_ticks - read the time stamp counter
 *
 * A few nanoseconds, not serialising. Counts at vfn_ticks_freq() whatever the
 * core's clock does, on CPUs with an invariant counter (all of the last decade).
 *
 * Return: ticks since an arbitrary start.
 */
VFN_INLINE uint64_t get_ticks(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#else
	uint64_t v;

	__asm__ __volatile__("mrs %0, cntvct_el0" : "=r"(v)::"memory");

	return v;
#endif
}

/**
 * get_ticks_freq_arch - frequency of the counter as the machine states it
 *
 * On x86-64 that is CPUID, where the hypervisor's leaf 0x40000010 goes before
 * leaf 0x15, since it may scale the counter; on arm64 a register.
 *
 * Return: ticks per second, or 0 where nothing says.
 */
uint64_t get_ticks_freq_arch(void);

/**
 * vfn_ticks_freq - frequency of the counter
 *
 * The first call asks get_ticks_freq_arch(), and where that does not say measures
 * against the monotonic clock, which takes 20 ms. Thread-safe.
 *
 * Return: ticks per second, never 0, and the same each time in each thread.
 */
uint64_t vfn_ticks_freq(void);

/* Existing programs read a variable of this name. */
#define __vfn_ticks_freq vfn_ticks_freq()

VFN_END_DECLS

#endif /* VFN_SUPPORT_TICKS_H */
