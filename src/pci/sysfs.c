// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Read, write and list small files of /sys and /proc. */
#include "pci/sysfs.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "os/os.h"

/* One attribute of sysfs; longer files take more than one turn. */
#define CHUNK 4096

char *vfn_sysfs_format(const char *fmt, ...)
{
	va_list ap;
	char *s;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);

	s = os_zalloc((size_t)len + 1);
	if (!s)
		return NULL;

	va_start(ap, fmt);
	vsnprintf(s, (size_t)len + 1, fmt, ap);
	va_end(ap);

	return s;
}

char *vfn_sysfs_copy(const char *s, size_t len)
{
	char *copy = os_zalloc(len + 1);

	return copy ? memcpy(copy, s, len) : NULL;
}

static void close_keep_errno(int fd)
{
	int saved = errno;

	os_close(fd);
	errno = saved;
}

char *vfn_sysfs_read(const char *path)
{
	__autostr buf = NULL;
	size_t size = 0, len = 0;
	ssize_t n;
	char *result;
	int fd;

	fd = os_open(path, O_RDONLY);
	if (fd < 0)
		return NULL;

	do {
		/* One byte is kept free for the terminating NUL. */
		if (len + 1 >= size) {
			char *bigger = os_zalloc(size ? size * 2 : CHUNK);

			if (!bigger) {
				n = -1;
				break;
			}
			if (len)
				memcpy(bigger, buf, len);
			free(buf);
			buf = bigger;
			size = size ? size * 2 : CHUNK;
		}

		n = os_read(fd, buf + len, size - len - 1);
		if (n > 0)
			len += (size_t)n;
	} while (n > 0);

	close_keep_errno(fd);
	if (n < 0)
		return NULL;

	buf[len] = '\0';
	if (len && buf[len - 1] == '\n')
		buf[len - 1] = '\0';

	result = buf;
	buf = NULL;
	return result;
}

int vfn_sysfs_write(const char *path, const char *text)
{
	size_t len = strlen(text);
	ssize_t n;
	int fd;

	fd = os_open(path, O_WRONLY);
	if (fd < 0)
		return -1;

	/* An attribute takes its value in a single write or not at all. */
	n = os_write(fd, text, len);
	if (n >= 0 && (size_t)n != len) {
		errno = EIO;
		n = -1;
	}

	close_keep_errno(fd);
	return n < 0 ? -1 : 0;
}

char *vfn_sysfs_link(const char *path)
{
	size_t size = 256;

	for (;; size *= 2) {
		__autostr buf = os_zalloc(size);
		char *result = buf;
		ssize_t n;

		if (!buf)
			return NULL;

		n = os_readlink(path, buf, size);
		if (n < 0)
			return NULL;
		if ((size_t)n == size)
			continue;

		buf[n] = '\0';
		buf = NULL;
		return result;
	}
}

char *vfn_sysfs_link_name(const char *path)
{
	__autostr target = vfn_sysfs_link(path);
	const char *name;

	if (!target)
		return NULL;

	name = strrchr(target, '/');
	name = name ? name + 1 : target;

	return vfn_sysfs_copy(name, strlen(name));
}

struct names {
	char **v;
	size_t n, size;
};

static int add_name(const char *name, void *arg)
{
	struct names *names = arg;

	if (names->n == names->size) {
		size_t size = names->size ? names->size * 2 : 16;
		char **v = os_zalloc(size * sizeof(*v));

		if (!v)
			return -1;
		if (names->n)
			memcpy(v, names->v, names->n * sizeof(*v));
		free(names->v);
		names->v = v;
		names->size = size;
	}

	names->v[names->n] = vfn_sysfs_copy(name, strlen(name));
	if (!names->v[names->n])
		return -1;

	names->n++;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strverscmp(*(char *const *)a, *(char *const *)b);
}

int vfn_sysfs_list(const char *path, int (*fn)(const char *name, void *arg), void *arg)
{
	struct names names = {};
	int ret, saved;

	ret = os_list_dir(path, add_name, &names);
	if (ret < 0 && (errno == ENOENT || errno == ENOTDIR))
		ret = 0;

	if (!ret && names.n) {
		qsort(names.v, names.n, sizeof(*names.v), compare_names);
		for (size_t i = 0; i < names.n && !ret; i++)
			ret = fn(names.v[i], arg);
	}

	saved = errno;
	while (names.n)
		free(names.v[--names.n]);
	free(names.v);
	errno = saved;

	return ret;
}

int vfn_sysfs_parse_ull(const char *s, unsigned long long *v)
{
	unsigned long long value;
	char *end;
	int saved = errno;

	if (s[0] == '-' && isdigit((unsigned char)s[1])) {
		errno = ERANGE;
		return -1;
	}
	if (!isdigit((unsigned char)s[0])) {
		errno = EINVAL;
		return -1;
	}

	errno = 0;
	value = strtoull(s, &end, 0);
	if (errno)
		return -1;
	if (*end) {
		errno = EINVAL;
		return -1;
	}

	errno = saved;
	*v = value;
	return 0;
}

bool vfn_sysfs_is_name(const char *name)
{
	return name && *name && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..");
}
