/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SHA-256 (FIPS 180-4), for digests that sha256sum(1) prints, too. */
#ifndef VFNTOOL_SHA256_H
#define VFNTOOL_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BLOCK 64
#define SHA256_TEXT 65

struct sha256 {
	uint32_t state[8];
	uint64_t len;
};

void sha256_begin(struct sha256 *s);
/* A number of blocks of SHA256_BLOCK bytes. */
void sha256_add(struct sha256 *s, const void *data, size_t len);
/* The digest as hexadecimal digits. */
void sha256_end(struct sha256 *s, char text[SHA256_TEXT]);

#endif /* VFNTOOL_SHA256_H */
