// SPDX-License-Identifier: GPL-2.0-or-later
/* PRPs in a request's page, by I/O virtual address: no device, no mapping, only arithmetic. */
#include "bench.h"

#define SEED 0x20260715

static void spoil_command(struct bench *b)
{
	memset(&b->cmd, 0xff, sizeof(b->cmd));
}

static void want_range(struct bench *b, uint64_t start, uint64_t len)
{
	b->want.n = 0;
	add_range(&b->want, start, len);
}

static void check(struct bench *b, uint64_t len)
{
	decode_prps(&b->cmd, len, &b->lists, &b->got);
	assert_same_ranges(&b->got, &b->want);
}

static void map_one(struct bench *b, uint64_t iova, uint64_t len)
{
	spoil_command(b);
	assert_int_equal(nvme_rq_map_prp(&b->ctrl, &b->rq, &b->cmd, iova, len), 0);
	want_range(b, iova, len);
	check(b, len);
}

static void refuse_one(struct bench *b, uint64_t iova, uint64_t len)
{
	spoil_command(b);
	assert_fails_with(nvme_rq_map_prp(&b->ctrl, &b->rq, &b->cmd, iova, len), EINVAL);
	assert_harmless(&b->cmd);
}

static void map_vector(struct bench *b, struct iova_vec *iov, int n)
{
	uint64_t len = 0;

	b->want.n = 0;
	for (int i = 0; i < n; i++) {
		add_range(&b->want, iov[i].iova, iov[i].len);
		len += iov[i].len;
	}
	spoil_command(b);
	assert_int_equal(nvme_rq_mapv_iova_prp(&b->ctrl, &b->rq, &b->cmd, iov, n), 0);
	check(b, len);
}

static void refuse_vector(struct bench *b, struct iova_vec *iov, int n)
{
	spoil_command(b);
	assert_fails_with(nvme_rq_mapv_iova_prp(&b->ctrl, &b->rq, &b->cmd, iov, n), EINVAL);
	assert_harmless(&b->cmd);
}

/* ---- one piece ---- */

/* P5, P12: entries from 1 to those of a full list and the command's own */
static void list_lengths_at_their_boundaries_are_exact(void **state)
{
	static const unsigned int pages[] = { 1, 2, 3, 511, 512, 513 };

	for (int mps = 0; mps <= 4; mps++) {
		struct bench b;
		uint64_t page, slots;

		bench_new(&b, mps);
		page = b.lists.page;
		slots = page / 8;
		for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++) {
			uint64_t n = pages[i] < 511 ? pages[i] : slots + pages[i] - 512;

			map_one(&b, 16 * page, n * page);
			map_one(&b, 16 * page, n * page - 4);
			map_one(&b, 17 * page - 4, (n - 1) * page + 4);
		}
		refuse_one(&b, 16 * page, (slots + 1) * page + 4);
		refuse_one(&b, 16 * page + 4, (slots + 1) * page);
		map_one(&b, 16 * page + 4, (slots + 1) * page - 4);
		bench_free(&b);
	}
}

static void two_pages_need_no_list(void **state)
{
	struct bench b;

	bench_new(&b, 0);
	map_one(&b, 0x10000, 8192);
	assert_int_equal(le64_to_cpu(b.cmd.dptr.prp2), 0x11000);
	map_one(&b, 0x10ffc, 4100);
	assert_int_equal(le64_to_cpu(b.cmd.dptr.prp2), 0x11000);
	map_one(&b, 0x10000, 4096);
	assert_int_equal(b.cmd.dptr.prp2, 0);
	map_one(&b, 0x10000, 8196);
	assert_int_equal(le64_to_cpu(b.cmd.dptr.prp2), LIST_IOVA);
	bench_free(&b);
}

/* P3, W3 */
static void start_off_a_dword_is_refused(void **state)
{
	struct bench b;

	bench_new(&b, 0);
	for (uint64_t off = 1; off < 4; off++) {
		refuse_one(&b, 0x10000 + off, 512);
		refuse_one(&b, 0x10ffc + off, 8192);
	}
	bench_free(&b);
}

/* P1: any length from a byte on, for the controller to judge */
static void length_off_a_dword_is_covered(void **state)
{
	struct bench b;

	bench_new(&b, 0);
	for (uint64_t len = 1; len < 10; len++) {
		map_one(&b, 0x10000, len);
		map_one(&b, 0x10ffc, 4096 + len);
		map_one(&b, 0x10000, 3 * 4096 + len);
	}
	bench_free(&b);
}

