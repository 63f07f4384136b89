/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Queues (level one): put a command in, tell the controller, take a completion out, tell the controller. */
#ifndef VFN_NVME_QUEUE_H
#define VFN_NVME_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <vfn/iommu/dmabuf.h>
#include <vfn/nvme/types.h>
#include <vfn/support/atomic.h>
#include <vfn/support/barrier.h>
#include <vfn/support/compiler.h>
#include <vfn/support/endian.h>
#include <vfn/support/mmio.h>
#include <vfn/trace.h>

VFN_BEGIN_DECLS

#define NVME_AQ 0

/* Binary logarithm of the size of an entry. */
#define NVME_SQES 6
#define NVME_CQES 4

struct nvme_ctrl;
struct nvme_rq;

/* Shadow doorbell and event index (Base Specification 2.0, section 5.8); NULL without. */
struct nvme_dbbuf {
	void *doorbell;
	void *eventidx;
};

/**
 * enum nvme_q_flags - state of a queue
 * @NVME_Q_MEM_PREALLOCATED: the caller's memory, not to be freed
 * @VFN_NVME_Q_CREATED: the controller was told of it by nvme_create_*()
 * @VFN_NVME_Q_LOST: it had it, but not again since a reset
 */
enum nvme_q_flags {
	NVME_Q_MEM_PREALLOCATED = 1 << 0,
	VFN_NVME_Q_CREATED = 1 << 1,
	VFN_NVME_Q_LOST = 1 << 2,
};

/**
 * struct nvme_cq - a completion queue
 * @doorbell: head doorbell
 * @dbbuf: its shadow
 * @qsize: entries; one less can be in use
 * @phase: an entry is new when its phase tag differs from this
 * @id: identifier, 0 is the admin queue
 * @head: next entry to look at
 * @phead: head that the controller was last told; private
 * @slack: how many consumed entries vfn_nvme_io_poll() may keep from the controller; private
 * @vector: interrupt vector, -1 when polled
 * @mem: the entries
 * @entry_size: bytes of one
 * @ctrl: controller
 * @flags: of enum nvme_q_flags
 *
 * What a poll needs lies in the first 64 bytes.
 */
struct VFN_OWN_LINES nvme_cq {
	void *doorbell;
	struct nvme_dbbuf dbbuf;
	int qsize;
	int phase;
	int id;
	uint16_t head;
	uint16_t phead;
	int slack;
	int vector;
	struct iommu_dmabuf mem;
	size_t entry_size;
	struct nvme_ctrl *ctrl;
	uint32_t flags;
};

/**
 * struct nvme_sq - a submission queue and its requests
 * @rq_top: stack of free requests
 * @rqs: all qsize - 1 requests, indexed by command identifier
 * @doorbell: tail doorbell
 * @dbbuf: its shadow
 * @qsize: entries; one less can be in use
 * @tail: next entry to fill
 * @ptail: tail that the controller was last told
 * @mem: the entries
 * @cq: where completions go
 * @id: identifier, 0 is the admin queue
 * @rq_lock: held by the atomic variants of acquire and release; private
 * @rqs_len: bytes of @rqs; private
 * @match: what says in a completion that it is of this queue, and the phase tag; private
 * @pages: room for a page per request, mapped as lists need them; iova is 0
 * @entry_size: bytes of an entry
 * @flags: of enum nvme_q_flags
 *
 * What a submission needs lies in the first 64 bytes.
 */
struct VFN_OWN_LINES nvme_sq {
	struct nvme_rq *rq_top;
	struct nvme_rq *rqs;
	void *doorbell;
	struct nvme_dbbuf dbbuf;
	int qsize;
	uint16_t tail;
	uint16_t ptail;
	struct iommu_dmabuf mem;
	struct nvme_cq *cq;
	int id;
	int rq_lock;
	size_t rqs_len;
	uint64_t match;
	struct iommu_dmabuf pages;
	size_t entry_size;
	uint32_t flags;
};

/*
 * A queue is used by one thread at a time; a submission queue and its
 * completion queue may be used by different threads. Nothing here checks for a
 * full submission queue: whoever posts at most qsize - 1 commands that were not
 * completed (requests of <vfn/nvme/rq.h> see to that) cannot overrun it.
 */

