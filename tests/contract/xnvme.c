// SPDX-License-Identifier: GPL-2.0-or-later
/* A block back-end's way: buffers from the library, a map on each I/O, callbacks from completions, results ignored. */
#include "contract.h"

#include <sys/eventfd.h>
#include <unistd.h>

#define DEPTH 16

/* Its own idea of a command, cast to ours. */
struct cmd_64 {
	uint32_t dw[16];
};

struct device {
	struct nvme_ctrl ctrl;
	int efds[8];
	int nefds;
};

struct request {
	uint64_t lba;
	void *buf;
	unsigned int *done;
};

static struct device *device;

static void *buf_alloc(size_t len)
{
	uint64_t iova;
	void *buf;
	ssize_t got = pgmap(&buf, ALIGN_UP(len, __VFN_PAGESIZE));

	assert_true(got >= (ssize_t)len);
	assert_true(ALIGNED((uintptr_t)buf, __VFN_PAGESIZE));
	assert_ok(iommu_map_vaddr(__iommu_ctx(&device->ctrl), buf, (size_t)got, &iova, 0));
	assert_int_not_equal(iova, 0);

	return buf;
}

static void buf_free(void *buf)
{
	size_t len;

	assert_ok(iommu_unmap_vaddr(__iommu_ctx(&device->ctrl), buf, &len));
	pgunmap(buf, len);
}

static int open_device(void **state)
{
	const struct nvme_ctrl_opts opts = { .nsqr = 4, .ncqr = 4 };
	int none[8];

	device = znew_t(struct device, 1);
	assert_ok(nvme_init(&device->ctrl, contract_bdf(), &opts));
	assert_true(device->ctrl.pci.dev.irq_info.count >= 2);

	device->nefds = 5;
	for (int i = 0; i < COUNT(none); i++)
		none[i] = -1;
	assert_ok(vfio_set_irq(&device->ctrl.pci.dev, none, device->nefds));
	for (int i = 0; i < device->nefds; i++) {
		device->efds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		assert_true(device->efds[i] >= 0);
	}
	assert_ok(vfio_set_irq(&device->ctrl.pci.dev, device->efds, device->nefds));

	return 0;
}

static int close_device(void **state)
{
	assert_ok(vfio_disable_irq(&device->ctrl.pci.dev));
	for (int i = 0; i < device->nefds; i++)
		close(device->efds[i]);
	nvme_close(&device->ctrl);
	free(device);

	return 0;
}

static void admin_command_of_a_cast_struct_succeeds(void **state)
{
	struct cmd_64 cmd = { .dw = { OP_IDENTIFY, [10] = 1 } };
	struct nvme_cqe cqe;
	unsigned char *data = buf_alloc(PAGE);

	assert_ok(nvme_admin(&device->ctrl, (union nvme_cmd *)&cmd, data, PAGE, &cqe));
	assert_true(nvme_cqe_ok(&cqe));
	assert_true(data[0] || data[1]);

	/* a namespace that there is none of */
	cmd = (struct cmd_64){ .dw = { OP_IDENTIFY, 0xfffffff0, [10] = 0 } };
	assert_errno(nvme_admin(&device->ctrl, (union nvme_cmd *)&cmd, data, PAGE, &cqe), EIO);
	assert_false(nvme_cqe_ok(&cqe));
	assert_errno(nvme_set_errno_from_cqe(&cqe), EIO);

	buf_free(data);
}

/* What is not mapped is mapped for the command. */
static void admin_command_with_memory_of_the_heap_succeeds(void **state)
{
	union nvme_cmd cmd = { .identify = { .opcode = OP_IDENTIFY, .cns = 1 } };
	void *data = aligned_alloc(PAGE, PAGE);

	assert_ok(nvme_admin(&device->ctrl, &cmd, data, PAGE, NULL));
	assert_false(iommu_translate_vaddr(__iommu_ctx(&device->ctrl), data, &(uint64_t){ 0 }));
	free(data);
}

