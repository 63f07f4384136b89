// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Controllers: bring-up, reset, close. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <vfn/pci/util.h>

#include "iommu/context.h"
#include "nvme/nvme.h"
#include "os/os.h"
#include "pci/sysfs.h"
#include "support/error.h"
#include "vfio/device.h"

#define MS 1000000ULL

/* Mass storage, non-volatile memory; the programming interface says I/O or administrative. */
#define CLASS_NVM 0x0108

/* CAP.TO and CRTO count in units of this. */
#define READY_UNIT_MS 500

#define SHUTDOWN_DEFAULT_MS 5000
#define SHUTDOWN_MAX_MS 60000
/* Closing does not wait as long for a queue's deletion as its user might. */
#define CLOSE_COMMAND_MS 5000

/* ---- registers ---- */

int nvme_gone(struct nvme_ctrl *ctrl)
{
	return vfn_fail(ENODEV, "%s is gone: it does not answer", nvme_name(ctrl));
}

static uint64_t ready_ns(struct nvme_ctrl *ctrl)
{
	unsigned int units = CAP_TO(ctrl->priv.cap);

	/* controllers that need longer say so in CRTO (section 3.1.3.21) */
	if (CAP_CRMS_CRWMS(ctrl->priv.cap)) {
		unsigned int crwmt = nvme_read32(ctrl, NVME_REG_CRTO) & 0xffff;

		if (crwmt > units && crwmt != 0xffff)
			units = crwmt;
	}

	return (units ? units : 1) * READY_UNIT_MS * MS;
}

/*
 * Sleep until the bits of CSTS in @mask are @want. With @mind_cfs, a fatal
 * status ends the wait.
 */
static int wait_csts(struct nvme_ctrl *ctrl, uint32_t mask, uint32_t want, uint64_t ns,
		     bool mind_cfs, const char *what)
{
	uint64_t deadline = os_clock_ns() + ns, nap = MS / 20;

	for (;;) {
		bool expired = os_clock_ns() >= deadline;
		uint32_t csts = nvme_read32(ctrl, NVME_REG_CSTS);

		if (csts == UINT32_MAX)
			return nvme_gone(ctrl);
		if (mind_cfs && (csts & CSTS_CFS))
			return vfn_fail(EIO, "%s: fatal status (CSTS.CFS) while waiting to %s",
					nvme_name(ctrl), what);
		if ((csts & mask) == want)
			return 0;
		if (expired)
			return vfn_fail(ETIMEDOUT, "%s did not %s within %llu ms", nvme_name(ctrl),
					what, (unsigned long long)(ns / MS));

		os_sleep_ns(nap);
		nap = nap * 2 < 2 * MS ? nap * 2 : 2 * MS;
	}
}

int nvme_check_open(struct nvme_ctrl *ctrl)
{
	if (!ctrl->regs)
		return vfn_fail(ENODEV, "the controller is closed");

	return iommu_check_process(__iommu_ctx(ctrl));
}

int nvme_reset(struct nvme_ctrl *ctrl)
{
	uint32_t cc;

	if (nvme_check_open(ctrl))
		return -1;

	cc = nvme_read32(ctrl, NVME_REG_CC);
	if (cc == UINT32_MAX)
		return nvme_gone(ctrl);

	if (cc & CC_EN) {
		/* to disable it while it is becoming ready is undefined (section 3.1.3.5) */
		if (wait_csts(ctrl, CSTS_RDY, CSTS_RDY, ready_ns(ctrl), true, "become ready") &&
		    errno == ENODEV)
			return -1;

		nvme_write32(ctrl, NVME_REG_CC, cc & ~CC_EN);
	}

	return wait_csts(ctrl, CSTS_RDY, 0, ready_ns(ctrl), false, "become disabled");
}

/* Whatever it takes, the controller must not touch memory that is about to be freed. */
static void stop(struct nvme_ctrl *ctrl)
{
	uint32_t cc = nvme_read32(ctrl, NVME_REG_CC);
	uint32_t csts = nvme_read32(ctrl, NVME_REG_CSTS);

	if (csts == UINT32_MAX || (!(cc & CC_EN) && !(csts & CSTS_RDY)))
		return;

	if ((cc & CC_EN) && (csts & (CSTS_RDY | CSTS_CFS)) && !nvme_reset(ctrl))
		return;

	/* it hangs on its way up or down */
	(void)vfio_reset(&ctrl->pci.dev);
}

