// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vfntool bench: throughput and latency over depths, for each kind of load, size and number of threads, and the kernel's driver
 * beside. Each figure is written as soon as it is there; those that a file has are not measured again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define RUNTIME 10
#define SECOND_NS 1000000000ULL
#define US 1000.0

const char *const bench_engines[2] = { "vfn", "kernel" };

static const char header[] =
	"engine,rw,threads,iodepth,bs,iops,mib_per_s,avg_us,p50_us,p99_us,p99.9_us,max_us\n";

/* ---- figures ---- */

static bool is_same(const struct bench_row *a, const struct bench_row *b)
{
	return a->engine == b->engine && a->op == b->op && a->threads == b->threads &&
	       a->iodepth == b->iodepth && a->bs == b->bs;
}

static struct bench_row *find_row(const struct bench *bench, const struct bench_row *row)
{
	for (unsigned int i = 0; i < bench->n; i++) {
		if (is_same(&bench->rows[i], row))
			return &bench->rows[i];
	}

	return NULL;
}

static int add_row(struct bench *bench, const struct bench_row *row)
{
	struct bench_row *rows = realloc(bench->rows, (bench->n + 1) * sizeof(*rows));

	if (!rows)
		return complain("out of memory");
	bench->rows = rows;
	rows[bench->n++] = *row;

	return EXIT_SUCCESS;
}

static void fill_row(struct bench_row *row, const struct load_result *result)
{
	const struct hist *h = &result->hist;

	row->iops = (double)h->count / result->seconds;
	row->mib = row->iops * row->bs / (1 << 20);
	row->average = hist_average(h) / US;
	row->p50 = (double)hist_percentile(h, 0.5) / US;
	row->p99 = (double)hist_percentile(h, 0.99) / US;
	row->p999 = (double)hist_percentile(h, 0.999) / US;
	row->most = (double)h->most / US;
}

/* ---- the file of figures ---- */

static bool parse_row(const char *line, struct bench_row *row)
{
	char engine[16], op[16];

	if (sscanf(line, "%15[^,],%15[^,],%u,%u,%u,%lf,%lf,%lf,%lf,%lf,%lf,%lf", engine, op,
		   &row->threads, &row->iodepth, &row->bs, &row->iops, &row->mib, &row->average,
		   &row->p50, &row->p99, &row->p999, &row->most) != 12)
		return false;
	for (row->engine = 0; row->engine < 2; row->engine++) {
		if (!strcmp(bench_engines[row->engine], engine))
			break;
	}
	for (row->op = 0; row->op < NR_LOAD_OPS; row->op++) {
		if (!strcmp(load_names[row->op], op))
			break;
	}

	return row->engine < 2 && row->op < NR_LOAD_OPS;
}

/* A line that was not finished is none: it is measured again. */
static int read_rows(struct bench *bench, FILE *file, const char *path)
{
	char line[512];
	long end = 0;

	while (fgets(line, sizeof(line), file) && strchr(line, '\n')) {
		struct bench_row row;

		if (!end) {
			if (strcmp(line, header))
				return complain("%s: it is there, and has other figures", path);
		} else if (!parse_row(line, &row)) {
			return complain("%s: no figures of bench: %.40s", path, line);
		} else if (add_row(bench, &row)) {
			return EXIT_FAILURE;
		}
		end = ftell(file);
	}
	if (fseek(file, end, SEEK_SET) || ftruncate(fileno(file), end))
		return complain("%s: %s", path, strerror(errno));
	if (!end)
		fputs(header, file);

	return EXIT_SUCCESS;
}

static int open_csv(struct bench *bench)
{
	const char *path = bench->req->values[OPT_CSV].text;
	int fd;

	if (!is_given(bench->req, OPT_CSV))
		return EXIT_SUCCESS;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	bench->csv = fd < 0 ? NULL : fdopen(fd, "r+");
	if (!bench->csv)
		return complain("%s: %s", path, strerror(errno));

	return read_rows(bench, bench->csv, path);
}

static void put_csv(FILE *out, const struct bench_row *row)
{
	fprintf(out, "%s,%s,%u,%u,%u,%.1f,%.2f,%.2f,%.2f,%.2f,%.2f,%.2f\n",
		bench_engines[row->engine], load_names[row->op], row->threads, row->iodepth,
		row->bs, row->iops, row->mib, row->average, row->p50, row->p99, row->p999,
		row->most);
}

