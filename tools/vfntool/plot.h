/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pictures, as SVG. */
#ifndef VFNTOOL_PLOT_H
#define VFNTOOL_PLOT_H

#include <stdbool.h>
#include <stdio.h>

#define PLOT_POINTS 32

struct plot_point {
	double x, y;
};

/* A line of a panel; those of the same @colour belong together, and differ by @dash. */
struct plot_line {
	char name[64];
	unsigned int colour, dash;
	unsigned int n;
	struct plot_point points[PLOT_POINTS];
};

/* A part of the picture: its place, what it shows, and how far. x goes in powers of two. */
struct plot_panel {
	double left, top, width, height;
	const char *title, *xname, *yname;
	double xmin, xmax, ymax;
};

void plot_begin(FILE *out, unsigned int width, unsigned int height, const char *title);
void plot_end(FILE *out);
/* The frame, with grid and numbers; @ticks of x for each power of two where it is 1. */
void plot_panel(FILE *out, const struct plot_panel *p, unsigned int every);
void plot_line(FILE *out, const struct plot_panel *p, const struct plot_line *line);
/* A bar from @x0 to @x1, and a mark with a text at the top. */
void plot_bar(FILE *out, const struct plot_panel *p, double x0, double x1, double y);
void plot_mark(FILE *out, const struct plot_panel *p, double x, unsigned int row, const char *text);
/* A line of the legend. */
void plot_legend(FILE *out, double x, double y, const struct plot_line *line);

/* The end of an axis for values up to @most: 1, 2 or 5 times a power of ten. */
double plot_round(double most);
/* The next power of two that is not more, or not less. */
double plot_power_below(double x);
double plot_power_above(double x);

#endif /* VFNTOOL_PLOT_H */
