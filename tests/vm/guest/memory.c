// SPDX-License-Identifier: GPL-2.0-or-later
/* A controller's own memory: queues, lists and data in its CMB, of version 1.4 and 1.3, and data in its PMR. */
#include "guest.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vfn/nvme/cmb.h>
#include <vfn/nvme/pmr.h>

#define QID 2
#define QSIZE 32
#define LEN 65536
#define PMR_LEN (16UL << 20)

static void get(struct nvme_ctrl *ctrl, struct iommu_dmabuf *mem, size_t len)
{
	assert_vfn(vfn_nvme_cmb_alloc(ctrl, mem, len) == 0);
}

/* A controller with one queue pair, and another one whose submission queue is in its CMB. */
static void open_with_cmb(struct nvme_ctrl *ctrl, const char *name, size_t size)
{
	union nvme_cmd cmd = { .create_sq = {
				       .opcode = 0x01,
				       .qid = cpu_to_le16(QID),
				       .qsize = cpu_to_le16(QSIZE - 1),
				       .qflags = cpu_to_le16(NVME_Q_PC),
				       .cqid = cpu_to_le16(QID),
			       } };
	struct iommu_dmabuf mem;

	guest_open(ctrl, name, 0);
	assert_vfn(nvme_configure_cmb(ctrl) == 0);
	assert_non_null(ctrl->cmb.vaddr);
	assert_int_equal(ctrl->cmb.bar, 2);
	assert_int_equal(ctrl->cmb.size, size);

	get(ctrl, &mem, QSIZE << NVME_SQES);
	assert_vfn(nvme_create_iocq(ctrl, QID, QSIZE, -1) == 0);
	assert_vfn(nvme_configure_sq_mem(ctrl, QID, QSIZE, &ctrl->cq[QID], 0, &mem) == 0);
	cmd.create_sq.prp1 = cpu_to_le64(mem.iova);
	assert_vfn(nvme_admin(ctrl, &cmd, NULL, 0, NULL) == 0);
}

/* More commands than the queue has entries, each checked by the kernel. */
static void queue_and_data(struct nvme_ctrl *ctrl)
{
	struct iommu_dmabuf one, two;
	int i;

	get(ctrl, &one, LEN);
	get(ctrl, &two, LEN);
	for (i = 0; i < 2 * QSIZE; i++) {
		size_t len = 4096UL << (i % 5);

		guest_fill(one.vaddr, len, 3000 + i);
		memset(two.vaddr, 0, len);
		guest_write(ctrl, QID, &guest_ns512, 128 * i, one.vaddr, len);
		guest_kernel_check(&guest_ns512, 128 * i, len, 3000 + i);
		guest_read(ctrl, QID, &guest_ns512, 128 * i, two.vaddr, len);
		guest_check(two.vaddr, len, 3000 + i);
	}
	vfn_nvme_cmb_free(ctrl, &one);
	vfn_nvme_cmb_free(ctrl, &two);
}

static void finish(struct nvme_ctrl *ctrl, union nvme_cmd *cmd)
{
	struct nvme_rq *rq = nvme_rq_acquire(&ctrl->sq[QID]);

	assert_non_null(rq);
	nvme_rq_exec(rq, cmd);
	assert_vfn(nvme_rq_spin(rq, NULL) == 0);
	nvme_rq_release(rq);
}

static void lists(struct nvme_ctrl *ctrl)
{
	union nvme_cmd cmd = guest_rw(NVME_IO_WRITE, &guest_ns512, 0, LEN);
	struct iommu_dmabuf list, data;
	struct iovec iov[4];
	char *mem = guest_alloc(LEN);
	iova_t iova;
	int i;

	get(ctrl, &list, 4096);
	assert_vfn(iommu_map_vaddr(__iommu_ctx(ctrl), mem, LEN, &iova, 0) == 0);
	guest_fill(mem, LEN, 4000);
	assert_vfn(nvme_map_prp(ctrl, list.vaddr, 1, &cmd, iova, LEN) == 0);
	finish(ctrl, &cmd);
	guest_kernel_check(&guest_ns512, 0, LEN, 4000);

	/* QEMU takes data to be where the first segment is */
	get(ctrl, &data, LEN);
	for (i = 0; i < 4; i++)
		iov[i] = (struct iovec){ (char *)data.vaddr + (LEN / 4) * (unsigned int)i, 4096 };
	cmd = guest_rw(NVME_IO_READ, &guest_ns512, 0, 4 * 4096);
	memset(data.vaddr, 0, LEN);
	assert_vfn(nvme_mapv_sgl(ctrl, list.vaddr, list.iova, &cmd, iov, 4) == 0);
	finish(ctrl, &cmd);
	for (i = 0; i < 4; i++)
		assert_memory_equal(iov[i].iov_base, mem + 4096 * i, 4096);
	vfn_nvme_cmb_free(ctrl, &data);

	assert_vfn(iommu_unmap_vaddr(__iommu_ctx(ctrl), mem, NULL) == 0);
	guest_free(mem, LEN);
	vfn_nvme_cmb_free(ctrl, &list);
}

