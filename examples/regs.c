// SPDX-License-Identifier: GPL-2.0-or-later
/* Read the controller's registers and print them field by field. */
#include <inttypes.h>
#include <stdio.h>

#include <nvme/types.h>
#include <vfn/nvme.h>

#include "common.h"

struct field {
	const char *name;
	int low, high;
	const char *meaning;
};

static const struct field cap_fields[] = {
	{ "MQES", 0, 15, "maximum queue entries, zero-based" },
	{ "CQR", 16, 16, "contiguous queues required" },
	{ "AMS", 17, 18, "arbitration mechanisms besides round robin" },
	{ "TO", 24, 31, "time-out of enabling and disabling, in 500 ms" },
	{ "DSTRD", 32, 35, "doorbell stride, 2^(2 + n) bytes" },
	{ "NSSRS", 36, 36, "NVM subsystem reset supported" },
	{ "CSS", 37, 44, "command sets, one bit each" },
	{ "BPS", 45, 45, "boot partitions supported" },
	{ "CPS", 46, 47, "controller power scope" },
	{ "MPSMIN", 48, 51, "smallest memory page, 2^(12 + n) bytes" },
	{ "MPSMAX", 52, 55, "largest memory page, 2^(12 + n) bytes" },
	{ "PMRS", 56, 56, "persistent memory region supported" },
	{ "CMBS", 57, 57, "controller memory buffer supported" },
	{ "NSSS", 58, 58, "NVM subsystem shutdown supported" },
	{ "CRMS", 59, 60, "ready modes: bit 0 with media, bit 1 independent of media" },
	{},
};

static const struct field vs_fields[] = {
	{ "MJR", 16, 31, "major version" },
	{ "MNR", 8, 15, "minor version" },
	{ "TER", 0, 7, "tertiary version" },
	{},
};

static const struct field cc_fields[] = {
	{ "EN", 0, 0, "enabled" },
	{ "CSS", 4, 6, "command set" },
	{ "MPS", 7, 10, "memory page, 2^(12 + n) bytes" },
	{ "AMS", 11, 13, "arbitration mechanism" },
	{ "SHN", 14, 15, "shutdown notification" },
	{ "IOSQES", 16, 19, "I/O submission queue entry, 2^n bytes" },
	{ "IOCQES", 20, 23, "I/O completion queue entry, 2^n bytes" },
	{ "CRIME", 24, 24, "ready independent of media" },
	{},
};

static const struct field csts_fields[] = {
	{ "RDY", 0, 0, "ready" },
	{ "CFS", 1, 1, "fatal status" },
	{ "SHST", 2, 3, "shutdown: 0 none, 1 going on, 2 complete" },
	{ "NSSRO", 4, 4, "NVM subsystem reset occurred" },
	{ "PP", 5, 5, "processing paused" },
	{ "ST", 6, 6, "shutdown is of the subsystem" },
	{},
};

static const struct field aqa_fields[] = {
	{ "ASQS", 0, 11, "admin submission queue entries, zero-based" },
	{ "ACQS", 16, 27, "admin completion queue entries, zero-based" },
	{},
};

static const struct field crto_fields[] = {
	{ "CRWMT", 0, 15, "time to ready with media, in 500 ms" },
	{ "CRIMT", 16, 31, "time to ready independent of media, in 500 ms" },
	{},
};

static const struct field no_fields[] = {
	{},
};

static uint64_t get_field(uint64_t reg, const struct field *field)
{
	return reg >> field->low & (UINT64_MAX >> (63 - (field->high - field->low)));
}

static void print_fields(uint64_t reg, const struct field *field)
{
	for (; field->name; field++)
		printf("  %-6s  %5" PRIu64 "  %s\n", field->name, get_field(reg, field),
		       field->meaning);
}

static uint32_t print32(char *regs, int offset, const char *name, const char *meaning,
			const struct field *fields)
{
	uint32_t reg = le32_to_cpu(mmio_read32(regs + offset));

	printf("%-4s  0x%08" PRIx32 "  %s\n", name, reg, meaning);
	print_fields(reg, fields);

	return reg;
}

static uint64_t print64(char *regs, int offset, const char *name, const char *meaning,
			const struct field *fields)
{
	uint64_t reg = le64_to_cpu(mmio_read64(regs + offset));

	printf("%-4s  0x%016" PRIx64 "  %s\n", name, reg, meaning);
	print_fields(reg, fields);

	return reg;
}

static void print_registers(char *regs)
{
	uint64_t cap;
	uint32_t vs;

	cap = print64(regs, NVME_REG_CAP, "CAP", "controller capabilities", cap_fields);
	if (cap == UINT64_MAX)
		die("all ones: the controller is gone");
	vs = print32(regs, NVME_REG_VS, "VS", "version", vs_fields);
	printf("  version %u.%u.%u\n", vs >> 16, vs >> 8 & 0xff, vs & 0xff);
	print32(regs, NVME_REG_CC, "CC", "controller configuration", cc_fields);
	print32(regs, NVME_REG_CSTS, "CSTS", "controller status", csts_fields);
	print32(regs, NVME_REG_AQA, "AQA", "admin queue attributes", aqa_fields);
	print64(regs, NVME_REG_ASQ, "ASQ", "address of the admin submission queue", no_fields);
	print64(regs, NVME_REG_ACQ, "ACQ", "address of the admin completion queue", no_fields);

	if (cap >> 59 & 3)
		print32(regs, NVME_REG_CRTO, "CRTO", "controller ready time-outs", crto_fields);
	else
		printf("CRTO  not there, since CAP.CRMS is 0\n");
}

int main(int argc, char **argv)
{
	struct nvme_ctrl ctrl = {};
	bool as_is = false;
	const struct option_spec options[] = {
		{ 'a', "as-is", NULL, "do not enable the controller before", .flag = &as_is },
		{},
	};
	const char *bdf =
		parse_options(argc, argv, "Enable a controller and print its registers.", options);

	if (as_is ? nvme_ctrl_init(&ctrl, bdf, NULL) : nvme_init(&ctrl, bdf, NULL))
		die_vfn("cannot initialise the controller");

	print_registers(ctrl.regs);

	nvme_close(&ctrl);

	return 0;
}
