// SPDX-License-Identifier: GPL-2.0-or-later
/* The memory of requests, mapped when lists need it: a page each, and more for long lists. */
#include "decode.h"
#include "iommu/context.h"

#define SEED 0x20261122

/* ---- a page for each request ---- */

static struct emu_usage usage_since(const struct emu_usage *before)
{
	struct emu_usage now = emu_usage();

	now.dma_bytes -= before->dma_bytes;
	now.dma_maps -= before->dma_maps;

	return now;
}

/* A queue without requests in use, and what the process holds before. */
static void start_queue(struct machine *m, int qsize, struct emu_usage *before)
{
	start(m, &(struct emu_nvme_opts){ .mqes = 65536, .sgls = 1, .no_mdts = true });
	*before = emu_usage();
	assert_int_equal(nvme_create_ioqpair(&m->ctrl, 1, qsize, -1, 0), 0);
	m->sq = &m->ctrl.sq[1];
	m->cq = &m->ctrl.cq[1];
}

static void assert_page(struct machine *m, struct nvme_rq *rq)
{
	void *vaddr;

	assert_int_equal(vfn_nvme_rq_ready(rq), 0);
	assert_int_equal(rq->page.iova % PAGE, 0);
	assert_true(iommu_translate_iova(__iommu_ctx(&m->ctrl), rq->page.iova, &vaddr) >=
		    (ssize_t)PAGE);
	assert_ptr_equal(vaddr, rq->page.vaddr);
	memset(rq->page.vaddr, rq->cid, PAGE);
}

/* Data from the start of a page on: in one piece, and in two with so much between them. */
struct data {
	struct nvme_ctrl *ctrl;
	struct iovec iov, part[2];
	struct iova_vec iova, iova_part[2];
};

static void get_data(struct machine *m, struct data *data, size_t len, size_t gap)
{
	char *mem, *next;

	assert_int_equal(iommu_get_dmabuf(__iommu_ctx(&m->ctrl), &m->buf, len + gap, 0), 0);
	mem = m->buf.vaddr;
	next = mem + PAGE + gap;
	*data = (struct data){
		.ctrl = &m->ctrl,
		.iov = { mem, len },
		.part = { { mem, PAGE }, { next, len - PAGE } },
		.iova = { m->buf.iova, len },
		.iova_part = { { m->buf.iova, PAGE }, { m->buf.iova + PAGE + gap, len - PAGE } },
	};
}

/* All that take a request, or the address of its page; the first half does not know pieces. */
static int describe(struct data *data, struct nvme_rq *rq, union nvme_cmd *cmd, int way)
{
	struct nvme_ctrl *ctrl = data->ctrl;
	void *page = rq->page.vaddr;
	iova_t iova = 0;

	switch (way) {
	case 0:
		return nvme_rq_map_prp(ctrl, rq, cmd, data->iova.iova, data->iova.len);
	case 1:
		return nvme_map_prp(ctrl, page, 1, cmd, data->iova.iova, data->iova.len);
	case 2:
		return nvme_rq_mapv_prp(ctrl, rq, cmd, &data->iov, 1);
	case 3:
		return nvme_rq_mapv_prp(ctrl, rq, cmd, data->part, 2);
	case 4:
		return nvme_rq_mapv_iova_prp(ctrl, rq, cmd, data->iova_part, 2);
	case 5:
		return nvme_mapv_prp(ctrl, page, 1, cmd, data->part, 2);
	case 6:
		return nvme_mapv_iova_prp(ctrl, page, 1, cmd, data->iova_part, 2);
	case 7:
		return nvme_rq_mapv(ctrl, rq, cmd, data->part, 2);
	case 8:
		return nvme_rq_mapv_sgl(ctrl, rq, cmd, data->part, 2);
	case 9:
		return nvme_rq_mapv_iova_sgl(ctrl, rq, cmd, data->iova_part, 2);
	default:
		/* asks for the address only where there will be a list */
		if (data->part[1].iov_base != (char *)data->part[0].iov_base + PAGE)
			assert_true(iommu_translate_vaddr(__iommu_ctx(ctrl), page, &iova));
		return nvme_mapv_sgl(ctrl, page, iova, cmd, data->part, 2);
	}
}

#define WAYS 11

/* Complete what is outstanding, if it is @n commands that worked. */
static void complete(struct machine *m, int n)
{
	struct nvme_cqe cqe;

	for (int i = 0; i < n; i++) {
		struct nvme_rq *rq;

		assert_int_equal(nvme_cq_wait_cqes(m->cq, &cqe, 1, NULL), 1);
		assert_true(nvme_cqe_ok(&cqe));
		rq = nvme_rq_from_cqe(&m->ctrl, &cqe);
		assert_non_null(rq);
		nvme_rq_release(rq);
	}
	nvme_cq_update_head(m->cq);
	assert_null(nvme_cq_get_cqe(m->cq));
}

