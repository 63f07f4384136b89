// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Page memory. */
#include <vfn/support/mem.h>

#include <errno.h>
#include <execinfo.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include <vfn/support/align.h>

#include "os/os.h"

size_t __VFN_PAGESIZE = 4096;
int __VFN_PAGESHIFT = 12;

#if !defined(__x86_64__)
/*
 * A kernel for arm64 has pages of 4, 16 or 64 KiB. Programs read the two variables
 * without calling anything first, those that look symbols up by name included, so
 * there is no later time for this. What the kernel told the process is in its memory.
 */
static __attribute__((constructor)) void find_pagesize(void)
{
	__VFN_PAGESIZE = getauxval(AT_PAGESZ);
	__VFN_PAGESHIFT = __builtin_ctzl(__VFN_PAGESIZE);
}
#endif

void backtrace_abort(void)
{
	void *frames[32];

	backtrace_symbols_fd(frames, backtrace(frames, 32), 2);
	abort();
}

ssize_t pgmap(void **mem, size_t sz)
{
	size_t len = ALIGN_UP(sz, __VFN_PAGESIZE);
	void *p;

	if (!len || len < sz || len > PTRDIFF_MAX) {
		errno = EINVAL;
		return -1;
	}

	p = os_mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -1;

	*mem = p;

	return (ssize_t)len;
}

ssize_t pgmapn(void **mem, unsigned int n, size_t sz)
{
	if (would_overflow(n, sz)) {
		errno = EINVAL;
		return -1;
	}

	return pgmap(mem, n * sz);
}

int vfn_pgunmap(void *mem, size_t len)
{
	return os_munmap(mem, len);
}
