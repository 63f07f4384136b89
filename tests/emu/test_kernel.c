// SPDX-License-Identifier: GPL-2.0-or-later
/* The fake kernel answers as Linux does: VFIO order and errnos, DMA rules, fail at n. */
#include "raw.h"

#define PAGE 4096UL
#define RW (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)
#define assert_fails(expr, err) \
	do { \
		errno = 0; \
		assert_int_equal((expr), -1); \
		assert_int_equal(errno, err); \
	} while (0)

static int set_container(int group, int container)
{
	return os_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container);
}

static int set_iommu(int container, unsigned long type)
{
	return os_ioctl(container, VFIO_SET_IOMMU, (void *)type);
}

static int get_device(int group, const char *name)
{
	return os_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, (void *)(uintptr_t)name);
}

static void add(const char *bdf, unsigned int group, const char *driver)
{
	const struct emu_nvme_opts opts = {
		.pci = { .bdf = bdf, .group = group, .driver = driver },
	};

	emu_nvme_add(&opts);
}

static void group_of_device_bound_to_nvme_is_absent(void **state)
{
	add(EMU_BDF, 7, "nvme");
	assert_fails(os_open("/dev/vfio/7", O_RDWR), ENOENT);
}

static void group_opens_once(void **state)
{
	int fd;

	add(EMU_BDF, 7, NULL);
	fd = os_open("/dev/vfio/7", O_RDWR);
	assert_true(fd > 2);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_fails(os_open("/dev/vfio/7", O_RDWR), EBUSY);
	os_close(fd);
	fd = os_open("/dev/vfio/7", O_RDWR);
	assert_true(fd > 2);
	os_close(fd);
}

static void group_and_container_keep_their_order(void **state)
{
	int container, group, device, again;

	add(EMU_BDF, 7, NULL);
	container = os_open("/dev/vfio/vfio", O_RDWR);
	group = os_open("/dev/vfio/7", O_RDWR);
	assert_int_equal(os_ioctl(container, VFIO_GET_API_VERSION, NULL), 0);
	assert_int_equal(os_ioctl(container, VFIO_CHECK_EXTENSION, (void *)VFIO_TYPE1v2_IOMMU), 1);
	assert_int_equal(os_ioctl(container, VFIO_CHECK_EXTENSION, (void *)99), 0);

	assert_fails(get_device(group, EMU_BDF), EINVAL);
	assert_fails(set_iommu(container, VFIO_TYPE1v2_IOMMU), EINVAL);
	assert_fails(set_container(group, 999), EBADF);
	assert_fails(set_container(group, group), EBADFD);
	assert_int_equal(set_container(group, container), 0);
	assert_fails(set_container(group, container), EINVAL);
	assert_fails(get_device(group, EMU_BDF), EINVAL);
	assert_fails(set_iommu(container, 99), ENODEV);
	assert_int_equal(set_iommu(container, VFIO_TYPE1v2_IOMMU), 0);
	assert_fails(set_iommu(container, VFIO_TYPE1v2_IOMMU), EINVAL);
	assert_fails(get_device(group, "0000:09:00.0"), ENODEV);
	assert_fails(get_device(group, "garbage"), ENODEV);

	assert_fails(get_device(group, EMU_BDF " vf_token=00000000-0000-0000-0000-000000000000"),
		     EINVAL);
	device = get_device(group, EMU_BDF);
	assert_true(device > 2);
	again = get_device(group, EMU_BDF);
	assert_true(again > 2);
	assert_fails(os_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), EBUSY);
	os_close(again);
	os_close(device);
	assert_int_equal(os_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	assert_fails(os_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), EINVAL);
	os_close(group);
	os_close(container);
}

static void open_device_keeps_its_group(void **state)
{
	struct raw r;

	add(EMU_BDF, 7, NULL);
	raw_open(&r, EMU_BDF);
	os_close(r.group);
	assert_fails(os_open("/dev/vfio/7", O_RDWR), EBUSY);
	assert_true(raw_map(&r, r.buf, 0x40000000, PAGE, RW) == 0);
	raw_unmap(&r, 0x40000000, PAGE);
	r.group = os_open("/dev/null", O_RDWR);
	raw_close(&r);
}

