// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* iommufd, and VFIO's character devices. */
#define VFN_TRACE 1

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vfn/pci/util.h>
#include <vfn/support/mutex.h>
#include <vfn/trace.h>

#include "iommu/context.h"
#include "os/abi.h"
#include "os/os.h"
#include "pci/sysfs.h"
#include "support/error.h"
#include "support/probe.h"

#define IOMMUFD_PATH "/dev/iommu"

/* More than any kernel reports; it doubles as the limit for what we believe. */
#define RANGES_MAX 65536

static void close_quietly(int fd)
{
	int saved = errno;

	(void)os_close(fd);
	errno = saved;
}

/* ---- the process's one descriptor ---- */

static pthread_mutex_t users_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int users;
static int iommufd;

static int explain_open_iommufd(const char *who)
{
	switch (errno) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return vfn_fail(ENODEV, "%s: " IOMMUFD_PATH " is missing: modprobe iommufd", who);
	default:
		return iommu_explain_open(who, IOMMUFD_PATH);
	}
}

static int get_iommufd(const char *who)
{
	__autolock(&users_lock);

	if (!users) {
		iommufd = os_open(IOMMUFD_PATH, O_RDWR);
		if (iommufd < 0)
			return explain_open_iommufd(who);
	}

	users++;

	return iommufd;
}

static void put_iommufd(void)
{
	__autolock(&users_lock);

	if (!--users)
		close_quietly(iommufd);
}

/* Of what nobody uses any more this cannot fail. */
static void destroy_object(int fd, uint32_t id)
{
	struct abi_iommu_destroy cmd = { .size = sizeof(cmd), .id = id };
	int saved = errno;

	(void)os_ioctl(fd, ABI_IOMMU_DESTROY, &cmd);
	errno = saved;
}

/* ---- the address space ---- */

static int open_space(struct iommu_ctx *ctx, const char *bdf)
{
	struct abi_iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int fd = get_iommufd(bdf);

	if (fd < 0)
		return -1;

	if (os_ioctl(fd, ABI_IOMMU_IOAS_ALLOC, &cmd)) {
		(void)vfn_fail(errno, "%s: cannot make an I/O address space: %s", bdf,
			       strerror(errno));
		put_iommufd();
		return -1;
	}

	__autolock(&ctx->lock);

	ctx->ioas = cmd.out_ioas_id;
	ctx->fd = fd;

	return 0;
}

static void close_space(struct iommu_ctx *ctx)
{
	__autolock(&ctx->lock);

	destroy_object(ctx->fd, ctx->ioas);
	ctx->fd = -1;
	iommu_forget_all(ctx);
	put_iommufd();
}

static int ask_ranges(struct iommu_ctx *ctx, struct abi_iommu_iova_range *ranges, uint32_t *n)
{
	struct abi_iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = ctx->ioas,
		.num_iovas = *n,
		.allowed_iovas = (uintptr_t)ranges,
	};
	int ret = os_ioctl(ctx->fd, ABI_IOMMU_IOAS_IOVA_RANGES, &cmd);

	*n = cmd.num_iovas;

	return ret;
}

/* A further device may have narrowed them. There may be more each time, but not for ever. */
static int read_ranges(struct iommu_ctx *ctx)
{
	struct abi_iommu_iova_range *ranges;
	uint32_t room = 16, n;
	int ret, saved;

	__autolock(&ctx->lock);

	__static_assert(sizeof(*ranges) == sizeof(struct iommu_iova_range));

	do {
		n = room;
		ranges = vfn_zalloc(n * sizeof(*ranges));
		if (!ranges)
			return -1;

		ret = ask_ranges(ctx, ranges, &n);
		if (!ret && n <= room)
			ret = iova_set_ranges(ctx, (struct iommu_iova_range *)ranges, n);
		else if (!ret || (errno == EMSGSIZE && (n <= room || n > RANGES_MAX)))
			ret = vfn_fail(EPROTO, "%s: the IOMMU reports %u address ranges", ctx->name,
				       n);
		else if (errno != EMSGSIZE)
			(void)vfn_fail(errno, "%s: cannot read the IOMMU's address ranges: %s",
				       ctx->name, strerror(errno));

		room = n;
		saved = errno;
		free(ranges);
		errno = saved;
	} while (ret && errno == EMSGSIZE);

	return ret;
}

/* ---- devices ---- */

static char *cdev_path(const char *bdf)
{
	__autostr name = pci_get_device_vfio_id(bdf);
	char *path;

	if (!name)
		return NULL;

	path = vfn_sysfs_format("/dev/vfio/devices/%s", name);
	if (!path)
		(void)vfn_fail(errno, "%s: %s", bdf, strerror(errno));

	return path;
}

bool iommu_iommufd_is_there(const char *bdf)
{
	__autostr path = cdev_path(bdf);

	if (!path)
		return false;

	if (os_access(IOMMUFD_PATH, R_OK | W_OK))
		return !explain_open_iommufd(bdf);
	if (os_access(path, R_OK | W_OK))
		return !iommu_explain_open(bdf, path);

	return true;
}

static int explain_bind(const struct iommu_device *dev, const struct iommu_token *token)
{
	int err = errno;

	/* the device is open elsewhere, or so is its group, or a driver has its neighbour */
	if (err == EBUSY && iommu_group_is_taken(dev->bdf))
		return iommu_explain_group(dev->bdf, dev->group);
	if (err == EBUSY || (err == EINVAL && !token->text[0]))
		return vfn_fail(EBUSY, "%s is in use by another process: stop that one first",
				dev->bdf);
	if (err == EPERM)
		return vfn_fail(
			err,
			"%s: its interrupts cannot be isolated: turn interrupt remapping on in firmware and kernel",
			dev->bdf);

	errno = err;
	if (iommu_token_is_refused(dev->bdf, token))
		return -1;
	if (err == EINVAL)
		return vfn_fail(err, "%s: the kernel takes no VF token with iommufd (Linux 6.17)",
				dev->bdf);

	return vfn_fail(err, "%s: cannot bind it to iommufd: %s", dev->bdf, strerror(err));
}

