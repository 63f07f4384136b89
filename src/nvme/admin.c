// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Synchronous commands, asynchronous event requests. */
#include <errno.h>
#include <string.h>

#include <vfn/support/align.h>
#include <vfn/support/log.h>
#include <vfn/support/mem.h>

#include "iommu/context.h"
#include "nvme/nvme.h"
#include "support/error.h"

int nvme_set_errno_from_cqe(struct nvme_cqe *cqe)
{
	unsigned int status = le16_to_cpu(cqe->sfp) >> 1;

	if (!status)
		return 0;

	return vfn_fail(EIO, "command %u failed with status 0x%x (type %u, code 0x%x%s): %s",
			cqe->cid, status, status >> 8 & 7, status & 0xff,
			status >> 14 & 1 ? ", do not retry" : "",
			vfn_nvme_status_text((uint16_t)status));
}

/* ---- completions that are waited for out of turn ---- */

/*
 * Entries from the head to the controller's tail are the host's, until the
 * controller is told otherwise. So completions of others simply stay there: the
 * one that is wanted is taken out, those before it move up by one, the head
 * advances. Their order is kept and nobody's poll has to know.
 */

struct position {
	int index;
	int phase;
};

static void next(const struct nvme_cq *cq, struct position *pos)
{
	if (++pos->index == cq->qsize) {
		pos->index = 0;
		pos->phase ^= 1;
	}
}

static struct nvme_cqe *entry(struct nvme_cq *cq, int index)
{
	return (struct nvme_cqe *)cq->mem.vaddr + index;
}

/* Put @cqe where an entry was taken, with the phase tag of that place. */
static void move_to(struct nvme_cq *cq, const struct position *pos, struct nvme_cqe cqe)
{
	uint16_t sfp = le16_to_cpu(cqe.sfp) & (uint16_t)~1;

	cqe.sfp = cpu_to_le16(sfp | (uint16_t)!pos->phase);
	*entry(cq, pos->index) = cqe;
}

/* Take the @n-th entry from the head, and tell the controller of the room. */
static void take_out(struct nvme_cq *cq, int n)
{
	struct nvme_cqe carried = *nvme_cq_head(cq);
	struct position pos = { cq->head, cq->phase };

	while (n--) {
		struct nvme_cqe next_carried;

		next(cq, &pos);
		next_carried = *entry(cq, pos.index);
		move_to(cq, &pos, carried);
		carried = next_carried;
	}

	(void)nvme_cq_get_cqe(cq);
	nvme_cq_update_head(cq);
}

/* Whose completion this is; a request of others stays as it is until they consume it. @rq NULL is nobody's. */
static enum nvme_verdict judge(struct nvme_ctrl *ctrl, void *rq, struct nvme_cqe *cqe)
{
	struct nvme_sq *sq = __vfn_nvme_sq_of(ctrl, cqe);
	struct nvme_rq *owner = sq ? __vfn_nvme_rq_at(sq, cqe) : NULL;

	if (!owner) {
		nvme_stray(ctrl, le16_to_cpu(cqe->sqid), cqe->cid);
		return NVME_NOBODYS;
	}

	if (owner == rq)
		return NVME_OURS;

	if (owner->state == VFN_NVME_RQ_ABANDONED) {
		(void)vfn_nvme_rq_late(owner);
		return NVME_NOBODYS;
	}

	return NVME_SOMEBODYS;
}

/*
 * The device may go on
 * posting what belongs to nobody; one round of the queue is enough for one look.
 */
bool nvme_take_cqe(struct nvme_cq *cq, nvme_judge_fn *judge_cqe, void *opaque, struct nvme_cqe *cqe)
{
	struct position pos = { cq->head, cq->phase };
	int saved = errno, others = 0;
	enum nvme_verdict verdict = NVME_NOBODYS;

	for (int seen = 0; seen < cq->qsize && verdict != NVME_OURS; seen++) {
		if (!__vfn_nvme_cqe_is_new(entry(cq, pos.index), pos.phase))
			break;

		*cqe = *entry(cq, pos.index);
		verdict = judge_cqe(cq->ctrl, opaque, cqe);

		if (verdict == NVME_SOMEBODYS)
			others++;
		else
			take_out(cq, others);

		next(cq, &pos);
	}

	/* the caller may be on its way out with an error */
	errno = saved;

	return verdict == NVME_OURS;
}

static bool take(struct nvme_cq *cq, struct nvme_rq *rq, struct nvme_cqe *cqe)
{
	return nvme_take_cqe(cq, judge, rq, cqe);
}

void nvme_drop_abandoned(struct nvme_cq *cq)
{
	struct nvme_cqe cqe;

	(void)take(cq, NULL, &cqe);
}

static int wait_for(struct nvme_cq *cq, struct nvme_rq *rq, struct nvme_cqe *cqe)
{
	struct nvme_wait wait;
	int over;

	nvme_wait_start(&wait, cq->ctrl, nvme_timeout_ns(cq->ctrl));

	do {
		over = nvme_wait_step(&wait);
		if (take(cq, rq, cqe)) {
			rq->state = VFN_NVME_RQ_TAKEN;
			return 0;
		}
	} while (!over);

	nvme_rq_set_late(rq);

	return -1;
}

/* ---- data ---- */

/* Whether all of the buffer is mapped, and will be for as long as the caller likes. */
static bool stays_mapped(struct iommu_ctx *ctx, const char *buf, size_t len)
{
	for (size_t run; len; buf += run, len -= run) {
		unsigned int bits = 0;
		iova_t iova;

		run = iommu_table_lookup(ctx, buf, len, &iova, &bits);
		if (!run || (bits & IOMMU_PAGE_EPHEMERAL))
			return false;
	}

	return true;
}

