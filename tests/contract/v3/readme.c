// SPDX-License-Identifier: GPL-2.0-or-later
/* The program of the library's first README, as printed. */
#include <vfn/nvme.h>

#include <nvme/types.h>
#include <support/mem.h>

int main(void)
{
	struct nvme_ctrl ctrl;
	union nvme_cmd cmd;
	void *vaddr;

	nvme_init(&ctrl, "0000:01:00.0", NULL);

	pgmap(&vaddr, NVME_IDENTIFY_DATA_SIZE);

	cmd.identify = (struct nvme_cmd_identify){
		.opcode = nvme_admin_identify,
		.cns = NVME_IDENTIFY_CNS_CTRL,
	};

	nvme_oneshot(&ctrl, ctrl.adminq.sq, &cmd, vaddr, NVME_IDENTIFY_DATA_SIZE, NULL);

	printf("vid 0x%" PRIx8 "\n", ((struct nvme_id_ctrl *)vaddr)->vid);

	return 0;
}
