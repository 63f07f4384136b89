// SPDX-License-Identifier: GPL-2.0-or-later
/* The fake kernel's iommufd and the devices' own nodes answer as Linux does. */
#include "raw.h"

#include <pthread.h>

#define PAGE 4096UL
#define NODE "/dev/vfio/devices/vfio0"
#define R ABI_IOMMU_IOAS_MAP_READABLE
#define W ABI_IOMMU_IOAS_MAP_WRITEABLE
#define FIXED ABI_IOMMU_IOAS_MAP_FIXED_IOVA
#define assert_fails(expr, err) \
	do { \
		errno = 0; \
		assert_int_equal((expr), -1); \
		assert_int_equal(errno, err); \
	} while (0)

/* An iommufd with an IOAS, a device bound to it, and memory. */
struct fd {
	int iommu, dev;
	uint32_t ioas, devid;
	char *mem;
};

#define MEM_SIZE (16 * PAGE)

static int detach(int dev)
{
	struct abi_vfio_device_detach_iommufd_pt cmd = { .argsz = sizeof(cmd) };

	return os_ioctl(dev, ABI_VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

static int map(struct fd *f, uint32_t flags, void *mem, uint64_t *iova, uint64_t size)
{
	struct abi_iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = f->ioas,
		.user_va = (uintptr_t)mem,
		.length = size,
		.iova = *iova,
	};
	int ret = os_ioctl(f->iommu, ABI_IOMMU_IOAS_MAP, &cmd);

	*iova = cmd.iova;

	return ret;
}

static int map_at(struct fd *f, void *mem, uint64_t iova, uint64_t size)
{
	return map(f, R | W | FIXED, mem, &iova, size);
}

static int unmap(struct fd *f, uint64_t iova, uint64_t *size)
{
	struct abi_iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = f->ioas,
		.iova = iova,
		.length = *size,
	};
	int ret = os_ioctl(f->iommu, ABI_IOMMU_IOAS_UNMAP, &cmd);

	*size = cmd.length;

	return ret;
}

static int unmap_all(struct fd *f)
{
	uint64_t size = UINT64_MAX;

	return unmap(f, 0, &size);
}

static void add(const char *bdf, unsigned int group, const char *driver)
{
	const struct emu_nvme_opts opts = {
		.pci = { .bdf = bdf, .group = group, .driver = driver },
	};

	emu_nvme_add(&opts);
}

static void start(struct fd *f)
{
	uint32_t pt;

	add(EMU_BDF, 7, NULL);
	f->iommu = os_open("/dev/iommu", O_RDWR);
	f->dev = os_open(NODE, O_RDWR);
	assert_true(f->iommu > 2 && f->dev > 2);
	assert_int_equal(raw_bind(f->dev, f->iommu, &f->devid), 0);
	assert_int_equal(raw_ioas_alloc(f->iommu, &f->ioas), 0);
	pt = f->ioas;
	assert_int_equal(raw_attach(f->dev, &pt), 0);
	f->mem =
		os_mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(f->mem, MAP_FAILED);
}

static void stop(struct fd *f)
{
	assert_int_equal(unmap_all(f), 0);
	os_munmap(f->mem, MEM_SIZE);
	os_close(f->dev);
	assert_int_equal(raw_destroy(f->iommu, f->ioas), 0);
	os_close(f->iommu);
}

/* --------------------------------------------------------------------- nodes */

