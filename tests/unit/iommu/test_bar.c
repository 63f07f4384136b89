// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory of a device, mapped for itself and for another one. */
#include "space.h"

#define BAR 2
#define BAR_PAGES 16UL

static struct vfio_pci_device peer;
static char *bar;

static int setup_peer(void **state)
{
	const struct emu_pci_opts opts = {
		.bdf = EMU_BDF2,
		.bar_size = { [BAR] = BAR_PAGES * PAGE },
	};

	if (setup_closed(state))
		return -1;
	emu_pci_add(&opts);
	memset(&peer, 0, sizeof(peer));
	if (vfio_pci_open(&peer, EMU_BDF2))
		return -1;
	bar = vfio_pci_map_bar(&peer, BAR, SIZE_MAX, 0, PROT_READ | PROT_WRITE);
	if (!bar)
		return -1;
	open_space();

	return 0;
}

static int teardown_peer(void **state)
{
	int ret;

	vfio_pci_unmap_bar(&peer, BAR, bar, BAR_PAGES * PAGE, 0);
	ret = vfio_pci_close(&peer);

	return teardown(state) ? -1 : ret;
}

static void address_is_in_a_bar_from_its_first_byte_to_its_last(void **state)
{
	size_t len = 0;
	void *start = NULL;

	assert_false(iommu_bar_around(bar - 1, &start, &len));
	assert_false(iommu_bar_around(bar + BAR_PAGES * PAGE, &start, &len));
	assert_int_equal(len, 0);
	assert_true(iommu_bar_around(bar, &start, &len));
	assert_ptr_equal(start, bar);
	assert_int_equal(len, BAR_PAGES * PAGE);
	start = NULL;
	assert_true(iommu_bar_around(bar + BAR_PAGES * PAGE - 1, &start, &len));
	assert_ptr_equal(start, bar);
}

static void memory_of_a_device_is_mapped_for_another(void **state)
{
	const struct emu_usage before = emu_usage();
	iova_t iova = map(bar + PAGE, 2 * PAGE, 0), got;

	assert_true(emu_iova_mapped(EMU_BDF, iova, 2 * PAGE));
	assert_true(iommu_translate_vaddr(ctx, bar + 2 * PAGE, &got));
	assert_int_equal(got, iova + PAGE);
	assert_int_equal(emu_usage().fds, before.fds);
	unmap(bar + PAGE);
	emu_assert_usage(&before);
}

static void memory_of_a_device_may_be_its_own(void **state)
{
	iova_t iova = 0;

	assert_int_equal(iommu_map_vaddr(peer.dev.ctx, bar, PAGE, &iova, 0), 0);
	assert_true(emu_iova_mapped(EMU_BDF2, iova, PAGE));
	assert_int_equal(iommu_unmap_vaddr(peer.dev.ctx, bar, NULL), 0);
}

static void second_view_of_a_region_has_its_offset(void **state)
{
	char *second = vfio_pci_map_bar(&peer, BAR, 4 * PAGE, 8 * PAGE, PROT_READ | PROT_WRITE);
	struct iommu_bar found;

	assert_non_null(second);
	assert_true(iommu_find_bar(second + PAGE, 3 * PAGE, &found));
	assert_int_equal(found.offset, 9 * PAGE);
	assert_int_equal(found.region, BAR);
	assert_int_equal(found.fd, peer.dev.fd);
	assert_false(iommu_find_bar(second + PAGE, 4 * PAGE, &found));
	/* the page below may be of the first view */
	assert_false(iommu_find_bar(second - 1, 2, &found));
	vfio_pci_unmap_bar(&peer, BAR, second, 4 * PAGE, 8 * PAGE);
	assert_false(iommu_find_bar(second, 1, &found) && found.offset == 8 * PAGE);
}

static void kernel_without_dma_bufs_is_told_of_type1(void **state)
{
	const struct tally before = tally();

	if (!with_iommufd())
		return;
	emu_iommu()->no_dma_buf = true;
	assert_fails_with(iommu_map_vaddr(ctx, bar, PAGE, NULL, 0), ENOTSUP);
	assert_error_has("VFN_IOMMU_FORCE_VFIO=1");
	emu_iommu()->no_dma_buf = false;
	emu_iommu()->no_map_file = true;
	assert_fails_with(iommu_map_vaddr(ctx, bar, PAGE, NULL, 0), ENOTSUP);
	assert_tally(&before);
}

