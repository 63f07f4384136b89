// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests and completions, by both kinds of calls, against a model: two submission
 * queues, one completion queue, and a device that completes what it was given, or
 * anything else. Which request completes, and when, must be what the model says.
 *
 * Q3, Q4, Q5, Q6
 */
#include "fuzz.h"

#include <errno.h>

#include <vfn/nvme.h>
#include <vfn/nvme/io.h>

#include "emu.h"

#define QUEUES 2U
#define DEPTH 18U

/* The linker puts these around the fake kernel's doorbells. */
void __real_vfn_mmio_hook_write32(void *addr, uint32_t val);
void __wrap_vfn_mmio_hook_write32(void *addr, uint32_t val);

static struct nvme_ctrl ctrl;
static struct iommu_dmabuf buffer;
static struct nvme_sq *sqs[QUEUES];
static struct nvme_cq *cq;

/* What the host should believe. */
static struct request {
	unsigned int state;
	void *opaque;
} model[QUEUES][DEPTH];
static uintptr_t last_opaque;

/* What the device has: commands, where it writes next, and what the host has not taken. */
static struct {
	bool has[QUEUES][DEPTH], honest;
	unsigned int sq_head[QUEUES], tail, head, phase, n;
	uint32_t serial;
	struct nvme_cqe posted[DEPTH];
	/* posts at the next doorbell of a submission queue */
	struct input *script;
} dev;

/* ---- the device ---- */

static void write_entry(struct nvme_cqe cqe, unsigned int phase)
{
	cqe.sfp = cpu_to_le16((uint16_t)((le16_to_cpu(cqe.sfp) & ~1u) | phase));
	((struct nvme_cqe *)cq->mem.vaddr)[dev.tail] = cqe;
}

static void post(struct nvme_cqe cqe)
{
	unsigned int next = (dev.tail + 1) % (unsigned int)cq->qsize;

	if (next == dev.head)
		return;

	cqe.dw0 = cpu_to_le32(++dev.serial);
	write_entry(cqe, dev.phase);
	dev.posted[dev.n++] = cqe;
	dev.tail = next;
	dev.phase ^= !next;
}

/* The one after @nth of the commands that it has. */
static void complete(unsigned int nth, uint16_t status)
{
	struct nvme_cqe cqe = { .sfp = cpu_to_le16((uint16_t)(status << 1)) };

	for (unsigned int i = 0; i < QUEUES * DEPTH; i++) {
		unsigned int at = (nth + i) % (QUEUES * DEPTH);

		if (!dev.has[at / DEPTH][at % DEPTH])
			continue;
		if ((dev.tail + 1) % (unsigned int)cq->qsize != dev.head)
			dev.has[at / DEPTH][at % DEPTH] = false;
		cqe.sqid = cpu_to_le16((uint16_t)(1 + at / DEPTH));
		cqe.cid = (uint16_t)(at % DEPTH);
		post(cqe);
		return;
	}
}

static void act(struct input *in)
{
	unsigned int what = take_to(in, 7), nth;
	struct nvme_cqe cqe = {};

	if (what < 5) {
		nth = take_to(in, 255);
		complete(nth, (uint16_t)(what ? 0 : take(in, 2)));
		return;
	}

	cqe.sqid = cpu_to_le16((uint16_t)(what == 5 ? take_to(in, 3) : take(in, 2)));
	cqe.cid = (uint16_t)(what == 6 ? take(in, 2) : take_to(in, DEPTH));
	cqe.sfp = cpu_to_le16((uint16_t)take(in, 2));
	if (what == 7 && take_to(in, 1)) {
		/* still the old phase: it is not there */
		write_entry(cqe, !dev.phase);
	} else {
		dev.honest = false;
		post(cqe);
	}
}

static void fetch(unsigned int q, uint32_t tail)
{
	const struct nvme_sq *sq = sqs[q];

	require(tail < (unsigned int)sq->qsize);
	while (dev.sq_head[q] != tail) {
		union nvme_cmd *cmd = (union nvme_cmd *)sq->mem.vaddr + dev.sq_head[q];

		require(cmd->cid < sq->qsize - 1);
		require(!dev.honest || !dev.has[q][cmd->cid]);
		dev.has[q][cmd->cid] = true;
		dev.sq_head[q] = (dev.sq_head[q] + 1) % (unsigned int)sq->qsize;
	}

	for (unsigned int n = dev.script ? take_to(dev.script, 7) : 0; n; n--)
		act(dev.script);
}

