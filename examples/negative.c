// SPDX-License-Identifier: GPL-2.0-or-later
/* A negative test: commands that are wrong, each in its way, and what the controller answers in words. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include <nvme/types.h>
#include <vfn/nvme.h>

#include "common.h"

#define QID 1
#define QSIZE 8
#define MAX_COPIES 2
#define UNKNOWN_OPCODE 0x7f

/* What is sent, so many times at once, all with the same identifier. */
struct attempt {
	const char *what;
	union nvme_cmd cmd;
	int copies;
};

static union nvme_cmd read_command(const struct nvm_namespace *ns, uint64_t slba, iova_t iova)
{
	union nvme_cmd cmd = {
		.rw = {
			.opcode = nvme_cmd_read,
			.nsid = cpu_to_le32(ns->nsid),
			.dptr.prp1 = cpu_to_le64(iova),
			.slba = cpu_to_le64(slba),
		},
	};

	return cmd;
}

/* The functions for requests would see to identifiers and data pointers: here nobody does. */
static void send(struct nvme_sq *sq, const struct attempt *attempt, uint64_t seconds)
{
	struct timespec limit = { .tv_sec = (time_t)seconds };
	struct nvme_cqe cqes[MAX_COPIES];
	int count;

	for (int i = 0; i < attempt->copies; i++)
		nvme_sq_post(sq, &attempt->cmd);
	nvme_sq_update_tail(sq);

	count = nvme_cq_wait_cqes(sq->cq, cqes, attempt->copies, &limit);
	for (int i = 0; i < count; i++) {
		uint16_t status = le16_to_cpu(cqes[i].sfp) >> 1;

		printf("%-34s %s%s\n", attempt->what, vfn_nvme_status_text(status),
		       status >> 14 & 1 ? ", do not retry" : "");
	}
	if (count < attempt->copies)
		die("%s: %d of %d commands not completed%s", attempt->what, attempt->copies - count,
		    attempt->copies, errno == ENODEV ? ": the controller has failed" : "");
	nvme_cq_update_head(sq->cq);
}

static void send_all(struct nvme_sq *sq, const struct nvm_namespace *ns, iova_t iova,
		     uint64_t seconds)
{
	struct attempt attempts[] = {
		{ "a read as it should be", read_command(ns, 0, iova), 1 },
		{ "an opcode that nobody has", read_command(ns, 0, iova), 1 },
		{ "a namespace that is not there", read_command(ns, 0, iova), 1 },
		{ "blocks behind the last", read_command(ns, ns->blocks, iova), 1 },
		{ "an odd address in PRP entry 1", read_command(ns, 0, iova + 1), 1 },
		{ "reserved bits of dword 0", read_command(ns, 0, iova), 1 },
		{ "one identifier for two commands", read_command(ns, 0, iova), 2 },
		{ "a read as it should be", read_command(ns, 0, iova), 1 },
	};

	attempts[1].cmd.opcode = UNKNOWN_OPCODE;
	attempts[2].cmd.nsid = cpu_to_le32(0xfffffffe);
	attempts[5].cmd.flags = 0x3c;

	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		attempts[i].cmd.cid = (uint16_t)i;
		send(sq, &attempts[i], seconds);
	}
}

int main(int argc, char **argv)
{
	uint64_t nsid = 1, seconds = 5;
	const struct option_spec options[] = {
		{ 'n', "namespace", "NSID", "namespace to read, 1 if not given", .number = &nsid,
		  .min = 1, .max = UINT32_MAX - 1 },
		{ 't', "time", "SECONDS", "how long to wait for an answer, 5 if not given",
		  .number = &seconds, .min = 1, .max = 3600 },
		{},
	};
	const char *bdf =
		parse_options(argc, argv,
			      "Send reads that are wrong and print what the controller answers.",
			      options);
	struct nvme_ctrl ctrl = {};
	struct nvm_namespace ns;
	struct iommu_dmabuf buffer;

	if (nvme_init(&ctrl, bdf, NULL))
		die_vfn("cannot initialise the controller");
	get_namespace(&ctrl, (uint32_t)nsid, &ns);
	if (nvme_create_ioqpair(&ctrl, QID, QSIZE, -1, 0))
		die_vfn("cannot create queues");

	/* a page more than a read takes: what goes wrong by a byte stays in the buffer */
	if (iommu_get_dmabuf(__iommu_ctx(&ctrl), &buffer, ns.block_size + 4096, 0))
		die_vfn("no buffer");

	send_all(&ctrl.sq[QID], &ns, buffer.iova, seconds);

	iommu_put_dmabuf(&buffer);
	nvme_close(&ctrl);

	return 0;
}
