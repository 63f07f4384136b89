// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vfntool copy, read and write: between namespaces and files. What is there when it ends early, by an error or a signal,
 * is the beginning of it all, and said to be so long.
 */
#include "transfer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vfn/support/log.h>

#include "fields.h"
#include "passthru.h"

/* Bytes at a time. */
#define CHUNK (4UL << 20)

/* What zeros are looked for in: no smaller holes are made. */
#define GRAIN (64UL << 10)

/* Bytes that are printed. */
#define MOST_PRINTED (64UL << 20)

/* ---- what is to be done ---- */

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t round_up(const struct end *e, uint64_t len)
{
	const uint64_t size = e->blocks.blk ? e->blocks.info.block_size : 1;

	return (len + size - 1) / size * size;
}

static bool pads(const struct transfer *t)
{
	return is_given(t->req, OPT_PAD);
}

static int complain_of_rest(const struct transfer *t, uint64_t len)
{
	const uint64_t size = t->to.blocks.info.block_size;

	return complain("%s: %" PRIu64 " bytes, and %s has blocks of %" PRIu64
			": --pad fills the last one up with zeros, --length %" PRIu64
			" leaves it out",
			t->from.name, len, t->to.name, size, len / size * size);
}

/* As far as it is known before. */
static int check_lengths(struct transfer *t)
{
	t->len = is_given(t->req, OPT_LENGTH) ? t->req->values[OPT_LENGTH].number : t->from.size;

	if (t->from.size != NO_LIMIT && t->len > t->from.size)
		return complain("%s: %" PRIu64 " bytes, and --length wants %" PRIu64, t->from.name,
				t->from.size, t->len);
	if (t->len == NO_LIMIT)
		return EXIT_SUCCESS;
	if (t->from.blocks.blk && blocks_check_range(&t->from.blocks, t->from.offset, t->len))
		return EXIT_FAILURE;
	if (t->to.blocks.blk && !pads(t) && round_up(&t->to, t->len) != t->len)
		return complain_of_rest(t, t->len);
	if (t->to.size != NO_LIMIT && round_up(&t->to, t->len) > t->to.size)
		return complain("%s has room for %" PRIu64 " bytes, and %s has %" PRIu64
				": --length %" PRIu64 " copies what fits",
				t->to.name, t->to.size, t->from.name, t->len, t->to.size);

	return EXIT_SUCCESS;
}

static bool overlaps(const struct transfer *t)
{
	const struct end *a = &t->from, *b = &t->to;

	return a->blocks.blk && b->blocks.blk && !strcmp(a->name, b->name) &&
	       a->offset < b->offset + t->len && b->offset < a->offset + t->len;
}

static int check(struct transfer *t)
{
	int status = check_lengths(t);

	if (status)
		return status;
	if (overlaps(t))
		return complain("%s: source and destination overlap", t->to.name);
	if (is_given(t->req, OPT_VERIFY) && !t->to.blocks.blk && !t->to.seekable)
		return complain("%s cannot be read again: leave --verify out", t->to.name);

	return t->to.blocks.blk ? blocks_guard(&t->to.blocks, t->req) : EXIT_SUCCESS;
}

/* ---- do it ---- */

/* Zeros need no transfer: to a namespace by its command for them, to a new file as a hole. */
static bool may_skip(const struct end *to)
{
	return to->blocks.blk || to->fresh;
}

/* The length of what begins at @data and is zeros all over, or not. */
static size_t run_of(const char *data, size_t len, bool *zeros)
{
	size_t run = smaller(len, GRAIN);

	*zeros = is_zero(data, run);
	while (run < len && is_zero(data + run, smaller(len - run, GRAIN)) == *zeros)
		run += smaller(len - run, GRAIN);

	return run;
}

static int write_chunk(struct transfer *t, const char *data, size_t len)
{
	size_t at = 0;
	int status = EXIT_SUCCESS;

	while (at < len && !status) {
		bool zeros = false;
		size_t done = 0,
		       run = may_skip(&t->to) ? run_of(data + at, len - at, &zeros) : len - at;

		status = end_write(&t->to, t->done, zeros ? NULL : data + at, run, &done);
		t->done += done;
		t->zeros += zeros ? done : 0;
		at += run;
	}

	return status;
}

static int compare(struct transfer *t, const char *data, size_t len)
{
	uint64_t start = t->done - len;
	int status = EXIT_SUCCESS;
	size_t got;

	if (end_extend(&t->to, t->done))
		return EXIT_FAILURE;
	got = end_read(&t->to, start, t->again, len, &status);
	for (size_t i = 0; i < got; i++) {
		if (data[i] != t->again[i])
			return complain("%s: byte %" PRIu64 " is not what was written", t->to.name,
					t->to.offset + start + i);
	}
	if (got < len && !status)
		status = complain("%s: it ends before byte %" PRIu64, t->to.name,
				  t->to.offset + start + len);

	return status;
}

