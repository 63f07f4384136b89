// SPDX-License-Identifier: GPL-2.0-or-later
/* BARs with memory, and the ways by which other devices get at it. */
#include "raw.h"

#include "os/abi.h"

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

/* An NVMe controller and, in the same container, a device with memory in BAR 2. */
struct peers {
	struct raw r;
	int group, dev;
	struct emu_pci *pci;
	char *bar;
};

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
	p->group = os_open("/dev/vfio/9", O_RDWR);
	assert_int_equal(os_ioctl(p->group, VFIO_GROUP_SET_CONTAINER, &p->r.container), 0);
	p->dev = os_ioctl(p->group, VFIO_GROUP_GET_DEVICE_FD, (void *)(uintptr_t)PEER);
	assert_true(p->dev > 2);
	p->bar = os_mmap(NULL, PEER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, p->dev, BAR2);
	assert_ptr_not_equal(p->bar, MAP_FAILED);
}

static void stop(struct peers *p)
{
	os_munmap(p->bar, PEER_SIZE);
	os_close(p->dev);
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
	p.dev = os_ioctl(p.group, VFIO_GROUP_GET_DEVICE_FD, (void *)(uintptr_t)PEER);
	stop(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, emu_setup, emu_teardown)
		T(loads_and_stores_reach_memory_of_bar),
		T(type1_maps_bar_for_other_devices),
		T(dma_to_registers_or_closed_device_is_a_violation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
