/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A queue pair whose doorbells are plain memory, and the cheapest controller that serves it in the same process. */
#ifndef VFN_BENCH_RING_H
#define VFN_BENCH_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vfn/blk.h>
#include <vfn/nvme.h>
#include <vfn/nvme/io.h>

#define DEPTH_MAX 128
#define QUEUE_ENTRIES 256
#define BLOCK_SHIFT 9
#define NSID 1
#define OP_READ 2

/* The part of memory that reads go to; a power of two, and aligned to its size. */
#define MEM_BYTES (32UL << 20)

/* Distance of the users' contexts, which nobody looks into. */
#define CONTEXT_BYTES 64

/* What the controller's side of the bus has: no lines of the driver's memory. */
struct doorbells {
	uint32_t sq, cq;
	uint32_t shadow_sq, shadow_cq;
	uint32_t event_sq, event_cq;
	/* written to be seen in a trace of accesses */
	uint32_t mark_window, mark_round, mark_row;
} __attribute__((aligned(128)));

struct ring {
	struct nvme_ctrl *ctrl;
	struct vfn_blk_queue *q;
	struct nvme_sq *sq;
	struct nvme_cq *cq;
	char *mem;
	iova_t iova;
	size_t len;
	uint32_t nlb;
	struct vfn_nvme_io io;
	struct bound *bound;
	char *contexts;
	struct vfn_nvme_done done[DEPTH_MAX];
	/* of the case whose PRPs are set once */
	union nvme_cmd cmds[DEPTH_MAX];
	struct nvme_rq *rqs[DEPTH_MAX];
	void *opaques[QUEUE_ENTRIES];
	/* of requests */
	struct vfn_blk_req reqs[DEPTH_MAX];
	struct vfn_blk_req *ended[DEPTH_MAX];

	/* the controller's */
	union nvme_cmd *sqes;
	struct nvme_cqe *cqes;
	volatile uint32_t *tail_word, *head_word;
	unsigned int dev_head, dev_tail, dev_phase;
	struct doorbells doorbells;
};

/* The parts of one I/O of a round, which always has the same addresses. */
static inline char *ring_buf(const struct ring *r, unsigned int i)
{
	return r->mem + ((i * r->len) & (MEM_BYTES - 1));
}

static inline uint64_t ring_slba(const struct ring *r, unsigned int i)
{
	return 0x123400000000 + (uint64_t)i * r->nlb;
}

static inline void *ring_context(const struct ring *r, unsigned int i)
{
	return r->contexts + (size_t)i * CONTEXT_BYTES;
}

/* Complete all there is in one go. */
void controller_serve(struct ring *r);

/* The same after a look at each command and at what it refers to; -1 after a line on stderr. */
int controller_verify(struct ring *r, const char *what, unsigned int depth, bool sgl);

/* A namespace of a controller of the fake kernel, with queues for two rings. */
struct vfn_blk *rig_start(void);
void rig_stop(struct vfn_blk *blk);
struct nvme_ctrl *rig_ctrl(struct vfn_blk *blk);
struct ring *ring_open(struct vfn_blk *blk);
void ring_close(struct ring *r);

/* Transfers of @len bytes from now on, shadow doorbells or registers. */
void ring_set(struct ring *r, size_t len, bool shadow);

/* What the controller reaches at an I/O virtual address. */
void *rig_reach(uint64_t iova);

/* ---- a hand-written driver that does no more than it must ---- */

struct bound *bound_new(struct ring *r);
void bound_take(struct bound *b, struct ring *r);
void bound_give_back(struct bound *b, struct ring *r);
void bound_submit(struct bound *b, uint64_t slba, uint32_t nlb, char *buf, void *opaque);
void bound_ring(struct bound *b);
int bound_poll(struct bound *b, struct vfn_nvme_done *done, int max);

/* ---- cases ---- */

struct bench_case {
	const char *name;
	const char *what;
	void (*submit)(struct ring *r, unsigned int depth, bool each);
	void (*complete)(struct ring *r, unsigned int depth);
	/* the loops alone */
	void (*idle_submit)(struct ring *r, unsigned int depth, bool each);
	void (*idle_complete)(struct ring *r, unsigned int depth);
	int (*prepare)(struct ring *r);
	void (*finish)(struct ring *r);
	bool sgl, no_shadow, by_request;
};

extern const struct bench_case bench_cases[];
extern const unsigned int bench_ncases;
const struct bench_case *bench_case(const char *name);

#endif /* VFN_BENCH_RING_H */
