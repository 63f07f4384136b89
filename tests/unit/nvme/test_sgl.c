// SPDX-License-Identifier: GPL-2.0-or-later
/* SGLs: by I/O virtual address, of mapped memory, in callers' segments; and what nvme_rq_mapv() chooses. */
#include "bench.h"

#define SEED 0x20260801
#define SGLD_MOST 0xfffff000ULL

/* What comes out is what went in, in as few descriptors as there are; their number. */
static size_t map_vector(struct bench *b, const struct iova_vec *iov, int n)
{
	struct iova_vec copy[600];
	size_t descriptors;

	b->want.n = 0;
	for (int i = 0; i < n; i++) {
		add_range(&b->want, iov[i].iova, iov[i].len);
		copy[i] = iov[i];
	}
	b->cmd = spoilt();
	assert_int_equal(nvme_rq_mapv_iova_sgl(&b->ctrl, &b->rq, &b->cmd, copy, n), 0);
	descriptors = decode_sgl(&b->cmd, &b->lists, &b->got);
	assert_same_ranges(&b->got, &b->want);

	return descriptors;
}

static size_t map_one(struct bench *b, uint64_t iova, uint64_t len)
{
	return map_vector(b, &(struct iova_vec){ .iova = iova, .len = len }, 1);
}

static void refuse_vector(struct bench *b, struct iova_vec *iov, int n)
{
	b->cmd = spoilt();
	assert_fails_with(nvme_rq_mapv_iova_sgl(&b->ctrl, &b->rq, &b->cmd, iov, n), EINVAL);
	assert_harmless(&b->cmd);
}

static void refuse_one(struct bench *b, uint64_t iova, uint64_t len)
{
	refuse_vector(b, &(struct iova_vec){ .iova = iova, .len = len }, 1);
}

/* ---- by I/O virtual address ---- */

/* W4, K2: PSDT in the case that needs no list, too */
static void one_piece_is_in_the_command(void **state)
{
	struct bench b;
	const uint8_t *page;

	bench_new(&b, 0);
	page = b.rq.page.vaddr;
	for (uint64_t off = 0; off < 9000; off += 511) {
		assert_int_equal(map_one(&b, 0x10000 + off, 1), 0);
		assert_int_equal(map_one(&b, 0x10000 + off, 16384 - off), 0);
	}
	assert_int_equal(page[0], 0xa5);
	bench_free(&b);
}

/* P8, P12 */
static void as_many_descriptors_as_a_page_has_are_taken(void **state)
{
	static struct iova_vec iov[520];

	for (uint64_t i = 0; i < 520; i++)
		iov[i] = (struct iova_vec){ .iova = 0x100003 + (520 - i) * 8192, .len = 100 + i };

	for (int mps = 0; mps < 2; mps++) {
		int most = 256 << mps;
		struct bench b;

		bench_new(&b, mps);
		assert_int_equal(map_vector(&b, iov, 1), 0);
		assert_int_equal(map_vector(&b, iov, 2), 2);
		assert_int_equal(map_vector(&b, iov, most - 1), most - 1);
		assert_int_equal(map_vector(&b, iov, most), most);
		refuse_vector(&b, iov, most + 1);
		bench_free(&b);
	}
}

static void neighbours_share_a_descriptor(void **state)
{
	static struct iova_vec iov[600];
	struct bench b;

	bench_new(&b, 0);
	for (uint64_t i = 0; i < 600; i++)
		iov[i] = (struct iova_vec){ .iova = 0x100000 + i * 77, .len = 77 };
	assert_int_equal(map_vector(&b, iov, 600), 0);
	/* a gap in the midst, and memory that precedes what was before */
	iov[300].iova = 0x900000;
	assert_int_equal(map_vector(&b, iov, 600), 3);
	iov[300].iova = 0x100000 + 299 * 77 - 77;
	assert_int_equal(map_vector(&b, iov, 600), 3);
	bench_free(&b);
}

