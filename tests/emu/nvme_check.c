// SPDX-License-Identifier: GPL-2.0-or-later
/* What every command must fulfil before it is executed. */
#include "nvme_model.h"

#define FUSE_RESERVED(dw0) ((dw0) >> 8 & 0x3f)

const struct nvme_op *nvme_find_op(const struct cmd *cmd)
{
	const struct nvme_op *ops = cmd->sqid ? nvme_io_ops : nvme_admin_ops;
	size_t count = cmd->sqid ? nvme_num_io_ops : nvme_num_admin_ops;

	for (size_t i = 0; i < count; i++) {
		if (ops[i].opcode == cmd->opcode)
			return &ops[i];
	}

	return NULL;
}

const char *nvme_cmd_name(const struct cmd *cmd)
{
	const struct nvme_op *op = nvme_find_op(cmd);

	return op ? op->name : "unknown command";
}

struct model_ns *nvme_ns(struct emu_nvme *n, uint32_t nsid)
{
	return nsid && nsid <= n->o.nns ? &n->ns[nsid - 1] : NULL;
}

static void reserved(struct emu_nvme *n, const struct cmd *cmd, const char *what, uint64_t val)
{
	if (val)
		nvme_report(n, "%s cid %u: reserved %s is 0x%llx", nvme_cmd_name(cmd), cmd->cid,
			    what, (unsigned long long)val);
}

static void check_reserved(struct emu_nvme *n, const struct cmd *cmd, const struct nvme_op *op)
{
	static const char *const names[] = {
		"CDW10", "CDW11", "CDW12", "CDW13", "CDW14", "CDW15",
	};

	reserved(n, cmd, "CDW0 bits", FUSE_RESERVED(cmd->dw[0]));
	reserved(n, cmd, "CDW2", cmd->dw[2] & ~op->allow23[0]);
	reserved(n, cmd, "CDW3", cmd->dw[3] & ~op->allow23[1]);
	if (!op->mptr)
		reserved(n, cmd, "MPTR", cmd->dw[4] | (uint64_t)cmd->dw[5] << 32);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		reserved(n, cmd, names[i], cmd->dw[10 + i] & ~op->allow[i]);
	if (op->nsid == NSID_UNUSED)
		reserved(n, cmd, "NSID", cmd->nsid);
	if (op->dptr == DPTR_UNUSED)
		reserved(n, cmd, "PRP1", cmd->prp1);
	if (op->dptr == DPTR_UNUSED || op->dptr == DPTR_PRP1)
		reserved(n, cmd, "PRP2", cmd->prp2);
}

static uint16_t check_nsid(struct emu_nvme *n, const struct cmd *cmd, const struct nvme_op *op)
{
	if (op->nsid == NSID_UNUSED || op->nsid == NSID_ANY)
		return SC_SUCCESS;
	if (op->nsid == NSID_ACTIVE_OR_ALL && cmd->nsid == NSID_ALL)
		return SC_SUCCESS;

	return nvme_ns(n, cmd->nsid) ? SC_SUCCESS : SC_INVALID_NS;
}

static uint16_t check_data(struct emu_nvme *n, struct cmd *cmd, const struct nvme_op *op)
{
	uint64_t max = n->o.no_mdts ? UINT64_MAX : (EMU_PAGE << n->o.mpsmin) << n->o.mdts;

	cmd->to_host = cmd->opcode & 2;
	cmd->len = op->length(n, cmd);
	if (!cmd->len)
		return SC_SUCCESS;
	if (cmd->len > max)
		return SC_INVALID_FIELD;

	return PSDT(cmd->dw[0]) ? nvme_walk_sgl(n, cmd) : nvme_walk_prps(n, cmd);
}

static bool check_psdt(struct emu_nvme *n, const struct cmd *cmd, const struct nvme_op *op)
{
	const unsigned int psdt = PSDT(cmd->dw[0]);
	const char *why;

	if (!psdt)
		return true;
	if (psdt != PSDT_SGL)
		why = "which is reserved, or for an SGL of metadata";
	else if (!SGLS_SUPPORT(n->o.sgls))
		why = "there is no SGL support";
	else if (!cmd->sqid)
		why = "admin commands have PRPs";
	else if (op->dptr != DPTR_DATA)
		why = "there is no data";
	else
		return true;
	nvme_report(n, "%s cid %u: PSDT is %u, %s", op->name, cmd->cid, psdt, why);

	return false;
}

uint16_t nvme_check_cmd(struct emu_nvme *n, struct cmd *cmd)
{
	const struct nvme_op *op = nvme_find_op(cmd);
	uint16_t status;

	if (nvme_cid_in_use(n, cmd)) {
		nvme_report(n, "sq %u: cid %u is already outstanding", cmd->sqid, cmd->cid);
		return SC_CID_CONFLICT;
	}
	if (cmd->cid == 0xffff)
		nvme_report(n, "sq %u: cid 0xffff is reserved", cmd->sqid);
	if (!op || (cmd->sqid && CC_CSS(n->cc) == 7))
		return SC_INVALID_OPCODE;
	if (!check_psdt(n, cmd, op))
		return SC_INVALID_FIELD;
	check_reserved(n, cmd, op);
	status = check_nsid(n, cmd, op);
	if (status || op->dptr != DPTR_DATA)
		return status;

	return check_data(n, cmd, op);
}

uint16_t nvme_exec(struct emu_nvme *n, struct cmd *cmd)
{
	return nvme_find_op(cmd)->exec(n, cmd);
}
