/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Requests (level two): command identifiers, each with a context and a page for its PRPs or SGL. */
#ifndef VFN_NVME_RQ_H
#define VFN_NVME_RQ_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <time.h>

#include <vfn/nvme/ctrl.h>
#include <vfn/nvme/queue.h>
#include <vfn/nvme/types.h>
#include <vfn/support/atomic.h>
#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS

/* Set in the identifiers of asynchronous event requests. */
#define NVME_CID_AER (1 << 15)

/**
 * enum vfn_nvme_rq_state - who has a request
 * @VFN_NVME_RQ_TAKEN: the caller
 * @VFN_NVME_RQ_POSTED: the device, by nvme_rq_post() or vfn_nvme_io_submit()
 * @VFN_NVME_RQ_FREE: nobody
 * @VFN_NVME_RQ_HELD: the caller; its controller or queue is lost, it does not come back
 * @VFN_NVME_RQ_LATE: the caller, whose wait timed out: the command may still complete
 * @VFN_NVME_RQ_ABANDONED: the device; the caller has released it after a wait that
 *	timed out. It is free again when the command completes or its queue is deleted.
 * @VFN_NVME_RQ_WATCHED: the device; its time is running, see vfn_nvme_check_timeouts()
 * @VFN_NVME_RQ_EVENT: the device, until there is an event; by nvme_aer()
 *
 * The inline functions take care of the first two, and leave the others to functions out of line.
 */
enum vfn_nvme_rq_state {
	VFN_NVME_RQ_TAKEN = 0,
	VFN_NVME_RQ_POSTED,
	VFN_NVME_RQ_FREE,
	VFN_NVME_RQ_HELD,
	VFN_NVME_RQ_LATE,
	VFN_NVME_RQ_ABANDONED,
	VFN_NVME_RQ_WATCHED,
	VFN_NVME_RQ_EVENT,
};

/**
 * struct nvme_rq - a command slot
 * @opaque: the caller's context
 * @sq: queue it belongs to
 * @cid: command identifier, its index in sq->rqs
 * @state: of enum vfn_nvme_rq_state; private
 * @page: room of a controller page for a PRP list or an SGL segment. It is mapped when it
 *	is needed, as most commands take no list: until then @page.iova is 0, see
 *	vfn_nvme_rq_ready(). Longer lists go on in pages that the library adds.
 * @rq_next: next free one
 * @extra: what few requests need; private
 * @rsvd: makes it a cache line; private
 */
struct nvme_rq {
	void *opaque;
	struct nvme_sq *sq;
	uint16_t cid;
	uint8_t state;
	struct {
		void *vaddr;
		iova_t iova;
	} page;
	struct nvme_rq *rq_next;
	struct vfn_nvme_rq_extra *extra;
	uint64_t rsvd;
};

/*
 * Thread rule as for queues: one thread per queue at a time. The atomic
 * variants may be called by any number of threads, as long as all of them use
 * these variants for that queue.
 */

/**
 * vfn_nvme_rq_late - what __nvme_rq_from_cqe() does for a request that is not simply taken
 * @rq: request of the completion
 *
 * Only for that function, which is inline.
 *
 * Return: as __nvme_rq_from_cqe().
 */
struct nvme_rq *vfn_nvme_rq_late(struct nvme_rq *rq);

/**
 * vfn_nvme_rq_abandon - what nvme_rq_release() does for a request that is not simply taken
 * @rq: request
 *
 * Only for that function, which is inline.
 */
void vfn_nvme_rq_abandon(struct nvme_rq *rq);

/**
 * vfn_nvme_rq_none - what nvme_rq_acquire() does where there is no request
 * @sq: queue
 *
 * Only for that function, which is inline.
 *
 * Return: as nvme_rq_acquire().
 */
struct nvme_rq *vfn_nvme_rq_none(struct nvme_sq *sq);

