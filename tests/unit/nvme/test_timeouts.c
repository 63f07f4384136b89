// SPDX-License-Identifier: GPL-2.0-or-later
/* Commands that take too long are found, aborted, and end once; what has gone ends at once. */
#include "recovery.h"

/* Nothing ends by the library's hand. */
static int check(struct machine *m)
{
	struct told told = {};
	int ret = check_told(m, &told);

	assert_int_equal(told.n, 0);

	return ret;
}

/* ---- abort ---- */

/* Q7 */
static void lost_command_is_aborted_and_completes_once(void **state)
{
	unsigned int status;
	struct nvme_rq *rq;
	struct machine m;

	start_with(&m, NULL);
	lose(&m, 1, OP_FLUSH, 1);
	rq = post_flush(m.sq);
	assert_int_equal(check(&m), 0);
	emu_advance(LIMIT - MS);
	assert_int_equal(check(&m), 0);
	assert_int_equal(aborts(&m), 0);
	emu_advance(2 * MS);
	assert_int_equal(check(&m), 1);
	assert_int_equal(aborts(&m), 1);

	assert_ptr_equal(reap(&m, &status), rq);
	assert_int_equal(status, STATUS_ABORT_REQUESTED);
	nvme_rq_release(rq);
	assert_null(nvme_cq_get_cqe(m.cq));
	assert_int_equal(check(&m), 0);
	assert_int_equal(free_requests(m.sq), 15);
	assert_int_equal(free_requests(m.ctrl.adminq.sq), 31);
	stop(&m);
}

/* Q7: the calls that cost least are supervised, too */
static void lost_command_of_submit_is_aborted(void **state)
{
	struct vfn_nvme_done done[2];
	struct vfn_nvme_io io;
	struct machine m;
	int token;

	start_with(&m, NULL);
	assert_int_equal(vfn_nvme_io_prep(&io, &m.ctrl, OP_READ, 1, 9), 0);
	lose(&m, 1, OP_READ, 1);
	assert_int_equal(vfn_nvme_io_submit(m.sq, &io, 0, 8, m.buf.vaddr, &token), 0);
	assert_int_equal(vfn_nvme_io_poll(m.sq, done, 2), 0);
	assert_int_equal(check(&m), 0);
	emu_advance(LIMIT);
	assert_int_equal(check(&m), 1);
	assert_int_equal(vfn_nvme_io_poll(m.sq, done, 2), 1);
	assert_ptr_equal(done[0].opaque, &token);
	assert_int_equal(status_of(&done[0].cqe), STATUS_ABORT_REQUESTED);
	assert_int_equal(free_requests(m.sq), 15);
	stop(&m);
}

/* The time runs from the first look after a command was posted, whatever its request did before. */
static void request_that_is_used_again_has_its_time_again(void **state)
{
	unsigned int status;
	struct nvme_rq *rq;
	struct machine m;

	start_with(&m, NULL);
	for (int i = 0; i < 10; i++) {
		delay(&m, 1, OP_FLUSH, LIMIT - 2 * MS);
		rq = post_flush(m.sq);
		assert_int_equal(check(&m), 0);
		emu_advance(LIMIT - MS);
		assert_ptr_equal(reap(&m, &status), rq);
		assert_int_equal(status, 0);
		nvme_rq_release(rq);
		emu_nvme_clear_faults(m.nvme);
	}
	assert_int_equal(check(&m), 0);
	assert_int_equal(aborts(&m), 0);
	stop(&m);
}

/* Q20, Q13: who has not looked at completions is late himself */
static void completion_that_was_not_taken_is_not_late(void **state)
{
	unsigned int status;
	struct nvme_rq *rq;
	struct machine m;

	start_with(&m, NULL);
	rq = post_flush(m.sq);
	assert_int_equal(check(&m), 0);
	emu_advance(100 * LIMIT);
	assert_int_equal(check(&m), 0);
	assert_int_equal(aborts(&m), 0);
	assert_ptr_equal(reap(&m, &status), rq);
	assert_int_equal(status, 0);
	nvme_rq_release(rq);
	stop(&m);
}

