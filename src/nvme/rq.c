// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Requests: making them, waiting for one, and those whose wait timed out. */
#include <errno.h>
#include <sys/mman.h>

#include <vfn/support/align.h>
#include <vfn/support/log.h>
#include <vfn/support/mem.h>

#include "iommu/context.h"
#include "nvme/nvme.h"
#include "os/os.h"
#include "support/error.h"

/*
 * Requests whose pages are mapped together: so that mappings are few, and whole pages of
 * the host, however large those are.
 */
#define PORTION 64

/* A request is a cache line and does not share it. */
__static_assert(sizeof(struct nvme_rq) == 64);

/* What few need of each lies behind them all. */
static size_t requests_len(const struct nvme_sq *sq)
{
	size_t each = sizeof(struct nvme_rq) + sizeof(struct vfn_nvme_rq_extra);

	return ALIGN_UP(((size_t)sq->qsize - 1) * each, __VFN_PAGESIZE);
}

int nvme_make_requests(struct nvme_ctrl *ctrl, struct nvme_sq *sq)
{
	size_t pagesize = __mps_to_pagesize(ctrl->config.mps), n = (size_t)sq->qsize - 1;
	struct vfn_nvme_rq_extra *extra;
	void *pages = NULL, *rqs = NULL;
	ssize_t len = -1;

	if (pgmap(&rqs, requests_len(sq)) > 0)
		len = pgmap(&pages, n * pagesize);

	/* as in iommu_get_dmabuf(): the device's pages stay where they are */
	if (len < 0 || os_madvise(pages, (size_t)len, MADV_DONTFORK) ||
	    iommu_defer_vaddr(__iommu_ctx(ctrl), pages, (size_t)len, PORTION * pagesize)) {
		int err = errno;

		if (pages)
			pgunmap(pages, (size_t)len);
		if (rqs)
			pgunmap(rqs, requests_len(sq));
		return vfn_fail(err, "%s: no memory for the %zu requests of queue %d",
				nvme_name(ctrl), n, sq->id);
	}

	sq->rqs = rqs;
	extra = (struct vfn_nvme_rq_extra *)&sq->rqs[n];
	sq->pages = (struct iommu_dmabuf){
		.ctx = __iommu_ctx(ctrl),
		.vaddr = pages,
		.len = len,
	};
	/* the stack hands out low identifiers first */
	while (n--) {
		sq->rqs[n] = (struct nvme_rq){
			.cid = (uint16_t)n,
			.state = VFN_NVME_RQ_FREE,
			.page.vaddr = (char *)pages + n * pagesize,
			.rq_next = sq->rq_top,
			.extra = &extra[n],
		};
		sq->rq_top = &sq->rqs[n];
	}

	return 0;
}

void nvme_free_requests(struct nvme_sq *sq)
{
	for_each_rq(rq, sq) {
		nvme_rq_unmap(rq);
		iommu_put_dmabuf(&rq->extra->lists);
	}

	if (!iommu_undefer_vaddr(sq->pages.ctx, sq->pages.vaddr))
		pgunmap(sq->pages.vaddr, (size_t)sq->pages.len);
	else
		log_error("%s: %zd bytes stay allocated", vfn_last_error(), sq->pages.len);

	pgunmap(sq->rqs, requests_len(sq));
}

int vfn_nvme_rq_ready(struct nvme_rq *rq)
{
	if (rq->page.iova)
		return 0;

	return iommu_map_vaddr(rq->sq->pages.ctx, rq->page.vaddr, 1, &rq->page.iova, 0);
}

void nvme_rq_unmap(struct nvme_rq *rq)
{
	struct vfn_nvme_rq_extra *extra = rq->extra;

	if (!extra->mapped)
		return;

	/* the queue's own memory may be a caller's, in whatever address space */
	iommu_unpin(rq->sq->pages.ctx, extra->mapped, extra->mapped_len);
	extra->mapped = NULL;
}

/* The command may still complete: until then its identifier and memory are the device's. */
void vfn_nvme_rq_abandon(struct nvme_rq *rq)
{
	switch (rq->state) {
	case VFN_NVME_RQ_LATE:
		rq->state = VFN_NVME_RQ_ABANDONED;
		break;
	case VFN_NVME_RQ_HELD:
		nvme_rq_reset(rq);
		rq->state = VFN_NVME_RQ_FREE;
		break;
	case VFN_NVME_RQ_WATCHED:
	case VFN_NVME_RQ_EVENT:
		/* the caller has taken the completion by itself */
		rq->state = VFN_NVME_RQ_TAKEN;
		nvme_rq_release(rq);
		break;
	}
}

void nvme_rq_set_late(struct nvme_rq *rq)
{
	/* a wait that is repeated does not prolong its time */
	if (rq->state <= VFN_NVME_RQ_POSTED)
		nvme_rq_watch(rq, nvme_timeout_ns(rq->sq->cq->ctrl));
	rq->state = VFN_NVME_RQ_LATE;
}

void nvme_rq_free(struct nvme_rq *rq)
{
	nvme_rq_unmap(rq);
	if (nvme_is_parked(rq->sq)) {
		rq->state = VFN_NVME_RQ_HELD;
		nvme_rq_release(rq);
	} else {
		rq->state = VFN_NVME_RQ_TAKEN;
		nvme_rq_release_atomic(rq);
	}
}

struct nvme_rq *vfn_nvme_rq_none(struct nvme_sq *sq)
{
	if (nvme_is_parked(sq))
		(void)vfn_fail(ENODEV, "queue %d of %s is lost: reset or close it", sq->id,
			       nvme_name(sq->cq->ctrl));
	else
		errno = EBUSY;

	return NULL;
}

void nvme_stray(struct nvme_ctrl *ctrl, unsigned int sqid, unsigned int cid)
{
	uint64_t n = __atomic_add_fetch(&ctrl->priv.strays, 1, __ATOMIC_RELAXED);
	uint64_t told = __atomic_load_n(&ctrl->priv.stray_told, __ATOMIC_RELAXED);
	uint64_t now = os_clock_ns();
	int saved = errno;

	if (told && now - told < NS_PER_SEC)
		return;

	__atomic_store_n(&ctrl->priv.stray_told, now, __ATOMIC_RELAXED);
	log_error(
		"%s: dropped a completion of command %u of queue %u, which is not out (%llu such so far)",
		nvme_name(ctrl), cid, sqid, (unsigned long long)n);
	errno = saved;
}

uint64_t vfn_nvme_strays(const struct nvme_ctrl *ctrl)
{
	return __atomic_load_n(&ctrl->priv.strays, __ATOMIC_RELAXED);
}

/* The command has completed after all, or once more. */
struct nvme_rq *vfn_nvme_rq_late(struct nvme_rq *rq)
{
	switch (rq->state) {
	case VFN_NVME_RQ_LATE:
	case VFN_NVME_RQ_WATCHED:
	case VFN_NVME_RQ_EVENT:
		rq->state = VFN_NVME_RQ_TAKEN;
		return rq;
	case VFN_NVME_RQ_ABANDONED:
		nvme_rq_free(rq);
		break;
	default:
		nvme_stray(rq->sq->cq->ctrl, (unsigned int)rq->sq->id, rq->cid);
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

	nvme_rq_set_late(rq);
	errno = reason;

	return -1;
}

int nvme_rq_spin(struct nvme_rq *rq, struct nvme_cqe *cqe_copy)
{
	return nvme_rq_wait(rq, cqe_copy, NULL);
}
