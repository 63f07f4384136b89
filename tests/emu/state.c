// SPDX-License-Identifier: GPL-2.0-or-later
/* The machine as a whole: lock, violations, call log, usage, failing the n-th call. */
#include "emu_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LOG_LIMIT (1u << 20)
#define TEXT_MAX 256

struct text_list {
	char **text;
	unsigned int n;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct text_list violations, expected;
static struct {
	char *text;
	size_t len, room;
} calls;
static struct {
	unsigned int mask, left;
	int err;
	bool fired;
	char call[TEXT_MAX];
} fail;

struct emu_usage emu_used;

void emu_lock(void)
{
	pthread_mutex_lock(&lock);
}

void emu_unlock(int *dummy)
{
	(void)dummy;
	pthread_mutex_unlock(&lock);
}

static void *check(void *mem)
{
	if (!mem) {
		fputs("emu: out of memory\n", stderr);
		abort();
	}

	return mem;
}

void *emu_zalloc(size_t size)
{
	return check(calloc(1, size ? size : 1));
}

void *emu_resize(void *mem, size_t size)
{
	return check(realloc(mem, size));
}

char *emu_strdup(const char *s)
{
	return check(strdup(s));
}

int emu_errno(int err)
{
	errno = err;
	return -1;
}

/* ------------------------------------------------------------- violations */

static void list_add(struct text_list *list, const char *text)
{
	list->text = emu_resize(list->text, (list->n + 1) * sizeof(*list->text));
	list->text[list->n++] = emu_strdup(text);
}

static void list_drop(struct text_list *list, unsigned int i)
{
	free(list->text[i]);
	list->n--;
	memmove(&list->text[i], &list->text[i + 1], (list->n - i) * sizeof(*list->text));
}

static void list_clear(struct text_list *list)
{
	while (list->n)
		list_drop(list, list->n - 1);
	free(list->text);
	list->text = NULL;
}

void emu_report(const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);

	emu_log("VIOLATION %s", text);
	for (unsigned int i = 0; i < expected.n; i++) {
		if (strstr(text, expected.text[i])) {
			list_drop(&expected, i);
			return;
		}
	}
	list_add(&violations, text);
}

unsigned int emu_violations(void)
{
	emu_autolock();
	return violations.n;
}

const char *emu_violation(unsigned int i)
{
	emu_autolock();
	return i < violations.n ? violations.text[i] : NULL;
}

void emu_expect_violation(const char *substring)
{
	emu_autolock();

	for (unsigned int i = 0; i < violations.n; i++) {
		if (strstr(violations.text[i], substring)) {
			list_drop(&violations, i);
			return;
		}
	}
	list_add(&expected, substring);
}

void emu_forget_violations(void)
{
	emu_autolock();
	list_clear(&violations);
	list_clear(&expected);
}

static unsigned int complain(void)
{
	emu_autolock();

	for (unsigned int i = 0; i < violations.n; i++)
		print_error("violation: %s\n", violations.text[i]);
	for (unsigned int i = 0; i < expected.n; i++)
		print_error("expected violation did not come: %s\n", expected.text[i]);

	return violations.n + expected.n;
}

void emu_assert_clean(void)
{
	if (complain())
		fail_msg("violations");
}

/* --------------------------------------------------------------- call log */

static void log_text(const char *text)
{
	size_t len = strlen(text);

	if (calls.len + len > LOG_LIMIT)
		calls.len = 0;
	if (calls.len + len + 2 > calls.room) {
		calls.room = 2 * (calls.len + len + 2);
		calls.text = emu_resize(calls.text, calls.room);
	}
	memcpy(calls.text + calls.len, text, len);
	calls.len += len;
	memcpy(calls.text + calls.len++, "\n", 2);
}

void emu_log(const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_text(text);
}

const char *emu_calls(void)
{
	emu_autolock();
	return calls.len ? calls.text : "";
}

void emu_calls_clear(void)
{
	emu_autolock();
	calls.len = 0;
}

unsigned int emu_call_count(const char *prefix)
{
	size_t len = strlen(prefix);
	unsigned int n = 0;

	for (const char *s = emu_calls(); *s; s = strchr(s, '\n') + 1)
		n += !strncmp(s, prefix, len);

	return n;
}

void emu_assert_order_of(const char *const *texts)
{
	const char *at = emu_calls(), *found;

	for (; *texts; texts++) {
		found = strstr(at, *texts);
		if (!found) {
			print_error("calls:\n%s", emu_calls());
			fail_msg("\"%s\" is not in the call log, or not in this order", *texts);
			return;
		}
		at = found + strlen(*texts);
	}
}

