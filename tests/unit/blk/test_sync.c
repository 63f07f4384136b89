// SPDX-License-Identifier: GPL-2.0-or-later
/* Calls that wait: any length and place, on any memory; limits, errors, and what else they do with blocks. */
#include "blk.h"

#define DISK (1UL << 20)

static uint8_t *disk_of(struct emu_nvme *nvme)
{
	return emu_nvme_disk(nvme, 1, NULL);
}

static bool is_filled(const void *mem, size_t len, uint8_t with)
{
	const uint8_t *p = mem;

	return !len || (p[0] == with && !memcmp(p, p + 1, len - 1));
}

static uint32_t commands(struct emu_nvme *nvme, int opcode)
{
	return emu_nvme_stats(nvme).io[opcode];
}

/* A buffer of one kind of memory, with room before and behind it. */
enum kind {
	ALLOCATED,
	REGISTERED,
	PLAIN,
	KINDS
};

static char *get_memory(struct vfn_blk *blk, enum kind kind, size_t len)
{
	char *mem = kind == ALLOCATED ? vfn_blk_alloc(blk, len) : new_pages(len);

	assert_non_null(mem);
	if (kind == REGISTERED)
		assert_int_equal(vfn_blk_register(blk, mem, len), 0);

	return mem;
}

static void put_memory(struct vfn_blk *blk, enum kind kind, char *mem)
{
	if (kind == ALLOCATED)
		assert_int_equal(vfn_blk_free(blk, mem), 0);
	if (kind == REGISTERED)
		assert_int_equal(vfn_blk_unregister(blk, mem), 0);
	if (kind != ALLOCATED)
		free(mem);
}

#define MEMORY (80 * PAGE)

/* Write and read back at an offset into memory, seen by the disk; nothing around it changes. */
static void one_round(struct emu_nvme *nvme, struct vfn_blk *blk, char *mem, size_t offset,
		      uint32_t nlb, uint64_t *seed)
{
	const uint32_t size = info_of(blk).block_size;
	const size_t len = (size_t)nlb * size, lba = 3;
	uint8_t *disk = disk_of(nvme) + lba * size;
	uint8_t before = disk[-1], behind = disk[len];

	fill_random(mem + offset, len, seed);
	assert_int_equal(vfn_blk_write(blk, mem + offset, lba, nlb), 0);
	assert_memory_equal(disk, mem + offset, len);
	assert_int_equal(disk[-1], before);
	assert_int_equal(disk[len], behind);

	fill_random(disk, len, seed);
	memset(mem, 0x5a, MEMORY);
	assert_int_equal(vfn_blk_read(blk, mem + offset, lba, nlb), 0);
	assert_memory_equal(disk, mem + offset, len);
	assert_true(is_filled(mem, offset, 0x5a));
	assert_true(is_filled(mem + offset + len, MEMORY - offset - len, 0x5a));
}

/* E9, E10 */
static void any_length_at_any_offset_is_transferred(void **state)
{
	static const size_t offsets[] = { 0, 1, 2, 4, 512, 3584, 4095 };
	static const uint32_t blocks[] = { 1, 7, 8, 9, 15, 16, 17, 60 };
	static const struct {
		unsigned int lba_size, mdts;
	} cases[] = { { 512, 7 }, { 512, 1 }, { 512, 0 }, { 4096, 7 }, { 4096, 1 } };
	uint64_t seed = 9;

	for (size_t c = 0; c < UNIT_ARRAY_SIZE(cases); c++) {
		const struct emu_nvme_opts opts = {
			.mdts = cases[c].mdts,
			.no_mdts = !cases[c].mdts,
			.nns = 1,
			.ns = { { .blocks = DISK / cases[c].lba_size,
				  .lba_size = cases[c].lba_size } },
		};
		struct emu_nvme *nvme;
		struct vfn_blk *blk;

		emu_fini();
		emu_init();
		nvme = emu_nvme_add(&opts);
		blk = open_blk();
		for (enum kind kind = 0; kind < KINDS; kind++) {
			char *mem = get_memory(blk, kind, MEMORY);

			for (size_t i = 0; i < UNIT_ARRAY_SIZE(offsets); i++) {
				for (size_t k = 0; k < UNIT_ARRAY_SIZE(blocks); k++)
					one_round(nvme, blk, mem, offsets[i], blocks[k], &seed);
			}
			put_memory(blk, kind, mem);
		}
		close_blk(blk);
	}
}

