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
#include <stdlib.h>
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

/* A number that the environment may set; CYCLES is how often what is done very often is done. */
static inline uint64_t unit_number(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

/* A hook for messages that counts those of each level. */
static inline void count_messages(int level, const char *text, void *counts)
{
	if (level <= VFN_LOG_INFO)
		((unsigned int *)counts)[level]++;
}

#define assert_messages(call, errors, infos) \
	do { \
		unsigned int __counts[2] = {}; \
		vfn_log_set_hook(count_messages, __counts); \
		logv_set(VFN_LOG_INFO); \
		call; \
		logv_set(VFN_LOG_OFF); \
		vfn_log_set_hook(NULL, NULL); \
		assert_int_equal(__counts[LOG_ERROR], errors); \
		assert_int_equal(__counts[VFN_LOG_INFO], infos); \
	} while (0)

#endif /* VFN_TESTS_UNIT_UNIT_H */
