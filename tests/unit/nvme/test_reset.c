// SPDX-License-Identifier: GPL-2.0-or-later
/* A queue or a controller is made anew: every command ends once, and I/O goes on. */
#include "recovery.h"

#define LAST_QUEUE 4
#define STATUS_SQ_DELETED 0x08

static int reset(struct machine *m, struct told *told)
{
	return vfn_nvme_reset_ctrl(&m->ctrl, &(struct vfn_nvme_recovery){
						     .complete = complete,
						     .opaque = told,
					     });
}

static int check_or_reset(struct machine *m, struct told *told)
{
	return vfn_nvme_check_timeouts(&m->ctrl, &(struct vfn_nvme_recovery){
							 .complete = complete,
							 .opaque = told,
							 .flags = VFN_NVME_RECOVER_RESET,
						 });
}

/* Whether I/O works, by every pair and with the data that there should be. */
static void assert_works(struct machine *m, int pairs)
{
	static uint8_t seed;
	size_t size;
	char *disk = emu_nvme_disk(m->nvme, 1, &size);

	for (int qid = 1; qid <= pairs; qid++) {
		union nvme_cmd cmd = rw_cmd(OP_WRITE, (uint64_t)qid, 1);

		memset(m->buf.vaddr, ++seed, 512);
		assert_int_equal(nvme_sync(&m->ctrl, &m->ctrl.sq[qid], &cmd, m->buf.vaddr, 512,
					   NULL),
				 0);
		assert_int_equal((uint8_t)disk[512 * qid], seed);
		memset(m->buf.vaddr, 0, 512);
		cmd = rw_cmd(OP_READ, (uint64_t)qid, 1);
		assert_int_equal(nvme_sync(&m->ctrl, &m->ctrl.sq[qid], &cmd, m->buf.vaddr, 512,
					   NULL),
				 0);
		assert_int_equal(*(uint8_t *)m->buf.vaddr, seed);
	}
	assert_int_equal(vfn_nvme_get_state(&m->ctrl), VFN_NVME_LIVE);
}

/* As many pairs as LAST_QUEUE, of which each has a command that is lost. */
static void start_busy(struct machine *m, const struct emu_nvme_opts *opts)
{
	start_with(m, opts);
	for (int qid = 2; qid <= LAST_QUEUE; qid++)
		assert_int_equal(nvme_create_ioqpair(&m->ctrl, qid, 8, qid % 2 ? -1 : 0, 0), 0);
	lose(m, EMU_ANY, OP_FLUSH, UINT32_MAX);
	for (int qid = 1; qid <= LAST_QUEUE; qid++)
		(void)post_flush(&m->ctrl.sq[qid]);
}

static void assert_statuses(const struct told *told, int n, unsigned int status)
{
	assert_int_equal(told->n, n);
	for (int i = 0; i < n; i++) {
		assert_int_equal(told->status[i], status);
		for (int j = 0; j < i; j++)
			assert_ptr_not_equal(told->rq[i], told->rq[j]);
	}
}

static void again(struct machine *m)
{
	stop(m);
	emu_fini();
	emu_init();
}

/* ---- a controller ---- */

static void reset_of_an_idle_controller_leaves_everything_as_it_was(void **state)
{
	struct told told = {};
	struct emu_usage before;
	struct machine m;

	start_with(&m, NULL);
	before = emu_usage();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(reset(&m, &told), 0);
		assert_works(&m, 1);
	}
	assert_int_equal(told.n, 0);
	assert_int_equal(emu_nvme_stats(m.nvme).enables, 4);
	assert_int_equal(free_requests(m.sq), 15);
	assert_int_equal(m.ctrl.config.nsqa, 63);
	emu_assert_usage(&before);
	stop(&m);
}

