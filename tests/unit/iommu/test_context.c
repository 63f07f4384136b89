// SPDX-License-Identifier: GPL-2.0-or-later
/* Address spaces: who shares one, and how long it lives. */
#include "space.h"

static struct vfio_pci_device other;

static void plug(const char *bdf, unsigned int group)
{
	const struct emu_pci_opts opts = { .bdf = bdf, .group = group };

	emu_pci_add(&opts);
}

static void open_at(struct vfio_pci_device *dev, const char *bdf, struct iommu_ctx *preset)
{
	memset(dev, 0, sizeof(*dev));
	dev->dev.ctx = preset;
	assert_int_equal(vfio_pci_open(dev, bdf), 0);
	ctx = dev->dev.ctx;
}

static void close_dev(struct vfio_pci_device *dev)
{
	assert_int_equal(vfio_pci_close(dev), 0);
}

static void context_of_one_name_is_one(void **state)
{
	struct iommu_ctx *a = iommu_get_context("a");

	assert_non_null(a);
	assert_ptr_equal(iommu_get_context("a"), a);
	ctx = iommu_get_context("b");
	assert_ptr_not_equal(ctx, a);
	vfn_iommu_put_context(a);
	vfn_iommu_put_context(ctx);
}

static void context_without_name_is_refused(void **state)
{
	assert_null_with(iommu_get_context(NULL), EINVAL);
	assert_null_with(iommu_get_context(""), EINVAL);
}

/* W14 */
static void context_without_memory_is_null(void **state)
{
	for (unsigned int n = 1; n <= 3; n++) {
		emu_fail_at(EMU_ALLOC, n, ENOMEM);
		assert_null_with(iommu_get_context("a"), ENOMEM);
		assert_true(emu_fail_fired());
	}
}

static void context_of_an_open_that_fails_is_its_owners_alone(void **state)
{
	ctx = iommu_get_context("a");
	other.dev.ctx = ctx;
	memset(emu_pci_config(emu_pci_find(EMU_BDF)), 0xff, 256);
	assert_fails_with(vfio_pci_open(&other, EMU_BDF), ENODEV);
	assert_ptr_equal(other.dev.ctx, ctx);
	assert_int_equal(ctx->holders, 0);
	vfn_iommu_put_context(ctx);
	memset(&other, 0, sizeof(other));
}

static void context_of_a_device_has_its_name(void **state)
{
	open_space();
	assert_ptr_equal(iommu_get_context(EMU_BDF), ctx);
}

static void context_in_use_is_not_put(void **state)
{
	open_space();
	vfn_iommu_put_context(ctx);
	map(mem, PAGE, 0);
	unmap(mem);
	vfn_iommu_put_context(NULL);
}

static void context_knows_its_back_end_and_why(void **state)
{
	ctx = iommu_get_context(EMU_BDF);
	assert_false(iommu_ctx_is_iommufd(ctx));
	assert_memory_equal(vfn_iommu_reason(ctx), "none: ", 6);
	open_space();
	assert_int_equal(iommu_ctx_is_iommufd(ctx), with_iommufd());
	assert_non_null(strstr(vfn_iommu_reason(ctx), with_iommufd() ? "iommufd: " : "type1: "));
	assert_false(iommu_ctx_is_iommufd(NULL));
	assert_memory_equal(vfn_iommu_reason(NULL), "none: ", 6);
}

static void devices_have_address_spaces_of_their_own(void **state)
{
	iova_t iova;

	plug(EMU_BDF2, 0);
	open_at(&other, EMU_BDF2, NULL);
	open_space();
	assert_ptr_not_equal(other.dev.ctx, ctx);
	iova = map(mem, PAGE, 0);
	assert_false(emu_iova_mapped(EMU_BDF2, iova, PAGE));
	unmap(mem);
	close_dev(&other);
}

/* ---- shared ---- */

/* V22 */
static void devices_that_share_see_the_same_memory(void **state)
{
	struct iommu_ctx *shared = iommu_get_context("shared");
	iova_t before, after;

	plug(EMU_BDF2, 0);
	open_at(&pci, EMU_BDF, shared);
	before = map(mem, PAGE, 0);
	open_at(&other, EMU_BDF2, shared);
	after = map(mem + PAGE, PAGE, 0);

	assert_ptr_equal(pci.dev.ctx, other.dev.ctx);
	assert_true(emu_iova_mapped(EMU_BDF, after, PAGE));
	assert_true(emu_iova_mapped(EMU_BDF2, before, PAGE));
	assert_int_equal(emu_call_count(with_iommufd() ? "open /dev/iommu" : "open /dev/vfio/vfio"),
			 1);
	unmap(mem);
	unmap(mem + PAGE);
	close_dev(&other);
}

/* W19 */
static void close_of_the_first_keeps_the_second_working(void **state)
{
	struct iommu_ctx *shared = iommu_get_context("shared");
	iova_t iova;

	plug(EMU_BDF2, 0);
	open_at(&pci, EMU_BDF, shared);
	open_at(&other, EMU_BDF2, shared);
	iova = map(mem, PAGE, 0);

	close_dev(&pci);
	assert_true(is_mapped(mem));
	assert_true(emu_iova_mapped(EMU_BDF2, iova, PAGE));
	map(mem + PAGE, PAGE, 0);
	unmap(mem + PAGE);
	unmap(mem);
	close_dev(&other);
}

