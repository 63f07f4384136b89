// SPDX-License-Identifier: GPL-2.0-or-later
/* Queues: sizes, identifiers, doorbells, memory of the caller's, waiting for completions. */
#include "machine.h"

/* ---- what is refused ---- */

/* W35, K7 */
static void size_beyond_mqes_is_refused(void **state)
{
	struct machine m;

	start(&m, &(struct emu_nvme_opts){ .mqes = 100 });
	assert_int_equal(m.ctrl.config.mqes, 99);
	assert_fails_with(nvme_create_ioqpair(&m.ctrl, 1, 101, -1, 0), EINVAL);
	assert_fails_with(nvme_create_ioqpair(&m.ctrl, 1, 1, -1, 0), EINVAL);
	assert_fails_with(nvme_create_ioqpair(&m.ctrl, 1, 0, -1, 0), EINVAL);
	assert_fails_with(nvme_create_ioqpair(&m.ctrl, 1, -5, -1, 0), EINVAL);
	assert_int_equal(emu_nvme_stats(m.nvme).admin[OP_CREATE_CQ], 0);
	assert_int_equal(nvme_create_ioqpair(&m.ctrl, 1, 100, -1, 0), 0);
	nvme_close(&m.ctrl);
}

/* W35, K8 */
static void identifier_out_of_range_is_refused(void **state)
{
	static const int bad[] = { -5, -1, 0, 65, 66, 0x10001, INT32_MAX, INT32_MIN };
	struct machine m;

	start(&m, NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_fails_with(nvme_create_ioqpair(&m.ctrl, bad[i], 8, -1, 0), EINVAL);
		assert_fails_with(nvme_create_iosq(&m.ctrl, bad[i], 8, m.ctrl.adminq.cq, 0),
				  EINVAL);
		assert_fails_with(nvme_delete_ioqpair(&m.ctrl, bad[i]), ENOENT);
		assert_fails_with(nvme_delete_iocq(&m.ctrl, bad[i]), ENOENT);
		if (bad[i] < 0 || bad[i] > 64)
			assert_fails_with(nvme_configure_cq(&m.ctrl, bad[i], 8, -1), EINVAL);
	}
	nvme_close(&m.ctrl);
}

/* V15, C3, W35 */
static void doorbell_beyond_the_bar_is_refused(void **state)
{
	const struct emu_nvme_opts opts = { .pci.bar0_size = 2 * PAGE, .dstrd = 6 };
	struct machine m;

	/* a stride of 256 bytes leaves room for 16 doorbells, those of queues 0 to 7 */
	start(&m, &opts);
	assert_int_equal(nvme_create_ioqpair(&m.ctrl, 7, 8, -1, 0), 0);
	assert_fails_with(nvme_create_ioqpair(&m.ctrl, 8, 8, -1, 0), EINVAL);
	assert_non_null(strstr(vfn_last_error(), "BAR 0"));
	nvme_close(&m.ctrl);
}

/* Threads with a queue each would slow each other down. */
static void queues_share_no_line_of_a_cache(void **state)
{
	struct machine m;

	start(&m, NULL);
	for (int i = 0; i < 4; i++) {
		assert_int_equal((uintptr_t)&m.ctrl.sq[i] % 64, 0);
		assert_int_equal((uintptr_t)&m.ctrl.cq[i] % 64, 0);
	}
	nvme_close(&m.ctrl);
}

static void queue_that_exists_is_refused(void **state)
{
	struct machine m;

	start_pair(&m, NULL, 8);
	assert_fails_with(nvme_create_ioqpair(&m.ctrl, 1, 8, -1, 0), EEXIST);
	assert_fails_with(nvme_configure_cq(&m.ctrl, 1, 8, -1), EEXIST);
	assert_fails_with(nvme_configure_sq(&m.ctrl, 1, 8, m.cq, 0), EEXIST);
	assert_fails_with(nvme_configure_adminq(&m.ctrl, 0), EEXIST);
	stop(&m);
}

static void vector_out_of_range_is_refused(void **state)
{
	struct machine m;

	start(&m, &(struct emu_nvme_opts){ .pci.msix_vectors = 4 });
	assert_fails_with(nvme_create_iocq(&m.ctrl, 1, 8, 4), EINVAL);
	assert_fails_with(nvme_create_iocq(&m.ctrl, 1, 8, -2), EINVAL);
	nvme_close(&m.ctrl);
}

