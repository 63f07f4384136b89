/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Helpers: synchronous commands, status, PRP lists and SGLs in the caller's memory. */
#ifndef VFN_NVME_UTIL_H
#define VFN_NVME_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <vfn/nvme/ctrl.h>
#include <vfn/nvme/queue.h>
#include <vfn/nvme/rq.h>
#include <vfn/nvme/types.h>
#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS

/* A version as in the VS property. */
#define NVME_VERSION(major, minor, tertiary) \
	(((uint32_t)(major) << 16) | ((uint32_t)(minor) << 8) | (uint32_t)(tertiary))

/* The controller's memory page size: binary logarithm, and bytes. */
#define __mps_to_pageshift(mps) (12 + (mps))
#define __mps_to_pagesize(mps) ((size_t)1 << __mps_to_pageshift(mps))

/**
 * nvme_cqe_ok - whether a command succeeded
 * @cqe: completion
 *
 * Thread-safe.
 *
 * Return: whether its status is zero.
 */
VFN_INLINE bool nvme_cqe_ok(struct nvme_cqe *cqe)
{
	return !(le16_to_cpu(cqe->sfp) >> 1);
}

/**
 * nvme_set_errno_from_cqe - turn a status into an error
 * @cqe: completion
 *
 * Thread-safe.
 *
 * Return: 0 if the command succeeded, -1 with errno EIO otherwise.
 */
int nvme_set_errno_from_cqe(struct nvme_cqe *cqe);

/**
 * vfn_nvme_status_text - what a status means
 * @status: status of a completion without its phase tag, le16_to_cpu(cqe->sfp) >> 1; only
 *	its type and code count
 *
 * Names of the Base Specification 2.0 (section 3.3.3.2.1) and of the NVM, Zoned Namespace
 * and Key Value Command Sets. Thread-safe.
 *
 * Return: the name; "Vendor Specific" or "Reserved" for what has none. Never NULL; the
 * library's, for as long as it is loaded.
 */
const char *vfn_nvme_status_text(uint16_t status);

/**
 * vfn_nvme_status_errno - the error of the system that comes closest to a status
 * @status: status of a completion without its phase tag; only its type and code count
 *
 * For programs that pass errors on to others who know nothing of NVMe. The library's own calls
 * fail with EIO, whatever the status is, and keep the completion for whoever wants to know more.
 * Thread-safe.
 *
 * Return: 0 for success, or one of these:
 *
 * - EINVAL: a field, a descriptor or a size in the command, or blocks beyond the end;
 * - ENOTSUP: no such command; ENODEV: no such namespace;
 * - ENOSPC: no capacity, or the zone is full; EROFS: it may not be written;
 * - EACCES: denied, or locked down;
 * - EBUSY: not ready, reserved by another host, in formatting, or over a limit;
 * - EAGAIN: interrupted, or transient; ETIMEDOUT: the keep alive timer has expired;
 * - ECANCELED: aborted; EILSEQ: protection information that does not match;
 * - EIO: errors of the medium, and all that has no number here, reserved and vendor specific
 *   ones included.
 */
int vfn_nvme_status_errno(uint16_t status);

/**
 * vfn_nvme_strays - how many completions belonged to no command that was out
 * @ctrl: controller
 *
 * Of queues or identifiers that do not exist, or one more than there were commands: a sign that the controller, or
 * what posts commands besides the library, is wrong. Such completions are dropped, and told of in the log at most
 * once per second. Counted are those that the library's calls find; where nvme_rq_from_cqe() fails with errno EINVAL
 * the caller has found it. Not counted is what completes late, after its request was released.
 *
 * Thread-safe.
 *
 * Return: their number since nvme_init().
 */
uint64_t vfn_nvme_strays(const struct nvme_ctrl *ctrl);

/**
 * nvme_aer - ask for an asynchronous event (section 5.2)
 * @ctrl: controller, up
 * @opaque: context for the request that the event's completion leads to
 *
 * The completion arrives on the admin queue, with NVME_CID_AER in its cid;
 * nvme_rq_from_cqe() gives the request, to be released after use. Other
 * admin commands in the meantime do not lose it. One thread at a time per controller.
 *
 * Return: 0, or -1 with errno: EBUSY (no request is free).
 */
int nvme_aer(struct nvme_ctrl *ctrl, void *opaque);