static uint32_t command_sets(struct nvme_ctrl *ctrl)
{
	if (CAP_CSS_IOCS(ctrl->priv.cap))
		return CC_CSS_IOCS;
	if (CAP_CSS_NVM(ctrl->priv.cap))
		return CC_CSS_NVM;

	return CC_CSS_ADMIN;
}

int nvme_enable(struct nvme_ctrl *ctrl)
{
	uint32_t cc;

	if (nvme_check_open(ctrl))
		return -1;

	/* a reset of the function may have taken these away */
	if (vfn_vfio_pci_set_master(&ctrl->pci) || nvme_enable_cmb(ctrl) || nvme_enable_pmr(ctrl))
		return -1;

	cc = command_sets(ctrl) << CC_CSS_SHIFT | (uint32_t)ctrl->config.mps << CC_MPS_SHIFT |
	     NVME_SQES << CC_IOSQES_SHIFT | NVME_CQES << CC_IOCQES_SHIFT;

	nvme_write32(ctrl, NVME_REG_CC, cc);
	nvme_write32(ctrl, NVME_REG_CC, cc | CC_EN);

	return wait_csts(ctrl, CSTS_RDY, CSTS_RDY, ready_ns(ctrl), true, "become ready");
}

/* ---- first half: everything but enabling ---- */

static int pci_init(struct nvme_ctrl *ctrl, const char *bdf)
{
	unsigned long long classcode;

	if (pci_device_info_get_ull(bdf, "class", &classcode))
		return -1;
	if (classcode >> 8 != CLASS_NVM)
		return vfn_fail(ENODEV, "%s is not an NVMe controller but of class 0x%06llx", bdf,
				classcode);

	return vfio_pci_open(&ctrl->pci, bdf);
}

int nvme_pci_init(struct nvme_ctrl *ctrl, const char *bdf)
{
	return pci_init(ctrl, bdf);
}

/* Close everything, but keep what the caller has set before. */
static void release(struct nvme_ctrl *ctrl, struct iommu_ctx *preset)
{
	unsigned int timeout_ms = ctrl->priv.timeout_ms;
	int saved = errno;

	if (ctrl->regs)
		vfio_pci_unmap_bar(&ctrl->pci, 0, ctrl->regs, ctrl->priv.bar_len, 0);
	iommu_hold(preset);
	(void)vfio_pci_close(&ctrl->pci);
	iommu_let_go(preset);

	memset(ctrl, 0, sizeof(*ctrl));
	ctrl->pci.dev.ctx = preset;
	ctrl->priv.timeout_ms = timeout_ms;
	errno = saved;
}

static void free_memory(struct nvme_ctrl *ctrl)
{
	int saved = errno;

	nvme_discard_queues(ctrl);
	nvme_discard_cmb(ctrl);
	iommu_put_dmabuf(&ctrl->dbbuf.doorbells);
	iommu_put_dmabuf(&ctrl->dbbuf.eventidxs);
	iommu_put_dmabuf(&ctrl->priv.lost);
	errno = saved;
}

static int map_registers(struct nvme_ctrl *ctrl)
{
	uint64_t size = ctrl->pci.bar_region_info[0].size;

	/* at least the admin queues' doorbells */
	if (size < NVME_REG_DOORBELLS + 2 * sizeof(leint32_t))
		return vfn_fail(ENOTSUP, "%s: BAR 0 has 0x%llx bytes, too few for a controller",
				nvme_name(ctrl), (unsigned long long)size);

	ctrl->regs = vfio_pci_map_bar(&ctrl->pci, 0, SIZE_MAX, 0, PROT_READ | PROT_WRITE);
	if (!ctrl->regs)
		return -1;

	ctrl->priv.bar_len = size;
	ctrl->doorbells = (char *)ctrl->regs + NVME_REG_DOORBELLS;

	return 0;
}

static int unsupported(struct nvme_ctrl *ctrl, const char *why)
{
	return vfn_fail(ENOTSUP, "%s: %s (CAP 0x%llx)", nvme_name(ctrl), why,
			(unsigned long long)ctrl->priv.cap);
}

