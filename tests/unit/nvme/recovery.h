/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of recovery share: what the library has ended, commands that do not end by themselves. */
#ifndef VFN_TESTS_UNIT_NVME_RECOVERY_H
#define VFN_TESTS_UNIT_NVME_RECOVERY_H

#include "machine.h"

#define LIMIT_MS 100
#define LIMIT (LIMIT_MS * MS)
#define OP_ABORT 8
#define STATUS_ABORT_REQUESTED 0x07
#define MAX_ENDED 64

/* What the library has ended. */
struct told {
	int n;
	struct nvme_rq *rq[MAX_ENDED];
	unsigned int status[MAX_ENDED];
	void *opaque[MAX_ENDED];
};

static inline unsigned int status_of(struct nvme_cqe *cqe)
{
	return le16_to_cpu(cqe->sfp) >> 1;
}

static inline void complete(struct nvme_rq *rq, struct nvme_cqe *cqe, void *opaque)
{
	struct told *told = opaque;

	assert_in_range(told->n, 0, MAX_ENDED - 1);
	assert_int_equal(cqe->cid & ~NVME_CID_AER, rq->cid);
	assert_int_equal(le16_to_cpu(cqe->sqid), rq->sq->id);
	told->rq[told->n] = rq;
	told->opaque[told->n] = rq->opaque;
	told->status[told->n++] = status_of(cqe);
	nvme_rq_release(rq);
}

static inline int check_told(struct machine *m, struct told *told)
{
	return vfn_nvme_check_timeouts(&m->ctrl, &(struct vfn_nvme_recovery){
							 .complete = complete,
							 .opaque = told,
						 });
}

static inline void start_with(struct machine *m, const struct emu_nvme_opts *opts)
{
	start_pair(m, opts, 16);
	vfn_nvme_set_timeout(&m->ctrl, LIMIT_MS);
}

static inline void lose(struct machine *m, int qid, int opcode, uint32_t count)
{
	emu_nvme_fault(m->nvme, &(struct emu_fault){
					.kind = EMU_LOSE,
					.qid = qid,
					.opcode = opcode,
					.count = count,
				});
}

static inline void delay(struct machine *m, int qid, int opcode, uint64_t ns)
{
	emu_nvme_fault(m->nvme, &(struct emu_fault){
					.kind = EMU_DELAY,
					.qid = qid,
					.opcode = opcode,
					.delay_ns = ns,
					.count = UINT32_MAX,
				});
}

static inline uint32_t aborts(struct machine *m)
{
	return emu_nvme_stats(m->nvme).admin[OP_ABORT];
}

/* The next completion, with its request. */
static inline struct nvme_rq *reap(struct machine *m, unsigned int *status)
{
	struct nvme_cqe *cqe = nvme_cq_get_cqe(m->cq);
	struct nvme_rq *rq;

	assert_non_null(cqe);
	*status = status_of(cqe);
	rq = nvme_rq_from_cqe(&m->ctrl, cqe);
	nvme_cq_update_head(m->cq);

	return rq;
}

#endif /* VFN_TESTS_UNIT_NVME_RECOVERY_H */
