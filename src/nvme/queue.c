// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Queues: their memory, their doorbells, and telling the controller of them. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <vfn/support/align.h>

#include "nvme/nvme.h"
#include "support/error.h"

/* What a submission and a poll touch lies in one cache line each. */
__static_assert(offsetof(struct nvme_sq, mem.vaddr) + sizeof(void *) <= 64);
__static_assert(offsetof(struct nvme_cq, mem.vaddr) + sizeof(void *) <= 64);

/* Submission queue @qid has doorbell 2 * qid, its completion queue the next one. */
static int find_doorbell(struct nvme_ctrl *ctrl, int index, void **doorbell)
{
	size_t stride = (size_t)4 << CAP_DSTRD(ctrl->priv.cap);
	size_t offset = NVME_REG_DOORBELLS + (size_t)index * stride;

	if (offset + sizeof(leint32_t) > ctrl->priv.bar_len)
		return vfn_fail(
			EINVAL,
			"%s: the doorbell of queue %d lies at 0x%zx, beyond the 0x%zx bytes of BAR 0",
			nvme_name(ctrl), index / 2, offset, ctrl->priv.bar_len);

	*doorbell = (char *)ctrl->regs + offset;

	return 0;
}

static int check_queue(struct nvme_ctrl *ctrl, int qid, int nqueues, int qsize)
{
	int max = qid == NVME_AQ ? ADMINQ_SIZE_MAX : ctrl->config.mqes + 1;

	if (!ctrl->regs)
		return vfn_fail(ENODEV, "the controller is closed");

	if (qid < 0 || qid >= nqueues)
		return vfn_fail(EINVAL, "%s: queue identifier %d is not within 0 to %d",
				nvme_name(ctrl), qid, nqueues - 1);

	if (qsize < 2 || qsize > max)
		return vfn_fail(EINVAL, "%s: queue size %d is not within 2 to %d", nvme_name(ctrl),
				qsize, max);

	return 0;
}

/* Allocate the entries, or take the caller's memory. */
static int get_memory(struct nvme_ctrl *ctrl, struct iommu_dmabuf *mem, size_t len,
		      const struct iommu_dmabuf *given, enum vfn_nvme_cmb_use use, uint32_t *flags)
{
	if (!given)
		return iommu_get_dmabuf(__iommu_ctx(ctrl), mem, len, 0);

	if (!given->vaddr || given->len < 0 || (size_t)given->len < len ||
	    !ALIGNED(given->iova, __mps_to_pagesize(ctrl->config.mps)))
		return vfn_fail(
			EINVAL,
			"%s: the queue needs %zu bytes of memory that start on a page, not %zd at 0x%llx",
			nvme_name(ctrl), len, given->len, (unsigned long long)given->iova);

	if (nvme_in_cmb(ctrl, given->iova) && vfn_nvme_cmb_check(ctrl, use))
		return -1;

	*mem = *given;
	*flags |= NVME_Q_MEM_PREALLOCATED;

	return 0;
}

static void put_memory(struct iommu_dmabuf *mem, uint32_t flags)
{
	if (!(flags & NVME_Q_MEM_PREALLOCATED))
		iommu_put_dmabuf(mem);
}

/* A device's memory need not take the kinds of store that memset() picks. */
static void clear(void *mem, size_t len)
{
	volatile uint64_t *words = mem;

	for (size_t i = 0; i < len / sizeof(*words); i++)
		words[i] = 0;
}

/* ---- host side ---- */

int nvme_configure_cq_mem(struct nvme_ctrl *ctrl, int qid, int qsize, int vector,
			  struct iommu_dmabuf *mem)
{
	struct nvme_cq cq = {
		.qsize = qsize,
		.id = qid,
		/* an interrupt may wait for the controller to hear of each */
		.slack = vector < 0 ? qsize / 4 : 0,
		.vector = vector,
		.entry_size = 1 << NVME_CQES,
		.ctrl = ctrl,
	};

