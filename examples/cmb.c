// SPDX-License-Identifier: GPL-2.0-or-later
/* Commands and data in the controller's own memory: what it is to do, it need not fetch from the host. */
#include <inttypes.h>
#include <stdio.h>

#include <nvme/types.h>
#include <vfn/nvme.h>

#include "common.h"
#include "pattern.h"

#define QID 1
#define QSIZE 32
#define LENGTH 65536

/* A submission queue in this memory; its completions go to host memory. */
static void create_queues(struct nvme_ctrl *ctrl, struct iommu_dmabuf *mem)
{
	union nvme_cmd cmd = {
		.create_sq = {
			.opcode = nvme_admin_create_sq,
			.prp1 = cpu_to_le64(mem->iova),
			.qid = cpu_to_le16(QID),
			.qsize = cpu_to_le16(QSIZE - 1),
			.qflags = cpu_to_le16(NVME_Q_PC),
			.cqid = cpu_to_le16(QID),
		},
	};

	if (nvme_create_iocq(ctrl, QID, QSIZE, -1))
		die_vfn("cannot create the completion queue");
	if (nvme_configure_sq_mem(ctrl, QID, QSIZE, &ctrl->cq[QID], 0, mem))
		die_vfn("cannot set the submission queue up");
	execute(ctrl, ctrl->adminq.sq, &cmd, NULL, 0, NULL, "cannot create the submission queue");
}

static void transfer(struct nvme_ctrl *ctrl, const struct nvm_namespace *ns, uint8_t opcode,
		     uint64_t slba, struct iommu_dmabuf *data)
{
	union nvme_cmd cmd = {
		.rw = {
			.opcode = opcode,
			.nsid = cpu_to_le32(ns->nsid),
			.slba = cpu_to_le64(slba),
			.nlb = cpu_to_le16((uint16_t)(LENGTH / ns->block_size - 1)),
		},
	};

	execute(ctrl, &ctrl->sq[QID], &cmd, data->vaddr, LENGTH, NULL, "%s",
		opcode == nvme_cmd_write ? "write" : "read");
}

static void get(struct nvme_ctrl *ctrl, struct iommu_dmabuf *mem, size_t len)
{
	if (vfn_nvme_cmb_alloc(ctrl, mem, len))
		die_vfn("no room");
}

int main(int argc, char **argv)
{
	uint64_t nsid = 1, slba = 0;
	const struct option_spec options[] = {
		{ 'n', "namespace", "NSID", "namespace (default 1)", .number = &nsid, .min = 1,
		  .max = 0xfffffffe },
		{ 's', "slba", "BLOCK", "where to write (default 0). ITS DATA ARE LOST",
		  .number = &slba, .max = UINT64_MAX },
		{},
	};
	const char *bdf = parse_options(
		argc, argv,
		"Write and read back 64 KiB, with the commands and the data in the controller.",
		options);
	struct iommu_dmabuf queue, written, read;
	struct nvme_ctrl ctrl = {};
	struct nvm_namespace ns;

	if (nvme_init(&ctrl, bdf, NULL))
		die_vfn("cannot initialise the controller");
	get_namespace(&ctrl, (uint32_t)nsid, &ns);
	if (slba > ns.blocks || LENGTH / ns.block_size > ns.blocks - slba)
		usage_error("--slba: namespace %u ends at block %" PRIu64, ns.nsid, ns.blocks);
	if (ns.max_transfer < LENGTH)
		die("the controller takes %s at once", size_text(ns.max_transfer));

	if (nvme_configure_cmb(&ctrl))
		die_vfn("cannot use the controller's memory");
	if (!ctrl.cmb.vaddr)
		die("the controller has no memory for commands and data");
	if (vfn_nvme_cmb_check(&ctrl, VFN_NVME_CMB_SQ | VFN_NVME_CMB_READ | VFN_NVME_CMB_WRITE))
		die_vfn("it is not for commands and data");
	printf("the controller has %s of memory\n", size_text(ctrl.cmb.size));

	get(&ctrl, &queue, QSIZE << NVME_SQES);
	get(&ctrl, &written, LENGTH);
	get(&ctrl, &read, LENGTH);
	create_queues(&ctrl, &queue);

	pattern_fill(written.vaddr, LENGTH, 1, slba * ns.block_size);
	transfer(&ctrl, &ns, nvme_cmd_write, slba, &written);
	transfer(&ctrl, &ns, nvme_cmd_read, slba, &read);
	if (pattern_check(read.vaddr, LENGTH, 1, slba * ns.block_size) !=
	    slba * ns.block_size + LENGTH)
		die("what was read is not what was written");
	printf("verified %s\n", size_text(LENGTH));

	nvme_close(&ctrl);

	return 0;
}
