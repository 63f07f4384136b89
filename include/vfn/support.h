/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Everything of the support layer. */
#ifndef VFN_SUPPORT_H
#define VFN_SUPPORT_H

#include <inttypes.h>
#include <stdio.h>
#include <vfn/support/align.h>
#include <vfn/support/atomic.h>
#include <vfn/support/autoptr.h>
#include <vfn/support/barrier.h>
#include <vfn/support/compiler.h>
#include <vfn/support/endian.h>
#include <vfn/support/io.h>
#include <vfn/support/log.h>
#include <vfn/support/mem.h>
#include <vfn/support/mmio.h>
#include <vfn/support/mutex.h>
#include <vfn/support/rwlock.h>
#include <vfn/support/ticks.h>
#include <vfn/support/timer.h>

#endif /* VFN_SUPPORT_H */
