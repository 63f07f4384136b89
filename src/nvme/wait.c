// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Waiting for a controller: bounded, on the monotonic clock, with an eye on its status. */
#include <errno.h>

#include "nvme/nvme.h"
#include "os/os.h"
#include "support/error.h"

#define US 1000ULL
#define MS (1000 * US)

/* A completion may be close: do not sleep before this has passed. */
#define SPIN_NS (50 * US)
#define NAP_MAX_NS (1 * MS)
#define LOOK_EVERY_NS (1 * MS)

#define TIMEOUT_DEFAULT_MS 60000

uint64_t nvme_timeout_ns(struct nvme_ctrl *ctrl)
{
	unsigned int ms = ctrl->priv.timeout_ms;

	return (ms ? ms : TIMEOUT_DEFAULT_MS) * MS;
}

uint64_t nvme_timespec_ns(const struct timespec *ts, uint64_t otherwise)
{
	if (!ts)
		return otherwise;
	if (ts->tv_sec < 0 || ts->tv_nsec < 0)
		return 0;
	if ((uint64_t)ts->tv_sec >= UINT64_MAX / NS_PER_SEC)
		return NVME_WAIT_FOREVER;

	return (uint64_t)ts->tv_sec * NS_PER_SEC + (uint64_t)ts->tv_nsec;
}

void nvme_wait_start(struct nvme_wait *wait, struct nvme_ctrl *ctrl, uint64_t ns)
{
	uint64_t now = os_clock_ns();

	*wait = (struct nvme_wait){
		.ctrl = ctrl,
		.start = now,
		.deadline = ns > NVME_WAIT_FOREVER - now ? NVME_WAIT_FOREVER : now + ns,
		.next_look = now + LOOK_EVERY_NS,
		.nap = US,
	};
}

static int look(struct nvme_ctrl *ctrl)
{
	uint32_t csts = nvme_read32(ctrl, NVME_REG_CSTS);

	if (csts == UINT32_MAX)
		return nvme_gone(ctrl);
	if (csts & CSTS_CFS)
		return vfn_fail(
			ENODEV,
			"%s has failed (CSTS.CFS): vfn_nvme_reset_ctrl() brings it up again",
			nvme_name(ctrl));
	if (!(csts & CSTS_RDY))
		return vfn_fail(ENODEV, "%s is not ready (CSTS 0x%x): it was disabled or reset",
				nvme_name(ctrl), csts);

	return 0;
}

int nvme_wait_step(struct nvme_wait *wait)
{
	uint64_t now = os_clock_ns();

	if (now >= wait->deadline)
		return vfn_fail(ETIMEDOUT, "%s: no completion within %llu ms",
				nvme_name(wait->ctrl),
				(unsigned long long)((wait->deadline - wait->start) / MS));

	if (now >= wait->next_look) {
		if (look(wait->ctrl))
			return -1;
		wait->next_look = now + LOOK_EVERY_NS;
	}

	if (now - wait->start >= SPIN_NS) {
		uint64_t left = wait->deadline - now;

		os_sleep_ns(wait->nap < left ? wait->nap : left);
		wait->nap = wait->nap * 2 < NAP_MAX_NS ? wait->nap * 2 : NAP_MAX_NS;
	}

	return 0;
}
