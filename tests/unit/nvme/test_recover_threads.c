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

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(threads_stop_while_one_recovers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
