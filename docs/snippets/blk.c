// SPDX-License-Identifier: GPL-2.0-or-later
/* The blk layer: calls that wait, and many requests at a time. */
#include <poll.h>
#include <stdio.h>

#include <vfn/blk.h>

#include "snippet.h"

#define DEPTH 8

/* [wait] */
static void copy(struct vfn_blk *blk, uint64_t from, uint64_t to, uint64_t nlb)
{
	struct vfn_blk_info info;
	void *buf;

	vfn_blk_get_info(blk, &info);
	buf = vfn_blk_alloc(blk, nlb * info.block_size);
	if (!buf || vfn_blk_read(blk, buf, from, nlb) || vfn_blk_write(blk, buf, to, nlb) ||
	    vfn_blk_flush(blk) || vfn_blk_free(blk, buf))
		fail();
}
/* [wait-end] */

/* [many] */
static void read_many(struct vfn_blk *blk, char *buf, size_t block_size)
{
	struct vfn_blk_queue *queue = vfn_blk_get_queue(blk);
	struct vfn_blk_req reqs[DEPTH] = {}, *done[DEPTH];
	int left = DEPTH, n;

	if (!queue)
		fail();

	for (int i = 0; i < DEPTH; i++) {
		reqs[i].op = VFN_BLK_READ;
		reqs[i].lba = (uint64_t)i;
		reqs[i].nlb = 1;
		reqs[i].buf = buf + (size_t)i * block_size;
		if (vfn_blk_submit(queue, &reqs[i]))
			fail();
	}

	while (left) {
		n = vfn_blk_wait(queue, done, 1, left, -1);
		if (n < 0)
			fail();
		for (int i = 0; i < n; i++) {
			if (done[i]->error)
				fprintf(stderr, "%s\n", strerror(done[i]->error));
		}
		left -= n;
	}

	if (vfn_blk_put_queue(queue))
		fail();
}
/* [many-end] */

/* [event] */
static void read_in_an_event_loop(struct vfn_blk_queue *queue, struct vfn_blk_req *req)
{
	struct pollfd pollfd = { .fd = vfn_blk_event_fd(queue), .events = POLLIN };
	struct vfn_blk_req *done;

	if (pollfd.fd < 0 || vfn_blk_submit(queue, req))
		fail();

	/* this tells the controller; then look when there is something, and now and then for what is late */
	while (vfn_blk_wait(queue, &done, 0, 1, 0) == 0) {
		if (poll(&pollfd, 1, 100) < 0)
			fail();
	}
	if (done->error)
		fprintf(stderr, "%s\n", strerror(done->error));
}
/* [event-end] */

static void read_by_interrupt(const char *name)
{
	const struct vfn_blk_opts opts = { .queues = 2, .flags = VFN_BLK_INTERRUPTS };
	struct vfn_blk_req req = { .op = VFN_BLK_READ, .nlb = 1 };
	struct vfn_blk_queue *queue;
	struct vfn_blk *blk;

	if (vfn_blk_open(&blk, name, &opts))
		fail();
	queue = vfn_blk_get_queue(blk);
	req.buf = vfn_blk_alloc(blk, 4096);
	if (!queue || !req.buf)
		fail();
	read_in_an_event_loop(queue, &req);
	if (vfn_blk_put_queue(queue) || vfn_blk_close(blk))
		fail();
}

int main(int argc, char **argv)
{
	struct vfn_blk_info info;
	struct vfn_blk *blk;
	char *buf;

	if (argc != 2)
		return 2;

	if (vfn_blk_open(&blk, argv[1], NULL))
		fail();
	vfn_blk_get_info(blk, &info);
	copy(blk, 0, 100, 8);

	buf = vfn_blk_alloc(blk, DEPTH * info.block_size);
	if (!buf)
		fail();
	read_many(blk, buf, info.block_size);
	printf("%d blocks of %u bytes\n", DEPTH, info.block_size);

	if (vfn_blk_close(blk))
		fail();

	read_by_interrupt(argv[1]);

	return 0;
}
