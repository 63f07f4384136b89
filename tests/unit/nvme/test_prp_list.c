// SPDX-License-Identifier: GPL-2.0-or-later
/* PRPs of mapped memory, and lists in pages of the caller's, chained. */
#include "decode.h"

#define SEED 0x20260716

/* Memory of the test's, mapped piece by piece with gaps between the addresses. */
struct area {
	char *vaddr;
	size_t len;
};

static void get_area(struct area *area, size_t len)
{
	area->vaddr = new_pages(len);
	area->len = len;
}

static void check(const union nvme_cmd *cmd, const struct lists *lists, const struct range *want,
		  size_t n)
{
	struct ranges all = {}, got = {};
	uint64_t len = 0;

	for (size_t i = 0; i < n; i++) {
		add_range(&all, want[i].start, want[i].len);
		len += want[i].len;
	}
	decode_prps(cmd, len, lists, &got);
	assert_same_ranges(&got, &all);
	free(all.r);
	free(got.r);
}

/* ---- memory by its address in the process ---- */

/* W6 */
static void piece_across_two_mappings_follows_both(void **state)
{
	const struct range want[] = { { 0x40100c00, 0x400 }, { 0x40900000, 0x1200 } };
	union nvme_cmd cmd = spoilt();
	struct nvme_rq *rq;
	struct area area;
	struct lists lists;
	struct machine m;
	struct iovec iov;

	start_pair(&m, NULL, 8);
	get_area(&area, 4 * PAGE);
	map_at(&m, area.vaddr, PAGE, 0x40100000);
	map_at(&m, area.vaddr + PAGE, 3 * PAGE, 0x40900000);

	iov = (struct iovec){ area.vaddr + 0xc00, 0x1600 };
	rq = nvme_rq_acquire(m.sq);
	lists = lists_of(rq);
	assert_int_equal(nvme_rq_mapv_prp(&m.ctrl, rq, &cmd, &iov, 1), 0);
	check(&cmd, &lists, want, 2);

	cmd = spoilt();
	assert_int_equal(nvme_rq_mapv(&m.ctrl, rq, &cmd, &iov, 1), 0);
	check(&cmd, &lists, want, 2);

	unmap(&m, area.vaddr);
	unmap(&m, area.vaddr + PAGE);
	free(area.vaddr);
	stop(&m);
}

/* D5, P9, W6 */
static void piece_that_is_half_unmapped_is_a_fault(void **state)
{
	union nvme_cmd cmd;
	struct nvme_rq *rq;
	struct area area;
	struct machine m;

	start_pair(&m, NULL, 8);
	get_area(&area, 4 * PAGE);
	map_at(&m, area.vaddr + PAGE, 2 * PAGE, 0x40100000);
	rq = nvme_rq_acquire(m.sq);

	for (int from = 0; from < 4; from++) {
		for (int to = from + 1; to <= 4; to++) {
			struct iovec iov = {
				area.vaddr + (size_t)from * PAGE,
				(size_t)(to - from) * PAGE,
			};

			cmd = spoilt();
			if (from >= 1 && to <= 3) {
				assert_int_equal(nvme_rq_mapv_prp(&m.ctrl, rq, &cmd, &iov, 1), 0);
				continue;
			}
			assert_fails_with(nvme_rq_mapv_prp(&m.ctrl, rq, &cmd, &iov, 1), EFAULT);
			assert_harmless(&cmd);
		}
	}
	unmap(&m, area.vaddr + PAGE);
	free(area.vaddr);
	stop(&m);
}

