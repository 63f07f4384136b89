// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vfntool admin-passthru and io-passthru: any command, checked and corrected by nobody.
 *
 * The controller reaches the memory of its queues and of the data, whole pages that hold nothing
 * else, and no other memory of this process: wrong addresses end at the IOMMU. What it writes
 * there is printed, never followed.
 */
#include "passthru.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_DEPTH 32
#define DEFAULT_TIMEOUT_MS 10000
#define MAX_DATA (64UL << 20)

/* Which way data go is in the opcode, for commands as the specification has them. */
#define OPCODE_TO_HOST 2

struct passthru {
	const struct request *req;
	struct nvme_ctrl ctrl;
	struct nvme_sq *sq;
	union nvme_cmd cmd;
	uint8_t *given; /* data for the controller */
	size_t given_len;
	FILE *output;
	struct iommu_dmabuf data; /* and lists of PRPs behind it */
	size_t len;
	struct nvme_cqe *cqes;
	size_t repeat, posted, completed;
	const char *why; /* commands are outstanding */
};

static const char *text_of(const struct passthru *p, enum option_id id)
{
	return is_given(p->req, id) ? p->req->values[id].text : NULL;
}

/* --------------------------------------------------------- what goes out */

static int get_raw(struct passthru *p)
{
	const char *hex = text_of(p, OPT_RAW), *path = text_of(p, OPT_RAW_FILE);
	uint8_t *bytes;
	size_t len;

	if (!hex && !path)
		return EXIT_SUCCESS;

	bytes = hex ? read_hex("raw", hex, &len) : read_file(path, sizeof(p->cmd), &len);
	if (!bytes)
		return hex ? EXIT_USAGE : EXIT_FAILURE;
	if (len == sizeof(p->cmd))
		memcpy(&p->cmd, bytes, len);
	free(bytes);
	if (len == sizeof(p->cmd))
		return EXIT_SUCCESS;

	if (hex) {
		complain("--raw: %zu bytes, and a command has %zu", len, sizeof(p->cmd));
		return EXIT_USAGE;
	}

	return complain("%s: %s bytes than the %zu of a command", path,
			len < sizeof(p->cmd) ? "fewer" : "more", sizeof(p->cmd));
}

static int get_data(struct passthru *p)
{
	const char *hex = text_of(p, OPT_DATA), *path = text_of(p, OPT_DATA_FILE);

	if (hex) {
		p->given = read_hex("data", hex, &p->given_len);
		if (!p->given)
			return EXIT_USAGE;
	} else if (path) {
		p->given = read_file(path, MAX_DATA, &p->given_len);
		if (!p->given)
			return EXIT_FAILURE;
	}

	p->len = number_or(p->req, OPT_LENGTH, p->given_len);
	if (path && !p->given_len)
		return complain("%s: empty", path);
	if (path && p->given_len < p->len)
		return complain("%s: %zu bytes, and --length wants %zu", path, p->given_len,
				p->len);
	if (p->len > MAX_DATA)
		return complain("%s: more than %lu bytes", path ? path : "--data", MAX_DATA);

	return EXIT_SUCCESS;
}

/* Options that mean nothing without data. */
static int check_data(const struct passthru *p)
{
	static const enum option_id addresses[] = { OPT_MPTR, OPT_PRP1, OPT_PRP2 };

	if (p->len)
		return EXIT_SUCCESS;

	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		if (p->req->values[addresses[i]].relative) {
			complain("no --data and no --length, and %s counts from there",
				 p->req->values[addresses[i]].text);
			return EXIT_USAGE;
		}
	}
	if (is_given(p->req, OPT_OUTPUT) || is_given(p->req, OPT_IOVA)) {
		complain("no --data and no --length, and --%s is for it",
			 is_given(p->req, OPT_OUTPUT) ? "output" : "iova");
		return EXIT_USAGE;
	}

	return EXIT_SUCCESS;
}

static int open_output(struct passthru *p)
{
	const char *path = text_of(p, OPT_OUTPUT);

	if (!path)
		return EXIT_SUCCESS;

	p->output = fopen(path, "we");

	return p->output ? EXIT_SUCCESS : complain("%s: %s", path, strerror(errno));
}

static size_t round_up(size_t len, size_t unit)
{
	return (len + unit - 1) / unit * unit;
}

static int map_at(struct passthru *p, size_t len)
{
	struct iommu_ctx *ctx = p->ctrl.pci.dev.ctx;
	iova_t iova = number_or(p->req, OPT_IOVA, 0);
	ssize_t size;
	void *vaddr;

	if (!is_given(p->req, OPT_IOVA))
		return iommu_get_dmabuf(ctx, &p->data, len, 0);

	size = pgmap(&vaddr, len);
	if (size < 0)
		return -1;
	if (iommu_map_vaddr(ctx, vaddr, (size_t)size, &iova, IOMMU_MAP_FIXED_IOVA)) {
		pgunmap(vaddr, (size_t)size);
		return -1;
	}
	p->data = (struct iommu_dmabuf){ .ctx = ctx, .vaddr = vaddr, .iova = iova, .len = size };

	return 0;
}