static void group_with_foreign_sibling_is_not_viable(void **state)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int container, group;

	add(EMU_BDF, 7, NULL);
	add(EMU_BDF2, 7, "nvme");
	container = os_open("/dev/vfio/vfio", O_RDWR);
	group = os_open("/dev/vfio/7", O_RDWR);
	assert_int_equal(os_ioctl(group, VFIO_GROUP_GET_STATUS, &status), 0);
	assert_int_equal(status.flags, 0);
	assert_fails(set_container(group, container), EPERM);
	status.argsz = 4;
	assert_fails(os_ioctl(group, VFIO_GROUP_GET_STATUS, &status), EINVAL);
	os_close(group);
	os_close(container);
}

static void dma_mapping_rules_are_those_of_type1(void **state)
{
	char *ro;
	struct raw r;
	static const struct {
		uint64_t offset, iova, size;
		uint32_t flags;
		int err;
	} cases[] = {
		{ 0, 0x10000000, PAGE, RW, 0 },
		{ 0, 0x10000000, PAGE, RW, EEXIST },
		{ 0, 0x0ffff000, 2 * PAGE, RW, EEXIST },
		{ 0, 0x10001000, 2 * PAGE, RW, 0 },
		{ 0, 0x10002000, 2 * PAGE, RW, EEXIST },
		{ 0, 0x0fff0000, 64 * PAGE, RW, EEXIST },
		{ 0, 0x20000000, PAGE, RW, 0 },
		{ 1, 0x30000000, PAGE, RW, EINVAL },
		{ 0, 0x30000001, PAGE, RW, EINVAL },
		{ 0, 0x30000000, PAGE + 1, RW, EINVAL },
		{ 0, 0x30000000, 0, RW, EINVAL },
		{ 0, 0x30000000, PAGE, 0, EINVAL },
		{ 0, 0x30000000, PAGE, RW | 1 << 20, EINVAL },
		{ 0, -PAGE, 2 * PAGE, RW, EINVAL },
		{ 0, 0xfee00000, PAGE, RW, EINVAL },
		{ 0, 1ULL << 39, PAGE, RW, EINVAL },
	};

	add(EMU_BDF, 7, NULL);
	raw_open(&r, EMU_BDF);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int ret = raw_map(&r, r.buf + cases[i].offset, cases[i].iova, cases[i].size,
				  cases[i].flags);

		if (ret != (cases[i].err ? -1 : 0) || (ret && errno != cases[i].err))
			fail_msg("case %zu: %d, errno %d", i, ret, errno);
	}
	assert_fails(raw_map(&r, (void *)0x10000, 0x30000000, PAGE, RW), EFAULT);
	ro = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_fails(raw_map(&r, ro, 0x30000000, PAGE, RW), EFAULT);
	assert_int_equal(raw_map(&r, ro, 0x30000000, PAGE, VFIO_DMA_MAP_FLAG_READ), 0);
	munmap(ro, PAGE);
	assert_true(emu_iova_mapped(EMU_BDF, 0x10000000, 3 * PAGE));
	assert_false(emu_iova_mapped(EMU_BDF, 0x10000000, 4 * PAGE));
	assert_int_equal(raw_unmap(&r, 0x10000000, 0x30000000), 0);
	raw_close(&r);
}