/* P1, P10, W3 */
static void pieces_of_nothing_are_refused(void **state)
{
	struct iovec iov[2] = { { NULL, 0 }, { NULL, 0 } };
	union nvme_cmd cmd;
	struct nvme_rq *rq;
	struct machine m;

	start_pair(&m, NULL, 8);
	rq = nvme_rq_acquire(m.sq);
	iov[0] = (struct iovec){ m.buf.vaddr, PAGE };
	iov[1] = (struct iovec){ m.buf.vaddr, 0 };

	cmd = spoilt();
	assert_fails_with(nvme_rq_mapv_prp(&m.ctrl, rq, &cmd, iov, 0), EINVAL);
	assert_harmless(&cmd);
	assert_fails_with(nvme_rq_mapv_prp(&m.ctrl, rq, &cmd, iov, -2), EINVAL);
	assert_fails_with(nvme_rq_mapv_prp(&m.ctrl, rq, &cmd, NULL, 1), EINVAL);
	assert_fails_with(nvme_rq_mapv_prp(&m.ctrl, rq, &cmd, iov, 2), EINVAL);
	iov[1] = (struct iovec){ m.buf.vaddr, SIZE_MAX };
	assert_fails_with(nvme_rq_mapv_prp(&m.ctrl, rq, &cmd, iov, 2), EINVAL);
	assert_harmless(&cmd);
	stop(&m);
}

/* P7, W3 */
static void pieces_of_gigabytes_are_refused(void **state)
{
	static const size_t lens[] = { 1UL << 31, 1UL << 32, (1UL << 32) + PAGE, SIZE_MAX / 2 };
	struct nvme_rq *rq;
	struct machine m;

	start_pair(&m, NULL, 8);
	rq = nvme_rq_acquire(m.sq);
	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		struct iovec iov = { m.buf.vaddr, lens[i] };
		union nvme_cmd cmd = spoilt();

		errno = 0;
		assert_int_equal(nvme_rq_mapv_prp(&m.ctrl, rq, &cmd, &iov, 1), -1);
		assert_true(errno == EFAULT || errno == EINVAL);
		assert_harmless(&cmd);
	}
	stop(&m);
}

/* P3 */
static void piece_off_a_dword_is_refused(void **state)
{
	union nvme_cmd cmd = spoilt();
	struct iovec iov;
	struct machine m;

	start_pair(&m, NULL, 8);
	iov = (struct iovec){ (char *)m.buf.vaddr + 2, 512 };
	assert_fails_with(nvme_rq_mapv_prp(&m.ctrl, nvme_rq_acquire(m.sq), &cmd, &iov, 1), EINVAL);
	assert_harmless(&cmd);
	stop(&m);
}

enum {
	MAPS = 4,
	PAGES = 64
};

/* Later memory has the lower address. */
static uint64_t iova_of_map(size_t i)
{
	return 0x50000000 + (MAPS - i) * 0x1000000;
}

/* Random pieces of four mappings, checked against the addresses that the test chose. */
static void random_pieces_of_mapped_memory_decode_to_themselves(void **state)
{
	uint64_t seed = SEED;
	struct nvme_rq *rq;
	struct lists lists;
	struct area area;
	struct machine m;

	print_message("# seed 0x%x\n", SEED);
	start_pair(&m, NULL, 8);
	get_area(&area, MAPS * PAGES * PAGE);
	for (size_t i = 0; i < MAPS; i++)
		map_at(&m, area.vaddr + i * PAGES * PAGE, PAGES * PAGE, iova_of_map(i));
	rq = nvme_rq_acquire(m.sq);
	lists = lists_of(rq);

	for (int i = 0; i < 5000; i++) {
		size_t from = next_random(&seed) % (area.len - 4) & ~3UL;
		size_t len = next_random(&seed) % (area.len - from) + 1, at = from, left = len;
		struct iovec iov = { area.vaddr + from, len };
		union nvme_cmd cmd = spoilt();
		struct range want[MAPS];
		size_t n = 0;

		for (; left; n++) {
			size_t map = at / (PAGES * PAGE), in = at % (PAGES * PAGE);
			size_t part = PAGES * PAGE - in < left ? PAGES * PAGE - in : left;

			want[n] = (struct range){ iova_of_map(map) + in, part };
			at += part;
			left -= part;
		}
		assert_int_equal(nvme_rq_mapv_prp(&m.ctrl, rq, &cmd, &iov, 1), 0);
		check(&cmd, &lists, want, n);
	}

	for (size_t i = 0; i < MAPS; i++)
		unmap(&m, area.vaddr + i * PAGES * PAGE);
	free(area.vaddr);
	stop(&m);
}