/* Q10: what was taken is a copy, whatever the device does to the entry then */
static void entry_that_changes_after_it_was_taken_is_not_looked_at_again(void **state)
{
	union nvme_cmd cmd = flush_cmd();
	struct vfn_nvme_done done;
	struct nvme_cqe cqe;
	struct vfn_nvme_io io;
	struct machine m;

	start_with(&m, NULL);
	assert_int_equal(vfn_nvme_io_prep(&io, &m.ctrl, OP_READ, 1, 9), 0);
	assert_int_equal(vfn_nvme_io_submit(m.sq, &io, 0, 1, m.buf.vaddr, &m), 0);
	assert_int_equal(vfn_nvme_io_poll(m.sq, &done, 1), 1);
	assert_int_equal(nvme_sync(&m.ctrl, m.sq, &cmd, NULL, 0, &cqe), 0);
	((struct nvme_cqe *)m.cq->mem.vaddr)[0].cid = 7;
	((struct nvme_cqe *)m.cq->mem.vaddr)[1].sqid = cpu_to_le16(9);
	assert_int_equal(done.cqe.cid, 0);
	assert_ptr_equal(done.opaque, &m);
	assert_int_equal(le16_to_cpu(cqe.sqid), 1);
	assert_int_equal(check(&m), 0);
	assert_int_equal(nvme_sync(&m.ctrl, m.sq, &cmd, NULL, 0, &cqe), 0);
	assert_int_equal(free_requests(m.sq), 15);
	stop(&m);
}

static void limit_of_one_command_is_its_own(void **state)
{
	unsigned int status;
	struct nvme_rq *rq[2];
	struct machine m;

	start_with(&m, NULL);
	lose(&m, 1, OP_FLUSH, UINT32_MAX);
	rq[0] = post_flush(m.sq);
	rq[1] = post_flush(m.sq);
	assert_int_equal(vfn_nvme_rq_set_timeout(rq[1], 10 * MS), 0);
	assert_int_equal(check(&m), 0);
	emu_advance(10 * MS);
	assert_int_equal(vfn_nvme_sq_overdue(m.sq), 1);
	assert_int_equal(check(&m), 1);
	assert_ptr_equal(reap(&m, &status), rq[1]);
	nvme_rq_release(rq[1]);
	assert_int_equal(check(&m), 0);
	emu_advance(LIMIT);
	assert_int_equal(check(&m), 1);
	assert_ptr_equal(reap(&m, &status), rq[0]);
	nvme_rq_release(rq[0]);

	assert_fails_with(vfn_nvme_rq_set_timeout(rq[0], MS), EINVAL);
	stop(&m);
}

/* What a program posts by itself has no limit, until it gets one. */
/* A command has its time up to the last instant; each look at the clock takes 100 ns. */
static void command_at_its_limit_is_late(void **state)
{
	struct nvme_rq *rq;
	struct machine m;

	start_with(&m, NULL);
	lose(&m, 1, OP_FLUSH, 1);
	rq = post_flush(m.sq);
	assert_int_equal(vfn_nvme_rq_set_timeout(rq, 101), 0);
	assert_int_equal(vfn_nvme_sq_overdue(m.sq), 0);
	assert_int_equal(vfn_nvme_rq_set_timeout(rq, 100), 0);
	assert_int_equal(vfn_nvme_sq_overdue(m.sq), 1);
	stop(&m);
}

static void command_that_was_posted_by_hand_is_supervised_on_request(void **state)
{
	union nvme_cmd cmd = flush_cmd();
	unsigned int status;
	struct nvme_rq *rq;
	struct machine m;

	start_with(&m, NULL);
	lose(&m, 1, OP_FLUSH, 1);
	rq = nvme_rq_acquire(m.sq);
	nvme_rq_prep_cmd(rq, &cmd);
	nvme_sq_exec(m.sq, &cmd);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(check(&m), 0);
		emu_advance(LIMIT);
	}
	assert_int_equal(vfn_nvme_rq_set_timeout(rq, 0), 0);
	assert_int_equal(check(&m), 1);
	assert_ptr_equal(reap(&m, &status), rq);
	assert_int_equal(status, STATUS_ABORT_REQUESTED);
	nvme_rq_release(rq);
	stop(&m);
}

