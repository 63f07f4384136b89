// SPDX-License-Identifier: GPL-2.0-or-later
/* A tool that is tested without hardware: how many blocks has the first namespace? */
#include <stdio.h>

#include <nvme/types.h>
#include <vfn/nvme.h>

int main(int argc, char **argv)
{
	union nvme_cmd cmd = {
		.identify = {
			.opcode = nvme_admin_identify,
			.nsid = cpu_to_le32(1),
			.cns = NVME_IDENTIFY_CNS_NS,
		},
	};
	struct nvme_ctrl ctrl = {};
	int status = 1;
	ssize_t len;
	void *mem;

	if (argc != 2) {
		fprintf(stderr, "usage: %s BDF\n", argv[0]);
		return 2;
	}

	len = pgmap(&mem, NVME_IDENTIFY_DATA_SIZE);
	if (len < 0 || nvme_init(&ctrl, argv[1], NULL)) {
		fprintf(stderr, "%s\n", vfn_last_error());
	} else if (nvme_admin(&ctrl, &cmd, mem, NVME_IDENTIFY_DATA_SIZE, NULL)) {
		fprintf(stderr, "%s: %s\n", argv[1], vfn_last_error());
	} else {
		printf("%llu\n", (unsigned long long)le64_to_cpu(((struct nvme_id_ns *)mem)->nsze));
		status = 0;
	}

	nvme_close(&ctrl);
	if (len > 0)
		pgunmap(mem, (size_t)len);

	return status;
}