static void sync_io(struct nvme_sq *sq, uint8_t opcode, uint64_t lba, void *buf, size_t len)
{
	union nvme_cmd cmd = contract_rw(opcode, lba, len);
	struct nvme_rq *rq = nvme_rq_acquire(sq);
	struct nvme_cqe cqe;
	uint64_t iova;

	assert_non_null(rq);

	/* mapped already: quick, and the same address each time */
	assert_ok(iommu_map_vaddr(__iommu_ctx(&device->ctrl), buf, len, &iova, 0));
	(void)nvme_rq_map_prp(&device->ctrl, rq, &cmd, iova, len);
	nvme_rq_exec(rq, &cmd);
	while (nvme_rq_spin(rq, &cqe) < 0)
		assert_int_equal(errno, EAGAIN);
	assert_true(nvme_cqe_ok(&cqe));
	nvme_rq_release(rq);
}

static void sync_io_maps_each_time_and_arrives(void **state)
{
	unsigned char *buf = buf_alloc(64 * 1024);
	int qid = 1;

	assert_ok(nvme_create_ioqpair(&device->ctrl, qid, DEPTH + 1, -1, 0));
	assert_int_equal(device->ctrl.sq[qid].id, qid);

	for (size_t len = BLOCK; len <= 64 * 1024; len *= 2) {
		contract_fill(buf, len, (unsigned int)len);
		sync_io(&device->ctrl.sq[qid], OP_WRITE, len / BLOCK, buf, len);
		memset(buf, 0, len);
		sync_io(&device->ctrl.sq[qid], OP_READ, len / BLOCK, buf, len);
		contract_fill(buf + 32 * 1024, len > 32 * 1024 ? 0 : len, (unsigned int)len);
		if (len <= 32 * 1024)
			assert_memory_equal(buf, buf + 32 * 1024, len);
	}

	/* inside of a mapping, at an offset */
	sync_io(&device->ctrl.sq[qid], OP_READ, BLOCK, buf + PAGE, BLOCK);

	assert_ok(nvme_delete_ioqpair(&device->ctrl, qid));
	buf_free(buf);
}

static void complete(struct nvme_ctrl *ctrl, struct nvme_cqe *cqe)
{
	struct nvme_rq *rq = nvme_rq_from_cqe(ctrl, cqe);
	struct request *req;

	assert_non_null(rq);
	req = rq->opaque;
	assert_true(nvme_cqe_ok(cqe));
	(*req->done)++;
	nvme_rq_release(rq);
}

static unsigned int poke(struct nvme_cq *cq)
{
	unsigned int n = 0;
	struct nvme_cqe *cqe;

	while ((cqe = nvme_cq_get_cqe(cq))) {
		complete(&device->ctrl, cqe);
		n++;
	}
	if (n)
		nvme_cq_update_head(cq);

	return n;
}

static void async_batch(int qid, uint8_t opcode, unsigned char *buf, bool vectored, int efd)
{
	struct nvme_sq *sq = &device->ctrl.sq[qid];
	struct request reqs[DEPTH];
	unsigned int done = 0;
	uint64_t iova;

	assert_ok(iommu_map_vaddr(__iommu_ctx(&device->ctrl), buf, DEPTH * PAGE, &iova, 0));

	for (unsigned int i = 0; i < DEPTH; i++) {
		union nvme_cmd cmd = contract_rw(opcode, i * 8, PAGE);
		struct nvme_rq *rq = nvme_rq_acquire(sq);

		assert_non_null(rq);
		reqs[i] = (struct request){ i * 8, buf + i * PAGE, &done };
		rq->opaque = &reqs[i];
		if (vectored) {
			struct iovec iov[] = {
				{ buf + i * PAGE, PAGE / 2 },
				{ buf + i * PAGE + PAGE / 2, PAGE / 2 },
			};

			(void)nvme_rq_mapv(&device->ctrl, rq, &cmd, iov, 1 + (i & 1));
			if (!(i & 1))
				cmd.rw.nlb = cpu_to_le16(PAGE / 2 / BLOCK - 1);
		} else {
			(void)nvme_rq_map_prp(&device->ctrl, rq, &cmd, iova + i * PAGE, PAGE);
		}
		nvme_rq_post(rq, &cmd);
	}

	/* depth + 1 entries have room for depth commands and not one more */
	errno = 0;
	assert_null(nvme_rq_acquire(sq));
	assert_int_equal(errno, EBUSY);
	nvme_sq_update_tail(sq);

	while (done < DEPTH) {
		if (efd >= 0 && !poke(&device->ctrl.cq[qid])) {
			uint64_t v;

			while (read(efd, &v, sizeof(v)) < 0)
				assert_int_equal(errno, EAGAIN);
		}
		poke(&device->ctrl.cq[qid]);
	}
}