/* W32: not 4 MiB but nothing, as long as no command needs a list */
static void queue_of_1024_entries_pins_no_page_for_commands_of_two_pages(void **state)
{
	struct emu_usage before;
	struct data data;
	struct machine m;

	start_queue(&m, 1024, &before);
	assert_int_equal(usage_since(&before).dma_bytes, 1024 * 64 + 1024 * 16);
	get_data(&m, &data, 2 * PAGE, 0);
	before = emu_usage();
	for (int way = 0; way < 3 * WAYS; way++) {
		for (int i = 0; i < 1023; i++) {
			union nvme_cmd cmd = rw_cmd(OP_READ, 0, 2 * PAGE / 512);
			struct nvme_rq *rq = i % 2 ? nvme_rq_acquire(m.sq) :
						     nvme_rq_acquire_atomic(m.sq);

			assert_non_null(rq);
			if (describe(&data, rq, &cmd, (way + i) % WAYS))
				fail_msg("%d: %s", (way + i) % WAYS, vfn_last_error());
			nvme_rq_post(rq, &cmd);
		}
		assert_null_with(nvme_rq_acquire(m.sq), EBUSY);
		assert_null_with(nvme_rq_acquire_atomic(m.sq), EBUSY);
		nvme_sq_update_tail(m.sq);
		complete(&m, 1023);
		emu_assert_usage(&before);
	}
	stop(&m);
}

/* The same for the fast calls, whose first command of all takes the way of any memory. */
static void fast_calls_pin_no_page_for_commands_of_two_pages(void **state)
{
	struct vfn_nvme_done done[16];
	struct emu_usage before;
	struct vfn_nvme_io io;
	struct data data;
	struct machine m;

	start_queue(&m, 1024, &before);
	get_data(&m, &data, 2 * PAGE, 0);
	before = emu_usage();
	assert_int_equal(vfn_nvme_io_prep(&io, &m.ctrl, OP_READ, 1, 9), 0);
	for (int i = 0; i < 1023; i++)
		assert_int_equal(vfn_nvme_io_submit(m.sq, &io, 0, 16, m.buf.vaddr, NULL), 0);
	for (int n = 0; n < 1023;) {
		int more = vfn_nvme_io_poll(m.sq, done, 16);

		for (int i = 0; i < more; i++)
			assert_true(nvme_cqe_ok(&done[i].cqe));
		n += more;
	}
	emu_assert_usage(&before);
	stop(&m);
}

/* And then the device finds the list there. */
static void page_is_mapped_when_a_list_needs_it(void **state)
{
	struct emu_usage before;
	struct data data;
	struct machine m;
	char *disk, *mem;

	start_queue(&m, 1024, &before);
	disk = emu_nvme_disk(m.nvme, 1, NULL);
	fill_random(disk, 4 * PAGE, &(uint64_t){ SEED });
	get_data(&m, &data, 4 * PAGE, PAGE);
	mem = m.buf.vaddr;
	for (int way = 0; way < WAYS; way++) {
		union nvme_cmd cmd = rw_cmd(OP_READ, 0, 4 * PAGE / 512);
		size_t gap = way < 3 ? 0 : PAGE;
		struct nvme_rq *rq;

		/* one of which the neighbours have no page yet */
		while ((rq = nvme_rq_acquire(m.sq))->cid != way * 64 + 40)
			;
		before = emu_usage();
		assert_int_equal(rq->page.iova, 0);
		memset(mem, 0x5a, m.buf.len);
		if (describe(&data, rq, &cmd, way))
			fail_msg("%d: %s", way, vfn_last_error());
		assert_int_equal(usage_since(&before).dma_maps, 1);
		assert_int_equal(usage_since(&before).dma_bytes, 64 * PAGE);
		nvme_rq_exec(rq, &cmd);
		assert_int_equal(nvme_rq_spin(rq, NULL), 0);
		assert_memory_equal(mem, disk, PAGE);
		assert_memory_equal(mem + PAGE + gap, disk + PAGE, 3 * PAGE);
		assert_page(&m, rq);
	}
	stop(&m);
}

