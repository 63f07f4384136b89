/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Data of every size that a controller takes arrives, in blocks of 512 and of 4096 bytes; more is refused. */
#include <stdlib.h>

#include "guest.h"

/* What one page of PRP entries reaches, with the first entry in the command. */
#define LIST_BYTES (2UL << 20)

/* Status field without phase: Invalid Field in Command, Do Not Retry aside. */
#define INVALID_FIELD 0x002

static struct nvme_ctrl ctrl;
static size_t limit;

static int setup(void **state)
{
	const char *name = getenv("CONTROLLER"), *mdts = getenv("MDTS");
	uint8_t *id = guest_alloc(4096);

	(void)state;
	if (!name || !mdts)
		fail_msg("CONTROLLER and MDTS say what is expected of which controller");

	guest_open(&ctrl, name, 0);
	guest_identify(&ctrl, id);
	assert_int_equal(id[77], atoi(mdts));
	limit = id[77] ? 4096UL << id[77] : 0;
	guest_free(id, 4096);

	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nvme_close(&ctrl);
	return 0;
}

static void write_and_compare(const struct guest_ns *ns, uint64_t slba, size_t len, size_t offset)
{
	size_t room = ALIGN_UP(offset + len, 4096UL);
	char *mem = guest_alloc(room);
	uint64_t seed = slba * 31 + len * 7 + offset;

	assert_vfn(iommu_map_vaddr(__iommu_ctx(&ctrl), mem, room, NULL, 0) == 0);

	guest_fill(mem + offset, len, seed);
	guest_write(&ctrl, 1, ns, slba, mem + offset, len);
	guest_kernel_check(ns, slba, len, seed);

	memset(mem, 0xa5, room);
	guest_read(&ctrl, 1, ns, slba, mem + offset, len);
	guest_check(mem + offset, len, seed);
	/* not a byte around it */
	for (size_t i = 0; i < offset; i++)
		assert_int_equal(mem[i] & 0xff, 0xa5);
	for (size_t i = offset + len; i < room; i++)
		assert_int_equal(mem[i] & 0xff, 0xa5);

	assert_vfn(iommu_unmap_vaddr(__iommu_ctx(&ctrl), mem, NULL) == 0);
	guest_free(mem, room);
}

static void every_size(const struct guest_ns *ns)
{
	static const size_t pages[] = { 1, 2, 3, 4, 16, 127, 128, 129, 511, 512 };
	size_t most = limit ? limit : LIST_BYTES, i;

	write_and_compare(ns, 3, ns->block, 0);
	if (ns->block < 4096) {
		write_and_compare(ns, 5, 3 * ns->block, 0);
		write_and_compare(ns, 9, 4096 + ns->block, 0);
	}

	for (i = 0; i < sizeof(pages) / sizeof(pages[0]) && pages[i] * 4096 <= most; i++) {
		write_and_compare(ns, 128 + i, pages[i] * 4096, 0);
		/* a start inside a page takes one more PRP entry */
		if (pages[i] * 4096 < LIST_BYTES)
			write_and_compare(ns, 256 + i, pages[i] * 4096, 516);
	}
}

static void test_blocks_of_512_arrive(void **state)
{
	(void)state;
	every_size(&guest_ns512);
}

static void test_blocks_of_4096_arrive(void **state)
{
	(void)state;
	every_size(&guest_ns4096);
}

/* P2 */
static void test_beyond_mdts_is_refused(void **state)
{
	size_t len = limit + 4096;
	struct nvme_cqe cqe = {};
	char *mem;

	(void)state;
	if (!limit) {
		/* without a limit of the controller's, twice the MDTS of the others is nothing special */
		write_and_compare(&guest_ns4096, 64, LIST_BYTES / 2, 0);
		return;
	}

	mem = guest_alloc(len);
	guest_fill(mem, len, 1);
	guest_write(&ctrl, 1, &guest_ns4096, 1024, mem, 4096);

	guest_fill(mem, len, 2);
	assert_int_equal(guest_try(&ctrl, 1, guest_rw(NVME_IO_WRITE, &guest_ns4096, 1024, len), mem,
				   len, &cqe),
			 -1);
	assert_int_equal(errno, EIO);
	assert_int_equal((le16_to_cpu(cqe.sfp) >> 1) & 0x7ff, INVALID_FIELD);
	guest_kernel_check(&guest_ns4096, 1024, 4096, 1);

	guest_free(mem, len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocks_of_512_arrive),
		cmocka_unit_test(test_blocks_of_4096_arrive),
		cmocka_unit_test(test_beyond_mdts_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
