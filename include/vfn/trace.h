/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Trace events: what queues and mappings do, for those who ask. */
#ifndef VFN_TRACE_H
#define VFN_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include <vfn/support/compiler.h>
#include <vfn/trace/events.h>

VFN_BEGIN_DECLS

/*
 * Two switches: an event is compiled in or not, and then active or not.
 *
 * The inline functions of the queues have their events in programs that define
 * DEBUG before they include the first of our headers; otherwise guards and what
 * they guard generate no code. In the library, events of mappings are always
 * there, those of queues if it was built with -Dtrace=true.
 *
 * No event is active at first. The environment variable VFN_TRACE_EVENTS is read
 * at the first event that is compiled in: a list, separated by commas, of
 * beginnings of names (those of TRACE_<NAME>, lower case); each activates, or with a
 * minus sign deactivates, all events whose name begins so, the later the
 * stronger: "nvme,-nvme_cq,+nvme_cq_got". trace_event_set_active() does the same
 * at run time.
 *
 * Messages go where those of <vfn/support/log.h> go, at level VFN_LOG_DEBUG but
 * whatever the verbosity is. All of this is thread-safe.
 */
#ifndef VFN_TRACE
#ifdef DEBUG
#define VFN_TRACE 1
#else
#define VFN_TRACE 0
#endif
#endif

/* Whether VFN_TRACE_EVENTS was read; private. */
extern bool vfn_trace_ready;

/**
 * vfn_trace_init - read VFN_TRACE_EVENTS if that was not done yet
 */
void vfn_trace_init(void);

/**
 * trace_event_set_active - switch events on or off
 * @prefix: beginning of their names, "" for all; NULL for none
 * @active: on or off
 *
 * What VFN_TRACE_EVENTS says is done before.
 */
void trace_event_set_active(const char *prefix, bool active);

/**
 * vfn_trace - send a message to where traces go
 * @event: name of the event
 * @fmt: as of printf(3); a line end is dropped
 *
 * Unconditional: callers ask first, by trace_guard(). errno is preserved.
 */
void vfn_trace(const char *event, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * struct trace_ratelimit_state - one place that must not repeat itself
 * @interval: seconds in which one message is enough
 * @skipped: messages suppressed since the last one
 * @tag: what the last one was about
 * @begin: when it was, in nanoseconds of the monotonic clock
 * @end: until when others about the same are suppressed
 */
struct trace_ratelimit_state {
	int interval;
	int skipped;
	uint64_t tag;
	uint64_t begin;
	uint64_t end;
};

/**
 * __trace_ratelimited - whether a message is one too many
 * @rs: state of the place, zeroed but for its interval
 * @tag: what the message is about
 * @event: name of the event
 *
 * A message about something else is always let through. Before the next one that
 * is, the number of suppressed ones is told.
 *
 * Return: whether to suppress it.
 */
bool __trace_ratelimited(struct trace_ratelimit_state *rs, uint64_t tag, const char *event);

/* Whether an event that is compiled in is active. */
VFN_INLINE bool __vfn_trace_is_active(const bool *active)
{
	if (unlikely(!__atomic_load_n(&vfn_trace_ready, __ATOMIC_ACQUIRE)))
		vfn_trace_init();

	return unlikely(__atomic_load_n(active, __ATOMIC_RELAXED));
}

/* trace_guard(NVME_SQ_POST) { trace_emit("tail %d", tail); } */
#define trace_guard(name) \
	if (!VFN_TRACE || TRACE_##name##_DISABLED || \
	    !__vfn_trace_is_active(&TRACE_##name##_ACTIVE)) { \
	} else \
		for (const char *__vfn_trace_event = TRACE_##name; __vfn_trace_event; \
		     __vfn_trace_event = NULL)

/* In a guard: a message, as of printf(3). */
#define trace_emit(...) vfn_trace(__vfn_trace_event, __VA_ARGS__)

/* The same, at most once in that many seconds for the same tag (a number). */
#define trace_emitrl(interval_s, tag, ...) \
	do { \
		static struct trace_ratelimit_state __vfn_trace_rs = { (interval_s), 0, 0, 0, 0 }; \
\
		if (!__trace_ratelimited(&__vfn_trace_rs, (tag), __vfn_trace_event)) \
			trace_emit(__VA_ARGS__); \
	} while (0)

VFN_END_DECLS

#endif /* VFN_TRACE_H */
