// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The controller memory buffer (Base Specification 2.0, section 8.5), and who has which piece of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/pci_regs.h>

#include <vfn/support/align.h>

#include "nvme/nvme.h"
#include "support/error.h"

/* CMBLOC */
#define CMBLOC_BIR(loc) ((int)(7 & (loc)))
#define CMBLOC_OFST(loc) ((uint64_t)(loc) >> 12)

/* CMBSZ; its lowest bits are those of enum vfn_nvme_cmb_use */
#define CMBSZ_USES 0x1fu
#define CMBSZ_SZU(sz) ((unsigned int)((sz) >> 8 & 0xf))
#define CMBSZ_SZ(sz) ((uint64_t)(sz) >> 12)
#define CMBSZ_SZU_MAX 6

/* CMBMSC */
#define CMBMSC_CRE 0x1u
#define CMBMSC_CMSE 0x2u

/* CMBSTS */
#define CMBSTS_CBAI 0x1u

struct piece {
	struct piece *next;
	size_t start, len;
};

struct vfn_nvme_cmb {
	/* as CMBSZ says, and VFN_NVME_CMB_PEERS */
	unsigned int uses;
	uint64_t offset;
	/* what is handed out, lowest first */
	struct piece *pieces;
};

/* ---- registers ---- */

static void *cmbmsc(struct nvme_ctrl *ctrl)
{
	return (char *)ctrl->regs + NVME_REG_CMBMSC;
}

/* The address first loses its meaning, then its value. */
static void disable(struct nvme_ctrl *ctrl)
{
	if (CAP_CMBS(ctrl->priv.cap))
		mmio_lh_write64(cmbmsc(ctrl), cpu_to_le64(0));
}

int nvme_enable_cmb(struct nvme_ctrl *ctrl)
{
	uint64_t val = ctrl->cmb.iova | CMBMSC_CRE | CMBMSC_CMSE;

	if (!ctrl->cmb.vaddr || !CAP_CMBS(ctrl->priv.cap) ||
	    le64_to_cpu(mmio_read64(cmbmsc(ctrl))) == val)
		return 0;

	/* with the low half, the address starts to count */
	mmio_hl_write64(cmbmsc(ctrl), cpu_to_le64(val));

	if (nvme_read32(ctrl, NVME_REG_CMBSTS) & CMBSTS_CBAI)
		return vfn_fail(EIO, "%s does not take 0x%llx for the address of its memory buffer",
				nvme_name(ctrl), (unsigned long long)ctrl->cmb.iova);

	return 0;
}

void nvme_forget_cmb(struct nvme_ctrl *ctrl)
{
	disable(ctrl);
}

/* What the registers say; the region is left empty for no buffer. */
static int locate(struct nvme_ctrl *ctrl, struct nvme_region *region, unsigned int *uses)
{
	uint32_t loc = nvme_read32(ctrl, NVME_REG_CMBLOC);
	uint32_t sz = nvme_read32(ctrl, NVME_REG_CMBSZ);
	unsigned int shift = 12 + 4 * CMBSZ_SZU(sz);

	if (sz == UINT32_MAX)
		return nvme_gone(ctrl);

	/* without a size, the unit means nothing */
	if (!CMBSZ_SZ(sz))
		return 0;

	if (CMBSZ_SZU(sz) > CMBSZ_SZU_MAX)
		return vfn_fail(ENOTSUP,
				"%s: the unit of its memory buffer is reserved (CMBSZ 0x%x)",
				nvme_name(ctrl), sz);

	*region = (struct nvme_region){
		.bar = CMBLOC_BIR(loc),
		.offset = CMBLOC_OFST(loc) << shift,
		.size = CMBSZ_SZ(sz) << shift,
	};
	*uses = sz & CMBSZ_USES;

	return 0;
}