/* P7, W3, K9 */
static void lengths_of_gigabytes_are_refused(void **state)
{
	static const uint64_t lens[] = {
		0,	    1ULL << 31,		 (1ULL << 31) + 4096, (1ULL << 32) - 4096,
		1ULL << 32, (1ULL << 32) + 4096, 1ULL << 43,	      1ULL << 63,
		UINT64_MAX, UINT64_MAX - 4095,
	};
	struct bench b;

	bench_new(&b, 0);
	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		struct iova_vec two[2] = {
			{ .iova = 0x10000, .len = 4096 },
			{ .iova = 0x20000, .len = lens[i] },
		};

		refuse_one(&b, 0x10000, lens[i]);
		refuse_vector(&b, two, 2);
	}
	bench_free(&b);
}

/* W3 */
static void piece_at_the_end_of_addresses_does_not_wrap(void **state)
{
	const uint64_t last = UINT64_MAX - 4095;
	struct bench b;

	bench_new(&b, 0);
	map_one(&b, last, 4092);
	map_one(&b, last - 8192, 8192);
	refuse_one(&b, last, 4097);
	refuse_one(&b, last - 4096, UINT64_MAX - 100);
	bench_free(&b);
}

/* P12 */
static void random_pieces_decode_to_themselves(void **state)
{
	uint64_t seed = SEED;
	struct bench b;

	print_message("# seed 0x%x\n", SEED);
	for (int mps = 0; mps <= 3; mps++) {
		bench_new(&b, mps);
		for (int i = 0; i < 3000; i++) {
			uint64_t iova = (next_random(&seed) & 0xfffffffffcULL) + 4;
			uint64_t len = next_random(&seed) % (600 * b.lists.page) + 1;
			uint64_t slots = b.lists.page / 8;
			uint64_t first = b.lists.page - iova % b.lists.page;
			uint64_t entries = len <= first ? 0 : (len - first - 1) / b.lists.page + 1;

			if (i % 3 == 0)
				len = len % (3 * b.lists.page) + 1, entries = 0;
			if (entries > slots)
				refuse_one(&b, iova, len);
			else
				map_one(&b, iova, len);
		}
		bench_free(&b);
	}
}

/* ---- several pieces ---- */

/* P6, W1 */
static void last_piece_longer_than_a_page_is_covered_to_its_end(void **state)
{
	struct bench b;

	bench_new(&b, 0);
	for (uint64_t len = 4; len < 4 * 4096; len += 124) {
		struct iova_vec iov[2] = {
			{ .iova = 0x100000, .len = 4096 },
			{ .iova = 0x200000, .len = len },
		};

		map_vector(&b, iov, 2);
	}
	bench_free(&b);
}

/* W1, K1: the case that was seen */
static void piece_of_a_page_and_a_half_takes_two_entries(void **state)
{
	struct iova_vec iov[2] = {
		{ .iova = 0x100000, .len = 0x1000 },
		{ .iova = 0x200000, .len = 0x1800 },
	};
	const leint64_t *list;
	struct bench b;

	bench_new(&b, 0);
	map_vector(&b, iov, 2);
	list = b.rq.page.vaddr;
	assert_int_equal(le64_to_cpu(b.cmd.dptr.prp1), 0x100000);
	assert_int_equal(le64_to_cpu(list[0]), 0x200000);
	assert_int_equal(le64_to_cpu(list[1]), 0x201000);
	bench_free(&b);
}

/* W2, P4 */
static void first_piece_that_ends_within_a_page_is_refused(void **state)
{
	static const uint64_t lens[] = { 4, 512, 4092, 4100, 8188 };
	struct bench b;

	bench_new(&b, 0);
	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		struct iova_vec iov[2] = {
			{ .iova = 0x100000, .len = lens[i] },
			{ .iova = 0x200000, .len = 4096 },
		};

		refuse_vector(&b, iov, 2);
	}
	bench_free(&b);
}

/* W2: but it may start anywhere */
static void first_piece_that_starts_within_a_page_is_taken(void **state)
{
	struct iova_vec iov[2] = {
		{ .iova = 0x100e00, .len = 512 },
		{ .iova = 0x200000, .len = 4096 },
	};
	struct bench b;

	bench_new(&b, 0);
	map_vector(&b, iov, 2);
	bench_free(&b);
}

