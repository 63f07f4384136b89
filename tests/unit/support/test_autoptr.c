// SPDX-License-Identifier: GPL-2.0-or-later
/* Variables that clean up after themselves do so once, in order, and not for NULL. */
#include "../unit.h"

#include <vfn/support/autoptr.h>

struct thing {
	int id;
};

static int trail[4];
static unsigned int cleaned;

static void clean(struct thing *thing)
{
	trail[cleaned++ % UNIT_ARRAY_SIZE(trail)] = thing->id;
}

typedef struct thing thing;

DEFINE_AUTOPTR(thing, clean)
DEFINE_AUTOVAR_STRUCT(thing, clean)

static int setup(void **state)
{
	cleaned = 0;

	return 0;
}

static void autoptr_cleans_at_the_end_of_its_scope(void **state)
{
	struct thing a = { 1 };

	{
		__autoptr(thing) p = &a;

		assert_int_equal(p->id, 1);
		assert_int_equal(cleaned, 0);
	}

	assert_int_equal(cleaned, 1);
}

static void autoptr_that_is_null_is_left_alone(void **state)
{
	{
		__autoptr(thing) p = NULL;

		assert_null(p);
	}

	assert_int_equal(cleaned, 0);
}

static void autoptr_that_was_taken_over_is_left_alone(void **state)
{
	struct thing a = { 1 };

	{
		__autoptr(thing) p = &a;

		p = NULL;
		(void)p;
	}

	assert_int_equal(cleaned, 0);
}

static int leave_early(struct thing *a)
{
	__autoptr(thing) p = a;

	return p->id;
}

static void autoptr_cleans_on_return(void **state)
{
	struct thing a = { 9 };

	assert_int_equal(leave_early(&a), 9);
	assert_int_equal(cleaned, 1);
	assert_int_equal(trail[0], 9);
}

static void autovar_cleans_in_reverse_order(void **state)
{
	{
		__autovar_s(thing) a = { 1 };
		__autovar_s(thing) b = { 2 };

		assert_int_equal(a.id + b.id, 3);
	}

	assert_int_equal(cleaned, 2);
	assert_int_equal(trail[0], 2);
	assert_int_equal(trail[1], 1);
}

#define test(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(autoptr_cleans_at_the_end_of_its_scope),
		test(autoptr_that_is_null_is_left_alone),
		test(autoptr_that_was_taken_over_is_left_alone),
		test(autoptr_cleans_on_return),
		test(autovar_cleans_in_reverse_order),
	};

	return cmocka_run_group_tests_name("autoptr", tests, NULL, NULL);
}
