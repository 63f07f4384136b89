/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Recovery: commands that take too long, controllers that fail. */
#ifndef VFN_NVME_RECOVER_H
#define VFN_NVME_RECOVER_H

#include <stdint.h>

#include <vfn/nvme/ctrl.h>
#include <vfn/nvme/queue.h>
#include <vfn/nvme/rq.h>
#include <vfn/nvme/types.h>
#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS

/**
 * enum vfn_nvme_state - what a controller is good for
 * @VFN_NVME_LIVE: everything; also before it is up, and when it is closed
 * @VFN_NVME_RESETTING: it is being reset
 * @VFN_NVME_FAILED: it could not be brought up again. There are no requests to acquire (errno
 *	ENODEV), so calls that send a command fail with ENODEV. What works: releasing requests,
 *	mapping, unmapping and freeing memory, registers, and nvme_close()
 * @VFN_NVME_GONE: as failed; its registers read as all ones, as after its removal
 */
enum vfn_nvme_state {
	VFN_NVME_LIVE = 0,
	VFN_NVME_RESETTING,
	VFN_NVME_FAILED,
	VFN_NVME_GONE,
};

/*
 * Status fields (bits 15 to 1 of sfp) of completions that the library makes, both of type
 * "path related" (Base Specification 2.0, section 4.3), as no device knows of them.
 */

/* The command was ended by a reset; it may be sent again. */
#define VFN_NVME_STATUS_ABORTED 0x371
/* The same, but its queue or controller is lost: it cannot be sent again there. */
#define VFN_NVME_STATUS_LOST 0x370

/**
 * struct vfn_nvme_recovery - what becomes of commands that end other than by a completion
 * @complete: is called once for each of them. @rq is the caller's, as after
 *	nvme_rq_from_cqe(), to be released. @cqe is the completion: the controller's, where it had
 *	posted one, or one with VFN_NVME_STATUS_ABORTED or VFN_NVME_STATUS_LOST. It may acquire
 *	and post, but not call this file's functions, delete queues or close. NULL releases
 * @opaque: comes with it
 * @flags: 0
 *
 * The controller does not use a command's memory any more when @complete is called for it.
 */
struct vfn_nvme_recovery {
	void (*complete)(struct nvme_rq *rq, struct nvme_cqe *cqe, void *opaque);
	void *opaque;
	unsigned int flags;
};

/**
 * vfn_nvme_get_state - what the controller is good for
 * @ctrl: controller
 *
 * Any thread at any time.
 *
 * Return: its state.
 */
enum vfn_nvme_state vfn_nvme_get_state(const struct nvme_ctrl *ctrl);

/**
 * vfn_nvme_rq_set_timeout - limit the time of one command
 * @rq: request whose command was posted
 * @ns: from now, in nanoseconds
 *
 * Holds for this command; others have the limit of vfn_nvme_set_timeout(). A command that
 * was posted without nvme_rq_post() is supervised from here on, too. Thread rule as for
 * queues.
 *
 * Return: 0, or -1 with errno EINVAL (@rq has no command that is out).
 */
int vfn_nvme_rq_set_timeout(struct nvme_rq *rq, uint64_t ns);

/**
 * vfn_nvme_sq_overdue - look at a queue's commands
 * @sq: queue
 *
 * For the thread that has this queue, where others have others: when it finds some, they
 * stop for vfn_nvme_check_timeouts(). Nothing is sent.
 *
 * Return: how many are past their limits.
 */
int vfn_nvme_sq_overdue(struct nvme_sq *sq);

/**
 * vfn_nvme_check_timeouts - look whether commands take too long, and do something about it
 * @ctrl: controller, up
 * @recovery: what becomes of commands, and what may be done
 *
 * Call it now and then, say ten times per second, after completions were taken: a command
 * whose time starts to run at the first look after it was posted is past its limit at the
 * first one after that. It looks at every request, and reads one register. In this order:
 *
 * 1. If the registers read as all ones, every command that is out ends with
 *    VFN_NVME_STATUS_LOST.
 * 2. If the status is fatal (CSTS.CFS), or the controller is not ready any more, it needs a reset.
 * 3. If there are completions that the caller has not taken, nothing of that queue counts as late.
 * 4. Commands past their limits are aborted, as many at a time as the controller takes (ACL),
 *    and have the same limit again.
 * 5. When that has not helped, the controller needs a reset.
 *
 * Supervised are commands of requests: of nvme_rq_post(), nvme_rq_exec() and
 * vfn_nvme_io_submit(), of calls that timed out, but not asynchronous event requests, nor
 * what was posted by nvme_sq_post() alone.
 *
 * No other thread uses the controller or its queues meanwhile.
 *
 * Return: how many commands were past their limits, usually 0; or -1 with errno: ENODEV (it is
 * not up, failed or gone; nothing is out any more), EIO (it has failed: reset it), ETIMEDOUT (it does
 * not do what it is told: reset it), EBUSY (called by @recovery->complete).
 */
int vfn_nvme_check_timeouts(struct nvme_ctrl *ctrl, const struct vfn_nvme_recovery *recovery);

VFN_END_DECLS

#endif /* VFN_NVME_RECOVER_H */
