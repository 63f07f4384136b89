// SPDX-License-Identifier: GPL-2.0-or-later
/* Shadow doorbells: used where the controller has them, and registers where it has not. */
#include "machine.h"

static const struct emu_nvme_opts with_dbbuf = { .dbbuf = true };
static const struct emu_nvme_opts lazy = { .dbbuf = true, .dbbuf_lazy = true };

static void flush_many(struct machine *m, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		union nvme_cmd cmd = flush_cmd();

		assert_int_equal(nvme_sync(&m->ctrl, m->sq, &cmd, NULL, 0, NULL), 0);
	}
}

/* Doorbell registers written by @n flushes. */
static uint64_t doorbells_of(struct machine *m, unsigned int n)
{
	struct emu_nvme_stats before = emu_nvme_stats(m->nvme), after;

	flush_many(m, n);
	after = emu_nvme_stats(m->nvme);
	assert_int_equal(after.io[OP_FLUSH] - before.io[OP_FLUSH], n);

	return after.sq_doorbells + after.cq_doorbells - before.sq_doorbells - before.cq_doorbells;
}

static void controller_with_shadow_doorbells_is_told_of_them(void **state)
{
	struct machine m;

	start_pair(&m, &with_dbbuf, 8);
	assert_int_equal(emu_nvme_stats(m.nvme).admin[OP_DBBUF], 1);
	assert_ptr_equal(m.sq->dbbuf.doorbell, (char *)m.ctrl.dbbuf.doorbells.vaddr + 8);
	assert_ptr_equal(m.sq->dbbuf.eventidx, (char *)m.ctrl.dbbuf.eventidxs.vaddr + 8);
	assert_ptr_equal(m.cq->dbbuf.doorbell, (char *)m.ctrl.dbbuf.doorbells.vaddr + 12);
	flush_many(&m, 1000);
	stop(&m);
}

/* Only the index behind which the controller asked to be told is announced: once a round. */
static void controller_that_polls_is_not_rung(void **state)
{
	struct machine m;

	start_pair(&m, &lazy, 16);
	assert_true(doorbells_of(&m, 1600) <= 2 * 101);
	stop(&m);
}

static void controller_that_asks_is_rung_each_time(void **state)
{
	struct machine m;

	start_pair(&m, &with_dbbuf, 16);
	assert_int_equal(doorbells_of(&m, 1600), 2 * 1600);
	stop(&m);
}

static void controller_without_is_rung_each_time(void **state)
{
	struct machine m;

	start_pair(&m, NULL, 16);
	assert_int_equal(emu_nvme_stats(m.nvme).admin[OP_DBBUF], 0);
	assert_null(m.sq->dbbuf.doorbell);
	assert_int_equal(doorbells_of(&m, 160), 2 * 160);
	stop(&m);
}

/* W15 */
static void quirk_keeps_them_off_and_closes(void **state)
{
	const struct nvme_ctrl_opts opts = {
		.nsqr = 3,
		.ncqr = 3,
		.quirks = NVME_QUIRK_BROKEN_DBBUF,
	};
	struct machine m = {};

	m.nvme = emu_nvme_add(&lazy);
	assert_int_equal(nvme_init(&m.ctrl, EMU_BDF, &opts), 0);
	add_pair(&m, 16);
	assert_int_equal(emu_nvme_stats(m.nvme).admin[OP_DBBUF], 0);
	assert_int_equal(doorbells_of(&m, 160), 2 * 160);
	stop(&m);
}

static void refusal_of_the_controller_falls_back(void **state)
{
	struct machine m = {};

	m.nvme = emu_nvme_add(&with_dbbuf);
	refuse(m.nvme, OP_DBBUF, 1);
	assert_int_equal(nvme_init(&m.ctrl, EMU_BDF, NULL), 0);
	assert_int_equal(m.ctrl.dbbuf.doorbells.len, 0);
	add_pair(&m, 16);
	assert_null(m.sq->dbbuf.doorbell);
	assert_int_equal(doorbells_of(&m, 160), 2 * 160);
	stop(&m);
}

static void configuration_that_times_out_fails_the_init(void **state)
{
	struct nvme_ctrl ctrl = {};
	struct emu_nvme *nvme = emu_nvme_add(&with_dbbuf);

	emu_nvme_fault(nvme, &(struct emu_fault){
				     .kind = EMU_DROP,
				     .qid = 0,
				     .opcode = OP_DBBUF,
			     });
	vfn_nvme_set_timeout(&ctrl, 100);
	assert_fails_with(nvme_init(&ctrl, EMU_BDF, NULL), ETIMEDOUT);
}

static void admin_queue_has_none(void **state)
{
	union nvme_cmd cmd = smart_log_cmd();
	struct machine m;

	start_pair(&m, &lazy, 16);
	assert_null(m.ctrl.adminq.sq->dbbuf.doorbell);
	assert_null(m.ctrl.adminq.cq->dbbuf.doorbell);
	for (int i = 0; i < 200; i++)
		assert_int_equal(nvme_admin(&m.ctrl, &cmd, m.buf.vaddr, 512, NULL), 0);
	stop(&m);
}

