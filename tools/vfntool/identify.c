// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vfntool id-ctrl, id-ns, list-ns: what Identify says (Base Specification 2.0, section 5.17; NVM Command Set
 * Specification 1.0, section 4.1.5). Counts are the controller's: no more is looked at than there is room for.
 */
#include "admin.h"

#include <string.h>

#define TIMEOUT_MS 10000

static const struct field ctrl_fields[] = {
	{ "VID", 0, 2, FIELD_HEX, "PCI vendor ID", NULL },
	{ "SSVID", 2, 2, FIELD_HEX, "PCI subsystem vendor ID", NULL },
	{ "SN", 4, 20, FIELD_TEXT, "serial number", NULL },
	{ "MN", 24, 40, FIELD_TEXT, "model number", NULL },
	{ "FR", 64, 8, FIELD_TEXT, "firmware revision", NULL },
	{ "RAB", 72, 1, FIELD_NUMBER, "recommended arbitration burst, 2^n", NULL },
	{ "IEEE", 73, 3, FIELD_HEX, "IEEE OUI identifier", NULL },
	{ "CMIC", 76, 1, FIELD_HEX, "multi-path I/O and namespace sharing",
	  BITS({ "MPORTS", 0, 0, "the NVM subsystem may have more ports" },
	       { "MCTRS", 1, 1, "and more controllers" },
	       { "FT", 2, 2, "belongs to an SR-IOV virtual function" },
	       { "ANARS", 3, 3, "asymmetric namespace access reporting" }) },
	{ "MDTS", 77, 1, FIELD_NUMBER, "maximum data transfer size, 2^n pages of CAP.MPSMIN",
	  NULL },
	{ "CNTLID", 78, 2, FIELD_HEX, "controller ID", NULL },
	{ "VER", 80, 4, FIELD_HEX, "version",
	  BITS({ "TER", 0, 7, "tertiary" }, { "MNR", 8, 15, "minor" },
	       { "MJR", 16, 31, "major" }) },
	{ "RTD3R", 84, 4, FIELD_NUMBER, "RTD3 resume latency, us", NULL },
	{ "RTD3E", 88, 4, FIELD_NUMBER, "RTD3 entry latency, us", NULL },
	{ "OAES", 92, 4, FIELD_HEX, "optional asynchronous events",
	  BITS({ "NSAN", 8, 8, "namespace attributes" }, { "FAN", 9, 9, "firmware activation" },
	       { "ANACN", 11, 11, "asymmetric namespace access change" },
	       { "PLEAN", 12, 12, "predictable latency event aggregate" },
	       { "LSIAN", 13, 13, "LBA status information" },
	       { "EGEAN", 14, 14, "endurance group event aggregate" },
	       { "NNSSHDN", 15, 15, "normal NVM subsystem shutdown" },
	       { "ZDCN", 27, 27, "zone descriptor changed" },
	       { "DLPCN", 31, 31, "discovery log page change" }) },
	{ "CTRATT", 96, 4, FIELD_HEX, "controller attributes",
	  BITS({ "HIDS", 0, 0, "128-bit host identifier" },
	       { "NOPSPM", 1, 1, "non-operational power state permissive mode" },
	       { "NSETS", 2, 2, "NVM sets" }, { "RRLVLS", 3, 3, "read recovery levels" },
	       { "EGS", 4, 4, "endurance groups" }, { "PLM", 5, 5, "predictable latency mode" },
	       { "TBKAS", 6, 6, "traffic based keep alive" },
	       { "NG", 7, 7, "namespace granularity" }, { "SQA", 8, 8, "SQ associations" },
	       { "UUIDL", 9, 9, "UUID list" }, { "MDS", 10, 10, "multi-domain subsystem" },
	       { "FCM", 11, 11, "fixed capacity management" },
	       { "VCM", 12, 12, "variable capacity management" },
	       { "DEG", 13, 13, "delete endurance group" }, { "DNVMS", 14, 14, "delete NVM set" },
	       { "ELBAS", 15, 15, "extended LBA formats" }) },
	{ "RRLS", 100, 2, FIELD_HEX, "read recovery levels supported", NULL },
	{ "CNTRLTYPE", 111, 1, FIELD_NUMBER,
	  "controller type: 1 I/O, 2 discovery, 3 administrative", NULL },
	{ "FGUID", 112, 16, FIELD_BYTES, "FRU globally unique identifier", NULL },
	{ "CRDT1", 128, 2, FIELD_NUMBER, "command retry delay time 1, 100 ms", NULL },
	{ "CRDT2", 130, 2, FIELD_NUMBER, "command retry delay time 2, 100 ms", NULL },
	{ "CRDT3", 132, 2, FIELD_NUMBER, "command retry delay time 3, 100 ms", NULL },
	{ "NVMSR", 253, 1, FIELD_HEX, "NVM subsystem report", NULL },
	{ "VWCI", 254, 1, FIELD_HEX, "VPD write cycle information", NULL },
	{ "MEC", 255, 1, FIELD_HEX, "management endpoint capabilities", NULL },
	{ "OACS", 256, 2, FIELD_HEX, "optional admin command support",
	  BITS({ "SSRS", 0, 0, "Security Send and Receive" }, { "FNVMS", 1, 1, "Format NVM" },
	       { "FWDS", 2, 2, "Firmware Commit and Image Download" },
	       { "NMS", 3, 3, "namespace management and attachment" },
	       { "DSTS", 4, 4, "Device Self-test" }, { "DIRS", 5, 5, "directives" },
	       { "NSRS", 6, 6, "NVMe-MI Send and Receive" },
	       { "VMS", 7, 7, "Virtualization Management" },
	       { "DBCS", 8, 8, "Doorbell Buffer Config" }, { "GLSS", 9, 9, "Get LBA Status" },
	       { "CFLS", 10, 10, "command and feature lockdown" }) },
	{ "ACL", 258, 1, FIELD_NUMBER, "abort command limit, zero-based", NULL },
	{ "AERL", 259, 1, FIELD_NUMBER, "asynchronous event request limit, zero-based", NULL },
	{ "FRMW", 260, 1, FIELD_HEX, "firmware updates",
	  BITS({ "FFSRO", 0, 0, "the first slot is read-only" }, { "NOFS", 1, 3, "slots" },
	       { "FAWR", 4, 4, "activation without a reset" },
	       { "SMUD", 5, 5, "overlapping ranges are found" }) },
	{ "LPA", 261, 1, FIELD_HEX, "log page attributes",
	  BITS({ "SMARTS", 0, 0, "SMART / Health Information of each namespace" },
	       { "CSES", 1, 1, "Commands Supported and Effects" },
	       { "LPEDS", 2, 2, "extended data: offsets, larger lengths" },
	       { "TS", 3, 3, "telemetry" }, { "PES", 4, 4, "Persistent Event" },
	       { "MLPS", 5, 5, "Supported Log Pages" },
	       { "DA4S", 6, 6, "telemetry data area 4" }) },
	{ "ELPE", 262, 1, FIELD_NUMBER, "error log page entries, zero-based", NULL },
	{ "NPSS", 263, 1, FIELD_NUMBER, "number of power states, zero-based", NULL },
	{ "AVSCC", 264, 1, FIELD_HEX, "admin vendor specific command configuration", NULL },
	{ "APSTA", 265, 1, FIELD_HEX, "autonomous power state transitions", NULL },
	{ "WCTEMP", 266, 2, FIELD_KELVIN, "warning composite temperature threshold, K", NULL },
	{ "CCTEMP", 268, 2, FIELD_KELVIN, "critical composite temperature threshold, K", NULL },
	{ "MTFA", 270, 2, FIELD_NUMBER, "maximum time for firmware activation, 100 ms", NULL },
	{ "HMPRE", 272, 4, FIELD_NUMBER, "host memory buffer preferred size, 4 KiB", NULL },
	{ "HMMIN", 276, 4, FIELD_NUMBER, "host memory buffer minimum size, 4 KiB", NULL },
	{ "TNVMCAP", 280, 16, FIELD_NUMBER, "total NVM capacity, bytes", NULL },
	{ "UNVMCAP", 296, 16, FIELD_NUMBER, "unallocated NVM capacity, bytes", NULL },
	{ "RPMBS", 312, 4, FIELD_HEX, "replay protected memory block support", NULL },
	{ "EDSTT", 316, 2, FIELD_NUMBER, "extended device self-test time, minutes", NULL },
	{ "DSTO", 318, 1, FIELD_HEX, "device self-test options", NULL },
	{ "FWUG", 319, 1, FIELD_NUMBER, "firmware update granularity, 4 KiB", NULL },
	{ "KAS", 320, 2, FIELD_NUMBER, "keep alive support, 100 ms", NULL },
	{ "HCTMA", 322, 2, FIELD_HEX, "host controlled thermal management", NULL },
	{ "MNTMT", 324, 2, FIELD_KELVIN, "minimum thermal management temperature, K", NULL },
	{ "MXTMT", 326, 2, FIELD_KELVIN, "maximum thermal management temperature, K", NULL },
	{ "SANICAP", 328, 4, FIELD_HEX, "sanitize capabilities",
	  BITS({ "CES", 0, 0, "crypto erase" }, { "BES", 1, 1, "block erase" },
	       { "OWS", 2, 2, "overwrite" }, { "NDI", 29, 29, "no-deallocate inhibited" },
	       { "NODMMAS", 30, 31, "media modification after sanitize" }) },
	{ "HMMINDS", 332, 4, FIELD_NUMBER,
	  "host memory buffer minimum descriptor entry size, 4 KiB", NULL },
	{ "HMMAXD", 336, 2, FIELD_NUMBER, "host memory maximum descriptors entries", NULL },
	{ "NSETIDMAX", 338, 2, FIELD_NUMBER, "NVM set identifier maximum", NULL },
	{ "ENDGIDMAX", 340, 2, FIELD_NUMBER, "endurance group identifier maximum", NULL },
	{ "ANATT", 342, 1, FIELD_NUMBER, "ANA transition time, s", NULL },
	{ "ANACAP", 343, 1, FIELD_HEX, "asymmetric namespace access capabilities", NULL },
	{ "ANAGRPMAX", 344, 4, FIELD_NUMBER, "ANA group identifier maximum", NULL },
	{ "NANAGRPID", 348, 4, FIELD_NUMBER, "number of ANA group identifiers", NULL },
	{ "PELS", 352, 4, FIELD_NUMBER, "persistent event log size, 64 KiB", NULL },
	{ "DID", 356, 2, FIELD_NUMBER, "domain identifier", NULL },
	{ "MEGCAP", 368, 16, FIELD_NUMBER, "max endurance group capacity, bytes", NULL },
	{ "SQES", 512, 1, FIELD_HEX, "submission queue entry size, 2^n bytes",
	  BITS({ "REQ", 0, 3, "required" }, { "MAX", 4, 7, "maximum" }) },
	{ "CQES", 513, 1, FIELD_HEX, "completion queue entry size, 2^n bytes",
	  BITS({ "REQ", 0, 3, "required" }, { "MAX", 4, 7, "maximum" }) },
	{ "MAXCMD", 514, 2, FIELD_NUMBER, "maximum outstanding commands", NULL },
	{ "NN", 516, 4, FIELD_NUMBER, "number of namespaces", NULL },
	{ "ONCS", 520, 2, FIELD_HEX, "optional NVM command support",
	  BITS({ "NVMCMPS", 0, 0, "Compare" }, { "NVMWUSV", 1, 1, "Write Uncorrectable" },
	       { "NVMDSMSV", 2, 2, "Dataset Management" }, { "NVMWZSV", 3, 3, "Write Zeroes" },
	       { "SSFS", 4, 4, "Save and Select fields of features" },
	       { "RESERVS", 5, 5, "reservations" }, { "TSS", 6, 6, "timestamp" },
	       { "NVMVFYS", 7, 7, "Verify" }, { "NVMCPYS", 8, 8, "Copy" }) },
	{ "FUSES", 522, 2, FIELD_HEX, "fused operation support",
	  BITS({ "FCWS", 0, 0, "Compare and Write" }) },
	{ "FNA", 524, 1, FIELD_HEX, "format NVM attributes",
	  BITS({ "FNS", 0, 0, "a format is of all namespaces" },
	       { "SENS", 1, 1, "a secure erase is of all namespaces" },
	       { "CRYES", 2, 2, "cryptographic erase" },
	       { "FNVMBS", 3, 3, "NSID FFFFFFFFh is not for formats" }) },
	{ "VWC", 525, 1, FIELD_HEX, "volatile write cache",
	  BITS({ "VWCP", 0, 0, "present" },
	       { "FB", 1, 2, "Flush of all namespaces: 2 not supported, 3 supported" }) },
	{ "AWUN", 526, 2, FIELD_NUMBER, "atomic write unit normal, blocks, zero-based", NULL },
	{ "AWUPF", 528, 2, FIELD_NUMBER, "atomic write unit power fail, blocks, zero-based", NULL },
	{ "ICSVSCC", 530, 1, FIELD_HEX, "vendor specific command configuration of I/O commands",
	  NULL },
	{ "NWPC", 531, 1, FIELD_HEX, "namespace write protection capabilities", NULL },
	{ "ACWU", 532, 2, FIELD_NUMBER, "atomic compare and write unit, blocks, zero-based", NULL },
	{ "OCFS", 534, 2, FIELD_HEX, "copy descriptor formats", NULL },
	{ "SGLS", 536, 4, FIELD_HEX, "SGL support",
	  BITS({ "SGLDS", 0, 1, "0 none, 1 any alignment, 2 of dwords" },
	       { "KSDBDS", 2, 2, "keyed data block" }, { "SDT", 8, 15, "descriptor threshold" },
	       { "SBBDS", 16, 16, "bit bucket" },
	       { "MCBA", 17, 17, "metadata at any byte, contiguous" },
	       { "SLLDTL", 18, 18, "longer than the data" }, { "MPTRS", 19, 19, "MPTR has an SGL" },
	       { "SAOFS", 20, 20, "address is an offset" },
	       { "TSDBD", 21, 21, "transport data block" }) },
	{ "MNAN", 540, 4, FIELD_NUMBER, "maximum number of allowed namespaces", NULL },
	{ "MAXDNA", 544, 16, FIELD_NUMBER, "maximum domain namespace attachments", NULL },
	{ "MAXCNA", 560, 4, FIELD_NUMBER, "maximum I/O controller namespace attachments", NULL },
	{ "SUBNQN", 768, 256, FIELD_TEXT, "NVM subsystem NVMe qualified name", NULL },
	{},
};

