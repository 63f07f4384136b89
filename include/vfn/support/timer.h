/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Units of time, and a short sleep. */
#ifndef VFN_SUPPORT_TIMER_H
#define VFN_SUPPORT_TIMER_H

#include <vfn/support/compiler.h>

#define NS_PER_SEC 1000000000ULL
#define US_PER_SEC 1000000ULL
#define MS_PER_SEC 1000ULL

VFN_BEGIN_DECLS

/**
 * __usleep - sleep on the monotonic clock, signals notwithstanding
 * @usec: microseconds, at least
 *
 * Thread-safe.
 */
void __usleep(unsigned int usec);

VFN_END_DECLS

#endif /* VFN_SUPPORT_TIMER_H */
