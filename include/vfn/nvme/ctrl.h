/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Controllers: bring-up, queues, close. */
#ifndef VFN_NVME_CTRL_H
#define VFN_NVME_CTRL_H

#include <stdbool.h>
#include <stdint.h>

#include <vfn/iommu/dmabuf.h>
#include <vfn/nvme/queue.h>
#include <vfn/support/compiler.h>
#include <vfn/vfio/pci.h>

VFN_BEGIN_DECLS

struct vfn_nvme_cmb;

#define NVME_CTRL_MPS 0

/* Do not use shadow doorbells, although the controller has them. */
#define NVME_QUIRK_BROKEN_DBBUF (1 << 0)

/**
 * struct nvme_ctrl_opts - what to ask of the controller
 * @nsqr: I/O submission queues, zero-based
 * @ncqr: I/O completion queues, zero-based
 * @quirks: NVME_QUIRK_*
 */
struct nvme_ctrl_opts {
	int nsqr;
	int ncqr;
	unsigned int quirks;
};

static const struct nvme_ctrl_opts nvme_ctrl_opts_default __attribute__((unused)) = {
	63,
	63,
	0,
};

/**
 * enum nvme_ctrl_feature_flags - what was found out about the controller
 * @NVME_CTRL_F_ADMINISTRATIVE: it has no I/O queues
 * @NVME_CTRL_F_SGLS_SUPPORTED: I/O commands may use SGLs
 * @NVME_CTRL_F_SGLS_DWORD_ALIGNMENT: SGL data must be aligned to and a multiple of 4 bytes
 */
enum nvme_ctrl_feature_flags {
	NVME_CTRL_F_ADMINISTRATIVE = 1 << 0,
	NVME_CTRL_F_SGLS_SUPPORTED = 1 << 1,
	NVME_CTRL_F_SGLS_DWORD_ALIGNMENT = 1 << 2,
};

/**
 * struct nvme_ctrl - a controller
 * @pci: its device; must stay the first member
 * @regs: controller properties (BAR 0)
 * @sq: submission queues by identifier, opts.nsqr + 2 of them
 * @cq: completion queues by identifier, opts.ncqr + 2 of them
 * @adminq: the admin queues, entries 0 of @sq and @cq
 * @doorbells: doorbell registers
 * @dbbuf: shadow doorbells and event indexes, where the controller has them
 * @opts: what was asked for
 * @config: what there is. nsqa and ncqa: I/O queues granted, zero-based; mqes: most
 *	entries of an I/O queue, zero-based; mps: memory page size, 2^(12 + mps) bytes
 * @flags: of enum nvme_ctrl_feature_flags
 * @cmb: controller memory buffer, all zero unless nvme_configure_cmb() found one
 * @priv: the library's
 *
 * Zeroed by the caller before first use; pci.dev.ctx may be preset.
 *
 * Functions of this file are called by one thread at a time per controller;
 * different controllers are independent.
 */
struct nvme_ctrl {
	struct vfio_pci_device pci;
	void *regs;
	struct nvme_sq *sq;
	struct nvme_cq *cq;
	struct {
		struct nvme_sq *sq;
		struct nvme_cq *cq;
	} adminq;
	void *doorbells;
	struct {
		struct iommu_dmabuf doorbells;
		struct iommu_dmabuf eventidxs;
	} dbbuf;
	struct nvme_ctrl_opts opts;
	struct {
		int nsqa;
		int ncqa;
		int mqes;
		int mps;
	} config;
	unsigned long flags;
	struct {
		int bar;
		void *vaddr;
		iova_t iova;
		size_t size;
	} cmb;
	struct {
		uint64_t cap;
		size_t bar_len;
		int nsq, ncq;
		unsigned int timeout_ms;
		unsigned int shutdown_ms;
		struct iommu_dmabuf lost;
		struct vfn_nvme_cmb *cmb;
		int state;
		unsigned int acl;
		bool delivering;
		bool has_pmr;
		iova_t pmr_iova;
		bool retry_delays;
		uint16_t crdt[3];
		uint64_t strays;
		uint64_t stray_told;
	} priv;
};

/**
 * nvme_pci_init - open the controller's device, nothing more
 * @ctrl: controller, zeroed
 * @bdf: address, [DDDD:]BB:DD.F
 *
 * Part of nvme_ctrl_init(), which existing programs call on its own.
 *
 * Return: 0, or -1 with errno as vfio_pci_open(); ENODEV also for a device
 * that is not an NVMe controller.
 */
