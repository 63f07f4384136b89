// SPDX-License-Identifier: GPL-2.0-or-later
/* vfntool smart, error-log, get-log: log pages (Base Specification 2.0, section 5.16). */
#include "admin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "passthru.h"

#define TIMEOUT_MS 10000
#define OPCODE_GET_LOG 0x02
#define LID_ERROR 0x01
#define LID_SMART 0x02
#define LSP_RAE 0x80

#define LPA_OFFSETS 4
/* What can be said of the length without it. */
#define MOST_WITHOUT_OFFSETS (4096 * 4)

#define ERROR_SIZE 64
#define SMART_SIZE 512
#define DEFAULT_LENGTH 512

static const struct field smart_fields[] = {
	{ "CW", 0, 1, FIELD_HEX, "critical warning",
	  BITS({ "ASCBT", 0, 0, "available spare is below the threshold" },
	       { "TTC", 1, 1, "temperature is over or under a threshold" },
	       { "NDR", 2, 2, "reliability is degraded" }, { "AMRO", 3, 3, "media is read-only" },
	       { "VMBF", 4, 4, "volatile memory backup has failed" },
	       { "PMRRO", 5, 5, "persistent memory region is read-only or unreliable" }) },
	{ "CTEMP", 1, 2, FIELD_KELVIN, "composite temperature, K", NULL },
	{ "AVSP", 3, 1, FIELD_NUMBER, "available spare, percent", NULL },
	{ "AVSPT", 4, 1, FIELD_NUMBER, "available spare threshold, percent", NULL },
	{ "PUSED", 5, 1, FIELD_NUMBER, "percentage used", NULL },
	{ "EGCWS", 6, 1, FIELD_HEX, "endurance group critical warning summary", NULL },
	{ "DUR", 32, 16, FIELD_NUMBER, "data units read, 1000 * 512 bytes", NULL },
	{ "DUW", 48, 16, FIELD_NUMBER, "data units written, 1000 * 512 bytes", NULL },
	{ "HRC", 64, 16, FIELD_NUMBER, "host read commands", NULL },
	{ "HWC", 80, 16, FIELD_NUMBER, "host write commands", NULL },
	{ "CBT", 96, 16, FIELD_NUMBER, "controller busy time, minutes", NULL },
	{ "PWRC", 112, 16, FIELD_NUMBER, "power cycles", NULL },
	{ "POH", 128, 16, FIELD_NUMBER, "power on hours", NULL },
	{ "UPL", 144, 16, FIELD_NUMBER, "unsafe shutdowns", NULL },
	{ "MDIE", 160, 16, FIELD_NUMBER, "media and data integrity errors", NULL },
	{ "NEILE", 176, 16, FIELD_NUMBER, "number of error information log entries", NULL },
	{ "WCTT", 192, 4, FIELD_NUMBER, "warning composite temperature time, minutes", NULL },
	{ "CCTT", 196, 4, FIELD_NUMBER, "critical composite temperature time, minutes", NULL },
	{ "TSEN1", 200, 2, FIELD_KELVIN, "temperature sensor 1, K", NULL },
	{ "TSEN2", 202, 2, FIELD_KELVIN, "temperature sensor 2, K", NULL },
	{ "TSEN3", 204, 2, FIELD_KELVIN, "temperature sensor 3, K", NULL },
	{ "TSEN4", 206, 2, FIELD_KELVIN, "temperature sensor 4, K", NULL },
	{ "TSEN5", 208, 2, FIELD_KELVIN, "temperature sensor 5, K", NULL },
	{ "TSEN6", 210, 2, FIELD_KELVIN, "temperature sensor 6, K", NULL },
	{ "TSEN7", 212, 2, FIELD_KELVIN, "temperature sensor 7, K", NULL },
	{ "TSEN8", 214, 2, FIELD_KELVIN, "temperature sensor 8, K", NULL },
	{ "TMT1TC", 216, 4, FIELD_NUMBER, "thermal management temperature 1 transition count",
	  NULL },
	{ "TMT2TC", 220, 4, FIELD_NUMBER, "thermal management temperature 2 transition count",
	  NULL },
	{ "TTTMT1", 224, 4, FIELD_NUMBER, "total time for thermal management temperature 1, s",
	  NULL },
	{ "TTTMT2", 228, 4, FIELD_NUMBER, "total time for thermal management temperature 2, s",
	  NULL },
	{},
};