/* Once they do, what is near it is mapped, too, so that mappings are few. */
static void queue_of_1024_entries_pins_the_lists_that_are_needed(void **state)
{
	const size_t queues = 1024 * 64 + 1024 * 16;
	struct emu_usage before;
	struct machine m;

	start_queue(&m, 1024, &before);
	for (int i = 0; i < 1023; i++) {
		struct nvme_rq *rq = nvme_rq_acquire(m.sq);
		size_t portions = (size_t)i / 64 + 1;

		assert_int_equal(rq->page.iova, 0);
		assert_page(&m, rq);
		assert_int_equal(usage_since(&before).dma_maps, 2 + portions);
		assert_int_equal(usage_since(&before).dma_bytes,
				 queues + (i < 960 ? portions * 64 : 1023) * PAGE);
	}
	for (int i = 0; i < 1023; i++)
		for (size_t k = 0; k < PAGE; k += 512)
			assert_int_equal(((uint8_t *)m.sq->rqs[i].page.vaddr)[k], i & 0xff);
	assert_int_equal(nvme_delete_ioqpair(&m.ctrl, 1), 0);
	emu_assert_usage(&before);
	nvme_close(&m.ctrl);
}

/* W32, Q2 */
static void queue_of_65536_entries_works(void **state)
{
	struct emu_usage before;
	struct machine m;

	start_queue(&m, 65536, &before);
	for (int i = 0; i < 65535; i++) {
		struct nvme_rq *rq = nvme_rq_acquire(m.sq);

		assert_int_equal(rq->cid, i);
		if (i % 251 == 0)
			assert_page(&m, rq);
	}
	assert_null_with(nvme_rq_acquire(m.sq), EBUSY);
	assert_page(&m, &m.sq->rqs[65534]);
	for (int i = 0; i < 65535; i++)
		assert_int_equal(vfn_nvme_rq_ready(&m.sq->rqs[i]), 0);
	/* mappings are few: their number has a limit */
	assert_int_equal(usage_since(&before).dma_maps, 2 + 1024);
	assert_int_equal(usage_since(&before).dma_bytes, 65536 * 80 + 65535 * PAGE);
	for (int i = 0; i < 65535; i++)
		nvme_rq_release(&m.sq->rqs[i]);
	assert_int_equal(free_requests(m.sq), 65535);
	assert_int_equal(nvme_delete_ioqpair(&m.ctrl, 1), 0);
	emu_assert_usage(&before);
	nvme_close(&m.ctrl);
}

static void queue_of_each_size_has_its_requests(void **state)
{
	struct emu_usage before;
	struct machine m;

	start_queue(&m, 2, &before);
	for (int qsize = 2; qsize < 140; qsize += qsize < 40 ? 1 : 23) {
		assert_int_equal(nvme_delete_ioqpair(&m.ctrl, 1), 0);
		emu_assert_usage(&before);
		assert_int_equal(nvme_create_ioqpair(&m.ctrl, 1, qsize, -1, 0), 0);
		for (int i = 0; i < qsize - 1; i++) {
			struct nvme_rq *rq = nvme_rq_acquire(m.sq);

			assert_ptr_equal(rq, &m.sq->rqs[i]);
			assert_ptr_equal(rq->sq, m.sq);
			assert_page(&m, rq);
		}
		assert_null_with(nvme_rq_acquire(m.sq), EBUSY);
	}
	nvme_close(&m.ctrl);
}

static void request_that_was_never_taken_has_no_completion(void **state)
{
	struct nvme_cqe cqe = { .cid = 900 };
	struct emu_usage before;
	struct machine m;

	start_queue(&m, 1024, &before);
	cqe.sqid = cpu_to_le16(1);
	assert_null_with(nvme_rq_from_cqe(&m.ctrl, &cqe), ECANCELED);
	nvme_rq_release(&m.sq->rqs[900]);
	assert_int_equal(free_requests(m.sq), 1023);
	nvme_close(&m.ctrl);
}

/* W32: nothing is lost where there is no memory now */
static void page_without_memory_fails_and_the_next_attempt_works(void **state)
{
	struct emu_usage before;
	struct machine m;
	int failures = 0;

	start_queue(&m, 1024, &before);
	for (int i = 0; i < 1023; i++) {
		struct nvme_rq *rq = nvme_rq_acquire(m.sq);
		union nvme_cmd cmd = spoilt();

		emu_fail_at(EMU_DMA_MAP, 1, ENOMEM);
		if (nvme_rq_map_prp(&m.ctrl, rq, &cmd, 0x10000, 3 * PAGE)) {
			assert_int_equal(errno, ENOMEM);
			assert_harmless(&cmd);
			assert_int_equal(rq->page.iova, 0);
			assert_int_equal(vfn_nvme_rq_ready(rq), 0);
			failures++;
		}
		emu_fail_at(0, 0, 0);
		assert_page(&m, rq);
	}
	assert_int_equal(failures, 16);
	nvme_close(&m.ctrl);
}

