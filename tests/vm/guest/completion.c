/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Completions are found by polling, by MSI-X and by INTx. */
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "guest.h"

#define LEN 4096
#define ROUNDS 20

static void *mem;

static int setup(void **state)
{
	(void)state;
	mem = guest_alloc(LEN);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	guest_free(mem, LEN);
	return 0;
}

static int new_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

/* How often an eventfd was signalled, waiting for the first time up to so many milliseconds. */
static uint64_t signals(int fd, int milliseconds)
{
	struct pollfd waiting = { .fd = fd, .events = POLLIN };
	uint64_t count = 0;

	if (poll(&waiting, 1, milliseconds) == 1)
		assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));

	return count;
}

/* Post a write without waiting for it. */
static struct nvme_rq *submit(struct nvme_ctrl *ctrl, int qid, uint64_t slba, iova_t iova)
{
	union nvme_cmd cmd = guest_rw(NVME_IO_WRITE, &guest_ns512, slba, LEN);
	struct nvme_rq *rq = nvme_rq_acquire(&ctrl->sq[qid]);

	assert_non_null(rq);
	assert_vfn(nvme_rq_map_prp(ctrl, rq, &cmd, iova, LEN) == 0);
	nvme_rq_exec(rq, &cmd);

	return rq;
}

/* The completion must be there already. */
static void complete(struct nvme_ctrl *ctrl, int qid, struct nvme_rq *rq)
{
	struct nvme_cqe *cqe = nvme_cq_get_cqe(&ctrl->cq[qid]);

	assert_non_null(cqe);
	assert_true(nvme_cqe_ok(cqe));
	assert_ptr_equal(nvme_rq_from_cqe(ctrl, cqe), rq);
	nvme_cq_update_head(&ctrl->cq[qid]);
	nvme_rq_release(rq);
}

static void test_polled_queue_completes(void **state)
{
	struct nvme_ctrl ctrl = {};
	iova_t iova;
	int i;

	(void)state;
	guest_open(&ctrl, "a", 0);
	assert_vfn(iommu_map_vaddr(__iommu_ctx(&ctrl), mem, LEN, &iova, 0) == 0);

	for (i = 0; i < ROUNDS; i++) {
		struct nvme_rq *rq;

		guest_fill(mem, LEN, 100 + i);
		rq = submit(&ctrl, 1, 8 * i, iova);
		assert_vfn(nvme_rq_spin(rq, NULL) == 0);
		nvme_rq_release(rq);
		guest_kernel_check(&guest_ns512, 8 * i, LEN, 100 + i);
	}

	nvme_close(&ctrl);
}

static void test_each_msix_vector_signals_its_own_queue(void **state)
{
	int fds[] = { new_eventfd(), new_eventfd(), new_eventfd() };
	struct nvme_ctrl ctrl = {};
	iova_t iova;
	int i, qid;

	(void)state;
	assert_vfn(nvme_init(&ctrl, guest_bdf("a"), NULL) == 0);
	assert_int_equal(ctrl.pci.dev.irq_info.index, VFN_IRQ_MSIX);
	assert_vfn(vfio_set_irq(&ctrl.pci.dev, fds, 0, 3) == 0);
	for (qid = 1; qid <= 2; qid++)
		assert_vfn(nvme_create_ioqpair(&ctrl, qid, 64, qid, 0) == 0);
	assert_vfn(iommu_map_vaddr(__iommu_ctx(&ctrl), mem, LEN, &iova, 0) == 0);
	assert_true(signals(fds[0], 1000) > 0);

	for (i = 0; i < ROUNDS; i++) {
		struct nvme_rq *rq;

		qid = 1 + i % 2;
		assert_int_equal(signals(fds[qid], 0), 0);
		guest_fill(mem, LEN, 200 + i);
		rq = submit(&ctrl, qid, 8 * i, iova);
		assert_int_equal(signals(fds[qid], 10000), 1);
		assert_int_equal(signals(fds[3 - qid], 0), 0);
		complete(&ctrl, qid, rq);
		guest_kernel_check(&guest_ns512, 8 * i, LEN, 200 + i);
	}

	nvme_close(&ctrl);
	for (i = 0; i < 3; i++)
		close(fds[i]);
}

/* A controller that is up, with @fds for vectors 0 and 1, and a queue pair that has the second. Where the buffer is. */
static iova_t open_with_vectors(struct nvme_ctrl *ctrl, int fds[2])
{
	iova_t iova;

	assert_vfn(nvme_init(ctrl, guest_bdf("a"), NULL) == 0);
	assert_vfn(vfio_set_irq(&ctrl->pci.dev, fds, 0, 2) == 0);
	assert_vfn(nvme_create_ioqpair(ctrl, 1, 64, 1, 0) == 0);
	assert_vfn(iommu_map_vaddr(__iommu_ctx(ctrl), mem, LEN, &iova, 0) == 0);

	return iova;
}