/* E10 */
static void lengths_beyond_mdts_take_as_many_commands_as_they_must(void **state)
{
	const struct emu_nvme_opts opts = { .mdts = 1 };
	struct emu_nvme *nvme = emu_nvme_add(&opts);
	struct vfn_blk *blk = open_blk();
	char *mem = vfn_blk_alloc(blk, 4 * MIB);

	assert_int_equal(vfn_blk_read(blk, mem, 0, MIB / 512), 0);
	assert_int_equal(commands(nvme, OP_READ), MIB / 8192);
	assert_int_equal(vfn_blk_read(blk, mem, 1, 17), 0);
	assert_int_equal(commands(nvme, OP_READ), MIB / 8192 + 2);
	/* more commands than there are requests in a queue */
	assert_int_equal(vfn_blk_read(blk, mem, 0, 4 * MIB / 512), 0);
	assert_int_equal(commands(nvme, OP_READ), 5 * MIB / 8192 + 2);
	close_blk(blk);
}

static void commands_do_not_cross_boundaries(void **state)
{
	struct emu_nvme *nvme = emu_nvme_add(NULL);
	struct vfn_blk *blk;
	char *mem;

	/* of 24 blocks */
	emu_nvme_identify_ns(nvme, 1)[46] = 24;
	blk = open_blk();
	mem = vfn_blk_alloc(blk, MIB);
	assert_int_equal(vfn_blk_read(blk, mem, 24, 24), 0);
	assert_int_equal(commands(nvme, OP_READ), 1);
	assert_int_equal(vfn_blk_read(blk, mem, 23, 2), 0);
	assert_int_equal(commands(nvme, OP_READ), 3);
	assert_int_equal(vfn_blk_write(blk, mem, 1, 72), 0);
	assert_int_equal(commands(nvme, OP_WRITE), 4);
	assert_int_equal(vfn_blk_write_zeroes(blk, 23, 26), 0);
	assert_int_equal(commands(nvme, OP_ZEROES), 3);
	close_blk(blk);
}

/* Pieces of random lengths that are a number of blocks together; at most @max of them. */
static int cut(char *mem, size_t len, struct iovec *iov, int max, size_t grain, uint64_t *seed)
{
	int n = 0;

	while (len) {
		size_t piece = (next_random(seed) % 5000) / grain * grain;

		if (piece > len || n == max - 1)
			piece = len;
		iov[n++] = (struct iovec){ .iov_base = mem, .iov_len = piece };
		len -= piece;
		/* not always where the last one ends */
		mem += piece + (next_random(seed) % 2 ? 0 : grain);
	}

	return n;
}

static void collect(char *to, const struct iovec *iov, int niov)
{
	for (int i = 0; i < niov; i++) {
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
		to += iov[i].iov_len;
	}
}

static void vectors(uint32_t sgls, unsigned int flags, unsigned int lba_size)
{
	static const size_t grains[] = { 1, 4, 512, PAGE };
	const struct vfn_blk_opts blk_opts = { .flags = flags };
	const struct emu_nvme_opts opts = {
		.sgls = sgls,
		.mdts = 3,
		.nns = 1,
		.ns = { { .blocks = DISK / lba_size, .lba_size = lba_size } },
	};
	uint64_t seed = 1 + sgls;
	struct iovec iov[200];
	struct emu_nvme *nvme;
	struct vfn_blk *blk;
	char *mem, *all;

	emu_fini();
	emu_init();
	nvme = emu_nvme_add(&opts);
	blk = open_with(EMU_BDF, &blk_opts);
	all = new_pages(MIB);
	for (enum kind kind = 0; kind < KINDS; kind++) {
		mem = get_memory(blk, kind, 2 * MIB);
		for (int i = 0; i < 60; i++) {
			size_t grain = grains[i % 4],
			       len = (1 + next_random(&seed) % 40) * lba_size;
			size_t start = next_random(&seed) % 5000 / grain * grain;
			int n = cut(mem + start, len, iov, 200, grain, &seed);
			uint8_t *disk = disk_of(nvme) + 5UL * lba_size;

			fill_random(mem, start + len + n * grain, &seed);
			collect(all, iov, n);
			assert_int_equal(vfn_blk_writev(blk, iov, n, 5), 0);
			assert_memory_equal(disk, all, len);
			fill_random(disk, len, &seed);
			assert_int_equal(vfn_blk_readv(blk, iov, n, 5), 0);
			collect(all, iov, n);
			assert_memory_equal(disk, all, len);
		}
		put_memory(blk, kind, mem);
	}
	free(all);
	close_blk(blk);
}

/* P4 */
static void vectors_of_any_pieces_are_transferred(void **state)
{
	vectors(0, 0, 512);
	vectors(0, 0, 4096);
	vectors(1, VFN_BLK_SGL, 512);
	vectors(2, VFN_BLK_SGL, 4096);
	/* asked for, but there are none */
	vectors(0, VFN_BLK_SGL, 512);
}

