// SPDX-License-Identifier: GPL-2.0-or-later
/* A bare NVMe host on raw os_ and MMIO calls, with which the harness tests itself. */
#include "raw.h"

#define PAGE 4096
#define MAP_RW (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)
#define CONFIG_OFFSET ((uint64_t)VFIO_PCI_CONFIG_REGION_INDEX << 40)
#define WAIT_NS 10000000000ULL

uint32_t raw_read(struct raw *r, unsigned int offset)
{
	return vfn_mmio_hook_read32(r->bar + offset);
}

void raw_write(struct raw *r, unsigned int offset, uint32_t val)
{
	vfn_mmio_hook_write32(r->bar + offset, val);
}

void raw_bus_master(struct raw *r, bool on)
{
	uint16_t cmd = on ? 6 : 2;

	assert_int_equal(os_pwrite(r->dev, &cmd, 2, CONFIG_OFFSET + 4), 2);
}

/* ---------------------------------------------------------------- iommufd */

int raw_bind(int dev, int iommu, uint32_t *devid)
{
	struct abi_vfio_device_bind_iommufd cmd = { .argsz = 16, .iommufd = iommu };
	int ret = os_ioctl(dev, ABI_VFIO_DEVICE_BIND_IOMMUFD, &cmd);

	if (devid)
		*devid = cmd.out_devid;

	return ret;
}

int raw_ioas_alloc(int iommu, uint32_t *id)
{
	struct abi_iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int ret = os_ioctl(iommu, ABI_IOMMU_IOAS_ALLOC, &cmd);

	*id = cmd.out_ioas_id;

	return ret;
}

int raw_attach(int dev, uint32_t *pt)
{
	struct abi_vfio_device_attach_iommufd_pt cmd = { .argsz = sizeof(cmd), .pt_id = *pt };
	int ret = os_ioctl(dev, ABI_VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);

	*pt = cmd.pt_id;

	return ret;
}

int raw_destroy(int iommu, uint32_t id)
{
	struct abi_iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return os_ioctl(iommu, ABI_IOMMU_DESTROY, &cmd);
}

static int only_entry(const char *name, void *arg)
{
	return snprintf(arg, 64, "/dev/vfio/devices/%s", name);
}

int raw_open_node(const char *bdf)
{
	char dir[64], path[64];

	snprintf(dir, sizeof(dir), "/sys/bus/pci/devices/%s/vfio-dev", bdf);
	assert_true(os_list_dir(dir, only_entry, path) > 0);

	return os_open(path, O_RDWR);
}

static void open_iommufd(struct raw *r, const char *bdf)
{
	uint32_t pt;

	r->container = r->group = -1;
	r->iommu = os_open("/dev/iommu", O_RDWR);
	assert_true(r->iommu >= 0);
	r->dev = raw_open_node(bdf);
	assert_true(r->dev >= 0);
	assert_int_equal(raw_bind(r->dev, r->iommu, NULL), 0);
	assert_int_equal(raw_ioas_alloc(r->iommu, &r->ioas), 0);
	pt = r->ioas;
	assert_int_equal(raw_attach(r->dev, &pt), 0);
}

static int map_ioas(struct raw *r, void *vaddr, uint64_t iova, uint64_t size, uint32_t flags)
{
	struct abi_iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = ABI_IOMMU_IOAS_MAP_FIXED_IOVA |
			 (flags & VFIO_DMA_MAP_FLAG_READ ? ABI_IOMMU_IOAS_MAP_READABLE : 0) |
			 (flags & VFIO_DMA_MAP_FLAG_WRITE ? ABI_IOMMU_IOAS_MAP_WRITEABLE : 0),
		.ioas_id = r->ioas,
		.user_va = (uintptr_t)vaddr,
		.length = size,
		.iova = iova,
	};

	return os_ioctl(r->iommu, ABI_IOMMU_IOAS_MAP, &map);
}

static int unmap_ioas(struct raw *r, uint64_t iova, uint64_t size)
{
	struct abi_iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = r->ioas,
		.iova = iova,
		.length = size,
	};

	return os_ioctl(r->iommu, ABI_IOMMU_IOAS_UNMAP, &unmap);
}

/* ---------------------------------------------------------------- the group */

int raw_map(struct raw *r, void *vaddr, uint64_t iova, uint64_t size, uint32_t flags)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = flags,
		.vaddr = (uintptr_t)vaddr,
		.iova = iova,
		.size = size,
	};

	if (r->iommu >= 0)
		return map_ioas(r, vaddr, iova, size, flags);

	return os_ioctl(r->container, VFIO_IOMMU_MAP_DMA, &map);
}