	if (check_queue(ctrl, qid, ctrl->priv.ncq, qsize))
		return -1;
	if (ctrl->cq[qid].qsize)
		return vfn_fail(EEXIST, "%s: completion queue %d exists already", nvme_name(ctrl),
				qid);
	if (vector != -1 && (unsigned int)vector >= ctrl->pci.dev.irq_info.count)
		return vfn_fail(EINVAL, "%s: vector %d is not among the %u of the device, nor -1",
				nvme_name(ctrl), vector, ctrl->pci.dev.irq_info.count);

	if (find_doorbell(ctrl, 2 * qid + 1, &cq.doorbell) ||
	    get_memory(ctrl, &cq.mem, (size_t)qsize << NVME_CQES, mem, VFN_NVME_CMB_CQ, &cq.flags))
		return -1;

	/* stale phase tags would look like completions */
	if (mem)
		clear(cq.mem.vaddr, (size_t)qsize << NVME_CQES);

	nvme_attach_dbbuf(ctrl, 2 * qid + 1, &cq.dbbuf);
	ctrl->cq[qid] = cq;

	return 0;
}

int nvme_configure_cq(struct nvme_ctrl *ctrl, int qid, int qsize, int vector)
{
	return nvme_configure_cq_mem(ctrl, qid, qsize, vector, NULL);
}

int nvme_configure_sq_mem(struct nvme_ctrl *ctrl, int qid, int qsize, struct nvme_cq *cq,
			  unsigned long flags, struct iommu_dmabuf *mem)
{
	struct nvme_sq sq = {
		.cq = cq,
		.qsize = qsize,
		.id = qid,
		.rqs_len = ((size_t)qsize - 1) * sizeof(struct nvme_rq),
		.match = NVME_DW2_PHASE | (uint64_t)(unsigned int)qid << NVME_DW2_SQID_SHIFT,
		.entry_size = 1 << NVME_SQES,
	};

	if (check_queue(ctrl, qid, ctrl->priv.nsq, qsize))
		return -1;
	if (ctrl->sq[qid].qsize)
		return vfn_fail(EEXIST, "%s: submission queue %d exists already", nvme_name(ctrl),
				qid);
	if (!cq || !cq->qsize || flags)
		return vfn_fail(
			EINVAL,
			"%s: submission queue %d needs a configured completion queue, and no flags",
			nvme_name(ctrl), qid);

	if (find_doorbell(ctrl, 2 * qid, &sq.doorbell) ||
	    get_memory(ctrl, &sq.mem, (size_t)qsize << NVME_SQES, mem, VFN_NVME_CMB_SQ, &sq.flags))
		return -1;

	if (nvme_make_requests(ctrl, &sq)) {
		int saved = errno;

		put_memory(&sq.mem, sq.flags);
		errno = saved;
		return -1;
	}

	nvme_attach_dbbuf(ctrl, 2 * qid, &sq.dbbuf);
	ctrl->sq[qid] = sq;

	/* only now has the queue an address that lasts */
	for_each_rq(rq, &ctrl->sq[qid])
		rq->sq = &ctrl->sq[qid];

	return 0;
}

int nvme_configure_sq(struct nvme_ctrl *ctrl, int qid, int qsize, struct nvme_cq *cq,
		      unsigned long flags)
{
	return nvme_configure_sq_mem(ctrl, qid, qsize, cq, flags, NULL);
}

static int adminq_size(const struct iommu_dmabuf *mem, unsigned int shift, int *size)
{
	ssize_t entries;

	*size = ADMINQ_SIZE;
	if (!mem)
		return 0;

	entries = mem->len >> shift;
	if (entries < 2)
		return vfn_fail(EINVAL, "%zd bytes are too few for an admin queue", mem->len);

	*size = entries < ADMINQ_SIZE_MAX ? (int)entries : ADMINQ_SIZE_MAX;

	return 0;
}

int nvme_configure_adminq_mem(struct nvme_ctrl *ctrl, unsigned long sq_flags,
			      struct iommu_dmabuf *cq_mem, struct iommu_dmabuf *sq_mem)
{
	int cq_size, sq_size;