/* V11, V12 */
static int ready_all(void *arg)
{
	struct nvme_sq *sq = arg;

	for (int i = 0; i < sq->qsize - 1; i++)
		if (vfn_nvme_rq_ready(&sq->rqs[i]))
			return -1;

	return 0;
}

static void each_call_failing_while_pages_are_mapped_loses_nothing(void **state)
{
	struct emu_usage before;
	struct machine m;
	bool fired = true;

	start(&m, NULL);
	before = emu_usage();
	for (unsigned int n = 1; fired; n++) {
		assert_int_equal(nvme_create_ioqpair(&m.ctrl, 1, 200, -1, 0), 0);
		emu_fail_at(EMU_INIT, n, EIO);
		if (ready_all(&m.ctrl.sq[1]))
			assert_in_range(errno == ENOMEM ? EIO : errno, EIO, EIO);
		fired = emu_fail_fired();
		emu_fail_at(0, 0, 0);
		assert_int_equal(ready_all(&m.ctrl.sq[1]), 0);
		assert_int_equal(nvme_delete_ioqpair(&m.ctrl, 1), 0);
		emu_assert_usage(&before);
	}
	nvme_close(&m.ctrl);
}

/* As the first README's own acquire does. */
static struct nvme_rq *pop(struct nvme_sq *sq)
{
	struct nvme_rq *rq = sq->rq_top;

	sq->rq_top = rq->rq_next;

	return rq;
}

static void request_taken_from_the_stack_gets_its_page_when_it_is_needed(void **state)
{
	struct emu_usage before;
	struct nvme_rq *rqs[40];
	union nvme_cmd cmd;
	struct machine m;

	start_queue(&m, 41, &before);
	for (int i = 0; i < 40; i++) {
		rqs[i] = i % 20 == 10 ? nvme_rq_acquire(m.sq) : pop(m.sq);
		assert_int_equal(rqs[i]->cid, i);
	}
	for (int i = 39; i >= 0; i--) {
		cmd = spoilt();
		if (i == 39) {
			emu_fail_at(EMU_DMA_MAP, 1, ENOMEM);
			assert_fails_with(nvme_rq_map_prp(&m.ctrl, rqs[i], &cmd, 0x10000, MIB),
					  ENOMEM);
			assert_harmless(&cmd);
		}
		assert_int_equal(nvme_rq_map_prp(&m.ctrl, rqs[i], &cmd, 0x10000, MIB), 0);
		assert_page(&m, rqs[i]);
	}
	assert_int_equal(nvme_delete_ioqpair(&m.ctrl, 1), 0);
	emu_assert_usage(&before);
	nvme_close(&m.ctrl);
}

static void sync_without_memory_for_a_list_says_so(void **state)
{
	union nvme_cmd cmd = rw_cmd(OP_READ, 0, 3 * PAGE / 512);
	struct emu_usage before;
	struct machine m;

	start_queue(&m, 8, &before);
	assert_int_equal(iommu_get_dmabuf(__iommu_ctx(&m.ctrl), &m.buf, 3 * PAGE, 0), 0);
	emu_fail_at(EMU_DMA_MAP, 1, ENOMEM);
	assert_fails_with(nvme_sync(&m.ctrl, m.sq, &cmd, m.buf.vaddr, 3 * PAGE, NULL), ENOMEM);
	assert_int_equal(nvme_sync(&m.ctrl, m.sq, &cmd, m.buf.vaddr, 3 * PAGE, NULL), 0);
	stop(&m);
}

/* ---- a request's page by its address ---- */