/**
 * vfn_nvme_rq_ready - see to it that a request's page is mapped
 * @rq: request of nvme_rq_acquire()
 *
 * For programs that use rq->page.iova themselves. The functions that describe data do it
 * where a command needs a list; so does whatever takes the address rq->page.vaddr, such as
 * iommu_translate_vaddr(), iommu_map_vaddr(), nvme_mapv_prp(). Pages of up to 64 requests
 * are mapped by one system call, and stay mapped until the queue is deleted. It does nothing
 * where the page is mapped.
 *
 * Return: 0, or -1 with errno as iommu_map_vaddr(); a later call may do better.
 */
int vfn_nvme_rq_ready(struct nvme_rq *rq);

/**
 * nvme_rq_reset - forget the caller's context
 * @rq: request
 */
VFN_INLINE void nvme_rq_reset(struct nvme_rq *rq)
{
	rq->opaque = NULL;
}

/**
 * nvme_rq_release - give a request back
 * @rq: request of nvme_rq_acquire(), whose command has completed or was never
 *	posted. After a wait that timed out it may be released, too: its
 *	identifier is then not used again before the command has completed.
 *	A second release does nothing.
 */
VFN_INLINE void nvme_rq_release(struct nvme_rq *rq)
{
	struct nvme_sq *sq = rq->sq;

	if (unlikely(rq->state > VFN_NVME_RQ_POSTED)) {
		vfn_nvme_rq_abandon(rq);
		return;
	}

	nvme_rq_reset(rq);
	rq->state = VFN_NVME_RQ_FREE;

	rq->rq_next = sq->rq_top;
	sq->rq_top = rq;
}

/**
 * nvme_rq_acquire - take a free request
 * @sq: queue
 *
 * Its page is not mapped before it is needed, see vfn_nvme_rq_ready().
 *
 * Return: a request for nvme_rq_release(), or NULL with errno EBUSY (all qsize - 1
 * are in use) or ENODEV (the controller has failed, see vfn_nvme_get_state()).
 */
VFN_INLINE struct nvme_rq *nvme_rq_acquire(struct nvme_sq *sq)
{
	struct nvme_rq *rq = sq->rq_top;

	if (unlikely(!rq)) {
		(void)vfn_nvme_rq_none(sq);
		return NULL;
	}

	sq->rq_top = rq->rq_next;
	rq->state = VFN_NVME_RQ_TAKEN;
	/* vfn_nvme_io_poll() leaves it */
	nvme_rq_reset(rq);

	return rq;
}

VFN_INLINE void __vfn_rq_lock(struct nvme_sq *sq)
{
	while (__atomic_exchange_n(&sq->rq_lock, 1, __ATOMIC_ACQUIRE))
		while (__atomic_load_n(&sq->rq_lock, __ATOMIC_RELAXED))
			barrier();
}

VFN_INLINE void __vfn_rq_unlock(struct nvme_sq *sq)
{
	atomic_store_release(&sq->rq_lock, 0);
}

/**
 * nvme_rq_release_atomic - nvme_rq_release() for queues shared by threads
 * @rq: request
 */
VFN_INLINE void nvme_rq_release_atomic(struct nvme_rq *rq)
{
	struct nvme_sq *sq = rq->sq;

	__vfn_rq_lock(sq);
	nvme_rq_release(rq);
	__vfn_rq_unlock(sq);
}

/**
 * nvme_rq_acquire_atomic - nvme_rq_acquire() for queues shared by threads
 * @sq: queue
 *
 * Return: as nvme_rq_acquire().
 */
VFN_INLINE struct nvme_rq *nvme_rq_acquire_atomic(struct nvme_sq *sq)
{
	struct nvme_rq *rq;

	__vfn_rq_lock(sq);
	rq = nvme_rq_acquire(sq);
	__vfn_rq_unlock(sq);

	return rq;
}

/* The request with the completion's identifier, whoever has it. */
VFN_INLINE struct nvme_rq *__vfn_nvme_rq_at(struct nvme_sq *sq, const struct nvme_cqe *cqe)
{
	size_t offset = cqe->cid * sizeof(struct nvme_rq);

	/* a queue that is not configured has none */
	if (unlikely(offset >= sq->rqs_len)) {
		/* the admin queue's identifiers leave room for the mark */
		if (sq->id == NVME_AQ)
			offset &= ~(NVME_CID_AER * sizeof(struct nvme_rq));
		if (offset >= sq->rqs_len) {
			errno = EINVAL;
			return NULL;
		}
	}

	return (struct nvme_rq *)(void *)((char *)sq->rqs + offset);
}

