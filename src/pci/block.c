// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The block devices of a PCI function, and what uses them. */
#include <vfn/pci/device.h>
#include <vfn/pci/driver.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "os/os.h"
#include "pci/sysfs.h"
#include "support/error.h"

#define SYS_BLOCK "/sys/class/block"
#define SYS_SUBSYSTEMS "/sys/class/nvme-subsystem"

struct walk {
	char bdf[VFN_PCI_BDF_LEN];
	const char *mounts;
	const char *swaps;
	int (*fn)(const char *name, const char *use, void *arg);
	void *arg;
};

/* ------------------------------------------------------ who the user is */

/* A piece of a line; never NUL-terminated. */
struct span {
	const char *s;
	size_t len;
};

static bool same(struct span span, const char *s)
{
	return span.len == strlen(s) && !memcmp(span.s, s, span.len);
}

/* Field @n (from 0) of a line whose fields are separated by blanks. */
static struct span field(struct span line, unsigned int n)
{
	struct span f = { .s = line.s };
	const char *end = line.s + line.len;

	for (;; n--) {
		while (f.s < end && (*f.s == ' ' || *f.s == '\t'))
			f.s++;
		f.len = 0;
		while (f.s + f.len < end && f.s[f.len] != ' ' && f.s[f.len] != '\t')
			f.len++;
		if (!n)
			return f;
		f.s += f.len;
	}
}