static void use_cmb(const char *name, size_t size)
{
	struct nvme_ctrl ctrl = {};
	struct iommu_dmabuf mem;

	open_with_cmb(&ctrl, name, size);
	queue_and_data(&ctrl);
	lists(&ctrl);

	/* QEMU takes no completion queues there, and the library says so */
	get(&ctrl, &mem, 4096);
	assert_int_equal(nvme_configure_cq_mem(&ctrl, 3, QSIZE, -1, &mem), -1);
	assert_int_equal(errno, ENOTSUP);
	assert_non_null(strstr(vfn_last_error(), "completion queues"));
	nvme_close(&ctrl);
}

static void test_cmb(void **state)
{
	(void)state;
	use_cmb("a", 16UL << 20);
}

static void test_cmb_again(void **state)
{
	(void)state;
	use_cmb("a", 16UL << 20);
}

static void test_legacy_cmb(void **state)
{
	(void)state;
	use_cmb("legacy", 4UL << 20);
}

/* The host sees what the controller and we have put there, also after all is closed. */
static void test_pmr(void **state)
{
	struct nvme_ctrl ctrl = {};
	struct vfn_nvme_pmr pmr = {};

	(void)state;
	guest_open(&ctrl, "a", 0);
	assert_vfn(vfn_nvme_pmr_map(&ctrl, &pmr) == 0);
	assert_int_equal(pmr.bar, 4);
	assert_int_equal(pmr.size, PMR_LEN);

	guest_fill(pmr.vaddr, LEN, 5000);
	guest_write(&ctrl, 1, &guest_ns512, 0, pmr.vaddr, LEN);
	guest_kernel_check(&guest_ns512, 0, LEN, 5000);
	host_check("pmr", 0, LEN, 5000);

	guest_read(&ctrl, 1, &guest_ns512, 0, (char *)pmr.vaddr + PMR_LEN - LEN, LEN);
	vfn_nvme_pmr_unmap(&ctrl, &pmr);
	host_check("pmr", PMR_LEN - LEN, LEN, 5000);
	nvme_close(&ctrl);

	memset(&ctrl, 0, sizeof(ctrl));
	guest_open(&ctrl, "a", 0);
	assert_vfn(vfn_nvme_pmr_map(&ctrl, &pmr) == 0);
	guest_check(pmr.vaddr, LEN, 5000);
	vfn_nvme_pmr_unmap(&ctrl, &pmr);
	nvme_close(&ctrl);
}

static void test_no_memory(void **state)
{
	struct nvme_ctrl ctrl = {};
	struct vfn_nvme_pmr pmr = {};

	(void)state;
	guest_open(&ctrl, "plain", 0);
	assert_vfn(nvme_configure_cmb(&ctrl) == 0);
	assert_null(ctrl.cmb.vaddr);
	assert_int_equal(vfn_nvme_pmr_map(&ctrl, &pmr), -1);
	assert_int_equal(errno, ENOTSUP);
	nvme_close(&ctrl);
}

/* Who was killed has left the CMB at addresses where our memory is now; not even a reset of the function ends that. */
static void test_left_enabled(void **state)
{
	struct nvme_ctrl ctrl = {};
	char *mem = guest_alloc(LEN);
	pid_t child = fork();
	int status;

	(void)state;
	if (!child) {
		if (nvme_init(&ctrl, guest_bdf("a"), NULL) || nvme_configure_cmb(&ctrl))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));

	guest_open(&ctrl, "a", 0);
	guest_fill(mem, LEN, 6000);
	guest_write(&ctrl, 1, &guest_ns512, 0, mem, LEN);
	guest_kernel_check(&guest_ns512, 0, LEN, 6000);
	nvme_close(&ctrl);
	guest_free(mem, LEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cmb),	   cmocka_unit_test(test_cmb_again),
		cmocka_unit_test(test_legacy_cmb), cmocka_unit_test(test_pmr),
		cmocka_unit_test(test_no_memory),  cmocka_unit_test(test_left_enabled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