static void vectors_take_no_copy_where_commands_describe_them(void **state)
{
	struct emu_nvme *nvme = emu_nvme_add(NULL);
	struct vfn_blk *blk = open_blk();
	char *mem = vfn_blk_alloc(blk, 64 * PAGE);
	/* blocks anywhere, a command each: pieces that are pages, one command */
	struct iovec gaps[] = { { mem + 512, 512 }, { mem + 2048, 512 }, { mem + 5 * 512, 1024 } };
	struct iovec pages[] = { { mem, PAGE }, { mem + 8 * PAGE, PAGE }, { mem + 2 * PAGE, 512 } };
	struct emu_usage before;

	/* pages for lists come with the first that needs one */
	assert_int_equal(vfn_blk_read(blk, mem, 0, 64), 0);
	before = emu_usage();
	assert_int_equal(vfn_blk_readv(blk, gaps, 3, 0), 0);
	assert_int_equal(commands(nvme, OP_READ), 3);
	assert_int_equal(vfn_blk_readv(blk, pages, 3, 0), 0);
	assert_int_equal(commands(nvme, OP_READ), 4);
	emu_assert_usage(&before);
	close_blk(blk);
}

/* B1, E15 */
static void bad_arguments_send_nothing(void **state)
{
	struct emu_nvme *nvme = emu_nvme_add(NULL);
	struct vfn_blk *blk = open_blk();
	char *mem = vfn_blk_alloc(blk, PAGE);
	struct iovec iov[] = { { mem, 512 }, { NULL, 512 } };
	struct iovec huge[] = { { mem, SIZE_MAX }, { mem, 513 } };
	uint64_t fetched = emu_nvme_stats(nvme).fetched;

	assert_fails_with(vfn_blk_read(blk, mem, 0, 0), EINVAL);
	assert_fails_with(vfn_blk_read(blk, NULL, 0, 1), EINVAL);
	assert_fails_with(vfn_blk_read(blk, mem, 65536, 1), EINVAL);
	assert_fails_with(vfn_blk_read(blk, mem, 65535, 2), EINVAL);
	assert_error_has("it has 65536");
	assert_fails_with(vfn_blk_read(blk, mem, UINT64_MAX, 2), EINVAL);
	assert_fails_with(vfn_blk_read(blk, mem, 1, UINT64_MAX), EINVAL);
	assert_fails_with(vfn_blk_write(blk, mem, 0, UINT64_MAX / 512 + 1), EINVAL);
	assert_fails_with(vfn_blk_discard(blk, 65535, 2), EINVAL);
	assert_fails_with(vfn_blk_discard(blk, 0, 0), EINVAL);
	assert_fails_with(vfn_blk_write_zeroes(blk, 65535, 2), EINVAL);
	assert_fails_with(vfn_blk_readv(blk, iov, 2, 0), EINVAL);
	assert_fails_with(vfn_blk_readv(blk, iov, 0, 0), EINVAL);
	assert_fails_with(vfn_blk_readv(blk, iov, -1, 0), EINVAL);
	assert_fails_with(vfn_blk_readv(blk, NULL, 1, 0), EINVAL);
	assert_fails_with(vfn_blk_readv(blk, huge, 2, 0), EINVAL);
	iov[0].iov_len = 511;
	assert_fails_with(vfn_blk_writev(blk, iov, 1, 0), EINVAL);
	assert_fails_with(vfn_blk_pread(blk, mem, 1, 65536 * 512), EINVAL);
	assert_fails_with(vfn_blk_pread(blk, mem, 2, 65536 * 512 - 1), EINVAL);
	assert_fails_with(vfn_blk_pwrite(blk, mem, SIZE_MAX, 512), EINVAL);
	assert_fails_with(vfn_blk_pread(blk, NULL, 1, 0), EINVAL);
	assert_int_equal(emu_nvme_stats(nvme).fetched, fetched);
	/* the ends themselves */
	assert_int_equal(vfn_blk_read(blk, mem, 65535, 1), 0);
	assert_int_equal(vfn_blk_pread(blk, mem, 1, 65536 * 512 - 1), 0);
	assert_int_equal(vfn_blk_pread(blk, NULL, 0, 0), 0);
	close_blk(blk);
}

/* B3 */
static void what_is_read_only_is_not_written(void **state)
{
	const struct vfn_blk_opts opts = { .flags = VFN_BLK_RDONLY };
	struct emu_nvme *nvme = emu_nvme_add(NULL);
	struct vfn_blk *blk = open_with(EMU_BDF, &opts);
	char *mem = vfn_blk_alloc(blk, PAGE);
	uint64_t fetched = emu_nvme_stats(nvme).fetched;

	assert_fails_with(vfn_blk_write(blk, mem, 0, 1), EROFS);
	assert_fails_with(vfn_blk_discard(blk, 0, 1), EROFS);
	assert_fails_with(vfn_blk_write_zeroes(blk, 0, 1), EROFS);
	assert_fails_with(vfn_blk_pwrite(blk, mem, 1, 0), EROFS);
	assert_int_equal(emu_nvme_stats(nvme).fetched, fetched);
	assert_int_equal(vfn_blk_read(blk, mem, 0, 1), 0);
	close_blk(blk);
}