int nvme_read_capabilities(struct nvme_ctrl *ctrl)
{
	unsigned int host = (unsigned int)__VFN_PAGESHIFT - __mps_to_pageshift(0), max;
	uint64_t cap = le64_to_cpu(mmio_read64((char *)ctrl->regs + NVME_REG_CAP));

	/* it may go between the two halves, of which neither can be all ones */
	if ((uint32_t)cap == UINT32_MAX || cap >> 32 == UINT32_MAX)
		return nvme_gone(ctrl);

	ctrl->priv.cap = cap;

	if (!CAP_MQES(cap))
		return unsupported(ctrl, "queues of one entry cannot work");
	if (!CAP_CSS_NVM(cap) && !CAP_CSS_IOCS(cap) && !CAP_CSS_ADMIN(cap))
		return unsupported(ctrl, "no command set that is known here");
	if (CAP_MPSMIN(cap) > host)
		return unsupported(ctrl, "its smallest page is larger than the host's");
	if (CAP_MPSMAX(cap) < CAP_MPSMIN(cap))
		return unsupported(ctrl, "its largest page is smaller than its smallest");

	max = CAP_MPSMAX(cap);
	ctrl->config.mps = (int)(max < host ? max : host);
	ctrl->config.mqes = (int)CAP_MQES(cap);

	return 0;
}

static int alloc_queues(struct nvme_ctrl *ctrl)
{
	/* the admin queue, and opts counts from 0 */
	int nsq = ctrl->opts.nsqr + 2, ncq = ctrl->opts.ncqr + 2;

	void *sq, *cq;

	if (pgmap(&sq, (size_t)nsq * sizeof(*ctrl->sq)) < 0)
		return vfn_fail(errno, "%s: no memory for its queues", ctrl->pci.bdf);
	if (pgmap(&cq, (size_t)ncq * sizeof(*ctrl->cq)) < 0) {
		int err = errno;

		pgunmap(sq, (size_t)nsq * sizeof(*ctrl->sq));
		return vfn_fail(err, "%s: no memory for its queues", ctrl->pci.bdf);
	}

	ctrl->sq = sq;
	ctrl->cq = cq;
	ctrl->priv.nsq = nsq;
	ctrl->priv.ncq = ncq;

	return 0;
}

/* Queue identifiers have 16 bits, and Set Features has no room for the last count. */
static bool valid_count(int count)
{
	return count >= 0 && count < 0xffff;
}

static int same_device(struct nvme_ctrl *ctrl, const char *bdf)
{
	char name[VFN_PCI_BDF_LEN];

	if (vfn_pci_check_bdf(bdf, name))
		return -1;
	if (strcmp(name, ctrl->pci.bdf))
		return vfn_fail(EBUSY, "%s is open: close it before it becomes %s", ctrl->pci.bdf,
				name);

	return 0;
}

int nvme_ctrl_init(struct nvme_ctrl *ctrl, const char *bdf, const struct nvme_ctrl_opts *opts)
{
	/* a copy: opts may lie within ctrl, and ctrl is cleared on error */
	struct nvme_ctrl_opts wanted = opts ? *opts : nvme_ctrl_opts_default;
	struct iommu_ctx *preset = ctrl->pci.bdf ? NULL : ctrl->pci.dev.ctx;

	if (!valid_count(wanted.nsqr) || !valid_count(wanted.ncqr))
		return vfn_fail(
			EINVAL,
			"%d submission and %d completion queues: zero-based counts go from 0 to %d",
			wanted.nsqr, wanted.ncqr, 0xfffe);

	if (ctrl->pci.bdf) {
		if (vfio_pci_check(&ctrl->pci) || same_device(ctrl, bdf))
			return -1;
	} else if (pci_init(ctrl, bdf)) {
		return -1;
	}

	/* nothing to lose: its queues are about to go */
	if (ctrl->regs)
		stop(ctrl);
	free_memory(ctrl);
	ctrl->opts = wanted;
	memset(&ctrl->config, 0, sizeof(ctrl->config));
	ctrl->flags = 0;
	ctrl->priv.state = VFN_NVME_LIVE;
	ctrl->priv.acl = 0;
	ctrl->priv.retry_delays = false;
	ctrl->priv.strays = ctrl->priv.stray_told = 0;
	memset(ctrl->priv.crdt, 0, sizeof(ctrl->priv.crdt));

	if ((!ctrl->regs && map_registers(ctrl)) || nvme_read_capabilities(ctrl) ||
	    alloc_queues(ctrl)) {
		nvme_forget_ctrl(ctrl);
		release(ctrl, preset);
		return -1;
	}

	return 0;
}

