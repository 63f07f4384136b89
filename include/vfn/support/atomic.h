/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Atomic operations on plain integers and pointers. */
#ifndef VFN_SUPPORT_ATOMIC_H
#define VFN_SUPPORT_ATOMIC_H

#define atomic_load_acquire(ptr) __atomic_load_n(ptr, __ATOMIC_ACQUIRE)
#define atomic_store_release(ptr, v) __atomic_store_n(ptr, v, __ATOMIC_RELEASE)

#define atomic_inc_fetch(ptr) __atomic_add_fetch(ptr, 1, __ATOMIC_SEQ_CST)
#define atomic_dec_fetch(ptr) __atomic_sub_fetch(ptr, 1, __ATOMIC_SEQ_CST)
#define atomic_inc(ptr) ((void)atomic_inc_fetch(ptr))
#define atomic_dec(ptr) ((void)atomic_dec_fetch(ptr))

/*
 * If *ptr equals expected, store desired and return true. Otherwise store what
 * was found in expected, which must be an lvalue, and return false.
 */
#define atomic_cmpxchg(ptr, expected, desired) \
	__atomic_compare_exchange_n(ptr, &(expected), desired, 0, __ATOMIC_SEQ_CST, \
				    __ATOMIC_SEQ_CST)

#endif /* VFN_SUPPORT_ATOMIC_H */
