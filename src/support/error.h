/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* How the library reports a failure: a text for people, an errno for programs. */
#ifndef VFN_SRC_SUPPORT_ERROR_H
#define VFN_SRC_SUPPORT_ERROR_H

#include <stddef.h>

/*
 * Store the text that vfn_last_error() returns, log it if errors are let
 * through, and set errno to @err. The text names the device, the step and what
 * to do about it.
 */
void vfn_set_error(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same, with the -1 to return; as a macro, so that analysers see the value. */
#define vfn_fail(...) \
	({ \
		vfn_set_error(__VA_ARGS__); \
		-1; \
	})

/* os_zalloc() that reports its failure with vfn_fail(). */
void *vfn_zalloc(size_t size);

#endif /* VFN_SRC_SUPPORT_ERROR_H */
