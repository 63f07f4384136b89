// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Whole-buffer reads and writes. */
#include <vfn/support/io.h>

#include <errno.h>
#include <fcntl.h>

#include "os/os.h"

ssize_t writeallfd(int fd, const void *buf, size_t count)
{
	size_t done = 0;

	while (done < count) {
		ssize_t ret = os_write(fd, (const char *)buf + done, count - done);

		if (ret < 0)
			return -1;
		if (!ret) {
			errno = EIO;
			return -1;
		}

		done += (size_t)ret;
	}

	return (ssize_t)done;
}

ssize_t readmaxfd(int fd, void *buf, size_t count)
{
	size_t done = 0;

	while (done < count) {
		ssize_t ret = os_read(fd, (char *)buf + done, count - done);

		if (ret < 0)
			return -1;
		if (!ret)
			break;

		done += (size_t)ret;
	}

	return (ssize_t)done;
}

/* Close without hiding the error of what came before. */
static ssize_t close_after(int fd, ssize_t ret)
{
	int saved = errno;

	if (os_close(fd) < 0 && ret >= 0)
		return -1;
	errno = saved;

	return ret;
}

ssize_t writeall(const char *path, const void *buf, size_t count)
{
	int fd = os_open(path, O_WRONLY);

	if (fd < 0)
		return -1;

	return close_after(fd, writeallfd(fd, buf, count));
}

ssize_t readmax(const char *path, void *buf, size_t count)
{
	int fd = os_open(path, O_RDONLY);

	if (fd < 0)
		return -1;

	return close_after(fd, readmaxfd(fd, buf, count));
}