#define PSD_OFFSET 2048
#define PSD_SIZE 32
#define PSD_MOST 32

static const struct field power_fields[] = {
	{ "MP", 0, 2, FIELD_NUMBER, "maximum power, 10 mW, or 0.1 mW with MXPS", NULL },
	{ "PSFLAGS", 3, 1, FIELD_HEX, "flags",
	  BITS({ "MXPS", 0, 0, "scale of MP" }, { "NOPS", 1, 1, "non-operational" }) },
	{ "ENLAT", 4, 4, FIELD_NUMBER, "entry latency, us", NULL },
	{ "EXLAT", 8, 4, FIELD_NUMBER, "exit latency, us", NULL },
	{ "RRT", 12, 1, FIELD_NUMBER, "relative read throughput", NULL },
	{ "RRL", 13, 1, FIELD_NUMBER, "relative read latency", NULL },
	{ "RWT", 14, 1, FIELD_NUMBER, "relative write throughput", NULL },
	{ "RWL", 15, 1, FIELD_NUMBER, "relative write latency", NULL },
	{ "IDLP", 16, 2, FIELD_NUMBER, "idle power", NULL },
	{ "IPS", 18, 1, FIELD_HEX, "its scale in bits 7:6: 1 0.1 mW, 2 10 mW", NULL },
	{ "ACTP", 20, 2, FIELD_NUMBER, "active power", NULL },
	{ "APWS", 22, 1, FIELD_HEX, "its scale in bits 7:6, workload in bits 2:0", NULL },
	{},
};

