/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block layer on a machine: errors and slow drives, what is refused before it is sent, memory that is given back, interrupts,
 * and a controller that is left as it should be.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vfn/blk.h>

#include "guest.h"

#define LEN 4096
#define BLOCK 512
#define MS 1000000LL

#define UNRECOVERED_READ 0x281
#define WRITE_FAULT 0x280

/* Where the profile has put errors. */
#define BAD_READ 16384
#define BAD_WRITE 16448

static int try_open(struct vfn_blk **blk, const char *name, unsigned int nsid,
		    const struct vfn_blk_opts *opts)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%s/%u", guest_bdf(name), nsid);

	return vfn_blk_open(blk, text, opts);
}

static struct vfn_blk *open_blk(const char *name, const struct vfn_blk_opts *opts)
{
	struct vfn_blk *blk;

	assert_vfn(try_open(&blk, name, 1, opts) == 0);

	return blk;
}

static void *alloc(struct vfn_blk *blk, size_t len)
{
	void *mem = vfn_blk_alloc(blk, len);

	assert_vfn(mem);

	return mem;
}

static void close_blk(struct vfn_blk *blk)
{
	assert_vfn(vfn_blk_close(blk) == 0);
}

static long long now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);

	return ts.tv_sec * 1000 * MS + ts.tv_nsec;
}

static void throttle(int iops)
{
	host_qmp("{\"execute\": \"block_set_io_throttle\", \"arguments\": {\"id\": \"namespace1\", "
		 "\"bps\": 0, \"bps_rd\": 0, \"bps_wr\": 0, \"iops\": %d, \"iops_rd\": 0, "
		 "\"iops_wr\": 0}}",
		 iops);
}

/* ---- errors ---- */

static void assert_fails(int ret, uint16_t status, const char *text)
{
	assert_int_equal(ret, -1);
	assert_int_equal(errno, EIO);
	assert_int_equal(vfn_blk_last_status(), status);
	assert_non_null(strstr(vfn_last_error(), text));
}

/* E13 */
static void test_error_of_a_drive_is_kept_with_its_status(void **state)
{
	struct vfn_blk *blk = open_blk("neighbour", &(struct vfn_blk_opts){ .queues = 2 });
	struct vfn_blk_queue *queue = vfn_blk_get_queue(blk);
	char *mem = alloc(blk, LEN);
	struct vfn_blk_req req = { .op = VFN_BLK_READ, .lba = BAD_READ, .nlb = 1, .buf = mem };

	(void)state;
	assert_non_null(queue);
	assert_vfn(vfn_blk_submit(queue, &req) == 0);
	assert_vfn(vfn_blk_wait_req(&req, -1) == 0);
	assert_int_equal(req.error, EIO);
	assert_int_equal(req.status, UNRECOVERED_READ);
	req.lba = 0;
	assert_vfn(vfn_blk_submit(queue, &req) == 0);
	assert_vfn(vfn_blk_wait_req(&req, -1) == 0);
	assert_int_equal(req.error, 0);
	assert_int_equal(req.status, 0);

	assert_fails(vfn_blk_read(blk, mem, BAD_READ, 1), UNRECOVERED_READ,
		     "Unrecovered Read Error");
	assert_vfn(vfn_blk_read(blk, mem, 0, 1) == 0);
	assert_fails(vfn_blk_write(blk, mem, BAD_WRITE, 1), WRITE_FAULT, "Write Fault");
	assert_vfn(vfn_blk_write(blk, mem, BAD_WRITE + 1, 1) == 0);

	assert_vfn(vfn_blk_put_queue(queue) == 0);
	close_blk(blk);
}

/* E14 */
static void test_wait_on_a_slow_drive_ends_when_its_time_is_up(void **state)
{
	struct vfn_blk *blk = open_blk("a", &(struct vfn_blk_opts){ .queues = 2 });
	struct vfn_blk_queue *queue = vfn_blk_get_queue(blk);
	char *mem = alloc(blk, 3UL * LEN);
	struct vfn_blk_req reqs[3];
	long long start;

	(void)state;
	assert_non_null(queue);
	guest_fill(mem, LEN, 14);
	assert_vfn(vfn_blk_write(blk, mem, 800, LEN / BLOCK) == 0);

	throttle(1);
	for (int i = 0; i < 3; i++) {
		reqs[i] = (struct vfn_blk_req){
			.op = VFN_BLK_READ,
			.lba = 800,
			.nlb = LEN / BLOCK,
			.buf = mem + (size_t)i * LEN,
		};
		memset(reqs[i].buf, 0, LEN);
		assert_vfn(vfn_blk_submit(queue, &reqs[i]) == 0);
	}
	start = now();
	assert_int_equal(vfn_blk_wait_req(&reqs[2], 0), -1);
	assert_int_equal(errno, EAGAIN);
	assert_true(now() - start < 100 * MS);
	start = now();
	assert_int_equal(vfn_blk_wait_req(&reqs[2], 100 * MS), -1);
	assert_int_equal(errno, ETIMEDOUT);
	assert_true(now() - start >= 100 * MS);
	assert_true(now() - start < 400 * MS);
	assert_vfn(vfn_blk_wait(queue, NULL, 3, 3, -1) == 3);
	throttle(0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(reqs[i].error, 0);
		guest_check(reqs[i].buf, LEN, 14);
	}

	assert_vfn(vfn_blk_put_queue(queue) == 0);
	close_blk(blk);
}