/* The source ended where blocks do not. */
static size_t fill_up(struct transfer *t, size_t len, int *status)
{
	size_t whole = round_up(&t->to, len);

	if (whole == len)
		return len;
	if (!pads(t)) {
		if (!*status && !caught_signal())
			*status = complain_of_rest(t, t->done + len);
		return len / t->to.blocks.info.block_size * t->to.blocks.info.block_size;
	}
	memset(t->data + len, 0, whole - len);

	return whole;
}

/* What is to be copied next; less than there should be where the source ended. */
static size_t read_chunk(struct transfer *t, int *status)
{
	size_t want = smaller(t->len - t->done, CHUNK);
	size_t hole = end_hole(&t->from, t->done, want) / GRAIN * GRAIN, got;

	if (hole) {
		memset(t->data, 0, hole);
		return hole;
	}

	got = end_read(&t->from, t->done, t->data, want, status);
	if (got < want && !*status && !caught_signal() && is_given(t->req, OPT_LENGTH))
		*status = complain("%s: it ends after %" PRIu64
				   " bytes, and --length wants %" PRIu64,
				   t->from.name, t->done + got, t->len);

	return got < want || t->done + got == t->len ? fill_up(t, got, status) : got;
}

static int copy_chunk(struct transfer *t, bool *ended)
{
	int status = EXIT_SUCCESS, written = EXIT_SUCCESS;
	size_t len = read_chunk(t, &status);

	*ended = !len;
	if (t->to.size != NO_LIMIT && len > t->to.size - t->done) {
		len = t->to.size - t->done;
		status = complain("%s: there is no room for more than %" PRIu64 " bytes",
				  t->to.name, t->to.size);
	}
	if (len)
		written = write_chunk(t, t->data, len);
	if (len && !written && is_given(t->req, OPT_VERIFY))
		written = compare(t, t->data, len);

	return status ? status : written;
}

static int copy(struct transfer *t)
{
	int status = EXIT_SUCCESS, flushed;
	bool ended = false;

	progress_begin(&t->progress, t->req, t->what, t->len == NO_LIMIT ? 0 : t->len);
	while (t->done < t->len && !ended && !status && !caught_signal()) {
		status = copy_chunk(t, &ended);
		progress_show(&t->progress, t->done);
	}
	progress_end(&t->progress);

	flushed = status == EXIT_OUTSTANDING ? EXIT_SUCCESS : end_flush(&t->to, t->done);

	return status ? status : flushed;
}

static void free_chunk(const struct end *e, char *data)
{
	if (data)
		(void)vfn_blk_free(e->blocks.blk, data);
}

static int copy_in_chunks(struct transfer *t)
{
	const struct end *device = t->from.blocks.blk ? &t->from : &t->to;
	int status;

	t->data = vfn_blk_alloc(device->blocks.blk, CHUNK);
	t->again = t->data ? vfn_blk_alloc(device->blocks.blk, CHUNK) : NULL;
	if (t->again) {
		catch_signals();
		status = copy(t);
		release_signals();
	} else {
		status = complain_last_error();
	}
	free_chunk(device, t->again);
	free_chunk(device, t->data);

	return status;
}

/* ---- tell of it ---- */

static int put_result(const struct transfer *t)
{
	bool verified = is_given(t->req, OPT_VERIFY);
	struct report r;

	/* the data are there already */
	if (t->to.fd >= 0 && !strcmp(t->to.name, "standard output"))
		return EXIT_SUCCESS;
	if (report_open(&r))
		return EXIT_FAILURE;
	if (t->req->json) {
		struct json j = { .out = r.out };

		json_open(&j, NULL, '{');
		json_string(&j, "from", t->from.name);
		json_string(&j, "to", t->to.name);
		json_int(&j, "bytes", (long long)t->done);
		json_int(&j, "zeros", (long long)t->zeros);
		json_bool(&j, "verified", verified);
		json_close(&j, '}');
	} else {
		put_text(r.out, t->from.name);
		fputs(" to ", r.out);
		put_text(r.out, t->to.name);
		fprintf(r.out, ": %" PRIu64 " bytes%s", t->done, verified ? ", verified" : "");
		if (t->zeros)
			fprintf(r.out, ", %" PRIu64 " of them zeros", t->zeros);
		fputc('\n', r.out);
	}

	return report_print(&r);
}

int transfer_run(struct transfer *t)
{
	int status = check(t);

	if (!status)
		status = end_begin(&t->to);
	if (status)
		return status;
	status = copy_in_chunks(t);

	if (!status && caught_signal())
		status = 128 + caught_signal();
	if (status) {
		complain("%s: called off: the first %" PRIu64 " bytes are in %s", t->what, t->done,
			 t->to.name);
		return status;
	}

	return put_result(t);
}

static int close_ends(struct transfer *t, int status)
{
	int to = end_close(&t->to), from = end_close(&t->from);

	return status ? status : to ? to : from;
}

