// SPDX-License-Identifier: GPL-2.0-or-later
/* Rings as arithmetic: index and phase over many wraps, at the smallest and the largest depth. */
#include "machine.h"

/*
 * A completion queue alone, with the test in the controller's place: a million
 * wraps take a moment that way. It posts @burst entries, the host takes them.
 */
struct ring {
	struct nvme_cqe *entries;
	struct nvme_cq cq;
	int tail, phase;
};

static struct ring ring_new(int qsize)
{
	struct nvme_cqe *entries = calloc((size_t)qsize, sizeof(*entries));

	return (struct ring){
		.entries = entries,
		.cq = { .qsize = qsize, .mem.vaddr = entries },
		.phase = 1,
	};
}

static void ring_post(struct ring *r, uint32_t dw0)
{
	r->entries[r->tail].dw0 = cpu_to_le32(dw0);
	r->entries[r->tail].sfp = cpu_to_le16((uint16_t)r->phase);
	if (++r->tail == r->cq.qsize) {
		r->tail = 0;
		r->phase ^= 1;
	}
}

static void wrap(int qsize, uint32_t wraps)
{
	struct ring r = ring_new(qsize);
	uint32_t posted = 0, taken = 0;
	uint32_t burst = 1;

	while (taken / (uint32_t)qsize < wraps) {
		for (uint32_t i = 0; i < burst; i++)
			ring_post(&r, posted++);
		for (uint32_t i = 0; i < burst; i++) {
			struct nvme_cqe *cqe = nvme_cq_get_cqe(&r.cq);

			if (!cqe || le32_to_cpu(cqe->dw0) != taken)
				fail_msg("completion %u is %s", taken, cqe ? "another" : "missing");
			taken++;
		}
		if (nvme_cq_get_cqe(&r.cq))
			fail_msg("a completion after %u that was not posted", taken);
		burst = burst % (uint32_t)(qsize - 1) + 1;
	}

	free(r.entries);
}

/* Q2 */
static void depth_2_wraps_a_million_times(void **state)
{
	wrap(2, 1000000);
}

/* Q2 */
static void odd_depth_wraps_a_million_times(void **state)
{
	wrap(7, 1000000);
}

/* Q2: indexes have 16 bits, and this size has not */
static void depth_65536_wraps(void **state)
{
	wrap(65536, 100);
}

/* ---- both rings, with a controller behind them ---- */

static void check_read(struct machine *m, uint32_t i)
{
	const uint8_t *disk = emu_nvme_disk(m->nvme, 1, NULL);
	union nvme_cmd cmd = rw_cmd(OP_READ, i % 64, 1);
	struct nvme_rq *rq = nvme_rq_acquire(m->sq);

	assert_non_null(rq);
	memset(m->buf.vaddr, 0, 512);
	assert_int_equal(nvme_rq_map_prp(&m->ctrl, rq, &cmd, m->buf.iova, 512), 0);
	nvme_rq_exec(rq, &cmd);
	assert_int_equal(nvme_rq_spin(rq, NULL), 0);
	nvme_rq_release(rq);
	assert_memory_equal(m->buf.vaddr, disk + i % 64 * 512, 512);
}

static void do_io_at_depth(int qsize, uint32_t commands)
{
	struct machine m;
	uint64_t seed = 1;

	start_pair(&m, NULL, qsize);
	fill_random(emu_nvme_disk(m.nvme, 1, NULL), 64 * 512, &seed);
	for (uint32_t i = 0; i < commands; i++)
		check_read(&m, i);
	stop(&m);
}

/* Q2 */
static void reads_at_depth_2_are_right(void **state)
{
	do_io_at_depth(2, 20000);
}

/* Q2 */
static void reads_at_depth_3_are_right(void **state)
{
	do_io_at_depth(3, 20000);
}

