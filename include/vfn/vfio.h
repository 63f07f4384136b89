/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Devices through VFIO: regions, interrupts, reset, configuration space. */
#ifndef VFN_VFIO_H
#define VFN_VFIO_H

#include <vfn/iommu.h>
#include <vfn/vfio/device.h>
#include <vfn/vfio/guard.h>
#include <vfn/vfio/pci.h>

#endif /* VFN_VFIO_H */
