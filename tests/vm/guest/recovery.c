/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A controller that fails, or whose drive takes forever, is recovered: every command ends once, and I/O goes on. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

#define LEN 4096
#define DEPTH 32
#define ADMIN_CREATE_SQ 0x01
#define ADMIN_CREATE_CQ 0x05
#define MINE 2
#define CSTS 0x1c
#define CSTS_CFS 0x2

static struct nvme_ctrl ctrl;
static char *mem;
static iova_t iova;

/* How often each command has ended, and how. */
static int ended[DEPTH], completed, aborted;
static bool acknowledged;

static void count(struct nvme_rq *rq, struct nvme_cqe *cqe, void *opaque)
{
	(void)opaque;
	ended[(char *)rq->opaque - mem]++;
	if (nvme_cqe_ok(cqe) && rq->opaque == mem)
		acknowledged = true;
	if (nvme_cqe_ok(cqe))
		completed++;
	else
		aborted++;
	nvme_rq_release(rq);
}

static const struct vfn_nvme_recovery recovery = {
	.complete = count,
	.flags = VFN_NVME_RECOVER_RESET,
};

static void open_controller(void)
{
	memset(&ctrl, 0, sizeof(ctrl));
	guest_open(&ctrl, "a", 0);
	mem = guest_alloc(DEPTH * LEN);
	assert_vfn(iommu_map_vaddr(__iommu_ctx(&ctrl), mem, DEPTH * LEN, &iova, 0) == 0);
}

static void close_controller(void)
{
	nvme_close(&ctrl);
	guest_free(mem, DEPTH * LEN);
}

static void forget(void)
{
	memset(ended, 0, sizeof(ended));
	completed = 0;
	aborted = 0;
	acknowledged = false;
}

/* As many commands as fit, one after the other in memory and on the drive. */
static void submit(struct nvme_sq *sq, uint8_t opcode, uint64_t slba, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		union nvme_cmd cmd = guest_rw(opcode, &guest_ns512, slba + i * 8, LEN);
		struct nvme_rq *rq = nvme_rq_acquire(sq);

		assert_non_null(rq);
		rq->opaque = mem + i;
		assert_vfn(nvme_rq_map_prp(&ctrl, rq, &cmd, iova + i * LEN, LEN) == 0);
		nvme_rq_post(rq, &cmd);
	}
	nvme_sq_update_tail(sq);
}

static void reap(struct nvme_cq *cq)
{
	struct nvme_cqe *cqe;

	while ((cqe = nvme_cq_get_cqe(cq))) {
		struct nvme_rq *rq = nvme_rq_from_cqe(&ctrl, cqe);

		assert_non_null(rq);
		count(rq, cqe, NULL);
	}
	nvme_cq_update_head(cq);
}

static void assert_ended_once(int n)
{
	int i;

	for (i = 0; i < DEPTH; i++)
		assert_int_equal(ended[i], i < n);
	assert_int_equal(completed + aborted, n);
}

static void assert_works(uint64_t slba, uint64_t seed)
{
	guest_fill(mem, LEN, seed);
	guest_write(&ctrl, 1, &guest_ns512, slba, mem, LEN);
	guest_kernel_check(&guest_ns512, slba, LEN, seed);
	memset(mem, 0, LEN);
	guest_read(&ctrl, 1, &guest_ns512, slba, mem, LEN);
	guest_check(mem, LEN, seed);
}

/* C7: the controller cannot reach its queue any more */
static void test_fatal_status_is_recovered_from(void **state)
{
	struct iommu_dmabuf *queue;
	iova_t at;
	size_t len;

	(void)state;
	open_controller();
	queue = &ctrl.sq[1].mem;
	at = queue->iova;
	assert_works(0, 19000);
	assert_int_equal(vfn_nvme_check_timeouts(&ctrl, NULL), 0);

	forget();
	assert_vfn(iommu_unmap_vaddr(__iommu_ctx(&ctrl), queue->vaddr, &len) == 0);
	submit(&ctrl.sq[1], NVME_IO_WRITE, 0, DEPTH);
	usleep(100 * 1000);
	assert_true(le32_to_cpu(mmio_read32(ctrl.regs + CSTS)) & CSTS_CFS);
	assert_int_equal(vfn_nvme_check_timeouts(&ctrl, NULL), -1);
	assert_int_equal(errno, EIO);

	assert_vfn(iommu_map_vaddr(__iommu_ctx(&ctrl), queue->vaddr, len, &at,
				   IOMMU_MAP_FIXED_IOVA) == 0);
	assert_vfn(vfn_nvme_check_timeouts(&ctrl, &recovery) == 0);
	assert_ended_once(DEPTH);
	assert_int_equal(aborted, DEPTH);
	assert_int_equal(vfn_nvme_get_state(&ctrl), VFN_NVME_LIVE);
	assert_works(0, 19001);

	forget();
	submit(&ctrl.sq[1], NVME_IO_READ, 0, DEPTH);
	while (completed + aborted < DEPTH)
		reap(&ctrl.cq[1]);
	assert_ended_once(DEPTH);
	assert_int_equal(completed, DEPTH);
	close_controller();
}

