/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process that may make those system calls only that the manual names can do everything; to submit and poll it needs none. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vfn/pci.h>

#include "guest.h"

#define LEN (256UL << 10)
#define SMALL 4096
#define DEPTH 32
#define COMMANDS 1000

/* Says to who traces it that a part begins in which there must be no call, and that it ends. */
#define MARK SYS_getppid

/* docs/os.rst, which tests/unit/docs/promises.py compares with this */
#define CALL(name) [SYS_##name] = #name

static const char *const allowed[] = {
	CALL(openat),	       CALL(close),	   CALL(fcntl),
	CALL(ioctl),	       CALL(mmap),	   CALL(munmap),
	CALL(madvise),	       CALL(read),	   CALL(write),
	CALL(pread64),	       CALL(pwrite64),	   CALL(newfstatat),
	CALL(getdents64),      CALL(access),	   CALL(readlink),
	CALL(mkdir),	       CALL(getrandom),	   CALL(fsync),
	CALL(rename),	       CALL(unlink),	   CALL(clock_gettime),
	CALL(clock_nanosleep), CALL(prlimit64),	   CALL(brk),
	CALL(mprotect),	       CALL(mremap),	   CALL(futex),
	CALL(eventfd2),	       CALL(rt_sigaction), CALL(getpid),
	CALL(gettid),	       CALL(tgkill),	   CALL(sched_getaffinity),
	CALL(ppoll),
};

#define ALLOWED (sizeof(allowed) / sizeof(allowed[0]))

/* Every request gets what it needs when it is used first; from then on there is nothing to ask for. */
static void submit_and_poll(struct nvme_ctrl *ctrl, char *mem)
{
	struct vfn_nvme_done done[DEPTH];
	int submitted = 0, taken = 0, failed = 0, refused = 0;
	struct vfn_nvme_io io;

	assert_vfn(vfn_nvme_io_prep(&io, ctrl, NVME_IO_READ, 1, 9) == 0);
	for (int i = 0; i < DEPTH - 1; i++)
		assert_vfn(vfn_nvme_io_submit(&ctrl->sq[1], &io, 0, 8, mem, mem) == 0);
	while (taken < DEPTH - 1)
		taken += vfn_nvme_io_poll(&ctrl->sq[1], done, DEPTH);

	syscall(MARK);
	for (taken = 0; taken < COMMANDS;) {
		int got;

		for (; submitted < COMMANDS && submitted - taken < DEPTH - 1; submitted++)
			refused |= vfn_nvme_io_submit(&ctrl->sq[1], &io, 0, 8, mem, mem);
		got = vfn_nvme_io_poll(&ctrl->sq[1], done, DEPTH);
		for (int i = 0; i < got; i++)
			failed += !nvme_cqe_ok(&done[i].cqe);
		taken += got;
	}
	syscall(MARK);
	assert_int_equal(refused, 0);
	assert_int_equal(failed, 0);
}

/* Bound, opened, used, reset, used again, closed. */
static void use_everything(void)
{
	struct nvme_ctrl ctrl = {};
	const char *bdf = guest_bdf("a");
	char *mem;

	assert_vfn(vfn_pci_unbind_driver(bdf, NULL) == 0);
	assert_vfn(vfn_pci_bind_driver(bdf, "vfio-pci", NULL) == 0);

	mem = guest_alloc(LEN);
	assert_vfn(vfn_sigbus_guard(true) == 0);
	assert_vfn(nvme_init(&ctrl, bdf, NULL) == 0);
	assert_vfn(vfn_vfio_request_fd(&ctrl.pci) > 0);
	assert_vfn(nvme_create_ioqpair(&ctrl, 1, DEPTH, -1, 0) == 0);
	for (int i = 0; i < 2; i++) {
		/* once not mapped, once mapped */
		guest_fill(mem, LEN, 41000 + i);
		guest_write(&ctrl, 1, &guest_ns512, 0, mem, LEN);
		memset(mem, 0, LEN);
		guest_read(&ctrl, 1, &guest_ns512, 0, mem, LEN);
		guest_check(mem, LEN, 41000 + i);
		guest_identify(&ctrl, mem);
		assert_vfn(vfn_nvme_check_timeouts(&ctrl, NULL) == 0);
		assert_vfn(vfn_nvme_reset_ctrl(&ctrl, NULL) == 0);
		if (!i)
			assert_vfn(iommu_map_vaddr(__iommu_ctx(&ctrl), mem, LEN, NULL, 0) == 0);
	}
	submit_and_poll(&ctrl, mem);
	nvme_close(&ctrl);
	assert_vfn(vfn_sigbus_guard(false) == 0);
	guest_free(mem, LEN);
}

/* The next stop of the process, or its end. */
static int next_stop(pid_t child, int signal)
{
	int status;

	assert_int_equal(ptrace(PTRACE_SYSCALL, child, NULL, (void *)(long)signal), 0);
	assert_int_equal(waitpid(child, &status, 0), child);

	return status;
}

static bool made[ALLOWED];

static void check_call(uint64_t nr, bool silent)
{
	const char *name = nr < ALLOWED ? allowed[nr] : NULL;

	/* its end is the program's own affair */
	if (nr == SYS_exit_group)
		return;
	if (!name)
		fail_msg("system call %lu is not among those that the manual names",
			 (unsigned long)nr);
	if (silent)
		fail_msg("%s() between submitting and polling", name);
	made[nr] = true;
}

/* L9 */
static void test_documented_system_calls_are_enough(void **state)
{
	bool silent = false;
	int status, signal = 0, n = 0, marks = 0;
	pid_t child;

	(void)state;
	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		kill(getpid(), SIGSTOP);
		use_everything();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, child, NULL,
				(void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)),
			 0);

	for (;;) {
		struct __ptrace_syscall_info info;

		status = next_stop(child, signal);
		signal = 0;
		if (!WIFSTOPPED(status))
			break;
		if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
			signal = WSTOPSIG(status);
			continue;
		}
		assert_true(ptrace(PTRACE_GET_SYSCALL_INFO, child, (void *)sizeof(info), &info) >
			    0);
		if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
			continue;
		if (info.entry.nr == MARK) {
			silent = !silent;
			marks++;
			continue;
		}
		check_call(info.entry.nr, silent);
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(marks, 2);
	for (size_t nr = 0; nr < ALLOWED; nr++)
		n += made[nr];
	print_message("# note: %d system calls of the manual's\n", n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_documented_system_calls_are_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
