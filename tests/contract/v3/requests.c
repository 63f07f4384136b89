// SPDX-License-Identifier: GPL-2.0-or-later
/* The slides on requests: from acquire to release, and how these work inside. */
#include "slides.h"

/* clang-format off */
static struct nvme_rq *acquire(struct nvme_sq *sq)
{
struct nvme_rq *rq = sq->rq_top;
if (!rq) {
    errno = EBUSY;
    return NULL;
}

sq->rq_top = rq->rq_next;

return rq;
}

static struct nvme_rq *acquire_atomic(struct nvme_sq *sq)
{
struct nvme_rq *rq = load_acquire(&sq->rq_top);

while (rq && !cmpxchg(&sq->rq_top, rq, rq->rq_next))
    ;

if (!rq)
    errno = EBUSY;

return rq;
}

static void release(struct nvme_rq *rq)
{
struct nvme_sq *sq = rq->sq;

nvme_rq_reset(rq);

rq->rq_next = sq->rq_top;
sq->rq_top = rq;
}

static void release_atomic(struct nvme_rq *rq)
{
struct nvme_sq *sq = rq->sq;

nvme_rq_reset(rq);

rq->rq_next = load_acquire(&sq->rq_top);

while (!cmpxchg(&sq->rq_top, rq->rq_next, rq))
    ;
}

static void one_command(struct nvme_sq *sq, struct nvme_cq *cq, union nvme_cmd *cmd)
{
struct nvme_rq *rq;
struct nvme_cqe *cqe;

rq = nvme_rq_acquire(sq);
nvme_rq_exec(rq, cmd);
nvme_cq_spin(cq);

cqe = nvme_cq_get_cqe(cq);
rq = nvme_rq_from_cqe(cqe);

nvme_rq_release(rq);

nvme_cq_update_head(cq);
}
/* clang-format on */

int main(void)
{
	union nvme_cmd cmd = { .opcode = nvme_cmd_flush, .nsid = cpu_to_le32(1) };
	struct nvme_ctrl ctrl = {};
	struct nvme_rq *first;
	struct nvme_cqe none = { .cid = 0 };
	const void *sqe = &cmd;

	check(!nvme_rq_from_cqe(&none) && errno == EINVAL);
	check(!nvme_init(&ctrl, "0000:01:00.0", NULL));
	check(!nvme_create_ioqpair(&ctrl, 1, 4, -1, 0));
	first = ctrl.sq[1].rq_top;

	for (int i = 0; i < 10; i++)
		one_command(&ctrl.sq[1], &ctrl.cq[1], &cmd);
	check(ctrl.sq[1].rq_top == first);

	for (int i = 0; i < 2; i++) {
		struct nvme_rq *rqs[4];

		for (int n = 0; n < 4; n++)
			rqs[n] = i ? acquire_atomic(&ctrl.sq[1]) : acquire(&ctrl.sq[1]);
		check(rqs[0] == first && rqs[2] && !rqs[3] && errno == EBUSY);
		for (int n = 2; n >= 0; n--)
			i ? release_atomic(rqs[n]) : release(rqs[n]);
		check(ctrl.sq[1].rq_top == first);
	}

	/* level one, with the types of the slides */
	nvme_sq_post(&ctrl.sq[1], sqe);
	nvme_sq_update_tail(&ctrl.sq[1]);
	nvme_cq_spin(&ctrl.cq[1]);
	check(nvme_cqe_ok(nvme_cq_get_cqe(&ctrl.cq[1])));
	nvme_cq_update_head(&ctrl.cq[1]);

	nvme_close(&ctrl);

	return 0;
}
