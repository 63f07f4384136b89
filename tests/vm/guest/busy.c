/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vfntool does not take away, and does not wait for, what another program uses. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

/* Run vfntool on a controller; return its exit status and what it said. */
static int vfntool(const char *command, const char *name, char *output, size_t len)
{
	char line[128];
	int status;
	size_t got;
	FILE *pipe;

	snprintf(line, sizeof(line), "vfntool %s %s 2>&1", command, guest_bdf(name));
	pipe = popen(line, "r");
	assert_non_null(pipe);
	got = fread(output, 1, len - 1, pipe);
	output[got] = '\0';
	status = pclose(pipe);
	assert_true(WIFEXITED(status));

	return WEXITSTATUS(status);
}

static const char *driver_of(const char *name)
{
	static char target[256];
	char path[128];
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", guest_bdf(name));
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return "none";
	target[len] = '\0';

	return strrchr(target, '/') + 1;
}

static void test_exclusively_open_disk_is_refused(void **state)
{
	char output[512];
	int fd;

	(void)state;
	fd = guest_kernel_open("neighbour", 1, O_EXCL);
	assert_int_equal(vfntool("bind", "neighbour", output, sizeof(output)), 1);
	assert_non_null(strstr(output, "in use"));
	assert_string_equal(driver_of("neighbour"), "nvme");
	close(fd);
}

static void test_controller_driven_by_the_library_is_refused(void **state)
{
	static const char *const commands[] = { "reset", "unbind" };
	struct nvme_ctrl ctrl = {};
	char output[512];
	size_t i;

	(void)state;
	guest_open(&ctrl, "a", 0);
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		assert_int_equal(vfntool(commands[i], "a", output, sizeof(output)), 1);
		assert_non_null(strstr(output, "in use"));
		assert_string_equal(driver_of("a"), "vfio-pci");
	}
	nvme_close(&ctrl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exclusively_open_disk_is_refused),
		cmocka_unit_test(test_controller_driven_by_the_library_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
