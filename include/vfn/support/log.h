/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Messages: off by default, on standard error with LOGV=n, or through a hook. */
#ifndef VFN_SUPPORT_LOG_H
#define VFN_SUPPORT_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>

#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS

/*
 * <syslog.h> has macros of two of these names; where it came first, its
 * macros stand (their values differ, but only these enumerators are used here).
 */
enum __log_level {
	LOG_ERROR = 0,
	VFN_LOG_INFO = 1,
	VFN_LOG_DEBUG = 2,
#ifndef LOG_INFO
	LOG_INFO = 1,
#endif
#ifndef LOG_DEBUG
	LOG_DEBUG = 2,
#endif
};

#define VFN_LOG_OFF (-1)
#define VFN_LOG_UNSET (-2)

/*
 * The most verbose level that is let through. VFN_LOG_UNSET until the first
 * message, when the environment variable LOGV decides; off where it is absent.
 */
struct log_state {
	int v;
};

extern struct log_state __log_state;

/* Any thread at any time, but for vfn_log_set_hook(). */

/**
 * vfn_log_init - take the verbosity from LOGV if it was not set yet
 *
 * Return: the verbosity in force.
 */
int vfn_log_init(void);

/**
 * vfn_log_set_hook - send messages to @hook instead of standard error
 * @hook: called with the level, a text without line end, and @opaque; from any
 *	thread that uses the library, so it must be thread-safe. NULL restores
 *	standard error.
 * @opaque: passed on
 *
 * Set it before other threads use the library. Verbosity (logv_set(), LOGV)
 * applies all the same.
 */
void vfn_log_set_hook(void (*hook)(int level, const char *text, void *opaque), void *opaque);

/**
 * vfn_log - format a message and hand it to the hook or standard error
 * @level: of enum __log_level
 * @fmt: as of printf(3)
 *
 * Unconditional: callers ask logv() first. errno is preserved.
 */
void vfn_log(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * vfn_last_error - why the last failing call on this thread failed
 *
 * Return: a line naming the device, the step and what to do about it; empty
 * when nothing has failed yet. Owned by the library, valid until the next call
 * into it from this thread. Only meaningful right after a call has failed.
 */
const char *vfn_last_error(void);

/**
 * logv - whether messages of level @v are let through
 * @v: level
 *
 * Return: whether they are.
 */
VFN_INLINE bool logv(int v)
{
	int limit = __atomic_load_n(&__log_state.v, __ATOMIC_RELAXED);

	if (unlikely(limit == VFN_LOG_UNSET))
		limit = vfn_log_init();

	return v <= limit;
}

/**
 * logv_set - let messages up to level @v through
 * @v: level, or VFN_LOG_OFF
 */
VFN_INLINE void logv_set(int v)
{
	__atomic_store_n(&__log_state.v, v, __ATOMIC_RELAXED);
}

#define __do_log(v, ...) \
	do { \
		if (logv(v)) \
			vfn_log(v, __VA_ARGS__); \
	} while (0)

#ifndef log_error
#define log_error(...) __do_log(0, __VA_ARGS__)
#endif
#ifndef log_info
#define log_info(...) __do_log(1, __VA_ARGS__)
#endif
#ifndef log_debug
#define log_debug(...) __do_log(2, __VA_ARGS__)
#endif

/* For programs only, they exit; the library itself never does. */
#ifndef log_fatal
#define log_fatal(...) \
	do { \
		vfn_log(0, __VA_ARGS__); \
		exit(EXIT_FAILURE); \
	} while (0)
#endif
#ifndef log_fatal_if
#define log_fatal_if(cond, ...) \
	do { \
		if (unlikely(cond)) \
			log_fatal(__VA_ARGS__); \
	} while (0)
#endif
#ifndef log_fmt
#define log_fmt(fmt) "%s: " fmt
#endif

VFN_END_DECLS

#endif /* VFN_SUPPORT_LOG_H */
