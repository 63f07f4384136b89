// SPDX-License-Identifier: GPL-2.0-or-later
/* Requests: taking and giving back, and finding the one that a completion belongs to. */
#include "machine.h"

/* Q1 */
static void acquire_from_a_used_up_queue_is_busy(void **state)
{
	struct nvme_rq *rqs[7];
	struct machine m;

	start_pair(&m, NULL, 8);
	for (int i = 0; i < 7; i++) {
		rqs[i] = nvme_rq_acquire(m.sq);
		assert_non_null(rqs[i]);
		assert_int_equal(rqs[i]->cid, i);
		assert_ptr_equal(rqs[i], &m.sq->rqs[i]);
		assert_ptr_equal(rqs[i]->sq, m.sq);
	}
	assert_null_with(nvme_rq_acquire(m.sq), EBUSY);
	assert_null_with(nvme_rq_acquire_atomic(m.sq), EBUSY);
	nvme_rq_release(rqs[3]);
	assert_ptr_equal(nvme_rq_acquire_atomic(m.sq), rqs[3]);
	stop(&m);
}

static void acquire_gives_the_one_released_last(void **state)
{
	struct nvme_rq *a, *b, *c;
	struct machine m;

	start_pair(&m, NULL, 8);
	a = nvme_rq_acquire(m.sq);
	b = nvme_rq_acquire(m.sq);
	c = nvme_rq_acquire(m.sq);
	nvme_rq_release(b);
	nvme_rq_release_atomic(a);
	nvme_rq_release(c);
	assert_ptr_equal(nvme_rq_acquire(m.sq), c);
	assert_ptr_equal(nvme_rq_acquire(m.sq), a);
	assert_ptr_equal(nvme_rq_acquire(m.sq), b);
	stop(&m);
}

static struct nvme_rq *find(struct machine *m, uint16_t sqid, uint16_t cid)
{
	struct nvme_cqe cqe = { .cid = cid };

	cqe.sqid = cpu_to_le16(sqid);

	return nvme_rq_from_cqe(&m->ctrl, &cqe);
}

/* Foreign languages may have inline functions of their own, with these behind them. */
static void inline_functions_have_their_rare_parts_in_the_library(void **state)
{
	struct nvme_rq *rq;
	struct machine m;

	start_pair(&m, NULL, 64);
	rq = &m.sq->rqs[40];
	vfn_nvme_rq_abandon(rq);
	assert_null_with(vfn_nvme_rq_late(rq), ECANCELED);
	assert_int_equal(rq->state, VFN_NVME_RQ_FREE);
	stop(&m);
}

/* K6: a second completion leads to a second release */
static void release_of_a_free_request_does_nothing(void **state)
{
	struct nvme_rq *a, *b;
	struct machine m;

	start_pair(&m, NULL, 4);
	a = nvme_rq_acquire(m.sq);
	b = nvme_rq_acquire(m.sq);
	for (int i = 0; i < 3; i++) {
		nvme_rq_release(a);
		nvme_rq_release_atomic(b);
	}
	assert_int_equal(free_requests(m.sq), 3);
	assert_null_with(find(&m, 1, a->cid), ECANCELED);
	assert_int_equal(free_requests(m.sq), 3);
	assert_ptr_equal(nvme_rq_acquire(m.sq), b);
	assert_ptr_equal(nvme_rq_acquire(m.sq), a);
	stop(&m);
}

static void release_forgets_the_context(void **state)
{
	struct nvme_rq *rq;
	struct machine m;

	start_pair(&m, NULL, 8);
	rq = nvme_rq_acquire(m.sq);
	rq->opaque = &m;
	nvme_rq_release(rq);
	assert_null(rq->opaque);
	stop(&m);
}

/* Q3, W21, K3 */
static void completion_with_an_identifier_out_of_range_has_no_request(void **state)
{
	struct machine m;

	start_pair(&m, NULL, 8);
	while (nvme_rq_acquire(m.sq))
		;
	assert_ptr_equal(find(&m, 1, 0), &m.sq->rqs[0]);
	assert_ptr_equal(find(&m, 1, 6), &m.sq->rqs[6]);
	assert_null_with(find(&m, 1, 7), EINVAL);
	assert_null_with(find(&m, 1, 8), EINVAL);
	assert_null_with(find(&m, 1, 0x7fff), EINVAL);
	assert_null_with(find(&m, 1, 0xffff), EINVAL);
	stop(&m);
}

/* Q6, W21 */
static void completion_of_an_unknown_queue_has_no_request(void **state)
{
	struct machine m;

	start_pair(&m, NULL, 8);
	assert_null_with(find(&m, 2, 0), EINVAL);
	assert_null_with(find(&m, 64, 0), EINVAL);
	assert_null_with(find(&m, 65, 0), EINVAL);
	assert_null_with(find(&m, 66, 0), EINVAL);
	assert_null_with(find(&m, 0xffff, 0), EINVAL);
	stop(&m);
}

