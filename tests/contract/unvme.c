// SPDX-License-Identifier: GPL-2.0-or-later
/* A tester's way: the controller embedded, brought up by hand, queues made, driven and discarded by hand. */
#include "contract.h"

#include <sys/eventfd.h>
#include <unistd.h>

#define REG_CAP 0x00
#define REG_VS 0x08
#define REG_CC 0x14
#define REG_CSTS 0x1c

#define CSTS_RDY 1

#define QSIZE 8
#define LISTS 3

struct tester {
	struct nvme_ctrl ctrl; /* first: both are cast to each other */
	int nvectors;
	int *efds;
	uint64_t ncommands;
	pthread_rwlock_t lock;
};

static struct tester *tester;

static struct tester *to_tester(struct nvme_ctrl *ctrl)
{
	return (struct tester *)ctrl;
}

static bool is_open(struct tester *t)
{
	return t->ctrl.pci.bdf;
}

/* ---- completions by hand ---- */

/* Takes the next completion out of the queue, by head and phase. */
static bool take(struct nvme_cq *cq, struct nvme_cqe *copy)
{
	struct nvme_cqe *cqe =
		(struct nvme_cqe *)(cq->mem.vaddr + ((unsigned int)cq->head << NVME_CQES));

	if ((le16_to_cpu(LOAD(cqe->sfp)) & 0x1) == cq->phase)
		return false;
	dma_rmb();
	*copy = *cqe;

	if (++cq->head == cq->qsize) {
		cq->head = 0;
		cq->phase ^= 0x1;
	}
	nvme_cq_update_head(cq);

	return true;
}

/* Returns the status field of the command. */
static uint16_t execute(struct nvme_rq *rq, union nvme_cmd *cmd, struct nvme_cqe *copy)
{
	struct nvme_sq *sq = rq->sq;
	struct nvme_cqe cqe;

	nvme_rq_prep_cmd(rq, cmd);
	nvme_sq_post(sq, cmd);
	assert_int_not_equal(sq->tail, sq->ptail);
	nvme_sq_update_tail(sq);
	assert_int_equal(sq->tail, sq->ptail);

	while (!take(sq->cq, &cqe))
		__usleep(10);
	assert_ptr_equal(__nvme_rq_from_cqe(sq, &cqe), rq);
	assert_int_equal(cqe.cid, rq->cid);
	assert_int_equal(le16_to_cpu(cqe.sqid), sq->id);
	if (copy)
		*copy = cqe;
	atomic_inc(&tester->ncommands);

	return le16_to_cpu(cqe.sfp) >> 1;
}

static uint16_t admin(union nvme_cmd *cmd, struct nvme_cqe *cqe)
{
	struct nvme_rq *rq = nvme_rq_acquire_atomic(tester->ctrl.adminq.sq);
	uint16_t status;

	assert_non_null(rq);
	rq->opaque = tester;
	assert_ptr_equal(rq->sq, tester->ctrl.adminq.sq);
	status = execute(rq, cmd, cqe);
	nvme_rq_release_atomic(rq);

	return status;
}

/* ---- bring-up by hand ---- */

static void probe_vectors(struct tester *t)
{
	struct vfio_irq_info irq = { .argsz = sizeof(irq) };

	assert_ok(vfio_pci_get_irq_info(&t->ctrl.pci, &irq));
	assert_true(irq.count > 0);
	for (t->nvectors = (int)irq.count; t->nvectors > 0; t->nvectors--)
		if (!vfio_disable_irq(&t->ctrl.pci.dev, 0, t->nvectors))
			break;
	assert_true(t->nvectors > 0);

	t->efds = mallocn((unsigned int)t->nvectors, sizeof(*t->efds));
	for (int i = 0; i < t->nvectors; i++)
		t->efds[i] = -1;
}

static void enable_vector(struct tester *t, int vector)
{
	assert_true(vector < t->nvectors);
	t->efds[vector] = eventfd(0, EFD_CLOEXEC);
	assert_ok(vfio_set_irq(&t->ctrl.pci.dev, &t->efds[vector], vector, 1));
}

