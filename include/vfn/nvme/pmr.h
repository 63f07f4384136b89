/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The persistent memory region: memory inside a controller that keeps its contents. */
#ifndef VFN_NVME_PMR_H
#define VFN_NVME_PMR_H

#include <stdbool.h>
#include <stddef.h>

#include <vfn/iommu/dma.h>
#include <vfn/nvme/ctrl.h>
#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS

/**
 * struct vfn_nvme_pmr - a mapped persistent memory region
 * @bar: base address register that it is
 * @vaddr: its memory; NULL means not mapped
 * @iova: address for commands
 * @size: bytes
 * @peers: whether other controllers of the address space reach it at @iova, too
 */
struct vfn_nvme_pmr {
	int bar;
	void *vaddr;
	iova_t iova;
	size_t size;
	bool peers;
};

/**
 * vfn_nvme_pmr_map - enable and map the persistent memory region
 * @ctrl: open controller, enabled or not
 * @pmr: filled in
 *
 * Base Specification 2.0, section 8.14. Waits until the region is ready, for at
 * most the time that PMRCAP.PMRTO states. Commands of the same controller may
 * use pmr->iova if it supports a controller memory space (PMRCAP.CMSS) or if
 * pmr->peers is true.
 *
 * What the CPU has written is persistent once a read of PMRSTS, or of the
 * region, has returned (PMRCAP.PMRWBM says which); vfn_nvme_pmr_unmap() does both. A reset of
 * the function disables the region, which raises SIGBUS or reads as ones then; nvme_enable(), and so
 * vfn_nvme_reset_ctrl(), enables it again at the same address.
 *
 * Thread rule: one thread at a time per controller.
 *
 * Return: 0, or -1 with errno: ENODEV (closed, or gone), ENOTSUP (it has no such region,
 * or describes one that makes no sense), ETIMEDOUT (not ready in time), EIO (it
 * reports an error, lost contents, or refuses the address), or as vfio_pci_map_bar() and
 * iommu_map_vaddr().
 */
int vfn_nvme_pmr_map(struct nvme_ctrl *ctrl, struct vfn_nvme_pmr *pmr);

/**
 * vfn_nvme_pmr_unmap - unmap and disable the persistent memory region
 * @ctrl: controller, still open; no command uses the region any more
 * @pmr: region; zeroed. Nothing happens where it is not mapped.
 *
 * Thread rule: one thread at a time per controller.
 */
void vfn_nvme_pmr_unmap(struct nvme_ctrl *ctrl, struct vfn_nvme_pmr *pmr);

VFN_END_DECLS

#endif /* VFN_NVME_PMR_H */
