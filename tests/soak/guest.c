// SPDX-License-Identifier: GPL-2.0-or-later
/* The soak program's machine: a guest, whose controller "a" and kernel are real to the library. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../vm/guest/guest.h"
#include "soak.h"

static struct machine machine = {
	.blocks = 64 * 1024 * 1024 / BLOCK,
	.timeout_ms = 400,
	.pace_us = 20000,
	.irq_ms = 20,
	/* QEMU 7.2 was seen to crash; once a block had the data of another, which is not explained */
	.deletes_busy = false,
};

/* Descriptors, and memory that is pinned, before the controller was opened. */
static struct {
	int fds;
	long locked, pinned;
} before;

static long kib_of(const char *field)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	long kib = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, field, strlen(field)))
			kib = atol(line + strlen(field));
	(void)fclose(file);

	return kib;
}

static bool device_is_mapped(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	bool found = false;
	char line[512];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		found |= strstr(line, "vfio") || strstr(line, "iommu");
	(void)fclose(file);

	return found;
}

const struct machine *machine_start(bool lockstep, struct dice *dice)
{
	(void)dice;
	if (lockstep)
		fail_msg("a guest has a time of its own");

	machine.bdf = guest_bdf("a");
	before.fds = guest_count_descriptors();
	before.locked = kib_of("VmLck:");
	before.pinned = kib_of("VmPin:");

	return &machine;
}

/* Now and then is enough. */
uint64_t machine_seconds(void)
{
	static unsigned int asked;
	static uint64_t now;

	if (!(asked++ % 16))
		now = host_seconds();

	return now;
}

void machine_pass(void)
{
}

static void throttle(unsigned int iops)
{
	host_qmp("{\"execute\": \"block_set_io_throttle\", \"arguments\": {\"id\": \"namespace1\", "
		 "\"bps\": 0, \"bps_rd\": 0, \"bps_wr\": 0, \"iops\": %u, \"iops_rd\": 0, "
		 "\"iops_wr\": 0}}",
		 iops);
}

/* For a while the drive is slow, but not so slow that QEMU holds up the guest when it cancels what is out. */
void machine_trouble(struct dice *dice)
{
	static unsigned int left;

	if (!soak_slow || (left && --left))
		return;
	if (roll(dice, 4)) {
		throttle(0);
		return;
	}
	throttle(30 + (unsigned int)roll(dice, 60));
	left = 4 + (unsigned int)roll(dice, 8);
}

void machine_quiet(void)
{
	if (soak_slow)
		throttle(0);
}

bool machine_shrink(unsigned int queues)
{
	(void)queues;

	return false;
}

static void warn(unsigned int bits)
{
	host_qmp("{\"execute\": \"qom-set\", \"arguments\": {\"path\": \"/machine/peripheral/a\", "
		 "\"property\": \"smart_critical_warning\", \"value\": %u}}",
		 bits);
}

int machine_event(struct dice *dice)
{
	warn(1U << roll(dice, 4));

	return 2;
}

void machine_event_over(void)
{
	warn(0);
}

void machine_spurious(unsigned int vector)
{
	(void)vector;
}

void machine_read(uint64_t lba, void *mem, size_t len)
{
	guest_kernel_read(&guest_ns512, lba, mem, len);
}

const char *machine_complaint(void)
{
	/* its kernel's log is for those who started it */
	return NULL;
}

const char *machine_stop(void)
{
	long locked = kib_of("VmLck:"), pinned = kib_of("VmPin:");
	int fds = guest_count_descriptors();
	static char text[256];

	(void)snprintf(text, sizeof(text),
		       "%d descriptors (before: %d), %ld KiB locked (%ld), %ld KiB pinned (%ld)%s",
		       fds, before.fds, locked, before.locked, pinned, before.pinned,
		       device_is_mapped() ? ", mappings of the device" : "");

	return fds != before.fds || locked != before.locked || pinned != before.pinned ||
			       device_is_mapped() ?
		       text :
		       NULL;
}