static void disable_vector(struct tester *t, int vector)
{
	assert_ok(vfio_disable_irq(&t->ctrl.pci.dev, vector, 1));
	close(t->efds[vector]);
	t->efds[vector] = -1;
}

static void wait_ready(struct nvme_ctrl *ctrl, uint32_t ready)
{
	while ((le32_to_cpu(mmio_read32(ctrl->regs + REG_CSTS)) & CSTS_RDY) != ready)
		__usleep(100);
}

static void enable(struct tester *t)
{
	struct nvme_ctrl *ctrl = &t->ctrl;
	uint32_t cc = NVME_CQES << 20 | NVME_SQES << 16 | (uint32_t)ctrl->config.mps << 7 | 1;

	assert_ok(nvme_reset(ctrl));
	wait_ready(ctrl, 0);
	assert_ok(nvme_configure_adminq(ctrl, 0));
	assert_ptr_equal(ctrl->adminq.sq, &ctrl->sq[NVME_AQ]);
	assert_ptr_equal(ctrl->adminq.cq, &ctrl->cq[NVME_AQ]);
	mmio_write32(ctrl->regs + REG_CC, cpu_to_le32(cc));
	wait_ready(ctrl, CSTS_RDY);
}

static void set_queues(struct tester *t, int nsqa, int ncqa)
{
	union nvme_cmd cmd = {};
	struct nvme_cqe cqe;

	cmd.features.opcode = OP_SET_FEATURES;
	cmd.features.fid = 0x07;
	cmd.features.cdw11 = cpu_to_le32((uint32_t)ncqa << 16 | (uint32_t)nsqa);
	assert_int_equal(admin(&cmd, &cqe), 0);

	/* a controller may grant more than it was asked for */
	assert_true((le32_to_cpu(cqe.dw0) & 0xffff) >= (uint32_t)nsqa);
	assert_true((le32_to_cpu(cqe.dw0) >> 16) >= (uint32_t)ncqa);
	t->ctrl.config.nsqa = nsqa;
	t->ctrl.config.ncqa = ncqa;
}

static int open_tester(void **state)
{
	const struct nvme_ctrl_opts opts = { .nsqr = 3, .ncqr = 3 };
	uint64_t cap;

	tester = zmalloc(sizeof(*tester));
	assert_false(is_open(tester));
	pthread_rwlock_init(&tester->lock, NULL);

	assert_ok(nvme_ctrl_init(&tester->ctrl, contract_bdf(), &opts));
	assert_true(is_open(tester));
	assert_ptr_equal(to_tester(&tester->ctrl), tester);
	assert_non_null(__iommu_ctx(tester));
	assert_ptr_equal(__iommu_ctx(&tester->ctrl), __iommu_ctx(&tester->ctrl.pci));

	cap = le64_to_cpu(mmio_read64(tester->ctrl.regs + REG_CAP));
	assert_int_equal(tester->ctrl.config.mqes, cap & 0xffff);
	assert_true(le32_to_cpu(mmio_read32(tester->ctrl.regs + REG_VS)) >= NVME_VERSION(1, 2, 0));

	tester->ctrl.opts = opts;
	tester->ctrl.config.mps = NVME_CTRL_MPS;
	probe_vectors(tester);
	enable_vector(tester, 0);
	enable(tester);
	set_queues(tester, 3, 3);

	return 0;
}

static int close_tester(void **state)
{
	assert_ok(vfio_disable_irq_all(&tester->ctrl.pci.dev));
	for (int i = 0; i < tester->nvectors; i++)
		if (tester->efds[i] >= 0)
			close(tester->efds[i]);
	nvme_close(&tester->ctrl);
	assert_false(is_open(tester));
	pthread_rwlock_destroy(&tester->lock);
	free(tester->efds);
	free(tester);

	return 0;
}

/* ---- queues by hand ---- */