/* P4 */
static void inner_piece_off_its_pages_is_refused(void **state)
{
	struct iova_vec iov[3] = {
		{ .iova = 0x100000, .len = 4096 },
		{ .iova = 0x200000, .len = 4096 },
		{ .iova = 0x300000, .len = 4096 },
	};
	struct bench b;

	bench_new(&b, 0);
	map_vector(&b, iov, 3);
	iov[1].iova += 4;
	refuse_vector(&b, iov, 3);
	iov[1] = (struct iova_vec){ .iova = 0x200000, .len = 4092 };
	refuse_vector(&b, iov, 3);
	iov[1].len = 4096;
	iov[2].iova += 512;
	refuse_vector(&b, iov, 3);
	bench_free(&b);
}

/* P10, W3 */
static void vector_of_nothing_is_refused(void **state)
{
	struct iova_vec iov[2] = {
		{ .iova = 0x100000, .len = 4096 },
		{ .iova = 0x200000, .len = 0 },
	};
	struct bench b;

	bench_new(&b, 0);
	refuse_vector(&b, iov, 0);
	refuse_vector(&b, iov, -1);
	refuse_vector(&b, iov, INT32_MIN);
	refuse_vector(&b, NULL, 1);
	refuse_vector(&b, iov, 2);
	bench_free(&b);
}

static void vector_of_as_many_pages_as_fit_is_taken(void **state)
{
	static struct iova_vec iov[514];
	struct bench b;

	bench_new(&b, 0);
	for (uint64_t i = 0; i < 514; i++)
		iov[i] = (struct iova_vec){ .iova = 0x100000 + (514 - i) * 8192, .len = 4096 };
	map_vector(&b, iov, 513);
	map_vector(&b, iov, 512);
	refuse_vector(&b, iov, 514);
	bench_free(&b);
}

/* What the specification lets PRPs express, said once more. */
static bool expressible(const struct iova_vec *iov, int n, uint64_t page)
{
	uint64_t entries = 0;

	for (int i = 0; i < n; i++) {
		uint64_t end = iov[i].iova + iov[i].len;

		if (i && iov[i].iova % page)
			return false;
		if (i < n - 1 && end % page)
			return false;
		entries += (end - 1) / page - iov[i].iova / page + 1;
	}

	return entries - 1 <= page / 8;
}

static struct iova_vec random_piece(uint64_t *seed, uint64_t page, bool first, bool last)
{
	uint64_t iova = (next_random(seed) % 100000 + 1) * page;
	uint64_t pages = next_random(seed) % 20 + 1, len = pages * page;
	uint64_t cut = next_random(seed) % page & ~3ULL;

	/* one in a hundred is no good */
	if (first || next_random(seed) % 100 == 0) {
		iova += cut;
		len -= cut;
	}
	if (last || next_random(seed) % 100 == 0)
		len -= next_random(seed) % (len < page ? len : page);

	return (struct iova_vec){ .iova = iova, .len = len };
}

/* P6, P12 */
static void random_vectors_decode_to_themselves(void **state)
{
	unsigned int taken = 0, refused = 0;
	uint64_t seed = SEED;

	print_message("# seed 0x%x\n", SEED);
	for (int i = 0; i < 8000; i++) {
		struct iova_vec iov[60];
		int n = (int)(next_random(&seed) % 60) + 1;
		struct bench b;

		bench_new(&b, i % 3);
		for (int k = 0; k < n; k++)
			iov[k] = random_piece(&seed, b.lists.page, k == 0, k == n - 1);
		if (expressible(iov, n, b.lists.page)) {
			map_vector(&b, iov, n);
			taken++;
		} else {
			refuse_vector(&b, iov, n);
			refused++;
		}
		bench_free(&b);
	}
	assert_true(taken > 2000 && refused > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_lengths_at_their_boundaries_are_exact),
		cmocka_unit_test(two_pages_need_no_list),
		cmocka_unit_test(start_off_a_dword_is_refused),
		cmocka_unit_test(length_off_a_dword_is_covered),
		cmocka_unit_test(lengths_of_gigabytes_are_refused),
		cmocka_unit_test(piece_at_the_end_of_addresses_does_not_wrap),
		cmocka_unit_test(random_pieces_decode_to_themselves),
		cmocka_unit_test(last_piece_longer_than_a_page_is_covered_to_its_end),
		cmocka_unit_test(piece_of_a_page_and_a_half_takes_two_entries),
		cmocka_unit_test(first_piece_that_ends_within_a_page_is_refused),
		cmocka_unit_test(first_piece_that_starts_within_a_page_is_taken),
		cmocka_unit_test(inner_piece_off_its_pages_is_refused),
		cmocka_unit_test(vector_of_nothing_is_refused),
		cmocka_unit_test(vector_of_as_many_pages_as_fit_is_taken),
		cmocka_unit_test(random_vectors_decode_to_themselves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
