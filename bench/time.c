// SPDX-License-Identifier: GPL-2.0-or-later
/* Nanoseconds per I/O: on one core, and on two of them at once. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <vfn/support/ticks.h>

#include "measure.h"

#define REPEATS 15
#define TIMED_IOS 16384
#define TIMED_BYTES (1UL << 30)

static double tick_ns;

/* What one repeat took, in ns per I/O: all of it in one go, then again with a look at the clock between the parts. */
struct sample {
	double all, submit, complete;
};

struct spread {
	double low, median, high;
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The median and the quartiles. */
static struct spread spread_of(double *values, unsigned int n)
{
	qsort(values, n, sizeof(*values), by_value);
	return (struct spread){ values[n / 4], values[n / 2], values[n - 1 - n / 4] };
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* The @nth CPU of those that this process may use, -1 if there are fewer. */
static int allowed_cpu(const cpu_set_t *set, int nth)
{
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, set) && !nth--)
			return cpu;

	return -1;
}

/* Without a driver the controller finds what an earlier round left. */
static void submit(struct ring *r, const struct row *row, bool idle)
{
	if (!idle) {
		row->c->submit(r, row->depth, row->each);
		return;
	}
	row->c->idle_submit(r, row->depth, row->each);
	*r->tail_word = (*r->tail_word + row->depth) % QUEUE_ENTRIES;
}

static void complete(struct ring *r, const struct row *row, bool idle)
{
	if (idle)
		row->c->idle_complete(r, row->depth);
	else
		row->c->complete(r, row->depth);
}

static void round_of(struct ring *r, const struct row *row, bool idle)
{
	submit(r, row, idle);
	controller_serve(r);
	complete(r, row, idle);
}

/* After that: the queues are where the controller is. */
static void catch_up(struct ring *r)
{
	r->sq->tail = r->sq->ptail = (uint16_t)r->dev_head;
	r->cq->head = r->cq->phead = (uint16_t)r->dev_tail;
	r->cq->phase = !r->dev_phase;
	*r->head_word = r->dev_tail;
}

static unsigned int rounds_of(const struct row *row)
{
	size_t ios = TIMED_BYTES / row->len;

	return (unsigned int)((ios < TIMED_IOS ? ios : TIMED_IOS) / row->depth);
}

static double time_all(struct ring *r, const struct row *row, bool idle)
{
	unsigned int rounds = rounds_of(row);
	uint64_t start;

	/* to warm up */
	for (unsigned int i = 0; i < rounds / 4; i++)
		round_of(r, row, idle);
	start = get_ticks();
	for (unsigned int i = 0; i < rounds; i++)
		round_of(r, row, idle);

	return (double)(get_ticks() - start) * tick_ns / (rounds * row->depth);
}

static void time_parts(struct ring *r, const struct row *row, bool idle, struct sample *s)
{
	unsigned int rounds = rounds_of(row);
	uint64_t submitting = 0, completing = 0;
	double scale = tick_ns / (rounds * row->depth);

	for (unsigned int i = 0; i < rounds; i++) {
		uint64_t start = get_ticks();

		submit(r, row, idle);
		submitting += get_ticks() - start;
		controller_serve(r);
		start = get_ticks();
		complete(r, row, idle);
		completing += get_ticks() - start;
	}
	s->submit = (double)submitting * scale;
	s->complete = (double)completing * scale;
}

static void sample(struct ring *r, const struct row *row, struct sample *idle, struct sample *busy)
{
	ring_set(r, row->len, row->shadow);
	idle->all = time_all(r, row, true);
	time_parts(r, row, true, idle);
	catch_up(r);

	if (row->c->prepare && row->c->prepare(r))
		exit(1);
	busy->all = time_all(r, row, false);
	time_parts(r, row, false, busy);
	if (row->c->finish)
		row->c->finish(r);
}

static void print_spread(const char *name, struct spread s)
{
	printf(", \"%s\": [%.2f, %.2f, %.2f]", name, s.median, s.low, s.high);
}

/* Rows that are compared take turns, so that all of them meet the same weather. */
static struct row group[16];
static unsigned int ngroup;