	if (adminq_size(cq_mem, NVME_CQES, &cq_size) || adminq_size(sq_mem, NVME_SQES, &sq_size))
		return -1;

	/* every command that is outstanding must find room for its completion */
	if (sq_size > cq_size)
		sq_size = cq_size;

	if (nvme_configure_cq_mem(ctrl, NVME_AQ, cq_size, ctrl->pci.dev.irq_info.count ? 0 : -1,
				  cq_mem))
		return -1;

	if (nvme_configure_sq_mem(ctrl, NVME_AQ, sq_size, &ctrl->cq[NVME_AQ], sq_flags, sq_mem)) {
		int saved = errno;

		nvme_discard_cq(ctrl, &ctrl->cq[NVME_AQ]);
		errno = saved;
		return -1;
	}

	ctrl->adminq.cq = &ctrl->cq[NVME_AQ];
	ctrl->adminq.sq = &ctrl->sq[NVME_AQ];

	nvme_tell_adminq(ctrl);

	return 0;
}

void nvme_tell_adminq(struct nvme_ctrl *ctrl)
{
	const struct nvme_sq *sq = ctrl->adminq.sq;
	const struct nvme_cq *cq = ctrl->adminq.cq;

	nvme_write32(ctrl, NVME_REG_AQA,
		     (uint32_t)(cq->qsize - 1) << 16 | (uint32_t)(sq->qsize - 1));
	mmio_lh_write64((char *)ctrl->regs + NVME_REG_ASQ, cpu_to_le64(sq->mem.iova));
	mmio_lh_write64((char *)ctrl->regs + NVME_REG_ACQ, cpu_to_le64(cq->mem.iova));
}

int nvme_configure_adminq(struct nvme_ctrl *ctrl, unsigned long sq_flags)
{
	return nvme_configure_adminq_mem(ctrl, sq_flags, NULL, NULL);
}

void nvme_discard_cq(struct nvme_ctrl *ctrl, struct nvme_cq *cq)
{
	(void)ctrl;

	if (!cq->qsize)
		return;

	put_memory(&cq->mem, cq->flags);
	memset(cq, 0, sizeof(*cq));
}

void nvme_discard_sq(struct nvme_ctrl *ctrl, struct nvme_sq *sq)
{
	(void)ctrl;

	if (!sq->qsize)
		return;

	nvme_free_requests(sq);
	put_memory(&sq->mem, sq->flags);
	memset(sq, 0, sizeof(*sq));
}

void nvme_discard_queues(struct nvme_ctrl *ctrl)
{
	for_each_sq(sq, ctrl)
		nvme_discard_sq(ctrl, sq);
	for (int i = 0; i < ctrl->priv.ncq; i++)
		nvme_discard_cq(ctrl, &ctrl->cq[i]);

	if (ctrl->sq)
		pgunmap(ctrl->sq, (size_t)ctrl->priv.nsq * sizeof(*ctrl->sq));
	if (ctrl->cq)
		pgunmap(ctrl->cq, (size_t)ctrl->priv.ncq * sizeof(*ctrl->cq));
	ctrl->sq = NULL;
	ctrl->cq = NULL;
	ctrl->priv.nsq = 0;
	ctrl->priv.ncq = 0;
	memset(&ctrl->adminq, 0, sizeof(ctrl->adminq));
}

int nvme_renew_cq(struct nvme_cq *cq)
{
	if (find_doorbell(cq->ctrl, 2 * cq->id + 1, &cq->doorbell))
		return -1;

	cq->head = 0;
	cq->phead = 0;
	cq->phase = 0;
	clear(cq->mem.vaddr, (size_t)cq->qsize << NVME_CQES);
	nvme_attach_dbbuf(cq->ctrl, 2 * cq->id + 1, &cq->dbbuf);

	return 0;
}