/* Keep @inflight commands out, and take what comes in any portions. */
static void keep_busy(struct machine *m, unsigned int inflight, unsigned int total)
{
	unsigned int posted = 0, done = 0;

	while (done < total) {
		struct nvme_cqe *cqe;

		while (posted - done < inflight && posted < total) {
			struct nvme_rq *rq = nvme_rq_acquire(m->sq);
			union nvme_cmd cmd = flush_cmd();

			if (!rq)
				break;
			nvme_rq_post(rq, &cmd);
			posted++;
		}
		nvme_sq_update_tail(m->sq);

		for (unsigned int n = done % 3 + 1; n; n--) {
			cqe = nvme_cq_get_cqe(m->cq);
			if (!cqe)
				break;
			assert_true(nvme_cqe_ok(cqe));
			nvme_rq_release(nvme_rq_from_cqe(&m->ctrl, cqe));
			done++;
		}
		nvme_cq_update_head(m->cq);
	}
}

/* Q1, Q2 */
static void full_queues_wrap_without_loss(void **state)
{
	static const int sizes[] = { 2, 3, 17, 1024 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct machine m;

		start_pair(&m, NULL, sizes[i]);
		keep_busy(&m, (unsigned int)sizes[i] - 1, 20000);
		assert_int_equal(free_requests(m.sq), sizes[i] - 1);
		assert_int_equal(emu_nvme_stats(m.nvme).io[OP_FLUSH], 20000);
		stop(&m);
		emu_fini();
		emu_init();
	}
}

/* Q2: a submission queue of the largest size, its completions on one of the smallest */
static void queues_of_different_sizes_wrap_without_loss(void **state)
{
	struct machine m;

	start(&m, NULL);
	assert_int_equal(nvme_create_iocq(&m.ctrl, 1, 2, -1), 0);
	assert_int_equal(nvme_create_iosq(&m.ctrl, 1, 1024, &m.ctrl.cq[1], 0), 0);
	m.sq = &m.ctrl.sq[1];
	m.cq = &m.ctrl.cq[1];
	keep_busy(&m, 50, 5000);
	stop(&m);
}

/* ---- the largest depth and the smallest, all requests out at a time ---- */

/* Fewer where each takes long: make lint-valgrind. */
static uintptr_t commands(void)
{
	return unit_number("CYCLES", 1000000);
}

static const struct emu_nvme_opts largest[] = {
	{ .mqes = 65536 },
	{ .mqes = 65536, .dbbuf = true },
	{ .mqes = 65536, .dbbuf = true, .dbbuf_lazy = true },
};

static void at_depth(int qsize, void (*fn)(struct machine *m, uintptr_t n))
{
	for (size_t i = 0; i < sizeof(largest) / sizeof(*largest); i++) {
		/* a tenth of them wraps often enough at depth 2 */
		uintptr_t n = i || qsize == 2 ? commands() / 10 : commands();
		struct machine m;

		/* round the ring in any case */
		if (!i && n < 3 * (uintptr_t)qsize)
			n = 3 * (uintptr_t)qsize;
		start_pair(&m, &largest[i], qsize);
		assert_int_equal(!m.sq->dbbuf.doorbell, !largest[i].dbbuf);
		fn(&m, n);
		assert_int_equal(free_requests(m.sq), qsize - 1);
		stop(&m);
		emu_fini();
		emu_init();
	}
}

/* As many reads as there is room for, rung once; then all of them, the oldest of all first. */
static void by_the_contracts_calls(struct machine *m, uintptr_t n)
{
	const unsigned int room = (unsigned int)m->sq->qsize - 1;
	uintptr_t sent = 0, done = 0;
	struct nvme_rq *rq;

	while (done < n) {
		while ((rq = nvme_rq_acquire(m->sq))) {
			union nvme_cmd cmd = rw_cmd(OP_READ, sent % 64, 1);

			rq->opaque = (void *)++sent;
			if (nvme_rq_map_prp(&m->ctrl, rq, &cmd, m->buf.iova, 512))
				fail_msg("%s", vfn_last_error());
			nvme_rq_post(rq, &cmd);
		}
		if (errno != EBUSY || sent - done != room)
			fail_msg("%lu in flight", (unsigned long)(sent - done));
		nvme_sq_update_tail(m->sq);
		/* it may not have been rung */
		emu_run();

		while (done < sent) {
			struct nvme_cqe *cqe = nvme_cq_get_cqe(m->cq);

			if (!cqe || !nvme_cqe_ok(cqe))
				fail_msg("%lu is missing", (unsigned long)done);
			rq = nvme_rq_from_cqe(&m->ctrl, cqe);
			if (!rq || rq->opaque != (void *)++done)
				fail_msg("%lu is another", (unsigned long)done);
			nvme_rq_release(rq);
		}
		nvme_cq_update_head(m->cq);
	}
}