/* B6 */
static void flush_is_sent_where_there_is_a_cache(void **state)
{
	struct emu_nvme *nvme = emu_nvme_add(NULL);
	struct vfn_blk *blk = open_blk();

	assert_int_equal(vfn_blk_flush(blk), 0);
	assert_int_equal(commands(nvme, OP_FLUSH), 1);
	close_blk(blk);

	emu_nvme_identify_ctrl(nvme)[525] = 0;
	blk = open_blk();
	assert_false(info_of(blk).features & VFN_BLK_F_WRITE_CACHE);
	assert_int_equal(vfn_blk_flush(blk), 0);
	assert_int_equal(commands(nvme, OP_FLUSH), 1);
	close_blk(blk);
}

static void zeroes_and_discards_change_their_blocks_only(void **state)
{
	struct emu_nvme *nvme = emu_nvme_add(NULL);
	struct vfn_blk *blk = open_blk();
	uint8_t *disk = disk_of(nvme);

	memset(disk, 0xff, 65536 * 512);
	assert_int_equal(vfn_blk_write_zeroes(blk, 10, 3000), 0);
	assert_true(is_filled(disk, 10 * 512, 0xff));
	assert_true(is_filled(disk + 10 * 512, 3000 * 512, 0));
	assert_true(is_filled(disk + 3010 * 512, 512, 0xff));
	assert_int_equal(commands(nvme, OP_ZEROES), 3);

	memset(disk, 0xff, 65536 * 512);
	assert_int_equal(vfn_blk_discard(blk, 1, 65535), 0);
	assert_true(is_filled(disk, 512, 0xff));
	assert_true(is_filled(disk + 512, 65535 * 512, 0));
	assert_int_equal(commands(nvme, OP_DSM), 1);
	close_blk(blk);
}

/* B7 */
static void commands_that_are_not_there_have_a_fallback_or_are_enotsup(void **state)
{
	const struct vfn_blk_opts strict = { .flags = VFN_BLK_NO_FALLBACK };
	struct emu_nvme *nvme = emu_nvme_add(NULL);
	uint8_t *id = emu_nvme_identify_ctrl(nvme), *disk = disk_of(nvme);
	struct vfn_blk *blk;
	char block[512] = {};

	id[520] = id[521] = 0;
	blk = open_blk();
	memset(disk, 0xff, 65536 * 512);
	assert_int_equal(vfn_blk_write_zeroes(blk, 10, 3000), 0);
	assert_true(is_filled(disk, 10 * 512, 0xff));
	assert_true(is_filled(disk + 10 * 512, 3000 * 512, 0));
	assert_true(is_filled(disk + 3010 * 512, 512, 0xff));
	assert_int_equal(commands(nvme, OP_ZEROES), 0);
	assert_fails_with(vfn_blk_write_zeroes(blk, 65535, 2), EINVAL);
	assert_fails_with(vfn_blk_write_zeroes(blk, 0, 0), EINVAL);
	assert_fails_with(vfn_blk_discard(blk, 0, 1), ENOTSUP);
	assert_fails_with(vfn_blk_compare(blk, block, 0, 1), ENOTSUP);
	assert_fails_with(vfn_blk_verify(blk, 0, 1), ENOTSUP);
	close_blk(blk);

	blk = open_with(EMU_BDF, &strict);
	assert_fails_with(vfn_blk_write_zeroes(blk, 10, 3000), ENOTSUP);
	close_blk(blk);
}

static void compare_says_whether_blocks_are_equal(void **state)
{
	struct emu_nvme *nvme = emu_nvme_add(NULL);
	struct vfn_blk *blk = open_blk();
	char *mem = new_pages(PAGE);

	disk_of(nvme)[7 * 512 + 100] = 1;
	mem[100] = 1;
	assert_int_equal(vfn_blk_compare(blk, mem, 7, 8), 0);
	mem[PAGE - 1] = 1;
	assert_fails_with(vfn_blk_compare(blk, mem, 7, 8), EILSEQ);
	assert_error_has("Compare Failure");
	close_blk(blk);
	free(mem);
}

/* The emulated controller has no such command: what is sent is seen by its answer. */
static void verify_is_sent_where_there_is_such_a_command(void **state)
{
	struct emu_nvme *nvme = emu_nvme_add(NULL);
	struct vfn_blk *blk;
	unsigned int fault;

	emu_nvme_identify_ctrl(nvme)[520] |= 1 << 7;
	blk = open_blk();
	fault = emu_nvme_fault(nvme, &(struct emu_fault){ .kind = EMU_STATUS,
							  .qid = EMU_ANY,
							  .opcode = 0xc,
							  .status = 0x281 });
	assert_fails_with(vfn_blk_verify(blk, 3, 5), EIO);
	assert_error_has("Unrecovered Read Error");
	assert_int_equal(emu_nvme_fault_hits(nvme, fault), 1);
	close_blk(blk);
}

