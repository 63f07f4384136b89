// SPDX-License-Identifier: GPL-2.0-or-later
/* What a program has a claim to stays its own, whatever the library does in between. */
#include "machine.h"

#include <vfn/support/mmio.h>

static void delay(struct machine *m, uint32_t nth, uint64_t ns)
{
	emu_nvme_fault(m->nvme, &(struct emu_fault){
					.kind = EMU_DELAY,
					.qid = 1,
					.opcode = OP_FLUSH,
					.nth = nth,
					.delay_ns = ns,
				});
}

static int flush(struct machine *m)
{
	union nvme_cmd cmd = flush_cmd();

	return nvme_sync(&m->ctrl, m->sq, &cmd, NULL, 0, NULL);
}

static int read_into(struct machine *m, void *buf, unsigned int blocks)
{
	union nvme_cmd cmd = rw_cmd(OP_READ, 0, blocks);

	return nvme_sync(&m->ctrl, m->sq, &cmd, buf, blocks * 512UL, NULL);
}

/* ---- requests ---- */

/* A flush whose wait is over after 10 ms and that completes in the course of another one. */
static struct nvme_rq *start_late(struct machine *m)
{
	struct timespec ts = { .tv_nsec = 10 * (long)MS };
	struct nvme_rq *late;

	start_pair(m, NULL, 8);
	delay(m, 1, 20 * MS);
	delay(m, 2, 30 * MS);
	late = post_flush(m->sq);
	assert_fails_with(nvme_rq_wait(late, NULL, &ts), ETIMEDOUT);
	assert_int_equal(flush(m), 0);

	return late;
}

/* W23 */
static void late_completion_seen_by_a_sync_is_still_the_waiters(void **state)
{
	struct nvme_rq *late;
	struct nvme_cqe cqe;
	struct machine m;

	late = start_late(&m);
	assert_int_equal(late->state, VFN_NVME_RQ_LATE);
	assert_int_equal(nvme_rq_spin(late, &cqe), 0);
	assert_int_equal(cqe.cid, late->cid);
	nvme_rq_release(late);
	assert_int_equal(free_requests(m.sq), 7);
	stop(&m);
}

/* W23: else the completion that lies there would pass for that of its next command */
static void late_request_is_free_only_after_its_completion_is_consumed(void **state)
{
	struct timespec ts = { .tv_nsec = 10 * (long)MS };
	struct nvme_rq *late, *rqs[6];
	struct machine m;

	late = start_late(&m);
	nvme_rq_release(late);
	assert_int_equal(free_requests(m.sq), 6);

	/* whichever request a lost command gets, its wait does not succeed */
	add_fault(&m, EMU_LOSE, 1, OP_FLUSH);
	rqs[0] = post_flush(m.sq);
	assert_ptr_not_equal(rqs[0], late);
	assert_fails_with(nvme_rq_wait(rqs[0], NULL, &ts), ETIMEDOUT);

	/* that wait has consumed it */
	assert_int_equal(free_requests(m.sq), 6);
	assert_int_equal(late->state, VFN_NVME_RQ_FREE);
	stop(&m);
}

/* W23, K6 */
static void second_completion_leaves_all_requests_distinct(void **state)
{
	bool seen[7] = {};
	struct nvme_cqe *cqe;
	struct nvme_rq *rq;
	struct machine m;

	start_pair(&m, NULL, 8);
	add_fault(&m, EMU_DUPLICATE, 1, OP_FLUSH);
	rq = post_flush(m.sq);

	cqe = nvme_cq_get_cqe(m.cq);
	assert_non_null(cqe);
	assert_ptr_equal(nvme_rq_from_cqe(&m.ctrl, cqe), rq);
	nvme_rq_release(rq);
	cqe = nvme_cq_get_cqe(m.cq);
	assert_non_null(cqe);
	assert_null_with(nvme_rq_from_cqe(&m.ctrl, cqe), ECANCELED);
	nvme_rq_release(rq);
	assert_null(nvme_cq_get_cqe(m.cq));
	nvme_cq_update_head(m.cq);

	for (int i = 0; i < 7; i++) {
		rq = nvme_rq_acquire(m.sq);
		assert_non_null(rq);
		assert_false(seen[rq->cid]);
		seen[rq->cid] = true;
	}
	assert_null_with(nvme_rq_acquire(m.sq), EBUSY);
	stop(&m);
}

/* ---- memory ---- */