static void nodes_come_and_go_with_driver_and_options(void **state)
{
	add(EMU_BDF, 0, NULL);
	add(EMU_BDF2, 0, "nvme");
	add(EMU_BDF3, 0, NULL);
	assert_int_equal(os_access("/sys/bus/pci/devices/" EMU_BDF "/vfio-dev/vfio0/dev", 0), 0);
	assert_int_equal(os_access("/sys/bus/pci/devices/" EMU_BDF3 "/vfio-dev/vfio1", 0), 0);
	assert_int_equal(os_access("/sys/class/vfio-dev/vfio1", 0), 0);
	assert_fails(os_access("/sys/bus/pci/devices/" EMU_BDF2 "/vfio-dev", 0), ENOENT);
	assert_int_equal(os_access(NODE, 0), 0);
	assert_int_equal(os_access("/dev/vfio/devices/vfio1", 0), 0);

	emu_iommu()->no_cdev = true;
	assert_int_equal(os_access("/sys/bus/pci/devices/" EMU_BDF "/vfio-dev/vfio0", 0), 0);
	assert_fails(os_access(NODE, 0), ENOENT);
	assert_int_equal(os_access("/dev/iommu", 0), 0);
	emu_iommu()->no_iommufd = true;
	assert_fails(os_access("/sys/bus/pci/devices/" EMU_BDF "/vfio-dev", 0), ENOENT);
	assert_fails(os_open("/dev/iommu", O_RDWR), ENOENT);
	emu_iommu()->no_iommufd = emu_iommu()->no_cdev = false;

	emu_file_error("/dev/iommu", EACCES);
	assert_fails(os_open("/dev/iommu", O_RDWR), EACCES);
	emu_file_error(NODE, EACCES);
	assert_fails(os_open(NODE, O_RDWR), EACCES);
}

static void device_is_closed_until_bound(void **state)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct abi_vfio_device_attach_iommufd_pt pt = { .argsz = sizeof(pt), .pt_id = 1 };
	int iommu, dev, null = os_open("/dev/null", O_RDWR);
	uint32_t val;

	add(EMU_BDF, 0, NULL);
	iommu = os_open("/dev/iommu", O_RDWR);
	dev = os_open(NODE, O_RDWR);
	assert_fails(os_ioctl(dev, VFIO_DEVICE_GET_INFO, &info), EINVAL);
	assert_fails(os_ioctl(dev, VFIO_DEVICE_RESET, NULL), EINVAL);
	assert_fails(os_ioctl(dev, ABI_VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pt), EINVAL);
	assert_fails(os_pread(dev, &val, 4, 0), EINVAL);
	assert_fails(os_pwrite(dev, &val, 4, 0), EINVAL);
	assert_ptr_equal(os_mmap(NULL, PAGE, PROT_READ, MAP_SHARED, dev, 0), MAP_FAILED);
	assert_int_equal(errno, EINVAL);

	assert_fails(raw_bind(dev, -1, NULL), EINVAL);
	assert_fails(raw_bind(dev, 999, NULL), EBADF);
	assert_fails(raw_bind(dev, dev, NULL), EBADFD);
	assert_int_equal(raw_bind(dev, iommu, NULL), 0);
	assert_int_equal(os_ioctl(dev, VFIO_DEVICE_GET_INFO, &info), 0);
	assert_int_equal(os_pread(dev, &val, 4, 8), 4);
	assert_int_equal(val, 0x10400);
	assert_fails(raw_bind(dev, iommu, NULL), EINVAL);
	os_close(dev);
	os_close(iommu);
	if (null >= 0)
		os_close(null);
}

static void group_and_node_exclude_each_other(void **state)
{
	int iommu, dev, other, group;

	add(EMU_BDF, 7, NULL);
	iommu = os_open("/dev/iommu", O_RDWR);
	dev = os_open(NODE, O_RDWR);
	other = os_open(NODE, O_RDWR);
	group = os_open("/dev/vfio/7", O_RDWR);
	assert_true(dev > 2 && other > 2 && group > 2);
	assert_fails(raw_bind(dev, iommu, NULL), EBUSY);
	os_close(group);
	assert_int_equal(raw_bind(dev, iommu, NULL), 0);
	assert_fails(os_open("/dev/vfio/7", O_RDWR), EBUSY);
	assert_fails(raw_bind(other, iommu, NULL), EINVAL);
	os_close(dev);
	assert_int_equal(raw_bind(other, iommu, NULL), 0);
	os_close(other);
	group = os_open("/dev/vfio/7", O_RDWR);
	assert_true(group > 2);
	os_close(group);
	os_close(iommu);
}