static void page_is_found_by_its_address(void **state)
{
	struct emu_usage before;
	struct nvme_rq *rq;
	struct machine m;
	iova_t iova, again;

	start_queue(&m, 1024, &before);
	for (int i = 0; i < 900; i += 100) {
		char *page = m.sq->rqs[i].page.vaddr;
		struct iommu_ctx *ctx = __iommu_ctx(&m.ctrl);

		switch (i / 100 % 4) {
		case 0:
			assert_true(iommu_translate_vaddr(ctx, page + 8, &iova));
			iova -= 8;
			break;
		case 1:
			assert_int_equal(vfn_iommu_translate(ctx, page, PAGE, &iova), PAGE);
			break;
		case 2:
			assert_int_equal(iommu_map_vaddr(ctx, page, PAGE, &iova, 0), 0);
			break;
		default:
			assert_int_equal(iommu_pin(ctx, page, PAGE), 0);
			assert_true(iommu_translate_vaddr(ctx, page, &iova));
			iommu_unpin(ctx, page, PAGE);
			break;
		}
		assert_int_equal(vfn_nvme_rq_ready(&m.sq->rqs[i]), 0);
		assert_int_equal(m.sq->rqs[i].page.iova, iova);
		assert_true(iommu_translate_vaddr(ctx, page, &again));
		assert_int_equal(again, iova);
	}
	rq = &m.sq->rqs[1022];
	emu_fail_at(EMU_DMA_MAP, 1, ENOMEM);
	assert_false(iommu_translate_vaddr(__iommu_ctx(&m.ctrl), rq->page.vaddr, &iova));
	assert_true(iommu_translate_vaddr(__iommu_ctx(&m.ctrl), rq->page.vaddr, &iova));
	assert_int_equal(nvme_delete_ioqpair(&m.ctrl, 1), 0);
	emu_assert_usage(&before);
	nvme_close(&m.ctrl);
}

/* Of requests that nobody else uses. What is mapped at different times need not be in one piece. */
static void pages_given_as_list_memory_are_chained(void **state)
{
	const uint64_t len = 600 * PAGE;
	struct ranges got = {};
	struct emu_usage before;
	union nvme_cmd cmd = spoilt();
	struct lists lists;
	struct nvme_rq *rq;
	struct machine m;

	start_queue(&m, 256, &before);
	rq = &m.sq->rqs[10];
	assert_int_equal(nvme_map_prp(&m.ctrl, rq->page.vaddr, 2, &cmd, 0x10000, len), 0);
	lists = lists_of(rq);
	lists.len = 2 * PAGE;
	decode_prps(&cmd, len, &lists, &got);
	assert_int_equal(got.n, 1);
	assert_int_equal(got.r[0].len, len);
	free(got.r);

	rq = &m.sq->rqs[63];
	assert_int_equal(nvme_map_prp(&m.ctrl, rq->page.vaddr, 2, &cmd, 0x10000, 2 * PAGE), 0);
	assert_fails_with(nvme_map_prp(&m.ctrl, rq->page.vaddr, 2, &cmd, 0x10000, len), EFAULT);
	nvme_close(&m.ctrl);
}

/* A list of one page only, however many it takes; and no page that is not there. */
static void page_given_as_list_memory_stays_one_page(void **state)
{
	struct emu_usage before;
	union nvme_cmd cmd;
	struct nvme_rq *rq;
	struct machine m;

	start_queue(&m, 128, &before);
	rq = nvme_rq_acquire(m.sq);
	cmd = spoilt();
	assert_fails_with(nvme_map_prp(&m.ctrl, rq->page.vaddr, 1, &cmd, 0x10000, 514 * PAGE),
			  EINVAL);
	assert_harmless(&cmd);
	assert_int_equal(nvme_map_prp(&m.ctrl, rq->page.vaddr, 1, &cmd, 0x10000, 513 * PAGE), 0);
	assert_fails_with(nvme_map_prp(&m.ctrl, (leint64_t *)rq->page.vaddr + 1, 1, &cmd, 0x10000,
				       PAGE),
			  EINVAL);
	rq = &m.sq->rqs[126];
	assert_fails_with(nvme_map_prp(&m.ctrl, rq->page.vaddr, 2, &cmd, 0x10000, PAGE), EFAULT);
	assert_fails_with(nvme_map_prp(&m.ctrl, (leint64_t *)rq->page.vaddr + 1, 1, &cmd, 0x10000,
				       PAGE),
			  EFAULT);
	emu_fail_at(EMU_DMA_MAP, 1, ENOMEM);
	cmd = spoilt();
	assert_fails_with(nvme_map_prp(&m.ctrl, rq->page.vaddr, 1, &cmd, 0x10000, 3 * PAGE),
			  EFAULT);
	assert_harmless(&cmd);
	assert_int_equal(nvme_map_prp(&m.ctrl, rq->page.vaddr, 1, &cmd, 0x10000, 3 * PAGE), 0);
	nvme_close(&m.ctrl);
}

/* ---- lists that take more than a page ---- */

#define DISK_BLOCKS 20000

/* Pieces of a page each with a gap between them, in I/O virtual memory, too. */
struct pieces {
	char *mem;
	struct iovec *iov;
	int n;
};

