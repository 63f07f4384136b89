/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Compiler helpers: declarations' linkage, single accesses, branch hints, sparse annotations. */
#ifndef VFN_SUPPORT_COMPILER_H
#define VFN_SUPPORT_COMPILER_H

/*
 * Every public header wraps its declarations in these two. Functions are
 * exported; everything the library does not declare this way stays private.
 */
#ifdef __cplusplus
#define VFN_BEGIN_DECLS \
	extern "C" { \
	_Pragma("GCC visibility push(default)")
#define VFN_END_DECLS \
	_Pragma("GCC visibility pop") \
	}
#else
#define VFN_BEGIN_DECLS _Pragma("GCC visibility push(default)")
#define VFN_END_DECLS _Pragma("GCC visibility pop")
#endif

/*
 * Functions of the data path are inline in the headers. The library compiles
 * them once more as ordinary functions (see src/support/inline.c), so that
 * callers that cannot include C headers find a symbol to link.
 */
#ifndef VFN_INLINE
#define VFN_INLINE static inline __attribute__((unused))
#endif

/* What threads of their own use side by side must not share a line of a cache. */
#define VFN_OWN_LINES __attribute__((aligned(64)))

#ifdef __CHECKER__
#define __bitwise __attribute__((bitwise))
#ifndef __force
#define __force __attribute__((force))
#endif
#ifndef __vfn_nocast
#define __vfn_nocast __attribute__((nocast))
#endif
#else
#ifndef __bitwise
#define __bitwise
#endif
#ifndef __force
#define __force
#endif
#define __vfn_nocast
#endif

#ifndef __glue
#define __glue(x, y) x##y
#endif
#ifndef glue
#define glue(x, y) __glue(x, y)
#endif

#ifndef likely
#define likely(x) __builtin_expect(!!(x), 1)
#endif
#ifndef unlikely
#define unlikely(x) __builtin_expect(!!(x), 0)
#endif

/* Access a variable exactly once; the compiler neither repeats nor drops it. */
#define __LOAD(type, v) (*(const volatile type *)&(v))
#define __STORE(type, v, val) (*(volatile type *)&(v) = (val))
#define __LOAD_PTR(type, p) (*(const volatile type *)(p))
#define __STORE_PTR(type, p, val) (*(volatile type *)(p) = (val))

#ifndef LOAD
#define LOAD(v) __LOAD(__typeof__(v), v)
#endif
#ifndef LOAD_PTR
#define LOAD_PTR(p) __LOAD_PTR(__typeof__(*(p)), p)
#endif
#ifndef STORE
#define STORE(v, val) __STORE(__typeof__(v), v, val)
#endif
#ifndef STORE_PTR
#define STORE_PTR(p, val) __STORE_PTR(__typeof__(*(p)), p, val)
#endif

#ifdef __cplusplus
#define __static_assert(x) static_assert(x, #x)
#else
#define __static_assert(x) _Static_assert(x, #x)
#endif

#endif /* VFN_SUPPORT_COMPILER_H */
