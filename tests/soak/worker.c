// SPDX-License-Identifier: GPL-2.0-or-later
/* What each thread of the soak program does: a queue pair and a part of the drive of its own, one queue with the others. */
#include "soak.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <vfn/support/mem.h>

#define PAGE 4096UL
#define OP_WRITE 1
#define OP_READ 2
#define OP_ABORT_COMMAND 8
#define OP_IDENTIFY 6

#define STATUS_ABORT_REQUESTED 0x07
#define STATUS_SQ_DELETED 0x08
#define STATUS_MEDIUM_WRITE 0x280
#define STATUS_MEDIUM_READ 0x281

/* Where the data of a command is. */
enum memory {
	POOL,
	MAPPED,
	EPHEMERAL,
	BUFFER,
	NOT_MAPPED
};
/* How it is sent. */
enum path {
	QUICKLY,
	BY_REQUEST,
	IN_PIECES,
	AND_WAIT,
	SHARED
};

#define wrong(w, ...) soak_fail((w)->soak, (int)(w)->id, (w)->number, (w)->doing, __VA_ARGS__)

static uint64_t lba_of(const struct worker *w, unsigned int block)
{
	return (uint64_t)w->id * REGION + block;
}

/* ---- who may use the controller ---- */

static void enter(struct worker *w)
{
	pthread_rwlock_rdlock(&w->soak->in_use);
}

static void leave(struct worker *w)
{
	pthread_rwlock_unlock(&w->soak->in_use);
}

/* What is waited for may need the one who recovers. */
static void give_way(struct worker *w)
{
	static const struct timespec nap = { .tv_nsec = 20000 };

	leave(w);
	if (w->soak->lockstep)
		recoverer_turn(w->soak);
	else
		(void)nanosleep(&nap, NULL);
	enter(w);
}

/* Something is out that only a reset brings to an end for sure. */
static void await_reset(struct worker *w)
{
	uint64_t now = __atomic_load_n(&w->soak->resets, __ATOMIC_ACQUIRE);

	while (__atomic_load_n(&w->soak->resets, __ATOMIC_ACQUIRE) == now &&
	       !soak_failed(w->soak)) {
		__atomic_store_n(&w->soak->urgent, 1, __ATOMIC_RELEASE);
		give_way(w);
	}
}

/* The controller may fail at any time, or answer too late; a command may be made to fail. */
static bool excusable(int err)
{
	return err == ETIMEDOUT || err == ENODEV || err == EIO;
}

/* ---- the end of commands ---- */

void io_end(struct io *io, struct nvme_cqe *cqe)
{
	io->status = (uint16_t)(le16_to_cpu(cqe->sfp) >> 1);
	if (__atomic_exchange_n(&io->state, IO_ENDED, __ATOMIC_ACQ_REL) != IO_OUT)
		wrong(io->worker, "the command of operation %llu ended twice",
		      (unsigned long long)io->number);
}

static void take(struct worker *w, struct nvme_cqe *cqe, bool shared)
{
	struct nvme_rq *rq = nvme_rq_from_cqe(&w->soak->ctrl, cqe);

	if (!rq) {
		/* of a wait that timed out */
		w->count.stray++;
		return;
	}

	io_end(rq->opaque, cqe);
	if (shared)
		nvme_rq_release_atomic(rq);
	else
		nvme_rq_release(rq);
}

static void take_all(struct worker *w, struct nvme_cq *cq, bool shared)
{
	struct nvme_cqe *cqe;

	while ((cqe = nvme_cq_get_cqe(cq)))
		take(w, cqe, shared);
	nvme_cq_update_head(cq);
}

static void poll_shared(struct worker *w)
{
	struct soak *s = w->soak;

	if (pthread_mutex_trylock(&s->shared_cq))
		return;
	take_all(w, s->shared->cq, true);
	pthread_mutex_unlock(&s->shared_cq);
}

