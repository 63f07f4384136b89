// SPDX-License-Identifier: GPL-2.0-or-later
/* VFIO device descriptors: information, regions, reset. */
#include "emu_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/pci_regs.h>

#include "os/abi.h"

#define REGION_SHIFT 40
#define REGION_MASK ((1ULL << REGION_SHIFT) - 1)

static int get_info(struct emu_pci *pci, struct vfio_device_info *info)
{
	const uint32_t minsz = offsetof(struct vfio_device_info, num_irqs) + sizeof(uint32_t);

	if (info->argsz < minsz)
		return emu_errno(EINVAL);
	info->flags = VFIO_DEVICE_FLAGS_PCI | (pci->opts.no_reset ? 0 : VFIO_DEVICE_FLAGS_RESET);
	info->num_regions = pci->opts.num_regions;
	info->num_irqs = pci->opts.num_irqs;

	return 0;
}

static uint64_t region_size(struct emu_pci *pci, unsigned int index)
{
	if (index < PCI_BARS)
		return pci->bar_size[index];

	return index == VFIO_PCI_CONFIG_REGION_INDEX ? PCI_CONFIG_SIZE : 0;
}

static bool can_mmap(struct emu_pci *pci, unsigned int index)
{
	return index < PCI_BARS && !(index == 0 && pci->opts.bar0_no_mmap) &&
	       region_size(pci, index) >= EMU_PAGE;
}

static int get_region_info(struct emu_pci *pci, struct vfio_region_info *info)
{
	if (info->argsz < sizeof(*info) || info->index >= pci->opts.num_regions)
		return emu_errno(EINVAL);

	info->argsz = sizeof(*info);
	info->cap_offset = 0;
	info->offset = (uint64_t)info->index << REGION_SHIFT;
	info->size = region_size(pci, info->index);
	info->flags = 0;
	if (info->size)
		info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (info->size && can_mmap(pci, info->index))
		info->flags |= VFIO_REGION_INFO_FLAG_MMAP;

	return 0;
}

static int device_reset(struct emu_pci *pci)
{
	if (pci->opts.no_reset)
		return emu_errno(ENOTTY);
	pci_reset(pci);

	return 0;
}

static int set_irqs(struct emu_pci *pci, const struct vfio_irq_set *set)
{
	int ret = irq_set(pci, set);

	if (pci->ops)
		pci->ops->irq_changed(pci);

	return ret;
}

#define FEATURE_FLAGS \
	(VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PROBE)

/* Only dma-bufs, which one can get. */
static int feature(struct emu_pci *pci, struct vfio_device_feature *arg)
{
	const uint32_t how = arg->flags & FEATURE_FLAGS;

	if (arg->argsz < sizeof(*arg) || arg->flags & ~(FEATURE_FLAGS | VFIO_DEVICE_FEATURE_MASK))
		return emu_errno(EINVAL);
	if (how == (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET))
		return emu_errno(EINVAL);
	if ((arg->flags & VFIO_DEVICE_FEATURE_MASK) != ABI_VFIO_DEVICE_FEATURE_DMA_BUF ||
	    emu_iommu()->no_dma_buf)
		return emu_errno(ENOTTY);
	if (how & VFIO_DEVICE_FEATURE_SET)
		return emu_errno(EINVAL);
	if (how & VFIO_DEVICE_FEATURE_PROBE)
		return 0;
	if (!how || arg->argsz < sizeof(*arg) + sizeof(struct abi_vfio_device_feature_dma_buf))
		return emu_errno(EINVAL);

	return dmabuf_export(pci, (const void *)arg->data);
}