static void add_copy(struct emu_nvme *nvme)
{
	uint8_t *ns = emu_nvme_identify_ns(nvme, 1);

	emu_nvme_identify_ctrl(nvme)[521] |= 1;
	/* 100 blocks of a range, 80 of a command */
	ns[74] = 100;
	ns[76] = 80;
}

/* B7 */
static void blocks_are_copied_by_commands_or_through_memory(void **state)
{
	const struct vfn_blk_opts strict = { .flags = VFN_BLK_NO_FALLBACK };
	const struct vfn_blk_opts rdonly = { .flags = VFN_BLK_RDONLY };
	static const bool commands[] = { true, false };
	char *model = new_pages(DISK);
	uint64_t seed = 5;

	for (size_t i = 0; i < UNIT_ARRAY_SIZE(commands); i++) {
		struct emu_nvme *nvme;
		struct vfn_blk *blk;

		emu_fini();
		emu_init();
		nvme = emu_nvme_add(NULL);
		if (commands[i])
			add_copy(nvme);
		blk = open_with(EMU_BDF, commands[i] ? &strict : NULL);
		assert_int_equal(!!(info_of(blk).features & VFN_BLK_F_COPY), commands[i]);
		fill_random(disk_of(nvme), DISK, &seed);
		memcpy(model, disk_of(nvme), DISK);
		memcpy(model + 1024 * 512, model + 7 * 512, 1000 * 512);
		assert_int_equal(vfn_blk_copy(blk, 1024, 7, 1000), 0);
		assert_memory_equal(disk_of(nvme), model, DISK);
		memcpy(model, model + 512, 512);
		assert_int_equal(vfn_blk_copy(blk, 0, 1, 1), 0);
		assert_memory_equal(disk_of(nvme), model, DISK);
		assert_int_equal(emu_nvme_stats(nvme).io[0x19], commands[i] ? 13 + 1 : 0);

		assert_fails_with(vfn_blk_copy(blk, 0, 9, 10), EINVAL);
		assert_fails_with(vfn_blk_copy(blk, 9, 0, 10), EINVAL);
		assert_fails_with(vfn_blk_copy(blk, 0, 0, 1), EINVAL);
		assert_fails_with(vfn_blk_copy(blk, 0, 10, 0), EINVAL);
		assert_fails_with(vfn_blk_copy(blk, 0, 65530, 10), EINVAL);
		assert_fails_with(vfn_blk_copy(blk, 65530, 0, 10), EINVAL);
		close_blk(blk);
		blk = open_with(EMU_BDF, &rdonly);
		assert_fails_with(vfn_blk_copy(blk, 0, 10, 1), EROFS);
		close_blk(blk);
		if (!commands[i]) {
			blk = open_with(EMU_BDF, &strict);
			assert_fails_with(vfn_blk_copy(blk, 0, 10, 1), ENOTSUP);
			close_blk(blk);
		}
	}
	free(model);
}

/* E22 */
static void commands_of_ones_own_are_sent(void **state)
{
	struct emu_nvme *nvme = emu_nvme_add(NULL);
	union nvme_cmd cmd = { .opcode = OP_READ, .nsid = cpu_to_le32(1) };
	static char plain[8192];
	uint64_t result = 5;
	struct vfn_blk *blk = open_blk();

	memset(emu_nvme_disk(nvme, 1, NULL), 0x44, 8192);
	cmd.cdw12 = cpu_to_le32(15);
	assert_int_equal(vfn_blk_cmd(blk, &cmd, plain, 8192, NULL), 0);
	assert_true(is_filled(plain, 8192, 0x44));
	memset(plain, 0x55, sizeof(plain));
	cmd.opcode = OP_WRITE;
	assert_int_equal(vfn_blk_cmd(blk, &cmd, plain, 8192, &result), 0);
	assert_true(is_filled(emu_nvme_disk(nvme, 1, NULL), 8192, 0x55));
	assert_int_equal(result, 0);
	cmd = (union nvme_cmd){ .opcode = OP_FLUSH, .nsid = cpu_to_le32(1) };
	assert_int_equal(vfn_blk_cmd(blk, &cmd, NULL, 0, NULL), 0);
	cmd.opcode = 0x7f;
	assert_fails_with(vfn_blk_cmd(blk, &cmd, NULL, 0, NULL), ENOTSUP);
	assert_error_has("command 0x7f");
	assert_int_equal(vfn_blk_last_status() & 0x7ff, 1);
	assert_fails_with(vfn_blk_cmd(blk, NULL, NULL, 0, NULL), EINVAL);
	assert_fails_with(vfn_blk_cmd(blk, &cmd, NULL, 4, NULL), EINVAL);

	cmd = (union nvme_cmd){ .opcode = OP_IDENTIFY, .cdw10 = cpu_to_le32(1) };
	assert_int_equal(vfn_blk_admin(blk, &cmd, plain, 4096, NULL), 0);
	assert_memory_equal(plain, emu_nvme_identify_ctrl(nvme), 4096);
	/* Number of Queues */
	cmd = (union nvme_cmd){ .opcode = 0xa, .cdw10 = cpu_to_le32(7) };
	assert_int_equal(vfn_blk_admin(blk, &cmd, NULL, 0, &result), 0);
	assert_int_equal(result & 0xffff, 63);
	cmd.opcode = 0xff;
	assert_fails_with(vfn_blk_admin(blk, &cmd, NULL, 0, NULL), ENOTSUP);
	assert_error_has("admin command 0xff");
	assert_int_equal(vfn_blk_last_status() & 0x7ff, 1);
	close_blk(blk);
}

