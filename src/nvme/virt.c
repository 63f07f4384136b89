// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Primary and secondary controllers (Base Specification 2.0, section 8.26). */
#include <errno.h>

#include "nvme/nvme.h"
#include "support/error.h"

enum action {
	ACT_PRIMARY_ALLOCATE = 0x1,
	ACT_SECONDARY_OFFLINE = 0x7,
	ACT_SECONDARY_ASSIGN = 0x8,
	ACT_SECONDARY_ONLINE = 0x9,
};

/* Flexible resources: virtual queues and virtual interrupts. */
enum resource {
	VQ = 0,
	VI = 1,
};

static const char *const names[] = { "queue", "interrupt" };

/* Primary Controller Capabilities (section 5.17.2, CNS 14h). */
struct resource_caps {
	leint32_t total;
	leint32_t assigned;
	leint16_t primary;
	leint16_t private_primary;
	leint16_t max_per_secondary;
	leint16_t granularity;
	uint8_t rsvd[16];
};

struct primary_caps {
	leint16_t cntlid;
	leint16_t portid;
	uint8_t types;
	uint8_t rsvd5[27];
	struct resource_caps resources[2];
	uint8_t rsvd96[4000];
};

__static_assert(sizeof(struct primary_caps) == IDENTIFY_SIZE);

/* Secondary Controller List (CNS 15h). */
struct secondary {
	leint16_t scid;
	leint16_t pcid;
	uint8_t state;
	uint8_t rsvd5[3];
	leint16_t vfn;
	leint16_t resources[2];
	uint8_t rsvd14[18];
};

#define LIST_MAX 127

struct secondary_list {
	uint8_t n;
	uint8_t rsvd1[31];
	struct secondary entry[LIST_MAX];
};

__static_assert(sizeof(struct secondary_list) == IDENTIFY_SIZE);

static int manage(struct nvme_ctrl *ctrl, enum action act, enum resource type, uint16_t cntlid,
		  uint16_t n)
{
	union nvme_cmd cmd = { .opcode = ADMIN_VIRT_MGMT };

	cmd.cdw10 = cpu_to_le32((uint32_t)cntlid << 16 | (uint32_t)type << 8 | (uint32_t)act);
	cmd.cdw11 = cpu_to_le32(n);

	return nvme_admin(ctrl, &cmd, NULL, 0, NULL);
}

/*
 * Find the secondary controller that @matches, among those from @scid on. A list
 * has the identifiers in order, and as many as fit.
 */
static int find_secondary(struct nvme_ctrl *ctrl, uint16_t scid,
			  bool (*matches)(const struct secondary *sec, uint16_t arg), uint16_t arg,
			  struct secondary *found)
{
	unsigned int n, next = scid;

	do {
		__autovar_s(iommu_dmabuf) buffer = {};
		const struct secondary_list *list;

		if (nvme_fetch_identify(ctrl, IDENTIFY_SECONDARY, (uint16_t)next, &buffer))
			return -1;

		list = buffer.vaddr;
		n = list->n < LIST_MAX ? list->n : LIST_MAX;

		for (unsigned int i = 0; i < n; i++) {
			unsigned int id = le16_to_cpu(list->entry[i].scid);

			if (matches(&list->entry[i], arg)) {
				*found = list->entry[i];
				return 0;
			}
			/* a list that goes back would never end */
			if (id < next)
				n = 0;
			next = id + 1;
		}
	} while (n == LIST_MAX && next <= UINT16_MAX);

	errno = ENOENT;

	return -1;
}

static bool has_scid(const struct secondary *sec, uint16_t scid)
{
	return le16_to_cpu(sec->scid) == scid;
}

static bool has_vfn(const struct secondary *sec, uint16_t vfn)
{
	return le16_to_cpu(sec->vfn) == vfn;
}

int nvme_get_vf_cntlid(struct nvme_ctrl *ctrl, int vfnum, uint16_t *cntlid)
{
	struct secondary sec;

	if (vfnum < 1 || vfnum > UINT16_MAX)
		return vfn_fail(EINVAL, "%s: virtual functions are numbered from 1, not %d",
				nvme_name(ctrl), vfnum);

	if (find_secondary(ctrl, 0, has_vfn, (uint16_t)vfnum, &sec)) {
		if (errno == ENOENT)
			return vfn_fail(
				ENOENT,
				"%s: none of its secondary controllers is virtual function %d",
				nvme_name(ctrl), vfnum);
		return -1;
	}

	*cntlid = le16_to_cpu(sec.scid);

	return 0;
}

/* As many as @sec may have, or as there are. */
static int assign_max(struct nvme_ctrl *ctrl, const struct resource_caps *caps,
		      const struct secondary *sec, enum resource type)
{
	uint32_t total = le32_to_cpu(caps->total), n = le16_to_cpu(sec->resources[type]);
	uint32_t taken = le32_to_cpu(caps->assigned) + le16_to_cpu(caps->primary);
	uint16_t max = le16_to_cpu(caps->max_per_secondary), scid = le16_to_cpu(sec->scid);

	if (total > taken)
		n += total - taken;
	if (!n)
		return vfn_fail(
			ENOSPC,
			"%s: other controllers, or itself, have all %u flexible %s resources",
			nvme_name(ctrl), total, names[type]);

	return manage(ctrl, ACT_SECONDARY_ASSIGN, type, scid, n < max ? (uint16_t)n : max);
}

int nvme_vm_assign_max_flexible(struct nvme_ctrl *ctrl, uint16_t scid)
{
	__autovar_s(iommu_dmabuf) buffer = {};
	const struct primary_caps *caps;
	struct secondary sec;

	if (find_secondary(ctrl, scid, has_scid, scid, &sec)) {
		if (errno == ENOENT)
			return vfn_fail(ENOENT, "%s has no secondary controller 0x%x",
					nvme_name(ctrl), scid);
		return -1;
	}

	if (nvme_fetch_identify(ctrl, IDENTIFY_PRIMARY, 0, &buffer))
		return -1;

	caps = buffer.vaddr;
	for (enum resource type = VQ; type <= VI; type++)
		if ((caps->types >> type & 1) &&
		    assign_max(ctrl, &caps->resources[type], &sec, type))
			return -1;

	return 0;
}

int nvme_vm_set_online(struct nvme_ctrl *ctrl, uint16_t scid)
{
	return manage(ctrl, ACT_SECONDARY_ONLINE, 0, scid, 0);
}

int nvme_vm_set_offline(struct nvme_ctrl *ctrl, uint16_t scid)
{
	return manage(ctrl, ACT_SECONDARY_OFFLINE, 0, scid, 0);
}

int vfn_nvme_vm_set_primary_flexible(struct nvme_ctrl *ctrl, uint16_t nvq, uint16_t nvi)
{
	__autovar_s(iommu_dmabuf) buffer = {};
	const uint16_t n[] = { [VQ] = nvq, [VI] = nvi };
	const struct primary_caps *caps;

	if (nvme_fetch_identify(ctrl, IDENTIFY_PRIMARY, 0, &buffer))
		return -1;

	caps = buffer.vaddr;
	for (enum resource type = VQ; type <= VI; type++)
		if ((caps->types >> type & 1) &&
		    manage(ctrl, ACT_PRIMARY_ALLOCATE, type, le16_to_cpu(caps->cntlid), n[type]))
			return -1;

	return 0;
}
