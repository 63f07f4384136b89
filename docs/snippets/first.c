// SPDX-License-Identifier: GPL-2.0-or-later
/* The first program: bring a controller up, ask it who it is, close it. */
#include <ctype.h>
#include <stdio.h>

#include <nvme/types.h>
#include <vfn/nvme.h>

int main(int argc, char **argv)
{
	union nvme_cmd cmd = {
		.identify = {
			.opcode = nvme_admin_identify,
			.cns = NVME_IDENTIFY_CNS_CTRL,
		},
	};
	struct nvme_ctrl ctrl = {};
	struct nvme_id_ctrl *id;
	ssize_t len;
	void *mem;

	if (argc != 2) {
		fprintf(stderr, "usage: %s BDF\n", argv[0]);
		return 2;
	}

	if (nvme_init(&ctrl, argv[1], NULL)) {
		fprintf(stderr, "%s\n", vfn_last_error());
		return 1;
	}

	len = pgmap(&mem, NVME_IDENTIFY_DATA_SIZE);
	if (len < 0 || nvme_admin(&ctrl, &cmd, mem, NVME_IDENTIFY_DATA_SIZE, NULL)) {
		fprintf(stderr, "%s\n", vfn_last_error());
		nvme_close(&ctrl);
		return 1;
	}

	id = mem;
	/* no string: there is no end but the field's, and anything in it that a terminal should not see */
	printf("model ");
	for (size_t i = 0; i < sizeof(id->mn); i++)
		putchar(isprint((unsigned char)id->mn[i]) ? id->mn[i] : '?');
	printf("\n");
	printf("%d I/O queues\n", ctrl.config.nsqa + 1);

	nvme_close(&ctrl);
	pgunmap(mem, (size_t)len);

	return 0;
}
