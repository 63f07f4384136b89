// SPDX-License-Identifier: GPL-2.0-or-later
/* Completions that are not the one waited for: others' are kept in order, nobody's are dropped. */
#include "machine.h"

#include <string.h>

#include <vfn/support/log.h>

static int flush_on(struct machine *m, struct nvme_sq *sq, struct nvme_cqe *cqe)
{
	union nvme_cmd cmd = flush_cmd();

	return nvme_sync(&m->ctrl, sq, &cmd, NULL, 0, cqe);
}

static int read_log(struct machine *m)
{
	union nvme_cmd cmd = smart_log_cmd();

	return nvme_admin(&m->ctrl, &cmd, m->buf.vaddr, 512, NULL);
}

/* ---- others' ---- */

/* The event of the AER with context @opaque is next in the queue; give the request back. */
static void take_event(struct machine *m, void *opaque, unsigned int info)
{
	struct nvme_cqe *cqe = nvme_cq_get_cqe(m->ctrl.adminq.cq);
	struct nvme_rq *rq;

	assert_non_null(cqe);
	assert_true(cqe->cid & NVME_CID_AER);
	assert_int_equal(NVME_AEN_INFO(le32_to_cpu(cqe->dw0)), info);
	rq = nvme_rq_from_cqe(&m->ctrl, cqe);
	assert_non_null(rq);
	assert_ptr_equal(rq->opaque, opaque);
	nvme_cq_update_head(m->ctrl.adminq.cq);
	nvme_rq_release(rq);
}

/* W27 */
static void event_before_an_admin_command_is_not_lost(void **state)
{
	struct machine m;

	start_pair(&m, NULL, 8);
	assert_int_equal(nvme_aer(&m.ctrl, &m), 0);
	emu_nvme_raise_aen(m.nvme, 1, 2, 2);
	assert_int_equal(read_log(&m), 0);
	take_event(&m, &m, 2);
	assert_null(nvme_cq_get_cqe(m.ctrl.adminq.cq));
	stop(&m);
}

/* W27: with every alignment of the event in the ring of 32 entries, many times around */
static void events_among_admin_commands_are_kept_across_the_wrap(void **state)
{
	struct machine m;

	start_pair(&m, NULL, 8);
	for (unsigned int i = 0; i < 1000; i++) {
		assert_int_equal(nvme_aer(&m.ctrl, &m), 0);
		for (unsigned int k = 0; k < i % 3; k++)
			assert_int_equal(read_log(&m), 0);
		emu_nvme_raise_aen(m.nvme, 1, i % 256, 2);
		for (unsigned int k = 0; k <= i % 5; k++)
			assert_int_equal(read_log(&m), 0);
		take_event(&m, &m, i % 256);
	}
	assert_int_equal(emu_nvme_stats(m.nvme).outstanding, 0);
	stop(&m);
}

/* W27 */
static void several_events_keep_their_order(void **state)
{
	char who[3];
	struct machine m;

	start_pair(&m, NULL, 8);
	for (unsigned int i = 0; i < 60; i++) {
		for (unsigned int k = 0; k < 3; k++)
			assert_int_equal(nvme_aer(&m.ctrl, &who[k]), 0);
		for (unsigned int k = 0; k < 3; k++) {
			emu_nvme_raise_aen(m.nvme, 1, k, 2);
			assert_int_equal(read_log(&m), 0);
		}
		for (unsigned int k = 0; k < 3; k++)
			take_event(&m, &who[k], k);
	}
	stop(&m);
}

/* Two submission queues on one completion queue of @cq_size entries. */
static void start_shared(struct machine *m, int cq_size)
{
	start(m, NULL);
	assert_int_equal(nvme_create_iocq(&m->ctrl, 1, cq_size, -1), 0);
	assert_int_equal(nvme_create_iosq(&m->ctrl, 1, 8, &m->ctrl.cq[1], 0), 0);
	assert_int_equal(nvme_create_iosq(&m->ctrl, 2, 8, &m->ctrl.cq[1], 0), 0);
	m->sq = &m->ctrl.sq[1];
	m->cq = &m->ctrl.cq[1];
}