/* ---- copy ---- */

static int open_source(struct transfer *t, const char *name, uint64_t offset)
{
	char bdf[VFN_PCI_BDF_LEN];

	if (parse_namespace(name, bdf))
		return end_open_blocks(&t->from, t->req, name, offset);

	return end_open_source(&t->from, name, offset);
}

static int open_destination(struct transfer *t, const char *name, uint64_t offset, bool in_place)
{
	char bdf[VFN_PCI_BDF_LEN];

	if (!parse_namespace(name, bdf))
		return end_open_destination(&t->to, name, offset, in_place);

	return end_open_blocks(&t->to, t->req, name, offset);
}

/* Data of the command line are a file that nobody else sees. */
static int open_data(struct transfer *t)
{
	size_t len;
	uint8_t *data = read_hex("data", t->req->values[OPT_DATA].text, &len);
	int fd = data ? memfd_create("data", MFD_CLOEXEC) : -1;
	int status;

	if (!data)
		return EXIT_USAGE;
	if (fd >= 0 && write(fd, data, len) == (ssize_t)len)
		status = end_use_source(&t->from, "--data", fd, 0);
	else
		status = complain("--data: %s", strerror(errno));
	free(data);

	return status;
}

/* Without @from what --data says. */
static int run(struct transfer *t, const char *from, uint64_t skip, const char *to, uint64_t seek,
	       bool in_place)
{
	char bdf[VFN_PCI_BDF_LEN];
	int status;

	/* before this program has it */
	if (parse_namespace(to, bdf) && vfn_pci_check_idle(bdf))
		return complain_last_error();

	t->from.fd = t->to.fd = -1;
	status = from ? open_source(t, from, skip) : open_data(t);
	if (!status)
		status = open_destination(t, to, seek, in_place);
	if (!status)
		status = transfer_run(t);

	return close_ends(t, status);
}

int cmd_copy(const struct request *req)
{
	const char *from = req->operands[0], *to = req->operands[1];
	struct transfer t = { .req = req, .what = "copy" };
	char bdf[VFN_PCI_BDF_LEN];

	if (!parse_namespace(from, bdf) && !parse_namespace(to, bdf))
		return complain_usage(
			"copy: neither is a namespace such as 0000:01:00.0/1: cp(1) is for files");

	return run(&t, from, number_or(req, OPT_SKIP, 0), to, number_or(req, OPT_SEEK, 0),
		   is_given(req, OPT_SEEK));
}

/* ---- read and write ---- */

static int print_data(const struct request *req, const struct blocks *b, uint64_t offset,
		      const char *data, size_t len)
{
	struct report r;
	struct output o;

	if (report_open(&r))
		return EXIT_FAILURE;
	output_open(&o, r.out, req);
	if (o.as_json) {
		json_int(&o.json, "nsid", b->info.nsid);
		json_int(&o.json, "offset", (long long)offset);
		json_int(&o.json, "length", (long long)len);
	}
	put_bytes(&o, "data", (const uint8_t *)data, len);
	output_close(&o);

	return report_print(&r);
}

static int print_blocks(const struct request *req, struct end *e)
{
	size_t len = number_or(req, OPT_LENGTH, e->blocks.info.block_size), got;
	int status = blocks_check_range(&e->blocks, e->offset, len);
	char *data;

	if (status)
		return status;
	if (len > MOST_PRINTED)
		return complain("%s: more than 64M are for --output, not to be printed", e->name);
	data = vfn_blk_alloc(e->blocks.blk, len);
	if (!data)
		return complain_last_error();
	got = end_read(e, 0, data, len, &status);
	if (got == len)
		status = print_data(req, &e->blocks, e->offset, data, len);
	free_chunk(e, data);

	return status;
}

int cmd_read(const struct request *req)
{
	uint64_t offset = number_or(req, OPT_OFFSET, 0);
	struct transfer t = { .req = req, .what = "read" };
	int status;

	if (is_given(req, OPT_OUTPUT))
		return run(&t, req->name, offset, req->values[OPT_OUTPUT].text, 0, false);
	if (is_given(req, OPT_VERIFY))
		return complain_usage("read: --verify is for --output");

	t.from.fd = t.to.fd = -1;
	status = end_open_blocks(&t.from, req, req->name, offset);
	if (!status)
		status = print_blocks(req, &t.from);

	return close_ends(&t, status);
}

int cmd_write(const struct request *req)
{
	struct transfer t = { .req = req, .what = "write" };

	if (!is_given(req, OPT_DATA) && !is_given(req, OPT_DATA_FILE))
		return complain_usage("write needs --data-file, or --data");

	return run(&t, is_given(req, OPT_DATA_FILE) ? req->values[OPT_DATA_FILE].text : NULL, 0,
		   req->name, number_or(req, OPT_OFFSET, 0), true);
}
