// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The headers' inline functions once more, as symbols for callers that cannot include C. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wmissing-declarations"

#define VFN_INLINE __attribute__((used))
#include <vfn/nvme.h>
#include <vfn/support.h>
#include <vfn/vfio.h>