static int save_row(struct bench *bench, const struct bench_row *row)
{
	if (!bench->csv)
		return EXIT_SUCCESS;
	put_csv(bench->csv, row);

	return fflush(bench->csv) ?
		       complain("%s: %s", bench->req->values[OPT_CSV].text, strerror(errno)) :
		       EXIT_SUCCESS;
}

/* ---- what is said ---- */

static void put_text_row(const struct bench *bench, const struct bench_row *row, bool again)
{
	if (bench->req->json)
		return;
	printf("%-6s %-9s %2u x %-4u %7u bytes %10.0f/s %9.1f MiB/s  us: avg %.1f, 99 %% %.1f%s\n",
	       bench_engines[row->engine], load_names[row->op], row->threads, row->iodepth, row->bs,
	       row->iops, row->mib, row->average, row->p99, again ? "" : " (was there)");
	fflush(stdout);
}

static int put_json_report(const struct bench *bench)
{
	struct json j;
	struct report r;

	if (report_open(&r))
		return EXIT_FAILURE;
	j = (struct json){ .out = r.out };
	json_open(&j, NULL, '{');
	json_string(&j, "bdf", bench->b.info.bdf);
	json_int(&j, "nsid", bench->b.info.nsid);
	json_open(&j, "rows", '[');
	for (unsigned int i = 0; i < bench->n; i++) {
		const struct bench_row *row = &bench->rows[i];

		json_open(&j, NULL, '{');
		json_string(&j, "engine", bench_engines[row->engine]);
		json_string(&j, "rw", load_names[row->op]);
		json_int(&j, "threads", row->threads);
		json_int(&j, "iodepth", row->iodepth);
		json_int(&j, "bs", row->bs);
		json_int(&j, "iops", (long long)row->iops);
		json_int(&j, "bytes_per_s", (long long)(row->iops * row->bs));
		json_int(&j, "avg_ns", (long long)(row->average * US));
		json_int(&j, "p50_ns", (long long)(row->p50 * US));
		json_int(&j, "p99_ns", (long long)(row->p99 * US));
		json_int(&j, "p99.9_ns", (long long)(row->p999 * US));
		json_int(&j, "max_ns", (long long)(row->most * US));
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');

	return report_print(&r);
}

/* ---- measuring ---- */

static int measure(struct bench *bench, struct bench_row *row)
{
	struct load load = {
		.b = &bench->b,
		.fd = row->engine ? bench->fd : -1,
		.op = row->op,
		.threads = row->threads,
		.iodepth = row->iodepth,
		.bs = row->bs,
		.bytes = bench->bytes,
		.runtime_ns = number_or(bench->req, OPT_RUNTIME, RUNTIME) * SECOND_NS,
		.seed = number_or(bench->req, OPT_SEED, 1),
	};
	struct load_result result;
	const struct bench_row *before = find_row(bench, row);
	int status = EXIT_SUCCESS;

	if (before) {
		put_text_row(bench, before, false);
		return EXIT_SUCCESS;
	}
	status = load_check(&load);
	if (!status)
		status = load_run(&load, &result);
	if (status || caught_signal())
		return status;
	if (!result.hist.count)
		return complain("%s: no request has completed in time: --runtime", bench->b.name);

	fill_row(row, &result);
	status = save_row(bench, row);
	if (!status)
		status = add_row(bench, row);
	if (!status)
		put_text_row(bench, row, true);

	return status;
}

/* The numbers of an option, or the one that is meant where it is not given. */
static unsigned int list_of(const struct request *req, enum option_id id, uint64_t otherwise,
			    uint64_t *list)
{
	const struct value *value = &req->values[id];

	list[0] = otherwise;
	if (value->given)
		memcpy(list, value->list, value->count * sizeof(*list));

	return value->given ? value->count : 1;
}

static int sweep_depths(struct bench *bench, struct bench_row *row)
{
	static const uint64_t depths[] = { 1, 2, 4, 8, 16, 32 };
	const struct value *value = &bench->req->values[OPT_IODEPTH];
	unsigned int n = value->given ? value->count : sizeof(depths) / sizeof(depths[0]);
	int status = EXIT_SUCCESS;

	for (unsigned int i = 0; i < n && !status && !caught_signal(); i++) {
		row->iodepth = (unsigned int)(value->given ? value->list[i] : depths[i]);
		for (row->engine = 0; row->engine < (bench->fd < 0 ? 1 : 2) && !status;
		     row->engine++)
			status = measure(bench, row);
	}

	return status;
}

static int sweep(struct bench *bench)
{
	uint64_t threads[MAX_LIST], sizes[MAX_LIST];
	unsigned int nthreads = list_of(bench->req, OPT_THREADS, 1, threads);
	unsigned int nsizes = list_of(bench->req, OPT_BS, 4096, sizes);
	unsigned int n = bench->nops * nthreads * nsizes;
	int status = EXIT_SUCCESS;

	for (unsigned int i = 0; i < n && !status && !caught_signal(); i++) {
		struct bench_row row = {
			.op = bench->ops[i / (nthreads * nsizes)],
			.bs = (uint32_t)sizes[i / nthreads % nsizes],
			.threads = (unsigned int)threads[i % nthreads],
		};

		status = sweep_depths(bench, &row);
	}

	return status;
}

/* ---- the namespace and the kernel's device ---- */

static int parse_ops(struct bench *bench)
{
	const char *at = is_given(bench->req, OPT_RW) ? bench->req->values[OPT_RW].text :
							"randread";
	char word[16];

	while (bench->nops < MAX_LIST) {
		size_t len = strcspn(at, ",");

		snprintf(word, sizeof(word), "%.*s", len < sizeof(word) ? (int)len : 15, at);
		if (load_parse_op(word, &bench->ops[bench->nops]))
			return EXIT_USAGE;
		bench->writes |= load_writes(bench->ops[bench->nops++]);
		at += len;
		if (!*at++)
			break;
	}

	return EXIT_SUCCESS;
}

static int open_kernel(struct bench *bench)
{
	const char *path = bench->req->values[OPT_KERNEL].text;
	off_t size;

	if (!is_given(bench->req, OPT_KERNEL))
		return EXIT_SUCCESS;
	if (bench->writes && !is_given(bench->req, OPT_FORCE))
		return complain("%s would be overwritten: --force does that", path);

	/* O_EXCL: nothing is mounted there */
	bench->fd = open(path, (bench->writes ? O_RDWR | O_EXCL : O_RDONLY) | O_DIRECT | O_CLOEXEC);
	size = bench->fd < 0 ? -1 : lseek(bench->fd, 0, SEEK_END);
	if (size < 0)
		return complain("%s: %s", path, strerror(errno));
	if ((uint64_t)size < bench->bytes)
		bench->bytes = (uint64_t)size / bench->b.info.block_size * bench->b.info.block_size;

	return EXIT_SUCCESS;
}

static uint64_t largest(const struct request *req, enum option_id id, uint64_t otherwise)
{
	const struct value *value = &req->values[id];
	uint64_t most = value->given ? 0 : otherwise;

	for (unsigned int i = 0; i < value->count; i++)
		most = value->list[i] > most ? value->list[i] : most;

	return most;
}

static int open_blocks(struct bench *bench)
{
	const struct vfn_blk_opts opts = {
		.queues = (unsigned int)largest(bench->req, OPT_THREADS, 1) + 1,
		.depth = (unsigned int)largest(bench->req, OPT_IODEPTH, 32) + 1,
		.flags = VFN_BLK_EXACT,
	};
	int status;

	if (bench->writes && vfn_pci_check_idle(bench->req->bdf))
		return complain_last_error();
	status = blocks_open(&bench->b, bench->req, bench->req->name, &opts);
	if (status)
		return status;
	bench->bytes = number_or(bench->req, OPT_LENGTH, bench->b.bytes);

	return bench->writes ? blocks_guard(&bench->b, bench->req) : EXIT_SUCCESS;
}

static int run(struct bench *bench)
{
	int status = parse_ops(bench);

	if (!status)
		status = open_blocks(bench);
	if (!status)
		status = open_kernel(bench);
	if (!status)
		status = open_csv(bench);
	if (status)
		return status;

	catch_signals();
	status = sweep(bench);
	release_signals();
	if (!status && caught_signal()) {
		complain("called off%s", bench->csv ? ": what was measured is kept" : "");
		status = 128 + caught_signal();
	}
	/* of what there is */
	if (is_given(bench->req, OPT_PLOT) && bench->n && bench_plot(bench) && !status)
		status = EXIT_FAILURE;

	return status || !bench->req->json ? status : put_json_report(bench);
}

int cmd_bench(const struct request *req)
{
	struct bench bench = { .req = req, .fd = -1 };
	int status = run(&bench), closed = EXIT_SUCCESS;

	if (bench.csv && fclose(bench.csv) && !status)
		status = complain("%s: %s", req->values[OPT_CSV].text, strerror(errno));
	if (bench.fd >= 0)
		close(bench.fd);
	if (bench.b.blk)
		closed = blocks_close(&bench.b);
	free(bench.rows);

	return status ? status : closed;
}
