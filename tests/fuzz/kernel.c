// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A kernel that fails, or answers nonsense, at any call: opening a device, mapping
 * memory and registers for it, interrupts, page faults, closing. Whatever it says,
 * nothing is left open or mapped, and nothing is given out that it did not offer.
 *
 * V11, V13, V14, V17
 */
#include "fuzz.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/types.h>

#include <linux/vfio.h>

#include <vfn/iommu.h>
#include <vfn/iommu/iommufd.h>
#include <vfn/vfio.h>

#include "emu.h"
#include "os/abi.h"

/* The linker puts these around the fake kernel's calls. */
int __real_os_ioctl(int fd, unsigned long request, void *arg);
int __wrap_os_ioctl(int fd, unsigned long request, void *arg);
ssize_t __real_os_read(int fd, void *buf, size_t count);
ssize_t __wrap_os_read(int fd, void *buf, size_t count);
ssize_t __real_os_pread(int fd, void *buf, size_t count, uint64_t offset);
ssize_t __wrap_os_pread(int fd, void *buf, size_t count, uint64_t offset);

/* What comes of the kernel from now on; NULL where it is an honest one. */
static struct input *script;
static struct iommufd_fault_queue queue;
static char *memory;

static int fail(void)
{
	static const int errs[] = { EINVAL, EMSGSIZE, ENOSPC, EIO, EBUSY, ENOTTY, EPERM, ENOENT };

	errno = errs[take_to(script, 7)];

	return -1;
}

/* Where in its argument the kernel's answer begins, SIZE_MAX where it has none to be spoilt. */
static size_t answer_start(unsigned long request)
{
	switch (request) {
	case VFIO_IOMMU_GET_INFO:
	case VFIO_GROUP_GET_STATUS:
	case VFIO_DEVICE_GET_INFO:
		return 0;
	case VFIO_DEVICE_GET_REGION_INFO:
	case VFIO_DEVICE_GET_IRQ_INFO:
		return 4;
	case ABI_IOMMU_IOAS_IOVA_RANGES:
		return 8;
	case VFIO_IOMMU_UNMAP_DMA:
		return 16;
	default:
		return SIZE_MAX;
	}
}

/* Ranges are in memory that the argument points to. */
static void spoil_ranges(struct abi_iommu_ioas_iova_ranges *cmd, uint32_t room)
{
	take_bytes(script, (void *)(uintptr_t)cmd->allowed_iovas,
		   take_to(script, room) * sizeof(struct abi_iommu_iova_range));
	cmd->num_iovas = (uint32_t)take(script, take_to(script, 1) ? 1 : 4);
}

static void flip(uint8_t *answer, size_t size)
{
	size_t at = take(script, 2) % size;

	answer[at] ^= (uint8_t)take(script, 1);
}

int __wrap_os_ioctl(int fd, unsigned long request, void *arg)
{
	unsigned int what = script ? take_to(script, 7) : 0, room = 0;
	size_t start = answer_start(request), size = 0;
	int ret;

	if (what == 1)
		return fail();

	/* all arguments that get an answer begin with their size */
	if (start != SIZE_MAX)
		memcpy(&size, arg, sizeof(uint32_t));
	if (request == ABI_IOMMU_IOAS_IOVA_RANGES)
		room = ((struct abi_iommu_ioas_iova_ranges *)arg)->num_iovas;

	ret = __real_os_ioctl(fd, request, arg);
	if (what < 2)
		return ret;

	if (request == VFIO_DEVICE_SET_IRQS && what == 2)
		return (int)take(script, 3);
	if (request == ABI_IOMMU_IOAS_IOVA_RANGES && what < 5)
		spoil_ranges(arg, room);
	else if (start != SIZE_MAX && what < 5)
		take_bytes(script, (char *)arg + start, size - start);
	else if (start != SIZE_MAX && what == 5)
		flip((uint8_t *)arg + start, size - start);

	return ret;
}

ssize_t __wrap_os_read(int fd, void *buf, size_t count)
{
	size_t n;

	if (!script || !queue.fault_id || fd != queue.fault_fd)
		return __real_os_read(fd, buf, count);
	if (take_to(script, 7) == 1)
		return fail();

	n = take(script, 2);
	n = n < count ? n : count;
	take_bytes(script, buf, n);

	return (ssize_t)n;
}

