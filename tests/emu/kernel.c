// SPDX-License-Identifier: GPL-2.0-or-later
/* The system calls of src/os/os.h on descriptors and paths. */
#include "emu_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "os/abi.h"
#include "os/os.h"

static struct emu_file *files[EMU_MAX_FDS];
static struct {
	unsigned int mask;
	size_t most;
} limit;

/* ------------------------------------------------------------ descriptors */

void fd_init(void)
{
	memset(files, 0, sizeof(files));
	limit.mask = 0;
}

static void fd_drop(int fd)
{
	struct emu_file *file = files[fd];

	files[fd] = NULL;
	emu_used.fds--;
	close(fd);
	if (file->ops->release)
		file->ops->release(file);
	free(file);
}

void fd_fini(void)
{
	for (int fd = 0; fd < EMU_MAX_FDS; fd++) {
		if (files[fd])
			fd_drop(fd);
	}
}

int fd_install_over(int real, const struct file_ops *ops, int flags, void *priv)
{
	int fd = fcntl(real, F_DUPFD_CLOEXEC, 3);

	close(real);
	if (fd < 0 || fd >= EMU_MAX_FDS) {
		if (fd >= 0)
			close(fd);
		return emu_errno(EMFILE);
	}

	files[fd] = emu_zalloc(sizeof(*files[fd]));
	files[fd]->ops = ops;
	files[fd]->flags = flags;
	files[fd]->priv = priv;
	emu_used.fds++;

	return fd;
}

/* A real descriptor of /dev/null reserves the number. */
int fd_install(const struct file_ops *ops, int flags, void *priv)
{
	return fd_install_over(open("/dev/null", O_RDWR | O_CLOEXEC), ops, flags, priv);
}

struct emu_file *fd_get(int fd)
{
	return fd >= 0 && fd < EMU_MAX_FDS ? files[fd] : NULL;
}

static const char *describe(int fd)
{
	struct emu_file *file = fd_get(fd);

	if (!file)
		return "(foreign)";

	return file->ops->describe ? file->ops->describe(file) : file->ops->name;
}

/* ----------------------------------------------------------- regular files */

static struct node *file_node(struct emu_file *file)
{
	return fs_lookup(file->priv, true);
}

static ssize_t reg_pread(struct emu_file *file, void *buf, size_t count, uint64_t offset)
{
	struct node *node = file_node(file);

	if (!node)
		return emu_errno(ENODEV);
	if (node->type == NODE_DIR)
		return emu_errno(EISDIR);
	if (offset >= node->len)
		return 0;
	if (count > node->len - offset)
		count = node->len - offset;
	memcpy(buf, node->data + offset, count);

	return count;
}

static int attr_store(struct node *node, const void *buf, size_t count)
{
	char *text = emu_zalloc(count + 1);
	int ret;

	memcpy(text, buf, count);
	text[strcspn(text, "\n")] = '\0';
	emu_log("sysfs %s/%s < %s", node->parent->name, node->name, text);
	ret = count >= EMU_PAGE ? -EINVAL : node->store(node->priv, text);
	free(text);

	return ret;
}

static ssize_t reg_pwrite(struct emu_file *file, const void *buf, size_t count, uint64_t offset)
{
	struct node *node = file_node(file);
	size_t len;
	char *data;
	int ret;

	if (!node)
		return emu_errno(ENODEV);
	if (node->store) {
		ret = attr_store(node, buf, count);
		return ret < 0 ? emu_errno(-ret) : (ssize_t)count;
	}

	len = offset + count > node->len ? offset + count : node->len;
	data = emu_zalloc(len);
	if (node->len)
		memcpy(data, node->data, node->len);
	memcpy(data + offset, buf, count);
	fs_set(node, data, len);
	free(data);

	return count;
}

static void reg_release(struct emu_file *file)
{
	free(file->priv);
}

static const char *reg_describe(struct emu_file *file)
{
	return file->priv;
}

static const struct file_ops reg_ops = {
	.name = "file",
	.pread = reg_pread,
	.pwrite = reg_pwrite,
	.release = reg_release,
	.describe = reg_describe,
};

/* -------------------------------------------------------------- os_ calls */

static bool in_sysfs(const char *path)
{
	return !strncmp(path, "/sys/", 5);
}

static struct node *parent_dir(const char *path)
{
	char *dir = emu_strdup(path), *slash = strrchr(dir, '/');
	struct node *node;

