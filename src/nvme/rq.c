// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Requests: waiting for one, and those whose wait timed out. */
#include <errno.h>

#include "iommu/context.h"
#include "nvme/nvme.h"
#include "support/error.h"

void nvme_rq_unmap(struct nvme_rq *rq)
{
	if (!rq->mapped)
		return;

	/* the queue's own memory may be a caller's, in whatever address space */
	iommu_unpin(rq->sq->pages.ctx, rq->mapped, rq->mapped_len);
	rq->mapped = NULL;
}

/* The command may still complete: until then its identifier and memory are the device's. */
void vfn_nvme_rq_abandon(struct nvme_rq *rq)
{
	if (rq->state == VFN_NVME_RQ_LATE)
		rq->state = VFN_NVME_RQ_ABANDONED;
}

/* The command has completed after all, or once more. */
struct nvme_rq *vfn_nvme_rq_late(struct nvme_rq *rq)
{
	if (rq->state == VFN_NVME_RQ_LATE) {
		rq->state = VFN_NVME_RQ_TAKEN;
		return rq;
	}

	if (rq->state == VFN_NVME_RQ_ABANDONED) {
		rq->state = VFN_NVME_RQ_TAKEN;
		nvme_rq_unmap(rq);
		nvme_rq_release_atomic(rq);
	}

	errno = ECANCELED;

	return NULL;
}

int nvme_rq_wait(struct nvme_rq *rq, struct nvme_cqe *cqe_copy, struct timespec *ts)
{
	struct nvme_cq *cq = rq->sq->cq;
	struct nvme_ctrl *ctrl = cq->ctrl;
	struct nvme_wait wait;
	int over, reason;

	nvme_wait_start(&wait, ctrl, nvme_timespec_ns(ts, nvme_timeout_ns(ctrl)));

	do {
		struct nvme_cqe *cqe, copy;
		struct nvme_rq *owner;

		over = nvme_wait_step(&wait);
		reason = errno;

		cqe = nvme_cq_get_cqe(cq);
		if (!cqe)
			continue;

		copy = *cqe;
		nvme_cq_update_head(cq);

		owner = nvme_rq_from_cqe(ctrl, &copy);
		if (!owner && errno == ECANCELED)
			continue;

		if (cqe_copy)
			*cqe_copy = copy;
		if (owner == rq)
			return nvme_set_errno_from_cqe(&copy);

		return vfn_fail(EAGAIN, "%s: the completion is that of command %u of queue %u",
				nvme_name(ctrl), copy.cid, le16_to_cpu(copy.sqid));
	} while (!over);

	rq->state = VFN_NVME_RQ_LATE;
	errno = reason;

	return -1;
}

int nvme_rq_spin(struct nvme_rq *rq, struct nvme_cqe *cqe_copy)
{
	return nvme_rq_wait(rq, cqe_copy, NULL);
}
