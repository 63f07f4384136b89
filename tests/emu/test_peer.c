// SPDX-License-Identifier: GPL-2.0-or-later
/* BARs with memory, and the ways by which other devices get at it. */
#include "raw.h"

#define PAGE 4096UL
#define PEER EMU_BDF2
#define BAR2 (2ULL << 40)
#define PEER_SIZE (16 * PAGE)
#define PEER_IOVA 0x40000000ULL
#define RW (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

#define assert_fails(expr, err) \
	do { \
		errno = 0; \
		assert_int_equal((expr), -1); \
		assert_int_equal(errno, err); \
	} while (0)

/* An NVMe controller and, in the same address space, a device with memory in BAR 2. */
struct peers {
	struct raw r;
	int group, dev;
	struct emu_pci *pci;
	char *bar;
};

static void open_peer(struct peers *p)
{
	uint32_t pt = p->r.ioas;

	if (p->r.iommu < 0) {
		p->dev = os_ioctl(p->group, VFIO_GROUP_GET_DEVICE_FD, (void *)(uintptr_t)PEER);
		assert_true(p->dev > 2);
		return;
	}
	p->dev = raw_open_node(PEER);
	assert_int_equal(raw_bind(p->dev, p->r.iommu, NULL), 0);
	assert_int_equal(raw_attach(p->dev, &pt), 0);
}

static void start(struct peers *p)
{
	const struct emu_pci_opts peer = {
		.bdf = PEER,
		.classcode = 0x050000,
		.group = 9,
		.bar_size = { [2] = PEER_SIZE },
	};

	p->pci = emu_pci_add(&peer);
	raw_start(&p->r, NULL);
	if (p->r.iommu < 0) {
		p->group = os_open("/dev/vfio/9", O_RDWR);
		assert_int_equal(os_ioctl(p->group, VFIO_GROUP_SET_CONTAINER, &p->r.container), 0);
	}
	open_peer(p);
	p->bar = os_mmap(NULL, PEER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, p->dev, BAR2);
	assert_ptr_not_equal(p->bar, MAP_FAILED);
}

static void stop(struct peers *p)
{
	os_munmap(p->bar, PEER_SIZE);
	os_close(p->dev);
	if (p->r.iommu < 0)
		os_close(p->group);
	raw_stop(&p->r);
}

static uint16_t io(struct peers *p, uint8_t opcode, uint64_t prp1)
{
	const struct raw_cmd cmd = raw_rw(opcode, 1, 0, 8, prp1, 0);

	return raw_sync(&p->r, 1, &cmd);
}

static void loads_and_stores_reach_memory_of_bar(void **state)
{
	struct vfio_region_info reg = { .argsz = sizeof(reg), .index = 2 };
	struct peers p;
	size_t size;
	uint32_t val;

	start(&p);
	assert_int_equal(os_ioctl(p.dev, VFIO_DEVICE_GET_REGION_INFO, &reg), 0);
	assert_int_equal(reg.size, PEER_SIZE);
	assert_true(reg.flags & VFIO_REGION_INFO_FLAG_MMAP);
	memset(p.bar + PAGE, 0x5a, 8);
	assert_int_equal(emu_pci_bar(p.pci, 2, &size)[PAGE], 0x5a);
	assert_int_equal(size, PEER_SIZE);
	assert_int_equal(os_pread(p.dev, &val, 4, BAR2 + PAGE), 4);
	assert_int_equal(val, 0x5a5a5a5a);
	vfn_mmio_hook_write32(p.bar + 4, 0x12345678);
	assert_int_equal(p.bar[4], 0x78);
	stop(&p);
}

static void type1_maps_bar_for_other_devices(void **state)
{
	struct peers p;

	start(&p);
	for (unsigned int i = 0; i < PAGE; i++)
		p.bar[PAGE + i] = (char)(i * 7);
	assert_int_equal(raw_map(&p.r, p.bar, PEER_IOVA, PEER_SIZE, RW), 0);
	assert_int_equal(io(&p, 1, PEER_IOVA + PAGE), 0);
	assert_int_equal(io(&p, 2, PEER_IOVA + 3 * PAGE), 0);
	assert_memory_equal(p.bar + PAGE, p.bar + 3 * PAGE, PAGE);
	assert_memory_equal(emu_nvme_disk(p.r.nvme, 1, NULL), p.bar + PAGE, PAGE);
	assert_int_equal(raw_unmap(&p.r, PEER_IOVA, PEER_SIZE), 0);
	stop(&p);
}

