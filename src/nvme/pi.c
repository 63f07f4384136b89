// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Protection information (NVM Command Set Specification 1.0, section 5.2). */
#include <vfn/nvme/pi.h>

#include <errno.h>
#include <string.h>

#include <vfn/nvme/util.h>

#include "support/error.h"

#define UNCHECKED_APPTAG 0xffff

/* A tuple of either format, in host order. */
struct tuple {
	uint64_t guard;
	uint16_t apptag;
	uint64_t reftag;
};

static size_t tuple_size(const struct vfn_nvme_pi *pi)
{
	return pi->guard == VFN_NVME_PI_GUARD_16B ? sizeof(struct vfn_nvme_crc16_pi_tuple) :
						    sizeof(struct nvme_crc64_pi_tuple);
}

static uint64_t reftag_mask(const struct vfn_nvme_pi *pi)
{
	return pi->guard == VFN_NVME_PI_GUARD_16B ? UINT32_MAX : (1ULL << 48) - 1;
}

static uint64_t reftag_of(const struct vfn_nvme_pi *pi, size_t block)
{
	return (pi->reftag + (pi->type == 3 ? 0 : block)) & reftag_mask(pi);
}

static int check_format(const struct vfn_nvme_pi *pi)
{
	if (pi->guard != VFN_NVME_PI_GUARD_16B && pi->guard != VFN_NVME_PI_GUARD_64B)
		return vfn_fail(EINVAL, "protection information of format %u is not known here",
				pi->guard);
	if (pi->type < 1 || pi->type > 3)
		return vfn_fail(EINVAL, "protection information has types 1 to 3, not %u",
				pi->type);
	if (!pi->lba_size || pi->ms < tuple_size(pi))
		return vfn_fail(
			EINVAL,
			"blocks of %u + %u bytes have no room for %zu bytes of protection information",
			pi->lba_size, pi->ms, tuple_size(pi));

	return 0;
}

/* Where the @n-th block's data and metadata start. */
struct block {
	const uint8_t *data;
	const uint8_t *meta;
};

static struct block find_block(const struct vfn_nvme_pi *pi, const void *data, const void *meta,
			       size_t n)
{
	const uint8_t *d = data, *m = meta;

	if (m)
		return (struct block){ d + n * pi->lba_size, m + n * pi->ms };

	d += n * ((size_t)pi->lba_size + pi->ms);

	return (struct block){ d, d + pi->lba_size };
}

static const uint8_t *tuple_at(const struct vfn_nvme_pi *pi, const struct block *block)
{
	return pi->first ? block->meta : block->meta + pi->ms - tuple_size(pi);
}

static uint64_t guard_of(const struct vfn_nvme_pi *pi, const struct block *block)
{
	size_t covered = pi->first ? 0 : pi->ms - tuple_size(pi);

	if (pi->guard == VFN_NVME_PI_GUARD_16B)
		return vfn_nvme_crc16(vfn_nvme_crc16(0, block->data, pi->lba_size), block->meta,
				      covered);

	/* the seed is all ones, and so is what the result is inverted with */
	return nvme_crc64(~nvme_crc64(UINT64_MAX, block->data, pi->lba_size), block->meta, covered);
}

static void store(const struct vfn_nvme_pi *pi, const struct tuple *tuple, uint8_t *at)
{
	if (pi->guard == VFN_NVME_PI_GUARD_16B) {
		struct vfn_nvme_crc16_pi_tuple raw = {
			.guard = cpu_to_be16((uint16_t)tuple->guard),
			.apptag = cpu_to_be16(tuple->apptag),
			.reftag = cpu_to_be32((uint32_t)tuple->reftag),
		};

		memcpy(at, &raw, sizeof(raw));
	} else {
		struct nvme_crc64_pi_tuple raw = {
			.guard = cpu_to_be64(tuple->guard),
			.apptag = cpu_to_be16(tuple->apptag),
		};

		put_unaligned_be48(tuple->reftag, raw.sr);
		memcpy(at, &raw, sizeof(raw));
	}
}

static struct tuple load(const struct vfn_nvme_pi *pi, const uint8_t *at)
{
	struct vfn_nvme_crc16_pi_tuple small;
	struct nvme_crc64_pi_tuple large;

	if (pi->guard == VFN_NVME_PI_GUARD_16B) {
		memcpy(&small, at, sizeof(small));
		return (struct tuple){
			.guard = be16_to_cpu(small.guard),
			.apptag = be16_to_cpu(small.apptag),
			.reftag = be32_to_cpu(small.reftag),
		};
	}

