// SPDX-License-Identifier: GPL-2.0-or-later
/* Pictures, as SVG, of lines and bars. */
#include "plot.h"

#define GRID 5

static const char *const colours[] = { "#0b62a4", "#d95f02", "#1b7f4d", "#8a3ba0",
				       "#b3292e", "#6b6b00", "#3a3a3a", "#00868b" };
static const char *const dashes[] = { "", "6 3", "2 3", "9 3 2 3" };

#define NR(array) (sizeof(array) / sizeof(array[0]))

/* Text of others, for XML. */
static void put_xml(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '<' || *text == '&' || *text == '>')
			fprintf(out, "&#%d;", *text);
		else
			fputc(*text, out);
	}
}

static void put_label(FILE *out, double x, double y, const char *anchor, const char *style,
		      const char *text)
{
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"%s>", x, y, anchor, style);
	put_xml(out, text);
	fputs("</text>\n", out);
}

void plot_begin(FILE *out, unsigned int width, unsigned int height, const char *title)
{
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
		"font-family=\"DejaVu Sans, Verdana, sans-serif\" font-size=\"12\" fill=\"#222\">\n"
		"<rect width=\"%u\" height=\"%u\" fill=\"#fff\"/>\n",
		width, height, width, height);
	put_label(out, width / 2.0, 24, "middle", " font-size=\"16\"", title);
}

void plot_end(FILE *out)
{
	fputs("</svg>\n", out);
}

double plot_round(double most)
{
	double unit = 1;

	while (unit < most)
		unit *= 10;
	while (unit / 10 >= most && unit > 1e-3)
		unit /= 10;
	if (most <= unit / 5)
		return unit / 5;

	return most <= unit / 2 ? unit / 2 : unit;
}

double plot_power_below(double x)
{
	double power = 1;

	while (power > x && power > 1e-6)
		power /= 2;
	while (power * 2 <= x)
		power *= 2;

	return power;
}

double plot_power_above(double x)
{
	double power = plot_power_below(x);

	return power < x ? 2 * power : power;
}

/* Logarithm to the base of two, bit by bit; libm would be for this alone. */
static double log_of(double x)
{
	double power = plot_power_below(x), sum = 0, bit = 1;

	for (double p = power; p > 1; p /= 2)
		sum++;
	for (double p = power; p < 1; p *= 2)
		sum--;
	for (x /= power; bit > 1e-6; x *= x) {
		if (x >= 2) {
			x /= 2;
			sum += bit;
		}
		bit /= 2;
	}

	return sum;
}

static double x_of(const struct plot_panel *p, double x)
{
	double range = log_of(p->xmax / p->xmin);

	return p->left + (range > 0 ? p->width * log_of(x / p->xmin) / range : p->width / 2);
}

static double y_of(const struct plot_panel *p, double y)
{
	return p->top + p->height - p->height * y / p->ymax;
}

static void number_text(char text[32], double value)
{
	if (value >= 1e6)
		snprintf(text, 32, "%.3gM", value / 1e6);
	else if (value >= 1e4)
		snprintf(text, 32, "%.3gk", value / 1e3);
	else
		snprintf(text, 32, "%.4g", value);
}

static void put_rule(FILE *out, double x0, double y0, double x1, double y1, const char *colour)
{
	fprintf(out, "<path d=\"M%.1f %.1fL%.1f %.1f\" stroke=\"%s\" fill=\"none\"/>\n", x0, y0, x1,
		y1, colour);
}

void plot_panel(FILE *out, const struct plot_panel *p, unsigned int every)
{
	double right = p->left + p->width, bottom = p->top + p->height;
	char text[32], style[96];
	unsigned int n = 0;

	for (int i = 0; i <= GRID; i++) {
		double value = p->ymax * i / GRID, y = y_of(p, value);

		put_rule(out, p->left, y, right, y, i ? "#ddd" : "#222");
		number_text(text, value);
		put_label(out, p->left - 6, y + 4, "end", "", text);
	}
	for (double x = p->xmin; x <= p->xmax * 1.01; x *= 2, n++) {
		if (n % every)
			continue;
		put_rule(out, x_of(p, x), p->top, x_of(p, x), bottom, "#eee");
		number_text(text, x);
		put_label(out, x_of(p, x), bottom + 16, "middle", "", text);
	}
	put_rule(out, p->left, p->top, p->left, bottom, "#222");
	put_label(out, p->left + p->width / 2, p->top - 8, "middle", " font-weight=\"bold\"",
		  p->title);
	put_label(out, p->left + p->width / 2, bottom + 34, "middle", "", p->xname);
	snprintf(style, sizeof(style), " transform=\"rotate(-90 %.1f %.1f)\"", p->left - 52,
		 p->top + p->height / 2);
	put_label(out, p->left - 52, p->top + p->height / 2, "middle", style, p->yname);
}

static void put_stroke(FILE *out, const struct plot_line *line)
{
	fprintf(out,
		"\" stroke=\"%s\" stroke-width=\"2\" stroke-dasharray=\"%s\" fill=\"none\"/>\n",
		colours[line->colour % NR(colours)], dashes[line->dash % NR(dashes)]);
}

void plot_line(FILE *out, const struct plot_panel *p, const struct plot_line *line)
{
	fputs("<path d=\"", out);
	for (unsigned int i = 0; i < line->n; i++)
		fprintf(out, "%c%.1f %.1f", i ? 'L' : 'M', x_of(p, line->points[i].x),
			y_of(p, line->points[i].y));
	put_stroke(out, line);
	for (unsigned int i = 0; i < line->n; i++)
		fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n",
			x_of(p, line->points[i].x), y_of(p, line->points[i].y),
			colours[line->colour % NR(colours)]);
}

void plot_bar(FILE *out, const struct plot_panel *p, double x0, double x1, double y)
{
	double left = x_of(p, x0), right = x_of(p, x1), top = y_of(p, y);

	fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n",
		left, top, right - left > 1.5 ? right - left - 0.5 : right - left,
		p->top + p->height - top, colours[0]);
}

void plot_mark(FILE *out, const struct plot_panel *p, double x, unsigned int row, const char *text)
{
	double at = x_of(p, x), y = p->top + 14 + 15 * row;
	bool left = at > p->left + 150;

	put_rule(out, at, y - 11, at, p->top + p->height, colours[1]);
	put_label(out, left ? at - 5 : at + 5, y, left ? "end" : "start", "", text);
}

void plot_legend(FILE *out, double x, double y, const struct plot_line *line)
{
	fprintf(out, "<path d=\"M%.1f %.1fh34", x, y - 4);
	put_stroke(out, line);
	fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n", x + 17, y - 4,
		colours[line->colour % NR(colours)]);
	put_label(out, x + 42, y, "start", "", line->name);
}
