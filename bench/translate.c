// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What an address space costs: translation, mapping and unmapping, over the number of
 * mappings of a page each, on the fake kernel. bench.py makes a table of it.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <vfn/iommu.h>
#include <vfn/support/align.h>
#include <vfn/support/atomic.h>
#include <vfn/support/log.h>
#include <vfn/vfio.h>

#include "emu.h"
#include "iommu/context.h"

#define PAGE 4096UL
#define MAPS_MAX 1000000UL
#define SPARE_PAGES 4096UL

/* All pages of the address range are these, so that they fit in memory and caches. */
#define FILE_BYTES (2UL << 20)

/* Addresses to look up; the array itself is read from front to back. */
#define LOOKUPS 65536UL
#define ROUNDS 21
#define TURNS 3

static struct vfio_pci_device pci;
static struct iommu_ctx *ctx;
static char *mem, *spare;
static void *addresses[LOOKUPS];
static uint32_t order[MAPS_MAX];
static uint64_t words[MAPS_MAX];
static unsigned int stop;

static void check(bool ok, const char *what)
{
	if (ok)
		return;

	fprintf(stderr, "bench-translate: %s: %s\n", what, vfn_last_error());
	_exit(1);
}

static uint64_t below(uint64_t n)
{
	static uint64_t seed = 88172645463325252ULL;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;

	return seed % n;
}

static double clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);

	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* ------------------------------------------------------------- translation */

/* What a thread measures: ns for each of LOOKUPS. */
struct reader {
	pthread_t thread;
	unsigned int cpu;
	void (*fn)(void);
	double ns;
};

static void translate_all(void)
{
	uint64_t sum = 0;
	iova_t iova;

	for (size_t i = 0; i < LOOKUPS; i++) {
		if (!iommu_translate_vaddr(ctx, addresses[i], &iova))
			check(false, "lookup");
		sum += iova;
	}
	__asm__ volatile("" ::"r"(sum));
}

/* What the machine itself needs to read as many words at such places. */
static void read_all(void)
{
	for (size_t i = 0; i < LOOKUPS; i++)
		(void)*(volatile uint64_t *)&words[((char *)addresses[i] - mem) / PAGE];
}

/* The least disturbed of many rounds: each is shorter than what other programs take at once. */
static void *read_rounds(void *arg)
{
	struct reader *r = arg;

	r->ns = 1e9;
	for (unsigned int i = 0; i < ROUNDS; i++) {
		const double start = clock_ns(CLOCK_MONOTONIC);
		double ns;

		r->fn();
		ns = (clock_ns(CLOCK_MONOTONIC) - start) / LOOKUPS;
		if (ns < r->ns)
			r->ns = ns;
	}

	return NULL;
}

static void pin_to(pthread_t thread, unsigned int cpu)
{
	const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % (unsigned int)cpus, &set);
	(void)pthread_setaffinity_np(thread, sizeof(set), &set);
}

/* ns per lookup of each of @threads at the same time. */
static double run_readers(unsigned int threads, void (*fn)(void))
{
	struct reader readers[2] = {};
	double ns = 0;

	for (unsigned int i = 0; i < threads; i++) {
		readers[i].fn = fn;
		check(!pthread_create(&readers[i].thread, NULL, read_rounds, &readers[i]),
		      "thread");
		pin_to(readers[i].thread, i);
	}
	for (unsigned int i = 0; i < threads; i++) {
		pthread_join(readers[i].thread, NULL);
		ns += readers[i].ns / threads;
	}

	return ns;
}

static void *map_and_unmap(void *arg)
{
	for (unsigned int i = 0; !atomic_load_acquire(&stop); i++) {
		char *page = spare + i % SPARE_PAGES * PAGE;

		check(!iommu_map_vaddr(ctx, page, PAGE, NULL, IOMMU_MAP_EPHEMERAL), "map");
		check(!iommu_unmap_vaddr(ctx, page, NULL), "unmap");
	}

	return NULL;
}

static double run_beside_mapper(unsigned int threads, void (*fn)(void))
{
	pthread_t mapper;
	double ns;

	stop = 0;
	check(!pthread_create(&mapper, NULL, map_and_unmap, NULL), "thread");
	pin_to(mapper, 1);
	ns = run_readers(threads, fn);
	atomic_inc(&stop);
	pthread_join(mapper, NULL);

	return ns;
}

static void choose_addresses(size_t pages)
{
	for (size_t i = 0; i < LOOKUPS; i++)
		addresses[i] = mem + below(pages) * PAGE + below(PAGE);
}

static void keep_least(double *least, double value, bool first)
{
	if (first || value < *least)
		*least = value;
}

/*
 * One thread and two, without and with another one that maps and unmaps: ns per lookup.
 * All take turns, as clocks are not steady.
 */