static void start_pieces(struct machine *m, struct pieces *p, int n)
{
	const struct emu_nvme_opts opts = {
		.sgls = 1,
		.no_mdts = true,
		.ns = { { .blocks = DISK_BLOCKS, .lba_size = 512 } },
		.nns = 1,
	};
	uint64_t seed = SEED;

	start_pair(m, &opts, 8);
	fill_random(emu_nvme_disk(m->nvme, 1, NULL), DISK_BLOCKS * 512, &seed);
	p->n = n;
	p->mem = new_pages(2 * (size_t)n * PAGE);
	p->iov = calloc((size_t)n, sizeof(*p->iov));
	map_at(m, p->mem, 2 * (size_t)n * PAGE, 0x40000000);
	for (int i = 0; i < n; i++)
		p->iov[i] = (struct iovec){ p->mem + 2 * (size_t)i * PAGE, PAGE };
}

static void stop_pieces(struct machine *m, struct pieces *p)
{
	if (m->ctrl.regs)
		unmap(m, p->mem);
	stop(m);
	free(p->mem);
	free(p->iov);
}

/* What decodes from the command is what the pieces say. */
static void check(struct machine *m, const union nvme_cmd *cmd, struct nvme_rq *rq,
		  const struct pieces *p, int n)
{
	struct ranges want = {}, got = {};
	struct lists lists = lists_of(rq);
	uint64_t len = 0;

	lists.ctx = __iommu_ctx(&m->ctrl);
	for (int i = 0; i < n; i++) {
		uint64_t iova = 0x40000000 + (uint64_t)((char *)p->iov[i].iov_base - p->mem);

		add_range(&want, iova, p->iov[i].iov_len);
		len += p->iov[i].iov_len;
	}
	if (cmd->flags >> 6)
		assert_int_equal(decode_sgl(cmd, &lists, &got), n > 1 ? n : 0);
	else
		decode_prps(cmd, len, &lists, &got);
	assert_same_ranges(&got, &want);
	free(want.r);
	free(got.r);
}

typedef int map_fn(struct nvme_ctrl *ctrl, struct nvme_rq *rq, union nvme_cmd *cmd,
		   struct iovec *iov, int niov);

/* Read by the first @n pieces; what lies between them stays. */
static void read_by(struct machine *m, map_fn *map, struct nvme_rq *rq, struct pieces *p, int n)
{
	const char *disk = emu_nvme_disk(m->nvme, 1, NULL);
	union nvme_cmd cmd;
	size_t len = 0;

	for (int i = 0; i < n; i++)
		len += p->iov[i].iov_len;
	cmd = rw_cmd(OP_READ, 3, (unsigned int)(len / 512));
	memset(p->mem, 0x5a, 2 * (size_t)p->n * PAGE);
	assert_int_equal(map(&m->ctrl, rq, &cmd, p->iov, n), 0);
	check(m, &cmd, rq, p, n);
	nvme_rq_exec(rq, &cmd);
	assert_int_equal(nvme_rq_spin(rq, NULL), 0);
	disk += 3UL * 512;
	for (int i = 0; i < n; i++) {
		assert_memory_equal(p->iov[i].iov_base, disk, p->iov[i].iov_len);
		assert_int_equal(((char *)p->iov[i].iov_base)[p->iov[i].iov_len], 0x5a);
		disk += p->iov[i].iov_len;
	}
}

/* P5, P8: around each size at which another page is needed */
static void lists_of_each_length_are_followed(map_fn *map, int per_page)
{
	const int counts[] = {
		1,
		2,
		per_page,
		per_page + 1,
		per_page + 2,
		2 * per_page - 1,
		2 * per_page,
		2 * per_page + 1,
		4 * per_page - 3,
		4 * per_page - 2,
	};
	struct nvme_rq *rq, *fresh;
	struct pieces p;
	struct machine m;

	start_pieces(&m, &p, 4 * per_page);
	rq = nvme_rq_acquire(m.sq);
	for (size_t i = 0; i < UNIT_ARRAY_SIZE(counts); i++)
		read_by(&m, map, rq, &p, counts[i]);
	for (size_t i = UNIT_ARRAY_SIZE(counts); i--;) {
		/* one that has more pages than it needs, and one that has none yet */
		read_by(&m, map, rq, &p, counts[i]);
		fresh = nvme_rq_acquire(m.sq);
		if (fresh && i > 5) {
			read_by(&m, map, fresh, &p, counts[i]);
			continue;
		}
		break;
	}
	stop_pieces(&m, &p);
}

static void prp_lists_are_chained(void **state)
{
	lists_of_each_length_are_followed(nvme_rq_mapv_prp, 512);
}

