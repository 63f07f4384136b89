// SPDX-License-Identifier: GPL-2.0-or-later
/* The pci layer: find controllers, and see what handing one over would do. */
#include <stdbool.h>
#include <stdio.h>

#include <vfn/pci.h>

#include "snippet.h"

/* [list] */
static int print_controller(const char *bdf, void *arg)
{
	unsigned int *count = arg;
	struct vfn_pci_info info;

	if (vfn_pci_get_info(bdf, &info))
		return errno == ENODEV ? 0 : -1; /* unplugged meanwhile */

	if (info.classcode >> 8 == VFN_PCI_CLASS_NVME) {
		printf("%s has driver %s\n", info.bdf, info.driver ? info.driver : "none");
		(*count)++;
	}
	vfn_pci_put_info(&info);

	return 0;
}

static unsigned int print_controllers(void)
{
	unsigned int count = 0;

	if (vfn_pci_for_each_device(print_controller, &count))
		fail();

	return count;
}
/* [list-end] */

/* [bind] */
static int print_step(const char *bdf, const char *step, void *arg)
{
	(void)arg;
	printf("%s: would %s\n", bdf, step);

	return 0; /* anything else calls the change off, and undoes it */
}

static void rehearse(const char *bdf)
{
	const struct vfn_pci_steps steps = { .dry_run = true, .report = print_step };

	if (vfn_pci_unbind_driver(bdf, &steps))
		fail();
}
/* [bind-end] */

int main(int argc, char **argv)
{
	(void)argc;
	printf("%u controllers\n", print_controllers());
	rehearse(argv[1]);

	return 0;
}
