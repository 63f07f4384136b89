// SPDX-License-Identifier: GPL-2.0-or-later
/* An example on an emulated machine: one controller, or two, in threads of their own, then the example's main(). */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "emu.h"

/* The build renames the example's main() to this, and would ours. */
int example_main(int argc, char **argv);
#undef main

/*
 * The build renames the examples' syscall(), of which perf_event_open() is of interest, and read() to
 * these. With EXAMPLE_COUNTERS two looks that follow each other find 100 instructions and 10
 * cycles, and all later ones 1000 and 200 more than that.
 */
static int counters = -1;

static long other_syscall(long number, const long args[6])
{
	union {
		void *symbol;
		long (*call)(long number, ...);
	} next = { .symbol = dlsym(RTLD_NEXT, "syscall") };

	return next.call(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

long syscall(long number, ...)
{
	long args[6];
	va_list list;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		args[i] = va_arg(list, long);
	va_end(list);

	if (number != SYS_perf_event_open)
		return other_syscall(number, args);
	if (!getenv("EXAMPLE_COUNTERS")) {
		errno = ENOENT;
		return -1;
	}
	if (counters < 0)
		counters = dup(STDERR_FILENO);

	return counters;
}

ssize_t read(int fd, void *buf, size_t len)
{
	static uint64_t looks;
	uint64_t later = looks > 1 ? looks - 1 : 0;
	const uint64_t group[] = { 2, looks * 100 + later * 1000, looks * 10 + later * 200 };

	if (fd != counters)
		return readv(fd, &(struct iovec){ .iov_base = buf, .iov_len = len }, 1);

	looks++;
	memcpy(buf, group, len < sizeof(group) ? len : sizeof(group));

	return (ssize_t)len;
}

/* What is on the disk in the end, for others to check, without the pages of zeros at its end. */
static int save_disk(struct emu_nvme *nvme, const char *path)
{
	static const char zeros[4096];
	size_t size;
	char *disk = emu_nvme_disk(nvme, 1, &size);
	FILE *file = fopen(path, "w");

	while (size > sizeof(zeros) && !memcmp(disk + size - sizeof(zeros), zeros, sizeof(zeros)))
		size -= sizeof(zeros);
	if (!file || fwrite(disk, 1, size, file) != size || fclose(file)) {
		perror(path);
		return -1;
	}

	return 0;
}

/* What is on it in the beginning, if others have that. */
static int load_disk(struct emu_nvme *nvme, const char *path)
{
	FILE *file = fopen(path, "r");
	size_t size;
	char *disk = emu_nvme_disk(nvme, 1, &size);

	if (!file || (fread(disk, 1, size, file) < size && ferror(file)) || fclose(file)) {
		perror(path);
		return -1;
	}

	return 0;
}

/* Words that tell where they are. */
static void fill_disk(struct emu_nvme *nvme, const char *nsid)
{
	size_t size;
	uint64_t *disk = emu_nvme_disk(nvme, (uint32_t)atoi(nsid), &size);

	for (size_t i = 0; i < size / sizeof(*disk); i++)
		disk[i] = i + 1;
}

/* Serial number, model and firmware revision that no terminal should see, and that never end. */
static void spoil_strings(struct emu_nvme *nvme)
{
	uint8_t *id = emu_nvme_identify_ctrl(nvme);

	for (unsigned int i = 4; i < 72; i++)
		id[i] = i & 1 ? 0x1b : 0xff;
}

/* Counts and sizes that there is no room for. */
static void spoil_counts(struct emu_nvme *nvme)
{
	uint8_t *ctrl = emu_nvme_identify_ctrl(nvme), *ns = emu_nvme_identify_ns(nvme, 1);

	ctrl[77] = ctrl[262] = ctrl[263] = 0xff; /* MDTS, ELPE, NPSS */
	memset(ctrl + 516, 0xff, 4);		 /* NN */
	ns[25] = ns[26] = 0xff;			 /* NLBAF, FLBAS */
	memset(ns + 128, 0xff, 64 * 4);		 /* formats */
}

/* As if the kernel's driver had the controller, too. */
static void mount_disk(void)
{
	static const char disk[] = "/sys/devices/pci0000:00/" EMU_BDF "/nvme/nvme9/nvme9n1";
	char path[sizeof(disk) + 4];

	snprintf(path, sizeof(path), "%s/dev", disk);
	emu_file(path, "259:9\n");
	emu_link("/sys/class/block/nvme9n1", disk);
	emu_file("/proc/self/mountinfo", "1 1 259:9 / /data rw - ext4 /dev/nvme9n1 rw\n");
}

/* The command with this number in this queue of those with this opcode, and perhaps more behind it: "QID:OPCODE:N[:COUNT]". */
static void fail_command(struct emu_nvme *nvme, const char *which, enum emu_fault_kind kind)
{
	struct emu_fault fault = { .kind = kind, .status = 0x4006 };

	(void)sscanf(which, "%d:%d:%u:%u", &fault.qid, &fault.opcode, &fault.nth, &fault.count);
	(void)emu_nvme_fault(nvme, &fault);
}

/* An error log of a controller that has seen worse. */
static void make_errors(struct emu_nvme *nvme)
{
	for (unsigned int i = 0; i < 3; i++)
		emu_nvme_add_error(nvme, 1, (uint16_t)i, 0x4080);
}

int main(int argc, char **argv)
{
	const struct emu_nvme_opts opts = {
		.pci = { .msi_vectors = 1 },
		.sgls = getenv("EXAMPLE_NO_SGLS") ? 0 : 1,
		.vs = 0x10402,
		.nns = getenv("EXAMPLE_TWO") ? 2 : 1,
		.ns = { {}, { .blocks = 100, .lba_size = 4096 } },
		.ns_list_loops = getenv("EXAMPLE_LOOP"),
		.cmb = { .size = getenv("EXAMPLE_NO_CMB") ? 0 : 1 << 20 },
	};
	struct emu_nvme_opts peer = opts;
	const char *path = getenv("EXAMPLE_DISK"), *start = getenv("EXAMPLE_START");
	struct emu_nvme *nvme;
	int status;

	emu_init();
	nvme = emu_nvme_add(&opts);
	if (start && load_disk(nvme, start))
		return 3;
	if (getenv("EXAMPLE_FILL"))
		fill_disk(nvme, getenv("EXAMPLE_FILL"));
	if (getenv("EXAMPLE_STRINGS"))
		spoil_strings(nvme);
	if (getenv("EXAMPLE_ERRORS"))
		make_errors(nvme);
	if (getenv("EXAMPLE_NO_OFFSETS"))
		emu_nvme_identify_ctrl(nvme)[261] = 0; /* LPA */
	if (getenv("EXAMPLE_NO_FORMAT"))
		emu_nvme_identify_ctrl(nvme)[256] = 0; /* OACS */
	if (getenv("EXAMPLE_MOUNTED"))
		mount_disk();
	if (getenv("EXAMPLE_DELAYS"))
		emu_nvme_identify_ctrl(nvme)[128] = 1; /* CRDT1 */
	if (getenv("EXAMPLE_LOSE"))
		(void)emu_nvme_fault(nvme,
				     &(struct emu_fault){ .kind = EMU_LOSE,
							  .opcode = atoi(getenv("EXAMPLE_LOSE")) });
	if (getenv("EXAMPLE_FAIL"))
		fail_command(nvme, getenv("EXAMPLE_FAIL"), EMU_STATUS);
	if (getenv("EXAMPLE_DROP"))
		fail_command(nvme, getenv("EXAMPLE_DROP"), EMU_LOSE);
	if (getenv("EXAMPLE_NO_ZEROES"))
		emu_nvme_identify_ctrl(nvme)[520] &= (uint8_t)~8; /* ONCS */
	if (getenv("EXAMPLE_COUNTS"))
		spoil_counts(nvme);
	peer.pci.bdf = EMU_BDF2;
	if (getenv("EXAMPLE_PEER"))
		(void)emu_nvme_add(&peer);
	emu_start_threads();

	status = example_main(argc, argv);

	emu_stop_threads();
	for (unsigned int i = 0; i < emu_violations(); i++) {
		fprintf(stderr, "violation: %s\n", emu_violation(i));
		if (!getenv("EXAMPLE_VIOLATIONS"))
			status = 3;
	}
	if (path && save_disk(nvme, path))
		status = 3;
	emu_fini();

	return status;
}
