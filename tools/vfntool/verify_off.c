// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vfntool verify off: data of any length from memory at any offset within a page. Bytes around the memory stay as they are,
 * and another driver, by --check, reads the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "verify.h"

#define GUARD 4096UL
#define GUARD_BYTE 0xa5

static const unsigned int lengths[] = { 1, 7, 8, 9, 15, 16, 17, 1024, 4097 };

#define NR_LENGTHS (sizeof(lengths) / sizeof(lengths[0]))
#define LONGEST 4097

struct sweep {
	struct verify *v;
	const struct blocks *b;
	uint64_t random;
	char *memory; /* guard, a page for offsets, data, guard */
	char *theirs; /* what the other driver reads */
	int check_fd;
};

/* One piece, or with SGLs three, of which none begins at a page. */
static int pieces_of(struct sweep *s, char *data, size_t len, struct iovec iov[3])
{
	size_t first = len / 16 * 4 + 4, second = len / 8 * 4 + 8;

	iov[0] = (struct iovec){ .iov_base = data, .iov_len = len };
	if (!is_given(s->v->req, OPT_SGL) || first >= second || second >= len)
		return 1;
	iov[0].iov_len = first;
	iov[1] = (struct iovec){ .iov_base = data + first, .iov_len = second - first };
	iov[2] = (struct iovec){ .iov_base = data + second, .iov_len = len - second };

	return 3;
}

static bool are_guards(const char *memory, size_t before, size_t from, size_t to)
{
	for (size_t i = 0; i < before; i++) {
		if ((uint8_t)memory[i] != GUARD_BYTE)
			return false;
	}
	for (size_t i = from; i < to; i++) {
		if ((uint8_t)memory[i] != GUARD_BYTE)
			return false;
	}

	return true;
}

static bool check_theirs(struct sweep *s, uint64_t at, size_t len, uint64_t seed)
{
	if (s->check_fd < 0)
		return true;
	memset(s->theirs, 0, len);
	if (pread(s->check_fd, s->theirs, len, (off_t)at) != (ssize_t)len) {
		verify_result(s->v, false, "%s: %s", s->v->req->values[OPT_CHECK].text,
			      strerror(errno));
		return false;
	}

	return verify_compare(s->theirs, len, seed, at) == len;
}

/* What is wrong, or NULL. */
static const char *try(struct sweep *s, size_t offset, unsigned int nlb)
{
	const size_t len = (size_t)nlb * s->b->info.block_size, start = GUARD + offset;
	const uint64_t lba = verify_below(&s->random, s->b->info.nblocks - nlb + 1);
	const uint64_t at = lba * s->b->info.block_size, seed = verify_random(&s->random);
	char *data = s->memory + start;
	struct iovec iov[3];
	int n = pieces_of(s, data, len, iov);

	memset(s->memory, GUARD_BYTE, start + len + GUARD);
	verify_fill(data, len, seed, at);
	if (vfn_blk_writev(s->b->blk, iov, n, lba)) {
		verify_failed(s->v, s->b);
		return "write";
	}
	if (verify_compare(data, len, seed, at) < len ||
	    !are_guards(s->memory, start, start + len, start + len + GUARD))
		return "a write changed memory";
	if (!check_theirs(s, at, len, seed))
		return "the other driver reads something else";

	memset(data, 0, len);
	if (vfn_blk_readv(s->b->blk, iov, n, lba)) {
		verify_failed(s->v, s->b);
		return "read";
	}
	if (!are_guards(s->memory, start, start + len, start + len + GUARD))
		return "a read changed memory around it";

	return verify_compare(data, len, seed, at) < len ? "it reads something else" : NULL;
}

static void run_offset(struct sweep *s, size_t offset)
{
	uint64_t most = number_or(s->v->req, OPT_BLOCKS, LONGEST), blocks = 0;
	const char *wrong = NULL;

	if (most > s->b->info.nblocks)
		most = s->b->info.nblocks;
	for (size_t i = 0; i < NR_LENGTHS && !wrong && lengths[i] <= most; i++) {
		if (caught_signal())
			return;
		wrong = try(s, offset, lengths[i]);
		blocks = lengths[i];
	}
	if (wrong)
		verify_result(s->v, false, "offset %zu: %" PRIu64 " blocks: %s", offset, blocks,
			      wrong);
	else
		verify_result(s->v, true, "offset %zu: up to %" PRIu64 " blocks", offset, blocks);
}

static int open_check(struct sweep *s)
{
	const struct request *req = s->v->req;

	s->check_fd = -1;
	if (!is_given(req, OPT_CHECK))
		return 0;

	/* from the device, not from what is remembered of it */
	s->check_fd = open(req->values[OPT_CHECK].text, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (s->check_fd < 0)
		verify_result(s->v, false, "%s: %s", req->values[OPT_CHECK].text, strerror(errno));

	return s->check_fd < 0 ? -1 : 0;
}

void verify_off(struct verify *v, struct blocks *b, unsigned int n)
{
	const size_t len = (size_t)LONGEST * b->info.block_size;
	struct sweep s = { .v = v, .b = b, .random = v->seed };

	(void)n;
	if (open_check(&s))
		return;

	s.memory = vfn_blk_alloc(b->blk, 2 * GUARD + GUARD + len);
	s.theirs = aligned_alloc(4096, (len + 4095) / 4096 * 4096);
	if (!s.memory || !s.theirs)
		verify_failed(v, b);
	for (size_t offset = 0; s.memory && s.theirs && offset < 4096 && !caught_signal();
	     offset += 512)
		run_offset(&s, offset);

	free(s.theirs);
	(void)vfn_blk_free(b->blk, s.memory);
	if (s.check_fd >= 0)
		close(s.check_fd);
}
