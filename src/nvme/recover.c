// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Recovery: commands that take too long, controllers that fail. Every command that is out ends once. */
#include <vfn/nvme/recover.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include <linux/pci_regs.h>

#include "nvme/nvme.h"
#include "os/os.h"
#include "support/error.h"
#include "vfio/device.h"

#define ABORTED VFN_NVME_STATUS_ABORTED
#define LOST VFN_NVME_STATUS_LOST

#define MS 1000000ULL
/* Commands that are part of a recovery do not get as long as those of users. */
#define STEP_MS 5000

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
	/* one that is not configured has no requests anyway */
	return sq->qsize && (has_failed(sq->cq->ctrl) || (sq->flags & VFN_NVME_Q_LOST));
}

/* Whether the device may have the command. */
static bool is_out(const struct nvme_rq *rq)
{
	return rq->state == VFN_NVME_RQ_POSTED || rq->state >= VFN_NVME_RQ_LATE;
}

/* Who polls it all the same has nothing to tell the controller, which does not know the queue. */
static void mute(struct nvme_cq *cq)
{
	cq->phead = cq->head;
}

/* No requests any more: what is free stays free, what the caller has does not come back. Nor is anything to be told. */
static void park(struct nvme_sq *sq)
{
	sq->rq_top = NULL;
	sq->ptail = sq->tail;
	for_each_rq(rq, sq)
		if (rq->state == VFN_NVME_RQ_TAKEN)
			rq->state = VFN_NVME_RQ_HELD;
}

static void unpark(struct nvme_sq *sq)
{
	sq->rq_top = NULL;
	for (int i = sq->qsize - 2; i >= 0; i--) {
		struct nvme_rq *rq = &sq->rqs[i];

		if (rq->state == VFN_NVME_RQ_HELD && !rq->extra->ended)
			rq->state = VFN_NVME_RQ_TAKEN;
		if (rq->state != VFN_NVME_RQ_FREE)
			continue;
		rq->rq_next = sq->rq_top;
		sq->rq_top = rq;
	}
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
	rq->extra->ended = true;
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
		rq->extra->ended = false;
		if (!nvme_is_parked(rq->sq))
			rq->state = VFN_NVME_RQ_TAKEN;

		if (recovery && recovery->complete)
			recovery->complete(rq, &cqe, recovery->opaque);
		else
			nvme_rq_release(rq);
	}

	ctrl->priv.delivering = false;
}

/* Requests for events are not lost with the controller's queues: they are made again. */
static void end_queue(struct nvme_sq *sq, struct ended *ended, bool events)
{
	for_each_rq(rq, sq)
		if (is_out(rq) && (events || rq->state != VFN_NVME_RQ_EVENT))
			end(ended, rq);
}

/* What has completed, and was not taken before its queue stopped. */
static void end_by(struct nvme_ctrl *ctrl, const struct nvme_cqe *cqe, struct ended *ended)
{
	struct nvme_sq *sq = __vfn_nvme_sq_of(ctrl, cqe);
	struct nvme_rq *rq = sq ? __vfn_nvme_rq_at(sq, cqe) : NULL;

	if (!rq || (rq->state != VFN_NVME_RQ_TAKEN && !is_out(rq)))
		return;

	end(ended, rq);
	rq->extra->cqe = *cqe;
	rq->extra->completed = true;
}

static void end_completed(struct nvme_cq *cq, struct ended *ended)
{
	struct nvme_cqe *cqe;

	for (int i = 0; i < cq->qsize && (cqe = nvme_cq_get_cqe(cq)); i++)
		end_by(cq->ctrl, cqe, ended);
}

/* The device does not use memory any more: everything that is out ends. */
static void end_all(struct nvme_ctrl *ctrl, struct ended *ended, bool events)
{
	for (int i = 0; i < ctrl->priv.ncq; i++)
		end_completed(&ctrl->cq[i], ended);
	for_each_sq(sq, ctrl)
		end_queue(sq, ended, events);
}

static void give_up(struct nvme_ctrl *ctrl, enum vfn_nvme_state state, struct ended *ended)
{
	/* it may be its registers only that are out of reach */
	if (state == VFN_NVME_GONE)
		(void)vfio_pci_clear_master(&ctrl->pci);

	end_all(ctrl, ended, true);
	set_state(ctrl, state);
	for (int i = 0; i < ctrl->priv.ncq; i++)
		mute(&ctrl->cq[i]);
	for_each_sq(sq, ctrl)
		park(sq);
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

	for_each_rq(rq, sq)
		n += look_at(rq, now, nvme_timeout_ns(sq->cq->ctrl));

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

	for_each_rq(rq, admin)
		n += rq->state == VFN_NVME_RQ_ABANDONED && rq->extra->tried == NVME_IS_ABORT;

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

	for_each_rq(rq, sq) {
		enum measure measure = is_overdue(rq, now) ? pursue(rq) : WAIT;

		if (measure > worst)
			worst = measure;
	}

	return worst;
}

