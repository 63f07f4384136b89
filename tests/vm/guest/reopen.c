/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Open and close, orderly or not, leave nothing behind: the next open works. */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

#define LEN 4096

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
			before = guest_count_descriptors();
	}
	assert_int_equal(guest_count_descriptors(), before);
}

/* V7 */
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

/* V6 */
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

static void end(pid_t child, int want)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), want);
}

/* In a child: what its parent has opened is refused, without a word to the device. */
static void child_may_not(struct nvme_ctrl *ctrl, void *mem)
{
	union nvme_cmd cmd = { .opcode = 0x06 };

	if (!nvme_admin(ctrl, &cmd, mem, 4096, NULL) || errno != ECHILD || !nvme_reset(ctrl) ||
	    errno != ECHILD || !iommu_unmap_vaddr(__iommu_ctx(ctrl), mem, NULL) || errno != ECHILD)
		_exit(1);
	nvme_close(ctrl);
}

/* D18, L3, L4: what a child does, or has, is nothing to a controller at work */
static void test_children_do_no_harm(void **state)
{
	int ready[2], done[2], i;
	struct nvme_ctrl ctrl = {};
	void *mem = guest_alloc(LEN);
	pid_t child, program;
	iova_t iova;
	char byte;

	(void)state;
	guest_open(&ctrl, "a", 0);
	assert_vfn(iommu_map_vaddr(__iommu_ctx(&ctrl), mem, LEN, &iova, 0) == 0);
	guest_fill(mem, LEN, 15500);

	/* one that ends in the usual way, one that writes to its copy of the memory and stays, and another program */
	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		child_may_not(&ctrl, mem);
		exit(7);
	}
	end(child, 7);

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(done), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		memset(mem, 0xee, LEN);
		_exit(write(ready[1], "", 1) != 1 || read(done[0], &byte, 1) != 1);
	}
	program = fork();
	assert_true(program >= 0);
	if (!program) {
		execl("/bin/sleep", "sleep", "60", NULL);
		_exit(127);
	}

	assert_int_equal(read(ready[0], &byte, 1), 1);
	for (i = 0; i < 16; i++) {
		guest_fill(mem, LEN, 15501 + i);
		guest_write(&ctrl, 1, &guest_ns512, 0, mem, LEN);
		memset(mem, 0, LEN);
		guest_read(&ctrl, 1, &guest_ns512, 0, mem, LEN);
		guest_check(mem, LEN, 15501 + i);
	}

	assert_true(guest_kernel_objects(getpid()) > 0);
	for (i = 0; i < 100 && guest_kernel_objects(program); i++)
		usleep(100 * 1000);
	assert_int_equal(guest_kernel_objects(program), 0);
	assert_int_equal(kill(program, SIGKILL), 0);
	assert_int_equal(waitpid(program, &i, 0), program);

	assert_int_equal(write(done[1], "", 1), 1);
	end(child, 0);
	for (i = 0; i < 2; i++) {
		close(ready[i]);
		close(done[i]);
	}
	nvme_close(&ctrl);
	guest_free(mem, LEN);

	guest_open(&ctrl, "a", 0);
	write_something(&ctrl, 15600);
	nvme_close(&ctrl);
}

/* C4, L1 */
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
		cmocka_unit_test(test_children_do_no_harm),
		cmocka_unit_test(test_open_after_a_kill_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
