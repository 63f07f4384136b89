// SPDX-License-Identifier: GPL-2.0-or-later
/* Admin commands of the strict controller. */
#include "nvme_model.h"

#include <stdlib.h>

#define FID_ARBITRATION 0x01
#define FID_POWER 0x02
#define FID_TEMPERATURE 0x04
#define FID_ERROR_RECOVERY 0x05
#define FID_WRITE_CACHE 0x06
#define FID_QUEUES 0x07
#define FID_COALESCING 0x08
#define FID_VECTOR 0x09
#define FID_ATOMICITY 0x0a
#define FID_AEC 0x0b
#define FID_HOST_BEHAVIOR 0x16

/* What commands have to be sent again after, in Identify Controller; and the feature that asks for it. */
#define ID_CRDT1 128
#define ACRE 0

#define OACS_FORMAT 2
#define SEL_SUPPORTED 3
#define AEC_DEFAULT 0x3ff
#define AEN_ERROR 0
#define AEN_SMART 1
#define AEN_NOTICE 2

/* --------------------------------------------------------- queue creation */

static uint16_t check_new_queue(struct emu_nvme *n, const struct cmd *cmd, bool exists)
{
	const uint32_t qid = cmd->dw[10] & 0xffff, entries = (cmd->dw[10] >> 16) + 1;

	if (!qid || qid > n->nqueues || exists)
		return SC_QID_INVALID;
	if (entries < 2 || entries > (n->cap & 0xffff) + 1)
		return SC_QSIZE_INVALID;
	if (!(cmd->dw[11] & 1)) {
		nvme_report(n, "%s: PC is not set but CAP.CQR is", nvme_cmd_name(cmd));
		return SC_INVALID_FIELD;
	}
	if (cmd->prp1 & (nvme_page_size(n) - 1)) {
		nvme_report(n, "%s: queue memory has a page offset", nvme_cmd_name(cmd));
		return SC_PRP_OFFSET;
	}

	return SC_SUCCESS;
}

static bool vector_valid(struct emu_nvme *n, uint32_t vector)
{
	const struct pci_irq *irq = n->pci->irq;

	if (irq[VFIO_PCI_MSIX_IRQ_INDEX].enabled)
		return vector < irq[VFIO_PCI_MSIX_IRQ_INDEX].count;
	if (irq[VFIO_PCI_MSI_IRQ_INDEX].enabled)
		return vector < irq[VFIO_PCI_MSI_IRQ_INDEX].count;

	return vector == 0;
}

static uint16_t create_cq(struct emu_nvme *n, struct cmd *cmd)
{
	const uint32_t qid = cmd->dw[10] & 0xffff, entries = (cmd->dw[10] >> 16) + 1;
	const bool ien = cmd->dw[11] & 2;
	const uint32_t vector = cmd->dw[11] >> 16;
	uint16_t status = check_new_queue(n, cmd, qid < NVME_MAX_QUEUES && n->cq[qid].live);

	if (status)
		return status;
	if (CC_IOCQES(n->cc) != 4) {
		nvme_report(n, "CREATE_CQ with CC.IOCQES %u", CC_IOCQES(n->cc));
		return SC_QSIZE_INVALID;
	}
	if (ien && !vector_valid(n, vector))
		return SC_VECTOR_INVALID;
	if (!nvme_check_queue(n, cmd->prp1, entries, true, "cq"))
		return SC_DATA_TRANSFER;

	n->cq[qid] = (struct model_cq){
		.live = true,
		.ien = ien,
		.phase = true,
		.size = entries,
		.base = cmd->prp1,
		.vector = vector,
	};
	n->stats.cqs++;

	return SC_SUCCESS;
}