static const struct field ns_fields[] = {
	{ "NSZE", 0, 8, FIELD_NUMBER, "namespace size, blocks", NULL },
	{ "NCAP", 8, 8, FIELD_NUMBER, "namespace capacity, blocks", NULL },
	{ "NUSE", 16, 8, FIELD_NUMBER, "namespace utilization, blocks", NULL },
	{ "NSFEAT", 24, 1, FIELD_HEX, "namespace features",
	  BITS({ "THINP", 0, 0, "thin provisioning" },
	       { "NSABP", 1, 1, "atomic boundaries of its own" },
	       { "DAE", 2, 2, "deallocated or unwritten block error" },
	       { "UIDREUSE", 3, 3, "NGUID and EUI64 are never reused" },
	       { "OPTPERF", 4, 4, "NPWG to NOWS are there" }) },
	{ "NLBAF", 25, 1, FIELD_NUMBER, "number of LBA formats, zero-based", NULL },
	{ "FLBAS", 26, 1, FIELD_HEX, "formatted LBA size",
	  BITS({ "FIDXL", 0, 3, "format, bits 3:0" },
	       { "EXT", 4, 4, "metadata at the end of each block" },
	       { "FIDXU", 5, 6, "format, bits 5:4" }) },
	{ "MC", 27, 1, FIELD_HEX, "metadata capabilities",
	  BITS({ "EXT", 0, 0, "at the end of each block" }, { "SEP", 1, 1, "in a buffer apart" }) },
	{ "DPC", 28, 1, FIELD_HEX, "end-to-end data protection capabilities",
	  BITS({ "PIT1S", 0, 0, "type 1" }, { "PIT2S", 1, 1, "type 2" },
	       { "PIT3S", 2, 2, "type 3" }, { "PIIFB", 3, 3, "in the first bytes" },
	       { "PIILB", 4, 4, "in the last bytes" }) },
	{ "DPS", 29, 1, FIELD_HEX, "end-to-end data protection settings",
	  BITS({ "PIT", 0, 2, "type, 0 none" }, { "PIP", 3, 3, "in the first bytes" }) },
	{ "NMIC", 30, 1, FIELD_HEX, "multi-path I/O and namespace sharing",
	  BITS({ "SHRNS", 0, 0, "other controllers may have it, too" },
	       { "DISNS", 1, 1, "dispersed" }) },
	{ "RESCAP", 31, 1, FIELD_HEX, "reservation capabilities", NULL },
	{ "FPI", 32, 1, FIELD_HEX, "format progress indicator",
	  BITS({ "PCT", 0, 6, "percent that remain" }, { "FPIS", 7, 7, "supported" }) },
	{ "DLFEAT", 33, 1, FIELD_HEX, "deallocate logical block features",
	  BITS({ "DRB", 0, 2, "reads give: 0 not known, 1 zeros, 2 ones" },
	       { "WZDS", 3, 3, "Write Zeroes deallocates" },
	       { "GDS", 4, 4, "the guard is a CRC" }) },
	{ "NAWUN", 34, 2, FIELD_NUMBER, "atomic write unit normal, blocks, zero-based", NULL },
	{ "NAWUPF", 36, 2, FIELD_NUMBER, "atomic write unit power fail, blocks, zero-based", NULL },
	{ "NACWU", 38, 2, FIELD_NUMBER, "atomic compare and write unit, blocks, zero-based", NULL },
	{ "NABSN", 40, 2, FIELD_NUMBER, "atomic boundary size normal, blocks, zero-based", NULL },
	{ "NABO", 42, 2, FIELD_NUMBER, "atomic boundary offset, blocks", NULL },
	{ "NABSPF", 44, 2, FIELD_NUMBER, "atomic boundary size power fail, blocks, zero-based",
	  NULL },
	{ "NOIOB", 46, 2, FIELD_NUMBER, "optimal I/O boundary, blocks", NULL },
	{ "NVMCAP", 48, 16, FIELD_NUMBER, "NVM capacity, bytes", NULL },
	{ "NPWG", 64, 2, FIELD_NUMBER, "preferred write granularity, blocks, zero-based", NULL },
	{ "NPWA", 66, 2, FIELD_NUMBER, "preferred write alignment, blocks, zero-based", NULL },
	{ "NPDG", 68, 2, FIELD_NUMBER, "preferred deallocate granularity, blocks, zero-based",
	  NULL },
	{ "NPDA", 70, 2, FIELD_NUMBER, "preferred deallocate alignment, blocks, zero-based", NULL },
	{ "NOWS", 72, 2, FIELD_NUMBER, "optimal write size, blocks, zero-based", NULL },
	{ "MSSRL", 74, 2, FIELD_NUMBER, "maximum single source range length of Copy, blocks",
	  NULL },
	{ "MCL", 76, 4, FIELD_NUMBER, "maximum copy length, blocks", NULL },
	{ "MSRC", 80, 1, FIELD_NUMBER, "maximum source range count, zero-based", NULL },
	{ "ANAGRPID", 92, 4, FIELD_NUMBER, "ANA group identifier", NULL },
	{ "NSATTR", 99, 1, FIELD_HEX, "namespace attributes",
	  BITS({ "WP", 0, 0, "write protected" }) },
	{ "NVMSETID", 100, 2, FIELD_NUMBER, "NVM set identifier", NULL },
	{ "ENDGID", 102, 2, FIELD_NUMBER, "endurance group identifier", NULL },
	{ "NGUID", 104, 16, FIELD_BYTES, "namespace globally unique identifier", NULL },
	{ "EUI64", 120, 8, FIELD_BYTES, "IEEE extended unique identifier", NULL },
	{},
};