/**
 * __nvme_need_mmio - whether the controller wants to hear of a new index
 * @eventidx: index behind which it asked to be told
 * @val: new index
 * @old: index before
 *
 * Return: whether @eventidx is among @old to @val - 1.
 */
VFN_INLINE bool __nvme_need_mmio(uint16_t eventidx, uint16_t val, uint16_t old)
{
	return (uint16_t)(val - eventidx - 1) < (uint16_t)(val - old);
}

/**
 * nvme_try_dbbuf - publish an index in the shadow doorbell
 * @v: index
 * @dbbuf: shadow doorbell of the queue
 *
 * Return: 0 where that is all; -1 where the register must be written, too.
 */
VFN_INLINE int nvme_try_dbbuf(uint16_t v, struct nvme_dbbuf *dbbuf)
{
	uint32_t *doorbell = (uint32_t *)dbbuf->doorbell;
	uint32_t *eventidx = (uint32_t *)dbbuf->eventidx;
	uint16_t old, event;

	if (!doorbell)
		return -1;

	old = (uint16_t)LE32_TO_CPU((leint32_t __force)*doorbell);

	/* the controller may act on the index as soon as it sees it: entries first */
	dma_wmb();
	atomic_store_release(doorbell, (uint32_t __force)CPU_TO_LE32(v));

	/* index out before event index in, or both sides may wait for each other */
	mb();
	event = (uint16_t)LE32_TO_CPU((leint32_t __force)atomic_load_acquire(eventidx));

	return __nvme_need_mmio(event, v, old) ? -1 : 0;
}

VFN_INLINE void __vfn_nvme_ring(void *doorbell, struct nvme_dbbuf *dbbuf, uint16_t v)
{
	if (unlikely(dbbuf->doorbell) && nvme_try_dbbuf(v, dbbuf) == 0) {
		trace_guard(NVME_SKIP_MMIO) {
			trace_emit("doorbell %p, value %u", doorbell, v);
		}
		return;
	}

	/* entries before the doorbell */
	dma_wmb();
	mmio_write32(doorbell, cpu_to_le32(v));
}

/* The entry behind one, in as few instructions as there are. */
VFN_INLINE uint16_t __vfn_nvme_next(uint16_t entry, int qsize)
{
	int next = entry + 1;

	/* not in 16 bits, and not by a choice between two values */
	__asm__("" : "+r"(next));
	if (unlikely(next == qsize)) {
		__asm__ __volatile__("");
		next = 0;
	}

	return (uint16_t)next;
}

/**
 * nvme_sq_post - copy a command into the queue
 * @sq: queue, not full
 * @sqe: command, complete with cid
 *
 * The controller learns of it from nvme_sq_update_tail().
 */
VFN_INLINE void nvme_sq_post(struct nvme_sq *sq, const union nvme_cmd *sqe)
{
	uint16_t tail = sq->tail;

	trace_guard(NVME_SQ_POST) {
		trace_emit("sq %d, entry %u: opcode 0x%02x, cid %u", sq->id, tail, sqe->opcode,
			   sqe->cid);
	}

	memcpy((char *)sq->mem.vaddr + ((size_t)tail << NVME_SQES), sqe, 1 << NVME_SQES);

	sq->tail = __vfn_nvme_next(tail, sq->qsize);
}

/**
 * nvme_sq_update_tail - tell the controller of all commands posted since the last time
 * @sq: queue
 *
 * Writes the doorbell once, or its shadow, or nothing if there is nothing new.
 */
VFN_INLINE void nvme_sq_update_tail(struct nvme_sq *sq)
{
	uint16_t tail = sq->tail;

	if (tail == sq->ptail)
		return;

	trace_guard(NVME_SQ_UPDATE_TAIL) {
		trace_emit("sq %d, tail %u", sq->id, tail);
	}

	sq->ptail = tail;
	__vfn_nvme_ring(sq->doorbell, &sq->dbbuf, tail);
}

/**
 * nvme_sq_exec - post one command and tell the controller
 * @sq: queue, not full
 * @sqe: command, complete with cid
 */
VFN_INLINE void nvme_sq_exec(struct nvme_sq *sq, const union nvme_cmd *sqe)
{
	nvme_sq_post(sq, sqe);
	nvme_sq_update_tail(sq);
}

