// SPDX-License-Identifier: GPL-2.0-or-later
/* Running the controllers: all at once in lockstep, or each in a thread of its own. */
#include "nvme_model.h"

#include <sched.h>
#include <time.h>

#define SPINS 1000
#define IDLE_NS 20000

void nvme_run_all(void)
{
	for (struct emu_nvme *n = emu_nvmes; n; n = n->next)
		nvme_tick(n);
}

/* The next instant after which something happens by itself. */
uint64_t nvme_next_due(void)
{
	uint64_t due = NEVER;

	for (struct emu_nvme *n = emu_nvmes; n; n = n->next) {
		uint64_t mine = nvme_due(n);

		due = mine < due ? mine : due;
	}

	return due;
}

static void work(struct emu_nvme *n, bool kicked)
{
	emu_autolock();

	if (kicked)
		nvme_take_doorbells(n);
	nvme_tick(n);
}

static void *run(void *arg)
{
	const struct timespec idle = { .tv_nsec = IDLE_NS };
	struct emu_nvme *n = arg;
	unsigned int spins = 0;

	while (!__atomic_load_n(&n->stop, __ATOMIC_ACQUIRE)) {
		bool kicked = __atomic_exchange_n(&n->kick, 0, __ATOMIC_ACQUIRE);

		if (kicked)
			spins = 0;
		if (kicked || spins >= SPINS)
			work(n, kicked);
		if (spins >= SPINS)
			nanosleep(&idle, NULL);
		else if (spins++ % 16 == 0)
			sched_yield();
	}

	return NULL;
}

void emu_start_threads(void)
{
	emu_autolock();
	__atomic_store_n(&emu_threaded, true, __ATOMIC_RELEASE);
	for (struct emu_nvme *n = emu_nvmes; n; n = n->next) {
		n->stop = 0;
		pthread_create(&n->thread, NULL, run, n);
	}
}

void emu_stop_threads(void)
{
	uint64_t now;

	if (!__atomic_load_n(&emu_threaded, __ATOMIC_ACQUIRE))
		return;
	for (struct emu_nvme *n = emu_nvmes; n; n = n->next) {
		__atomic_store_n(&n->stop, 1, __ATOMIC_RELEASE);
		pthread_join(n->thread, NULL);
	}

	emu_autolock();
	now = clock_now();
	emu_time = now > emu_time ? now : emu_time;
	__atomic_store_n(&emu_threaded, false, __ATOMIC_RELEASE);
	for (struct emu_nvme *n = emu_nvmes; n; n = n->next)
		nvme_take_doorbells(n);
	nvme_run_all();
}