static void create_cq(int qid, int qsize, int vector)
{
	union nvme_cmd cmd = {};
	struct nvme_cq *cq = &tester->ctrl.cq[qid];

	cmd.create_cq.opcode = OP_CREATE_CQ;
	cmd.create_cq.prp1 = cpu_to_le64(cq->mem.iova);
	cmd.create_cq.qid = cpu_to_le16((uint16_t)qid);
	cmd.create_cq.qsize = cpu_to_le16((uint16_t)(qsize - 1));
	cmd.create_cq.qflags = cpu_to_le16(NVME_Q_PC | (vector >= 0 ? NVME_CQ_IEN : 0));
	cmd.create_cq.iv = cpu_to_le16((uint16_t)(vector >= 0 ? vector : 0));
	assert_int_equal(admin(&cmd, NULL), 0);
}

static void create_sq(int qid, int qsize, int cqid)
{
	union nvme_cmd cmd = {};

	cmd.create_sq.opcode = OP_CREATE_SQ;
	cmd.create_sq.prp1 = cpu_to_le64(tester->ctrl.sq[qid].mem.iova);
	cmd.create_sq.qid = cpu_to_le16((uint16_t)qid);
	cmd.create_sq.qsize = cpu_to_le16((uint16_t)(qsize - 1));
	cmd.create_sq.qflags = cpu_to_le16(NVME_Q_PC | NVME_SQ_QPRIO_URGENT);
	cmd.create_sq.cqid = cpu_to_le16((uint16_t)cqid);
	cmd.create_sq.rsvd12[0] = cpu_to_le32(0);
	assert_int_equal(admin(&cmd, NULL), 0);
}

static void delete_queue(uint8_t opcode, int qid)
{
	union nvme_cmd cmd = {};

	cmd.delete_q.opcode = opcode;
	cmd.delete_q.qid = cpu_to_le16((uint16_t)qid);
	assert_int_equal(admin(&cmd, NULL), 0);
}

static void make_pair(int qid, int vector)
{
	struct nvme_ctrl *ctrl = &tester->ctrl;

	assert_ok(nvme_configure_cq(ctrl, qid, QSIZE, vector));
	assert_int_equal(ctrl->cq[qid].qsize, QSIZE);
	assert_int_equal(ctrl->cq[qid].vector, vector);
	create_cq(qid, QSIZE, vector);
	assert_ok(nvme_configure_sq(ctrl, qid, QSIZE, &ctrl->cq[qid], 0));
	assert_int_equal(ctrl->sq[qid].id, qid);
	assert_int_equal(ctrl->sq[qid].qsize, QSIZE);
	create_sq(qid, QSIZE, qid);
}

static void break_pair(int qid)
{
	struct nvme_ctrl *ctrl = &tester->ctrl;

	delete_queue(OP_DELETE_SQ, qid);
	nvme_discard_sq(ctrl, &ctrl->sq[qid]);
	assert_null(ctrl->sq[qid].mem.vaddr);
	nvme_discard_sq(ctrl, &ctrl->sq[qid]);
	delete_queue(OP_DELETE_CQ, qid);
	nvme_discard_cq(ctrl, &ctrl->cq[qid]);
	assert_null(ctrl->cq[qid].mem.vaddr);
	nvme_discard_cq(ctrl, &ctrl->cq[qid]);
}

static void queues_are_made_and_discarded_again_and_again(void **state)
{
	union nvme_cmd cmd;
	struct nvme_rq *rq;

	for (int round = 0; round < 20; round++) {
		int qid = 1 + round % 3;

		make_pair(qid, -1);
		/* more than once around both queues */
		for (int i = 0; i < 3 * QSIZE; i++) {
			rq = nvme_rq_acquire_atomic(&tester->ctrl.sq[qid]);
			memset(&cmd, 0, sizeof(cmd));
			cmd.nsid = cpu_to_le32(1);
			assert_int_equal(execute(rq, &cmd, NULL), 0);
			nvme_rq_release_atomic(rq);
		}
		break_pair(qid);
	}
}