static int map_data(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd, void *buf,
		    size_t len)
{
	struct iommu_ctx *ctx = __iommu_ctx(ctrl);
	struct iovec piece = { .iov_base = buf, .iov_len = len };
	uintptr_t start = ALIGN_DOWN((uintptr_t)buf, __VFN_PAGESIZE);
	uintptr_t end = ALIGN_UP((uintptr_t)buf + len, __VFN_PAGESIZE);

	if (!len || end <= start)
		return vfn_fail(EINVAL, "%s: a buffer of %zu bytes at %p is empty or wraps",
				nvme_name(ctrl), len, buf);

	if (!stays_mapped(ctx, buf, len)) {
		if (iommu_pin(ctx, (void *)start, end - start))
			return -1;
		rq->extra->mapped = (void *)start;
		rq->extra->mapped_len = end - start;
	}

	return nvme_rq_mapv_prp(ctrl, rq, cmd, &piece, 1);
}

/* They would pass for that of the next command with this identifier. */
static void drop_second_completions(struct nvme_cq *cq, struct nvme_rq *rq)
{
	struct nvme_cqe cqe;

	for (int i = 0; i < cq->qsize && take(cq, rq, &cqe); i++)
		nvme_stray(cq->ctrl, (unsigned int)rq->sq->id, cqe.cid);
}

static int execute(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *sqe, void *buf,
		   size_t len, struct nvme_cqe *cqe_copy)
{
	struct nvme_cq *cq = rq->sq->cq;
	struct nvme_cqe cqe;

	if (buf && map_data(ctrl, rq, sqe, buf, len))
		return -1;

	drop_second_completions(cq, rq);
	nvme_rq_exec(rq, sqe);

	if (wait_for(cq, rq, &cqe))
		return -1;

	/* who has the request next may not look */
	drop_second_completions(cq, rq);

	if (cqe_copy)
		*cqe_copy = cqe;

	return nvme_set_errno_from_cqe(&cqe);
}

static struct nvme_rq *acquire(struct nvme_ctrl *ctrl, struct nvme_sq *sq)
{
	struct nvme_rq *rq = nvme_rq_acquire_atomic(sq);

	if (!rq && errno == EBUSY)
		(void)vfn_fail(EBUSY, "%s: all %d requests of queue %d are in use", nvme_name(ctrl),
			       sq->qsize - 1, sq->id);

	return rq;
}

int nvme_sync(struct nvme_ctrl *ctrl, struct nvme_sq *sq, union nvme_cmd *sqe, void *buf,
	      size_t len, struct nvme_cqe *cqe_copy)
{
	struct nvme_rq *rq;
	int ret, saved;

	if (!sq || !sq->qsize)
		return vfn_fail(ENODEV, "%s: there is no such queue", nvme_name(ctrl));
	if (iommu_check_process(__iommu_ctx(ctrl)))
		return -1;

	rq = acquire(ctrl, sq);
	if (!rq)
		return -1;

	ret = execute(ctrl, rq, sqe, buf, len, cqe_copy);
	saved = errno;

	/* what timed out keeps its mapping until it completes */
	if (rq->state == VFN_NVME_RQ_TAKEN)
		nvme_rq_unmap(rq);
	nvme_rq_release_atomic(rq);

	errno = saved;

	return ret;
}

int nvme_admin(struct nvme_ctrl *ctrl, union nvme_cmd *sqe, void *buf, size_t len,
	       struct nvme_cqe *cqe_copy)
{
	return nvme_sync(ctrl, ctrl->adminq.sq, sqe, buf, len, cqe_copy);
}

int nvme_admin_page(struct nvme_ctrl *ctrl, union nvme_cmd *cmd, struct iommu_dmabuf *buffer)
{
	if (ctrl->priv.lost.len)
		return vfn_fail(EBUSY, "%s: an earlier admin command has not completed: close it",
				nvme_name(ctrl));

	if (!buffer->len &&
	    iommu_get_dmabuf(__iommu_ctx(ctrl), buffer, IDENTIFY_SIZE, IOMMU_MAP_EPHEMERAL))
		return -1;

	cmd->dptr.prp1 = cpu_to_le64(buffer->iova);
	if (nvme_admin(ctrl, cmd, NULL, 0, NULL)) {
		int saved = errno;

		/* where it may still be written to, it stays until the controller is disabled */
		if (saved == EIO) {
			iommu_put_dmabuf(buffer);
		} else {
			ctrl->priv.lost = *buffer;
			memset(buffer, 0, sizeof(*buffer));
		}
		errno = saved;
		return -1;
	}

	return 0;
}

int nvme_fetch_identify(struct nvme_ctrl *ctrl, uint8_t cns, uint16_t cntid,
			struct iommu_dmabuf *buffer)
{
	union nvme_cmd cmd = {
		.identify = { .opcode = ADMIN_IDENTIFY, .cns = cns, .ctrlid = cpu_to_le16(cntid) }
	};

	return nvme_admin_page(ctrl, &cmd, buffer);
}

int nvme_aer(struct nvme_ctrl *ctrl, void *opaque)
{
	union nvme_cmd cmd = { .opcode = ADMIN_ASYNC_EVENT };
	struct nvme_sq *sq = ctrl->adminq.sq;
	struct nvme_rq *rq;

	if (!sq)
		return vfn_fail(ENODEV, "%s is not up: call nvme_init()", nvme_name(ctrl));

	rq = acquire(ctrl, sq);
	if (!rq)
		return -1;

	rq->opaque = opaque;
	cmd.cid = rq->cid | NVME_CID_AER;
	rq->state = VFN_NVME_RQ_EVENT;
	nvme_sq_exec(sq, &cmd);

	return 0;
}