/**
 * nvme_cq_head - the entry at the head, new or not
 * @cq: queue
 *
 * Return: the entry.
 */
VFN_INLINE struct nvme_cqe *nvme_cq_head(struct nvme_cq *cq)
{
	return (struct nvme_cqe *)((char *)cq->mem.vaddr + ((size_t)cq->head << NVME_CQES));
}

VFN_INLINE bool __vfn_nvme_cqe_is_new(struct nvme_cqe *cqe, int phase)
{
	uint16_t sfp = LE16_TO_CPU(
		(leint16_t __force)__atomic_load_n((uint16_t *)&cqe->sfp, __ATOMIC_ACQUIRE));

	if ((sfp & 1) == phase)
		return false;

	/* the rest of the entry after its phase tag */
	dma_rmb();

	return true;
}

/**
 * nvme_cq_spin - wait for a completion at the head
 * @cq: queue
 *
 * Burns the CPU until there is one, however long that takes; nothing is
 * consumed. nvme_cq_wait_cqes() takes a time limit.
 */
VFN_INLINE void nvme_cq_spin(struct nvme_cq *cq)
{
	while (!__vfn_nvme_cqe_is_new(nvme_cq_head(cq), cq->phase)) {
		trace_guard(NVME_CQ_SPIN) {
			trace_emitrl(1, (uintptr_t)nvme_cq_head(cq), "cq %d, head %u", cq->id,
				     cq->head);
		}
		barrier();
	}
}

/**
 * nvme_cq_get_cqe - consume the next completion
 * @cq: queue
 *
 * The entry stays valid until the controller is told of it
 * (nvme_cq_update_head()).
 *
 * Return: the completion, or NULL where there is none.
 */
VFN_INLINE struct nvme_cqe *nvme_cq_get_cqe(struct nvme_cq *cq)
{
	struct nvme_cqe *cqe = nvme_cq_head(cq);
	int head;

	trace_guard(NVME_CQ_GET_CQE) {
		trace_emit("cq %d, head %u", cq->id, cq->head);
	}

	if (!__vfn_nvme_cqe_is_new(cqe, cq->phase))
		return NULL;

	trace_guard(NVME_CQ_GOT_CQE) {
		trace_emit("cq %d, head %u: sq %u, cid %u, status 0x%x", cq->id, cq->head,
			   le16_to_cpu(cqe->sqid), cqe->cid, le16_to_cpu(cqe->sfp) >> 1);
	}

	head = cq->head + 1;
	if (unlikely(head == cq->qsize)) {
		head = 0;
		cq->phase ^= 1;
	}
	cq->head = (uint16_t)head;

	return cqe;
}

/**
 * nvme_cq_update_head - tell the controller of all completions consumed so far
 * @cq: queue
 */
VFN_INLINE void nvme_cq_update_head(struct nvme_cq *cq)
{
	uint16_t head = cq->head;

	if (head == cq->phead)
		return;

	trace_guard(NVME_CQ_UPDATE_HEAD) {
		trace_emit("cq %d, head %u", cq->id, head);
	}

	cq->phead = head;
	__vfn_nvme_ring(cq->doorbell, &cq->dbbuf, head);
}

/**
 * nvme_cq_get_cqes - consume exactly @n completions
 * @cq: queue
 * @cqes: receives copies, or NULL
 * @n: how many; nothing happens where it is not positive
 *
 * Waits without a limit. As nvme_cq_wait_cqes() otherwise.
 */
void nvme_cq_get_cqes(struct nvme_cq *cq, struct nvme_cqe *cqes, int n);

/**
 * nvme_cq_wait_cqes - consume up to @n completions within a time limit
 * @cq: queue
 * @cqes: receives copies, or NULL
 * @n: how many; nothing happens where it is not positive
 * @ts: time limit from now, NULL for none
 *
 * Polls, then sleeps between polls. The controller is told only as far as is
 * needed for it to go on; the caller finishes with nvme_cq_update_head().
 *
 * Return: completions consumed; fewer than @n with errno ETIMEDOUT, or ENODEV
 * where the controller has failed or is gone.
 */
int nvme_cq_wait_cqes(struct nvme_cq *cq, struct nvme_cqe *cqes, int n, struct timespec *ts);

VFN_END_DECLS

#endif /* VFN_NVME_QUEUE_H */