static void submission_queue_needs_a_completion_queue(void **state)
{
	struct machine m;

	start(&m, NULL);
	assert_fails_with(nvme_create_iosq(&m.ctrl, 1, 8, NULL, 0), EINVAL);
	assert_fails_with(nvme_create_iosq(&m.ctrl, 1, 8, &m.ctrl.cq[1], 0), EINVAL);
	assert_int_equal(nvme_create_iocq(&m.ctrl, 1, 8, -1), 0);
	assert_fails_with(nvme_create_iosq(&m.ctrl, 1, 8, &m.ctrl.cq[1], 1), EINVAL);
	assert_int_equal(nvme_create_iosq(&m.ctrl, 1, 8, &m.ctrl.cq[1], 0), 0);
	nvme_close(&m.ctrl);
}

static void nonexistent_queue_is_not_synced_on(void **state)
{
	union nvme_cmd cmd = flush_cmd();
	struct machine m;

	start(&m, NULL);
	assert_fails_with(nvme_sync(&m.ctrl, &m.ctrl.sq[1], &cmd, NULL, 0, NULL), ENODEV);
	assert_fails_with(nvme_sync(&m.ctrl, NULL, &cmd, NULL, 0, NULL), ENODEV);
	nvme_close(&m.ctrl);
}

/* ---- queues side by side ---- */

static void sync_flush_on(struct nvme_ctrl *ctrl, int qid)
{
	union nvme_cmd cmd = flush_cmd();

	assert_int_equal(nvme_sync(ctrl, &ctrl->sq[qid], &cmd, NULL, 0, NULL), 0);
}

/* W11 */
static void many_queues_at_each_stride_have_their_own_doorbells(void **state)
{
	for (unsigned int dstrd = 0; dstrd <= 4; dstrd++) {
		struct machine m;

		start(&m, &(struct emu_nvme_opts){ .dstrd = dstrd });
		for (int qid = 1; qid <= 64; qid++)
			assert_int_equal(nvme_create_ioqpair(&m.ctrl, qid, 4, -1, 0), 0);
		for (int i = 0; i < 3; i++)
			for (int qid = 1; qid <= 64; qid++)
				sync_flush_on(&m.ctrl, qid);
		assert_int_equal(emu_nvme_stats(m.nvme).io[OP_FLUSH], 192);
		nvme_close(&m.ctrl);
		emu_fini();
		emu_init();
	}
}

static void deleted_queue_can_be_created_again(void **state)
{
	struct emu_usage before;
	struct machine m;

	start(&m, NULL);
	before = emu_usage();
	for (int i = 0; i < 100; i++) {
		assert_int_equal(nvme_create_ioqpair(&m.ctrl, 1, 2 + i, -1, 0), 0);
		sync_flush_on(&m.ctrl, 1);
		assert_int_equal(nvme_delete_ioqpair(&m.ctrl, 1), 0);
	}
	emu_assert_usage(&before);
	nvme_close(&m.ctrl);
}

static void discard_of_queues_that_are_not_there_does_nothing(void **state)
{
	struct machine m;

	start(&m, NULL);
	nvme_discard_sq(&m.ctrl, &m.ctrl.sq[1]);
	nvme_discard_cq(&m.ctrl, &m.ctrl.cq[1]);
	nvme_close(&m.ctrl);
}

/* ---- memory of the caller's ---- */

static void get(struct machine *m, struct iommu_dmabuf *mem, size_t len)
{
	assert_int_equal(iommu_get_dmabuf(__iommu_ctx(&m->ctrl), mem, len, 0), 0);
}

/* Q11, W10 */
static void completion_queue_in_memory_of_ones_is_zeroed(void **state)
{
	struct iommu_dmabuf mem;
	struct machine m;

	start(&m, NULL);
	get(&m, &mem, PAGE);
	memset(mem.vaddr, 0xff, PAGE);
	assert_int_equal(nvme_configure_cq_mem(&m.ctrl, 1, 16, -1, &mem), 0);
	assert_null(nvme_cq_get_cqe(&m.ctrl.cq[1]));
	/* what lies behind the queue is not the library's */
	assert_int_equal(((uint8_t *)mem.vaddr)[16 * 16 - 1], 0);
	assert_int_equal(((uint8_t *)mem.vaddr)[16 * 16], 0xff);
	assert_true(m.ctrl.cq[1].flags & NVME_Q_MEM_PREALLOCATED);
	nvme_discard_cq(&m.ctrl, &m.ctrl.cq[1]);
	assert_int_equal(mem.len, PAGE);
	iommu_put_dmabuf(&mem);
	nvme_close(&m.ctrl);
}

