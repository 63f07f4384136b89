// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Recovery: commands that take too long, controllers that fail. Every command that is out ends once. */
#include <vfn/nvme/recover.h>

#include <errno.h>
#include <stdbool.h>

#include "nvme/nvme.h"
#include "os/os.h"
#include "support/error.h"

#define ABORTED VFN_NVME_STATUS_ABORTED
#define LOST VFN_NVME_STATUS_LOST

/* ---- states ---- */

enum vfn_nvme_state vfn_nvme_get_state(const struct nvme_ctrl *ctrl)
{
	return (enum vfn_nvme_state)__atomic_load_n(&ctrl->priv.state, __ATOMIC_ACQUIRE);
}

static void set_state(struct nvme_ctrl *ctrl, enum vfn_nvme_state state)
{
	atomic_store_release(&ctrl->priv.state, (int)state);
}

static bool has_failed(const struct nvme_ctrl *ctrl)
{
	return vfn_nvme_get_state(ctrl) >= VFN_NVME_FAILED;
}

bool nvme_is_parked(const struct nvme_sq *sq)
{
	return has_failed(sq->cq->ctrl);
}

/* Whether the device may have the command. */
static bool is_out(const struct nvme_rq *rq)
{
	return rq->state == VFN_NVME_RQ_POSTED || rq->state >= VFN_NVME_RQ_LATE;
}

/* No requests any more: what is free stays free, what the caller has does not come back. */
static void park(struct nvme_sq *sq)
{
	sq->rq_top = NULL;
	for (int i = 0; i < sq->qsize - 1; i++)
		if (sq->rqs[i].state == VFN_NVME_RQ_TAKEN)
			sq->rqs[i].state = VFN_NVME_RQ_HELD;
}

/* ---- the end of commands ---- */

/* Requests whose commands have ended, until their owners are told. */
struct ended {
	struct nvme_rq *first;
	struct nvme_rq **last;
};

static void end(struct ended *ended, struct nvme_rq *rq)
{
	if (rq->state == VFN_NVME_RQ_ABANDONED) {
		nvme_rq_free(rq);
		return;
	}

	rq->state = VFN_NVME_RQ_HELD;
	rq->extra->next = NULL;
	rq->extra->completed = false;
	*ended->last = rq;
	ended->last = &rq->extra->next;
}

/* The completion of a command that never gets one. */
static struct nvme_cqe make_cqe(const struct nvme_rq *rq)
{
	unsigned int status = nvme_is_parked(rq->sq) ? LOST : ABORTED;

	return (struct nvme_cqe){
		.sqid = cpu_to_le16((uint16_t)rq->sq->id),
		.cid = rq->cid,
		.sfp = cpu_to_le16((uint16_t)(status << 1)),
	};
}

/* Tell the owners. What they do may need everything else to be done. */
static void deliver(struct nvme_ctrl *ctrl, struct ended *ended,
		    const struct vfn_nvme_recovery *recovery)
{
	struct nvme_rq *rq, *next;

	ctrl->priv.delivering = true;

	for (rq = ended->first; rq; rq = next) {
		struct nvme_cqe cqe = rq->extra->completed ? rq->extra->cqe : make_cqe(rq);

		next = rq->extra->next;
		if (!nvme_is_parked(rq->sq))
			rq->state = VFN_NVME_RQ_TAKEN;

		if (recovery && recovery->complete)
			recovery->complete(rq, &cqe, recovery->opaque);
		else
			nvme_rq_release(rq);
	}

	ctrl->priv.delivering = false;
}

static void end_queue(struct nvme_sq *sq, struct ended *ended)
{
	for (int i = 0; i < sq->qsize - 1; i++)
		if (is_out(&sq->rqs[i]))
			end(ended, &sq->rqs[i]);
}