/* ---- second half ---- */

/* Identify Controller (section 5.17.2.1), as far as bring-up needs it. */
struct id_ctrl {
	uint8_t rsvd0[88];
	leint32_t rtd3e;
	uint8_t rsvd92[19];
	uint8_t cntrltype;
	uint8_t rsvd112[16];
	leint16_t crdt[3];
	uint8_t rsvd134[122];
	leint16_t oacs;
	uint8_t acl;
	uint8_t rsvd259[277];
	leint32_t sgls;
	uint8_t rsvd540[3556];
};

__static_assert(sizeof(struct id_ctrl) == IDENTIFY_SIZE);

#define CNTRLTYPE_ADMIN 3
#define OACS_DBBUF (1 << 8)
#define SGLS_SUPPORT(sgls) (3 & (sgls))
#define SGLS_DWORD_ALIGNED 2

static unsigned int shutdown_ms(uint32_t rtd3e_us)
{
	unsigned int ms = rtd3e_us / 1000;

	if (ms < SHUTDOWN_DEFAULT_MS)
		return SHUTDOWN_DEFAULT_MS;

	return ms < SHUTDOWN_MAX_MS ? ms : SHUTDOWN_MAX_MS;
}

static int identify(struct nvme_ctrl *ctrl, bool *has_dbbuf)
{
	__autovar_s(iommu_dmabuf) buffer = {};
	const struct id_ctrl *id;
	uint32_t sgls;

	if (nvme_fetch_identify(ctrl, IDENTIFY_CTRL, 0, &buffer))
		return -1;

	id = buffer.vaddr;
	sgls = le32_to_cpu(id->sgls);

	if (id->cntrltype == CNTRLTYPE_ADMIN || command_sets(ctrl) == CC_CSS_ADMIN)
		ctrl->flags |= NVME_CTRL_F_ADMINISTRATIVE;
	if (SGLS_SUPPORT(sgls))
		ctrl->flags |= NVME_CTRL_F_SGLS_SUPPORTED;
	if (SGLS_SUPPORT(sgls) == SGLS_DWORD_ALIGNED)
		ctrl->flags |= NVME_CTRL_F_SGLS_DWORD_ALIGNMENT;

	ctrl->priv.acl = id->acl;
	for (int i = 0; i < 3; i++)
		ctrl->priv.crdt[i] = le16_to_cpu(id->crdt[i]);
	ctrl->priv.shutdown_ms = shutdown_ms(le32_to_cpu(id->rtd3e));
	*has_dbbuf = le16_to_cpu(id->oacs) & OACS_DBBUF;

	return 0;
}

static int smaller(int a, int b)
{
	return a < b ? a : b;
}

/* Ask once, before there are queues; controllers refuse later (section 5.27.1.5). */
int nvme_request_queues(struct nvme_ctrl *ctrl)
{
	union nvme_cmd cmd;
	struct nvme_cqe cqe;
	uint32_t granted;

	cmd.features = (struct nvme_cmd_features){
		.opcode = ADMIN_SET_FEATURES,
		.fid = FEATURE_NUM_QUEUES,
		.cdw11 = cpu_to_le32((uint32_t)ctrl->opts.ncqr << 16 | (uint32_t)ctrl->opts.nsqr),
	};
	if (nvme_admin(ctrl, &cmd, NULL, 0, &cqe))
		return -1;

	granted = le32_to_cpu(cqe.dw0);
	ctrl->config.nsqa = smaller(ctrl->opts.nsqr, (int)(granted & 0xffff));
	ctrl->config.ncqa = smaller(ctrl->opts.ncqr, (int)(granted >> 16));

	return 0;
}

static int bring_up(struct nvme_ctrl *ctrl)
{
	bool has_dbbuf;

	if (nvme_reset(ctrl))
		return -1;

	nvme_forget_cmb(ctrl);
	nvme_forget_pmr(ctrl);

	if (nvme_configure_adminq(ctrl, 0) || nvme_enable(ctrl) || identify(ctrl, &has_dbbuf))
		return -1;

	if (ctrl->flags & NVME_CTRL_F_ADMINISTRATIVE)
		return 0;

	if (nvme_request_queues(ctrl))
		return -1;

	if (has_dbbuf && !(ctrl->opts.quirks & NVME_QUIRK_BROKEN_DBBUF))
		return nvme_setup_dbbuf(ctrl);

	return 0;
}

