/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Test data that anybody can check: every byte follows from a seed and from where it lies. */
#ifndef EXAMPLES_PATTERN_H
#define EXAMPLES_PATTERN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <vfn/support/endian.h>

/*
 * The 64-bit little-endian word at byte n, a multiple of 8, of a namespace or block device is
 *
 *	(seed + n / 8) * 0x9e3779b97f4a7c15		modulo 2^64
 */
static inline leint64_t pattern_word(uint64_t seed, uint64_t offset)
{
	return cpu_to_le64((seed + offset / 8) * UINT64_C(0x9e3779b97f4a7c15));
}

static inline void pattern_fill(void *buf, size_t len, uint64_t seed, uint64_t offset)
{
	leint64_t *words = (leint64_t *)buf;

	for (size_t i = 0; i < len / 8; i++)
		words[i] = pattern_word(seed, offset + 8 * i);
}

/* Returns where the first word lies that differs, counted as offset is; offset + len if none. */
static inline uint64_t pattern_check(const void *buf, size_t len, uint64_t seed, uint64_t offset)
{
	const leint64_t *words = (const leint64_t *)buf;

	for (size_t i = 0; i < len / 8; i++)
		if (words[i] != pattern_word(seed, offset + 8 * i))
			return offset + 8 * i;

	return offset + len;
}

#endif /* EXAMPLES_PATTERN_H */
