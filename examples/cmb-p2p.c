// SPDX-License-Identifier: GPL-2.0-or-later
/* Peer to peer: one controller reads from its medium right into the memory of another one. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <nvme/types.h>
#include <vfn/nvme.h>

#include "common.h"
#include "pattern.h"

#define QID 1
#define LENGTH 65536

static void transfer(struct nvme_ctrl *ctrl, const struct nvm_namespace *ns, uint8_t opcode,
		     uint64_t slba, void *data)
{
	union nvme_cmd cmd = {
		.rw = {
			.opcode = opcode,
			.nsid = cpu_to_le32(ns->nsid),
			.slba = cpu_to_le64(slba),
			.nlb = cpu_to_le16((uint16_t)(LENGTH / ns->block_size - 1)),
		},
	};

	execute(ctrl, &ctrl->sq[QID], &cmd, data, LENGTH, NULL, "%s",
		opcode == nvme_cmd_write ? "write" : "read");
}

/* In the address space of the other one, so that an address means the same to both. */
static void open_peer(struct nvme_ctrl *peer, const char *bdf, struct nvme_ctrl *ctrl,
		      struct iommu_dmabuf *mem)
{
	peer->pci.dev.ctx = __iommu_ctx(ctrl);
	if (nvme_init(peer, bdf, NULL))
		die_vfn("cannot initialise the peer");
	if (nvme_configure_cmb(peer))
		die_vfn("cannot use the peer's memory");
	if (!peer->cmb.vaddr)
		die("the peer has no memory for data");
	if (vfn_nvme_cmb_check(peer, VFN_NVME_CMB_PEERS))
		die_vfn("cannot reach the peer");
	if (vfn_nvme_cmb_alloc(peer, mem, LENGTH))
		die_vfn("no room in the peer");
	memset(mem->vaddr, 0, LENGTH);
}

static void verify(const void *data, uint64_t offset)
{
	if (pattern_check(data, LENGTH, 2, offset) != offset + LENGTH)
		die("what arrived is not what was written");
}

int main(int argc, char **argv)
{
	uint64_t nsid = 1, slba = 0, offset;
	const char *peer_bdf = NULL;
	const struct option_spec options[] = {
		{ 'p', "peer", "BDF", "controller with memory for data, bound to vfio-pci, too",
		  .text = &peer_bdf },
		{ 'n', "namespace", "NSID", "namespace (default 1)", .number = &nsid, .min = 1,
		  .max = 0xfffffffe },
		{ 's', "slba", "BLOCK", "where to write (default 0). ITS DATA ARE LOST",
		  .number = &slba, .max = UINT64_MAX },
		{},
	};
	const char *bdf =
		parse_options(argc, argv,
			      "Write 64 KiB, then read it into the memory of another controller.",
			      options);
	struct nvme_ctrl ctrl = {}, peer = {};
	struct iommu_dmabuf buffer, mem;
	struct nvm_namespace ns;

	if (!peer_bdf)
		usage_error("which other controller? --peer BDF is missing");
	if (nvme_init(&ctrl, bdf, NULL))
		die_vfn("cannot initialise the controller");
	get_namespace(&ctrl, (uint32_t)nsid, &ns);
	if (slba > ns.blocks || LENGTH / ns.block_size > ns.blocks - slba)
		usage_error("--slba: namespace %u ends at block %" PRIu64, ns.nsid, ns.blocks);
	if (ns.max_transfer < LENGTH)
		die("the controller takes %s at once", size_text(ns.max_transfer));
	if (nvme_create_ioqpair(&ctrl, QID, 2, -1, 0))
		die_vfn("cannot create queues");
	open_peer(&peer, peer_bdf, &ctrl, &mem);

	if (iommu_get_dmabuf(__iommu_ctx(&ctrl), &buffer, LENGTH, 0))
		die_vfn("no memory");
	offset = slba * ns.block_size;
	pattern_fill(buffer.vaddr, LENGTH, 2, offset);
	transfer(&ctrl, &ns, nvme_cmd_write, slba, buffer.vaddr);
	iommu_put_dmabuf(&buffer);

	transfer(&ctrl, &ns, nvme_cmd_read, slba, mem.vaddr);
	verify(mem.vaddr, offset);
	printf("%s read %s into %s\n", bdf, size_text(LENGTH), peer.pci.bdf);

	nvme_close(&ctrl);
	nvme_close(&peer);

	return 0;
}
