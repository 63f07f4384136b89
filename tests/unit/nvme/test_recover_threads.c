// SPDX-License-Identifier: GPL-2.0-or-later
/* Threads with a queue each stop while one of them recovers; the controller runs in one of its own. */
#include "recovery.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#define WORKERS 3
#define RESETS 30

/* Workers hold it for reading while they use their queues, who recovers for writing. */
static pthread_rwlock_t in_use;
static int stopping;

struct worker {
	struct nvme_ctrl *ctrl;
	struct nvme_sq *sq;
	uint64_t posted, completed, overdue, wrong;
	/* by who recovers */
	uint64_t ended;
};

static void turn(struct worker *w)
{
	struct nvme_cqe *cqe;
	struct nvme_rq *rq;

	for (int i = 0; i < 4 && (rq = nvme_rq_acquire(w->sq)); i++) {
		union nvme_cmd cmd = flush_cmd();

		rq->opaque = w;
		nvme_rq_post(rq, &cmd);
		w->posted++;
	}
	nvme_sq_update_tail(w->sq);

	while ((cqe = nvme_cq_get_cqe(w->sq->cq))) {
		rq = nvme_rq_from_cqe(w->ctrl, cqe);
		w->wrong += !rq || rq->opaque != w || vfn_nvme_get_state(w->ctrl);
		if (rq)
			nvme_rq_release(rq);
		w->completed++;
	}
	nvme_cq_update_head(w->sq->cq);

	w->overdue += (uint64_t)vfn_nvme_sq_overdue(w->sq);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
		pthread_rwlock_rdlock(&in_use);
		turn(w);
		pthread_rwlock_unlock(&in_use);
		sched_yield();
	}

	return NULL;
}

static void ended(struct nvme_rq *rq, struct nvme_cqe *cqe, void *opaque)
{
	struct worker *w = rq->opaque;

	(void)cqe;
	(void)opaque;
	w->ended++;
	nvme_rq_release(rq);
}

/* Q17, C9: by turns a check and a reset, with commands that are lost now and then */
static void threads_stop_while_one_recovers(void **state)
{
	const struct vfn_nvme_recovery recovery = { .complete = ended };
	struct worker workers[WORKERS];
	pthread_t threads[WORKERS];
	pthread_rwlockattr_t attr;
	struct machine m;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&in_use, &attr);

	memset(&m, 0, sizeof(m));
	m.nvme = emu_nvme_add(NULL);
	emu_start_threads();
	assert_int_equal(nvme_init(&m.ctrl, EMU_BDF, NULL), 0);
	vfn_nvme_set_timeout(&m.ctrl, 2000);
	emu_nvme_fault(m.nvme, &(struct emu_fault){
				       .kind = EMU_LOSE,
				       .qid = 1,
				       .opcode = OP_FLUSH,
				       .nth = 10,
				       .count = 20,
			       });

	for (int i = 0; i < WORKERS; i++) {
		assert_int_equal(nvme_create_ioqpair(&m.ctrl, 1 + i, 16, -1, 0), 0);
		workers[i] = (struct worker){ .ctrl = &m.ctrl, .sq = &m.ctrl.sq[1 + i] };
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}

	for (int i = 0; i < RESETS; i++) {
		usleep(1000);
		pthread_rwlock_wrlock(&in_use);
		if (i % 2)
			assert_int_equal(vfn_nvme_reset_ctrl(&m.ctrl, &recovery), 0);
		else
			assert_int_equal(vfn_nvme_check_timeouts(&m.ctrl, &recovery), 0);
		pthread_rwlock_unlock(&in_use);
	}

	__atomic_store_n(&stopping, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(vfn_nvme_reset_ctrl(&m.ctrl, &recovery), 0);

	for (int i = 0; i < WORKERS; i++) {
		assert_int_equal(workers[i].wrong, 0);
		assert_int_equal(workers[i].posted, workers[i].completed + workers[i].ended);
		assert_int_equal(free_requests(workers[i].sq), 15);
	}
	assert_true(workers[0].ended > 0);
	nvme_close(&m.ctrl);
	pthread_rwlock_destroy(&in_use);
	pthread_rwlockattr_destroy(&attr);
}

/* One queue for several: who posts takes turns, and so does who takes completions. */
struct shared {
	struct nvme_ctrl *ctrl;
	struct nvme_sq *sq;
	pthread_mutex_t posting;
	/* of each identifier, whether its command is out */
	int out[64];
	/* by those who post */
	uint64_t posted, reused;
	/* by who polls, and by who cancels */
	uint64_t completed, aborted, ended, wrong;
};

