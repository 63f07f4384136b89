// SPDX-License-Identifier: GPL-2.0-or-later
/* The soak program's machine: the emulated controller, in a thread of its own or in lockstep. */
#include "soak.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "emu.h"

#define NS_BLOCKS 65536
#define MS 1000000ULL
#define MAX_FAULTS 16

static struct machine machine = {
	.bdf = EMU_BDF,
	.blocks = NS_BLOCKS,
	.timeout_ms = 60,
	.pace_us = 2000,
	.irq_ms = 3,
	.deletes_busy = true,
};
static struct emu_nvme *nvme;
static bool in_lockstep;
static unsigned int nfaults;

const struct machine *machine_start(bool lockstep, struct dice *dice)
{
	const struct emu_nvme_opts opts = {
		.pci.msix_dynamic = roll(dice, 2),
		/* half a minute to get ready: there may be much else to do on this machine */
		.to = 60,
		.sgls = (uint32_t)roll(dice, 3),
		.dbbuf = roll(dice, 2),
		.acl = 1 + (unsigned int)roll(dice, 4),
		.abort_fails = roll(dice, 2),
	};

	/* by one back-end or the other */
	(void)(roll(dice, 2) ? emu_setup_iommufd(NULL) : emu_setup_type1(NULL));
	nvme = emu_nvme_add(&opts);
	nfaults = 0;
	in_lockstep = lockstep;
	if (lockstep)
		machine.irq_ms = 0;
	else
		emu_start_threads();

	return &machine;
}

uint64_t machine_seconds(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);

	return (uint64_t)now.tv_sec;
}

void machine_pass(void)
{
	if (in_lockstep)
		emu_advance(2 * MS);
}

void machine_trouble(struct dice *dice)
{
	static const enum emu_fault_kind kinds[] = {
		EMU_DROP,    EMU_LOSE,	 EMU_LOSE, EMU_DELAY,  EMU_DELAY,
		EMU_REORDER, EMU_STATUS, EMU_CFS,  EMU_NO_IRQ, EMU_DUPLICATE,
	};
	/* with threads the identifier may be in use again before the second completion comes */
	const size_t n = sizeof(kinds) / sizeof(kinds[0]) - !in_lockstep;
	struct emu_fault fault = {
		.kind = kinds[roll(dice, n)],
		.qid = 1 + (int)roll(dice, 5),
		.opcode = EMU_ANY,
		.nth = 1 + (uint32_t)roll(dice, 16),
		.count = 1 + (uint32_t)roll(dice, 4),
		.delay_ns = MS * roll(dice, 100),
		/* media errors: of reads, of writes */
		.status = roll(dice, 2) ? 0x281 : 0x280,
	};

	/* the Abort command may be lost, too */
	if (!roll(dice, 10)) {
		fault.qid = 0;
		fault.opcode = 8;
		fault.kind = EMU_LOSE;
	}
	if (nfaults++ == MAX_FAULTS)
		machine_quiet();
	emu_nvme_fault(nvme, &fault);
}

void machine_quiet(void)
{
	nfaults = 0;
	emu_nvme_clear_faults(nvme);
}

bool machine_shrink(unsigned int queues)
{
	emu_nvme_change(nvme, queues, 0);

	return true;
}

int machine_event(struct dice *dice)
{
	/* errors, or the state of health: each has its log page */
	int lid = 1 + (int)roll(dice, 2);

	emu_nvme_raise_aen(nvme, (uint8_t)(lid - 1), 0, (uint8_t)lid);

	return lid;
}

void machine_event_over(void)
{
}

void machine_spurious(unsigned int vector)
{
	emu_pci_irq_spurious(emu_nvme_pci(nvme), vector);
}

void machine_read(uint64_t lba, void *mem, size_t len)
{
	size_t size;
	char *disk = emu_nvme_disk(nvme, NSID, &size);

	memcpy(mem, disk + lba * BLOCK, len);
}

const char *machine_complaint(void)
{
	return emu_violation(0);
}

const char *machine_stop(void)
{
	struct emu_usage left = emu_usage();
	static char text[256];

	emu_stop_threads();
	(void)snprintf(
		text, sizeof(text),
		"%u descriptors, %u mappings, %u mappings for DMA, %u objects of iommufd%s%s",
		left.fds, left.mmaps, left.dma_maps, left.objects, emu_violations() ? ", " : "",
		emu_violations() ? emu_violation(0) : "");
	if (left.fds || left.mmaps || left.dma_maps || left.objects || emu_violations())
		return text;
	emu_fini();

	return NULL;
}
