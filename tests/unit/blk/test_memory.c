// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory for data: allocated, or registered; of any size, and none left behind. */
#include "blk.h"

static void memory_is_zeroed_mapped_and_freed(void **state)
{
	static const size_t lengths[] = { 1,	       512,	PAGE,	     PAGE + 1, MIB,
					  2 * MIB - 1, 2 * MIB, 2 * MIB + 1, 5 * MIB };
	struct emu_usage before;
	struct vfn_blk *blk;

	emu_nvme_add(NULL);
	blk = open_blk();
	before = emu_usage();
	for (size_t i = 0; i < UNIT_ARRAY_SIZE(lengths); i++) {
		const size_t len = lengths[i], pages = (len + PAGE - 1) / PAGE * PAGE;
		char *mem = vfn_blk_alloc(blk, len);

		assert_non_null(mem);
		assert_int_equal((uintptr_t)mem % (len < 2 * MIB ? PAGE : 2 * MIB), 0);
		assert_int_equal(emu_usage().dma_bytes, before.dma_bytes + pages);
		assert_int_equal(emu_usage().mmap_bytes, before.mmap_bytes + pages);
		for (size_t at = 0; at < pages; at++)
			assert_int_equal(mem[at], 0);
		memset(mem, 0xff, pages);
		assert_int_equal(vfn_blk_free(blk, mem), 0);
		emu_assert_usage(&before);
	}
	close_blk(blk);
}

static void only_what_was_allocated_is_freed(void **state)
{
	struct vfn_blk *blk, *other;
	char *mem, *mine;

	emu_nvme_add(NULL);
	blk = open_blk();
	other = open_blk();
	mem = vfn_blk_alloc(blk, 2 * PAGE);
	mine = new_pages(PAGE);
	assert_int_equal(vfn_blk_register(blk, mine, PAGE), 0);

	assert_fails_with(vfn_blk_free(blk, mem + PAGE), ENOENT);
	assert_fails_with(vfn_blk_free(other, mem), ENOENT);
	assert_fails_with(vfn_blk_free(blk, mine), ENOENT);
	assert_fails_with(vfn_blk_unregister(blk, mem), ENOENT);
	assert_int_equal(vfn_blk_free(blk, NULL), 0);
	assert_int_equal(vfn_blk_free(blk, mem), 0);
	assert_fails_with(vfn_blk_free(blk, mem), ENOENT);

	assert_int_equal(vfn_blk_unregister(blk, mine), 0);
	assert_fails_with(vfn_blk_unregister(blk, mine), ENOENT);
	free(mine);
	close_blk(other);
	close_blk(blk);
}

static void lengths_that_make_no_sense_are_refused(void **state)
{
	struct vfn_blk *blk;
	char byte;

	emu_nvme_add(NULL);
	blk = open_blk();
	assert_null_with(vfn_blk_alloc(blk, 0), EINVAL);
	assert_null(vfn_blk_alloc(blk, SIZE_MAX));
	assert_null(vfn_blk_alloc(blk, SIZE_MAX - PAGE));
	assert_null(vfn_blk_alloc(blk, PTRDIFF_MAX - 2 * MIB));
	assert_fails_with(vfn_blk_register(blk, &byte, 0), EINVAL);
	assert_fails_with(vfn_blk_register(blk, &byte, SIZE_MAX), EINVAL);
	assert_fails_with(vfn_blk_register(blk, &byte, UINT64_MAX - (uintptr_t)&byte), EINVAL);
	close_blk(blk);
}

static void registered_memory_need_not_begin_on_a_page(void **state)
{
	char *mem = new_pages(3 * PAGE);
	struct emu_usage before;
	struct vfn_blk *blk;

	emu_nvme_add(NULL);
	blk = open_blk();
	before = emu_usage();
	assert_int_equal(vfn_blk_register(blk, mem + PAGE - 1, 2), 0);
	assert_int_equal(emu_usage().dma_bytes, before.dma_bytes + 2 * PAGE);
	assert_int_equal(vfn_blk_unregister(blk, mem + PAGE - 1), 0);
	emu_assert_usage(&before);
	close_blk(blk);
	free(mem);
}

