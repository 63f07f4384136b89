/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Everything about PCI devices as the kernel shows them in sysfs. */
#ifndef VFN_PCI_H
#define VFN_PCI_H

#include <vfn/pci/bdf.h>
#include <vfn/pci/device.h>
#include <vfn/pci/driver.h>
#include <vfn/pci/util.h>

#endif /* VFN_PCI_H */