static void poll_own(struct worker *w)
{
	struct vfn_nvme_done done[8];
	int n;

	if (!w->sq->qsize)
		return;

	/* one way as often as the other */
	if (w->number & 1) {
		nvme_sq_update_tail(w->sq);
		take_all(w, w->sq->cq, false);
		return;
	}

	do {
		n = vfn_nvme_io_poll(w->sq, done, 8);
		for (int i = 0; i < n; i++)
			io_end(done[i].opaque, &done[i].cqe);
	} while (n == 8);
}

/* ---- data ---- */

static bool is_excused(uint16_t status)
{
	switch (status & 0x7ff) {
	case 0:
	case STATUS_ABORT_REQUESTED:
	case STATUS_SQ_DELETED:
	case STATUS_MEDIUM_READ:
	case STATUS_MEDIUM_WRITE:
	case VFN_NVME_STATUS_ABORTED:
	case VFN_NVME_STATUS_LOST:
		return true;
	default:
		return false;
	}
}

static void release_memory(struct io *io)
{
	struct iommu_ctx *ctx = __iommu_ctx(&io->worker->soak->ctrl);

	switch (io->memory) {
	case MAPPED:
	case EPHEMERAL:
		if (iommu_unmap_vaddr(ctx, io->mem, NULL))
			wrong(io->worker, "unmapping: %s", vfn_last_error());
		pgunmap(io->mem, io->mem_len);
		break;
	case NOT_MAPPED:
		pgunmap(io->mem, io->mem_len);
		break;
	case BUFFER:
		iommu_put_dmabuf(&io->dmabuf);
		break;
	default:
		break;
	}
}

static int get_memory(struct io *io, size_t len, size_t offset)
{
	struct iommu_ctx *ctx = __iommu_ctx(&io->worker->soak->ctrl);
	unsigned long flags = io->memory == EPHEMERAL ? IOMMU_MAP_EPHEMERAL : 0;

	io->mem = io->pool;
	switch (io->memory) {
	case BUFFER:
		if (iommu_get_dmabuf(ctx, &io->dmabuf, len + offset, 0))
			return -1;
		io->mem = io->dmabuf.vaddr;
		break;
	case MAPPED:
	case EPHEMERAL:
	case NOT_MAPPED:
		if (pgmap((void **)&io->mem, len + offset) < 0)
			return -1;
		io->mem_len = (len + offset + PAGE - 1) & ~(PAGE - 1);
		if (io->memory == NOT_MAPPED)
			break;
		/* what is written to the drive need not be writable for it; nvme_sync() maps for both */
		if (io->opcode == OP_WRITE && io->memory == MAPPED)
			flags |= IOMMU_MAP_NOWRITE;
		if (iommu_map_vaddr(ctx, io->mem, io->mem_len, NULL, flags))
			return -1;
		break;
	default:
		break;
	}
	io->buf = io->mem + offset;

	return 0;
}

static void check_data(struct worker *w, struct io *io)
{
	for (unsigned int i = 0; i < io->n; i++) {
		struct block *block = &w->blocks[io->first + i];
		const char *why = block_check(block, io->buf + i * BLOCK, w->soak->seed,
					      lba_of(w, io->first + i));
		uint64_t words[3];

		if (why) {
			memcpy(words, io->buf + i * BLOCK, sizeof(words));
			wrong(w,
			      "block %llu (%u of %u that operation %llu read): %s: "
			      "0x%llx 0x%llx 0x%llx; next generation %u, possible 0x%llx",
			      (unsigned long long)lba_of(w, io->first + i), i, io->n,
			      (unsigned long long)io->number, why, (unsigned long long)words[0],
			      (unsigned long long)words[1], (unsigned long long)words[2],
			      block->next, (unsigned long long)block->may);
			return;
		}
	}
	w->count.verified += io->n;
}

