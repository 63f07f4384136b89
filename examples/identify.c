// SPDX-License-Identifier: GPL-2.0-or-later
/* Ask a controller who it is, with a request of our own (level two), and print the answer. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include <nvme/types.h>
#include <vfn/nvme.h>

#include "common.h"

/* Fields are padded with blanks and need not be terminated, nor be text at all. */
static void print_text(const char *label, const char *text, int len)
{
	while (len && (text[len - 1] == ' ' || !text[len - 1]))
		len--;

	printf("%s", label);
	for (int i = 0; i < len; i++)
		putchar(text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
	putchar('\n');
}

static void print_bytes(const char *label, uint16_t v)
{
	printf("%s%02x %02x\n", label, v & 0xff, v >> 8);
}

static void print_identity(struct nvme_ctrl *ctrl, const struct nvme_id_ctrl *id)
{
	char *regs = ctrl->regs;
	uint64_t cap = le64_to_cpu(mmio_read64(regs + NVME_REG_CAP));
	uint32_t vs = le32_to_cpu(mmio_read32(regs + NVME_REG_VS));

	printf("------------- Controller information -------------\n");
	print_bytes("PCI Vendor ID           : ", le16_to_cpu(id->vid));
	print_bytes("PCI Subsystem Vendor ID : ", le16_to_cpu(id->ssvid));
	printf("NVM Express version     : %u.%u.%u\n", vs >> 16, vs >> 8 & 0xff, vs & 0xff);
	printf("Controller page size    : %zu\n", __mps_to_pagesize(ctrl->config.mps));
	printf("Max queue entries       : %d\n", ctrl->config.mqes + 1);
	print_text("Serial Number           : ", id->sn, sizeof(id->sn));
	print_text("Model Number            : ", id->mn, sizeof(id->mn));
	print_text("Firmware revision       : ", id->fr, sizeof(id->fr));
	if (id->mdts && id->mdts < 32)
		printf("Max data transfer size  : %" PRIu64 "\n",
		       UINT64_C(1) << (id->mdts + 12 + NVME_CAP_MPSMIN(cap)));
	else
		printf("Max data transfer size  : no limit\n");
	printf("Max outstanding commands: %u\n", le16_to_cpu(id->maxcmd));
	printf("Max number of namespaces: %u\n", le32_to_cpu(id->nn));
	printf("--------------------------------------------------\n");
	printf("vid 0x%04x\n", le16_to_cpu(id->vid));
	printf("ssvid 0x%04x\n", le16_to_cpu(id->ssvid));
}

int main(int argc, char **argv)
{
	static const struct option_spec no_options[] = { {} };
	const char *bdf = parse_options(argc, argv, "Identify a controller.", no_options);
	struct nvme_ctrl ctrl = {};
	struct nvme_cqe cqe = {};
	union nvme_cmd cmd = {};
	struct nvme_rq *rq;
	ssize_t len;
	void *vaddr;
	iova_t iova;

	printf("Resetting controller and setting up admin queues...\n");
	if (nvme_init(&ctrl, bdf, NULL))
		die_vfn("cannot initialise the controller");

	/* memory that the controller can reach */
	len = pgmap(&vaddr, NVME_IDENTIFY_DATA_SIZE);
	if (len < 0)
		die("out of memory");
	if (iommu_map_vaddr(__iommu_ctx(&ctrl), vaddr, (size_t)len, &iova, 0))
		die_vfn("cannot map memory");

	cmd.identify = (struct nvme_cmd_identify){
		.opcode = nvme_admin_identify,
		.cns = NVME_IDENTIFY_CNS_CTRL,
	};

	rq = nvme_rq_acquire(ctrl.adminq.sq);
	if (!rq)
		die("no request is free");
	if (nvme_rq_map_prp(&ctrl, rq, &cmd, iova, NVME_IDENTIFY_DATA_SIZE))
		die_vfn("cannot describe the memory");

	nvme_rq_exec(rq, &cmd);
	if (nvme_rq_spin(rq, &cqe)) {
		if (errno == EIO && !nvme_cqe_ok(&cqe))
			die_status(&cqe, "identify");
		die_vfn("identify");
	}
	nvme_rq_release(rq);

	print_identity(&ctrl, vaddr);

	if (iommu_unmap_vaddr(__iommu_ctx(&ctrl), vaddr, NULL))
		die_vfn("cannot unmap memory");
	pgunmap(vaddr, (size_t)len);
	nvme_close(&ctrl);

	return 0;
}
