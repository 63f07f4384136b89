// SPDX-License-Identifier: GPL-2.0-or-later
/* Messages are off unless asked for, go where they should, and leave errno alone. */
#include "../unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <vfn/support/log.h>

#include "support/error.h"

static struct {
	int level;
	unsigned int n;
	char text[512];
	void *opaque;
} got;

static void hook(int level, const char *text, void *opaque)
{
	got.level = level;
	got.n++;
	got.opaque = opaque;
	snprintf(got.text, sizeof(got.text), "%s", text);
	errno = EXDEV;
}

static int setup(void **state)
{
	memset(&got, 0, sizeof(got));
	unsetenv("LOGV");
	logv_set(VFN_LOG_UNSET);
	vfn_log_set_hook(hook, &got);

	return 0;
}

static int teardown(void **state)
{
	vfn_log_set_hook(NULL, NULL);
	unsetenv("LOGV");
	logv_set(VFN_LOG_OFF);

	return 0;
}

static int verbosity_with(const char *value)
{
	logv_set(VFN_LOG_UNSET);
	setenv("LOGV", value, 1);

	return vfn_log_init();
}

static void verbosity_without_logv_is_off(void **state)
{
	assert_int_equal(vfn_log_init(), VFN_LOG_OFF);
	log_error("not to be seen");
	(void)vfn_fail(EIO, "not to be seen either");
	assert_int_equal(got.n, 0);
}

static void verbosity_is_the_number_in_logv(void **state)
{
	assert_int_equal(verbosity_with("0"), 0);
	assert_int_equal(verbosity_with("1"), 1);
	assert_int_equal(verbosity_with("2"), 2);
	assert_int_equal(verbosity_with("-1"), VFN_LOG_OFF);
}

static void verbosity_with_nonsense_in_logv_is_off(void **state)
{
	static const char *const nonsense[] = {
		"", "x", "1x", "-2", "-9", "99999999999999999999", "65536", "1 2",
	};

	for (size_t i = 0; i < UNIT_ARRAY_SIZE(nonsense); i++)
		assert_int_equal(verbosity_with(nonsense[i]), VFN_LOG_OFF);
}

static void verbosity_that_was_set_beats_logv(void **state)
{
	setenv("LOGV", "2", 1);
	logv_set(LOG_ERROR);
	assert_int_equal(vfn_log_init(), LOG_ERROR);
	assert_false(logv(LOG_DEBUG));
}

static void levels_up_to_the_verbosity_pass(void **state)
{
	logv_set(LOG_INFO);
	log_error("e");
	log_info("i");
	log_debug("d");
	assert_int_equal(got.n, 2);
	assert_string_equal(got.text, "i");
	assert_int_equal(got.level, LOG_INFO);
}

static int count_up(int *n)
{
	return ++*n;
}

static void message_that_is_off_does_not_evaluate_its_arguments(void **state)
{
	int n = 0;

	logv_set(VFN_LOG_OFF);
	log_error("%d", count_up(&n));
	assert_int_equal(n, 0);
	logv_set(LOG_ERROR);
	log_error("%d", count_up(&n));
	assert_int_equal(n, 1);
}

static void hook_gets_level_text_and_its_pointer(void **state)
{
	vfn_log(LOG_DEBUG, "%s %d", "number", 42);
	assert_int_equal(got.level, LOG_DEBUG);
	assert_string_equal(got.text, "number 42");
	assert_ptr_equal(got.opaque, &got);
}