static void bench_lookups(size_t maps)
{
	static const char *const names[] = { "one", "two", "one_with_mapper", "two_with_mapper" };
	double memory[4], lookup[4];

	choose_addresses(1);
	printf(", \"same_page\": %.2f", run_readers(1, translate_all));

	choose_addresses(maps);
	for (unsigned int i = 0; i < 4 * TURNS; i++) {
		double (*run)(unsigned int, void (*)(void)) = i % 4 < 2 ? run_readers :
									  run_beside_mapper;
		const unsigned int threads = i % 2 + 1;

		keep_least(&memory[i % 4], run(threads, read_all), i < 4);
		keep_least(&lookup[i % 4], run(threads, translate_all), i < 4);
	}
	for (unsigned int i = 0; i < 4; i++)
		printf(", \"%s\": {\"memory\": %.2f, \"lookup\": %.2f}", names[i], memory[i],
		       lookup[i]);
}

/* ----------------------------------------------------- mapping and unmapping */

/* A kernel that does nothing: what is left is the library's own part. */
static int do_nothing(struct iommu_ctx *c, const struct iommu_extent *ext)
{
	return 0;
}

static int map_nothing(struct iommu_ctx *c, const struct iommu_extent *ext,
		       const struct iommu_file *file)
{
	return 0;
}

static void map_all(size_t maps)
{
	for (size_t i = 0; i < maps; i++)
		check(!iommu_map_vaddr(ctx, mem + i * PAGE, PAGE, NULL, 0), "map");
}

static void unmap_all(size_t maps)
{
	for (size_t i = 0; i < maps; i++)
		check(!iommu_unmap_vaddr(ctx, mem + order[i] * PAGE, NULL), "unmap");
}

static void put_in_order(size_t maps)
{
	for (size_t i = 0; i < maps; i++)
		order[i] = (uint32_t)i;
}

static void shuffle(size_t maps)
{
	for (size_t i = maps; i > 1; i--) {
		const size_t j = below(i);
		const uint32_t v = order[i - 1];

		order[i - 1] = order[j];
		order[j] = v;
	}
}

struct cost {
	double map, unmap;
};

/* All mapped and unmapped, as often as few of them take; without the time of other programs. */
static struct cost cycle(size_t maps)
{
	const size_t rounds = maps < 100000 ? 100000 / maps : 1;
	const double n = (double)(rounds * maps);
	struct cost cost = {};

	for (size_t i = 0; i < rounds; i++) {
		const double start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		double mapped;

		map_all(maps);
		mapped = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		unmap_all(maps);
		cost.map += (mapped - start) / n;
		cost.unmap += (clock_ns(CLOCK_THREAD_CPUTIME_ID) - mapped) / n;
	}

	return cost;
}

static void bench_maps(size_t maps)
{
	static const struct iommu_ops no_kernel = { .map = map_nothing, .unmap = do_nothing };
	const struct iommu_ops *ops = ctx->ops;
	struct cost cost;

	/* the first time makes the tables, which stay */
	put_in_order(maps);
	ctx->ops = &no_kernel;
	cycle(maps);
	cost = cycle(maps);
	printf(", \"library\": {\"map\": %.2f, \"unmap\": %.2f", cost.map, cost.unmap);
	shuffle(maps);
	printf(", \"unmap_in_no_order\": %.2f}", cycle(maps).unmap);

	put_in_order(maps);
	ctx->ops = ops;
	cost = cycle(maps);
	printf(", \"map\": %.2f, \"unmap\": %.2f", cost.map, cost.unmap);
}

/* ------------------------------------------------------------------- set-up */

/* Address space for a million pages, which are but a few. */
static void make_memory(void)
{
	const size_t len = ALIGN_UP((MAPS_MAX + SPARE_PAGES) * PAGE, FILE_BYTES);
	int fd = memfd_create("bench", MFD_CLOEXEC);

	check(fd >= 0 && !ftruncate(fd, FILE_BYTES), "memfd");
	mem = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	check(mem != MAP_FAILED, "mmap");
	for (size_t at = 0; at < len; at += FILE_BYTES)
		check(mmap(mem + at, FILE_BYTES, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0) != MAP_FAILED,
		      "mmap");
	spare = mem + MAPS_MAX * PAGE;
	/* without this it is one page of zeros */
	memset(words, 1, sizeof(words));
}

int main(void)
{
	static const size_t counts[] = { 1, 100, 1000, 10000, 100000, MAPS_MAX };

	make_memory();
	emu_init();
	emu_iommu()->dma_entry_limit = MAPS_MAX + SPARE_PAGES;
	emu_pci_add(NULL);
	check(!vfio_pci_open(&pci, EMU_BDF), "open");
	ctx = pci.dev.ctx;

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		printf("{\"mappings\": %zu", counts[i]);
		/* a single one takes no time that could be told */
		if (counts[i] > 1)
			bench_maps(counts[i]);
		map_all(counts[i]);
		bench_lookups(counts[i]);
		unmap_all(counts[i]);
		printf("}\n");
	}

	return vfio_pci_close(&pci) ? 1 : 0;
}
