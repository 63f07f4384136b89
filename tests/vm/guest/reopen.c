/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Open and close, orderly or not, leave nothing behind: the next open works. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

#define LEN 4096

static int open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);

	return count;
}

static void write_something(struct nvme_ctrl *ctrl, uint64_t seed)
{
	void *mem = guest_alloc(LEN);

	guest_fill(mem, LEN, seed);
	guest_write(ctrl, 1, &guest_ns512, 0, mem, LEN);
	guest_kernel_check(&guest_ns512, 0, LEN, seed);
	guest_free(mem, LEN);
}

static void test_close_gives_every_descriptor_back(void **state)
{
	struct nvme_ctrl ctrl = {};
	int i, before = -1;

	(void)state;
	for (i = 0; i < 10; i++) {
		guest_open(&ctrl, "a", 0);
		write_something(&ctrl, 13000 + i);
		nvme_close(&ctrl);
		/* the first open may leave what is made once per process */
		if (i == 0)
			before = open_fds();
	}
	assert_int_equal(open_fds(), before);
}

static void test_second_open_is_refused(void **state)
{
	struct nvme_ctrl ctrl = {}, again = {};

	(void)state;
	guest_open(&ctrl, "a", 0);
	assert_int_equal(nvme_init(&again, guest_bdf("a"), NULL), -1);
	assert_int_equal(errno, EBUSY);
	write_something(&ctrl, 14000);
	nvme_close(&ctrl);
}

static void test_device_of_the_kernel_is_refused_with_advice(void **state)
{
	struct nvme_ctrl ctrl = {};

	(void)state;
	assert_int_equal(nvme_init(&ctrl, guest_bdf("b"), NULL), -1);
	assert_int_equal(errno, EBUSY);
	assert_non_null(strstr(vfn_last_error(), guest_bdf("b")));
	assert_non_null(strstr(vfn_last_error(), "bound to nvme"));
	assert_non_null(strstr(vfn_last_error(), "vfntool bind"));
}

static void test_open_after_a_kill_works(void **state)
{
	struct nvme_ctrl ctrl = {};
	int ready[2], status;
	pid_t child;
	char byte;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		struct nvme_ctrl mine = {};
		void *mem = guest_alloc(LEN);

		guest_open(&mine, "a", 0);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			guest_write(&mine, 1, &guest_ns512, 64, mem, LEN);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);

	usleep(100 * 1000);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));

	guest_open(&ctrl, "a", 0);
	write_something(&ctrl, 15000);
	nvme_close(&ctrl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_close_gives_every_descriptor_back),
		cmocka_unit_test(test_second_open_is_refused),
		cmocka_unit_test(test_device_of_the_kernel_is_refused_with_advice),
		cmocka_unit_test(test_open_after_a_kill_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
