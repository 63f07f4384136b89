// SPDX-License-Identifier: GPL-2.0-or-later
/* Heap helpers and page memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* The inline helpers below allocate through cmocka, which fails a test that leaks. */
#define UNIT_TESTING 1
#include <cmocka.h>

#include <vfn/support/mem.h>

#include <limits.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../unit.h"
#include "emu.h"

/* Of this machine: make check-arm64 runs this with pages of 64 KiB, too. */
#undef PAGE
#define PAGE ((size_t)sysconf(_SC_PAGESIZE))

/* W21 */
static void would_overflow_with_size_zero_is_false(void **state)
{
	/* so that the compiler does not work it out by itself */
	volatile size_t size = 0;

	assert_false(would_overflow(UINT_MAX, size));
	size = SIZE_MAX;
	assert_false(would_overflow(0, size));
}

static void would_overflow_tells_products_that_do(void **state)
{
	assert_false(would_overflow(2, SIZE_MAX / 2));
	assert_true(would_overflow(3, SIZE_MAX / 2));
	assert_true(would_overflow(UINT_MAX, SIZE_MAX));
}

static void allocation_of_nothing_is_null(void **state)
{
	assert_null(xmalloc(0));
	assert_null(zmalloc(0));
	assert_null(mallocn(0, 8));
	assert_null(zmallocn(8, 0));
}

static void zmalloc_zeroes(void **state)
{
	static const char zeroes[64];
	char *p = zmalloc(sizeof(zeroes));

	assert_memory_equal(p, zeroes, sizeof(zeroes));
	free(p);
}

static void new_t_makes_an_array(void **state)
{
	uint64_t *a = new_t(uint64_t, 4), *b = znew_t(uint64_t, 4);

	a[3] = 1;
	assert_int_equal(b[3], 0);
	free(a);
	free(b);
}

static void reallocn_keeps_the_content(void **state)
{
	int *p = mallocn(2, sizeof(*p));

	p[1] = 42;
	p = reallocn(p, 2000, sizeof(*p));
	assert_int_equal(p[1], 42);
	free(p);
}

static void reallocn_to_nothing_frees(void **state)
{
	assert_null(reallocn(mallocn(2, 8), 0, 8));
	assert_null(reallocn(mallocn(2, 8), 8, 0));
}

static void autofree_frees_at_the_end_of_the_scope(void **state)
{
	__autofree char *p = xmalloc(8);
	__autofree char *none = NULL;

	assert_non_null(p);
	assert_null(none);
}

/* Run @step in a child without output; whether it aborted. */
static bool aborts(void (*step)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		signal(SIGABRT, SIG_DFL);
		close(STDERR_FILENO);
		step();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);

	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void overflow_mallocn(void)
{
	(void)mallocn(3, SIZE_MAX / 2);
}

static void overflow_reallocn(void)
{
	(void)reallocn(NULL, 3, SIZE_MAX / 2);
}

static void product_that_overflows_aborts(void **state)
{
	assert_true(aborts(overflow_mallocn));
	assert_true(aborts(overflow_reallocn));
}

static void pgmap_rounds_up_to_pages(void **state)
{
	void *mem;

	assert_int_equal(pgmap(&mem, PAGE + 1), 2 * PAGE);
	assert_int_equal((uintptr_t)mem % PAGE, 0);
	assert_int_equal(vfn_pgunmap(mem, 2 * PAGE), 0);
	assert_int_equal(pgmap(&mem, 1), PAGE);
	pgunmap(mem, PAGE);
}

static void pgmap_zeroes(void **state)
{
	static const char zeroes[65536];
	void *mem;

	assert_in_range(PAGE, 1, sizeof(zeroes));
	assert_int_equal(pgmap(&mem, PAGE), PAGE);
	assert_memory_equal(mem, zeroes, PAGE);
	pgunmap(mem, PAGE);
}

static void pgmap_of_an_impossible_size_fails(void **state)
{
	void *mem = &mem;

	assert_fails_with(pgmap(&mem, 0), EINVAL);
	assert_fails_with(pgmap(&mem, SIZE_MAX), EINVAL);
	assert_fails_with(pgmap(&mem, SIZE_MAX - PAGE + 2), EINVAL);
	assert_fails_with(pgmap(&mem, (size_t)PTRDIFF_MAX + 1), EINVAL);
	assert_ptr_equal(mem, &mem);
}

static void pgmap_of_more_than_there_is_fails(void **state)
{
	void *mem = &mem;

	emu_fail_at(EMU_MMAP, 1, ENOMEM);
	assert_fails_with(pgmap(&mem, PAGE), ENOMEM);
	assert_ptr_equal(mem, &mem);
}

static void pgmapn_multiplies(void **state)
{
	void *mem;

	assert_int_equal(pgmapn(&mem, 3, PAGE / 2), 2 * PAGE);
	pgunmap(mem, 2 * PAGE);
}

static void pgmapn_of_a_product_that_overflows_fails(void **state)
{
	void *mem = &mem;

	assert_fails_with(pgmapn(&mem, 3, SIZE_MAX / 2), EINVAL);
	assert_fails_with(pgmapn(&mem, UINT_MAX, SIZE_MAX), EINVAL);
	assert_fails_with(pgmapn(&mem, 0, PAGE), EINVAL);
	assert_ptr_equal(mem, &mem);
}

/* W17 */
static void pgunmap_of_other_memory_fails(void **state)
{
	void *mem;

	assert_int_equal(pgmap(&mem, PAGE), PAGE);
	assert_fails_with(vfn_pgunmap((char *)mem + 1, PAGE), EINVAL);
	assert_fails_with(vfn_pgunmap(mem, 0), EINVAL);
	pgunmap(mem, PAGE);
}

static void page_size_is_that_of_the_host(void **state)
{
	assert_int_equal(__VFN_PAGESIZE, sysconf(_SC_PAGESIZE));
	assert_int_equal(1UL << __VFN_PAGESHIFT, __VFN_PAGESIZE);
}

#define test(name) cmocka_unit_test_setup_teardown(name, emu_setup, emu_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(would_overflow_with_size_zero_is_false),
		test(would_overflow_tells_products_that_do),
		test(allocation_of_nothing_is_null),
		test(zmalloc_zeroes),
		test(new_t_makes_an_array),
		test(reallocn_keeps_the_content),
		test(reallocn_to_nothing_frees),
		test(autofree_frees_at_the_end_of_the_scope),
		test(product_that_overflows_aborts),
		test(pgmap_rounds_up_to_pages),
		test(pgmap_zeroes),
		test(pgmap_of_an_impossible_size_fails),
		test(pgmap_of_more_than_there_is_fails),
		test(pgmapn_multiplies),
		test(pgmapn_of_a_product_that_overflows_fails),
		test(pgunmap_of_other_memory_fails),
		test(page_size_is_that_of_the_host),
	};

	return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
