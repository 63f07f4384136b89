/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long it takes from a controller that nobody drives to the first verified read, by us and by the kernel's driver. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define LEN 4096
#define SEED 60000
#define WAIT_US 30000000

/* Points in time: the start, and the end of each of three steps. */
struct steps {
	uint64_t ns[4];
	unsigned int n;
};

static void now(struct steps *steps)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	steps->ns[steps->n++] = (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

static double ms(const struct steps *steps, unsigned int from, unsigned int to)
{
	return (double)(steps->ns[to] - steps->ns[from]) / 1e6;
}

/* For the runner's table. */
static void note(const char *who, const char *first, const char *second, const struct steps *steps)
{
	print_message("# note: %s: %s %.2f, %s %.2f, first read %.2f, all %.2f ms\n", who, first,
		      ms(steps, 0, 1), second, ms(steps, 1, 2), ms(steps, 2, 3), ms(steps, 0, 3));
}

static void write_what_is_read(void *mem)
{
	struct nvme_ctrl ctrl = {};

	guest_open(&ctrl, "a", 0);
	guest_fill(mem, LEN, SEED);
	guest_write(&ctrl, 1, &guest_ns512, 0, mem, LEN);
	nvme_close(&ctrl);
	memset(mem, 0, LEN);
}

static void test_first_read_of_the_library_is_right(void **state)
{
	struct nvme_ctrl ctrl = {};
	struct steps steps = {};
	void *mem = guest_alloc(LEN);

	(void)state;
	write_what_is_read(mem);

	now(&steps);
	assert_vfn(nvme_init(&ctrl, guest_bdf("a"), NULL) == 0);
	now(&steps);
	assert_vfn(nvme_create_ioqpair(&ctrl, 1, 64, -1, 0) == 0);
	now(&steps);
	guest_read(&ctrl, 1, &guest_ns512, 0, mem, LEN);
	now(&steps);
	guest_check(mem, LEN, SEED);
	note("library", "init", "queue pair", &steps);

	nvme_close(&ctrl);
	guest_free(mem, LEN);
}

static void tell(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail_msg("%s to %s: %s", text, path, strerror(errno));
	close(fd);
}

static void take_from_driver_for(const char *next)
{
	const char *bdf = guest_bdf("a");
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver/unbind", bdf);
	tell(path, bdf);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", bdf);
	tell(path, next);
}

/* Those that can be opened: the device node comes after the folder in sysfs. */
static size_t block_devices(void)
{
	char path[128];
	size_t n = 0;
	glob_t found;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/nvme/nvme*/nvme*n*", guest_bdf("a"));
	if (!glob(path, 0, NULL, &found))
		for (size_t i = 0; i < found.gl_pathc; i++) {
			snprintf(path, sizeof(path), "/dev%s", strrchr(found.gl_pathv[i], '/'));
			n += !access(path, F_OK);
		}
	globfree(&found);

	return n;
}

/* The scan of namespaces is the kernel's own business, and takes its time. */
static void wait_for_block_devices(size_t n)
{
	for (unsigned int waited = 0; block_devices() < n; waited += 100) {
		if (waited > WAIT_US)
			fail_msg("the kernel has no %zu namespaces of it", n);
		usleep(100);
	}
}

/* The same steps: a driver for the device, a way to send it commands, a read. */
static void test_first_read_of_the_kernel_is_right(void **state)
{
	struct steps steps = {};
	void *mem = guest_alloc(LEN);
	int fd;

	(void)state;
	take_from_driver_for("nvme");

	now(&steps);
	tell("/sys/bus/pci/drivers/nvme/bind", guest_bdf("a"));
	now(&steps);
	wait_for_block_devices(2);
	fd = guest_kernel_open("a", 1, O_DIRECT);
	now(&steps);
	assert_int_equal(pread(fd, mem, LEN, 0), LEN);
	now(&steps);
	guest_check(mem, LEN, SEED);
	note("kernel", "bind", "block device", &steps);
	close(fd);

	/* the controller is given back as it was, once nobody scans it */
	sleep(1);
	take_from_driver_for("vfio-pci");
	tell("/sys/bus/pci/drivers/vfio-pci/bind", guest_bdf("a"));
	guest_free(mem, LEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_read_of_the_library_is_right),
		cmocka_unit_test(test_first_read_of_the_kernel_is_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