static uint16_t create_sq(struct emu_nvme *n, struct cmd *cmd)
{
	const uint32_t qid = cmd->dw[10] & 0xffff, entries = (cmd->dw[10] >> 16) + 1;
	const uint32_t cqid = cmd->dw[11] >> 16;
	uint16_t status = check_new_queue(n, cmd, qid < NVME_MAX_QUEUES && n->sq[qid].live);

	if (status)
		return status;
	if (CC_IOSQES(n->cc) != 6) {
		nvme_report(n, "CREATE_SQ with CC.IOSQES %u", CC_IOSQES(n->cc));
		return SC_QSIZE_INVALID;
	}
	if (!cqid || cqid > n->nqueues)
		return cqid ? SC_QID_INVALID : SC_CQ_INVALID;
	if (!n->cq[cqid].live)
		return SC_CQ_INVALID;
	if (!nvme_check_queue(n, cmd->prp1, entries, false, "sq"))
		return SC_DATA_TRANSFER;

	n->sq[qid] = (struct model_sq){
		.live = true,
		.size = entries,
		.base = cmd->prp1,
		.cqid = cqid,
	};
	n->stats.sqs++;

	return SC_SUCCESS;
}

/* --------------------------------------------------------- queue deletion */

static uint16_t delete_sq(struct emu_nvme *n, struct cmd *cmd)
{
	const uint32_t qid = cmd->dw[10];

	if (!qid || qid >= NVME_MAX_QUEUES || !n->sq[qid].live)
		return SC_QID_INVALID;
	for (struct cmd *c = n->cmds; c; c = c->next) {
		if (c->sqid != qid)
			continue;
		if (c->state != CMD_DONE)
			nvme_complete(n, c, SC_SQ_DELETED);
		/* there is no next one any more */
		c->after_next = false;
		if (c->faulty && c->fault.kind == EMU_REORDER)
			c->faulty = false;
	}
	nvme_post_completions(n);
	n->sq[qid].live = false;
	n->stats.sqs--;

	return SC_SUCCESS;
}

/* Completions for a queue that goes have nowhere to be posted. */
static void drop_unposted(struct emu_nvme *n, uint32_t cqid)
{
	struct cmd *c = n->cmds, *next;

	for (; c; c = next) {
		next = c->next;
		if (c->sqid && c->cqid == cqid)
			nvme_drop_cmd(n, c);
	}
}

static uint16_t delete_cq(struct emu_nvme *n, struct cmd *cmd)
{
	const uint32_t qid = cmd->dw[10];

	if (!qid || qid >= NVME_MAX_QUEUES || !n->cq[qid].live)
		return SC_QID_INVALID;
	for (unsigned int i = 1; i < NVME_MAX_QUEUES; i++) {
		if (n->sq[i].live && n->sq[i].cqid == qid) {
			nvme_report(n, "DELETE_CQ %u while sq %u uses it", qid, i);
			return SC_QUEUE_DELETION;
		}
	}
	drop_unposted(n, qid);
	n->cq[qid].live = false;
	n->stats.cqs--;
	nvme_update_intx(n);

	return SC_SUCCESS;
}

/* ---------------------------------------------------------------- features */

static unsigned int most_queues(const struct emu_nvme *n)
{
	return n->granted ? n->granted : n->o.queues;
}

void nvme_reset_features(struct emu_nvme *n)
{
	memset(n->features, 0, sizeof(n->features));
	memset(n->host_behavior, 0, sizeof(n->host_behavior));
	n->features[FID_TEMPERATURE] = 343;
	n->features[FID_WRITE_CACHE] = 1;
	n->features[FID_AEC] = AEC_DEFAULT;
	n->nqueues = most_queues(n);
}

static uint64_t feature_length(struct emu_nvme *n, const struct cmd *cmd)
{
	return (cmd->dw[10] & 0xff) == FID_HOST_BEHAVIOR ? sizeof(n->host_behavior) : 0;
}

static bool feature_known(const struct emu_nvme *n, uint8_t fid)
{
	if (fid == FID_HOST_BEHAVIOR)
		return n->identify[ID_CRDT1] || n->identify[ID_CRDT1 + 1];

	return fid >= FID_ARBITRATION && fid <= FID_AEC && fid != 0x03;
}