static void group_has_one_owner(void **state)
{
	int one, two, dev, sibling;

	add(EMU_BDF, 7, NULL);
	add(EMU_BDF2, 7, NULL);
	add(EMU_BDF3, 8, NULL);
	emu_pci_add(&(struct emu_pci_opts){ .bdf = "0000:04:00.0", .group = 8, .driver = "nvme" });
	one = os_open("/dev/iommu", O_RDWR);
	two = os_open("/dev/iommu", O_RDWR);
	dev = os_open(NODE, O_RDWR);
	sibling = os_open("/dev/vfio/devices/vfio1", O_RDWR);
	assert_int_equal(raw_bind(dev, one, NULL), 0);
	assert_fails(raw_bind(sibling, two, NULL), EPERM);
	assert_int_equal(raw_bind(sibling, one, NULL), 0);
	os_close(sibling);
	sibling = os_open("/dev/vfio/devices/vfio2", O_RDWR);
	assert_fails(raw_bind(sibling, one, NULL), EPERM);
	os_close(sibling);
	os_close(dev);
	os_close(two);
	os_close(one);
}

/* ------------------------------------------------------------------- objects */

static void objects_are_numbered_and_counted(void **state)
{
	struct abi_iommu_ioas_alloc cmd = { .size = sizeof(cmd), .flags = 1 };
	struct {
		struct abi_iommu_ioas_alloc cmd;
		uint32_t more;
	} longer = { .cmd = { .size = sizeof(longer) }, .more = 1 };
	uint32_t a, b;
	int iommu = os_open("/dev/iommu", O_RDWR);

	assert_fails(os_ioctl(iommu, ABI_IOMMU_IOAS_ALLOC, &cmd), EOPNOTSUPP);
	cmd.size = 4;
	assert_fails(os_ioctl(iommu, ABI_IOMMU_IOAS_ALLOC, &cmd), EINVAL);
	assert_fails(os_ioctl(iommu, ABI_IOMMU_IOAS_ALLOC, &longer), E2BIG);
	longer.more = 0;
	assert_int_equal(os_ioctl(iommu, ABI_IOMMU_IOAS_ALLOC, &longer), 0);
	assert_int_equal(longer.cmd.out_ioas_id, 1);
	assert_int_equal(raw_ioas_alloc(iommu, &a), 0);
	assert_int_equal(a, 2);
	assert_int_equal(emu_usage().objects, 2);
	assert_int_equal(raw_destroy(iommu, 1), 0);
	assert_fails(raw_destroy(iommu, 1), ENOENT);
	assert_int_equal(raw_ioas_alloc(iommu, &b), 0);
	assert_int_equal(b, 1);
	emu_iommu()->object_limit = 2;
	assert_fails(raw_ioas_alloc(iommu, &b), ENOMEM);
	assert_fails(os_ioctl(iommu, ABI_IOMMU_IOCTL(0x7f), &cmd), ENOTTY);
	assert_int_equal(raw_destroy(iommu, 1), 0);
	emu_expect_violation("closed with 1 objects");
	os_close(iommu);
	assert_int_equal(emu_usage().objects, 0);
}

static void attached_objects_cannot_be_destroyed(void **state)
{
	struct fd f;
	uint32_t pt;

	start(&f);
	assert_int_equal(emu_usage().objects, 3);
	pt = f.ioas;
	assert_int_equal(raw_attach(f.dev, &pt), 0);
	assert_int_not_equal(pt, f.ioas);
	assert_fails(raw_destroy(f.iommu, f.ioas), EBUSY);
	assert_fails(raw_destroy(f.iommu, pt), EBUSY);
	assert_fails(raw_destroy(f.iommu, f.devid), EBUSY);
	pt = 99;
	assert_fails(raw_attach(f.dev, &pt), ENOENT);
	pt = f.devid;
	assert_fails(raw_attach(f.dev, &pt), EINVAL);
	assert_int_equal(detach(f.dev), 0);
	assert_int_equal(detach(f.dev), 0);
	assert_int_equal(emu_usage().objects, 2);
	assert_int_equal(raw_destroy(f.iommu, f.ioas), 0);
	assert_int_equal(raw_ioas_alloc(f.iommu, &f.ioas), 0);
	stop(&f);
}

