// SPDX-License-Identifier: GPL-2.0-or-later
/* Identify: the structures, by the specification's byte offsets. */
#include "nvme_model.h"

#include <stdio.h>
#include <stdlib.h>

#define IDENTIFY_SIZE 4096
#define CNS_NS 0x00
#define CNS_CTRL 0x01
#define CNS_ACTIVE_NS 0x02
#define CNS_NS_DESC 0x03
#define CNS_ALLOCATED_NS 0x10
#define CNS_ALLOCATED 0x11
#define CNS_PRIMARY 0x14
#define CNS_SECONDARIES 0x15
#define NIDT_UUID 3
#define OACS_FORMAT (1 << 1)
#define OACS_VIRT (1 << 7)
#define OACS_DBBUF (1 << 8)

/* Space-padded, as identify strings are. */
static void put_text(uint8_t *p, size_t len, const char *text)
{
	memset(p, ' ', len);
	memcpy(p, text, strlen(text) < len ? strlen(text) : len);
}

static void init_ctrl(struct emu_nvme *n)
{
	const struct emu_pci_opts *pci = &n->o.pci;
	uint8_t *id = n->identify;

	put_le16(id + 0, pci->vendor ? pci->vendor : 0x1b36);
	put_le16(id + 2, pci->subvendor ? pci->subvendor : 0x1af4);
	put_text(id + 4, 20, "EMU0001");
	put_text(id + 24, 40, "Emulated NVMe Controller");
	put_text(id + 64, 8, "1.0");
	id[77] = n->o.no_mdts ? 0 : n->o.mdts;
	put_le16(id + 78, EMU_CNTLID);
	put_le32(id + 80, n->o.vs);
	put_le32(id + 84, 1000000); /* RTD3R, us */
	put_le32(id + 88, 1000000); /* RTD3E, us */
	put_le32(id + 92, 1 << 8);  /* OAES: namespace attribute */
	id[111] = 1;		    /* CNTRLTYPE: I/O controller */
	put_le16(id + 256, OACS_FORMAT | (n->o.dbbuf ? OACS_DBBUF : 0) |
				   (n->o.virt.secondaries ? OACS_VIRT : 0));
	id[258] = n->o.acl - 1;
	id[259] = n->o.aerl - 1;
	id[260] = 0x02;	  /* FRMW: one slot */
	id[261] = 1 << 2; /* LPA: offsets */
	id[262] = NVME_ERRORS - 1;
	put_le16(id + 266, 343); /* WCTEMP, K */
	put_le16(id + 268, 373);
	id[512] = 0x66; /* SQES */
	id[513] = 0x44; /* CQES */
	put_le32(id + 516, n->o.nns);
	put_le16(id + 520, 0x000d); /* ONCS: compare, dsm, write zeroes */
	id[525] = 1;		    /* VWC */
	put_le32(id + 536, n->o.sgls);
	snprintf((char *)id + 768, 256, "nqn.2014-08.org.nvmexpress:uuid:emu-%s",
		 pci->bdf ? pci->bdf : EMU_BDF);
}

static void init_ns(struct emu_nvme *n, unsigned int i)
{
	const struct emu_ns_opts *o = &n->ns[i].opts;
	uint8_t *id = n->ns[i].identify;

	put_le64(id + 0, o->blocks);
	put_le64(id + 8, o->blocks);
	put_le64(id + 16, o->blocks);
	id[25] = 1; /* NLBAF: two formats */
	id[26] = o->lba_size == 4096;
	id[33] = 0;
	id[99] = o->read_only;			       /* NSATTR */
	put_le64(id + 120, 0x0102030405060700ULL + i); /* EUI64 */
	put_le32(id + 128, 9 << 16);		       /* LBAF0: 512 */
	put_le32(id + 132, 12 << 16);		       /* LBAF1: 4096 */
}

void nvme_format_ns(struct emu_nvme *n, uint32_t nsid, uint32_t lba_size)
{
	struct model_ns *ns = &n->ns[nsid - 1];
	const uint64_t size = ns->opts.blocks * ns->opts.lba_size;

	ns->opts.lba_size = lba_size;
	ns->opts.blocks = size / lba_size;
	memset(ns->disk, 0, size);
	init_ns(n, nsid - 1);
}

void nvme_init_identify(struct emu_nvme *n)
{
	init_ctrl(n);
	for (unsigned int i = 0; i < n->o.nns; i++)
		init_ns(n, i);
}

static void active_list(struct emu_nvme *n, const struct cmd *cmd, uint8_t *buf)
{
	for (uint32_t nsid = cmd->nsid + 1, i = 0; nsid <= n->o.nns; nsid++, i++)
		put_le32(buf + 4 * i, nsid);
	for (uint32_t i = 0; n->o.ns_list_loops && i < IDENTIFY_SIZE / 4; i++)
		put_le32(buf + 4 * i, 1);
}

static void ns_descriptors(const struct cmd *cmd, uint8_t *buf)
{
	buf[0] = NIDT_UUID;
	buf[1] = 16;
	memset(buf + 4, 0xe0, 16);
	put_le32(buf + 16, cmd->nsid);
}

uint16_t nvme_identify(struct emu_nvme *n, struct cmd *cmd)
{
	struct model_ns *ns = nvme_ns(n, cmd->nsid);
	const uint8_t cns = cmd->dw[10] & 0xff;
	uint16_t status;
	uint8_t *buf;

	if ((cns == CNS_NS || cns == CNS_NS_DESC || cns == CNS_ALLOCATED) && !ns)
		return SC_INVALID_NS;
	if (cns == CNS_CTRL && cmd->nsid)
		nvme_report(n, "Identify Controller with NSID 0x%x", cmd->nsid);

	if ((cns == CNS_ACTIVE_NS || cns == CNS_ALLOCATED_NS) && cmd->nsid >= NSID_ALL - 1)
		return SC_INVALID_NS;
	if (cns > CNS_NS_DESC && cns != CNS_ALLOCATED_NS && cns != CNS_ALLOCATED &&
	    !(n->o.virt.secondaries && (cns == CNS_PRIMARY || cns == CNS_SECONDARIES)))
		return SC_INVALID_FIELD;
	if (cns < CNS_PRIMARY && cmd->dw[10] >> 16)
		nvme_report(n, "Identify 0x%x with CNTID 0x%x", cns, cmd->dw[10] >> 16);
	if (cns == CNS_NS || cns == CNS_ALLOCATED)
		return nvme_transfer(n, cmd, ns->identify, sizeof(ns->identify));
	if (cns == CNS_CTRL)
		return nvme_transfer(n, cmd, n->identify, sizeof(n->identify));

	buf = emu_zalloc(IDENTIFY_SIZE);
	if (cns == CNS_ACTIVE_NS || cns == CNS_ALLOCATED_NS)
		active_list(n, cmd, buf);
	else if (cns == CNS_PRIMARY)
		nvme_primary_caps(n, buf);
	else if (cns == CNS_SECONDARIES)
		nvme_secondary_list(n, cmd->dw[10] >> 16, buf);
	else
		ns_descriptors(cmd, buf);
	status = nvme_transfer(n, cmd, buf, IDENTIFY_SIZE);
	free(buf);

	return status;
}
