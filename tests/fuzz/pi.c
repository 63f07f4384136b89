// SPDX-License-Identifier: GPL-2.0-or-later
/* Protection information: made and checked, against checksums bit by bit and tuples byte by byte. */
#include "fuzz.h"

#include <errno.h>

#include <vfn/nvme.h>
#include <vfn/nvme/pi.h>

#define BLOCKS 4

/* Numbers as the device has them, most significant byte first. */
static uint64_t big(const uint8_t *at, unsigned int n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | *at++;

	return v;
}

static uint64_t crc16(uint64_t crc, const uint8_t *at, size_t n)
{
	while (n--) {
		crc ^= (uint64_t)*at++ << 8;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc << 1 ^ (crc >> 15 & 1) * 0x8bb7) & 0xffff;
	}

	return crc;
}

static uint64_t crc64(uint64_t crc, const uint8_t *at, size_t n)
{
	while (n--) {
		crc ^= *at++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1) * 0x9a6c9329ac4bc9b5;
	}

	return crc;
}

/* A tuple of each kind: where its fields are, in bytes. */
struct form {
	unsigned int size, guard, reftag;
};

static const struct form forms[] = { { 8, 2, 4 }, { 16, 8, 6 } };

static const struct form *form_of(const struct vfn_nvme_pi *pi)
{
	const struct form *form = pi->guard == 0 ? &forms[0] : pi->guard == 2 ? &forms[1] : NULL;

	if (!form || pi->type < 1 || pi->type > 3 || !pi->lba_size || pi->ms < form->size)
		return NULL;

	return form;
}

struct block {
	uint8_t *data, *meta, *tuple;
	uint64_t guard, apptag, reftag;
};

static struct block block_of(const struct vfn_nvme_pi *pi, uint8_t *data, uint8_t *meta, size_t i)
{
	const struct form *f = form_of(pi);
	struct block b = { .data = data + i * (pi->lba_size + (meta ? 0 : pi->ms)) };
	size_t before = pi->first ? 0 : pi->ms - f->size;

	b.meta = meta ? meta + i * pi->ms : b.data + pi->lba_size;
	b.tuple = b.meta + before;
	b.guard = f->size == 8 ? crc16(crc16(0, b.data, pi->lba_size), b.meta, before) :
				 ~crc64(crc64(~0ULL, b.data, pi->lba_size), b.meta, before);
	b.apptag = pi->apptag;
	b.reftag = (pi->reftag + (pi->type == 3 ? 0 : i)) & (~0ULL >> (64 - 8 * f->reftag));

	return b;
}

static bool wrong(const struct vfn_nvme_pi *pi, unsigned int check, uint64_t found, uint64_t wanted,
		  struct vfn_nvme_pi_error *error)
{
	if (!(pi->flags & check) || found == wanted)
		return false;

	error->check = (uint16_t)check;
	error->found = found;
	error->wanted = wanted;

	return true;
}

/* The first that is wrong; false where all are as they should be. */
static bool find_wrong(const struct vfn_nvme_pi *pi, uint8_t *data, uint8_t *meta, size_t blocks,
		       struct vfn_nvme_pi_error *error)
{
	const struct form *f = form_of(pi);

	for (error->block = 0; error->block < blocks; error->block++) {
		struct block b = block_of(pi, data, meta, error->block);
		uint64_t apptag = big(b.tuple + f->guard, 2);
		uint64_t reftag = big(b.tuple + f->guard + 2, f->reftag);

		if (apptag == 0xffff && (pi->type != 3 || reftag == ~0ULL >> (64 - 8 * f->reftag)))
			continue;
		if (wrong(pi, VFN_NVME_PI_CHECK_GUARD, big(b.tuple, f->guard), b.guard, error) ||
		    wrong(pi, VFN_NVME_PI_CHECK_APPTAG, apptag & pi->appmask,
			  pi->apptag & pi->appmask, error) ||
		    (pi->type != 3 && wrong(pi, VFN_NVME_PI_CHECK_REFTAG, reftag, b.reftag, error)))
			return true;
	}

	return false;
}

static void check_fill(const struct vfn_nvme_pi *pi, uint8_t *data, uint8_t *meta, size_t blocks)
{
	const struct form *f = form_of(pi);

	for (size_t i = 0; i < blocks; i++) {
		struct block b = block_of(pi, data, meta, i);

		require(big(b.tuple, f->guard) == b.guard);
		require(big(b.tuple + f->guard, 2) == b.apptag);
		require(big(b.tuple + f->guard + 2, f->reftag) == b.reftag);
	}
}

static void check_verify(const struct vfn_nvme_pi *pi, uint8_t *data, uint8_t *meta, size_t blocks)
{
	struct vfn_nvme_pi_error wanted, got;
	bool bad = find_wrong(pi, data, meta, blocks, &wanted);
	int ret = vfn_nvme_pi_verify(pi, data, meta, blocks, &got);

	require(ret ? bad && errno == EILSEQ : !bad);
	require(!ret || (got.block == wanted.block && got.check == wanted.check &&
			 got.found == wanted.found && got.wanted == wanted.wanted));
}

static void flip(struct input *in, uint8_t *mem, size_t n)
{
	size_t at = n ? take(in, 2) % n : 0;

	if (n)
		mem[at] ^= (uint8_t)take(in, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };
	struct vfn_nvme_pi pi = {
		.lba_size = (uint32_t)take(&in, 2) & 0xff3,
		.ms = (uint16_t)take(&in, 1) & 63,
		.type = (uint8_t)take_to(&in, 4),
		.guard = (uint8_t)take_to(&in, 3),
		.first = take_to(&in, 1),
		.flags = (uint16_t)take(&in, 2),
		.apptag = (uint16_t)take(&in, 2),
		.appmask = (uint16_t)take(&in, 2),
		.reftag = take(&in, 8),
	};
	bool extended = take_to(&in, 1), fill = take_to(&in, 1);
	size_t blocks = take_to(&in, BLOCKS), nmeta = blocks * pi.ms;
	size_t ndata = blocks * pi.lba_size + (extended ? nmeta : 0), at,
	       n = extended ? ndata : nmeta;
	uint8_t *mem = malloc(ndata), *meta = extended ? NULL : malloc(nmeta), *copy;

	take_bytes(&in, mem, ndata);
	if (meta)
		take_bytes(&in, meta, nmeta);

	if (!form_of(&pi)) {
		require(vfn_nvme_pi_fill(&pi, mem, meta, blocks) && errno == EINVAL);
		require(vfn_nvme_pi_verify(&pi, mem, meta, blocks, NULL) && errno == EINVAL);
		goto out;
	}

	if (fill) {
		copy = malloc(n + 1);
		memcpy(copy, extended ? mem : meta, n);
		require(!vfn_nvme_pi_fill(&pi, mem, meta, blocks));
		check_fill(&pi, mem, meta, blocks);
		require(!vfn_nvme_pi_verify(&pi, mem, meta, blocks, NULL));
		/* nothing but the tuples has changed */
		for (size_t i = 0; i < blocks; i++) {
			struct block b = block_of(&pi, mem, meta, i);

			at = (size_t)(b.tuple - (extended ? mem : meta));
			memcpy(copy + at, b.tuple, form_of(&pi)->size);
		}
		require(!memcmp(copy, extended ? mem : meta, n));
		free(copy);
		flip(&in, mem, ndata);
		flip(&in, meta, meta ? nmeta : 0);
	}
	check_verify(&pi, mem, meta, blocks);
out:
	free(mem);
	free(meta);

	return 0;
}