static uint16_t set_host_behavior(struct emu_nvme *n, struct cmd *cmd)
{
	uint8_t data[sizeof(n->host_behavior)] = { 0 };
	uint16_t status = nvme_transfer(n, cmd, data, sizeof(data));

	if (status)
		return status;
	if (data[ACRE] > 1)
		return SC_INVALID_FIELD;
	memcpy(n->host_behavior, data, sizeof(data));

	return SC_SUCCESS;
}

static uint32_t allocated_queues(const struct emu_nvme *n)
{
	return (n->nqueues - 1) << 16 | (n->nqueues - 1);
}

static uint16_t set_queues(struct emu_nvme *n, struct cmd *cmd)
{
	const uint32_t nsq = cmd->dw[11] & 0xffff, ncq = cmd->dw[11] >> 16;
	const uint32_t want = (nsq > ncq ? nsq : ncq) + 1;

	if (nsq == 0xffff || ncq == 0xffff)
		return SC_INVALID_FIELD;
	if (n->stats.sqs || n->stats.cqs) {
		nvme_report(n, "Number of Queues set while I/O queues exist");
		return SC_SEQUENCE;
	}
	n->nqueues = want < most_queues(n) ? want : most_queues(n);
	cmd->dw0 = allocated_queues(n);

	return SC_SUCCESS;
}

static uint16_t set_features(struct emu_nvme *n, struct cmd *cmd)
{
	const uint8_t fid = cmd->dw[10] & 0xff;

	if (!feature_known(n, fid))
		return SC_INVALID_FIELD;
	if (cmd->dw[10] >> 31)
		return SC_NOT_SAVEABLE;
	if (fid == FID_QUEUES)
		return set_queues(n, cmd);
	if (fid == FID_HOST_BEHAVIOR)
		return set_host_behavior(n, cmd);
	n->features[fid] = cmd->dw[11];

	return SC_SUCCESS;
}

static uint16_t get_features(struct emu_nvme *n, struct cmd *cmd)
{
	const uint8_t fid = cmd->dw[10] & 0xff, sel = cmd->dw[10] >> 8 & 7;

	if (!feature_known(n, fid) || sel > SEL_SUPPORTED)
		return SC_INVALID_FIELD;
	if (sel == SEL_SUPPORTED)
		cmd->dw0 = 1 << 2; /* changeable */
	else if (fid == FID_QUEUES)
		cmd->dw0 = allocated_queues(n);
	else if (fid == FID_HOST_BEHAVIOR)
		return nvme_transfer(n, cmd, n->host_behavior, sizeof(n->host_behavior));
	else
		cmd->dw0 = n->features[fid];

	return SC_SUCCESS;
}

/* -------------------------------------------------------------------- logs */

static uint64_t log_length(struct emu_nvme *n, const struct cmd *cmd)
{
	(void)n;
	return ((uint64_t)((cmd->dw[11] & 0xffff) << 16 | cmd->dw[10] >> 16) + 1) * 4;
}

static void smart_log(struct emu_nvme *n, uint8_t *log)
{
	put_le16(log + 1, 310); /* temperature, K */
	log[3] = 100;		/* available spare */
	log[4] = 10;
	put_le64(log + 64, n->stats.io[2]); /* host reads */
	put_le64(log + 80, n->stats.io[1]);
	put_le64(log + 112, n->stats.enables);
	put_le64(log + 176, n->nerrors);
}

static void firmware_log(struct emu_nvme *n, uint8_t *log)
{
	(void)n;
	log[0] = 1;
	memcpy(log + 8, "1.0     ", 8);
}

static void error_log(struct emu_nvme *n, uint8_t *log)
{
	memcpy(log, n->errors, sizeof(n->errors));
}

static const struct {
	uint8_t lid;
	uint32_t size;
	void (*fill)(struct emu_nvme *n, uint8_t *log);
} logs[] = {
	{ 0x01, 4096, error_log },
	{ 0x02, 512, smart_log },
	{ 0x03, 512, firmware_log },
};