/* Memory for the data, and PRPs as they should be; options may spoil them afterwards. */
static int map_data(struct passthru *p)
{
	const size_t page = __mps_to_pagesize(p->ctrl.config.mps);
	const size_t entries = page / sizeof(leint64_t) - 1;
	size_t len = round_up(p->len, page), lists = (len / page + entries - 1) / entries;
	union nvme_cmd cmd = {};

	if (!p->len)
		return EXIT_SUCCESS;
	if (map_at(p, len + lists * page))
		return complain_last_error();

	if (p->given_len)
		memcpy(p->data.vaddr, p->given, p->given_len < p->len ? p->given_len : p->len);
	if (text_of(p, OPT_RAW) || text_of(p, OPT_RAW_FILE))
		return EXIT_SUCCESS;

	if (nvme_map_prp(&p->ctrl, (leint64_t *)((char *)p->data.vaddr + len), (int)lists, &cmd,
			 p->data.iova, p->len))
		return complain_last_error();
	p->cmd.dptr = cmd.dptr;

	return EXIT_SUCCESS;
}

static void set_address(struct passthru *p, enum option_id id, leint64_t *field)
{
	const struct value *value = &p->req->values[id];

	if (is_given(p->req, id))
		*field = cpu_to_le64(value->number + (value->relative ? p->data.iova : 0));
}

static void set_fields(struct passthru *p)
{
	union nvme_cmd *cmd = &p->cmd;
	const struct {
		enum option_id id;
		leint32_t *field;
	} dwords[] = {
		{ OPT_NSID, &cmd->nsid },   { OPT_CDW2, &cmd->cdw2 },	{ OPT_CDW3, &cmd->cdw3 },
		{ OPT_CDW10, &cmd->cdw10 }, { OPT_CDW11, &cmd->cdw11 }, { OPT_CDW12, &cmd->cdw12 },
		{ OPT_CDW13, &cmd->cdw13 }, { OPT_CDW14, &cmd->cdw14 }, { OPT_CDW15, &cmd->cdw15 },
	};

	cmd->opcode = (uint8_t)number_or(p->req, OPT_OPCODE, cmd->opcode);
	cmd->flags = (uint8_t)number_or(p->req, OPT_FLAGS, cmd->flags);
	cmd->cid = (uint16_t)number_or(p->req, OPT_CID, cmd->cid);
	for (size_t i = 0; i < sizeof(dwords) / sizeof(dwords[0]); i++) {
		if (is_given(p->req, dwords[i].id))
			*dwords[i].field =
				cpu_to_le32((uint32_t)p->req->values[dwords[i].id].number);
	}

	set_address(p, OPT_MPTR, &cmd->mptr);
	set_address(p, OPT_PRP1, &cmd->dptr.prp1);
	set_address(p, OPT_PRP2, &cmd->dptr.prp2);
}

/* ------------------------------------------------------------------- run */

static void post(struct passthru *p, size_t count)
{
	bool counts = !text_of(p, OPT_CID) && !text_of(p, OPT_RAW) && !text_of(p, OPT_RAW_FILE);

	for (size_t i = 0; i < count; i++, p->posted++) {
		if (counts)
			p->cmd.cid = (uint16_t)p->posted;
		nvme_sq_post(p->sq, &p->cmd);
	}

	if (is_given(p->req, OPT_DOORBELL)) {
		dma_wmb();
		mmio_write32(p->sq->doorbell,
			     cpu_to_le32((uint32_t)p->req->values[OPT_DOORBELL].number));
		return;
	}
	nvme_sq_update_tail(p->sq);
}

/* As many at once as there is room for; a device that completes more than it got is seen, too. */
static void execute(struct passthru *p)
{
	const uint64_t ms = number_or(p->req, OPT_TIMEOUT, DEFAULT_TIMEOUT_MS);
	struct nvme_cq *cq = p->sq->cq;
	struct nvme_cqe *surplus;

	while (p->posted < p->repeat && p->completed == p->posted) {
		struct timespec limit = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };
		size_t room = (size_t)p->sq->qsize - 1, left = p->repeat - p->posted;

		post(p, left < room ? left : room);
		p->completed += (size_t)nvme_cq_wait_cqes(cq, p->cqes + p->completed,
							  (int)(p->posted - p->completed), &limit);
		if (p->completed < p->posted)
			p->why = errno == ETIMEDOUT ? "time is up" : vfn_last_error();
		nvme_cq_update_head(cq);
	}

	surplus = p->why ? NULL : nvme_cq_get_cqe(cq);
	if (surplus) {
		p->cqes[p->completed++] = *surplus;
		nvme_cq_update_head(cq);
	}
}

/* ---------------------------------------------------------------- report */

static bool shows_data(const struct passthru *p)
{
	return p->len && !p->output && !p->why && p->cmd.opcode & OPCODE_TO_HOST;
}

