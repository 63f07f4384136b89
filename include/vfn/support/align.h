/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Rounding. ALIGN* take a power of two, ROUND* any multiple. */
#ifndef VFN_SUPPORT_ALIGN_H
#define VFN_SUPPORT_ALIGN_H

#ifndef ALIGN_DOWN
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a)-1))
#endif
#ifndef ALIGN_UP
#define ALIGN_UP(x, a) ALIGN_DOWN((x) + ((__typeof__(x))(a)-1), a)
#endif
#ifndef ALIGNED
#define ALIGNED(x, a) (((x) & ((__typeof__(x))(a)-1)) == 0)
#endif

#ifndef ROUND_DOWN
#define ROUND_DOWN(x, m) ((x) / (m) * (m))
#endif
#ifndef ROUND_UP
#define ROUND_UP(x, m) ROUND_DOWN((x) + (m)-1, m)
#endif
/* To the nearest multiple; halves go up. */
#ifndef ROUND
#define ROUND(x, m) ROUND_DOWN((x) + (m) / 2, m)
#endif

#endif /* VFN_SUPPORT_ALIGN_H */