/* ------------------------------------------------------------------ usage */

struct emu_usage emu_usage(void)
{
	emu_autolock();
	return emu_used;
}

static bool usage_differs(const char *what, size_t now, size_t before)
{
	if (now == before)
		return false;
	print_error("%s: %zu, should be %zu\n", what, now, before);
	return true;
}

static bool usage_changed(const struct emu_usage *before)
{
	struct emu_usage now = emu_usage();
	bool bad = usage_differs("open descriptors", now.fds, before->fds);

	bad |= usage_differs("mappings", now.mmaps, before->mmaps);
	bad |= usage_differs("mapped bytes", now.mmap_bytes, before->mmap_bytes);
	bad |= usage_differs("DMA mappings", now.dma_maps, before->dma_maps);
	bad |= usage_differs("DMA mapped bytes", now.dma_bytes, before->dma_bytes);
	bad |= usage_differs("iommufd objects", now.objects, before->objects);

	return bad;
}

void emu_assert_usage(const struct emu_usage *before)
{
	if (usage_changed(before))
		fail_msg("resources held differ");
}

/* --------------------------------------------------------------- fail at n */

int emu_enter(enum emu_call call, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);

	if (call != EMU_ALLOC)
		log_text(text);
	if (!fail.left || !(fail.mask & call) || --fail.left)
		return 0;

	fail.fired = true;
	memcpy(fail.call, text, sizeof(text));
	log_text("  failed on request");

	return emu_errno(call == EMU_ALLOC ? ENOMEM : fail.err);
}

void emu_fail_at(unsigned int mask, unsigned int n, int err)
{
	emu_autolock();
	fail.mask = mask;
	fail.left = n;
	fail.err = err;
	fail.fired = false;
	fail.call[0] = '\0';
}

bool emu_fail_fired(void)
{
	emu_autolock();
	return fail.fired;
}

const char *emu_fail_call(void)
{
	return fail.call;
}

unsigned int emu_fail_each(unsigned int mask, int err, int (*step)(void *arg),
			   void (*undo)(void *arg), void *arg)
{
	const struct emu_usage before = emu_usage();

	for (unsigned int n = 1;; n++) {
		int ret, got, want;
		bool fired;

		emu_fail_at(mask, n, abs(err));
		errno = 0;
		ret = step(arg);
		got = errno;
		fired = emu_fail_fired();
		want = !strncmp(fail.call, "alloc", 5) ? ENOMEM : err;
		emu_fail_at(0, 0, 0);

		if (!fired && ret)
			fail_msg("nothing was made to fail, yet errno is %d (%s)", got,
				 strerror(got));
		if (ret && err >= 0 && got != want)
			fail_msg("call %u failed: errno is %d, should be %d", n, got, want);
		if (!ret && undo)
			undo(arg);
		if (usage_changed(&before))
			fail_msg("failing call %u left something behind", n);
		if (!fired)
			return n - 1;
	}
}

/* ---------------------------------------------------------------- life cycle */

void emu_init(void)
{
	emu_autolock();

	memset(&emu_used, 0, sizeof(emu_used));
	memset(&fail, 0, sizeof(fail));
	emu_set_child(false);
	clock_init();
	fs_init();
	fd_init();
	mm_init();
	iommu_init();
	vfio_init();
	iommufd_init();
	sysfs_init();
	pci_init();
}

void emu_fini(void)
{
	emu_stop_threads();

	emu_autolock();
	fd_fini();
	mm_fini();
	pci_fini();
	vfio_fini();
	sysfs_fini();
	fs_fini();
	list_clear(&violations);
	list_clear(&expected);
	free(calls.text);
	memset(&calls, 0, sizeof(calls));
	memset(&fail, 0, sizeof(fail));
}

int emu_setup(void **state)
{
	(void)state;
	emu_init();
	return 0;
}

int emu_setup_type1(void **state)
{
	emu_setup(state);
	emu_iommu()->no_iommufd = true;
	return 0;
}

int emu_setup_iommufd(void **state)
{
	emu_setup(state);
	emu_iommu()->no_iommufd = false;
	return 0;
}

int emu_teardown(void **state)
{
	const struct emu_usage nothing = {};
	bool bad;

	(void)state;
	emu_stop_threads();
	bad = complain();
	bad |= usage_changed(&nothing);
	if (bad)
		print_error("calls:\n%s", emu_calls());
	emu_fini();

	return bad ? -1 : 0;
}