/* C9: I/Os, events, a command that timed out, aborts, and completions that nobody has taken */
static void everything_that_is_out_ends_once(void **state)
{
	union nvme_cmd flush = flush_cmd();
	char *buf = new_pages(PAGE);
	union nvme_cmd read = rw_cmd(OP_READ, 0, 8);
	struct nvme_rq *mine, *done;
	struct told told = {};
	struct nvme_cqe *cqe;
	unsigned int before;
	struct machine m;

	start_pair(&m, NULL, 128);
	vfn_nvme_set_timeout(&m.ctrl, LIMIT_MS);
	before = emu_usage().dma_maps;
	done = post_flush(m.sq);
	lose(&m, EMU_ANY, EMU_ANY, UINT32_MAX);
	assert_fails_with(nvme_sync(&m.ctrl, m.sq, &read, buf, PAGE, NULL), ETIMEDOUT);
	emu_nvme_clear_faults(m.nvme);
	assert_int_equal(nvme_aer(&m.ctrl, &m), 0);
	assert_int_equal(nvme_aer(&m.ctrl, &told), 0);
	lose(&m, EMU_ANY, EMU_ANY, UINT32_MAX);
	for (int i = 0; i < MAX_ENDED - 1; i++)
		(void)post_flush(m.sq);
	mine = nvme_rq_acquire(m.sq);
	assert_int_equal(vfn_nvme_sq_overdue(m.sq), 1);
	emu_nvme_clear_faults(m.nvme);
	assert_ptr_equal(reap(&m, &told.status[0]), done);
	done = mine;
	lose(&m, 0, OP_ABORT, UINT32_MAX);
	emu_advance(LIMIT);
	assert_true(check_told(&m, &told) > 0);
	assert_int_equal(told.n, 0);

	assert_int_equal(reset(&m, &told), 0);
	assert_statuses(&told, MAX_ENDED - 1, VFN_NVME_STATUS_ABORTED);
	assert_int_equal(emu_usage().dma_maps, before);
	nvme_rq_release(mine);
	nvme_rq_release(&m.sq->rqs[0]);
	assert_int_equal(free_requests(m.sq), 127);
	assert_int_equal(free_requests(m.ctrl.adminq.sq), 29);
	emu_nvme_clear_faults(m.nvme);
	assert_works(&m, 1);
	assert_int_equal(nvme_sync(&m.ctrl, m.sq, &flush, NULL, 0, NULL), 0);

	/* the requests for events are there again, with what they had */
	assert_int_equal(emu_nvme_stats(m.nvme).aers, 2);
	emu_nvme_raise_aen(m.nvme, 1, 2, 2);
	cqe = nvme_cq_get_cqe(m.ctrl.adminq.cq);
	assert_non_null(cqe);
	assert_true(cqe->cid & NVME_CID_AER);
	mine = nvme_rq_from_cqe(&m.ctrl, cqe);
	assert_true(mine->opaque == &m || mine->opaque == &told);
	nvme_cq_update_head(m.ctrl.adminq.cq);
	nvme_rq_release(mine);
	free(buf);
	stop(&m);
}

static void completion_before_a_reset_has_its_own_status(void **state)
{
	struct told told = {};
	struct machine m;

	start_with(&m, NULL);
	(void)post_flush(m.sq);
	lose(&m, 1, OP_FLUSH, 1);
	(void)post_flush(m.sq);
	assert_int_equal(reset(&m, &told), 0);
	assert_int_equal(told.n, 2);
	assert_int_equal(told.status[0], 0);
	assert_int_equal(told.status[1], VFN_NVME_STATUS_ABORTED);
	assert_null(nvme_cq_get_cqe(m.cq));
	assert_works(&m, 1);
	stop(&m);
}

/* C7 */
static void fatal_status_is_recovered_from(void **state)
{
	struct told told = {};
	struct machine m;

	for (int by_check = 0; by_check < 2; by_check++) {
		memset(&told, 0, sizeof(told));
		start_busy(&m, NULL);
		emu_nvme_set_cfs(m.nvme);
		assert_int_equal(by_check ? check_or_reset(&m, &told) : reset(&m, &told), 0);
		assert_statuses(&told, LAST_QUEUE, VFN_NVME_STATUS_ABORTED);
		emu_nvme_clear_faults(m.nvme);
		assert_works(&m, LAST_QUEUE);
		again(&m);
	}
}

/* The order in which it goes. V21: the function's own reset takes bus mastering away. */
static void reset_has_an_order(void **state)
{
	struct told told = {};
	struct machine m;

	start_busy(&m, &(struct emu_nvme_opts){ .dbbuf = true });
	emu_calls_clear();
	assert_int_equal(reset(&m, &told), 0);
	emu_assert_order("reg write 0x14 0x460000", "reg write 0x24", "reg write 0x28",
			 "reg write 0x30", "reg write 0x14 0x460001", "admin SET_FEATURES",
			 "admin DBBUF_CONFIG", "admin CREATE_CQ 1", "admin CREATE_CQ 4",
			 "admin CREATE_SQ 1", "admin CREATE_SQ 4");
	assert_int_equal(emu_call_count("ioctl DEVICE_RESET"), 0);
	emu_nvme_clear_faults(m.nvme);
	assert_works(&m, LAST_QUEUE);
	stop(&m);
}

/* C5, V21 */
static void controller_that_does_not_become_disabled_has_its_function_reset(void **state)
{
	struct told told = {};
	struct machine m;

	start_busy(&m, NULL);
	emu_nvme_set(m.nvme, EMU_NEVER_UNREADY, true);
	assert_int_equal(reset(&m, &told), 0);
	assert_statuses(&told, LAST_QUEUE, VFN_NVME_STATUS_ABORTED);
	assert_true(emu_pci_bus_master(emu_nvme_pci(m.nvme)));
	emu_nvme_set(m.nvme, EMU_NEVER_UNREADY, false);
	emu_nvme_clear_faults(m.nvme);
	assert_works(&m, LAST_QUEUE);
	stop(&m);
}