void __wrap_vfn_mmio_hook_write32(void *addr, uint32_t val)
{
	for (unsigned int q = 0; q < QUEUES; q++)
		if (sqs[q] && addr == sqs[q]->doorbell) {
			fetch(q, val);
			return;
		}

	if (!cq || addr != cq->doorbell) {
		__real_vfn_mmio_hook_write32(addr, val);
		return;
	}

	/* not beyond what was posted */
	require(val < (unsigned int)cq->qsize);
	require((val + (unsigned int)cq->qsize - dev.head) % (unsigned int)cq->qsize <=
		(dev.tail + (unsigned int)cq->qsize - dev.head) % (unsigned int)cq->qsize);
	dev.head = val;
}

/* ---- the model ---- */

static struct request *of(const struct nvme_rq *rq)
{
	return &model[rq->sq->id - 1][rq->cid];
}

/* The model's request of a completion, or NULL; of no queue of ours, or of no request. */
static struct request *addressed(const struct nvme_cqe *cqe)
{
	unsigned int q = le16_to_cpu(cqe->sqid) - 1u;

	return q < QUEUES && cqe->cid < sqs[q]->qsize - 1 ? &model[q][cqe->cid] : NULL;
}

/* Whether it names a request of the admin queue, all of which are free here. */
static bool of_admin(const struct nvme_cqe *cqe)
{
	return !le16_to_cpu(cqe->sqid) && (cqe->cid & ~NVME_CID_AER) < ctrl.adminq.sq->qsize - 1;
}

/* What becomes of it when its completion is looked at: whether the caller gets it. */
static bool deliver(struct request *r)
{
	if (!r || r->state == VFN_NVME_RQ_FREE)
		return false;
	if (r->state == VFN_NVME_RQ_ABANDONED) {
		r->state = VFN_NVME_RQ_FREE;
		return false;
	}
	r->state = VFN_NVME_RQ_TAKEN;

	return true;
}

static struct nvme_cqe take_posted(unsigned int i)
{
	struct nvme_cqe cqe = dev.posted[i];

	dev.n--;
	memmove(&dev.posted[i], &dev.posted[i + 1], (dev.n - i) * sizeof(cqe));

	return cqe;
}

static bool same(const struct nvme_cqe *a, const struct nvme_cqe *b)
{
	return a->dw0 == b->dw0 && a->cid == b->cid && a->sqid == b->sqid &&
	       !((le16_to_cpu(a->sfp) ^ le16_to_cpu(b->sfp)) & ~1);
}

/* ---- the host ---- */

static unsigned int count_free(unsigned int q)
{
	unsigned int n = 0;

	for (int i = 0; i < sqs[q]->qsize - 1; i++)
		n += model[q][i].state == VFN_NVME_RQ_FREE;

	return n;
}

static void release(struct nvme_rq *rq)
{
	struct request *r = of(rq);

	nvme_rq_release(rq);
	r->state = r->state == VFN_NVME_RQ_TAKEN ? VFN_NVME_RQ_FREE : VFN_NVME_RQ_ABANDONED;
}

static void acquire(unsigned int q, bool send, bool ring)
{
	union nvme_cmd cmd = { .opcode = 1 };
	struct nvme_rq *rq = nvme_rq_acquire(sqs[q]);

	require(rq ? of(rq)->state == VFN_NVME_RQ_FREE : errno == EBUSY && !count_free(q));
	if (!rq)
		return;

	of(rq)->state = VFN_NVME_RQ_TAKEN;
	of(rq)->opaque = rq->opaque = (void *)++last_opaque;
	if (send)
		nvme_rq_post(rq, &cmd);
	else
		release(rq);
	if (ring)
		nvme_sq_update_tail(sqs[q]);
}

