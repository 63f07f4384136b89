// SPDX-License-Identifier: GPL-2.0-or-later
/* The nvme layer: the same read in four ways, many at a time, vectors, time limits, events. */
#include <stdio.h>
#include <unistd.h>

#include <nvme/types.h>
#include <vfn/nvme.h>

#include "snippet.h"

#define BLOCK 512
#define DEPTH 8

static union nvme_cmd read_block(uint64_t slba)
{
	return (union nvme_cmd){
		.rw = {
			.opcode = nvme_cmd_read,
			.nsid = cpu_to_le32(1),
			.slba = cpu_to_le64(slba),
			.nlb = cpu_to_le16(0), /* zero-based: one block */
		},
	};
}

/* [sync] */
static void read_and_wait(struct nvme_ctrl *ctrl, struct nvme_sq *sq, void *buf)
{
	union nvme_cmd cmd = read_block(0);
	struct nvme_cqe cqe;

	if (!nvme_sync(ctrl, sq, &cmd, buf, BLOCK, &cqe))
		return;

	if (errno == EIO)
		fprintf(stderr, "status %#x\n", le16_to_cpu(cqe.sfp) >> 1);
	fail();
}
/* [sync-end] */

/* [one] */
static void read_one(struct nvme_ctrl *ctrl, struct nvme_sq *sq, iova_t iova)
{
	struct nvme_rq *rq = nvme_rq_acquire(sq); /* identifier, context, page for a list */
	union nvme_cmd cmd = read_block(0);
	struct nvme_cqe *cqe;

	if (!rq || nvme_rq_map_prp(ctrl, rq, &cmd, iova, BLOCK))
		fail();
	nvme_rq_exec(rq, &cmd); /* copy to the queue's tail, barrier, doorbell */

	do
		cqe = nvme_cq_get_cqe(sq->cq); /* phase tag first, barrier, then the rest */
	while (!cqe);

	if (nvme_rq_from_cqe(ctrl, cqe) != rq || !nvme_cqe_ok(cqe)) /* never trusts the device */
		fail();
	nvme_cq_update_head(sq->cq); /* doorbell: the controller may reuse the entry */
	nvme_rq_release(rq);
}
/* [one-end] */

/* [many] */
static void read_many(struct nvme_ctrl *ctrl, struct nvme_sq *sq, struct iommu_dmabuf *buffer)
{
	int completed = 0;

	for (int i = 0; i < DEPTH; i++) {
		union nvme_cmd cmd = read_block((uint64_t)i);
		struct nvme_rq *rq = nvme_rq_acquire(sq);
		iova_t iova = buffer->iova + (iova_t)i * BLOCK;

		if (!rq || nvme_rq_map_prp(ctrl, rq, &cmd, iova, BLOCK))
			fail();
		rq->opaque = (char *)buffer->vaddr + i * BLOCK;
		nvme_rq_post(rq, &cmd);
	}
	nvme_sq_update_tail(sq); /* one doorbell for all of them */

	while (completed < DEPTH) {
		struct nvme_cqe *cqe = nvme_cq_get_cqe(sq->cq);
		struct nvme_rq *rq;

		if (!cqe)
			continue;
		rq = nvme_rq_from_cqe(ctrl, cqe);
		if (!rq || !nvme_cqe_ok(cqe))
			fail();
		/* ... rq->opaque has the data ... */
		nvme_rq_release(rq);
		completed++;
	}
	nvme_cq_update_head(sq->cq); /* and one for all completions */
}
/* [many-end] */

/* [least] */
static void read_at_the_least_cost(struct nvme_ctrl *ctrl, struct nvme_sq *sq, char *buf)
{
	struct vfn_nvme_done done[DEPTH];
	struct vfn_nvme_io read;
	int completed = 0, n;

	/* once for all reads of a namespace, here of blocks of 2^9 bytes */
	if (vfn_nvme_io_prep(&read, ctrl, nvme_cmd_read, 1, 9))
		fail();

	for (int i = 0; i < DEPTH; i++)
		if (vfn_nvme_io_submit(sq, &read, (uint64_t)i, 1, buf + i * BLOCK, buf + i * BLOCK))
			fail();

	for (; completed < DEPTH; completed += n) {
		/* the first one rings the doorbell for all of them */
		n = vfn_nvme_io_poll(sq, done, DEPTH);
		for (int i = 0; i < n; i++)
			if (!nvme_cqe_ok(&done[i].cqe))
				fail();
		/* ... done[i].opaque has the data ... */
	}
}
/* [least-end] */

