// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory that is mapped, a portion at a time, when its address is first asked for. */
#include "space.h"

#include <pthread.h>
#include <stdlib.h>

#define PORTION (4 * PAGE)
/* The last portion is a short one. */
#define LEN (3 * PORTION + PAGE)

static void defer(void *vaddr)
{
	assert_int_equal(iommu_defer_vaddr(ctx, vaddr, LEN, PORTION), 0);
}

static void undefer(void *vaddr)
{
	assert_int_equal(iommu_undefer_vaddr(ctx, vaddr), 0);
}

/* Without asking. */
static bool in_table(char *vaddr, size_t len)
{
	unsigned int bits;
	iova_t iova;

	return iommu_table_lookup(ctx, vaddr, len, &iova, &bits) == len &&
	       emu_iova_mapped(EMU_BDF, iova, len);
}

static void nothing_is_mapped_before_it_is_asked_for(void **state)
{
	const struct tally before = tally();

	defer(mem);
	assert_int_equal(count_maps(), 0);
	assert_tally(&before);
	undefer(mem);
	assert_tally(&before);
}

static bool by_translation(char *vaddr)
{
	return is_mapped(vaddr);
}

static bool by_length(char *vaddr)
{
	iova_t iova;

	return vfn_iommu_translate(ctx, vaddr, 1, &iova);
}

static bool by_map(char *vaddr)
{
	iova_t iova = 0;

	return !iommu_map_vaddr(ctx, vaddr, 1, &iova, 0) && iova;
}

static bool by_pin(char *vaddr)
{
	char *page = vaddr - (uintptr_t)vaddr % PAGE;

	if (iommu_pin(ctx, page, PAGE))
		return false;
	iommu_unpin(ctx, page, PAGE);

	return true;
}

static bool (*const ways[])(char *vaddr) = { by_translation, by_length, by_map, by_pin };

#define EACH_WAY(i) (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)

static void who_asks_gets_the_portion_and_no_more(void **state)
{
	static const size_t offsets[] = { 0,	   PAGE - 1,	    PORTION - 1,
					  PORTION, 3 * PORTION - 1, 3 * PORTION,
					  LEN - 1 };
	const struct tally before = tally();

	for
		EACH_WAY(i)
		{
			for (size_t k = 0; k < sizeof(offsets) / sizeof(*offsets); k++) {
				size_t start = ALIGN_DOWN(offsets[k], PORTION);
				size_t len = start == 3 * PORTION ? PAGE : PORTION;

				defer(mem);
				emu_calls_clear();
				for (int again = 0; again < 2; again++)
					assert_true(ways[i](mem + offsets[k]));
				assert_int_equal(count_maps(), 1);
				assert_true(in_table(mem + start, len));
				assert_true(!start || !in_table(mem + start - PAGE, PAGE));
				assert_false(in_table(mem + start + len, PAGE));
				undefer(mem);
				assert_false(in_table(mem + start, PAGE));
				assert_tally(&before);
			}
		}
}

static void what_is_beside_it_is_not_mapped(void **state)
{
	defer(mem + PORTION);
	for
		EACH_WAY(i)
		{
			if (ways[i] == by_map || ways[i] == by_pin)
				continue;
			assert_false(ways[i](mem + PORTION - 1));
			assert_false(ways[i](mem + PORTION + LEN));
		}
	assert_false(iommu_is_deferred(ctx, mem + PORTION - 1, 1));
	assert_true(iommu_is_deferred(ctx, mem + PORTION, LEN));
	assert_false(iommu_is_deferred(ctx, mem + PORTION + 1, LEN));
	assert_false(iommu_is_deferred(ctx, mem + PORTION + LEN, 1));
	assert_int_equal(count_maps(), 0);
	undefer(mem + PORTION);
	assert_false(is_mapped(mem + PORTION));
	assert_false(iommu_is_deferred(ctx, mem + PORTION, 1));
}