/* ---- what is not sent ---- */

#define IO_TRACE "pci_nvme_io_cmd"

/* E15 */
static void test_nonsense_is_refused_and_not_sent(void **state)
{
	struct vfn_blk *blk = open_blk("a", &(struct vfn_blk_opts){ .queues = 2 });
	struct vfn_blk_queue *queue = vfn_blk_get_queue(blk);
	struct vfn_blk_info info;
	char *mem = alloc(blk, LEN);
	long sent;

	(void)state;
	vfn_blk_get_info(blk, &info);
	host_trace(IO_TRACE);
	assert_vfn(vfn_blk_read(blk, mem, 0, 1) == 0);
	sent = host_trace_count(IO_TRACE);
	assert_true(sent > 0);

	{
		struct vfn_blk_req bad[] = {
			{ .op = VFN_BLK_READ, .lba = info.nblocks, .nlb = 1, .buf = mem },
			{ .op = VFN_BLK_READ, .lba = info.nblocks - 1, .nlb = 2, .buf = mem },
			{ .op = VFN_BLK_READ, .lba = UINT64_MAX, .nlb = 2, .buf = mem },
			{ .op = VFN_BLK_READ, .lba = 1, .nlb = UINT64_MAX, .buf = mem },
			{ .op = VFN_BLK_READ, .nlb = 0, .buf = mem },
			{ .op = VFN_BLK_READ, .nlb = 1 },
			{ .op = 200, .nlb = 1, .buf = mem },
		};

		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			assert_int_equal(vfn_blk_submit(queue, &bad[i]), -1);
			assert_int_equal(errno, EINVAL);
		}
	}
	assert_int_equal(vfn_blk_write(blk, mem, info.nblocks, 1), -1);
	assert_int_equal(errno, EINVAL);
	/* the other one stays for calls that wait */
	assert_null(vfn_blk_get_queue(blk));
	assert_int_equal(errno, EBUSY);
	assert_int_equal(host_trace_count(IO_TRACE), sent);

	assert_vfn(vfn_blk_put_queue(queue) == 0);
	close_blk(blk);
}

/* ---- memory ---- */

/* KiB that a line of this process's status says, of memory that is locked or pinned. */
static unsigned long locked(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long kib, sum = 0;
	char line[128];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "VmLck: %lu", &kib) == 1 || sscanf(line, "VmPin: %lu", &kib) == 1)
			sum += kib;
	}
	(void)fclose(file);

	return sum;
}

#define ALLOCATIONS 65536U
#define LIVE 16

/* E16 */
static void test_memory_is_given_back(void **state)
{
	struct vfn_blk *blk = open_blk("a", NULL);
	unsigned long before = locked(), most = 0;
	void *live[LIVE] = {};
	uint64_t seed = 16;

	(void)state;
	for (unsigned int i = 0; i < ALLOCATIONS; i++) {
		unsigned int at;

		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		at = (unsigned int)(seed >> 33) % LIVE;
		assert_vfn(vfn_blk_free(blk, live[at]) == 0);
		live[at] = alloc(blk, 1 + (seed >> 40) % 65536);
		if (i % 4096 == 0 && locked() > most)
			most = locked();
	}
	assert_true(most > before);
	for (unsigned int at = 0; at < LIVE; at++)
		assert_vfn(vfn_blk_free(blk, live[at]) == 0);
	assert_int_equal(locked(), before);
	printf("# %u allocations: %lu KiB at most, %lu KiB before and after\n", ALLOCATIONS, most,
	       before);
	close_blk(blk);
}

/* ---- the controller ---- */