/* [queue] */
static void read_by_hand(struct nvme_sq *sq, struct iommu_dmabuf *buffer)
{
	union nvme_cmd cmd = read_block(0);
	struct timespec limit = { .tv_sec = 5 };
	struct nvme_cqe cqe;

	cmd.cid = 0x1234; /* ours to choose */
	cmd.dptr.prp1 = cpu_to_le64(buffer->iova);
	nvme_sq_exec(sq, &cmd);

	if (nvme_cq_wait_cqes(sq->cq, &cqe, 1, &limit) != 1)
		fail();
	nvme_cq_update_head(sq->cq);
	printf("cid %#x, status %#x\n", cqe.cid, le16_to_cpu(cqe.sfp) >> 1);
}
/* [queue-end] */

/* [vector] */
static void read_into_pieces(struct nvme_ctrl *ctrl, struct nvme_sq *sq,
			     struct iommu_dmabuf *buffer)
{
	struct timespec limit = { .tv_sec = 5 };
	union nvme_cmd cmd = read_block(0);
	struct nvme_rq *rq = nvme_rq_acquire(sq);
	struct iovec pieces[] = {
		{ (char *)buffer->vaddr + 4096 - 256, 256 },
		{ (char *)buffer->vaddr + 8192, 256 },
	};

	/* one piece ends and the next begins where a page does, so PRPs will do if there are no SGLs */
	if (!rq || nvme_rq_mapv(ctrl, rq, &cmd, pieces, 2))
		fail();
	nvme_rq_exec(rq, &cmd);
	if (nvme_rq_wait(rq, NULL, &limit))
		fail();
	nvme_rq_release(rq);
}
/* [vector-end] */

/* [cmb] */
static void read_into_the_controller(struct nvme_ctrl *ctrl, struct nvme_sq *sq)
{
	union nvme_cmd cmd = read_block(0);
	struct iommu_dmabuf piece;

	if (nvme_configure_cmb(ctrl))
		fail();
	if (vfn_nvme_cmb_check(ctrl, VFN_NVME_CMB_READ))
		return; /* there is none, or not for data */

	if (vfn_nvme_cmb_alloc(ctrl, &piece, BLOCK))
		fail();
	if (nvme_sync(ctrl, sq, &cmd, piece.vaddr, BLOCK, NULL))
		fail();
	vfn_nvme_cmb_free(ctrl, &piece);
	nvme_discard_cmb(ctrl);
}
/* [cmb-end] */

/* [pi] */
static void protect(char blocks[][BLOCK + 8], size_t n, uint64_t slba)
{
	const struct vfn_nvme_pi pi = {
		.lba_size = BLOCK,
		.ms = 8,
		.type = 1,
		.guard = VFN_NVME_PI_GUARD_16B,
		.flags = VFN_NVME_PI_CHECK_ALL,
		.apptag = 0x1234,
		.appmask = 0xffff,
		.reftag = slba,
	};
	struct vfn_nvme_pi_error error;
	union nvme_cmd cmd = read_block(slba);

	if (vfn_nvme_pi_fill(&pi, blocks, NULL, n))
		fail();
	vfn_nvme_pi_prep_cmd(&pi, &cmd); /* the controller checks, too */

	/* ... write the blocks, read them back ... */

	if (vfn_nvme_pi_verify(&pi, blocks, NULL, n, &error))
		fail(); /* error.block, error.check, and a line of text */
}
/* [pi-end] */

/* [recovery] */
struct load {
	struct nvme_ctrl *ctrl;
	int out;
};

static void ended(struct nvme_rq *rq, struct nvme_cqe *cqe, void *opaque)
{
	struct load *load = opaque;

	if (le16_to_cpu(cqe->sfp) >> 1 == VFN_NVME_STATUS_ABORTED)
		fprintf(stderr, "%p: to be sent again\n", rq->opaque);
	nvme_rq_release(rq); /* its memory is ours again */
	load->out--;
}

static void poll_until_done(struct load *load, struct nvme_sq *sq)
{
	const struct vfn_nvme_recovery recovery = {
		.complete = ended,
		.opaque = load,
		.flags = VFN_NVME_RECOVER_RESET,
	};
	uint64_t look = get_ticks(), every = vfn_ticks_freq() / 10;
	struct vfn_nvme_done done[DEPTH];

	while (load->out) {
		load->out -= vfn_nvme_io_poll(sq, done, DEPTH);

		if (get_ticks() - look < every)
			continue;
		look = get_ticks();
		if (vfn_nvme_check_timeouts(load->ctrl, &recovery) < 0)
			fail(); /* gone, or it cannot be reset: everything that was out has ended */
	}
}
/* [recovery-end] */

