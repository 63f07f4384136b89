// SPDX-License-Identifier: GPL-2.0-or-later
/* End-to-end data protection: fill, write, read and verify tuples, and see who catches a corrupted block. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <vfn/nvme/pi.h>

#include "common.h"
#include "pattern.h"

#define QID 1
#define MAX_BLOCKS 64
#define APPTAG 0x5643

/* Blocks with their metadata, either between them (extended) or in memory of their own. */
struct guarded {
	struct nvme_ctrl *ctrl;
	struct vfn_nvme_pi pi;
	uint32_t nsid;
	uint64_t slba, blocks;
	bool extended;
	size_t stride; /* from one block to the next */
	struct iommu_dmabuf data, meta;
};

/* Width of the checksum, which only a newer Identify tells; controllers without that have 16 bits. */
static uint8_t guard_of(struct nvme_ctrl *ctrl, uint32_t nsid, unsigned int format)
{
	union nvme_cmd cmd = {
		.identify = {
			.opcode = nvme_admin_identify,
			.nsid = cpu_to_le32(nsid),
			.cns = NVME_IDENTIFY_CNS_CSI_NS,
			.csi = NVME_CSI_NVM,
		},
	};
	uint8_t guard = VFN_NVME_PI_GUARD_16B;
	struct nvme_nvm_id_ns *nvm;
	void *data;

	if (pgmap(&data, NVME_IDENTIFY_DATA_SIZE) < 0)
		die("out of memory");
	nvm = data;
	if (!nvme_admin(ctrl, &cmd, data, NVME_IDENTIFY_DATA_SIZE, NULL))
		guard = le32_to_cpu(nvm->elbaf[format]) >> 7 & 3;
	pgunmap(data, NVME_IDENTIFY_DATA_SIZE);

	return guard;
}

static void get_format(struct guarded *p)
{
	const struct nvme_id_ns *id;
	unsigned int format;
	void *data;

	if (pgmap(&data, NVME_IDENTIFY_DATA_SIZE) < 0)
		die("out of memory");
	identify(p->ctrl, NVME_IDENTIFY_CNS_NS, 0, p->nsid, data);
	id = data;
	format = format_index(id);

	if (!id->nsze)
		die("namespace %u is not there or not active", p->nsid);
	if (!(id->dps & 7))
		die("namespace %u has no protection information", p->nsid);
	if (p->slba > le64_to_cpu(id->nsze) || p->blocks > le64_to_cpu(id->nsze) - p->slba)
		usage_error("namespace %u ends at block %" PRIu64, p->nsid, le64_to_cpu(id->nsze));

	p->pi = (struct vfn_nvme_pi){
		.lba_size = 1U << id->lbaf[format].ds,
		.ms = le16_to_cpu(id->lbaf[format].ms),
		.type = id->dps & 7,
		.guard = guard_of(p->ctrl, p->nsid, format),
		.first = id->dps & 8,
		.flags = VFN_NVME_PI_CHECK_ALL,
		.apptag = APPTAG,
		.appmask = 0xffff,
		.reftag = p->slba,
	};
	p->extended = id->flbas & 0x10;
	p->stride = p->pi.lba_size + (p->extended ? p->pi.ms : 0);

	printf("blocks of %u + %u bytes, %s; protection of type %u, guards of %d bits\n",
	       p->pi.lba_size, p->pi.ms, p->extended ? "extended" : "separate", p->pi.type,
	       p->pi.guard == VFN_NVME_PI_GUARD_64B ? 64 : 16);
	pgunmap(data, NVME_IDENTIFY_DATA_SIZE);
}

/* Returns what the controller says: status code type and code, 0 for success. */
static unsigned int transfer(struct guarded *p, uint8_t opcode, uint16_t checks)
{
	struct vfn_nvme_pi pi = p->pi;
	struct nvme_cqe cqe = {};
	union nvme_cmd cmd = {
		.rw = {
			.opcode = opcode,
			.nsid = cpu_to_le32(p->nsid),
			.mptr = cpu_to_le64(p->meta.iova),
			.slba = cpu_to_le64(p->slba),
			.nlb = cpu_to_le16((uint16_t)(p->blocks - 1)),
		},
	};

	pi.flags = checks;
	vfn_nvme_pi_prep_cmd(&pi, &cmd);

	if (opcode == nvme_cmd_read) {
		memset(p->data.vaddr, 0xa5, p->blocks * p->stride);
		if (!p->extended)
			memset(p->meta.vaddr, 0xa5, p->blocks * p->pi.ms);
	}
	if (nvme_sync(p->ctrl, &p->ctrl->sq[QID], &cmd, p->data.vaddr, p->blocks * p->stride,
		      &cqe) &&
	    (errno != EIO || nvme_cqe_ok(&cqe)))
		die_vfn("%s", opcode == nvme_cmd_read ? "read" : "write");

	return le16_to_cpu(cqe.sfp) >> 1 & 0x7ff;
}

