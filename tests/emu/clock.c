// SPDX-License-Identifier: GPL-2.0-or-later
/* The clock: virtual in lockstep mode, real with threads. */
#include "emu_internal.h"

#include <poll.h>
#include <time.h>

#include "os/os.h"

#define CLOCK_READ_NS 100
#define NS_PER_SEC 1000000000ULL

uint64_t emu_time;
bool emu_threaded;

void clock_init(void)
{
	emu_time = NS_PER_SEC;
}

static uint64_t real_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

static bool is_threaded(void)
{
	return __atomic_load_n(&emu_threaded, __ATOMIC_ACQUIRE);
}

uint64_t clock_now(void)
{
	return is_threaded() ? real_now() : emu_time;
}

/* Stop at every instant at which a controller has something to do. */
static void advance(uint64_t ns)
{
	uint64_t end = emu_time + ns, due;

	while ((due = nvme_next_due()) <= end) {
		if (due > emu_time)
			emu_time = due;
		nvme_run_all();
	}
	emu_time = end;
	nvme_run_all();
}

uint64_t emu_now(void)
{
	emu_autolock();
	return clock_now();
}

void emu_advance(uint64_t ns)
{
	emu_autolock();
	advance(ns);
}

void emu_run(void)
{
	emu_autolock();
	nvme_run_all();
}

uint64_t os_clock_ns(void)
{
	if (is_threaded())
		return real_now();

	emu_autolock();
	advance(CLOCK_READ_NS);

	return emu_time;
}

static bool is_readable(int fd, uint64_t ns)
{
	struct timespec ts = { .tv_sec = ns / NS_PER_SEC, .tv_nsec = ns % NS_PER_SEC };
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return ppoll(&pollfd, 1, &ts, NULL) > 0;
}

int os_wait_fd(int fd, uint64_t ns)
{
	uint64_t end, due;

	if (is_threaded())
		return is_readable(fd, ns);

	emu_autolock();
	end = emu_time + ns;
	while (!is_readable(fd, 0) && emu_time < end) {
		due = nvme_next_due();
		if (due > emu_time)
			emu_time = due < end ? due : end;
		nvme_run_all();
	}

	return is_readable(fd, 0);
}

void os_sleep_ns(uint64_t ns)
{
	struct timespec ts = { .tv_sec = ns / NS_PER_SEC, .tv_nsec = ns % NS_PER_SEC };

	if (is_threaded()) {
		nanosleep(&ts, NULL);
		return;
	}

	emu_autolock();
	advance(ns);
}