/**
 * __nvme_rq_from_cqe - the request that a completion of a known queue belongs to
 * @sq: queue
 * @cqe: completion
 *
 * A completion for a request that was released after a time-out makes that
 * request free again, and belongs to nobody; nor does a second one for a
 * request that is free.
 *
 * Return: the request, or NULL with errno EINVAL (no such identifier) or
 * ECANCELED (nobody waits for it).
 */
VFN_INLINE struct nvme_rq *__nvme_rq_from_cqe(struct nvme_sq *sq, struct nvme_cqe *cqe)
{
	struct nvme_rq *rq = __vfn_nvme_rq_at(sq, cqe);

	if (unlikely(!rq || rq->state > VFN_NVME_RQ_POSTED))
		return rq ? vfn_nvme_rq_late(rq) : NULL;

	rq->state = VFN_NVME_RQ_TAKEN;

	return rq;
}

/* The queue with the completion's identifier. One that is not configured has no requests. */
VFN_INLINE struct nvme_sq *__vfn_nvme_sq_of(struct nvme_ctrl *ctrl, const struct nvme_cqe *cqe)
{
	uint16_t sqid = le16_to_cpu(cqe->sqid);

	if (unlikely(sqid >= ctrl->priv.nsq)) {
		errno = EINVAL;
		return NULL;
	}

	return &ctrl->sq[sqid];
}

/**
 * nvme_rq_from_cqe - the request that a completion belongs to
 * @ctrl: controller
 * @cqe: completion of any of its queues
 *
 * Return: as __nvme_rq_from_cqe(); EINVAL also for an unknown queue.
 */
VFN_INLINE struct nvme_rq *nvme_rq_from_cqe(struct nvme_ctrl *ctrl, struct nvme_cqe *cqe)
{
	struct nvme_sq *sq = __vfn_nvme_sq_of(ctrl, cqe);

	return likely(sq) ? __nvme_rq_from_cqe(sq, cqe) : NULL;
}

/**
 * nvme_rq_prep_cmd - make a command belong to a request
 * @rq: request
 * @cmd: command; its cid is set
 */
VFN_INLINE void nvme_rq_prep_cmd(struct nvme_rq *rq, union nvme_cmd *cmd)
{
	cmd->cid = rq->cid;
}

/**
 * nvme_rq_post - put a command into the request's queue
 * @rq: request
 * @cmd: command; its cid is set
 */
VFN_INLINE void nvme_rq_post(struct nvme_rq *rq, union nvme_cmd *cmd)
{
	nvme_rq_prep_cmd(rq, cmd);
	rq->state = VFN_NVME_RQ_POSTED;
	nvme_sq_post(rq->sq, cmd);
}

/**
 * nvme_rq_exec - nvme_rq_post() and tell the controller
 * @rq: request
 * @cmd: command; its cid is set
 */
VFN_INLINE void nvme_rq_exec(struct nvme_rq *rq, union nvme_cmd *cmd)
{
	nvme_rq_post(rq, cmd);
	nvme_sq_update_tail(rq->sq);
}

/*
 * Data pointers. The memory must stay mapped until the command has completed.
 * They replace what the command has, and PSDT with it: PRPs, or an SGL with a
 * contiguous metadata buffer. The request's page is mapped when a list first needs
 * it, which takes a system call. What does not fit there goes on in further pages,
 * which the request keeps. Errors of all: EINVAL (no pieces; a length that is 0 or
 * wraps; more than 256 pages of lists), EFAULT (some of the data is not mapped),
 * ENOMEM and others of iommu_map_vaddr() where there is no page. On an error the data
 * pointer is zero, an address that is never mapped, and PSDT says PRPs.
 *
 * EINVAL from PRPs also: a start that is not a multiple of 4; a piece that does
 * not start, or an inner one that does not end, on a controller page, so that
 * PRPs cannot express it.
 *
 * SGLs take pieces of any size anywhere. EINVAL from them also: an address or a
 * length that is not a multiple of 4, where NVME_CTRL_F_SGLS_DWORD_ALIGNMENT
 * says so. Contiguous data is described in the command itself. Otherwise each page
 * has a segment of page size / 16 descriptors, the last of which leads to the next;
 * pieces that follow each other in I/O virtual memory share a descriptor, one that
 * lies in several mappings may take several. Whether the controller takes SGLs is not checked, so that any
 * command can be made: see NVME_CTRL_F_SGLS_SUPPORTED. Admin commands have PRPs.
 */