/* W21: bit 15 marks asynchronous events, on the admin queue only */
static void mark_of_events_is_known_on_the_admin_queue_only(void **state)
{
	struct machine m;

	start_pair(&m, NULL, 8);
	while (nvme_rq_acquire(m.ctrl.adminq.sq))
		;
	assert_ptr_equal(find(&m, 0, 5 | NVME_CID_AER), &m.ctrl.adminq.sq->rqs[5]);
	assert_null_with(find(&m, 0, 31 | NVME_CID_AER), EINVAL);
	/* the queues are deleted by commands, which need requests */
	for (int i = 0; i < 31; i++)
		nvme_rq_release(&m.ctrl.adminq.sq->rqs[i]);
	assert_null_with(find(&m, 1, 5 | NVME_CID_AER), EINVAL);
	stop(&m);
}

/* Q4, Q5 */
static void completion_of_a_free_request_is_nobodys(void **state)
{
	struct nvme_rq *rq;
	struct machine m;

	start_pair(&m, NULL, 8);
	assert_null_with(find(&m, 1, 0), ECANCELED);
	rq = nvme_rq_acquire(m.sq);
	assert_ptr_equal(find(&m, 1, 0), rq);
	nvme_rq_release(rq);
	assert_null_with(find(&m, 1, 0), ECANCELED);
	assert_int_equal(free_requests(m.sq), 7);
	stop(&m);
}

static void completion_that_is_another_commands_is_told_apart(void **state)
{
	struct nvme_rq *first, *second;
	struct nvme_cqe cqe;
	struct machine m;

	start_pair(&m, NULL, 8);
	first = post_flush(m.sq);
	second = post_flush(m.sq);
	assert_fails_with(nvme_rq_spin(second, &cqe), EAGAIN);
	assert_ptr_equal(nvme_rq_from_cqe(&m.ctrl, &cqe), first);
	nvme_rq_release(first);
	assert_int_equal(nvme_rq_spin(second, &cqe), 0);
	nvme_rq_release(second);
	assert_int_equal(m.cq->head, 2);
	assert_int_equal(m.cq->phead, 2);
	stop(&m);
}

static void command_that_fails_has_its_status(void **state)
{
	union nvme_cmd cmd = rw_cmd(OP_ZEROES, 1 << 20, 1);
	struct nvme_cqe cqe;
	struct nvme_rq *rq;
	struct machine m;

	start_pair(&m, NULL, 8);
	rq = nvme_rq_acquire(m.sq);
	nvme_rq_exec(rq, &cmd);
	assert_fails_with(nvme_rq_spin(rq, &cqe), EIO);
	assert_int_equal(le16_to_cpu(cqe.sfp) >> 1, 0x4080);
	assert_non_null(strstr(vfn_last_error(), "0x4080"));
	nvme_rq_release(rq);
	stop(&m);
}

static void spin_without_a_copy_is_enough(void **state)
{
	struct nvme_rq *rq;
	struct machine m;

	start_pair(&m, NULL, 8);
	rq = post_flush(m.sq);
	assert_int_equal(nvme_rq_spin(rq, NULL), 0);
	nvme_rq_release(rq);
	stop(&m);
}

/* Level one: commands and completions with identifiers of the program's own. */
static void commands_need_no_request(void **state)
{
	struct nvme_cqe *cqe;
	struct machine m;

	start_pair(&m, NULL, 4);
	for (uint16_t i = 0; i < 1000; i++) {
		union nvme_cmd cmd = flush_cmd();

		cmd.cid = (uint16_t)(i * 7 + 100);
		nvme_sq_exec(m.sq, &cmd);
		nvme_cq_spin(m.cq);
		cqe = nvme_cq_get_cqe(m.cq);
		assert_int_equal(cqe->cid, i * 7 + 100);
		assert_true(nvme_cqe_ok(cqe));
		nvme_cq_update_head(m.cq);
	}
	stop(&m);
}

static void doorbell_is_rung_once_for_many_commands(void **state)
{
	uint64_t before;
	struct machine m;

	start_pair(&m, NULL, 16);
	before = emu_nvme_stats(m.nvme).sq_doorbells;
	for (int i = 0; i < 10; i++) {
		struct nvme_rq *rq = nvme_rq_acquire(m.sq);
		union nvme_cmd cmd = flush_cmd();

		nvme_rq_post(rq, &cmd);
	}
	nvme_sq_update_tail(m.sq);
	nvme_sq_update_tail(m.sq);
	assert_int_equal(emu_nvme_stats(m.nvme).sq_doorbells - before, 1);
	assert_int_equal(emu_nvme_stats(m.nvme).io[OP_FLUSH], 10);
	stop(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(acquire_from_a_used_up_queue_is_busy),
		test(acquire_gives_the_one_released_last),
		test(inline_functions_have_their_rare_parts_in_the_library),
		test(release_of_a_free_request_does_nothing),
		test(release_forgets_the_context),
		test(completion_with_an_identifier_out_of_range_has_no_request),
		test(completion_of_an_unknown_queue_has_no_request),
		test(mark_of_events_is_known_on_the_admin_queue_only),
		test(completion_of_a_free_request_is_nobodys),
		test(completion_that_is_another_commands_is_told_apart),
		test(command_that_fails_has_its_status),
		test(spin_without_a_copy_is_enough),
		test(commands_need_no_request),
		test(doorbell_is_rung_once_for_many_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
