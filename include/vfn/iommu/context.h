/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Address spaces. */
#ifndef VFN_IOMMU_CONTEXT_H
#define VFN_IOMMU_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>

#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS

/*
 * An address space that one or more devices see. Opaque. A device holds a
 * reference from open to close; the address space and all its mappings go with
 * the last one.
 */
struct iommu_ctx;

/**
 * iommu_get_context - find or make an address space
 * @name: any name; devices opened without a preset address space use their
 *	address ("0000:01:00.0") as the name
 *
 * To let several devices share an address space, store it in pci.dev.ctx of
 * each before it is opened. Nothing can be mapped before the first device is
 * attached. It lives until its last device is closed; one that never gets a
 * device is released with vfn_iommu_put_context(). Thread-safe.
 *
 * Return: the address space, or NULL with errno (EINVAL, ENOMEM).
 */
struct iommu_ctx *iommu_get_context(const char *name);

/**
 * vfn_iommu_put_context - release an address space that never got a device
 * @ctx: address space; invalid afterwards if no device uses it, untouched otherwise
 *
 * Thread-safe.
 */
void vfn_iommu_put_context(struct iommu_ctx *ctx);

/**
 * iommu_ctx_is_iommufd - whether iommufd stands behind an address space
 * @ctx: address space
 *
 * Any thread, but not while another one opens its first device or closes its last.
 *
 * Return: true for iommufd, false for a VFIO container.
 */
bool iommu_ctx_is_iommufd(struct iommu_ctx *ctx);

/**
 * vfn_iommu_reason - why an address space has the back-end that it has
 * @ctx: address space
 *
 * Any thread, but not while another one opens its first device or closes its last.
 *
 * Return: "iommufd: " or "type1: " and what decided it, in words; "none: ..."
 * while no device is attached. Valid as long as the address space.
 */
const char *vfn_iommu_reason(struct iommu_ctx *ctx);

/*
 * The kernel's interfaces for address spaces. A device takes iommufd if it has
 * a character device of VFIO (Linux 6.6) and /dev/iommu opens, else its group
 * with a container (type1). Where the one fails the other is tried. With
 * VFN_IOMMU_FORCE_VFIO in the environment, other than empty or 0, only groups are
 * used. Devices that share an address space use the interface of its first one.
 */
enum vfn_iommu_backend {
	VFN_IOMMU_NONE,
	VFN_IOMMU_TYPE1,
	VFN_IOMMU_IOMMUFD,
};

/**
 * vfn_iommu_choose - what opening a device would use
 * @bdf: address of a PCI device
 * @why: receives the reason as of vfn_iommu_reason(), cut to fit; with
 *	VFN_IOMMU_NONE, what is missing
 * @len: room at @why
 *
 * Looks only, and opens nothing. Thread-safe.
 *
 * Return: one of enum vfn_iommu_backend, or -1 with errno: EINVAL (no
 * address), ENODEV (no such device).
 */
int vfn_iommu_choose(const char *bdf, char *why, size_t len);

VFN_END_DECLS

#endif /* VFN_IOMMU_CONTEXT_H */
