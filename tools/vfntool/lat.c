// SPDX-License-Identifier: GPL-2.0-or-later
/* vfntool lat: how long requests take, as a histogram with percentiles. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "load.h"
#include "plot.h"

#define RUNTIME 10
#define BYTES 4096
#define US 1000.0

/* Bars of the picture are as wide as so many buckets; lines of text are a power of two. */
#define BUCKETS_OF_BAR 2
#define STARS 50

static const double parts[] = { 0.5, 0.9, 0.99, 0.999, 0.9999 };

#define NR_PARTS (sizeof(parts) / sizeof(parts[0]))

static const char *const part_names[NR_PARTS] = { "50", "90", "99", "99.9", "99.99" };

struct lat {
	const struct request *req;
	struct blocks b;
	struct load load;
	struct load_result result;
};

/* Buckets that are not empty, from the first to the last power of two. */
static void range_of(const struct hist *h, unsigned int *first, unsigned int *last)
{
	*first = HIST_BUCKETS - (1U << HIST_BITS);
	*last = 0;
	for (unsigned int i = 0; i < HIST_BUCKETS; i++) {
		if (!h->buckets[i])
			continue;
		if (i < *first)
			*first = i;
		*last = i;
	}
	*first &= ~((1U << HIST_BITS) - 1);
	*last |= (1U << HIST_BITS) - 1;
}

static uint64_t count_of(const struct hist *h, unsigned int first, unsigned int n)
{
	uint64_t count = 0;

	for (unsigned int i = first; i < first + n; i++)
		count += h->buckets[i];

	return count;
}

static void put_line(FILE *out, const struct hist *h, unsigned int bucket)
{
	uint64_t count = count_of(h, bucket, 1U << HIST_BITS);
	double part = (double)count / (double)h->count;

	fprintf(out, "%12.1f %12" PRIu64 " %6.2f %% %.*s\n", (double)hist_start(bucket) / US, count,
		100 * part, (int)(STARS * part + 0.5),
		"##################################################");
}

static void put_text_report(FILE *out, const struct lat *l)
{
	const struct hist *h = &l->result.hist;
	unsigned int first, last;

	fprintf(out, "%s: %s of %u bytes, %u thread%s, %u at a time\n", l->b.name,
		load_names[l->load.op], l->load.bs, l->load.threads, l->load.threads > 1 ? "s" : "",
		l->load.iodepth);
	fprintf(out, "%" PRIu64 " requests in %.1f s, %.0f per second\n", h->count,
		l->result.seconds, (double)h->count / l->result.seconds);
	fprintf(out, "us: min %.1f avg %.1f max %.1f\n", (double)h->least / US,
		hist_average(h) / US, (double)h->most / US);
	for (size_t i = 0; i < NR_PARTS; i++)
		fprintf(out, "%7s %% within %10.1f us\n", part_names[i],
			(double)hist_percentile(h, parts[i]) / US);
	fputs("     from us        count\n", out);
	range_of(h, &first, &last);
	for (unsigned int i = first; i < last; i += 1U << HIST_BITS)
		put_line(out, h, i);
}

