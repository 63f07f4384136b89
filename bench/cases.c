// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is measured: the ways to read, each as a pair of functions of its own that the
 * counters find by name. All submit the same @depth reads; what the loops themselves
 * cost is in the pair that does nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "ring.h"

typedef void submit_fn(struct ring *r, unsigned int i, uint64_t slba, char *buf, void *opaque);
typedef void tell_fn(struct ring *r);

/* Inlined with its functions, so that each case is a loop without calls but its own. */
static inline __attribute__((always_inline)) void
submit_round(struct ring *r, unsigned int depth, bool each, submit_fn *submit, tell_fn *tell)
{
	uint64_t slba = ring_slba(r, 0);
	size_t offset = 0;
	char *context = r->contexts;

	for (unsigned int i = 0; i < depth; i++) {
		submit(r, i, slba, r->mem + offset, context);
		if (each)
			tell(r);
		slba += r->nlb;
		offset = (offset + r->len) & (MEM_BYTES - 1);
		context += CONTEXT_BYTES;
	}
	if (!each)
		tell(r);
}

#define SUBMIT(name, submit, tell) \
	static __attribute__((noinline)) void measured_submit_##name(struct ring *r, \
								     unsigned int depth, \
								     bool each) \
	{ \
		if (each) \
			submit_round(r, depth, true, submit, tell); \
		else \
			submit_round(r, depth, false, submit, tell); \
	}

static inline void tell_queue(struct ring *r)
{
	nvme_sq_update_tail(r->sq);
}

static inline void tell_nobody(struct ring *r)
{
}

/* ---- nothing ---- */

static inline void submit_nothing(struct ring *r, unsigned int i, uint64_t slba, char *buf,
				  void *opaque)
{
	__asm__ __volatile__("" ::"r"(slba), "r"(buf), "r"(opaque));
}

/* What a call leaves undefined: a loop around one keeps its own state elsewhere, whatever is called. */
#ifdef __x86_64__
#define CALLED "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory"
#else
#define CALLED \
	"x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", \
		"x14", "x15", "x16", "x17", "x30", "memory"
#endif

static inline void submit_called(struct ring *r, unsigned int i, uint64_t slba, char *buf,
				 void *opaque)
{
	__asm__ __volatile__("" ::"r"(slba), "r"(buf), "r"(opaque));
	__asm__ __volatile__("" ::: CALLED);
}

SUBMIT(nothing, submit_nothing, tell_nobody)
SUBMIT(nothing_called, submit_called, tell_nobody)

static __attribute__((noinline)) void measured_complete_nothing(struct ring *r, unsigned int depth)
{
	for (unsigned int i = 0; i < depth; i++) {
		__asm__ __volatile__("");
		r->done[i].opaque = r;
	}
}

static __attribute__((noinline)) void measured_complete_nothing_called(struct ring *r,
								       unsigned int depth)
{
	unsigned int n = 0;

	while (n < depth) {
		unsigned int more = depth - n;

		__asm__ __volatile__("" : "+r"(more) : "r"(r->done + n));
		__asm__ __volatile__("" ::: CALLED);
		n += more;
	}
}

/* ---- the lower bound ---- */

static inline void submit_bound(struct ring *r, unsigned int i, uint64_t slba, char *buf,
				void *opaque)
{
	bound_submit(r->bound, slba, r->nlb, buf, opaque);
}

static inline void tell_bound(struct ring *r)
{
	bound_ring(r->bound);
}

SUBMIT(bound, submit_bound, tell_bound)

static __attribute__((noinline)) void measured_complete_bound(struct ring *r, unsigned int depth)
{
	unsigned int n = 0;

	while (n < depth)
		n += (unsigned int)bound_poll(r->bound, r->done + n, (int)(depth - n));
}

static int prepare_bound(struct ring *r)
{
	bound_take(r->bound, r);
	return 0;
}

static void finish_bound(struct ring *r)
{
	bound_give_back(r->bound, r);
}

