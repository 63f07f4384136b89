// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Zones: what there are, what is done with them, and writes that say where they went. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blk/blk.h"
#include "nvme/nvme.h"
#include "support/error.h"

#define OPCODE_ZONE_SEND 0x79
#define OPCODE_ZONE_RECEIVE 0x7a
#define OPCODE_ZONE_APPEND 0x7d

#define SELECT_ALL (1 << 8)

/* Identify by command set (Zoned Namespace Command Set Specification 1.1, sections 4.1.5). */
#define CNS_CSI_NS 0x05
#define CNS_CSI_CTRL 0x06
#define CSI_ZNS 2
#define NS_LBAFE 2816
#define LBAFE_LEN 16
#define CTRL_ZASL 0

/* A report (figure 36): a header, then descriptors of the same length. */
#define REPORT_ENTRY 64
#define REPORT_BYTES 4096
#define REPORT_ROOM (REPORT_BYTES / REPORT_ENTRY - 1)

static int identify(struct blk_dev *dev, uint8_t cns, uint32_t nsid)
{
	union nvme_cmd cmd = {
		.identify = { .opcode = ADMIN_IDENTIFY,
			      .nsid = cpu_to_le32(nsid),
			      .cns = cns,
			      .csi = CSI_ZNS },
	};
	int ret;

	/* a namespace of another kind has no such data, or zeroes */
	vfn_begin_attempt();
	ret = nvme_admin(&dev->ctrl, &cmd, dev->page, IDENTIFY_SIZE, NULL);
	vfn_end_attempt();

	return ret;
}

int blk_identify_zones(struct vfn_blk *blk, unsigned int format)
{
	struct vfn_blk_info *info = &blk->info;
	struct blk_dev *dev = blk->dev;
	unsigned int shift;

	/* other command sets are not enabled */
	if (!CAP_CSS_IOCS(dev->ctrl.priv.cap))
		return 0;
	if (identify(dev, CNS_CSI_NS, info->nsid))
		return errno == EIO ? 0 : -1;

	info->zone_size = blk_get64(dev->page + NS_LBAFE + (size_t)LBAFE_LEN * format);
	if (!info->zone_size)
		return 0;

	if (identify(dev, CNS_CSI_CTRL, 0))
		return vfn_fail_again();

	info->max_append = info->max_blocks;
	shift = dev->page[CTRL_ZASL] + 12 + CAP_MPSMIN(dev->ctrl.priv.cap);
	if (dev->page[CTRL_ZASL] && shift < 32 && 1U << shift >> blk->lba_shift < info->max_append)
		info->max_append = 1U << shift >> blk->lba_shift;

	return 0;
}

static int check(const struct vfn_blk *blk, uint64_t lba, uint64_t nlb)
{
	if (!blk->info.zone_size)
		return vfn_fail(ENOTSUP, "%s/%u has no zones", blk->info.bdf, blk->info.nsid);

	return blk_check_blocks(blk, lba, nlb);
}

static union nvme_cmd prepare(const struct vfn_blk *blk, uint8_t opcode, uint64_t lba)
{
	return (union nvme_cmd){
		.opcode = opcode,
		.nsid = cpu_to_le32(blk->info.nsid),
		.cdw10 = cpu_to_le32((uint32_t)lba),
		.cdw11 = cpu_to_le32((uint32_t)(lba >> 32)),
	};
}

static struct vfn_blk_zone parse(const uint8_t *entry)
{
	return (struct vfn_blk_zone){
		.type = entry[0] & 0xf,
		.state = entry[1] >> 4,
		.capacity = blk_get64(entry + 8),
		.start = blk_get64(entry + 16),
		.pointer = blk_get64(entry + 24),
	};
}

int vfn_blk_zone_report(struct vfn_blk *blk, uint64_t lba, struct vfn_blk_zone *zones, int max)
{
	const struct vfn_blk_info *info = &blk->info;
	uint8_t *data;
	int n = 0, ret = 0;

	if (check(blk, lba, 1))
		return -1;
	if (max < 1)
		return vfn_fail(EINVAL, "%s/%u: a report of %d zones", info->bdf, info->nsid, max);

	data = vfn_zalloc(REPORT_BYTES);
	if (!data)
		return -1;

	/* from one to the next by their size, whatever the device says */
	for (lba -= lba % info->zone_size; !ret && n < max && lba < info->nblocks;) {
		union nvme_cmd cmd = prepare(blk, OPCODE_ZONE_RECEIVE, lba);

		cmd.cdw12 = cpu_to_le32(REPORT_BYTES / 4 - 1);
		ret = vfn_blk_cmd(blk, &cmd, data, REPORT_BYTES, NULL);
		for (int i = 1; !ret && i <= REPORT_ROOM && n < max && lba < info->nblocks; i++) {
			zones[n++] = parse(data + (size_t)i * REPORT_ENTRY);
			lba += info->zone_size;
		}
	}

	if (ret) {
		int saved = errno;

		free(data);
		errno = saved;
		return -1;
	}
	free(data);

	return n;
}

int vfn_blk_zone_send(struct vfn_blk *blk, uint64_t lba, unsigned int action)
{
	const bool all = lba == VFN_BLK_ALL_ZONES;
	union nvme_cmd cmd = prepare(blk, OPCODE_ZONE_SEND, all ? 0 : lba);

	if (check(blk, all ? 0 : lba, 1))
		return -1;
	if (action < VFN_BLK_ZONE_CLOSE || action > VFN_BLK_ZONE_OFFLINE)
		return vfn_fail(EINVAL, "%s/%u: no zone has an action %u", blk->info.bdf,
				blk->info.nsid, action);
	cmd.cdw13 = cpu_to_le32(action | (all ? SELECT_ALL : 0));

	return vfn_blk_cmd(blk, &cmd, NULL, 0, NULL);
}

int vfn_blk_zone_append(struct vfn_blk *blk, uint64_t lba, const void *buf, uint64_t nlb,
			uint64_t *where)
{
	union nvme_cmd cmd = prepare(blk, OPCODE_ZONE_APPEND, lba);

	if (check(blk, lba, nlb))
		return -1;
	if (nlb > blk->info.max_append)
		return vfn_fail(EINVAL, "%s/%u: %llu blocks at a time: %u can be appended",
				blk->info.bdf, blk->info.nsid, (unsigned long long)nlb,
				blk->info.max_append);
	cmd.cdw12 = cpu_to_le32((uint32_t)(nlb - 1) | (uint32_t)blk->protection << 16);
	if (blk->has_reftag)
		cmd.cdw14 = cpu_to_le32((uint32_t)lba);

	return vfn_blk_cmd(blk, &cmd, blk_unconst(buf), nlb << blk->lba_shift, where);
}