/* W19: without a name of its own, as of a device that is open */
static void address_space_of_an_open_device_can_be_shared(void **state)
{
	iova_t iova;

	plug(EMU_BDF2, 0);
	open_space();
	open_at(&other, EMU_BDF2, pci.dev.ctx);
	close_dev(&pci);
	iova = map(mem, PAGE, 0);
	assert_true(emu_iova_mapped(EMU_BDF2, iova, PAGE));
	unmap(mem);
	close_dev(&other);
}

static void device_that_closed_may_come_back(void **state)
{
	struct iommu_ctx *shared = iommu_get_context("shared");
	iova_t iova;

	plug(EMU_BDF2, 0);
	open_at(&pci, EMU_BDF, shared);
	open_at(&other, EMU_BDF2, shared);
	iova = map(mem, PAGE, 0);
	close_dev(&pci);
	open_at(&pci, EMU_BDF, shared);
	assert_true(emu_iova_mapped(EMU_BDF, iova, PAGE));
	unmap(mem);
	close_dev(&other);
}

/* W31 */
static void close_of_the_last_leaves_no_descriptor(void **state)
{
	const struct emu_usage before = emu_usage();

	plug(EMU_BDF2, 0);
	open_space();
	open_at(&other, EMU_BDF2, pci.dev.ctx);
	close_dev(&pci);
	close_dev(&other);
	emu_assert_usage(&before);
}

/* W31, K15: the test forgets to unmap, which the fake kernel does not like */
static void close_of_the_last_forgets_all_maps(void **state)
{
	open_space();
	map(mem, PAGE, 0);
	map(mem + PAGE, PAGE, IOMMU_MAP_EPHEMERAL);
	emu_expect_violation(with_iommufd() ? "IOAS destroyed with 2 DMA mappings" :
					      "container released with 2 DMA mappings");
	close_dev(&pci);

	open_space();
	assert_false(is_mapped(mem));
	assert_int_equal(map(mem, PAGE, 0), PAGE);
	unmap(mem);
}

/* Behind another IOMMU, with fewer bits or other holes. */
static void further_device_narrows_what_is_given_out(void **state)
{
	const struct emu_range wide[] = { { 0x100000, 0x8fffff }, { 0xa00000, 0xafffff } };
	const struct emu_range narrow[] = { { 0x200000, 0x2027ff }, { 0x400000, 0x400fff } };
	struct iommu_iova_range *ranges;

	plug(EMU_BDF2, 0);
	memcpy(emu_iommu()->ranges, wide, sizeof(wide));
	open_space();
	memcpy(emu_iommu()->ranges, narrow, sizeof(narrow));
	open_at(&other, EMU_BDF2, pci.dev.ctx);

	assert_int_equal(iommu_get_iova_ranges(ctx, &ranges), 2);
	assert_int_equal(ranges[0].start, 0x200000);
	assert_int_equal(map(mem, PAGE, 0), 0x200000);
	assert_int_equal(map(mem + PAGE, PAGE, 0), 0x201000);
	assert_int_equal(map(mem + 2 * PAGE, PAGE, 0), 0x400000);
	assert_fails_with(iommu_map_vaddr(ctx, mem + 3 * PAGE, PAGE, NULL, 0), ENOMEM);
	assert_int_equal(iommu_unmap_all(ctx), 0);
	close_dev(&other);
}

static void further_device_with_more_changes_nothing(void **state)
{
	plug(EMU_BDF2, 0);
	set_range(0x100000, 0x100fff);
	open_space();
	set_range(0, UINT64_MAX);
	open_at(&other, EMU_BDF2, pci.dev.ctx);
	assert_int_equal(map(mem, PAGE, 0), 0x100000);
	assert_fails_with(iommu_map_vaddr(ctx, mem + PAGE, PAGE, NULL, 0), ENOMEM);
	unmap(mem);
	close_dev(&other);
}

/* ---- groups ---- */

/* V22 */
static void devices_of_a_group_share_without_being_asked(void **state)
{
	iova_t iova;

	plug(EMU_BDF2, 9);
	plug(EMU_BDF3, 9);
	open_at(&pci, EMU_BDF2, NULL);
	open_at(&other, EMU_BDF3, NULL);
	assert_ptr_equal(pci.dev.ctx, other.dev.ctx);
	assert_int_equal(emu_call_count("open /dev/vfio/9"), !with_iommufd());
	iova = map(mem, PAGE, 0);
	assert_true(emu_iova_mapped(EMU_BDF2, iova, PAGE));
	assert_true(emu_iova_mapped(EMU_BDF3, iova, PAGE));
	unmap(mem);
	close_dev(&other);
}

