/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All 64 queue pairs work at once; queues of two entries and of the most that the controller takes go round. */
#include "guest.h"

#define PAIRS 64
#define LEN 4096

static struct nvme_ctrl ctrl;

static int setup(void **state)
{
	(void)state;
	assert_vfn(nvme_init(&ctrl, guest_bdf("a"), NULL) == 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nvme_close(&ctrl);
	return 0;
}

static void test_64_pairs_work_at_once(void **state)
{
	struct nvme_rq *rqs[PAIRS + 1];
	char *mem = guest_alloc((PAIRS + 1) * LEN);
	iova_t iova;
	int qid;

	(void)state;
	assert_int_equal(ctrl.config.nsqa, PAIRS - 1);
	assert_int_equal(ctrl.config.ncqa, PAIRS - 1);
	assert_vfn(iommu_map_vaddr(__iommu_ctx(&ctrl), mem, (PAIRS + 1) * LEN, &iova, 0) == 0);

	for (qid = 1; qid <= PAIRS; qid++)
		assert_vfn(nvme_create_ioqpair(&ctrl, qid, 8, -1, 0) == 0);
	assert_int_equal(nvme_create_ioqpair(&ctrl, PAIRS + 1, 8, -1, 0), -1);
	assert_int_equal(errno, EINVAL);

	/* a command in each of them before the first completion is looked at */
	for (qid = 1; qid <= PAIRS; qid++) {
		union nvme_cmd cmd = guest_rw(NVME_IO_WRITE, &guest_ns4096, qid, LEN);

		guest_fill(mem + qid * LEN, LEN, 5000 + qid);
		rqs[qid] = nvme_rq_acquire(&ctrl.sq[qid]);
		assert_non_null(rqs[qid]);
		assert_vfn(nvme_rq_map_prp(&ctrl, rqs[qid], &cmd, iova + qid * LEN, LEN) == 0);
		nvme_rq_exec(rqs[qid], &cmd);
	}
	for (qid = PAIRS; qid >= 1; qid--) {
		assert_vfn(nvme_rq_spin(rqs[qid], NULL) == 0);
		nvme_rq_release(rqs[qid]);
	}

	/* what one wrote, the next one reads */
	for (qid = 1; qid <= PAIRS; qid++) {
		guest_kernel_check(&guest_ns4096, qid, LEN, 5000 + qid);
		memset(mem, 0, LEN);
		guest_read(&ctrl, qid % PAIRS + 1, &guest_ns4096, qid, mem, LEN);
		guest_check(mem, LEN, 5000 + qid);
	}

	for (qid = 1; qid <= PAIRS; qid++)
		assert_vfn(nvme_delete_ioqpair(&ctrl, qid) == 0);
	assert_vfn(iommu_unmap_vaddr(__iommu_ctx(&ctrl), mem, NULL) == 0);
	guest_free(mem, (PAIRS + 1) * LEN);
}

/* Keep a queue full for some rounds, every command with a block of its own. */
static void fill_queue(int qsize, int rounds)
{
	static bool seen[2048];
	int depth = qsize - 1, round, i;
	size_t room = ALIGN_UP(depth * 512UL, 4096UL);
	char *mem = guest_alloc(room);
	struct nvme_sq *sq;
	iova_t iova;

	assert_vfn(nvme_create_ioqpair(&ctrl, 1, qsize, -1, 0) == 0);
	sq = &ctrl.sq[1];
	assert_vfn(iommu_map_vaddr(__iommu_ctx(&ctrl), mem, room, &iova, 0) == 0);

	for (round = 0; round < rounds; round++) {
		memset(seen, 0, sizeof(seen));
		for (i = 0; i < depth; i++) {
			union nvme_cmd cmd = guest_rw(NVME_IO_WRITE, &guest_ns512, i, 512);
			struct nvme_rq *rq = nvme_rq_acquire(sq);

			guest_fill(mem + i * 512, 512, 7000 + round * depth + i);
			assert_non_null(rq);
			rq->opaque = mem + i * 512;
			assert_vfn(nvme_rq_map_prp(&ctrl, rq, &cmd, iova + i * 512, 512) == 0);
			nvme_rq_post(rq, &cmd);
		}
		assert_null(nvme_rq_acquire(sq));
		assert_int_equal(errno, EBUSY);
		nvme_sq_update_tail(sq);

		for (i = 0; i < depth; i++) {
			struct timespec limit = { .tv_sec = 30 };
			struct nvme_cqe cqe;
			struct nvme_rq *rq;
			long block;

			assert_vfn(nvme_cq_wait_cqes(sq->cq, &cqe, 1, &limit) == 1);
			nvme_cq_update_head(sq->cq);
			assert_true(nvme_cqe_ok(&cqe));
			rq = nvme_rq_from_cqe(&ctrl, &cqe);
			assert_non_null(rq);
			block = ((char *)rq->opaque - mem) / 512;
			assert_false(seen[block]);
			seen[block] = true;
			nvme_rq_release(rq);
		}
		assert_null(nvme_cq_get_cqe(sq->cq));
	}

	for (i = 0; i < depth; i += 61)
		guest_kernel_check(&guest_ns512, i, 512, 7000 + (rounds - 1) * depth + i);

	assert_vfn(nvme_delete_ioqpair(&ctrl, 1) == 0);
	assert_vfn(iommu_unmap_vaddr(__iommu_ctx(&ctrl), mem, NULL) == 0);
	guest_free(mem, room);
}

/* Q2 */
static void test_queue_of_two_goes_round(void **state)
{
	(void)state;
	fill_queue(2, 500);
}

/* Q2 */
static void test_largest_queue_goes_round(void **state)
{
	(void)state;
	assert_int_equal(ctrl.config.mqes, 2047);
	fill_queue(ctrl.config.mqes + 1, 3);
}

/* C3 */
static void test_sizes_beyond_are_refused(void **state)
{
	(void)state;
	assert_int_equal(nvme_create_ioqpair(&ctrl, 1, ctrl.config.mqes + 2, -1, 0), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(nvme_create_ioqpair(&ctrl, 1, 1, -1, 0), -1);
	assert_int_equal(errno, EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_64_pairs_work_at_once),
		cmocka_unit_test(test_queue_of_two_goes_round),
		cmocka_unit_test(test_largest_queue_goes_round),
		cmocka_unit_test(test_sizes_beyond_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