static void dma_to_registers_or_closed_device_is_a_violation(void **state)
{
	struct peers p;

	start(&p);
	assert_int_equal(raw_map(&p.r, p.r.bar, PEER_IOVA, PAGE, RW), 0);
	emu_expect_violation("unmapped IOVA");
	assert_int_not_equal(io(&p, 1, PEER_IOVA), 0);
	raw_unmap(&p.r, PEER_IOVA, PAGE);

	assert_int_equal(raw_map(&p.r, p.bar, PEER_IOVA, PAGE, RW), 0);
	assert_int_equal(io(&p, 1, PEER_IOVA), 0);
	os_close(p.dev);
	emu_expect_violation("unmapped IOVA");
	assert_int_not_equal(io(&p, 1, PEER_IOVA), 0);
	raw_unmap(&p.r, PEER_IOVA, PAGE);
	open_peer(&p);
	stop(&p);
}

/* --------------------------------------------------- by iommufd: descriptors */

static int export(struct peers *p, uint32_t region, uint64_t offset, uint64_t len)
{
	uint64_t room[8] = {};
	struct vfio_device_feature *f = (void *)room;
	struct abi_vfio_device_feature_dma_buf *buf = (void *)f->data;

	f->argsz = sizeof(*f) + sizeof(*buf) + sizeof(buf->dma_ranges[0]);
	f->flags = VFIO_DEVICE_FEATURE_GET | ABI_VFIO_DEVICE_FEATURE_DMA_BUF;
	buf->region_index = region;
	buf->open_flags = O_CLOEXEC | O_RDWR;
	buf->nr_ranges = 1;
	buf->dma_ranges[0].offset = offset;
	buf->dma_ranges[0].length = len;

	return os_ioctl(p->dev, VFIO_DEVICE_FEATURE, f);
}

static int map_file(struct raw *r, int fd, uint64_t start, uint64_t iova, uint64_t len)
{
	struct abi_iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = ABI_IOMMU_IOAS_MAP_FIXED_IOVA | ABI_IOMMU_IOAS_MAP_READABLE |
			 ABI_IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = r->ioas,
		.fd = fd,
		.start = start,
		.length = len,
		.iova = iova,
	};

	return os_ioctl(r->iommu, ABI_IOMMU_IOAS_MAP_FILE, &map);
}

static void iommufd_maps_bar_by_dma_buf_only(void **state)
{
	struct peers p;
	int fd;

	start(&p);
	assert_fails(raw_map(&p.r, p.bar, PEER_IOVA, PEER_SIZE, RW), EFAULT);
	fd = export(&p, 2, PAGE, 4 * PAGE);
	assert_true(fd > 2);
	assert_fails(map_file(&p.r, fd, PAGE, PEER_IOVA, 4 * PAGE), EINVAL);
	assert_int_equal(map_file(&p.r, fd, PAGE, PEER_IOVA, PAGE), 0);
	os_close(fd);
	memset(emu_nvme_disk(p.r.nvme, 1, NULL), 0x77, PAGE);
	assert_int_equal(io(&p, 2, PEER_IOVA), 0);
	assert_int_equal(p.bar[PAGE], 0);
	assert_int_equal(p.bar[2 * PAGE], 0x77);
	assert_int_equal(p.bar[3 * PAGE - 1], 0x77);
	assert_int_equal(raw_unmap(&p.r, PEER_IOVA, PAGE), 0);
	stop(&p);
}

