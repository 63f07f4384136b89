/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two controllers at once, each with an address space of its own or both with the same one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

#define LEN 8192
#define ROUNDS 50

static void exchange(struct nvme_ctrl *one, struct nvme_ctrl *two)
{
	char *mem = guest_alloc(2 * LEN);
	int i;

	for (i = 0; i < ROUNDS; i++) {
		struct nvme_ctrl *writer = i % 2 ? one : two, *reader = i % 2 ? two : one;

		guest_fill(mem, LEN, 9000 + i);
		guest_write(writer, 1, &guest_ns512, 16 * i, mem, LEN);
		guest_read(reader, 1, &guest_ns512, 16 * i, mem + LEN, LEN);
		guest_check(mem + LEN, LEN, 9000 + i);
		guest_kernel_check(&guest_ns512, 16 * i, LEN, 9000 + i);
	}
	guest_free(mem, 2 * LEN);
}

/* Commands in flight on both before the first completion. */
static void interleave(struct nvme_ctrl *one, struct nvme_ctrl *two)
{
	struct nvme_ctrl *ctrls[] = { one, two };
	char *mem = guest_alloc(2 * LEN);
	int i, round;

	for (i = 0; i < 2; i++)
		assert_vfn(iommu_map_vaddr(__iommu_ctx(ctrls[i]), mem, 2 * LEN, NULL, 0) == 0);

	for (round = 0; round < ROUNDS; round++) {
		struct nvme_rq *rqs[2];

		for (i = 0; i < 2; i++) {
			union nvme_cmd cmd =
				guest_rw(NVME_IO_WRITE, &guest_ns512, 32 * round + 16 * i, LEN);
			iova_t iova;

			guest_fill(mem + i * LEN, LEN, 11000 + 2 * round + i);
			assert_true(
				iommu_translate_vaddr(__iommu_ctx(ctrls[i]), mem + i * LEN, &iova));
			rqs[i] = nvme_rq_acquire(&ctrls[i]->sq[1]);
			assert_non_null(rqs[i]);
			assert_vfn(nvme_rq_map_prp(ctrls[i], rqs[i], &cmd, iova, LEN) == 0);
			nvme_rq_exec(rqs[i], &cmd);
		}
		for (i = 0; i < 2; i++) {
			assert_vfn(nvme_rq_spin(rqs[i], NULL) == 0);
			nvme_rq_release(rqs[i]);
			guest_kernel_check(&guest_ns512, 32 * round + 16 * i, LEN,
					   11000 + 2 * round + i);
		}
	}

	iommu_unmap_vaddr(__iommu_ctx(one), mem, NULL);
	if (__iommu_ctx(two) != __iommu_ctx(one))
		iommu_unmap_vaddr(__iommu_ctx(two), mem, NULL);
	guest_free(mem, 2 * LEN);
}

/* Or the other tests would show less than they seem to. */
static void test_the_back_end_is_the_best_that_the_kernel_has(void **state)
{
	bool forced = getenv("VFN_IOMMU_FORCE_VFIO"), has = !access("/dev/iommu", F_OK);
	struct nvme_ctrl ctrl = {};

	(void)state;
	guest_open(&ctrl, "a", 0);
	assert_int_equal(iommu_ctx_is_iommufd(__iommu_ctx(&ctrl)), has && !forced);
	nvme_close(&ctrl);
}

static void test_own_address_spaces(void **state)
{
	struct nvme_ctrl one = {}, two = {};

	(void)state;
	one.pci.dev.ctx = iommu_get_context(guest_bdf("a"));
	two.pci.dev.ctx = iommu_get_context(guest_bdf("mdts0"));
	assert_vfn(one.pci.dev.ctx && two.pci.dev.ctx);
	assert_ptr_not_equal(one.pci.dev.ctx, two.pci.dev.ctx);

	guest_open(&one, "a", 0);
	guest_open(&two, "mdts0", 0);
	exchange(&one, &two);
	interleave(&one, &two);

	/* one goes, the other stays */
	nvme_close(&one);
	exchange(&two, &two);
	nvme_close(&two);
}

/* KiB of this program's memory that type1 (VmLck) and iommufd (VmPin) pin. */
static unsigned long pinned(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	unsigned long sum = 0, kib;
	char line[256];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "VmLck: %lu", &kib) == 1 || sscanf(line, "VmPin: %lu", &kib) == 1)
			sum += kib;
	fclose(file);

	return sum;
}

/* Whoever closes first leaves the mappings to the other, whose I/O goes on. */
static void share(bool first_closes_first)
{
	struct nvme_ctrl ctrls[2] = {}, *stays = &ctrls[first_closes_first];
	struct nvme_ctrl *goes = &ctrls[!first_closes_first];
	char *mem = guest_alloc(2 * LEN);
	iova_t before, after;

	assert_int_equal(guest_kernel_objects(getpid()), 0);
	assert_int_equal(pinned(), 0);
	guest_open(&ctrls[0], "a", 0);
	ctrls[1].pci.dev.ctx = ctrls[0].pci.dev.ctx;
	guest_open(&ctrls[1], "mdts0", 0);
	assert_ptr_equal(ctrls[1].pci.dev.ctx, ctrls[0].pci.dev.ctx);
	exchange(&ctrls[0], &ctrls[1]);
	interleave(&ctrls[0], &ctrls[1]);

	assert_vfn(iommu_map_vaddr(__iommu_ctx(goes), mem, 2 * LEN, &before, 0) == 0);
	guest_fill(mem, LEN, 13000);
	guest_write(goes, 1, &guest_ns512, 0, mem, LEN);
	nvme_close(goes);

	assert_true(iommu_translate_vaddr(__iommu_ctx(stays), mem, &after));
	assert_int_equal(after, before);
	guest_read(stays, 1, &guest_ns512, 0, mem + LEN, LEN);
	guest_check(mem + LEN, LEN, 13000);
	assert_true(guest_kernel_objects(getpid()) > 0);
	assert_true(pinned() >= 2 * LEN / 1024);
	assert_vfn(iommu_unmap_vaddr(__iommu_ctx(stays), mem, NULL) == 0);
	exchange(stays, stays);

	/* and it may have company again */
	goes->pci.dev.ctx = stays->pci.dev.ctx;
	guest_open(goes, first_closes_first ? "a" : "mdts0", 0);
	interleave(stays, goes);

	nvme_close(stays);
	exchange(goes, goes);
	/* what nobody unmapped goes with the last of them */
	assert_vfn(iommu_map_vaddr(__iommu_ctx(goes), mem, 2 * LEN, NULL, 0) == 0);
	nvme_close(goes);
	assert_int_equal(guest_kernel_objects(getpid()), 0);
	assert_int_equal(pinned(), 0);
	guest_free(mem, 2 * LEN);
}

/* V22 */
static void test_shared_address_space_when_the_first_closes_first(void **state)
{
	(void)state;
	share(true);
}

/* V22 */
static void test_shared_address_space_when_the_second_closes_first(void **state)
{
	(void)state;
	share(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_back_end_is_the_best_that_the_kernel_has),
		cmocka_unit_test(test_own_address_spaces),
		cmocka_unit_test(test_shared_address_space_when_the_first_closes_first),
		cmocka_unit_test(test_shared_address_space_when_the_second_closes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