	if (slash)
		*slash = '\0';
	node = fs_lookup(*dir ? dir : "/", true);
	free(dir);

	return node;
}

/* Whether the file system lets @path be made: 0, or -1 with errno. */
static int may_create(const char *path)
{
	struct node *dir = parent_dir(path);

	if (!dir)
		return -1;
	if (dir->type != NODE_DIR)
		return emu_errno(ENOTDIR);
	if (in_sysfs(path))
		return emu_errno(EPERM);

	return 0;
}

static int open_regular(const char *path, int flags, struct node *node)
{
	if (!node) {
		if (errno != ENOENT || !(flags & O_CREAT) || may_create(path))
			return -1;
		node = fs_printf(path, "%s", "");
	} else if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) {
		return emu_errno(EEXIST);
	}
	if (node->type == NODE_DIR && (flags & O_ACCMODE) != O_RDONLY)
		return emu_errno(EISDIR);
	if (node->type == NODE_FILE && !node->store && (flags & O_TRUNC))
		fs_set(node, "", 0);

	return fd_install(&reg_ops, flags, emu_strdup(path));
}

int os_open(const char *path, int flags)
{
	struct node *node;

	emu_autolock();
	if (emu_enter(EMU_OPEN, "open %s", path))
		return -1;

	node = fs_lookup(path, true);
	if (node && node->err && (node->err != EBUSY || (flags & O_EXCL)))
		return emu_errno(node->err);
	if (node && node->open)
		return node->open(node->priv, flags);

	return open_regular(path, flags, node);
}

static const struct file_ops eventfd_ops = { .name = "eventfd" };

/* A real one, as programs poll it. */
int os_eventfd(void)
{
	emu_autolock();
	if (emu_enter(EMU_OPEN, "eventfd"))
		return -1;

	return fd_install_over(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), &eventfd_ops, O_RDWR, NULL);
}

int os_close(int fd)
{
	int ret;

	emu_autolock();
	ret = emu_enter(EMU_CLOSE, "close %s", describe(fd));
	if (!fd_get(fd)) {
		if (close(fd))
			return -1;
		return ret;
	}
	fd_drop(fd);

	return ret;
}

static ssize_t do_pread(struct emu_file *file, void *buf, size_t count, uint64_t offset)
{
	if ((file->flags & O_ACCMODE) == O_WRONLY)
		return emu_errno(EBADF);

	return file->ops->pread ? file->ops->pread(file, buf, count, offset) : emu_errno(EINVAL);
}

static ssize_t do_pwrite(struct emu_file *file, const void *buf, size_t count, uint64_t offset)
{
	if ((file->flags & O_ACCMODE) == O_RDONLY)
		return emu_errno(EBADF);

	return file->ops->pwrite ? file->ops->pwrite(file, buf, count, offset) : emu_errno(EINVAL);
}

/* A foreign descriptor may block: the lock is not held for the call itself. One of an event is no different. */
static bool is_foreign(enum emu_call call, const char *what, int fd, int *ret)
{
	struct emu_file *file;

	emu_autolock();

	*ret = emu_enter(call, "%s %s", what, describe(fd));
	file = fd_get(fd);

	return !file || file->ops == &eventfd_ops;
}

void emu_transfer_at_most(unsigned int mask, size_t n)
{
	emu_autolock();
	limit.mask = mask;
	limit.most = n;
}

static size_t clip(enum emu_call call, size_t count)
{
	return (limit.mask & call) && limit.most < count ? limit.most : count;
}

ssize_t os_read(int fd, void *buf, size_t count)
{
	struct emu_file *file;
	ssize_t ret;
	int err;

	if (is_foreign(EMU_READ, "read", fd, &err))
		return err ? -1 : read(fd, buf, count);
	if (err)
		return -1;

	emu_autolock();
	file = fd_get(fd);
	ret = do_pread(file, buf, clip(EMU_READ, count), file->pos);
	if (ret > 0)
		file->pos += ret;

	return ret;
}

ssize_t os_write(int fd, const void *buf, size_t count)
{
	struct emu_file *file;
	ssize_t ret;
	int err;

	if (is_foreign(EMU_WRITE, "write", fd, &err))
		return err ? -1 : write(fd, buf, count);
	if (err)
		return -1;

	emu_autolock();
	file = fd_get(fd);
	count = clip(EMU_WRITE, count);
	/* an attribute would take it for an empty text */
	ret = count ? do_pwrite(file, buf, count, file->pos) : 0;
	if (ret > 0)
		file->pos += ret;

	return ret;
}

