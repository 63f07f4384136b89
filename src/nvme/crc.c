// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Checksums of protection information: eight bytes at a time, by tables made at first use. */
#include <pthread.h>
#include <string.h>

#include <vfn/nvme/pi.h>
#include <vfn/nvme/util.h>

/* T10 DIF, most significant bit first; NVMe, bits reflected. */
#define CRC16_POLY 0x8bb7
#define CRC64_POLY 0x9a6c9329ac4bc9b5ULL

/* [n][b]: what byte b contributes when n more bytes follow it */
static uint16_t crc16_table[8][256];
static uint64_t crc64_table[8][256];
static pthread_once_t made = PTHREAD_ONCE_INIT;

static uint16_t crc16_byte(uint16_t crc, uint8_t byte)
{
	return (uint16_t)(crc << 8) ^ crc16_table[0][crc >> 8 ^ byte];
}

static uint64_t crc64_byte(uint64_t crc, uint8_t byte)
{
	return crc >> 8 ^ crc64_table[0][(crc ^ byte) & 0xff];
}

static uint16_t crc16_bits(uint16_t crc)
{
	for (int bit = 0; bit < 8; bit++)
		crc = (uint16_t)(crc << 1 ^ (crc & 0x8000 ? CRC16_POLY : 0));

	return crc;
}

static uint64_t crc64_bits(uint64_t crc)
{
	for (int bit = 0; bit < 8; bit++)
		crc = crc >> 1 ^ (crc & 1 ? CRC64_POLY : 0);

	return crc;
}

static void make_tables(void)
{
	for (unsigned int b = 0; b < 256; b++) {
		crc16_table[0][b] = crc16_bits((uint16_t)(b << 8));
		crc64_table[0][b] = crc64_bits(b);
	}

	for (int n = 1; n < 8; n++) {
		for (int b = 0; b < 256; b++) {
			crc16_table[n][b] = crc16_byte(crc16_table[n - 1][b], 0);
			crc64_table[n][b] = crc64_byte(crc64_table[n - 1][b], 0);
		}
	}
}

uint16_t vfn_nvme_crc16(uint16_t crc, const void *buffer, size_t len)
{
	const uint8_t *p = buffer;

	(void)pthread_once(&made, make_tables);

	for (; len >= 8; p += 8, len -= 8)
		crc = crc16_table[7][crc >> 8 ^ p[0]] ^ crc16_table[6][(crc & 0xff) ^ p[1]] ^
		      crc16_table[5][p[2]] ^ crc16_table[4][p[3]] ^ crc16_table[3][p[4]] ^
		      crc16_table[2][p[5]] ^ crc16_table[1][p[6]] ^ crc16_table[0][p[7]];
	while (len--)
		crc = crc16_byte(crc, *p++);

	return crc;
}

uint64_t nvme_crc64(uint64_t crc, const unsigned char *buffer, size_t len)
{
	leint64_t word;

	(void)pthread_once(&made, make_tables);

	for (; len >= 8; buffer += 8, len -= 8) {
		memcpy(&word, buffer, sizeof(word));
		crc ^= le64_to_cpu(word);
		crc = crc64_table[7][crc & 0xff] ^ crc64_table[6][crc >> 8 & 0xff] ^
		      crc64_table[5][crc >> 16 & 0xff] ^ crc64_table[4][crc >> 24 & 0xff] ^
		      crc64_table[3][crc >> 32 & 0xff] ^ crc64_table[2][crc >> 40 & 0xff] ^
		      crc64_table[1][crc >> 48 & 0xff] ^ crc64_table[0][crc >> 56];
	}
	while (len--)
		crc = crc64_byte(crc, *buffer++);

	return ~crc;
}