int nvme_init(struct nvme_ctrl *ctrl, const char *bdf, const struct nvme_ctrl_opts *opts)
{
	struct iommu_ctx *preset = ctrl->pci.bdf ? NULL : ctrl->pci.dev.ctx;
	unsigned int timeout_ms = ctrl->priv.timeout_ms;
	int saved;

	if (ctrl->regs)
		return vfn_fail(EALREADY, "%s is initialised already: close it first",
				nvme_name(ctrl));

	if (nvme_ctrl_init(ctrl, bdf, opts))
		return -1;

	if (!bring_up(ctrl))
		return 0;

	saved = errno;
	iommu_hold(preset);
	nvme_close(ctrl);
	iommu_let_go(preset);
	ctrl->pci.dev.ctx = preset;
	ctrl->priv.timeout_ms = timeout_ms;
	errno = saved;

	return -1;
}

void vfn_nvme_set_timeout(struct nvme_ctrl *ctrl, unsigned int ms)
{
	ctrl->priv.timeout_ms = ms;
}

/* ---- close ---- */

static bool has_sq(struct nvme_ctrl *ctrl, const struct nvme_cq *cq)
{
	for (int i = 1; i < ctrl->priv.nsq; i++)
		if (ctrl->sq[i].cq == cq)
			return true;

	return false;
}

/*
 * Submission queues first. What nvme_create_*() did not create is not ours to
 * delete. A controller that refuses may do better with the next one; one that
 * does not answer is not asked again.
 */
static void delete_queues(struct nvme_ctrl *ctrl)
{
	for (int i = 1; i < ctrl->priv.nsq; i++)
		if ((ctrl->sq[i].flags & VFN_NVME_Q_CREATED) && nvme_delete_iosq(ctrl, i) &&
		    errno != EIO)
			return;

	for (int i = 1; i < ctrl->priv.ncq; i++)
		if ((ctrl->cq[i].flags & VFN_NVME_Q_CREATED) && !has_sq(ctrl, &ctrl->cq[i]) &&
		    nvme_delete_iocq(ctrl, i) && errno != EIO)
			return;
}

static int notify_shutdown(struct nvme_ctrl *ctrl)
{
	unsigned int ms = ctrl->priv.shutdown_ms ? ctrl->priv.shutdown_ms : SHUTDOWN_DEFAULT_MS;
	uint32_t cc = nvme_read32(ctrl, NVME_REG_CC);

	if (cc == UINT32_MAX)
		return nvme_gone(ctrl);

	nvme_write32(ctrl, NVME_REG_CC, (cc & ~CC_SHN_MASK) | CC_SHN_NORMAL);

	return wait_csts(ctrl, CSTS_SHST_MASK, CSTS_SHST_COMPLETE, ms * MS, true, "shut down");
}

/* Each step is tried even if one before it failed: what matters is that it stops in the end. */
static void shut_down(struct nvme_ctrl *ctrl)
{
	uint32_t cc = nvme_read32(ctrl, NVME_REG_CC);
	uint32_t csts = nvme_read32(ctrl, NVME_REG_CSTS);

	if (csts != UINT32_MAX && (cc & CC_EN) && (csts & CSTS_RDY) && !(csts & CSTS_CFS)) {
		if (nvme_timeout_ns(ctrl) > CLOSE_COMMAND_MS * MS)
			ctrl->priv.timeout_ms = CLOSE_COMMAND_MS;

		delete_queues(ctrl);
		(void)notify_shutdown(ctrl);
	}

	stop(ctrl);
}

void nvme_close(struct nvme_ctrl *ctrl)
{
	/* it is the parent's */
	if (iommu_check_process(__iommu_ctx(ctrl)))
		return;

	nvme_forget_ctrl(ctrl);

	if (ctrl->regs)
		shut_down(ctrl);

	free_memory(ctrl);
	ctrl->priv.timeout_ms = 0;
	release(ctrl, NULL);
}