static void dma_unmap_does_not_split(void **state)
{
	struct vfio_iommu_type1_dma_unmap un = { .argsz = sizeof(un), .iova = 0x20000000 };
	struct raw r;

	add(EMU_BDF, 7, NULL);
	raw_open(&r, EMU_BDF);
	assert_int_equal(raw_map(&r, r.buf, 0x10000000, 4 * PAGE, RW), 0);
	assert_fails(raw_unmap(&r, 0x10001000, PAGE), EINVAL);
	assert_fails(raw_unmap(&r, 0x10000000, PAGE), EINVAL);
	assert_fails(raw_unmap(&r, 0x10003000, PAGE), EINVAL);
	assert_fails(raw_unmap(&r, 0x10000000, 0), EINVAL);
	un.size = PAGE;
	assert_int_equal(os_ioctl(r.container, VFIO_IOMMU_UNMAP_DMA, &un), 0);
	assert_int_equal(un.size, 0);
	un.iova = 0x08000000;
	un.size = 0x10000000;
	assert_int_equal(os_ioctl(r.container, VFIO_IOMMU_UNMAP_DMA, &un), 0);
	assert_int_equal(un.size, 4 * PAGE);
	un.flags = VFIO_DMA_UNMAP_FLAG_ALL;
	assert_fails(os_ioctl(r.container, VFIO_IOMMU_UNMAP_DMA, &un), EINVAL);
	un.iova = un.size = 0;
	assert_int_equal(os_ioctl(r.container, VFIO_IOMMU_UNMAP_DMA, &un), 0);
	assert_int_equal(un.size, RAW_BUF_SIZE + 2 * PAGE * RAW_QUEUES);
	raw_close(&r);
}

static void dma_limits_are_enforced(void **state)
{
	struct raw r;

	add(EMU_BDF, 7, NULL);
	raw_open(&r, EMU_BDF);
	emu_iommu()->dma_entry_limit = 3;
	assert_int_equal(raw_map(&r, r.buf, 0x10000000, PAGE, RW), 0);
	assert_fails(raw_map(&r, r.buf, 0x10001000, PAGE, RW), ENOSPC);
	raw_unmap(&r, 0x10000000, PAGE);
	emu_iommu()->memlock = emu_usage().dma_bytes + PAGE;
	assert_fails(raw_map(&r, r.buf, 0x10000000, 2 * PAGE, RW), ENOMEM);
	assert_int_equal(raw_map(&r, r.buf, 0x10000000, PAGE, RW), 0);
	emu_iommu()->short_unmap = true;
	assert_int_equal(raw_unmap(&r, 0x10000000, PAGE), 0);
	raw_close(&r);
}

/* A bounded walk for the ranges, as a careful user does it. */
static int find_ranges(struct raw *r, struct vfio_iommu_type1_info_cap_iova_range **cap)
{
	static uint64_t room[256];
	struct vfio_iommu_type1_info *info = (void *)room;
	uint32_t at;

	memset(room, 0, sizeof(room));
	info->argsz = sizeof(room);
	assert_int_equal(os_ioctl(r->container, VFIO_IOMMU_GET_INFO, info), 0);
	at = info->flags & VFIO_IOMMU_INFO_CAPS ? info->cap_offset : 0;
	for (int i = 0; i < 8 && at; i++) {
		struct vfio_info_cap_header *h = (void *)((char *)room + at);

		if (at + sizeof(**cap) > info->argsz)
			return -1;
		*cap = (void *)h;
		if (h->id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE)
			return (*cap)->nr_iovas;
		at = h->next;
	}

	return -2;
}

static void iova_ranges_are_reported(void **state)
{
	struct vfio_iommu_type1_info small = { .argsz = sizeof(small) };
	struct vfio_iommu_type1_info_cap_iova_range *cap;
	struct raw r;

	add(EMU_BDF, 7, NULL);
	raw_open(&r, EMU_BDF);
	assert_int_equal(find_ranges(&r, &cap), 2);
	assert_int_equal(cap->iova_ranges[0].end, 0xfedfffff);
	assert_int_equal(os_ioctl(r.container, VFIO_IOMMU_GET_INFO, &small), 0);
	assert_true(small.argsz > sizeof(small));
	assert_int_equal(small.cap_offset, 0);
	small.argsz = 4;
	assert_fails(os_ioctl(r.container, VFIO_IOMMU_GET_INFO, &small), EINVAL);
	raw_close(&r);
}