/* Its owner looks at what has ended. */
static void settle_one(struct worker *w, struct io *io)
{
	if (!is_excused(io->status))
		wrong(w, "operation %llu ended with status 0x%x (%s)",
		      (unsigned long long)io->number, io->status, vfn_nvme_status_text(io->status));

	if (io->status) {
		w->count.failed++;
		w->count.aborted += (io->status & 0x7ff) == STATUS_ABORT_REQUESTED;
	} else if (io->opcode == OP_READ) {
		check_data(w, io);
	}

	for (unsigned int i = io->first; i < io->first + io->n; i++) {
		if (!io->status && io->opcode == OP_WRITE)
			block_written(&w->blocks[i]);
		w->blocks[i].busy = false;
	}
	w->count.bytes += io->n * BLOCK;
	release_memory(io);
	__atomic_store_n(&io->state, IO_NONE, __ATOMIC_RELEASE);
}

static void settle(struct worker *w)
{
	for (int i = 0; i < DEPTH; i++)
		if (__atomic_load_n(&w->io[i].state, __ATOMIC_ACQUIRE) == IO_ENDED)
			settle_one(w, &w->io[i]);
}

static void look(struct worker *w)
{
	poll_own(w);
	poll_shared(w);
	settle(w);
}

static void look_and_give_way(struct worker *w)
{
	look(w);
	give_way(w);
	settle(w);
}

static int count_out(struct worker *w)
{
	int n = 0;

	for (int i = 0; i < DEPTH; i++)
		n += __atomic_load_n(&w->io[i].state, __ATOMIC_ACQUIRE) != IO_NONE;

	return n;
}

/* ---- reads and writes ---- */

static bool is_free(struct worker *w, unsigned int first, unsigned int n, bool write)
{
	for (unsigned int i = first; i < first + n; i++)
		if (w->blocks[i].busy || (write && !block_can_be_written(&w->blocks[i])))
			return false;

	return true;
}

static struct io *free_io(struct worker *w)
{
	for (int i = 0; i < DEPTH; i++)
		if (__atomic_load_n(&w->io[i].state, __ATOMIC_ACQUIRE) == IO_NONE)
			return &w->io[i];

	return NULL;
}

static union nvme_cmd command_of(struct worker *w, const struct io *io)
{
	return (union nvme_cmd){ .rw = {
					 .opcode = io->opcode,
					 .nsid = cpu_to_le32(NSID),
					 .slba = cpu_to_le64(lba_of(w, io->first)),
					 .nlb = cpu_to_le16((uint16_t)(io->n - 1)),
				 } };
}

/* By a request: 0, or -1 with errno, and nothing is sent. */
static int post(struct worker *w, struct io *io, struct nvme_rq *rq, enum path path, size_t cut)
{
	union nvme_cmd cmd = command_of(w, io);
	struct nvme_ctrl *ctrl = &w->soak->ctrl;
	size_t len = io->n * BLOCK;
	struct iovec pieces[] = { { io->buf, cut }, { io->buf + cut, len - cut } };
	iova_t iova;
	int ret = -1;

	if (path == IN_PIECES)
		ret = cut ? nvme_rq_mapv(ctrl, rq, &cmd, pieces, 2) :
			    nvme_rq_mapv_prp(ctrl, rq, &cmd, &pieces[1], 1);
	else if (iommu_translate_vaddr(__iommu_ctx(ctrl), io->buf, &iova))
		ret = nvme_rq_map_prp(ctrl, rq, &cmd, iova, len);
	else
		wrong(w, "the data of a command is not mapped");
	if (ret)
		return -1;

	rq->opaque = io;
	io->sq = rq->sq;
	__atomic_store_n(&io->state, IO_OUT, __ATOMIC_RELEASE);
	nvme_rq_post(rq, &cmd);

	return 0;
}

static int send_by_request(struct worker *w, struct io *io, enum path path, size_t cut)
{
	struct nvme_rq *rq = nvme_rq_acquire(w->sq);

	if (!rq)
		return -1;
	if (post(w, io, rq, path, cut)) {
		int err = errno;

		nvme_rq_release(rq);
		errno = err;
		return -1;
	}
	if (w->number % 3)
		nvme_sq_update_tail(w->sq);

	return 0;
}