/* E23 */
static void test_close_deletes_queues_and_shuts_the_controller_down(void **state)
{
	struct vfn_blk *blk = open_blk("a", &(struct vfn_blk_opts){ .queues = 3 });
	static const char *const events[] = { "pci_nvme_mmio_shutdown_set", "pci_nvme_del_sq",
					      "pci_nvme_del_cq" };
	static const long times[] = { 1, 3, 3 };
	long before[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		host_trace(events[i]);
		before[i] = host_trace_count(events[i]);
	}
	close_blk(blk);
	for (int i = 0; i < 3; i++)
		assert_int_equal(host_trace_count(events[i]) - before[i], times[i]);
}

/* E24 */
static void test_second_process_is_told_that_there_is_another(void **state)
{
	struct vfn_blk *blk = open_blk("a", NULL);
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		(void)execl("/proc/self/exe", "blk", "open", NULL);
		_exit(100);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EBUSY);
	close_blk(blk);
}

/* The second process. */
static int open_again(void)
{
	struct vfn_blk *blk;

	if (!vfn_blk_open(&blk, guest_bdf("a"), NULL))
		return 0;

	return errno == EBUSY && strstr(vfn_last_error(), guest_bdf("a")) ? EBUSY : 1;
}

/* ---- interrupts, copies ---- */

static void test_event_loop_reads_by_interrupts(void **state)
{
	const struct vfn_blk_opts opts = { .queues = 2, .flags = VFN_BLK_INTERRUPTS };
	struct vfn_blk *blk = open_blk("a", &opts);
	struct vfn_blk_queue *queue = vfn_blk_get_queue(blk);
	struct pollfd pollfd = { .fd = vfn_blk_event_fd(queue), .events = POLLIN };
	char *mem = alloc(blk, LEN);
	struct vfn_blk_req req = { .op = VFN_BLK_READ, .lba = 816, .nlb = LEN / BLOCK, .buf = mem };
	struct vfn_blk_req *done;

	(void)state;
	guest_fill(mem, LEN, 15);
	assert_vfn(vfn_blk_write(blk, mem, 816, LEN / BLOCK) == 0);
	for (int i = 0; i < 100; i++) {
		int n;

		memset(mem, 0, LEN);
		assert_vfn(vfn_blk_submit(queue, &req) == 0);
		while (!(n = vfn_blk_wait(queue, &done, 0, 1, 0)))
			assert_int_equal(poll(&pollfd, 1, 10000), 1);
		assert_int_equal(n, 1);
		assert_int_equal(done->error, 0);
		guest_check(mem, LEN, 15);
	}
	assert_vfn(vfn_blk_put_queue(queue) == 0);
	close_blk(blk);
}

static void test_copies_are_what_the_kernel_reads(void **state)
{
	struct vfn_blk *blk = open_blk("a", NULL);
	char *mem = alloc(blk, 256UL * BLOCK);
	struct vfn_blk_info info;

	(void)state;
	vfn_blk_get_info(blk, &info);
	guest_fill(mem, 256UL * BLOCK, 17);
	assert_vfn(vfn_blk_write(blk, mem, 1024, 256) == 0);
	assert_vfn(vfn_blk_copy(blk, 2048, 1024, 256) == 0);
	printf("# by %s\n", info.features & VFN_BLK_F_COPY ? "the command" : "memory");
	close_blk(blk);
	guest_kernel_check(&guest_ns512, 2048, 256UL * BLOCK, 17);
}

/* ---- protection information ---- */

#define PROTECTED_LEN (64UL << 10)

/* B4: beside blocks (3 to 5) and within extended ones (6, 8); from block 8 on, as of others QEMU has no information. */
static void test_controller_makes_and_checks_protection_information(void **state)
{
	static const unsigned int nsids[] = { 3, 4, 5, 6, 8 };
	struct vfn_blk *blk;

	(void)state;
	for (size_t i = 0; i < sizeof(nsids) / sizeof(nsids[0]); i++) {
		struct vfn_blk_info info;
		char *mem;

		assert_vfn(try_open(&blk, "a", nsids[i], NULL) == 0);
		vfn_blk_get_info(blk, &info);
		assert_true(info.features & VFN_BLK_F_PI);
		mem = alloc(blk, PROTECTED_LEN);
		guest_fill(mem, PROTECTED_LEN, nsids[i]);
		assert_vfn(vfn_blk_write(blk, mem, 8, PROTECTED_LEN / info.block_size) == 0);
		memset(mem, 0, PROTECTED_LEN);
		assert_vfn(vfn_blk_read(blk, mem, 8, PROTECTED_LEN / info.block_size) == 0);
		guest_check(mem, PROTECTED_LEN, nsids[i]);
		assert_vfn(vfn_blk_pwrite(blk, "protected", 9, 8UL * info.block_size + 100) == 0);
		assert_vfn(vfn_blk_read(blk, mem, 8, 1) == 0);
		assert_memory_equal(mem + 100, "protected", 9);
		close_blk(blk);
	}

	/* a guard of 64 bits */
	assert_int_equal(try_open(&blk, "a", 7, NULL), -1);
	assert_int_equal(errno, ENOTSUP);
}