int nvme_renew_sq(struct nvme_sq *sq)
{
	if (find_doorbell(sq->cq->ctrl, 2 * sq->id, &sq->doorbell))
		return -1;

	sq->tail = 0;
	sq->ptail = 0;
	nvme_attach_dbbuf(sq->cq->ctrl, 2 * sq->id, &sq->dbbuf);

	return 0;
}

/* ---- both sides ---- */

static int check_io_queue(struct nvme_ctrl *ctrl, int qid, int granted)
{
	if (!ctrl->adminq.sq)
		return vfn_fail(ENODEV, "%s is not up: call nvme_init()", nvme_name(ctrl));

	if (qid < 1 || qid > granted + 1)
		return vfn_fail(EINVAL, "%s: I/O queue identifier %d is not within 1 to %d",
				nvme_name(ctrl), qid, granted + 1);

	return 0;
}

/*
 * Whether the controller may have the queue although its creation failed: then
 * the memory is not ours to free before the queue or the controller is.
 */
static bool may_exist(int err)
{
	return err == ETIMEDOUT || err == ENODEV;
}

int nvme_tell_cq(struct nvme_cq *cq)
{
	union nvme_cmd cmd;

	cmd.create_cq = (struct nvme_cmd_create_cq){
		.opcode = ADMIN_CREATE_CQ,
		.prp1 = cpu_to_le64(cq->mem.iova),
		.qid = cpu_to_le16((uint16_t)cq->id),
		.qsize = cpu_to_le16((uint16_t)(cq->qsize - 1)),
		.qflags = cpu_to_le16(cq->vector < 0 ? NVME_Q_PC : NVME_Q_PC | NVME_CQ_IEN),
		.iv = cpu_to_le16(cq->vector < 0 ? 0 : (uint16_t)cq->vector),
	};

	return nvme_admin(cq->ctrl, &cmd, NULL, 0, NULL);
}

int nvme_tell_sq(struct nvme_sq *sq)
{
	union nvme_cmd cmd;

	cmd.create_sq = (struct nvme_cmd_create_sq){
		.opcode = ADMIN_CREATE_SQ,
		.prp1 = cpu_to_le64(sq->mem.iova),
		.qid = cpu_to_le16((uint16_t)sq->id),
		.qsize = cpu_to_le16((uint16_t)(sq->qsize - 1)),
		.qflags = cpu_to_le16(NVME_Q_PC),
		.cqid = cpu_to_le16((uint16_t)sq->cq->id),
	};

	return nvme_admin(sq->cq->ctrl, &cmd, NULL, 0, NULL);
}

int nvme_create_iocq(struct nvme_ctrl *ctrl, int qid, int qsize, int vector)
{
	struct nvme_cq *cq;

	if (check_io_queue(ctrl, qid, ctrl->config.ncqa) ||
	    nvme_configure_cq(ctrl, qid, qsize, vector))
		return -1;

	cq = &ctrl->cq[qid];
	if (nvme_tell_cq(cq)) {
		int saved = errno;

		if (may_exist(saved))
			cq->flags |= VFN_NVME_Q_CREATED;
		else
			nvme_discard_cq(ctrl, cq);
		errno = saved;
		return -1;
	}

	cq->flags |= VFN_NVME_Q_CREATED;

	return 0;
}

int nvme_create_iosq(struct nvme_ctrl *ctrl, int qid, int qsize, struct nvme_cq *cq,
		     unsigned long flags)
{
	struct nvme_sq *sq;

	if (check_io_queue(ctrl, qid, ctrl->config.nsqa) ||
	    nvme_configure_sq(ctrl, qid, qsize, cq, flags))
		return -1;

	sq = &ctrl->sq[qid];
	if (nvme_tell_sq(sq)) {
		int saved = errno;

		if (may_exist(saved))
			sq->flags |= VFN_NVME_Q_CREATED;
		else
			nvme_discard_sq(ctrl, sq);
		errno = saved;
		return -1;
	}

	sq->flags |= VFN_NVME_Q_CREATED;

	return 0;
}