/*
 * What became of a queue that was to be created again: 0, or 1 if the controller does
 * not take it, which is its right; -1 if it does not do anything any more.
 */
static int revived(int failed, uint32_t *flags)
{
	if (failed)
		return errno == EIO || errno == EINVAL ? 1 : -1;

	*flags &= ~(uint32_t)VFN_NVME_Q_LOST;
	*flags |= VFN_NVME_Q_CREATED;

	return 0;
}

static int revive_cq(struct nvme_ctrl *ctrl, struct nvme_cq *cq)
{
	cq->flags &= ~(uint32_t)VFN_NVME_Q_CREATED;
	cq->flags |= VFN_NVME_Q_LOST;
	mute(cq);

	if (cq->id > ctrl->config.ncqa + 1 || cq->qsize > ctrl->config.mqes + 1)
		return 1;

	return revived(nvme_renew_cq(cq) || nvme_tell_cq(cq), &cq->flags);
}

static int revive_sq(struct nvme_ctrl *ctrl, struct nvme_sq *sq)
{
	sq->flags &= ~(uint32_t)VFN_NVME_Q_CREATED;
	sq->flags |= VFN_NVME_Q_LOST;

	if (sq->id > ctrl->config.nsqa + 1 || sq->qsize > ctrl->config.mqes + 1 ||
	    (sq->cq->flags & VFN_NVME_Q_LOST))
		return 1;

	return revived(nvme_renew_sq(sq) || nvme_tell_sq(sq), &sq->flags);
}

/* Commands of a recovery have less time. */
static unsigned int shorten(struct nvme_ctrl *ctrl)
{
	unsigned int ms = ctrl->priv.timeout_ms;

	if (nvme_timeout_ns(ctrl) > STEP_MS * MS)
		ctrl->priv.timeout_ms = STEP_MS;

	return ms;
}

struct of_queue {
	const struct nvme_sq *sq;
	struct ended *ended;
};

static enum nvme_verdict end_of_queue(struct nvme_ctrl *ctrl, void *opaque, struct nvme_cqe *cqe)
{
	const struct of_queue *of = opaque;

	if (le16_to_cpu(cqe->sqid) != of->sq->id)
		return NVME_SOMEBODYS;

	end_by(ctrl, cqe, of->ended);

	return NVME_NOBODYS;
}

/* All that completes of a queue's commands has completed when its deletion has (section 5.7). */
static int delete_and_create(struct nvme_sq *sq, struct ended *ended)
{
	struct nvme_ctrl *ctrl = sq->cq->ctrl;
	unsigned int timeout_ms = shorten(ctrl);
	struct nvme_cqe cqe;
	int ret = -1;

	if ((sq->flags & VFN_NVME_Q_CREATED) && !nvme_untell_sq(sq)) {
		(void)nvme_take_cqe(sq->cq, end_of_queue,
				    &(struct of_queue){ .sq = sq, .ended = ended }, &cqe);
		end_queue(sq, ended, true);
		ret = revive_sq(ctrl, sq);
		if (ret)
			park(sq);
	}

	ctrl->priv.timeout_ms = timeout_ms;

	return ret;
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

	return nvme_check_open(ctrl);
}

/* -1 where it cannot be used; whatever is out ends then. */
static int end_lost(struct nvme_ctrl *ctrl, uint32_t csts, const struct vfn_nvme_recovery *recovery)
{
	struct ended ended = { .last = &ended.first };

	if (csts != UINT32_MAX && !has_failed(ctrl))
		return 0;

	give_up(ctrl, csts == UINT32_MAX ? VFN_NVME_GONE : VFN_NVME_FAILED, &ended);
	deliver(ctrl, &ended, recovery);

	return csts == UINT32_MAX ?
		       nvme_gone(ctrl) :
		       vfn_fail(ENODEV, "%s has failed: reset or close it", nvme_name(ctrl));
}

/*
 * Where ones are not what reads of a device that is gone give, configuration space tells. VFIO has
 * a copy of vendor and device, but asks for the class.
 */
static bool answers(struct nvme_ctrl *ctrl)
{
	leint32_t class = 0;

	return vfn_vfio_pci_pread(&ctrl->pci, &class, sizeof(class), PCI_CLASS_REVISION) !=
		       sizeof(class) ||
	       le32_to_cpu(class) != UINT32_MAX;
}

