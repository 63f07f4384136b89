/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* How the frequency of the time stamp counter is found. */
#ifndef VFN_SRC_SUPPORT_TICKS_H
#define VFN_SRC_SUPPORT_TICKS_H

#include <stdint.h>

/*
 * From CPUID leaf 0x15: the counter runs numerator / denominator times as fast as
 * the crystal. Each may be 0, not stated; the result is 0 then. The product is
 * beyond 32 bits on every CPU.
 */
static inline uint64_t ticks_of_crystal(uint32_t denominator, uint32_t numerator, uint32_t crystal)
{
	return denominator ? (uint64_t)crystal * numerator / denominator : 0;
}

struct ticks_cpuid {
	uint32_t eax, ebx, ecx, edx;
};

typedef struct ticks_cpuid ticks_cpuid_fn(uint32_t leaf);

/*
 * What an x86-64 CPU, or the hypervisor in front of it, states; 0 if neither does.
 * Leaf 0x16 is not asked: it has the core's frequency, rounded, and not the
 * counter's.
 */
uint64_t ticks_stated(ticks_cpuid_fn *cpuid);

/* The clock, and what the counter said before and after. */
struct ticks_moment {
	uint64_t before, ns, after;
};

/* The one with the least between before and after; of @n, at least 1. */
const struct ticks_moment *ticks_sharpest(const struct ticks_moment *moments, unsigned int n);

/* Against the monotonic clock, which takes 20 ms. */
uint64_t ticks_measure(void);

#endif /* VFN_SRC_SUPPORT_TICKS_H */
