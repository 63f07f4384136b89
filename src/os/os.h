/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The seam to the kernel: every system call the library makes goes through here. */
#ifndef VFN_SRC_OS_OS_H
#define VFN_SRC_OS_OS_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * linux.c implements these as thin wrappers; tests link a fake kernel in its
 * place. Convention is that of the system calls: -1 (or MAP_FAILED, or NULL)
 * with errno set. Calls that a signal interrupted are restarted.
 */

/* Open with O_CLOEXEC added; the result is always a descriptor above 2. */
int os_open(const char *path, int flags);
int os_close(int fd);
/* One that does not block, as os_open() otherwise. */
int os_eventfd(void);
/* Sleep until there is something to read, no longer than @ns, or until a signal: 1 if there is, 0 if not. */
int os_wait_fd(int fd, uint64_t ns);
ssize_t os_read(int fd, void *buf, size_t count);
ssize_t os_write(int fd, const void *buf, size_t count);
ssize_t os_pread(int fd, void *buf, size_t count, uint64_t offset);
ssize_t os_pwrite(int fd, const void *buf, size_t count, uint64_t offset);
int os_ioctl(int fd, unsigned long request, void *arg);

void *os_mmap(void *addr, size_t len, int prot, int flags, int fd, uint64_t offset);
int os_munmap(void *addr, size_t len);
int os_madvise(void *addr, size_t len, int advice);
/*
 * Put ordinary memory of ones in the place of mapped pages, in a handler of signals or not: other threads
 * see what was there, or ones, and nothing in between.
 */
int os_put_ones(void *addr, size_t len);

int os_sigaction(int signum, const struct sigaction *act, struct sigaction *old);
int os_raise(int signum);

int os_mkdir(const char *path, unsigned int mode);
int os_unlink(const char *path);
/* Create or replace @path with @count bytes, atomically (temporary, rename). */
int os_write_file(const char *path, const void *buf, size_t count);
ssize_t os_readlink(const char *path, char *buf, size_t size);
int os_access(const char *path, int mode);
/* Call @fn for every entry but . and ..; a nonzero return stops and is returned. */
int os_list_dir(const char *path, int (*fn)(const char *name, void *arg), void *arg);

/* CLOCK_MONOTONIC in nanoseconds, and a sleep on the same clock. */
uint64_t os_clock_ns(void);
void os_sleep_ns(uint64_t ns);

/* The bytes that this process may lock: RLIMIT_MEMLOCK, UINT64_MAX where there is no limit. */
uint64_t os_memlock_limit(void);

/* The CPUs that this thread may run on, at least 1. */
unsigned int os_cpus(void);

/* The process, which a child of fork() is not. */
int os_getpid(void);

/* Zeroed memory, released with free(). */
void *os_zalloc(size_t size);

#endif /* VFN_SRC_OS_OS_H */