/**
 * nvme_sync - execute a command and wait for it
 * @ctrl: controller
 * @sq: queue
 * @sqe: command; cid and data pointer are set
 * @buf: data, NULL for none. Mapped for the time of the command where it is not.
 * @len: bytes of data
 * @cqe_copy: receives the completion, or NULL
 *
 * Completions of other commands stay in the queue, in order. Called by one
 * thread at a time per completion queue.
 *
 * A buffer that is not mapped must be a multiple of 4 bytes from a page's
 * start; the controller can reach all of the pages it lies in meanwhile. After
 * a time-out the controller may still access the buffer, until the command
 * completes after all or the controller is closed: it must stay allocated. Memory
 * that this call has mapped stays mapped until then; keep other memory mapped.
 *
 * Return: 0, or -1 with errno: EIO (the command failed; @cqe_copy has the
 * status), ETIMEDOUT (see vfn_nvme_set_timeout()), ENODEV (the controller has
 * failed or is gone), EBUSY (no request is free), those of nvme_rq_map_prp()
 * and iommu_map_vaddr().
 */
int nvme_sync(struct nvme_ctrl *ctrl, struct nvme_sq *sq, union nvme_cmd *sqe, void *buf,
	      size_t len, struct nvme_cqe *cqe_copy);

/**
 * nvme_oneshot - another name of nvme_sync()
 * @ctrl: controller
 * @sq: queue
 * @sqe: command
 * @buf: data
 * @len: bytes of data
 * @cqe_copy: receives the completion, or NULL
 *
 * Thread rule as for that.
 *
 * Return: as nvme_sync().
 */
VFN_INLINE int nvme_oneshot(struct nvme_ctrl *ctrl, struct nvme_sq *sq, union nvme_cmd *sqe,
			    void *buf, size_t len, struct nvme_cqe *cqe_copy)
{
	return nvme_sync(ctrl, sq, sqe, buf, len, cqe_copy);
}

/**
 * nvme_admin - nvme_sync() on the admin queue
 * @ctrl: controller
 * @sqe: command
 * @buf: data
 * @len: bytes of data
 * @cqe_copy: receives the completion, or NULL
 *
 * One thread at a time per controller.
 *
 * Return: as nvme_sync().
 */
int nvme_admin(struct nvme_ctrl *ctrl, union nvme_cmd *sqe, void *buf, size_t len,
	       struct nvme_cqe *cqe_copy);

/**
 * nvme_crc64 - NVMe checksum (NVM Command Set Specification 1.0, section 5.2.1.3.4)
 * @crc: ~0 (the seed), or the inverted result for what comes before
 * @buffer: bytes
 * @len: how many
 *
 * Thread-safe.
 *
 * Return: the checksum.
 */
uint64_t nvme_crc64(uint64_t crc, const unsigned char *buffer, size_t len);

/*
 * PRP lists in memory of the caller's: @nprplists controller pages, contiguous
 * in both address spaces and mapped. Lists that need more than one page are
 * chained. They hold (nprplists - 1) * (n - 1) + n entries, n = page size / 8.
 * Errors as in <vfn/nvme/rq.h>. Thread-safe as far as arguments are not shared.
 */

/**
 * nvme_map_prp - describe contiguous I/O virtual memory by PRPs
 * @ctrl: controller
 * @prplists: list pages
 * @nprplists: how many
 * @cmd: command; its data pointer is set
 * @iova: start
 * @len: bytes
 *
 * Return: 0, or -1 with errno.
 */
int nvme_map_prp(struct nvme_ctrl *ctrl, leint64_t *prplists, int nprplists, union nvme_cmd *cmd,
		 iova_t iova, size_t len);

/**
 * nvme_mapv_prp - describe pieces of mapped memory by PRPs
 * @ctrl: controller
 * @prplists: list pages
 * @nprplists: how many
 * @cmd: command; its data pointer is set
 * @iov: pieces
 * @niov: how many
 *
 * Return: 0, or -1 with errno.
 */
int nvme_mapv_prp(struct nvme_ctrl *ctrl, leint64_t *prplists, int nprplists, union nvme_cmd *cmd,
		  struct iovec *iov, int niov);

/**
 * nvme_mapv_iova_prp - describe pieces of I/O virtual memory by PRPs
 * @ctrl: controller
 * @prplists: list pages
 * @nprplists: how many
 * @cmd: command; its data pointer is set
 * @iov: pieces
 * @niov: how many
 *
 * Return: 0, or -1 with errno.
 */
int nvme_mapv_iova_prp(struct nvme_ctrl *ctrl, leint64_t *prplists, int nprplists,
		       union nvme_cmd *cmd, struct iova_vec *iov, int niov);

/*
 * SGL segments in memory of the caller's: one controller page, or @npages of them,
 * contiguous in both address spaces, mapped and aligned to 8 bytes (EINVAL
 * otherwise). Segments that need more than one page are chained. They hold
 * (npages - 1) * (n - 1) + n descriptors, n = page size / 16. NULL has room for none,
 * which is enough for contiguous data. Errors as in <vfn/nvme/rq.h>. Thread-safe as far as arguments are not
 * shared.
 */

