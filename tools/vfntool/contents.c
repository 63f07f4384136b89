// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is on a namespace: libblkid looks at a file in memory that is as large, and has its first and last bytes, where file
 * systems, partition tables and the like have their marks.
 */
#include "blocks.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vfn/support/log.h>

#define HEAD (4UL << 20)
#define TAIL (1UL << 20)

#ifdef HAVE_LIBBLKID

#include <blkid/blkid.h>

static int say_what(blkid_probe probe, char *text, size_t size)
{
	const char *type = NULL;

	if (blkid_probe_lookup_value(probe, "TYPE", &type, NULL))
		(void)blkid_probe_lookup_value(probe, "PTTYPE", &type, NULL);
	snprintf(text, size, "there is a file system or partition table (%s)",
		 type ? type : "several");

	return 1;
}

static int probe_file(const struct blocks *b, int fd, char *text, size_t size)
{
	blkid_probe probe = blkid_new_probe();
	int ret = -1;

	if (probe && !blkid_probe_set_device(probe, fd, 0, (blkid_loff_t)b->bytes)) {
		blkid_probe_set_sectorsize(probe, b->info.block_size);
		blkid_probe_enable_partitions(probe, 1);
		/* 1 is for nothing, -2 for more than one thing */
		ret = blkid_do_safeprobe(probe);
		ret = ret == 1 ? 0 : ret == 0 || ret == -2 ? say_what(probe, text, size) : -1;
	}
	if (ret < 0)
		complain("%s: libblkid cannot tell what is there: --force does without", b->name);
	blkid_free_probe(probe);

	return ret;
}

static bool write_all(int fd, const char *bytes, size_t len, uint64_t offset)
{
	while (len) {
		ssize_t n = pwrite(fd, bytes, len, (off_t)offset);

		if (n < 0)
			return false;
		bytes += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}

	return true;
}

static int look(const struct blocks *b, const char *ends, size_t head, size_t tail, char *text,
		size_t size)
{
	int fd = memfd_create("namespace", MFD_CLOEXEC), ret;

	if (fd < 0 || ftruncate(fd, (off_t)b->bytes) || !write_all(fd, ends, head, 0) ||
	    !write_all(fd, ends + head, tail, b->bytes - tail)) {
		complain("%s: a file in memory to look at: %s", b->name, strerror(errno));
		ret = -1;
	} else {
		ret = probe_file(b, fd, text, size);
	}
	if (fd >= 0)
		close(fd);

	return ret;
}

#else

static int look(const struct blocks *b, const char *ends, size_t head, size_t tail, char *text,
		size_t size)
{
	(void)b;
	(void)ends;
	(void)head;
	(void)tail;
	snprintf(text, size, "there is something, and no libblkid to tell what");

	return 1;
}

#endif

int find_contents(const struct blocks *b, char *text, size_t size)
{
	size_t head = b->bytes < HEAD ? b->bytes : HEAD, tail = b->bytes < TAIL ? b->bytes : TAIL;
	const uint32_t block = b->info.block_size;
	char *ends = vfn_blk_alloc(b->blk, HEAD + TAIL);
	int ret;

	if (!ends) {
		complain_last_error();
		return -1;
	}

	if (vfn_blk_read(b->blk, ends, 0, head / block) ||
	    vfn_blk_read(b->blk, ends + head, (b->bytes - tail) / block, tail / block)) {
		complain("%s: --force does not look what is there", vfn_last_error());
		ret = -1;
	} else {
		ret = is_zero(ends, head + tail) ? 0 : look(b, ends, head, tail, text, size);
	}
	(void)vfn_blk_free(b->blk, ends);

	return ret;
}
