// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The system calls of Linux, restarted when a signal interrupts them. */
#include "os/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "os/ones.h"

#define NS_PER_SEC 1000000000ULL

#define restart(call) \
	({ \
		__typeof__(call) __ret; \
		do { \
			__ret = (call); \
		} while (__ret == -1 && errno == EINTR); \
		__ret; \
	})

static void close_quietly(int fd)
{
	int saved = errno;

	(void)close(fd);
	errno = saved;
}

/* A program may run with its standard streams closed; do not sit in their place. */
static int lift(int fd)
{
	int high;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;

	high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	close_quietly(fd);

	return high;
}

int os_open(const char *path, int flags)
{
	return lift(restart(open(path, flags | O_CLOEXEC)));
}

int os_eventfd(void)
{
	return lift(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

int os_close(int fd)
{
	/* the descriptor is gone even when this is interrupted */
	if (close(fd) < 0 && errno != EINTR)
		return -1;

	return 0;
}

int os_wait_fd(int fd, uint64_t ns)
{
	const struct timespec ts = {
		.tv_sec = (time_t)(ns / NS_PER_SEC),
		.tv_nsec = (long)(ns % NS_PER_SEC),
	};
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return ppoll(&pollfd, 1, &ts, NULL) > 0;
}

ssize_t os_read(int fd, void *buf, size_t count)
{
	return restart(read(fd, buf, count));
}

ssize_t os_write(int fd, const void *buf, size_t count)
{
	return restart(write(fd, buf, count));
}

ssize_t os_pread(int fd, void *buf, size_t count, uint64_t offset)
{
	return restart(pread(fd, buf, count, (off_t)offset));
}

ssize_t os_pwrite(int fd, const void *buf, size_t count, uint64_t offset)
{
	return restart(pwrite(fd, buf, count, (off_t)offset));
}

int os_ioctl(int fd, unsigned long request, void *arg)
{
	return restart(ioctl(fd, request, arg));
}

void *os_mmap(void *addr, size_t len, int prot, int flags, int fd, uint64_t offset)
{
	return mmap(addr, len, prot, flags, fd, (off_t)offset);
}

int os_munmap(void *addr, size_t len)
{
	return munmap(addr, len);
}

int os_madvise(void *addr, size_t len, int advice)
{
	return madvise(addr, len, advice);
}

int os_put_ones(void *addr, size_t len)
{
	return put_ones(addr, len);
}

int os_sigaction(int signum, const struct sigaction *act, struct sigaction *old)
{
	return sigaction(signum, act, old);
}

int os_raise(int signum)
{
	return raise(signum);
}

int os_mkdir(const char *path, unsigned int mode)
{
	return mkdir(path, mode);
}

int os_unlink(const char *path)
{
	return unlink(path);
}

static int write_all(int fd, const char *buf, size_t count)
{
	while (count) {
		ssize_t ret = os_write(fd, buf, count);

		if (ret < 0)
			return -1;

		buf += ret;
		count -= (size_t)ret;
	}

	return 0;
}

int os_write_file(const char *path, const void *buf, size_t count)
{
	char tmp[512];
	int fd, ret;

	if (snprintf(tmp, sizeof(tmp), "%s.XXXXXX", path) >= (int)sizeof(tmp)) {
		errno = ENAMETOOLONG;
		return -1;
	}

	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return -1;

	ret = write_all(fd, buf, count);
	if (!ret)
		ret = fsync(fd);
	close_quietly(fd);

	if (!ret)
		ret = rename(tmp, path);
	if (ret) {
		int saved = errno;

		(void)unlink(tmp);
		errno = saved;
	}

	return ret;
}

ssize_t os_readlink(const char *path, char *buf, size_t size)
{
	return readlink(path, buf, size);
}

int os_access(const char *path, int mode)
{
	return access(path, mode);
}

int os_list_dir(const char *path, int (*fn)(const char *name, void *arg), void *arg)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int ret = 0, saved;

	if (!dir)
		return -1;

	while (!ret) {
		errno = 0;
		entry = readdir(dir);
		if (!entry) {
			ret = errno ? -1 : 0;
			break;
		}

		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			ret = fn(entry->d_name, arg);
	}

	saved = errno;
	(void)closedir(dir);
	errno = saved;

	return ret;
}

uint64_t os_clock_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);

	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

void os_sleep_ns(uint64_t ns)
{
	uint64_t end = os_clock_ns() + ns;
	struct timespec ts = {
		.tv_sec = (time_t)(end / NS_PER_SEC),
		.tv_nsec = (long)(end % NS_PER_SEC),
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

uint64_t os_memlock_limit(void)
{
	struct rlimit limit = { .rlim_cur = RLIM_INFINITY };

	(void)getrlimit(RLIMIT_MEMLOCK, &limit);

	return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : (uint64_t)limit.rlim_cur;
}

unsigned int os_cpus(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	if (sched_getaffinity(0, sizeof(cpus), &cpus))
		return 1;

	return (unsigned int)CPU_COUNT(&cpus);
}

int os_getpid(void)
{
	return getpid();
}

void *os_zalloc(size_t size)
{
	return calloc(1, size);
}