static const struct field format_fields[] = {
	{ "MS", 0, 2, FIELD_NUMBER, "metadata size, bytes", NULL },
	{ "LBADS", 2, 1, FIELD_NUMBER, "LBA data size, 2^n bytes", NULL },
	{ "RP", 3, 1, FIELD_NUMBER, "relative performance, 0 best, 3 degraded", NULL },
	{},
};

/* ---------------------------------------------------------------- id-ctrl */

static int put_ctrl(struct admin *a, struct output *o)
{
	unsigned int states = a->id[263] + 1U;

	put_fields(o, ctrl_fields, a->id);
	put_array(o, "PSD");
	for (unsigned int i = 0; i < states && i < PSD_MOST; i++) {
		put_element(o, "power state", i);
		put_fields(o, power_fields, a->id + PSD_OFFSET + (size_t)i * PSD_SIZE);
		put_element_end(o);
	}
	put_array_end(o);

	return EXIT_SUCCESS;
}

int cmd_id_ctrl(const struct request *req)
{
	return admin_report(req, TIMEOUT_MS, put_ctrl);
}

/* ------------------------------------------------------------------ id-ns */

/* For a namespace that is not active zeros come. */
int admin_identify_ns(struct admin *a, enum cns cns, uint32_t nsid, uint8_t *page)
{
	int status = admin_identify(a, cns, nsid, page);

	if (!status && !page[0] && !memcmp(page, page + 1, IDENTIFY_SIZE - 1))
		return complain("%s: namespace 0x%x is not active: list-ns prints those that are",
				a->req->bdf, nsid);

	return status;
}