static int send_shared(struct worker *w, struct io *io, enum path path, size_t cut)
{
	struct nvme_rq *rq = nvme_rq_acquire_atomic(w->soak->shared);
	int ret, err;

	if (!rq)
		return -1;
	pthread_mutex_lock(&w->soak->shared_sq);
	ret = post(w, io, rq, path, cut);
	err = errno;
	if (!ret)
		nvme_sq_update_tail(rq->sq);
	pthread_mutex_unlock(&w->soak->shared_sq);
	if (ret)
		nvme_rq_release_atomic(rq);
	errno = err;

	return ret;
}

static int send_quickly(struct worker *w, struct io *io)
{
	struct vfn_nvme_io *kind = io->opcode == OP_READ ? &w->read : &w->write;

	io->sq = w->sq;
	__atomic_store_n(&io->state, IO_OUT, __ATOMIC_RELEASE);
	if (!vfn_nvme_io_submit(w->sq, kind, lba_of(w, io->first), io->n, io->buf, io))
		return 0;
	__atomic_store_n(&io->state, IO_NONE, __ATOMIC_RELEASE);

	return -1;
}

static int send_and_wait(struct worker *w, struct io *io)
{
	union nvme_cmd cmd = command_of(w, io);
	struct nvme_cqe cqe = {};

	if (nvme_sync(&w->soak->ctrl, w->sq, &cmd, io->buf, io->n * BLOCK, &cqe)) {
		if (errno != EIO && errno != ETIMEDOUT && errno != ENODEV)
			return -1;
		/* the device has the command and the memory until it is reset */
		if (errno != EIO) {
			w->count.refused++;
			await_reset(w);
			cqe.sfp = cpu_to_le16(VFN_NVME_STATUS_ABORTED << 1);
		}
	}
	__atomic_store_n(&io->state, IO_OUT, __ATOMIC_RELEASE);
	io_end(io, &cqe);

	return 0;
}

static int send(struct worker *w, struct io *io, enum path path, size_t cut)
{
	switch (path) {
	case QUICKLY:
		return send_quickly(w, io);
	case AND_WAIT:
		return send_and_wait(w, io);
	case SHARED:
		return send_shared(w, io, BY_REQUEST, 0);
	default:
		return send_by_request(w, io, path, cut);
	}
}

static unsigned int pick_size(struct dice *d)
{
	static const unsigned int most[] = { 1, 8, 8, 8, 8, 16, 16, 32, 64, MAX_BLOCKS };

	return 1 + (unsigned int)roll(d, most[roll(d, sizeof(most) / sizeof(most[0]))]);
}

static enum path pick_path(struct dice *d)
{
	static const enum path paths[] = { QUICKLY,    QUICKLY,	  QUICKLY,   QUICKLY,  BY_REQUEST,
					   BY_REQUEST, IN_PIECES, IN_PIECES, AND_WAIT, SHARED };

	return paths[roll(d, sizeof(paths) / sizeof(paths[0]))];
}

/* Most of the time memory that is mapped already. */
static enum memory pick_memory(struct dice *d, enum path path)
{
	static const enum memory memories[] = { POOL, POOL,   POOL,	 POOL,
						POOL, MAPPED, EPHEMERAL, BUFFER };
	enum memory memory = memories[roll(d, sizeof(memories) / sizeof(memories[0]))];

	return path == AND_WAIT && memory == MAPPED ? NOT_MAPPED : memory;
}