/* P8, W5: whatever PSDT was, it is replaced; the bits of fused commands are the caller's */
static void psdt_is_replaced(void **state)
{
	struct iova_vec iov[2] = { { .iova = 0x10000, .len = 512 }, { .iova = 0x20000, .len = 4 } };
	struct bench b;

	bench_new(&b, 0);
	for (unsigned int psdt = 0; psdt < 4; psdt++) {
		for (int n = 1; n <= 2; n++) {
			b.cmd.flags = (uint8_t)(psdt << 6 | 0x2);
			assert_int_equal(nvme_rq_mapv_iova_sgl(&b.ctrl, &b.rq, &b.cmd, iov, n), 0);
			assert_int_equal(b.cmd.flags, 0x42);
		}
		assert_fails_with(nvme_rq_mapv_iova_sgl(&b.ctrl, &b.rq, &b.cmd, iov, 0), EINVAL);
		assert_int_equal(b.cmd.flags, 0x02);
		b.cmd.flags = (uint8_t)(psdt << 6 | 0x2);
		assert_int_equal(nvme_rq_map_prp(&b.ctrl, &b.rq, &b.cmd, 0x10000, 512), 0);
		assert_int_equal(b.cmd.flags, 0x02);
	}
	bench_free(&b);
}

/* P7, W5: lengths are not cut to 32 bits */
static void pieces_of_gigabytes_are_split(void **state)
{
	struct iova_vec two[2] = {
		{ .iova = 0x10000, .len = SGLD_MOST - 1 },
		{ .iova = 0x10000 + SGLD_MOST - 1, .len = 2 },
	};
	struct bench b;

	bench_new(&b, 0);
	assert_int_equal(map_one(&b, 0x10000, SGLD_MOST), 0);
	assert_int_equal(map_one(&b, 0x10000, SGLD_MOST + 1), 2);
	assert_int_equal(map_one(&b, 0x10000, 0xffffffff), 2);
	assert_int_equal(map_one(&b, 0x10000, 1ULL << 32), 2);
	assert_int_equal(map_one(&b, 0x10000, (1ULL << 32) + 4), 2);
	assert_int_equal(map_one(&b, 0x10003, 5 * SGLD_MOST + 7), 6);
	assert_int_equal(map_vector(&b, two, 2), 2);
	assert_int_equal(map_one(&b, 0x10000, 256 * SGLD_MOST), 256);
	refuse_one(&b, 0x10000, 256 * SGLD_MOST + 1);
	refuse_one(&b, 0x10000, 1ULL << 63);
	bench_free(&b);
}

/* P10, W3 */
static void pieces_of_nothing_are_refused(void **state)
{
	struct iova_vec iov[2] = { { .iova = 0x100000, .len = 4096 }, { .iova = 0x200000 } };
	struct bench b;

	bench_new(&b, 0);
	refuse_vector(&b, iov, 2);
	refuse_vector(&b, iov + 1, 1);
	refuse_vector(&b, iov, 0);
	refuse_vector(&b, iov, -1);
	refuse_vector(&b, iov, INT32_MIN);
	refuse_vector(&b, NULL, 1);
	refuse_one(&b, UINT64_MAX - 4095, 4097);
	refuse_one(&b, 0x1000, UINT64_MAX);
	bench_free(&b);
}

/* W4: a single piece, too */
static void dwords_are_kept_where_the_controller_says_so(void **state)
{
	struct iova_vec iov[3];
	struct bench b;

	bench_new(&b, 0);
	b.ctrl.flags = NVME_CTRL_F_SGLS_SUPPORTED | NVME_CTRL_F_SGLS_DWORD_ALIGNMENT;
	for (uint64_t off = 1; off < 4; off++) {
		refuse_one(&b, 0x10000 + off, 512);
		refuse_one(&b, 0x10000, 512 - off);
		refuse_one(&b, 0x10000, SGLD_MOST + off);
		for (int bad = 0; bad < 3; bad++) {
			for (uint64_t i = 0; i < 3; i++)
				iov[i] = (struct iova_vec){ .iova = i << 16 | 4, .len = 8 };
			map_vector(&b, iov, 3);
			iov[bad].iova += off;
			refuse_vector(&b, iov, 3);
			iov[bad].iova -= off;
			iov[bad].len += off;
			refuse_vector(&b, iov, 3);
		}
		b.ctrl.flags = NVME_CTRL_F_SGLS_SUPPORTED;
		map_vector(&b, iov, 3);
		map_one(&b, 0x10000 + off, 512 - off);
		b.ctrl.flags |= NVME_CTRL_F_SGLS_DWORD_ALIGNMENT;
	}
	/* it is descriptors that have to be aligned */
	iov[0] = (struct iova_vec){ .iova = 0x10000, .len = 6 };
	iov[1] = (struct iova_vec){ .iova = 0x10006, .len = 2 };
	assert_int_equal(map_vector(&b, iov, 2), 0);
	assert_int_equal(map_one(&b, 0x10004, 4), 0);
	bench_free(&b);
}