/* W27 */
static void completions_on_a_shared_queue_keep_their_order_across_the_wrap(void **state)
{
	struct machine m;

	for (int cq_size = 6; cq_size <= 9; cq_size++) {
		start_shared(&m, cq_size);
		for (int i = 0; i < 500; i++) {
			struct nvme_rq *rqs[4];
			int n = i % 4 + 1;

			for (int k = 0; k < n; k++)
				rqs[k] = post_flush(&m.ctrl.sq[2]);
			assert_int_equal(flush_on(&m, m.sq, NULL), 0);
			for (int k = 0; k < n; k++) {
				struct nvme_cqe *cqe = nvme_cq_get_cqe(m.cq);

				assert_non_null(cqe);
				assert_ptr_equal(nvme_rq_from_cqe(&m.ctrl, cqe), rqs[k]);
				nvme_rq_release(rqs[k]);
			}
			assert_null(nvme_cq_get_cqe(m.cq));
			nvme_cq_update_head(m.cq);
		}
		stop(&m);
		emu_fini();
		emu_init();
	}
}

/* W27: with no room for its own completion a wait ends, and still nothing is lost */
static void queue_full_of_others_times_out_and_keeps_them(void **state)
{
	struct nvme_rq *rqs[3];
	struct machine m;

	start_shared(&m, 4);
	vfn_nvme_set_timeout(&m.ctrl, 100);
	for (int i = 0; i < 3; i++)
		rqs[i] = post_flush(&m.ctrl.sq[2]);
	assert_fails_with(flush_on(&m, m.sq, NULL), ETIMEDOUT);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(nvme_rq_spin(rqs[i], NULL), 0);
		nvme_rq_release(rqs[i]);
	}
	assert_int_equal(flush_on(&m, m.sq, NULL), 0);
	assert_int_equal(free_requests(m.sq), 7);
	stop(&m);
}

