/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A device of VFIO: interrupts and reset. */
#ifndef VFN_VFIO_DEVICE_H
#define VFN_VFIO_DEVICE_H

#include <linux/vfio.h>

#include <vfn/iommu/context.h>
#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS

/**
 * struct vfio_device - an open device
 * @fd: the kernel's descriptor of the device
 * @ctx: its address space; set it before opening to share one
 * @device_info: what the kernel says of the device
 * @irq_info: the kind of interrupt in use; count is the number of vectors
 * @irqs_enabled: vectors that the kernel has allocated; private
 */
struct vfio_device {
	int fd;
	struct iommu_ctx *ctx;
	/* the kernel's struct grows over time; what follows must not move */
	union {
		struct vfio_device_info device_info;
		char __device_info_room[32];
	};
	struct vfio_irq_info irq_info;
	unsigned int irqs_enabled;
};

/* The address space of a vfio_device, vfio_pci_device or nvme_ctrl. */
#define __iommu_ctx(x) (((struct vfio_device *)(x))->ctx)

/*
 * Interrupt functions are not thread-safe: one thread at a time per device.
 */

/**
 * vfio_set_irq - route interrupt vectors to eventfds
 * @dev: open device
 * @eventfds: one descriptor per vector; -1 leaves that vector without one
 * @start: first vector
 * @count: number of vectors
 *
 * The first call allocates all vectors that the device has, since many kernels
 * cannot add vectors later. The descriptors stay the caller's; one may be
 * closed once its vector is routed elsewhere. Programs call it as
 * vfio_set_irq(dev, eventfds, start, count) or vfio_set_irq(dev, eventfds, count).
 *
 * Return: 0, or -1 with errno: EINVAL (vectors beyond irq_info.count, no
 * interrupts at all), EBADF (not an eventfd), ENOSPC (the kernel is out of vectors).
 */
int vfio_set_irq(struct vfio_device *dev, int *eventfds, int start, int count);

/**
 * vfio_disable_irq - take vectors from their eventfds
 * @dev: open device
 * @start: first vector
 * @count: number of vectors
 *
 * The vectors stay allocated, so they can be routed again; calling it with
 * falling counts tells how many the kernel has to give. Programs call it as
 * vfio_disable_irq(dev, start, count); vfio_disable_irq(dev) is
 * vfio_disable_irq_all(dev).
 *
 * Return: as vfio_set_irq().
 */
int vfio_disable_irq(struct vfio_device *dev, int start, int count);

/**
 * vfio_disable_irq_all - switch interrupts off and give all vectors back
 * @dev: open device
 *
 * Return: 0 (also when they were off), or -1 with errno.
 */
int vfio_disable_irq_all(struct vfio_device *dev);

/**
 * vfn_vfio_setup_irqs - route as many vectors as device and kernel have to give
 * @dev: open device; its interrupts are switched off first
 * @eventfds: @max descriptors; -1 leaves that vector without one
 * @min: with fewer vectors the call fails; at least 1
 * @max: no more than these are wanted
 *
 * Hosts may have fewer vectors than the device, and kernels before 6.5 cannot
 * add any later: this finds how many there are, from vector 0 on, and allocates
 * just those.
 *
 * Return: the number of vectors, or -1 with errno: EINVAL (@min or @max),
 * ENOSPC (less than @min to be had), ENOTSUP (the device has no interrupts),
 * EBADF (not an eventfd). All interrupts are off then.
 */
int vfn_vfio_setup_irqs(struct vfio_device *dev, int *eventfds, int min, int max);

/**
 * vfn_vfio_unmask_irq - let a pin-based interrupt fire again
 * @dev: open device that uses INTx
 *
 * The kernel masks INTx each time it fires. Call this after the cause is gone,
 * that is after the completions were consumed and the head doorbell written.
 * With MSI and MSI-X nothing is to be done and the call just succeeds.
 *
 * Return: 0, or -1 with errno.
 */
int vfn_vfio_unmask_irq(struct vfio_device *dev);

/*
 * Programs written for release 5.1 give no start; both forms are accepted. They
 * are macros, so a compound literal as argument needs parentheses around it.
 */
#define __vfn_set_irq_3(dev, eventfds, count) (vfio_set_irq)(dev, eventfds, 0, count)
#define __vfn_set_irq_4(dev, eventfds, start, count) (vfio_set_irq)(dev, eventfds, start, count)
#define __vfn_set_irq_pick(_1, _2, _3, _4, name, ...) name
#define vfio_set_irq(...) \
	__vfn_set_irq_pick(__VA_ARGS__, __vfn_set_irq_4, __vfn_set_irq_3, 0, 0)(__VA_ARGS__)

#define __vfn_disable_irq_1(dev) vfio_disable_irq_all(dev)
#define __vfn_disable_irq_3(dev, start, count) (vfio_disable_irq)(dev, start, count)
#define __vfn_disable_irq_pick(_1, _2, _3, name, ...) name
#define vfio_disable_irq(...) \
	__vfn_disable_irq_pick(__VA_ARGS__, __vfn_disable_irq_3, 0, __vfn_disable_irq_1, \
			       0)(__VA_ARGS__)

/**
 * vfio_reset - reset the device's function
 * @dev: open device
 *
 * Everything the device was told is forgotten, bus mastering included
 * (vfn_vfio_pci_set_master()). Nobody may access its registers meanwhile.
 *
 * Return: 0, or -1 with errno: ENOTSUP (the device cannot be reset).
 */
int vfio_reset(struct vfio_device *dev);

VFN_END_DECLS

#endif /* VFN_VFIO_DEVICE_H */
