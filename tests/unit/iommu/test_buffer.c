// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory that is allocated and mapped in one. */
#include "space.h"

#include <stdio.h>

static void dmabuf_is_zeroed_mapped_and_whole_pages(void **state)
{
	static const char zeroes[2 * PAGE];
	struct iommu_dmabuf buffer;
	iova_t iova;

	assert_int_equal(iommu_get_dmabuf(ctx, &buffer, PAGE + 1, 0), 0);
	assert_ptr_equal(buffer.ctx, ctx);
	assert_int_equal(buffer.len, 2 * PAGE);
	assert_memory_equal(buffer.vaddr, zeroes, 2 * PAGE);
	assert_true(iommu_translate_vaddr(ctx, buffer.vaddr, &iova));
	assert_int_equal(iova, buffer.iova);
	assert_true(emu_iova_mapped(EMU_BDF, buffer.iova, 2 * PAGE));
	iommu_put_dmabuf(&buffer);
}

/* D18 */
static void dmabuf_is_kept_from_children(void **state)
{
	__autovar_s(iommu_dmabuf) buffer = {};
	char call[32];

	assert_int_equal(iommu_get_dmabuf(ctx, &buffer, PAGE, 0), 0);
	snprintf(call, sizeof(call), "madvise %d", MADV_DONTFORK);
	assert_int_equal(emu_call_count(call), 1);
}

/* L8 */
static void dmabuf_can_be_left_out_of_core_dumps(void **state)
{
	__autovar_s(iommu_dmabuf) buffer = {};

	assert_int_equal(iommu_get_dmabuf(ctx, &buffer, 2 * PAGE + 1, 0), 0);
	assert_int_equal(madvise(buffer.vaddr, (size_t)buffer.len, MADV_DONTDUMP), 0);
}

static void put_dmabuf_leaves_all_zero(void **state)
{
	static const struct iommu_dmabuf none;
	struct emu_usage before = emu_usage();
	struct iommu_dmabuf buffer;

	assert_int_equal(iommu_get_dmabuf(ctx, &buffer, PAGE, 0), 0);
	iommu_put_dmabuf(&buffer);
	assert_memory_equal(&buffer, &none, sizeof(none));
	emu_assert_usage(&before);
}

/* W16 */
static void put_dmabuf_of_none_does_nothing(void **state)
{
	struct iommu_dmabuf buffer = {};

	emu_calls_clear();
	iommu_put_dmabuf(&buffer);
	iommu_put_dmabuf(&buffer);
	assert_string_equal(emu_calls(), "");
}

/* W16 */
static void get_dmabuf_that_fails_leaves_all_zero(void **state)
{
	static const struct iommu_dmabuf none;
	struct iommu_dmabuf buffer;

	memset(&buffer, 0xff, sizeof(buffer));
	assert_fails_with(iommu_get_dmabuf(ctx, &buffer, 0, 0), EINVAL);
	assert_memory_equal(&buffer, &none, sizeof(none));

	memset(&buffer, 0xff, sizeof(buffer));
	emu_fail_at(EMU_DMA_MAP, 1, ENOMEM);
	assert_fails_with(iommu_get_dmabuf(ctx, &buffer, PAGE, 0), ENOMEM);
	assert_memory_equal(&buffer, &none, sizeof(none));
	iommu_put_dmabuf(&buffer);
}

static void get_dmabuf_at_a_fixed_address_is_refused(void **state)
{
	struct iommu_dmabuf buffer;

	assert_fails_with(iommu_get_dmabuf(ctx, &buffer, PAGE, IOMMU_MAP_FIXED_IOVA), EINVAL);
	assert_int_equal(buffer.len, 0);
}

static void get_dmabuf_passes_its_flags(void **state)
{
	__autovar_s(iommu_dmabuf) buffer = {};

	assert_int_equal(iommu_get_dmabuf(ctx, &buffer, PAGE, IOMMU_MAP_NOWRITE), 0);
	assert_fails_with(iommu_map_vaddr(ctx, buffer.vaddr, PAGE, NULL, 0), EEXIST);
}

static int get_and_put(void)
{
	__autovar_s(iommu_dmabuf) buffer = {};

	return iommu_get_dmabuf(ctx, &buffer, PAGE, 0);
}

/* W16 */
static void autovar_dmabuf_is_released_with_its_scope(void **state)
{
	struct emu_usage before = emu_usage();

	assert_int_equal(get_and_put(), 0);
	emu_assert_usage(&before);
	emu_fail_at(EMU_MMAP, 1, ENOMEM);
	assert_fails_with(get_and_put(), ENOMEM);
	emu_assert_usage(&before);
}