/* ---- zones ---- */

#define ZONED 3
#define ZONES_MAX 200

static void test_zones_are_appended_to_and_reset(void **state)
{
	struct vfn_blk_zone zones[ZONES_MAX];
	struct vfn_blk_info info;
	struct vfn_blk *blk;
	uint64_t where, zone;
	char *mem;

	(void)state;
	assert_vfn(try_open(&blk, "a", ZONED, NULL) == 0);
	vfn_blk_get_info(blk, &info);
	assert_true(info.zone_size > 0);
	assert_true(info.max_append >= 8);
	assert_int_equal(vfn_blk_zone_report(blk, 0, zones, ZONES_MAX),
			 (info.nblocks + info.zone_size - 1) / info.zone_size);
	assert_int_equal(vfn_blk_zone_report(blk, info.zone_size + 1, zones, 2), 2);
	zone = info.zone_size;
	assert_int_equal(zones[0].start, zone);
	assert_int_equal(zones[1].start, 2 * zone);
	assert_int_equal(zones[0].type, 2);

	mem = alloc(blk, LEN);
	assert_vfn(vfn_blk_zone_send(blk, VFN_BLK_ALL_ZONES, VFN_BLK_ZONE_RESET) == 0);
	for (unsigned int i = 0; i < 4; i++) {
		guest_fill(mem, LEN, 100 + i);
		assert_vfn(vfn_blk_zone_append(blk, zone, mem, LEN / info.block_size, &where) == 0);
		assert_int_equal(where, zone + i * (LEN / info.block_size));
	}
	for (unsigned int i = 0; i < 4; i++) {
		memset(mem, 0, LEN);
		assert_vfn(vfn_blk_read(blk, mem, zone + i * (LEN / info.block_size),
					LEN / info.block_size) == 0);
		guest_check(mem, LEN, 100 + i);
	}
	assert_int_equal(vfn_blk_zone_report(blk, zone, zones, 1), 1);
	assert_int_equal(zones[0].pointer, zone + 4 * (LEN / info.block_size));
	assert_int_equal(zones[0].state, 2);
	assert_vfn(vfn_blk_zone_send(blk, zone, VFN_BLK_ZONE_FINISH) == 0);
	assert_int_equal(vfn_blk_zone_report(blk, zone, zones, 1), 1);
	assert_int_equal(zones[0].state, 14);
	assert_int_equal(vfn_blk_zone_append(blk, zone, mem, 1, NULL), -1);
	assert_int_equal(vfn_blk_last_status() & 0x7ff, 0x1b9);
	assert_vfn(vfn_blk_zone_send(blk, zone, VFN_BLK_ZONE_RESET) == 0);
	assert_int_equal(vfn_blk_zone_report(blk, zone, zones, 1), 1);
	assert_int_equal(zones[0].state, 1);

	assert_int_equal(vfn_blk_zone_send(blk, zone, 7), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(vfn_blk_zone_report(blk, info.nblocks, zones, 1), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(vfn_blk_zone_append(blk, zone, mem, info.max_append + 1UL, NULL), -1);
	assert_int_equal(errno, EINVAL);
	close_blk(blk);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest zones[] = {
		cmocka_unit_test(test_zones_are_appended_to_and_reset),
	};
	const struct CMUnitTest protection[] = {
		cmocka_unit_test(test_controller_makes_and_checks_protection_information),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_of_a_drive_is_kept_with_its_status),
		cmocka_unit_test(test_wait_on_a_slow_drive_ends_when_its_time_is_up),
		cmocka_unit_test(test_nonsense_is_refused_and_not_sent),
		cmocka_unit_test(test_memory_is_given_back),
		cmocka_unit_test(test_close_deletes_queues_and_shuts_the_controller_down),
		cmocka_unit_test(test_second_process_is_told_that_there_is_another),
		cmocka_unit_test(test_event_loop_reads_by_interrupts),
		cmocka_unit_test(test_copies_are_what_the_kernel_reads),
	};

	if (argc > 1 && !strcmp(argv[1], "pi"))
		return cmocka_run_group_tests_name("blk-pi", protection, NULL, NULL);
	if (argc > 1 && !strcmp(argv[1], "zones"))
		return cmocka_run_group_tests_name("blk-zones", zones, NULL, NULL);
	if (argc > 1)
		return open_again();

	return cmocka_run_group_tests_name("blk", tests, NULL, NULL);
}