/* C5, C8: it cannot be stopped, so it is cut off; what it cannot reach any more may be given back */
static void controller_that_cannot_be_stopped_is_cut_off(void **state)
{
	struct told told = {};
	uint64_t begin;
	struct machine m;

	start_busy(&m, &(struct emu_nvme_opts){ .pci.no_reset = true });
	emu_nvme_set(m.nvme, EMU_NEVER_UNREADY, true);
	begin = emu_now();
	assert_fails_with(reset(&m, &told), ETIMEDOUT);
	assert_in_range(emu_now() - begin, 2 * SEC, 10 * SEC);
	assert_int_equal(vfn_nvme_get_state(&m.ctrl), VFN_NVME_FAILED);
	assert_false(emu_pci_bus_master(emu_nvme_pci(m.nvme)));
	assert_statuses(&told, LAST_QUEUE, VFN_NVME_STATUS_LOST);
	assert_null_with(nvme_rq_acquire(m.sq), ENODEV);

	/* it thinks better of it */
	emu_nvme_set(m.nvme, EMU_NEVER_UNREADY, false);
	emu_nvme_clear_faults(m.nvme);
	assert_int_equal(reset(&m, &told), 0);
	assert_int_equal(told.n, LAST_QUEUE);
	assert_works(&m, LAST_QUEUE);
	stop(&m);
}

/* C5, C6 */
static void controller_that_does_not_come_up_has_failed(void **state)
{
	static const struct {
		enum emu_nvme_flag flag;
		int err;
	} cases[] = { { EMU_NEVER_READY, ETIMEDOUT }, { EMU_CFS_AT_ENABLE, EIO } };
	struct machine m;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct told told = {};

		start_busy(&m, NULL);
		emu_nvme_set(m.nvme, cases[i].flag, true);
		assert_fails_with(reset(&m, &told), cases[i].err);
		assert_statuses(&told, LAST_QUEUE, VFN_NVME_STATUS_LOST);
		assert_int_equal(vfn_nvme_get_state(&m.ctrl), VFN_NVME_FAILED);
		assert_fails_with(check_or_reset(&m, &told), ENODEV);
		emu_nvme_set(m.nvme, cases[i].flag, false);
		emu_nvme_clear_faults(m.nvme);
		assert_int_equal(reset(&m, &told), 0);
		assert_int_equal(told.n, LAST_QUEUE);
		assert_works(&m, LAST_QUEUE);
		again(&m);
	}
}

/* C8, C1, H3: whatever register access is the first that fails */
static void fail_at_each_register(uint32_t value)
{
	const struct emu_usage nothing = {};
	bool failed = true;
	struct machine m;
	unsigned int n;

	for (n = 1; failed; n++) {
		struct told told = {};

		assert_in_range(n, 1, 500);
		start_busy(&m, NULL);
		assert_int_equal(nvme_aer(&m.ctrl, NULL), 0);
		emu_nvme_fail_regs(m.nvme, n, value);
		failed = reset(&m, &told);
		if (failed) {
			assert_statuses(&told, LAST_QUEUE + 1, VFN_NVME_STATUS_LOST);
			assert_int_equal(vfn_nvme_get_state(&m.ctrl),
					 value ? VFN_NVME_GONE : VFN_NVME_FAILED);
			assert_null_with(nvme_rq_acquire(m.sq), ENODEV);
			for (int i = 0; i < 15; i++)
				assert_int_equal(m.sq->rqs[i].state, VFN_NVME_RQ_FREE);
		} else {
			assert_statuses(&told, LAST_QUEUE, VFN_NVME_STATUS_ABORTED);
			emu_nvme_fail_regs(m.nvme, 0, 0);
		}
		stop(&m);
		emu_assert_usage(&nothing);
		emu_fini();
		emu_init();
	}
	assert_in_range(n, 10, 500);
}

static void reset_of_what_goes_at_any_register_access(void **state)
{
	fail_at_each_register(UINT32_MAX);
}

static void reset_of_what_reads_as_zero_at_any_register_access(void **state)
{
	fail_at_each_register(0);
}

/* C8: whatever command of the reset fails, or is lost */
static void reset_with_each_command_failing(void **state)
{
	static const int opcodes[] = { OP_SET_FEATURES, OP_CREATE_CQ, OP_CREATE_SQ };
	struct machine m;

	for (size_t i = 0; i < sizeof(opcodes) / sizeof(*opcodes); i++) {
		for (uint32_t nth = 1; nth <= (i ? LAST_QUEUE : 1); nth++) {
			struct told told = {};

			start_busy(&m, NULL);
			emu_nvme_fault(m.nvme, &(struct emu_fault){
						       .kind = EMU_LOSE,
						       .opcode = opcodes[i],
						       .nth = nth,
					       });
			assert_fails_with(reset(&m, &told), ETIMEDOUT);
			assert_statuses(&told, LAST_QUEUE, VFN_NVME_STATUS_LOST);
			assert_int_equal(vfn_nvme_get_state(&m.ctrl), VFN_NVME_FAILED);
			assert_int_equal(emu_nvme_reg(m.nvme, REG_CSTS), 0);
			emu_nvme_clear_faults(m.nvme);
			assert_int_equal(reset(&m, &told), 0);
			assert_int_equal(free_requests(m.ctrl.adminq.sq), 31);
			assert_works(&m, LAST_QUEUE);
			again(&m);
		}
	}
}