/* W4: PSDT says SGL in each case, which decode_sgl() insists on */
static void sgl_segments_are_chained(void **state)
{
	lists_of_each_length_are_followed(nvme_rq_mapv_sgl, 256);
}

/* Of more than a page holds, and of pieces that PRPs could not express. */
static void more_pieces_than_a_page_holds_go_by_sgl(void **state)
{
	struct nvme_rq *rq;
	struct pieces p;
	struct machine m;

	start_pieces(&m, &p, 1000);
	rq = nvme_rq_acquire(m.sq);
	for (int i = 0; i < p.n; i++) {
		p.iov[i].iov_base = (char *)p.iov[i].iov_base + i % 7;
		p.iov[i].iov_len = i % 5 ? 500 : 548 - 36;
	}
	p.iov[999].iov_len += 512 - (200UL * 512 + 800UL * 500) % 512;
	for (int i = 0; i < 3; i++)
		read_by(&m, nvme_rq_mapv, rq, &p, 1000);
	stop_pieces(&m, &p);
}

static void pages_are_kept_for_the_next_command(void **state)
{
	struct emu_usage before;
	struct nvme_rq *rq;
	struct pieces p;
	struct machine m;

	start_pieces(&m, &p, 1500);
	rq = nvme_rq_acquire(m.sq);
	read_by(&m, nvme_rq_mapv_prp, rq, &p, 1500);
	nvme_rq_release(rq);
	before = emu_usage();
	emu_calls_clear();
	rq = nvme_rq_acquire(m.sq);
	for (int n = 1; n <= 1500; n += 499) {
		read_by(&m, nvme_rq_mapv_prp, rq, &p, n);
		read_by(&m, nvme_rq_mapv_sgl, rq, &p, n < 1000 ? n : 1000);
	}
	emu_assert_usage(&before);
	assert_int_equal(emu_call_count(emu_map_call()), 0);
	stop_pieces(&m, &p);
}

/* W3, W32: what takes more than any command may have is refused and leaves nothing */
static void more_pages_than_there_may_be_are_refused(void **state)
{
	static const size_t lens[] = { 1UL << 30, 1UL << 32, (1UL << 32) + PAGE, 1UL << 62 };
	struct emu_usage before;
	struct nvme_rq *rq;
	union nvme_cmd cmd;
	struct machine m;

	start_pair(&m, NULL, 8);
	before = emu_usage();
	rq = nvme_rq_acquire(m.sq);
	for (size_t i = 0; i < UNIT_ARRAY_SIZE(lens); i++) {
		cmd = spoilt();
		assert_fails_with(nvme_rq_map_prp(&m.ctrl, rq, &cmd, 0x10000, lens[i]), EINVAL);
		assert_error_has("256 pages");
		assert_harmless(&cmd);
		emu_assert_usage(&before);
	}
	/* 500 MiB are fine */
	assert_int_equal(nvme_rq_map_prp(&m.ctrl, rq, &cmd, 0x10000, 500 * MIB), 0);
	assert_true(emu_usage().dma_bytes - before.dma_bytes == 255 * PAGE);
	stop(&m);
}

/* V11, V12 */
static void list_without_memory_is_refused(void **state)
{
	map_fn *const maps[] = { nvme_rq_mapv_prp, nvme_rq_mapv_sgl, nvme_rq_mapv };
	struct emu_usage before;
	struct nvme_rq *rq;
	struct pieces p;
	struct machine m;

	start_pieces(&m, &p, 600);
	rq = nvme_rq_acquire(m.sq);
	before = emu_usage();
	for (size_t i = 0; i < UNIT_ARRAY_SIZE(maps); i++) {
		for (unsigned int n = 1; n <= 3; n++) {
			union nvme_cmd cmd = spoilt();

			emu_fail_at(EMU_INIT, n, ENOMEM);
			assert_fails_with(maps[i](&m.ctrl, rq, &cmd, p.iov, 600), ENOMEM);
			assert_true(emu_fail_fired());
			assert_harmless(&cmd);
			emu_assert_usage(&before);
		}
	}
	emu_fail_at(0, 0, 0);
	read_by(&m, nvme_rq_mapv, rq, &p, 600);
	stop_pieces(&m, &p);
}