static void several_do_not_disturb_each_other(void **state)
{
	const struct tally before = tally();
	char *at[] = { mem, mem + LEN, mem + 2 * LEN };

	for (int gone = 0; gone < 3; gone++) {
		for (int i = 0; i < 3; i++)
			defer(at[i]);
		assert_true(is_mapped(at[gone] + PORTION));
		assert_true(is_mapped(at[(gone + 1) % 3] + PORTION));
		undefer(at[gone]);
		assert_false(is_mapped(at[gone] + PORTION));
		assert_true(in_table(at[(gone + 1) % 3] + PORTION, PORTION));
		assert_true(is_mapped(at[(gone + 2) % 3]));
		undefer(at[(gone + 1) % 3]);
		undefer(at[(gone + 2) % 3]);
		assert_tally(&before);
	}
}

static void other_maps_of_it_are_refused(void **state)
{
	defer(mem);
	assert_fails_with(try_fixed(mem, PAGE, 0x1000000), EEXIST);
	assert_fails_with(iommu_map_vaddr(ctx, mem, PAGE, NULL, IOMMU_MAP_NOWRITE), EEXIST);
	assert_fails_with(iommu_reserve_vaddr(ctx, mem, PAGE, NULL, 0), EEXIST);
	undefer(mem);
}

static void failure_leaves_it_to_the_next_one(void **state)
{
	const struct tally before = tally();

	for
		EACH_WAY(i)
		{
			unsigned int n = 0;
			bool failed;

			do {
				defer(mem);
				emu_fail_at(EMU_INIT, ++n, ENOMEM);
				failed = !ways[i](mem + PORTION);
				assert_int_equal(failed, emu_fail_fired());
				emu_fail_at(0, 0, 0);
				assert_true(ways[i](mem + PORTION));
				undefer(mem);
				assert_tally(&before);
			} while (failed);
			assert_true(n > 1);
		}
	emu_fail_at(EMU_ALLOC, 1, ENOMEM);
	assert_fails_with(iommu_defer_vaddr(ctx, mem, LEN, PORTION), ENOMEM);
}

static void what_the_kernel_keeps_is_reported(void **state)
{
	defer(mem);
	assert_true(is_mapped(mem));
	emu_fail_at(EMU_DMA_UNMAP, 1, EINVAL);
	assert_int_equal(iommu_undefer_vaddr(ctx, mem), -1);
	emu_fail_at(0, 0, 0);
	assert_true(in_table(mem, PORTION));
	unmap(mem);
	assert_false(is_mapped(mem));
}

/* ---- threads ---- */

static pthread_barrier_t gate;

static void *ask(void *arg)
{
	size_t *missing = arg;

	(void)pthread_barrier_wait(&gate);
	for (size_t at = 0; at < LEN; at += PAGE)
		*missing += !is_mapped(mem + at);

	return NULL;
}

static void threads_that_ask_at_a_time_map_it_once(void **state)
{
	size_t missing[4] = {};
	pthread_t threads[4];

	assert_int_equal(pthread_barrier_init(&gate, NULL, 4), 0);
	for (int round = 0; round < 20; round++) {
		defer(mem);
		emu_calls_clear();
		for (int i = 0; i < 4; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, ask, &missing[i]), 0);
		for (int i = 0; i < 4; i++)
			assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(missing[0] + missing[1] + missing[2] + missing[3], 0);
		assert_int_equal(count_maps(), 4);
		undefer(mem);
	}
	pthread_barrier_destroy(&gate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(nothing_is_mapped_before_it_is_asked_for),
		test(who_asks_gets_the_portion_and_no_more),
		test(what_is_beside_it_is_not_mapped),
		test(several_do_not_disturb_each_other),
		test(other_maps_of_it_are_refused),
		test(failure_leaves_it_to_the_next_one),
		test(what_the_kernel_keeps_is_reported),
		test(threads_that_ask_at_a_time_map_it_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
