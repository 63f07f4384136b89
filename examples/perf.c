// SPDX-License-Identifier: GPL-2.0-or-later
/* Keep a queue full for a while: operations per second, bandwidth, latency. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/perf_event.h>

#include <nvme/types.h>
#include <vfn/nvme.h>

#include "common.h"

#define QID 1
#define TIMEOUT_S 30

/* How many commands are handled at a time. */
#define COMMANDS_MAX 32

/*
 * Latencies are counted in buckets: each power of two of ticks is divided into 32, so that a
 * percentile is right to 3 %.
 */
#define SUB_BITS 5
#define NBUCKETS ((64 - SUB_BITS + 1) << SUB_BITS)

struct stats {
	uint64_t n, sum, max;
	uint64_t buckets[NBUCKETS];
};

/* A command's place: its part of the buffer, and when it was submitted. */
struct slot {
	void *data;
	uint64_t submitted;
};

/* What the processor counts, where it and the kernel let a program see that. */
enum {
	INSTRUCTIONS,
	CYCLES,
	NCOUNTERS
};

/* To look takes a system call, so it is done for one call in so many. */
#define SAMPLING 64

/* A kind of call: how many there were, and of those looked at the commands and what was counted. */
struct sampled {
	uint64_t calls, commands;
	uint64_t counts[NCOUNTERS];
};

struct perf {
	struct nvme_ctrl ctrl;
	struct nvm_namespace ns;
	struct vfn_nvme_io io;
	struct iommu_dmabuf buffer;
	uint64_t block_size, depth, seconds;
	bool sequential, write;
	uint64_t nblocks, next, random;
	uint64_t inflight;
	/* ticks in the library's calls, but for polls that found nothing */
	uint64_t cost;
	/* -1 where there are none; and what it costs to look */
	int counters;
	uint64_t overhead[NCOUNTERS];
	struct sampled submits, polls;
	struct stats stats;
};

static struct slot slots[1024];

static unsigned int bucket_of(uint64_t ticks)
{
	unsigned int shift;

	if (ticks >> SUB_BITS == 0)
		return (unsigned int)ticks;
	shift = 63 - (unsigned int)__builtin_clzll(ticks) - SUB_BITS;

	return (shift << SUB_BITS) + (unsigned int)(ticks >> shift);
}

/* The middle of a bucket. */
static uint64_t bucket_ticks(unsigned int bucket)
{
	unsigned int shift;

	if (bucket < 2 << SUB_BITS)
		return bucket;
	shift = (bucket >> SUB_BITS) - 1;

	return ((uint64_t)(bucket - (shift << SUB_BITS)) << shift) + (UINT64_C(1) << shift) / 2;
}

static void account(struct stats *stats, uint64_t ticks)
{
	stats->n++;
	stats->sum += ticks;
	if (ticks > stats->max)
		stats->max = ticks;
	stats->buckets[bucket_of(ticks)]++;
}

static uint64_t percentile(const struct stats *stats, double percent)
{
	uint64_t rank = (uint64_t)((double)stats->n * percent / 100), seen = 0;
	unsigned int i;

	for (i = 0; i < NBUCKETS - 1; i++) {
		seen += stats->buckets[i];
		if (seen > rank)
			break;
	}

	return bucket_ticks(i) < stats->max ? bucket_ticks(i) : stats->max;
}

static int open_counter(uint64_t what, int leader)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_HARDWARE,
		.config = what,
		.read_format = PERF_FORMAT_GROUP,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};

	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, leader, 0);
}

static void counted(const struct perf *p, uint64_t *counts)
{
	uint64_t group[1 + NCOUNTERS];

	if (read(p->counters, group, sizeof(group)) != sizeof(group))
		die("cannot read the processor's counters");
	memcpy(counts, group + 1, NCOUNTERS * sizeof(*counts));
}

/* Many machines have none, or not for everybody: then there is the time only. */
static void open_counters(struct perf *p)
{
	uint64_t before[NCOUNTERS], after[NCOUNTERS];

	p->counters = open_counter(PERF_COUNT_HW_INSTRUCTIONS, -1);
	if (p->counters >= 0 && open_counter(PERF_COUNT_HW_CPU_CYCLES, p->counters) < 0) {
		close(p->counters);
		p->counters = -1;
	}
	if (p->counters < 0)
		return;

	counted(p, before);
	counted(p, after);
	for (unsigned int i = 0; i < NCOUNTERS; i++)
		p->overhead[i] = after[i] - before[i];
}

