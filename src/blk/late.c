// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Requests that do not end by themselves: called off, late, or of a controller that is lost. */
#include <errno.h>
#include <stdlib.h>

#include <vfn/support/mutex.h>

#include "blk/blk.h"
#include "nvme/nvme.h"
#include "os/os.h"
#include "support/error.h"

#define MS 1000000ULL

/* How often limits and the controller's status are looked at. */
#define LOOK_NS (10 * MS)

/* An abort should not take longer. */
#define ABORT_NS (5000 * MS)

/* The request of a command that is out, or NULL. */
static struct vfn_blk_req *owner(const struct nvme_rq *rq)
{
	if (rq->state != VFN_NVME_RQ_POSTED)
		return NULL;

	blk_fill_in(rq->opaque);

	return rq->opaque;
}

static int nrequests(const struct vfn_blk_queue *q)
{
	return q->sq->qsize - 1;
}

void blk_end_all(struct vfn_blk_queue *q, int err)
{
	struct vfn_blk_req *req;

	for (int i = 0; i < nrequests(q); i++) {
		struct nvme_rq *rq = &q->sq->rqs[i];

		req = owner(rq);
		if (!req)
			continue;
		nvme_rq_release(rq);
		blk_fail(q, req, err, VFN_NVME_STATUS_LOST);
		blk_end_piece(q, req, 0);
	}

	while ((req = q->waiting.first)) {
		blk_fail(q, req, err, VFN_NVME_STATUS_LOST);
		blk_end(q, req);
	}
}

static void lose(struct vfn_blk_queue *q, int err)
{
	__autolock(&q->dev->lock);

	blk_lose(q->dev, err);
}

/* Try to have the commands of a request end now. */
static void abort_pieces(struct vfn_blk_queue *q, struct vfn_blk_req *req)
{
	int err = 0;

	nvme_sq_update_tail(q->sq);
	req->priv.aborted = true;

	for (int i = 0; i < nrequests(q) && !err; i++) {
		union nvme_cmd cmd = {
			.opcode = ADMIN_ABORT,
			.cdw10 = cpu_to_le32((uint32_t)q->id | (uint32_t)i << 16),
		};

		if (owner(&q->sq->rqs[i]) != req)
			continue;

		__autolock(&q->dev->lock);

		/* that it cannot is no error */
		if (nvme_admin(&q->dev->ctrl, &cmd, NULL, 0, NULL) && errno != EIO)
			err = errno;
	}

	if (err)
		lose(q, err == ENODEV ? ENODEV : EIO);
}

static void call_off(struct vfn_blk_queue *q, struct vfn_blk_req *req, int reason)
{
	if (!req->priv.reason)
		req->priv.reason = reason;
	if (req->priv.left)
		blk_fail(q, req, req->priv.reason, 0);
	if (req->priv.pieces)
		abort_pieces(q, req);
	else
		blk_end(q, req);
}

static int delete_and_create(struct vfn_blk_queue *q)
{
	const int vector = q->event_fd >= 0 ? q->id : -1;
	struct nvme_ctrl *ctrl = &q->dev->ctrl;

	__autolock(&q->dev->lock);

	return nvme_delete_ioqpair(ctrl, q->id) ||
	       nvme_create_ioqpair(ctrl, q->id, (int)q->blk->info.depth, vector, 0);
}

/* An abort was not enough: everything that is out ends with its queue, which is made anew. */
static void renew(struct vfn_blk_queue *q)
{
	struct vfn_blk_req **owners =
		vfn_zalloc((size_t)nrequests(q) * sizeof(struct vfn_blk_req *));
	int n = 0;

	if (!owners) {
		lose(q, EIO);
		return;
	}

	for (int i = 0; i < nrequests(q); i++) {
		struct vfn_blk_req *req = owner(&q->sq->rqs[i]);

		if (req)
			owners[n++] = req;
	}

	if (delete_and_create(q)) {
		free(owners);
		lose(q, EIO);
		return;
	}

	for (int i = 0; i < n; i++) {
		struct vfn_blk_req *req = owners[i];

		blk_fail(q, req, req->priv.reason ? req->priv.reason : ECANCELED,
			 VFN_NVME_STATUS_ABORTED);
		blk_end_piece(q, req, 0);
	}
	free(owners);
}

static uint64_t limit_of(const struct vfn_blk_queue *q, const struct vfn_blk_req *req)
{
	return req->timeout_ms ? req->timeout_ms * MS : q->blk->timeout_ns;
}

/* Its time runs from the first look at it. */
static bool is_late(const struct vfn_blk_queue *q, struct vfn_blk_req *req, uint64_t now)
{
	if (!req->priv.deadline)
		req->priv.deadline = now + limit_of(q, req);

	return now >= req->priv.deadline;
}

static struct vfn_blk_req *find_late(struct vfn_blk_queue *q, uint64_t now)
{
	for (int i = 0; i < nrequests(q); i++) {
		struct vfn_blk_req *req = owner(&q->sq->rqs[i]);

		if (req && is_late(q, req, now))
			return req;
	}

	for (struct vfn_blk_req *req = q->waiting.first; req; req = req->priv.next) {
		if (is_late(q, req, now))
			return req;
	}

	return NULL;
}

/* The kernel waits until the program lets go of it. */
static bool is_wanted_back(const struct blk_dev *dev)
{
	uint64_t times;

	return dev->request_fd >= 0 &&
	       os_read(dev->request_fd, &times, sizeof(times)) == sizeof(times);
}

static void look_at_controller(struct vfn_blk_queue *q)
{
	uint32_t csts = nvme_read32(&q->dev->ctrl, NVME_REG_CSTS);

	if (csts == UINT32_MAX || is_wanted_back(q->dev))
		lose(q, ENODEV);
	else if (csts & CSTS_CFS || !(csts & CSTS_RDY))
		lose(q, EIO);
}

bool blk_look(struct vfn_blk_queue *q, uint64_t now)
{
	struct vfn_blk_req *req;
	bool late = false;

	if (now < q->next_look)
		return false;
	q->next_look = now + LOOK_NS;

	look_at_controller(q);

	while (!blk_lost(q->dev) && (req = find_late(q, now))) {
		late = true;
		if (req->priv.aborted) {
			renew(q);
			continue;
		}
		req->priv.deadline = now + ABORT_NS;
		call_off(q, req, ETIMEDOUT);
	}

	return late || blk_lost(q->dev);
}

int vfn_blk_cancel(struct vfn_blk_req *req)
{
	struct vfn_blk_queue *q = req->priv.queue;

	if (!req->priv.state)
		return vfn_fail(EINVAL, "the request is not submitted");
	if (req->priv.state != BLK_ENDED && !blk_lost(q->dev)) {
		blk_fill_in(req);
		call_off(q, req, ECANCELED);
		blk_signal(q);
	}

	return 0;
}