static void dma_buf_ends_with_close_of_its_device(void **state)
{
	struct peers p;
	int fd;

	start(&p);
	fd = export(&p, 2, 0, PAGE);
	assert_int_equal(map_file(&p.r, fd, 0, PEER_IOVA, PAGE), 0);
	os_close(p.dev);
	emu_expect_violation("unmapped IOVA");
	assert_int_not_equal(io(&p, 1, PEER_IOVA), 0);
	assert_fails(map_file(&p.r, fd, 0, 2 * PEER_IOVA, PAGE), ENODEV);
	raw_unmap(&p.r, PEER_IOVA, PAGE);
	open_peer(&p);
	assert_fails(map_file(&p.r, fd, 0, 2 * PEER_IOVA, PAGE), ENODEV);
	os_close(fd);
	stop(&p);
}

static void dma_buf_rules_are_those_of_vfio(void **state)
{
	struct vfio_device_feature probe = {
		.argsz = sizeof(probe),
		.flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET |
			 ABI_VFIO_DEVICE_FEATURE_DMA_BUF,
	};
	struct peers p;

	start(&p);
	assert_int_equal(os_ioctl(p.dev, VFIO_DEVICE_FEATURE, &probe), 0);
	assert_fails(export(&p, VFIO_PCI_CONFIG_REGION_INDEX, 0, PAGE), ENODEV);
	assert_fails(export(&p, 2, 0, 0), EINVAL);
	assert_fails(export(&p, 2, 1, PAGE), EINVAL);
	assert_fails(export(&p, 2, 0, 2 * PEER_SIZE), EINVAL);
	assert_fails(export(&p, 2, PEER_SIZE, PAGE), EINVAL);
	emu_iommu()->no_dma_buf = true;
	assert_fails(export(&p, 2, 0, PAGE), ENOTTY);
	assert_fails(os_ioctl(p.dev, VFIO_DEVICE_FEATURE, &probe), ENOTTY);
	stop(&p);
}

static void iommufd_maps_pages_of_memfd(void **state)
{
	int fd = memfd_create("pages", MFD_CLOEXEC), null = open("/dev/null", O_RDWR);
	char byte = 0;
	struct peers p;

	start(&p);
	assert_int_equal(ftruncate(fd, 4 * PAGE), 0);
	assert_fails(map_file(&p.r, 999, 0, PEER_IOVA, PAGE), EBADF);
	assert_fails(map_file(&p.r, null, 0, PEER_IOVA, PAGE), EINVAL);
	assert_fails(map_file(&p.r, fd, 0, PEER_IOVA, 5 * PAGE), EINVAL);
	assert_fails(map_file(&p.r, fd, 1, PEER_IOVA, PAGE), EINVAL);
	emu_iommu()->no_map_file = true;
	assert_fails(map_file(&p.r, fd, 0, PEER_IOVA, PAGE), ENOTTY);
	emu_iommu()->no_map_file = false;
	assert_int_equal(map_file(&p.r, fd, 2 * PAGE, PEER_IOVA, PAGE), 0);
	memset(emu_nvme_disk(p.r.nvme, 1, NULL), 0x33, PAGE);
	assert_int_equal(io(&p, 2, PEER_IOVA), 0);
	assert_int_equal(pread(fd, &byte, 1, 2 * PAGE), 1);
	assert_int_equal(byte, 0x33);
	raw_unmap(&p.r, PEER_IOVA, PAGE);
	close(fd);
	close(null);
	stop(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TYPE1(name) { #name "(type1)", name, emu_setup_type1, emu_teardown, NULL }
#define IOMMUFD(name) \
	{ \
#name "(iommufd)", name, emu_setup_iommufd, emu_teardown, NULL \
	}
		TYPE1(loads_and_stores_reach_memory_of_bar),
		IOMMUFD(loads_and_stores_reach_memory_of_bar),
		TYPE1(type1_maps_bar_for_other_devices),
		TYPE1(dma_to_registers_or_closed_device_is_a_violation),
		IOMMUFD(iommufd_maps_bar_by_dma_buf_only),
		IOMMUFD(dma_buf_ends_with_close_of_its_device),
		IOMMUFD(dma_buf_rules_are_those_of_vfio),
		IOMMUFD(iommufd_maps_pages_of_memfd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