static void ioas_outlives_close_of_iommufd_while_device_is_bound(void **state)
{
	struct fd f;

	start(&f);
	assert_int_equal(map_at(&f, f.mem, 0x10000, PAGE), 0);
	os_close(f.iommu);
	assert_true(emu_iova_mapped(EMU_BDF, 0x10000, PAGE));
	emu_expect_violation("closed with 1 objects");
	emu_expect_violation("IOAS destroyed with 1 DMA mappings");
	os_close(f.dev);
	os_munmap(f.mem, MEM_SIZE);
	assert_int_equal(emu_usage().dma_maps, 0);
}

static void failing_destroy_destroys(void **state)
{
	int iommu = os_open("/dev/iommu", O_RDWR);
	uint32_t id;

	assert_int_equal(raw_ioas_alloc(iommu, &id), 0);
	emu_fail_at(EMU_DESTROY, 1, EIO);
	assert_fails(raw_destroy(iommu, id), EIO);
	assert_string_equal(emu_fail_call(), "ioctl DESTROY");
	os_close(iommu);
}

/* ------------------------------------------------------------------- ranges */

static int ranges(struct fd *f, struct abi_iommu_iova_range *r, uint32_t *n, uint64_t *align)
{
	struct abi_iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = f->ioas,
		.num_iovas = *n,
		.allowed_iovas = (uintptr_t)r,
	};
	int ret = os_ioctl(f->iommu, ABI_IOMMU_IOAS_IOVA_RANGES, &cmd);

	*n = cmd.num_iovas;
	if (align)
		*align = cmd.out_iova_alignment;

	return ret;
}