int raw_unmap(struct raw *r, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = iova,
		.size = size,
	};

	if (r->iommu >= 0)
		return unmap_ioas(r, iova, size);

	return os_ioctl(r->container, VFIO_IOMMU_UNMAP_DMA, &unmap);
}

int raw_set_irqs(struct raw *r, uint32_t index, uint32_t flags, uint32_t start, uint32_t count,
		 const int *fds)
{
	uint64_t room[8] = {};
	struct vfio_irq_set *set = (void *)room;

	set->argsz = sizeof(*set) + (fds ? count * sizeof(int) : 0);
	set->index = index;
	set->flags = flags;
	set->start = start;
	set->count = count;
	if (fds)
		memcpy(set->data, fds, count * sizeof(int));

	return os_ioctl(r->dev, VFIO_DEVICE_SET_IRQS, set);
}

static void *pages(size_t len)
{
	void *mem = os_mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(mem, MAP_FAILED);
	return mem;
}

static void open_group(struct raw *r, const char *bdf)
{
	char link[256], path[64];
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	len = os_readlink(path, link, sizeof(link) - 1);
	assert_true(len > 0);
	link[len] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	r->group = os_open(path, O_RDWR);
	assert_true(r->group >= 0);
}

static void open_container(struct raw *r, const char *bdf)
{
	r->iommu = -1;
	r->container = os_open("/dev/vfio/vfio", O_RDWR);
	assert_true(r->container >= 0);
	open_group(r, bdf);
	assert_int_equal(os_ioctl(r->group, VFIO_GROUP_SET_CONTAINER, &r->container), 0);
	assert_int_equal(os_ioctl(r->container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU), 0);
	r->dev = os_ioctl(r->group, VFIO_GROUP_GET_DEVICE_FD, (void *)(uintptr_t)bdf);
	assert_true(r->dev >= 0);
}

void raw_open(struct raw *r, const char *bdf)
{
	memset(r, 0, sizeof(*r));
	r->nvme = emu_nvme_find(bdf);
	if (emu_iommu()->no_iommufd)
		open_container(r, bdf);
	else
		open_iommufd(r, bdf);
	r->bar = os_mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, r->dev, 0);
	assert_ptr_not_equal(r->bar, MAP_FAILED);
	raw_bus_master(r, true);

	r->queue_mem = pages(2 * PAGE * RAW_QUEUES);
	r->buf = pages(RAW_BUF_SIZE);
	assert_int_equal(raw_map(r, r->queue_mem, RAW_IOVA, 2 * PAGE * RAW_QUEUES, MAP_RW), 0);
	assert_int_equal(raw_map(r, r->buf, RAW_BUF_IOVA, RAW_BUF_SIZE, MAP_RW), 0);
}

void raw_close(struct raw *r)
{
	raw_unmap(r, RAW_IOVA, 2 * PAGE * RAW_QUEUES);
	raw_unmap(r, RAW_BUF_IOVA, RAW_BUF_SIZE);
	os_munmap(r->queue_mem, 2 * PAGE * RAW_QUEUES);
	os_munmap(r->buf, RAW_BUF_SIZE);
	os_munmap(r->bar, 4 * PAGE);
	os_close(r->dev);
	if (r->iommu >= 0) {
		raw_destroy(r->iommu, r->ioas);
		os_close(r->iommu);
		return;
	}
	os_close(r->group);
	os_close(r->container);
}

static uint64_t queue_iova(unsigned int qid, bool cq)
{
	return RAW_IOVA + (2 * qid + cq) * PAGE;
}

void raw_setup_queue(struct raw *r, unsigned int qid)
{
	struct raw_queue *q = &r->q[qid];

	memset(q, 0, sizeof(*q));
	q->sq = (uint32_t *)(r->queue_mem + 2 * qid * PAGE);
	q->cq = (struct raw_cqe *)(r->queue_mem + (2 * qid + 1) * PAGE);
	q->size = RAW_DEPTH;
	q->phase = true;
	memset(q->sq, 0, 2 * PAGE);
}

static void wait_ready(struct raw *r, uint32_t rdy)
{
	uint64_t end = os_clock_ns() + WAIT_NS;

	while ((raw_read(r, 0x1c) & 1) != rdy && os_clock_ns() < end)
		os_sleep_ns(100000);
	assert_int_equal(raw_read(r, 0x1c) & 1, rdy);
}