static void throttle(int iops)
{
	host_qmp("{\"execute\": \"block_set_io_throttle\", \"arguments\": {\"id\": \"namespace1\", "
		 "\"bps\": 0, \"bps_rd\": 0, \"bps_wr\": 0, \"iops\": %d, \"iops_rd\": 0, "
		 "\"iops_wr\": 0}}",
		 iops);
}

/* The library creates again what it has created; this it can only end by a reset. */
static void create_by_hand(void)
{
	union nvme_cmd cmd = {};

	if (!ctrl.sq[MINE].qsize) {
		assert_vfn(nvme_configure_cq(&ctrl, MINE, 64, -1) == 0);
		assert_vfn(nvme_configure_sq(&ctrl, MINE, 64, &ctrl.cq[MINE], 0) == 0);
	}
	cmd.create_cq.opcode = ADMIN_CREATE_CQ;
	cmd.create_cq.prp1 = cpu_to_le64(ctrl.cq[MINE].mem.iova);
	cmd.cdw10 = cpu_to_le32(63 << 16 | MINE);
	cmd.cdw11 = cpu_to_le32(1);
	assert_vfn(nvme_admin(&ctrl, &cmd, NULL, 0, NULL) == 0);

	memset(&cmd, 0, sizeof(cmd));
	cmd.create_sq.opcode = ADMIN_CREATE_SQ;
	cmd.create_sq.prp1 = cpu_to_le64(ctrl.sq[MINE].mem.iova);
	cmd.cdw10 = cpu_to_le32(63 << 16 | MINE);
	cmd.cdw11 = cpu_to_le32(MINE << 16 | 1);
	assert_vfn(nvme_admin(&ctrl, &cmd, NULL, 0, NULL) == 0);
}

#define ADMIN_TRACE "pci_nvme_admin_cmd"
#define ABORT_TRACE ADMIN_TRACE ".*_ABORT"
#define STOP_TRACE "pci_nvme_mmio_stopped"
#define DELETE_TRACE "pci_nvme_del_sq"
#define N 8

/* Q7, C16: time runs out, then there are aborts, then the next step, and each command ends once */
static void slow_drive(int qid, const char *step, const char *other)
{
	struct nvme_sq *sq = &ctrl.sq[qid];
	long commands, aborts, steps, others;
	int ret;

	/* all of them within the time that the deletion of their queue has, which is another than theirs */
	throttle(4);
	forget();
	commands = host_trace_count(ADMIN_TRACE);
	aborts = host_trace_count(ABORT_TRACE);
	steps = host_trace_count(step);
	others = host_trace_count(other);
	submit(sq, NVME_IO_READ, 0, N);
	for (int i = 0; i < sq->qsize - 1; i++)
		if (sq->rqs[i].state == VFN_NVME_RQ_POSTED)
			assert_vfn(vfn_nvme_rq_set_timeout(&sq->rqs[i], 200000000) == 0);

	/* nothing is sent before the first of them is late, and nothing but aborts then */
	do {
		reap(sq->cq);
		assert_int_equal(host_trace_count(ADMIN_TRACE), commands);
		ret = vfn_nvme_check_timeouts(&ctrl, &recovery);
		assert_vfn(ret >= 0);
	} while (!ret);
	assert_true(host_trace_count(ABORT_TRACE) > aborts);
	assert_int_equal(host_trace_count(ADMIN_TRACE) - commands,
			 host_trace_count(ABORT_TRACE) - aborts);
	assert_int_equal(host_trace_count(step), steps);

	while (completed + aborted < N) {
		reap(sq->cq);
		assert_vfn(vfn_nvme_check_timeouts(&ctrl, &recovery) >= 0);
	}
	throttle(0);
	assert_ended_once(N);
	/* QEMU waits for them when it deletes their queue */
	assert_true(aborted > 0 || qid != MINE);
	assert_int_equal(host_trace_count(step), steps + 1);
	assert_int_equal(host_trace_count(other), others);

	/* nor does anything come later */
	usleep(200 * 1000);
	assert_null(nvme_cq_get_cqe(sq->cq));
	assert_works(8, 19100 + qid);
}