#define ERROR_STATUS 12

static const struct field error_fields[] = {
	{ "ECNT", 0, 8, FIELD_NUMBER, "error count", NULL },
	{ "SQID", 8, 2, FIELD_NUMBER, "submission queue", NULL },
	{ "CID", 10, 2, FIELD_HEX, "command", NULL },
	{ "STS", ERROR_STATUS, 2, FIELD_HEX, "status",
	  BITS({ "P", 0, 0, "phase" }, { "SC", 1, 8, "status code" },
	       { "SCT", 9, 11, "status code type" }, { "CRD", 12, 13, "command retry delay" },
	       { "M", 14, 14, "more" }, { "DNR", 15, 15, "do not retry" }) },
	{ "PELOC", 14, 2, FIELD_HEX, "parameter error location",
	  BITS({ "BYTE", 0, 7, "byte of the command" }, { "BIT", 8, 10, "bit" }) },
	{ "LBA", 16, 8, FIELD_NUMBER, "first block with the error", NULL },
	{ "NSID", 24, 4, FIELD_NUMBER, "namespace", NULL },
	{ "VSIA", 28, 1, FIELD_HEX, "log page with more of the vendor's", NULL },
	{ "TRTYPE", 29, 1, FIELD_NUMBER, "transport type", NULL },
	{ "CSINFO", 32, 8, FIELD_HEX, "command specific information", NULL },
	{ "TTSI", 40, 2, FIELD_HEX, "transport type specific information", NULL },
	{},
};

/* ---------------------------------------------------------- Get Log Page */

struct log_page {
	uint8_t lid, lsp, csi;
	uint16_t lsi;
	uint32_t nsid;
	uint64_t offset;
};

static int get_piece(struct admin *a, const struct log_page *log, uint64_t offset, bool retain,
		     uint8_t *bytes, size_t len)
{
	uint32_t dwords = (uint32_t)(len / 4 - 1);
	union nvme_cmd cmd = {
		.log = {
			.opcode = OPCODE_GET_LOG,
			.nsid = cpu_to_le32(log->nsid),
			.lid = log->lid,
			.lsp = (uint8_t)(log->lsp | (retain ? LSP_RAE : 0)),
			.numdl = cpu_to_le16((uint16_t)dwords),
			.numdu = cpu_to_le16((uint16_t)(dwords >> 16)),
			.lsi = cpu_to_le16(log->lsi),
			.lpol = cpu_to_le32((uint32_t)offset),
			.lpou = cpu_to_le32((uint32_t)(offset >> 32)),
			.csi = log->csi,
		},
	};
	char what[64];

	snprintf(what, sizeof(what), "Get Log Page %02xh, %zu bytes from %llu on", log->lid, len,
		 (unsigned long long)offset);

	return admin_run(a, what, &cmd, bytes, len, NULL);
}

/* In as many pieces as need be. Events stay retained until the last one, as all are of one page. */
static int get_log(struct admin *a, const struct log_page *log, bool retain, uint8_t *bytes,
		   size_t len)
{
	bool offsets = a->id[261] & LPA_OFFSETS;
	size_t most = offsets || a->most < MOST_WITHOUT_OFFSETS ? a->most : MOST_WITHOUT_OFFSETS;

	if (!offsets && (len > most || log->offset))
		return complain(
			"%s: the controller gives the first %zu bytes of a log page and no offsets (LPA bit 2)",
			a->req->bdf, most);

	for (size_t at = 0, n; at < len; at += n) {
		int status;

		n = len - at < most ? len - at : most;
		status = get_piece(a, log, log->offset + at, retain || at + n < len, bytes + at, n);
		if (status)
			return status;
	}

	return EXIT_SUCCESS;
}

