// SPDX-License-Identifier: GPL-2.0-or-later
/* vfntool regs: the registers of a controller, field by field (Base Specification 2.0, section 3.1.3). */
#include "vfntool.h"

#include <stdlib.h>

#include <vfn/nvme.h>

#include "json.h"

/* Bits of CAP that say which registers there are. */
#define CAP_NSSRS (UINT64_C(1) << 36)
#define CAP_BPS (UINT64_C(1) << 45)
#define CAP_PMRS (UINT64_C(1) << 56)
#define CAP_CMBS (UINT64_C(1) << 57)
#define CAP_NSSS (UINT64_C(1) << 58)
#define CAP_CRMS (UINT64_C(3) << 59)

#define MAX_FIELDS 16
#define REG_CSTS 0x1c

struct field {
	const char *name;
	unsigned int low, high;
	const char *text;
};

#define REG(name, offset, bits, needs, text, ...) \
	{ \
		name, offset, bits, needs, text, \
		{ \
			__VA_ARGS__ \
		} \
	}

static const struct reg {
	const char *name;
	unsigned int offset;
	unsigned int bits;
	uint64_t needs; /* in CAP, one of these */
	const char *text;
	struct field fields[MAX_FIELDS];
} regs[] = {
	REG("CAP", 0x00, 64, 0, "controller capabilities",
	    { "MQES", 0, 15, "most entries of a queue, zero-based" },
	    { "CQR", 16, 16, "queues must be contiguous" },
	    { "AMS", 17, 18, "arbitration besides round robin" },
	    { "TO", 24, 31, "time limit of enabling and disabling, in 500 ms" },
	    { "DSTRD", 32, 35, "doorbell stride, 2^(2 + n) bytes" },
	    { "NSSRS", 36, 36, "NVM subsystem reset" },
	    { "CSS", 37, 44, "command sets, one bit each" }, { "BPS", 45, 45, "boot partitions" },
	    { "CPS", 46, 47, "controller power scope" },
	    { "MPSMIN", 48, 51, "smallest memory page, 2^(12 + n) bytes" },
	    { "MPSMAX", 52, 55, "largest memory page, 2^(12 + n) bytes" },
	    { "PMRS", 56, 56, "persistent memory region" },
	    { "CMBS", 57, 57, "controller memory buffer" },
	    { "NSSS", 58, 58, "NVM subsystem shutdown" },
	    { "CRMS", 59, 60, "ready modes: bit 0 with media, bit 1 independent of media" }),
	REG("VS", 0x08, 32, 0, "version", { "MJR", 16, 31, "major" }, { "MNR", 8, 15, "minor" },
	    { "TER", 0, 7, "tertiary" }),
	REG("INTMS", 0x0c, 32, 0, "interrupt mask", {}),
	REG("CC", 0x14, 32, 0, "controller configuration", { "EN", 0, 0, "enabled" },
	    { "CSS", 4, 6, "command sets" }, { "MPS", 7, 10, "memory page, 2^(12 + n) bytes" },
	    { "AMS", 11, 13, "arbitration" }, { "SHN", 14, 15, "shutdown notification" },
	    { "IOSQES", 16, 19, "I/O submission queue entry, 2^n bytes" },
	    { "IOCQES", 20, 23, "I/O completion queue entry, 2^n bytes" },
	    { "CRIME", 24, 24, "ready independent of media" }),
	REG("CSTS", 0x1c, 32, 0, "controller status", { "RDY", 0, 0, "ready" },
	    { "CFS", 1, 1, "fatal status" },
	    { "SHST", 2, 3, "shutdown: 0 none, 1 going on, 2 complete" },
	    { "NSSRO", 4, 4, "NVM subsystem reset occurred" }, { "PP", 5, 5, "processing paused" },
	    { "ST", 6, 6, "the shutdown is of the subsystem" }),
	REG("NSSR", 0x20, 32, CAP_NSSRS, "NVM subsystem reset", {}),
	REG("AQA", 0x24, 32, 0, "admin queue attributes",
	    { "ASQS", 0, 11, "entries of the submission queue, zero-based" },
	    { "ACQS", 16, 27, "entries of the completion queue, zero-based" }),
	REG("ASQ", 0x28, 64, 0, "admin submission queue",
	    { "ASQB", 12, 63, "its address, in pages of 4096 bytes" }),
	REG("ACQ", 0x30, 64, 0, "admin completion queue",
	    { "ACQB", 12, 63, "its address, in pages of 4096 bytes" }),
	REG("CMBLOC", 0x38, 32, 0, "controller memory buffer location",
	    { "BIR", 0, 2, "base address register" },
	    { "CQMMS", 3, 3, "queue memory may be mixed" },
	    { "CQPDS", 4, 4, "queue physically discontiguous" },
	    { "CDPMLS", 5, 5, "data pointer lists may be mixed" },
	    { "CDPCILS", 6, 6, "lists may be independent of commands" },
	    { "CDMMMS", 7, 7, "data and metadata may be mixed" },
	    { "CQDA", 8, 8, "queues aligned to 4 bytes" },
	    { "OFST", 12, 31, "offset, in units of CMBSZ.SZU" }),
	REG("CMBSZ", 0x3c, 32, 0, "controller memory buffer size",
	    { "SQS", 0, 0, "submission queues" }, { "CQS", 1, 1, "completion queues" },
	    { "LISTS", 2, 2, "PRP lists and SGL segments" }, { "RDS", 3, 3, "data of reads" },
	    { "WDS", 4, 4, "data of writes" }, { "SZU", 8, 11, "unit, 2^(12 + 4n) bytes" },
	    { "SZ", 12, 31, "size in units" }),
	REG("BPINFO", 0x40, 32, CAP_BPS, "boot partition information",
	    { "BPSZ", 0, 14, "size, in 128 KiB" },
	    { "BRS", 24, 25, "read status: 0 none, 1 going on, 2 complete, 3 failed" },
	    { "ABPID", 31, 31, "active boot partition" }),
	REG("BPRSEL", 0x44, 32, CAP_BPS, "boot partition read select",
	    { "BPRSZ", 0, 9, "size, in 4 KiB" }, { "BPROF", 10, 29, "offset, in 4 KiB" },
	    { "BPID", 31, 31, "boot partition" }),
	REG("BPMBL", 0x48, 64, CAP_BPS, "boot partition memory buffer",
	    { "BMBBA", 12, 63, "its address, in pages of 4096 bytes" }),
	REG("CMBMSC", 0x50, 64, CAP_CMBS, "controller memory buffer control",
	    { "CRE", 0, 0, "CMBLOC and CMBSZ are shown" }, { "CMSE", 1, 1, "memory space enabled" },
	    { "CBA", 12, 63, "address for the controller, in pages of 4096 bytes" }),
	REG("CMBSTS", 0x58, 32, CAP_CMBS, "controller memory buffer status",
	    { "CBAI", 0, 0, "address invalid" }),
	REG("CMBEBS", 0x5c, 32, CAP_CMBS, "controller memory buffer elasticity",
	    { "CMBSZU", 0, 3, "unit" }, { "CMBRBB", 4, 4, "reads bypass the buffer" },
	    { "CMBWBZ", 8, 31, "size in units" }),
	REG("CMBSWTP", 0x60, 32, CAP_CMBS, "controller memory buffer throughput",
	    { "CMBSWTU", 0, 3, "unit" }, { "CMBSWTV", 8, 31, "throughput in units" }),
	REG("NSSD", 0x64, 32, CAP_NSSS, "NVM subsystem shutdown", {}),
	REG("CRTO", 0x68, 32, CAP_CRMS, "controller ready time-outs",
	    { "CRWMT", 0, 15, "ready with media, in 500 ms" },
	    { "CRIMT", 16, 31, "ready independent of media, in 500 ms" }),
	REG("PMRCAP", 0xe00, 32, CAP_PMRS, "persistent memory capabilities",
	    { "RDS", 3, 3, "data of reads" }, { "WDS", 4, 4, "data of writes" },
	    { "BIR", 5, 7, "base address register" },
	    { "PMRTU", 8, 9, "unit of PMRTO: 0 500 ms, 1 minutes" },
	    { "PMRWBM", 10, 13, "write barriers: bit 0 any read, bit 1 a read of PMRSTS" },
	    { "PMRTO", 16, 23, "time limit of enabling and disabling" },
	    { "CMSS", 24, 24, "the controller may use it" }),
	REG("PMRCTL", 0xe04, 32, CAP_PMRS, "persistent memory control", { "EN", 0, 0, "enabled" }),
	REG("PMRSTS", 0xe08, 32, CAP_PMRS, "persistent memory status", { "ERR", 0, 7, "error" },
	    { "NRDY", 8, 8, "not ready" },
	    { "HSTS", 9, 11, "health: 0 normal, 1 restore error, 2 read-only, 3 unreliable" },
	    { "CBAI", 12, 12, "address invalid" }),
	REG("PMREBS", 0xe0c, 32, CAP_PMRS, "persistent memory elasticity",
	    { "PMRSZU", 0, 3, "unit" }, { "PMRRBB", 4, 4, "reads bypass the buffer" },
	    { "PMRWBZ", 8, 31, "size in units" }),
	REG("PMRSWTP", 0xe10, 32, CAP_PMRS, "persistent memory throughput",
	    { "PMRSWTU", 0, 3, "unit" }, { "PMRSWTV", 8, 31, "throughput in units" }),
	REG("PMRMSCL", 0xe14, 32, CAP_PMRS, "persistent memory space control, low",
	    { "CMSE", 1, 1, "memory space enabled" },
	    { "CBA", 12, 31, "address for the controller, bits 31:12" }),
	REG("PMRMSCU", 0xe18, 32, CAP_PMRS, "persistent memory space control, high",
	    { "CBA", 0, 31, "address for the controller, bits 63:32" }),
};