/* Q16 */
static void commands_posted_before_a_sync_complete_after_it(void **state)
{
	struct nvme_cqe cqes[3];
	struct machine m;

	start_pair(&m, NULL, 8);
	for (int i = 0; i < 3; i++)
		(void)post_flush(m.sq);
	assert_int_equal(flush_on(&m, m.sq, NULL), 0);
	assert_int_equal(nvme_cq_wait_cqes(m.cq, cqes, 3, NULL), 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(cqes[i].cid, i);
	nvme_cq_update_head(m.cq);
	stop(&m);
}

/* ---- nobody's ---- */

/* Q5 */
static void second_completion_does_not_pass_for_the_next_commands(void **state)
{
	struct nvme_cqe cqe;
	struct machine m;

	start_pair(&m, NULL, 8);
	for (int i = 0; i < 100; i++) {
		union nvme_cmd cmd = rw_cmd(OP_READ, (uint64_t)i, 1);
		uint8_t *block = (uint8_t *)emu_nvme_disk(m.nvme, 1, NULL) + i * 512;

		memset(block, i + 1, 512);
		emu_nvme_clear_faults(m.nvme);
		add_fault(&m, EMU_DUPLICATE, 1, OP_FLUSH);
		assert_int_equal(flush_on(&m, m.sq, NULL), 0);
		assert_int_equal(nvme_sync(&m.ctrl, m.sq, &cmd, m.buf.vaddr, 512, &cqe), 0);
		assert_memory_equal(m.buf.vaddr, block, 512);
		assert_int_equal(free_requests(m.sq), 7);
	}
	stop(&m);
}

/* Q5: as many as there are entries, which no controller may post */
static void round_of_second_completions_does_not_pass_for_the_next_commands(void **state)
{
	union nvme_cmd cmd = identify_cmd();
	struct nvme_cqe *cqes;
	struct machine m;
	struct nvme_cq *cq;

	start_pair(&m, NULL, 8);
	vfn_nvme_set_timeout(&m.ctrl, 10);
	cq = m.ctrl.adminq.cq;
	cqes = cq->mem.vaddr;
	for (int i = 0; i < cq->qsize; i++)
		cqes[i] = (struct nvme_cqe){
			.cid = m.ctrl.adminq.sq->rq_top->cid,
			.sfp = cpu_to_le16((uint16_t)(!cq->phase ^ (i < cq->head))),
		};
	assert_int_equal(nvme_admin(&m.ctrl, &cmd, m.buf.vaddr, PAGE, NULL), -1);
	emu_forget_violations();
	stop(&m);
	emu_forget_violations();
}

/* Q5: whoever has the request next need not look for it */
static void second_completion_of_a_sync_does_not_pass_for_a_later_submit(void **state)
{
	struct vfn_nvme_done done;
	struct vfn_nvme_io io;
	struct machine m;

	start_pair(&m, NULL, 8);
	assert_int_equal(vfn_nvme_io_prep(&io, &m.ctrl, OP_READ, 1, 9), 0);
	add_fault(&m, EMU_DUPLICATE, 1, OP_FLUSH);
	add_fault(&m, EMU_LOSE, 1, OP_READ);
	assert_int_equal(flush_on(&m, m.sq, NULL), 0);
	assert_int_equal(vfn_nvme_io_submit(m.sq, &io, 0, 1, m.buf.vaddr, &m), 0);
	assert_int_equal(vfn_nvme_io_poll(m.sq, &done, 1), 0);
	stop(&m);
}

/* Q5: at level two the program sees both, and the request once */
static void second_completion_of_a_request_is_seen_by_the_poll(void **state)
{
	struct nvme_cqe cqes[2];
	struct machine m;

	start_pair(&m, NULL, 8);
	add_fault(&m, EMU_DUPLICATE, 1, OP_FLUSH);
	(void)post_flush(m.sq);
	assert_int_equal(nvme_cq_wait_cqes(m.cq, cqes, 2, NULL), 2);
	assert_int_equal(cqes[0].cid, cqes[1].cid);
	nvme_cq_update_head(m.cq);
	stop(&m);
}

static void reordered_completions_find_their_requests(void **state)
{
	struct nvme_rq *first, *second;
	struct nvme_cqe cqe;
	struct machine m;

	start_pair(&m, NULL, 8);
	add_fault(&m, EMU_REORDER, 1, OP_FLUSH);
	first = post_flush(m.sq);
	second = post_flush(m.sq);
	assert_fails_with(nvme_rq_spin(first, &cqe), EAGAIN);
	assert_ptr_equal(nvme_rq_from_cqe(&m.ctrl, &cqe), second);
	assert_int_equal(nvme_rq_spin(first, &cqe), 0);
	stop(&m);
}

static void sync_is_not_misled_by_reordering(void **state)
{
	struct nvme_rq *rq;
	struct machine m;

	start_pair(&m, NULL, 8);
	add_fault(&m, EMU_REORDER, 1, OP_FLUSH);
	rq = post_flush(m.sq);
	assert_int_equal(flush_on(&m, m.sq, NULL), 0);
	assert_int_equal(nvme_rq_spin(rq, NULL), 0);
	nvme_rq_release(rq);
	assert_int_equal(free_requests(m.sq), 7);
	stop(&m);
}

static void corrupt(struct machine *m, struct emu_fault fault)
{
	fault.kind = EMU_CORRUPT;
	fault.qid = 1;
	fault.opcode = OP_FLUSH;
	emu_nvme_fault(m->nvme, &fault);
}

/* Q3, Q6, W21: dropped, so that the wait times out and the next command works */
static void completion_of_nobody_is_dropped(void **state)
{
	static const struct emu_fault faults[] = {
		{ .fields = EMU_CQE_CID, .cid = 7 },
		{ .fields = EMU_CQE_CID, .cid = 8 },
		{ .fields = EMU_CQE_CID, .cid = 0x8000 },
		{ .fields = EMU_CQE_CID, .cid = 0xffff },
		{ .fields = EMU_CQE_SQID, .sqid = 3 },
		{ .fields = EMU_CQE_SQID, .sqid = 500 },
		{ .fields = EMU_CQE_SQID, .sqid = 0xffff },
	};

	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
		struct machine m;

		start_pair(&m, NULL, 8);
		vfn_nvme_set_timeout(&m.ctrl, 20);
		corrupt(&m, faults[i]);
		assert_fails_with(flush_on(&m, m.sq, NULL), ETIMEDOUT);
		assert_int_equal(m.cq->head, 1);
		assert_int_equal(vfn_nvme_strays(&m.ctrl), 1);
		assert_int_equal(flush_on(&m, m.sq, NULL), 0);
		assert_int_equal(free_requests(m.sq), 6);
		stop(&m);
		emu_fini();
		emu_init();
	}
}

