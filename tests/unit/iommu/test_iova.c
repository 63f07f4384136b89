// SPDX-License-Identifier: GPL-2.0-or-later
/* Which I/O virtual address memory gets: aligned, unique, never 0, and given back. */
#include "space.h"

#include <stdlib.h>

/* W12 */
static void address_zero_is_never_given_out(void **state)
{
	set_range(0, 2 * PAGE - 1);
	open_space();
	assert_int_equal(map(mem, PAGE, 0), PAGE);
	assert_fails_with(iommu_map_vaddr(ctx, mem + PAGE, PAGE, NULL, 0), ENOMEM);
	unmap(mem);
}

/* W12 */
static void address_zero_cannot_be_asked_for(void **state)
{
	assert_fails_with(try_fixed(mem, PAGE, 0), EINVAL);
}

static void address_zero_does_not_translate(void **state)
{
	void *vaddr;

	map(mem, PAGE, 0);
	assert_fails_with(iommu_translate_iova(ctx, 0, &vaddr), EINVAL);
	unmap(mem);
}

static void alignment_is_kept(void **state)
{
	iova_t iova;

	for (size_t align = PAGE; align <= 1024 * MIB; align *= 4) {
		assert_int_equal(iommu_map_vaddr_align(ctx, mem, PAGE, align, &iova, 0), 0);
		assert_true(ALIGNED(iova, align));
		unmap(mem);
	}
}

static void alignment_of_ephemeral_maps_is_kept(void **state)
{
	iova_t iova;

	assert_int_equal(iommu_map_vaddr_align(ctx, mem, PAGE, 2 * MIB, &iova, IOMMU_MAP_EPHEMERAL),
			 0);
	assert_true(ALIGNED(iova, 2 * MIB));
	unmap(mem);
	assert_false(is_mapped(mem));
}

static void alignment_that_is_none_is_refused(void **state)
{
	iova_t iova = PAGE;

	assert_fails_with(iommu_map_vaddr_align(ctx, mem, PAGE, 0, NULL, 0), EINVAL);
	assert_fails_with(iommu_map_vaddr_align(ctx, mem, PAGE, 512, NULL, 0), EINVAL);
	assert_fails_with(iommu_map_vaddr_align(ctx, mem, PAGE, 3 * PAGE, NULL, 0), EINVAL);
	assert_fails_with(iommu_map_vaddr_align(ctx, mem, PAGE, PAGE, &iova, IOMMU_MAP_FIXED_IOVA),
			  EINVAL);
}

static void alignment_beyond_the_aperture_fails(void **state)
{
	assert_fails_with(iommu_map_vaddr_align(ctx, mem, PAGE, 1ULL << 62, NULL, 0), ENOMEM);
}

/* D7 */
static void padding_before_an_aligned_map_stays_free(void **state)
{
	struct tally before;
	iova_t iova;

	set_range(0x1000, 0x200fff);
	open_space();
	before = tally();
	assert_int_equal(iommu_map_vaddr_align(ctx, mem, PAGE, 2 * MIB, &iova, 0), 0);
	assert_int_equal(iova, 2 * MIB);
	assert_int_equal(map(mem + PAGE, MIB, 0), 0x1000);
	unmap(mem);
	unmap(mem + PAGE);
	assert_tally(&before);
}

static void large_map_of_aligned_memory_gets_an_aligned_address(void **state)
{
	map(mem + MEM_BYTES - PAGE, PAGE, 0);
	assert_true(ALIGNED(map(mem, 2 * MIB, 0), 2 * MIB));
	unmap(mem);
	unmap(mem + MEM_BYTES - PAGE);
}

static void address_is_used_again_after_unmap(void **state)
{
	iova_t iova = map(mem, PAGE, 0);

	unmap(mem);
	assert_int_equal(map(mem + PAGE, PAGE, 0), iova);
	unmap(mem + PAGE);
}

/* W13 */
static void automatic_map_goes_around_a_fixed_one(void **state)
{
	iova_t iova;

	map_fixed(mem, MIB, MIB);
	iova = map(mem + BLOCK, BLOCK, 0);
	assert_true(iova + BLOCK <= MIB || iova >= 2 * MIB);
	unmap(mem);
	unmap(mem + BLOCK);
}