static void handle_that_is_not_written_takes_commands_that_read(void **state)
{
	const struct vfn_blk_opts rdonly = { .flags = VFN_BLK_RDONLY };
	union nvme_cmd cmd = { .opcode = OP_READ, .nsid = cpu_to_le32(1) };
	struct emu_nvme *nvme = emu_nvme_add(NULL);
	struct vfn_blk *blk = open_with(EMU_BDF, &rdonly);
	char *mem = vfn_blk_alloc(blk, PAGE);

	assert_int_equal(vfn_blk_cmd(blk, &cmd, mem, 512, NULL), 0);
	cmd.opcode = OP_WRITE;
	assert_fails_with(vfn_blk_cmd(blk, &cmd, mem, 512, NULL), EROFS);
	cmd.opcode = OP_ZEROES;
	assert_fails_with(vfn_blk_cmd(blk, &cmd, NULL, 0, NULL), EROFS);
	emu_pci_remove(emu_nvme_pci(nvme));
	cmd.opcode = OP_READ;
	assert_fails_with(vfn_blk_cmd(blk, &cmd, mem, 512, NULL), ENODEV);
	assert_fails_with(vfn_blk_admin(blk, &cmd, NULL, 0, NULL), ENODEV);
	close_blk(blk);
}

/* B2, B5, E13 */
static void status_of_a_command_is_an_errno_with_a_name(void **state)
{
	static const struct {
		uint16_t status;
		int err;
		const char *text;
	} cases[] = {
		{ 0x4281, EIO, "Unrecovered Read Error" },
		{ 0x81, ENOSPC, "Capacity Exceeded" },
		{ 0x282, EILSEQ, "Guard" },
	};
	struct emu_nvme *nvme = emu_nvme_add(NULL);
	struct vfn_blk *blk = open_blk();
	char *mem = vfn_blk_alloc(blk, PAGE);

	for (size_t i = 0; i < UNIT_ARRAY_SIZE(cases); i++) {
		emu_nvme_fault(nvme, &(struct emu_fault){ .kind = EMU_STATUS,
							  .qid = EMU_ANY,
							  .opcode = OP_READ,
							  .status = cases[i].status });
		assert_fails_with(vfn_blk_read(blk, mem, 64, 1), cases[i].err);
		assert_int_equal(vfn_blk_last_status(), cases[i].status);
		assert_error_has(cases[i].text);
		assert_error_has("64");
		/* a failure without a command */
		assert_fails_with(vfn_blk_read(blk, mem, 0, 0), EINVAL);
		assert_int_equal(vfn_blk_last_status(), 0);
		emu_nvme_clear_faults(nvme);
		assert_int_equal(vfn_blk_read(blk, mem, 0, 1), 0);
	}
	close_blk(blk);
}

static void fail_reads(struct emu_nvme *nvme, uint16_t status)
{
	emu_nvme_clear_faults(nvme);
	emu_nvme_fault(nvme, &(struct emu_fault){ .kind = EMU_STATUS,
						  .qid = EMU_ANY,
						  .opcode = OP_READ,
						  .status = status });
}

/* B4: which check of the protection information has failed */
static void protection_that_does_not_match_is_eilseq(void **state)
{
	static const struct {
		uint16_t status;
		const char *text;
	} checks[] = { { 0x282, "Guard" },
		       { 0x283, "Application Tag" },
		       { 0x284, "Reference Tag" } };
	struct emu_nvme *nvme = emu_nvme_add(NULL);
	uint8_t *ns = emu_nvme_identify_ns(nvme, 1);
	char *mem = new_pages(64 * KIB);
	struct vfn_blk *blk;

	for (uint8_t type = 1; type <= 3; type++) {
		/* formats with 8 bytes of metadata */
		ns[128] = 8;
		ns[29] = type;
		blk = open_blk();
		assert_true(info_of(blk).features & VFN_BLK_F_PI);
		memset(mem, type, 64 * KIB);
		assert_int_equal(vfn_blk_write(blk, mem, 10, 128), 0);
		memset(mem, 0, 64 * KIB);
		assert_int_equal(vfn_blk_read(blk, mem, 10, 128), 0);
		assert_true(is_filled(mem, 64 * KIB, type));
		assert_int_equal(vfn_blk_write_zeroes(blk, 10, 128), 0);
		for (size_t i = 0; i < UNIT_ARRAY_SIZE(checks); i++) {
			fail_reads(nvme, checks[i].status);
			assert_fails_with(vfn_blk_read(blk, mem, 10, 8), EILSEQ);
			assert_error_has(checks[i].text);
			assert_int_equal(vfn_blk_last_status(), checks[i].status);
		}
		close_blk(blk);
	}

	/* it is not all of the metadata, or of a kind that there is not */
	ns[128] = 16;
	assert_fails_with(vfn_blk_open(&blk, EMU_BDF, NULL), ENOTSUP);
	assert_error_has("16 bytes of metadata");
	ns[128] = 8;
	ns[29] = 4;
	assert_fails_with(vfn_blk_open(&blk, EMU_BDF, NULL), ENOTSUP);
	free(mem);
}

