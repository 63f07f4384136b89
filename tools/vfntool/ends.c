// SPDX-License-Identifier: GPL-2.0-or-later
/* The two ends of a copy: namespaces and files. */
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int end_open_blocks(struct end *e, const struct request *req, const char *name, uint64_t offset)
{
	int status = blocks_open(&e->blocks, req, name, NULL);

	if (status)
		return status;

	e->name = e->blocks.name;
	e->fd = -1;
	e->offset = offset;
	e->size = offset < e->blocks.bytes ? e->blocks.bytes - offset : 0;

	return blocks_check_range(&e->blocks, offset, 0);
}

static int file_failed(const struct end *e)
{
	return complain("%s: %s", e->name, strerror(errno));
}

static int look_at_file(struct end *e, struct stat *st)
{
	if (e->fd < 0 || fstat(e->fd, st))
		return file_failed(e);
	if (S_ISDIR(st->st_mode)) {
		errno = EISDIR;
		return file_failed(e);
	}
	if (S_ISBLK(st->st_mode))
		return complain("%s is the kernel's block device: dd(1) is for those", e->name);

	e->seekable = S_ISREG(st->st_mode);
	e->size = NO_LIMIT;
	if (!e->seekable && e->offset)
		return complain("%s is no file with a place %llu to begin at", e->name,
				(unsigned long long)e->offset);

	return EXIT_SUCCESS;
}

int end_use_source(struct end *e, const char *name, int fd, uint64_t offset)
{
	struct stat st = {};
	int status;

	*e = (struct end){ .name = name, .fd = fd, .offset = offset };
	status = look_at_file(e, &st);
	if (status || !e->seekable)
		return status;
	if (offset > (uint64_t)st.st_size)
		return complain("%s has %llu bytes: it ends before %llu", name,
				(unsigned long long)st.st_size, (unsigned long long)offset);
	e->size = (uint64_t)st.st_size - offset;
	if (!e->size)
		return complain("%s: empty", e->name);

	return EXIT_SUCCESS;
}

int end_open_source(struct end *e, const char *path, uint64_t offset)
{
	if (!strcmp(path, "-"))
		return end_use_source(e, "standard input", dup(STDIN_FILENO), offset);

	return end_use_source(e, path, open(path, O_RDONLY | O_CLOEXEC), offset);
}

int end_open_destination(struct end *e, const char *path, uint64_t offset, bool in_place)
{
	bool standard = !strcmp(path, "-");
	struct stat st = {};
	int status;

	*e = (struct end){ .name = standard ? "standard output" : path, .offset = offset };
	e->fd = standard ? dup(STDOUT_FILENO) : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	/* such as a pipe */
	if (e->fd < 0 && (errno == ENXIO || errno == EACCES || errno == EPERM))
		e->fd = open(path, O_WRONLY | O_CLOEXEC);
	status = look_at_file(e, &st);
	e->fresh = !status && e->seekable && !in_place && !standard;

	return status;
}

int end_begin(struct end *e)
{
	return e->fresh && ftruncate(e->fd, 0) ? file_failed(e) : EXIT_SUCCESS;
}

int end_close(struct end *e)
{
	int fd = e->fd;

	e->fd = -1;
	if (e->blocks.blk)
		return blocks_close(&e->blocks);

	return fd >= 0 && close(fd) ? file_failed(e) : EXIT_SUCCESS;
}

/* ---- namespaces ---- */

static int do_blocks(const struct end *e, char *read, const char *write, uint64_t lba, uint64_t n)
{
	struct vfn_blk *blk = e->blocks.blk;

	if (read)
		return vfn_blk_read(blk, read, lba, n);

	return write ? vfn_blk_write(blk, write, lba, n) : vfn_blk_write_zeroes(blk, lba, n);
}

/* All blocks that go, up to one that does not: that is found by halves. */
static size_t do_blocks_that_go(const struct end *e, uint64_t at, char *read, const char *write,
				size_t len, int *status)
{
	const uint32_t size = e->blocks.info.block_size;
	uint64_t lba = (e->offset + at) / size, n = len / size, most = n, done = 0;

	while (done < n) {
		uint64_t now = n - done < most ? n - done : most;

		if (!do_blocks(e, read ? read + done * size : NULL,
			       write ? write + done * size : NULL, lba + done, now)) {
			done += now;
			continue;
		}
		if (now == 1 || blocks_lost(errno)) {
			*status = blocks_failed(&e->blocks);
			break;
		}
		most = (now + 1) / 2;
	}

	return done * size;
}

/* ---- files ---- */

static size_t read_file_at(const struct end *e, uint64_t at, char *data, size_t len, int *status)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = e->seekable ? pread(e->fd, data + done, len - done,
						(off_t)(e->offset + at + done)) :
					  read(e->fd, data + done, len - done);

		if (n < 0 && errno == EINTR && !caught_signal())
			continue;
		if (n < 0 && errno != EINTR)
			*status = file_failed(e);
		if (n <= 0)
			break;
		done += (size_t)n;
	}

	return done;
}

static int write_file_at(const struct end *e, uint64_t at, const char *data, size_t len,
			 size_t *done)
{
	*done = 0;
	while (*done < len) {
		ssize_t n = e->seekable ? pwrite(e->fd, data + *done, len - *done,
						 (off_t)(e->offset + at + *done)) :
					  write(e->fd, data + *done, len - *done);

		if (n < 0 && errno == EINTR && !caught_signal())
			continue;
		if (n < 0)
			return file_failed(e);
		*done += (size_t)n;
	}

	return EXIT_SUCCESS;
}

/* ---- both ---- */

size_t end_read(struct end *e, uint64_t at, char *data, size_t len, int *status)
{
	if (e->blocks.blk)
		return do_blocks_that_go(e, at, data, NULL, len, status);

	return read_file_at(e, at, data, len, status);
}

int end_write(struct end *e, uint64_t at, const char *data, size_t len, size_t *done)
{
	int status = EXIT_SUCCESS;

	if (e->blocks.blk)
		*done = do_blocks_that_go(e, at, NULL, data, len, &status);
	else if (data)
		status = write_file_at(e, at, data, len, done);
	else
		*done = len;

	return status;
}

int end_extend(struct end *e, uint64_t len)
{
	return e->fresh && ftruncate(e->fd, (off_t)(e->offset + len)) ? file_failed(e) :
									EXIT_SUCCESS;
}

int end_flush(struct end *e, uint64_t len)
{
	if (e->blocks.blk)
		return vfn_blk_flush(e->blocks.blk) ? blocks_failed(&e->blocks) : EXIT_SUCCESS;
	if (!e->seekable)
		return EXIT_SUCCESS;
	if (end_extend(e, len))
		return EXIT_FAILURE;

	return fsync(e->fd) ? file_failed(e) : EXIT_SUCCESS;
}

uint64_t end_hole(const struct end *e, uint64_t at, uint64_t len)
{
	off_t start = (off_t)(e->offset + at), data;

	if (!e->seekable)
		return 0;

	data = lseek(e->fd, start, SEEK_DATA);
	if (data < 0)
		return errno == ENXIO ? len : 0;

	return (uint64_t)(data - start) < len ? (uint64_t)(data - start) : len;
}
