// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* PCI devices: opening, base address registers, configuration space. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/pci_regs.h>

#include <vfn/pci/util.h>
#include <vfn/support/align.h>
#include <vfn/support/endian.h>
#include <vfn/support/log.h>
#include <vfn/support/mem.h>

#include "iommu/context.h"
#include "os/os.h"
#include "pci/sysfs.h"
#include "support/error.h"
#include "vfio/device.h"

int vfio_pci_check(const struct vfio_pci_device *pci)
{
	if (!pci->bdf)
		return vfn_fail(ENODEV, "the device is closed");

	return iommu_check_process(pci->dev.ctx);
}

static ssize_t check_config(struct vfio_pci_device *pci, size_t len, off_t offset)
{
	uint64_t size = pci->config_region_info.size;

	if (vfio_pci_check(pci))
		return -1;

	if (offset < 0 || (uint64_t)offset > size || len > size - (uint64_t)offset)
		return vfn_fail(EINVAL, "%s: %zu bytes at %lld are outside of configuration space",
				pci->bdf, len, (long long)offset);

	return 0;
}

ssize_t vfn_vfio_pci_pread(struct vfio_pci_device *pci, void *buf, size_t len, off_t offset)
{
	if (check_config(pci, len, offset))
		return -1;

	return os_pread(pci->dev.fd, buf, len, pci->config_region_info.offset + (uint64_t)offset);
}

ssize_t vfn_vfio_pci_pwrite(struct vfio_pci_device *pci, const void *buf, size_t len, off_t offset)
{
	if (check_config(pci, len, offset))
		return -1;

	return os_pwrite(pci->dev.fd, buf, len, pci->config_region_info.offset + (uint64_t)offset);
}

static int config_failed(struct vfio_pci_device *pci, ssize_t ret)
{
	/* fewer bytes than asked for leave errno alone */
	int err = ret < 0 ? errno : EIO;

	return vfn_fail(err, "%s: cannot access configuration space: %s", pci->bdf, strerror(err));
}

static int change_command(struct vfio_pci_device *pci, unsigned int set, unsigned int clear)
{
	leint16_t word;
	uint16_t command;
	ssize_t ret;

	ret = vfn_vfio_pci_pread(pci, &word, sizeof(word), PCI_COMMAND);
	if (ret != sizeof(word))
		return config_failed(pci, ret);

	command = le16_to_cpu(word);
	if (command == UINT16_MAX)
		return vfn_fail(ENODEV, "%s does not answer: it is gone or powered down", pci->bdf);

	word = cpu_to_le16((uint16_t)((command | set) & ~clear));
	ret = vfn_vfio_pci_pwrite(pci, &word, sizeof(word), PCI_COMMAND);
	if (ret != sizeof(word))
		return config_failed(pci, ret);

	return 0;
}

int vfn_vfio_pci_set_master(struct vfio_pci_device *pci)
{
	return change_command(pci, PCI_COMMAND_MASTER, 0);
}

int vfio_pci_clear_master(struct vfio_pci_device *pci)
{
	return change_command(pci, 0, PCI_COMMAND_MASTER);
}

static int read_regions(struct vfio_pci_device *pci)
{
	struct vfio_device *dev = &pci->dev;

	if (!(dev->device_info.flags & VFIO_DEVICE_FLAGS_PCI) ||
	    dev->device_info.num_regions <= VFIO_PCI_CONFIG_REGION_INDEX)
		return vfn_fail(ENOTSUP, "%s is not a PCI device to VFIO", pci->bdf);

	if (vfio_read_region_info(dev, pci->bdf, VFIO_PCI_CONFIG_REGION_INDEX,
				  &pci->config_region_info))
		return -1;

	for (unsigned int i = 0; i < PCI_STD_NUM_BARS; i++)
		if (vfio_read_region_info(dev, pci->bdf, VFIO_PCI_BAR0_REGION_INDEX + i,
					  &pci->bar_region_info[i]))
			return -1;

	return 0;
}

/* The best there is; none at all is fine for who polls. */
static int pick_irq(struct vfio_device *dev)
{
	static const unsigned int order[] = {
		VFIO_PCI_MSIX_IRQ_INDEX,
		VFIO_PCI_MSI_IRQ_INDEX,
		VFIO_PCI_INTX_IRQ_INDEX,
	};

	for (unsigned int i = 0; i < 3; i++) {
		if (!vfio_use_irq(dev, order[i]))
			return 0;
		if (errno != ENOTSUP)
			return -1;
	}

	memset(&dev->irq_info, 0, sizeof(dev->irq_info));

	return 0;
}

static int read_device(struct vfio_pci_device *pci)
{
	if (vfio_read_device_info(&pci->dev, pci->bdf) || read_regions(pci) ||
	    vfn_vfio_pci_set_master(pci))
		return -1;

	return pick_irq(&pci->dev);
}

