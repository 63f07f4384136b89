/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Memory barriers, named by what they order. */
#ifndef VFN_SUPPORT_BARRIER_H
#define VFN_SUPPORT_BARRIER_H

#ifndef barrier
#define barrier() __asm__ __volatile__("" ::: "memory")
#endif

/*
 * rmb, wmb, mb order accesses to memory and to device registers.
 * dma_rmb and dma_wmb order accesses to memory shared with a device only;
 * on x86, where stores (and loads) to write-back memory stay in order and an
 * uncached register store does not pass them, they just hold the compiler.
 */
#if defined(__x86_64__)
#ifndef rmb
#define rmb() __asm__ __volatile__("lfence" ::: "memory")
#endif
#ifndef wmb
#define wmb() __asm__ __volatile__("sfence" ::: "memory")
#endif
#ifndef mb
#define mb() __asm__ __volatile__("mfence" ::: "memory")
#endif
#ifndef dma_rmb
#define dma_rmb() __asm__ __volatile__("" ::: "memory")
#endif
#ifndef dma_wmb
#define dma_wmb() __asm__ __volatile__("" ::: "memory")
#endif
#elif defined(__aarch64__)
#ifndef rmb
#define rmb() __asm__ __volatile__("dsb ld" ::: "memory")
#endif
#ifndef wmb
#define wmb() __asm__ __volatile__("dsb st" ::: "memory")
#endif
#ifndef mb
#define mb() __asm__ __volatile__("dsb sy" ::: "memory")
#endif
#ifndef dma_rmb
#define dma_rmb() __asm__ __volatile__("dmb oshld" ::: "memory")
#endif
#ifndef dma_wmb
#define dma_wmb() __asm__ __volatile__("dmb oshst" ::: "memory")
#endif
#else
#error libvfn supports x86_64 and aarch64
#endif

#endif /* VFN_SUPPORT_BARRIER_H */
