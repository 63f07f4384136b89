// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A change in a process apart: the kernel lets nobody interrupt a driver that waits for its device, so that whoever waits
 * there can neither say so nor end.
 */
#include "apart.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vfntool.h"

static const int forwarded[] = { SIGHUP, SIGINT, SIGTERM };

/* What the one who stands by waits for; signals that are ignored, as under nohup, stay that. */
static void block_signals(sigset_t *set, sigset_t *before)
{
	struct sigaction action;

	signal(SIGCHLD, SIG_DFL);
	sigemptyset(set);
	sigaddset(set, SIGCHLD);
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++) {
		sigaction(forwarded[i], NULL, &action);
		if (action.sa_handler != SIG_IGN)
			sigaddset(set, forwarded[i]);
	}
	sigprocmask(SIG_BLOCK, set, before);
}

static struct timespec timespec_of(unsigned int ms)
{
	return (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
}

static int status_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void leave(pid_t worker)
{
	complain("process %d ends when the kernel lets it: then see what is left, or call reset",
		 (int)worker);
}

int stand_by(pid_t worker, const sigset_t *set, unsigned int patience_ms, unsigned int limit_ms)
{
	struct timespec left = timespec_of(patience_ms);
	bool told = false, called_off = false;
	int status;

	while (waitpid(worker, &status, WNOHANG) != worker) {
		int sig = sigtimedwait(set, NULL, &left);

		if (sig > 0 && sig != SIGCHLD) {
			kill(worker, sig);
			if (called_off) {
				leave(worker);
				return 128 + sig;
			}
			called_off = true;
		} else if (sig < 0 && errno == EAGAIN && !told) {
			complain(
				"the kernel is still at it: a driver waits for its device, or somebody has the device open");
			told = true;
			left = timespec_of(limit_ms);
		} else if (sig < 0 && errno == EAGAIN) {
			leave(worker);
			return EXIT_FAILURE;
		}
	}

	return status_of(status);
}

#define PATIENCE_MS 5000
#define LIMIT_MS 115000

void go_apart(void)
{
	sigset_t set, before;
	pid_t worker;

	fflush(NULL);
	block_signals(&set, &before);
	worker = fork();
	if (worker > 0)
		_exit(stand_by(worker, &set, PATIENCE_MS, LIMIT_MS));

	/* in a group of its own a terminal's signals reach it once, from the other; and it is called off when that ends */
	if (!worker) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
}
