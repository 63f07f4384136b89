// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Calls that wait: a request on a queue that the thread has meanwhile. */
#include <errno.h>
#include <string.h>

#include <vfn/support/mutex.h>

#include "blk/blk.h"
#include "support/error.h"

/* Zeroes that are written at a time where the controller has no command for it. */
#define ZEROES_BYTES (256UL << 10)

static int failed(const struct vfn_blk *blk, const struct vfn_blk_req *req)
{
	static const char *const names[] = { "read",	"write",	"compare", "flush",
					     "discard", "write zeroes", "verify" };
	const char *why = req->status ? vfn_nvme_status_text(req->status) : strerror(req->error);

	if (req->op == VFN_BLK_CMD)
		vfn_set_error(req->error, "%s/%u: command 0x%02x: %s", blk->info.bdf,
			      blk->info.nsid, req->cmd->opcode, why);
	else
		vfn_set_error(req->error, "%s/%u: %s of %llu blocks from %llu on: %s",
			      blk->info.bdf, blk->info.nsid, names[req->op],
			      (unsigned long long)req->nlb, (unsigned long long)req->lba, why);
	vfn_set_status(req->status);

	return -1;
}

uint16_t vfn_blk_last_status(void)
{
	return vfn_get_status();
}

int blk_execute(struct vfn_blk *blk, struct vfn_blk_req *req)
{
	struct vfn_blk_queue *q = blk_borrow(blk);
	int ret = vfn_blk_submit(q, req);

	/* it ends by its own limit, whatever happens */
	if (!ret)
		ret = vfn_blk_wait_req(req, -1);
	blk_give_back(q);

	return !ret && req->error ? failed(blk, req) : ret;
}

static int do_buf(struct vfn_blk *blk, uint8_t op, void *buf, uint64_t lba, uint64_t nlb)
{
	struct vfn_blk_req req = { .op = op, .lba = lba, .nlb = nlb, .buf = buf };

	return blk_execute(blk, &req);
}

int vfn_blk_read(struct vfn_blk *blk, void *buf, uint64_t lba, uint64_t nlb)
{
	return do_buf(blk, VFN_BLK_READ, buf, lba, nlb);
}

int vfn_blk_write(struct vfn_blk *blk, const void *buf, uint64_t lba, uint64_t nlb)
{
	return do_buf(blk, VFN_BLK_WRITE, blk_unconst(buf), lba, nlb);
}

int vfn_blk_compare(struct vfn_blk *blk, const void *buf, uint64_t lba, uint64_t nlb)
{
	return do_buf(blk, VFN_BLK_COMPARE, blk_unconst(buf), lba, nlb);
}

int vfn_blk_flush(struct vfn_blk *blk)
{
	return do_buf(blk, VFN_BLK_FLUSH, NULL, 0, 0);
}

int vfn_blk_discard(struct vfn_blk *blk, uint64_t lba, uint64_t nlb)
{
	return do_buf(blk, VFN_BLK_DISCARD, NULL, lba, nlb);
}

int vfn_blk_verify(struct vfn_blk *blk, uint64_t lba, uint64_t nlb)
{
	return do_buf(blk, VFN_BLK_VERIFY, NULL, lba, nlb);
}

/* ---- vectors ---- */

static int do_vector(struct vfn_blk *blk, uint8_t op, const struct iovec *iov, int niov,
		     uint64_t lba)
{
	struct vfn_blk_req req = { .op = op, .lba = lba, .iov = iov, .niov = niov };
	size_t len = 0;

	for (int i = 0; iov && i < niov; i++) {
		if (__builtin_add_overflow(len, iov[i].iov_len, &len))
			return vfn_fail(EINVAL, "%s: a vector of more than there is",
					blk->info.bdf);
	}
	if (!len || len & (blk->info.block_size - 1))
		return vfn_fail(EINVAL, "%s: a vector of %zu bytes is no number of blocks of %u",
				blk->info.bdf, len, blk->info.block_size);
	req.nlb = len >> blk->lba_shift;

	return blk_execute(blk, &req);
}

int vfn_blk_readv(struct vfn_blk *blk, const struct iovec *iov, int niov, uint64_t lba)
{
	return do_vector(blk, VFN_BLK_READ, iov, niov, lba);
}