static void ranges_are_the_devices(void **state)
{
	struct abi_iommu_iova_range r[4] = {};
	uint64_t align;
	uint32_t n = 0;
	struct fd f;

	start(&f);
	assert_fails(ranges(&f, r, &n, &align), EMSGSIZE);
	assert_int_equal(n, 2);
	assert_int_equal(align, PAGE);
	n = 4;
	assert_int_equal(ranges(&f, r, &n, &align), 0);
	assert_int_equal(n, 2);
	assert_int_equal(r[0].last, 0xfedfffff);
	assert_int_equal(r[1].start, 0xfef00000);
	detach(f.dev);
	assert_int_equal(ranges(&f, r, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(r[0].last, UINT64_MAX);
	stop(&f);
}

static void hostile_ranges_are_hostile(void **state)
{
	struct abi_iommu_iova_range r[4];
	uint32_t n = 4, before;
	struct fd f;

	start(&f);
	emu_iommu()->chain = EMU_CHAIN_COUNT_HUGE;
	assert_fails(ranges(&f, r, &n, NULL), EMSGSIZE);
	assert_int_equal(n, UINT32_MAX);
	emu_iommu()->chain = EMU_CHAIN_ARGSZ_GROWS;
	n = 0;
	for (int i = 0; i < 3; i++) {
		before = n;
		n = 0;
		assert_fails(ranges(&f, r, &n, NULL), EMSGSIZE);
		assert_true(n > before);
	}
	emu_iommu()->chain = EMU_CHAIN_NONE;
	n = 4;
	assert_int_equal(ranges(&f, r, &n, NULL), 0);
	assert_int_equal(n, 0);
	stop(&f);
}

/* ----------------------------------------------------------- MAP and UNMAP */

static void mapping_rules_are_those_of_iommufd(void **state)
{
	static const struct {
		uint64_t offset, iova, size;
		uint32_t flags;
		int err;
	} cases[] = {
		{ 0, 0x10000000, PAGE, R | W, 0 },
		{ 0, 0x10000000, PAGE, R | W, EEXIST },
		{ 0, 0x0ffff000, 2 * PAGE, R | W, EEXIST },
		{ 0, 0x10001000, 2 * PAGE, R, 0 },
		{ 0, 0x0fff0000, 64 * PAGE, R | W, EEXIST },
		{ 0, 0, PAGE, R | W, 0 },
		{ 1, 0x30000000, PAGE, R | W, EINVAL },
		{ 0, 0x30000001, PAGE, R | W, EINVAL },
		{ 0, 0x30000000, PAGE + 1, R | W, EINVAL },
		{ 0, 0x30000000, 0, R | W, EINVAL },
		{ 0, 0x30000000, PAGE, 0, EINVAL },
		{ 0, 0x30000000, PAGE, R | 1 << 20, EOPNOTSUPP },
		{ 0, UINT64_MAX, PAGE, R | W, EOVERFLOW },
		{ 0, 0x30000000, UINT64_MAX, R | W, EOVERFLOW },
		{ 0, -PAGE, 2 * PAGE, R | W, EOVERFLOW },
		{ 0, 0xfee00000, PAGE, R | W, EINVAL },
		{ 0, 1ULL << 39, PAGE, R | W, EINVAL },
	};
	uint64_t iova;
	struct fd f;
	char *ro;

	start(&f);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int ret;

		iova = cases[i].iova;
		ret = map(&f, cases[i].flags | FIXED, f.mem + cases[i].offset, &iova,
			  cases[i].size);
		if (ret != (cases[i].err ? -1 : 0) || (ret && errno != cases[i].err))
			fail_msg("case %zu: %d, errno %d", i, ret, errno);
	}
	assert_fails(map_at(&f, (void *)0x10000, 0x30000000, PAGE), EFAULT);
	ro = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_fails(map_at(&f, ro, 0x30000000, PAGE), EFAULT);
	iova = 0x30000000;
	assert_int_equal(map(&f, R | FIXED, ro, &iova, PAGE), 0);
	munmap(ro, PAGE);
	assert_true(emu_iova_mapped(EMU_BDF, 0x10000000, 3 * PAGE));
	assert_false(emu_iova_mapped(EMU_BDF, 0x10000000, 4 * PAGE));
	emu_iommu()->memlock = emu_usage().dma_bytes + PAGE;
	assert_fails(map_at(&f, f.mem, 0x40000000, 2 * PAGE), ENOMEM);
	f.ioas++;
	assert_fails(map_at(&f, f.mem, 0x40000000, PAGE), ENOENT);
	f.ioas--;
	stop(&f);
}

static void kernel_chooses_the_lowest_hole_but_0(void **state)
{
	uint64_t iova = 99, size = PAGE;
	struct fd f;

	start(&f);
	assert_int_equal(map(&f, R | W, f.mem, &iova, PAGE), 0);
	assert_int_equal(iova, PAGE);
	assert_int_equal(map(&f, R | W, f.mem, &iova, PAGE), 0);
	assert_int_equal(iova, 2 * PAGE);
	assert_int_equal(unmap(&f, PAGE, &size), 0);
	assert_int_equal(map(&f, R | W, f.mem, &iova, PAGE), 0);
	assert_int_equal(iova, PAGE);
	assert_int_equal(unmap_all(&f), 0);
	emu_iommu()->ranges[0] = (struct emu_range){ 0, 2 * PAGE - 1 };
	emu_iommu()->nranges = 1;
	assert_int_equal(map(&f, R | W, f.mem, &iova, PAGE), 0);
	assert_fails(map(&f, R | W, f.mem, &iova, PAGE), ENOSPC);
	stop(&f);
}

static void unmap_takes_whole_mappings(void **state)
{
	uint64_t size;
	struct fd f;

	start(&f);
#define UNMAP(iova, len) (size = (len), unmap(&f, iova, &size))
	assert_int_equal(map_at(&f, f.mem, 0x10000, 4 * PAGE), 0);
	assert_int_equal(map_at(&f, f.mem, 0x20000, 4 * PAGE), 0);
	assert_fails(UNMAP(0x11000, PAGE), ENOENT);
	assert_fails(UNMAP(0x10000, PAGE), ENOENT);
	assert_fails(UNMAP(0x13000, PAGE), ENOENT);
	assert_fails(UNMAP(0x30000, PAGE), ENOENT);
	assert_fails(UNMAP(0x10000, 0), EINVAL);
	assert_fails(UNMAP(-PAGE, 2 * PAGE), EOVERFLOW);
	assert_fails(UNMAP(0x10000, UINT64_MAX), EOVERFLOW);
	assert_int_equal(emu_usage().dma_maps, 2);
	/* the first goes before the second is found to stick out */
	assert_fails(UNMAP(0x10000, 0x11000), ENOENT);
	assert_int_equal(emu_usage().dma_maps, 1);
	assert_int_equal(UNMAP(0x10000, 0x20000), 0);
	assert_int_equal(size, 4 * PAGE);
	assert_int_equal(UNMAP(0, UINT64_MAX), 0);
	assert_int_equal(size, 0);
	assert_int_equal(map_at(&f, f.mem, 0x10000, 4 * PAGE), 0);
	emu_iommu()->short_unmap = true;
	assert_int_equal(UNMAP(0x10000, 4 * PAGE), 0);
	assert_int_equal(size, 3 * PAGE);
	stop(&f);
}

static void attaching_checks_what_is_mapped(void **state)
{
	uint32_t ioas;
	struct fd f;

	start(&f);
	detach(f.dev);
	ioas = f.ioas;
	assert_int_equal(map_at(&f, f.mem, 0xfee00000, PAGE), 0);
	assert_fails(raw_attach(f.dev, &ioas), EADDRINUSE);
	assert_int_equal(unmap_all(&f), 0);
	assert_int_equal(map_at(&f, (void *)0x10000, 0x10000, PAGE), 0);
	assert_fails(raw_attach(f.dev, &ioas), EFAULT);
	assert_int_equal(unmap_all(&f), 0);
	assert_int_equal(raw_attach(f.dev, &ioas), 0);
	stop(&f);
}

/* -------------------------------------------------------------------- token */

#define TOKEN "2ab74924-c335-45f4-9b16-8569e5b08258"
#define OTHER "2ab74924-c335-45f4-9b16-8569e5b08259"

static const uint8_t token_bytes[16] = { 0x2a, 0xb7, 0x49, 0x24, 0xc3, 0x35, 0x45, 0xf4,
					 0x9b, 0x16, 0x85, 0x69, 0xe5, 0xb0, 0x82, 0x58 };

static int bind_with(int dev, int iommu, const uint8_t *token)
{
	struct abi_vfio_device_bind_iommufd cmd = {
		.argsz = sizeof(cmd),
		.flags = ABI_VFIO_DEVICE_BIND_FLAG_TOKEN,
		.iommufd = iommu,
		.token_uuid_ptr = (uintptr_t)token,
	};

	return os_ioctl(dev, ABI_VFIO_DEVICE_BIND_IOMMUFD, &cmd);
}

static void token_is_asked_for_at_bind(void **state)
{
	const uint8_t wrong[16] = { 1 };
	int iommu = os_open("/dev/iommu", O_RDWR), dev, plain;

	emu_pci_add(&(struct emu_pci_opts){ .vf_token = TOKEN });
	emu_pci_add(&(struct emu_pci_opts){ .bdf = EMU_BDF2 });
	dev = raw_open_node(EMU_BDF);
	plain = raw_open_node(EMU_BDF2);
	assert_fails(raw_bind(dev, iommu, NULL), EACCES);
	assert_fails(bind_with(dev, iommu, wrong), EACCES);
	assert_fails(bind_with(plain, iommu, token_bytes), EINVAL);
	emu_iommu()->no_token = true;
	assert_fails(bind_with(dev, iommu, token_bytes), EINVAL);
	assert_int_equal(raw_bind(dev, iommu, NULL), 0);
	os_close(dev);
	emu_iommu()->no_token = false;
	dev = raw_open_node(EMU_BDF);
	assert_int_equal(bind_with(dev, iommu, token_bytes), 0);
	os_close(dev);
	os_close(plain);
	os_close(iommu);
}

static void token_is_asked_for_at_get_device_fd(void **state)
{
	static const struct {
		const char *name;
		int err;
	} cases[] = {
		{ EMU_BDF, EACCES },
		{ EMU_BDF " vf_token=" OTHER, EACCES },
		{ EMU_BDF " vf_token=2ab74924", EINVAL },
		{ EMU_BDF " vf_token=2ab74924-c335-45f4-9b16-8569e5b0825g", EINVAL },
		{ EMU_BDF " vf_token=" TOKEN " other=1", EINVAL },
		{ EMU_BDF "x vf_token=" TOKEN, ENODEV },
		{ EMU_BDF " vf_token=" TOKEN, 0 },
	};
	int container = os_open("/dev/vfio/vfio", O_RDWR), group, dev;

	emu_pci_add(&(struct emu_pci_opts){ .vf_token = TOKEN, .group = 7 });
	group = os_open("/dev/vfio/7", O_RDWR);
	assert_int_equal(os_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container), 0);
	assert_int_equal(os_ioctl(container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		dev = os_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, (void *)(uintptr_t)cases[i].name);
		if (cases[i].err)
			assert_int_equal(errno, cases[i].err);
		assert_int_equal(dev < 0, cases[i].err != 0);
	}
	os_close(dev);
	os_close(group);
	os_close(container);
}