ssize_t os_pread(int fd, void *buf, size_t count, uint64_t offset)
{
	emu_autolock();
	if (emu_enter(EMU_PREAD, "pread %s", describe(fd)))
		return -1;
	if (!fd_get(fd))
		return pread(fd, buf, count, offset);

	return do_pread(fd_get(fd), buf, count, offset);
}

ssize_t os_pwrite(int fd, const void *buf, size_t count, uint64_t offset)
{
	emu_autolock();
	if (emu_enter(EMU_PWRITE, "pwrite %s", describe(fd)))
		return -1;
	if (!fd_get(fd))
		return pwrite(fd, buf, count, offset);

	return do_pwrite(fd_get(fd), buf, count, offset);
}

static const struct {
	unsigned long request;
	const char *name;
} requests[] = {
	{ VFIO_GET_API_VERSION, "GET_API_VERSION" },
	{ VFIO_CHECK_EXTENSION, "CHECK_EXTENSION" },
	{ VFIO_SET_IOMMU, "SET_IOMMU" },
	{ VFIO_GROUP_GET_STATUS, "GROUP_GET_STATUS" },
	{ VFIO_GROUP_SET_CONTAINER, "GROUP_SET_CONTAINER" },
	{ VFIO_GROUP_UNSET_CONTAINER, "GROUP_UNSET_CONTAINER" },
	{ VFIO_GROUP_GET_DEVICE_FD, "GROUP_GET_DEVICE_FD" },
	{ VFIO_DEVICE_GET_REGION_INFO, "DEVICE_GET_REGION_INFO" },
	{ VFIO_DEVICE_GET_IRQ_INFO, "DEVICE_GET_IRQ_INFO" },
	{ VFIO_DEVICE_SET_IRQS, "DEVICE_SET_IRQS" },
	{ VFIO_DEVICE_RESET, "DEVICE_RESET" },
	{ ABI_VFIO_DEVICE_BIND_IOMMUFD, "BIND_IOMMUFD" },
	{ ABI_VFIO_DEVICE_ATTACH_IOMMUFD_PT, "ATTACH_IOMMUFD_PT" },
	{ ABI_VFIO_DEVICE_DETACH_IOMMUFD_PT, "DETACH_IOMMUFD_PT" },
	{ ABI_IOMMU_DESTROY, "DESTROY" },
	{ ABI_IOMMU_IOAS_ALLOC, "IOAS_ALLOC" },
	{ ABI_IOMMU_IOAS_IOVA_RANGES, "IOAS_IOVA_RANGES" },
	{ ABI_IOMMU_IOAS_MAP, "IOAS_MAP" },
	{ ABI_IOMMU_IOAS_MAP_FILE, "IOAS_MAP_FILE" },
	{ ABI_IOMMU_IOAS_UNMAP, "IOAS_UNMAP" },
	{ ABI_IOMMU_HWPT_ALLOC, "HWPT_ALLOC" },
	{ ABI_IOMMU_FAULT_QUEUE_ALLOC, "FAULT_QUEUE_ALLOC" },
};

/* VFIO reuses its numbers: some names depend on the descriptor. */
static const char *request_name(struct emu_file *file, unsigned long request)
{
	bool device = file && file->ops->is_device;

	if (request == VFIO_DEVICE_GET_INFO && device)
		return "DEVICE_GET_INFO";
	if (request == VFIO_IOMMU_GET_INFO && !device)
		return "IOMMU_GET_INFO";
	if (request == VFIO_DEVICE_FEATURE && device)
		return "DEVICE_FEATURE";
	if (request == VFIO_IOMMU_MAP_DMA && !device)
		return "MAP_DMA";
	if (request == VFIO_IOMMU_UNMAP_DMA && !device)
		return "UNMAP_DMA";
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		if (requests[i].request == request)
			return requests[i].name;
	}

	return "(unknown)";
}

static enum emu_call ioctl_class(const char *name)
{
	static const struct {
		const char *name;
		enum emu_call call;
	} classes[] = {
		{ "MAP_DMA", EMU_DMA_MAP },	      { "UNMAP_DMA", EMU_DMA_UNMAP },
		{ "IOAS_MAP", EMU_DMA_MAP },	      { "IOAS_MAP_FILE", EMU_DMA_MAP },
		{ "IOAS_UNMAP", EMU_DMA_UNMAP },      { "DESTROY", EMU_DESTROY },
		{ "DETACH_IOMMUFD_PT", EMU_DESTROY },
	};

	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		if (!strcmp(name, classes[i].name))
			return classes[i].call;
	}

	return EMU_IOCTL;
}