/* ---- vfn_nvme_io ---- */

static inline void submit_io(struct ring *r, unsigned int i, uint64_t slba, char *buf, void *opaque)
{
	if (vfn_nvme_io_submit(r->sq, &r->io, slba, r->nlb, buf, opaque))
		abort();
}

SUBMIT(io, submit_io, tell_queue)

static __attribute__((noinline)) void measured_complete_io(struct ring *r, unsigned int depth)
{
	unsigned int n = 0;

	while (n < depth)
		n += (unsigned int)vfn_nvme_io_poll(r->sq, r->done + n, (int)(depth - n));
}

/* ---- level one, whose caller has identifiers and PRPs of its own ---- */

static inline void submit_level1(struct ring *r, unsigned int i, uint64_t slba, char *buf,
				 void *opaque)
{
	union nvme_cmd *cmd = &r->cmds[i];

	cmd->rw.slba = cpu_to_le64(slba);
	r->opaques[cmd->cid] = opaque;
	nvme_sq_post(r->sq, cmd);
}

SUBMIT(level1, submit_level1, tell_queue)

static __attribute__((noinline)) void measured_complete_level1(struct ring *r, unsigned int depth)
{
	for (unsigned int i = 0; i < depth; i++) {
		struct nvme_cqe *cqe;

		while (!(cqe = nvme_cq_get_cqe(r->cq)))
			;
		r->done[i].opaque = r->opaques[cqe->cid];
	}
	nvme_cq_update_head(r->cq);
}

static int prepare_level1(struct ring *r)
{
	for (unsigned int i = 0; i < DEPTH_MAX; i++) {
		union nvme_cmd *cmd = &r->cmds[i];
		struct nvme_rq *rq = nvme_rq_acquire(r->sq);

		if (!rq)
			return -1;
		r->rqs[i] = rq;
		*cmd = (union nvme_cmd){ .opcode = OP_READ };
		cmd->nsid = cpu_to_le32(NSID);
		cmd->rw.nlb = cpu_to_le16((uint16_t)(r->nlb - 1));
		nvme_rq_prep_cmd(rq, cmd);
		if (nvme_rq_map_prp(r->ctrl, rq, cmd, r->iova + (iova_t)(ring_buf(r, i) - r->mem),
				    r->len))
			return -1;
	}

	return 0;
}

static void finish_level1(struct ring *r)
{
	for (unsigned int i = DEPTH_MAX; i--;)
		nvme_rq_release(r->rqs[i]);
}

/* ---- level two ---- */

enum data {
	BY_IOVA,
	BY_VADDR,
	BY_SGL
};

static inline __attribute__((always_inline)) void
submit_level2(struct ring *r, uint64_t slba, char *buf, void *opaque, enum data data)
{
	struct nvme_rq *rq = nvme_rq_acquire(r->sq);
	union nvme_cmd cmd = { .opcode = OP_READ };
	struct iovec iov = { .iov_base = buf, .iov_len = r->len };
	int ret;

	rq->opaque = opaque;
	cmd.nsid = cpu_to_le32(NSID);
	cmd.rw.slba = cpu_to_le64(slba);
	cmd.rw.nlb = cpu_to_le16((uint16_t)(r->nlb - 1));
	if (data == BY_IOVA)
		ret = nvme_rq_map_prp(r->ctrl, rq, &cmd, r->iova + (iova_t)(buf - r->mem), r->len);
	else if (data == BY_VADDR)
		ret = nvme_rq_mapv_prp(r->ctrl, rq, &cmd, &iov, 1);
	else
		ret = nvme_rq_mapv_sgl(r->ctrl, rq, &cmd, &iov, 1);
	if (ret)
		abort();
	nvme_rq_post(rq, &cmd);
}

static inline void submit_iova(struct ring *r, unsigned int i, uint64_t slba, char *buf,
			       void *opaque)
{
	submit_level2(r, slba, buf, opaque, BY_IOVA);
}

