// SPDX-License-Identifier: GPL-2.0-or-later
/* vfntool bind, unbind and reset: hand a device over, or back. */
#include "vfntool.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static const int signals[] = { SIGHUP, SIGINT, SIGTERM };

#define NR_SIGNALS (sizeof(signals) / sizeof(signals[0]))

static volatile sig_atomic_t caught;

/* The first signal calls the change off, the second kills as ever. */
static void note_signal(int sig)
{
	caught = sig;
	signal(sig, SIG_DFL);
}

/* The kernel waits for a device that hangs, and nobody can interrupt it: say so, once per step. */
#define PATIENCE_S 10

static void note_hang(int sig)
{
	static const char text[] =
		"vfntool: the kernel is still at it: a driver waits for its device, or somebody has\n"
		"vfntool: the device open; no signal ends vfntool until that is over\n";
	int saved = errno;

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		saved = errno;
	errno = saved;
}

static void catch_signals(struct sigaction before[NR_SIGNALS])
{
	struct sigaction note = { .sa_handler = note_signal };
	struct sigaction hang = { .sa_handler = note_hang, .sa_flags = SA_RESTART };

	caught = 0;
	sigaction(SIGALRM, &hang, NULL);
	for (size_t i = 0; i < NR_SIGNALS; i++) {
		sigaction(signals[i], NULL, &before[i]);
		/* as under nohup */
		if (before[i].sa_handler != SIG_IGN)
			sigaction(signals[i], &note, NULL);
	}
}

static void release_signals(const struct sigaction before[NR_SIGNALS])
{
	alarm(0);
	signal(SIGALRM, SIG_DFL);
	for (size_t i = 0; i < NR_SIGNALS; i++)
		sigaction(signals[i], &before[i], NULL);
}

static int report_step(const char *bdf, const char *step, void *arg)
{
	const struct request *req = arg;

	if (req->verbose || req->dry_run) {
		printf("%s: %s", bdf, req->dry_run ? "would " : "");
		put_text(stdout, step);
		putchar('\n');
		fflush(stdout);
	}
	alarm(PATIENCE_S);

	return caught;
}

static int run(const struct request *req,
	       int (*change)(const struct request *req, const struct vfn_pci_steps *steps))
{
	struct vfn_pci_steps steps = {
		.dry_run = req->dry_run,
		.report = report_step,
		.arg = (void *)req,
	};
	struct sigaction before[NR_SIGNALS];
	int ret;

	catch_signals(before);
	ret = change(req, &steps);
	release_signals(before);

	if (ret)
		complain_last_error();
	if (caught)
		return 128 + caught;

	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int bind_driver(const struct request *req, const struct vfn_pci_steps *steps)
{
	return vfn_pci_bind_driver(req->bdf, req->driver, steps);
}

static int unbind_driver(const struct request *req, const struct vfn_pci_steps *steps)
{
	return vfn_pci_unbind_driver(req->bdf, steps);
}

static int restore_driver(const struct request *req, const struct vfn_pci_steps *steps)
{
	return vfn_pci_restore_driver(req->bdf, steps);
}

int cmd_bind(const struct request *req)
{
	return run(req, bind_driver);
}

int cmd_unbind(const struct request *req)
{
	return run(req, unbind_driver);
}

int cmd_reset(const struct request *req)
{
	return run(req, restore_driver);
}