/**
 * nvme_mapv_sgl - describe pieces of mapped memory by an SGL
 * @ctrl: controller
 * @seglist: memory for the segment
 * @seglist_iova: I/O virtual address of it
 * @cmd: command; its data pointer is set
 * @iov: pieces
 * @niov: how many
 *
 * Return: 0, or -1 with errno.
 */
int nvme_mapv_sgl(struct nvme_ctrl *ctrl, struct nvme_sgld *seglist, iova_t seglist_iova,
		  union nvme_cmd *cmd, struct iovec *iov, int niov);

/**
 * nvme_mapv_iova_sgl - describe pieces of I/O virtual memory by an SGL
 * @ctrl: controller
 * @seglist: memory for the segment
 * @seglist_iova: I/O virtual address of it
 * @cmd: command; its data pointer is set
 * @iov: pieces
 * @niov: how many
 *
 * Return: 0, or -1 with errno.
 */
int nvme_mapv_iova_sgl(struct nvme_ctrl *ctrl, struct nvme_sgld *seglist, iova_t seglist_iova,
		       union nvme_cmd *cmd, struct iova_vec *iov, int niov);

/**
 * vfn_nvme_mapv_sgl - nvme_mapv_sgl() with more than one page
 * @ctrl: controller
 * @seglist: memory for the segments
 * @seglist_iova: I/O virtual address of it
 * @npages: controller pages of it
 * @cmd: command; its data pointer is set
 * @iov: pieces
 * @niov: how many
 *
 * Return: 0, or -1 with errno.
 */
int vfn_nvme_mapv_sgl(struct nvme_ctrl *ctrl, struct nvme_sgld *seglist, iova_t seglist_iova,
		      int npages, union nvme_cmd *cmd, struct iovec *iov, int niov);

/**
 * vfn_nvme_mapv_iova_sgl - nvme_mapv_iova_sgl() with more than one page
 * @ctrl: controller
 * @seglist: memory for the segments
 * @seglist_iova: I/O virtual address of it
 * @npages: controller pages of it
 * @cmd: command; its data pointer is set
 * @iov: pieces
 * @niov: how many
 *
 * Return: 0, or -1 with errno.
 */
int vfn_nvme_mapv_iova_sgl(struct nvme_ctrl *ctrl, struct nvme_sgld *seglist, iova_t seglist_iova,
			   int npages, union nvme_cmd *cmd, struct iova_vec *iov, int niov);

/*
 * Virtualization (section 8.26): a primary controller (the physical function) has
 * flexible resources, queues and interrupts, for secondary ones (virtual functions).
 * In order: take them from the primary controller and reset it, where it has them;
 * enable virtual functions (vfn_pci_set_numvfs()); for each assign resources and set
 * it online. Errors of all: those of nvme_sync(), EIO where the controller refuses;
 * EBUSY also after an Identify that timed out, until the controller is closed. Called
 * by one thread at a time per controller.
 */

/**
 * nvme_get_vf_cntlid - the secondary controller that a virtual function is
 * @ctrl: primary controller, up
 * @vfnum: number of the virtual function, from 1
 * @cntlid: its controller identifier
 *
 * Return: 0, or -1 with errno: ENOENT (none is), EINVAL.
 */
int nvme_get_vf_cntlid(struct nvme_ctrl *ctrl, int vfnum, uint16_t *cntlid);

/**
 * nvme_vm_assign_max_flexible - give a secondary controller all flexible resources that it may have
 * @ctrl: primary controller, up
 * @scid: identifier of the secondary controller, which is offline
 *
 * Fewer where not as many are free.
 *
 * Return: 0, or -1 with errno: ENOENT (no such secondary controller), ENOSPC (none
 * is free).
 */
int nvme_vm_assign_max_flexible(struct nvme_ctrl *ctrl, uint16_t scid);

/**
 * nvme_vm_set_online - let a secondary controller be used
 * @ctrl: primary controller, up
 * @scid: identifier of the secondary controller
 *
 * Return: 0, or -1 with errno.
 */
int nvme_vm_set_online(struct nvme_ctrl *ctrl, uint16_t scid);

/**
 * nvme_vm_set_offline - take a secondary controller from use
 * @ctrl: primary controller, up
 * @scid: identifier of the secondary controller
 *
 * Return: 0, or -1 with errno.
 */
int nvme_vm_set_offline(struct nvme_ctrl *ctrl, uint16_t scid);

/**
 * vfn_nvme_vm_set_primary_flexible - flexible resources that the primary controller has for itself
 * @ctrl: primary controller, up
 * @nvq: queues, besides its private ones
 * @nvi: interrupts, besides its private ones
 *
 * In force after the controller's next reset: close it and bring it up again.
 *
 * Return: 0, or -1 with errno.
 */
int vfn_nvme_vm_set_primary_flexible(struct nvme_ctrl *ctrl, uint16_t nvq, uint16_t nvi);

VFN_END_DECLS

#endif /* VFN_NVME_UTIL_H */