static int put_ns(struct admin *a, struct output *o)
{
	uint32_t nsid = (uint32_t)number_or(a->req, OPT_NSID, 1);
	uint8_t page[IDENTIFY_SIZE];
	struct ns_format now;
	int status = admin_identify_ns(a, CNS_NS, nsid, page);

	if (status)
		return status;

	get_ns_format(page, &now);
	if (o->as_json)
		json_int(&o->json, "nsid", nsid);
	put_fields(o, ns_fields, page);
	put_array(o, "LBAF");
	for (unsigned int i = 0; i < now.count; i++) {
		put_element(o, i == now.index ? "LBA format in use:" : "LBA format", i);
		if (o->as_json)
			json_bool(&o->json, "in_use", i == now.index);
		put_fields(o, format_fields, page + NS_LBAF + (size_t)i * 4);
		put_element_end(o);
	}
	put_array_end(o);

	return EXIT_SUCCESS;
}

int cmd_id_ns(const struct request *req)
{
	return admin_report(req, TIMEOUT_MS, put_ns);
}

void get_ns_format(const uint8_t *page, struct ns_format *f)
{
	const uint8_t *lbaf = page + NS_LBAF;

	f->count = page[25] + 1U;
	if (f->count > NS_MOST_FORMATS)
		f->count = NS_MOST_FORMATS;
	f->index = page[26] & 15U;
	if (f->count > 16)
		f->index |= (page[26] >> 5 & 3U) << 4;
	f->metadata = (unsigned int)get_number(lbaf + (size_t)f->index * 4, 2);
	f->lbads = lbaf[(size_t)f->index * 4 + 2];
	f->valid = f->index < f->count && f->lbads >= 9 && f->lbads < 32;
}

