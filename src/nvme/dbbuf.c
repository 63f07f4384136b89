// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Shadow doorbells: the controller looks in memory, and says when it wants to be rung. */
#include <errno.h>
#include <string.h>

#include <vfn/support/log.h>

#include "nvme/nvme.h"

int nvme_setup_dbbuf(struct nvme_ctrl *ctrl)
{
	size_t len = __mps_to_pagesize(ctrl->config.mps);
	union nvme_cmd cmd = { .opcode = ADMIN_DBBUF_CONFIG };

	if (ctrl->dbbuf.doorbells.len) {
		memset(ctrl->dbbuf.doorbells.vaddr, 0, len);
		memset(ctrl->dbbuf.eventidxs.vaddr, 0, len);
	} else if (iommu_get_dmabuf(__iommu_ctx(ctrl), &ctrl->dbbuf.doorbells, len, 0) ||
		   iommu_get_dmabuf(__iommu_ctx(ctrl), &ctrl->dbbuf.eventidxs, len, 0)) {
		return -1;
	}

	cmd.dptr.prp1 = cpu_to_le64(ctrl->dbbuf.doorbells.iova);
	cmd.dptr.prp2 = cpu_to_le64(ctrl->dbbuf.eventidxs.iova);

	if (!nvme_admin(ctrl, &cmd, NULL, 0, NULL))
		return 0;

	/* without it, doorbells are registers; but a controller that is lost stays lost */
	if (errno != EIO)
		return -1;

	log_info("%s: no shadow doorbells: %s", nvme_name(ctrl), vfn_last_error());
	iommu_put_dmabuf(&ctrl->dbbuf.doorbells);
	iommu_put_dmabuf(&ctrl->dbbuf.eventidxs);

	return 0;
}

void nvme_attach_dbbuf(struct nvme_ctrl *ctrl, int index, struct nvme_dbbuf *dbbuf)
{
	size_t stride = (size_t)4 << CAP_DSTRD(ctrl->priv.cap);
	size_t offset = (size_t)index * stride;

	dbbuf->doorbell = NULL;
	dbbuf->eventidx = NULL;

	/* the admin queue has none, and the buffers are one page each, whatever the stride */
	if (index < 2 || !ctrl->dbbuf.doorbells.len ||
	    offset + stride > __mps_to_pagesize(ctrl->config.mps))
		return;

	dbbuf->doorbell = (char *)ctrl->dbbuf.doorbells.vaddr + offset;
	dbbuf->eventidx = (char *)ctrl->dbbuf.eventidxs.vaddr + offset;

	/* an earlier queue of this identifier may have left its indexes */
	memset(dbbuf->doorbell, 0, sizeof(leint32_t));
	memset(dbbuf->eventidx, 0, sizeof(leint32_t));
}