/* C8 */
static void queue_that_is_refused_is_lost_alone(void **state)
{
	static const int opcodes[] = { OP_CREATE_CQ, OP_CREATE_SQ };
	struct machine m;

	for (size_t i = 0; i < 2; i++) {
		struct told told = {};

		start_busy(&m, NULL);
		refuse(m.nvme, opcodes[i], 4);
		assert_int_equal(reset(&m, &told), 1);
		assert_int_equal(told.n, LAST_QUEUE);
		for (int j = 0; j < told.n; j++)
			assert_int_equal(told.status[j], told.rq[j]->sq->id == 4 ?
								 VFN_NVME_STATUS_LOST :
								 VFN_NVME_STATUS_ABORTED);
		emu_nvme_clear_faults(m.nvme);
		assert_works(&m, 3);
		assert_null_with(nvme_rq_acquire(&m.ctrl.sq[4]), ENODEV);
		assert_int_equal(check_told(&m, &told), 0);
		if (i) {
			assert_int_equal(reset(&m, &told), 0);
			assert_works(&m, 4);
		} else {
			assert_int_equal(nvme_delete_ioqpair(&m.ctrl, 4), 0);
			assert_int_equal(nvme_create_ioqpair(&m.ctrl, 4, 8, -1, 0), 0);
			assert_works(&m, 4);
		}
		again(&m);
	}
}

/* C10 */
static void fewer_queues_after_a_reset_leave_the_others(void **state)
{
	struct told told = {};
	union nvme_cmd cmd = flush_cmd();
	struct nvme_rq *rq, *posted;
	struct machine m;

	start_busy(&m, NULL);
	emu_nvme_change(m.nvme, 2, 0);
	rq = nvme_rq_acquire(&m.ctrl.sq[3]);
	posted = nvme_rq_acquire(&m.ctrl.sq[3]);
	assert_int_equal(reset(&m, &told), 2);
	assert_int_equal(told.n, LAST_QUEUE);
	for (int j = 0; j < told.n; j++)
		assert_int_equal(told.status[j], told.rq[j]->sq->id > 2 ? VFN_NVME_STATUS_LOST :
									  VFN_NVME_STATUS_ABORTED);
	assert_int_equal(m.ctrl.config.nsqa, 1);
	assert_int_equal(m.ctrl.sq[3].flags & (VFN_NVME_Q_CREATED | VFN_NVME_Q_LOST),
			 VFN_NVME_Q_LOST);
	emu_nvme_clear_faults(m.nvme);
	assert_works(&m, 2);
	nvme_rq_release(rq);

	/* who posts to what is lost all the same hears of it */
	nvme_rq_post(posted, &cmd);
	told.n = 0;
	assert_int_equal(check_told(&m, &told), 0);
	assert_statuses(&told, 1, VFN_NVME_STATUS_LOST);
	assert_ptr_equal(told.rq[0], posted);
	for (int qid = 3; qid <= 4; qid++)
		assert_null_with(nvme_rq_acquire(&m.ctrl.sq[qid]), ENODEV);

	/* and back again */
	emu_nvme_change(m.nvme, 0, 0);
	assert_int_equal(reset(&m, &told), 0);
	assert_int_equal(free_requests(&m.ctrl.sq[3]), 7);
	assert_works(&m, 4);
	stop(&m);
}

static void poll_in_both_ways(struct nvme_sq *sq)
{
	struct vfn_nvme_done done;

	nvme_sq_update_tail(sq);
	assert_null(nvme_cq_get_cqe(sq->cq));
	nvme_cq_update_head(sq->cq);
	assert_int_equal(vfn_nvme_io_poll(sq, &done, 1), 0);
}