/* ---------------------------------------------------------------- list-ns */

#define LIST_ENTRIES (IDENTIFY_SIZE / 4)
#define MOST_LISTED 65536

static const struct field size_fields[] = {
	{ "NSZE", 0, 8, FIELD_NUMBER, "namespace size, blocks", NULL },
	{ "NCAP", 8, 8, FIELD_NUMBER, "namespace capacity, blocks", NULL },
	{ "NUSE", 16, 8, FIELD_NUMBER, "namespace utilization, blocks", NULL },
	{},
};

void put_ns_size(struct output *o, uint32_t nsid, const uint8_t *page)
{
	struct ns_format now;

	get_ns_format(page, &now);
	if (o->as_json) {
		json_int(&o->json, "nsid", nsid);
		put_fields(o, size_fields, page);
		json_optional(&o->json, "block_size",
			      now.valid && now.lbads < 31 ? 1 << now.lbads : -1);
		json_int(&o->json, "metadata_size", now.metadata);
		return;
	}

	fprintf(o->out, "%10u  %llu blocks of ", nsid, (unsigned long long)get_number(page, 8));
	if (now.valid)
		fprintf(o->out, "%llu bytes", 1ULL << now.lbads);
	else
		fputs("no size that makes sense", o->out);
	if (now.metadata)
		fprintf(o->out, " and %u of metadata", now.metadata);
	fputc('\n', o->out);
}

