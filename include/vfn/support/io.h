/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Whole-buffer reads and writes on descriptors and paths. */
#ifndef VFN_SUPPORT_IO_H
#define VFN_SUPPORT_IO_H

#include <sys/types.h>

#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS

/* Thread-safe as far as descriptors and buffers are not shared. */

/**
 * writeallfd - write @count bytes, however many calls that takes
 * @fd: descriptor open for writing
 * @buf: bytes to write
 * @count: how many
 *
 * Return: @count, or -1 with errno; some bytes may have been written then.
 */
ssize_t writeallfd(int fd, const void *buf, size_t count);

/**
 * writeall - open @path for writing and write @count bytes
 * @path: existing file, as in sysfs; it is neither created nor truncated
 * @buf: bytes to write
 * @count: how many
 *
 * Return: @count, or -1 with errno.
 */
ssize_t writeall(const char *path, const void *buf, size_t count);

/**
 * readmaxfd - read until @count bytes or the end of the file
 * @fd: descriptor open for reading
 * @buf: room for @count bytes; no terminator is added
 * @count: how many at the most
 *
 * Return: bytes read, or -1 with errno.
 */
ssize_t readmaxfd(int fd, void *buf, size_t count);

/**
 * readmax - open @path and read until @count bytes or its end
 * @path: file to read
 * @buf: room for @count bytes; no terminator is added
 * @count: how many at the most
 *
 * Return: bytes read, or -1 with errno.
 */
ssize_t readmax(const char *path, void *buf, size_t count);

VFN_END_DECLS

#endif /* VFN_SUPPORT_IO_H */