static void async_queues_with_the_vector_of_their_number(void **state)
{
	unsigned char *buf = buf_alloc(2 * DEPTH * PAGE);
	unsigned char *copy = buf + DEPTH * PAGE;

	for (int qid = 1; qid < device->nefds; qid++) {
		assert_ok(nvme_create_ioqpair(&device->ctrl, qid, DEPTH + 1, qid, 0));
		assert_int_equal(device->ctrl.cq[qid].vector, qid);
		for (int vectored = 0; vectored < 2; vectored++) {
			contract_fill(buf, DEPTH * PAGE, (unsigned int)qid);
			memcpy(copy, buf, DEPTH * PAGE);
			async_batch(qid, OP_WRITE, buf, false, device->efds[qid]);
			memset(buf, 0, DEPTH * PAGE);
			async_batch(qid, OP_READ, buf, vectored, device->efds[qid]);
			for (unsigned int i = 0; i < DEPTH; i++)
				assert_memory_equal(buf + i * PAGE, copy + i * PAGE,
						    vectored && !(i & 1) ? PAGE / 2 : PAGE);
		}
	}
	for (int qid = 1; qid < device->nefds; qid++)
		assert_ok(nvme_delete_ioqpair(&device->ctrl, qid));
	buf_free(buf);
}

/* Who does not look at the result of a mapping sends a pointer to nowhere, never to somebody's memory. */
static void failed_mapping_leaves_a_harmless_pointer(void **state)
{
	unsigned char *strange = aligned_alloc(PAGE, 4 * PAGE);
	unsigned char *buf = buf_alloc(4 * PAGE);
	struct iovec gap[] = { { buf, 100 }, { buf + PAGE, 100 } };
	struct iovec unmapped[] = { { strange, PAGE } };
	union nvme_cmd cmd;
	struct nvme_rq *rq;
	uint64_t iova;

	assert_ok(nvme_create_ioqpair(&device->ctrl, 1, DEPTH + 1, -1, 0));
	rq = nvme_rq_acquire(&device->ctrl.sq[1]);

	for (int i = 0; i < 4; i++) {
		memset(&cmd, 0xff, sizeof(cmd));
		if (i == 0)
			assert_errno(nvme_rq_mapv(&device->ctrl, rq, &cmd, unmapped, 1), EFAULT);
		else if (i == 1)
			assert_errno(nvme_rq_mapv_prp(&device->ctrl, rq, &cmd, gap, 2), EINVAL);
		else if (i == 2)
			assert_errno(nvme_rq_map_prp(&device->ctrl, rq, &cmd, 4096, 0), EINVAL);
		else
			assert_errno(nvme_rq_map_prp(&device->ctrl, rq, &cmd, 4097, 512), EINVAL);
		assert_int_equal(le64_to_cpu(cmd.dptr.prp1), 0);
		assert_int_equal(le64_to_cpu(cmd.dptr.prp2), 0);
		assert_int_equal(cmd.flags >> NVME_CMD_FLAGS_PSDT_SHIFT, NVME_CMD_FLAGS_PSDT_PRP);
	}

	/* nor is it an address that a mapping may have */
	assert_true(iommu_translate_vaddr(__iommu_ctx(&device->ctrl), buf, &iova));
	assert_errno(iommu_translate_iova(__iommu_ctx(&device->ctrl), 0, (void **)&strange),
		     EINVAL);

	nvme_rq_release(rq);
	assert_ok(nvme_delete_ioqpair(&device->ctrl, 1));
	buf_free(buf);
	free(strange);
}

#define with_device(name) cmocka_unit_test_setup_teardown(name, open_device, close_device)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_device(admin_command_of_a_cast_struct_succeeds),
		with_device(admin_command_with_memory_of_the_heap_succeeds),
		with_device(sync_io_maps_each_time_and_arrives),
		with_device(async_queues_with_the_vector_of_their_number),
		with_device(failed_mapping_leaves_a_harmless_pointer),
	};

	return cmocka_run_group_tests_name("contract-xnvme", tests, NULL, NULL);
}