static void succeed(struct guarded *p, uint8_t opcode, uint16_t checks)
{
	unsigned int status = transfer(p, opcode, checks);

	if (status)
		die("%s: status type %xh, code %02xh", opcode == nvme_cmd_read ? "read" : "write",
		    status >> 8, status & 0xff);
}

/* Media errors, type 2: 82h, 83h and 84h are the guard's, the application tag's and the reference tag's. */
static void fail_guard(struct guarded *p, uint8_t opcode)
{
	const char *what = opcode == nvme_cmd_read ? "read" : "write";
	unsigned int status = transfer(p, opcode, p->pi.flags);

	if (status != (NVME_SCT_MEDIA << 8 | NVME_SC_GUARD_CHECK))
		die("the controller lets a corrupted block pass: status %03xh of a %s", status,
		    what);
	printf("the controller refuses to %s a corrupted block: guard check error\n", what);
}

static void fill(struct guarded *p)
{
	for (uint64_t i = 0; i < p->blocks; i++)
		pattern_fill((char *)p->data.vaddr + i * p->stride, p->pi.lba_size, 1,
			     (p->slba + i) * p->pi.lba_size);
	if (vfn_nvme_pi_fill(&p->pi, p->data.vaddr, p->meta.vaddr, p->blocks))
		die_vfn("fill");
}

static void run(struct guarded *p)
{
	struct vfn_nvme_pi_error error;
	size_t corrupted = p->blocks / 2;

	fill(p);
	succeed(p, nvme_cmd_write, p->pi.flags);
	succeed(p, nvme_cmd_read, p->pi.flags);
	if (vfn_nvme_pi_verify(&p->pi, p->data.vaddr, p->meta.vaddr, p->blocks, NULL))
		die_vfn("verify");
	printf("wrote and verified %" PRIu64 " blocks\n", p->blocks);

	/* one bit, without a new checksum */
	((char *)p->data.vaddr)[corrupted * p->stride] ^= 1;
	fail_guard(p, nvme_cmd_write);

	/* who does not ask for checks gets it stored, and back */
	succeed(p, nvme_cmd_write, 0);
	fail_guard(p, nvme_cmd_read);
	succeed(p, nvme_cmd_read, 0);
	if (!vfn_nvme_pi_verify(&p->pi, p->data.vaddr, p->meta.vaddr, p->blocks, &error))
		die("the library lets a corrupted block pass");
	if (errno != EILSEQ || error.block != corrupted || error.check != VFN_NVME_PI_CHECK_GUARD)
		die_vfn("the library finds something else");
	printf("the library finds it: %s\n", vfn_last_error());

	fill(p);
	succeed(p, nvme_cmd_write, p->pi.flags);
}

int main(int argc, char **argv)
{
	uint64_t nsid = 1, slba = 0, blocks = 8;
	const struct option_spec options[] = {
		{ 'n', "namespace", "NSID", "namespace (default 1)", .number = &nsid, .min = 1,
		  .max = 0xfffffffe },
		{ 's', "slba", "LBA", "first block (default 0)", .number = &slba,
		  .max = UINT64_MAX >> 16 },
		{ 'b', "blocks", "N", "how many (default 8)", .number = &blocks, .min = 1,
		  .max = MAX_BLOCKS },
		{},
	};
	const char *bdf = parse_options(
		argc, argv,
		"Write blocks with protection information, read and verify them. Then let one bit of\n"
		"them be wrong, and see that it is noticed. WHAT WAS THERE IS LOST.",
		options);
	struct nvme_ctrl ctrl = {};
	struct guarded p = {
		.ctrl = &ctrl, .nsid = (uint32_t)nsid, .slba = slba, .blocks = blocks
	};

	if (nvme_init(&ctrl, bdf, NULL))
		die_vfn("cannot initialise the controller");
	get_format(&p);
	if (nvme_create_ioqpair(&ctrl, QID, 2, -1, 0))
		die_vfn("cannot create queues");
	if (iommu_get_dmabuf(__iommu_ctx(&ctrl), &p.data, p.blocks * p.stride, 0))
		die_vfn("no memory");
	if (!p.extended && iommu_get_dmabuf(__iommu_ctx(&ctrl), &p.meta, p.blocks * p.pi.ms, 0))
		die_vfn("no memory");

	run(&p);

	iommu_put_dmabuf(&p.meta);
	iommu_put_dmabuf(&p.data);
	nvme_close(&ctrl);

	return 0;
}