int vfio_pci_open(struct vfio_pci_device *pci, const char *bdf)
{
	struct iommu_ctx *preset = pci->dev.ctx;
	char name[VFN_PCI_BDF_LEN];
	int saved;

	if (pci->bdf)
		return vfn_fail(EALREADY, "%s is open already", pci->bdf);

	if (vfn_pci_check_bdf(bdf, name) || pci_device_info_get_ull(name, "class", &pci->classcode))
		return -1;

	pci->bdf = vfn_zalloc(sizeof(name));
	if (!pci->bdf)
		goto clear;
	memcpy(pci->bdf, name, sizeof(name));

	pci->dev.fd = iommu_attach_device(&pci->dev.ctx, pci->bdf);
	if (pci->dev.fd < 0)
		goto free_bdf;

	if (read_device(pci))
		goto detach;

	return 0;

detach:
	saved = errno;
	iommu_hold(preset);
	iommu_detach_device(pci->dev.ctx, pci->bdf, pci->dev.fd);
	iommu_let_go(preset);
	errno = saved;
free_bdf:
	saved = errno;
	free(pci->bdf);
	errno = saved;
clear:
	memset(pci, 0, sizeof(*pci));
	pci->dev.ctx = preset;
	return -1;
}

int vfio_pci_close(struct vfio_pci_device *pci)
{
	int ret, saved;

	if (!pci->bdf)
		return 0;
	if (iommu_check_process(pci->dev.ctx))
		return -1;

	ret = vfio_disable_irq_all(&pci->dev);
	saved = errno;
	iommu_orphan_bars(pci->dev.fd);
	errno = saved;
	iommu_detach_device(pci->dev.ctx, pci->bdf, pci->dev.fd);
	vfio_close_events(pci);
	free(pci->bdf);
	memset(pci, 0, sizeof(*pci));

	return ret;
}

int vfio_pci_get_irq_info(struct vfio_pci_device *pci, struct vfio_irq_info *irq)
{
	size_t size = irq->argsz ? irq->argsz : sizeof(*irq);

	if (!pci->bdf)
		return vfn_fail(ENODEV, "the device is closed");
	if (size < sizeof(irq->argsz))
		return vfn_fail(EINVAL, "%s: argsz of %zu is too small", pci->bdf, size);

	memcpy(irq, &pci->dev.irq_info, size < sizeof(*irq) ? size : sizeof(*irq));

	return 0;
}

int vfn_vfio_select_irq(struct vfio_pci_device *pci, enum vfn_irq_type type)
{
	if (vfio_pci_check(pci))
		return -1;

	if (vfio_disable_irq_all(&pci->dev))
		return -1;

	return vfio_use_irq(&pci->dev, type);
}

void *vfio_pci_map_bar(struct vfio_pci_device *pci, int idx, size_t len, uint64_t offset, int prot)
{
	const struct vfio_region_info *info;
	void *mem;
	int saved;

	if (vfio_pci_check(pci))
		return NULL;

	if (idx < 0 || idx >= PCI_STD_NUM_BARS || !len || !ALIGNED(offset, __VFN_PAGESIZE) ||
	    offset >= pci->bar_region_info[idx].size) {
		(void)vfn_fail(EINVAL, "%s: BAR %d has no %zu bytes at 0x%llx", pci->bdf, idx, len,
			       (unsigned long long)offset);
		return NULL;
	}

	info = &pci->bar_region_info[idx];
	if (!(info->flags & VFIO_REGION_INFO_FLAG_MMAP)) {
		(void)vfn_fail(ENOTSUP, "%s: BAR %d cannot be mapped", pci->bdf, idx);
		return NULL;
	}

	if (len > info->size - offset)
		len = info->size - offset;

	mem = os_mmap(NULL, len, prot, MAP_SHARED, pci->dev.fd, info->offset + offset);
	if (mem == MAP_FAILED) {
		(void)vfn_fail(errno, "%s: cannot map BAR %d: %s", pci->bdf, idx, strerror(errno));
		return NULL;
	}

	/* a child that touched the registers would disturb the parent */
	if (os_madvise(mem, len, MADV_DONTFORK)) {
		(void)vfn_fail(errno, "%s: cannot keep BAR %d from children: %s", pci->bdf, idx,
			       strerror(errno));
		goto unmap;
	}

	if (iommu_add_bar(mem, len,
			  &(struct iommu_bar){
				  .fd = pci->dev.fd,
				  .region = info->index,
				  .offset = offset,
			  }))
		goto unmap;

	return mem;

unmap:
	saved = errno;
	(void)os_munmap(mem, len);
	errno = saved;
	return NULL;
}

void vfio_pci_unmap_bar(struct vfio_pci_device *pci, int idx, void *mem, size_t len,
			uint64_t offset)
{
	if (!mem || idx < 0 || idx >= PCI_STD_NUM_BARS || iommu_check_process(pci->dev.ctx))
		return;

	if (iommu_remove_bar(mem, &len))
		log_error("%s: BAR %d stays mapped", vfn_last_error(), idx);
	else
		(void)os_munmap(mem, len);
}
