/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Memory inside a controller that is addressed by commands: what may lie there, and pieces of it. */
#ifndef VFN_NVME_CMB_H
#define VFN_NVME_CMB_H

#include <stddef.h>

#include <vfn/iommu/dmabuf.h>
#include <vfn/nvme/ctrl.h>
#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS

/*
 * The controller memory buffer (Base Specification 2.0, section 8.5). It is
 * enabled by nvme_configure_cmb() of <vfn/nvme/ctrl.h>. Functions of this file are
 * called by one thread at a time per controller.
 */

/**
 * enum vfn_nvme_cmb_use - what may lie in the buffer (CMBSZ, section 3.1.3.12)
 * @VFN_NVME_CMB_SQ: submission queues
 * @VFN_NVME_CMB_CQ: completion queues
 * @VFN_NVME_CMB_LISTS: PRP lists and SGL segments
 * @VFN_NVME_CMB_READ: data that commands transfer to the host
 * @VFN_NVME_CMB_WRITE: data that commands transfer to the controller
 * @VFN_NVME_CMB_PEERS: data of other controllers in the same address space: the kernel
 *	maps the buffer for them
 */
enum vfn_nvme_cmb_use {
	VFN_NVME_CMB_SQ = 1 << 0,
	VFN_NVME_CMB_CQ = 1 << 1,
	VFN_NVME_CMB_LISTS = 1 << 2,
	VFN_NVME_CMB_READ = 1 << 3,
	VFN_NVME_CMB_WRITE = 1 << 4,
	VFN_NVME_CMB_PEERS = 1 << 5,
};

/**
 * vfn_nvme_cmb_check - whether the controller takes these things in its buffer
 * @ctrl: controller
 * @uses: of enum vfn_nvme_cmb_use, combined
 *
 * The functions that set queues up in the caller's memory, or describe data in
 * PRPs and SGLs, ask this by themselves.
 *
 * Return: 0, or -1 with errno ENOTSUP: there is no buffer, it is not configured,
 * or the controller does not take one of @uses there.
 */
int vfn_nvme_cmb_check(struct nvme_ctrl *ctrl, unsigned int uses);

/**
 * vfn_nvme_cmb_alloc - take a piece of the controller memory buffer
 * @ctrl: controller, its buffer configured
 * @mem: filled in; for nvme_configure_sq_mem(), for lists, or for data
 * @len: bytes, rounded up to the controller's pages
 *
 * The lowest place that is free. What it holds is not defined. It goes with
 * vfn_nvme_cmb_free() or nvme_discard_cmb(), and never with iommu_put_dmabuf().
 *
 * Return: 0, or -1 with errno: ENOTSUP (no buffer is configured), EINVAL (@len
 * is 0), ENOMEM (no free place is large enough).
 */
int vfn_nvme_cmb_alloc(struct nvme_ctrl *ctrl, struct iommu_dmabuf *mem, size_t len);

/**
 * vfn_nvme_cmb_free - give a piece of the controller memory buffer back
 * @ctrl: controller
 * @mem: what vfn_nvme_cmb_alloc() filled in; zeroed. Nothing happens where it was
 *	given back already.
 */
void vfn_nvme_cmb_free(struct nvme_ctrl *ctrl, struct iommu_dmabuf *mem);

VFN_END_DECLS

#endif /* VFN_NVME_CMB_H */