static int put_listed(struct admin *a, struct output *o, uint32_t nsid)
{
	enum cns cns = is_given(a->req, OPT_ALLOCATED) ? CNS_ALLOCATED : CNS_NS;
	uint8_t page[IDENTIFY_SIZE];
	int status = admin_identify(a, cns, nsid, page);

	if (status)
		return status;

	if (o->as_json)
		json_open(&o->json, NULL, '{');
	put_ns_size(o, nsid, page);
	if (o->as_json)
		json_close(&o->json, '}');

	return EXIT_SUCCESS;
}

/* Identifiers grow from entry to entry, and from list to list: else there would be no end. */
static int put_list(struct admin *a, struct output *o)
{
	enum cns cns = is_given(a->req, OPT_ALLOCATED) ? CNS_ALLOCATED_NS : CNS_ACTIVE_NS;
	uint32_t last = (uint32_t)number_or(a->req, OPT_NSID, 0);
	unsigned int listed = 0, i;
	uint8_t page[IDENTIFY_SIZE];
	int status;

	put_array(o, "namespaces");
	do {
		status = admin_identify(a, cns, last, page);
		for (i = 0; !status && i < LIST_ENTRIES; i++) {
			uint32_t nsid = (uint32_t)get_number(page + (size_t)i * 4, 4);

			if (!nsid)
				break;
			if (nsid <= last)
				return complain("%s: its list of namespaces has %u after %u",
						a->req->bdf, nsid, last);
			last = nsid;
			status = put_listed(a, o, nsid);
		}
		listed += i;
	} while (!status && i == LIST_ENTRIES && last < NSID_ALL - 2 && listed < MOST_LISTED);
	put_array_end(o);

	if (!status && listed >= MOST_LISTED)
		complain("%s: %u namespaces: --nsid %u lists those after", a->req->bdf, listed,
			 last);

	return status;
}

int cmd_list_ns(const struct request *req)
{
	return admin_report(req, TIMEOUT_MS, put_list);
}