int nvme_pci_init(struct nvme_ctrl *ctrl, const char *bdf) __attribute__((deprecated));

/**
 * nvme_ctrl_init - open a controller, read its capabilities, leave it disabled or as it is
 * @ctrl: controller, zeroed, or initialised before with the same @bdf: then its
 *	queues are discarded, for which it is disabled, and the capabilities read again
 * @bdf: address, [DDDD:]BB:DD.F
 * @opts: what to ask for, NULL for defaults; copied
 *
 * Return: 0, or -1 with errno: as nvme_pci_init(), EINVAL (negative or too
 * large counts), ENOTSUP (capabilities that make no sense). Nothing is left
 * behind then.
 */
int nvme_ctrl_init(struct nvme_ctrl *ctrl, const char *bdf, const struct nvme_ctrl_opts *opts);

/**
 * nvme_init - bring a controller up, ready for I/O queues
 * @ctrl: controller, zeroed, or after nvme_pci_init()
 * @bdf: address, [DDDD:]BB:DD.F
 * @opts: what to ask for, NULL for nvme_ctrl_opts_default
 *
 * Opens, disables if need be, sets up admin queues, enables, asks for I/O
 * queues, identifies, sets up shadow doorbells where there are some (section
 * 3.5.1 of the Base Specification 2.0). Every wait is limited by what the
 * controller states (CAP.TO, CRTO).
 *
 * Return: 0, or -1 with errno: as nvme_ctrl_init(), EALREADY (it is up),
 * ETIMEDOUT, EIO (fatal status, or a command failed), ENODEV (gone). Nothing is
 * left behind then, and @ctrl is closed; pci.dev.ctx keeps a preset value.
 */
int nvme_init(struct nvme_ctrl *ctrl, const char *bdf, const struct nvme_ctrl_opts *opts);

/**
 * nvme_close - shut the controller down and release everything
 * @ctrl: controller in any state, zeroed included; zeroed
 *
 * Deletes I/O queues, notifies the controller of the shutdown, disables it,
 * and only then frees queue memory. A controller that does not answer costs a
 * bounded time.
 */
void nvme_close(struct nvme_ctrl *ctrl);

/**
 * vfn_nvme_set_timeout - limit how long the library waits for a command
 * @ctrl: controller; may be called before nvme_init()
 * @ms: milliseconds, 0 for the default of 60 s
 *
 * Holds for every call that takes no limit of its own (nvme_sync(),
 * nvme_rq_spin(), nvme_create_ioqpair(), ...).
 */
void vfn_nvme_set_timeout(struct nvme_ctrl *ctrl, unsigned int ms);

/**
 * nvme_get_ctrl - look a controller up by address
 * @bdf: address as in pci.bdf
 *
 * Thread-safe, as the next two.
 *
 * Return: a controller that was added, or NULL.
 */
struct nvme_ctrl *nvme_get_ctrl(const char *bdf);

/**
 * nvme_add_ctrl - let nvme_get_ctrl() find a controller
 * @ctrl: open controller; nvme_close() takes it out again
 *
 * Return: 0, or -1 with errno: EEXIST (one with that address is there), ENODEV
 * (closed), ENOMEM.
 */
int nvme_add_ctrl(struct nvme_ctrl *ctrl);

/**
 * nvme_del_ctrl - undo nvme_add_ctrl()
 * @ctrl: controller
 *
 * Return: 0, or -1 with errno ENODEV (not there).
 */
int nvme_del_ctrl(struct nvme_ctrl *ctrl);

/**
 * nvme_reset - disable the controller (CC.EN = 0) and wait until it is (CSTS.RDY = 0)
 * @ctrl: controller
 *
 * Afterwards the controller has no queues; the host side of queues stays.
 *
 * Return: 0, or -1 with errno: ETIMEDOUT, ENODEV (gone).
 */
int nvme_reset(struct nvme_ctrl *ctrl);

/**
 * nvme_enable - enable the controller (CC.EN = 1) and wait until it is ready
 * @ctrl: controller with admin queues configured
 *
 * Sleeps between looks at CSTS, for at most max(CAP.TO, CRTO).
 *
 * Return: 0, or -1 with errno: ETIMEDOUT, EIO (fatal status), ENODEV (gone).
 */