int vfn_blk_writev(struct vfn_blk *blk, const struct iovec *iov, int niov, uint64_t lba)
{
	return do_vector(blk, VFN_BLK_WRITE, iov, niov, lba);
}

/* ---- zeroes ---- */

static int write_buffers_of_zeroes(struct vfn_blk *blk, uint64_t lba, uint64_t nlb)
{
	const uint64_t most = ZEROES_BYTES >> blk->lba_shift;
	void *zeroes;
	int ret = 0;

	/* before anything is written */
	if (blk_check_blocks(blk, lba, nlb))
		return -1;

	zeroes = vfn_blk_alloc(blk, ZEROES_BYTES);
	if (!zeroes)
		return -1;

	while (nlb && !ret) {
		uint64_t n = nlb < most ? nlb : most;

		ret = vfn_blk_write(blk, zeroes, lba, n);
		lba += n;
		nlb -= n;
	}

	if (ret) {
		int saved = errno;

		(void)vfn_blk_free(blk, zeroes);
		errno = saved;
		return -1;
	}

	return vfn_blk_free(blk, zeroes);
}

int vfn_blk_write_zeroes(struct vfn_blk *blk, uint64_t lba, uint64_t nlb)
{
	if (!(blk->info.features & VFN_BLK_F_WRITE_ZEROES) && !(blk->flags & VFN_BLK_NO_FALLBACK))
		return write_buffers_of_zeroes(blk, lba, nlb);

	return do_buf(blk, VFN_BLK_WRITE_ZEROES, NULL, lba, nlb);
}

/* ---- bytes ---- */

/* The bytes of a block from @offset on that a call is about, by a buffer of a block. */
static int do_part(struct vfn_blk *blk, char *buf, size_t len, uint64_t offset, bool write)
{
	const uint32_t size = blk->info.block_size;
	uint64_t lba = offset >> blk->lba_shift;
	char *block = vfn_blk_alloc(blk, size);
	int ret, saved;

	if (!block)
		return -1;

	ret = vfn_blk_read(blk, block, lba, 1);
	if (!ret && write) {
		memcpy(block + (offset & (size - 1)), buf, len);
		ret = vfn_blk_write(blk, block, lba, 1);
	} else if (!ret) {
		memcpy(buf, block + (offset & (size - 1)), len);
	}

	saved = errno;
	(void)vfn_blk_free(blk, block);
	errno = saved;

	return ret;
}

static int do_part_alone(struct vfn_blk *blk, char *buf, size_t len, uint64_t offset, bool write)
{
	if (!write)
		return do_part(blk, buf, len, offset, false);

	__autolock(&blk->part_lock);

	return do_part(blk, buf, len, offset, true);
}

static int do_bytes(struct vfn_blk *blk, char *buf, size_t len, uint64_t offset, bool write)
{
	const uint64_t size = blk->info.block_size, total = blk->info.nblocks << blk->lba_shift;

	if (!len)
		return 0;
	if (!buf || offset >= total || len > total - offset)
		return vfn_fail(EINVAL, "%s/%u: no %zu bytes from %llu on: it has %llu",
				blk->info.bdf, blk->info.nsid, len, (unsigned long long)offset,
				(unsigned long long)total);
	if (write && blk->info.features & VFN_BLK_F_RDONLY)
		return vfn_fail(EROFS, "%s/%u cannot be written", blk->info.bdf, blk->info.nsid);

	while (len) {
		uint64_t within = offset & (size - 1);
		size_t n = len & ~(size - 1);
		int ret;

		if (within || !n) {
			n = size - within < len ? size - within : len;
			ret = do_part_alone(blk, buf, n, offset, write);
		} else {
			ret = do_buf(blk, write ? VFN_BLK_WRITE : VFN_BLK_READ, buf,
				     offset >> blk->lba_shift, n >> blk->lba_shift);
		}
		if (ret)
			return -1;

		buf += n;
		offset += n;
		len -= n;
	}

	return 0;
}

int vfn_blk_pread(struct vfn_blk *blk, void *buf, size_t len, uint64_t offset)
{
	return do_bytes(blk, buf, len, offset, false);
}

int vfn_blk_pwrite(struct vfn_blk *blk, const void *buf, size_t len, uint64_t offset)
{
	return do_bytes(blk, blk_unconst(buf), len, offset, true);
}