/* Q13 */
static void test_msix_vector_without_eventfd_is_silent(void **state)
{
	int fds[] = { -1, new_eventfd() }, none = -1;
	struct nvme_ctrl ctrl = {};
	struct nvme_rq *rq;
	iova_t iova;

	(void)state;
	iova = open_with_vectors(&ctrl, fds);

	assert_vfn(vfio_set_irq(&ctrl.pci.dev, &none, 1, 1) == 0);
	rq = submit(&ctrl, 1, 0, iova);
	nvme_cq_spin(&ctrl.cq[1]);
	complete(&ctrl, 1, rq);
	assert_int_equal(signals(fds[1], 100), 0);

	/* the vector was masked meanwhile: what it missed is pending, and comes now */
	assert_vfn(vfio_set_irq(&ctrl.pci.dev, &fds[1], 1, 1) == 0);
	signals(fds[1], 100);
	rq = submit(&ctrl, 1, 0, iova);
	assert_true(signals(fds[1], 10000) > 0);
	complete(&ctrl, 1, rq);

	nvme_close(&ctrl);
	close(fds[1]);
}

/* Q13: signals without a completion, completions before the signal, and nobody who looks for long */
static void test_spurious_and_late_signals_do_not_matter(void **state)
{
	int fds[] = { -1, new_eventfd() }, i;
	struct nvme_ctrl ctrl = {};
	const uint64_t one = 1;
	struct nvme_rq *rq;
	iova_t iova;

	(void)state;
	iova = open_with_vectors(&ctrl, fds);

	for (i = 0; i < ROUNDS; i++) {
		assert_int_equal(write(fds[1], &one, sizeof(one)), sizeof(one));
		assert_int_equal(signals(fds[1], 1000), 1);
		assert_null(nvme_cq_get_cqe(&ctrl.cq[1]));

		/* the signal comes for what a poll has taken */
		rq = submit(&ctrl, 1, 0, iova);
		nvme_cq_spin(&ctrl.cq[1]);
		complete(&ctrl, 1, rq);
		assert_int_equal(signals(fds[1], 10000), 1);
		assert_null(nvme_cq_get_cqe(&ctrl.cq[1]));
	}

	/* its signal was lost, but the check sees what there is, and gives nothing up */
	vfn_nvme_set_timeout(&ctrl, 50);
	rq = submit(&ctrl, 1, 0, iova);
	assert_int_equal(vfn_nvme_check_timeouts(&ctrl, NULL), 0);
	assert_int_equal(signals(fds[1], 10000), 1);
	usleep(100 * 1000);
	assert_int_equal(vfn_nvme_check_timeouts(&ctrl, NULL), 0);
	complete(&ctrl, 1, rq);

	nvme_close(&ctrl);
	close(fds[1]);
}

static void test_intx_signals_and_unmasks(void **state)
{
	/* QEMU takes the interrupt line back when it sees the head doorbell's register written */
	struct nvme_ctrl_opts opts = { .nsqr = 1, .ncqr = 1, .quirks = NVME_QUIRK_BROKEN_DBBUF };
	struct nvme_ctrl ctrl = {};
	int fd = new_eventfd(), i;
	iova_t iova;

	(void)state;
	assert_vfn(nvme_init(&ctrl, guest_bdf("a"), &opts) == 0);
	assert_vfn(vfn_vfio_select_irq(&ctrl.pci, VFN_IRQ_INTX) == 0);
	assert_int_equal(ctrl.pci.dev.irq_info.count, 1);
	assert_vfn(vfio_set_irq(&ctrl.pci.dev, &fd, 0, 1) == 0);
	assert_vfn(nvme_create_ioqpair(&ctrl, 1, 64, 0, 0) == 0);
	assert_vfn(iommu_map_vaddr(__iommu_ctx(&ctrl), mem, LEN, &iova, 0) == 0);

	/* the admin commands that created the queue used the line, too */
	signals(fd, 1000);
	assert_vfn(vfn_vfio_unmask_irq(&ctrl.pci.dev) == 0);

	for (i = 0; i < ROUNDS; i++) {
		struct nvme_rq *rq;

		assert_int_equal(signals(fd, 0), 0);
		guest_fill(mem, LEN, 300 + i);
		rq = submit(&ctrl, 1, 8 * i, iova);
		assert_int_equal(signals(fd, 10000), 1);
		complete(&ctrl, 1, rq);
		assert_vfn(vfn_vfio_unmask_irq(&ctrl.pci.dev) == 0);
		guest_kernel_check(&guest_ns512, 8 * i, LEN, 300 + i);
	}

	nvme_close(&ctrl);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_polled_queue_completes),
		cmocka_unit_test(test_each_msix_vector_signals_its_own_queue),
		cmocka_unit_test(test_msix_vector_without_eventfd_is_silent),
		cmocka_unit_test(test_spurious_and_late_signals_do_not_matter),
		cmocka_unit_test(test_intx_signals_and_unmasks),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