static void put_text_report(FILE *out, const struct passthru *p)
{
	fprintf(out, "%s queue %d: %zu of %zu commands completed", p->req->bdf, p->sq->id,
		p->completed, p->repeat);
	fprintf(out, "%s%s\n", p->why ? ": " : "", p->why ? p->why : "");
	if (p->len)
		fprintf(out, "data: %zu bytes at 0x%llx\n", p->len,
			(unsigned long long)p->data.iova);
	for (size_t i = 0; i < p->completed; i++)
		put_completion(out, (unsigned int)i, &p->cqes[i]);
	if (is_given(p->req, OPT_QUEUES))
		put_queues(out, p->sq);
	if (shows_data(p))
		put_dump(out, p->data.vaddr, p->len);
}

static void json_data(struct json *j, const struct passthru *p)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *bytes = p->data.vaddr;
	char *text = malloc(2 * p->len + 1);

	for (size_t i = 0; text && i < p->len; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	if (text)
		text[2 * p->len] = '\0';
	json_string(j, "data", text);
	free(text);
}

static void put_json_report(FILE *out, const struct passthru *p)
{
	struct json json = { .out = out };
	struct json *j = &json;

	json_open(j, NULL, '{');
	json_string(j, "bdf", p->req->bdf);
	json_int(j, "queue", p->sq->id);
	json_int(j, "commands", (long long)p->repeat);
	json_int(j, "completed", (long long)p->completed);
	json_string(j, "outstanding", p->why);
	json_open(j, "completions", '[');
	for (size_t i = 0; i < p->completed; i++)
		json_completion(j, NULL, &p->cqes[i]);
	json_close(j, ']');
	if (is_given(p->req, OPT_QUEUES))
		json_queues(j, p->sq);
	if (p->len)
		json_hex(j, "iova", 16, p->data.iova);
	if (shows_data(p))
		json_data(j, p);
	json_close(j, '}');
}

static int report(const struct passthru *p)
{
	struct report r;

	if (report_open(&r))
		return EXIT_FAILURE;
	if (p->req->json)
		put_json_report(r.out, p);
	else
		put_text_report(r.out, p);

	return report_print(&r);
}

static int verdict(const struct passthru *p)
{
	if (p->why) {
		complain("%s: %zu of %zu commands are outstanding: %s", p->req->bdf,
			 p->posted - p->completed, p->repeat, p->why);
		return EXIT_OUTSTANDING;
	}

	for (size_t i = 0; i < p->completed; i++) {
		if (!nvme_cqe_ok(&p->cqes[i]))
			return EXIT_STATUS;
	}

	return p->completed > p->repeat ? EXIT_STATUS : EXIT_SUCCESS;
}

/* What can be found wrong without a controller. */
static int prepare(struct passthru *p)
{
	int status = get_raw(p);

	if (!status)
		status = get_data(p);

	return status ? status : check_data(p);
}

static int send(struct passthru *p)
{
	int status = map_data(p);

	if (!status)
		status = open_output(p);
	if (status)
		return status;

	set_fields(p);
	execute(p);
	status = report(p);
	if (p->output && !p->why) {
		FILE *file = p->output;

		p->output = NULL;
		if (write_file(file, text_of(p, OPT_OUTPUT), p->data.vaddr, p->len))
			status = EXIT_FAILURE;
	}

	return status ? status : verdict(p);
}

/* A command that is outstanding may move data until the controller is disabled. */
static void put_data(struct passthru *p)
{
	if (p->why && nvme_reset(&p->ctrl))
		(void)vfio_reset(&p->ctrl.pci.dev);
	iommu_put_dmabuf(&p->data);
}

static int run_on_queue(struct passthru *p, int qid)
{
	const struct nvme_ctrl_opts opts = { .quirks = NVME_QUIRK_BROKEN_DBBUF };
	int depth = (int)number_or(p->req, OPT_DEPTH, DEFAULT_DEPTH), status;

	/* and one that is too many */
	p->cqes = calloc(p->repeat + 1, sizeof(*p->cqes));
	if (!p->cqes)
		return complain("out of memory");

	if (nvme_init(&p->ctrl, p->req->bdf, &opts))
		return complain_last_error();

	if (qid && nvme_create_ioqpair(&p->ctrl, qid, depth, -1, 0)) {
		status = complain_last_error();
	} else {
		p->sq = &p->ctrl.sq[qid];
		status = send(p);
	}

	put_data(p);
	nvme_close(&p->ctrl);

	return status;
}

static int run(const struct request *req, int qid)
{
	struct passthru p = { .req = req, .repeat = number_or(req, OPT_REPEAT, 1) };
	int status = prepare(&p);

	if (!status)
		status = run_on_queue(&p, qid);

	if (p.output)
		fclose(p.output);
	free(p.given);
	free(p.cqes);

	return status;
}

int cmd_admin_passthru(const struct request *req)
{
	return run(req, NVME_AQ);
}

int cmd_io_passthru(const struct request *req)
{
	return run(req, 1);
}