/* Else the addresses would translate although something else lives there. */
static void unmap_of_a_bar_takes_its_dma_mappings(void **state)
{
	const struct emu_usage before = emu_usage();
	iova_t iova = map(bar, PAGE, 0);

	map(bar + 4 * PAGE, PAGE, IOMMU_MAP_EPHEMERAL);
	assert_int_equal(iommu_map_vaddr(peer.dev.ctx, bar + PAGE, PAGE, NULL, 0), 0);
	vfio_pci_unmap_bar(&peer, BAR, bar, BAR_PAGES * PAGE, 0);
	assert_false(is_mapped(bar));
	assert_false(is_mapped(bar + 4 * PAGE));
	assert_false(emu_iova_mapped(EMU_BDF, iova, PAGE));
	assert_int_equal(emu_usage().dma_maps, before.dma_maps);
	assert_int_equal(emu_usage().mmaps, before.mmaps - 1);
	bar = NULL;
}

static void bar_whose_dma_mapping_stays_is_not_unmapped(void **state)
{
	const struct emu_usage before = emu_usage();

	map(bar, PAGE, 0);
	emu_fail_at(EMU_DMA_UNMAP, 1, EPERM);
	vfio_pci_unmap_bar(&peer, BAR, bar, BAR_PAGES * PAGE, 0);
	assert_int_equal(emu_usage().mmaps, before.mmaps);
	assert_true(is_mapped(bar));

	/* the next try takes it */
	vfio_pci_unmap_bar(&peer, BAR, bar, BAR_PAGES * PAGE, 0);
	assert_false(is_mapped(bar));
	assert_int_equal(emu_usage().mmaps, before.mmaps - 1);
	bar = NULL;
}

static void close_of_a_device_takes_the_dma_mappings_of_its_memory(void **state)
{
	iova_t iova = map(bar, PAGE, 0);

	assert_int_equal(vfio_pci_close(&peer), 0);
	assert_false(is_mapped(bar));
	assert_false(emu_iova_mapped(EMU_BDF, iova, PAGE));
	if (with_iommufd())
		assert_fails_with(iommu_map_vaddr(ctx, bar, PAGE, NULL, 0), ENODEV);
}

static int do_map(void *arg)
{
	return iommu_map_vaddr(ctx, bar, PAGE, NULL, 0);
}

static void undo_map(void *arg)
{
	unmap(bar);
}

/* W30 */
static void map_leaves_nothing_whatever_fails(void **state)
{
	const struct tally before = tally();

	assert_true(emu_fail_each(EMU_INIT, EPERM, do_map, undo_map, NULL) >= 2);
	assert_tally(&before);
}

static int do_map_bar(void *arg)
{
	char *view = vfio_pci_map_bar(&peer, BAR, PAGE, 0, PROT_READ);

	if (!view)
		return -1;
	vfio_pci_unmap_bar(&peer, BAR, view, PAGE, 0);

	return 0;
}

/* W9, W30 */
static void mapping_a_bar_leaves_nothing_whatever_fails(void **state)
{
	assert_true(emu_fail_each(EMU_INIT, EPERM, do_map_bar, NULL, NULL) >= 3);
}

#undef test
#define test(name) cmocka_unit_test_setup_teardown(name, setup_peer, teardown_peer)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(address_is_in_a_bar_from_its_first_byte_to_its_last),
		test(memory_of_a_device_is_mapped_for_another),
		test(memory_of_a_device_may_be_its_own),
		test(second_view_of_a_region_has_its_offset),
		test(kernel_without_dma_bufs_is_told_of_type1),
		test(unmap_of_a_bar_takes_its_dma_mappings),
		test(bar_whose_dma_mapping_stays_is_not_unmapped),
		test(close_of_a_device_takes_the_dma_mappings_of_its_memory),
		test(map_leaves_nothing_whatever_fails),
		test(mapping_a_bar_leaves_nothing_whatever_fails),
	};

	return cmocka_run_group_tests_name("bar", tests, NULL, NULL);
}