/* -------------------------------------------------------------- page faults */

static int fault_queue(int iommu, struct abi_iommu_fault_alloc *cmd)
{
	*cmd = (struct abi_iommu_fault_alloc){ .size = sizeof(*cmd) };

	return os_ioctl(iommu, ABI_IOMMU_FAULT_QUEUE_ALLOC, cmd);
}

static int hwpt_alloc(struct fd *f, uint32_t fault, uint32_t *id)
{
	struct abi_iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = ABI_IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = f->devid,
		.pt_id = f->ioas,
		.fault_id = fault,
	};
	int ret = os_ioctl(f->iommu, ABI_IOMMU_HWPT_ALLOC, &cmd);

	*id = cmd.out_hwpt_id;

	return ret;
}

static void fault_queue_is_held_by_its_users(void **state)
{
	struct abi_iommu_fault_alloc q;
	uint32_t hwpt, pt;
	struct fd f;

	start(&f);
	emu_iommu()->no_fault_queue = true;
	assert_fails(fault_queue(f.iommu, &q), ENOTTY);
	emu_iommu()->no_fault_queue = false;
	assert_int_equal(fault_queue(f.iommu, &q), 0);
	assert_true(q.out_fault_fd > 2);
	assert_fails(hwpt_alloc(&f, f.ioas, &hwpt), ENOENT);
	emu_iommu()->no_fault_hwpt = true;
	assert_fails(hwpt_alloc(&f, q.out_fault_id, &hwpt), EOPNOTSUPP);
	emu_iommu()->no_fault_hwpt = false;
	assert_int_equal(hwpt_alloc(&f, q.out_fault_id, &hwpt), 0);
	pt = hwpt;
	emu_iommu()->no_pri = true;
	assert_fails(raw_attach(f.dev, &pt), ENODEV);
	emu_iommu()->no_pri = false;
	assert_int_equal(raw_attach(f.dev, &pt), 0);
	assert_int_equal(pt, hwpt);
	assert_fails(raw_destroy(f.iommu, hwpt), EBUSY);
	pt = f.ioas;
	assert_int_equal(raw_attach(f.dev, &pt), 0);
	assert_fails(raw_destroy(f.iommu, q.out_fault_id), EBUSY);
	assert_int_equal(raw_destroy(f.iommu, hwpt), 0);
	assert_fails(raw_destroy(f.iommu, q.out_fault_id), EBUSY);
	os_close(q.out_fault_fd);
	assert_int_equal(raw_destroy(f.iommu, q.out_fault_id), 0);
	stop(&f);
}