/* Q18, Q19, C10: who goes on polling a queue that is lost, or one of a controller that is, rings no doorbell of it */
static void queue_that_is_lost_may_be_polled(void **state)
{
	struct machine m;

	for (int failed = 0; failed < 2; failed++) {
		union nvme_cmd cmd = flush_cmd();
		struct told told = {};

		start_with(&m, NULL);
		assert_int_equal(nvme_create_ioqpair(&m.ctrl, 2, 8, -1, 0), 0);
		/* one has completed, the controller has not heard of the other */
		(void)post_flush(&m.ctrl.sq[2]);
		nvme_rq_post(nvme_rq_acquire(&m.ctrl.sq[2]), &cmd);
		if (failed) {
			emu_nvme_set(m.nvme, EMU_NEVER_READY, true);
			assert_fails_with(reset(&m, &told), ETIMEDOUT);
			poll_in_both_ways(m.sq);
			poll_in_both_ways(m.ctrl.adminq.sq);
		} else {
			emu_nvme_change(m.nvme, 1, 0);
			assert_int_equal(reset(&m, &told), 1);
			assert_works(&m, 1);
		}
		assert_int_equal(told.n, 2);
		poll_in_both_ways(&m.ctrl.sq[2]);
		emu_assert_clean();
		emu_nvme_set(m.nvme, EMU_NEVER_READY, false);
		emu_nvme_change(m.nvme, 0, 0);
		assert_int_equal(reset(&m, &told), 0);
		assert_works(&m, 2);
		again(&m);
	}
}

/* C10: those that no submission queue uses, too; what the controller cannot take it is not asked for */
static void completion_queue_alone_is_created_again_if_it_fits(void **state)
{
	struct told told = {};
	uint32_t before;
	struct machine m;

	start_with(&m, NULL);
	assert_int_equal(nvme_create_iocq(&m.ctrl, 2, 8, -1), 0);
	assert_int_equal(nvme_create_iocq(&m.ctrl, 3, 9, -1), 0);
	before = emu_nvme_stats(m.nvme).admin[OP_CREATE_CQ];
	emu_nvme_change(m.nvme, 0, (m.ctrl.priv.cap & ~0xffffULL) | 7);
	assert_int_equal(reset(&m, &told), 1);
	assert_int_equal(emu_nvme_stats(m.nvme).admin[OP_CREATE_CQ], before + 1);
	assert_int_equal(emu_nvme_stats(m.nvme).cqs, 1);
	assert_int_equal(nvme_create_iosq(&m.ctrl, 2, 8, &m.ctrl.cq[2], 0), 0);
	assert_int_equal(nvme_delete_iocq(&m.ctrl, 3), 0);
	stop(&m);
}

/* Q5, C8: the reset's own commands may be answered with the identifier of one that has ended */
static void stray_completion_during_a_reset_ends_nothing_twice(void **state)
{
	union nvme_cmd cmd = smart_log_cmd();
	struct told told = {};
	struct nvme_rq *lost;
	struct machine m;

	start_with(&m, NULL);
	lose(&m, 0, OP_GET_LOG, 1);
	lost = nvme_rq_acquire(m.ctrl.adminq.sq);
	assert_int_equal(nvme_rq_map_prp(&m.ctrl, lost, &cmd, m.buf.iova, 512), 0);
	nvme_rq_exec(lost, &cmd);
	emu_nvme_fault(m.nvme, &(struct emu_fault){
				       .kind = EMU_CORRUPT,
				       .opcode = OP_SET_FEATURES,
				       .fields = EMU_CQE_CID,
				       .cid = lost->cid,
			       });
	assert_fails_with(reset(&m, &told), ETIMEDOUT);
	assert_statuses(&told, 1, VFN_NVME_STATUS_LOST);
	assert_ptr_equal(told.rq[0], lost);
	emu_nvme_clear_faults(m.nvme);
	assert_int_equal(reset(&m, &told), 0);
	assert_int_equal(told.n, 1);
	assert_int_equal(free_requests(m.ctrl.adminq.sq), 31);
	assert_works(&m, 1);
	stop(&m);
}

/* C10 */
static void smaller_queues_after_a_reset_lose_the_larger_ones(void **state)
{
	struct told told = {};
	uint64_t cap;
	struct machine m;

	start_busy(&m, NULL);
	cap = m.ctrl.priv.cap;
	emu_nvme_change(m.nvme, 0, (cap & ~0xffffULL) | 7);
	assert_int_equal(reset(&m, &told), 1);
	assert_int_equal(m.ctrl.config.mqes, 7);
	emu_nvme_clear_faults(m.nvme);
	assert_null_with(nvme_rq_acquire(m.sq), ENODEV);
	assert_int_equal(nvme_delete_ioqpair(&m.ctrl, 1), 0);
	assert_int_equal(nvme_create_ioqpair(&m.ctrl, 1, 8, -1, 0), 0);
	assert_works(&m, 4);

	/* other pages than those that the queues were made for, and nonsense */
	emu_nvme_change(m.nvme, 0, (cap & ~(0xffULL << 48)) | 0x44ULL << 48);
	assert_fails_with(reset(&m, &told), ENOTSUP);
	assert_int_equal(vfn_nvme_get_state(&m.ctrl), VFN_NVME_FAILED);
	emu_nvme_change(m.nvme, 0, cap);
	assert_int_equal(reset(&m, &told), 0);
	assert_works(&m, 4);
	stop(&m);
}