static int bind_device(struct iommu_ctx *ctx, struct iommu_device *dev, int fd)
{
	struct abi_vfio_device_bind_iommufd cmd = { .argsz = sizeof(cmd), .iommufd = ctx->fd };
	struct iommu_token token;

	if (iommu_get_token(dev->bdf, &token))
		return -1;
	if (token.text[0]) {
		cmd.flags = ABI_VFIO_DEVICE_BIND_FLAG_TOKEN;
		cmd.token_uuid_ptr = (uintptr_t)token.uuid;
	}

	if (os_ioctl(fd, ABI_VFIO_DEVICE_BIND_IOMMUFD, &cmd))
		return explain_bind(dev, &token);

	dev->id = cmd.out_devid;

	return 0;
}

/* Attaching a device that is attached already moves it. */
static int attach_to(const struct iommu_device *dev, int fd, uint32_t object)
{
	struct abi_vfio_device_attach_iommufd_pt cmd = { .argsz = sizeof(cmd), .pt_id = object };

	if (!os_ioctl(fd, ABI_VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd))
		return 0;

	if (errno == EADDRINUSE)
		return vfn_fail(
			EINVAL,
			"%s: the address space %s has memory mapped where the device's IOMMU allows none",
			dev->bdf, dev->ctx->name);

	return vfn_fail(errno, "%s: cannot attach it to the address space %s: %s", dev->bdf,
			dev->ctx->name, strerror(errno));
}

static int open_cdev(const struct iommu_device *dev)
{
	__autostr path = cdev_path(dev->bdf);
	int fd;

	if (!path)
		return -1;

	fd = os_open(path, O_RDWR);
	if (fd < 0)
		(void)iommu_explain_open(dev->bdf, path);

	return fd;
}

static int open_device(struct iommu_ctx *ctx, struct iommu_device *dev)
{
	int fd = open_cdev(dev);

	if (fd < 0)
		return -1;

	if (bind_device(ctx, dev, fd) || attach_to(dev, fd, ctx->ioas) || read_ranges(ctx)) {
		close_quietly(fd);
		return -1;
	}

	return fd;
}

static int iommufd_attach(struct iommu_ctx *ctx, struct iommu_device *dev)
{
	bool first = ctx->fd < 0;
	int fd;

	if (first && open_space(ctx, dev->bdf))
		return -1;

	fd = open_device(ctx, dev);
	if (fd < 0 && first)
		close_space(ctx);

	return fd;
}

static void iommufd_detach(struct iommu_ctx *ctx, struct iommu_device *dev)
{
	if (dev->hwpt)
		destroy_object(ctx->fd, dev->hwpt);
	if (ctx->devices == 1)
		close_space(ctx);
}

/* ---- mappings ---- */

static void trace_map(const struct iommu_extent *ext)
{
	vfn_probe(iommufd_ioas_map_dma, ext->vaddr, ext->start, ext->len);
	trace_guard(IOMMUFD_IOAS_MAP_DMA) {
		trace_emit("%p at 0x%" PRIx64 ", %" PRIu64 " bytes", ext->vaddr, ext->start,
			   ext->len);
	}
}

static void trace_unmap(const struct iommu_extent *ext)
{
	vfn_probe(iommufd_ioas_unmap_dma, ext->vaddr, ext->start, ext->len);
	trace_guard(IOMMUFD_IOAS_UNMAP_DMA) {
		trace_emit("%p at 0x%" PRIx64 ", %" PRIu64 " bytes", ext->vaddr, ext->start,
			   ext->len);
	}
}

static int iommufd_map(struct iommu_ctx *ctx, const struct iommu_extent *ext)
{
	struct abi_iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = ABI_IOMMU_IOAS_MAP_FIXED_IOVA |
			 (ext->permissions & IOMMU_PAGE_NOREAD ? 0 : ABI_IOMMU_IOAS_MAP_READABLE) |
			 (ext->permissions & IOMMU_PAGE_NOWRITE ? 0 : ABI_IOMMU_IOAS_MAP_WRITEABLE),
		.ioas_id = ctx->ioas,
		.user_va = (uintptr_t)ext->vaddr,
		.length = ext->len,
		.iova = ext->start,
	};

	if (os_ioctl(ctx->fd, ABI_IOMMU_IOAS_MAP, &cmd))
		return iommu_explain_map(ctx, ext);

	trace_map(ext);

	return 0;
}

static int iommufd_unmap(struct iommu_ctx *ctx, const struct iommu_extent *ext)
{
	struct abi_iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = ctx->ioas,
		.iova = ext->start,
		.length = ext->len,
	};

	if (os_ioctl(ctx->fd, ABI_IOMMU_IOAS_UNMAP, &cmd)) {
		if (errno != ENOENT)
			return iommu_explain_unmap(ctx, ext);
		cmd.length = 0;
	}

	if (cmd.length != ext->len)
		return iommu_explain_part(ctx, ext, cmd.length);

	trace_unmap(ext);

	return 0;
}

const struct iommu_ops iommu_iommufd_ops = {
	.iommufd = true,
	.map = iommufd_map,
	.unmap = iommufd_unmap,
	.attach = iommufd_attach,
	.detach = iommufd_detach,
};
