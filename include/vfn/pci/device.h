/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Find PCI devices, describe them, and see what uses them. */
#ifndef VFN_PCI_DEVICE_H
#define VFN_PCI_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include <vfn/pci/bdf.h>
#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS

/*
 * All functions here read sysfs and change nothing. They may be called from
 * any thread. Addresses are taken in every form that vfn_pci_parse_bdf()
 * accepts; a bad one is EINVAL and a device that does not exist is ENODEV.
 * vfn_last_error() has the text of a failure.
 */

/** define VFN_PCI_NUM_BARS - base address registers of a PCI function */
#define VFN_PCI_NUM_BARS 6

/** define VFN_PCI_CLASS_NVME - class and subclass of NVM controllers */
#define VFN_PCI_CLASS_NVME 0x0108

/**
 * struct vfn_pci_bar - one base address register
 * @start: bus address as the CPU sees it
 * @size: bytes, 0 when the register is not implemented
 * @flags: the kernel's IORESOURCE_* flags (0x100 I/O, 0x200 memory, 0x2000
 *	prefetchable, 0x100000 64 bits)
 */
struct vfn_pci_bar {
	uint64_t start;
	uint64_t size;
	uint64_t flags;
};

/**
 * struct vfn_pci_info - what sysfs says about a PCI function
 * @bdf: normalised address
 * @vendor: vendor id
 * @device: device id
 * @subsystem_vendor: subsystem vendor id
 * @subsystem_device: subsystem id
 * @classcode: class, subclass and programming interface (0x010802: NVMe)
 * @revision: revision id
 * @numa_node: NUMA node, -1 when the platform names none
 * @iommu_group: number of the IOMMU group, -1 without an IOMMU
 * @driver: name of the bound driver, NULL when there is none
 * @driver_override: the only driver that may bind, NULL when not set
 * @bars: base address registers
 * @irq: legacy interrupt line, 0 when there is none
 * @nr_vectors: MSI or MSI-X vectors that the bound driver has allocated
 * @msix: the allocated vectors are MSI-X
 */
struct vfn_pci_info {
	char bdf[VFN_PCI_BDF_LEN];
	uint16_t vendor;
	uint16_t device;
	uint16_t subsystem_vendor;
	uint16_t subsystem_device;
	uint32_t classcode;
	uint8_t revision;
	int numa_node;
	int iommu_group;
	char *driver;
	char *driver_override;
	struct vfn_pci_bar bars[VFN_PCI_NUM_BARS];
	unsigned int irq;
	unsigned int nr_vectors;
	bool msix;
};

/**
 * vfn_pci_get_info - describe a PCI function
 * @bdf: address
 * @info: filled in; release with vfn_pci_put_info()
 *
 * Return: 0, or -1 with errno set and @info zeroed.
 */
int vfn_pci_get_info(const char *bdf, struct vfn_pci_info *info);

/**
 * vfn_pci_put_info - release what vfn_pci_get_info() allocated
 * @info: description, zeroed on return; a zeroed one is fine
 */
void vfn_pci_put_info(struct vfn_pci_info *info);

/**
 * vfn_pci_for_each_device - visit every PCI function of the machine
 * @fn: called in the order of addresses; a nonzero return stops the walk
 * @arg: passed to @fn
 *
 * Return: 0, the value that stopped the walk, or -1 with errno set.
 */
int vfn_pci_for_each_device(int (*fn)(const char *bdf, void *arg), void *arg);

/**
 * vfn_pci_group_members - visit the other PCI functions of an IOMMU group
 * @bdf: address of the function whose group is meant; it is not visited
 * @fn: called in the order of addresses with the address and the bound driver
 *	(NULL when there is none); a nonzero return stops the walk
 * @arg: passed to @fn
 *
 * VFIO gives out a group only when each of its members is bound to a VFIO
 * driver or to none.
 *
 * Return: 0, the value that stopped the walk, or -1 with errno set (ENODEV
 * also when there is no IOMMU group).
 */
int vfn_pci_group_members(const char *bdf,
			  int (*fn)(const char *member_bdf, const char *driver, void *arg),
			  void *arg);

/**
 * vfn_pci_for_each_block - visit the block devices that sit on a PCI function
 * @bdf: address
 * @fn: called in the order of names for disks, partitions and the multipath
 *	heads of NVMe subsystems that the function is a path of. @use says what
 *	uses the block device ("mounted on /srv", "swap", "held by dm-0
 *	(vg-root)") and is NULL when nothing is known to. A nonzero return stops
 *	the walk
 * @arg: passed to @fn
 *
 * Opens no device, so it disturbs nobody and needs no privilege; users that
 * are visible only by opening the device are found by vfn_pci_check_idle().
 *
 * Return: 0, the value that stopped the walk, or -1 with errno set.
 */
int vfn_pci_for_each_block(const char *bdf, int (*fn)(const char *name, const char *use, void *arg),
			   void *arg);

VFN_END_DECLS

#endif /* VFN_PCI_DEVICE_H */