static void vectors_wake_whom_they_belong_to(void **state)
{
	int vector = tester->nvectors > 1 ? 1 : 0;
	union nvme_cmd cmd = { .nsid = cpu_to_le32(1) };
	struct nvme_rq *rq;
	struct nvme_cqe cqe;
	uint64_t v;

	if (vector)
		enable_vector(tester, vector);
	make_pair(1, vector);

	rq = nvme_rq_acquire_atomic(&tester->ctrl.sq[1]);
	nvme_rq_exec(rq, &cmd);
	assert_int_equal(read(tester->efds[vector], &v, sizeof(v)), sizeof(v));
	assert_true(v >= 1);
	while (!take(&tester->ctrl.cq[1], &cqe))
		;
	assert_int_equal(cqe.cid, rq->cid);
	nvme_rq_release_atomic(rq);

	break_pair(1);
	if (vector)
		disable_vector(tester, vector);
}

static void queues_in_memory_of_the_program_work(void **state)
{
	struct nvme_ctrl *ctrl = &tester->ctrl;
	__autovar_s(iommu_dmabuf) cq_mem = {};
	__autovar_s(iommu_dmabuf) sq_mem = {};
	union nvme_cmd cmd = { .nsid = cpu_to_le32(1) };
	struct nvme_rq *rq;

	assert_ok(iommu_get_dmabuf(__iommu_ctx(ctrl), &cq_mem, QSIZE << NVME_CQES, 0));
	assert_ok(iommu_get_dmabuf(__iommu_ctx(ctrl), &sq_mem, QSIZE << NVME_SQES, 0));
	/* what would look like completions */
	memset(cq_mem.vaddr, 0xff, (size_t)cq_mem.len);

	assert_ok(nvme_configure_cq_mem(ctrl, 2, QSIZE, -1, &cq_mem));
	assert_ptr_equal(ctrl->cq[2].mem.vaddr, cq_mem.vaddr);
	assert_int_equal(ctrl->cq[2].mem.iova, cq_mem.iova);
	create_cq(2, QSIZE, -1);
	assert_ok(nvme_configure_sq_mem(ctrl, 2, QSIZE, &ctrl->cq[2], 0, &sq_mem));
	assert_int_equal(ctrl->sq[2].mem.iova, sq_mem.iova);
	create_sq(2, QSIZE, 2);

	for (int i = 0; i < 2 * QSIZE; i++) {
		rq = nvme_rq_acquire_atomic(&ctrl->sq[2]);
		assert_int_equal(execute(rq, &cmd, NULL), 0);
		nvme_rq_release_atomic(rq);
	}
	break_pair(2);
	assert_non_null(cq_mem.vaddr);
	assert_non_null(sq_mem.vaddr);
}

/* ---- data pointers by hand ---- */

static void *alloc_mapped(size_t len, size_t align, iova_t *iova)
{
	void *mem;

	assert_int_equal(pgmap(&mem, len), ROUND_UP(len, __VFN_PAGESIZE));
	assert_ok(iommu_map_vaddr_align(__iommu_ctx(tester), mem, ROUND_UP(len, __VFN_PAGESIZE),
					align, iova, 0));
	assert_true(ALIGNED(*iova, align));

	return mem;
}

static void free_mapped(void *mem)
{
	size_t len;

	assert_ok(iommu_unmap_vaddr(__iommu_ctx(tester), mem, &len));
	pgunmap(mem, len);
}