/* What has completed, and was not taken before the device stopped. */
static void end_completed(struct nvme_cq *cq, struct ended *ended)
{
	for (int i = 0; i < cq->qsize; i++) {
		struct nvme_cqe *cqe = nvme_cq_get_cqe(cq);
		struct nvme_sq *sq = cqe ? __vfn_nvme_sq_of(cq->ctrl, cqe) : NULL;
		struct nvme_rq *rq = sq ? __vfn_nvme_rq_at(sq, cqe) : NULL;

		if (!cqe)
			break;
		if (!rq || (rq->state != VFN_NVME_RQ_TAKEN && !is_out(rq)))
			continue;

		rq->extra->cqe = *cqe;
		end(ended, rq);
		rq->extra->completed = true;
	}
}

/* The device does not use memory any more: everything that is out ends. */
static void end_all(struct nvme_ctrl *ctrl, struct ended *ended)
{
	for (int i = 0; i < ctrl->priv.ncq; i++)
		end_completed(&ctrl->cq[i], ended);
	for (int i = 0; i < ctrl->priv.nsq; i++)
		end_queue(&ctrl->sq[i], ended);
}

static void give_up(struct nvme_ctrl *ctrl, enum vfn_nvme_state state, struct ended *ended)
{
	end_all(ctrl, ended);
	set_state(ctrl, state);
	for (int i = 0; i < ctrl->priv.nsq; i++)
		park(&ctrl->sq[i]);
}

/* ---- time limits ---- */

void nvme_rq_watch(struct nvme_rq *rq, uint64_t limit)
{
	struct vfn_nvme_rq_extra *extra = rq->extra;
	uint64_t now = os_clock_ns();

	extra->limit = limit;
	extra->deadline = limit < UINT64_MAX - now ? now + limit : UINT64_MAX;
	extra->tried = NVME_TRIED_NOTHING;
}

int vfn_nvme_rq_set_timeout(struct nvme_rq *rq, uint64_t ns)
{
	if (rq->state != VFN_NVME_RQ_TAKEN && rq->state != VFN_NVME_RQ_POSTED &&
	    rq->state != VFN_NVME_RQ_WATCHED)
		return vfn_fail(EINVAL, "request %u of queue %d has no command that is out",
				rq->cid, rq->sq->id);

	nvme_rq_watch(rq, ns);
	rq->state = VFN_NVME_RQ_WATCHED;

	return 0;
}

static bool is_overdue(const struct nvme_rq *rq, uint64_t now)
{
	/* nobody waits for it any more */
	if (rq->state == VFN_NVME_RQ_ABANDONED && rq->extra->tried == NVME_TRIED_NOTHING)
		return true;

	return rq->state >= VFN_NVME_RQ_LATE && rq->state <= VFN_NVME_RQ_WATCHED &&
	       now >= rq->extra->deadline;
}

static bool look_at(struct nvme_rq *rq, uint64_t now, uint64_t limit)
{
	if (rq->state == VFN_NVME_RQ_POSTED) {
		nvme_rq_watch(rq, limit);
		rq->state = VFN_NVME_RQ_WATCHED;
	}

	return is_overdue(rq, now);
}

int vfn_nvme_sq_overdue(struct nvme_sq *sq)
{
	uint64_t now = os_clock_ns();
	int n = 0;

	for (int i = 0; i < sq->qsize - 1; i++)
		n += look_at(&sq->rqs[i], now, nvme_timeout_ns(sq->cq->ctrl));

	return n;
}

/* ---- what is done about it ---- */

enum measure {
	WAIT,
	DELETE_QUEUE,
	RESET,
};

static unsigned int aborts_out(struct nvme_sq *admin)
{
	unsigned int n = 0;

	for (int i = 0; i < admin->qsize - 1; i++)
		n += admin->rqs[i].state == VFN_NVME_RQ_ABANDONED &&
		     admin->rqs[i].extra->tried == NVME_IS_ABORT;

	return n;
}

/*
 * Nobody waits for the Abort command itself: what it is for completes, or does not. Where
 * the admin queue has no room for it, that counts as one that has not helped.
 */
