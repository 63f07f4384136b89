// SPDX-License-Identifier: GPL-2.0-or-later
/* Integers of fixed byte order lie in memory as they should. */
#include "../unit.h"

#include <vfn/support/endian.h>

#define assert_bytes(v, ...) \
	do { \
		const uint8_t want[] = { __VA_ARGS__ }; \
		assert_int_equal(sizeof(v), sizeof(want)); \
		assert_memory_equal(&(v), want, sizeof(want)); \
	} while (0)

static void little_endian_values_have_the_low_byte_first(void **state)
{
	leint16_t w = cpu_to_le16(0x1234);
	leint32_t l = cpu_to_le32(0x12345678);
	leint64_t q = cpu_to_le64(0x123456789abcdef0);

	assert_bytes(w, 0x34, 0x12);
	assert_bytes(l, 0x78, 0x56, 0x34, 0x12);
	assert_bytes(q, 0xf0, 0xde, 0xbc, 0x9a, 0x78, 0x56, 0x34, 0x12);
}

static void big_endian_values_have_the_high_byte_first(void **state)
{
	beint16_t w = cpu_to_be16(0x1234);
	beint32_t l = cpu_to_be32(0x12345678);
	beint64_t q = cpu_to_be64(0x123456789abcdef0);

	assert_bytes(w, 0x12, 0x34);
	assert_bytes(l, 0x12, 0x34, 0x56, 0x78);
	assert_bytes(q, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0);
}

static void conversions_there_and_back_are_the_identity(void **state)
{
	const uint64_t v = 0xfedcba9876543210;

	assert_int_equal(le16_to_cpu(cpu_to_le16((uint16_t)v)), (uint16_t)v);
	assert_int_equal(le32_to_cpu(cpu_to_le32((uint32_t)v)), (uint32_t)v);
	assert_int_equal(le64_to_cpu(cpu_to_le64(v)), v);
	assert_int_equal(be16_to_cpu(cpu_to_be16((uint16_t)v)), (uint16_t)v);
	assert_int_equal(be32_to_cpu(cpu_to_be32((uint32_t)v)), (uint32_t)v);
	assert_int_equal(be64_to_cpu(cpu_to_be64(v)), v);
}

static void constants_equal_functions(void **state)
{
	static const leint32_t le = CPU_TO_LE32(0xcafef00d);
	static const beint64_t be = CPU_TO_BE64(0x0102030405060708);

	assert_int_equal(le, cpu_to_le32(0xcafef00d));
	assert_int_equal(be, cpu_to_be64(0x0102030405060708));
	assert_int_equal(LE32_TO_CPU(le), 0xcafef00d);
	assert_int_equal(BE64_TO_CPU(be), 0x0102030405060708);
}

static void be48_writes_six_bytes_anywhere(void **state)
{
	uint8_t buf[9];
	static const uint8_t want[] = { 0xee, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xee, 0xee };

	memset(buf, 0xee, sizeof(buf));
	put_unaligned_be48(0x123456789abc, buf + 1);
	assert_memory_equal(buf, want, sizeof(buf));
}

static void be48_drops_what_does_not_fit(void **state)
{
	uint8_t buf[6];

	put_unaligned_be48(0xffff000000000001, buf);
	assert_int_equal(get_unaligned_be48(buf), 1);
}

static void be48_reads_what_was_written(void **state)
{
	uint8_t buf[7];

	put_unaligned_be48(0xfedcba987654, buf + 1);
	assert_int_equal(get_unaligned_be48(buf + 1), 0xfedcba987654);
	put_unaligned_be48(0xffffffffffff, buf + 1);
	assert_int_equal(get_unaligned_be48(buf + 1), 0xffffffffffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(little_endian_values_have_the_low_byte_first),
		cmocka_unit_test(big_endian_values_have_the_high_byte_first),
		cmocka_unit_test(conversions_there_and_back_are_the_identity),
		cmocka_unit_test(constants_equal_functions),
		cmocka_unit_test(be48_writes_six_bytes_anywhere),
		cmocka_unit_test(be48_drops_what_does_not_fit),
		cmocka_unit_test(be48_reads_what_was_written),
	};

	return cmocka_run_group_tests_name("endian", tests, NULL, NULL);
}
