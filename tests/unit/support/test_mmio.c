// SPDX-License-Identifier: GPL-2.0-or-later
/* Register accessors: width, byte order, and the order of the halves. */
#include "../unit.h"

#include <vfn/support/mmio.h>

/* A device of two registers that notes which of its words was accessed. */
static uint32_t words[4];
static unsigned int order[4], naccesses;

static unsigned int note(void *addr)
{
	unsigned int i = (unsigned int)((uint32_t *)addr - words);

	assert_in_range(i, 0, 3);
	order[naccesses++ % UNIT_ARRAY_SIZE(order)] = i;

	return i;
}

uint32_t vfn_mmio_hook_read32(void *addr)
{
	return words[note(addr)];
}

void vfn_mmio_hook_write32(void *addr, uint32_t val)
{
	words[note(addr)] = val;
}

static int setup(void **state)
{
	static const uint8_t bytes[sizeof(words)] = {
		0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
	};

	memcpy(words, bytes, sizeof(words));
	naccesses = 0;

	return 0;
}

static void read32_is_one_little_endian_access(void **state)
{
	assert_int_equal(le32_to_cpu(mmio_read32(&words[0])), 0x04030201);
	assert_int_equal(naccesses, 1);
}

static void write32_is_one_little_endian_access(void **state)
{
	static const uint8_t want[] = { 0xef, 0xbe, 0xad, 0xde };

	mmio_write32(&words[1], cpu_to_le32(0xdeadbeef));
	assert_memory_equal(&words[1], want, sizeof(want));
	assert_int_equal(naccesses, 1);
}

static void read64_takes_the_low_half_first(void **state)
{
	assert_int_equal(le64_to_cpu(mmio_read64(&words[0])), 0x0807060504030201);
	assert_int_equal(naccesses, 2);
	assert_int_equal(order[0], 0);
	assert_int_equal(order[1], 1);
}

static void lh_write64_writes_the_low_half_first(void **state)
{
	mmio_lh_write64(&words[2], cpu_to_le64(0x1122334455667788));
	assert_int_equal(naccesses, 2);
	assert_int_equal(order[0], 2);
	assert_int_equal(order[1], 3);
	assert_int_equal(le64_to_cpu(mmio_lh_read64(&words[2])), 0x1122334455667788);
}

static void hl_write64_writes_the_high_half_first(void **state)
{
	mmio_hl_write64(&words[2], cpu_to_le64(0x1122334455667788));
	assert_int_equal(naccesses, 2);
	assert_int_equal(order[0], 3);
	assert_int_equal(order[1], 2);
	assert_int_equal(le64_to_cpu(mmio_lh_read64(&words[2])), 0x1122334455667788);
}

#define test(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(read32_is_one_little_endian_access),
		test(write32_is_one_little_endian_access),
		test(read64_takes_the_low_half_first),
		test(lh_write64_writes_the_low_half_first),
		test(hl_write64_writes_the_high_half_first),
	};

	return cmocka_run_group_tests_name("mmio", tests, NULL, NULL);
}
