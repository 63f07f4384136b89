// SPDX-License-Identifier: GPL-2.0-or-later
/* Synchronous commands: data in any memory, results, limits of time, nothing left behind. */
#include "machine.h"

#define SEED 0x20260717

static int io(struct machine *m, uint8_t opcode, uint64_t slba, unsigned int blocks, void *buf,
	      size_t len, struct nvme_cqe *cqe)
{
	union nvme_cmd cmd = rw_cmd(opcode, slba, blocks);

	return nvme_sync(&m->ctrl, m->sq, &cmd, buf, len, cqe);
}

static unsigned int status_of(const struct nvme_cqe *cqe)
{
	return le16_to_cpu(cqe->sfp) >> 1;
}

/* ---- data ---- */

/* Write from @buf, check the disk, read into @buf again, all through nvme_sync(). */
static void write_and_read(struct machine *m, unsigned int lba_size, char *buf, size_t len,
			   uint64_t *seed)
{
	const unsigned int blocks = (unsigned int)(len / lba_size);
	const uint64_t slba = next_random(seed) % 100;
	char *disk = emu_nvme_disk(m->nvme, 1, NULL);
	char before = buf[-1], after = buf[len];

	disk += slba * lba_size;
	fill_random(buf, len, seed);
	assert_int_equal(io(m, OP_WRITE, slba, blocks, buf, len, NULL), 0);
	assert_memory_equal(disk, buf, len);
	assert_int_equal(io(m, OP_COMPARE, slba, blocks, buf, len, NULL), 0);

	fill_random(disk, len, seed);
	assert_int_equal(io(m, OP_READ, slba, blocks, buf, len, NULL), 0);
	assert_memory_equal(disk, buf, len);
	assert_int_equal(buf[-1], before);
	assert_int_equal(buf[len], after);
}

static const struct emu_nvme_opts block_sizes[] = {
	{ .nns = 1, .ns = { { .blocks = 4096, .lba_size = 512 } } },
	{ .nns = 1, .ns = { { .blocks = 512, .lba_size = 4096 } } },
};

static const size_t offsets[] = { PAGE, PAGE + 4, PAGE + 512, 2 * PAGE - 4, 2 * PAGE - 512 };
static const size_t lengths[] = { 4096, 8192, 12288, 65536, 69632, 512 * 1024 };

/* @buf has room for the largest offset and length, and a byte. */
static void each_place_and_length(struct machine *m, unsigned int lba_size, char *buf)
{
	uint64_t seed = SEED;

	for (size_t i = 0; i < sizeof(offsets) / sizeof(*offsets); i++)
		for (size_t k = 0; k < sizeof(lengths) / sizeof(*lengths); k++)
			write_and_read(m, lba_size, buf + offsets[i], lengths[k], &seed);
}

static void mapped_buffers_carry_data(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		struct machine m;

		start_pair(&m, &block_sizes[i], 8);
		each_place_and_length(&m, block_sizes[i].ns[0].lba_size, m.buf.vaddr);
		stop(&m);
		emu_fini();
		emu_init();
	}
}

/* W28: of more than 64 KiB, too */
static void unmapped_buffers_carry_data(void **state)
{
	char *buf = new_pages(BUF_LEN);

	for (size_t i = 0; i < 2; i++) {
		struct emu_usage before;
		struct machine m;

		start_pair(&m, &block_sizes[i], 8);
		before = emu_usage();
		each_place_and_length(&m, block_sizes[i].ns[0].lba_size, buf);
		emu_assert_usage(&before);
		stop(&m);
		emu_fini();
		emu_init();
	}
	free(buf);
}

/* W6 */
static void buffer_across_two_mappings_carries_data(void **state)
{
	char *buf = new_pages(8 * PAGE);
	struct iommu_ctx *ctx;
	uint64_t seed = SEED;
	struct machine m;
	iova_t iova = 0x40000000;

	start_pair(&m, NULL, 8);
	ctx = __iommu_ctx(&m.ctrl);
	assert_int_equal(iommu_map_vaddr(ctx, buf, 3 * PAGE, &iova, IOMMU_MAP_FIXED_IOVA), 0);
	iova = 0x30000000;
	assert_int_equal(iommu_map_vaddr(ctx, buf + 3 * PAGE, 5 * PAGE, &iova,
					 IOMMU_MAP_FIXED_IOVA),
			 0);
	for (size_t off = 4; off < 3 * PAGE; off += 764)
		write_and_read(&m, 512, buf + off, 4 * PAGE, &seed);
	assert_int_equal(iommu_unmap_vaddr(ctx, buf, NULL), 0);
	assert_int_equal(iommu_unmap_vaddr(ctx, buf + 3 * PAGE, NULL), 0);
	free(buf);
	stop(&m);
}