static void submit(unsigned int q, struct vfn_nvme_io *io, uint32_t nlb)
{
	struct nvme_sq *sq = sqs[q];
	union nvme_cmd *cmd = (union nvme_cmd *)sq->mem.vaddr + sq->tail;
	int ret = vfn_nvme_io_submit(sq, io, last_opaque + 1, nlb, buffer.vaddr,
				     (void *)(last_opaque + 1));

	require(ret ? errno == EBUSY && !count_free(q) : cmd->cid < sq->qsize - 1);
	if (ret)
		return;

	require(model[q][cmd->cid].state == VFN_NVME_RQ_FREE);
	require(le64_to_cpu(cmd->rw.slba) == ++last_opaque);
	require(le64_to_cpu(cmd->dptr.prp1) == buffer.iova);
	model[q][cmd->cid] = (struct request){ VFN_NVME_RQ_TAKEN, (void *)last_opaque };
}

static void poll(unsigned int q, int max)
{
	struct vfn_nvme_done done[DEPTH];
	int n = vfn_nvme_io_poll(sqs[q], done, max), i = 0;

	while (i < max && dev.n) {
		struct nvme_cqe cqe = take_posted(0);
		struct request *r = addressed(&cqe);

		if (!deliver(r))
			continue;
		require(i < n && done[i].opaque == r->opaque && same(&done[i].cqe, &cqe));
		r->state = VFN_NVME_RQ_FREE;
		i++;
	}
	require(n == i && sqs[q]->tail == sqs[q]->ptail);
	/* of what was consumed, the controller may have to hear of a quarter of the queue later */
	require((cq->head + cq->qsize - (int)dev.head) % cq->qsize <= cq->qsize / 4);
}

/* What belongs to it, and back with it. */
static void take_request(struct nvme_cqe *cqe)
{
	struct request *r = addressed(cqe);
	struct nvme_rq *rq = nvme_rq_from_cqe(&ctrl, cqe);

	require(!!rq == deliver(r));
	require(rq || errno == (r || of_admin(cqe) ? ECANCELED : EINVAL));
	if (rq) {
		require(of(rq) == r && rq->opaque == r->opaque);
		release(rq);
	}
}

static void get(bool ring)
{
	struct nvme_cqe *cqe = nvme_cq_get_cqe(cq), wanted;

	require(!cqe == !dev.n);
	if (cqe) {
		wanted = take_posted(0);
		require(same(cqe, &wanted));
		take_request(cqe);
	}
	if (ring)
		nvme_cq_update_head(cq);
}

static void get_many(int n)
{
	struct nvme_cqe cqes[DEPTH], wanted;
	struct timespec now = {};
	int got = nvme_cq_wait_cqes(cq, cqes, n, &now);

	require(got == (n < (int)dev.n ? n : (int)dev.n));
	for (int i = 0; i < got; i++) {
		wanted = take_posted(0);
		require(same(&cqes[i], &wanted));
		take_request(&cqes[i]);
	}
}

/* A request that the host has, whatever it waits for; one look at the queue. */
static void wait_once(unsigned int q, unsigned int cid, bool give_up)
{
	struct nvme_rq *rq = &sqs[q]->rqs[cid];
	struct nvme_cqe got, wanted;
	struct timespec now = {};
	struct request *r = NULL;
	int ret, err = ETIMEDOUT;

	if (of(rq)->state != VFN_NVME_RQ_TAKEN && of(rq)->state != VFN_NVME_RQ_LATE)
		return;

	ret = nvme_rq_wait(rq, &got, &now);
	if (dev.n) {
		wanted = take_posted(0);
		r = addressed(&wanted);
		if (deliver(r))
			err = r == of(rq) ? (le16_to_cpu(wanted.sfp) >> 1 ? EIO : 0) : EAGAIN;
		else if (!r && !of_admin(&wanted))
			err = EAGAIN;
	}
	require(ret ? errno == err : !err);
	require((err != 0 && err != EIO && err != EAGAIN) || same(&got, &wanted));

	if (err == ETIMEDOUT)
		of(rq)->state = VFN_NVME_RQ_LATE;
	else if (err == EAGAIN && r && r->state == VFN_NVME_RQ_TAKEN)
		release(&sqs[(r - model[0]) / DEPTH]->rqs[(r - model[0]) % DEPTH]);
	if (err == 0 || err == EIO || (err == ETIMEDOUT && give_up))
		release(rq);
}

/* Whose a completion is that somebody waits for out of turn: drops what is nobody's. */
static bool look_for(const struct request *mine, struct nvme_cqe *found)
{
	for (unsigned int i = 0; i < dev.n;) {
		struct request *r = addressed(&dev.posted[i]);

		if (r == mine) {
			*found = take_posted(i);
			return true;
		}
		if (r ? r->state != VFN_NVME_RQ_ABANDONED : of_admin(&dev.posted[i])) {
			i++;
			continue;
		}
		(void)take_posted(i);
		(void)deliver(r);
	}

	return false;
}