/* ---- lists of the caller's ---- */

/* P5: n pages hold (n - 1) * 511 + 512 entries, and the command one more */
static void chained_lists_hold_what_they_say(void **state)
{
	for (int npages = 1; npages <= 4; npages++) {
		uint64_t entries = (uint64_t)(npages - 1) * 511 + 512;
		static const uint64_t try[] = {
			1, 2, 3, 511, 512, 513, 514, 1023, 1024, 1025, 1536,
		};
		struct lists lists;
		union nvme_cmd cmd;
		struct range want;
		struct machine m;

		start_pair(&m, NULL, 8);
		lists = (struct lists){ m.buf.vaddr, m.buf.iova, (uint64_t)npages * PAGE, PAGE,
					NULL };
		for (size_t i = 0; i < sizeof(try) / sizeof(*try); i++) {
			want = (struct range){ 0x4000000, try[i] * PAGE };
			cmd = spoilt();
			memset(m.buf.vaddr, 0xa5, (size_t)npages * PAGE);
			if (try[i] > entries + 1) {
				assert_fails_with(nvme_map_prp(&m.ctrl, m.buf.vaddr, npages, &cmd,
							       want.start, want.len),
						  EINVAL);
				assert_harmless(&cmd);
				continue;
			}
			assert_int_equal(nvme_map_prp(&m.ctrl, m.buf.vaddr, npages, &cmd,
						      want.start, want.len),
					 0);
			check(&cmd, &lists, &want, 1);
		}
		want = (struct range){ 0x4000ffc, entries * PAGE + 4 };
		assert_int_equal(nvme_map_prp(&m.ctrl, m.buf.vaddr, npages, &cmd, want.start,
					      want.len),
				 0);
		check(&cmd, &lists, &want, 1);
		assert_fails_with(nvme_map_prp(&m.ctrl, m.buf.vaddr, npages, &cmd, want.start,
					       want.len + 1),
				  EINVAL);
		stop(&m);
		emu_fini();
		emu_init();
	}
}

static void chained_lists_of_random_vectors_decode_to_themselves(void **state)
{
	enum {
		NPAGES = 3,
		MAX = 200
	};
	uint64_t seed = SEED;
	struct lists lists;
	struct machine m;

	print_message("# seed 0x%x\n", SEED);
	start_pair(&m, NULL, 8);
	lists = (struct lists){ m.buf.vaddr, m.buf.iova, NPAGES * PAGE, PAGE, NULL };
	for (int i = 0; i < 1500; i++) {
		int n = (int)(next_random(&seed) % MAX) + 1;
		struct iova_vec iov[MAX];
		struct range want[MAX];
		union nvme_cmd cmd = spoilt();

		for (int k = 0; k < n; k++) {
			uint64_t off = k ? 0 : next_random(&seed) % PAGE & ~3ULL;
			uint64_t cut = k < n - 1 ? 0 : next_random(&seed) % (PAGE - off);

			want[k].start = (next_random(&seed) % 1000000 + 1) * PAGE + off;
			want[k].len = (next_random(&seed) % 7 + 1) * PAGE - off - cut;
			iov[k] = (struct iova_vec){ .iova = want[k].start, .len = want[k].len };
		}
		assert_int_equal(nvme_mapv_iova_prp(&m.ctrl, m.buf.vaddr, NPAGES, &cmd, iov, n), 0);
		check(&cmd, &lists, want, (size_t)n);
	}
	stop(&m);
}