static void count_strays(int level, const char *text, void *opaque)
{
	unsigned int *n = opaque;

	if (level == LOG_ERROR && strstr(text, "dropped a completion of command 32768 of queue 1"))
		(*n)++;
}

/* Q3: a controller gone mad does not fill the log */
static void completions_of_nobody_are_told_of_once_per_second(void **state)
{
	unsigned int messages = 0;
	struct machine m;

	start_pair(&m, NULL, 8);
	vfn_nvme_set_timeout(&m.ctrl, 20);
	corrupt(&m,
		(struct emu_fault){ .fields = EMU_CQE_CID, .cid = 0x8000, .count = UINT32_MAX });
	logv_set(LOG_ERROR);
	vfn_log_set_hook(count_strays, &messages);
	for (unsigned int i = 1; i <= 5; i++) {
		assert_fails_with(flush_on(&m, m.sq, NULL), ETIMEDOUT);
		assert_int_equal(messages, i < 5 ? 1 : 2);
		emu_advance(SEC / 4);
	}
	vfn_log_set_hook(NULL, NULL);
	logv_set(VFN_LOG_OFF);
	assert_int_equal(vfn_nvme_strays(&m.ctrl), 5);
	stop(&m);
}

/* Q4: one for a request that is free waits for its owner, who drops it */
static void completion_of_an_idle_request_does_not_complete_it_later(void **state)
{
	struct nvme_cqe cqe;
	struct machine m;

	start_pair(&m, NULL, 4);
	vfn_nvme_set_timeout(&m.ctrl, 20);
	corrupt(&m, (struct emu_fault){
			    .fields = EMU_CQE_CID | EMU_CQE_STATUS,
			    .cid = 1,
			    .status = 0x4002,
		    });
	assert_fails_with(flush_on(&m, m.sq, NULL), ETIMEDOUT);
	assert_int_equal(flush_on(&m, m.sq, &cqe), 0);
	assert_int_equal(cqe.cid, 1);
	assert_true(nvme_cqe_ok(&cqe));
	stop(&m);
}

/* Q6 */
static void field_that_does_not_matter_is_not_used(void **state)
{
	struct nvme_cqe cqe;
	struct machine m;

	start_pair(&m, NULL, 8);
	corrupt(&m, (struct emu_fault){ .fields = EMU_CQE_SQHD, .sqhd = 0xffff });
	assert_int_equal(flush_on(&m, m.sq, &cqe), 0);
	assert_int_equal(le16_to_cpu(cqe.sqhd), 0xffff);
	for (int i = 0; i < 20; i++)
		assert_int_equal(flush_on(&m, m.sq, NULL), 0);
	corrupt(&m, (struct emu_fault){ .fields = EMU_CQE_DW0, .dw0 = 0x12345678 });
	assert_int_equal(flush_on(&m, m.sq, &cqe), 0);
	assert_int_equal(le32_to_cpu(cqe.dw0), 0x12345678);
	stop(&m);
}