static void random_vectors_decode_to_themselves(void **state)
{
	unsigned int taken = 0, refused = 0;
	uint64_t seed = SEED;

	print_message("# seed 0x%x\n", SEED);
	for (int i = 0; i < 4000; i++) {
		struct iova_vec iov[400];
		int n = (int)(next_random(&seed) % 400) + 1, runs = 1;
		struct bench b;

		bench_new(&b, i % 2);
		iov[0].iova = next_random(&seed) % (1ULL << 50) + 1;
		for (int k = 0; k < n; k++) {
			if (k) {
				iov[k].iova = iov[k - 1].iova + iov[k - 1].len;
				if (next_random(&seed) % 4) {
					iov[k].iova = next_random(&seed) % (1ULL << 50) + 1;
					runs++;
				}
			}
			iov[k].len = next_random(&seed) % 70000 + 1;
		}
		if (runs <= 256 << i % 2) {
			assert_int_equal(map_vector(&b, iov, n), runs == 1 ? 0 : runs);
			taken++;
		} else {
			refuse_vector(&b, iov, n);
			refused++;
		}
		bench_free(&b);
	}
	assert_true(taken > 2000 && refused > 200);
}

/* ---- memory of the caller's for the segment ---- */

static void segment_of_the_callers_lies_where_it_says(void **state)
{
	struct iova_vec iov[257];
	struct bench b;

	bench_new(&b, 0);
	for (uint64_t i = 0; i < 257; i++)
		iov[i] = (struct iova_vec){ .iova = 0x100000 + i * 8192, .len = 512 };
	for (uint64_t off = 1; off < 8; off++) {
		b.cmd = spoilt();
		assert_fails_with(nvme_mapv_iova_sgl(&b.ctrl, b.rq.page.vaddr, LIST_IOVA + off,
						     &b.cmd, iov, 2),
				  EINVAL);
		assert_harmless(&b.cmd);
	}
	b.cmd = spoilt();
	b.lists.iova = 0x123458;
	assert_int_equal(nvme_mapv_iova_sgl(&b.ctrl, b.rq.page.vaddr, 0x123458, &b.cmd, iov, 256),
			 0);
	assert_int_equal(decode_sgl(&b.cmd, &b.lists, &b.got), 256);
	assert_fails_with(nvme_mapv_iova_sgl(&b.ctrl, b.rq.page.vaddr, 0x123458, &b.cmd, iov, 257),
			  EINVAL);
	bench_free(&b);
}

/* K2 */
static void no_segment_is_needed_for_contiguous_data(void **state)
{
	struct iova_vec iov[2] = { { .iova = 0x1000, .len = 8 }, { .iova = 0x1008, .len = 8 } };
	struct bench b;

	bench_new(&b, 0);
	b.cmd = spoilt();
	assert_int_equal(nvme_mapv_iova_sgl(&b.ctrl, NULL, 0, &b.cmd, iov, 2), 0);
	assert_int_equal(decode_sgl(&b.cmd, &b.lists, &b.got), 0);
	iov[1].iova = 0x2000;
	assert_fails_with(nvme_mapv_iova_sgl(&b.ctrl, NULL, 0, &b.cmd, iov, 2), EINVAL);
	assert_harmless(&b.cmd);
	bench_free(&b);
}

/* ---- mapped memory ---- */

static const struct emu_nvme_opts with_sgls = { .sgls = 1, .no_mdts = true };
static const struct emu_nvme_opts with_dword_sgls = { .sgls = 2, .no_mdts = true };

