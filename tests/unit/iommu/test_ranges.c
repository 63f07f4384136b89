// SPDX-License-Identifier: GPL-2.0-or-later
/* What the kernel reports of usable addresses is normalised, and never trusted. */
#include "space.h"

static void set_ranges(const struct emu_range *ranges, unsigned int n)
{
	memcpy(emu_iommu()->ranges, ranges, n * sizeof(*ranges));
	emu_iommu()->nranges = n;
}

#define report(...) \
	do { \
		static const struct emu_range __ranges[] = { __VA_ARGS__ }; \
		set_ranges(__ranges, UNIT_ARRAY_SIZE(__ranges)); \
	} while (0)

static void assert_range(int i, int n, uint64_t start, uint64_t last)
{
	struct iommu_iova_range *ranges;

	assert_int_equal(iommu_get_iova_ranges(ctx, &ranges), n);
	assert_int_equal(ranges[i].start, start);
	assert_int_equal(ranges[i].last, last);
}

static void ranges_are_those_of_the_kernel(void **state)
{
	open_space();
	assert_range(0, 2, 0, 0xfedfffff);
	assert_range(1, 2, 0xfef00000, (1ULL << 39) - 1);
}

static void ranges_before_a_device_is_open_fail(void **state)
{
	struct iommu_iova_range *ranges;
	struct iommu_ctx *floating = iommu_get_context("floating");

	assert_fails_with(iommu_get_iova_ranges(floating, &ranges), ENODEV);
	assert_fails_with(iommu_get_iova_ranges(NULL, &ranges), ENODEV);
	vfn_iommu_put_context(floating);
}

/* V14 */
static void ranges_that_are_unsorted_are_sorted(void **state)
{
	report({ 0x300000, 0x3fffff }, { 0x100000, 0x1fffff });
	open_space();
	assert_range(0, 2, 0x100000, 0x1fffff);
	assert_range(1, 2, 0x300000, 0x3fffff);
}

/* V14 */
static void ranges_that_overlap_are_joined(void **state)
{
	report({ 0x100000, 0x2fffff }, { 0x200000, 0x3fffff }, { 0x250000, 0x26ffff });
	open_space();
	assert_range(0, 1, 0x100000, 0x3fffff);
}

static void ranges_that_touch_are_joined(void **state)
{
	report({ 0x100000, 0x1fffff }, { 0x200000, 0x2fffff });
	open_space();
	assert_range(0, 1, 0x100000, 0x2fffff);
}

/* V14 */
static void ranges_that_are_empty_are_dropped(void **state)
{
	report({ 0x500000, 0x4fffff }, { 0x100000, 0x1fffff });
	open_space();
	assert_range(0, 1, 0x100000, 0x1fffff);
}

/* There is room for 16 at first. */
static void ranges_that_are_many_are_all_there(void **state)
{
	static const unsigned int many[] = { 16, 17 };

	emu_iommu()->no_vfio = with_iommufd();
	for (size_t i = 0; i < UNIT_ARRAY_SIZE(many); i++) {
		emu_iommu()->nranges = many[i];
		for (unsigned int n = 0; n < many[i]; n++)
			emu_iommu()->ranges[n] = (struct emu_range){ n << 20, (n << 20) + 0xffff };
		open_space();
		assert_range((int)many[i] - 1, (int)many[i], (many[i] - 1) << 20,
			     ((many[i] - 1) << 20) + 0xffff);
		assert_int_equal(vfio_pci_close(&pci), 0);
	}
}

static void range_of_all_addresses_is_usable(void **state)
{
	report({ 0, UINT64_MAX }, { 0x1000, 0x1fff });
	open_space();
	assert_range(0, 1, 0, UINT64_MAX);
	map(mem, PAGE, 0);
	map(mem + PAGE, PAGE, IOMMU_MAP_EPHEMERAL);
	unmap(mem);
	unmap(mem + PAGE);
}

/* V14 */
static void ranges_that_are_none_fail_the_open(void **state)
{
	emu_iommu()->nranges = 0;
	assert_fails_with(vfio_pci_open(&pci, EMU_BDF), EPROTO);
	assert_error_has("no usable address range");
}

static void open_without_ranges(int err, int expected)
{
	emu_iommu()->no_vfio = true;
	emu_iommu()->no_iommufd = false;
	for (unsigned int n = 1; !strstr(emu_fail_call(), "IOVA_RANGES"); n++) {
		emu_fail_at(EMU_IOCTL, n, err);
		assert_int_equal(vfio_pci_open(&pci, EMU_BDF), -1);
		assert_int_equal(errno, strstr(emu_fail_call(), "IOVA_RANGES") ? expected : err);
	}
}

static void ranges_that_cannot_be_read_fail_the_open_and_say_so(void **state)
{
	open_without_ranges(EIO, EIO);
	assert_error_has("cannot read the IOMMU's address ranges: Input/output error");
}

static void ranges_that_are_said_not_to_fit_where_they_do_fail_the_open(void **state)
{
	open_without_ranges(EMSGSIZE, EPROTO);
	assert_error_has("the IOMMU reports 16 address ranges");
}

static void properties_that_cannot_be_read_fail_the_open_and_say_so(void **state)
{
	emu_iommu()->no_iommufd = true;
	for (unsigned int n = 1; !strstr(emu_fail_call(), "IOMMU_GET_INFO"); n++) {
		emu_fail_at(EMU_IOCTL, n, EIO);
		assert_fails_with(vfio_pci_open(&pci, EMU_BDF), EIO);
	}
	assert_error_has("cannot read the IOMMU's properties: Input/output error");
}

