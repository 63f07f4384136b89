// SPDX-License-Identifier: GPL-2.0-or-later
/* Opens a namespace of the fake kernel, and puts plain memory where the doorbells of its queues were. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "blk/blk.h"
#include "emu.h"
#include "emu_internal.h"
#include "nvme_model.h"
#include "ring.h"

static struct emu_nvme *controller;

/* Where a ring's doorbells were. */
struct real_doorbells {
	void *sq, *cq;
};

static struct real_doorbells real[8];

static void die(const char *what)
{
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

struct vfn_blk *rig_start(void)
{
	const struct emu_nvme_opts opts = { .sgls = 1, .mqes = 65536, .no_mdts = true };
	const struct vfn_blk_opts blk_opts = { .queues = 3, .depth = QUEUE_ENTRIES };
	const leint64_t nblocks = cpu_to_le64(1ULL << 48);
	struct vfn_blk *blk;

	emu_init();
	controller = emu_nvme_add(&opts);
	/* whoever reads nothing has room for a lot of it */
	memcpy(emu_nvme_identify_ns(controller, NSID), &nblocks, sizeof(nblocks));
	if (vfn_blk_open(&blk, EMU_BDF, &blk_opts))
		die("the controller does not come up");

	return blk;
}

void rig_stop(struct vfn_blk *blk)
{
	vfn_blk_close(blk);
	emu_fini();
}

struct nvme_ctrl *rig_ctrl(struct vfn_blk *blk)
{
	return &blk->dev->ctrl;
}

void *rig_reach(uint64_t iova)
{
	return nvme_reach(controller, iova, false);
}

/* The same offset in its leaf of the translation table in every run, or counts would differ. */
static char *get_memory(size_t len)
{
	char *mem = mmap(NULL, 2 * len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *start = (char *)(((uintptr_t)mem + len - 1) & ~(len - 1));

	if (mem == MAP_FAILED)
		die("no memory");
	if (start > mem)
		munmap(mem, (size_t)(start - mem));
	munmap(start + len, (size_t)(mem + len - start));

	return start;
}

struct ring *ring_open(struct vfn_blk *blk)
{
	struct ring *r = aligned_alloc(128, (sizeof(*r) + 127) / 128 * 128);
	struct vfn_blk_queue *q = vfn_blk_get_queue(blk);
	struct nvme_ctrl *ctrl = rig_ctrl(blk);

	if (!r || !q)
		die("no memory, or no queue");
	memset(r, 0, sizeof(*r));

	r->ctrl = ctrl;
	r->q = q;
	r->sq = q->sq;
	r->cq = q->sq->cq;
	r->sqes = r->sq->mem.vaddr;
	r->cqes = r->cq->mem.vaddr;
	r->dev_phase = 1;
	real[r->sq->id] = (struct real_doorbells){ r->sq->doorbell, r->cq->doorbell };
	r->sq->doorbell = &r->doorbells.sq;
	r->cq->doorbell = &r->doorbells.cq;

	r->mem = get_memory(MEM_BYTES);
	r->contexts = calloc(DEPTH_MAX, CONTEXT_BYTES);
	if (!r->contexts || iommu_map_vaddr(__iommu_ctx(ctrl), r->mem, MEM_BYTES, &r->iova, 0))
		die("the memory cannot be mapped");
	if (vfn_nvme_io_prep(&r->io, ctrl, OP_READ, NSID, BLOCK_SHIFT))
		die("no prepared command");
	r->bound = bound_new(r);
	if (!r->bound)
		die("no memory");
	ring_set(r, 512, false);

	return r;
}

void ring_close(struct ring *r)
{
	int id = r->sq->id;

	ring_set(r, 512, false);
	r->sq->doorbell = real[id].sq;
	r->cq->doorbell = real[id].cq;
	free(r->bound);
	vfn_blk_put_queue(r->q);
	iommu_unmap_vaddr(__iommu_ctx(r->ctrl), r->mem, NULL);
	munmap(r->mem, MEM_BYTES);
	free(r->contexts);
	free(r);
}

void ring_set(struct ring *r, size_t len, bool shadow)
{
	struct doorbells *d = &r->doorbells;

	r->len = len;
	r->nlb = (uint32_t)(len >> BLOCK_SHIFT);

	/* whoever looks is told where the queues are; event indexes stay behind: it polls */
	d->sq = d->shadow_sq = r->sq->ptail;
	d->cq = d->shadow_cq = r->cq->phead;
	r->tail_word = shadow ? &d->shadow_sq : &d->sq;
	r->head_word = shadow ? &d->shadow_cq : &d->cq;
	r->sq->dbbuf = shadow ? (struct nvme_dbbuf){ &d->shadow_sq, &d->event_sq } :
				(struct nvme_dbbuf){};
	r->cq->dbbuf = shadow ? (struct nvme_dbbuf){ &d->shadow_cq, &d->event_cq } :
				(struct nvme_dbbuf){};
}