static void check(const union nvme_cmd *cmd, struct nvme_rq *rq, const struct range *want, size_t n)
{
	struct ranges all = {}, got = {};
	struct lists lists = lists_of(rq);
	size_t descriptors;

	for (size_t i = 0; i < n; i++)
		add_range(&all, want[i].start, want[i].len);
	descriptors = decode_sgl(cmd, &lists, &got);
	assert_same_ranges(&got, &all);
	assert_int_equal(descriptors, all.n > 1 ? all.n : 0);
	free(all.r);
	free(got.r);
}

static void piece_across_mappings_follows_all(void **state)
{
	const struct range want[] = { { 0x40100c01, 0x3ff }, { 0x40900000, 0x1201 } };
	const struct range together[] = { { 0x40100c01, 0x1600 } };
	char *mem = new_pages(4 * PAGE);
	union nvme_cmd cmd = spoilt();
	struct nvme_rq *rq;
	struct machine m;
	struct iovec iov;

	start_pair(&m, &with_sgls, 8);
	rq = nvme_rq_acquire(m.sq);
	iov = (struct iovec){ mem + 0xc01, 0x1600 };
	map_at(&m, mem, PAGE, 0x40100000);
	map_at(&m, mem + PAGE, 3 * PAGE, 0x40900000);
	assert_int_equal(nvme_rq_mapv_sgl(&m.ctrl, rq, &cmd, &iov, 1), 0);
	check(&cmd, rq, want, 2);

	/* two mappings whose addresses follow each other */
	unmap(&m, mem + PAGE);
	map_at(&m, mem + PAGE, 3 * PAGE, 0x40101000);
	cmd = spoilt();
	assert_int_equal(nvme_rq_mapv_sgl(&m.ctrl, rq, &cmd, &iov, 1), 0);
	check(&cmd, rq, together, 1);

	unmap(&m, mem);
	unmap(&m, mem + PAGE);
	free(mem);
	stop(&m);
}

/* P9 */
static void piece_that_is_not_all_mapped_is_a_fault(void **state)
{
	char *mem = new_pages(3 * PAGE);
	struct nvme_rq *rq;
	struct machine m;

	start_pair(&m, &with_sgls, 8);
	rq = nvme_rq_acquire(m.sq);
	map_at(&m, mem + PAGE, PAGE, 0x40100000);
	for (size_t from = 0; from < 3 * PAGE; from += 1021) {
		struct iovec iov[2] = { { m.buf.vaddr, 513 }, { mem + from, PAGE } };

		for (int n = 1; n <= 2; n++) {
			union nvme_cmd cmd = spoilt();

			assert_fails_with(nvme_rq_mapv_sgl(&m.ctrl, rq, &cmd, iov + 2 - n, n),
					  EFAULT);
			assert_harmless(&cmd);
			cmd = spoilt();
			assert_fails_with(nvme_rq_mapv(&m.ctrl, rq, &cmd, iov + 2 - n, n), EFAULT);
			assert_harmless(&cmd);
			cmd = spoilt();
			assert_fails_with(nvme_mapv_sgl(&m.ctrl, m.buf.vaddr, m.buf.iova, &cmd,
							iov + 2 - n, n),
					  EFAULT);
			assert_harmless(&cmd);
		}
	}
	unmap(&m, mem + PAGE);
	free(mem);
	stop(&m);
}

static void no_memory_is_refused(void **state)
{
	struct iovec iov[2];
	struct nvme_rq *rq;
	struct machine m;

	start_pair(&m, &with_sgls, 8);
	rq = nvme_rq_acquire(m.sq);
	iov[0] = (struct iovec){ m.buf.vaddr, PAGE };
	for (int i = 0; i < 5; i++) {
		int n = (int[]){ 2, 2, 0, -2, 1 }[i];
		union nvme_cmd cmd = spoilt();

		iov[1] = (struct iovec){ m.buf.vaddr, i ? SIZE_MAX : 0 };
		assert_fails_with(nvme_rq_mapv_sgl(&m.ctrl, rq, &cmd, n == 1 ? NULL : iov, n),
				  EINVAL);
		assert_harmless(&cmd);
		cmd = spoilt();
		assert_fails_with(nvme_rq_mapv(&m.ctrl, rq, &cmd, n == 1 ? NULL : iov, n), EINVAL);
		assert_harmless(&cmd);
	}
	stop(&m);
}