/* W6: a buffer that runs past its mapping is not taken for a mapped one; the rest gets mapped */
static void buffer_that_runs_past_its_mapping_is_mapped_to_its_end(void **state)
{
	char *buf = new_pages(4 * PAGE);
	struct emu_usage before;
	struct machine m;

	start_pair(&m, NULL, 8);
	assert_int_equal(iommu_map_vaddr(__iommu_ctx(&m.ctrl), buf, 2 * PAGE, NULL, 0), 0);
	before = emu_usage();
	memset(emu_nvme_disk(m.nvme, 1, NULL), 0x5a, 4 * PAGE);
	assert_int_equal(io(&m, OP_READ, 0, 32, buf, 4 * PAGE, NULL), 0);
	assert_memory_equal(buf, emu_nvme_disk(m.nvme, 1, NULL), 4 * PAGE);
	emu_assert_usage(&before);
	assert_int_equal(free_requests(m.sq), 7);
	assert_int_equal(iommu_unmap_vaddr(__iommu_ctx(&m.ctrl), buf, NULL), 0);
	free(buf);
	stop(&m);
}

/* P5 */
static void random_io_matches_a_model(void **state)
{
	const size_t disk_len = 4096 * 512;
	uint8_t *model = calloc(1, disk_len);
	char *plain = new_pages(BUF_LEN);
	uint64_t seed = SEED;
	struct machine m;

	print_message("# seed 0x%x\n", SEED);
	start_pair(&m, &block_sizes[0], 8);
	for (int i = 0; i < 3000; i++) {
		uint64_t r = next_random(&seed);
		unsigned int blocks = r % 100 + 1, slba = r / 1000 % (4096 - blocks);
		size_t len = blocks * 512, off = r / 5000000 % 2000 * 4;
		char *buf = (i & 1 ? plain : (char *)m.buf.vaddr) + off;
		uint8_t *want = model + slba * 512;

		switch (r / 100 % 4) {
		case 0:
			fill_random(buf, len, &seed);
			memcpy(want, buf, len);
			assert_int_equal(io(&m, OP_WRITE, slba, blocks, buf, len, NULL), 0);
			break;
		case 1:
			memset(want, 0, len);
			assert_int_equal(io(&m, OP_ZEROES, slba, blocks, NULL, 0, NULL), 0);
			break;
		default:
			assert_int_equal(io(&m, OP_READ, slba, blocks, buf, len, NULL), 0);
			assert_memory_equal(buf, want, len);
		}
	}
	assert_memory_equal(emu_nvme_disk(m.nvme, 1, NULL), model, disk_len);
	free(plain);
	free(model);
	stop(&m);
}

/* ---- other commands ---- */

static void flush_and_write_zeroes_have_no_data(void **state)
{
	union nvme_cmd flush = flush_cmd();
	uint8_t *disk;
	struct machine m;

	start_pair(&m, NULL, 8);
	disk = emu_nvme_disk(m.nvme, 1, NULL);
	memset(disk, 1, 10 * 512);
	assert_int_equal(nvme_sync(&m.ctrl, m.sq, &flush, NULL, 0, NULL), 0);
	assert_int_equal(io(&m, OP_ZEROES, 2, 3, NULL, 0, NULL), 0);
	assert_int_equal(disk[2 * 512 - 1], 1);
	assert_int_equal(disk[2 * 512], 0);
	assert_int_equal(disk[5 * 512 - 1], 0);
	assert_int_equal(disk[5 * 512], 1);
	stop(&m);
}

static void compare_of_other_data_fails(void **state)
{
	struct nvme_cqe cqe;
	struct machine m;

	start_pair(&m, NULL, 8);
	memset(m.buf.vaddr, 7, 512);
	assert_fails_with(io(&m, OP_COMPARE, 0, 1, m.buf.vaddr, 512, &cqe), EIO);
	assert_int_equal(status_of(&cqe), 0x285);
	stop(&m);
}

