// SPDX-License-Identifier: GPL-2.0-or-later
/* Guards hold their lock to the end of the scope and no longer. */
#include "../unit.h"

#include <pthread.h>

#include <vfn/support/mutex.h>
#include <vfn/support/rwlock.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;

static bool mutex_is_free(void)
{
	if (pthread_mutex_trylock(&mutex))
		return false;
	pthread_mutex_unlock(&mutex);

	return true;
}

static bool rwlock_is_readable(void)
{
	if (pthread_rwlock_tryrdlock(&rwlock))
		return false;
	pthread_rwlock_unlock(&rwlock);

	return true;
}

static bool rwlock_is_writable(void)
{
	if (pthread_rwlock_trywrlock(&rwlock))
		return false;
	pthread_rwlock_unlock(&rwlock);

	return true;
}

static void autolock_holds_to_the_end_of_the_scope(void **state)
{
	{
		__autolock(&mutex);
		assert_false(mutex_is_free());
	}

	assert_true(mutex_is_free());
}

static int return_while_locked(void)
{
	__autolock(&mutex);

	return mutex_is_free();
}

static void autolock_is_released_on_return(void **state)
{
	assert_int_equal(return_while_locked(), 0);
	assert_true(mutex_is_free());
}

static void autolocks_of_two_locks_fit_into_one_scope(void **state)
{
	pthread_mutex_t other = PTHREAD_MUTEX_INITIALIZER;

	{
		__autolock(&mutex);
		__autolock(&other);
		assert_int_not_equal(pthread_mutex_trylock(&other), 0);
	}

	assert_int_equal(pthread_mutex_trylock(&other), 0);
	pthread_mutex_unlock(&other);
	assert_true(mutex_is_free());
}

static void autordlock_keeps_writers_out(void **state)
{
	{
		__autordlock(&rwlock);
		assert_true(rwlock_is_readable());
		assert_false(rwlock_is_writable());
	}

	assert_true(rwlock_is_writable());
}

static void autowrlock_keeps_everyone_out(void **state)
{
	{
		__autowrlock(&rwlock);
		assert_false(rwlock_is_readable());
		assert_false(rwlock_is_writable());
	}

	assert_true(rwlock_is_writable());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(autolock_holds_to_the_end_of_the_scope),
		cmocka_unit_test(autolock_is_released_on_return),
		cmocka_unit_test(autolocks_of_two_locks_fit_into_one_scope),
		cmocka_unit_test(autordlock_keeps_writers_out),
		cmocka_unit_test(autowrlock_keeps_everyone_out),
	};

	return cmocka_run_group_tests_name("locks", tests, NULL, NULL);
}