enum {
	MAPS = 4,
	PAGES = 16,
	MAP_LEN = PAGES * PAGE
};

/* Later memory has the lower address. */
static uint64_t iova_of(size_t offset)
{
	return 0x50000000 + (MAPS - offset / MAP_LEN) * 0x1000000 + offset % MAP_LEN;
}

/* Random pieces of four mappings, read and written by a controller that checks every rule. */
static void random_vectors_arrive(const struct emu_nvme_opts *opts, size_t unit)
{
	char *mem = new_pages(MAPS * MAP_LEN), *model = new_pages(MAPS * MAP_LEN);
	uint64_t seed = SEED;
	struct nvme_rq *rq;
	struct machine m;
	char *disk;

	print_message("# seed 0x%x\n", SEED);
	start_pair(&m, opts, 8);
	disk = emu_nvme_disk(m.nvme, 1, NULL);
	for (size_t i = 0; i < MAPS; i++)
		map_at(&m, mem + i * MAP_LEN, MAP_LEN, iova_of(i * MAP_LEN));
	rq = nvme_rq_acquire(m.sq);

	for (int i = 0; i < 300; i++) {
		size_t left = (next_random(&seed) % 60 + 1) * 512, done = 0, blocks = left / 512;
		size_t n = 0, at = 0;
		union nvme_cmd cmd = rw_cmd(i % 2 ? OP_READ : OP_WRITE, 7, (unsigned int)blocks);
		struct iovec iov[61];

		fill_random(mem, MAPS * MAP_LEN, &seed);
		fill_random(disk + 7 * 512, left, &seed);
		memcpy(model, mem, MAPS * MAP_LEN);
		for (; left; n++) {
			size_t len = next_random(&seed) % 1500 / unit * unit + unit;

			/* never twice the same memory */
			at += next_random(&seed) % 2000 / unit * unit;
			len = len < left && n < 60 ? len : left;
			iov[n] = (struct iovec){ mem + at, len };
			if (i % 2)
				memcpy(model + at, disk + 7 * 512 + done, len);
			at += len;
			done += len;
			left -= len;
		}
		assert_int_equal(nvme_rq_mapv(&m.ctrl, rq, &cmd, iov, (int)n), 0);
		assert_int_equal(cmd.flags, 0x40);
		nvme_rq_exec(rq, &cmd);
		assert_int_equal(nvme_rq_spin(rq, NULL), 0);
		assert_memory_equal(mem, model, MAPS * MAP_LEN);
		for (size_t k = 0, from = 7 * 512; k < n; from += iov[k++].iov_len)
			assert_memory_equal(iov[k].iov_base, disk + from, iov[k].iov_len);
	}

	for (size_t i = 0; i < MAPS; i++)
		unmap(&m, mem + i * MAP_LEN);
	free(mem);
	free(model);
	stop(&m);
}

static void random_vectors_of_bytes_arrive(void **state)
{
	random_vectors_arrive(&with_sgls, 1);
}

static void random_vectors_of_dwords_arrive(void **state)
{
	random_vectors_arrive(&with_dword_sgls, 4);
}

/* ---- the choice ---- */

enum way {
	NO_WAY,
	BY_PRPS,
	BY_SGL
};

static void expect(struct machine *m, struct nvme_sq *sq, struct iovec *iov, int n, enum way want)
{
	union nvme_cmd cmd = spoilt();
	struct nvme_rq *rq = nvme_rq_acquire(sq);

	errno = 0;
	if (want == NO_WAY) {
		assert_fails_with(nvme_rq_mapv(&m->ctrl, rq, &cmd, iov, n), EINVAL);
		assert_harmless(&cmd);
	} else {
		assert_int_equal(nvme_rq_mapv(&m->ctrl, rq, &cmd, iov, n), 0);
		assert_int_equal(cmd.flags >> 6, want == BY_SGL);
	}
	nvme_rq_release(rq);
}