static void do_io(struct worker *w, struct dice *d)
{
	bool write = roll(d, 2);
	unsigned int n = pick_size(d), first = (unsigned int)roll(d, REGION - n + 1);
	enum path path = pick_path(d);
	enum memory memory = pick_memory(d, path);
	size_t offset = roll(d, 4) || memory == NOT_MAPPED ? 0 : 4 * roll(d, PAGE / 4);
	/* pieces that PRPs can express, too: the controller may have no SGLs */
	size_t pages = (offset + n * BLOCK - 1) / PAGE;
	size_t cut = roll(d, 2) && pages ? PAGE * (1 + roll(d, pages)) - offset : 0;
	struct io *io;

	while (!(io = free_io(w)) || !is_free(w, first, n, write)) {
		look_and_give_way(w);
		if (soak_failed(w->soak))
			return;
		/* as good as a read, and it makes room */
		if (write && io && is_free(w, first, n, false) && !is_free(w, first, n, true))
			write = false;
	}

	io->opcode = write ? OP_WRITE : OP_READ;
	io->number = w->number;
	io->first = first;
	io->n = n;
	io->memory = memory;
	if (get_memory(io, n * BLOCK, offset)) {
		wrong(w, "memory: %s", vfn_last_error());
		return;
	}

	for (unsigned int i = 0; i < n; i++) {
		struct block *block = &w->blocks[first + i];

		block->busy = true;
		if (write) {
			block_fill(io->buf + i * BLOCK, w->soak->seed, lba_of(w, first + i),
				   block->next);
			block_writing(block);
		}
	}
	if (!write)
		memset(io->buf, 0xa5, n * BLOCK);

	while (send(w, io, path, cut)) {
		if (soak_failed(w->soak))
			return;
		if (errno == ENODEV) {
			w->count.refused++;
			await_reset(w);
		} else if (errno != EBUSY) {
			wrong(w, "sending: %s (%s)", strerror(errno), vfn_last_error());
			return;
		}
		look_and_give_way(w);
	}
	if (write)
		w->count.writes++;
	else
		w->count.reads++;
}

/* ---- waiting ---- */

static void do_poll(struct worker *w, struct dice *d)
{
	struct pollfd pollfd = { .fd = w->fd, .events = POLLIN };
	uint64_t n;

	(void)d;
	nvme_sq_update_tail(w->sq);
	if (w->vector >= 0 && w->irq_on && count_out(w) &&
	    poll(&pollfd, 1, w->soak->machine->irq_ms) == 1 && read(w->fd, &n, sizeof(n)) > 0)
		w->count.woken++;
	look(w);
}

/* ---- memory, while the controller does whatever it does ---- */

static void check_translation(struct worker *w, struct dice *d, char *mem, size_t len, iova_t iova)
{
	struct iommu_ctx *ctx = __iommu_ctx(&w->soak->ctrl);
	size_t at = roll(d, len), rest = len - at;
	void *back = NULL;
	iova_t got = 0;

	if (!iommu_translate_vaddr(ctx, mem + at, &got) || got != iova + at)
		wrong(w, "byte %zu of memory at 0x%llx is at 0x%llx", at, (unsigned long long)iova,
		      (unsigned long long)got);
	if (vfn_iommu_translate(ctx, mem + at, rest, &got) != rest || got != iova + at)
		wrong(w, "%zu bytes from %zu on are not where they were mapped", rest, at);
	if (iommu_translate_iova(ctx, iova + at, &back) != (ssize_t)rest || back != mem + at)
		wrong(w, "I/O virtual address 0x%llx is of %p, not %p",
		      (unsigned long long)(iova + at), back, (void *)(mem + at));
}

static void do_memory(struct worker *w, struct dice *d)
{
	size_t len = PAGE * (1 + roll(d, roll(d, 4) ? 16 : 256)), align = PAGE << roll(d, 10);
	unsigned long flags = roll(d, 3) ? 0 : IOMMU_MAP_EPHEMERAL;
	struct iommu_ctx *ctx = __iommu_ctx(&w->soak->ctrl);
	bool aligned = roll(d, 2);
	iova_t iova = 0;
	void *mem;
	int ret;

	leave(w);
	if (pgmap(&mem, len) < 0) {
		wrong(w, "no memory");
		enter(w);
		return;
	}
	ret = aligned ? iommu_map_vaddr_align(ctx, mem, len, align, &iova, flags) :
			iommu_map_vaddr(ctx, mem, len, &iova, flags);
	if (ret || (aligned && iova % align)) {
		wrong(w, "mapping %zu bytes: 0x%llx: %s", len, (unsigned long long)iova,
		      vfn_last_error());
	} else {
		for (int i = 0; i < 4; i++)
			check_translation(w, d, mem, len, iova);
		if (iommu_unmap_vaddr(ctx, mem, NULL))
			wrong(w, "unmapping %zu bytes: %s", len, vfn_last_error());
		if (!flags && iommu_translate_vaddr(ctx, mem, &iova))
			wrong(w, "memory is translated after it was unmapped");
	}
	pgunmap(mem, len);
	enter(w);
}

