// SPDX-License-Identifier: GPL-2.0-or-later
/* How far something is that takes long, on a line of a terminal. */
#include "vfntool.h"

#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000ULL
#define PERIOD_NS (SECOND_NS / 5)
#define WIDTH 30

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

void progress_begin(struct progress *p, const struct request *req, const char *what, uint64_t total)
{
	*p = (struct progress){ .what = what, .total = total, .start_ns = now_ns() };
	/* what is done at once needs none */
	p->next_ns = req->json || !isatty(STDERR_FILENO) ? UINT64_MAX : p->start_ns + PERIOD_NS;
}

double seconds_since(const struct progress *p)
{
	return (double)(now_ns() - p->start_ns) / SECOND_NS;
}

static void put_bar(const struct progress *p, uint64_t done)
{
	double part = (double)done / (double)p->total;
	int full = (int)(WIDTH * part);

	fprintf(stderr, " [%.*s%*s] %3d %%", full, "##############################", WIDTH - full,
		"", (int)(100 * part));
}

void progress_show(struct progress *p, uint64_t done)
{
	uint64_t now = p->next_ns == UINT64_MAX ? 0 : now_ns();
	double mib = (double)done / (1 << 20);

	if (now < p->next_ns)
		return;

	p->next_ns = now + PERIOD_NS;
	p->shown = true;
	fprintf(stderr, "\r%s", p->what);
	if (p->total)
		put_bar(p, done);
	fprintf(stderr, "  %.0f MiB, %.0f MiB/s  ", mib, mib / seconds_since(p));
	fflush(stderr);
}

void progress_end(struct progress *p)
{
	/* the line is cleared: what was done is told elsewhere */
	if (p->shown)
		fputs("\r\033[K", stderr);
	p->shown = false;
}
