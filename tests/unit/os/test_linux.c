// SPDX-License-Identifier: GPL-2.0-or-later
/* The system calls of src/os, on the real kernel. */
#include "../unit.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "os/os.h"

#define MS 1000000ULL

static char dir[] = "/tmp/vfn-os-XXXXXX";

static int in_new_dir(void **state)
{
	return mkdtemp(dir) && !chdir(dir) ? 0 : -1;
}

static int remove_entry(const char *name, void *arg)
{
	return unlink(name) && rmdir(name) ? -1 : 0;
}

static int remove_dir(void **state)
{
	return os_list_dir(".", remove_entry, NULL) || chdir("/") || rmdir(dir) ? -1 : 0;
}

static void make_file(const char *path, const char *content)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(content, file);
	assert_int_equal(fclose(file), 0);
}

static void assert_content(const char *path, const char *want)
{
	char buf[256] = "";
	int fd = os_open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_true(os_read(fd, buf, sizeof(buf) - 1) >= 0);
	assert_string_equal(buf, want);
	assert_int_equal(os_close(fd), 0);
}

static int count_entry(const char *name, void *arg)
{
	++*(unsigned int *)arg;

	return 0;
}

static unsigned int entries(const char *path)
{
	unsigned int n = 0;

	assert_int_equal(os_list_dir(path, count_entry, &n), 0);

	return n;
}

/* ---- open and close ---- */

/* L4 */
static void open_sets_close_on_exec(void **state)
{
	int fd = os_open("/dev/null", O_RDWR);

	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(os_close(fd), 0);
}

static void open_of_a_missing_file_fails(void **state)
{
	assert_fails_with(os_open("none", O_RDONLY), ENOENT);
}

static int open_null(void)
{
	return os_open("/dev/null", O_RDWR);
}

static void assert_stays_above_closed_standard_streams(int (*get)(void))
{
	int saved[3], fd, flags, low;

	for (int i = 0; i < 3; i++) {
		saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
		close(i);
	}

	fd = get();
	flags = fcntl(fd, F_GETFD);
	low = fcntl(0, F_GETFD);

	for (int i = 0; i < 3; i++) {
		dup2(saved[i], i);
		close(saved[i]);
	}

	assert_true(fd > STDERR_FILENO);
	assert_true(flags & FD_CLOEXEC);
	assert_int_equal(low, -1);
	assert_int_equal(os_close(fd), 0);
}

/* V19, L4 */
static void descriptors_stay_above_closed_standard_streams(void **state)
{
	assert_stays_above_closed_standard_streams(open_null);
	assert_stays_above_closed_standard_streams(os_eventfd);
}

