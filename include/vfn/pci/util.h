/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Single steps on sysfs: bind, unbind, read an attribute, follow a link. */
#ifndef VFN_PCI_UTIL_H
#define VFN_PCI_UTIL_H

#include <stdbool.h>
#include <stdint.h>

#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS

/*
 * These are the bare steps, without checks of who uses the device and without
 * a way back; see vfn/pci/driver.h for a bind that is safe.
 *
 * Addresses are taken in every form that vfn_pci_parse_bdf() accepts. Errors
 * of all: EINVAL for a bad address or name, ENODEV for a device that does not
 * exist, otherwise what the kernel said. Returned strings are released with
 * free(). All may be called from any thread.
 */

/**
 * pci_bind - write a device to the bind attribute of a driver
 * @bdf: address
 * @driver: name of the driver
 *
 * Return: 0, or -1 with errno set (ENODEV also when the driver does not match,
 * ENOENT when it is not loaded).
 */
int pci_bind(const char *bdf, const char *driver);

/**
 * pci_unbind - take a device from its driver
 * @bdf: address
 *
 * Return: 0, or -1 with errno set (ENOENT when no driver is bound).
 */
int pci_unbind(const char *bdf);

/**
 * pci_driver_new_id - let a driver take every device with these ids
 * @driver: name of the driver
 * @vid: vendor id
 * @did: device id
 *
 * The driver at once takes *all* unbound devices of that kind.
 *
 * Return: 0, or -1 with errno set (EEXIST when the driver knew them).
 */
int pci_driver_new_id(const char *driver, uint16_t vid, uint16_t did);

/**
 * pci_driver_remove_id - undo pci_driver_new_id()
 * @driver: name of the driver
 * @vid: vendor id
 * @did: device id
 *
 * Return: 0, or -1 with errno set (ENODEV when the driver did not know them).
 */
int pci_driver_remove_id(const char *driver, uint16_t vid, uint16_t did);

/**
 * pci_device_info_get_ull - read a number from an attribute of a device
 * @bdf: address
 * @prop: name of the attribute, for example "class"
 * @v: the number
 *
 * Return: 0, or -1 with errno set: ENOENT when there is no such attribute,
 * EINVAL when it is not a number, ERANGE when it is negative or too large.
 */
int pci_device_info_get_ull(const char *bdf, const char *prop, unsigned long long *v);

/**
 * pci_get_driver - name of the bound driver
 * @bdf: address
 *
 * Return: the name, or NULL with errno set (ENOENT when no driver is bound).
 */
char *pci_get_driver(const char *bdf);

/**
 * pci_get_iommu_group - path of the VFIO group of a device
 * @bdf: address
 *
 * Return: "/dev/vfio/<n>", whether or not it exists yet, or NULL with errno
 * set (ENODEV when the device has no IOMMU group).
 */
char *pci_get_iommu_group(const char *bdf);

/**
 * pci_get_device_vfio_id - name of the VFIO character device of a device
 * @bdf: address
 *
 * Return: "vfio<n>", or NULL with errno set (ENOENT when there is none: not
 * bound to a VFIO driver, or a kernel before 6.6).
 */
char *pci_get_device_vfio_id(const char *bdf);

/**
 * pci_get_vf_bdf - address of a virtual function
 * @pf_bdf: address of the physical function
 * @vfnum: number of the virtual function, from 1
 *
 * Return: the address, or NULL with errno set (ENOENT when there is none).
 */
char *pci_get_vf_bdf(const char *pf_bdf, int vfnum);

/**
 * pci_is_vf - whether a device is a virtual function
 * @bdf: address
 *
 * Return: true when it is; false also for a bad address.
 */
bool pci_is_vf(const char *bdf);

/**
 * pci_is_pf - whether a device is a physical function with SR-IOV
 * @bdf: address
 *
 * Return: true when it is; false also for a bad address.
 */
bool pci_is_pf(const char *bdf);

/**
 * pci_is_sriov_supported - whether virtual functions can be made of a device
 * @bdf: address
 *
 * Return: true when the device allows at least one.
 */
bool pci_is_sriov_supported(const char *bdf);

/**
 * pci_vf_get_pf_bdf - address of the physical function of a virtual one
 * @bdf: address of the virtual function
 *
 * Return: the address, or NULL with errno set (ENOENT when @bdf is no virtual
 * function).
 */
char *pci_vf_get_pf_bdf(const char *bdf);

/**
 * pci_vf_get_vfnum - number of a virtual function within its physical one
 * @bdf: address of the virtual function
 *
 * Return: the number, from 1, or -1 with errno set.
 */
int pci_vf_get_vfnum(const char *bdf);

/**
 * vfn_pci_get_numvfs - how many virtual functions a physical one has now
 * @pf_bdf: address of the physical function
 *
 * Return: the number, or -1 with errno set: ENOTSUP (no physical function).
 */
int vfn_pci_get_numvfs(const char *pf_bdf);

/**
 * vfn_pci_set_numvfs - make, or remove, the virtual functions of a physical one
 * @pf_bdf: address of the physical function
 * @n: how many there shall be; 0 removes all
 *
 * The kernel gives new ones to drivers that match. From one number to another the way
 * leads over 0. Nothing is left behind where the kernel makes fewer.
 *
 * Return: 0, or -1 with errno set: ENOTSUP (no physical function, or its driver does
 * not do it), EINVAL (more than sriov_totalvfs), EBUSY (there are some, but not @n), EIO
 * (fewer were made), EACCES.
 */
int vfn_pci_set_numvfs(const char *pf_bdf, unsigned int n);

VFN_END_DECLS

#endif /* VFN_PCI_UTIL_H */