/* C9: not one request of the admin queue is left for the reset's own commands */
static void reset_with_an_admin_queue_full_of_lost_commands(void **state)
{
	struct nvme_sq *admin;
	struct told told = {};
	struct machine m;

	start_with(&m, NULL);
	admin = m.ctrl.adminq.sq;
	lose(&m, 0, EMU_ANY, 31);
	for (int i = 0; i < 31; i++) {
		union nvme_cmd cmd = smart_log_cmd();
		struct nvme_rq *rq = nvme_rq_acquire(admin);

		rq->opaque = &admin->rqs[i];
		assert_int_equal(nvme_rq_map_prp(&m.ctrl, rq, &cmd, m.buf.iova, 512), 0);
		nvme_rq_exec(rq, &cmd);
	}
	assert_int_equal(reset(&m, &told), 0);
	assert_statuses(&told, 31, VFN_NVME_STATUS_ABORTED);
	for (int i = 0; i < 31; i++)
		assert_ptr_equal(told.opaque[i], told.rq[i]);
	assert_int_equal(free_requests(admin), 31);
	assert_works(&m, 1);
	stop(&m);
}

struct resubmit {
	struct machine *m;
	int n;
};

static void send_again(struct nvme_rq *rq, struct nvme_cqe *cqe, void *opaque)
{
	struct resubmit *r = opaque;
	union nvme_cmd cmd = flush_cmd();

	assert_int_equal(nvme_set_errno_from_cqe(cqe), -1);
	assert_fails_with(vfn_nvme_reset_ctrl(&r->m->ctrl, NULL), EBUSY);
	r->n++;
	nvme_rq_exec(rq, &cmd);
	assert_int_equal(nvme_rq_spin(rq, NULL), 0);
	nvme_rq_release(rq);
}

/* Q16, Q18: when the owners are told, the controller works */
static void commands_may_be_sent_again_from_the_callback(void **state)
{
	struct machine m;
	struct resubmit r = { .m = &m };

	start_busy(&m, NULL);
	emu_nvme_clear_faults(m.nvme);
	assert_int_equal(vfn_nvme_reset_ctrl(&m.ctrl,
					     &(struct vfn_nvme_recovery){
						     .complete = send_again,
						     .opaque = &r,
					     }),
			 0);
	assert_int_equal(r.n, LAST_QUEUE);
	assert_works(&m, LAST_QUEUE);
	stop(&m);
}

/* Q18 */
static void reset_of_what_is_not_up_is_refused(void **state)
{
	struct nvme_ctrl ctrl = {};

	assert_fails_with(vfn_nvme_reset_ctrl(&ctrl, NULL), ENODEV);
	assert_fails_with(vfn_nvme_check_timeouts(&ctrl, NULL), ENODEV);
	assert_int_equal(vfn_nvme_get_state(&ctrl), VFN_NVME_LIVE);
}

/* Q11, Q12: whatever the device has left in the queue; more completions than commands */
static void completions_that_nobody_asked_for_do_not_outlive_a_reset(void **state)
{
	struct nvme_cqe *ring;
	struct told told = {};
	struct machine m;

	start_with(&m, NULL);
	lose(&m, 1, OP_FLUSH, 1);
	(void)post_flush(m.sq);
	ring = m.cq->mem.vaddr;
	for (int i = 0; i < m.cq->qsize; i++)
		ring[i] = (struct nvme_cqe){
			.sqid = cpu_to_le16(1),
			.cid = 0,
			.sfp = cpu_to_le16(1),
		};
	assert_int_equal(reset(&m, &told), 0);
	assert_statuses(&told, 1, 0);
	assert_null(nvme_cq_get_cqe(m.cq));
	assert_int_equal(free_requests(m.sq), 15);
	assert_works(&m, 1);
	stop(&m);
}

/* Queues that a program has created by commands are its own to create again. */
static void queue_of_a_programs_own_commands_is_left_to_it(void **state)
{
	struct told told = {};
	struct nvme_sq *sq;
	struct machine m;

	start_with(&m, NULL);
	for (int i = 0; i < 2; i++) {
		union nvme_cmd cq_cmd = { .opcode = OP_CREATE_CQ },
			       sq_cmd = { .opcode = OP_CREATE_SQ };

		if (!i) {
			assert_int_equal(nvme_configure_cq(&m.ctrl, 2, 8, -1), 0);
			assert_int_equal(nvme_configure_sq(&m.ctrl, 2, 8, &m.ctrl.cq[2], 0), 0);
		}
		sq = &m.ctrl.sq[2];
		cq_cmd.create_cq.prp1 = cpu_to_le64(m.ctrl.cq[2].mem.iova);
		sq_cmd.create_sq.prp1 = cpu_to_le64(sq->mem.iova);
		cq_cmd.cdw10 = sq_cmd.cdw10 = cpu_to_le32(7 << 16 | 2);
		cq_cmd.cdw11 = cpu_to_le32(1);
		sq_cmd.cdw11 = cpu_to_le32(2 << 16 | 1);
		assert_int_equal(nvme_admin(&m.ctrl, &cq_cmd, NULL, 0, NULL), 0);
		assert_int_equal(nvme_admin(&m.ctrl, &sq_cmd, NULL, 0, NULL), 0);
		assert_works(&m, 2);
		if (!i)
			assert_int_equal(reset(&m, &told), 0);
	}
	stop(&m);
}

