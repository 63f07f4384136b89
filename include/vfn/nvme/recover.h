/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Recovery: commands that take too long, controllers that fail. */
#ifndef VFN_NVME_RECOVER_H
#define VFN_NVME_RECOVER_H

#include <stdbool.h>
#include <stddef.h>
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
 * @VFN_NVME_RESETTING: vfn_nvme_reset_ctrl() is at work
 * @VFN_NVME_FAILED: it could not be brought up again, or vfn_nvme_fail_ctrl() was called. There are no requests to acquire (errno
 *	ENODEV), so calls that send a command fail with ENODEV. What works: releasing requests,
 *	mapping, unmapping and freeing memory, registers, vfn_nvme_reset_ctrl() once more, and
 *	nvme_close()
 * @VFN_NVME_GONE: as failed; it does not answer any more, as after its removal
 */
enum vfn_nvme_state {
	VFN_NVME_LIVE = 0,
	VFN_NVME_RESETTING,
	VFN_NVME_FAILED,
	VFN_NVME_GONE,
};

/**
 * enum vfn_nvme_recovery_flags - what a check may do
 * @VFN_NVME_RECOVER_RESET: reset the controller when nothing less helps
 */
enum vfn_nvme_recovery_flags {
	VFN_NVME_RECOVER_RESET = 1 << 0,
};

/*
 * Status fields (bits 15 to 1 of sfp) of completions that the library makes, both of type
 * "path related" (Base Specification 2.0, section 4.3), as no device knows of them.
 */

/* The command was ended by a reset or the deletion of its queue; it may be sent again. */
#define VFN_NVME_STATUS_ABORTED 0x371
/* The same, but its queue or controller is lost: it cannot be sent again there. */
#define VFN_NVME_STATUS_LOST 0x370

/* How often a command that failed is sent again at most. */
#define VFN_NVME_RETRIES 5

/**
 * struct vfn_nvme_recovery - what becomes of commands that end other than by a completion
 * @complete: is called once for each of them. @rq is the caller's, as after
 *	nvme_rq_from_cqe(), to be released. @cqe is the completion: the controller's, where it had
 *	posted one, or one with VFN_NVME_STATUS_ABORTED or VFN_NVME_STATUS_LOST. It may acquire
 *	and post, but not call this file's functions, delete queues or close. NULL releases
 * @opaque: comes with it
 * @flags: of enum vfn_nvme_recovery_flags
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
 * 1. If the controller is gone, every command that is out ends with
 *    VFN_NVME_STATUS_LOST. It is when its registers read as all ones; where they say that it
 *    is not ready or has failed, configuration space is asked, too.
 * 2. If the status is fatal (CSTS.CFS), or the controller is not ready any more, it needs a reset.
 * 3. If there are completions that the caller has not taken, nothing of that queue counts as late.
 * 4. Commands past their limits are aborted, as many at a time as the controller takes (ACL),
 *    and have the same limit again.
 * 5. What an abort has not ended is ended by deleting the submission queue and creating
 *    it anew: all its commands end. Other queues go on.
 * 6. When that fails, or for admin commands, the controller needs a reset: the call does it,
 *    with VFN_NVME_RECOVER_RESET, or says so.
 *
 * Supervised are commands of requests: of nvme_rq_post(), nvme_rq_exec() and
 * vfn_nvme_io_submit(), of calls that timed out, but not asynchronous event requests, nor
 * what was posted by nvme_sq_post() alone.
 *
 * No other thread uses the controller or its queues meanwhile. Steps 5 and 6 wait for the
 * controller, no longer than 5 s for a command.
 *
 * Return: how many commands were past their limits, usually 0; or -1 with errno: ENODEV (it is
 * not up, failed or gone; nothing is out any more), EIO (it has failed: reset it), ETIMEDOUT (it does
 * not do what it is told: reset it), EBUSY (called by @recovery->complete), and with
 * VFN_NVME_RECOVER_RESET those of vfn_nvme_reset_ctrl().
 */
int vfn_nvme_check_timeouts(struct nvme_ctrl *ctrl, const struct vfn_nvme_recovery *recovery);

