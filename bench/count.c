// SPDX-License-Identifier: GPL-2.0-or-later
/* Rows for those who look from outside: callgrind, which counts instructions, and lackey, which prints accesses. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "measure.h"

#define COUNTED_IOS 1024
#define PAGE 4096UL
#define TRACED_ROUNDS 8
#define TRACED_IOS 256

/* Functions that callgrind knows by name: counts start at 0 at the first, and are written at the second. */
void row_begin(void);
void row_end(void);

__attribute__((noinline)) void row_begin(void)
{
	__asm__ __volatile__("");
}

__attribute__((noinline)) void row_end(void)
{
	__asm__ __volatile__("");
}

static void start(struct ring *r, const struct row *row)
{
	ring_set(r, row->len, row->shadow);
	if (row->c->prepare && row->c->prepare(r)) {
		fprintf(stderr, "bench: %s cannot be prepared\n", row->c->name);
		exit(1);
	}
	row_verify(r, row, 1);
}

static void finish(struct ring *r, const struct row *row)
{
	if (row->c->finish)
		row->c->finish(r);
}

static void verify(struct ring *r, const struct row *row)
{
	start(r, row);
	row_verify(r, row, 2 * QUEUE_ENTRIES / row->depth);
	finish(r, row);
}

static void count(struct ring *r, const struct row *row)
{
	unsigned int rounds = COUNTED_IOS / row->depth;

	start(r, row);
	row_begin();
	for (unsigned int i = 0; i < rounds; i++) {
		row->c->submit(r, row->depth, row->each);
		controller_serve(r);
		row->c->complete(r, row->depth);
		row->c->idle_submit(r, row->depth, row->each);
		row->c->idle_complete(r, row->depth);
	}
	row_end();
	finish(r, row);

	printf("{");
	row_print(row);
	printf(", \"ios\": %u}\n", rounds * row->depth);
}

static inline void mark(uint32_t *where)
{
	barrier();
	*(volatile uint32_t *)where = 1;
	barrier();
}

/* Between two marks of the window are accesses that count; those of the first round are the loops' own. */
static void trace(struct ring *r, const struct row *row)
{
	struct doorbells *d = &r->doorbells;
	unsigned int rounds = TRACED_IOS / row->depth;

	start(r, row);
	mark(&d->mark_window);
	row->c->idle_submit(r, row->depth, row->each);
	row->c->idle_complete(r, row->depth);
	mark(&d->mark_window);
	mark(&d->mark_round);
	for (unsigned int i = 0; i < rounds && i < TRACED_ROUNDS; i++) {
		mark(&d->mark_window);
		row->c->submit(r, row->depth, row->each);
		mark(&d->mark_window);
		controller_serve(r);
		mark(&d->mark_window);
		row->c->complete(r, row->depth);
		mark(&d->mark_window);
		mark(&d->mark_round);
	}
	mark(&d->mark_row);
	finish(r, row);

	printf("{");
	row_print(row);
	printf("}\n");
}

/* Over the end of the queues, once to warm up. */
static void trace_rounds(struct ring *r, const struct row *row, struct doorbells *marks)
{
	for (unsigned int i = 0; i < 4 * QUEUE_ENTRIES / row->depth; i++) {
		bool warm = i >= 2 * QUEUE_ENTRIES / row->depth;

		if (warm)
			mark(&marks->mark_window);
		row->c->submit(r, row->depth, row->each);
		if (warm)
			mark(&marks->mark_window);
		controller_serve(r);
		if (warm)
			mark(&marks->mark_window);
		row->c->complete(r, row->depth);
		if (warm)
			mark(&marks->mark_window);
	}
}

/* By the calls that cost least and by the contract's. */
static void trace_queue(struct ring *r, struct doorbells *marks)
{
	static const char *const names[] = { "io", "vaddr" };

	for (unsigned int i = 0; i < 2; i++) {
		const struct row row = { .c = bench_case(names[i]), .depth = 32, .len = 128 << 10 };

		ring_set(r, row.len, false);
		trace_rounds(r, &row, marks);
	}
	mark(&marks->mark_round);
}

struct other {
	struct ring *r;
	struct doorbells *marks;
};

static void *trace_other(void *opaque)
{
	const struct other *other = opaque;

	trace_queue(other->r, other->marks);
	return NULL;
}

void measure_contents(struct ring *r)
{
	for_each_row(true, verify, r);
}

/* Each byte that a controller reads, one after the other, is not what it was; -1 if nobody notices. */
static int spoil(struct ring *r, const struct row *row, void *start, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t *byte = (uint8_t *)start + i;
		bool noticed;

		/* any identifier that is free is a good one */
		if (byte == (uint8_t *)&r->sqes[r->dev_head].cid)
			continue;
		*byte ^= 1;
		noticed = controller_verify(r, row->c->name, row->depth, row->c->sgl);
		*byte ^= 1;
		if (!noticed) {
			fprintf(stderr, "bench: %s: nobody notices another byte %zu\n",
				row->c->name, i);
			return -1;
		}
	}

	return 0;
}

static void spoil_row(struct ring *r, const struct row *row)
{
	union nvme_cmd *cmd;
	bool list;
	int ret;

	if (row->depth > 1)
		return;
	start(r, row);
	row->c->submit(r, 1, row->each);
	cmd = &r->sqes[r->dev_head];
	list = !row->c->sgl && row->len > 2 * PAGE;
	ret = spoil(r, row, cmd, sizeof(*cmd));
	if (!ret && list)
		ret = spoil(r, row, rig_reach(le64_to_cpu(cmd->dptr.prp2)),
			    (row->len / PAGE - 1) * sizeof(leint64_t));
	if (!ret)
		ret = spoil(r, row, (void *)r->tail_word, sizeof(*r->tail_word));
	if (ret)
		exit(1);
	controller_serve(r);
	row->c->complete(r, 1);
	finish(r, row);
}

void measure_spoiled(struct ring *r)
{
	for_each_row(true, spoil_row, r);
}

void measure_counts(struct ring *r, bool all)
{
	for_each_row(all, count, r);
}

static void print_marks(const struct doorbells *d)
{
	printf("{\"window\": %zu, \"round\": %zu, \"row\": %zu, \"ignore\": [%zu, %zu]}\n",
	       (size_t)&d->mark_window, (size_t)&d->mark_round, (size_t)&d->mark_row, (size_t)d,
	       sizeof(*d));
	fflush(stdout);
}

void measure_lines(struct ring *r, bool all)
{
	print_marks(&r->doorbells);
	for_each_row(all, trace, r);
}

/* One after the other, as a trace does not say which thread it is; both have a stack. */
void measure_shared(struct ring *a, struct ring *b)
{
	struct doorbells *marks = &a->doorbells;
	struct other other = { b, marks };
	pthread_t thread;

	print_marks(marks);
	trace_queue(a, marks);
	if (pthread_create(&thread, NULL, trace_other, &other))
		exit(1);
	pthread_join(thread, NULL);
	mark(&marks->mark_row);
}
