// SPDX-License-Identifier: GPL-2.0-or-later
/* Atomic operations return and store what they say. */
#include "../unit.h"

#include <vfn/support/atomic.h>

static void cmpxchg_of_the_expected_value_stores(void **state)
{
	int v = 3, expected = 3;

	assert_true(atomic_cmpxchg(&v, expected, 7));
	assert_int_equal(v, 7);
	assert_int_equal(expected, 3);
}

static void cmpxchg_of_another_value_tells_what_was_found(void **state)
{
	int v = 3, expected = 4;

	assert_false(atomic_cmpxchg(&v, expected, 7));
	assert_int_equal(v, 3);
	assert_int_equal(expected, 3);
}

static void cmpxchg_takes_pointers(void **state)
{
	int a, b;
	int *p = &a, *expected = &a;

	assert_true(atomic_cmpxchg(&p, expected, &b));
	assert_ptr_equal(p, &b);
}

static void fetch_returns_the_new_value(void **state)
{
	unsigned int v = 5;

	assert_int_equal(atomic_inc_fetch(&v), 6);
	assert_int_equal(atomic_dec_fetch(&v), 5);
	atomic_inc(&v);
	assert_int_equal(v, 6);
	atomic_dec(&v);
	assert_int_equal(v, 5);
}

static void load_reads_what_store_wrote(void **state)
{
	uint64_t v = 0;

	atomic_store_release(&v, 0x123456789abcULL);
	assert_int_equal(atomic_load_acquire(&v), 0x123456789abc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cmpxchg_of_the_expected_value_stores),
		cmocka_unit_test(cmpxchg_of_another_value_tells_what_was_found),
		cmocka_unit_test(cmpxchg_takes_pointers),
		cmocka_unit_test(fetch_returns_the_new_value),
		cmocka_unit_test(load_reads_what_store_wrote),
	};

	return cmocka_run_group_tests_name("atomic", tests, NULL, NULL);
}
