// SPDX-License-Identifier: GPL-2.0-or-later
/* Signals that call off what is being done, so that it ends in good order. */
#include "vfntool.h"

#include <signal.h>

static const int signals[] = { SIGHUP, SIGINT, SIGTERM };

#define NR_SIGNALS (sizeof(signals) / sizeof(signals[0]))

static struct sigaction before[NR_SIGNALS];
static volatile sig_atomic_t caught;

static void note_signal(int sig)
{
	caught = sig;
	signal(sig, SIG_DFL);
}

void catch_signals(void)
{
	struct sigaction note = { .sa_handler = note_signal };

	caught = 0;
	for (size_t i = 0; i < NR_SIGNALS; i++) {
		sigaction(signals[i], NULL, &before[i]);
		if (before[i].sa_handler != SIG_IGN)
			sigaction(signals[i], &note, NULL);
	}
}

void release_signals(void)
{
	for (size_t i = 0; i < NR_SIGNALS; i++)
		sigaction(signals[i], &before[i], NULL);
}

int caught_signal(void)
{
	return caught;
}
