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

/* Against the monotonic clock, which takes 20 ms. */
uint64_t ticks_measure(void);

#endif /* VFN_SRC_SUPPORT_TICKS_H */