/* A program that knows its commands by their identifiers does not ask for the request. */
static void request_may_be_released_without_looking_it_up(void **state)
{
	struct nvme_rq *rq;
	struct machine m;

	start_with(&m, NULL);
	for (int looks = 0; looks < 2; looks++) {
		rq = post_flush(m.sq);
		for (int i = 0; i < looks; i++)
			assert_int_equal(check(&m), 0);
		assert_non_null(nvme_cq_get_cqe(m.cq));
		nvme_cq_update_head(m.cq);
		nvme_rq_release(rq);
		nvme_rq_release(rq);
		assert_int_equal(free_requests(m.sq), 15);
	}
	emu_advance(LIMIT);
	assert_int_equal(check(&m), 0);
	stop(&m);
}

/* Looking on while one waits in slices is no reason for an abort. */
static void wait_in_slices_has_the_same_time(void **state)
{
	struct timespec slice = { .tv_nsec = MS };
	struct nvme_rq *rq;
	struct machine m;

	start_with(&m, NULL);
	delay(&m, 1, OP_FLUSH, LIMIT - 10 * MS);
	rq = post_flush(m.sq);
	while (nvme_rq_wait(rq, NULL, &slice)) {
		assert_int_equal(errno, ETIMEDOUT);
		assert_int_equal(check(&m), 0);
	}
	nvme_rq_release(rq);
	emu_nvme_clear_faults(m.nvme);

	/* nor does it give more time */
	lose(&m, 1, OP_FLUSH, 1);
	rq = post_flush(m.sq);
	for (int i = 0; !aborts(&m); i++) {
		assert_in_range(i, 0, LIMIT_MS);
		assert_fails_with(nvme_rq_wait(rq, NULL, &slice), ETIMEDOUT);
		assert_true(check(&m) >= 0);
	}
	assert_fails_with(nvme_rq_wait(rq, NULL, &slice), EIO);
	nvme_rq_release(rq);
	assert_int_equal(free_requests(m.sq), 15);
	stop(&m);
}

/* C16: nobody waits for what has timed out, so it is aborted at the next look, its memory comes back */
static void command_that_was_waited_for_in_vain_is_aborted(void **state)
{
	union nvme_cmd cmd = identify_cmd(), read = rw_cmd(OP_READ, 0, 8);
	char *buf = new_pages(PAGE);
	unsigned int before;
	struct machine m;

	start_with(&m, NULL);
	before = emu_usage().dma_maps;
	lose(&m, 0, OP_IDENTIFY, 1);
	lose(&m, 1, OP_READ, 1);
	assert_fails_with(nvme_admin(&m.ctrl, &cmd, m.buf.vaddr, PAGE, NULL), ETIMEDOUT);
	assert_fails_with(nvme_sync(&m.ctrl, m.sq, &read, buf, PAGE, NULL), ETIMEDOUT);
	assert_int_equal(emu_usage().dma_maps, before + 1);

	assert_int_equal(check(&m), 2);
	assert_int_equal(aborts(&m), 2);
	assert_null_with(__nvme_rq_from_cqe(m.sq, nvme_cq_get_cqe(m.cq)), ECANCELED);
	nvme_cq_update_head(m.cq);
	assert_int_equal(check(&m), 0);
	assert_int_equal(free_requests(m.ctrl.adminq.sq), 31);
	assert_int_equal(free_requests(m.sq), 15);
	assert_int_equal(emu_usage().dma_maps, before);
	free(buf);
	stop(&m);
}

/* C17 */
static void abort_of_what_completes_meanwhile_changes_nothing(void **state)
{
	unsigned int status;
	struct nvme_rq *rq;
	struct machine m;

	start_with(&m, NULL);
	emu_nvme_set(m.nvme, EMU_HOLD, true);
	rq = post_flush(m.sq);
	assert_int_equal(check(&m), 0);
	emu_advance(LIMIT);
	assert_int_equal(check(&m), 1);
	emu_nvme_set(m.nvme, EMU_HOLD, false);
	assert_ptr_equal(reap(&m, &status), rq);
	assert_int_equal(status, 0);
	nvme_rq_release(rq);
	assert_null(nvme_cq_get_cqe(m.cq));
	assert_int_equal(check(&m), 0);
	assert_int_equal(free_requests(m.ctrl.adminq.sq), 31);
	stop(&m);
}