void raw_enable(struct raw *r)
{
	raw_setup_queue(r, 0);
	raw_write(r, 0x24, (RAW_DEPTH - 1) << 16 | (RAW_DEPTH - 1));
	raw_write(r, 0x28, queue_iova(0, false));
	raw_write(r, 0x2c, queue_iova(0, false) >> 32);
	raw_write(r, 0x30, queue_iova(0, true));
	raw_write(r, 0x34, queue_iova(0, true) >> 32);
	raw_write(r, 0x14, 1 | 6 << 16 | 4 << 20);
	wait_ready(r, 1);
}

void raw_disable(struct raw *r)
{
	raw_write(r, 0x14, 0);
	wait_ready(r, 0);
}

void raw_start(struct raw *r, const struct emu_nvme_opts *opts)
{
	emu_nvme_add(opts);
	raw_open(r, opts && opts->pci.bdf ? opts->pci.bdf : EMU_BDF);
	raw_enable(r);
	raw_create_cq(r, 1, -1);
	raw_create_sq(r, 1);
}

void raw_stop(struct raw *r)
{
	raw_disable(r);
	raw_close(r);
}

/* ----------------------------------------------------------------- queues */

void raw_submit(struct raw *r, unsigned int qid, const struct raw_cmd *cmd)
{
	struct raw_queue *q = &r->q[qid];

	memcpy(q->sq + 16 * q->tail, cmd, sizeof(*cmd));
	q->tail = (q->tail + 1) % q->size;
	raw_write(r, 0x1000 + 8 * qid, q->tail);
}

bool raw_poll(struct raw *r, unsigned int qid, struct raw_cqe *cqe)
{
	struct raw_queue *q = &r->q[qid];
	uint16_t sfp = __atomic_load_n(&q->cq[q->head].sfp, __ATOMIC_ACQUIRE);

	if ((sfp & 1) != q->phase)
		return false;
	*cqe = q->cq[q->head];
	q->head = (q->head + 1) % q->size;
	q->phase ^= !q->head;
	raw_write(r, 0x1004 + 8 * qid, q->head);

	return true;
}

struct raw_cqe raw_wait(struct raw *r, unsigned int qid)
{
	uint64_t end = os_clock_ns() + WAIT_NS;
	struct raw_cqe cqe = {};

	while (!raw_poll(r, qid, &cqe)) {
		os_sleep_ns(1000);
		if (os_clock_ns() > end)
			fail_msg("no completion in queue %u", qid);
	}

	return cqe;
}

uint16_t raw_sync(struct raw *r, unsigned int qid, const struct raw_cmd *cmd)
{
	raw_submit(r, qid, cmd);
	return raw_wait(r, qid).sfp >> 1;
}

void raw_create_cq(struct raw *r, unsigned int qid, int vector)
{
	uint64_t iova = queue_iova(qid, true);
	struct raw_cmd cmd = { {
		[0] = 0x05,
		[6] = iova,
		[7] = iova >> 32,
		[10] = (RAW_DEPTH - 1) << 16 | qid,
		[11] = 1 | (vector < 0 ? 0 : 2 | vector << 16),
	} };

	raw_setup_queue(r, qid);
	assert_int_equal(raw_sync(r, 0, &cmd), 0);
}

void raw_create_sq(struct raw *r, unsigned int qid)
{
	uint64_t iova = queue_iova(qid, false);
	struct raw_cmd cmd = { {
		[0] = 0x01,
		[6] = iova,
		[7] = iova >> 32,
		[10] = (RAW_DEPTH - 1) << 16 | qid,
		[11] = 1 | qid << 16,
	} };

	assert_int_equal(raw_sync(r, 0, &cmd), 0);
}

void raw_delete(struct raw *r, unsigned int qid)
{
	struct raw_cmd sq = { { [0] = 0x00, [10] = qid } }, cq = { { [0] = 0x04, [10] = qid } };

	assert_int_equal(raw_sync(r, 0, &sq), 0);
	assert_int_equal(raw_sync(r, 0, &cq), 0);
}

struct raw_cmd raw_identify(uint8_t cns, uint32_t nsid)
{
	return (struct raw_cmd){ {
		[0] = 0x06,
		[1] = nsid,
		[6] = RAW_BUF_IOVA,
		[10] = cns,
	} };
}

struct raw_cmd raw_rw(uint8_t opcode, uint16_t cid, uint64_t slba, uint16_t blocks, uint64_t prp1,
		      uint64_t prp2)
{
	return (struct raw_cmd){ {
		[0] = opcode | (uint32_t)cid << 16,
		[1] = 1,
		[6] = prp1,
		[7] = prp1 >> 32,
		[8] = prp2,
		[9] = prp2 >> 32,
		[10] = slba,
		[11] = slba >> 32,
		[12] = blocks - 1,
	} };
}
