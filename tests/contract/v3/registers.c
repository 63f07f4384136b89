// SPDX-License-Identifier: GPL-2.0-or-later
/* The slide "Basic Example (read register)". */
#include "slides.h"

int main(void)
{
	/* clang-format off */
struct nvme_ctrl ctrl = {};

/* configure and enable controller (default options) */
nvme_init(&ctrl, "0000:01:00.0", NULL);

void *regs = ctrl.regs;

/* read BAR0 (the NVME MBAR) register */
uint64_t cap = le64_to_cpu(mmio_read64(regs + NVME_REG_CAP));

/* print a value from the register */
printf("CAP.MQES %lx\n", NVME_CAP_MQES(cap));
	/* clang-format on */

	nvme_close(&ctrl);

	return 0;
}