static void close_in_any_order_keeps_the_rest_of_the_group(void **state)
{
	const struct emu_usage before = emu_usage();

	plug(EMU_BDF2, 9);
	plug(EMU_BDF3, 9);
	for (unsigned int i = 0; i < 2; i++) {
		open_at(&pci, EMU_BDF2, NULL);
		open_at(&other, EMU_BDF3, NULL);
		close_dev(i ? &pci : &other);
		map(mem, PAGE, 0);
		unmap(mem);
		close_dev(i ? &other : &pci);
		emu_assert_usage(&before);
	}
}

static void group_in_another_address_space_is_busy(void **state)
{
	struct iommu_ctx *floating = iommu_get_context("floating");

	plug(EMU_BDF2, 9);
	plug(EMU_BDF3, 9);
	open_at(&pci, EMU_BDF2, NULL);
	memset(&other, 0, sizeof(other));
	other.dev.ctx = floating;
	assert_fails_with(vfio_pci_open(&other, EMU_BDF3), EBUSY);
	assert_error_has(EMU_BDF2);
	assert_ptr_equal(other.dev.ctx, floating);
	vfn_iommu_put_context(floating);
}

/* W37 */
static void second_open_of_a_device_is_busy(void **state)
{
	const struct emu_pci_opts opts = { .bdf = "0000:0a:00.0" };

	emu_pci_add(&opts);
	open_at(&pci, "0000:0a:00.0", NULL);
	memset(&other, 0, sizeof(other));
	assert_fails_with(vfio_pci_open(&other, "0000:0a:00.0"), EBUSY);
	assert_error_has("open in this process already");
	assert_fails_with(vfio_pci_open(&other, "0A:00.0"), EBUSY);

	/* and does no harm to the first */
	map(mem, PAGE, 0);
	unmap(mem);
}

static void open_after_close_works(void **state)
{
	const struct emu_usage before = emu_usage();

	for (unsigned int i = 0; i < 3; i++) {
		open_space();
		close_dev(&pci);
		emu_assert_usage(&before);
	}
}

/* ---- floating ---- */

static int open_preset(void *arg)
{
	pci.dev.ctx = arg;

	return vfio_pci_open(&pci, EMU_BDF);
}

/* An open that fails leaves the caller's address space to the caller, and usable. */
static void floating_address_space_survives_whatever_fails(void **state)
{
	for (unsigned int n = 1;; n++) {
		struct iommu_ctx *floating = iommu_get_context("floating");
		int ret;

		emu_fail_at(EMU_INIT, n, EPERM);
		ret = open_preset(floating);
		if (!emu_fail_fired()) {
			assert_int_equal(ret, 0);
			break;
		}
		/* one back-end helped the other out */
		if (!ret) {
			close_dev(&pci);
			continue;
		}
		assert_ptr_equal(pci.dev.ctx, floating);
		assert_ptr_equal(iommu_get_context("floating"), floating);

		assert_int_equal(open_preset(floating), 0);
		close_dev(&pci);
	}
	emu_fail_at(0, 0, 0);
}

/* With a device that stays open, nothing of its address space goes. */
static void failed_open_of_a_second_device_keeps_the_first_working(void **state)
{
	unsigned int n = 0;
	int ret;

	plug(EMU_BDF2, 0);
	open_space();
	map(mem, PAGE, 0);
	memset(&other, 0, sizeof(other));
	do {
		other.dev.ctx = ctx;
		emu_fail_at(EMU_INIT, ++n, EPERM);
		ret = vfio_pci_open(&other, EMU_BDF2);
		assert_int_equal(ret, emu_fail_fired() ? -1 : 0);
		emu_fail_at(0, 0, 0);

		assert_true(is_mapped(mem));
		map(mem + PAGE, PAGE, 0);
		unmap(mem + PAGE);
	} while (ret);
	assert_true(n > 10);
	unmap(mem);
	close_dev(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_closed(context_of_one_name_is_one),
		test_closed(context_without_name_is_refused),
		test_closed(context_without_memory_is_null),
		test_closed(context_of_an_open_that_fails_is_its_owners_alone),
		test_closed(context_of_a_device_has_its_name),
		test_closed(context_in_use_is_not_put),
		test_closed(context_knows_its_back_end_and_why),
		test_closed(devices_have_address_spaces_of_their_own),
		test_closed(devices_that_share_see_the_same_memory),
		test_closed(close_of_the_first_keeps_the_second_working),
		test_closed(address_space_of_an_open_device_can_be_shared),
		test_closed(device_that_closed_may_come_back),
		test_closed(close_of_the_last_leaves_no_descriptor),
		test_closed(close_of_the_last_forgets_all_maps),
		test_closed(further_device_narrows_what_is_given_out),
		test_closed(further_device_with_more_changes_nothing),
		test_closed(devices_of_a_group_share_without_being_asked),
		test_closed(close_in_any_order_keeps_the_rest_of_the_group),
		test_closed(group_in_another_address_space_is_busy),
		test_closed(second_open_of_a_device_is_busy),
		test_closed(open_after_close_works),
		test_closed(floating_address_space_survives_whatever_fails),
		test_closed(failed_open_of_a_second_device_keeps_the_first_working),
	};

	return cmocka_run_group_tests_name("context", tests, NULL, NULL);
}