/**
 * nvme_rq_map_prp - describe contiguous I/O virtual memory by PRPs
 * @ctrl: controller
 * @rq: request, whose page takes the list if one is needed
 * @cmd: command; its data pointer is set
 * @iova: start
 * @len: bytes
 *
 * Return: 0, or -1 with errno.
 */
int nvme_rq_map_prp(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd, iova_t iova,
		    size_t len);

/**
 * nvme_rq_mapv_prp - describe pieces of mapped memory by PRPs
 * @ctrl: controller
 * @rq: request
 * @cmd: command; its data pointer is set
 * @iov: pieces
 * @niov: how many
 *
 * Return: 0, or -1 with errno.
 */
int nvme_rq_mapv_prp(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd,
		     struct iovec *iov, int niov);

/**
 * nvme_rq_mapv_iova_prp - describe pieces of I/O virtual memory by PRPs
 * @ctrl: controller
 * @rq: request
 * @cmd: command; its data pointer is set
 * @iov: pieces
 * @niov: how many
 *
 * Return: 0, or -1 with errno.
 */
int nvme_rq_mapv_iova_prp(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd,
			  struct iova_vec *iov, int niov);

/**
 * nvme_rq_mapv_sgl - describe pieces of mapped memory by an SGL
 * @ctrl: controller
 * @rq: request, whose pages take the segments if any are needed
 * @cmd: command; its data pointer is set
 * @iov: pieces
 * @niov: how many
 *
 * Return: 0, or -1 with errno.
 */
int nvme_rq_mapv_sgl(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd,
		     struct iovec *iov, int niov);

/**
 * nvme_rq_mapv_iova_sgl - describe pieces of I/O virtual memory by an SGL
 * @ctrl: controller
 * @rq: request
 * @cmd: command; its data pointer is set
 * @iov: pieces
 * @niov: how many
 *
 * Return: 0, or -1 with errno.
 */
int nvme_rq_mapv_iova_sgl(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd,
			  struct iova_vec *iov, int niov);

/**
 * nvme_rq_mapv - describe pieces of mapped memory in the way that suits the controller
 * @ctrl: controller
 * @rq: request
 * @cmd: command; its data pointer is set
 * @iov: pieces
 * @niov: how many
 *
 * By an SGL if the controller takes SGLs, @rq is not of the admin queue, and the
 * SGL is possible; by PRPs otherwise.
 *
 * Return: 0, or -1 with errno.
 */
int nvme_rq_mapv(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd, struct iovec *iov,
		 int niov);

/**
 * nvme_rq_spin - wait for the queue's next completion, expecting this request's
 * @rq: request whose command was posted
 * @cqe_copy: receives the completion, or NULL
 *
 * Consumes one completion and tells the controller. Waits as long as
 * vfn_nvme_set_timeout() says.
 *
 * Return: 0, or -1 with errno: EIO (the command failed; @cqe_copy has the
 * status), EAGAIN (the completion, which @cqe_copy has, is of another command),
 * ETIMEDOUT, ENODEV (the controller has failed or is gone).
 */
int nvme_rq_spin(struct nvme_rq *rq, struct nvme_cqe *cqe_copy);

/**
 * nvme_rq_wait - nvme_rq_spin() with a time limit
 * @rq: request whose command was posted
 * @cqe_copy: receives the completion, or NULL
 * @ts: time limit from now, NULL for that of vfn_nvme_set_timeout()
 *
 * After a time-out the request may be waited for again, or released.
 *
 * Return: as nvme_rq_spin().
 */
int nvme_rq_wait(struct nvme_rq *rq, struct nvme_cqe *cqe_copy, struct timespec *ts);

VFN_END_DECLS

#endif /* VFN_NVME_RQ_H */