static void lots_of_resets_under_load(void **state)
{
	uint64_t seed = 1, sent = 0, ended = 0;
	struct machine m;

	start_pair(&m, &(struct emu_nvme_opts){ .dbbuf = true }, 32);
	for (int i = 0; i < 1000; i++) {
		struct told told = {};
		struct nvme_cqe *cqe;
		int n = (int)(next_random(&seed) % 32);

		lose(&m, 1, OP_FLUSH, (uint32_t)(next_random(&seed) % 32));
		for (int j = 0; j < n; j++)
			(void)post_flush(m.sq);
		sent += (uint64_t)n;
		for (int j = 0; j < n / 2 && (cqe = nvme_cq_get_cqe(m.cq)); j++, ended++)
			nvme_rq_release(nvme_rq_from_cqe(&m.ctrl, cqe));
		nvme_cq_update_head(m.cq);
		assert_int_equal(reset(&m, &told), 0);
		ended += (uint64_t)told.n;
		assert_int_equal(sent, ended);
		assert_int_equal(free_requests(m.sq), 31);
		emu_nvme_clear_faults(m.nvme);
	}
	assert_works(&m, 1);
	stop(&m);
}

/* ---- a queue ---- */

/* C17, Q7, Q8: what an abort does not end, the deletion of its queue does; other queues go on */
static void command_that_cannot_be_aborted_ends_with_its_queue(void **state)
{
	struct told told = {};
	struct nvme_rq *other;
	struct machine m;

	start_with(&m, &(struct emu_nvme_opts){ .abort_fails = true });
	assert_int_equal(nvme_create_ioqpair(&m.ctrl, 2, 8, -1, 0), 0);
	lose(&m, 1, OP_FLUSH, 2);
	(void)post_flush(m.sq);
	emu_calls_clear();
	assert_int_equal(check_told(&m, &told), 0);
	emu_advance(LIMIT);
	assert_int_equal(check_told(&m, &told), 1);
	emu_advance(LIMIT - 10 * MS);
	delay(&m, 2, OP_FLUSH, SEC);
	other = post_flush(&m.ctrl.sq[2]);
	(void)post_flush(m.sq);
	assert_int_equal(check_told(&m, &told), 0);
	assert_int_equal(told.n, 0);
	emu_advance(10 * MS);
	assert_int_equal(check_told(&m, &told), 1);
	emu_assert_order("admin ABORT", "admin DELETE_SQ 1", "admin CREATE_SQ 1");
	assert_statuses(&told, 2, STATUS_SQ_DELETED);
	assert_int_equal(emu_nvme_stats(m.nvme).enables, 1);
	emu_nvme_clear_faults(m.nvme);
	assert_works(&m, 1);
	assert_int_equal(free_requests(m.sq), 15);
	emu_advance(SEC);
	assert_int_equal(nvme_rq_spin(other, NULL), 0);
	nvme_rq_release(other);
	stop(&m);
}

/* The queues share a completion queue: completions of the other one stay there. */
static void queue_that_shares_its_completion_queue_is_made_anew(void **state)
{
	struct told told = {};
	struct nvme_rq *other;
	struct nvme_sq *sq;
	struct machine m;

	start_with(&m, &(struct emu_nvme_opts){ .abort_fails = true, .dbbuf = true });
	assert_int_equal(nvme_create_iosq(&m.ctrl, 2, 8, m.cq, 0), 0);
	sq = &m.ctrl.sq[2];
	lose(&m, 1, OP_FLUSH, 1);
	(void)post_flush(m.sq);
	assert_int_equal(check_told(&m, &told), 0);
	emu_advance(LIMIT);
	assert_int_equal(check_told(&m, &told), 1);
	emu_advance(LIMIT);
	other = post_flush(sq);
	assert_int_equal(check_told(&m, &told), 0);
	assert_int_equal(nvme_rq_spin(other, NULL), 0);
	nvme_rq_release(other);
	assert_int_equal(check_told(&m, &told), 1);
	assert_statuses(&told, 1, STATUS_SQ_DELETED);
	assert_works(&m, 2);
	stop(&m);
}