static void try_abort(struct nvme_rq *rq)
{
	struct nvme_ctrl *ctrl = rq->sq->cq->ctrl;
	struct nvme_sq *admin = ctrl->adminq.sq;
	union nvme_cmd cmd = { .opcode = ADMIN_ABORT };
	struct nvme_rq *abort;

	if (aborts_out(admin) > ctrl->priv.acl)
		return;

	nvme_rq_watch(rq, rq->extra->limit);
	rq->extra->tried = NVME_TRIED_ABORT;

	abort = nvme_rq_acquire(admin);
	if (!abort)
		return;

	cmd.cdw10 = cpu_to_le32((uint32_t)rq->cid << 16 | (uint32_t)rq->sq->id);
	nvme_rq_exec(abort, &cmd);

	nvme_rq_watch(abort, rq->extra->limit);
	abort->extra->tried = NVME_IS_ABORT;
	abort->state = VFN_NVME_RQ_ABANDONED;
}

static enum measure pursue(struct nvme_rq *rq)
{
	switch (rq->extra->tried) {
	case NVME_TRIED_NOTHING:
		try_abort(rq);
		return WAIT;
	case NVME_TRIED_ABORT:
		return rq->sq->id == NVME_AQ ? RESET : DELETE_QUEUE;
	default:
		return RESET;
	}
}

static enum measure pursue_queue(struct nvme_sq *sq)
{
	uint64_t now = os_clock_ns();
	enum measure worst = WAIT;

	for (int i = 0; i < sq->qsize - 1; i++) {
		struct nvme_rq *rq = &sq->rqs[i];
		enum measure measure = is_overdue(rq, now) ? pursue(rq) : WAIT;

		if (measure > worst)
			worst = measure;
	}

	return worst;
}

static bool is_untaken(struct nvme_cq *cq)
{
	return __vfn_nvme_cqe_is_new(nvme_cq_head(cq), cq->phase);
}

static int not_up(struct nvme_ctrl *ctrl)
{
	if (!ctrl->adminq.sq)
		return vfn_fail(ENODEV, "%s is not up: call nvme_init()", nvme_name(ctrl));
	if (ctrl->priv.delivering)
		return vfn_fail(EBUSY, "%s is being recovered", nvme_name(ctrl));

	return 0;
}

/* -1 where it cannot be used; whatever is out ends then. */
static int end_lost(struct nvme_ctrl *ctrl, uint32_t csts, const struct vfn_nvme_recovery *recovery)
{
	struct ended ended = { .last = &ended.first };

	if (csts != UINT32_MAX && !has_failed(ctrl))
		return 0;

	give_up(ctrl, csts == UINT32_MAX ? VFN_NVME_GONE : VFN_NVME_FAILED, &ended);
	deliver(ctrl, &ended, recovery);

	return csts == UINT32_MAX ? nvme_gone(ctrl) :
				    vfn_fail(ENODEV, "%s has failed: close it", nvme_name(ctrl));
}

int vfn_nvme_check_timeouts(struct nvme_ctrl *ctrl, const struct vfn_nvme_recovery *recovery)
{
	int found = 0;
	uint32_t csts;

	if (not_up(ctrl))
		return -1;

	csts = nvme_read32(ctrl, NVME_REG_CSTS);
	if (end_lost(ctrl, csts, recovery))
		return -1;
	if ((csts & CSTS_CFS) || !(csts & CSTS_RDY))
		return vfn_fail(EIO, "%s has failed (CSTS 0x%x): reset it", nvme_name(ctrl), csts);

	nvme_drop_abandoned(ctrl->adminq.cq);

	for (int i = 0; i < ctrl->priv.nsq; i++) {
		struct nvme_sq *sq = &ctrl->sq[i];
		int n = sq->qsize ? vfn_nvme_sq_overdue(sq) : 0;

		if (!n || is_untaken(sq->cq))
			continue;

		found += n;
		if (pursue_queue(sq) != WAIT)
			return vfn_fail(ETIMEDOUT, "%s: commands of queue %d do not end: reset it",
					nvme_name(ctrl), i);
	}

	return found;
}
