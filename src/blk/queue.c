// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Queues of a handle: somebody's own, or for calls that wait, which pick one each. */
#include <errno.h>
#include <string.h>

#include <vfn/support/mutex.h>

#include "blk/blk.h"
#include "os/os.h"
#include "support/error.h"

#define OPCODE_WRITE 0x01
#define OPCODE_READ 0x02
#define OPCODE_COMPARE 0x05

/* Force Unit Access (NVM Command Set Specification 1.0, figure 34), in the upper half of dword 12. */
#define CONTROL_FUA (1 << 14)

/* Without interrupts, a closer look comes with one of so many polls in any case. */
#define LOOK_POLLS 1024

static int prepare(struct vfn_blk *blk, struct vfn_blk_queue *q)
{
	static const uint8_t opcodes[] = { OPCODE_READ, OPCODE_WRITE, OPCODE_COMPARE };

	for (size_t i = 0; i < BLK_KINDS; i++) {
		if (vfn_nvme_io_prep(&q->io[i], &blk->dev->ctrl, opcodes[i % 3], blk->info.nsid,
				     blk->lba_shift))
			return -1;
		q->io[i].cmd.rw.control =
			cpu_to_le16((uint16_t)((i >= 3 ? CONTROL_FUA : 0) | blk->protection));
	}

	return 0;
}

static void close_event_fd(struct vfn_blk_queue *q)
{
	int saved = errno;

	if (q->event_fd >= 0)
		(void)os_close(q->event_fd);
	errno = saved;
}

int blk_create_queue(struct vfn_blk *blk, struct vfn_blk_queue *q)
{
	if (prepare(blk, q))
		return -1;

	q->event_fd = -1;
	if (blk->flags & VFN_BLK_INTERRUPTS) {
		q->event_fd = os_eventfd();
		if (q->event_fd < 0)
			return vfn_fail(errno, "%s: no eventfd for a queue", blk->info.bdf);
	}

	q->sq = blk_create_pair(blk->dev, blk->info.depth, q->event_fd);
	if (!q->sq) {
		close_event_fd(q);
		return -1;
	}

	q->id = q->sq->id;
	q->blk = blk;
	q->dev = blk->dev;
	q->nblocks = blk->info.nblocks;
	q->max_blocks = blk->info.max_blocks;
	q->boundary = blk->info.boundary;
	q->sgl = blk->flags & VFN_BLK_SGL && blk->dev->ctrl.flags & NVME_CTRL_F_SGLS_SUPPORTED;
	q->may_write = !(blk->info.features & VFN_BLK_F_RDONLY);
	q->quick = BLK_NONE_QUICK;
	/* interrupts are to be acknowledged each time */
	q->calm = q->event_fd >= 0 ? 1 : LOOK_POLLS;
	q->polls = 1;
	(void)pthread_mutex_init(&q->lock, NULL);

	return 0;
}

void blk_delete_queue(struct vfn_blk_queue *q)
{
	blk_delete_pair(q->dev, q->sq);
	close_event_fd(q);
	iommu_put_dmabuf(&q->spare);
	(void)pthread_mutex_destroy(&q->lock);
}

/* ---- of one's own ---- */

static unsigned int count_free(const struct vfn_blk *blk)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < blk->nqueues; i++)
		n += !blk->queues[i].taken;

	return n;
}

struct vfn_blk_queue *vfn_blk_get_queue(struct vfn_blk *blk)
{
	struct vfn_blk_queue *q = &blk->queues[blk->nqueues - 1];

	__autolock(&blk->lock);

	if (count_free(blk) < 2) {
		(void)vfn_fail(EBUSY, "%s: no queue is left of %u: open it with more",
			       blk->info.bdf, blk->nqueues);
		return NULL;
	}

	while (q->taken)
		q--;

	/* a call may be using it */
	__autolock(&q->lock);

	__atomic_store_n(&q->taken, true, __ATOMIC_RELAXED);

	return q;
}

int vfn_blk_put_queue(struct vfn_blk_queue *queue)
{
	if (!queue)
		return 0;

	if (queue->out)
		return vfn_fail(EBUSY, "%s: %u requests were not handed out: wait for them",
				queue->blk->info.bdf, queue->out);

	__autolock(&queue->blk->lock);
	__autolock(&queue->lock);

	__atomic_store_n(&queue->taken, false, __ATOMIC_RELAXED);

	return 0;
}

int vfn_blk_event_fd(const struct vfn_blk_queue *queue)
{
	if (queue->event_fd < 0)
		return vfn_fail(ENOTSUP, "%s was not opened with VFN_BLK_INTERRUPTS",
				queue->blk->info.bdf);

	return queue->event_fd;
}

/* ---- for a call ---- */

/* Threads begin their search in different places. */
static unsigned int thread_number(void)
{
	static unsigned int threads;
	static __thread unsigned int number;

	if (!number)
		number = __atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED);

	return number;
}

static bool lock(struct vfn_blk_queue *q, bool wait)
{
	if (__atomic_load_n(&q->taken, __ATOMIC_RELAXED))
		return false;

	if (wait ? pthread_mutex_lock(&q->lock) : pthread_mutex_trylock(&q->lock))
		return false;

	if (!__atomic_load_n(&q->taken, __ATOMIC_RELAXED))
		return true;

	(void)pthread_mutex_unlock(&q->lock);

	return false;
}

struct vfn_blk_queue *blk_borrow(struct vfn_blk *blk)
{
	const unsigned int first = thread_number(), n = blk->nqueues;

	/* any that is free, then the first that there is */
	for (unsigned int i = 0;; i++) {
		struct vfn_blk_queue *q = &blk->queues[(first + i) % n];

		if (lock(q, i >= n))
			return q;
	}
}

void blk_give_back(struct vfn_blk_queue *q)
{
	(void)pthread_mutex_unlock(&q->lock);
}
