/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the vfio layer's files share. */
#ifndef VFN_SRC_VFIO_DEVICE_H
#define VFN_SRC_VFIO_DEVICE_H

#include <vfn/vfio.h>

/* device.c: ask the kernel of the open descriptor; @name goes into messages. */
int vfio_read_device_info(struct vfio_device *dev, const char *name);
int vfio_read_region_info(struct vfio_device *dev, const char *name, unsigned int index,
			  struct vfio_region_info *info);

/* pci.c: -1 with errno ENODEV where it is closed, ECHILD in a child of the process that opened it. */
int vfio_pci_check(const struct vfio_pci_device *pci);

/* pci.c: the device accesses memory no more, whatever else it does. */
int vfio_pci_clear_master(struct vfio_pci_device *pci);

/*
 * irq.c: what the kernel says of the interrupts with this VFIO index; -1 with errno ENOTSUP if
 * there are none.
 */
int vfio_read_irq_info(struct vfio_device *dev, unsigned int index, struct vfio_irq_info *info);

/* event.c: close the descriptors of a device that is closed. */
void vfio_close_events(struct vfio_pci_device *pci);

/* irq.c: take the kind of interrupt with this VFIO index; -1 with errno ENOTSUP if there is none. */
int vfio_use_irq(struct vfio_device *dev, unsigned int index);

#endif /* VFN_SRC_VFIO_DEVICE_H */
