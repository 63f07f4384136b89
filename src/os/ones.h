/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What os_put_ones() is on any kernel, the fake one of the tests included. */
#ifndef VFN_SRC_OS_ONES_H
#define VFN_SRC_OS_ONES_H

#include <string.h>
#include <sys/mman.h>

static inline int put_ones(void *addr, size_t len)
{
	void *ones = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (ones == MAP_FAILED)
		return -1;

	memset(ones, 0xff, len);
	if (mremap(ones, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, addr) == addr)
		return 0;

	(void)munmap(ones, len);
	return -1;
}

#endif /* VFN_SRC_OS_ONES_H */