/* Where the bus has a base address register; 0 if nowhere. */
static int bus_address(struct nvme_ctrl *ctrl, int bar, uint64_t *addr)
{
	off_t offset = PCI_BASE_ADDRESS_0 + (off_t)(bar * sizeof(leint32_t));
	leint32_t half[2];
	uint32_t low;
	ssize_t ret;

	ret = vfn_vfio_pci_pread(&ctrl->pci, half, sizeof(half), offset);
	if (ret != sizeof(half))
		return vfn_fail(ret < 0 ? errno : EIO, "%s: cannot read the address of BAR %d",
				nvme_name(ctrl), bar);

	low = le32_to_cpu(half[0]);
	*addr = low & (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;
	if (low & PCI_BASE_ADDRESS_MEM_TYPE_64)
		*addr |= (uint64_t)le32_to_cpu(half[1]) << 32;

	return 0;
}

/*
 * Before version 1.4, commands find the buffer where the bus has it. Since then it can be
 * elsewhere, too; but so does Linux's driver, and controllers rely on that: QEMU's with
 * legacy-cmb have CAP.CMBS and ignore the address.
 */
static int map_buffer(struct nvme_ctrl *ctrl, struct nvme_region *region)
{
	region->movable = CAP_CMBS(ctrl->priv.cap);

	if (bus_address(ctrl, region->bar, &region->iova))
		return -1;
	if (region->iova)
		region->iova += region->offset;
	else if (!region->movable)
		return vfn_fail(ENOTSUP, "%s: BAR %d has no address", nvme_name(ctrl), region->bar);

	return nvme_map_region(ctrl, region);
}

/* ---- configure and discard ---- */

static int configure(struct nvme_ctrl *ctrl)
{
	struct nvme_region region = {};
	struct vfn_nvme_cmb *cmb;
	unsigned int uses = 0;

	if (locate(ctrl, &region, &uses))
		return -1;
	if (!region.size) {
		disable(ctrl);
		return 0;
	}

	cmb = vfn_zalloc(sizeof(*cmb));
	if (!cmb)
		return -1;

	if (map_buffer(ctrl, &region)) {
		int saved = errno;

		free(cmb);
		errno = saved;
		return -1;
	}

	cmb->uses = uses | (region.peers ? VFN_NVME_CMB_PEERS : 0);
	cmb->offset = region.offset;
	ctrl->priv.cmb = cmb;
	ctrl->cmb.bar = region.bar;
	ctrl->cmb.vaddr = region.vaddr;
	ctrl->cmb.iova = region.iova;
	ctrl->cmb.size = region.size;

	return nvme_enable_cmb(ctrl);
}

int nvme_configure_cmb(struct nvme_ctrl *ctrl)
{
	int saved;

	if (nvme_check_open(ctrl))
		return -1;
	if (ctrl->cmb.vaddr)
		return 0;

	/* location and size show only now */
	if (CAP_CMBS(ctrl->priv.cap))
		mmio_lh_write64(cmbmsc(ctrl), cpu_to_le64(CMBMSC_CRE));

	if (!configure(ctrl))
		return 0;

	saved = errno;
	if (ctrl->cmb.vaddr)
		nvme_discard_cmb(ctrl);
	else
		disable(ctrl);
	errno = saved;

	return -1;
}

void nvme_discard_cmb(struct nvme_ctrl *ctrl)
{
	struct vfn_nvme_cmb *cmb = ctrl->priv.cmb;
	struct piece *piece;

	if (!cmb || nvme_check_open(ctrl))
		return;

	disable(ctrl);
	nvme_unmap_region(ctrl, &(struct nvme_region){
					.bar = ctrl->cmb.bar,
					.offset = cmb->offset,
					.size = ctrl->cmb.size,
					.vaddr = ctrl->cmb.vaddr,
				});

	while ((piece = cmb->pieces)) {
		cmb->pieces = piece->next;
		free(piece);
	}
	free(cmb);
	ctrl->priv.cmb = NULL;
	memset(&ctrl->cmb, 0, sizeof(ctrl->cmb));
}

/* ---- use ---- */

int vfn_nvme_cmb_check(struct nvme_ctrl *ctrl, unsigned int uses)
{
	static const char *const refusals[] = {
		"the controller takes no submission queues",
		"the controller takes no completion queues",
		"the controller takes no PRP lists and SGLs",
		"the controller takes no data of commands that read",
		"the controller takes no data of commands that write",
		"other devices do not reach it: with iommufd that takes Linux 6.19, without it (VFN_IOMMU_FORCE_VFIO=1) any",
	};

	if (!ctrl->priv.cmb)
		return vfn_fail(ENOTSUP, "%s: no memory buffer is configured", nvme_name(ctrl));

	uses &= ~ctrl->priv.cmb->uses;
	for (unsigned int i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (uses >> i & 1)
			return vfn_fail(ENOTSUP, "%s: memory buffer: %s", nvme_name(ctrl),
					refusals[i]);

	return 0;
}

int vfn_nvme_cmb_alloc(struct nvme_ctrl *ctrl, struct iommu_dmabuf *mem, size_t len)
{
	size_t pagesize = __mps_to_pagesize(ctrl->config.mps), start = 0;
	struct piece **p, *piece;

	if (vfn_nvme_cmb_check(ctrl, 0))
		return -1;
	if (!len)
		return vfn_fail(EINVAL, "%s: no bytes of the memory buffer", nvme_name(ctrl));

	len = len > ctrl->cmb.size ? SIZE_MAX : ALIGN_UP(len, pagesize);

	for (p = &ctrl->priv.cmb->pieces; *p && (*p)->start - start < len; p = &(*p)->next)
		start = (*p)->start + (*p)->len;
	if (len > ctrl->cmb.size - start)
		return vfn_fail(
			ENOMEM,
			"%s: no free %zu bytes in one piece of the %zu of its memory buffer",
			nvme_name(ctrl), len, ctrl->cmb.size);

	piece = vfn_zalloc(sizeof(*piece));
	if (!piece)
		return -1;

	*piece = (struct piece){ .next = *p, .start = start, .len = len };
	*p = piece;

	*mem = (struct iommu_dmabuf){
		.ctx = __iommu_ctx(ctrl),
		.vaddr = (char *)ctrl->cmb.vaddr + start,
		.iova = ctrl->cmb.iova + start,
		.len = (ssize_t)len,
	};

	return 0;
}

static void put_piece(struct nvme_ctrl *ctrl, const void *vaddr)
{
	for (struct piece **p = &ctrl->priv.cmb->pieces; *p; p = &(*p)->next) {
		struct piece *piece = *p;

		if ((char *)ctrl->cmb.vaddr + piece->start == vaddr) {
			*p = piece->next;
			free(piece);
			return;
		}
	}
}

void vfn_nvme_cmb_free(struct nvme_ctrl *ctrl, struct iommu_dmabuf *mem)
{
	if (ctrl->priv.cmb)
		put_piece(ctrl, mem->vaddr);

	memset(mem, 0, sizeof(*mem));
}
