/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Namespaces as the subcommands have them that read and write blocks. */
#ifndef VFNTOOL_BLOCKS_H
#define VFNTOOL_BLOCKS_H

#include <vfn/blk.h>

#include "vfntool.h"

/* A namespace that is open; @name is BDF/NSID. */
struct blocks {
	struct vfn_blk *blk;
	struct vfn_blk_info info;
	uint64_t bytes;
	char name[32];
};

/*
 * Open a namespace. @opts may be NULL; --timeout comes on top. Its controller must be nobody's, which matters for those that write.
 * blocks_open() and blocks_close() return the exit status, after a complaint.
 */
int blocks_open(struct blocks *b, const struct request *req, const char *name,
		const struct vfn_blk_opts *opts);
int blocks_close(struct blocks *b);

/* A call of the library for it failed: complain, and return the exit status. */
int blocks_failed(const struct blocks *b);
/* Whether that was the controller's end, so that there is nothing left to try. */
bool blocks_lost(int err);

/* See that nothing of value is there, or that --force was given. Returns the exit status, after a complaint. */
int blocks_guard(const struct blocks *b, const struct request *req);

/* See that bytes are blocks, and that there are so many. Returns the exit status, after a complaint. */
int blocks_check_range(const struct blocks *b, uint64_t offset, uint64_t len);

/* contents.c: what is on it, in words: 1 something, 0 nothing that is known, or -1 after a complaint. */
int find_contents(const struct blocks *b, char *text, size_t size);

bool is_zero(const void *mem, size_t len);

#endif /* VFNTOOL_BLOCKS_H */
