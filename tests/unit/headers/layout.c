// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where members are, whatever kernel's headers a program is built with: a change here is
 * a new ABI. LAYOUT_OF is the first version whose struct vfio_device_info is like that.
 */
#include <stddef.h>
#include <stdint.h>

#define vfio_device_info vfio_device_info_of_the_build_host
#include <linux/vfio.h>
#undef vfio_device_info

/* 20 bytes, and 24 since Linux 6.6 */
struct vfio_device_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t num_regions;
	uint32_t num_irqs;
	uint32_t cap_offset;
#if LAYOUT_OF >= 606
	uint32_t pad;
#endif
};

#include <vfn/nvme.h>

#define AT(type, member, offset) \
	_Static_assert(offsetof(struct type, member) == (offset), #type "." #member)
#define SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type)

SIZE(vfio_device_info, LAYOUT_OF >= 606 ? 24 : 20);
SIZE(vfio_irq_info, 16);
SIZE(vfio_region_info, 32);

AT(vfio_device, fd, 0);
AT(vfio_device, ctx, 8);
AT(vfio_device, device_info, 16);
AT(vfio_device, irq_info, 48);
SIZE(vfio_device, 72);

AT(vfio_pci_device, dev, 0);
AT(vfio_pci_device, classcode, 72);
AT(vfio_pci_device, bdf, 80);
AT(vfio_pci_device, config_region_info, 88);
AT(vfio_pci_device, bar_region_info, 120);
AT(vfio_pci_device, event_fds, 312);
SIZE(vfio_pci_device, 320);

AT(iommu_dmabuf, ctx, 0);
AT(iommu_dmabuf, vaddr, 8);
AT(iommu_dmabuf, iova, 16);
AT(iommu_dmabuf, len, 24);
SIZE(iommu_dmabuf, 32);

AT(nvme_ctrl, pci, 0);
AT(nvme_ctrl, regs, 320);
AT(nvme_ctrl, sq, 328);
AT(nvme_ctrl, cq, 336);
AT(nvme_ctrl, adminq, 344);
AT(nvme_ctrl, doorbells, 360);
AT(nvme_ctrl, dbbuf, 368);
AT(nvme_ctrl, opts, 432);
AT(nvme_ctrl, config, 444);
AT(nvme_ctrl, flags, 464);
AT(nvme_ctrl, cmb, 472);
AT(nvme_ctrl, priv, 504);