int nvme_create_ioqpair(struct nvme_ctrl *ctrl, int qid, int qsize, int vector, unsigned long flags)
{
	if (nvme_create_iocq(ctrl, qid, qsize, vector))
		return -1;

	if (nvme_create_iosq(ctrl, qid, qsize, &ctrl->cq[qid], flags)) {
		int saved = errno;

		if (!may_exist(saved))
			(void)nvme_delete_iocq(ctrl, qid);
		errno = saved;
		return -1;
	}

	return 0;
}

static int delete_queue(struct nvme_ctrl *ctrl, uint8_t opcode, int qid)
{
	union nvme_cmd cmd;

	cmd.delete_q = (struct nvme_cmd_delete_q){
		.opcode = opcode,
		.qid = cpu_to_le16((uint16_t)qid),
	};

	return nvme_admin(ctrl, &cmd, NULL, 0, NULL);
}

int nvme_untell_sq(struct nvme_sq *sq)
{
	return delete_queue(sq->cq->ctrl, ADMIN_DELETE_SQ, sq->id);
}

/* The controller lets go of the queue's memory before we do. */
int nvme_delete_iosq(struct nvme_ctrl *ctrl, int qid)
{
	if (qid < 1 || qid >= ctrl->priv.nsq || !ctrl->sq[qid].qsize)
		return vfn_fail(ENOENT, "%s: there is no I/O submission queue %d", nvme_name(ctrl),
				qid);

	if (!(ctrl->sq[qid].flags & VFN_NVME_Q_LOST) && nvme_untell_sq(&ctrl->sq[qid]))
		return -1;

	nvme_discard_sq(ctrl, &ctrl->sq[qid]);

	return 0;
}

int nvme_delete_iocq(struct nvme_ctrl *ctrl, int qid)
{
	if (qid < 1 || qid >= ctrl->priv.ncq || !ctrl->cq[qid].qsize)
		return vfn_fail(ENOENT, "%s: there is no I/O completion queue %d", nvme_name(ctrl),
				qid);

	if (!(ctrl->cq[qid].flags & VFN_NVME_Q_LOST) && delete_queue(ctrl, ADMIN_DELETE_CQ, qid))
		return -1;

	nvme_discard_cq(ctrl, &ctrl->cq[qid]);

	return 0;
}

int nvme_delete_ioqpair(struct nvme_ctrl *ctrl, int qid)
{
	bool half = qid >= 1 && qid < ctrl->priv.nsq && qid < ctrl->priv.ncq &&
		    !ctrl->sq[qid].qsize && ctrl->cq[qid].qsize;

	/* an earlier attempt may have got half-way */
	if (!half && nvme_delete_iosq(ctrl, qid))
		return -1;

	return nvme_delete_iocq(ctrl, qid);
}

/* ---- completions ---- */

int nvme_cq_wait_cqes(struct nvme_cq *cq, struct nvme_cqe *cqes, int n, struct timespec *ts)
{
	struct nvme_wait wait;
	int done = 0, over;

	if (n <= 0)
		return 0;

	nvme_wait_start(&wait, cq->ctrl, nvme_timespec_ns(ts, NVME_WAIT_FOREVER));

	do {
		struct nvme_cqe *cqe;

		over = nvme_wait_step(&wait);

		while (done < n && (cqe = nvme_cq_get_cqe(cq))) {
			if (cqes)
				cqes[done] = *cqe;
			done++;
		}

		/* the controller needs room for the rest */
		if (done < n && cq->head != cq->phead)
			nvme_cq_update_head(cq);
	} while (done < n && !over);

	return done;
}

void nvme_cq_get_cqes(struct nvme_cq *cq, struct nvme_cqe *cqes, int n)
{
	int done = nvme_cq_wait_cqes(cq, cqes, n, NULL);

	/* the controller is lost: what is missing must not look like success */
	if (cqes && done < n)
		memset(&cqes[done], 0xff, (size_t)(n - done) * sizeof(*cqes));
}
