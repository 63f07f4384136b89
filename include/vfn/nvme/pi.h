/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* End-to-end data protection: make and check the protection information of logical blocks. */
#ifndef VFN_NVME_PI_H
#define VFN_NVME_PI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vfn/nvme/types.h>
#include <vfn/support/compiler.h>
#include <vfn/support/endian.h>

VFN_BEGIN_DECLS

/*
 * Protection information, a tuple at one end of a block's metadata: a checksum of
 * the block, an application tag, a reference tag (NVM Command Set Specification
 * 1.0, section 5.2). Nothing here talks to a controller. Thread-safe as far as
 * arguments are not shared.
 */

/* The tuple of a namespace with a 16-bit guard; struct nvme_crc64_pi_tuple is that of a 64-bit one. */
struct vfn_nvme_crc16_pi_tuple {
	beint16_t guard;
	beint16_t apptag;
	beint32_t reftag;
};

__static_assert(sizeof(struct vfn_nvme_crc16_pi_tuple) == 8);

/**
 * enum vfn_nvme_pi_guard - width of the checksum, as the PIF field of the LBA format says it
 * @VFN_NVME_PI_GUARD_16B: T10 CRC16, a tuple of 8 bytes
 * @VFN_NVME_PI_GUARD_64B: NVMe CRC64, a tuple of 16 bytes
 */
enum vfn_nvme_pi_guard {
	VFN_NVME_PI_GUARD_16B = 0,
	VFN_NVME_PI_GUARD_64B = 2,
};

/**
 * enum vfn_nvme_pi_flags - protection information field, as in &struct nvme_cmd_rw.control
 * @VFN_NVME_PI_PRACT: the controller inserts and strips the tuple
 * @VFN_NVME_PI_CHECK_GUARD: check the guard
 * @VFN_NVME_PI_CHECK_APPTAG: check the application tag
 * @VFN_NVME_PI_CHECK_REFTAG: check the reference tag
 */
enum vfn_nvme_pi_flags {
	VFN_NVME_PI_CHECK_REFTAG = 1 << 10,
	VFN_NVME_PI_CHECK_APPTAG = 1 << 11,
	VFN_NVME_PI_CHECK_GUARD = 1 << 12,
	VFN_NVME_PI_PRACT = 1 << 13,
};

#define VFN_NVME_PI_CHECK_ALL \
	(VFN_NVME_PI_CHECK_GUARD | VFN_NVME_PI_CHECK_APPTAG | VFN_NVME_PI_CHECK_REFTAG)

/**
 * struct vfn_nvme_pi - how blocks are protected
 * @lba_size: bytes of data of a block
 * @ms: bytes of metadata of a block
 * @type: 1, 2 or 3, as Identify Namespace says (DPS)
 * @guard: of enum vfn_nvme_pi_guard
 * @first: the tuple is at the start of the metadata, not at its end. At the end, the
 *	guard covers the metadata before it, too.
 * @flags: of enum vfn_nvme_pi_flags; vfn_nvme_pi_verify() heeds the checks
 * @apptag: application tag
 * @appmask: bits of it that are checked
 * @reftag: reference tag of the first block; that of the next ones is one more each,
 *	with type 3 the same. 32 bits with a 16-bit guard, 48 with a 64-bit one. With
 *	type 1 controllers insist that it is the block's number.
 *
 * There must be no storage tag (STS 0): all of that space is the reference tag's.
 */
struct vfn_nvme_pi {
	uint32_t lba_size;
	uint16_t ms;
	uint8_t type;
	uint8_t guard;
	bool first;
	uint16_t flags;
	uint16_t apptag;
	uint16_t appmask;
	uint64_t reftag;
};

/**
 * struct vfn_nvme_pi_error - what vfn_nvme_pi_verify() did not like
 * @block: index of the block, from 0
 * @check: of enum vfn_nvme_pi_flags
 * @found: what the tuple has
 * @wanted: what it should have
 */
struct vfn_nvme_pi_error {
	size_t block;
	uint16_t check;
	uint64_t found;
	uint64_t wanted;
};

/**
 * vfn_nvme_pi_prep_cmd - let a command carry protection information
 * @pi: how
 * @cmd: Read, Write, Compare or the like; its PRINFO, reference and application
 *	tags are set
 *
 * With type 3 the controller is not asked to check reference tags.
 */
void vfn_nvme_pi_prep_cmd(const struct vfn_nvme_pi *pi, union nvme_cmd *cmd);

/**
 * vfn_nvme_pi_fill - make the tuples of blocks that are to be written
 * @pi: how
 * @data: blocks
 * @meta: their metadata; NULL where each block's follows its data (extended blocks).
 *	Other metadata than the tuple must be there already.
 * @blocks: how many
 *
 * Return: 0, or -1 with errno EINVAL (no such format).
 */
int vfn_nvme_pi_fill(const struct vfn_nvme_pi *pi, void *data, void *meta, size_t blocks);

/**
 * vfn_nvme_pi_verify - check the tuples of blocks that were read
 * @pi: how
 * @data: blocks
 * @meta: their metadata; NULL where each block's follows its data
 * @blocks: how many
 * @error: receives what is wrong, or NULL
 *
 * A block whose application tag is 0xffff is not checked (with type 3, only if all of
 * its reference tag is ones, too).
 *
 * Return: 0, or -1 with errno: EILSEQ (@error and vfn_last_error() say which check of
 * which block), EINVAL (no such format).
 */
int vfn_nvme_pi_verify(const struct vfn_nvme_pi *pi, const void *data, const void *meta,
		       size_t blocks, struct vfn_nvme_pi_error *error);

/**
 * vfn_nvme_crc16 - T10 DIF checksum, polynomial 0x8bb7
 * @crc: 0, or the result for what comes before
 * @buffer: bytes
 * @len: how many
 *
 * Return: the checksum.
 */
uint16_t vfn_nvme_crc16(uint16_t crc, const void *buffer, size_t len);

VFN_END_DECLS

#endif /* VFN_NVME_PI_H */