static void registering_for_two_handles_counts(void **state)
{
	char *mem = new_pages(2 * PAGE);
	struct vfn_blk *blk, *other;
	struct emu_usage before;

	emu_nvme_add(NULL);
	blk = open_blk();
	other = open_blk();
	before = emu_usage();
	assert_int_equal(vfn_blk_register(blk, mem, 2 * PAGE), 0);
	assert_int_equal(vfn_blk_register(other, mem, 2 * PAGE), 0);
	assert_int_equal(vfn_blk_register(other, mem + 16, PAGE), 0);
	assert_int_equal(vfn_blk_unregister(blk, mem), 0);
	assert_int_equal(emu_usage().dma_bytes, before.dma_bytes + 2 * PAGE);
	assert_int_equal(vfn_blk_unregister(other, mem), 0);
	assert_int_equal(emu_usage().dma_bytes, before.dma_bytes + 2 * PAGE);
	assert_int_equal(vfn_blk_unregister(other, mem + 16), 0);
	emu_assert_usage(&before);
	close_blk(other);
	close_blk(blk);
	free(mem);
}

static void close_releases_what_is_left(void **state)
{
	char *mem = new_pages(PAGE);
	struct vfn_blk *blk, *other;
	struct emu_usage before;

	emu_nvme_add(NULL);
	other = open_blk();
	before = emu_usage();
	blk = open_blk();
	for (size_t i = 1; i < 600; i++)
		assert_non_null(vfn_blk_alloc(blk, i));
	assert_int_equal(vfn_blk_register(blk, mem, PAGE), 0);
	close_blk(blk);
	emu_assert_usage(&before);
	close_blk(other);
	/* it is the caller's still */
	memset(mem, 1, PAGE);
	free(mem);
}

/* E16 */
static void many_allocations_leave_nothing(void **state)
{
	const uint64_t cycles = unit_number("CYCLES", 65536);
	struct emu_usage before;
	void *mem[16] = {};
	uint64_t seed = 16;
	struct vfn_blk *blk;

	emu_nvme_add(NULL);
	blk = open_blk();
	before = emu_usage();
	for (uint64_t i = 0; i < cycles; i++) {
		void **slot = &mem[next_random(&seed) % 16];

		assert_int_equal(vfn_blk_free(blk, *slot), 0);
		*slot = vfn_blk_alloc(blk, 1 + next_random(&seed) % (64 * KIB));
		assert_non_null(*slot);
	}
	for (int i = 0; i < 16; i++)
		assert_int_equal(vfn_blk_free(blk, mem[i]), 0);
	emu_assert_usage(&before);
	close_blk(blk);
}

static struct vfn_blk *one_blk;

static int try_to_alloc(void *arg)
{
	void **mem = arg;

	*mem = vfn_blk_alloc(one_blk, 2 * MIB);

	return *mem ? 0 : -1;
}

static void free_it(void *arg)
{
	void **mem = arg;

	assert_int_equal(vfn_blk_free(one_blk, *mem), 0);
}

static void each_step_that_fails_leaves_nothing(void **state)
{
	void *mem;

	emu_nvme_add(NULL);
	one_blk = open_blk();
	assert_true(emu_fail_each(EMU_ALLOC, ENOMEM, try_to_alloc, free_it, &mem) >= 1);
	assert_int_equal(emu_fail_each(EMU_MMAP, ENOMEM, try_to_alloc, free_it, &mem), 1);
	assert_int_equal(emu_fail_each(EMU_DMA_MAP, ENOMEM, try_to_alloc, free_it, &mem), 1);
	emu_fail_at(EMU_MMAP, 1, ENOMEM);
	assert_fails_with(try_to_alloc(&mem), ENOMEM);
	assert_error_has("cannot allocate 2097152 bytes");
	close_blk(one_blk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(memory_is_zeroed_mapped_and_freed),
		test(only_what_was_allocated_is_freed),
		test(lengths_that_make_no_sense_are_refused),
		test(registered_memory_need_not_begin_on_a_page),
		test(registering_for_two_handles_counts),
		test(close_releases_what_is_left),
		test(many_allocations_leave_nothing),
		test(each_step_that_fails_leaves_nothing),
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