/* C15, C16: the deletion fails or is lost, so the controller is reset; no memory is freed before */
static void queue_that_cannot_be_deleted_calls_for_a_reset(void **state)
{
	struct machine m;

	for (int lost = 0; lost < 2; lost++) {
		for (int flags = 0; flags < 2; flags++) {
			struct told told = {};

			start_with(&m, &(struct emu_nvme_opts){ .abort_fails = true });
			if (lost)
				lose(&m, 0, OP_DELETE_SQ, 1);
			else
				refuse(m.nvme, OP_DELETE_SQ, 1);
			lose(&m, 1, OP_FLUSH, 1);
			(void)post_flush(m.sq);
			for (int i = 0; i < 2; i++) {
				assert_int_equal(check_or_reset(&m, &told), i);
				emu_advance(LIMIT);
			}
			emu_calls_clear();
			if (flags) {
				assert_int_equal(check_or_reset(&m, &told), 0);
				emu_assert_order("admin DELETE_SQ 1", "reg write 0x14 0x460000",
						 "admin CREATE_SQ 1");
				assert_statuses(&told, 1, VFN_NVME_STATUS_ABORTED);
				assert_works(&m, 1);
			} else {
				assert_fails_with(check_told(&m, &told), ETIMEDOUT);
				assert_int_equal(told.n, 0);
				assert_int_equal(reset(&m, &told), 0);
				assert_statuses(&told, 1, VFN_NVME_STATUS_ABORTED);
			}
			again(&m);
		}
	}
}

/* The queue is deleted, but cannot be created again. */
static void queue_that_cannot_be_created_again_is_lost(void **state)
{
	struct told told = {};
	struct machine m;

	start_with(&m, &(struct emu_nvme_opts){ .abort_fails = true });
	refuse(m.nvme, OP_CREATE_SQ, 1);
	lose(&m, 1, OP_FLUSH, 1);
	(void)post_flush(m.sq);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(check_told(&m, &told), i);
		emu_advance(LIMIT);
	}
	assert_fails_with(check_told(&m, &told), ETIMEDOUT);
	assert_statuses(&told, 1, STATUS_SQ_DELETED);
	assert_null_with(nvme_rq_acquire(m.sq), ENODEV);
	assert_int_equal(check_told(&m, &told), 0);
	assert_int_equal(reset(&m, &told), 0);
	assert_works(&m, 1);
	stop(&m);
}

/* C17: the Abort command is lost itself, so that nothing of the admin queue can be relied on */
static void abort_that_is_lost_leads_to_a_reset(void **state)
{
	struct told told = {};
	struct machine m;

	start_with(&m, NULL);
	lose(&m, 1, OP_FLUSH, 1);
	lose(&m, 0, OP_ABORT, 1);
	(void)post_flush(m.sq);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(check_or_reset(&m, &told), i);
		emu_advance(LIMIT);
	}
	emu_calls_clear();
	assert_int_equal(check_or_reset(&m, &told), 0);
	assert_int_equal(emu_call_count("admin DELETE_SQ"), 0);
	assert_int_equal(emu_nvme_stats(m.nvme).enables, 2);
	assert_statuses(&told, 1, VFN_NVME_STATUS_ABORTED);
	assert_works(&m, 1);
	stop(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(reset_of_an_idle_controller_leaves_everything_as_it_was),
		test(everything_that_is_out_ends_once),
		test(completion_before_a_reset_has_its_own_status),
		test(fatal_status_is_recovered_from),
		test(reset_has_an_order),
		test(controller_that_does_not_become_disabled_has_its_function_reset),
		test(controller_that_cannot_be_stopped_is_cut_off),
		test(controller_that_does_not_come_up_has_failed),
		test(reset_of_what_goes_at_any_register_access),
		test(reset_of_what_reads_as_zero_at_any_register_access),
		test(reset_with_each_command_failing),
		test(queue_that_is_refused_is_lost_alone),
		test(fewer_queues_after_a_reset_leave_the_others),
		test(queue_that_is_lost_may_be_polled),
		test(completion_queue_alone_is_created_again_if_it_fits),
		test(stray_completion_during_a_reset_ends_nothing_twice),
		test(smaller_queues_after_a_reset_lose_the_larger_ones),
		test(reset_with_an_admin_queue_full_of_lost_commands),
		test(commands_may_be_sent_again_from_the_callback),
		test(reset_of_what_is_not_up_is_refused),
		test(completions_that_nobody_asked_for_do_not_outlive_a_reset),
		test(queue_of_a_programs_own_commands_is_left_to_it),
		test(lots_of_resets_under_load),
		test(command_that_cannot_be_aborted_ends_with_its_queue),
		test(queue_that_shares_its_completion_queue_is_made_anew),
		test(queue_that_cannot_be_deleted_calls_for_a_reset),
		test(queue_that_cannot_be_created_again_is_lost),
		test(abort_that_is_lost_leads_to_a_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