/* B9 */
static void namespace_that_goes_leaves_the_others_alone(void **state)
{
	const struct emu_nvme_opts two = { .nns = 2,
					   .ns = { { .blocks = 2048, .lba_size = 512 },
						   { .blocks = 2048, .lba_size = 512 } } };
	const struct vfn_blk_opts opts = { .queues = 1 };
	struct emu_nvme *nvme = emu_nvme_add(&two);
	struct vfn_blk *gone = open_with(EMU_BDF "/1", &opts);
	struct vfn_blk *stays = open_with(EMU_BDF "/2", &opts);
	char *mem = vfn_blk_alloc(stays, PAGE);

	/* the only queue of the first handle */
	emu_nvme_fault(nvme, &(struct emu_fault){ .kind = EMU_STATUS,
						  .qid = 1,
						  .opcode = EMU_ANY,
						  .count = UINT32_MAX,
						  .status = 0x400b });
	for (int i = 0; i < 3; i++) {
		assert_fails_with(vfn_blk_read(gone, mem, 0, 1), ENODEV);
		assert_error_has("Invalid Namespace");
		assert_fails_with(vfn_blk_write(gone, mem, 0, 8), ENODEV);
		assert_int_equal(vfn_blk_write(stays, mem, 0, 8), 0);
		assert_int_equal(vfn_blk_read(stays, mem, 0, 8), 0);
	}
	close_blk(gone);
	assert_int_equal(vfn_blk_read(stays, mem, 0, 1), 0);
	close_blk(stays);
}

static void namespace_without_zones_has_none(void **state)
{
	struct emu_nvme *nvme = emu_nvme_add(NULL);
	struct vfn_blk *blk = open_blk();
	struct vfn_blk_zone zone;
	char block[512];

	assert_int_equal(info_of(blk).zone_size, 0);
	assert_fails_with(vfn_blk_zone_report(blk, 0, &zone, 1), ENOTSUP);
	assert_fails_with(vfn_blk_zone_send(blk, 0, VFN_BLK_ZONE_RESET), ENOTSUP);
	assert_fails_with(vfn_blk_zone_append(blk, 0, block, 1, NULL), ENOTSUP);
	assert_error_has("no zones");
	assert_int_equal(emu_nvme_stats(nvme).io[0x79], 0);
	close_blk(blk);
}

/* A failed read of memory that is copied leaves it as it was. */
static void failed_read_leaves_plain_memory_alone(void **state)
{
	struct emu_nvme *nvme = emu_nvme_add(NULL);
	struct vfn_blk *blk = open_blk();
	char mem[512];

	memset(mem, 7, sizeof(mem));
	emu_nvme_fault(nvme, &(struct emu_fault){ .kind = EMU_STATUS,
						  .qid = EMU_ANY,
						  .opcode = OP_READ,
						  .status = 0x281 });
	assert_fails_with(vfn_blk_read(blk, mem, 0, 1), EIO);
	assert_true(is_filled(mem, sizeof(mem), 7));
	close_blk(blk);
}

static void bytes_of_any_length_at_any_offset_are_transferred(void **state)
{
	static const unsigned int sizes[] = { 512, 4096 };
	uint64_t seed = 77;

	for (size_t c = 0; c < UNIT_ARRAY_SIZE(sizes); c++) {
		const struct emu_nvme_opts opts = {
			.mdts = 1,
			.nns = 1,
			.ns = { { .blocks = DISK / sizes[c], .lba_size = sizes[c] } },
		};
		char *mem = new_pages(64 * KIB), *model = new_pages(DISK);
		struct emu_nvme *nvme;
		struct vfn_blk *blk;

		emu_fini();
		emu_init();
		nvme = emu_nvme_add(&opts);
		blk = open_blk();
		fill_random(disk_of(nvme), DISK, &seed);
		memcpy(model, disk_of(nvme), DISK);
		for (int i = 0; i < 300; i++) {
			size_t len = next_random(&seed) % (i % 2 ? 20000 : 700);
			uint64_t offset = next_random(&seed) % (DISK - len);

			fill_random(mem, len, &seed);
			memcpy(model + offset, mem, len);
			assert_int_equal(vfn_blk_pwrite(blk, mem, len, offset), 0);
			memset(mem, 0, len);
			assert_int_equal(vfn_blk_pread(blk, mem, len, offset), 0);
			assert_memory_equal(mem, model + offset, len);
		}
		assert_memory_equal(disk_of(nvme), model, DISK);
		close_blk(blk);
		free(model);
		free(mem);
	}
}