static void by_the_fast_calls(struct machine *m, uintptr_t n)
{
	const unsigned int room = (unsigned int)m->sq->qsize - 1;
	struct vfn_nvme_done batch[100];
	uintptr_t sent = 0, done = 0;
	struct vfn_nvme_io io;

	assert_int_equal(vfn_nvme_io_prep(&io, &m->ctrl, OP_READ, 1, 9), 0);
	assert_int_equal(vfn_nvme_io_poll(m->sq, batch, 100), 0);
	while (done < n) {
		while (!vfn_nvme_io_submit(m->sq, &io, sent % 64, 1, m->buf.vaddr,
					   (void *)(sent + 1)))
			sent++;
		if (errno != EBUSY || sent - done != room)
			fail_msg("%lu in flight", (unsigned long)(sent - done));
		nvme_sq_update_tail(m->sq);
		emu_run();

		while (done < sent) {
			int more = vfn_nvme_io_poll(m->sq, batch, (int)(done % 100) + 1);

			/* it may have waited for room, and not have been rung */
			if (!more) {
				emu_run();
				more = vfn_nvme_io_poll(m->sq, batch, 1);
			}
			if (!more)
				fail_msg("%lu is missing", (unsigned long)done);
			for (int i = 0; i < more; i++)
				if (batch[i].opaque != (void *)++done ||
				    !nvme_cqe_ok(&batch[i].cqe))
					fail_msg("%lu is another", (unsigned long)done);
		}
	}
}

/* Q2 */
static void depth_65536_wraps_under_a_million_commands(void **state)
{
	at_depth(65536, by_the_contracts_calls);
}

/* Q2 */
static void depth_65536_wraps_under_a_million_fast_commands(void **state)
{
	at_depth(65536, by_the_fast_calls);
}

/* Q2 */
static void depth_2_wraps_under_many_commands(void **state)
{
	at_depth(2, by_the_contracts_calls);
}

/* Q2 */
static void depth_2_wraps_under_many_fast_commands(void **state)
{
	at_depth(2, by_the_fast_calls);
}

/* Q2: never empty, and always full but for a few */
static void depth_65536_is_refilled_as_it_completes(void **state)
{
	struct machine m;

	start(&m, &largest[0]);
	assert_int_equal(m.ctrl.config.mqes, 65535);
	assert_fails_with(nvme_create_ioqpair(&m.ctrl, 1, 65537, -1, 0), EINVAL);
	add_pair(&m, 65536);
	assert_int_equal(m.sq->rqs[65534].cid, 65534);
	keep_busy(&m, 65535, (unsigned int)commands() / 5);
	assert_int_equal(free_requests(m.sq), 65535);
	stop(&m);
}

/* Q3: the last identifier that there is, and those behind it */
static void depth_65536_knows_its_identifiers(void **state)
{
	struct nvme_cqe cqe = { .cid = 65534 };
	struct machine m;

	start(&m, &largest[0]);
	add_pair(&m, 65536);
	cqe.sqid = cpu_to_le16(1);
	while (nvme_rq_acquire(m.sq))
		;
	assert_ptr_equal(nvme_rq_from_cqe(&m.ctrl, &cqe), &m.sq->rqs[65534]);
	cqe.cid = 65535;
	assert_null_with(nvme_rq_from_cqe(&m.ctrl, &cqe), EINVAL);
	stop(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(depth_2_wraps_a_million_times),
		test(odd_depth_wraps_a_million_times),
		test(depth_65536_wraps),
		test(reads_at_depth_2_are_right),
		test(reads_at_depth_3_are_right),
		test(full_queues_wrap_without_loss),
		test(queues_of_different_sizes_wrap_without_loss),
		test(depth_65536_wraps_under_a_million_commands),
		test(depth_65536_wraps_under_a_million_fast_commands),
		test(depth_2_wraps_under_many_commands),
		test(depth_2_wraps_under_many_fast_commands),
		test(depth_65536_is_refilled_as_it_completes),
		test(depth_65536_knows_its_identifiers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