static bool is_healthy(uint32_t csts)
{
	return (csts & CSTS_RDY) && !(csts & CSTS_CFS);
}

/* All ones if it is gone. */
static uint32_t read_status(struct nvme_ctrl *ctrl)
{
	uint32_t csts = nvme_read32(ctrl, NVME_REG_CSTS);

	return is_healthy(csts) || answers(ctrl) ? csts : UINT32_MAX;
}

static int need_reset(struct nvme_ctrl *ctrl, const struct vfn_nvme_recovery *recovery, int err,
		      const char *why)
{
	if (recovery && (recovery->flags & VFN_NVME_RECOVER_RESET))
		return vfn_nvme_reset_ctrl(ctrl, recovery) < 0 ? -1 : 0;

	return vfn_fail(err, "%s %s: reset it", nvme_name(ctrl), why);
}

/* What may be done about a queue's commands, short of a reset; -1 if that does not help. */
static int attend_to(struct nvme_sq *sq, struct ended *ended)
{
	int n = vfn_nvme_sq_overdue(sq);

	/* somebody posts to what is lost all the same */
	if (sq->flags & VFN_NVME_Q_LOST) {
		end_queue(sq, ended, true);
		return 0;
	}

	/* where completions wait to be taken, the caller is late and not the device */
	if (!n || is_untaken(sq->cq))
		return 0;

	switch (pursue_queue(sq)) {
	case WAIT:
		return n;
	case DELETE_QUEUE:
		return delete_and_create(sq, ended) ? -1 : n;
	default:
		return -1;
	}
}

int vfn_nvme_check_timeouts(struct nvme_ctrl *ctrl, const struct vfn_nvme_recovery *recovery)
{
	struct ended ended = { .last = &ended.first };
	int found = 0, n = 0;
	uint32_t csts;

	if (not_up(ctrl))
		return -1;

	csts = read_status(ctrl);
	if (end_lost(ctrl, csts, recovery))
		return -1;
	if (!is_healthy(csts))
		return need_reset(ctrl, recovery, EIO, "has failed");

	nvme_drop_abandoned(ctrl->adminq.cq);

	for (int i = 0; i < ctrl->priv.nsq && n >= 0; i++) {
		n = ctrl->sq[i].qsize ? attend_to(&ctrl->sq[i], &ended) : 0;
		found += n;
	}

	deliver(ctrl, &ended, recovery);

	if (n < 0)
		return need_reset(ctrl, recovery, ETIMEDOUT, "does not end commands");

	return found;
}

/* ---- reset ---- */

/* See to it that the controller does not access memory any more. */
static int halt(struct nvme_ctrl *ctrl)
{
	int err;

	if (!nvme_reset(ctrl))
		return 0;
	if (errno == ENODEV)
		return -1;

	/* it hangs */
	err = errno;
	if (!vfio_reset(&ctrl->pci.dev) && !nvme_reset(ctrl))
		return 0;

	(void)vfio_pci_clear_master(&ctrl->pci);

	return vfn_fail(err, "%s does not stop: it is cut off from memory", nvme_name(ctrl));
}

/* What was made for the pages that it had must fit those that it has. */
static int read_capabilities_again(struct nvme_ctrl *ctrl)
{
	int mps = ctrl->config.mps;

	if (nvme_read_capabilities(ctrl))
		return -1;

	if ((unsigned int)mps < CAP_MPSMIN(ctrl->priv.cap) ||
	    (unsigned int)mps > CAP_MPSMAX(ctrl->priv.cap))
		return vfn_fail(ENOTSUP, "%s has no pages of %zu bytes any more", nvme_name(ctrl),
				__mps_to_pagesize(mps));

	ctrl->config.mps = mps;

	return 0;
}

#define OURS (VFN_NVME_Q_CREATED | VFN_NVME_Q_LOST)

/* Queues that the caller has created by commands of its own are its own to create again. */
static int revive_queues(struct nvme_ctrl *ctrl)
{
	int lost = 0;

	for (int i = 1; i < ctrl->priv.ncq; i++) {
		struct nvme_cq *cq = &ctrl->cq[i];
		int ret = cq->flags & OURS ? revive_cq(ctrl, cq) : cq->qsize && nvme_renew_cq(cq);

		if (ret < 0)
			return -1;
	}

	for (int i = 1; i < ctrl->priv.nsq; i++) {
		struct nvme_sq *sq = &ctrl->sq[i];
		int ret = sq->flags & OURS ? revive_sq(ctrl, sq) : sq->qsize && nvme_renew_sq(sq);

		if (ret < 0)
			return -1;
		lost += ret;
	}

	return lost;
}