/* [removal] */
/* Whether the kernel has told of an event since the last look; a descriptor of -1 never does. */
static bool has_told(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count);
}

/* Until the work is done, or the device has to go; it can be closed then. */
static void poll_until_done_or_removed(struct load *load, struct nvme_sq *sq)
{
	const struct vfn_nvme_recovery recovery = {
		.complete = ended,
		.opaque = load,
		.flags = VFN_NVME_RECOVER_RESET,
	};
	int wanted = vfn_vfio_request_fd(&load->ctrl->pci); /* -1 where the kernel does not tell */
	int error = vfn_vfio_error_fd(&load->ctrl->pci);
	uint64_t look = get_ticks(), every = vfn_ticks_freq() / 10, end = UINT64_MAX;
	struct vfn_nvme_done done[DEPTH];

	while (load->out && look < end) {
		load->out -= vfn_nvme_io_poll(sq, done, DEPTH);
		/* ... submit more, if end is UINT64_MAX ... */

		if (get_ticks() - look < every)
			continue;
		look = get_ticks();

		/* somebody removes it: what is out has a second, nothing new is begun */
		if (has_told(wanted) && end == UINT64_MAX)
			end = look + vfn_ticks_freq();

		/* nobody knows what has become of its transfers: start anew */
		if (has_told(error) && (vfn_nvme_fail_ctrl(load->ctrl, &recovery) ||
					vfn_nvme_reset_ctrl(load->ctrl, &recovery) < 0))
			break;

		/* gone without a word, or beyond help: ended() has been called for everything */
		if (vfn_nvme_check_timeouts(load->ctrl, &recovery) < 0)
			break;
	}

	/* time is up: what is left ends now */
	if (load->out && vfn_nvme_fail_ctrl(load->ctrl, &recovery))
		fail();
}
/* [removal-end] */

static void read_whatever_happens(struct nvme_ctrl *ctrl, struct nvme_sq *sq, char *buf)
{
	struct load load = { .ctrl = ctrl };
	struct vfn_nvme_io read;

	if (vfn_nvme_io_prep(&read, ctrl, nvme_cmd_read, 1, 9))
		fail();
	for (int removable = 0; removable < 2; removable++) {
		for (; load.out < DEPTH; load.out++)
			if (vfn_nvme_io_submit(sq, &read, 0, 1, buf, buf))
				fail();
		if (removable)
			poll_until_done_or_removed(&load, sq);
		else
			poll_until_done(&load, sq);
	}
}

/* [event] */
static void ask_for_an_event(struct nvme_ctrl *ctrl)
{
	if (nvme_aer(ctrl, NULL))
		fail();
	/* admin commands go on as before; the event's completion stays on the queue */
}

static bool is_event(const struct nvme_cqe *cqe)
{
	return le16_to_cpu(cqe->sqid) == NVME_AQ && cqe->cid & NVME_CID_AER;
}
/* [event-end] */

int main(int argc, char **argv)
{
	static char blocks[2][BLOCK + 8];
	struct nvme_cqe normal = {};
	struct iommu_dmabuf buffer;
	struct nvme_ctrl ctrl = {};

	(void)argc;
	/* [pair] */
	vfn_nvme_set_timeout(&ctrl, 10000);
	if (nvme_init(&ctrl, argv[1], NULL))
		fail();
	if (nvme_create_ioqpair(&ctrl, 1, 64, -1, 0))
		fail();
	if (iommu_get_dmabuf(__iommu_ctx(&ctrl), &buffer, 16384, 0))
		fail();
	/* [pair-end] */

	read_and_wait(&ctrl, &ctrl.sq[1], buffer.vaddr);
	read_one(&ctrl, &ctrl.sq[1], buffer.iova);
	read_many(&ctrl, &ctrl.sq[1], &buffer);
	read_at_the_least_cost(&ctrl, &ctrl.sq[1], buffer.vaddr);
	read_by_hand(&ctrl.sq[1], &buffer);
	read_whatever_happens(&ctrl, &ctrl.sq[1], buffer.vaddr);
	read_into_pieces(&ctrl, &ctrl.sq[1], &buffer);
	read_into_the_controller(&ctrl, &ctrl.sq[1]);
	protect(blocks, 2, 0);
	ask_for_an_event(&ctrl);
	if (is_event(&normal))
		return 1;

	/* [close] */
	if (nvme_delete_ioqpair(&ctrl, 1))
		fail();
	iommu_put_dmabuf(&buffer);
	nvme_close(&ctrl);
	/* [close-end] */

	return 0;
}