ssize_t __wrap_os_pread(int fd, void *buf, size_t count, uint64_t offset)
{
	unsigned int what = script ? take_to(script, 7) : 0;

	if (what == 1)
		return fail();
	if (what != 2)
		return __real_os_pread(fd, buf, count, offset);

	take_bytes(script, buf, count);

	return (ssize_t)take_to(script, (unsigned int)count);
}

static bool offered(struct iommu_ctx *ctx, uint64_t first, uint64_t last)
{
	struct iommu_iova_range *ranges;
	int n = iommu_get_iova_ranges(ctx, &ranges);
	bool found = false;

	require(n > 0);
	for (int i = 0; i < n; i++) {
		require(ranges[i].start <= ranges[i].last);
		require(!i || ranges[i].start > ranges[i - 1].last + 1);
		found = found || (ranges[i].start <= first && last <= ranges[i].last);
	}

	return found;
}

static void map_memory(struct iommu_ctx *ctx, struct input *in)
{
	size_t len = (1 + take_to(in, 3)) * 4096;
	iova_t iova = 0;

	if (iommu_map_vaddr(ctx, memory, len, &iova, 0))
		return;

	require(iova && offered(ctx, iova, iova + len - 1));
	require(vfn_iommu_translate(ctx, memory, len, &iova) == len);
	if (take_to(in, 1))
		(void)iommu_unmap_vaddr(ctx, memory, NULL);
}

static void map_bar(struct vfio_pci_device *pci, struct input *in)
{
	int idx = (int)take_to(in, 7) - 1;
	uint64_t offset = take(in, 2) << 12;
	size_t len = take(in, 2);
	void *mem = vfio_pci_map_bar(pci, idx, len, offset, PROT_READ | PROT_WRITE);

	vfio_pci_unmap_bar(pci, idx, mem, len, offset);
}

static void route(struct vfio_pci_device *pci, struct input *in)
{
	int fds[16], n = (int)take_to(in, 16), min = (int)take_to(in, 3);

	for (int i = 0; i < 16; i++)
		fds[i] = -1;
	n = vfn_vfio_setup_irqs(&pci->dev, fds, min, n);
	require(n < 0 || n <= 16);
	min = (int)take_to(in, 3);
	(void)vfio_set_irq(&pci->dev, fds, min, (int)take_to(in, 8));
	(void)vfn_vfio_select_irq(pci, take_to(in, 3));
	(void)vfn_vfio_unmask_irq(&pci->dev);
}

static void faults(struct vfio_pci_device *pci, struct input *in)
{
	struct vfn_iommufd_fault got[4];
	int n;

	if (iommufd_alloc_fault_queue(&queue))
		return;

	(void)iommufd_set_fault_queue(pci->dev.ctx, &queue, pci->dev.fd);
	n = vfn_iommufd_get_faults(&queue, got, 1 + (int)take_to(in, 3));
	require(n <= 4);
	for (int i = 0; i < n; i++)
		(void)vfn_iommufd_answer_fault(&queue, &got[i], i & 1);
	(void)iommufd_set_fault_queue(pci->dev.ctx, NULL, pci->dev.fd);
	vfn_iommufd_free_fault_queue(&queue);
}

static void use(struct vfio_pci_device *pci, struct input *in)
{
	uint32_t word;

	for (unsigned int i = 0; i < 8 && left(in); i++) {
		switch (take_to(in, 5)) {
		case 0:
			map_memory(pci->dev.ctx, in);
			break;
		case 1:
			map_bar(pci, in);
			break;
		case 2:
			route(pci, in);
			break;
		case 3:
			faults(pci, in);
			break;
		case 4:
			(void)vfn_vfio_pci_pread(pci, &word, sizeof(word), (off_t)take(in, 2));
			break;
		default:
			(void)vfio_reset(&pci->dev);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + (size < 4096 ? size : 4096) };
	struct vfio_pci_device pci = {};

	if (!memory)
		memory = aligned_alloc(4096, 4 * 4096);

	emu_init();
	emu_iommu()->no_iommufd = take_to(&in, 1);
	emu_pci_add(&(struct emu_pci_opts){ .bar_size = { [2] = 0x4000 } });

	script = &in;
	if (!vfio_pci_open(&pci, EMU_BDF)) {
		use(&pci, &in);
		(void)vfio_pci_close(&pci);
	}
	script = NULL;

	require(!pci.bdf && !emu_usage().fds && !emu_usage().mmaps);
	emu_fini();

	return 0;
}