/* C17, Q8: not aborted, and late */
static void command_that_is_not_aborted_completes_late_and_once(void **state)
{
	unsigned int status;
	struct nvme_rq *rq;
	struct machine m;

	start_with(&m, &(struct emu_nvme_opts){ .abort_fails = true });
	delay(&m, 1, OP_FLUSH, LIMIT + LIMIT / 2);
	rq = post_flush(m.sq);
	assert_int_equal(check(&m), 0);
	emu_advance(LIMIT);
	assert_int_equal(check(&m), 1);
	assert_int_equal(check(&m), 0);
	emu_advance(LIMIT / 2);
	assert_ptr_equal(reap(&m, &status), rq);
	assert_int_equal(status, 0);
	nvme_rq_release(rq);
	assert_int_equal(check(&m), 0);
	assert_int_equal(aborts(&m), 1);
	stop(&m);
}

/* Q8: the one that was aborted completes once more */
static void second_completion_of_an_aborted_command_reaches_nobody(void **state)
{
	struct nvme_cqe again;
	unsigned int status;
	struct nvme_rq *rq;
	struct machine m;

	start_with(&m, NULL);
	lose(&m, 1, OP_FLUSH, 1);
	rq = post_flush(m.sq);
	assert_int_equal(check(&m), 0);
	emu_advance(LIMIT);
	assert_int_equal(check(&m), 1);
	again = *nvme_cq_head(m.cq);
	assert_ptr_equal(reap(&m, &status), rq);
	nvme_rq_release(rq);
	assert_null_with(nvme_rq_from_cqe(&m.ctrl, &again), ECANCELED);
	assert_int_equal(free_requests(m.sq), 15);
	stop(&m);
}

/* C16: never more aborts than the controller takes */
static void aborts_are_as_many_as_the_controller_takes(void **state)
{
	static const unsigned int acls[] = { 1, 3 };
	struct machine m;

	for (size_t i = 0; i < sizeof(acls) / sizeof(*acls); i++) {
		start_with(&m, &(struct emu_nvme_opts){ .acl = acls[i] });
		lose(&m, 1, OP_FLUSH, 8);
		delay(&m, 0, OP_ABORT, MS);
		for (int j = 0; j < 8; j++)
			(void)post_flush(m.sq);
		assert_int_equal(check(&m), 0);
		emu_advance(LIMIT);
		for (unsigned int done = 0; done < 8; done += acls[i]) {
			unsigned int n = 8 - done < acls[i] ? 8 - done : acls[i], status;

			assert_int_equal(check(&m), 8 - done);
			assert_int_equal(aborts(&m), done + n);
			assert_int_equal(check(&m), 8 - done - n);
			assert_int_equal(aborts(&m), done + n);
			emu_advance(MS);
			for (unsigned int j = 0; j < n; j++)
				nvme_rq_release(reap(&m, &status));
		}
		assert_int_equal(free_requests(m.sq), 15);
		stop(&m);
		emu_fini();
		emu_init();
	}
}

/* C17: the Abort command is lost itself */
static void abort_that_is_lost_calls_for_a_reset(void **state)
{
	struct machine m;

	start_with(&m, NULL);
	lose(&m, 1, OP_FLUSH, 1);
	lose(&m, 0, OP_ABORT, 1);
	(void)post_flush(m.sq);
	assert_int_equal(check(&m), 0);
	emu_advance(LIMIT);
	assert_int_equal(check(&m), 1);
	assert_int_equal(check(&m), 0);
	emu_advance(LIMIT);
	assert_fails_with(check(&m), ETIMEDOUT);
	stop(&m);
}