static void admin_command_of_megabytes_is_described(void **state)
{
	const size_t len = 8 * MIB;
	struct machine m;
	struct nvme_rq *rq;
	union nvme_cmd cmd = spoilt();
	struct ranges got = {};
	struct lists lists;

	start(&m, NULL);
	rq = nvme_rq_acquire(m.ctrl.adminq.sq);
	assert_int_equal(nvme_rq_map_prp(&m.ctrl, rq, &cmd, 0x10004, len), 0);
	lists = lists_of(rq);
	lists.ctx = __iommu_ctx(&m.ctrl);
	decode_prps(&cmd, len, &lists, &got);
	assert_int_equal(got.n, 1);
	assert_int_equal(got.r[0].start, 0x10004);
	assert_int_equal(got.r[0].len, len);
	free(got.r);
	nvme_rq_release(rq);
	nvme_close(&m.ctrl);
}

/* ---- segments in memory of the caller's ---- */

/* P8 */
static void segments_of_the_callers_are_chained(void **state)
{
	struct nvme_rq *rq;
	struct pieces p;
	struct machine m;

	start_pieces(&m, &p, 1100);
	rq = nvme_rq_acquire(m.sq);
	for (int npages = 1; npages <= 4; npages++) {
		const int most = (npages - 1) * 255 + 256;
		union nvme_cmd cmd = spoilt();
		struct ranges got = {};
		struct lists lists = { .page = PAGE };

		/* memory of just that size */
		lists.vaddr = m.buf.vaddr;
		lists.iova = m.buf.iova;
		lists.len = (uint64_t)npages * PAGE;
		for (int n = most - 2; n <= most; n++) {
			memset(m.buf.vaddr, 0xa5, BUF_LEN);
			assert_int_equal(vfn_nvme_mapv_sgl(&m.ctrl, m.buf.vaddr, m.buf.iova, npages,
							   &cmd, p.iov, n),
					 0);
			assert_int_equal(decode_sgl(&cmd, &lists, &got), n);
			check(&m, &cmd, rq, &p, n);
			assert_int_equal(((uint8_t *)m.buf.vaddr)[lists.len], 0xa5);
		}
		assert_fails_with(vfn_nvme_mapv_sgl(&m.ctrl, m.buf.vaddr, m.buf.iova, npages, &cmd,
						    p.iov, most + 1),
				  EINVAL);
		assert_harmless(&cmd);
		free(got.r);
	}
	stop_pieces(&m, &p);
}

static void segments_of_the_callers_that_are_no_good_are_refused(void **state)
{
	struct iova_vec iov[2] = { { .iova = 0x10000, .len = 8 }, { .iova = 0x20000, .len = 8 } };
	union nvme_cmd cmd;
	struct machine m;

	start_pair(&m, NULL, 8);
	for (int npages = -1; npages <= 1; npages++) {
		cmd = spoilt();
		assert_fails_with(vfn_nvme_mapv_iova_sgl(&m.ctrl, npages < 1 ? m.buf.vaddr : NULL,
							 m.buf.iova, npages, &cmd, iov, 2),
				  EINVAL);
		assert_harmless(&cmd);
	}
	cmd = spoilt();
	assert_fails_with(vfn_nvme_mapv_iova_sgl(&m.ctrl, m.buf.vaddr, m.buf.iova + 4, 2, &cmd, iov,
						 2),
			  EINVAL);
	assert_harmless(&cmd);
	assert_int_equal(vfn_nvme_mapv_iova_sgl(&m.ctrl, m.buf.vaddr, m.buf.iova, 2, &cmd, iov, 2),
			 0);
	stop(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(queue_of_1024_entries_pins_no_page_for_commands_of_two_pages),
		test(fast_calls_pin_no_page_for_commands_of_two_pages),
		test(page_is_mapped_when_a_list_needs_it),
		test(queue_of_1024_entries_pins_the_lists_that_are_needed),
		test(queue_of_65536_entries_works),
		test(queue_of_each_size_has_its_requests),
		test(request_that_was_never_taken_has_no_completion),
		test(page_without_memory_fails_and_the_next_attempt_works),
		test(each_call_failing_while_pages_are_mapped_loses_nothing),
		test(request_taken_from_the_stack_gets_its_page_when_it_is_needed),
		test(sync_without_memory_for_a_list_says_so),
		test(page_is_found_by_its_address),
		test(pages_given_as_list_memory_are_chained),
		test(page_given_as_list_memory_stays_one_page),
		test(prp_lists_are_chained),
		test(sgl_segments_are_chained),
		test(more_pieces_than_a_page_holds_go_by_sgl),
		test(pages_are_kept_for_the_next_command),
		test(more_pages_than_there_may_be_are_refused),
		test(list_without_memory_is_refused),
		test(admin_command_of_megabytes_is_described),
		test(segments_of_the_callers_are_chained),
		test(segments_of_the_callers_that_are_no_good_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
