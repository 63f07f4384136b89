// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Commands that fail for now: whether to send them again, and when (Base Specification 2.0, section 3.3.3.2.1). */
#include <vfn/nvme/recover.h>

#include <errno.h>

#include "nvme/nvme.h"
#include "os/os.h"
#include "support/error.h"

/* Of a completion's status without its phase tag. */
#define TYPE_AND_CODE(status) (0x7ff & (status))
#define CRD(status) ((status) >> 11 & 3)
#define DNR (1u << 14)

/* Identify Controller's CRDT1 to CRDT3 count 100 ms. */
#define CRDT_NS 100000000ULL

/* The first byte of Host Behavior Support. */
#define ACRE 1

int vfn_nvme_enable_retry_delays(struct nvme_ctrl *ctrl)
{
	__autovar_s(iommu_dmabuf) behavior = {};
	union nvme_cmd cmd = { .features = { .opcode = ADMIN_GET_FEATURES,
					     .fid = FEATURE_HOST_BEHAVIOR } };

	if (!ctrl->adminq.sq)
		return vfn_fail(ENODEV, "%s is not up: call nvme_init()", nvme_name(ctrl));
	if (!ctrl->priv.crdt[0])
		return vfn_fail(ENOTSUP, "%s has no delays for commands to be sent again",
				nvme_name(ctrl));

	if (nvme_admin_page(ctrl, &cmd, &behavior))
		return -1;

	*(uint8_t *)behavior.vaddr = ACRE;
	cmd.features.opcode = ADMIN_SET_FEATURES;
	if (nvme_admin_page(ctrl, &cmd, &behavior))
		return -1;

	ctrl->priv.retry_delays = true;

	return 0;
}

bool vfn_nvme_may_retry(const struct nvme_ctrl *ctrl, const struct nvme_cqe *cqe, unsigned int sent,
			uint64_t *delay_ns)
{
	unsigned int status = le16_to_cpu(cqe->sfp) >> 1;
	unsigned int crd = CRD(status);

	*delay_ns = crd && ctrl->priv.retry_delays ? ctrl->priv.crdt[crd - 1] * CRDT_NS : 0;

	return status && !(status & DNR) && TYPE_AND_CODE(status) != VFN_NVME_STATUS_LOST &&
	       sent <= VFN_NVME_RETRIES;
}

int vfn_nvme_sync_retry(struct nvme_ctrl *ctrl, struct nvme_sq *sq, union nvme_cmd *sqe, void *buf,
			size_t len, struct nvme_cqe *cqe_copy)
{
	uint64_t left = nvme_timeout_ns(ctrl), delay = 0;

	for (unsigned int sent = 1;; sent++) {
		struct nvme_cqe cqe = {};
		int ret = nvme_sync(ctrl, sq, sqe, buf, len, &cqe);

		if (cqe_copy)
			*cqe_copy = cqe;
		if (!ret || !vfn_nvme_may_retry(ctrl, &cqe, sent, &delay) || delay > left)
			return ret;

		left -= delay;
		os_sleep_ns(delay);
	}
}