static void chained_list_of_mapped_memory_is_read_by_the_controller(void **state)
{
	const size_t len = 1024 * PAGE;
	union nvme_cmd cmd = rw_cmd(OP_READ, 0, len / 4096);
	const struct emu_nvme_opts opts = {
		.no_mdts = true,
		.ns = { { .blocks = 2048, .lba_size = 4096 } },
		.nns = 1,
	};
	uint64_t seed = SEED;
	struct area area;
	struct machine m;
	struct iovec iov;
	struct nvme_rq *rq;

	start_pair(&m, &opts, 8);
	fill_random(emu_nvme_disk(m.nvme, 1, NULL), len, &seed);
	get_area(&area, len + PAGE);
	map_at(&m, area.vaddr, len + PAGE, 0x48000000);
	iov = (struct iovec){ area.vaddr + 0x204, len };

	rq = nvme_rq_acquire(m.sq);
	assert_int_equal(nvme_mapv_prp(&m.ctrl, m.buf.vaddr, 3, &cmd, &iov, 1), 0);
	nvme_rq_exec(rq, &cmd);
	assert_int_equal(nvme_rq_spin(rq, NULL), 0);
	nvme_rq_release(rq);
	assert_memory_equal(area.vaddr + 0x204, emu_nvme_disk(m.nvme, 1, NULL), len);
	assert_int_equal(area.vaddr[0x203], 0);
	assert_int_equal(area.vaddr[0x204 + len], 0);
	unmap(&m, area.vaddr);
	free(area.vaddr);
	stop(&m);
}

static void list_that_is_no_good_is_refused(void **state)
{
	union nvme_cmd cmd;
	struct machine m;
	leint64_t *list;
	char *unmapped = new_pages(2 * PAGE);
	struct iovec iov;

	start_pair(&m, NULL, 8);
	list = m.buf.vaddr;
	iov = (struct iovec){ m.buf.vaddr, PAGE };

	cmd = spoilt();
	assert_fails_with(nvme_map_prp(&m.ctrl, list, 0, &cmd, 0x10000, PAGE), EINVAL);
	assert_harmless(&cmd);
	cmd = spoilt();
	assert_fails_with(nvme_mapv_prp(&m.ctrl, list, -1, &cmd, &iov, 1), EINVAL);
	assert_harmless(&cmd);
	cmd = spoilt();
	assert_fails_with(nvme_map_prp(&m.ctrl, (leint64_t *)unmapped, 1, &cmd, 0x10000, PAGE),
			  EFAULT);
	assert_harmless(&cmd);
	assert_fails_with(nvme_map_prp(&m.ctrl, list, BUF_LEN / PAGE + 1, &cmd, 0x10000, PAGE),
			  EFAULT);
	assert_fails_with(nvme_map_prp(&m.ctrl, list + 1, 1, &cmd, 0x10000, PAGE), EINVAL);
	assert_fails_with(nvme_mapv_prp(&m.ctrl, list, 1, &cmd, &iov, 0), EINVAL);
	assert_fails_with(nvme_mapv_iova_prp(&m.ctrl, list, 1, &cmd, NULL, 1), EINVAL);
	free(unmapped);
	stop(&m);
}

/* A command whose data could not be described, sent all the same, touches nothing. */
static void command_without_data_pointer_is_harmless(void **state)
{
	union nvme_cmd cmd = rw_cmd(OP_READ, 0, 1);
	struct nvme_cqe cqe;
	struct nvme_rq *rq;
	struct machine m;

	start_pair(&m, NULL, 8);
	rq = nvme_rq_acquire(m.sq);
	assert_fails_with(nvme_rq_map_prp(&m.ctrl, rq, &cmd, 0x10001, 512), EINVAL);
	emu_expect_violation("unmapped IOVA 0x0");
	nvme_rq_exec(rq, &cmd);
	assert_fails_with(nvme_rq_spin(rq, &cqe), EIO);
	assert_false(nvme_cqe_ok(&cqe));
	nvme_rq_release(rq);
	stop(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(piece_across_two_mappings_follows_both),
		test(piece_that_is_half_unmapped_is_a_fault),
		test(pieces_of_nothing_are_refused),
		test(pieces_of_gigabytes_are_refused),
		test(piece_off_a_dword_is_refused),
		test(random_pieces_of_mapped_memory_decode_to_themselves),
		test(chained_lists_hold_what_they_say),
		test(chained_lists_of_random_vectors_decode_to_themselves),
		test(chained_list_of_mapped_memory_is_read_by_the_controller),
		test(list_that_is_no_good_is_refused),
		test(command_without_data_pointer_is_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
