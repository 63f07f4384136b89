// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The persistent memory region (Base Specification 2.0, section 8.14). */
#include <errno.h>
#include <string.h>

#include "nvme/nvme.h"
#include "os/os.h"
#include "support/error.h"

/* PMRCAP */
#define PMRCAP_BIR(cap) ((int)((cap) >> 5 & 7))
#define PMRCAP_PMRTU(cap) ((cap) >> 8 & 3)
#define PMRCAP_PMRTO(cap) ((cap) >> 16 & 0xff)
#define PMRCAP_CMSS(cap) ((cap) >> 24 & 1)
#define PMRTU_MINUTES 1

/* PMRCTL */
#define PMRCTL_EN 0x1u

/* PMRSTS */
#define PMRSTS_ERR(sts) ((sts)&0xff)
#define PMRSTS_NRDY(sts) ((sts) >> 8 & 1)
#define PMRSTS_HSTS(sts) ((sts) >> 9 & 7)
#define PMRSTS_CBAI(sts) ((sts) >> 12 & 1)
#define HSTS_RESTORE_ERROR 1
#define HSTS_UNRELIABLE 3

/* PMRMSCL */
#define PMRMSCL_CMSE 0x2u

#define MS 1000000ULL
#define NAP_NS MS

static uint64_t ready_ns(uint32_t cap)
{
	uint64_t units = PMRCAP_PMRTO(cap) ? PMRCAP_PMRTO(cap) : 1;

	return units * (PMRCAP_PMRTU(cap) == PMRTU_MINUTES ? 60000 : 500) * MS;
}

static int wait_ready(struct nvme_ctrl *ctrl, uint32_t *sts, uint64_t ns)
{
	uint64_t deadline = os_clock_ns() + ns;

	for (;;) {
		bool expired = os_clock_ns() >= deadline;

		*sts = nvme_read32(ctrl, NVME_REG_PMRSTS);
		if (*sts == UINT32_MAX)
			return nvme_gone(ctrl);
		if (!PMRSTS_NRDY(*sts))
			return 0;
		if (expired)
			return vfn_fail(ETIMEDOUT,
					"%s: its persistent memory is not ready after %llu ms",
					nvme_name(ctrl), (unsigned long long)(ns / MS));

		os_sleep_ns(NAP_NS);
	}
}

static int enable(struct nvme_ctrl *ctrl, uint32_t cap)
{
	uint32_t sts;

	nvme_write32(ctrl, NVME_REG_PMRCTL, PMRCTL_EN);
	if (wait_ready(ctrl, &sts, ready_ns(cap)))
		return -1;

	if (PMRSTS_ERR(sts) || PMRSTS_HSTS(sts) == HSTS_RESTORE_ERROR ||
	    PMRSTS_HSTS(sts) == HSTS_UNRELIABLE)
		return vfn_fail(EIO, "%s: its persistent memory has lost data (PMRSTS 0x%x)",
				nvme_name(ctrl), sts);

	return 0;
}

/* The lower half goes last: with it the address counts. */
static int set_address(struct nvme_ctrl *ctrl, uint64_t iova)
{
	nvme_write32(ctrl, NVME_REG_PMRMSCU, (uint32_t)(iova >> 32));
	nvme_write32(ctrl, NVME_REG_PMRMSCL, (uint32_t)iova | PMRMSCL_CMSE);

	if (PMRSTS_CBAI(nvme_read32(ctrl, NVME_REG_PMRSTS)))
		return vfn_fail(EIO,
				"%s does not take 0x%llx for the address of its persistent memory",
				nvme_name(ctrl), (unsigned long long)iova);

	return 0;
}

static int open_region(struct nvme_ctrl *ctrl, uint32_t cap, uint64_t iova)
{
	if (enable(ctrl, cap))
		return -1;

	return PMRCAP_CMSS(cap) ? set_address(ctrl, iova) : 0;
}

static void disable(struct nvme_ctrl *ctrl, uint32_t cap)
{
	if (PMRCAP_CMSS(cap)) {
		nvme_write32(ctrl, NVME_REG_PMRMSCL, 0);
		nvme_write32(ctrl, NVME_REG_PMRMSCU, 0);
	}
	nvme_write32(ctrl, NVME_REG_PMRCTL, 0);
}

/* A reset of the controller leaves it alone, one of the function does not. */
int nvme_enable_pmr(struct nvme_ctrl *ctrl)
{
	uint32_t cap;
	int saved;

	if (!ctrl->priv.has_pmr || !CAP_PMRS(ctrl->priv.cap) ||
	    nvme_read32(ctrl, NVME_REG_PMRCTL) & PMRCTL_EN)
		return 0;

	cap = nvme_read32(ctrl, NVME_REG_PMRCAP);
	if (!open_region(ctrl, cap, ctrl->priv.pmr_iova))
		return 0;

	saved = errno;
	disable(ctrl, cap);
	errno = saved;

	return -1;
}

void nvme_forget_pmr(struct nvme_ctrl *ctrl)
{
	uint32_t cap;

	if (!CAP_PMRS(ctrl->priv.cap))
		return;

	cap = nvme_read32(ctrl, NVME_REG_PMRCAP);
	if (PMRCAP_CMSS(cap) && nvme_read32(ctrl, NVME_REG_PMRMSCL) & PMRMSCL_CMSE)
		disable(ctrl, cap);
}

int vfn_nvme_pmr_map(struct nvme_ctrl *ctrl, struct vfn_nvme_pmr *pmr)
{
	struct nvme_region region = { .size = SIZE_MAX };
	uint32_t cap;
	int saved;

	if (nvme_check_open(ctrl))
		return -1;
	if (!CAP_PMRS(ctrl->priv.cap))
		return vfn_fail(ENOTSUP, "%s has no persistent memory region", nvme_name(ctrl));

	cap = nvme_read32(ctrl, NVME_REG_PMRCAP);
	if (cap == UINT32_MAX)
		return nvme_gone(ctrl);

	region.bar = PMRCAP_BIR(cap);
	if (nvme_map_region(ctrl, &region))
		return -1;

	if (open_region(ctrl, cap, region.iova))
		goto undo;

	ctrl->priv.has_pmr = true;
	ctrl->priv.pmr_iova = region.iova;
	*pmr = (struct vfn_nvme_pmr){
		.bar = region.bar,
		.vaddr = region.vaddr,
		.iova = region.iova,
		.size = region.size,
		.peers = region.peers,
	};

	return 0;

undo:
	saved = errno;
	disable(ctrl, cap);
	nvme_unmap_region(ctrl, &region);
	errno = saved;

	return -1;
}

void vfn_nvme_pmr_unmap(struct nvme_ctrl *ctrl, struct vfn_nvme_pmr *pmr)
{
	if (!pmr->vaddr || nvme_check_open(ctrl))
		return;

	/* either makes what was written before persistent; after a reset of the function there may be no memory to read */
	if (nvme_read32(ctrl, NVME_REG_PMRCTL) & PMRCTL_EN)
		(void)*(volatile uint8_t *)pmr->vaddr;
	(void)nvme_read32(ctrl, NVME_REG_PMRSTS);

	ctrl->priv.has_pmr = false;
	disable(ctrl, nvme_read32(ctrl, NVME_REG_PMRCAP));
	nvme_unmap_region(ctrl, &(struct nvme_region){
					.bar = pmr->bar,
					.size = pmr->size,
					.vaddr = pmr->vaddr,
				});
	memset(pmr, 0, sizeof(*pmr));
}