#define NR_REGS (sizeof(regs) / sizeof(regs[0]))

static uint64_t read_reg(const struct nvme_ctrl *ctrl, const struct reg *reg)
{
	char *at = (char *)ctrl->regs + reg->offset;

	return reg->bits == 64 ? le64_to_cpu(mmio_read64(at)) : le32_to_cpu(mmio_read32(at));
}

static uint64_t get_field(uint64_t value, const struct field *field)
{
	return value >> field->low & UINT64_MAX >> (63 - (field->high - field->low));
}

static void print_text(FILE *out, const struct reg *reg, uint64_t value)
{
	fprintf(out, "%-7s  0x%0*llx  %s\n", reg->name, (int)reg->bits / 4,
		(unsigned long long)value, reg->text);
	for (const struct field *f = reg->fields; f->name; f++) {
		char bits[8];

		snprintf(bits, sizeof(bits), f->low == f->high ? "%u" : "%u:%u", f->high, f->low);
		fprintf(out, "  %-8s %5s  0x%-5llx %s\n", f->name, bits,
			(unsigned long long)get_field(value, f), f->text);
	}
}

static void print_json(struct json *j, const struct reg *reg, uint64_t value)
{
	json_open(j, reg->name, '{');
	json_hex(j, "offset", 3, reg->offset);
	json_hex(j, "value", (int)reg->bits / 4, value);
	json_open(j, "fields", '{');
	for (const struct field *f = reg->fields; f->name; f++)
		json_int(j, f->name, (long long)get_field(value, f));
	json_close(j, '}');
	json_close(j, '}');
}