/* W10 */
static void memory_too_small_is_refused(void **state)
{
	struct iommu_dmabuf mem, none = {}, negative;
	struct machine m;

	start(&m, NULL);
	get(&m, &mem, PAGE);
	negative = mem;
	negative.len = -1;
	assert_fails_with(nvme_configure_cq_mem(&m.ctrl, 1, 257, -1, &mem), EINVAL);
	assert_fails_with(nvme_configure_cq_mem(&m.ctrl, 1, 8, -1, &none), EINVAL);
	assert_fails_with(nvme_configure_cq_mem(&m.ctrl, 1, 8, -1, &negative), EINVAL);
	assert_int_equal(nvme_configure_cq_mem(&m.ctrl, 1, 256, -1, &mem), 0);
	nvme_discard_cq(&m.ctrl, &m.ctrl.cq[1]);

	assert_int_equal(nvme_configure_cq(&m.ctrl, 1, 256, -1), 0);
	assert_fails_with(nvme_configure_sq_mem(&m.ctrl, 1, 65, &m.ctrl.cq[1], 0, &mem), EINVAL);
	assert_int_equal(nvme_configure_sq_mem(&m.ctrl, 1, 64, &m.ctrl.cq[1], 0, &mem), 0);
	nvme_discard_sq(&m.ctrl, &m.ctrl.sq[1]);
	iommu_put_dmabuf(&mem);
	nvme_close(&m.ctrl);
}

/* W10 */
static void memory_misaligned_is_refused(void **state)
{
	struct iommu_dmabuf mem, odd;
	struct machine m;

	start(&m, NULL);
	get(&m, &mem, 2 * PAGE);
	odd = mem;
	odd.vaddr = (char *)odd.vaddr + 64;
	odd.iova += 64;
	odd.len -= 64;
	assert_fails_with(nvme_configure_cq_mem(&m.ctrl, 1, 8, -1, &odd), EINVAL);
	iommu_put_dmabuf(&mem);
	nvme_close(&m.ctrl);
}

/* W10 */
static void admin_queue_in_large_memory_has_4096_entries(void **state)
{
	struct iommu_dmabuf cq_mem, sq_mem;
	union nvme_cmd cmd = identify_cmd();
	struct machine m = {};

	m.nvme = emu_nvme_add(NULL);
	assert_int_equal(nvme_ctrl_init(&m.ctrl, EMU_BDF, NULL), 0);
	get(&m, &cq_mem, 5000 * 16);
	get(&m, &sq_mem, 5000 * 64);
	memset(cq_mem.vaddr, 0xff, 5000 * 16);
	assert_int_equal(nvme_configure_adminq_mem(&m.ctrl, 0, &cq_mem, &sq_mem), 0);
	assert_int_equal(m.ctrl.adminq.sq->qsize, 4096);
	assert_int_equal(m.ctrl.adminq.cq->qsize, 4096);
	assert_int_equal(emu_nvme_reg(m.nvme, 0x24), 4095 << 16 | 4095);
	assert_int_equal(nvme_enable(&m.ctrl), 0);
	get(&m, &m.buf, PAGE);
	assert_int_equal(nvme_admin(&m.ctrl, &cmd, m.buf.vaddr, PAGE, NULL), 0);
	assert_int_equal(nvme_reset(&m.ctrl), 0);
	iommu_put_dmabuf(&cq_mem);
	iommu_put_dmabuf(&sq_mem);
	stop(&m);
}

