// SPDX-License-Identifier: GPL-2.0-or-later
/* Both queues of a pair, entry by entry, as they lie in memory. */
#include "passthru.h"

#include <string.h>

struct opcode {
	uint8_t opcode;
	const char *name;
};

/* Base Specification 2.0, section 5. */
static const struct opcode admin_opcodes[] = {
	{ 0x00, "Delete I/O Submission Queue" },
	{ 0x01, "Create I/O Submission Queue" },
	{ 0x02, "Get Log Page" },
	{ 0x04, "Delete I/O Completion Queue" },
	{ 0x05, "Create I/O Completion Queue" },
	{ 0x06, "Identify" },
	{ 0x08, "Abort" },
	{ 0x09, "Set Features" },
	{ 0x0a, "Get Features" },
	{ 0x0c, "Asynchronous Event Request" },
	{ 0x0d, "Namespace Management" },
	{ 0x10, "Firmware Commit" },
	{ 0x11, "Firmware Image Download" },
	{ 0x14, "Device Self-test" },
	{ 0x15, "Namespace Attachment" },
	{ 0x18, "Keep Alive" },
	{ 0x19, "Directive Send" },
	{ 0x1a, "Directive Receive" },
	{ 0x1c, "Virtualization Management" },
	{ 0x1d, "NVMe-MI Send" },
	{ 0x1e, "NVMe-MI Receive" },
	{ 0x20, "Capacity Management" },
	{ 0x24, "Lockdown" },
	{ 0x7c, "Doorbell Buffer Config" },
	{ 0x80, "Format NVM" },
	{ 0x81, "Security Send" },
	{ 0x82, "Security Receive" },
	{ 0x84, "Sanitize" },
	{ 0x86, "Get LBA Status" },
};

/* Section 7, and the NVM and Zoned Namespace Command Set Specifications. */
static const struct opcode io_opcodes[] = {
	{ 0x00, "Flush" },
	{ 0x01, "Write" },
	{ 0x02, "Read" },
	{ 0x04, "Write Uncorrectable" },
	{ 0x05, "Compare" },
	{ 0x08, "Write Zeroes" },
	{ 0x09, "Dataset Management" },
	{ 0x0c, "Verify" },
	{ 0x0d, "Reservation Register" },
	{ 0x0e, "Reservation Report" },
	{ 0x11, "Reservation Acquire" },
	{ 0x15, "Reservation Release" },
	{ 0x19, "Copy" },
	{ 0x79, "Zone Management Send" },
	{ 0x7a, "Zone Management Receive" },
	{ 0x7d, "Zone Append" },
};

static const char *find_opcode(const struct opcode *table, size_t count, uint8_t opcode)
{
	for (size_t i = 0; i < count; i++) {
		if (table[i].opcode == opcode)
			return table[i].name;
	}

	return NULL;
}

/* NULL for one without a name. */
static const char *opcode_name(const struct nvme_sq *sq, uint8_t opcode)
{
	if (sq->id)
		return find_opcode(io_opcodes, sizeof(io_opcodes) / sizeof(io_opcodes[0]), opcode);

	return find_opcode(admin_opcodes, sizeof(admin_opcodes) / sizeof(admin_opcodes[0]), opcode);
}

/* Copies: the controller may still write completions, and who knows what else. */
static union nvme_cmd get_command(const struct nvme_sq *sq, int i)
{
	union nvme_cmd cmd;

	memcpy(&cmd, (char *)sq->mem.vaddr + ((size_t)i << NVME_SQES), sizeof(cmd));

	return cmd;
}

static struct nvme_cqe get_completion(const struct nvme_cq *cq, int i)
{
	struct nvme_cqe cqe;

	memcpy(&cqe, (char *)cq->mem.vaddr + ((size_t)i << NVME_CQES), sizeof(cqe));

	return cqe;
}

static bool is_zero(const void *entry, size_t size)
{
	static const char zero[1 << NVME_SQES];

	return !memcmp(entry, zero, size);
}

static const char *psdt_name(uint8_t flags)
{
	static const char *const names[] = { "PRP", "SGL", "SGL with an SGL of metadata",
					     "reserved" };

	return names[flags >> NVME_CMD_FLAGS_PSDT_SHIFT & NVME_CMD_FLAGS_PSDT_MASK];
}