static void deallocate_takes_ranges_from_any_memory(void **state)
{
	struct {
		uint32_t attributes, count;
		uint64_t slba;
	} ranges[2] = {
		{ .count = htole32(2), .slba = htole64(1) },
		{ .count = htole32(1), .slba = htole64(5) },
	};
	union nvme_cmd cmd = { .opcode = OP_DSM };
	uint8_t *disk;
	struct machine m;

	start_pair(&m, NULL, 8);
	disk = emu_nvme_disk(m.nvme, 1, NULL);
	memset(disk, 9, 8 * 512);
	cmd.nsid = cpu_to_le32(1);
	cmd.cdw10 = cpu_to_le32(1);
	cmd.cdw11 = cpu_to_le32(4);
	assert_int_equal(nvme_sync(&m.ctrl, m.sq, &cmd, ranges, sizeof(ranges), NULL), 0);
	assert_int_equal(disk[511], 9);
	assert_int_equal(disk[512], 0);
	assert_int_equal(disk[3 * 512], 9);
	assert_int_equal(disk[5 * 512], 0);
	assert_int_equal(disk[6 * 512], 9);
	stop(&m);
}

static void oneshot_is_sync(void **state)
{
	union nvme_cmd cmd = identify_cmd();
	uint8_t *id = (uint8_t *)new_pages(PAGE);
	struct nvme_cqe cqe;
	struct machine m;

	start(&m, NULL);
	assert_int_equal(nvme_oneshot(&m.ctrl, m.ctrl.adminq.sq, &cmd, id, PAGE, &cqe), 0);
	assert_memory_equal(id, emu_nvme_identify_ctrl(m.nvme), PAGE);
	assert_true(nvme_cqe_ok(&cqe));
	nvme_close(&m.ctrl);
	free(id);
}

static void status_is_kept_next_to_the_error(void **state)
{
	static const uint16_t statuses[] = { 0x0001, 0x0281, 0x4002, 0x01ff, 0x0370, 0x7fff };
	union nvme_cmd cmd;
	struct nvme_cqe cqe;
	struct machine m;

	start_pair(&m, NULL, 8);
	for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
		emu_nvme_clear_faults(m.nvme);
		emu_nvme_fault(m.nvme, &(struct emu_fault){
					       .kind = EMU_STATUS,
					       .qid = 1,
					       .opcode = OP_FLUSH,
					       .status = statuses[i],
				       });
		cmd = flush_cmd();
		assert_fails_with(nvme_sync(&m.ctrl, m.sq, &cmd, NULL, 0, &cqe), EIO);
		assert_int_equal(status_of(&cqe), statuses[i]);
		assert_fails_with(nvme_set_errno_from_cqe(&cqe), EIO);
	}
	assert_int_equal(free_requests(m.sq), 7);
	stop(&m);
}

static void out_of_range_and_read_only_are_errors(void **state)
{
	const struct emu_nvme_opts opts = {
		.nns = 1,
		.ns = { { .blocks = 100, .read_only = true } },
	};
	struct nvme_cqe cqe;
	struct machine m;

	start_pair(&m, &opts, 8);
	assert_fails_with(io(&m, OP_READ, 100, 1, m.buf.vaddr, 512, &cqe), EIO);
	assert_int_equal(status_of(&cqe), 0x4080);
	assert_fails_with(io(&m, OP_WRITE, 0, 1, m.buf.vaddr, 512, &cqe), EIO);
	assert_int_equal(status_of(&cqe), 0x4020);
	stop(&m);
}

/* ---- nothing is left ---- */

/* W28 */
static void a_hundred_thousand_unmapped_buffers_leave_nothing(void **state)
{
	char *buf = new_pages(2 * PAGE);
	struct emu_usage before;
	struct machine m;

	start_pair(&m, NULL, 4);
	before = emu_usage();
	for (int i = 0; i < 100000; i++)
		assert_int_equal(io(&m, OP_READ, 0, 1, buf + i % 1000 * 4, 512, NULL), 0);
	emu_assert_usage(&before);
	assert_int_equal(free_requests(m.sq), 3);
	free(buf);
	stop(&m);
}

/* P3, W28: the first one that failed was one too many */
static void buffer_off_a_dword_is_refused_and_leaves_nothing(void **state)
{
	char *buf = new_pages(2 * PAGE);
	struct emu_usage before;
	struct machine m;

	start_pair(&m, NULL, 2);
	before = emu_usage();
	for (int i = 0; i < 1000; i++)
		assert_fails_with(io(&m, OP_READ, 0, 1, buf + 1, 512, NULL), EINVAL);
	emu_assert_usage(&before);
	assert_int_equal(free_requests(m.sq), 1);
	assert_int_equal(emu_nvme_stats(m.nvme).io[OP_READ], 0);
	assert_int_equal(io(&m, OP_READ, 0, 1, buf, 512, NULL), 0);
	free(buf);
	stop(&m);
}

