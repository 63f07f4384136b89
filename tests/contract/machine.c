// SPDX-License-Identifier: GPL-2.0-or-later
/* A program on an emulated machine: controllers in threads of their own, then the program's main(). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emu.h"

/* The build renames the program's main() to this, and would ours. */
int contract_main(int argc, char **argv);
#undef main

/* Variables that a program does not initialise do not happen to be zero. */
static __attribute__((noinline)) void soil_stack(void)
{
	volatile char dirt[65536];

	memset((char *)dirt, 0xa5, sizeof(dirt));
	__asm__ __volatile__("" : : "r"(dirt) : "memory");
}

int main(int argc, char **argv)
{
	const struct emu_nvme_opts opts = { .pci = { .msi_vectors = 1 }, .sgls = 1, .dbbuf = true };
	const struct emu_pci_opts other = { .bdf = "0000:06:0d.0", .group = 26 };
	int status;

	setenv("BDF_A", EMU_BDF, 1);
	emu_init();
	emu_nvme_add(&opts);
	emu_pci_add(&other);
	emu_start_threads();

	soil_stack();
	status = contract_main(argc, argv);

	emu_stop_threads();
	for (unsigned int i = 0; i < emu_violations(); i++) {
		fprintf(stderr, "violation: %s\n", emu_violation(i));
		status = 3;
	}
	emu_fini();

	return status;
}
