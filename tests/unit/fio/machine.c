// SPDX-License-Identifier: GPL-2.0-or-later
/* An emulated machine for the engine of fio, from when fio loads that until it unloads it. */
#include <stdio.h>
#include <stdlib.h>

#include "emu.h"

static void __attribute__((constructor)) start(void)
{
	struct emu_nvme *nvme;
	const char *fail = getenv("MACHINE_FAIL");
	struct emu_fault fault = { .kind = EMU_STATUS, .qid = EMU_ANY, .status = 0x4281 };

	emu_init();
	nvme = emu_nvme_add(&(struct emu_nvme_opts){
		.nns = 2,
		.queues = getenv("MACHINE_FEW") ? 2 : 64,
		.ns = { {}, { .blocks = 1024, .lba_size = 4096 } },
	});
	if (fail) {
		(void)sscanf(fail, "%d:%u", &fault.opcode, &fault.nth);
		(void)emu_nvme_fault(nvme, &fault);
	}
	emu_start_threads();
}

static void __attribute__((destructor)) stop(void)
{
	emu_stop_threads();
	for (unsigned int i = 0; i < emu_violations(); i++)
		fprintf(stderr, "violation: %s\n", emu_violation(i));
	emu_fini();
}
