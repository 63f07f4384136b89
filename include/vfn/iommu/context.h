/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Address spaces. */
#ifndef VFN_IOMMU_CONTEXT_H
#define VFN_IOMMU_CONTEXT_H

#include <stdbool.h>

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
 * Return: true for iommufd, false for a VFIO container.
 */
bool iommu_ctx_is_iommufd(struct iommu_ctx *ctx);

VFN_END_DECLS

#endif /* VFN_IOMMU_CONTEXT_H */