/* ---- requests ---- */

static void do_requests(struct worker *w, struct dice *d)
{
	struct nvme_rq *rqs[16];
	unsigned int n = 0, most = 1 + (unsigned int)roll(d, 16);
	bool keep = !roll(d, 4);

	/* those of the shared queue, taken and given back by all threads; also over a reset */
	while (n < most && (rqs[n] = nvme_rq_acquire_atomic(w->soak->shared))) {
		rqs[n]->opaque = w;
		n++;
	}
	if (keep)
		give_way(w);
	while (n) {
		unsigned int i = (unsigned int)roll(d, n);

		if (rqs[i]->opaque != w)
			wrong(w, "request %u was given to two", rqs[i]->cid);
		nvme_rq_release_atomic(rqs[i]);
		rqs[i] = rqs[--n];
	}

	/* and its own */
	while (n < most && (rqs[n] = nvme_rq_acquire(w->sq)))
		n++;
	while (n)
		nvme_rq_release(rqs[--n]);
}

/* ---- commands to the controller itself ---- */

static int admin(struct worker *w, union nvme_cmd *cmd, void *buf, size_t len)
{
	int ret, err;

	pthread_mutex_lock(&w->soak->device);
	ret = nvme_admin(&w->soak->ctrl, cmd, buf, len, NULL);
	err = errno;
	pthread_mutex_unlock(&w->soak->device);

	if (ret && !excusable(err))
		wrong(w, "admin command 0x%x: %s", cmd->opcode, strerror(err));
	if (ret)
		w->count.refused++;
	errno = err;

	return ret;
}

static void do_abort(struct worker *w, struct dice *d)
{
	union nvme_cmd cmd = { .opcode = OP_ABORT_COMMAND };

	/* that of whatever command it is, or of none */
	if (!w->sq->qsize)
		return;
	nvme_sq_update_tail(w->sq);
	cmd.cdw10 =
		cpu_to_le32((uint32_t)roll(d, (uint64_t)w->qsize - 1) << 16 | (uint32_t)w->sq->id);
	(void)admin(w, &cmd, NULL, 0);
	look(w);
}

static void do_admin(struct worker *w, struct dice *d)
{
	union nvme_cmd cmd = { .identify = { .opcode = OP_IDENTIFY, .cns = 1 } };
	void *page;

	(void)d;
	if (pgmap(&page, PAGE) < 0) {
		wrong(w, "no memory");
		return;
	}
	if (admin(w, &cmd, page, PAGE)) {
		if (errno != EIO)
			await_reset(w);
	} else if (((uint8_t *)page)[512] != 0x66 || ((uint8_t *)page)[513] != 0x44) {
		wrong(w, "Identify: entries of 0x%x and 0x%x", ((uint8_t *)page)[512],
		      ((uint8_t *)page)[513]);
	}
	pgunmap(page, PAGE);
}

/* The controller does not have this thread's queue any more, and nothing of what it had there. */
static void end_own(struct worker *w)
{
	struct nvme_cqe cqe = { .sfp = cpu_to_le16(STATUS_SQ_DELETED << 1) };

	for (int i = 0; i < DEPTH; i++)
		if (w->io[i].sq == w->sq &&
		    __atomic_load_n(&w->io[i].state, __ATOMIC_ACQUIRE) == IO_OUT)
			io_end(&w->io[i], &cqe);
}