static inline void submit_vaddr(struct ring *r, unsigned int i, uint64_t slba, char *buf,
				void *opaque)
{
	submit_level2(r, slba, buf, opaque, BY_VADDR);
}

static inline void submit_sgl(struct ring *r, unsigned int i, uint64_t slba, char *buf,
			      void *opaque)
{
	submit_level2(r, slba, buf, opaque, BY_SGL);
}

SUBMIT(iova, submit_iova, tell_queue)
SUBMIT(vaddr, submit_vaddr, tell_queue)
SUBMIT(sgl, submit_sgl, tell_queue)

static __attribute__((noinline)) void measured_complete_level2(struct ring *r, unsigned int depth)
{
	for (unsigned int i = 0; i < depth; i++) {
		struct nvme_cqe *cqe;
		struct nvme_rq *rq;

		while (!(cqe = nvme_cq_get_cqe(r->cq)))
			;
		rq = nvme_rq_from_cqe(r->ctrl, cqe);
		r->done[i].opaque = rq->opaque;
		nvme_rq_release(rq);
	}
	nvme_cq_update_head(r->cq);
}

/* ---- a request of the block API ---- */

static inline void submit_blk(struct ring *r, unsigned int i, uint64_t slba, char *buf,
			      void *opaque)
{
	if (vfn_blk_submit(r->q, &r->reqs[i]))
		abort();
}

SUBMIT(blk, submit_blk, tell_queue)

static __attribute__((noinline)) void measured_complete_blk(struct ring *r, unsigned int depth)
{
	unsigned int n = 0;

	while (n < depth)
		n += (unsigned int)vfn_blk_wait(r->q, r->ended + n, 1, (int)(depth - n), -1);
}

static int prepare_blk(struct ring *r)
{
	for (unsigned int i = 0; i < DEPTH_MAX; i++)
		r->reqs[i] = (struct vfn_blk_req){
			.op = VFN_BLK_READ,
			.lba = ring_slba(r, i),
			.nlb = r->nlb,
			.buf = ring_buf(r, i),
			.opaque = ring_context(r, i),
		};

	return 0;
}

#define IDLE(submit, complete) \
	.idle_submit = measured_submit_##submit, .idle_complete = measured_complete_##complete

const struct bench_case bench_cases[] = {
	{ "bound", "lower bound by hand", measured_submit_bound, measured_complete_bound,
	  IDLE(nothing_called, nothing_called), prepare_bound, finish_bound, .no_shadow = true },
	{ "io", "vfn_nvme_io_submit, vfn_nvme_io_poll", measured_submit_io, measured_complete_io,
	  IDLE(nothing_called, nothing_called) },
	{ "blk", "vfn_blk_submit, vfn_blk_wait", measured_submit_blk, measured_complete_blk,
	  IDLE(nothing_called, nothing_called), prepare_blk, .by_request = true },
	{ "level1", "level one: nvme_sq_post, PRPs kept", measured_submit_level1,
	  measured_complete_level1, IDLE(nothing, nothing), prepare_level1, finish_level1 },
	{ "iova", "level two by IOVA: nvme_rq_map_prp", measured_submit_iova,
	  measured_complete_level2, IDLE(nothing_called, nothing) },
	{ "vaddr", "level two: nvme_rq_mapv_prp", measured_submit_vaddr, measured_complete_level2,
	  IDLE(nothing_called, nothing) },
	{ "sgl", "level two, SGL: nvme_rq_mapv_sgl", measured_submit_sgl, measured_complete_level2,
	  IDLE(nothing_called, nothing), .sgl = true },
};

const unsigned int bench_ncases = sizeof(bench_cases) / sizeof(bench_cases[0]);

const struct bench_case *bench_case(const char *name)
{
	for (unsigned int i = 0; i < bench_ncases; i++)
		if (!strcmp(bench_cases[i].name, name))
			return &bench_cases[i];

	abort();
}
