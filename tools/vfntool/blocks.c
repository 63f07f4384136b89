// SPDX-License-Identifier: GPL-2.0-or-later
/* Namespaces as the subcommands have them that read and write blocks. */
#include "blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vfn/support/log.h>

bool blocks_lost(int err)
{
	return err == ENODEV || err == ETIMEDOUT;
}

int blocks_failed(const struct blocks *b)
{
	int err = errno;

	complain("%s%s", err == ENODEV ? "device lost: " : "", vfn_last_error());
	if (blocks_lost(err))
		return EXIT_OUTSTANDING;

	return err == EINVAL || err == ENOMEM || err == EROFS || err == ENOTSUP ? EXIT_FAILURE :
										  EXIT_STATUS;
}

int blocks_open(struct blocks *b, const struct request *req, const char *name,
		const struct vfn_blk_opts *opts)
{
	struct vfn_blk_opts own = opts ? *opts : (struct vfn_blk_opts){ .queues = 1 };

	own.timeout_ms = (unsigned int)number_or(req, OPT_TIMEOUT, 0);
	if (vfn_blk_open(&b->blk, name, &own))
		return complain_last_error();

	vfn_blk_get_info(b->blk, &b->info);
	b->bytes = b->info.nblocks * b->info.block_size;
	snprintf(b->name, sizeof(b->name), "%s/%u", b->info.bdf, b->info.nsid);

	return EXIT_SUCCESS;
}

int blocks_close(struct blocks *b)
{
	struct vfn_blk *blk = b->blk;

	b->blk = NULL;

	return vfn_blk_close(blk) ? complain_last_error() : EXIT_SUCCESS;
}

int blocks_guard(const struct blocks *b, const struct request *req)
{
	char text[64];
	int found;

	if (is_given(req, OPT_FORCE))
		return EXIT_SUCCESS;

	found = find_contents(b, text, sizeof(text));
	if (found > 0)
		return complain("%s: %s: --force overwrites it", b->name, text);

	return found ? EXIT_FAILURE : EXIT_SUCCESS;
}

int blocks_check_range(const struct blocks *b, uint64_t offset, uint64_t len)
{
	const uint64_t size = b->info.block_size, odd = offset % size ? offset : len;

	if (odd % size)
		return complain("%s has blocks of %llu bytes: %llu is no multiple of that, %llu is",
				b->name, (unsigned long long)size, (unsigned long long)odd,
				(unsigned long long)((odd + size - 1) / size * size));
	if (offset > b->bytes || len > b->bytes - offset)
		return complain("%s has %llu bytes: there are no %llu from %llu on", b->name,
				(unsigned long long)b->bytes, (unsigned long long)len,
				(unsigned long long)offset);

	return EXIT_SUCCESS;
}

bool is_zero(const void *mem, size_t len)
{
	const unsigned char *p = mem;

	return !len || (!*p && !memcmp(p, p + 1, len - 1));
}
