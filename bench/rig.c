// SPDX-License-Identifier: GPL-2.0-or-later
/* Brings a controller of the fake kernel up, and puts plain memory where its doorbells were. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

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

void rig_start(struct nvme_ctrl *ctrl)
{
	const struct emu_nvme_opts opts = { .sgls = 1, .mqes = 65536 };

	emu_init();
	controller = emu_nvme_add(&opts);
	memset(ctrl, 0, sizeof(*ctrl));
	if (nvme_init(ctrl, EMU_BDF, NULL))
		die("the controller does not come up");
}

void rig_stop(struct nvme_ctrl *ctrl)
{
	nvme_close(ctrl);
	emu_fini();
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

struct ring *ring_open(struct nvme_ctrl *ctrl, int id)
{
	struct ring *r = aligned_alloc(128, (sizeof(*r) + 127) / 128 * 128);

	if (!r)
		die("no memory");
	memset(r, 0, sizeof(*r));
	if (nvme_create_ioqpair(ctrl, id, QUEUE_ENTRIES, -1, 0))
		die("no queue pair");

	r->ctrl = ctrl;
	r->sq = &ctrl->sq[id];
	r->cq = &ctrl->cq[id];
	r->sqes = r->sq->mem.vaddr;
	r->cqes = r->cq->mem.vaddr;
	r->dev_phase = 1;
	real[id] = (struct real_doorbells){ r->sq->doorbell, r->cq->doorbell };
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