static void test_slow_drive_is_given_up_in_order(void **state)
{
	(void)state;
	host_trace(ADMIN_TRACE);
	host_trace(STOP_TRACE);
	host_trace(DELETE_TRACE);
	open_controller();
	guest_fill(mem, LEN, 1);
	slow_drive(1, DELETE_TRACE, STOP_TRACE);
	create_by_hand();
	slow_drive(MINE, STOP_TRACE, DELETE_TRACE);
	create_by_hand();
	guest_read(&ctrl, MINE, &guest_ns512, 8, mem, LEN);
	guest_check(mem, LEN, 19100 + MINE);
	close_controller();
}

/* The program does nothing at all for a while: somebody has stopped it. */
static void stop_for(unsigned int ms)
{
	pid_t me = getpid(), other;
	int status;

	fflush(NULL);
	other = fork();
	assert_true(other >= 0);
	if (!other) {
		usleep(ms * 1000);
		_exit(kill(me, SIGCONT) != 0);
	}
	assert_int_equal(raise(SIGSTOP), 0);
	assert_int_equal(waitpid(other, &status, 0), other);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Q20: a program that was stopped finds what has completed meanwhile, and takes none of it for late */
static void test_stopped_program_gives_nothing_up(void **state)
{
	static const unsigned int stops[] = { 100, 300, 2500 };
	long aborts;
	int i;

	(void)state;
	open_controller();
	host_trace(ADMIN_TRACE);
	aborts = host_trace_count(ABORT_TRACE);
	assert_works(0, 19200);
	vfn_nvme_set_timeout(&ctrl, 200);
	for (i = 0; i < 3; i++) {
		forget();
		guest_fill(mem, DEPTH * LEN, 19201 + i);
		submit(&ctrl.sq[1], NVME_IO_WRITE, 0, DEPTH);
		/* from this look on their time runs */
		assert_int_equal(vfn_nvme_check_timeouts(&ctrl, &recovery), 0);
		stop_for(stops[i]);
		assert_int_equal(vfn_nvme_check_timeouts(&ctrl, &recovery), 0);
		while (completed + aborted < DEPTH)
			reap(&ctrl.cq[1]);
		assert_ended_once(DEPTH);
		assert_int_equal(completed, DEPTH);
		guest_kernel_check(&guest_ns512, 0, DEPTH * LEN, 19201 + i);
	}
	assert_int_equal(host_trace_count(ABORT_TRACE), aborts);
	close_controller();
}

/* The first block has what the last acknowledged write, or one after it, has put there. */
static void assert_not_older(int oldest, int newest)
{
	static char want[LEN];
	int i = newest;

	memset(mem, 0, LEN);
	guest_read(&ctrl, 1, &guest_ns512, 0, mem, LEN);
	do
		guest_fill(want, LEN, 20000 + i);
	while (memcmp(want, mem, LEN) && --i >= oldest);

	if (i < oldest)
		fail_msg("write %d, which was acknowledged, is lost", oldest);
}

/* C9: a controller that is busy, reset again and again, loses nothing that it has acknowledged */
static void test_resets_under_load(void **state)
{
	const char *cycles = getenv("CYCLES");
	int n = cycles ? atoi(cycles) : 100, last = 0, total = 0, i;

	(void)state;
	open_controller();
	guest_fill(mem, LEN, 20000);
	guest_write(&ctrl, 1, &guest_ns512, 0, mem, LEN);

	for (i = 1; i <= n; i++) {
		forget();
		guest_fill(mem, LEN, 20000 + i);
		submit(&ctrl.sq[1], NVME_IO_WRITE, 0, DEPTH);
		/* a few of them end, or all, or none */
		if (i % 3)
			usleep((unsigned int)(i % 7) * 200);
		if (i % 2)
			reap(&ctrl.cq[1]);
		assert_vfn(vfn_nvme_reset_ctrl(&ctrl, &recovery) == 0);
		assert_ended_once(DEPTH);
		if (acknowledged)
			last = i;
		total += completed;
		assert_not_older(last, i);
	}

	print_message("# note: %d resets, %d of %d writes ended by them\n", n, n * DEPTH - total,
		      n * DEPTH);
	close_controller();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fatal_status_is_recovered_from),
		cmocka_unit_test(test_slow_drive_is_given_up_in_order),
		cmocka_unit_test(test_stopped_program_gives_nothing_up),
		cmocka_unit_test(test_resets_under_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
