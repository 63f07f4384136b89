// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Trace events: which are active, and where their messages go. */
#include <vfn/trace.h>

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vfn/support/log.h>
#include <vfn/support/mutex.h>
#include <vfn/support/timer.h>

#include "os/os.h"
#include "support/probe.h"

#define DEFINE(name) bool TRACE_##name##_ACTIVE;
__VFN_TRACE_EVENTS(DEFINE)

#define ENTRY(name) { TRACE_##name, &TRACE_##name##_ACTIVE },
static const struct {
	const char *name;
	bool *active;
} events[] = { __VFN_TRACE_EVENTS(ENTRY) };

bool vfn_trace_ready;

/* Held by those who change which events are active, and by those who count what is suppressed. */
static pthread_mutex_t trace_lock = PTHREAD_MUTEX_INITIALIZER;

/* Returns how many events there are of these. */
static unsigned int set_active(const char *prefix, size_t len, bool active)
{
	unsigned int n = 0;

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (strncmp(events[i].name, prefix, len))
			continue;
		__atomic_store_n(events[i].active, active, __ATOMIC_RELAXED);
		n++;
	}

	return n;
}

static void parse(const char *list)
{
	for (size_t len; *list; list += len + (list[len] == ',')) {
		bool negative = *list == '-', sign = negative || *list == '+';

		len = strcspn(list, ",");
		if (len == sign)
			continue;

		if (!set_active(list + sign, len - sign, !negative) && logv(LOG_ERROR))
			vfn_log(LOG_ERROR, "VFN_TRACE_EVENTS: no event begins with '%.*s'",
				(int)(len - sign), list + sign);
	}
}

static void init_locked(void)
{
	const char *list;

	if (vfn_trace_ready)
		return;

	list = getenv("VFN_TRACE_EVENTS");
	if (list)
		parse(list);
	__atomic_store_n(&vfn_trace_ready, true, __ATOMIC_RELEASE);
}

void vfn_trace_init(void)
{
	__autolock(&trace_lock);

	init_locked();
}

void trace_event_set_active(const char *prefix, bool active)
{
	if (!prefix)
		return;

	__autolock(&trace_lock);

	init_locked();
	(void)set_active(prefix, strlen(prefix), active);
}

void vfn_trace(const char *event, const char *fmt, ...)
{
	int saved = errno;
	char text[224];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text[strcspn(text, "\n")] = '\0';

	vfn_probe(trace, event, text);
	vfn_log(VFN_LOG_DEBUG, "%s: %s", event, text);

	errno = saved;
}

/* Returns how many were suppressed before this one; -1 to suppress it, too. */
static int count(struct trace_ratelimit_state *rs, uint64_t tag)
{
	uint64_t now = os_clock_ns();
	int skipped;

	__autolock(&trace_lock);

	if (tag == rs->tag && now < rs->end) {
		rs->skipped++;
		return -1;
	}

	skipped = rs->skipped;
	rs->skipped = 0;
	rs->tag = tag;
	rs->begin = now;
	rs->end = now + (uint64_t)rs->interval * NS_PER_SEC;

	return skipped;
}

bool __trace_ratelimited(struct trace_ratelimit_state *rs, uint64_t tag, const char *event)
{
	int skipped = count(rs, tag);

	if (skipped > 0)
		vfn_trace(event, "%d more were not shown", skipped);

	return skipped < 0;
}
