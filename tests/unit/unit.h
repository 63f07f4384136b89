/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the unit tests share: cmocka with what it needs, and the library's error convention. */
#ifndef VFN_TESTS_UNIT_UNIT_H
#define VFN_TESTS_UNIT_UNIT_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <vfn/support/log.h>

#define PAGE 4096UL
#define KIB 1024UL
#define MIB (KIB * KIB)

#define UNIT_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define assert_fails_with(call, err) \
	do { \
		errno = 0; \
		assert_int_equal(call, -1); \
		assert_int_equal(errno, err); \
	} while (0)

#define assert_null_with(call, err) \
	do { \
		errno = 0; \
		assert_null(call); \
		assert_int_equal(errno, err); \
	} while (0)

static inline void assert_error_has(const char *part)
{
	if (!strstr(vfn_last_error(), part))
		fail_msg("'%s' is not in '%s'", part, vfn_last_error());
}

#endif /* VFN_TESTS_UNIT_UNIT_H */