/* B15 */
static void command_that_never_completes_is_etimedout(void **state)
{
	static const bool aborts[] = { true, false };

	for (size_t i = 0; i < UNIT_ARRAY_SIZE(aborts); i++) {
		const struct emu_nvme_opts opts = { .abort_fails = !aborts[i] };
		const struct vfn_blk_opts blk_opts = { .timeout_ms = 100, .queues = 1 };
		struct emu_nvme *nvme;
		struct vfn_blk *blk;
		uint64_t start;
		char *mem;

		emu_fini();
		emu_init();
		nvme = emu_nvme_add(&opts);
		blk = open_with(EMU_BDF, &blk_opts);
		mem = vfn_blk_alloc(blk, PAGE);
		emu_nvme_fault(nvme, &(struct emu_fault){
					     .kind = EMU_LOSE, .qid = EMU_ANY, .opcode = OP_READ });
		start = emu_now();
		assert_fails_with(vfn_blk_read(blk, mem, 0, 1), ETIMEDOUT);
		assert_true(emu_now() - start >= 100 * MS);
		assert_true(emu_now() - start < (aborts[i] ? 400 * MS : 6 * SEC));
		/* the queue works, aborted or anew */
		assert_int_equal(emu_nvme_stats(nvme).admin[OP_DELETE_SQ], aborts[i] ? 0 : 1);
		assert_int_equal(vfn_blk_read(blk, mem, 0, 1), 0);
		close_blk(blk);
	}
}

/* H2 */
static void controller_that_goes_is_enodev_from_then_on(void **state)
{
	struct emu_nvme *nvme = emu_nvme_add(NULL);
	struct vfn_blk *blk = open_blk();
	char *mem = vfn_blk_alloc(blk, PAGE);
	uint64_t start;

	emu_pci_remove(emu_nvme_pci(nvme));
	start = emu_now();
	assert_fails_with(vfn_blk_read(blk, mem, 0, 1), ENODEV);
	assert_true(emu_now() - start < SEC);
	assert_fails_with(vfn_blk_write(blk, mem, 0, 1), ENODEV);
	close_blk(blk);
}

static void controller_that_fails_is_eio_from_then_on(void **state)
{
	struct emu_nvme *nvme = emu_nvme_add(NULL);
	struct vfn_blk *blk = open_blk();
	char *mem = vfn_blk_alloc(blk, PAGE);

	emu_nvme_fault(nvme,
		       &(struct emu_fault){ .kind = EMU_CFS, .qid = EMU_ANY, .opcode = OP_READ });
	assert_fails_with(vfn_blk_read(blk, mem, 0, 1), EIO);
	assert_fails_with(vfn_blk_read(blk, mem, 0, 1), EIO);
	assert_error_has("lost");
	close_blk(blk);
	/* a fresh open brings it up */
	blk = open_blk();
	mem = vfn_blk_alloc(blk, PAGE);
	assert_int_equal(vfn_blk_read(blk, mem, 0, 1), 0);
	close_blk(blk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(any_length_at_any_offset_is_transferred),
		test(lengths_beyond_mdts_take_as_many_commands_as_they_must),
		test(commands_do_not_cross_boundaries),
		test(vectors_of_any_pieces_are_transferred),
		test(vectors_take_no_copy_where_commands_describe_them),
		test(bad_arguments_send_nothing),
		test(what_is_read_only_is_not_written),
		test(flush_is_sent_where_there_is_a_cache),
		test(zeroes_and_discards_change_their_blocks_only),
		test(commands_that_are_not_there_have_a_fallback_or_are_enotsup),
		test(compare_says_whether_blocks_are_equal),
		test(verify_is_sent_where_there_is_such_a_command),
		test(blocks_are_copied_by_commands_or_through_memory),
		test(commands_of_ones_own_are_sent),
		test(handle_that_is_not_written_takes_commands_that_read),
		test(status_of_a_command_is_an_errno_with_a_name),
		test(protection_that_does_not_match_is_eilseq),
		test(namespace_that_goes_leaves_the_others_alone),
		test(namespace_without_zones_has_none),
		test(failed_read_leaves_plain_memory_alone),
		test(bytes_of_any_length_at_any_offset_are_transferred),
		test(command_that_never_completes_is_etimedout),
		test(controller_that_goes_is_enodev_from_then_on),
		test(controller_that_fails_is_eio_from_then_on),
	};

	return cmocka_run_group_tests_name("sync", tests, NULL, NULL);
}
