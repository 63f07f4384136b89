// SPDX-License-Identifier: GPL-2.0-or-later
/* vfntool get-feature, set-feature (Base Specification 2.0, sections 5.15 and 5.27). */
#include "admin.h"

#include <stdlib.h>
#include <string.h>

#include "passthru.h"

#define TIMEOUT_MS 10000
#define OPCODE_SET 0x09
#define OPCODE_GET 0x0a
#define SAVE (1U << 31)
#define SELECT_SUPPORTED 3
#define MOST_DATA 4096

/* What the specification calls it, how much data it has, what is in dword 0 of a completion. */
static const struct feature {
	uint8_t fid;
	const char *name;
	size_t len;
	const struct field_bits *bits;
	uint32_t which; /* bits of dword 11 that say of what it is; Get Features has them, too */
} features[] = {
	{ 0x01, "Arbitration", 0,
	  .bits = BITS({ "AB", 0, 2, "arbitration burst, 2^n, 7 no limit" },
		       { "LPW", 8, 15, "low priority weight, zero-based" },
		       { "MPW", 16, 23, "medium priority weight, zero-based" },
		       { "HPW", 24, 31, "high priority weight, zero-based" }) },
	{ 0x02, "Power Management", 0,
	  .bits = BITS({ "PS", 0, 4, "power state" }, { "WH", 5, 7, "workload hint" }) },
	{ 0x03, "LBA Range Type", 4096, .bits = BITS({ "NUM", 0, 5, "ranges, zero-based" }) },
	{ 0x04, "Temperature Threshold", 0,
	  .bits = BITS({ "TMPTH", 0, 15, "threshold, K" },
		       { "TMPSEL", 16, 19, "sensor, 0 composite" },
		       { "THSEL", 20, 21, "0 over, 1 under" }),
	  .which = 0x3f0000 },
	{ 0x05, "Error Recovery", 0,
	  .bits = BITS({ "TLER", 0, 15, "time limit, 100 ms" },
		       { "DULBE", 16, 16, "deallocated or unwritten block error" }) },
	{ 0x06, "Volatile Write Cache", 0, .bits = BITS({ "WCE", 0, 0, "enabled" }) },
	{ 0x07, "Number of Queues", 0,
	  .bits = BITS({ "NSQ", 0, 15, "submission queues, zero-based" },
		       { "NCQ", 16, 31, "completion queues, zero-based" }) },
	{ 0x08, "Interrupt Coalescing", 0,
	  .bits = BITS({ "THR", 0, 7, "threshold, zero-based" },
		       { "TIME", 8, 15, "time, 100 us" }) },
	{ 0x09, "Interrupt Vector Configuration", 0,
	  .bits = BITS({ "IV", 0, 15, "vector" }, { "CD", 16, 16, "coalescing disable" }),
	  .which = 0xffff },
	{ 0x0a, "Write Atomicity Normal", 0, .bits = BITS({ "DN", 0, 0, "disable normal" }) },
	{ 0x0b, "Asynchronous Event Configuration", 0,
	  .bits = BITS({ "SHCW", 0, 7, "SMART / health critical warnings" },
		       { "NAN", 8, 8, "namespace attributes" },
		       { "FAN", 9, 9, "firmware activation" }, { "TLN", 10, 10, "telemetry log" },
		       { "ANACN", 11, 11, "ANA change" },
		       { "PLEAN", 12, 12, "predictable latency event aggregate" },
		       { "LSIAN", 13, 13, "LBA status information" },
		       { "EGEAN", 14, 14, "endurance group event aggregate" },
		       { "NNSSHDN", 15, 15, "normal NVM subsystem shutdown" }) },
	{ 0x0c, "Autonomous Power State Transition", 256,
	  .bits = BITS({ "APSTE", 0, 0, "enabled" }) },
	{ 0x0d, "Host Memory Buffer", 4096,
	  .bits = BITS({ "EHM", 0, 0, "enabled" }, { "MR", 1, 1, "memory return" }) },
	{ 0x0e, "Timestamp", 8, .bits = NULL },
	{ 0x0f, "Keep Alive Timer", 0, .bits = BITS({ "KATO", 0, 31, "time limit, ms" }) },
	{ 0x10, "Host Controlled Thermal Management", 0,
	  .bits = BITS({ "TMT2", 0, 15, "temperature 2, K" },
		       { "TMT1", 16, 31, "temperature 1, K" }) },
	{ 0x11, "Non-Operational Power State Config", 0,
	  .bits = BITS({ "NOPPME", 0, 0, "permissive mode" }) },
	{ 0x12, "Read Recovery Level Config", 0, .bits = BITS({ "RRL", 0, 3, "level" }),
	  .which = 0xffff },
	{ 0x13, "Predictable Latency Mode Config", 512, .bits = BITS({ "PLE", 0, 0, "enabled" }),
	  .which = 0xffff },
	{ 0x14, "Predictable Latency Mode Window", 0, .bits = BITS({ "WS", 0, 2, "window" }),
	  .which = 0xffff },
	{ 0x16, "Host Behavior Support", 512, .bits = NULL },
	{ 0x17, "Sanitize Config", 0,
	  .bits = BITS({ "NODRM", 0, 0, "no-deallocate response mode" }) },
	{ 0x80, "Software Progress Marker", 0,
	  .bits = BITS({ "PBSLC", 0, 7, "pre-boot software load count" }) },
	{ 0x81, "Host Identifier", 8, .bits = BITS({ "EXHID", 0, 0, "128 bits" }) },
	{ 0x82, "Reservation Notification Mask", 0,
	  .bits = BITS({ "REGPRE", 1, 1, "registration preempted" },
		       { "RESREL", 2, 2, "reservation released" },
		       { "RESPRE", 3, 3, "reservation preempted" }) },
	{ 0x83, "Reservation Persistence", 0,
	  .bits = BITS({ "PTPL", 0, 0, "through power loss" }) },
	{ 0x84, "Namespace Write Protection Config", 0,
	  .bits = BITS({ "WPS", 0, 2, "0 none, 1 protected, 2 until power cycle, 3 permanent" }) },
};

