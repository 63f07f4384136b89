// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The shared library is loaded, unloaded and loaded again, and twice at a time: nothing of it
 * stays, and the copies know nothing of each other.
 */
#include "../unit.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vfn/pci.h>

static const char *library;

struct copy {
	void *handle;
	int (*parse)(const char *text, char *bdf);
	int (*choose)(const char *bdf, char *why, size_t len);
	const char *(*last_error)(void);
	int (*guard)(bool on);
};

static void load(struct copy *copy, const char *path)
{
	char bdf[VFN_PCI_BDF_LEN];

	copy->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!copy->handle)
		fail_msg("%s", dlerror());
	copy->parse = (int (*)(const char *, char *))dlsym(copy->handle, "vfn_pci_parse_bdf");
	copy->last_error = (const char *(*)(void))dlsym(copy->handle, "vfn_last_error");
	copy->guard = (int (*)(bool))dlsym(copy->handle, "vfn_sigbus_guard");
	copy->choose =
		(int (*)(const char *, char *, size_t))dlsym(copy->handle, "vfn_iommu_choose");
	assert_non_null(copy->parse);
	assert_non_null(copy->choose);
	assert_non_null(copy->last_error);
	assert_non_null(copy->guard);
	assert_int_equal(copy->parse("01:00.0", bdf), 0);
	assert_string_equal(bdf, "0000:01:00.0");
}

static void spoil(struct copy *copy)
{
	char why[8];

	assert_fails_with(copy->choose("nonsense", why, sizeof(why)), EINVAL);
	assert_non_null(strstr(copy->last_error(), "nonsense"));
}

static int maps_of(const char *path)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[4096];
	int n = 0;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		n += strstr(line, path) != NULL;
	fclose(maps);

	return n;
}

/* L5 */
static void library_that_is_unloaded_leaves_nothing(void **state)
{
	struct copy copy;

	assert_int_equal(maps_of(library), 0);
	for (int i = 0; i < 3; i++) {
		load(&copy, library);
		assert_string_equal(copy.last_error(), "");
		spoil(&copy);
		assert_true(maps_of(library) > 0);
		assert_int_equal(dlclose(copy.handle), 0);
		assert_int_equal(maps_of(library), 0);
	}
}

/* L5 */
static void copies_of_the_library_know_nothing_of_each_other(void **state)
{
	char path[] = "/tmp/libvfn-copy-XXXXXX", buf[65536];
	struct copy one, two;
	FILE *from, *to;
	size_t len;

	to = fdopen(mkstemp(path), "w");
	from = fopen(library, "re");
	assert_non_null(to);
	assert_non_null(from);
	while ((len = fread(buf, 1, sizeof(buf), from)))
		assert_int_equal(fwrite(buf, 1, len, to), len);
	fclose(from);
	assert_int_equal(fclose(to), 0);

	load(&one, library);
	load(&two, path);
	unlink(path);
	assert_ptr_not_equal(one.handle, two.handle);
	spoil(&one);
	assert_string_equal(two.last_error(), "");
	assert_int_equal(dlclose(one.handle), 0);
	spoil(&two);
	assert_int_equal(dlclose(two.handle), 0);
}

static void *sigbus_handler(void)
{
	struct sigaction act;

	assert_int_equal(sigaction(SIGBUS, NULL, &act), 0);

	return (void *)act.sa_handler;
}

/* L5, H4 */
static void guard_is_installed_on_request_only_and_goes(void **state)
{
	void *before = sigbus_handler();
	struct copy copy;

	load(&copy, library);
	assert_ptr_equal(sigbus_handler(), before);
	assert_int_equal(copy.guard(true), 0);
	assert_ptr_not_equal(sigbus_handler(), before);
	assert_int_equal(copy.guard(false), 0);
	assert_ptr_equal(sigbus_handler(), before);
	assert_int_equal(dlclose(copy.handle), 0);
	assert_ptr_equal(sigbus_handler(), before);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(library_that_is_unloaded_leaves_nothing),
		cmocka_unit_test(copies_of_the_library_know_nothing_of_each_other),
		cmocka_unit_test(guard_is_installed_on_request_only_and_goes),
	};

	if (argc != 2)
		return 2;
	library = argv[1];

	return cmocka_run_group_tests(tests, NULL, NULL);
}