static void put_json_report(FILE *out, const struct lat *l)
{
	const struct hist *h = &l->result.hist;
	struct json j = { .out = out };
	unsigned int first, last;

	json_open(&j, NULL, '{');
	json_string(&j, "bdf", l->b.info.bdf);
	json_int(&j, "nsid", l->b.info.nsid);
	json_string(&j, "rw", load_names[l->load.op]);
	json_int(&j, "bs", l->load.bs);
	json_int(&j, "threads", l->load.threads);
	json_int(&j, "iodepth", l->load.iodepth);
	json_int(&j, "requests", (long long)h->count);
	json_int(&j, "runtime_ms", (long long)(l->load.runtime_ns / 1000000));
	json_int(&j, "min_ns", (long long)h->least);
	json_int(&j, "avg_ns", (long long)hist_average(h));
	json_int(&j, "max_ns", (long long)h->most);
	json_open(&j, "percentiles_ns", '{');
	for (size_t i = 0; i < NR_PARTS; i++)
		json_int(&j, part_names[i], (long long)hist_percentile(h, parts[i]));
	json_close(&j, '}');
	json_open(&j, "histogram", '[');
	range_of(h, &first, &last);
	for (unsigned int i = first; i <= last; i++) {
		if (!h->buckets[i])
			continue;
		json_open(&j, NULL, '{');
		json_int(&j, "from_ns", (long long)hist_start(i));
		json_int(&j, "count", (long long)h->buckets[i]);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
}

/* ---- the picture ---- */

/* In microseconds; what is less than a tenth of one is that. */
static double x_of_bucket(unsigned int bucket)
{
	double us = (double)hist_start(bucket) / US;

	return us < 0.1 ? 0.1 : us;
}

static void draw(FILE *out, const struct lat *l)
{
	const struct hist *h = &l->result.hist;
	struct plot_panel p = { .left = 90,
				.top = 60,
				.width = 760,
				.height = 320,
				.xname = "microseconds",
				.yname = "% of requests" };
	unsigned int first, last;
	char title[128], text[64];
	double most = 0;

	range_of(h, &first, &last);
	for (unsigned int i = first; i <= last; i += BUCKETS_OF_BAR) {
		double part = 100.0 * (double)count_of(h, i, BUCKETS_OF_BAR) / (double)h->count;

		most = part > most ? part : most;
	}
	p.xmin = plot_power_below(x_of_bucket(first));
	p.xmax = plot_power_above(x_of_bucket(last + 1));
	p.ymax = plot_round(most);
	snprintf(title, sizeof(title), "%s: %s of %u bytes, %u at a time", l->b.name,
		 load_names[l->load.op], l->load.bs, l->load.iodepth * l->load.threads);
	snprintf(text, sizeof(text), "%" PRIu64 " requests, %.0f per second", h->count,
		 (double)h->count / l->result.seconds);
	p.title = text;

	plot_begin(out, 890, 440, title);
	plot_panel(out, &p, 1);
	for (unsigned int i = first; i <= last; i += BUCKETS_OF_BAR)
		plot_bar(out, &p, x_of_bucket(i), x_of_bucket(i + BUCKETS_OF_BAR),
			 100.0 * (double)count_of(h, i, BUCKETS_OF_BAR) / (double)h->count);
	for (size_t i = 0; i < NR_PARTS; i++) {
		double us = (double)hist_percentile(h, parts[i]) / US;

		snprintf(text, sizeof(text), "%s %%: %.1f us", part_names[i], us);
		plot_mark(out, &p, us < p.xmin ? p.xmin : us, (unsigned int)(NR_PARTS - 1 - i),
			  text);
	}
	plot_end(out);
}

static int plot(const struct lat *l, const char *path)
{
	FILE *file = fopen(path, "we");
	bool whole;

	if (!file)
		return complain("%s: %s", path, strerror(errno));
	draw(file, l);
	whole = !ferror(file);
	if (fclose(file) || !whole)
		return complain("%s: %s", path, strerror(errno));

	return EXIT_SUCCESS;
}

/* ---- run ---- */

static int report(const struct lat *l)
{
	struct report r;

	if (!l->result.hist.count)
		return complain("%s: no request has completed in time: --runtime", l->b.name);
	if (is_given(l->req, OPT_PLOT) && plot(l, l->req->values[OPT_PLOT].text))
		return EXIT_FAILURE;
	if (report_open(&r))
		return EXIT_FAILURE;
	if (l->req->json)
		put_json_report(r.out, l);
	else
		put_text_report(r.out, l);

	return report_print(&r);
}

static int run(struct lat *l)
{
	int status;

	l->load.b = &l->b;
	l->load.bytes = number_or(l->req, OPT_LENGTH, l->b.bytes);
	status = load_check(&l->load);
	if (!status && load_writes(l->load.op))
		status = blocks_guard(&l->b, l->req);
	if (status)
		return status;

	catch_signals();
	status = load_run(&l->load, &l->result);
	release_signals();
	if (!status && caught_signal())
		status = 128 + caught_signal();

	return status ? status : report(l);
}

int cmd_lat(const struct request *req)
{
	struct lat l = {
		.req = req,
		.load = {
			.fd = -1,
			.threads = (unsigned int)number_or(req, OPT_THREADS, 1),
			.iodepth = (unsigned int)number_or(req, OPT_IODEPTH, 1),
			.bs = (uint32_t)number_or(req, OPT_BS, BYTES),
			.runtime_ns = number_or(req, OPT_RUNTIME, RUNTIME) * 1000000000ULL,
			.seed = number_or(req, OPT_SEED, 1),
		},
	};
	const struct vfn_blk_opts opts = {
		.queues = l.load.threads + 1,
		.depth = l.load.iodepth + 1,
		.flags = VFN_BLK_EXACT,
	};
	int status, closed;

	if (load_parse_op(is_given(req, OPT_RW) ? req->values[OPT_RW].text : "randread",
			  &l.load.op))
		return EXIT_USAGE;
	if (load_writes(l.load.op) && vfn_pci_check_idle(req->bdf))
		return complain_last_error();
	status = blocks_open(&l.b, req, req->name, &opts);
	if (status)
		return status;
	status = run(&l);
	closed = blocks_close(&l.b);

	return status ? status : closed;
}
