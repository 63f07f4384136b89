/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vfntool stands by while a process that may hang makes the change: it speaks, forwards signals, and leaves. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "apart.h"
#include "vfntool.h"

#define LONG_MS 60000

static char said[512];
static sigset_t waited;

int complain(const char *fmt, ...)
{
	size_t len = strlen(said);
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(said + len, sizeof(said) - len, fmt, args);
	va_end(args);

	return EXIT_FAILURE;
}

static int setup(void **state)
{
	said[0] = '\0';
	sigemptyset(&waited);
	sigaddset(&waited, SIGCHLD);
	sigaddset(&waited, SIGTERM);

	return sigprocmask(SIG_BLOCK, &waited, NULL);
}

/* A process that takes no notice of SIGTERM, as one that waits in the kernel, and ends by itself after a while. */
static pid_t hang(unsigned int ms, int status)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		usleep(ms * 1000);
		_exit(status);
	}

	return pid;
}

/* A process that sends SIGTERM to this one, so many times, and waits in between. */
static pid_t send_term(int times)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		for (int i = 0; i < times; i++) {
			usleep(100 * 1000);
			kill(getppid(), SIGTERM);
		}
		_exit(0);
	}

	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void change_that_ends_gives_its_status(void **state)
{
	pid_t pid;

	assert_int_equal(stand_by(hang(0, 7), &waited, LONG_MS, LONG_MS), 7);

	pid = hang(LONG_MS, 0);
	kill(pid, SIGKILL);
	assert_int_equal(stand_by(pid, &waited, LONG_MS, LONG_MS), 128 + SIGKILL);
	assert_string_equal(said, "");
}

/* T6 */
static void change_that_hangs_is_explained(void **state)
{
	assert_int_equal(stand_by(hang(300, 3), &waited, 50, LONG_MS), 3);
	assert_non_null(strstr(said, "the kernel is still at it"));
	assert_null(strstr(said, "when the kernel lets it"));
}

/* T6 */
static void change_that_hangs_for_long_is_left(void **state)
{
	pid_t pid = hang(LONG_MS, 0);

	assert_int_equal(stand_by(pid, &waited, 20, 50), EXIT_FAILURE);
	assert_non_null(strstr(said, "the kernel is still at it"));
	assert_non_null(strstr(said, "when the kernel lets it"));
	assert_int_equal(kill(pid, 0), 0);
	end(pid);
}

/* L2 */
static void first_signal_is_handed_on(void **state)
{
	pid_t pid = fork(), sender;

	assert_true(pid >= 0);
	if (!pid) {
		sigset_t term;
		int sig;

		sigemptyset(&term);
		sigaddset(&term, SIGTERM);
		_exit(sigwait(&term, &sig) ? 1 : 128 + sig);
	}
	sender = send_term(1);
	assert_int_equal(stand_by(pid, &waited, LONG_MS, LONG_MS), 128 + SIGTERM);
	assert_string_equal(said, "");
	end(sender);
}

/* L2, T6 */
static void second_signal_leaves_a_change_that_hangs(void **state)
{
	pid_t pid = hang(LONG_MS, 0), sender = send_term(2);

	assert_int_equal(stand_by(pid, &waited, LONG_MS, LONG_MS), 128 + SIGTERM);
	assert_non_null(strstr(said, "when the kernel lets it"));
	end(sender);
	end(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(change_that_ends_gives_its_status, setup),
		cmocka_unit_test_setup(change_that_hangs_is_explained, setup),
		cmocka_unit_test_setup(change_that_hangs_for_long_is_left, setup),
		cmocka_unit_test_setup(first_signal_is_handed_on, setup),
		cmocka_unit_test_setup(second_signal_leaves_a_change_that_hangs, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
