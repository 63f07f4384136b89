/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rows of the table, and the ways to measure one. */
#ifndef VFN_BENCH_MEASURE_H
#define VFN_BENCH_MEASURE_H

#include "ring.h"

/* Rounds of @depth reads of @len bytes, told to the controller one by one or all together. */
struct row {
	const struct bench_case *c;
	unsigned int depth;
	size_t len;
	bool each, shadow;
};

/* @fn for each row, in an order where those that are compared are next to each other. */
void for_each_row(bool all, void (*fn)(struct ring *r, const struct row *row), struct ring *r);

/* Rounds with a controller that looks at each command; exits where one is wrong. */
void row_verify(struct ring *r, const struct row *row, unsigned int rounds);

/* name, doorbells, depth and bytes as members of a JSON object */
void row_print(const struct row *row);

/* Nothing but the contents of all commands, all rows over the end of the queues. */
void measure_contents(struct ring *r);

/* That a look at the contents sees each bit of a command that is wrong; exits where it does not. */
void measure_spoiled(struct ring *r);

void measure_counts(struct ring *r, bool all);
void measure_lines(struct ring *r, bool all);
void measure_times(struct ring *r, bool all);
/* Each queue pair by a thread: what they cost, and what they share. */
void measure_threads(struct ring *a, struct ring *b, int cpu_a, int cpu_b);
void measure_shared(struct ring *a, struct ring *b);
void measure_memory(struct nvme_ctrl *ctrl);

#endif /* VFN_BENCH_MEASURE_H */
