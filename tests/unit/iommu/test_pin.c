// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory that is kept mapped for a while, whoever else has mapped parts of it. */
#include "space.h"

#include <stdlib.h>

static void pin(void *vaddr, size_t len)
{
	assert_int_equal(iommu_pin(ctx, vaddr, len), 0);
}

static void unpin(void *vaddr, size_t len)
{
	iommu_unpin(ctx, vaddr, len);
}

static void pin_maps_what_is_not_mapped(void **state)
{
	struct tally before = tally();
	iova_t iova;

	pin(mem, 3 * PAGE);
	assert_int_equal(vfn_iommu_translate(ctx, mem, 3 * PAGE, &iova), 3 * PAGE);
	assert_true(emu_iova_mapped(EMU_BDF, iova, 3 * PAGE));
	unpin(mem, 3 * PAGE);
	assert_false(is_mapped(mem));
	assert_tally(&before);
}

static void pin_of_what_is_mapped_makes_no_call(void **state)
{
	map(mem, 4 * PAGE, 0);
	emu_calls_clear();
	pin(mem + PAGE, 2 * PAGE);
	unpin(mem + PAGE, 2 * PAGE);
	assert_string_equal(emu_calls(), "");
	unmap(mem);
}

static void pin_outlives_the_unmap_of_the_owner(void **state)
{
	map(mem, 4 * PAGE, 0);
	pin(mem + PAGE, PAGE);
	unmap(mem);
	assert_true(is_mapped(mem + PAGE));
	unpin(mem + PAGE, PAGE);
	assert_false(is_mapped(mem + PAGE));
}

static void unmap_takes_no_pin(void **state)
{
	pin(mem, PAGE);
	assert_fails_with(iommu_unmap_vaddr(ctx, mem, NULL), ENOENT);
	map(mem, PAGE, 0);
	unmap(mem);
	assert_fails_with(iommu_unmap_vaddr(ctx, mem, NULL), ENOENT);
	assert_true(is_mapped(mem));
	unpin(mem, PAGE);
	assert_false(is_mapped(mem));
}

/* What the owner has unmapped counts as mapped for a while only, until it is mapped again. */
static void map_after_unmap_under_a_pin_is_the_owners(void **state)
{
	map(mem, PAGE, 0);
	pin(mem, PAGE);
	unmap(mem);
	map(mem, PAGE, 0);
	unpin(mem, PAGE);
	assert_true(is_mapped(mem));
	unmap(mem);
	assert_false(is_mapped(mem));
}

static void pin_across_maps_fills_the_gaps(void **state)
{
	map(mem + PAGE, PAGE, 0);
	map(mem + 3 * PAGE, PAGE, IOMMU_MAP_NOWRITE);
	emu_calls_clear();
	pin(mem, 6 * PAGE);
	assert_int_equal(count_maps(), 3);
	for (unsigned int i = 0; i < 6; i++)
		assert_true(is_mapped(mem + i * PAGE));

	unpin(mem, 6 * PAGE);
	for (unsigned int i = 0; i < 6; i++)
		assert_int_equal(is_mapped(mem + i * PAGE), i == 1 || i == 3);
	unmap(mem + PAGE);
	unmap(mem + 3 * PAGE);
}

static void pins_that_overlap_end_in_any_order(void **state)
{
	for (unsigned int i = 0; i < 2; i++) {
		pin(mem, 2 * PAGE);
		pin(mem + PAGE, 2 * PAGE);
		unpin(mem + i * PAGE, 2 * PAGE);
		assert_true(is_mapped(mem + (1 - i) * PAGE));
		assert_true(is_mapped(mem + (2 - i) * PAGE));
		unpin(mem + (1 - i) * PAGE, 2 * PAGE);
		assert_int_equal(emu_usage().dma_maps, 0);
	}
}

static void unpin_after_unmap_all_does_nothing(void **state)
{
	struct tally before = tally();

	pin(mem, 2 * PAGE);
	assert_int_equal(iommu_unmap_all(ctx), 0);
	emu_calls_clear();
	unpin(mem, 2 * PAGE);
	assert_string_equal(emu_calls(), "");
	assert_tally(&before);
}

#define SLOTS 8
#define PAGES 24

/* However pins overlap: in between all their pages are mapped, at the end none is. */
static void random_pins_come_out_even(void **state)
{
	struct tally before = tally();
	struct {
		char *start;
		size_t len;
	} slots[SLOTS] = {};

	srand(2);
	for (unsigned int i = 0; i < 5000; i++) {
		unsigned int n = (unsigned int)rand() % SLOTS, page = (unsigned int)rand() % PAGES;

		if (slots[n].len) {
			for (size_t at = 0; at < slots[n].len; at += PAGE)
				assert_true(is_mapped(slots[n].start + at));
			unpin(slots[n].start, slots[n].len);
			slots[n].len = 0;
			continue;
		}

		slots[n].start = mem + BLOCK + page * PAGE - PAGES / 2 * PAGE;
		slots[n].len = (1 + (unsigned int)rand() % 6) * PAGE;
		pin(slots[n].start, slots[n].len);
	}

	for (unsigned int n = 0; n < SLOTS; n++)
		if (slots[n].len)
			unpin(slots[n].start, slots[n].len);
	assert_int_equal(emu_usage().dma_maps, 0);
	assert_tally(&before);
}

static int do_pin(void *arg)
{
	return iommu_pin(ctx, mem, 6 * PAGE);
}

static void undo_pin(void *arg)
{
	unpin(mem, 6 * PAGE);
}

/* W28, W30 */
static void pin_leaves_nothing_whatever_fails(void **state)
{
	struct tally before;

	map(mem + PAGE, PAGE, 0);
	map(mem + 3 * PAGE, PAGE, 0);
	before = tally();
	assert_true(emu_fail_each(EMU_INIT, EPERM, do_pin, undo_pin, NULL) >= 3);
	assert_tally(&before);
	unmap(mem + PAGE);
	unmap(mem + 3 * PAGE);
	assert_int_equal(emu_usage().dma_maps, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(pin_maps_what_is_not_mapped),
		test(pin_of_what_is_mapped_makes_no_call),
		test(pin_outlives_the_unmap_of_the_owner),
		test(unmap_takes_no_pin),
		test(map_after_unmap_under_a_pin_is_the_owners),
		test(pin_across_maps_fills_the_gaps),
		test(pins_that_overlap_end_in_any_order),
		test(unpin_after_unmap_all_does_nothing),
		test(random_pins_come_out_even),
		test(pin_leaves_nothing_whatever_fails),
	};

	return cmocka_run_group_tests_name("pin", tests, NULL, NULL);
}
