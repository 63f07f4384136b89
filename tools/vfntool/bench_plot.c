// SPDX-License-Identifier: GPL-2.0-or-later
/* The picture of vfntool bench: for each kind and size of load two panels, with a line for each engine and number of threads. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "plot.h"

#define WIDTH 980
#define PANEL_WIDTH 370
#define PANEL_HEIGHT 210
#define ROW_HEIGHT 310
#define LEGEND_WIDTH 225
#define LEGEND_HEIGHT 20
#define PER_LINE 4

/* Combinations that rows have, in the order of their first. */
struct groups {
	unsigned int n;
	struct {
		unsigned int a, b;
	} of[64];
};

static unsigned int group_of(struct groups *g, unsigned int a, unsigned int b)
{
	unsigned int i;

	for (i = 0; i < g->n; i++) {
		if (g->of[i].a == a && g->of[i].b == b)
			return i;
	}
	if (g->n == sizeof(g->of) / sizeof(g->of[0]))
		return 0;
	g->of[i].a = a;
	g->of[i].b = b;
	g->n++;

	return i;
}

static int by_x(const void *a, const void *b)
{
	const struct plot_point *p = a, *q = b;

	return (p->x > q->x) - (p->x < q->x);
}

/* One of the lines of a panel: its points from left to right. */
static void get_line(const struct bench *bench, const struct bench_row *like, bool latency,
		     struct plot_line *line)
{
	line->n = 0;
	for (unsigned int i = 0; i < bench->n && line->n < PLOT_POINTS; i++) {
		const struct bench_row *row = &bench->rows[i];

		if (row->op != like->op || row->bs != like->bs || row->engine != like->engine ||
		    row->threads != like->threads)
			continue;
		line->points[line->n++] = (struct plot_point){
			.x = row->iodepth,
			.y = latency ? row->average : row->iops,
		};
	}
	qsort(line->points, line->n, sizeof(line->points[0]), by_x);
}

static void set_range(const struct bench *bench, struct plot_panel *p, unsigned int op,
		      unsigned int bs, bool latency)
{
	double most = 0;

	p->xmin = 1e9;
	p->xmax = 1;
	for (unsigned int i = 0; i < bench->n; i++) {
		const struct bench_row *row = &bench->rows[i];
		double y = latency ? row->average : row->iops;

		p->xmin = row->iodepth < p->xmin ? row->iodepth : p->xmin;
		p->xmax = row->iodepth > p->xmax ? row->iodepth : p->xmax;
		if (row->op == op && row->bs == bs && y > most)
			most = y;
	}
	p->xmin = plot_power_below(p->xmin);
	p->ymax = plot_round(most);
}

static void style(struct plot_line *line, unsigned int engine, unsigned int threads,
		  unsigned int number)
{
	line->colour = engine;
	line->dash = number;
	snprintf(line->name, sizeof(line->name), "%s, %u thread%s", engine ? "kernel" : "libvfn",
		 threads, threads > 1 ? "s" : "");
}

static void draw_panel(FILE *out, const struct bench *bench, const struct groups *lines,
		       const struct groups *threads, unsigned int op, unsigned int bs, bool latency,
		       double top)
{
	struct plot_panel p = { .left = latency ? 580 : 80,
				.top = top,
				.width = PANEL_WIDTH,
				.height = PANEL_HEIGHT,
				.xname = "requests at a time, per thread" };
	struct groups own = *threads;
	char title[96];

	snprintf(title, sizeof(title), "%s, %u bytes: %s", load_names[op], bs,
		 latency ? "average latency" : "requests per second");
	p.title = title;
	p.yname = latency ? "microseconds" : "per second";
	set_range(bench, &p, op, bs, latency);
	plot_panel(out, &p, 1);
	for (unsigned int i = 0; i < lines->n; i++) {
		struct bench_row like = {
			.op = op, .bs = bs, .engine = lines->of[i].a, .threads = lines->of[i].b
		};
		struct plot_line line;

		style(&line, like.engine, like.threads, group_of(&own, like.threads, 0));
		get_line(bench, &like, latency, &line);
		if (line.n)
			plot_line(out, &p, &line);
	}
}

static void draw_legend(FILE *out, const struct groups *lines, const struct groups *threads)
{
	struct groups own = *threads;

	for (unsigned int i = 0; i < lines->n; i++) {
		struct plot_line line;

		style(&line, lines->of[i].a, lines->of[i].b, group_of(&own, lines->of[i].b, 0));
		plot_legend(out, 60 + i % PER_LINE * (double)LEGEND_WIDTH,
			    52 + (double)(i / PER_LINE) * LEGEND_HEIGHT, &line);
	}
}

static void draw(FILE *out, const struct bench *bench)
{
	struct groups panels = {}, lines = {}, threads = {};
	const char *model = bench->b.info.model;
	char title[128];
	double top;

	for (unsigned int i = 0; i < bench->n; i++) {
		const struct bench_row *row = &bench->rows[i];

		group_of(&panels, row->op, row->bs);
		group_of(&lines, row->engine, row->threads);
		group_of(&threads, row->threads, 0);
	}
	top = 100 + (double)((lines.n - 1) / PER_LINE) * LEGEND_HEIGHT;

	snprintf(title, sizeof(title), "%s, %s", bench->b.name, model);
	plot_begin(out, WIDTH, (unsigned int)top + panels.n * ROW_HEIGHT - 40, title);
	draw_legend(out, &lines, &threads);
	for (unsigned int i = 0; i < panels.n; i++, top += ROW_HEIGHT) {
		for (int latency = 0; latency < 2; latency++)
			draw_panel(out, bench, &lines, &threads, panels.of[i].a, panels.of[i].b,
				   latency, top);
	}
	plot_end(out);
}

int bench_plot(const struct bench *bench)
{
	const char *path = bench->req->values[OPT_PLOT].text;
	FILE *file = fopen(path, "we");
	bool whole;

	if (!file)
		return complain("%s: %s", path, strerror(errno));
	draw(file, bench);
	whole = !ferror(file);

	return fclose(file) || !whole ? complain("%s: %s", path, strerror(errno)) : EXIT_SUCCESS;
}
