// SPDX-License-Identifier: GPL-2.0-or-later
/* Copy a namespace to another one, of the same controller or not, with many requests in flight. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vfn/blk.h>
#include <vfn/support.h>

#include "common.h"

/* One of the two namespaces, and a queue of it. */
struct side {
	struct vfn_blk *blk;
	struct vfn_blk_info info;
	struct vfn_blk_queue *queue;
};

/* From @next to @end nobody reads yet; @busy slots do something. In bytes. */
static struct copy {
	struct side from, to;
	uint64_t next, end, chunk;
	unsigned int busy;
} copy;

/* A part on its way: one request, first to read, then to write it. */
struct slot {
	struct vfn_blk_req req;
	uint64_t offset, len;
};

static void submit(struct side *side, struct slot *slot, uint8_t op)
{
	slot->req.op = op;
	slot->req.lba = slot->offset / side->info.block_size;
	slot->req.nlb = slot->len / side->info.block_size;
	if (vfn_blk_submit(side->queue, &slot->req))
		die_vfn("cannot submit");
}

static void check(const struct vfn_blk_req *req, const char *what)
{
	if (!req->error)
		return;
	die("%s %llu blocks from %llu on: %s", what, (unsigned long long)req->nlb,
	    (unsigned long long)req->lba,
	    req->status ? vfn_nvme_status_text(req->status) : strerror(req->error));
}

/* Called by vfn_blk_wait(), like the next one: what was read goes into the other queue. */
static void have_read(struct vfn_blk_req *req)
{
	check(req, "reading");
	submit(&copy.to, req->opaque, VFN_BLK_WRITE);
}

/* A part is done: the next one that nobody reads, if any is left. */
static void have_written(struct vfn_blk_req *req)
{
	struct slot *slot = req->opaque;

	check(req, "writing");
	copy.busy--;
	if (copy.next == copy.end)
		return;

	slot->offset = copy.next;
	slot->len = copy.end - copy.next < copy.chunk ? copy.end - copy.next : copy.chunk;
	copy.next += slot->len;
	copy.busy++;
	submit(&copy.from, slot, VFN_BLK_READ);
}

static void complete(struct vfn_blk_req *req)
{
	if (req->op == VFN_BLK_READ)
		have_read(req);
	else
		have_written(req);
}

static void open_side(struct side *side, const char *name, unsigned int flags)
{
	/* one queue for ourselves, and the one that calls like vfn_blk_flush() take */
	const struct vfn_blk_opts opts = { .queues = 2, .flags = flags };

	if (vfn_blk_open(&side->blk, name, &opts))
		die_vfn("cannot open %s", name);
	vfn_blk_get_info(side->blk, &side->info);
	side->queue = vfn_blk_get_queue(side->blk);
	if (!side->queue)
		die_vfn("no queue");
}

static void close_side(struct side *side)
{
	if (vfn_blk_put_queue(side->queue) || vfn_blk_close(side->blk))
		die_vfn("cannot close %s/%u", side->info.bdf, side->info.nsid);
}

/* How much is copied, from @asked or from what there is. */
static uint64_t choose_length(uint64_t asked)
{
	const struct vfn_blk_info *from = &copy.from.info, *to = &copy.to.info;
	uint64_t source = from->nblocks * from->block_size, target = to->nblocks * to->block_size;
	uint64_t unit = from->block_size > to->block_size ? from->block_size : to->block_size;
	uint64_t most = source < target ? source : target;

	if (!strcmp(from->bdf, to->bdf) && from->nsid == to->nsid)
		usage_error("%s/%u is the namespace that is read", to->bdf, to->nsid);
	if (asked % unit || copy.chunk % unit)
		usage_error("%s is no number of blocks of %llu bytes",
			    size_text(asked % unit ? asked : copy.chunk), (unsigned long long)unit);
	if (asked > most)
		usage_error("there is no room for %s", size_text(asked));

	return asked ? asked : most - most % unit;
}

/* The slots wait as if they had just written. */
static void run(struct slot *slots, unsigned int depth, void *buf)
{
	copy.busy = depth;
	for (unsigned int i = 0; i < depth; i++) {
		slots[i].req.buf = (char *)buf + i * copy.chunk;
		slots[i].req.complete = complete;
		slots[i].req.opaque = &slots[i];
		have_written(&slots[i].req);
	}

	while (copy.busy) {
		if (vfn_blk_wait(copy.from.queue, NULL, 0, (int)depth, 0) < 0 ||
		    vfn_blk_wait(copy.to.queue, NULL, 0, (int)depth, 0) < 0)
			die_vfn("cannot wait");
	}
}

int main(int argc, char **argv)
{
	uint64_t nsid = 1, length = 0, chunk = 65536, depth = 32;
	const char *to = NULL;
	const struct option_spec options[] = {
		{ 'n', "nsid", "NSID", "the namespace to read (default 1)", .number = &nsid,
		  .min = 1, .max = 0xfffffffe },
		{ 't', "to", "BDF[/NSID]", "the namespace to write. ITS DATA ARE LOST",
		  .text = &to },
		{ 'l', "length", "SIZE", "how much (default: as much as both have)",
		  .size = &length, .min = 1, .max = UINT64_MAX },
		{ 'c', "chunk", "SIZE", "how much at a time (default 64K)", .size = &chunk,
		  .min = 512, .max = 1 << 20 },
		{ 'q', "depth", "N", "how many at a time (default 32)", .number = &depth, .min = 1,
		  .max = 1024 },
		{},
	};
	const char *bdf = parse_options(argc, argv, "Copy a namespace to another one.", options);
	struct slot *slots;
	char name[64];
	ssize_t len;
	void *buf;

	if (!to)
		usage_error("which namespace to write? --to BDF[/NSID] is missing");

	snprintf(name, sizeof(name), "%s/%u", bdf, (unsigned int)nsid);
	open_side(&copy.from, name, VFN_BLK_RDONLY);
	open_side(&copy.to, to, 0);
	copy.chunk = chunk;
	copy.end = choose_length(length);

	/* memory that both reach, as they may belong to two controllers */
	slots = calloc(depth, sizeof(*slots));
	len = pgmap(&buf, depth * chunk);
	if (!slots || len < 0)
		die("out of memory");
	if (vfn_blk_register(copy.from.blk, buf, (size_t)len) ||
	    vfn_blk_register(copy.to.blk, buf, (size_t)len))
		die_vfn("cannot register memory");

	run(slots, (unsigned int)depth, buf);
	if (vfn_blk_flush(copy.to.blk))
		die_vfn("cannot flush");
	printf("copied %s from %s/%u to %s/%u\n", size_text(copy.end), copy.from.info.bdf,
	       copy.from.info.nsid, copy.to.info.bdf, copy.to.info.nsid);

	close_side(&copy.from);
	close_side(&copy.to);
	pgunmap(buf, (size_t)len);
	free(slots);

	return 0;
}
