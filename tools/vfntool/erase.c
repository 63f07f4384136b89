// SPDX-License-Identifier: GPL-2.0-or-later
/* vfntool discard and zero: blocks that are not needed any more, and blocks of zeros. */
#include "blocks.h"

#include <inttypes.h>
#include <stdlib.h>

#include "json.h"

/* Bytes at a time: signals and the terminal are looked at in between. */
#define DISCARD_BYTES (4ULL << 30)
#define ZERO_BYTES (64ULL << 20)

struct erase {
	const struct request *req;
	const char *what;
	int (*step)(struct vfn_blk *blk, uint64_t lba, uint64_t nlb);
	uint64_t at_once;
	struct blocks b;
	uint64_t offset, len, done;
	struct progress progress;
};

static int run(struct erase *e)
{
	const uint64_t block = e->b.info.block_size;
	int status = EXIT_SUCCESS;

	progress_begin(&e->progress, e->req, e->what, e->len);
	while (e->done < e->len && !status && !caught_signal()) {
		uint64_t left = e->len - e->done, n = left < e->at_once ? left : e->at_once;

		if (e->step(e->b.blk, (e->offset + e->done) / block, n / block)) {
			progress_end(&e->progress);
			status = blocks_failed(&e->b);
		} else {
			e->done += n;
		}
		progress_show(&e->progress, e->done);
	}
	progress_end(&e->progress);

	if (!blocks_lost(status) && vfn_blk_flush(e->b.blk) && !status)
		status = blocks_failed(&e->b);

	return status;
}

static int put_result(const struct erase *e)
{
	struct report r;

	if (report_open(&r))
		return EXIT_FAILURE;
	if (e->req->json) {
		struct json j = { .out = r.out };

		json_open(&j, NULL, '{');
		json_string(&j, "bdf", e->b.info.bdf);
		json_int(&j, "nsid", e->b.info.nsid);
		json_int(&j, "offset", (long long)e->offset);
		json_int(&j, "bytes", (long long)e->done);
		json_close(&j, '}');
	} else {
		fprintf(r.out, "%s: %s: %" PRIu64 " bytes from %" PRIu64 " on\n", e->b.name,
			e->what, e->done, e->offset);
	}

	return report_print(&r);
}

static int erase_open(struct erase *e)
{
	int status;

	e->offset = number_or(e->req, OPT_OFFSET, 0);
	e->len = number_or(e->req, OPT_LENGTH, e->offset < e->b.bytes ? e->b.bytes - e->offset : 0);
	status = blocks_check_range(&e->b, e->offset, e->len);
	if (!status)
		status = blocks_guard(&e->b, e->req);
	if (status)
		return status;

	catch_signals();
	status = run(e);
	release_signals();

	if (caught_signal() && !status) {
		complain("%s: called off after %" PRIu64 " bytes: --offset %" PRIu64 " goes on",
			 e->b.name, e->done, e->offset + e->done);
		return 128 + caught_signal();
	}

	return status ? status : put_result(e);
}

static int erase(struct erase *e)
{
	int status, closed;

	if (!is_given(e->req, OPT_LENGTH) && !e->req->all)
		return complain_usage("how much: --length, or --all up to the end");
	if (vfn_pci_check_idle(e->req->bdf))
		return complain_last_error();

	status = blocks_open(&e->b, e->req, e->req->name, NULL);
	if (status)
		return status;
	status = erase_open(e);
	closed = blocks_close(&e->b);

	return status ? status : closed;
}

int cmd_discard(const struct request *req)
{
	struct erase e = {
		.req = req,
		.what = "discard",
		.step = vfn_blk_discard,
		.at_once = DISCARD_BYTES,
	};

	return erase(&e);
}

int cmd_zero(const struct request *req)
{
	struct erase e = {
		.req = req,
		.what = "zero",
		.step = vfn_blk_write_zeroes,
		.at_once = ZERO_BYTES,
	};

	return erase(&e);
}