/* Writes and reads through what @map makes of the pieces, and compares. */
static void transfer(const char *what, struct iovec *iov, int niov, char *buf, size_t len,
		     int (*map)(struct nvme_rq *rq, union nvme_cmd *cmd, struct iovec *iov, int n))
{
	struct nvme_rq *rq = nvme_rq_acquire_atomic(&tester->ctrl.sq[1]);
	size_t total = 0;
	char *copy = xmalloc(len);
	union nvme_cmd cmd;

	for (int i = 0; i < niov; i++)
		total += iov[i].iov_len;

	contract_fill(buf, len, (unsigned int)total);
	memcpy(copy, buf, len);

	for (int i = 0; i < 2; i++) {
		cmd = contract_rw(i ? OP_READ : OP_WRITE, 32, total);
		if (i)
			for (int k = 0; k < niov; k++)
				memset(iov[k].iov_base, 0, iov[k].iov_len);
		if (map(rq, &cmd, iov, niov))
			fail_msg("%s: %s", what, vfn_last_error());
		assert_int_equal(execute(rq, &cmd, NULL), 0);
	}
	if (memcmp(buf, copy, len))
		fail_msg("%s: other data came back", what);

	free(copy);
	nvme_rq_release_atomic(rq);
}

static leint64_t *lists;
static iova_t lists_iova;

static int map_own_lists(struct nvme_rq *rq, union nvme_cmd *cmd, struct iovec *iov, int niov)
{
	return nvme_mapv_prp(&tester->ctrl, lists, LISTS, cmd, iov, niov);
}

static int map_own_segment(struct nvme_rq *rq, union nvme_cmd *cmd, struct iovec *iov, int niov)
{
	int ret =
		nvme_mapv_sgl(&tester->ctrl, (struct nvme_sgld *)lists, lists_iova, cmd, iov, niov);

	/* a habit from when nobody else did it */
	cmd->flags |= NVME_CMD_FLAGS_PSDT_SGL_MPTR_CONTIG << NVME_CMD_FLAGS_PSDT_SHIFT;

	return ret;
}

static int map_rq_prp(struct nvme_rq *rq, union nvme_cmd *cmd, struct iovec *iov, int niov)
{
	return nvme_rq_mapv_prp(&tester->ctrl, rq, cmd, iov, niov);
}

static int map_rq_sgl(struct nvme_rq *rq, union nvme_cmd *cmd, struct iovec *iov, int niov)
{
	return nvme_rq_mapv_sgl(&tester->ctrl, rq, cmd, iov, niov);
}

/* The memory that a request has for them, by its address alone. */
static int map_rq_lists(struct nvme_rq *rq, union nvme_cmd *cmd, struct iovec *iov, int niov)
{
	return nvme_mapv_prp(&tester->ctrl, rq->page.vaddr, 1, cmd, iov, niov);
}

static int map_rq_segment(struct nvme_rq *rq, union nvme_cmd *cmd, struct iovec *iov, int niov)
{
	iova_t iova = 0;

	assert_true(iommu_translate_vaddr(__iommu_ctx(tester), rq->page.vaddr, &iova));

	return nvme_mapv_sgl(&tester->ctrl, rq->page.vaddr, iova, cmd, iov, niov);
}