static uint16_t get_log(struct emu_nvme *n, struct cmd *cmd)
{
	const uint8_t lid = cmd->dw[10] & 0xff;
	const uint64_t offset = cmd->dw[12] | (uint64_t)cmd->dw[13] << 32;
	const bool retain = cmd->dw[10] >> 15 & 1;
	uint16_t status;
	uint8_t *log;
	size_t i, len;

	for (i = 0; i < ARRAY_SIZE(logs) && logs[i].lid != lid; i++)
		;
	if (i == ARRAY_SIZE(logs))
		return SC_LOG_INVALID;
	if (offset > logs[i].size || offset & 3)
		return SC_INVALID_FIELD;
	if (!retain)
		n->aen_masked &= ~(1u << (lid - 1));

	log = emu_zalloc(logs[i].size);
	logs[i].fill(n, log);
	len = logs[i].size - offset;
	status = nvme_transfer(n, cmd, log + offset, len < cmd->len ? len : cmd->len);
	free(log);

	return status;
}

/* ---------------------------------------------------- asynchronous events */

static uint16_t async_event(struct emu_nvme *n, struct cmd *cmd)
{
	(void)cmd;
	if (n->stats.aers >= n->o.aerl)
		return SC_AER_LIMIT;
	n->stats.aers++;

	return SC_PENDING;
}

static struct cmd *find_aer(struct emu_nvme *n)
{
	for (struct cmd *c = n->cmds; c; c = c->next) {
		if (c->state == CMD_WAITING)
			return c;
	}

	return NULL;
}

static void drop_aen(struct emu_nvme *n, unsigned int i)
{
	n->naens--;
	memmove(&n->aens[i], &n->aens[i + 1], (n->naens - i) * sizeof(n->aens[0]));
}

void nvme_deliver_aens(struct emu_nvme *n)
{
	for (unsigned int i = 0; i < n->naens;) {
		const struct model_aen a = n->aens[i];
		struct cmd *aer = find_aer(n);

		if (!aer)
			return;
		if (n->aen_masked & 1u << a.type) {
			i++;
			continue;
		}
		aer->dw0 = a.type | a.info << 8 | (uint32_t)a.lid << 16;
		n->aen_masked |= 1u << a.type;
		n->stats.aers--;
		nvme_complete(n, aer, SC_SUCCESS);
		drop_aen(n, i);
	}
}

static bool aen_enabled(const struct emu_nvme *n, uint8_t type, uint8_t info)
{
	const uint32_t aec = n->features[FID_AEC];

	if (type == AEN_SMART)
		return aec & 0xff;
	if (type == AEN_NOTICE)
		return aec >> (8 + info) & 1;

	return true;
}

void emu_nvme_raise_aen(struct emu_nvme *n, uint8_t type, uint8_t info, uint8_t lid)
{
	emu_autolock();
	if (!aen_enabled(n, type & 7, info) || n->naens == NVME_MAX_AENS)
		return;
	n->aens[n->naens++] = (struct model_aen){ type & 7, info, lid };
	if (!emu_threaded)
		nvme_tick(n);
}

/* ------------------------------------------------------------------- abort */

static uint16_t abort_cmd(struct emu_nvme *n, struct cmd *cmd)
{
	const uint16_t sqid = cmd->dw[10] & 0xffff, cid = cmd->dw[10] >> 16;

	cmd->dw0 = 1;
	for (struct cmd *c = n->cmds; c; c = c->next) {
		if (c == cmd || c->sqid != sqid || c->cid != cid || c->state == CMD_DONE)
			continue;
		if (n->o.abort_fails)
			break;
		if (c->state == CMD_WAITING)
			n->stats.aers--;
		nvme_complete(n, c, SC_ABORTED);
		cmd->dw0 = 0;
		break;
	}

	return SC_SUCCESS;
}

/* --------------------------------------------------------- shadow doorbells */