/* The thread that maps what a device misses. */
struct handler {
	struct raw *r;
	int fd;
	void *mem;
	uint32_t code;
	struct abi_iommu_hwpt_pgfault seen;
};

static void *handle_one(void *arg)
{
	struct abi_iommu_hwpt_page_response answer = {};
	struct handler *h = arg;

	if (read(h->fd, &h->seen, sizeof(h->seen)) != sizeof(h->seen))
		return NULL;
	if (h->mem)
		raw_map(h->r, h->mem, h->seen.addr, PAGE,
			VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
	answer.cookie = h->seen.cookie;
	answer.code = h->code;
	if (write(h->fd, &answer, sizeof(answer)) != sizeof(answer))
		return NULL;

	return h;
}

static uint16_t read_by_fault(struct raw *r, struct handler *h, uint64_t iova)
{
	const struct raw_cmd cmd = raw_rw(2, 1, 0, 8, iova, 0);
	pthread_t thread;
	uint16_t status;
	void *ret;

	assert_int_equal(pthread_create(&thread, NULL, handle_one, h), 0);
	status = raw_sync(r, 1, &cmd);
	assert_int_equal(pthread_join(thread, &ret), 0);
	assert_non_null(ret);

	return status;
}

static void device_waits_for_missing_page(void **state)
{
	struct abi_iommu_fault_alloc q;
	struct handler h = {};
	struct fd f = {};
	struct raw r;
	uint32_t hwpt;

	raw_start(&r, NULL);
	f.iommu = r.iommu;
	f.ioas = r.ioas;
	f.devid = 1;
	assert_int_equal(fault_queue(r.iommu, &q), 0);
	assert_int_equal(hwpt_alloc(&f, q.out_fault_id, &hwpt), 0);
	/* the same mappings by another page table: nothing is missed */
	assert_int_equal(raw_attach(r.dev, &hwpt), 0);
	h.r = &r;
	h.fd = q.out_fault_fd;
	h.mem = r.buf;
	memset(emu_nvme_disk(r.nvme, 1, NULL), 0x44, PAGE);
	assert_int_equal(read_by_fault(&r, &h, 0x50000000), 0);
	assert_int_equal(h.seen.addr, 0x50000000);
	assert_int_equal(h.seen.dev_id, f.devid);
	assert_int_equal(h.seen.perm, ABI_IOMMU_PGFAULT_PERM_WRITE);
	assert_int_equal(r.buf[0], 0x44);
	raw_unmap(&r, 0x50000000, PAGE);

	h.mem = NULL;
	h.code = ABI_IOMMUFD_PAGE_RESP_INVALID;
	emu_expect_violation("unmapped IOVA");
	assert_int_not_equal(read_by_fault(&r, &h, 0x50000000), 0);
	raw_disable(&r);
	os_close(q.out_fault_fd);
	assert_int_equal(raw_attach(r.dev, &f.ioas), 0);
	raw_destroy(r.iommu, hwpt);
	raw_destroy(r.iommu, q.out_fault_id);
	raw_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, emu_setup_iommufd, emu_teardown)
		T(nodes_come_and_go_with_driver_and_options),
		T(device_is_closed_until_bound),
		T(group_and_node_exclude_each_other),
		T(group_has_one_owner),
		T(objects_are_numbered_and_counted),
		T(attached_objects_cannot_be_destroyed),
		T(ioas_outlives_close_of_iommufd_while_device_is_bound),
		T(failing_destroy_destroys),
		T(ranges_are_the_devices),
		T(hostile_ranges_are_hostile),
		T(mapping_rules_are_those_of_iommufd),
		T(kernel_chooses_the_lowest_hole_but_0),
		T(unmap_takes_whole_mappings),
		T(attaching_checks_what_is_mapped),
		T(token_is_asked_for_at_bind),
		T(token_is_asked_for_at_get_device_fd),
		T(fault_queue_is_held_by_its_users),
		T(device_waits_for_missing_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
