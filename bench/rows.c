// SPDX-License-Identifier: GPL-2.0-or-later
/* The rows: every case by queue depth, size, and ways to ring. */
#include <stdio.h>
#include <stdlib.h>

#include "measure.h"

static const unsigned int depths[] = { 1, 2, 4, 8, 32, 128 };
static const size_t lens[] = { 512, 4096, 128 << 10, 1 << 20 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What the table shows: enough to compare sizes, ways to ring, and one command at a time with many. */
static bool important(const struct row *row)
{
	if (row->depth == 1)
		return row->len < 1 << 20 && !row->each && !row->shadow;
	if (row->depth == 32)
		return row->shadow ? row->len == 512 : !row->each || row->len <= 4096;

	return false;
}

void for_each_row(bool all, void (*fn)(struct ring *r, const struct row *row), struct ring *r)
{
	const unsigned int n = COUNT(depths) * COUNT(lens) * 4 * bench_ncases;

	for (unsigned int i = 0; i < n; i++) {
		unsigned int at = i / bench_ncases;
		struct row row = {
			.c = &bench_cases[i % bench_ncases],
			.depth = depths[at % COUNT(depths)],
			.len = lens[at / COUNT(depths) % COUNT(lens)],
			.each = at / COUNT(depths) / COUNT(lens) % 2,
			.shadow = at / COUNT(depths) / COUNT(lens) / 2,
		};

		if ((all || important(&row)) && !(row.shadow && row.c->no_shadow))
			fn(r, &row);
	}
}

void row_print(const struct row *row)
{
	printf("\"case\": \"%s\", \"what\": \"%s\", \"each\": %s, \"shadow\": %s, \"depth\": %u, "
	       "\"bytes\": %zu",
	       row->c->name, row->c->what, row->each ? "true" : "false",
	       row->shadow ? "true" : "false", row->depth, row->len);
}

void row_verify(struct ring *r, const struct row *row, unsigned int rounds)
{
	while (rounds--) {
		row->c->submit(r, row->depth, row->each);
		if (controller_verify(r, row->c->name, row->depth, row->c->sgl))
			exit(1);
		row->c->complete(r, row->depth);
		for (unsigned int i = 0; i < row->depth; i++) {
			const void *opaque = row->c->by_request ? r->ended[i]->opaque :
								  r->done[i].opaque;

			if (opaque == ring_context(r, i))
				continue;
			fprintf(stderr, "bench: %s: completion %u has a wrong pointer\n",
				row->c->name, i);
			exit(1);
		}
	}
}