static int do_get(void *arg)
{
	return iommu_get_dmabuf(ctx, arg, 3 * PAGE, 0);
}

static void undo_get(void *arg)
{
	iommu_put_dmabuf(arg);
}

/* W30 */
static void get_dmabuf_leaves_nothing_whatever_fails(void **state)
{
	struct tally before = tally();
	struct iommu_dmabuf buffer;

	assert_true(emu_fail_each(EMU_INIT, EPERM, do_get, undo_get, &buffer) >= 3);
	assert_tally(&before);
}

/* W16, W17: a device could still write to it */
static void put_dmabuf_that_cannot_unmap_keeps_the_memory(void **state)
{
	struct iommu_dmabuf buffer;
	void *vaddr;

	assert_int_equal(iommu_get_dmabuf(ctx, &buffer, PAGE, 0), 0);
	vaddr = buffer.vaddr;
	emu_fail_at(EMU_DMA_UNMAP, 1, EBUSY);
	iommu_put_dmabuf(&buffer);
	assert_int_equal(buffer.len, 0);
	assert_int_equal(emu_usage().mmaps, 1);

	unmap(vaddr);
	assert_int_equal(vfn_pgunmap(vaddr, PAGE), 0);
}

/* ---- both addresses the same ---- */

static void *alloc_same(size_t len)
{
	void *vaddr = iommu_alloc_same_iova(ctx, len);
	iova_t iova = 0;

	assert_non_null(vaddr);
	assert_true(iommu_translate_vaddr(ctx, vaddr, &iova));
	assert_int_equal(iova, same_iova(vaddr));

	return vaddr;
}

static void same_iova_where_the_kernel_puts_memory(void **state)
{
	static const char zeroes[2 * PAGE];
	void *vaddr;

	set_range(0, UINT64_MAX);
	open_space();
	vaddr = alloc_same(PAGE + 1);
	assert_memory_equal(vaddr, zeroes, 2 * PAGE);
	assert_int_equal(iommu_free_same_iova(ctx, vaddr), 0);
}

/* Addresses that sanitizers and valgrind leave to programs. */
static void same_iova_where_the_iommu_can_reach(void **state)
{
	struct tally before;
	char *a, *b;

	set_range(0x10000000, 0x1fffffff);
	open_space();
	before = tally();
	a = alloc_same(MIB);
	b = alloc_same(MIB);
	assert_in_range((uintptr_t)a, 0x10000000, 0x1fffffff);
	assert_true(a + MIB <= b || b + MIB <= a);
	a[0] = b[MIB - 1] = 1;
	assert_int_equal(iommu_free_same_iova(ctx, a), 0);
	assert_int_equal(iommu_free_same_iova(ctx, b), 0);
	assert_tally(&before);
}

static void same_iova_without_a_common_place_is_enomem(void **state)
{
	struct emu_usage before;

	/* no process has memory there */
	set_range(1ULL << 60, (1ULL << 60) + MIB - 1);
	open_space();
	before = emu_usage();
	assert_null_with(iommu_alloc_same_iova(ctx, PAGE), ENOMEM);
	emu_assert_usage(&before);
}

static void same_iova_of_an_impossible_size_is_refused(void **state)
{
	assert_null_with(iommu_alloc_same_iova(ctx, 0), EINVAL);
	assert_null_with(iommu_alloc_same_iova(ctx, SIZE_MAX), EINVAL);
	assert_null_with(iommu_alloc_same_iova(NULL, PAGE), EINVAL);
}

static void free_same_iova_of_what_is_not_mapped_is_enoent(void **state)
{
	assert_fails_with(iommu_free_same_iova(ctx, mem), ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(dmabuf_is_zeroed_mapped_and_whole_pages),
		test(dmabuf_is_kept_from_children),
		test(dmabuf_can_be_left_out_of_core_dumps),
		test(put_dmabuf_leaves_all_zero),
		test(put_dmabuf_of_none_does_nothing),
		test(get_dmabuf_that_fails_leaves_all_zero),
		test(get_dmabuf_at_a_fixed_address_is_refused),
		test(get_dmabuf_passes_its_flags),
		test(autovar_dmabuf_is_released_with_its_scope),
		test(get_dmabuf_leaves_nothing_whatever_fails),
		test(put_dmabuf_that_cannot_unmap_keeps_the_memory),
		test_closed(same_iova_where_the_kernel_puts_memory),
		test_closed(same_iova_where_the_iommu_can_reach),
		test_closed(same_iova_without_a_common_place_is_enomem),
		test(same_iova_of_an_impossible_size_is_refused),
		test(free_same_iova_of_what_is_not_mapped_is_enoent),
	};

	return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