static void hostile_chains_are_hostile(void **state)
{
	static const struct {
		enum emu_hostile chain;
		int result;
	} cases[] = {
		{ EMU_CHAIN_NONE, -2 },		 { EMU_CHAIN_LOOP, -2 },
		{ EMU_CHAIN_SELF, -2 },		 { EMU_CHAIN_PAST_END, -1 },
		{ EMU_CHAIN_NEXT_PAST_END, -1 }, { EMU_CHAIN_CUT, -1 },
		{ EMU_CHAIN_COUNT_HUGE, -1 },
	};
	struct vfio_iommu_type1_info_cap_iova_range *cap;
	struct vfio_iommu_type1_info info = { .argsz = 2000 };
	struct raw r;

	add(EMU_BDF, 7, NULL);
	raw_open(&r, EMU_BDF);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		emu_iommu()->chain = cases[i].chain;
		assert_int_equal(find_ranges(&r, &cap), cases[i].result);
	}
	emu_iommu()->chain = EMU_CHAIN_ARGSZ_GROWS;
	for (int i = 0; i < 3; i++) {
		uint32_t before = info.argsz;

		assert_int_equal(os_ioctl(r.container, VFIO_IOMMU_GET_INFO, &info), 0);
		assert_true(info.argsz > before);
	}
	emu_iommu()->chain = EMU_CHAIN_OK;
	emu_iommu()->nranges = 0;
	assert_int_equal(find_ranges(&r, &cap), 0);
	raw_close(&r);
}

static void device_regions_are_described(void **state)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info reg = { .argsz = sizeof(reg) };
	uint32_t id;
	struct raw r;

	add(EMU_BDF, 7, NULL);
	raw_open(&r, EMU_BDF);
	assert_int_equal(os_ioctl(r.dev, VFIO_DEVICE_GET_INFO, &info), 0);
	assert_int_equal(info.flags, VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
	info.argsz = 4;
	assert_fails(os_ioctl(r.dev, VFIO_DEVICE_GET_INFO, &info), EINVAL);
	assert_int_equal(os_ioctl(r.dev, VFIO_DEVICE_GET_REGION_INFO, &reg), 0);
	assert_int_equal(reg.flags, VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
					    VFIO_REGION_INFO_FLAG_MMAP);
	assert_int_equal(reg.size, 4 * PAGE);
	reg.index = 99;
	assert_fails(os_ioctl(r.dev, VFIO_DEVICE_GET_REGION_INFO, &reg), EINVAL);
	reg.index = VFIO_PCI_CONFIG_REGION_INDEX;
	assert_int_equal(os_ioctl(r.dev, VFIO_DEVICE_GET_REGION_INFO, &reg), 0);
	assert_int_equal(os_pread(r.dev, &id, 4, reg.offset), 4);
	assert_int_equal(id, 0x00101b36);
	assert_int_equal(os_pread(r.dev, &id, 4, 8), 4);
	assert_int_equal(id, 0x10400);
	assert_ptr_equal(os_mmap(NULL, 5 * PAGE, PROT_READ, MAP_SHARED, r.dev, 0), MAP_FAILED);
	assert_int_equal(errno, EINVAL);
	assert_ptr_equal(os_mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, r.dev, 0), MAP_FAILED);
	assert_int_equal(errno, EINVAL);
	raw_close(&r);
}

static void reset_clears_bus_master_and_controller(void **state)
{
	struct raw r;

	add(EMU_BDF, 7, NULL);
	raw_open(&r, EMU_BDF);
	raw_enable(&r);
	assert_true(emu_pci_bus_master(emu_nvme_pci(r.nvme)));
	assert_int_equal(os_ioctl(r.dev, VFIO_DEVICE_RESET, NULL), 0);
	assert_int_equal(raw_read(&r, 0x14), 0);
	assert_int_equal(raw_read(&r, 0x1c), 0);
	assert_false(emu_pci_bus_master(emu_nvme_pci(r.nvme)));
	raw_close(&r);
}

