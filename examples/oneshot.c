// SPDX-License-Identifier: GPL-2.0-or-later
/* The program of the README, with checks and the address from the command line. */
#include <vfn/nvme.h>

#include <nvme/types.h>
#include <vfn/support.h>

#include "common.h"

int main(int argc, char **argv)
{
	static const struct option_spec no_options[] = { {} };
	const char *bdf = parse_options(argc, argv, "Execute one command.", no_options);
	struct nvme_ctrl ctrl = {};
	union nvme_cmd cmd;
	void *vaddr;

	if (nvme_init(&ctrl, bdf, NULL))
		die_vfn("cannot initialise the controller");

	if (pgmap(&vaddr, NVME_IDENTIFY_DATA_SIZE) < 0)
		die("out of memory");

	cmd.identify = (struct nvme_cmd_identify){
		.opcode = nvme_admin_identify,
		.cns = NVME_IDENTIFY_CNS_CTRL,
	};

	if (nvme_oneshot(&ctrl, ctrl.adminq.sq, &cmd, vaddr, NVME_IDENTIFY_DATA_SIZE, NULL))
		die_vfn("identify");

	printf("vid 0x%" PRIx16 "\n", le16_to_cpu(((struct nvme_id_ctrl *)vaddr)->vid));

	nvme_close(&ctrl);

	return 0;
}