/* C16: an admin queue on which nothing completes leaves no room for an Abort command */
static void admin_queue_full_of_lost_commands_calls_for_a_reset(void **state)
{
	struct machine m;

	start_with(&m, NULL);
	lose(&m, 0, EMU_ANY, UINT32_MAX);
	for (int i = 0; i < 31; i++) {
		union nvme_cmd cmd = smart_log_cmd();
		struct nvme_rq *rq = nvme_rq_acquire(m.ctrl.adminq.sq);

		assert_int_equal(nvme_rq_map_prp(&m.ctrl, rq, &cmd, m.buf.iova, 512), 0);
		nvme_rq_exec(rq, &cmd);
	}
	assert_int_equal(check(&m), 0);
	emu_advance(LIMIT);
	assert_int_equal(check(&m), 31);
	assert_int_equal(aborts(&m), 0);
	emu_advance(LIMIT);
	assert_fails_with(check(&m), ETIMEDOUT);
	stop(&m);
}

/* C18: an event may take forever, and its completion stays where it is */
static void event_request_is_never_late(void **state)
{
	struct nvme_cqe *cqe;
	struct nvme_rq *rq;
	struct machine m;

	start_with(&m, NULL);
	assert_int_equal(nvme_aer(&m.ctrl, &m), 0);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(check(&m), 0);
		emu_advance(10 * LIMIT);
	}
	assert_int_equal(aborts(&m), 0);
	emu_nvme_raise_aen(m.nvme, 1, 2, 2);
	assert_int_equal(check(&m), 0);
	cqe = nvme_cq_get_cqe(m.ctrl.adminq.cq);
	assert_non_null(cqe);
	rq = nvme_rq_from_cqe(&m.ctrl, cqe);
	assert_ptr_equal(rq->opaque, &m);
	nvme_cq_update_head(m.ctrl.adminq.cq);
	nvme_rq_release(rq);
	stop(&m);
}

/* ---- controllers that fail ---- */

static void end_with_registers(uint32_t value)
{
	const struct emu_usage nothing = {};
	union nvme_cmd cmd = flush_cmd();
	struct told told = {};
	struct nvme_rq *mine;
	struct machine m;

	start_with(&m, NULL);
	lose(&m, EMU_ANY, OP_FLUSH, UINT32_MAX);
	assert_fails_with(nvme_sync(&m.ctrl, m.sq, &cmd, NULL, 0, NULL), ETIMEDOUT);
	for (int i = 0; i < 8; i++)
		(void)post_flush(m.sq);
	assert_int_equal(check(&m), 9 - 8);
	mine = nvme_rq_acquire(m.sq);
	assert_int_equal(nvme_aer(&m.ctrl, NULL), 0);
	emu_nvme_fail_regs(m.nvme, 1, value);

	if (value) {
		assert_fails_with(check_told(&m, &told), ENODEV);
		assert_int_equal(told.n, 9);
		for (int i = 0; i < told.n; i++)
			assert_int_equal(told.status[i], VFN_NVME_STATUS_LOST);
		assert_int_equal(vfn_nvme_get_state(&m.ctrl), VFN_NVME_GONE);
		nvme_rq_release(mine);
		assert_null_with(nvme_rq_acquire(m.sq), ENODEV);
		assert_null_with(vfn_nvme_rq_none(m.sq), ENODEV);
		assert_fails_with(nvme_sync(&m.ctrl, m.sq, &cmd, NULL, 0, NULL), ENODEV);
		assert_fails_with(nvme_aer(&m.ctrl, NULL), ENODEV);
		assert_fails_with(nvme_create_ioqpair(&m.ctrl, 2, 4, -1, 0), ENODEV);
		assert_fails_with(check_told(&m, &told), ENODEV);
		assert_int_equal(told.n, 9);
	} else {
		assert_fails_with(check(&m), EIO);
		assert_int_equal(vfn_nvme_get_state(&m.ctrl), VFN_NVME_LIVE);
	}

	iommu_put_dmabuf(&m.buf);
	nvme_close(&m.ctrl);
	assert_int_equal(vfn_nvme_get_state(&m.ctrl), VFN_NVME_LIVE);
	emu_assert_usage(&nothing);
}

/* C1, H2, Q18 */
static void everything_ends_when_the_controller_is_gone(void **state)
{
	end_with_registers(UINT32_MAX);
}