static int remake_once(struct worker *w)
{
	struct nvme_ctrl *ctrl = &w->soak->ctrl;
	int qid = (int)w->id + 1, ret = 0, err;

	pthread_mutex_lock(&w->soak->device);
	if (ctrl->sq[qid].qsize || ctrl->cq[qid].qsize)
		ret = nvme_delete_ioqpair(ctrl, qid);
	if (!ctrl->sq[qid].qsize)
		end_own(w);
	if (!ret && w->qsize)
		ret = nvme_create_ioqpair(ctrl, qid, w->qsize, w->vector, 0);
	err = errno;
	pthread_mutex_unlock(&w->soak->device);
	errno = err;

	return ret;
}

static void remake(struct worker *w)
{
	while (remake_once(w) && !soak_failed(w->soak)) {
		/* fewer queues are granted for the time being */
		if (!excusable(errno) && !(errno == EINVAL && w->soak->few)) {
			wrong(w, "queue of %d: %s (%s)", w->qsize, strerror(errno),
			      vfn_last_error());
			return;
		}
		w->count.refused++;
		await_reset(w);
	}
	settle(w);
}

static void do_queue(struct worker *w, struct dice *d)
{
	bool drained = roll(d, 2), polled = roll(d, 2);
	int qsize = 2 + (int)roll(d, roll(d, 3) ? 62 : 8);

	if (drained || !w->soak->machine->deletes_busy)
		while (count_out(w) && !soak_failed(w->soak))
			look_and_give_way(w);
	w->qsize = qsize;
	w->vector = polled || w->fd < 0 ? -1 : (int)w->id + 1;
	remake(w);
}

static void do_irq(struct worker *w, struct dice *d)
{
	struct vfio_device *dev = &w->soak->ctrl.pci.dev;
	int vector = (int)w->id + 1, ret;

	(void)d;
	if (w->fd < 0)
		return;
	pthread_mutex_lock(&w->soak->device);
	ret = w->irq_on ? vfio_disable_irq(dev, vector, 1) : vfio_set_irq(dev, &w->fd, vector, 1);
	pthread_mutex_unlock(&w->soak->device);
	if (ret)
		wrong(w, "interrupt %d: %s", vector, vfn_last_error());
	w->irq_on = !w->irq_on;
}

static void do_limits(struct worker *w, struct dice *d)
{
	uint64_t ns = 1000000 * (1 + roll(d, w->soak->machine->timeout_ms));
	struct nvme_rq *rq;

	(void)vfn_nvme_sq_overdue(w->sq);

	/* a limit of its own for one that was posted */
	rq = w->sq->qsize ? &w->sq->rqs[roll(d, (uint64_t)w->sq->qsize - 1)] : NULL;
	if (rq && rq->state == VFN_NVME_RQ_WATCHED && vfn_nvme_rq_set_timeout(rq, ns))
		wrong(w, "a limit of %llu ns: %s", (unsigned long long)ns, vfn_last_error());
}

/* ---- a thread ---- */

static const struct {
	void (*run)(struct worker *w, struct dice *d);
	const char *name;
	unsigned int weight;
} ops[OPS] = {
	[OP_IO] = { do_io, "read or write", 700 },
	[OP_POLL] = { do_poll, "wait for completions", 120 },
	[OP_MEMORY] = { do_memory, "map, translate, unmap", 80 },
	[OP_REQUESTS] = { do_requests, "acquire and release", 40 },
	[OP_ABORT] = { do_abort, "abort", 20 },
	[OP_QUEUE] = { do_queue, "delete and create a queue", 8 },
	[OP_IRQ] = { do_irq, "interrupt on or off", 12 },
	[OP_LIMITS] = { do_limits, "limits of time", 15 },
	[OP_ADMIN] = { do_admin, "identify", 5 },
};