/* The kernel writes blanks, newlines and backslashes as \ooo. */
static char *unescape(struct span span)
{
	char *text = vfn_sysfs_copy(span.s, span.len);
	char *to = text;

	if (!text)
		return NULL;

	for (const char *from = text; *from; to++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
		    from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
			*to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';

	return text;
}

static bool next_line(const char **text, struct span *line)
{
	if (!**text)
		return false;

	line->s = *text;
	line->len = strcspn(*text, "\n");
	*text += line->len;
	if (**text)
		(*text)++;

	return true;
}

/*
 * Lines of /proc/self/mountinfo: id parent major:minor root mount-point options
 * [optional fields] - type source options. Filesystems over several devices
 * (btrfs) have a number of their own, so that the source is compared as well.
 */
static bool is_mount_of(struct span line, const char *number, const char *path)
{
	const char *sep = memmem(line.s, line.len, " - ", 3);
	struct span rest;

	if (same(field(line, 2), number))
		return true;
	if (!sep)
		return false;

	rest.s = sep + 3;
	rest.len = line.len - (size_t)(rest.s - line.s);

	return same(field(rest, 1), path);
}

static int mounted(const struct walk *walk, const char *number, const char *path, char **use)
{
	const char *text = walk->mounts;
	struct span line;

	while (next_line(&text, &line)) {
		__autostr where = NULL;

		if (!is_mount_of(line, number, path))
			continue;

		where = unescape(field(line, 4));
		*use = where ? vfn_sysfs_format("mounted on %s", where) : NULL;
		return *use ? 0 : -1;
	}

	return 0;
}

static int swapped(const struct walk *walk, const char *path, char **use)
{
	const char *text = walk->swaps;
	struct span line;

	while (next_line(&text, &line)) {
		if (!same(field(line, 0), path))
			continue;

		*use = vfn_sysfs_format("swap");
		return *use ? 0 : -1;
	}

	return 0;
}

static int take_holder(const char *name, void *arg)
{
	__autostr path = vfn_sysfs_format(SYS_BLOCK "/%s/dm/name", name);
	__autostr alias = path ? vfn_sysfs_read(path) : NULL;
	char **use = arg;

	if (!alias && errno != ENOENT)
		return -1;

	*use = alias ? vfn_sysfs_format("held by %s (%s)", name, alias) :
		       vfn_sysfs_format("held by %s", name);

	return *use ? 1 : -1;
}

static int held(const char *name, char **use)
{
	__autostr path = vfn_sysfs_format(SYS_BLOCK "/%s/holders", name);

	return path && vfn_sysfs_list(path, take_holder, use) >= 0 ? 0 : -1;
}

/* *use stays NULL when nothing is known to use the block device. */
static int find_use(const struct walk *walk, const char *name, char **use)
{
	__autostr attr = vfn_sysfs_format(SYS_BLOCK "/%s/dev", name);
	__autostr path = vfn_sysfs_format("/dev/%s", name);
	__autostr number = NULL;

	if (!attr || !path)
		return -1;

	number = vfn_sysfs_read(attr);
	if (!number)
		return errno == ENOENT ? 0 : -1;

	if (mounted(walk, number, path, use))
		return -1;
	if (!*use && swapped(walk, path, use))
		return -1;
	if (!*use && held(name, use))
		return -1;

	return 0;
}

/* ------------------------------------------------ whose block device it is */

static bool is_below(const char *link, const char *bdf)
{
	const char *s = strstr(link, bdf);

	return s && s > link && s[-1] == '/' && s[VFN_PCI_BDF_LEN - 1] == '/';
}

struct path_search {
	const char *dir;
	const char *bdf;
};

static int find_path(const char *name, void *arg)
{
	const struct path_search *search = arg;
	__autostr path = vfn_sysfs_format("%s/%s", search->dir, name);
	__autostr link = path ? vfn_sysfs_link(path) : NULL;

	if (!link)
		return errno == EINVAL || errno == ENOENT ? 0 : -1;

	return is_below(link, search->bdf);
}

/*
 * A multipath head hangs below the virtual device of its NVMe subsystem, which
 * has a link to each of its controllers. 1 when one of them is @bdf, 0, or -1.
 */
static int is_head_of(const char *link, const char *bdf)
{
	static const char marker[] = "/nvme-subsystem/";
	const char *s = strstr(link, marker);
	__autostr subsys = NULL;
	__autostr dir = NULL;
	struct path_search search = { .bdf = bdf };

	if (!s)
		return 0;

	s += strlen(marker);
	subsys = vfn_sysfs_copy(s, strcspn(s, "/"));
	dir = subsys ? vfn_sysfs_format(SYS_SUBSYSTEMS "/%s", subsys) : NULL;
	if (!dir)
		return -1;

	search.dir = dir;
	return vfn_sysfs_list(dir, find_path, &search);
}

/* The paths below a multipath head are disks that nobody can open. */
static int is_hidden(const char *name)
{
	__autostr path = vfn_sysfs_format(SYS_BLOCK "/%s/hidden", name);
	__autostr text = path ? vfn_sysfs_read(path) : NULL;

	if (!text)
		return errno == ENOENT ? 0 : -1;

	return !strcmp(text, "1");
}

static int visit_block(const char *name, void *arg)
{
	struct walk *walk = arg;
	__autostr path = vfn_sysfs_format(SYS_BLOCK "/%s", name);
	__autostr link = path ? vfn_sysfs_link(path) : NULL;
	__autostr use = NULL;
	int ret;

	if (!link)
		return errno == ENOENT ? 0 : -1;

	ret = is_below(link, walk->bdf) ? 1 : is_head_of(link, walk->bdf);
	if (ret <= 0)
		return ret;

	ret = is_hidden(name);
	if (ret)
		return ret < 0 ? -1 : 0;

	if (find_use(walk, name, &use))
		return -1;

	return walk->fn(name, use, walk->arg);
}

static char *read_table(const char *path)
{
	char *text = vfn_sysfs_read(path);

	/* a kernel without swap has no table of it */
	return text || errno != ENOENT ? text : vfn_sysfs_copy("", 0);
}

int vfn_pci_for_each_block(const char *bdf, int (*fn)(const char *name, const char *use, void *arg),
			   void *arg)
{
	struct walk walk = { .fn = fn, .arg = arg };
	__autostr mounts = NULL;
	__autostr swaps = NULL;

	if (vfn_pci_find(bdf, walk.bdf))
		return -1;

	mounts = read_table("/proc/self/mountinfo");
	swaps = mounts ? read_table("/proc/swaps") : NULL;
	if (!swaps)
		return vfn_fail(errno, "%s: cannot see what is mounted: %s", walk.bdf,
				strerror(errno));

	walk.mounts = mounts;
	walk.swaps = swaps;

	return vfn_sysfs_list(SYS_BLOCK, visit_block, &walk);
}

/* --------------------------------------------------------- is it idle */

static int refuse_used(const char *name, const char *use, void *arg)
{
	const char *bdf = arg;

	if (!use)
		return 0;

	return vfn_fail(EBUSY, "%s is in use: %s is %s", bdf, name, use);
}

static int refuse_open(const char *name, const char *use, void *arg)
{
	__autostr path = vfn_sysfs_format("/dev/%s", name);
	const char *bdf = arg;
	int fd;

	if (!path)
		return -1;

	fd = os_open(path, O_RDONLY | O_EXCL);
	if (fd >= 0)
		os_close(fd);
	else if (errno == EBUSY)
		return vfn_fail(EBUSY, "%s is in use: %s is open in another program", bdf, name);

	return 0;
}

/* Unbinding a device whose VFIO group is open blocks until the user lets go. */
static int refuse_open_group(const char *bdf)
{
	__autostr driver = vfn_pci_driver_name(bdf);
	__autostr path = NULL;
	int group, fd;

	if (!driver)
		return errno == ENOENT ? 0 : -1;
	if (!strstr(driver, "vfio"))
		return 0;

	group = vfn_pci_group_number(bdf);
	if (group < 0)
		return errno == ENOENT ? 0 : -1;

	path = vfn_sysfs_format("/dev/vfio/%d", group);
	if (!path)
		return -1;

	fd = os_open(path, O_RDWR);
	if (fd >= 0)
		os_close(fd);
	else if (errno == EBUSY)
		return vfn_fail(EBUSY, "%s is in use: %s is open in another program", bdf, path);

	return 0;
}

int vfn_pci_check_idle(const char *bdf)
{
	char id[VFN_PCI_BDF_LEN];

	if (vfn_pci_find(bdf, id))
		return -1;

	/*
	 * Known users first: a mounted partition also keeps the whole disk from
	 * being opened, and says more.
	 */
	if (vfn_pci_for_each_block(id, refuse_used, id) ||
	    vfn_pci_for_each_block(id, refuse_open, id) || refuse_open_group(id)) {
		if (errno != EBUSY)
			vfn_fail(errno, "%s: cannot see whether it is in use: %s", id,
				 strerror(errno));
		return -1;
	}

	return 0;
}