/* ------------------------------------------------------------ subcommands */

static int put_smart(struct admin *a, struct output *o)
{
	const struct log_page log = {
		.lid = LID_SMART,
		.nsid = (uint32_t)number_or(a->req, OPT_NSID, NSID_ALL),
	};
	uint8_t page[SMART_SIZE];
	int status = get_log(a, &log, false, page, sizeof(page));

	if (!status)
		put_fields(o, smart_fields, page);

	return status;
}

int cmd_smart(const struct request *req)
{
	return admin_report(req, TIMEOUT_MS, put_smart);
}

static int put_errors(struct admin *a, struct output *o)
{
	const struct log_page log = { .lid = LID_ERROR, .nsid = NSID_ALL };
	uint8_t bytes[256 * ERROR_SIZE] = {};
	uint64_t wanted = number_or(a->req, OPT_ENTRIES, 256);
	unsigned int count = a->id[262] + 1U, used = 0;
	int status;

	if (wanted < count)
		count = (unsigned int)wanted;
	status = get_log(a, &log, false, bytes, (size_t)count * ERROR_SIZE);
	if (status)
		return status;

	put_array(o, "entries");
	for (unsigned int i = 0; i < count; i++) {
		const uint8_t *entry = bytes + (size_t)i * ERROR_SIZE;
		uint16_t sts = (uint16_t)get_number(entry + ERROR_STATUS, 2);

		/* an entry without a count is none */
		if (!get_number(entry, 8))
			continue;
		used++;
		put_element(o, "entry", i);
		put_fields(o, error_fields, entry);
		put_words(o, "status_text", vfn_nvme_status_text(sts >> 1));
		put_element_end(o);
	}
	put_array_end(o);
	if (!used && !o->as_json)
		fprintf(o->out, "%s: no errors\n", a->req->bdf);

	return EXIT_SUCCESS;
}

int cmd_error_log(const struct request *req)
{
	return admin_report(req, TIMEOUT_MS, put_errors);
}

static int put_log(struct admin *a, struct output *o)
{
	const struct request *req = a->req;
	const struct log_page log = {
		.lid = (uint8_t)req->values[OPT_LID].number,
		.lsp = (uint8_t)number_or(req, OPT_LSP, 0),
		.lsi = (uint16_t)number_or(req, OPT_LSI, 0),
		.csi = (uint8_t)number_or(req, OPT_CSI, 0),
		.nsid = (uint32_t)number_or(req, OPT_NSID, NSID_ALL),
		.offset = number_or(req, OPT_OFFSET, 0),
	};
	size_t len = number_or(req, OPT_LENGTH, DEFAULT_LENGTH);
	const char *path = is_given(req, OPT_OUTPUT) ? req->values[OPT_OUTPUT].text : NULL;
	FILE *file = path ? fopen(path, "we") : NULL;
	uint8_t *bytes;
	int status;

	if (path && !file)
		return complain("%s: %s", path, strerror(errno));

	bytes = malloc(len);
	status = bytes ? get_log(a, &log, is_given(req, OPT_RAE), bytes, len) :
			 complain("out of memory");
	if (file && !status)
		status = write_file(file, path, bytes, len);
	else if (file)
		fclose(file);
	if (!status && o->as_json) {
		json_hex(&o->json, "lid", 2, log.lid);
		json_int(&o->json, "length", (long long)len);
	}
	if (!status && !file)
		put_bytes(o, "data", bytes, len);
	free(bytes);

	return status;
}

int cmd_get_log(const struct request *req)
{
	if (!is_given(req, OPT_LID))
		return complain_usage("get-log needs --lid, the log page");
	if (number_or(req, OPT_LENGTH, 4) % 4 || number_or(req, OPT_OFFSET, 0) % 4)
		return complain_usage("--length and --offset are multiples of 4");

	return admin_report(req, TIMEOUT_MS, put_log);
}