int os_ioctl(int fd, unsigned long request, void *arg)
{
	struct emu_file *file;
	enum emu_call call;
	const char *name;
	int failed, err, ret;

	emu_autolock();
	file = fd_get(fd);
	name = request_name(file, request);
	call = ioctl_class(name);
	failed = emu_enter(call, "ioctl %s", name);
	err = errno;
	if (failed && call != EMU_DESTROY)
		return -1;
	if (!file)
		return ioctl(fd, request, arg);

	ret = file->ops->ioctl ? file->ops->ioctl(file, request, arg) : emu_errno(ENOTTY);

	return failed ? emu_errno(err) : ret;
}

int os_mkdir(const char *path, unsigned int mode)
{
	(void)mode;
	emu_autolock();
	if (emu_enter(EMU_PATH, "mkdir %s", path))
		return -1;
	if (fs_lookup(path, true))
		return emu_errno(EEXIST);
	if (may_create(path))
		return -1;
	fs_make(path, NODE_DIR);

	return 0;
}

int os_unlink(const char *path)
{
	struct node *node;

	emu_autolock();
	if (emu_enter(EMU_PATH, "unlink %s", path))
		return -1;
	node = fs_lookup(path, false);
	if (!node)
		return -1;
	if (node->type == NODE_DIR)
		return emu_errno(EISDIR);
	if (in_sysfs(path))
		return emu_errno(EPERM);
	fs_remove(path);

	return 0;
}

int os_write_file(const char *path, const void *buf, size_t count)
{
	struct node *node;

	emu_autolock();
	if (emu_enter(EMU_PATH, "write_file %s", path))
		return -1;
	if (may_create(path))
		return -1;
	node = fs_lookup(path, false);
	if (node && node->type == NODE_DIR)
		return emu_errno(EISDIR);
	fs_remove(path);
	fs_set(fs_make(path, NODE_FILE), buf, count);

	return 0;
}

ssize_t os_readlink(const char *path, char *buf, size_t size)
{
	struct node *node;
	size_t len;

	emu_autolock();
	if (emu_enter(EMU_PATH, "readlink %s", path))
		return -1;
	node = fs_lookup(path, false);
	if (!node)
		return -1;
	if (node->err || node->type != NODE_LINK)
		return emu_errno(node->err ? node->err : EINVAL);
	len = node->len < size ? node->len : size;
	memcpy(buf, node->data, len);

	return len;
}

int os_access(const char *path, int mode)
{
	struct node *node;

	(void)mode;
	emu_autolock();
	if (emu_enter(EMU_PATH, "access %s", path))
		return -1;
	node = fs_lookup(path, true);
	if (!node)
		return -1;

	return node->err && node->err != EBUSY ? emu_errno(node->err) : 0;
}

/* Names are copied first: @fn may make calls that change the directory. */
static char **dir_names(const char *path, size_t *n)
{
	struct node *dir;
	char **names = emu_zalloc(0);

	emu_autolock();
	*n = 0;
	dir = emu_enter(EMU_PATH, "list_dir %s", path) ? NULL : fs_lookup(path, true);
	if (dir && dir->type != NODE_DIR) {
		errno = ENOTDIR;
		dir = NULL;
	}
	if (!dir) {
		free(names);
		return NULL;
	}
	for (struct node *c = dir->child; c; c = c->next) {
		if (fs_hidden(c))
			continue;
		names = emu_resize(names, (*n + 1) * sizeof(*names));
		names[(*n)++] = emu_strdup(c->name);
	}

	return names;
}

int os_list_dir(const char *path, int (*fn)(const char *name, void *arg), void *arg)
{
	size_t n;
	char **names = dir_names(path, &n);
	int ret = 0, err;

	if (!names)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (!ret)
			ret = fn(names[i], arg);
		err = errno;
		free(names[i]);
		errno = err;
	}
	err = errno;
	free(names);
	errno = err;

	return ret;
}

static bool in_child;

void emu_set_child(bool child)
{
	in_child = child;
}

unsigned int os_cpus(void)
{
	return 4;
}

int os_getpid(void)
{
	return in_child ? 2 : 1;
}

void *os_zalloc(size_t size)
{
	emu_autolock();
	if (emu_enter(EMU_ALLOC, "alloc %zu", size))
		return NULL;

	return calloc(1, size);
}
