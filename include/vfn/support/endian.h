/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Integers of fixed byte order, and conversions. Checked by sparse, plain integers otherwise. */
#ifndef VFN_SUPPORT_ENDIAN_H
#define VFN_SUPPORT_ENDIAN_H

#include <byteswap.h>
#include <stdint.h>

#include <vfn/support/compiler.h>

typedef uint16_t __bitwise leint16_t;
typedef uint32_t __bitwise leint32_t;
typedef uint64_t __bitwise leint64_t;
typedef uint16_t __bitwise beint16_t;
typedef uint32_t __bitwise beint32_t;
typedef uint64_t __bitwise beint64_t;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define __vfn_le(bits, v) ((uint##bits##_t)(v))
#define __vfn_be(bits, v) ((uint##bits##_t)__builtin_bswap##bits(v))
#else
#define __vfn_le(bits, v) ((uint##bits##_t)__builtin_bswap##bits(v))
#define __vfn_be(bits, v) ((uint##bits##_t)(v))
#endif

/* Constant expressions, for initialisers. */
#define CPU_TO_LE16(v) ((leint16_t __force)__vfn_le(16, v))
#define CPU_TO_LE32(v) ((leint32_t __force)__vfn_le(32, v))
#define CPU_TO_LE64(v) ((leint64_t __force)__vfn_le(64, v))
#define CPU_TO_BE16(v) ((beint16_t __force)__vfn_be(16, v))
#define CPU_TO_BE32(v) ((beint32_t __force)__vfn_be(32, v))
#define CPU_TO_BE64(v) ((beint64_t __force)__vfn_be(64, v))
#define LE16_TO_CPU(v) __vfn_le(16, (uint16_t __force)(v))
#define LE32_TO_CPU(v) __vfn_le(32, (uint32_t __force)(v))
#define LE64_TO_CPU(v) __vfn_le(64, (uint64_t __force)(v))
#define BE16_TO_CPU(v) __vfn_be(16, (uint16_t __force)(v))
#define BE32_TO_CPU(v) __vfn_be(32, (uint32_t __force)(v))
#define BE64_TO_CPU(v) __vfn_be(64, (uint64_t __force)(v))

VFN_BEGIN_DECLS

/* Thread-safe as far as memory is not shared. */

/**
 * cpu_to_le16, cpu_to_le32, cpu_to_le64,
 * cpu_to_be16, cpu_to_be32, cpu_to_be64 - give a number a byte order
 * @v: number
 *
 * Return: the number with its least (le) or most (be) significant byte first.
 */
VFN_INLINE leint16_t cpu_to_le16(uint16_t v)
{
	return CPU_TO_LE16(v);
}

VFN_INLINE leint32_t cpu_to_le32(uint32_t v)
{
	return CPU_TO_LE32(v);
}

VFN_INLINE leint64_t cpu_to_le64(uint64_t v)
{
	return CPU_TO_LE64(v);
}

VFN_INLINE beint16_t cpu_to_be16(uint16_t v)
{
	return CPU_TO_BE16(v);
}

VFN_INLINE beint32_t cpu_to_be32(uint32_t v)
{
	return CPU_TO_BE32(v);
}

VFN_INLINE beint64_t cpu_to_be64(uint64_t v)
{
	return CPU_TO_BE64(v);
}

/**
 * le16_to_cpu, le32_to_cpu, le64_to_cpu,
 * be16_to_cpu, be32_to_cpu, be64_to_cpu - take the byte order from a number
 * @v: number with its least (le) or most (be) significant byte first
 *
 * Return: the number.
 */
VFN_INLINE uint16_t le16_to_cpu(leint16_t v)
{
	return LE16_TO_CPU(v);
}

VFN_INLINE uint32_t le32_to_cpu(leint32_t v)
{
	return LE32_TO_CPU(v);
}

VFN_INLINE uint64_t le64_to_cpu(leint64_t v)
{
	return LE64_TO_CPU(v);
}

VFN_INLINE uint16_t be16_to_cpu(beint16_t v)
{
	return BE16_TO_CPU(v);
}

VFN_INLINE uint32_t be32_to_cpu(beint32_t v)
{
	return BE32_TO_CPU(v);
}

VFN_INLINE uint64_t be64_to_cpu(beint64_t v)
{
	return BE64_TO_CPU(v);
}

/**
 * put_unaligned_be48 - store the low 48 bits of @v at @p, most significant first
 * @v: value
 * @p: six bytes, any alignment
 */
VFN_INLINE void put_unaligned_be48(const uint64_t v, uint8_t *p)
{
	for (int i = 0; i < 6; i++)
		p[i] = (uint8_t)(v >> (40 - 8 * i));
}

/**
 * get_unaligned_be48 - load six bytes at @p, most significant first
 * @p: six bytes, any alignment
 *
 * Return: the value, below 2^48.
 */
VFN_INLINE uint64_t get_unaligned_be48(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 6; i++)
		v = v << 8 | p[i];

	return v;
}

VFN_END_DECLS

#endif /* VFN_SUPPORT_ENDIAN_H */
