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

/* Q2 */
static void depth_65536_has_65535_requests_and_wraps(void **state)
{
	struct machine m;

	start(&m, &(struct emu_nvme_opts){ .mqes = 65536 });
	assert_int_equal(m.ctrl.config.mqes, 65535);
	assert_fails_with(nvme_create_ioqpair(&m.ctrl, 1, 65537, -1, 0), EINVAL);
	assert_int_equal(nvme_create_ioqpair(&m.ctrl, 1, 65536, -1, 0), 0);
	m.sq = &m.ctrl.sq[1];
	m.cq = &m.ctrl.cq[1];
	assert_int_equal(free_requests(m.sq), 65535);
	assert_int_equal(m.sq->rqs[65534].cid, 65534);
	keep_busy(&m, 50, 140000);

	for (int i = 0; i < 65535; i++)
		assert_non_null(nvme_rq_acquire(m.sq));
	assert_null_with(nvme_rq_acquire(m.sq), EBUSY);
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
		test(depth_65536_has_65535_requests_and_wraps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
