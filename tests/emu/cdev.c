// SPDX-License-Identifier: GPL-2.0-or-later
/* A VFIO device's own node: nothing but binding to an iommufd at first, then a device. */
#include "emu_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "os/abi.h"

#define BIND_SIZE offsetof(struct abi_vfio_device_bind_iommufd, token_uuid_ptr)

struct cdev {
	struct emu_pci *pci;
	bool bound;
};

/* The file as the group would have opened it. */
static struct emu_file device_file(const struct emu_file *file)
{
	const struct cdev *c = file->priv;

	return (struct emu_file){ .ops = &device_file_ops, .flags = file->flags, .priv = c->pci };
}

static bool is_bound(const struct emu_file *file)
{
	const struct cdev *c = file->priv;

	errno = EINVAL;

	return c->bound;
}

/* ------------------------------------------------------ the door's own ioctls */

/* Before Linux 6.17 there is no flag, and no check. */
static int check_token(struct cdev *c, const struct abi_vfio_device_bind_iommufd *arg)
{
	if (emu_iommu()->no_token)
		return 0;

	return sriov_check_token(c->pci,
				 arg->flags ? (void *)(uintptr_t)arg->token_uuid_ptr : NULL);
}

static bool bad_flags(const struct abi_vfio_device_bind_iommufd *arg)
{
	if (emu_iommu()->no_token)
		return arg->flags;

	return arg->flags & ~ABI_VFIO_DEVICE_BIND_FLAG_TOKEN ||
	       (arg->flags && arg->argsz < sizeof(*arg));
}

/* While a group is open its devices are not to be had otherwise, nor the other way round. */
static int bind(struct cdev *c, struct abi_vfio_device_bind_iommufd *arg)
{
	struct vfio_group *g = c->pci->group;
	struct iommufd *ctx;
	int err;

	if (arg->argsz < BIND_SIZE || bad_flags(arg) || arg->iommufd < 0)
		return emu_errno(EINVAL);
	if (g->fd_open || g->devices_open)
		return emu_errno(EBUSY);
	if (c->bound)
		return emu_errno(EINVAL);
	err = check_token(c, arg);
	if (err)
		return emu_errno(err);
	ctx = iommufd_of(arg->iommufd);
	if (!ctx)
		return -1;
	if (c->pci->open)
		return emu_errno(EINVAL);
	if (iommufd_bind(ctx, c->pci))
		return -1;
	c->bound = true;
	c->pci->open++;
	g->cdevs++;
	device_first_open(c->pci);
	arg->out_devid = iommufd_id(c->pci->idev);

	return 0;
}

static int attach(struct cdev *c, struct abi_vfio_device_attach_iommufd_pt *arg)
{
	if (arg->argsz < sizeof(*arg) || arg->flags)
		return emu_errno(EINVAL);

	return iommufd_attach(c->pci, &arg->pt_id);
}

static int detach(struct cdev *c, const struct abi_vfio_device_detach_iommufd_pt *arg)
{
	if (arg->argsz < sizeof(*arg) || arg->flags)
		return emu_errno(EINVAL);
	iommufd_detach(c->pci);

	return 0;
}

static int cdev_ioctl(struct emu_file *file, unsigned long request, void *arg)
{
	struct emu_file dev = device_file(file);
	struct cdev *c = file->priv;

	if (request == ABI_VFIO_DEVICE_BIND_IOMMUFD)
		return bind(c, arg);
	if (!is_bound(file))
		return -1;

	switch (request) {
	case ABI_VFIO_DEVICE_ATTACH_IOMMUFD_PT:
		return attach(c, arg);
	case ABI_VFIO_DEVICE_DETACH_IOMMUFD_PT:
		return detach(c, arg);
	default:
		return dev.ops->ioctl(&dev, request, arg);
	}
}

/* ------------------------------------------------------------ what devices do */

static ssize_t cdev_pread(struct emu_file *file, void *buf, size_t count, uint64_t offset)
{
	struct emu_file dev = device_file(file);

	return is_bound(file) ? dev.ops->pread(&dev, buf, count, offset) : -1;
}

static ssize_t cdev_pwrite(struct emu_file *file, const void *buf, size_t count, uint64_t offset)
{
	struct emu_file dev = device_file(file);

	return is_bound(file) ? dev.ops->pwrite(&dev, buf, count, offset) : -1;
}

static void *cdev_mmap(struct emu_file *file, size_t len, int prot, int flags, uint64_t offset)
{
	struct emu_file dev = device_file(file);

	return is_bound(file) ? dev.ops->mmap(&dev, len, prot, flags, offset) : MAP_FAILED;
}

static const char *cdev_describe(struct emu_file *file)
{
	const struct cdev *c = file->priv;

	return c->pci->bdf;
}

static void cdev_release(struct emu_file *file)
{
	struct cdev *c = file->priv;

	if (c->bound) {
		device_last_close(c->pci);
		iommufd_unbind(c->pci);
		c->pci->open--;
		c->pci->group->cdevs--;
	}
	c->pci->files--;
	free(c);
}

static const struct file_ops cdev_file_ops = {
	.name = "device",
	.is_device = true,
	.pread = cdev_pread,
	.pwrite = cdev_pwrite,
	.ioctl = cdev_ioctl,
	.mmap = cdev_mmap,
	.release = cdev_release,
	.describe = cdev_describe,
};

int cdev_open(void *pci, int flags)
{
	struct cdev *c = emu_zalloc(sizeof(*c));
	int fd;

	c->pci = pci;
	fd = fd_install(&cdev_file_ops, flags, c);
	if (fd < 0)
		free(c);
	else
		c->pci->files++;

	return fd;
}