	memcpy(&large, at, sizeof(large));

	return (struct tuple){
		.guard = be64_to_cpu(large.guard),
		.apptag = be16_to_cpu(large.apptag),
		.reftag = get_unaligned_be48(large.sr),
	};
}

int vfn_nvme_pi_fill(const struct vfn_nvme_pi *pi, void *data, void *meta, size_t blocks)
{
	if (check_format(pi))
		return -1;

	for (size_t i = 0; i < blocks; i++) {
		struct block block = find_block(pi, data, meta, i);
		struct tuple tuple = {
			.guard = guard_of(pi, &block),
			.apptag = pi->apptag,
			.reftag = reftag_of(pi, i),
		};

		store(pi, &tuple, (uint8_t *)tuple_at(pi, &block));
	}

	return 0;
}

static const char *check_name(uint16_t check)
{
	switch (check) {
	case VFN_NVME_PI_CHECK_GUARD:
		return "guard";
	case VFN_NVME_PI_CHECK_APPTAG:
		return "application tag";
	default:
		return "reference tag";
	}
}

/* Whether the host asked for the block not to be checked. */
static bool unchecked(const struct vfn_nvme_pi *pi, const struct tuple *tuple)
{
	return tuple->apptag == UNCHECKED_APPTAG &&
	       (pi->type != 3 || tuple->reftag == reftag_mask(pi));
}

static bool differs(struct vfn_nvme_pi_error *err, uint16_t check, uint64_t found, uint64_t wanted)
{
	err->check = check;
	err->found = found;
	err->wanted = wanted;

	return found != wanted;
}

static bool check_fails(const struct vfn_nvme_pi *pi, const struct block *block,
			struct vfn_nvme_pi_error *err)
{
	struct tuple tuple = load(pi, tuple_at(pi, block));

	if (unchecked(pi, &tuple))
		return false;

	return ((pi->flags & VFN_NVME_PI_CHECK_GUARD) &&
		differs(err, VFN_NVME_PI_CHECK_GUARD, tuple.guard, guard_of(pi, block))) ||
	       ((pi->flags & VFN_NVME_PI_CHECK_APPTAG) &&
		differs(err, VFN_NVME_PI_CHECK_APPTAG, tuple.apptag & pi->appmask,
			pi->apptag & pi->appmask)) ||
	       ((pi->flags & VFN_NVME_PI_CHECK_REFTAG) && pi->type != 3 &&
		differs(err, VFN_NVME_PI_CHECK_REFTAG, tuple.reftag, reftag_of(pi, err->block)));
}

int vfn_nvme_pi_verify(const struct vfn_nvme_pi *pi, const void *data, const void *meta,
		       size_t blocks, struct vfn_nvme_pi_error *error)
{
	if (check_format(pi))
		return -1;

	for (size_t i = 0; i < blocks; i++) {
		struct block block = find_block(pi, data, meta, i);
		struct vfn_nvme_pi_error err = { .block = i };

		if (!check_fails(pi, &block, &err))
			continue;

		if (error)
			*error = err;

		return vfn_fail(EILSEQ, "block %zu: its %s is 0x%llx and should be 0x%llx", i,
				check_name(err.check), (unsigned long long)err.found,
				(unsigned long long)err.wanted);
	}

	return 0;
}

#define PRINFO (VFN_NVME_PI_PRACT | VFN_NVME_PI_CHECK_ALL)

void vfn_nvme_pi_prep_cmd(const struct vfn_nvme_pi *pi, union nvme_cmd *cmd)
{
	uint64_t reftag = reftag_of(pi, 0);
	uint16_t prinfo = pi->flags & PRINFO;

	if (pi->type == 3)
		prinfo &= (uint16_t)~VFN_NVME_PI_CHECK_REFTAG;

	cmd->rw.control = cpu_to_le16((le16_to_cpu(cmd->rw.control) & (uint16_t)~PRINFO) | prinfo);
	cmd->rw.reftag = cpu_to_le32((uint32_t)reftag);
	/* the upper bits of a longer one (section 5.2.1.4.1) */
	cmd->rw.cdw3 = cpu_to_le32((uint32_t)(reftag >> 32));
	cmd->rw.apptag = cpu_to_le16(pi->apptag);
	cmd->rw.appmask = cpu_to_le16(pi->appmask);
}