/* What Select 3 gives instead. */
static const struct field_bits supported[] = {
	{ "SAVE", 0, 0, "saveable" },
	{ "NSS", 1, 1, "of a namespace" },
	{ "CHANG", 2, 2, "changeable" },
	{},
};

static const struct feature *find_feature(const struct request *req)
{
	static const struct feature unknown = { .name = "Vendor Specific or Reserved" };

	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		if (features[i].fid == req->values[OPT_FID].number)
			return &features[i];
	}

	return &unknown;
}

/* Of which Get Features asks, also after a change. */
static uint32_t which(const struct request *req)
{
	return (uint32_t)number_or(req, OPT_CDW11,
				   number_or(req, OPT_VALUE, 0) & find_feature(req)->which);
}

/* Of Get Features and Set Features alike. */
static union nvme_cmd make_cmd(const struct request *req, uint8_t opcode)
{
	union nvme_cmd cmd = {
		.features = {
			.opcode = opcode,
			.nsid = cpu_to_le32((uint32_t)number_or(req, OPT_NSID, 0)),
			.fid = (uint8_t)req->values[OPT_FID].number,
			.cdw11 = cpu_to_le32(which(req)),
		},
	};

	return cmd;
}

static size_t data_length(const struct request *req)
{
	return number_or(req, OPT_SELECT, 0) == SELECT_SUPPORTED ?
		       0 :
		       number_or(req, OPT_LENGTH, find_feature(req)->len);
}