static void ask_for_events_again(struct nvme_sq *admin)
{
	for_each_rq(rq, admin) {
		union nvme_cmd cmd = { .opcode = ADMIN_ASYNC_EVENT };

		if (rq->state != VFN_NVME_RQ_EVENT)
			continue;

		cmd.cid = rq->cid | NVME_CID_AER;
		nvme_sq_exec(admin, &cmd);
	}
}

/* As when it was brought up, with what there is. How many submission queues are lost, or -1. */
static int restart(struct nvme_ctrl *ctrl)
{
	int lost;

	/* the admin queue may lie in the controller's memory */
	if (read_capabilities_again(ctrl) || vfn_vfio_pci_set_master(&ctrl->pci) ||
	    nvme_enable_cmb(ctrl) || nvme_renew_cq(ctrl->adminq.cq) ||
	    nvme_renew_sq(ctrl->adminq.sq))
		return -1;

	nvme_tell_adminq(ctrl);
	if (nvme_enable(ctrl))
		return -1;

	if (!(ctrl->flags & NVME_CTRL_F_ADMINISTRATIVE) && nvme_request_queues(ctrl))
		return -1;
	if (ctrl->dbbuf.doorbells.len && nvme_setup_dbbuf(ctrl))
		return -1;
	if (ctrl->priv.retry_delays && vfn_nvme_enable_retry_delays(ctrl))
		return -1;

	lost = revive_queues(ctrl);
	if (lost >= 0)
		ask_for_events_again(ctrl->adminq.sq);

	return lost;
}

/*
 * Where all requests of the admin queue were out, and their owners are still to be told, the
 * commands that bring the controller up borrow one.
 */
static struct nvme_rq *lend(struct nvme_sq *admin, const struct ended *ended)
{
	struct nvme_rq *rq = admin->rq_top ? NULL : ended->first;

	while (rq && rq->sq != admin)
		rq = rq->extra->next;

	if (rq) {
		rq->state = VFN_NVME_RQ_FREE;
		rq->rq_next = NULL;
		admin->rq_top = rq;
	}

	return rq;
}

static int restart_briskly(struct nvme_ctrl *ctrl, const struct ended *ended)
{
	struct nvme_sq *admin = ctrl->adminq.sq;
	struct nvme_rq *lent = lend(admin, ended);
	void *opaque = lent ? lent->opaque : NULL;
	unsigned int timeout_ms = shorten(ctrl);
	int lost = restart(ctrl);

	ctrl->priv.timeout_ms = timeout_ms;
	if (lent) {
		admin->rq_top = NULL;
		lent->opaque = opaque;
		lent->state = VFN_NVME_RQ_HELD;
	}

	return lost;
}

static int reset(struct nvme_ctrl *ctrl, struct ended *ended)
{
	int lost;

	if (read_status(ctrl) == UINT32_MAX)
		return nvme_gone(ctrl);
	if (halt(ctrl))
		return -1;

	end_all(ctrl, ended, false);
	unpark(ctrl->adminq.sq);
	lost = restart_briskly(ctrl, ended);
	if (lost < 0)
		return -1;

	for_each_sq(sq, ctrl) {
		if (nvme_is_parked(sq))
			park(sq);
		else
			unpark(sq);
	}

	return lost;
}

/* Whatever state it is in: nothing is out any more, and nothing comes out of it. */
static void fail(struct nvme_ctrl *ctrl, struct ended *ended)
{
	(void)halt(ctrl);
	give_up(ctrl, read_status(ctrl) == UINT32_MAX ? VFN_NVME_GONE : VFN_NVME_FAILED, ended);
}

int vfn_nvme_reset_ctrl(struct nvme_ctrl *ctrl, const struct vfn_nvme_recovery *recovery)
{
	struct ended ended = { .last = &ended.first };
	char why[256] = "";
	int lost, err;

	if (not_up(ctrl))
		return -1;

	set_state(ctrl, VFN_NVME_RESETTING);
	lost = reset(ctrl, &ended);
	err = errno;

	if (lost >= 0) {
		set_state(ctrl, VFN_NVME_LIVE);
	} else {
		(void)snprintf(why, sizeof(why), "%s", vfn_last_error());
		fail(ctrl, &ended);
	}

	deliver(ctrl, &ended, recovery);

	return lost >= 0 ? lost : vfn_fail(err, "%s", why);
}

int vfn_nvme_fail_ctrl(struct nvme_ctrl *ctrl, const struct vfn_nvme_recovery *recovery)
{
	struct ended ended = { .last = &ended.first };

	if (not_up(ctrl))
		return -1;

	fail(ctrl, &ended);
	deliver(ctrl, &ended, recovery);

	return 0;
}
