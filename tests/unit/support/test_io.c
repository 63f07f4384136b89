// SPDX-License-Identifier: GPL-2.0-or-later
/* Whole-buffer reads and writes: however many calls, and with the errno of what went wrong. */
#include "../unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vfn/support/io.h>

#include "emu.h"

static void readmax_of_a_short_file_returns_its_length(void **state)
{
	char buf[16] = "................";

	emu_file("/f", "hello");
	assert_int_equal(readmax("/f", buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "hello...........", sizeof(buf));
}

static void readmax_of_a_long_file_stops_at_count(void **state)
{
	char buf[4] = "....";

	emu_file("/f", "hello");
	assert_int_equal(readmax("/f", buf, 3), 3);
	assert_memory_equal(buf, "hel.", sizeof(buf));
}

static void readmax_of_an_empty_file_is_zero(void **state)
{
	char buf[4];

	emu_file("/f", "");
	assert_int_equal(readmax("/f", buf, sizeof(buf)), 0);
}

static void readmax_of_a_missing_file_fails(void **state)
{
	char buf[4];

	assert_fails_with(readmax("/none", buf, sizeof(buf)), ENOENT);
}

static void readmax_goes_on_after_short_reads(void **state)
{
	char buf[8];
	int fds[2];

	/* one packet for each read */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	assert_int_equal(send(fds[1], "abc", 3, 0), 3);
	assert_int_equal(send(fds[1], "de", 2, 0), 2);
	close(fds[1]);
	assert_int_equal(readmaxfd(fds[0], buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "abcde", 5);
	close(fds[0]);
}

/* W41 */
static void readmax_that_fails_keeps_the_errno_of_the_read(void **state)
{
	char buf[4];

	emu_dir("/d");
	emu_fail_at(EMU_CLOSE, 1, EIO);
	assert_fails_with(readmax("/d", buf, sizeof(buf)), EISDIR);
}

static int read_file(void *arg)
{
	char buf[16];

	return readmax("/f", buf, sizeof(buf)) == 5 ? 0 : -1;
}

static void readmax_leaves_nothing_whatever_fails(void **state)
{
	emu_file("/f", "hello");
	assert_int_equal(emu_fail_each(EMU_OPEN | EMU_READ | EMU_CLOSE, EIO, read_file, NULL, NULL),
			 4);
}

static void writeall_writes_an_existing_file(void **state)
{
	emu_file("/f", "");
	assert_int_equal(writeall("/f", "hello", 5), 5);
	assert_string_equal(emu_file_content("/f"), "hello");
}

static void writeall_does_not_truncate(void **state)
{
	emu_file("/f", "hello");
	assert_int_equal(writeall("/f", "J", 1), 1);
	assert_string_equal(emu_file_content("/f"), "Jello");
}

static void writeall_does_not_create(void **state)
{
	assert_fails_with(writeall("/none", "x", 1), ENOENT);
	assert_null(emu_file_content("/none"));
}

static int write_file(void *arg)
{
	return writeall("/f", "hello", 5) == 5 ? 0 : -1;
}

static void writeall_leaves_nothing_whatever_fails(void **state)
{
	emu_file("/f", "");
	assert_int_equal(emu_fail_each(EMU_OPEN | EMU_WRITE | EMU_CLOSE, ENOSPC, write_file, NULL,
				       NULL),
			 3);
}

static void writeall_goes_on_after_short_writes(void **state)
{
	const size_t size = 1 << 20;
	char *buf = calloc(1, size);
	int fds[2];

	/* takes what it has room for, and then no more */
	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	emu_calls_clear();
	assert_fails_with(writeallfd(fds[1], buf, size), EAGAIN);
	assert_int_equal(emu_call_count("write"), 2);
	close(fds[0]);
	close(fds[1]);
	free(buf);
}

static void nothing_to_do_makes_no_call(void **state)
{
	emu_calls_clear();
	assert_int_equal(writeallfd(-1, "", 0), 0);
	assert_int_equal(readmaxfd(-1, NULL, 0), 0);
	assert_string_equal(emu_calls(), "");
}

#define test(name) cmocka_unit_test_setup_teardown(name, emu_setup, emu_teardown)

static void writeall_that_ends_with_a_failed_close_fails(void **state)
{
	emu_file("/f", "");
	emu_fail_at(EMU_CLOSE, 1, EIO);
	assert_fails_with(writeall("/f", "abc", 3), EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(readmax_of_a_short_file_returns_its_length),
		test(readmax_of_a_long_file_stops_at_count),
		test(readmax_of_an_empty_file_is_zero),
		test(readmax_of_a_missing_file_fails),
		test(readmax_goes_on_after_short_reads),
		test(readmax_that_fails_keeps_the_errno_of_the_read),
		test(readmax_leaves_nothing_whatever_fails),
		test(writeall_writes_an_existing_file),
		test(writeall_does_not_truncate),
		test(writeall_does_not_create),
		test(writeall_leaves_nothing_whatever_fails),
		test(writeall_goes_on_after_short_writes),
		test(nothing_to_do_makes_no_call),
		test(writeall_that_ends_with_a_failed_close_fails),
	};

	return cmocka_run_group_tests_name("io", tests, NULL, NULL);
}