static uint16_t dbbuf_config(struct emu_nvme *n, struct cmd *cmd)
{
	const uint64_t offset = nvme_page_size(n) - 1;

	if (!n->o.dbbuf)
		return SC_INVALID_OPCODE;
	if ((cmd->prp1 | cmd->prp2) & offset || !cmd->prp1 || !cmd->prp2) {
		nvme_report(n, "DBBUF_CONFIG with a page offset or a null address");
		return SC_INVALID_FIELD;
	}
	if (!nvme_dma(n, cmd->prp1, false, "shadow doorbells") ||
	    !nvme_dma(n, cmd->prp2, true, "event indexes"))
		return SC_DATA_TRANSFER;
	n->dbbuf = true;
	n->dbbuf_shadow = cmd->prp1;
	n->dbbuf_event = cmd->prp2;

	return SC_SUCCESS;
}

/* ------------------------------------------------------------------ format */

/* Two formats, neither of which has metadata. */
static uint16_t format_nvm(struct emu_nvme *n, struct cmd *cmd)
{
	const uint32_t lbaf = (cmd->dw[10] & 15) | (cmd->dw[10] >> 12 & 3) << 4;

	if (!(n->identify[256] & OACS_FORMAT))
		return SC_INVALID_OPCODE;
	if (lbaf > 1 || cmd->dw[10] & 0x1f0)
		return SC_FORMAT_INVALID;
	for (uint32_t nsid = 1; nsid <= n->o.nns; nsid++) {
		if (cmd->nsid == nsid || cmd->nsid == NSID_ALL)
			nvme_format_ns(n, nsid, lbaf ? 4096 : 512);
	}

	return SC_SUCCESS;
}

/* ------------------------------------------------------------------- table */

static uint64_t identify_length(struct emu_nvme *n, const struct cmd *cmd)
{
	(void)n;
	(void)cmd;
	return 4096;
}

#define ALL UINT32_MAX

const struct nvme_op nvme_admin_ops[] = {
	{ 0x00, "DELETE_SQ", NSID_UNUSED, DPTR_UNUSED, .allow = { 0xffff }, .exec = delete_sq },
	{ 0x01, "CREATE_SQ", NSID_UNUSED, DPTR_PRP1, .allow = { ALL, 0xffff0007 },
	  .exec = create_sq },
	{ 0x02, "GET_LOG", NSID_ANY, DPTR_DATA,
	  .allow = { 0xffffff00 | 0xff, ALL, ALL, ALL, 0xff00007f }, .length = log_length,
	  .exec = get_log },
	{ 0x04, "DELETE_CQ", NSID_UNUSED, DPTR_UNUSED, .allow = { 0xffff }, .exec = delete_cq },
	{ 0x05, "CREATE_CQ", NSID_UNUSED, DPTR_PRP1, .allow = { ALL, 0xffff0003 },
	  .exec = create_cq },
	{ 0x06, "IDENTIFY", NSID_ANY, DPTR_DATA, .allow = { 0xffff00ff, 0xff00ffff, 0, 0, 0x7f },
	  .length = identify_length, .exec = nvme_identify },
	{ 0x08, "ABORT", NSID_UNUSED, DPTR_UNUSED, .allow = { ALL }, .exec = abort_cmd },
	{ 0x09, "SET_FEATURES", NSID_ANY, DPTR_DATA,
	  .allow = { 0x800000ff, ALL, ALL, ALL, 0x7f, ALL }, .length = feature_length,
	  .exec = set_features },
	{ 0x0a, "GET_FEATURES", NSID_ANY, DPTR_DATA, .allow = { 0x000007ff, ALL, 0, 0, 0x7f },
	  .length = feature_length, .exec = get_features },
	{ 0x0c, "ASYNC_EVENT", NSID_UNUSED, DPTR_UNUSED, .exec = async_event },
	{ 0x1c, "VIRT_MGMT", NSID_UNUSED, DPTR_UNUSED, .allow = { 0xffff070f, 0xffff },
	  .exec = nvme_virt_mgmt },
	{ 0x80, "FORMAT_NVM", NSID_ACTIVE_OR_ALL, DPTR_UNUSED, .allow = { 0x3fff },
	  .exec = format_nvm },
	{ 0x7c, "DBBUF_CONFIG", NSID_UNUSED, DPTR_PRP12, .exec = dbbuf_config },
};

const size_t nvme_num_admin_ops = ARRAY_SIZE(nvme_admin_ops);
