/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copies between namespaces and files. */
#ifndef VFNTOOL_TRANSFER_H
#define VFNTOOL_TRANSFER_H

#include "blocks.h"

/* Not known, as of a pipe; until the source ends. */
#define NO_LIMIT UINT64_MAX

/*
 * Where data come from or go to: a namespace where @blocks.blk is not NULL, else a file. @size: bytes from @offset on that
 * are or fit there, or NO_LIMIT. @seekable: a regular file. @fresh: what is not written of it are zeros.
 */
struct end {
	const char *name;
	struct blocks blocks;
	int fd;
	bool seekable, fresh;
	uint64_t offset, size;
};

struct transfer {
	const struct request *req;
	const char *what;
	struct end from, to;
	uint64_t len;
	uint64_t done, zeros;
	char *data, *again;
	struct progress progress;
};

/* ends.c: each returns the exit status, after a complaint, if it is not about bytes. */
int end_open_blocks(struct end *e, const struct request *req, const char *name, uint64_t offset);
int end_open_source(struct end *e, const char *path, uint64_t offset);
/* The same with a file that is open. */
int end_use_source(struct end *e, const char *name, int fd, uint64_t offset);
int end_open_destination(struct end *e, const char *path, uint64_t offset, bool in_place);
/* It will be written now: what a file had that is to be a new one goes. */
int end_begin(struct end *e);
int end_close(struct end *e);

/* Bytes that were read, at @at from the offset on: fewer than @len where it ends, or where something failed, with @status. */
size_t end_read(struct end *e, uint64_t at, char *data, size_t len, int *status);
/* Write, or have zeros where @data is NULL; the exit status. @done: bytes that are there. */
int end_write(struct end *e, uint64_t at, const char *data, size_t len, size_t *done);
/* A hole at the end belongs to a new file of @len bytes, too. */
int end_extend(struct end *e, uint64_t len);
/* Have everything written be safe. */
int end_flush(struct end *e, uint64_t len);
/* Bytes of a file at @at that are a hole, at most @len. */
uint64_t end_hole(const struct end *e, uint64_t at, uint64_t len);

/* transfer.c: between ends that are open. */
int transfer_run(struct transfer *t);

#endif /* VFNTOOL_TRANSFER_H */
