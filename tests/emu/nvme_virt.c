// SPDX-License-Identifier: GPL-2.0-or-later
/* Virtualization of the strict controller: secondary controllers and flexible resources. */
#include "nvme_model.h"

#include <stdlib.h>

#define ACT_PRIMARY 1
#define ACT_OFFLINE 7
#define ACT_ASSIGN 8
#define ACT_ONLINE 9

#define LIST_MAX 127
#define ENTRY_SIZE 32

static uint16_t scid_of(unsigned int i)
{
	return (uint16_t)(EMU_SCID + 3 * i);
}

static struct model_secondary *find(struct emu_nvme *n, uint16_t scid)
{
	for (unsigned int i = 0; i < n->o.virt.secondaries; i++) {
		if (scid_of(i) == scid)
			return &n->secondaries[i];
	}

	return NULL;
}

static uint32_t assigned(const struct emu_nvme *n, unsigned int type)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < n->o.virt.secondaries; i++)
		sum += n->secondaries[i].resources[type];

	return sum;
}

/* At first the primary controller has everything. */
void nvme_init_virt(struct emu_nvme *n)
{
	n->secondaries = emu_zalloc(n->o.virt.secondaries * sizeof(*n->secondaries) + 1);
	for (unsigned int type = 0; type < 2; type++)
		n->primary[type] = n->primary_next[type] = n->o.virt.total[type];
}

void nvme_reset_virt(struct emu_nvme *n)
{
	memcpy(n->primary, n->primary_next, sizeof(n->primary));
}

void nvme_primary_caps(struct emu_nvme *n, uint8_t *buf)
{
	put_le16(buf, EMU_CNTLID);
	buf[4] = (n->o.virt.total[0] ? 1 : 0) | (n->o.virt.total[1] ? 2 : 0);
	for (unsigned int type = 0; type < 2; type++) {
		uint8_t *p = buf + 32 + 32 * type;

		put_le32(p, n->o.virt.total[type]);
		put_le32(p + 4, assigned(n, type));
		put_le16(p + 8, n->primary[type]);
		put_le16(p + 10, 2);
		put_le16(p + 12, n->o.virt.max[type]);
		put_le16(p + 14, 1);
	}
}

void nvme_secondary_list(struct emu_nvme *n, uint16_t from, uint8_t *buf)
{
	for (unsigned int i = 0; i < n->o.virt.secondaries && buf[0] < LIST_MAX; i++) {
		const struct model_secondary *sec = &n->secondaries[i];
		uint8_t *p = buf + ENTRY_SIZE + ENTRY_SIZE * buf[0];

		if (scid_of(i) < from && !n->o.virt.stuck_list)
			continue;
		put_le16(p, scid_of(i));
		put_le16(p + 2, EMU_CNTLID);
		p[4] = sec->online;
		put_le16(p + 8, i + 1);
		put_le16(p + 10, sec->resources[0]);
		put_le16(p + 12, sec->resources[1]);
		buf[0]++;
	}
}

static uint16_t allocate_primary(struct emu_nvme *n, unsigned int type, uint32_t count)
{
	if (count > n->o.virt.total[type] - assigned(n, type))
		return SC_RESOURCES_INVALID;
	n->primary_next[type] = count;

	return SC_SUCCESS;
}

static uint16_t assign(struct emu_nvme *n, struct model_secondary *sec, unsigned int type,
		       uint32_t count)
{
	const uint32_t free_ones = n->o.virt.total[type] - assigned(n, type) - n->primary[type];

	if (sec->online)
		return SC_SECONDARY_STATE;
	if (count > n->o.virt.max[type] || count > free_ones + sec->resources[type])
		return SC_RESOURCES_INVALID;
	sec->resources[type] = count;

	return SC_SUCCESS;
}

uint16_t nvme_virt_mgmt(struct emu_nvme *n, struct cmd *cmd)
{
	const uint32_t act = cmd->dw[10] & 0xf, type = cmd->dw[10] >> 8 & 7, count = cmd->dw[11];
	const uint16_t cntlid = cmd->dw[10] >> 16;
	struct model_secondary *sec = find(n, cntlid);
	uint16_t status = SC_SUCCESS;

	if (!n->o.virt.secondaries)
		return SC_INVALID_OPCODE;
	if (act != ACT_PRIMARY && act != ACT_ASSIGN && (type || count))
		nvme_report(n, "VIRT_MGMT action %u with a resource", act);
	if (act == ACT_PRIMARY ? cntlid != EMU_CNTLID : !sec)
		return SC_CNTLID_INVALID;
	if (type > 1)
		return SC_RESOURCE_ID_INVALID;

	if (act == ACT_PRIMARY) {
		status = allocate_primary(n, type, count);
	} else if (act == ACT_ASSIGN) {
		status = assign(n, sec, type, count);
	} else if (act == ACT_ONLINE) {
		/* admin queues, one for I/O, and a vector */
		if (sec->resources[0] < 2 || !sec->resources[1])
			return SC_SECONDARY_STATE;
		sec->online = true;
	} else if (act == ACT_OFFLINE) {
		sec->online = false;
	} else {
		return SC_INVALID_FIELD;
	}
	cmd->dw0 = status ? 0 : count;

	return status;
}