static void failure_of_an_attempt_is_no_error(void **state)
{
	logv_set(LOG_ERROR);
	vfn_begin_attempt();
	vfn_begin_attempt();
	assert_int_equal(vfn_fail(ENOENT, "first"), -1);
	vfn_end_attempt();
	assert_int_equal(vfn_fail(ENOENT, "not there"), -1);
	assert_int_equal(got.n, 0);
	assert_string_equal(vfn_last_error(), "not there");
	logv_set(VFN_LOG_INFO);
	assert_int_equal(vfn_fail(ENOENT, "not there either"), -1);
	assert_int_equal(got.level, VFN_LOG_INFO);
	vfn_end_attempt();

	errno = ENOENT;
	assert_int_equal(vfn_fail_again(), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(got.level, LOG_ERROR);
	assert_int_equal(got.n, 2);
	assert_string_equal(got.text, "not there either");
}

static void message_that_is_long_is_cut(void **state)
{
	char text[1000];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	vfn_log(LOG_ERROR, "%s", text);
	assert_int_equal(strlen(got.text), 255);
}

/* W41 */
static void message_leaves_errno_alone(void **state)
{
	errno = ENOTTY;
	vfn_log(LOG_ERROR, "hook sets errno");
	assert_int_equal(errno, ENOTTY);
}

/* Run @emit with standard error in a pipe; its output goes to @buf. */
static void capture(void (*emit)(void), char *buf, size_t size)
{
	int saved = dup(STDERR_FILENO), fds[2];
	ssize_t n;

	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);

	emit();

	dup2(saved, STDERR_FILENO);
	close(saved);
	n = read(fds[0], buf, size - 1);
	close(fds[0]);
	buf[n > 0 ? n : 0] = '\0';
}

static void one_of_each(void)
{
	log_error("a");
	log_info("b");
	log_debug("c");
	vfn_log(7, "d");
}

static void message_without_hook_goes_to_standard_error(void **state)
{
	char buf[256];

	vfn_log_set_hook(NULL, NULL);
	logv_set(LOG_DEBUG);
	capture(one_of_each, buf, sizeof(buf));
	assert_string_equal(buf, "libvfn: error: a\nlibvfn: info: b\nlibvfn: debug: c\n"
				 "libvfn: debug: d\n");
}

static void fail_quietly(void)
{
	log_error("a");
	(void)vfn_fail(EIO, "b");
	assert_int_equal(write(STDERR_FILENO, ".", 1), 1);
}

static void nothing_is_printed_by_default(void **state)
{
	char buf[64];

	vfn_log_set_hook(NULL, NULL);
	capture(fail_quietly, buf, sizeof(buf));
	assert_string_equal(buf, ".");
}

static void fail_sets_errno_last(void **state)
{
	logv_set(LOG_ERROR);
	assert_fails_with(vfn_fail(EBUSY, "device %d", 3), EBUSY);
	assert_string_equal(got.text, "device 3");
	assert_string_equal(vfn_last_error(), "device 3");
}

static void fail_may_quote_the_last_error(void **state)
{
	(void)vfn_fail(EIO, "inner");
	(void)vfn_fail(EIO, "outer: %s", vfn_last_error());
	assert_string_equal(vfn_last_error(), "outer: inner");
}

static void *fail_elsewhere(void *arg)
{
	char *text = arg;

	snprintf(text, 64, "%s|", vfn_last_error());
	(void)vfn_fail(EIO, "of the other thread");
	strncat(text, vfn_last_error(), 40);

	return NULL;
}

static void last_error_belongs_to_its_thread(void **state)
{
	char other[64];
	pthread_t thread;

	(void)vfn_fail(EIO, "of this thread");
	assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, other), 0);
	pthread_join(thread, NULL);
	assert_string_equal(other, "|of the other thread");
	assert_string_equal(vfn_last_error(), "of this thread");
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(verbosity_without_logv_is_off),
		test(verbosity_is_the_number_in_logv),
		test(verbosity_with_nonsense_in_logv_is_off),
		test(verbosity_that_was_set_beats_logv),
		test(levels_up_to_the_verbosity_pass),
		test(message_that_is_off_does_not_evaluate_its_arguments),
		test(hook_gets_level_text_and_its_pointer),
		test(failure_of_an_attempt_is_no_error),
		test(message_that_is_long_is_cut),
		test(message_leaves_errno_alone),
		test(message_without_hook_goes_to_standard_error),
		test(nothing_is_printed_by_default),
		test(fail_sets_errno_last),
		test(fail_may_quote_the_last_error),
		test(last_error_belongs_to_its_thread),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