/* Q9: an entry with the old phase has not been written yet */
static void completion_with_the_old_phase_is_not_seen(void **state)
{
	struct machine m;

	start_pair(&m, NULL, 8);
	vfn_nvme_set_timeout(&m.ctrl, 20);
	corrupt(&m, (struct emu_fault){ .fields = EMU_CQE_PHASE });
	assert_fails_with(flush_on(&m, m.sq, NULL), ETIMEDOUT);
	assert_null(nvme_cq_get_cqe(m.cq));
	assert_int_equal(m.cq->head, 0);
	/* the queue is out of step, and can be made anew */
	assert_fails_with(flush_on(&m, m.sq, NULL), ETIMEDOUT);
	assert_int_equal(nvme_delete_ioqpair(&m.ctrl, 1), 0);
	assert_int_equal(nvme_create_ioqpair(&m.ctrl, 1, 8, -1, 0), 0);
	assert_int_equal(flush_on(&m, m.sq, NULL), 0);
	stop(&m);
}

/* Q3, Q4, Q5, Q12: a hostile stream of completions, then a queue that still works after it is made anew */
static void random_corruption_never_crashes(void **state)
{
	uint64_t seed = 0x20260718;

	print_message("# seed 0x20260718\n");
	for (int round = 0; round < 30; round++) {
		struct machine m;

		start_pair(&m, NULL, 16);
		vfn_nvme_set_timeout(&m.ctrl, 5);
		for (int i = 0; i < 10; i++) {
			uint64_t r = next_random(&seed);

			emu_nvme_clear_faults(m.nvme);
			corrupt(&m, (struct emu_fault){
					    .fields = r & 0x37,
					    .nth = r >> 8 & 1,
					    .count = r >> 9 & 3,
					    .cid = (uint16_t)(r >> 16) & (r & 64 ? 0x1f : 0xffff),
					    .sqid = (uint16_t)(r >> 32) & (r & 128 ? 3 : 0xffff),
					    .sqhd = (uint16_t)(r >> 48),
					    .status = r >> 20 & 0x7fff,
				    });
			(void)flush_on(&m, m.sq, NULL);
		}
		emu_nvme_clear_faults(m.nvme);
		assert_int_equal(nvme_delete_ioqpair(&m.ctrl, 1), 0);
		assert_int_equal(nvme_create_ioqpair(&m.ctrl, 1, 16, -1, 0), 0);
		assert_int_equal(flush_on(&m, m.sq, NULL), 0);
		stop(&m);
		emu_fini();
		emu_init();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(event_before_an_admin_command_is_not_lost),
		test(events_among_admin_commands_are_kept_across_the_wrap),
		test(several_events_keep_their_order),
		test(completions_on_a_shared_queue_keep_their_order_across_the_wrap),
		test(queue_full_of_others_times_out_and_keeps_them),
		test(commands_posted_before_a_sync_complete_after_it),
		test(second_completion_does_not_pass_for_the_next_commands),
		test(round_of_second_completions_does_not_pass_for_the_next_commands),
		test(second_completion_of_a_sync_does_not_pass_for_a_later_submit),
		test(second_completion_of_a_request_is_seen_by_the_poll),
		test(reordered_completions_find_their_requests),
		test(sync_is_not_misled_by_reordering),
		test(completion_of_nobody_is_dropped),
		test(completions_of_nobody_are_told_of_once_per_second),
		test(completion_of_an_idle_request_does_not_complete_it_later),
		test(field_that_does_not_matter_is_not_used),
		test(completion_with_the_old_phase_is_not_seen),
		test(random_corruption_never_crashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
