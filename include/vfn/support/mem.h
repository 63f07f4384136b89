/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Heap helpers for programs, and page memory fit to be mapped for DMA. */
#ifndef VFN_SUPPORT_MEM_H
#define VFN_SUPPORT_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS

/* Thread-safe, all of it, as far as memory is not shared. */

/* Size of a host page in bytes, and its binary logarithm. Read only. */
extern size_t __VFN_PAGESIZE;
extern int __VFN_PAGESHIFT;

/**
 * backtrace_abort - print the call chain on standard error and abort(3)
 *
 * For programs: the x/z/n allocators below end here when memory runs out, so
 * that their callers need no check. The library itself never calls any of them.
 */
void backtrace_abort(void) __attribute__((noreturn));

/**
 * would_overflow - whether @n elements of @sz bytes exceed a size_t
 * @n: count
 * @sz: element size; 0 never overflows
 *
 * Return: whether they do.
 */
VFN_INLINE bool would_overflow(unsigned int n, size_t sz)
{
	size_t product;

	return __builtin_mul_overflow((size_t)n, sz, &product);
}

/**
 * __abort_on_overflow - backtrace_abort() if @n * @sz overflows
 * @n: count
 * @sz: element size
 */
VFN_INLINE void __abort_on_overflow(unsigned int n, size_t sz)
{
	if (unlikely(would_overflow(n, sz)))
		backtrace_abort();
}

/**
 * xmalloc - malloc(3) that does not fail
 * @sz: bytes; 0 gives NULL
 *
 * Return: memory to free(3); aborts when there is none.
 */
VFN_INLINE void *xmalloc(size_t sz)
{
	void *p;

	if (unlikely(!sz))
		return NULL;

	p = malloc(sz);
	if (unlikely(!p))
		backtrace_abort();

	return p;
}

/**
 * zmalloc - xmalloc() of zeroed memory
 * @sz: bytes; 0 gives NULL
 *
 * Return: memory to free(3); aborts when there is none.
 */
VFN_INLINE void *zmalloc(size_t sz)
{
	void *p;

	if (unlikely(!sz))
		return NULL;

	p = calloc(1, sz);
	if (unlikely(!p))
		backtrace_abort();

	return p;
}

/**
 * mallocn - xmalloc() of an array
 * @n: elements
 * @sz: bytes of one
 *
 * Return: memory to free(3); aborts when there is none or the size overflows.
 */
VFN_INLINE void *mallocn(unsigned int n, size_t sz)
{
	__abort_on_overflow(n, sz);

	return xmalloc(n * sz);
}

/**
 * zmallocn - mallocn() of zeroed memory
 * @n: elements
 * @sz: bytes of one
 *
 * Return: memory to free(3); aborts when there is none or the size overflows.
 */
VFN_INLINE void *zmallocn(unsigned int n, size_t sz)
{
	__abort_on_overflow(n, sz);

	return zmalloc(n * sz);
}

/**
 * reallocn - realloc(3) to an array, does not fail
 * @mem: earlier allocation or NULL; invalid afterwards
 * @n: elements
 * @sz: bytes of one
 *
 * Return: memory to free(3), NULL for zero bytes; aborts when there is none or
 * the size overflows.
 */
VFN_INLINE void *reallocn(void *mem, unsigned int n, size_t sz)
{
	void *p;

	__abort_on_overflow(n, sz);

	if (unlikely(!n || !sz)) {
		free(mem);
		return NULL;
	}

	p = realloc(mem, n * sz);
	if (unlikely(!p))
		backtrace_abort();

	return p;
}

#ifdef __cplusplus
#define __vfn_cast(t, p) ((t *)(p))
#else
#define __vfn_cast(t, p) (p)
#endif

/* An array of n t's that the caller frees; znew_t() zeroes it. */
#define new_t(t, n) __vfn_cast(t, mallocn(n, sizeof(t)))
#define znew_t(t, n) __vfn_cast(t, zmallocn(n, sizeof(t)))

VFN_INLINE void __vfn_autofree(void *p)
{
	free(*(void **)p);
}

/* free(3) the pointer when it goes out of scope. */
#define __autofree __attribute__((cleanup(__vfn_autofree)))

/**
 * pgmap - allocate zeroed page memory
 * @mem: receives the address, page-aligned; untouched on error
 * @sz: bytes, rounded up to whole pages
 *
 * Return: the length to give to pgunmap() (@sz rounded up), or -1 with errno
 * (EINVAL for 0 or a size that cannot be rounded, ENOMEM). Thread-safe.
 */
ssize_t pgmap(void **mem, size_t sz);

/**
 * pgmapn - pgmap() of @n elements of @sz bytes
 * @mem: receives the address
 * @n: elements
 * @sz: bytes of one
 *
 * Return: as pgmap(); EINVAL also where the product overflows.
 */
ssize_t pgmapn(void **mem, unsigned int n, size_t sz);

/**
 * vfn_pgunmap - release memory of pgmap()
 * @mem: address from pgmap()
 * @len: length that pgmap() returned
 *
 * Unmap it from every address space first: a device could still reach it.
 *
 * Return: 0, or -1 with errno (EINVAL where this is not such memory).
 */
int vfn_pgunmap(void *mem, size_t len);

/**
 * pgunmap - vfn_pgunmap() without a result
 * @mem: address from pgmap()
 * @len: length that pgmap() returned
 */
VFN_INLINE void pgunmap(void *mem, size_t len)
{
	(void)vfn_pgunmap(mem, len);
}

VFN_END_DECLS

#endif /* VFN_SUPPORT_MEM_H */