static void time_group(struct ring *r)
{
	static struct sample idle[16][REPEATS], busy[16][REPEATS];
	double v[REPEATS];

	for (unsigned int n = 0; n < REPEATS; n++)
		for (unsigned int i = 0; i < ngroup; i++)
			sample(r, &group[i], &idle[i][n], &busy[i][n]);

	for (unsigned int i = 0; i < ngroup; i++) {
		printf("{");
		row_print(&group[i]);
#define PRINT(name, member, minus) \
	do { \
		for (unsigned int n = 0; n < REPEATS; n++) \
			v[n] = (member) - (minus); \
		print_spread(name, spread_of(v, REPEATS)); \
	} while (0)
		PRINT("driver", busy[i][n].all, idle[i][n].all);
		PRINT("submit", busy[i][n].submit, idle[i][n].submit);
		PRINT("complete", busy[i][n].complete, idle[i][n].complete);
		PRINT("controller", idle[i][n].all, 0);
#undef PRINT
		printf("}\n");
	}
	ngroup = 0;
}

static void collect(struct ring *r, const struct row *row)
{
	const struct row *first = &group[0];

	if (ngroup && (row->depth != first->depth || row->len != first->len ||
		       row->each != first->each || row->shadow != first->shadow))
		time_group(r);
	group[ngroup++] = *row;
}

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Not by the library, whose clock is the fake kernel's here. */
static void find_out_ticks(void)
{
	uint64_t ticks = get_ticks(), start = clock_ns(), ns;
	cpu_set_t set;

	sched_getaffinity(0, sizeof(set), &set);
	pin(allowed_cpu(&set, 0));
	do
		ns = clock_ns() - start;
	while (ns < 50000000);
	tick_ns = (double)ns / (double)(get_ticks() - ticks);
}

void measure_times(struct ring *r, bool all)
{
	find_out_ticks();
	for_each_row(all, collect, r);
	time_group(r);
}

/* ---- two threads ---- */

/*
 * One thread alone and both at once take turns, in short pieces: whoever else wants a
 * core spoils some of them only. What is compared with is the driver by hand, which is
 * as busy with memory and shares nothing.
 */
#define PIECES 512

static const char *const compared[] = { "io", "bound" };

struct worker {
	struct ring *r;
	bool first;
	int cpu;
	struct meeting *meeting;
	/* alone, and beside the other */
	double ns[2][2][PIECES];
};

/* Where both wait: asleep, so that the core is idle, and then awake, to start at the same time. */
struct meeting {
	pthread_barrier_t barrier;
	unsigned int awake;
};

static void start_together(struct meeting *m)
{
	unsigned int both;

	pthread_barrier_wait(&m->barrier);
	both = (__atomic_fetch_add(&m->awake, 1, __ATOMIC_ACQ_REL) / 2 + 1) * 2;
	while (__atomic_load_n(&m->awake, __ATOMIC_ACQUIRE) < both)
		sched_yield();
}

static double time_piece(struct ring *r, const struct row *row)
{
	double ns;

	if (row->c->prepare && row->c->prepare(r))
		exit(1);
	ns = time_all(r, row, false);
	if (row->c->finish)
		row->c->finish(r);

	return ns;
}

static void *work(void *opaque)
{
	struct worker *w = opaque;

	pin(w->cpu);
	for (unsigned int i = 0; i < PIECES * 2; i++) {
		unsigned int which = i % 2, piece = i / 2;
		const struct row row = { .c = bench_case(compared[which]),
					 .depth = 32,
					 .len = 512 };

		pthread_barrier_wait(&w->meeting->barrier);
		if (w->first)
			w->ns[which][0][piece] = time_piece(w->r, &row);
		start_together(w->meeting);
		w->ns[which][1][piece] = time_piece(w->r, &row);
	}

	return NULL;
}

void measure_threads(struct ring *a, struct ring *b, int cpu_a, int cpu_b)
{
	static struct worker w[2];
	struct meeting meeting = {};
	pthread_t thread[2];

	find_out_ticks();
	pthread_barrier_init(&meeting.barrier, NULL, 2);
	w[0] = (struct worker){ .r = a, .first = true, .cpu = cpu_a, .meeting = &meeting };
	w[1] = (struct worker){ .r = b, .cpu = cpu_b, .meeting = &meeting };
	for (unsigned int i = 0; i < 2; i++)
		if (pthread_create(&thread[i], NULL, work, &w[i]))
			exit(1);
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	pthread_barrier_destroy(&meeting.barrier);

	for (unsigned int which = 0; which < 2; which++) {
		const struct bench_case *c = bench_case(compared[which]);

		/* of both threads, as one may gain what the other loses */
		for (unsigned int i = 0; i < PIECES; i++)
			w[0].ns[which][1][i] = (w[0].ns[which][1][i] + w[1].ns[which][1][i]) / 2;
		printf("{\"case\": \"%s\", \"what\": \"%s\"", c->name, c->what);
		print_spread("one", spread_of(w[0].ns[which][0], PIECES));
		print_spread("two", spread_of(w[0].ns[which][1], PIECES));
		printf("}\n");
	}
}
