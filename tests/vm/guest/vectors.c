/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Vectors of 1 to 100 elements of odd sizes, anywhere in their pages, arrive by SGLs. */
#include <stdlib.h>
#include <string.h>

#include "guest.h"

#define MOST 100

/* Room for one element with memory around it that is nobody's. */
#define SLOT (3 * 4096UL)

static struct nvme_ctrl ctrl;

static int setup(void **state)
{
	(void)state;
	guest_open(&ctrl, "a", 0);
	/* or the elements could not be described */
	assert_true(ctrl.flags & NVME_CTRL_F_SGLS_SUPPORTED);
	host_trace("pci_nvme_map_sgl");

	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nvme_close(&ctrl);
	return 0;
}

/* Elements of 4 to 4000 bytes, the last one up to whole blocks; the sum. */
static size_t make_vector(struct iovec *iov, int n, char *mem, size_t offset, size_t block)
{
	size_t sum = 0;

	for (int i = 0; i < n; i++) {
		iov[i].iov_base = mem + (size_t)i * SLOT + offset;
		iov[i].iov_len = 4 + (size_t)(i * 1372 + n * 52) % 4000;
		sum += iov[i].iov_len;
	}
	iov[n - 1].iov_len += ALIGN_UP(sum, block) - sum;

	return ALIGN_UP(sum, block);
}

/* What the elements of @iov, which are in @mem, have or get, in @other. */
static void *in_other(const struct iovec *iov, const char *mem, char *other)
{
	return other + ((char *)iov->iov_base - mem);
}

static void scatter(const struct iovec *iov, int n, const char *mem, char *other, const char *flat)
{
	for (int i = 0; i < n; flat += iov[i++].iov_len)
		memcpy(in_other(&iov[i], mem, other), flat, iov[i].iov_len);
}

static void transfer(uint8_t opcode, const struct guest_ns *ns, uint64_t slba, struct iovec *iov,
		     int n, size_t len)
{
	union nvme_cmd cmd = guest_rw(opcode, ns, slba, len);
	long before = host_trace_count("pci_nvme_map_sgl");
	struct nvme_rq *rq = nvme_rq_acquire(&ctrl.sq[1]);

	assert_vfn(nvme_rq_mapv(&ctrl, rq, &cmd, iov, n) == 0);
	nvme_rq_exec(rq, &cmd);
	assert_vfn(nvme_rq_spin(rq, NULL) == 0);
	nvme_rq_release(rq);
	assert_int_equal(host_trace_count("pci_nvme_map_sgl"), before + 1);
}

static void write_and_compare(const struct guest_ns *ns, uint64_t slba, int n, size_t offset)
{
	size_t room = (size_t)n * SLOT, len;
	char *mem = guest_alloc(room), *want = guest_alloc(room), *flat = guest_alloc(room);
	uint64_t seed = slba * 31 + (uint64_t)n * 7 + offset;
	struct iovec iov[MOST];

	assert_vfn(iommu_map_vaddr(__iommu_ctx(&ctrl), mem, room, NULL, 0) == 0);
	len = make_vector(iov, n, mem, offset, ns->block);
	guest_fill(flat, len, seed);

	scatter(iov, n, mem, mem, flat);
	transfer(NVME_IO_WRITE, ns, slba, iov, n, len);
	guest_kernel_check(ns, slba, len, seed);

	/* all of it, and not a byte around it */
	memset(mem, 0xa5, room);
	memset(want, 0xa5, room);
	scatter(iov, n, mem, want, flat);
	transfer(NVME_IO_READ, ns, slba, iov, n, len);
	assert_memory_equal(mem, want, room);

	assert_vfn(iommu_unmap_vaddr(__iommu_ctx(&ctrl), mem, NULL) == 0);
	guest_free(mem, room);
	guest_free(want, room);
	guest_free(flat, room);
}

static void every_vector(const struct guest_ns *ns)
{
	static const size_t offsets[] = { 0, 4, 512, 3584, 4092 };
	uint64_t slba = 11;

	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
		for (int n = 1; n <= MOST; n += n < 4 ? 1 : 24)
			write_and_compare(ns, slba++, n, offsets[i]);
}

static void test_blocks_of_512_arrive(void **state)
{
	(void)state;
	every_vector(&guest_ns512);
}

static void test_blocks_of_4096_arrive(void **state)
{
	(void)state;
	every_vector(&guest_ns4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocks_of_512_arrive),
		cmocka_unit_test(test_blocks_of_4096_arrive),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