static int put_feature(struct admin *a, struct output *o)
{
	const struct feature *feature = find_feature(a->req);
	unsigned int select = (unsigned int)number_or(a->req, OPT_SELECT, 0);
	union nvme_cmd cmd = make_cmd(a->req, OPCODE_GET);
	struct field dw0 = { "value", 0, 4, FIELD_HEX, feature->name, feature->bits };
	size_t len = data_length(a->req);
	uint8_t data[MOST_DATA] = {}, value[4];
	struct nvme_cqe cqe;
	char what[64];
	int status;

	cmd.features.sel = (uint8_t)select;
	snprintf(what, sizeof(what), "Get Features %02xh", cmd.features.fid);
	status = admin_run(a, what, &cmd, data, len, &cqe);
	if (status)
		return status;

	memcpy(value, &cqe.dw0, sizeof(value));
	if (select == SELECT_SUPPORTED)
		dw0.bits = supported;
	if (o->as_json) {
		json_hex(&o->json, "fid", 2, cmd.features.fid);
		json_string(&o->json, "name", feature->name);
		json_int(&o->json, "select", select);
	}
	put_field(o, &dw0, value);
	if (len)
		put_bytes(o, "data", data, len);

	return EXIT_SUCCESS;
}

int cmd_get_feature(const struct request *req)
{
	if (!is_given(req, OPT_FID))
		return complain_usage("get-feature needs --fid, the feature");
	if (number_or(req, OPT_LENGTH, 4) % 4 || number_or(req, OPT_LENGTH, 4) > MOST_DATA)
		return complain_usage("--length is a multiple of 4, 4096 at most");

	return admin_report(req, TIMEOUT_MS, put_feature);
}

/* Bytes of options, zeros behind them. */
static int get_data(const struct request *req, uint8_t data[MOST_DATA], size_t *len)
{
	const char *path = is_given(req, OPT_DATA_FILE) ? req->values[OPT_DATA_FILE].text : NULL;
	uint8_t *bytes = NULL;
	size_t given = 0;

	*len = data_length(req);
	if (path)
		bytes = read_file(path, MOST_DATA, &given);
	else if (is_given(req, OPT_DATA))
		bytes = read_hex("data", req->values[OPT_DATA].text, &given);
	else if (!*len)
		return EXIT_SUCCESS;
	else
		return complain_usage("this feature has data: --data or --data-file");
	if (!bytes)
		return path ? EXIT_FAILURE : EXIT_USAGE;

	if (!*len)
		*len = (given + 3) / 4 * 4;
	if (given <= *len && *len <= MOST_DATA)
		memcpy(data, bytes, given);
	free(bytes);
	if (given <= *len && *len <= MOST_DATA)
		return EXIT_SUCCESS;

	return complain_usage("more data than the feature has: --length says how much it is");
}

static int change_feature(struct admin *a, struct output *o)
{
	const struct request *req = a->req;
	union nvme_cmd cmd = make_cmd(req, OPCODE_SET);
	uint8_t data[MOST_DATA] = {};
	char what[64];
	size_t len;
	int status = get_data(req, data, &len);

	if (status)
		return status;

	if (is_given(req, OPT_SAVE))
		cmd.cdw10 |= cpu_to_le32(SAVE);
	cmd.features.cdw11 = cpu_to_le32((uint32_t)number_or(req, OPT_VALUE, 0));
	cmd.features.cdw12 = cpu_to_le32((uint32_t)number_or(req, OPT_CDW12, 0));
	cmd.features.cdw13 = cpu_to_le32((uint32_t)number_or(req, OPT_CDW13, 0));
	cmd.features.cdw15 = cpu_to_le32((uint32_t)number_or(req, OPT_CDW15, 0));
	snprintf(what, sizeof(what), "Set Features %02xh", cmd.features.fid);
	status = admin_run(a, what, &cmd, data, len, NULL);

	return status ? status : put_feature(a, o);
}

int cmd_set_feature(const struct request *req)
{
	if (!is_given(req, OPT_FID))
		return complain_usage("set-feature needs --fid, the feature");
	if (!is_given(req, OPT_VALUE) && !is_given(req, OPT_DATA) && !is_given(req, OPT_DATA_FILE))
		return complain_usage("set-feature needs --value, or data");

	return admin_report(req, TIMEOUT_MS, change_feature);
}
