// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Messages and the text of the last error. */
#include <vfn/support/log.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <vfn/support/atomic.h>

#include "os/os.h"
#include "support/error.h"

struct log_state __log_state = { .v = VFN_LOG_UNSET };

static struct {
	void (*fn)(int level, const char *text, void *opaque);
	void *opaque;
} log_hook;

static __thread char last_error[256];
static __thread uint16_t last_status;
static __thread unsigned int attempts;

int vfn_log_init(void)
{
	int unset = VFN_LOG_UNSET, v = VFN_LOG_OFF;
	const char *env = getenv("LOGV");
	char *end;
	long n;

	if (env) {
		n = strtol(env, &end, 10);
		if (end != env && !*end && n >= VFN_LOG_OFF && n <= INT16_MAX)
			v = (int)n;
	}

	/* a logv_set() that came first stands */
	if (atomic_cmpxchg(&__log_state.v, unset, v))
		return v;

	return unset;
}

void vfn_log_set_hook(void (*hook)(int level, const char *text, void *opaque), void *opaque)
{
	log_hook.fn = hook;
	log_hook.opaque = opaque;
}

static void emit(int level, const char *text)
{
	static const char *const names[] = { "error", "info", "debug" };

	if (log_hook.fn) {
		log_hook.fn(level, text, log_hook.opaque);
		return;
	}

	fprintf(stderr, "libvfn: %s: %s\n", level >= 0 && level < 3 ? names[level] : "debug", text);
}

void vfn_log(int level, const char *fmt, ...)
{
	int saved = errno;
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);

	emit(level, text);

	errno = saved;
}

void vfn_set_error(int err, const char *fmt, ...)
{
	char text[sizeof(last_error)];
	va_list ap;
	int level;

	/* by way of a copy: the arguments may point into the earlier text */
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)snprintf(last_error, sizeof(last_error), "%s", text);
	last_status = 0;

	level = attempts ? VFN_LOG_INFO : LOG_ERROR;
	if (logv(level))
		emit(level, last_error);

	errno = err;
}

void vfn_begin_attempt(void)
{
	attempts++;
}

void vfn_end_attempt(void)
{
	attempts--;
}

const char *vfn_last_error(void)
{
	return last_error;
}

void vfn_set_status(uint16_t status)
{
	last_status = status;
}

uint16_t vfn_get_status(void)
{
	return last_status;
}

void *vfn_zalloc(size_t size)
{
	void *p = os_zalloc(size);

	if (!p)
		(void)vfn_fail(ENOMEM, "no memory for %zu bytes", size);

	return p;
}