static void vectors_of_every_shape_arrive(void **state)
{
	size_t len = 64 * PAGE;
	iova_t iova;
	char *buf = alloc_mapped(len, __VFN_PAGESIZE, &iova);
	struct iovec one[] = { { buf, 8 * PAGE } };
	struct iovec unaligned[] = { { buf + 512, 3 * PAGE } };
	struct iovec pages[20];
	struct iovec ends[] = {
		{ buf + 512, PAGE - 512 },
		{ buf + 4 * PAGE, 2 * PAGE },
		{ buf + 9 * PAGE, PAGE + 512 },
	};
	struct iovec odd[] = { { buf + 4, 508 }, { buf + 3 * PAGE - 100, 200 }, { buf + 5, 316 } };

	for (int i = 0; i < COUNT(pages); i++)
		pages[i] = (struct iovec){ buf + (COUNT(pages) - 1 - i) * 2 * (ssize_t)PAGE, PAGE };

	lists = alloc_mapped(LISTS * PAGE, PAGE, &lists_iova);

	/* before anything else has asked for the memory, and after */
	make_pair(1, -1);
	transfer("pages by the request's list", pages, COUNT(pages), buf, len, map_rq_lists);
	transfer("pages by the request's segment", pages, COUNT(pages), buf, len, map_rq_segment);
	break_pair(1);
	make_pair(1, -1);
	transfer("ends by the request's segment", ends, COUNT(ends), buf, len, map_rq_segment);
	transfer("ends by the request's list", ends, COUNT(ends), buf, len, map_rq_lists);
	break_pair(1);

	make_pair(1, -1);
	transfer("one by PRP", one, 1, buf, len, map_rq_prp);
	transfer("unaligned by PRP", unaligned, 1, buf, len, map_rq_prp);
	transfer("pages by PRP", pages, COUNT(pages), buf, len, map_rq_prp);
	transfer("ends by PRP", ends, COUNT(ends), buf, len, map_rq_prp);
	transfer("one by own lists", one, 1, buf, len, map_own_lists);
	transfer("unaligned by own lists", unaligned, 1, buf, len, map_own_lists);
	transfer("pages by own lists", pages, COUNT(pages), buf, len, map_own_lists);
	transfer("ends by own lists", ends, COUNT(ends), buf, len, map_own_lists);
	transfer("one by SGL", one, 1, buf, len, map_rq_sgl);
	transfer("pages by SGL", pages, COUNT(pages), buf, len, map_rq_sgl);
	transfer("ends by own segment", ends, COUNT(ends), buf, len, map_own_segment);
	odd[2].iov_len = 2 * BLOCK - 708;
	transfer("odd pieces by SGL", odd, COUNT(odd), buf, len, map_rq_sgl);
	transfer("odd pieces by own segment", odd, COUNT(odd), buf, len, map_own_segment);

	break_pair(1);
	free_mapped(lists);
	free_mapped(buf);
}

/* Lists that go on in the next page, read as a controller does. */
static void long_lists_are_chained(void **state)
{
	unsigned int n = PAGE / 8, npages = 2 * (n - 1) + n;
	size_t len = (npages + 1) * PAGE;
	iova_t iova, expect;
	char *buf = alloc_mapped(len, PAGE, &iova);
	struct iovec iov[] = { { buf, len } };
	struct iova_vec iovas[] = { { 0, PAGE }, { 0, len - PAGE } };
	union nvme_cmd cmd;

	lists = alloc_mapped(LISTS * PAGE, PAGE, &lists_iova);
	iovas[0].iova = iova;
	iovas[1].iova = iova + PAGE;

	for (int i = 0; i < 3; i++) {
		uint64_t list;
		unsigned int at = 0;

		memset(&cmd, 0, sizeof(cmd));
		memset(lists, 0, LISTS * PAGE);
		if (i == 0)
			assert_ok(nvme_mapv_prp(&tester->ctrl, lists, LISTS, &cmd, iov, 1));
		else if (i == 1)
			assert_ok(nvme_map_prp(&tester->ctrl, lists, LISTS, &cmd, iova, len));
		else
			assert_ok(nvme_mapv_iova_prp(&tester->ctrl, lists, LISTS, &cmd, iovas, 2));

		assert_int_equal(le64_to_cpu(cmd.dptr.prp1), iova);
		list = le64_to_cpu(cmd.dptr.prp2);
		assert_int_equal(list, lists_iova);
		expect = iova + PAGE;
		for (unsigned int page = 0; page < npages; page++) {
			void *entry;

			/* the last entry of a page that is not the last leads to the next */
			if (at == n - 1 && page + 1 < npages) {
				assert_true(iommu_translate_iova(__iommu_ctx(tester), list + at * 8,
								 &entry) >= 8);
				list = le64_to_cpu(*(leint64_t *)entry);
				at = 0;
			}
			assert_true(iommu_translate_iova(__iommu_ctx(tester), list + at * 8,
							 &entry) >= 8);
			assert_int_equal(le64_to_cpu(*(leint64_t *)entry), expect);
			expect += PAGE;
			at++;
		}
	}

	/* one page more than the lists have room for */
	assert_errno(nvme_map_prp(&tester->ctrl, lists, LISTS, &cmd, iova, len + PAGE), EINVAL);

	free_mapped(lists);
	free_mapped(buf);
}

/* ---- recovery and the rest ---- */