static int device_ioctl(struct emu_file *file, unsigned long request, void *arg)
{
	struct emu_pci *pci = file->priv;

	switch (request) {
	case VFIO_DEVICE_GET_INFO:
		return get_info(pci, arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return get_region_info(pci, arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return irq_get_info(pci, arg);
	case VFIO_DEVICE_SET_IRQS:
		return set_irqs(pci, arg);
	case VFIO_DEVICE_RESET:
		return device_reset(pci);
	case VFIO_DEVICE_FEATURE:
		return feature(pci, arg);
	default:
		return emu_errno(ENOTTY);
	}
}

/* ---------------------------------------------------------------- regions */

static ssize_t read_bar(struct emu_pci *pci, unsigned int bar, char *buf, size_t count, uint64_t at)
{
	if ((at | count) & 3)
		return emu_errno(EINVAL);
	for (size_t i = 0; i < count; i += 4) {
		uint32_t val = pci_bar_read32(pci, bar, at + i);

		memcpy(buf + i, &val, sizeof(val));
	}

	return count;
}

static ssize_t write_bar(struct emu_pci *pci, unsigned int bar, const char *buf, size_t count,
			 uint64_t at)
{
	if ((at | count) & 3)
		return emu_errno(EINVAL);
	for (size_t i = 0; i < count; i += 4) {
		uint32_t val;

		memcpy(&val, buf + i, sizeof(val));
		pci_bar_write32(pci, bar, at + i, val);
	}

	return count;
}

/* What VFIO lets through: command bits and the interrupt line. */
static uint8_t config_write_mask(uint64_t at)
{
	switch (at) {
	case PCI_COMMAND:
		return PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	case PCI_COMMAND + 1:
		return PCI_COMMAND_INTX_DISABLE >> 8;
	case PCI_INTERRUPT_LINE:
		return 0xff;
	default:
		return 0;
	}
}

static ssize_t write_config(struct emu_pci *pci, const uint8_t *buf, size_t count, uint64_t at)
{
	for (size_t i = 0; i < count && !pci->removed; i++) {
		uint8_t mask = config_write_mask(at + i), *p = &pci->config[at + i];

		*p = (*p & ~mask) | (buf[i] & mask);
	}

	return count;
}

static ssize_t read_config(struct emu_pci *pci, void *buf, size_t count, uint64_t at)
{
	if (pci->removed)
		memset(buf, 0xff, count);
	else
		memcpy(buf, pci->config + at, count);

	return count;
}

/* Clip @count to the region of @offset: its index, or -1 with errno. */
static int find_region(struct emu_pci *pci, uint64_t offset, size_t *count)
{
	unsigned int index = offset >> REGION_SHIFT;
	uint64_t at = offset & REGION_MASK, size;

	if (index >= pci->opts.num_regions)
		return emu_errno(EINVAL);
	size = region_size(pci, index);
	if (at >= size)
		return emu_errno(index == VFIO_PCI_CONFIG_REGION_INDEX ? EFAULT : EINVAL);
	if (*count > size - at)
		*count = size - at;

	return index;
}

static ssize_t device_pread(struct emu_file *file, void *buf, size_t count, uint64_t offset)
{
	int index = find_region(file->priv, offset, &count);

	if (index < 0)
		return -1;
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		return read_config(file->priv, buf, count, offset & REGION_MASK);

	return read_bar(file->priv, index, buf, count, offset & REGION_MASK);
}

static ssize_t device_pwrite(struct emu_file *file, const void *buf, size_t count, uint64_t offset)
{
	int index = find_region(file->priv, offset, &count);

	if (index < 0)
		return -1;
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		return write_config(file->priv, buf, count, offset & REGION_MASK);

	return write_bar(file->priv, index, buf, count, offset & REGION_MASK);
}

static void *device_mmap(struct emu_file *file, size_t len, int prot, int flags, uint64_t offset)
{
	struct emu_pci *pci = file->priv;
	unsigned int index = offset >> REGION_SHIFT;
	uint64_t at = offset & REGION_MASK, room;

	(void)prot;
	errno = EINVAL;
	if (!(flags & MAP_SHARED) || !can_mmap(pci, index) || !len || at & (EMU_PAGE - 1))
		return MAP_FAILED;
	room = (region_size(pci, index) + EMU_PAGE - 1) & ~(EMU_PAGE - 1);
	if (at >= room || len > room - at)
		return MAP_FAILED;

	return mm_map_bar(pci, index, at, len);
}

/* Bus master is off at first open; who reads as ones does not hear of it. */
void device_first_open(struct emu_pci *pci)
{
	if (pci->config[0] != 0xff)
		pci->config[PCI_COMMAND] &= ~PCI_COMMAND_MASTER;
	sriov_opened(pci);
}

void device_last_close(struct emu_pci *pci)
{
	if (pci->ops)
		pci->ops->closing(pci);
	irq_disable_all(pci);
	pci_reset(pci);
	pci->config[PCI_COMMAND] &= ~PCI_COMMAND_MASTER;
	space_device_gone(pci);
	pci->closed++;
	sriov_closed(pci);
}

/* By the group. */
static void device_release(struct emu_file *file)
{
	struct emu_pci *pci = file->priv;

	if (!--pci->open)
		device_last_close(pci);
	vfio_group_put_device(pci->group);
}

static const char *device_describe(struct emu_file *file)
{
	struct emu_pci *pci = file->priv;

	return pci->bdf;
}

const struct file_ops device_file_ops = {
	.name = "device",
	.is_device = true,
	.pread = device_pread,
	.pwrite = device_pwrite,
	.ioctl = device_ioctl,
	.mmap = device_mmap,
	.release = device_release,
	.describe = device_describe,
};