static int print_regs(FILE *out, const struct request *req, struct nvme_ctrl *ctrl)
{
	struct json j = { .out = out };
	uint64_t cap = read_reg(ctrl, &regs[0]);

	if (req->json) {
		json_open(&j, NULL, '{');
		json_string(&j, "bdf", req->bdf);
		json_open(&j, "registers", '{');
	}
	for (const struct reg *reg = regs; reg < regs + NR_REGS; reg++) {
		uint64_t value;

		if (reg->needs && !(cap & reg->needs))
			continue;
		value = read_reg(ctrl, reg);
		if (reg->offset == REG_CSTS && value == UINT32_MAX)
			return complain("%s is gone: its registers read as all ones", req->bdf);
		if (req->json)
			print_json(&j, reg, value);
		else
			print_text(out, reg, value);
	}
	if (req->json) {
		json_close(&j, '}');
		json_close(&j, '}');
	}

	return EXIT_SUCCESS;
}

int cmd_regs(const struct request *req)
{
	const struct nvme_ctrl_opts opts = {};
	struct nvme_ctrl ctrl = {};
	struct report report;
	int status;

	if (report_open(&report))
		return EXIT_FAILURE;

	if (is_given(req, OPT_ENABLE) ? nvme_init(&ctrl, req->bdf, &opts) :
					nvme_ctrl_init(&ctrl, req->bdf, &opts)) {
		complain_last_error();
		return report_drop(&report);
	}

	status = print_regs(report.out, req, &ctrl);
	nvme_close(&ctrl);

	return status ? report_drop(&report) : report_print(&report);
}
