// SPDX-License-Identifier: GPL-2.0-or-later
/* vfntool bind, unbind and reset: hand a device over, or back. */
#include "vfntool.h"

#include <stdlib.h>

#include "apart.h"

static int report_step(const char *bdf, const char *step, void *arg)
{
	const struct request *req = arg;

	if (req->verbose || req->dry_run) {
		printf("%s: %s", bdf, req->dry_run ? "would " : "");
		put_text(stdout, step);
		putchar('\n');
		fflush(stdout);
	}

	return caught_signal();
}

static int run(const struct request *req,
	       int (*change)(const struct request *req, const struct vfn_pci_steps *steps))
{
	struct vfn_pci_steps steps = {
		.dry_run = req->dry_run,
		.report = report_step,
		.arg = (void *)req,
	};
	int ret;

	if (go_apart && !req->dry_run)
		go_apart();

	catch_signals();
	ret = change(req, &steps);
	release_signals();

	if (ret)
		complain_last_error();
	if (caught_signal())
		return 128 + caught_signal();

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