/* Whether the next call is one of those that are looked at; what was counted before it. */
static bool look(const struct perf *p, struct sampled *calls, uint64_t *before)
{
	if (p->counters < 0 || calls->calls++ % SAMPLING)
		return false;
	counted(p, before);

	return true;
}

static void looked(const struct perf *p, struct sampled *calls, const uint64_t *before,
		   unsigned int n)
{
	uint64_t after[NCOUNTERS];

	counted(p, after);
	for (unsigned int i = 0; i < NCOUNTERS; i++)
		calls->counts[i] += after[i] - before[i] - p->overhead[i];
	calls->commands += n;
}

/* Of one command: to submit it, and to take its completion. */
static double count_each(const struct perf *p, unsigned int i)
{
	return (double)p->submits.counts[i] / (double)p->submits.commands +
	       (double)p->polls.counts[i] / (double)p->polls.commands;
}

/* xorshift64* */
static uint64_t random64(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;

	return *state * UINT64_C(0x2545f4914f6cdd1d);
}

static uint64_t next_block(struct perf *p)
{
	/* the upper half of the product is below nblocks, and no division is needed */
	if (!p->sequential)
		return (uint64_t)((unsigned __int128)random64(&p->random) * p->nblocks >> 64);
	if (p->next >= p->nblocks)
		p->next = 0;

	return p->next++;
}

/* All of them; the controller learns of them from the next poll. */
static void submit(struct perf *p, struct slot **ready, unsigned int n)
{
	uint32_t lbas = (uint32_t)(p->block_size / p->ns.block_size);
	struct nvme_sq *sq = &p->ctrl.sq[QID];
	uint64_t slba[COMMANDS_MAX], before[NCOUNTERS], start;
	bool looking;

	for (unsigned int i = 0; i < n; i++)
		slba[i] = next_block(p) * lbas;

	looking = look(p, &p->submits, before);
	start = get_ticks();
	for (unsigned int i = 0; i < n; i++) {
		ready[i]->submitted = start;
		if (vfn_nvme_io_submit(sq, &p->io, slba[i], lbas, ready[i]->data, ready[i]))
			die_vfn("cannot submit a command");
	}
	p->cost += get_ticks() - start;
	if (looking)
		looked(p, &p->submits, before, n);
	p->inflight += n;
}

/* Take what has completed; while the time lasts, it goes out again at once. */
static unsigned int reap(struct perf *p, uint64_t deadline)
{
	struct slot *ready[COMMANDS_MAX];
	struct vfn_nvme_done done[COMMANDS_MAX];
	uint64_t before[NCOUNTERS], start, now;
	bool looking = look(p, &p->polls, before);
	int n;

	start = get_ticks();
	n = vfn_nvme_io_poll(&p->ctrl.sq[QID], done, COMMANDS_MAX);
	if (!n)
		return 0;

	now = get_ticks();
	if (looking)
		looked(p, &p->polls, before, (unsigned int)n);
	p->cost += now - start;
	for (int i = 0; i < n; i++) {
		if (!nvme_cqe_ok(&done[i].cqe))
			die_status(&done[i].cqe, "%s", p->write ? "write" : "read");
		ready[i] = done[i].opaque;
		account(&p->stats, now - ready[i]->submitted);
	}
	p->inflight -= (unsigned int)n;

	if (now < deadline)
		submit(p, ready, (unsigned int)n);

	return (unsigned int)n;
}

/* Returns the ticks that it took. */
static uint64_t run(struct perf *p)
{
	uint64_t second = vfn_ticks_freq(), start, now, last, deadline, tell, told = 0;
	bool terminal = isatty(STDERR_FILENO);

	start = now = last = get_ticks();
	deadline = start + p->seconds * second;
	tell = start + second;

	while (p->inflight < p->depth) {
		struct slot *slot = &slots[p->inflight];

		slot->data = (char *)p->buffer.vaddr + p->inflight * p->block_size;
		submit(p, &slot, 1);
	}

	while (p->inflight) {
		unsigned int n = reap(p, deadline);

		now = get_ticks();
		if (n)
			last = now;
		else if (now - last > TIMEOUT_S * second)
			die("no completion within %d s", TIMEOUT_S);

		if (terminal && now >= tell && now < deadline) {
			fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " s: %" PRIu64 " IOPS  ",
				(now - start) / second, p->seconds, p->stats.n - told);
			told = p->stats.n;
			tell += second;
		}
	}
	if (terminal)
		fprintf(stderr, "\r%40s\r", "");

	return now - start;
}