static void *submit(void *arg)
{
	struct shared *s = arg;

	while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
		union nvme_cmd cmd = flush_cmd();
		struct nvme_rq *rq;

		pthread_rwlock_rdlock(&in_use);
		rq = nvme_rq_acquire_atomic(s->sq);
		if (rq) {
			pthread_mutex_lock(&s->posting);
			s->reused += (uint64_t)__atomic_load_n(&s->out[rq->cid], __ATOMIC_RELAXED);
			__atomic_store_n(&s->out[rq->cid], 1, __ATOMIC_RELAXED);
			nvme_rq_exec(rq, &cmd);
			s->posted++;
			pthread_mutex_unlock(&s->posting);
		}
		pthread_rwlock_unlock(&in_use);
		sched_yield();
	}

	return NULL;
}

/* Each ends once. */
static bool was_out(struct shared *s, const struct nvme_rq *rq)
{
	return __atomic_exchange_n(&s->out[rq->cid], 0, __ATOMIC_RELAXED);
}

static void poll_shared(struct shared *s)
{
	struct nvme_cqe *cqe;

	while ((cqe = nvme_cq_get_cqe(s->sq->cq))) {
		struct nvme_rq *rq = nvme_rq_from_cqe(s->ctrl, cqe);

		s->wrong += !rq || !was_out(s, rq);
		s->aborted += !nvme_cqe_ok(cqe);
		s->completed++;
		if (rq)
			nvme_rq_release_atomic(rq);
	}
	nvme_cq_update_head(s->sq->cq);
}

static void *poll_for_all(void *arg)
{
	while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
		pthread_rwlock_rdlock(&in_use);
		poll_shared(arg);
		pthread_rwlock_unlock(&in_use);
		sched_yield();
	}

	return NULL;
}

static void end_shared(struct nvme_rq *rq, struct nvme_cqe *cqe, void *opaque)
{
	struct shared *s = opaque;

	(void)cqe;
	s->wrong += !was_out(s, rq);
	s->ended++;
	nvme_rq_release(rq);
}

/* Whatever is out has no time any more. */
static void cancel(struct shared *s, const struct vfn_nvme_recovery *recovery)
{
	pthread_rwlock_wrlock(&in_use);
	for (int i = 0; i < s->sq->qsize - 1; i++)
		if (s->out[i])
			(void)vfn_nvme_rq_set_timeout(&s->sq->rqs[i], 0);
	assert_true(vfn_nvme_check_timeouts(s->ctrl, recovery) >= 0);
	pthread_rwlock_unlock(&in_use);
}

/* Q17 */
static void two_threads_submit_one_polls_and_one_cancels(void **state)
{
	struct shared s = { .posting = PTHREAD_MUTEX_INITIALIZER };
	const struct vfn_nvme_recovery recovery = {
		.complete = end_shared,
		.opaque = &s,
		.flags = VFN_NVME_RECOVER_RESET,
	};
	pthread_t threads[3];
	struct machine m;

	memset(&m, 0, sizeof(m));
	m.nvme = emu_nvme_add(NULL);
	emu_start_threads();
	assert_int_equal(nvme_init(&m.ctrl, EMU_BDF, NULL), 0);
	assert_int_equal(nvme_create_ioqpair(&m.ctrl, 1, 64, -1, 0), 0);
	s.ctrl = &m.ctrl;
	s.sq = &m.ctrl.sq[1];
	for (uint32_t i = 0; i < 8; i++)
		emu_nvme_fault(m.nvme, &(struct emu_fault){
					       .kind = EMU_LOSE,
					       .qid = 1,
					       .opcode = OP_FLUSH,
					       .nth = 20 * i + 1,
					       .count = 4,
				       });

	pthread_rwlock_init(&in_use, NULL);
	stopping = 0;
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, i < 2 ? submit : poll_for_all,
						&s),
				 0);
	for (int i = 0; i < 60; i++) {
		usleep(1000);
		cancel(&s, &recovery);
	}
	__atomic_store_n(&stopping, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	poll_shared(&s);
	assert_int_equal(vfn_nvme_reset_ctrl(&m.ctrl, &recovery), 0);

	assert_int_equal(s.wrong, 0);
	assert_int_equal(s.reused, 0);
	assert_int_equal(s.posted, s.completed + s.ended);
	assert_true(s.aborted + s.ended > 0);
	assert_int_equal(free_requests(s.sq), 63);
	nvme_close(&m.ctrl);
	pthread_rwlock_destroy(&in_use);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(threads_stop_while_one_recovers),
		test(two_threads_submit_one_polls_and_one_cancels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