static void assert_within_page(struct machine *m, const struct nvme_dbbuf *dbbuf)
{
	const char *doorbells = m->ctrl.dbbuf.doorbells.vaddr;
	const char *eventidxs = m->ctrl.dbbuf.eventidxs.vaddr;

	if (!dbbuf->doorbell)
		return;
	assert_in_range((const char *)dbbuf->doorbell - doorbells, 0, PAGE - 4);
	assert_in_range((const char *)dbbuf->eventidx - eventidxs, 0, PAGE - 4);
}

/* W11: the buffers have one page; queues whose place lies beyond it use registers */
static void queues_beyond_the_page_at_any_stride_use_registers(void **state)
{
	for (unsigned int dstrd = 0; dstrd <= 6; dstrd++) {
		const struct emu_nvme_opts opts = { .dbbuf = true, .dstrd = dstrd };
		unsigned int with = 0;
		struct machine m;

		start(&m, &opts);
		for (int qid = 1; qid <= 64; qid++) {
			assert_int_equal(nvme_create_ioqpair(&m.ctrl, qid, 4, -1, 0), 0);
			m.sq = &m.ctrl.sq[qid];
			m.cq = &m.ctrl.cq[qid];
			assert_within_page(&m, &m.sq->dbbuf);
			assert_within_page(&m, &m.cq->dbbuf);
			with += m.sq->dbbuf.doorbell != NULL;
			flush_many(&m, 5);
		}
		/* PAGE / (4 << dstrd) places, two a queue, the first two are the admin queue's */
		assert_int_equal(with, dstrd <= 2 ? 64 : (PAGE / 8 >> dstrd) - 1);
		nvme_close(&m.ctrl);
		emu_fini();
		emu_init();
	}
}

static void queue_made_anew_starts_with_clean_indexes(void **state)
{
	struct machine m;

	start_pair(&m, &with_dbbuf, 16);
	flush_many(&m, 21);
	assert_int_not_equal(*(uint32_t *)m.sq->dbbuf.doorbell, 0);
	assert_int_equal(nvme_delete_ioqpair(&m.ctrl, 1), 0);
	assert_int_equal(nvme_create_ioqpair(&m.ctrl, 1, 8, -1, 0), 0);
	assert_int_equal(*(uint32_t *)m.sq->dbbuf.doorbell, 0);
	assert_int_equal(*(uint32_t *)m.cq->dbbuf.doorbell, 0);
	assert_int_equal(*(uint32_t *)m.sq->dbbuf.eventidx, 0);
	flush_many(&m, 21);
	stop(&m);
}

/* Q2 */
static void small_queues_wrap(void **state)
{
	static const int sizes[] = { 2, 3, 5 };

	for (size_t i = 0; i < 3; i++) {
		struct machine m;

		start_pair(&m, i & 1 ? &lazy : &with_dbbuf, sizes[i]);
		flush_many(&m, 5000);
		stop(&m);
		emu_fini();
		emu_init();
	}
}

/* C23: at worst a doorbell too many, or one that the controller did not ask for */
static void garbage_in_event_indexes_does_no_harm(void **state)
{
	uint64_t seed = 0x20260719;
	struct machine m;

	start_pair(&m, &lazy, 8);
	for (int i = 0; i < 2000; i++) {
		*(uint32_t *)m.sq->dbbuf.eventidx = (uint32_t)next_random(&seed);
		*(uint32_t *)m.cq->dbbuf.eventidx = (uint32_t)next_random(&seed);
		flush_many(&m, 1);
	}
	stop(&m);
}

/* By definition: whether @event is among @old to @val - 1, going around at 2^16. */
static bool among(uint16_t event, uint16_t val, uint16_t old)
{
	for (uint16_t i = old; i != val; i++)
		if (i == event)
			return true;

	return false;
}

static void need_for_a_doorbell_is_as_defined(void **state)
{
	static const uint16_t olds[] = { 0, 1, 100, 0x7fff, 0xfff0, 0xffff };

	for (size_t i = 0; i < sizeof(olds) / sizeof(*olds); i++)
		for (uint16_t step = 1; step < 20; step++)
			for (int near = -25; near < 25; near++) {
				uint16_t old = olds[i], val = (uint16_t)(old + step);
				uint16_t event = (uint16_t)(old + near);

				assert_int_equal(__nvme_need_mmio(event, val, old),
						 among(event, val, old));
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(controller_with_shadow_doorbells_is_told_of_them),
		test(controller_that_polls_is_not_rung),
		test(controller_that_asks_is_rung_each_time),
		test(controller_without_is_rung_each_time),
		test(quirk_keeps_them_off_and_closes),
		test(refusal_of_the_controller_falls_back),
		test(configuration_that_times_out_fails_the_init),
		test(admin_queue_has_none),
		test(queues_beyond_the_page_at_any_stride_use_registers),
		test(queue_made_anew_starts_with_clean_indexes),
		test(small_queues_wrap),
		test(garbage_in_event_indexes_does_no_harm),
		cmocka_unit_test(need_for_a_doorbell_is_as_defined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