/* W13 */
static void address_of_a_fixed_map_is_given_out_once(void **state)
{
	struct tally before;

	set_range(0x100000, 0x103fff);
	open_space();
	before = tally();
	map_fixed(mem, PAGE, 0x102000);
	unmap(mem);
	assert_tally(&before);

	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(map(mem + i * PAGE, PAGE, 0), 0x100000 + i * PAGE);
	assert_fails_with(iommu_map_vaddr(ctx, mem + 4 * PAGE, PAGE, NULL, 0), ENOMEM);
	assert_int_equal(iommu_unmap_all(ctx), 0);
	assert_tally(&before);
}

/* W13 */
static void fixed_map_above_all_others_stays_apart(void **state)
{
	iova_t fixed = (1ULL << 39) - PAGE, iova;

	map_fixed(mem, PAGE, fixed);
	unmap(mem);
	map_fixed(mem, PAGE, fixed);
	iova = map(mem + PAGE, PAGE, IOMMU_MAP_EPHEMERAL);
	assert_int_not_equal(iova, fixed);
	unmap(mem);
	unmap(mem + PAGE);
}

/* D6 */
static void exhaustion_is_enomem_and_ends_with_an_unmap(void **state)
{
	struct tally before;

	set_range(0x100000, 0x107fff);
	open_space();
	before = tally();
	for (unsigned int i = 0; i < 8; i++)
		map(mem + i * PAGE, PAGE, i & 1 ? IOMMU_MAP_EPHEMERAL : 0);

	assert_fails_with(iommu_map_vaddr(ctx, mem + 8 * PAGE, PAGE, NULL, 0), ENOMEM);
	assert_error_has("no free range");
	unmap(mem + 3 * PAGE);
	map(mem + 8 * PAGE, PAGE, 0);

	assert_int_equal(iommu_unmap_all(ctx), 0);
	assert_tally(&before);
	assert_int_equal(map(mem, 8 * PAGE, 0), 0x100000);
	unmap(mem);
}

/* D7 */
static void fragments_do_not_make_a_large_range(void **state)
{
	set_range(0x100000, 0x107fff);
	open_space();
	for (unsigned int i = 0; i < 8; i++)
		map(mem + i * PAGE, PAGE, 0);
	for (unsigned int i = 0; i < 8; i += 2)
		unmap(mem + i * PAGE);

	assert_fails_with(iommu_map_vaddr(ctx, mem + BLOCK, 2 * PAGE, NULL, 0), ENOMEM);
	assert_fails_with(iommu_map_vaddr_align(ctx, mem + BLOCK, PAGE, 8 * KIB * KIB, NULL, 0),
			  ENOMEM);
	unmap(mem + PAGE);
	assert_int_equal(map(mem + BLOCK, 3 * PAGE, 0), 0x100000);
	assert_int_equal(iommu_unmap_all(ctx), 0);
}

/* ---- against a bitmap ---- */

#define MODEL_PAGES 48
#define MODEL_START 0x100000ULL
#define HOLE_FIRST 20
#define HOLE_END 22
#define CYCLES 100000

/* on both sides of a block's edge */
#define MODEL_MEM (mem + BLOCK - MODEL_PAGES / 2 * PAGE)

/* For each page of memory its page of addresses and the first page of its mapping, or -1. */
static struct {
	int at[MODEL_PAGES], first[MODEL_PAGES];
	bool used[MODEL_PAGES];
} model;

static bool model_free(int at, int n)
{
	if (at < 0 || at + n > MODEL_PAGES)
		return false;
	for (int i = at; i < at + n; i++)
		if (model.used[i])
			return false;

	return true;
}

static bool model_has_room(int n, int align)
{
	for (int at = 0; at < MODEL_PAGES; at += align)
		if (model_free(at, n))
			return true;

	return false;
}

static void model_set(int page, int n, int at)
{
	for (int i = 0; i < n; i++) {
		assert_false(model.used[at + i]);
		model.used[at + i] = true;
		model.at[page + i] = at + i;
		model.first[page + i] = page;
	}
}

static void model_unmap(int page)
{
	int first = model.first[page], n = 0;
	size_t len;

	assert_int_equal(iommu_unmap_vaddr(ctx, MODEL_MEM + page * PAGE + 7, &len), 0);
	for (int i = first; i < MODEL_PAGES && model.first[i] == first; i++, n++) {
		model.used[model.at[i]] = false;
		model.at[i] = model.first[i] = -1;
	}
	assert_int_equal(len, n * PAGE);
}

