/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Page faults of devices, which iommufd hands to the program. */
#ifndef VFN_IOMMU_IOMMUFD_H
#define VFN_IOMMU_IOMMUFD_H

#include <stdbool.h>
#include <stdint.h>

#include <vfn/iommu/context.h>
#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS

/*
 * A device with PRI (page request interface, PCI Express Base 10.4) asks for
 * pages that are not mapped. With a fault queue the program is told, maps them
 * and answers; the device repeats its access. It takes Linux 6.11 and an IOMMU
 * that has the means. All functions of this file may be called from any thread.
 */

/**
 * struct iommufd_fault_queue - where page faults arrive
 * @fault_id: the kernel's number of it, 0 for none
 * @fault_fd: descriptor for poll(2) and vfn_iommufd_get_faults()
 */
struct iommufd_fault_queue {
	int fault_id;
	int fault_fd;
};

/**
 * iommufd_alloc_fault_queue - make a fault queue
 * @fq: filled in; release with vfn_iommufd_free_fault_queue()
 *
 * Return: 0, or -1 with errno: ENODEV (no iommufd), ENOTSUP (kernel before
 * 6.11), EACCES (no permission to open /dev/iommu), ENOMEM.
 */
int iommufd_alloc_fault_queue(struct iommufd_fault_queue *fq);

/**
 * vfn_iommufd_free_fault_queue - release a fault queue
 * @fq: queue that no open device uses any more; one that was released is fine
 */
void vfn_iommufd_free_fault_queue(struct iommufd_fault_queue *fq);

/**
 * iommufd_set_fault_queue - have a device's page faults delivered
 * @ctx: address space of the device
 * @fq: queue, or NULL to have none again
 * @devfd: descriptor of the device (pci.dev.fd)
 *
 * The device gets a page table of its own, with the same mappings, until it is
 * closed. It must be quiet meanwhile. Several devices may have the same queue.
 *
 * Return: 0, or -1 with errno: ENODEV (no such device in @ctx, or it has no
 * PRI), ENOTSUP (@ctx is not iommufd's, or kernel or IOMMU have no fault
 * delivery), EINVAL (no address space, or @fq was released). The device stays as
 * it was then.
 */
int iommufd_set_fault_queue(struct iommu_ctx *ctx, struct iommufd_fault_queue *fq, int devfd);

/* What is known of a fault. LAST ends a group: that one is answered, for all of it. */
enum vfn_iommufd_fault_flags {
	VFN_IOMMUFD_FAULT_READ = 1 << 0,
	VFN_IOMMUFD_FAULT_WRITE = 1 << 1,
	VFN_IOMMUFD_FAULT_LAST = 1 << 2,
};

/**
 * struct vfn_iommufd_fault - a page that a device asks for
 * @addr: I/O virtual address
 * @length: bytes that it is going to need, 0 if it does not say
 * @flags: of enum vfn_iommufd_fault_flags
 * @cookie: for the answer
 * @devfd: descriptor of the device, -1 if it was closed meanwhile
 */
struct vfn_iommufd_fault {
	uint64_t addr;
	uint32_t length;
	uint32_t flags;
	uint32_t cookie;
	int devfd;
};

/**
 * vfn_iommufd_get_faults - take faults from a queue
 * @fq: queue
 * @faults: filled in, in the order of their arrival
 * @n: how many there is room for. A group comes whole or not at all, and may be
 *	as large as the number of requests that the device can have outstanding.
 *
 * Does not wait; poll(2) on fault_fd does.
 *
 * Return: how many, 0 if there are none, or -1 with errno: EINVAL (@n is less
 * than 1), ENOMEM.
 */
int vfn_iommufd_get_faults(struct iommufd_fault_queue *fq, struct vfn_iommufd_fault *faults, int n);

/**
 * vfn_iommufd_answer_fault - let the device go on
 * @fq: queue
 * @fault: the last fault of a group
 * @resolved: whether all pages of the group are mapped now; if not, the access fails
 *
 * Return: 0, or -1 with errno (EINVAL: answered already).
 */
int vfn_iommufd_answer_fault(struct iommufd_fault_queue *fq, const struct vfn_iommufd_fault *fault,
			     bool resolved);

VFN_END_DECLS

#endif /* VFN_IOMMU_IOMMUFD_H */