static void sync_one(unsigned int q, struct input *in)
{
	union nvme_cmd cmd = { .opcode = 1 };
	const struct nvme_rq *rq = sqs[q]->rq_top;
	struct request *mine = rq ? of(rq) : NULL;
	struct nvme_cqe got, wanted, more;
	int ret, err = EBUSY;

	/* what is there before it is sent goes first, then the device acts */
	if (mine) {
		while (look_for(mine, &wanted))
			;
		mine->state = VFN_NVME_RQ_TAKEN;
	}
	dev.script = in;
	ret = nvme_sync(&ctrl, sqs[q], &cmd, NULL, 0, &got);
	dev.script = NULL;

	if (mine) {
		err = !look_for(mine, &wanted) ? ETIMEDOUT : le16_to_cpu(wanted.sfp) >> 1 ? EIO : 0;
		mine->state = err == ETIMEDOUT ? VFN_NVME_RQ_ABANDONED : VFN_NVME_RQ_FREE;
		require((err != 0 && err != EIO) || same(&got, &wanted));
		while (err != ETIMEDOUT && look_for(mine, &more))
			;
	}
	require(ret ? errno == err : !err);
}

/* ---- a run ---- */

static void start(void)
{
	struct nvme_ctrl_opts opts = { .nsqr = QUEUES, .ncqr = 1 };

	emu_init();
	emu_iommu()->no_iommufd = true;
	emu_nvme_add(&(struct emu_nvme_opts){ .no_ns = true, .mqes = DEPTH });
	require(!nvme_init(&ctrl, EMU_BDF, &opts));
	require(!iommu_get_dmabuf(__iommu_ctx(&ctrl), &buffer, 8 * 4096, 0));
	vfn_nvme_set_timeout(&ctrl, 1);
}

static void step(struct input *in, struct vfn_nvme_io *io)
{
	unsigned int what = take_to(in, 15), q = what & 1, n = take_to(in, 255);

	switch (what / 2) {
	case 0:
		acquire(q, n & 1, n & 2);
		break;
	case 1:
		submit(q, io, 1 + n % 64);
		break;
	case 2:
		poll(q, (int)(n % (DEPTH + 1)));
		break;
	case 3:
		get(q);
		break;
	case 4:
		wait_once(q, n % (unsigned int)(sqs[q]->qsize - 1), n & 128);
		break;
	case 5:
		if (n & 1)
			sync_one(q, in);
		else
			get_many((int)(n % DEPTH));
		break;
	default:
		act(in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + (size < 512 ? size : 512) };
	struct vfn_nvme_io io;
	struct emu_usage before;

	if (!ctrl.regs)
		start();

	before = emu_usage();
	require(!nvme_configure_cq(&ctrl, 1, 2 + (int)take_to(&in, DEPTH - 2), -1));
	cq = &ctrl.cq[1];
	for (unsigned int q = 0; q < QUEUES; q++) {
		require(!nvme_configure_sq(&ctrl, 1 + (int)q, 2 + (int)take_to(&in, DEPTH - 2), cq,
					   0));
		sqs[q] = &ctrl.sq[1 + q];
		for (unsigned int i = 0; i < DEPTH; i++)
			model[q][i] = (struct request){ .state = VFN_NVME_RQ_FREE };
	}
	memset(&dev, 0, sizeof(dev));
	dev.phase = 1;
	dev.honest = true;
	require(!vfn_nvme_io_prep(&io, &ctrl, 2, 1, 9));

	while (left(&in))
		step(&in, &io);

	/* who is free is what the model says, each once */
	for (unsigned int q = 0; q < QUEUES; q++) {
		unsigned int n = count_free(q);

		for (const struct nvme_rq *rq = sqs[q]->rq_top; rq; rq = rq->rq_next)
			require(n-- && of(rq)->state == VFN_NVME_RQ_FREE);
		require(!n);
		nvme_discard_sq(&ctrl, sqs[q]);
		sqs[q] = NULL;
	}
	nvme_discard_cq(&ctrl, cq);
	cq = NULL;
	emu_assert_usage(&before);

	return 0;
}