static void admin_queue_of_two_entries_works(void **state)
{
	struct iommu_dmabuf cq_mem, sq_mem;
	union nvme_cmd cmd = identify_cmd();
	struct machine m = {};

	emu_nvme_add(NULL);
	assert_int_equal(nvme_ctrl_init(&m.ctrl, EMU_BDF, NULL), 0);
	get(&m, &m.buf, PAGE);
	get(&m, &cq_mem, PAGE);
	get(&m, &sq_mem, PAGE);
	cq_mem.len = 2 * 16;
	sq_mem.len = 2 * 64;
	assert_int_equal(nvme_configure_adminq_mem(&m.ctrl, 0, &cq_mem, &sq_mem), 0);
	assert_int_equal(m.ctrl.adminq.cq->qsize, 2);
	assert_int_equal(nvme_enable(&m.ctrl), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(nvme_admin(&m.ctrl, &cmd, m.buf.vaddr, PAGE, NULL), 0);
	assert_int_equal(nvme_reset(&m.ctrl), 0);
	cq_mem.len = PAGE;
	sq_mem.len = PAGE;
	iommu_put_dmabuf(&cq_mem);
	iommu_put_dmabuf(&sq_mem);
	stop(&m);
}

/* W10: every command must find room for its completion */
static void admin_submission_queue_is_no_larger_than_completions(void **state)
{
	struct iommu_dmabuf cq_mem, sq_mem, tiny;
	struct machine m = {};

	emu_nvme_add(NULL);
	assert_int_equal(nvme_ctrl_init(&m.ctrl, EMU_BDF, NULL), 0);
	get(&m, &cq_mem, PAGE);
	get(&m, &sq_mem, 8 * PAGE);
	tiny = cq_mem;
	tiny.len = 31;
	assert_fails_with(nvme_configure_adminq_mem(&m.ctrl, 0, &tiny, &sq_mem), EINVAL);
	assert_int_equal(nvme_configure_adminq_mem(&m.ctrl, 0, &cq_mem, &sq_mem), 0);
	assert_int_equal(m.ctrl.adminq.cq->qsize, 256);
	assert_int_equal(m.ctrl.adminq.sq->qsize, 256);
	iommu_put_dmabuf(&cq_mem);
	iommu_put_dmabuf(&sq_mem);
	nvme_close(&m.ctrl);
}

/* W10: an admin queue whose second half fails leaves nothing */
static void admin_queue_refused_leaves_nothing(void **state)
{
	struct iommu_dmabuf sq_mem;
	struct emu_usage before;
	struct machine m = {};

	emu_nvme_add(NULL);
	assert_int_equal(nvme_ctrl_init(&m.ctrl, EMU_BDF, NULL), 0);
	get(&m, &sq_mem, PAGE);
	before = emu_usage();
	sq_mem.iova += 64;
	assert_fails_with(nvme_configure_adminq_mem(&m.ctrl, 0, NULL, &sq_mem), EINVAL);
	emu_assert_usage(&before);
	sq_mem.iova -= 64;
	iommu_put_dmabuf(&sq_mem);
	nvme_close(&m.ctrl);
}

/* ---- waiting for completions ---- */

static void post_flushes(struct machine *m, int n)
{
	for (int i = 0; i < n; i++) {
		struct nvme_rq *rq = nvme_rq_acquire(m->sq);
		union nvme_cmd cmd = flush_cmd();

		assert_non_null(rq);
		nvme_rq_post(rq, &cmd);
	}
	nvme_sq_update_tail(m->sq);
}

/* W26 */
static void waiting_for_no_completion_takes_none(void **state)
{
	struct nvme_cqe cqes[4];
	struct machine m;

	start_pair(&m, NULL, 8);
	post_flushes(&m, 2);
	assert_int_equal(nvme_cq_wait_cqes(m.cq, cqes, 0, NULL), 0);
	assert_int_equal(nvme_cq_wait_cqes(m.cq, cqes, -3, NULL), 0);
	nvme_cq_get_cqes(m.cq, cqes, 0);
	assert_int_equal(m.cq->head, 0);
	nvme_cq_get_cqes(m.cq, cqes, 2);
	assert_int_equal(m.cq->head, 2);
	/* what is all there is the caller's to announce */
	assert_int_equal(m.cq->phead, 0);
	nvme_cq_update_head(m.cq);
	stop(&m);
}

/* W26: two queues of 31 commands and one of 8 completions; nobody is told in between */
static void waiting_for_more_than_the_queue_holds_gets_them(void **state)
{
	struct nvme_cqe cqes[30] = {};
	struct machine m;

	start(&m, NULL);
	assert_int_equal(nvme_create_iocq(&m.ctrl, 1, 8, -1), 0);
	assert_int_equal(nvme_create_iosq(&m.ctrl, 1, 32, &m.ctrl.cq[1], 0), 0);
	m.sq = &m.ctrl.sq[1];
	m.cq = &m.ctrl.cq[1];
	post_flushes(&m, 30);
	assert_int_equal(nvme_cq_wait_cqes(m.cq, cqes, 30, NULL), 30);
	for (int i = 0; i < 30; i++) {
		assert_true(nvme_cqe_ok(&cqes[i]));
		assert_int_equal(cqes[i].cid, i);
	}
	nvme_cq_update_head(m.cq);
	stop(&m);
}

static void waiting_with_a_limit_returns_what_there_is(void **state)
{
	struct timespec ts = { .tv_nsec = 20 * MS };
	uint64_t begin;
	struct machine m;

	start_pair(&m, NULL, 8);
	post_flushes(&m, 3);
	begin = emu_now();
	errno = 0;
	assert_int_equal(nvme_cq_wait_cqes(m.cq, NULL, 5, &ts), 3);
	assert_int_equal(errno, ETIMEDOUT);
	assert_in_range(emu_now() - begin, 20 * MS, 22 * MS);
	nvme_cq_update_head(m.cq);
	stop(&m);
}

static void waiting_with_a_limit_of_nothing_still_looks(void **state)
{
	struct timespec none = {}, past = { .tv_sec = -1 };
	struct machine m;

	start_pair(&m, NULL, 8);
	post_flushes(&m, 3);
	assert_int_equal(nvme_cq_wait_cqes(m.cq, NULL, 2, &none), 2);
	assert_int_equal(nvme_cq_wait_cqes(m.cq, NULL, 2, &past), 1);
	assert_int_equal(nvme_cq_wait_cqes(m.cq, NULL, 2, &past), 0);
	nvme_cq_update_head(m.cq);
	stop(&m);
}

static void waiting_with_a_limit_of_ages_does_not_wrap(void **state)
{
	struct timespec ages = { .tv_sec = INT64_MAX, .tv_nsec = 999999999 };
	struct machine m;

	start_pair(&m, NULL, 8);
	emu_nvme_fault(m.nvme, &(struct emu_fault){
				       .kind = EMU_DELAY,
				       .qid = 1,
				       .opcode = EMU_ANY,
				       .delay_ns = 100 * SEC,
			       });
	post_flushes(&m, 1);
	assert_int_equal(nvme_cq_wait_cqes(m.cq, NULL, 1, &ages), 1);
	nvme_cq_update_head(m.cq);
	stop(&m);
}

/* C7 */
static void waiting_without_a_limit_ends_with_the_controller(void **state)
{
	struct nvme_cqe cqes[2];
	struct machine m;

	start_pair(&m, NULL, 8);
	add_fault(&m, EMU_CFS, 1, OP_FLUSH);
	post_flushes(&m, 2);
	errno = 0;
	assert_int_equal(nvme_cq_wait_cqes(m.cq, cqes, 2, NULL), 0);
	assert_int_equal(errno, ENODEV);
	nvme_cq_get_cqes(m.cq, cqes, 2);
	assert_false(nvme_cqe_ok(&cqes[0]));
	assert_false(nvme_cqe_ok(&cqes[1]));
	nvme_cq_get_cqes(m.cq, NULL, 2);
	stop(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(size_beyond_mqes_is_refused),
		test(identifier_out_of_range_is_refused),
		test(doorbell_beyond_the_bar_is_refused),
		test(queue_that_exists_is_refused),
		test(queues_share_no_line_of_a_cache),
		test(vector_out_of_range_is_refused),
		test(submission_queue_needs_a_completion_queue),
		test(nonexistent_queue_is_not_synced_on),
		test(many_queues_at_each_stride_have_their_own_doorbells),
		test(deleted_queue_can_be_created_again),
		test(discard_of_queues_that_are_not_there_does_nothing),
		test(completion_queue_in_memory_of_ones_is_zeroed),
		test(memory_too_small_is_refused),
		test(memory_misaligned_is_refused),
		test(admin_queue_in_large_memory_has_4096_entries),
		test(admin_queue_of_two_entries_works),
		test(admin_submission_queue_is_no_larger_than_completions),
		test(admin_queue_refused_leaves_nothing),
		test(waiting_for_no_completion_takes_none),
		test(waiting_for_more_than_the_queue_holds_gets_them),
		test(waiting_with_a_limit_returns_what_there_is),
		test(waiting_with_a_limit_of_nothing_still_looks),
		test(waiting_with_a_limit_of_ages_does_not_wrap),
		test(waiting_without_a_limit_ends_with_the_controller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
