/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine that the tests of the pci layer and of vfntool start from. */
#ifndef VFN_TESTS_UNIT_PCI_MACHINE_H
#define VFN_TESTS_UNIT_PCI_MACHINE_H

#include "../unit.h"

#include <stdio.h>
#include <stdlib.h>

#include <vfn/pci.h>

#include "emu.h"

#define DEV "/sys/bus/pci/devices/" EMU_BDF
#define RECORD VFN_PCI_RECORD_DIR "/" EMU_BDF
#define BLOCK "/sys/class/block/"

/* A function on the nvme driver, with its disk nvme0n1 (259:0). */
static inline struct emu_pci *add_bound(const char *bdf, const char *driver)
{
	struct emu_pci_opts opts = { .bdf = bdf, .driver = driver };

	emu_dir("/run");

	return emu_pci_add(&opts);
}

/* A partition of nvme0n1 as number 259:@minor. */
static inline void add_partition(const char *name, const char *number)
{
	char at[128], path[192];

	snprintf(at, sizeof(at), "/sys/devices/pci0000:00/" EMU_BDF "/nvme/nvme0/nvme0n1/%s", name);
	snprintf(path, sizeof(path), "%s/dev", at);
	emu_file(path, number);
	snprintf(path, sizeof(path), BLOCK "%s", name);
	emu_link(path, at);
}

#define test(name) cmocka_unit_test_setup_teardown(name, emu_setup, emu_teardown)

#endif /* VFN_TESTS_UNIT_PCI_MACHINE_H */