static void put_command(FILE *out, const struct nvme_sq *sq, int i, const union nvme_cmd *cmd)
{
	const char *name = opcode_name(sq, cmd->opcode);

	fprintf(out, "entry %d: opcode 0x%02x %s, FUSE %u, PSDT %u %s, CID 0x%04x, NSID 0x%x\n", i,
		cmd->opcode, name ? name : "unknown", cmd->flags & 3U, cmd->flags >> 6 & 3U,
		psdt_name(cmd->flags), cmd->cid, le32_to_cpu(cmd->nsid));
	fprintf(out, "  CDW2 0x%08x, CDW3 0x%08x, MPTR 0x%llx, PRP1 0x%llx, PRP2 0x%llx\n",
		le32_to_cpu(cmd->cdw2), le32_to_cpu(cmd->cdw3),
		(unsigned long long)le64_to_cpu(cmd->mptr),
		(unsigned long long)le64_to_cpu(cmd->dptr.prp1),
		(unsigned long long)le64_to_cpu(cmd->dptr.prp2));
	fprintf(out, "  CDW10 0x%08x 0x%08x 0x%08x 0x%08x 0x%08x 0x%08x\n", le32_to_cpu(cmd->cdw10),
		le32_to_cpu(cmd->cdw11), le32_to_cpu(cmd->cdw12), le32_to_cpu(cmd->cdw13),
		le32_to_cpu(cmd->cdw14), le32_to_cpu(cmd->cdw15));
}

void put_queues(FILE *out, const struct nvme_sq *sq)
{
	const struct nvme_cq *cq = sq->cq;

	fprintf(out,
		"submission queue %d: %d entries at 0x%llx, tail %u; entries of zeros left out\n",
		sq->id, sq->qsize, (unsigned long long)sq->mem.iova, sq->tail);
	for (int i = 0; i < sq->qsize; i++) {
		union nvme_cmd cmd = get_command(sq, i);

		if (!is_zero(&cmd, sizeof(cmd)))
			put_command(out, sq, i, &cmd);
	}

	fprintf(out,
		"completion queue %d: %d entries at 0x%llx, head %u; entries of zeros left out\n",
		cq->id, cq->qsize, (unsigned long long)cq->mem.iova, cq->head);
	for (int i = 0; i < cq->qsize; i++) {
		struct nvme_cqe cqe = get_completion(cq, i);

		if (!is_zero(&cqe, sizeof(cqe)))
			put_completion(out, (unsigned int)i, &cqe);
	}
}

static void json_dword(struct json *j, const char *key, leint32_t dword)
{
	json_hex(j, key, 8, le32_to_cpu(dword));
}

static void json_command(struct json *j, const struct nvme_sq *sq, const union nvme_cmd *cmd)
{
	json_open(j, NULL, '{');
	json_int(j, "opcode", cmd->opcode);
	json_string(j, "name", opcode_name(sq, cmd->opcode));
	json_int(j, "flags", cmd->flags);
	json_int(j, "cid", cmd->cid);
	json_dword(j, "nsid", cmd->nsid);
	json_dword(j, "cdw2", cmd->cdw2);
	json_dword(j, "cdw3", cmd->cdw3);
	json_hex(j, "mptr", 16, le64_to_cpu(cmd->mptr));
	json_hex(j, "prp1", 16, le64_to_cpu(cmd->dptr.prp1));
	json_hex(j, "prp2", 16, le64_to_cpu(cmd->dptr.prp2));
	json_dword(j, "cdw10", cmd->cdw10);
	json_dword(j, "cdw11", cmd->cdw11);
	json_dword(j, "cdw12", cmd->cdw12);
	json_dword(j, "cdw13", cmd->cdw13);
	json_dword(j, "cdw14", cmd->cdw14);
	json_dword(j, "cdw15", cmd->cdw15);
	json_close(j, '}');
}

static void json_place(struct json *j, int id, int qsize, iova_t iova)
{
	json_int(j, "id", id);
	json_int(j, "size", qsize);
	json_hex(j, "iova", 16, iova);
}

void json_queues(struct json *j, const struct nvme_sq *sq)
{
	const struct nvme_cq *cq = sq->cq;

	json_open(j, "submission_queue", '{');
	json_place(j, sq->id, sq->qsize, sq->mem.iova);
	json_int(j, "tail", sq->tail);
	json_open(j, "entries", '[');
	for (int i = 0; i < sq->qsize; i++) {
		union nvme_cmd cmd = get_command(sq, i);

		json_command(j, sq, &cmd);
	}
	json_close(j, ']');
	json_close(j, '}');

	json_open(j, "completion_queue", '{');
	json_place(j, cq->id, cq->qsize, cq->mem.iova);
	json_int(j, "head", cq->head);
	json_open(j, "entries", '[');
	for (int i = 0; i < cq->qsize; i++) {
		struct nvme_cqe cqe = get_completion(cq, i);

		json_completion(j, NULL, &cqe);
	}
	json_close(j, ']');
	json_close(j, '}');
}