static void choice_is_by_controller_and_queue(void **state)
{
	/* SGLS, and what becomes of a piece for both, for SGLs only, for PRPs only */
	static const struct {
		uint32_t sgls;
		enum way any, off_pages, off_dwords;
	} cases[] = {
		{ 0, BY_PRPS, NO_WAY, BY_PRPS },
		{ 1, BY_SGL, BY_SGL, BY_SGL },
		{ 2, BY_SGL, BY_SGL, BY_PRPS },
		{ 4, BY_PRPS, NO_WAY, BY_PRPS },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct emu_nvme_opts opts = { .sgls = cases[i].sgls };
		struct iovec any, off_pages[2], off_dwords;
		struct machine m;

		emu_fini();
		emu_init();
		start_pair(&m, &opts, 8);
		any = (struct iovec){ m.buf.vaddr, PAGE };
		off_pages[0] = (struct iovec){ m.buf.vaddr, 512 };
		off_pages[1] = (struct iovec){ (char *)m.buf.vaddr + 2 * PAGE, 512 };
		off_dwords = (struct iovec){ m.buf.vaddr, 3 };
		expect(&m, m.sq, &any, 1, cases[i].any);
		expect(&m, m.sq, off_pages, 2, cases[i].off_pages);
		expect(&m, m.sq, &off_dwords, 1, cases[i].off_dwords);
		expect(&m, m.ctrl.adminq.sq, &any, 1, BY_PRPS);
		expect(&m, m.ctrl.adminq.sq, off_pages, 2, NO_WAY);
		stop(&m);
	}
}

/* The controller would object to an SGL. */
static void admin_command_has_prps(void **state)
{
	union nvme_cmd cmd = identify_cmd();
	struct nvme_rq *rq;
	struct machine m;
	struct iovec iov;

	start_pair(&m, &with_sgls, 8);
	iov = (struct iovec){ m.buf.vaddr, 4096 };
	rq = nvme_rq_acquire(m.ctrl.adminq.sq);
	assert_int_equal(nvme_rq_mapv(&m.ctrl, rq, &cmd, &iov, 1), 0);
	nvme_rq_exec(rq, &cmd);
	assert_int_equal(nvme_rq_spin(rq, NULL), 0);
	nvme_rq_release(rq);
	assert_int_equal(((uint8_t *)m.buf.vaddr)[536], 1);
	stop(&m);
}

/* A command whose data could not be described, sent all the same, touches nothing. */
static void command_without_data_pointer_is_harmless(void **state)
{
	union nvme_cmd cmd = rw_cmd(OP_READ, 0, 1);
	struct iovec iov = { (void *)(PAGE * 16), 512 };
	struct nvme_rq *rq;
	struct machine m;

	start_pair(&m, &with_sgls, 8);
	rq = nvme_rq_acquire(m.sq);
	assert_fails_with(nvme_rq_mapv(&m.ctrl, rq, &cmd, &iov, 1), EFAULT);
	emu_expect_violation("unmapped IOVA 0x0");
	nvme_rq_exec(rq, &cmd);
	assert_fails_with(nvme_rq_spin(rq, NULL), EIO);
	nvme_rq_release(rq);
	stop(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_piece_is_in_the_command),
		cmocka_unit_test(as_many_descriptors_as_a_page_has_are_taken),
		cmocka_unit_test(neighbours_share_a_descriptor),
		cmocka_unit_test(psdt_is_replaced),
		cmocka_unit_test(pieces_of_gigabytes_are_split),
		cmocka_unit_test(pieces_of_nothing_are_refused),
		cmocka_unit_test(dwords_are_kept_where_the_controller_says_so),
		cmocka_unit_test(random_vectors_decode_to_themselves),
		cmocka_unit_test(segment_of_the_callers_lies_where_it_says),
		cmocka_unit_test(no_segment_is_needed_for_contiguous_data),
		test(piece_across_mappings_follows_all),
		test(piece_that_is_not_all_mapped_is_a_fault),
		test(no_memory_is_refused),
		test(random_vectors_of_bytes_arrive),
		test(random_vectors_of_dwords_arrive),
		test(choice_is_by_controller_and_queue),
		test(admin_command_has_prps),
		test(command_without_data_pointer_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
