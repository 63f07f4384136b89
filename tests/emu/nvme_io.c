// SPDX-License-Identifier: GPL-2.0-or-later
/* I/O commands of the strict controller, on RAM disks. */
#include "nvme_model.h"

#include <stdlib.h>

#define DSM_DEALLOCATE (1 << 2)
#define DSM_RANGE 16
#define COPY_RANGE 32

static uint64_t slba(const struct cmd *cmd)
{
	return cmd->dw[10] | (uint64_t)cmd->dw[11] << 32;
}

static uint64_t blocks(const struct cmd *cmd)
{
	return (cmd->dw[12] & 0xffff) + 1;
}

static uint64_t rw_length(struct emu_nvme *n, const struct cmd *cmd)
{
	return blocks(cmd) * nvme_ns(n, cmd->nsid)->opts.lba_size;
}

static uint64_t dsm_length(struct emu_nvme *n, const struct cmd *cmd)
{
	(void)n;
	return ((cmd->dw[10] & 0xff) + 1) * DSM_RANGE;
}

static bool in_range(const struct model_ns *ns, uint64_t lba, uint64_t count)
{
	return lba < ns->opts.blocks && count <= ns->opts.blocks - lba;
}

static uint8_t *block(const struct model_ns *ns, uint64_t lba)
{
	return ns->disk + lba * ns->opts.lba_size;
}

static uint16_t check_write(const struct model_ns *ns, uint64_t lba, uint64_t count)
{
	if (ns->opts.read_only)
		return SC_WRITE_PROTECTED;

	return in_range(ns, lba, count) ? SC_SUCCESS : SC_LBA_RANGE;
}

static uint16_t flush(struct emu_nvme *n, struct cmd *cmd)
{
	(void)n;
	(void)cmd;
	return SC_SUCCESS;
}

static uint16_t do_write(struct emu_nvme *n, struct cmd *cmd)
{
	struct model_ns *ns = nvme_ns(n, cmd->nsid);
	uint16_t status = check_write(ns, slba(cmd), blocks(cmd));

	return status ? status : nvme_transfer(n, cmd, block(ns, slba(cmd)), cmd->len);
}

static uint16_t do_read(struct emu_nvme *n, struct cmd *cmd)
{
	struct model_ns *ns = nvme_ns(n, cmd->nsid);

	if (!in_range(ns, slba(cmd), blocks(cmd)))
		return SC_LBA_RANGE;

	return nvme_transfer(n, cmd, block(ns, slba(cmd)), cmd->len);
}

static uint16_t compare(struct emu_nvme *n, struct cmd *cmd)
{
	struct model_ns *ns = nvme_ns(n, cmd->nsid);
	uint16_t status;
	uint8_t *buf;

	if (!in_range(ns, slba(cmd), blocks(cmd)))
		return SC_LBA_RANGE;
	buf = emu_zalloc(cmd->len);
	status = nvme_transfer(n, cmd, buf, cmd->len);
	if (!status && memcmp(buf, block(ns, slba(cmd)), cmd->len))
		status = SC_COMPARE_FAILED;
	free(buf);

	return status;
}

static uint16_t write_zeroes(struct emu_nvme *n, struct cmd *cmd)
{
	struct model_ns *ns = nvme_ns(n, cmd->nsid);
	uint16_t status = check_write(ns, slba(cmd), blocks(cmd));

	if (!status)
		memset(block(ns, slba(cmd)), 0, blocks(cmd) * ns->opts.lba_size);

	return status;
}

static uint16_t deallocate(struct model_ns *ns, const uint8_t *range)
{
	uint64_t lba;
	uint32_t count;
	uint16_t status;

	memcpy(&count, range + 4, sizeof(count));
	memcpy(&lba, range + 8, sizeof(lba));
	count = le32toh(count);
	lba = le64toh(lba);
	if (!count)
		return SC_SUCCESS;
	status = check_write(ns, lba, count);
	if (!status)
		memset(block(ns, lba), 0, (uint64_t)count * ns->opts.lba_size);

	return status;
}

static uint16_t dsm(struct emu_nvme *n, struct cmd *cmd)
{
	struct model_ns *ns = nvme_ns(n, cmd->nsid);
	uint8_t *ranges = emu_zalloc(cmd->len);
	uint16_t status = nvme_transfer(n, cmd, ranges, cmd->len);

	for (uint64_t at = 0; !status && cmd->dw[11] & DSM_DEALLOCATE && at < cmd->len;
	     at += DSM_RANGE)
		status = deallocate(ns, ranges + at);
	free(ranges);

	return status;
}

static uint64_t copy_length(struct emu_nvme *n, const struct cmd *cmd)
{
	(void)n;
	return ((cmd->dw[12] & 0xff) + 1) * COPY_RANGE;
}

/* One range, or it is too many for what Identify says. */
static uint16_t copy(struct emu_nvme *n, struct cmd *cmd)
{
	struct model_ns *ns = nvme_ns(n, cmd->nsid);
	uint8_t range[COPY_RANGE];
	uint64_t from, count;
	uint16_t status;

	if (cmd->len > sizeof(range))
		return SC_INVALID_FIELD;
	status = nvme_transfer(n, cmd, range, sizeof(range));
	if (status)
		return status;
	memcpy(&from, range + 8, sizeof(from));
	from = le64toh(from);
	count = (range[16] | range[17] << 8) + 1;
	/* MSSRL */
	if (count > ns->identify[74] + 256U * ns->identify[75] || !in_range(ns, from, count))
		return SC_LBA_RANGE;
	status = check_write(ns, slba(cmd), count);
	if (!status)
		memmove(block(ns, slba(cmd)), block(ns, from), count * ns->opts.lba_size);

	return status;
}

#define ALL UINT32_MAX
#define RW_CDW12 0xfff0ffff

const struct nvme_op nvme_io_ops[] = {
	{ 0x00, "FLUSH", NSID_ACTIVE_OR_ALL, DPTR_UNUSED, .exec = flush },
	{ 0x01, "WRITE", NSID_ACTIVE, DPTR_DATA, .mptr = true, .allow23 = { ALL, ALL },
	  .allow = { ALL, ALL, RW_CDW12, 0xffff00ff, ALL, ALL }, .length = rw_length,
	  .exec = do_write },
	{ 0x02, "READ", NSID_ACTIVE, DPTR_DATA, .mptr = true, .allow23 = { ALL, ALL },
	  .allow = { ALL, ALL, RW_CDW12, 0x000000ff, ALL, ALL }, .length = rw_length,
	  .exec = do_read },
	{ 0x05, "COMPARE", NSID_ACTIVE, DPTR_DATA, .mptr = true, .allow23 = { ALL, ALL },
	  .allow = { ALL, ALL, RW_CDW12, 0, ALL, ALL }, .length = rw_length, .exec = compare },
	{ 0x08, "WRITE_ZEROES", NSID_ACTIVE, DPTR_UNUSED, .allow23 = { ALL, ALL },
	  .allow = { ALL, ALL, RW_CDW12, 0, ALL, ALL }, .exec = write_zeroes },
	{ 0x09, "DSM", NSID_ACTIVE, DPTR_DATA, .allow = { 0xff, 0x7 }, .length = dsm_length,
	  .exec = dsm },
	{ 0x19, "COPY", NSID_ACTIVE, DPTR_DATA, .allow = { ALL, ALL, 0xff }, .length = copy_length,
	  .exec = copy },
};

const size_t nvme_num_io_ops = ARRAY_SIZE(nvme_io_ops);