/* W30 */
static void mapping_that_fails_releases_the_request(void **state)
{
	static const struct {
		unsigned int mask;
		int err;
	} cases[] = {
		{ EMU_DMA_MAP, ENOMEM },
		{ EMU_DMA_MAP, EFAULT },
		{ EMU_ALLOC, ENOMEM },
	};
	char *buf = new_pages(PAGE);
	struct emu_usage before;
	struct machine m;

	start_pair(&m, NULL, 2);
	before = emu_usage();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		emu_fail_at(cases[i].mask, 1, cases[i].err);
		assert_fails_with(io(&m, OP_READ, 0, 1, buf, 512, NULL), cases[i].err);
		assert_true(emu_fail_fired());
		emu_fail_at(0, 0, 0);
		emu_assert_usage(&before);
		assert_int_equal(free_requests(m.sq), 1);
	}
	assert_int_equal(io(&m, OP_READ, 0, 1, buf, 512, NULL), 0);
	free(buf);
	stop(&m);
}

/* P1 */
static void buffer_of_nothing_is_refused(void **state)
{
	struct machine m;

	start_pair(&m, NULL, 2);
	assert_fails_with(io(&m, OP_READ, 0, 1, m.buf.vaddr, 0, NULL), EINVAL);
	assert_fails_with(io(&m, OP_READ, 0, 1, m.buf.vaddr, SIZE_MAX, NULL), EINVAL);
	assert_int_equal(free_requests(m.sq), 1);
	stop(&m);
}

/* W30 */
static void no_free_request_is_busy_and_leaves_nothing(void **state)
{
	char *buf = new_pages(PAGE);
	struct emu_usage before;
	struct nvme_rq *rq;
	struct machine m;

	start_pair(&m, NULL, 2);
	before = emu_usage();
	rq = nvme_rq_acquire(m.sq);
	assert_fails_with(io(&m, OP_READ, 0, 1, buf, 512, NULL), EBUSY);
	emu_assert_usage(&before);
	nvme_rq_release(rq);
	assert_int_equal(io(&m, OP_READ, 0, 1, buf, 512, NULL), 0);
	free(buf);
	stop(&m);
}

/* ---- the controller fails ---- */

/* C7 */
static void fatal_status_during_a_command_is_seen_at_once(void **state)
{
	union nvme_cmd cmd = flush_cmd();
	uint64_t begin;
	struct machine m;

	start_pair(&m, NULL, 8);
	add_fault(&m, EMU_CFS, 1, OP_FLUSH);
	begin = emu_now();
	assert_fails_with(nvme_sync(&m.ctrl, m.sq, &cmd, NULL, 0, NULL), ENODEV);
	assert_true(emu_now() - begin < 10 * MS);
	assert_fails_with(nvme_admin(&m.ctrl, &cmd, NULL, 0, NULL), ENODEV);
	stop(&m);
}

/* C1, H2 */
static void removal_during_a_command_is_seen_at_once(void **state)
{
	union nvme_cmd cmd = flush_cmd();
	uint64_t begin;
	struct machine m;

	start_pair(&m, NULL, 8);
	emu_pci_remove(emu_nvme_pci(m.nvme));
	begin = emu_now();
	assert_fails_with(nvme_sync(&m.ctrl, m.sq, &cmd, NULL, 0, NULL), ENODEV);
	assert_true(emu_now() - begin < 10 * MS);
	assert_fails_with(nvme_reset(&m.ctrl), ENODEV);
	iommu_put_dmabuf(&m.buf);
	nvme_close(&m.ctrl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(mapped_buffers_carry_data),
		test(unmapped_buffers_carry_data),
		test(buffer_across_two_mappings_carries_data),
		test(buffer_that_runs_past_its_mapping_is_mapped_to_its_end),
		test(random_io_matches_a_model),
		test(flush_and_write_zeroes_have_no_data),
		test(compare_of_other_data_fails),
		test(deallocate_takes_ranges_from_any_memory),
		test(oneshot_is_sync),
		test(status_is_kept_next_to_the_error),
		test(out_of_range_and_read_only_are_errors),
		test(a_hundred_thousand_unmapped_buffers_leave_nothing),
		test(buffer_off_a_dword_is_refused_and_leaves_nothing),
		test(mapping_that_fails_releases_the_request),
		test(buffer_of_nothing_is_refused),
		test(no_free_request_is_busy_and_leaves_nothing),
		test(fatal_status_during_a_command_is_seen_at_once),
		test(removal_during_a_command_is_seen_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