static double us(uint64_t ticks)
{
	return (double)ticks * 1e6 / (double)vfn_ticks_freq();
}

static void report(const struct perf *p, uint64_t ticks)
{
	double seconds = us(ticks) / 1e6, iops = (double)p->stats.n / seconds;

	printf("%s %s of %s at queue depth %" PRIu64 " for %.1f s: %.0f IOPS, %.1f MiB/s\n",
	       p->sequential ? "sequential" : "random", p->write ? "write" : "read",
	       size_text(p->block_size), p->depth, seconds, iops,
	       iops * (double)p->block_size / (1 << 20));
	printf("latency in us: average %.1f, 50%% %.1f, 90%% %.1f, 99%% %.1f, 99.9%% %.1f, maximum %.1f\n",
	       us(p->stats.sum) / (double)p->stats.n, us(percentile(&p->stats, 50)),
	       us(percentile(&p->stats, 90)), us(percentile(&p->stats, 99)),
	       us(percentile(&p->stats, 99.9)), us(p->stats.max));
	printf("CPU time in the library: %.0f ns", us(p->cost) * 1e3 / (double)p->stats.n);
	if (p->submits.commands && p->polls.commands)
		printf(", %.0f instructions, %.0f cycles", count_each(p, INSTRUCTIONS),
		       count_each(p, CYCLES));
	printf(" a command\n");
}

static void prepare(struct perf *p, const char *bdf, uint32_t nsid)
{
	if (nvme_init(&p->ctrl, bdf, NULL))
		die_vfn("cannot initialise the controller");
	get_namespace(&p->ctrl, nsid, &p->ns);

	if (p->block_size % p->ns.block_size)
		usage_error("--block-size: not a multiple of the namespace's %u bytes",
			    p->ns.block_size);
	if (p->block_size > p->ns.max_transfer)
		usage_error("--block-size: a command transfers %s at the most",
			    size_text(p->ns.max_transfer));
	if (p->depth > (uint64_t)p->ctrl.config.mqes)
		usage_error("--depth: the controller takes %d at the most", p->ctrl.config.mqes);
	p->nblocks = p->ns.blocks / (p->block_size / p->ns.block_size);
	if (!p->nblocks)
		usage_error("--block-size: the namespace is smaller");

	if (nvme_create_ioqpair(&p->ctrl, QID, (int)p->depth + 1, -1, 0))
		die_vfn("cannot create queues");
	if (iommu_get_dmabuf(__iommu_ctx(&p->ctrl), &p->buffer, p->depth * p->block_size, 0))
		die_vfn("no memory");
	if (vfn_nvme_io_prep(&p->io, &p->ctrl, p->write ? nvme_cmd_write : nvme_cmd_read,
			     p->ns.nsid, (unsigned int)__builtin_ctz(p->ns.block_size)))
		die_vfn("cannot prepare the commands");
}

int main(int argc, char **argv)
{
	static struct perf p = { .block_size = 4096, .depth = 32, .seconds = 5 };
	uint64_t nsid = 1, seed = 1, ticks;
	const struct option_spec options[] = {
		{ 'n', "namespace", "NSID", "namespace (default 1)", .number = &nsid, .min = 1,
		  .max = 0xfffffffe },
		{ 'q', "depth", "N", "commands in flight (default 32)", .number = &p.depth,
		  .min = 1, .max = sizeof(slots) / sizeof(slots[0]) },
		{ 'b', "block-size", "BYTES", "bytes of a command, with K or M (default 4K)",
		  .size = &p.block_size, .min = 512, .max = 1 << 30 },
		{ 't', "time", "SECONDS", "how long (default 5)", .number = &p.seconds, .min = 1,
		  .max = 86400 },
		{ 's', "sequential", NULL, "one block after the other instead of at random",
		  .flag = &p.sequential },
		{ 'w', "write", NULL, "write instead of read; WHAT WAS THERE IS LOST",
		  .flag = &p.write },
		{ 'S', "seed", "N", "of the random numbers (default 1)", .number = &seed, .min = 1,
		  .max = UINT64_MAX },
		{},
	};
	const char *bdf = parse_options(argc, argv,
					"Measure how fast a namespace is read or written.",
					options);

	p.random = seed;
	prepare(&p, bdf, (uint32_t)nsid);
	open_counters(&p);
	ticks = run(&p);
	report(&p, ticks);

	iommu_put_dmabuf(&p.buffer);
	nvme_close(&p.ctrl);

	return 0;
}