static void eventfd_does_not_block(void **state)
{
	uint64_t count = 2;
	int fd = os_eventfd();

	assert_int_equal(os_read(fd, &count, sizeof(count)), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(os_write(fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(os_read(fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 2);
	assert_int_equal(os_close(fd), 0);
}

static void open_without_a_high_descriptor_leaves_none(void **state)
{
	struct rlimit before, none;
	int saved = fcntl(0, F_DUPFD_CLOEXEC, 10), fd, low;

	getrlimit(RLIMIT_NOFILE, &before);
	none = (struct rlimit){ .rlim_cur = 3, .rlim_max = before.rlim_max };
	close(0);

	setrlimit(RLIMIT_NOFILE, &none);
	fd = os_open("/dev/null", O_RDWR);
	low = fcntl(0, F_GETFD);
	setrlimit(RLIMIT_NOFILE, &before);

	dup2(saved, 0);
	close(saved);
	assert_int_equal(fd, -1);
	assert_int_equal(low, -1);
}

static void close_of_a_bad_descriptor_fails(void **state)
{
	assert_fails_with(os_close(-1), EBADF);
}

/* ---- signals ---- */

static volatile sig_atomic_t ticks;

static void tick(int sig)
{
	ticks++;
}

/* A signal each millisecond to this thread, without SA_RESTART. */
static void start_ticking(void)
{
	const struct sigaction action = { .sa_handler = tick };
	const struct itimerval every = {
		.it_interval = { .tv_usec = 1000 },
		.it_value = { .tv_usec = 1000 },
	};

	ticks = 0;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
}

static void stop_ticking(void)
{
	const struct itimerval never = {};

	setitimer(ITIMER_REAL, &never, NULL);
	signal(SIGALRM, SIG_IGN);
}

static void *write_after_a_while(void *arg)
{
	const struct timespec while_ = { .tv_nsec = 30 * (long)MS };
	int fd = *(int *)arg;

	nanosleep(&while_, NULL);
	(void)!write(fd, "x", 1);

	return NULL;
}

static void start_masked(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	sigset_t set, old;

	sigfillset(&set);
	pthread_sigmask(SIG_SETMASK, &set, &old);
	assert_int_equal(pthread_create(thread, NULL, fn, arg), 0);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* V18 */
static void read_is_restarted_after_signals(void **state)
{
	pthread_t thread;
	int fds[2];
	ssize_t n;
	char c;

	assert_int_equal(pipe(fds), 0);
	start_masked(&thread, write_after_a_while, &fds[1]);
	start_ticking();
	n = os_read(fds[0], &c, 1);
	stop_ticking();
	pthread_join(thread, NULL);
	assert_int_equal(n, 1);
	assert_true(ticks > 0);
	close(fds[0]);
	close(fds[1]);
}

static void wait_for_a_descriptor_ends_with_it_or_with_its_time(void **state)
{
	uint64_t start = os_clock_ns(), count = 1;
	int fd = os_eventfd();

	assert_int_equal(os_wait_fd(fd, 20 * MS), 0);
	assert_true(os_clock_ns() - start >= 20 * MS);
	assert_int_equal(os_write(fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(os_wait_fd(fd, UINT64_MAX / 2), 1);
	assert_int_equal(os_close(fd), 0);
}

/* V18 */
static void sleep_is_continued_after_signals(void **state)
{
	uint64_t start = os_clock_ns();

	start_ticking();
	os_sleep_ns(20 * MS);
	stop_ticking();
	assert_true(os_clock_ns() - start >= 20 * MS);
	assert_true(ticks > 0);
}

/* ---- descriptors ---- */

static void pread_and_pwrite_use_their_offset(void **state)
{
	char buf[3] = "";
	int fd;

	make_file("f", "hello");
	fd = os_open("f", O_RDWR);
	assert_int_equal(os_pwrite(fd, "LL", 2, 2), 2);
	assert_int_equal(os_pread(fd, buf, 2, 1), 2);
	assert_string_equal(buf, "eL");
	assert_int_equal(os_close(fd), 0);
	assert_content("f", "heLLo");
}

static void write_goes_to_the_descriptor(void **state)
{
	int fd;

	make_file("f", "");
	fd = os_open("f", O_WRONLY);
	assert_int_equal(os_write(fd, "abc", 3), 3);
	assert_fails_with(os_read(fd, &fd, 1), EBADF);
	assert_int_equal(os_close(fd), 0);
	assert_content("f", "abc");
}

static void ioctl_passes_its_argument(void **state)
{
	int fds[2], n = 0;

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(os_write(fds[1], "abc", 3), 3);
	assert_int_equal(os_ioctl(fds[0], FIONREAD, &n), 0);
	assert_int_equal(n, 3);
	assert_fails_with(os_ioctl(fds[0], TIOCGWINSZ, &n), ENOTTY);
	close(fds[0]);
	close(fds[1]);
}

static void mmap_maps_a_file_at_its_offset(void **state)
{
	int fd = open("m", O_RDWR | O_CREAT, 0600);
	char *mem;

	assert_int_equal(ftruncate(fd, 2 * PAGE), 0);
	assert_int_equal(os_pwrite(fd, "z", 1, PAGE), 1);
	mem = os_mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
	assert_ptr_not_equal(mem, MAP_FAILED);
	assert_int_equal(mem[0], 'z');
	assert_int_equal(os_madvise(mem, PAGE, MADV_DONTFORK), 0);
	assert_int_equal(os_munmap(mem, PAGE), 0);
	assert_fails_with(os_munmap(mem, 0), EINVAL);
	close(fd);
}

/* ---- paths ---- */

static void mkdir_and_unlink_make_and_remove(void **state)
{
	assert_int_equal(os_mkdir("d", 0700), 0);
	assert_fails_with(os_mkdir("d", 0700), EEXIST);
	assert_int_equal(os_access("d", F_OK), 0);
	assert_int_equal(rmdir("d"), 0);
	make_file("g", "");
	assert_int_equal(os_unlink("g"), 0);
	assert_fails_with(os_unlink("g"), ENOENT);
	assert_fails_with(os_access("g", F_OK), ENOENT);
}

static void readlink_returns_the_target_without_terminator(void **state)
{
	char buf[8] = "........";

	assert_int_equal(symlink("abc", "l"), 0);
	assert_int_equal(os_readlink("l", buf, sizeof(buf)), 3);
	assert_memory_equal(buf, "abc.....", sizeof(buf));
	assert_int_equal(unlink("l"), 0);
	assert_fails_with(os_readlink(".", buf, sizeof(buf)), EINVAL);
}

static void write_file_creates(void **state)
{
	assert_int_equal(os_write_file("new", "hello", 5), 0);
	assert_content("new", "hello");
	assert_int_equal(unlink("new"), 0);
}

/* Whoever has the old file open keeps it whole. */
static void write_file_replaces_in_one_step(void **state)
{
	unsigned int before;
	char buf[8] = "";
	int fd;

	make_file("r", "old");
	before = entries(".");
	fd = os_open("r", O_RDONLY);
	assert_int_equal(os_write_file("r", "newer", 5), 0);
	assert_int_equal(os_read(fd, buf, sizeof(buf) - 1), 3);
	assert_string_equal(buf, "old");
	assert_int_equal(os_close(fd), 0);
	assert_content("r", "newer");
	assert_int_equal(entries("."), before);
}

static void write_file_that_cannot_write_leaves_the_old_one(void **state)
{
	struct rlimit before, small;
	unsigned int n;
	int ret, err;

	make_file("s", "old");
	n = entries(".");
	getrlimit(RLIMIT_FSIZE, &before);
	small = (struct rlimit){ .rlim_cur = 2, .rlim_max = before.rlim_max };

	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	ret = os_write_file("s", "newer", 5);
	err = errno;
	setrlimit(RLIMIT_FSIZE, &before);
	signal(SIGXFSZ, SIG_DFL);

	assert_int_equal(ret, -1);
	assert_int_equal(err, EFBIG);
	assert_content("s", "old");
	assert_int_equal(entries("."), n);
}

static void write_file_over_a_directory_fails(void **state)
{
	unsigned int n;

	assert_int_equal(os_mkdir("dd", 0700), 0);
	n = entries(".");
	assert_fails_with(os_write_file("dd", "x", 1), EISDIR);
	assert_int_equal(entries("."), n);
	assert_int_equal(rmdir("dd"), 0);
}

static void write_file_in_a_missing_directory_fails(void **state)
{
	assert_fails_with(os_write_file("none/f", "x", 1), ENOENT);
}

static void write_file_with_a_path_too_long_fails(void **state)
{
	char path[600];

	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_fails_with(os_write_file(path, "x", 1), ENAMETOOLONG);
}

static int note_name(const char *name, void *arg)
{
	strcat(arg, name);

	return strcmp(name, "stop") ? 0 : 7;
}

static void list_dir_visits_all_but_the_dots(void **state)
{
	char names[64] = "";

	assert_int_equal(os_mkdir("list", 0700), 0);
	assert_int_equal(os_list_dir("list", note_name, names), 0);
	assert_string_equal(names, "");
	make_file("list/only", "");
	assert_int_equal(os_list_dir("list", note_name, names), 0);
	assert_string_equal(names, "only");
	assert_int_equal(unlink("list/only"), 0);
	assert_int_equal(rmdir("list"), 0);
}

static void list_dir_that_is_stopped_returns_the_value(void **state)
{
	char names[64] = "";

	assert_int_equal(os_mkdir("stopped", 0700), 0);
	make_file("stopped/stop", "");
	assert_int_equal(os_list_dir("stopped", note_name, names), 7);
	assert_int_equal(unlink("stopped/stop"), 0);
	assert_int_equal(rmdir("stopped"), 0);
}

static int fail_entry(const char *name, void *arg)
{
	errno = EXDEV;

	return -1;
}

static void list_dir_keeps_the_errno_of_its_function(void **state)
{
	make_file("one", "");
	assert_fails_with(os_list_dir(".", fail_entry, NULL), EXDEV);
}

static void list_dir_of_a_missing_directory_fails(void **state)
{
	assert_fails_with(os_list_dir("none", note_name, NULL), ENOENT);
}

/* ---- time and memory ---- */

/* Q21 */
static void clock_is_the_monotonic_one(void **state)
{
	struct timespec ts;
	uint64_t before = os_clock_ns(), now;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (uint64_t)ts.tv_sec * 1000 * MS + (uint64_t)ts.tv_nsec;
	assert_in_range(now, before, os_clock_ns());
}

static void sleep_sleeps_at_least_that_long(void **state)
{
	uint64_t start = os_clock_ns();

	os_sleep_ns(3 * MS);
	assert_true(os_clock_ns() - start >= 3 * MS);
}

static void memlock_limit_is_that_of_the_process(void **state)
{
	struct rlimit was, limit;

	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &was), 0);
	limit = was;
	limit.rlim_cur = 5 * 4096;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	assert_int_equal(os_memlock_limit(), 5 * 4096);
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &was), 0);
	if (was.rlim_cur == RLIM_INFINITY)
		assert_true(os_memlock_limit() == UINT64_MAX);
}

static void cpus_are_those_that_the_thread_may_run_on(void **state)
{
	cpu_set_t was, one;
	int first = 0;

	assert_int_equal(sched_getaffinity(0, sizeof(was), &was), 0);
	assert_int_equal(os_cpus(), CPU_COUNT(&was));

	while (!CPU_ISSET(first, &was))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(os_cpus(), 1);
	assert_int_equal(sched_setaffinity(0, sizeof(was), &was), 0);
}

static void zalloc_zeroes(void **state)
{
	static const char zeroes[100];
	void *mem = os_zalloc(sizeof(zeroes));

	assert_memory_equal(mem, zeroes, sizeof(zeroes));
	free(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_sets_close_on_exec),
		cmocka_unit_test(open_of_a_missing_file_fails),
		cmocka_unit_test(descriptors_stay_above_closed_standard_streams),
		cmocka_unit_test(eventfd_does_not_block),
		cmocka_unit_test(open_without_a_high_descriptor_leaves_none),
		cmocka_unit_test(close_of_a_bad_descriptor_fails),
		cmocka_unit_test(read_is_restarted_after_signals),
		cmocka_unit_test(wait_for_a_descriptor_ends_with_it_or_with_its_time),
		cmocka_unit_test(sleep_is_continued_after_signals),
		cmocka_unit_test(pread_and_pwrite_use_their_offset),
		cmocka_unit_test(write_goes_to_the_descriptor),
		cmocka_unit_test(ioctl_passes_its_argument),
		cmocka_unit_test(mmap_maps_a_file_at_its_offset),
		cmocka_unit_test(mkdir_and_unlink_make_and_remove),
		cmocka_unit_test(readlink_returns_the_target_without_terminator),
		cmocka_unit_test(write_file_creates),
		cmocka_unit_test(write_file_replaces_in_one_step),
		cmocka_unit_test(write_file_that_cannot_write_leaves_the_old_one),
		cmocka_unit_test(write_file_over_a_directory_fails),
		cmocka_unit_test(write_file_in_a_missing_directory_fails),
		cmocka_unit_test(write_file_with_a_path_too_long_fails),
		cmocka_unit_test(list_dir_visits_all_but_the_dots),
		cmocka_unit_test(list_dir_that_is_stopped_returns_the_value),
		cmocka_unit_test(list_dir_keeps_the_errno_of_its_function),
		cmocka_unit_test(list_dir_of_a_missing_directory_fails),
		cmocka_unit_test(clock_is_the_monotonic_one),
		cmocka_unit_test(sleep_sleeps_at_least_that_long),
		cmocka_unit_test(memlock_limit_is_that_of_the_process),
		cmocka_unit_test(cpus_are_those_that_the_thread_may_run_on),
		cmocka_unit_test(zalloc_zeroes),
	};

	return cmocka_run_group_tests_name("linux", tests, in_new_dir, remove_dir);
}
