/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* How the library reports a failure: a text for people, an errno for programs. */
#ifndef VFN_SRC_SUPPORT_ERROR_H
#define VFN_SRC_SUPPORT_ERROR_H

#include <stddef.h>

/*
 * Store the text that vfn_last_error() returns, log it if errors are let
 * through, set errno to @err and return -1. The text names the device, the step
 * and what to do about it.
 */
int vfn_fail(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* os_zalloc() that reports its failure with vfn_fail(). */
void *vfn_zalloc(size_t size);

#endif /* VFN_SRC_SUPPORT_ERROR_H */
