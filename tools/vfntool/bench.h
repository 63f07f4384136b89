/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Figures of vfntool bench, and their picture. */
#ifndef VFNTOOL_BENCH_H
#define VFNTOOL_BENCH_H

#include "json.h"
#include "load.h"

/* Times are in microseconds. */
struct bench_row {
	unsigned int engine, op, threads, iodepth, bs;
	double iops, mib, average, p50, p99, p999, most;
};

struct bench {
	const struct request *req;
	struct blocks b;
	int fd; /* of the kernel's block device, or -1 */
	FILE *csv;
	uint64_t bytes;
	unsigned int ops[MAX_LIST], nops;
	bool writes;
	struct bench_row *rows;
	unsigned int n;
};

extern const char *const bench_engines[2];

/* bench_plot.c: requests per second and latency over depth. Returns the exit status. */
int bench_plot(const struct bench *bench);

#endif /* VFNTOOL_BENCH_H */