static void controller_is_initialised_anew_in_place(void **state)
{
	struct nvme_ctrl *ctrl = &tester->ctrl;
	union nvme_cmd cmd = {};
	__autovar_s(iommu_dmabuf) data = {};
	struct nvme_cqe cqe;

	for (int i = 0; i < 3; i++) {
		make_pair(1, -1);

		assert_ok(nvme_ctrl_init(ctrl, contract_bdf(), &ctrl->opts));
		assert_int_equal(ctrl->opts.nsqr, 3);
		assert_int_equal(ctrl->opts.ncqr, 3);
		assert_null(ctrl->sq[1].mem.vaddr);
		ctrl->config.mps = NVME_CTRL_MPS;
		enable(tester);
		set_queues(tester, 2, 2);
	}

	assert_ok(iommu_get_dmabuf(__iommu_ctx(ctrl), &data, PAGE, 0));
	cmd.identify.opcode = OP_IDENTIFY;
	cmd.identify.cns = 1;
	cmd.dptr.prp1 = cpu_to_le64(data.iova);
	assert_int_equal(admin(&cmd, &cqe), 0);
	assert_true(nvme_cqe_ok(&cqe));
}

static void error_status_is_kept_in_full(void **state)
{
	union nvme_cmd cmd = { .opcode = 0x7f };
	struct nvme_cqe cqe;
	uint16_t status = admin(&cmd, &cqe);

	/* invalid opcode */
	assert_int_equal(status & 0x7ff, 0x001);
	assert_false(nvme_cqe_ok(&cqe));

	/* reserved fields are the tester's to fill: what comes back is the controller's business */
	memset(&cmd, 0, sizeof(cmd));
	cmd.features.opcode = OP_GET_FEATURES;
	cmd.features.fid = 0x07;
	cmd.features.sel = 0;
	cmd.features.rsvd42 = 0;
	assert_int_equal(admin(&cmd, &cqe), 0);
	assert_true((le32_to_cpu(cqe.dw0) & 0xffff) >= (uint32_t)tester->ctrl.config.nsqa);
}

static void *count_to_1000(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		uint64_t seen, expected;

		{
			__autordlock(&tester->lock);
			seen = atomic_load_acquire(&tester->ncommands);
		}
		do {
			expected = seen;
			seen = expected;
		} while (!atomic_cmpxchg(&tester->ncommands, seen, expected + 1));
	}

	return NULL;
}

static void atomics_and_locks_are_there_for_programs(void **state)
{
	pthread_t threads[4];
	uint64_t found = 1;

	tester->ncommands = 0;
	for (int i = 0; i < COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_to_1000, NULL), 0);
	for (int i = 0; i < COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(tester->ncommands, 4000);

	/* what was found is in the expected value afterwards */
	assert_false(atomic_cmpxchg(&tester->ncommands, found, 0));
	assert_int_equal(found, 4000);
	{
		__autowrlock(&tester->lock);
		atomic_store_release(&tester->ncommands, 1);
	}
	assert_int_equal(atomic_inc_fetch(&tester->ncommands), 2);
	assert_int_equal(atomic_dec_fetch(&tester->ncommands), 1);
	atomic_dec(&tester->ncommands);
	assert_int_equal(LOAD(tester->ncommands), 0);
	STORE(tester->ncommands, 7);
	assert_int_equal(tester->ncommands, 7);
}

#define with_tester(name) cmocka_unit_test_setup_teardown(name, open_tester, close_tester)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_tester(queues_are_made_and_discarded_again_and_again),
		with_tester(vectors_wake_whom_they_belong_to),
		with_tester(queues_in_memory_of_the_program_work),
		with_tester(vectors_of_every_shape_arrive),
		with_tester(long_lists_are_chained),
		with_tester(controller_is_initialised_anew_in_place),
		with_tester(error_status_is_kept_in_full),
		with_tester(atomics_and_locks_are_there_for_programs),
	};

	return cmocka_run_group_tests_name("contract-unvme", tests, NULL, NULL);
}