int nvme_enable(struct nvme_ctrl *ctrl);

/*
 * Host side of queues only: memory, doorbells, requests. The controller must
 * be told by a command (or, for admin queues, by nvme_enable()). Errors of all:
 * EINVAL (identifier or size out of range, doorbell outside BAR 0, memory too
 * small or misaligned), EEXIST (configured already), ENOMEM and those of
 * iommu_map_vaddr().
 */

/**
 * nvme_configure_cq - set a completion queue up
 * @ctrl: controller
 * @qid: identifier
 * @qsize: entries, 2 to config.mqes + 1
 * @vector: interrupt vector, -1 for none
 *
 * Return: 0, or -1 with errno.
 */
int nvme_configure_cq(struct nvme_ctrl *ctrl, int qid, int qsize, int vector);

/**
 * nvme_configure_cq_mem - the same, in memory of the caller's
 * @ctrl: controller
 * @qid: identifier
 * @qsize: entries
 * @vector: interrupt vector, -1 for none
 * @mem: memory, page-aligned, mapped, at least @qsize * 16 bytes; is zeroed. Stays
 *	the caller's, who frees it after the queue is gone. NULL allocates.
 *
 * Return: 0, or -1 with errno.
 */
int nvme_configure_cq_mem(struct nvme_ctrl *ctrl, int qid, int qsize, int vector,
			  struct iommu_dmabuf *mem);

/**
 * nvme_configure_sq - set a submission queue and its requests up
 * @ctrl: controller
 * @qid: identifier
 * @qsize: entries, 2 to config.mqes + 1
 * @cq: completion queue to use, configured
 * @flags: 0
 *
 * Return: 0, or -1 with errno.
 */
int nvme_configure_sq(struct nvme_ctrl *ctrl, int qid, int qsize, struct nvme_cq *cq,
		      unsigned long flags);

/**
 * nvme_configure_sq_mem - the same, in memory of the caller's
 * @ctrl: controller
 * @qid: identifier
 * @qsize: entries
 * @cq: completion queue to use, configured
 * @flags: 0
 * @mem: memory, page-aligned, mapped, at least @qsize * 64 bytes; NULL allocates
 *
 * Return: 0, or -1 with errno.
 */
int nvme_configure_sq_mem(struct nvme_ctrl *ctrl, int qid, int qsize, struct nvme_cq *cq,
			  unsigned long flags, struct iommu_dmabuf *mem);

/**
 * nvme_configure_adminq - set the admin queues up and tell the controller where they are
 * @ctrl: controller, disabled
 * @sq_flags: 0
 *
 * Return: 0, or -1 with errno.
 */
int nvme_configure_adminq(struct nvme_ctrl *ctrl, unsigned long sq_flags);

/**
 * nvme_configure_adminq_mem - the same, in memory of the caller's
 * @ctrl: controller, disabled
 * @sq_flags: 0
 * @cq_mem: memory of at least a page for completions, NULL allocates
 * @sq_mem: memory of at least a page for commands, NULL allocates
 *
 * Return: 0, or -1 with errno.
 */
int nvme_configure_adminq_mem(struct nvme_ctrl *ctrl, unsigned long sq_flags,
			      struct iommu_dmabuf *cq_mem, struct iommu_dmabuf *sq_mem);

/**
 * nvme_discard_cq - free the host side of a completion queue
 * @ctrl: controller, to which the queue means nothing any more
 * @cq: queue; zeroed. Nothing happens where it is not configured.
 */
void nvme_discard_cq(struct nvme_ctrl *ctrl, struct nvme_cq *cq);

/**
 * nvme_discard_sq - free the host side of a submission queue
 * @ctrl: controller, to which the queue means nothing any more
 * @sq: queue; zeroed. Nothing happens where it is not configured.
 */
void nvme_discard_sq(struct nvme_ctrl *ctrl, struct nvme_sq *sq);

/*
 * Both sides of I/O queues. Errors: as above, EIO (the controller refused;
 * vfn_last_error() has its status), ETIMEDOUT, ENODEV. A create that fails leaves
 * nothing behind, but for ETIMEDOUT and ENODEV: the controller may have the queue
 * then, which stays configured until a delete succeeds or the controller is closed. A
 * delete that fails leaves the queue as it was, since the controller may still
 * use its memory.
 */

