/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* How the library reports a failure: a text for people, an errno for programs. */
#ifndef VFN_SRC_SUPPORT_ERROR_H
#define VFN_SRC_SUPPORT_ERROR_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include <vfn/support/log.h>

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

/* The status of the command that the last error is about: set after it, and 0 again with the next one. */
void vfn_set_status(uint16_t status);
uint16_t vfn_get_status(void);

/*
 * Around what may fail because something else is tried then: its failures are
 * information in the log, not errors, in this thread. If nothing else is left,
 * vfn_fail_again() makes the last one an error.
 */
void vfn_begin_attempt(void);
void vfn_end_attempt(void);

#define vfn_fail_again() vfn_fail(errno, "%s", vfn_last_error())

/* os_zalloc() that reports its failure with vfn_fail(). */
void *vfn_zalloc(size_t size);

#endif /* VFN_SRC_SUPPORT_ERROR_H */
