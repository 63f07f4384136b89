/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Load on a namespace, by the library or by the kernel's driver, and what it was like. */
#ifndef VFNTOOL_LOAD_H
#define VFNTOOL_LOAD_H

#include "blocks.h"

/* Latencies are counted in buckets, 16 for each power of two of nanoseconds: percentiles are right to 6 %. */
#define HIST_BITS 4
#define HIST_BUCKETS ((64 - HIST_BITS + 1) << HIST_BITS)

struct hist {
	uint64_t count, sum, least, most;
	uint64_t buckets[HIST_BUCKETS];
};

void hist_add(struct hist *h, uint64_t ns);
void hist_merge(struct hist *h, const struct hist *other);
/* Where a bucket begins. */
uint64_t hist_start(unsigned int bucket);
/* Nanoseconds within which this part of all was, 0 to 1. */
uint64_t hist_percentile(const struct hist *h, double part);
double hist_average(const struct hist *h);

enum load_op {
	LOAD_READ,
	LOAD_WRITE,
	LOAD_RANDREAD,
	LOAD_RANDWRITE,
	LOAD_RANDRW,
	NR_LOAD_OPS,
};

extern const char *const load_names[NR_LOAD_OPS];

static inline bool load_writes(unsigned int op)
{
	return op != LOAD_READ && op != LOAD_RANDREAD;
}

/* What to do. @fd: of the kernel's block device, or -1 for @b, which has one queue more than @threads. */
struct load {
	const struct blocks *b;
	int fd;
	unsigned int op, threads, iodepth;
	uint32_t bs;
	uint64_t bytes; /* of the namespace, from its start on */
	uint64_t runtime_ns;
	uint64_t seed;
};

/* What was done: without what the first tenth of the time had. */
struct load_result {
	struct hist hist;
	double seconds;
};

/* The number of a word: 0, or EXIT_USAGE after a complaint. */
int load_parse_op(const char *word, unsigned int *op);
/* See that requests are blocks and fit in. Returns the exit status, after a complaint. */
int load_check(const struct load *load);
/* Returns the exit status, after a complaint. */
int load_run(const struct load *load, struct load_result *result);

/* For each thread: its engine. Requests have numbers from 0 to iodepth - 1. */
struct load_thread;

struct load_engine {
	int (*open)(struct load_thread *t);
	void (*close)(struct load_thread *t);
	int (*submit)(struct load_thread *t, unsigned int i, bool write, uint64_t offset);
	/* Those that have ended, at least one: how many, or -1 after a complaint. */
	int (*wait)(struct load_thread *t, unsigned int *ended, unsigned int max);
};

extern const struct load_engine load_library, load_kernel;

#define LOAD_BATCH 32

struct load_thread {
	const struct load *load;
	unsigned int number;
	uint64_t start_ns, count_ns, end_ns;
	uint64_t random, next;
	uint64_t *started;
	char *data;
	void *priv;
	struct hist hist;
	bool failed;
};

#endif /* VFNTOOL_LOAD_H */