/* V14, W12: the page at 0 does not count */
static void ranges_without_a_whole_page_fail_the_open(void **state)
{
	report({ 0, 0xfff }, { 0x1800, 0x27ff }, { 0x5000, 0x5ffe });
	assert_fails_with(vfio_pci_open(&pci, EMU_BDF), EPROTO);
}

static void range_bounds_are_rounded_inwards_to_pages(void **state)
{
	report({ 0x100800, 0x1037ff });
	open_space();
	assert_int_equal(map(mem, 2 * PAGE, 0), 0x101000);
	assert_fails_with(try_fixed(mem + 2 * PAGE, PAGE, 0x100000), EINVAL);
	assert_fails_with(try_fixed(mem + 2 * PAGE, PAGE, 0x103000), EINVAL);
	unmap(mem);
}

/* D10 */
static void hole_between_ranges_is_never_used(void **state)
{
	report({ 0x100000, 0x101fff }, { 0x103000, 0x104fff });
	open_space();
	assert_fails_with(iommu_map_vaddr(ctx, mem, 3 * PAGE, NULL, 0), ENOMEM);
	assert_fails_with(try_fixed(mem, PAGE, 0x102000), EINVAL);
	assert_fails_with(try_fixed(mem, 3 * PAGE, 0x101000), EINVAL);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_not_equal(map(mem + i * PAGE, PAGE, 0), 0x102000);
	assert_int_equal(iommu_unmap_all(ctx), 0);
}

/* ---- V13, K17: capability chains ---- */

static void assert_usable(void)
{
	open_space();
	map(mem, PAGE, 0);
	unmap(mem);
}

static void chain_that_is_absent_gives_what_every_iommu_has(void **state)
{
	emu_iommu()->chain = EMU_CHAIN_NONE;
	assert_usable();
	assert_range(0, 2, 0, 0xfedfffff);
	assert_range(1, 2, 0xfef00000, (1ULL << 39) - 1);
}

static void assert_ignored(enum emu_hostile chain)
{
	emu_iommu()->chain = chain;
	assert_usable();
	assert_range(0, 2, 0, 0xfedfffff);
}

/* V13 */
static void chain_that_loops_is_ignored(void **state)
{
	assert_ignored(EMU_CHAIN_LOOP);
}

/* V13 */
static void chain_that_points_to_itself_is_ignored(void **state)
{
	assert_ignored(EMU_CHAIN_SELF);
}

/* V13 */
static void chain_that_points_back_is_ignored(void **state)
{
	assert_ignored(EMU_CHAIN_BACK);
}

/* V13 */
static void chain_that_starts_past_the_end_is_ignored(void **state)
{
	assert_ignored(EMU_CHAIN_PAST_END);
}

/* V13 */
static void chain_that_runs_past_the_end_is_ignored(void **state)
{
	assert_ignored(EMU_CHAIN_NEXT_PAST_END);
}

/* V13 */
static void chain_that_is_cut_off_is_ignored(void **state)
{
	assert_ignored(EMU_CHAIN_CUT);
}

/* V13: found by fuzzing */
static void chain_with_a_misaligned_capability_is_ignored(void **state)
{
	assert_ignored(EMU_CHAIN_ODD);
}

static void chain_with_too_many_ranges_fails_the_open(void **state)
{
	emu_iommu()->chain = EMU_CHAIN_COUNT_HUGE;
	assert_fails_with(vfio_pci_open(&pci, EMU_BDF), EPROTO);
	assert_error_has("cut off");
}

/* V13: one that is as long as the limit is still believed */
static void chain_that_grows_at_each_look_fails_the_open(void **state)
{
	emu_iommu()->chain = EMU_CHAIN_ARGSZ_GROWS;
	emu_iommu()->no_vfio = with_iommufd();
	assert_fails_with(vfio_pci_open(&pci, EMU_BDF), EPROTO);
	assert_error_has(with_iommufd() ? "reports 65600 address ranges" :
					  "properties take 66560 bytes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_closed(ranges_are_those_of_the_kernel),
		test_closed(ranges_before_a_device_is_open_fail),
		test_closed(ranges_that_are_unsorted_are_sorted),
		test_closed(ranges_that_overlap_are_joined),
		test_closed(ranges_that_touch_are_joined),
		test_closed(ranges_that_are_empty_are_dropped),
		test_closed(ranges_that_are_many_are_all_there),
		test_closed(range_of_all_addresses_is_usable),
		test_closed(ranges_that_are_none_fail_the_open),
		test_closed(ranges_that_cannot_be_read_fail_the_open_and_say_so),
		test_closed(ranges_that_are_said_not_to_fit_where_they_do_fail_the_open),
		test_closed(properties_that_cannot_be_read_fail_the_open_and_say_so),
		test_closed(ranges_without_a_whole_page_fail_the_open),
		test_closed(range_bounds_are_rounded_inwards_to_pages),
		test_closed(hole_between_ranges_is_never_used),
		test_closed(chain_that_is_absent_gives_what_every_iommu_has),
		test_closed(chain_that_loops_is_ignored),
		test_closed(chain_that_points_to_itself_is_ignored),
		test_closed(chain_that_points_back_is_ignored),
		test_closed(chain_that_starts_past_the_end_is_ignored),
		test_closed(chain_that_runs_past_the_end_is_ignored),
		test_closed(chain_that_is_cut_off_is_ignored),
		test_closed(chain_with_a_misaligned_capability_is_ignored),
		test_closed(chain_with_too_many_ranges_fails_the_open),
		test_closed(chain_that_grows_at_each_look_fails_the_open),
	};

	return cmocka_run_group_tests_name("ranges", tests, NULL, NULL);
}