/**
 * vfn_nvme_reset_ctrl - end all commands, and bring the controller up again
 * @ctrl: controller, up or failed
 * @recovery: what becomes of commands
 *
 * Disables the controller; where it hangs, resets the function. Then every command of
 * nvme_rq_post(), nvme_rq_exec(), vfn_nvme_io_submit(), vfn_nvme_rq_set_timeout() or of a call
 * that timed out has ended, and so has what was completed and not taken. The
 * capabilities are read again, the admin queue is set up, the controller enabled, the number of
 * queues asked for, shadow doorbells and the memory buffer configured as they were, and
 * the queues of nvme_create_*() created in their memory, as far as the controller grants them. A queue that it
 * does not grant any more has no requests to acquire (errno ENODEV), and its commands end
 * with VFN_NVME_STATUS_LOST; it may be deleted, and a later reset tries again. Requests for
 * events of nvme_aer() are made again, with the same context. What programs have
 * configured themselves is not: features, queues that they created by commands, namespaces attached.
 *
 * The callback comes last, when the controller works, so that it may send commands again.
 * Identifiers, requests and queues stay valid. When it fails, the controller is disabled, or at least
 * cut off from memory, all commands end, those for events included, and the state is
 * VFN_NVME_FAILED or VFN_NVME_GONE.
 *
 * Every wait has a limit: what the controller states (CAP.TO, CRTO) for disabling and enabling,
 * and no more than 5 s for a command. No other thread uses the controller or its queues meanwhile.
 *
 * Return: how many submission queues were not granted, usually 0; or -1 with errno: as
 * nvme_init(), ENODEV also when it has failed again; EBUSY (called by @recovery->complete, or
 * the caller has all requests of the admin queue).
 */
int vfn_nvme_reset_ctrl(struct nvme_ctrl *ctrl, const struct vfn_nvme_recovery *recovery);

/**
 * vfn_nvme_fail_ctrl - end all commands, and leave the controller failed
 * @ctrl: controller, up or failed
 * @recovery: what becomes of commands
 *
 * For a controller that is not to be relied on, as after an error of the bus
 * (vfn_vfio_error_fd()), or that has to go while commands do not end (vfn_vfio_request_fd()). It is
 * as when vfn_nvme_reset_ctrl() fails: the controller is disabled, or at least cut off from memory;
 * then all commands end, those for events included, with the controller's completion or with
 * VFN_NVME_STATUS_LOST; the state is VFN_NVME_FAILED, or VFN_NVME_GONE. vfn_nvme_reset_ctrl() brings
 * it up again.
 *
 * Waits no longer than a reset. No other thread uses the controller or its queues meanwhile.
 *
 * Return: 0, or -1 with errno: ENODEV (it is not up), EBUSY (called by @recovery->complete).
 */
int vfn_nvme_fail_ctrl(struct nvme_ctrl *ctrl, const struct vfn_nvme_recovery *recovery);

/**
 * vfn_nvme_enable_retry_delays - let the controller say when to send a command again
 * @ctrl: controller, up
 *
 * Sets Advanced Command Retry Enable of the feature Host Behavior Support (Base Specification 2.0,
 * section 5.27.1.18), and nothing else of it: from then on, completions with an error may have a
 * Command Retry Delay. vfn_nvme_reset_ctrl() sets it again. Thread rule as for nvme_admin().
 *
 * Return: 0, or -1 with errno: ENOTSUP (the controller has no such delays), and those of nvme_admin().
 */
int vfn_nvme_enable_retry_delays(struct nvme_ctrl *ctrl);

/**
 * vfn_nvme_may_retry - whether a command is worth sending again, and when
 * @ctrl: controller
 * @cqe: its completion
 * @sent: how often it was sent so far, 1 after the first time
 * @delay_ns: receives how long the controller wants to be left alone with it before, in nanoseconds: 0 where it
 *	does not say, or was not asked by vfn_nvme_enable_retry_delays(); never more than 6553.5 s
 *
 * For loops of one's own: acquire and post anew once the delay has passed. Changes nothing. Thread-safe.
 *
 * Return: false if it has succeeded; if its status says Do Not Retry, or VFN_NVME_STATUS_LOST; or if it was sent
 * again VFN_NVME_RETRIES times already.
 */
bool vfn_nvme_may_retry(const struct nvme_ctrl *ctrl, const struct nvme_cqe *cqe, unsigned int sent,
			uint64_t *delay_ns);

/**
 * vfn_nvme_sync_retry - nvme_sync(), again and again where the status allows
 * @ctrl: controller
 * @sq: queue
 * @sqe: command; cid and data pointer are set
 * @buf: data, NULL for none
 * @len: bytes of data
 * @cqe_copy: receives the last completion, zeroes where there is none; or NULL
 *
 * As nvme_sync(), but what vfn_nvme_may_retry() is sent again, after the delay that the controller asks for.
 * Sleeps meanwhile. Delays that are more than the controller's time limit (vfn_nvme_set_timeout()) in all are not
 * waited for: then the error is what the last completion says. Thread rule as for nvme_sync().
 *
 * Return: 0, or -1 with errno as nvme_sync().
 */
int vfn_nvme_sync_retry(struct nvme_ctrl *ctrl, struct nvme_sq *sq, union nvme_cmd *sqe, void *buf,
			size_t len, struct nvme_cqe *cqe_copy);

VFN_END_DECLS

#endif /* VFN_NVME_RECOVER_H */
