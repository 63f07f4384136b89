/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vfntool is told to end while it binds a controller: it has done all of that then, or nothing. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define ROUNDS 12

static const int signals[] = { SIGTERM, SIGINT, SIGHUP };

static int called_off, finished;

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The kernel's driver has it and is up, before it is taken away again. */
static void assert_with_the_kernel(const char *command)
{
	char line[256];

	(void)snprintf(line, sizeof(line), "%s && . /vfn/tap.sh && wait_for_kernel %s", command,
		       guest_bdf("neighbour"));
	if (system(line))
		fail_msg("%s", line);
}

static void give_back(void)
{
	char command[64];

	(void)snprintf(command, sizeof(command), "vfntool reset %s", guest_bdf("neighbour"));
	assert_with_the_kernel(command);
}

/* Driver, override, and whether there is a record of what was before. */
static void state_of(char *text, size_t len)
{
	const char *bdf = guest_bdf("neighbour");
	char path[128], driver[128] = "", override[64] = "";
	FILE *file;

	(void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", bdf);
	if (readlink(path, driver, sizeof(driver) - 1) < 0)
		driver[0] = '\0';
	(void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", bdf);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(override, sizeof(override), file));
	fclose(file);
	(void)snprintf(path, sizeof(path), "/run/libvfn/%s", bdf);
	(void)snprintf(text, len, "%s, override %s, %s", driver, strtok(override, "\n"),
		       access(path, F_OK) ? "nothing recorded" : "a record");
}

static pid_t start_bind(void)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		execlp("vfntool", "vfntool", "bind", guest_bdf("neighbour"), NULL);
		_exit(127);
	}

	return pid;
}

/* Whoever has not begun yet, or has finished, may be killed by the signal as any program. */
static void interrupt(int sig, unsigned int us, const char *idle, const char *bound)
{
	pid_t pid = start_bind();
	bool off, done;
	char state[256];
	int status;

	usleep(us);
	assert_int_equal(kill(pid, sig), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	state_of(state, sizeof(state));

	off = !strcmp(state, idle);
	done = !strcmp(state, bound);
	called_off += off;
	finished += done;
	if (!off && !done)
		fail_msg("signal %d after %u us: %s", sig, us, state);
	if (WIFSIGNALED(status))
		assert_int_equal(WTERMSIG(status), sig);
	else if (WEXITSTATUS(status))
		assert_int_equal(WEXITSTATUS(status), 128 + sig);
	else
		assert_true(done);

	if (done)
		give_back();
	else
		assert_with_the_kernel("true");
}

static unsigned int time_of_bind(void)
{
	uint64_t before = now_us();
	int status;

	assert_true(waitpid(start_bind(), &status, 0) > 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);

	return (unsigned int)(now_us() - before);
}

/* L2 */
static void test_signals_leave_all_or_nothing(void **state)
{
	char idle[256], bound[256];
	unsigned int takes;

	(void)state;
	state_of(idle, sizeof(idle));
	takes = time_of_bind();
	state_of(bound, sizeof(bound));
	assert_string_not_equal(bound, idle);
	give_back();

	for (unsigned int i = 0; i < ROUNDS; i++)
		interrupt(signals[i % 3], takes * i / (ROUNDS - 2), idle, bound);
	assert_true(called_off > 0);
	print_message("# note: bind takes %u ms; %d called off, %d finished\n", takes / 1000,
		      called_off, finished);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signals_leave_all_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
