// SPDX-License-Identifier: GPL-2.0-or-later
/* What threads may do at the same time; the controller runs in one of its own. */
#include "machine.h"

#include <pthread.h>
#include <sched.h>

#define SEED 0x20260721

/* cmocka's assertions belong to the main thread: the others count what goes wrong. */
#define check(ctx, cond) \
	do { \
		if (!(cond)) \
			__atomic_fetch_add(&(ctx)->errors, 1, __ATOMIC_RELAXED); \
	} while (0)

static void run(unsigned int n, void *(*fn)(void *arg), void *args, size_t size)
{
	pthread_t threads[8];

	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, fn, (char *)args + i * size), 0);
	for (unsigned int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

/* ---- requests ---- */

struct taker {
	struct nvme_sq *sq;
	int *owned;
	int errors;
	uint32_t taken;
};

static void *take_and_release(void *arg)
{
	struct taker *t = arg;

	for (int i = 0; t->taken < 20000; i++) {
		struct nvme_rq *rqs[3];
		int n = 0;

		while (n < 1 + i % 3 && (rqs[n] = nvme_rq_acquire_atomic(t->sq))) {
			check(t, !__atomic_exchange_n(&t->owned[rqs[n]->cid], 1, __ATOMIC_RELAXED));
			rqs[n]->opaque = t;
			n++;
		}
		t->taken += (uint32_t)n;
		if (!n)
			sched_yield();
		while (n--) {
			check(t, rqs[n]->opaque == t);
			__atomic_store_n(&t->owned[rqs[n]->cid], 0, __ATOMIC_RELAXED);
			nvme_rq_release_atomic(rqs[n]);
		}
	}

	return NULL;
}

/* W8 */
static void requests_taken_by_four_threads_are_never_shared(void **state)
{
	struct taker takers[4];
	int owned[5] = {};
	struct machine m;

	start_pair(&m, NULL, 6);
	for (int i = 0; i < 4; i++)
		takers[i] = (struct taker){ .sq = m.sq, .owned = owned };
	run(4, take_and_release, takers, sizeof(*takers));
	for (int i = 0; i < 4; i++)
		assert_int_equal(takers[i].errors, 0);
	assert_int_equal(free_requests(m.sq), 5);
	stop(&m);
}

/* W8, W32: pages of one portion, asked for by several threads at a time */
static void *take_many(void *arg)
{
	struct taker *t = arg;

	for (struct nvme_rq *rq; (rq = nvme_rq_acquire_atomic(t->sq)); t->taken++) {
		check(t, !__atomic_exchange_n(&t->owned[rq->cid], 1, __ATOMIC_RELAXED));
		memset(rq->page.vaddr, rq->cid, PAGE);
		check(t, !vfn_nvme_rq_ready(rq) && rq->page.iova && !(rq->page.iova % PAGE));
	}

	return NULL;
}

static void requests_that_get_their_pages_are_never_shared(void **state)
{
	struct taker takers[4];
	static int owned[299];
	struct machine m;
	uint32_t taken = 0;

	start_pair(&m, NULL, 300);
	for (int i = 0; i < 4; i++)
		takers[i] = (struct taker){ .sq = m.sq, .owned = owned };
	run(4, take_many, takers, sizeof(*takers));
	for (int i = 0; i < 4; i++) {
		assert_int_equal(takers[i].errors, 0);
		taken += takers[i].taken;
	}
	assert_int_equal(taken, 299);
	stop(&m);
}

/* ---- a queue for each thread ---- */

#define BLOCKS 512U

struct worker {
	struct nvme_ctrl *ctrl;
	int qid;
	int rounds;
	int errors;
};

static int io(struct worker *w, uint8_t opcode, unsigned int at, unsigned int blocks, void *buf)
{
	union nvme_cmd cmd = rw_cmd(opcode, (uint64_t)w->qid * BLOCKS + at, blocks);

	return nvme_sync(w->ctrl, &w->ctrl->sq[w->qid], &cmd, buf, (size_t)blocks * 512, NULL);
}

/* Random reads and writes of a part of the disk, against a copy of it. */
static void *verify(void *arg)
{
	struct worker *w = arg;
	uint8_t *model = calloc(BLOCKS, 512), *buf = aligned_alloc(PAGE, 16 * PAGE);
	uint64_t seed = SEED + (uint64_t)w->qid;

	for (int i = 0; i < w->rounds; i++) {
		uint64_t r = next_random(&seed);
		unsigned int blocks = r % 64 + 1, at = r / 64 % (BLOCKS - blocks);
		uint8_t *data = buf + r / 65536 % 500 * 4;

		if (r >> 63) {
			fill_random(data, blocks * 512, &seed);
			memcpy(model + at * 512, data, blocks * 512);
			check(w, !io(w, OP_WRITE, at, blocks, data));
		} else {
			check(w, !io(w, OP_READ, at, blocks, data));
			check(w, !memcmp(data, model + at * 512, blocks * 512));
		}
	}
	free(model);
	free(buf);

	return NULL;
}

static void threads_with_a_queue_each_keep_their_data(const struct emu_nvme_opts *opts,
						      unsigned int n)
{
	struct worker workers[4];
	struct machine m = {};

	m.nvme = emu_nvme_add(opts);
	emu_start_threads();
	assert_int_equal(nvme_init(&m.ctrl, EMU_BDF, NULL), 0);
	for (unsigned int i = 0; i < n; i++) {
		workers[i] = (struct worker){
			.ctrl = &m.ctrl,
			.qid = (int)i + 1,
			.rounds = 300,
		};
		assert_int_equal(nvme_create_ioqpair(&m.ctrl, (int)i + 1, 8, -1, 0), 0);
	}
	run(n, verify, workers, sizeof(*workers));
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(workers[i].errors, 0);
	nvme_close(&m.ctrl);
}

static void two_threads_with_a_queue_each_keep_their_data(void **state)
{
	threads_with_a_queue_each_keep_their_data(NULL, 2);
}

static void four_threads_with_shadow_doorbells_keep_their_data(void **state)
{
	const struct emu_nvme_opts opts = { .dbbuf = true };

	threads_with_a_queue_each_keep_their_data(&opts, 4);
}

/* ---- one submits, another polls ---- */

#define COMMANDS 5000

struct pipe_ends {
	struct nvme_ctrl *ctrl;
	bool polls;
	int errors;
	char *data;
	/* of the submitter: what a read must give, by cid */
	const uint8_t *disk;
};

static void submit(struct pipe_ends *p)
{
	struct nvme_sq *sq = &p->ctrl->sq[1];

	for (unsigned int i = 0; i < COMMANDS;) {
		struct nvme_rq *rq = nvme_rq_acquire_atomic(sq);
		union nvme_cmd cmd = rw_cmd(OP_READ, i % 100, 1);
		iova_t iova;

		if (!rq) {
			sched_yield();
			continue;
		}
		rq->opaque = (void *)(p->disk + (size_t)(i % 100) * 512);
		check(p,
		      iommu_translate_vaddr(__iommu_ctx(p->ctrl), p->data + rq->cid * 512, &iova));
		check(p, !nvme_rq_map_prp(p->ctrl, rq, &cmd, iova, 512));
		nvme_rq_exec(rq, &cmd);
		i++;
	}
}

static void poll_all(struct pipe_ends *p)
{
	struct nvme_cq *cq = &p->ctrl->cq[1];

	for (unsigned int i = 0; i < COMMANDS;) {
		struct nvme_cqe *cqe = nvme_cq_get_cqe(cq);
		struct nvme_rq *rq;

		if (!cqe) {
			sched_yield();
			continue;
		}
		check(p, nvme_cqe_ok(cqe));
		rq = nvme_rq_from_cqe(p->ctrl, cqe);
		check(p, rq && !memcmp(p->data + rq->cid * 512, rq->opaque, 512));
		nvme_cq_update_head(cq);
		if (rq)
			nvme_rq_release_atomic(rq);
		i++;
	}
}

static void *submit_or_poll(void *arg)
{
	struct pipe_ends *p = arg;

	if (p->polls)
		poll_all(p);
	else
		submit(p);

	return NULL;
}

/* Q17 */
static void one_thread_submits_and_another_polls(void **state)
{
	uint8_t *disk = malloc(100 * 512);
	struct pipe_ends ends[2];
	uint64_t seed = SEED;
	struct machine m = {};

	m.nvme = emu_nvme_add(NULL);
	fill_random(disk, 100 * 512, &seed);
	memcpy(emu_nvme_disk(m.nvme, 1, NULL), disk, 100 * 512);
	emu_start_threads();
	assert_int_equal(nvme_init(&m.ctrl, EMU_BDF, NULL), 0);
	add_pair(&m, 16);
	for (int i = 0; i < 2; i++)
		ends[i] = (struct pipe_ends){
			.ctrl = &m.ctrl,
			.polls = i,
			.data = m.buf.vaddr,
			.disk = disk,
		};
	run(2, submit_or_poll, ends, sizeof(*ends));
	assert_int_equal(ends[0].errors, 0);
	assert_int_equal(ends[1].errors, 0);
	assert_int_equal(free_requests(m.sq), 15);
	stop(&m);
	free(disk);
}

/* ---- controllers ---- */

struct opener {
	const char *bdf;
	int errors;
};

static void *open_and_close(void *arg)
{
	struct opener *o = arg;
	struct nvme_ctrl ctrl = {};

	for (int i = 0; i < 5; i++) {
		union nvme_cmd cmd = flush_cmd();

		check(o, !nvme_init(&ctrl, o->bdf, NULL));
		if (!ctrl.regs)
			continue;
		check(o, !nvme_add_ctrl(&ctrl));
		check(o, nvme_get_ctrl(o->bdf) == &ctrl);
		check(o, !nvme_create_ioqpair(&ctrl, 1, 8, -1, 0));
		check(o, !nvme_sync(&ctrl, &ctrl.sq[1], &cmd, NULL, 0, NULL));
		nvme_close(&ctrl);
		check(o, !nvme_get_ctrl(o->bdf));
	}

	return NULL;
}

/* V22 */
static void two_threads_open_and_close_a_controller_each(void **state)
{
	struct opener openers[] = { { .bdf = EMU_BDF }, { .bdf = EMU_BDF2 } };

	for (int i = 0; i < 2; i++) {
		const struct emu_nvme_opts opts = { .pci.bdf = openers[i].bdf };

		emu_nvme_add(&opts);
	}
	emu_start_threads();
	run(2, open_and_close, openers, sizeof(*openers));
	assert_int_equal(openers[0].errors, 0);
	assert_int_equal(openers[1].errors, 0);
}

struct registrar {
	struct nvme_ctrl *ctrl;
	const char *bdf;
	int errors;
};

static void *register_and_look_up(void *arg)
{
	struct registrar *r = arg;

	for (int i = 0; i < 3000; i++) {
		check(r, !nvme_add_ctrl(r->ctrl));
		check(r, nvme_get_ctrl(r->bdf) == r->ctrl);
		check(r, !nvme_del_ctrl(r->ctrl));
		check(r, !nvme_get_ctrl(r->bdf));
	}

	return NULL;
}

/* W18 */
static void registry_is_used_by_two_threads(void **state)
{
	struct registrar registrars[] = { { .bdf = EMU_BDF }, { .bdf = EMU_BDF2 } };
	struct nvme_ctrl ctrl[2] = {};

	for (int i = 0; i < 2; i++) {
		const struct emu_nvme_opts opts = { .pci.bdf = registrars[i].bdf };

		emu_nvme_add(&opts);
		assert_int_equal(nvme_init(&ctrl[i], registrars[i].bdf, NULL), 0);
		registrars[i].ctrl = &ctrl[i];
	}
	run(2, register_and_look_up, registrars, sizeof(*registrars));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(registrars[i].errors, 0);
		nvme_close(&ctrl[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(requests_taken_by_four_threads_are_never_shared),
		test(requests_that_get_their_pages_are_never_shared),
		test(two_threads_with_a_queue_each_keep_their_data),
		test(four_threads_with_shadow_doorbells_keep_their_data),
		test(one_thread_submits_and_another_polls),
		test(two_threads_open_and_close_a_controller_each),
		test(registry_is_used_by_two_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