/**
 * nvme_create_iocq - create an I/O completion queue (section 5.4)
 * @ctrl: controller, up
 * @qid: identifier, 1 to config.ncqa + 1
 * @qsize: entries, 2 to config.mqes + 1
 * @vector: interrupt vector, -1 for a polled queue
 *
 * Return: 0, or -1 with errno.
 */
int nvme_create_iocq(struct nvme_ctrl *ctrl, int qid, int qsize, int vector);

/**
 * nvme_delete_iocq - delete an I/O completion queue (section 5.6)
 * @ctrl: controller, up
 * @qid: identifier; no submission queue may use it any more
 *
 * Return: 0, or -1 with errno: ENOENT (there is none).
 */
int nvme_delete_iocq(struct nvme_ctrl *ctrl, int qid);

/**
 * nvme_create_iosq - create an I/O submission queue (section 5.5)
 * @ctrl: controller, up
 * @qid: identifier, 1 to config.nsqa + 1
 * @qsize: entries, 2 to config.mqes + 1; one less can be outstanding
 * @cq: completion queue
 * @flags: 0
 *
 * Return: 0, or -1 with errno.
 */
int nvme_create_iosq(struct nvme_ctrl *ctrl, int qid, int qsize, struct nvme_cq *cq,
		     unsigned long flags);

/**
 * nvme_delete_iosq - delete an I/O submission queue (section 5.7)
 * @ctrl: controller, up
 * @qid: identifier
 *
 * Commands outstanding on it are aborted by the controller.
 *
 * Return: 0, or -1 with errno: ENOENT (there is none).
 */
int nvme_delete_iosq(struct nvme_ctrl *ctrl, int qid);

/**
 * nvme_create_ioqpair - create a completion queue and a submission queue of the same identifier
 * @ctrl: controller, up
 * @qid: identifier
 * @qsize: entries of both; @qsize - 1 commands can be outstanding
 * @vector: interrupt vector, -1 for a polled queue
 * @flags: 0
 *
 * Return: 0, or -1 with errno.
 */
int nvme_create_ioqpair(struct nvme_ctrl *ctrl, int qid, int qsize, int vector,
			unsigned long flags);

/**
 * nvme_delete_ioqpair - delete both queues of a pair
 * @ctrl: controller, up
 * @qid: identifier
 *
 * Return: 0, or -1 with errno.
 */
int nvme_delete_ioqpair(struct nvme_ctrl *ctrl, int qid);

/**
 * nvme_configure_cmb - enable and map the controller memory buffer
 * @ctrl: open controller, enabled or not; ctrl->cmb is filled in
 *
 * Base Specification 2.0, section 8.5. ctrl->cmb.iova is the address of the buffer
 * for the controller's own commands. Where the kernel can map one device's memory
 * for another (VFN_NVME_CMB_PEERS), the other controllers of the address space reach it
 * there, too.
 *
 * The address is the bus address of the base address register, if that is free. A
 * controller of version 1.3 or before (CAP.CMBS is 0) takes no other, configured or not.
 * This takes that range from the address space, so it should come before much memory is
 * mapped.
 *
 * Resets of the controller keep the buffer; nvme_enable() enables it again after a
 * reset of the function. Contents may be lost. Nothing happens if it is configured.
 * <vfn/nvme/cmb.h> hands out pieces of it.
 *
 * Return: 0 (with ctrl->cmb.vaddr NULL where there is no buffer), or -1 with errno:
 * ENODEV (closed, or gone), ENOTSUP (its description makes no sense, or it cannot be
 * mapped), EIO (the controller refuses the address), EEXIST (version 1.3: the range is
 * in use), EINVAL (version 1.3: the range is beyond the IOMMU's), ENOMEM. The
 * buffer is disabled then.
 */
int nvme_configure_cmb(struct nvme_ctrl *ctrl);

/**
 * nvme_discard_cmb - disable and unmap the controller memory buffer
 * @ctrl: controller; its queues and commands do not use the buffer any more
 *
 * ctrl->cmb is zeroed, pieces that were handed out are gone. Nothing happens where
 * no buffer is configured. nvme_close() does this.
 */
void nvme_discard_cmb(struct nvme_ctrl *ctrl);

VFN_END_DECLS

#endif /* VFN_NVME_CTRL_H */