/* C2 */
static void registers_of_zeros_call_for_a_reset(void **state)
{
	end_with_registers(0);
}

/* C7: what the device may still write is not given back */
static void fatal_status_calls_for_a_reset_and_ends_nothing(void **state)
{
	struct machine m;

	start_with(&m, NULL);
	lose(&m, 1, OP_FLUSH, 1);
	(void)post_flush(m.sq);
	emu_nvme_set_cfs(m.nvme);
	for (int i = 0; i < 3; i++) {
		assert_fails_with(check(&m), EIO);
		emu_advance(LIMIT);
	}
	assert_int_equal(aborts(&m), 0);
	assert_int_equal(free_requests(m.sq), 14);
	stop(&m);
}

/* What has completed before the controller went has its own status. */
static void completion_that_was_not_taken_is_delivered_as_it_is(void **state)
{
	struct told told = {};
	struct machine m;

	start_with(&m, NULL);
	(void)post_flush(m.sq);
	emu_nvme_fail_regs(m.nvme, 1, UINT32_MAX);
	assert_fails_with(check_told(&m, &told), ENODEV);
	assert_int_equal(told.n, 1);
	assert_int_equal(told.status[0], 0);
	stop(&m);
}

/* Without a callback, requests are released. */
static void nobody_needs_to_be_told(void **state)
{
	struct machine m;

	start_with(&m, NULL);
	lose(&m, 1, OP_FLUSH, 1);
	(void)post_flush(m.sq);
	emu_nvme_fail_regs(m.nvme, 1, UINT32_MAX);
	assert_fails_with(vfn_nvme_check_timeouts(&m.ctrl, NULL), ENODEV);
	for (int i = 0; i < 15; i++)
		assert_int_equal(m.sq->rqs[i].state, VFN_NVME_RQ_FREE);
	stop(&m);
}

static void check_from_within(struct nvme_rq *rq, struct nvme_cqe *cqe, void *opaque)
{
	assert_fails_with(vfn_nvme_check_timeouts(opaque, NULL), EBUSY);
	nvme_rq_release(rq);
}

/* Q16 */
static void check_within_a_check_is_refused(void **state)
{
	struct machine m;

	start_with(&m, NULL);
	lose(&m, 1, OP_FLUSH, 1);
	(void)post_flush(m.sq);
	emu_nvme_fail_regs(m.nvme, 1, UINT32_MAX);
	assert_fails_with(vfn_nvme_check_timeouts(&m.ctrl,
						  &(struct vfn_nvme_recovery){
							  .complete = check_from_within,
							  .opaque = &m.ctrl,
						  }),
			  ENODEV);
	stop(&m);
	assert_fails_with(vfn_nvme_check_timeouts(&m.ctrl, NULL), ENODEV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(lost_command_is_aborted_and_completes_once),
		test(lost_command_of_submit_is_aborted),
		test(request_that_is_used_again_has_its_time_again),
		test(completion_that_was_not_taken_is_not_late),
		test(entry_that_changes_after_it_was_taken_is_not_looked_at_again),
		test(limit_of_one_command_is_its_own),
		test(command_at_its_limit_is_late),
		test(command_that_was_posted_by_hand_is_supervised_on_request),
		test(request_may_be_released_without_looking_it_up),
		test(wait_in_slices_has_the_same_time),
		test(command_that_was_waited_for_in_vain_is_aborted),
		test(abort_of_what_completes_meanwhile_changes_nothing),
		test(command_that_is_not_aborted_completes_late_and_once),
		test(second_completion_of_an_aborted_command_reaches_nobody),
		test(aborts_are_as_many_as_the_controller_takes),
		test(abort_that_is_lost_calls_for_a_reset),
		test(admin_queue_full_of_lost_commands_calls_for_a_reset),
		test(event_request_is_never_late),
		test(everything_ends_when_the_controller_is_gone),
		test(registers_of_zeros_call_for_a_reset),
		test(fatal_status_calls_for_a_reset_and_ends_nothing),
		test(completion_that_was_not_taken_is_delivered_as_it_is),
		test(nobody_needs_to_be_told),
		test(check_within_a_check_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