/* W10: a dmabuf made by hand need not know the address space */
static void sync_on_a_queue_in_other_memory_unmaps_its_buffer(void **state)
{
	struct iommu_dmabuf sq_mem, cq_mem, sq_hand, cq_hand;
	union nvme_cmd cmd = identify_cmd();
	char *buf = new_pages(PAGE);
	struct emu_usage before;
	struct machine m = {};

	m.nvme = emu_nvme_add(NULL);
	assert_int_equal(nvme_ctrl_init(&m.ctrl, EMU_BDF, NULL), 0);
	assert_int_equal(iommu_get_dmabuf(__iommu_ctx(&m.ctrl), &sq_mem, PAGE, 0), 0);
	assert_int_equal(iommu_get_dmabuf(__iommu_ctx(&m.ctrl), &cq_mem, PAGE, 0), 0);
	sq_hand = sq_mem;
	cq_hand = cq_mem;
	sq_hand.ctx = cq_hand.ctx = NULL;
	assert_int_equal(nvme_configure_adminq_mem(&m.ctrl, 0, &cq_hand, &sq_hand), 0);
	assert_int_equal(nvme_enable(&m.ctrl), 0);

	warm_up(m.ctrl.adminq.sq);
	before = emu_usage();
	assert_int_equal(nvme_admin(&m.ctrl, &cmd, buf, PAGE, NULL), 0);
	assert_true(buf[0] || buf[1]);
	emu_assert_usage(&before);

	assert_int_equal(nvme_reset(&m.ctrl), 0);
	iommu_put_dmabuf(&sq_mem);
	iommu_put_dmabuf(&cq_mem);
	nvme_close(&m.ctrl);
	free(buf);
}

/* W6 */
static void buffer_that_begins_in_a_mapped_page_carries_data(void **state)
{
	const unsigned long flags[] = { 0, IOMMU_MAP_EPHEMERAL };
	char *buf = new_pages(3 * PAGE);
	struct emu_usage before, mapped;
	struct machine m;

	start_pair(&m, NULL, 8);
	memset(emu_nvme_disk(m.nvme, 1, NULL), 0x5a, 2 * PAGE);
	before = emu_usage();
	for (int i = 0; i < 2; i++) {
		memset(buf, 0, 3 * PAGE);
		assert_int_equal(iommu_map_vaddr(__iommu_ctx(&m.ctrl), buf, PAGE, NULL, flags[i]),
				 0);
		mapped = emu_usage();
		assert_int_equal(read_into(&m, buf + 2048, 16), 0);
		assert_memory_equal(buf + 2048, emu_nvme_disk(m.nvme, 1, NULL), 2 * PAGE);
		assert_int_equal(buf[2047] | buf[2048 + 2 * PAGE], 0);
		emu_assert_usage(&mapped);
		assert_int_equal(iommu_unmap_vaddr(__iommu_ctx(&m.ctrl), buf, NULL), 0);
		emu_assert_usage(&before);
	}
	free(buf);
	stop(&m);
}

/* ---- on the way up and down ---- */

/* Existing programs count on this number. */
static void admin_queues_have_32_entries(void **state)
{
	struct machine m;

	start(&m, NULL);
	assert_int_equal(m.ctrl.adminq.sq->qsize, 32);
	assert_int_equal(m.ctrl.adminq.cq->qsize, 32);
	assert_int_equal(emu_nvme_reg(m.nvme, 0x24), 31 << 16 | 31);
	stop(&m);
}

/* Enable it without waiting until it is ready. */
static void start_up(struct machine *m)
{
	const struct emu_nvme_opts opts = { .ready_ns = 300 * MS };

	memset(m, 0, sizeof(*m));
	m->nvme = emu_nvme_add(&opts);
	assert_int_equal(nvme_ctrl_init(&m->ctrl, EMU_BDF, NULL), 0);
	assert_int_equal(nvme_configure_adminq(&m->ctrl, 0), 0);
	mmio_write32((char *)m->ctrl.regs + REG_CC, cpu_to_le32(0x460001));
	assert_int_equal(emu_nvme_reg(m->nvme, REG_CSTS) & CSTS_RDY, 0);
	emu_calls_clear();
}

/* C6: section 3.1.3.5 */
static void reset_on_the_way_up_waits_until_it_is_ready(void **state)
{
	uint64_t begin;
	struct machine m;

	start_up(&m);
	begin = emu_now();
	assert_int_equal(nvme_reset(&m.ctrl), 0);
	assert_in_range(emu_now() - begin, 600 * MS, 650 * MS);
	emu_assert_order("reg write 0x14 0x460000", NULL);
	nvme_close(&m.ctrl);
}

/* C6 */
static void close_on_the_way_up_resets_the_function(void **state)
{
	struct machine m;

	start_up(&m);
	nvme_close(&m.ctrl);
	emu_assert_order("ioctl DEVICE_RESET", emu_unmap_call(), "close " EMU_BDF, NULL);
}

/* C6, W7: the program tried to disable it, in vain */
static void close_after_a_reset_that_hangs_resets_the_function(void **state)
{
	struct machine m;

	start(&m, NULL);
	emu_nvme_set(m.nvme, EMU_NEVER_UNREADY, true);
	assert_fails_with(nvme_reset(&m.ctrl), ETIMEDOUT);
	emu_calls_clear();
	nvme_close(&m.ctrl);
	emu_assert_order("ioctl DEVICE_RESET", emu_unmap_call(), "close " EMU_BDF, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(late_completion_seen_by_a_sync_is_still_the_waiters),
		test(late_request_is_free_only_after_its_completion_is_consumed),
		test(second_completion_leaves_all_requests_distinct),
		test(sync_on_a_queue_in_other_memory_unmaps_its_buffer),
		test(buffer_that_begins_in_a_mapped_page_carries_data),
		test(admin_queues_have_32_entries),
		test(reset_on_the_way_up_waits_until_it_is_ready),
		test(close_on_the_way_up_resets_the_function),
		test(close_after_a_reset_that_hangs_resets_the_function),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