void worker_turn(struct worker *w)
{
	struct dice d = dice_of(w->soak->seed, w->id, w->number);
	unsigned int point = (unsigned int)roll(&d, 1000);
	int op = 0;

	while (point >= ops[op].weight)
		point -= ops[op++].weight;

	w->doing = ops[op].name;
	enter(w);
	ops[op].run(w, &d);
	settle(w);
	if (machine_complaint())
		wrong(w, "%s", machine_complaint());
	leave(w);
	w->count.op[op]++;
	__atomic_store_n(&w->number, w->number + 1, __ATOMIC_RELAXED);
}

void worker_drain(struct worker *w)
{
	enter(w);
	w->doing = "the end";
	while (count_out(w) && !soak_failed(w->soak))
		look_and_give_way(w);
	leave(w);
}

static void transfer_all(struct worker *w, uint8_t opcode, char *mem)
{
	for (unsigned int first = 0; first < REGION; first += MAX_BLOCKS) {
		struct io io = { .worker = w, .opcode = opcode, .first = first, .n = MAX_BLOCKS };
		union nvme_cmd cmd = command_of(w, &io);

		if (nvme_sync(&w->soak->ctrl, w->sq, &cmd, mem + first * BLOCK, MAX_LEN, NULL)) {
			wrong(w, "blocks %u to %u: %s", first, first + MAX_BLOCKS - 1,
			      vfn_last_error());
			return;
		}
	}
}

static void check_all(struct worker *w, char *mem)
{
	struct io io = { .worker = w, .number = w->number, .n = REGION, .buf = mem };

	if (!soak_failed(w->soak))
		check_data(w, &io);
}

void worker_verify(struct worker *w)
{
	size_t len = REGION * BLOCK;
	void *mem;

	w->doing = "the last look";
	if (pgmap(&mem, len) < 0) {
		wrong(w, "no memory");
		return;
	}
	transfer_all(w, OP_READ, mem);
	check_all(w, mem);
	memset(mem, 0, len);
	machine_read(lba_of(w, 0), mem, len);
	check_all(w, mem);
	pgunmap(mem, len);
}

void worker_init(struct worker *w, struct soak *s, unsigned int id)
{
	struct nvme_ctrl *ctrl = &s->ctrl;
	void *mem;

	memset(w, 0, sizeof(*w));
	w->id = id;
	w->soak = s;
	w->doing = "the beginning";
	w->sq = &ctrl->sq[id + 1];
	w->fd = id + 1 < ctrl->pci.dev.irq_info.count ? eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) : -1;
	w->irq_on = w->fd >= 0;
	w->vector = w->irq_on ? (int)id + 1 : -1;
	w->qsize = 32;
	if (iommu_get_dmabuf(__iommu_ctx(ctrl), &w->pool, DEPTH * (MAX_LEN + PAGE), 0) ||
	    vfn_nvme_io_prep(&w->read, ctrl, OP_READ, NSID, 9) ||
	    vfn_nvme_io_prep(&w->write, ctrl, OP_WRITE, NSID, 9) ||
	    (w->irq_on && vfio_set_irq(&ctrl->pci.dev, &w->fd, w->vector, 1)) || remake_once(w) ||
	    pgmap(&mem, REGION * BLOCK) < 0) {
		wrong(w, "%s", vfn_last_error());
		return;
	}
	for (int i = 0; i < DEPTH; i++) {
		w->io[i].worker = w;
		w->io[i].pool = (char *)w->pool.vaddr + (size_t)i * (MAX_LEN + PAGE);
	}

	for (unsigned int i = 0; i < REGION; i++) {
		block_fill((char *)mem + i * BLOCK, s->seed, lba_of(w, i), 0);
		w->blocks[i] = (struct block){ .may = 1, .next = 1 };
	}
	transfer_all(w, OP_WRITE, mem);
	pgunmap(mem, REGION * BLOCK);
}

void worker_fini(struct worker *w)
{
	w->doing = "the end";
	w->qsize = 0;
	if (remake_once(w))
		wrong(w, "%s", vfn_last_error());
	iommu_put_dmabuf(&w->pool);
	if (w->fd >= 0)
		close(w->fd);
}
