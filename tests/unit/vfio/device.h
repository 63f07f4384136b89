/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of the vfio layer start from: a function of PCI, plugged and perhaps open. */
#ifndef VFN_TESTS_UNIT_VFIO_DEVICE_H
#define VFN_TESTS_UNIT_VFIO_DEVICE_H

#include "../unit.h"

#include <linux/pci_regs.h>

#include <vfn/iommu.h>
#include <vfn/vfio.h>

#include "emu.h"
#include "iommu/context.h"

#define GROUP "/dev/vfio/7"

static struct vfio_pci_device pci;
static struct emu_pci *hw;

static inline void plug(struct emu_pci_opts opts)
{
	opts.group = opts.group ? opts.group : 7;
	hw = emu_pci_add(&opts);
}

/* A kernel with one of the two interfaces, whatever this run of the program is about. */
static inline void only_groups(void)
{
	emu_iommu()->no_iommufd = true;
}

static inline void only_iommufd(void)
{
	emu_iommu()->no_iommufd = false;
	emu_iommu()->no_vfio = true;
}

static inline void open_device(void)
{
	assert_int_equal(vfio_pci_open(&pci, EMU_BDF), 0);
}

/* Plug a function that has what the arguments say, and open it. */
#define open_with(...) \
	do { \
		plug((struct emu_pci_opts){ __VA_ARGS__ }); \
		open_device(); \
	} while (0)

static inline int setup(void **state)
{
	emu_init();
	memset(&pci, 0, sizeof(pci));

	return 0;
}

static inline int teardown(void **state)
{
	int ret = vfio_pci_close(&pci);

	return emu_teardown(state) ? -1 : ret;
}

#define assert_open_fails(err, text) \
	do { \
		assert_fails_with(vfio_pci_open(&pci, EMU_BDF), err); \
		assert_error_has(text); \
		assert_null(pci.bdf); \
	} while (0)

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif /* VFN_TESTS_UNIT_VFIO_DEVICE_H */
