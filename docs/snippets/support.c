// SPDX-License-Identifier: GPL-2.0-or-later
/* The support layer: registers, byte order, memory, messages. */
#include <stdio.h>

#include <nvme/types.h>
#include <vfn/nvme.h>

#include "snippet.h"

/* [hook] */
static void take_message(int level, const char *text, void *opaque)
{
	fprintf(opaque, "level %d: %s\n", level, text);
}
/* [hook-end] */

/* [registers] */
static void print_version(struct nvme_ctrl *ctrl)
{
	uint32_t vs = le32_to_cpu(mmio_read32((char *)ctrl->regs + NVME_REG_VS));

	printf("version %u.%u.%u\n", vs >> 16, vs >> 8 & 0xff, vs & 0xff);
}
/* [registers-end] */

int main(int argc, char **argv)
{
	struct nvme_ctrl ctrl = {};

	(void)argc;
	/* [log] */
	vfn_log_set_hook(take_message, stdout);
	logv_set(VFN_LOG_INFO);
	/* [log-end] */

	if (!nvme_init(&ctrl, "nonsense", NULL))
		return 1;
	if (nvme_init(&ctrl, argv[1], NULL))
		fail();
	print_version(&ctrl);

	/* [scope] */
	{
		__autovar_s(iommu_dmabuf) buffer = {};

		if (iommu_get_dmabuf(__iommu_ctx(&ctrl), &buffer, 4096, 0))
			fail();
		memset(buffer.vaddr, 0, 4096);
	} /* unmapped and freed here */
	/* [scope-end] */

	nvme_close(&ctrl);

	return 0;
}
