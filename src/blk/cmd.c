// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Commands of the program's own, and those that few namespaces have: copy. */
#include <errno.h>
#include <string.h>

#include <vfn/support/mutex.h>

#include "blk/blk.h"
#include "support/error.h"

#define OPCODE_COPY 0x19

/* Blocks that are copied at a time where the controller has no command for it. */
#define COPY_BYTES (256UL << 10)

/* ---- anything ---- */

int vfn_blk_cmd(struct vfn_blk *blk, const union nvme_cmd *cmd, void *buf, size_t len,
		uint64_t *result)
{
	struct vfn_blk_req req = { .op = VFN_BLK_CMD, .nlb = len, .buf = buf, .cmd = cmd };

	if (blk_execute(blk, &req))
		return -1;
	if (result)
		*result = req.result;

	return 0;
}

int vfn_blk_admin(struct vfn_blk *blk, const union nvme_cmd *cmd, void *buf, size_t len,
		  uint64_t *result)
{
	union nvme_cmd copy = *cmd;
	struct nvme_cqe cqe;
	uint16_t status;

	__autolock(&blk->dev->lock);

	if (blk_lost(blk->dev))
		return vfn_fail(blk_lost(blk->dev), "%s: the controller is lost", blk->info.bdf);

	memset(&copy.dptr, 0, sizeof(copy.dptr));
	memset(&cqe, 0, sizeof(cqe));
	if (nvme_admin(&blk->dev->ctrl, &copy, buf, len, &cqe)) {
		status = le16_to_cpu(cqe.sfp) >> 1;
		if (errno != EIO || !status)
			return -1;
		vfn_set_error(vfn_nvme_status_errno(status), "%s: admin command 0x%02x: %s",
			      blk->info.bdf, copy.opcode, vfn_nvme_status_text(status));
		vfn_set_status(status);
		return -1;
	}
	if (result)
		*result = le64_to_cpu(cqe.qw0);

	return 0;
}

/* ---- copy ---- */

/* A source range, format 0 (NVM Command Set Specification 1.0, figure 37). */
struct copy_range {
	uint8_t rsvd0[8];
	leint64_t slba;
	leint16_t nlb;
	uint8_t rsvd18[14];
};

__static_assert(sizeof(struct copy_range) == 32);

static int copy_by_command(struct vfn_blk *blk, uint64_t to, uint64_t from, uint64_t nlb)
{
	while (nlb) {
		uint32_t n = nlb < blk->copy_max ? (uint32_t)nlb : blk->copy_max;
		struct copy_range range = {
			.slba = cpu_to_le64(from),
			.nlb = cpu_to_le16((uint16_t)(n - 1)),
		};
		union nvme_cmd cmd = {
			.opcode = OPCODE_COPY,
			.nsid = cpu_to_le32(blk->info.nsid),
			.cdw10 = cpu_to_le32((uint32_t)to),
			.cdw11 = cpu_to_le32((uint32_t)(to >> 32)),
		};

		if (vfn_blk_cmd(blk, &cmd, &range, sizeof(range), NULL))
			return -1;
		to += n;
		from += n;
		nlb -= n;
	}

	return 0;
}

static int copy_by_buffer(struct vfn_blk *blk, uint64_t to, uint64_t from, uint64_t nlb)
{
	const uint64_t most = COPY_BYTES >> blk->lba_shift;
	void *buf = vfn_blk_alloc(blk, COPY_BYTES);
	int ret = 0, saved;

	if (!buf)
		return -1;

	while (nlb && !ret) {
		uint64_t n = nlb < most ? nlb : most;

		ret = vfn_blk_read(blk, buf, from, n) || vfn_blk_write(blk, buf, to, n) ? -1 : 0;
		to += n;
		from += n;
		nlb -= n;
	}

	saved = errno;
	(void)vfn_blk_free(blk, buf);
	errno = saved;

	return ret;
}

int vfn_blk_copy(struct vfn_blk *blk, uint64_t to, uint64_t from, uint64_t nlb)
{
	const struct vfn_blk_info *info = &blk->info;

	/* before anything is written */
	if (blk_check_blocks(blk, to, nlb) || blk_check_blocks(blk, from, nlb))
		return -1;
	if (to < from + nlb && from < to + nlb)
		return vfn_fail(EINVAL, "%s/%u: %llu blocks from %llu on overlap those from %llu",
				info->bdf, info->nsid, (unsigned long long)nlb,
				(unsigned long long)from, (unsigned long long)to);
	if (info->features & VFN_BLK_F_RDONLY)
		return vfn_fail(EROFS, "%s/%u cannot be written", info->bdf, info->nsid);

	if (info->features & VFN_BLK_F_COPY)
		return copy_by_command(blk, to, from, nlb);
	if (blk->flags & VFN_BLK_NO_FALLBACK)
		return vfn_fail(ENOTSUP, "%s has no command to copy", info->bdf);

	return copy_by_buffer(blk, to, from, nlb);
}