static void removed_device_reads_as_ones(void **state)
{
	uint16_t vendor;
	struct raw r;

	add(EMU_BDF, 7, NULL);
	raw_open(&r, EMU_BDF);
	emu_pci_remove(emu_nvme_pci(r.nvme));
	assert_int_equal(raw_read(&r, 0x1c), UINT32_MAX);
	assert_int_equal(os_pread(r.dev, &vendor, 2, 7ULL << 40), 2);
	assert_int_equal(vendor, 0xffff);
	raw_close(&r);
}

/* ------------------------------------------------------- usage and fail at n */

static int open_two(void *arg)
{
	int *fds = arg;

	fds[0] = os_open("/dev/vfio/vfio", O_RDWR);
	if (fds[0] < 0)
		return -1;
	fds[1] = os_open("/dev/vfio/7", O_RDWR);
	if (fds[1] >= 0)
		return 0;
	os_close(fds[0]);
	errno = EIO;

	return -1;
}

static void close_two(void *arg)
{
	int *fds = arg;

	os_close(fds[1]);
	os_close(fds[0]);
}

static void fail_each_visits_every_call(void **state)
{
	int fds[2];

	add(EMU_BDF, 7, NULL);
	assert_int_equal(emu_fail_each(EMU_INIT, EIO, open_two, close_two, fds), 2);
}

static void fail_at_hits_the_nth_of_its_class(void **state)
{
	void *mem;

	emu_fail_at(EMU_ALLOC, 2, EIO);
	mem = os_zalloc(8);
	assert_non_null(mem);
	free(mem);
	assert_fails(os_open("/nonexistent", O_RDONLY), ENOENT);
	assert_false(emu_fail_fired());
	assert_null(os_zalloc(16));
	assert_int_equal(errno, ENOMEM);
	assert_true(emu_fail_fired());
	assert_string_equal(emu_fail_call(), "alloc 16");
	mem = os_zalloc(8);
	assert_non_null(mem);
	free(mem);
}

static void usage_counts_what_is_held(void **state)
{
	struct emu_usage before = emu_usage();
	void *mem = os_mmap(NULL, 3 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = os_open("/dev/vfio/vfio", O_RDWR);

	assert_int_equal(emu_usage().mmaps, before.mmaps + 1);
	assert_int_equal(emu_usage().mmap_bytes, before.mmap_bytes + 3 * PAGE);
	assert_int_equal(emu_usage().fds, before.fds + 1);
	assert_int_equal(os_munmap((char *)mem + PAGE, PAGE), 0);
	assert_int_equal(emu_usage().mmaps, before.mmaps + 2);
	assert_int_equal(os_munmap((char *)mem, PAGE), 0);
	assert_int_equal(os_munmap((char *)mem + 2 * PAGE, PAGE), 0);
	os_close(fd);
	emu_assert_usage(&before);
}

static void clock_advances_by_reads_and_sleeps(void **state)
{
	uint64_t t = os_clock_ns();

	assert_int_equal(os_clock_ns(), t + 100);
	os_sleep_ns(1000000);
	assert_int_equal(emu_now(), t + 1000100);
}

static void teardown_reports_leaks(void **state)
{
	int fd;

	emu_init();
	fd = os_open("/dev/vfio/vfio", O_RDWR);
	assert_true(fd > 2);
	assert_int_equal(emu_teardown(state), -1);
	emu_init();
	assert_int_equal(emu_teardown(state), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, emu_setup_type1, emu_teardown)
		T(group_of_device_bound_to_nvme_is_absent),
		T(group_opens_once),
		T(group_and_container_keep_their_order),
		T(open_device_keeps_its_group),
		T(group_with_foreign_sibling_is_not_viable),
		T(dma_mapping_rules_are_those_of_type1),
		T(dma_unmap_does_not_split),
		T(dma_limits_are_enforced),
		T(iova_ranges_are_reported),
		T(hostile_chains_are_hostile),
		T(device_regions_are_described),
		T(reset_clears_bus_master_and_controller),
		T(removed_device_reads_as_ones),
		T(fail_each_visits_every_call),
		T(fail_at_hits_the_nth_of_its_class),
		T(usage_counts_what_is_held),
		T(clock_advances_by_reads_and_sleeps),
		cmocka_unit_test(teardown_reports_leaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