static void model_map(int page, int n)
{
	int align = 1 << rand() % 4, at;
	bool fixed = rand() % 4 == 0;
	iova_t iova;
	int ret;

	if (fixed) {
		at = rand() % MODEL_PAGES;
		iova = MODEL_START + (uint64_t)at * PAGE;
		ret = try_fixed(MODEL_MEM + page * PAGE, n * PAGE, iova);
		assert_int_equal(ret, model_free(at, n) ? 0 : -1);
	} else {
		ret = iommu_map_vaddr_align(ctx, MODEL_MEM + page * PAGE, n * PAGE, align * PAGE,
					    &iova, rand() & 1 ? IOMMU_MAP_EPHEMERAL : 0);
		assert_int_equal(ret, model_has_room(n, align) ? 0 : -1);
	}

	if (ret) {
		assert_true(fixed ? errno == EEXIST || errno == EINVAL : errno == ENOMEM);
		return;
	}

	assert_true(iova >= MODEL_START && (fixed || ALIGNED(iova, align * PAGE)));
	at = (int)((iova - MODEL_START) / PAGE);
	assert_true(at + n <= MODEL_PAGES);
	model_set(page, n, at);
}

static void model_check(int page)
{
	iova_t iova = 0;
	bool is = iommu_translate_vaddr(ctx, MODEL_MEM + page * PAGE + 5, &iova);

	assert_int_equal(is, model.at[page] >= 0);
	if (is)
		assert_int_equal(iova, MODEL_START + (uint64_t)model.at[page] * PAGE + 5);
}

/* The tree knows the longest free part, by which it tells where not to look. */
static void model_check_room(void)
{
	int longest = 0;

	for (int at = 0, n = 0; at < MODEL_PAGES; at++) {
		n = model.used[at] ? 0 : n + 1;
		longest = n > longest ? n : longest;
	}
	assert_int_equal(ctx->extents->max_free, longest * PAGE);
}

static void model_step(void)
{
	int page = rand() % MODEL_PAGES, n = 0, want = 1 + rand() % 6;

	model_check(page);
	model_check_room();
	if (model.at[page] >= 0) {
		model_unmap(page);
		return;
	}

	while (n < want && page + n < MODEL_PAGES && model.at[page + n] < 0)
		n++;
	model_map(page, n);
}

/* D6, D7, W13, W28 */
static void random_maps_and_unmaps_agree_with_a_bitmap(void **state)
{
	const struct emu_range ranges[] = {
		{ MODEL_START, MODEL_START + HOLE_FIRST * PAGE - 1 },
		{ MODEL_START + HOLE_END * PAGE, MODEL_START + MODEL_PAGES * PAGE - 1 },
	};
	struct tally before;

	memcpy(emu_iommu()->ranges, ranges, sizeof(ranges));
	open_space();
	before = tally();
	memset(&model, 0xff, sizeof(model));
	memset(model.used, 0, sizeof(model.used));
	for (int i = HOLE_FIRST; i < HOLE_END; i++)
		model.used[i] = true;

	srand(1);
	for (unsigned int i = 0; i < CYCLES; i++)
		model_step();

	for (int i = 0; i < MODEL_PAGES; i++)
		if (model.at[i] >= 0)
			model_unmap(i);
	assert_tally(&before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_closed(address_zero_is_never_given_out),
		test(address_zero_cannot_be_asked_for),
		test(address_zero_does_not_translate),
		test(alignment_is_kept),
		test(alignment_of_ephemeral_maps_is_kept),
		test(alignment_that_is_none_is_refused),
		test(alignment_beyond_the_aperture_fails),
		test_closed(padding_before_an_aligned_map_stays_free),
		test(large_map_of_aligned_memory_gets_an_aligned_address),
		test(address_is_used_again_after_unmap),
		test(automatic_map_goes_around_a_fixed_one),
		test_closed(address_of_a_fixed_map_is_given_out_once),
		test(fixed_map_above_all_others_stays_apart),
		test_closed(exhaustion_is_enomem_and_ends_with_an_unmap),
		test_closed(fragments_do_not_make_a_large_range),
		test_closed(random_maps_and_unmaps_agree_with_a_bitmap),
	};

	return cmocka_run_group_tests_name("iova", tests, NULL, NULL);
}
