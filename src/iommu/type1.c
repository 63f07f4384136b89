// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* VFIO containers and groups with the type1v2 IOMMU. */
#define VFN_TRACE 1

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/vfio.h>

#include <vfn/pci/util.h>
#include <vfn/support/mutex.h>
#include <vfn/trace.h>

#include "iommu/context.h"
#include "os/os.h"
#include "pci/sysfs.h"
#include "support/error.h"
#include "support/probe.h"

#define CONTAINER_PATH "/dev/vfio/vfio"

/* More than any kernel reports; it doubles as the limit for what we believe. */
#define INFO_MAX 65536

/* An open group. The kernel allows one open per system, so devices share it. */
struct group {
	struct group *next;
	char *path;
	int fd;
	struct iommu_ctx *ctx;
	unsigned int devices;
};

/* Guarded by iommu_devices_lock. */
static struct group *groups;

static struct group *find_group(const char *path)
{
	for (struct group *group = groups; group; group = group->next)
		if (!strcmp(group->path, path))
			return group;

	return NULL;
}

static void close_quietly(int fd)
{
	int saved = errno;

	(void)os_close(fd);
	errno = saved;
}

/* ---- why it did not work ---- */

static int explain_open_container(const char *bdf)
{
	int err = errno;

	switch (err) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return vfn_fail(ENODEV, "%s: %s is missing: load the driver (modprobe vfio-pci)",
				bdf, CONTAINER_PATH);
	default:
		return iommu_explain_open(bdf, CONTAINER_PATH);
	}
}

static int explain_no_group(const char *bdf, const char *path)
{
	__autostr driver = pci_get_driver(bdf);
	char noiommu[64];

	if (driver && strcmp(driver, "vfio-pci"))
		return vfn_fail(EBUSY, "%s is bound to %s: run vfntool bind %s", bdf, driver, bdf);

	(void)snprintf(noiommu, sizeof(noiommu), "/dev/vfio/noiommu-%s", strrchr(path, '/') + 1);
	if (!os_access(noiommu, F_OK))
		return vfn_fail(
			ENOTSUP,
			"%s has no IOMMU, only no-IOMMU mode, which does not isolate it: turn the IOMMU on (intel_iommu=on)",
			bdf);

	if (driver)
		return vfn_fail(ENODEV, "%s is bound to vfio-pci, but the kernel offers no %s", bdf,
				path);

	return vfn_fail(ENODEV, "%s is not bound to vfio-pci: run vfntool bind %s", bdf, bdf);
}

static int explain_open_group(const char *bdf, const char *path)
{
	return errno == ENOENT ? explain_no_group(bdf, path) : iommu_explain_open(bdf, path);
}

/* ---- the container ---- */

static int open_container(const char *bdf)
{
	int fd = os_open(CONTAINER_PATH, O_RDWR), version, type1v2;

	if (fd < 0)
		return explain_open_container(bdf);

	version = os_ioctl(fd, VFIO_GET_API_VERSION, NULL);
	if (version != VFIO_API_VERSION) {
		close_quietly(fd);
		if (version < 0)
			return vfn_fail(errno, "%s: cannot ask VFIO for its version: %s", bdf,
					strerror(errno));
		return vfn_fail(ENOTSUP, "%s: VFIO has version %d of its interface instead of %d",
				bdf, version, VFIO_API_VERSION);
	}

	type1v2 = os_ioctl(fd, VFIO_CHECK_EXTENSION, (void *)(uintptr_t)VFIO_TYPE1v2_IOMMU);
	if (type1v2 < 1) {
		close_quietly(fd);
		if (type1v2 < 0)
			return vfn_fail(errno, "%s: cannot ask VFIO for its IOMMUs: %s", bdf,
					strerror(errno));
		return vfn_fail(ENOTSUP,
				"%s: the kernel has no type1v2 IOMMU: modprobe vfio_iommu_type1",
				bdf);
	}

	return fd;
}

/* The capability's data, or NULL. Every step moves forward and stays inside. */
static const void *find_capability(const void *info, size_t size, size_t first, uint16_t id,
				   size_t min)
{
	size_t offset = first;

	while (offset) {
		struct vfio_info_cap_header header;

		/* what has 64-bit fields begins at a multiple of 8 */
		if (offset > size - sizeof(header) || offset % 8)
			return NULL;

		memcpy(&header, (const char *)info + offset, sizeof(header));
		if (header.id == id)
			return size - offset >= min ? (const char *)info + offset : NULL;
		if (header.next <= offset)
			return NULL;

		offset = header.next;
	}

	return NULL;
}

static int use_ranges(struct iommu_ctx *ctx, const struct vfio_iommu_type1_info *info, size_t size)
{
	/* kernels before 5.4 do not say; what every IOMMU has, less the window of interrupts */
	static const struct iommu_iova_range fallback[] = {
		{ .start = 0, .last = 0xfedfffff },
		{ .start = 0xfef00000, .last = (1ULL << 39) - 1 },
	};
	const struct vfio_iommu_type1_info_cap_iova_range *cap = NULL;
	size_t room;

	if ((info->flags & VFIO_IOMMU_INFO_CAPS) && size > sizeof(*info))
		cap = find_capability(info, size, info->cap_offset,
				      VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, sizeof(*cap));
	if (!cap)
		return iova_set_ranges(ctx, fallback, 2);

	room = size - (size_t)((const char *)cap - (const char *)info) - sizeof(*cap);
	if (cap->nr_iovas > room / sizeof(cap->iova_ranges[0]))
		return vfn_fail(EPROTO, "%s: the IOMMU's list of address ranges is cut off",
				ctx->name);

	__static_assert(sizeof(struct vfio_iova_range) == sizeof(struct iommu_iova_range));

	return iova_set_ranges(ctx, (const struct iommu_iova_range *)cap->iova_ranges,
			       cap->nr_iovas);
}

static int read_ranges(struct iommu_ctx *ctx, int container)
{
	size_t size = sizeof(struct vfio_iommu_type1_info);
	struct vfio_iommu_type1_info *info;
	int ret = -1;

	for (;;) {
		info = vfn_zalloc(size);
		if (!info)
			return -1;

		info->argsz = (uint32_t)size;
		if (os_ioctl(container, VFIO_IOMMU_GET_INFO, info)) {
			(void)vfn_fail(errno, "%s: cannot read the IOMMU's properties: %s",
				       ctx->name, strerror(errno));
			break;
		}

		if (info->argsz <= size) {
			ret = use_ranges(ctx, info, size);
			break;
		}

		size = info->argsz;
		free(info);
		info = NULL;

		if (size > INFO_MAX) {
			(void)vfn_fail(EPROTO, "%s: the IOMMU's properties take %zu bytes",
				       ctx->name, size);
			break;
		}
	}

	free(info);

	return ret;
}

/* ---- groups ---- */

static int check_viable(int fd, const char *bdf, const char *path)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };

	if (os_ioctl(fd, VFIO_GROUP_GET_STATUS, &status))
		return vfn_fail(errno, "%s: cannot read the status of %s: %s", bdf, path,
				strerror(errno));

	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return iommu_explain_group(bdf, path);

	return 0;
}

/* The first group opens the container and decides on the kind of IOMMU. */
static int join_container(struct iommu_ctx *ctx, int group_fd, const char *bdf)
{
	int container = ctx->fd;

	if (container < 0) {
		container = open_container(bdf);
		if (container < 0)
			return -1;
	}

	if (os_ioctl(group_fd, VFIO_GROUP_SET_CONTAINER, &container)) {
		(void)vfn_fail(errno, "%s: cannot join the address space %s: %s", bdf, ctx->name,
			       strerror(errno));
		goto close_container;
	}

	/* a further group may have narrowed what the address space can have */
	if (ctx->fd >= 0)
		return read_ranges(ctx, container);

	if (os_ioctl(container, VFIO_SET_IOMMU, (void *)(uintptr_t)VFIO_TYPE1v2_IOMMU)) {
		(void)vfn_fail(errno, "%s: cannot set the IOMMU up: %s", bdf, strerror(errno));
		goto close_container;
	}

	if (read_ranges(ctx, container))
		goto close_container;

	ctx->fd = container;

	return 0;

close_container:
	/* a group that has joined leaves when its descriptor is closed */
	if (ctx->fd < 0)
		close_quietly(container);
	return -1;
}

static int join(struct iommu_ctx *ctx, int group_fd, const char *bdf)
{
	__autolock(&ctx->lock);

	return join_container(ctx, group_fd, bdf);
}

static struct group *open_group(struct iommu_ctx *ctx, const char *path, const char *bdf)
{
	struct group *group = vfn_zalloc(sizeof(*group));
	size_t len = strlen(path) + 1;

	if (!group)
		return NULL;

	group->path = vfn_zalloc(len);
	if (!group->path)
		goto free_group;
	memcpy(group->path, path, len);

	group->fd = os_open(path, O_RDWR);
	if (group->fd < 0) {
		(void)explain_open_group(bdf, path);
		goto free_path;
	}

	if (check_viable(group->fd, bdf, path) || join(ctx, group->fd, bdf))
		goto close_fd;

	group->ctx = ctx;
	group->next = groups;
	groups = group;

	return group;

close_fd:
	close_quietly(group->fd);
free_path:
	free(group->path);
free_group:
	free(group);
	return NULL;
}

/* Close a group without devices. Its address space loses its mappings with its last group. */
static void put_group(struct group *group)
{
	struct iommu_ctx *ctx = group->ctx;
	struct group **p = &groups;

	if (group->devices)
		return;

	while (*p != group)
		p = &(*p)->next;
	*p = group->next;

	close_quietly(group->fd);
	free(group->path);
	free(group);

	for (group = groups; group; group = group->next)
		if (group->ctx == ctx)
			return;

	__autolock(&ctx->lock);

	close_quietly(ctx->fd);
	ctx->fd = -1;
	iommu_forget_all(ctx);
}

static int open_device(struct group *group, const char *bdf)
{
	char name[VFN_PCI_BDF_LEN + sizeof(" vf_token=") + sizeof(struct iommu_token)];
	struct iommu_token token;
	int fd;

	if (iommu_get_token(bdf, &token))
		return -1;

	(void)snprintf(name, sizeof(name), "%s%s%s", bdf, token.text[0] ? " vf_token=" : "",
		       token.text);

	fd = os_ioctl(group->fd, VFIO_GROUP_GET_DEVICE_FD, name);
	if (fd < 0) {
		if (!iommu_token_is_refused(bdf, &token))
			(void)vfn_fail(errno, "%s: %s does not give the device: %s", bdf,
				       group->path, strerror(errno));
		return -1;
	}

	group->devices++;

	return fd;
}

static int type1_attach(struct iommu_ctx *ctx, struct iommu_device *dev)
{
	struct group *group = find_group(dev->group);
	int fd;

	if (!group)
		group = open_group(ctx, dev->group, dev->bdf);
	if (!group)
		return -1;

	fd = open_device(group, dev->bdf);
	if (fd < 0) {
		int saved = errno;

		put_group(group);
		errno = saved;
	}

	return fd;
}

static void type1_detach(struct iommu_ctx *ctx, struct iommu_device *dev)
{
	struct group *group = find_group(dev->group);

	group->devices--;
	put_group(group);
}

bool iommu_type1_is_there(const char *bdf, const char *group)
{
	if (os_access(group, R_OK | W_OK))
		return !explain_open_group(bdf, group);
	if (os_access(CONTAINER_PATH, R_OK | W_OK))
		return !explain_open_container(bdf);

	return true;
}

/* ---- mappings ---- */

static void trace_map(const struct iommu_extent *ext)
{
	vfn_probe(vfio_iommu_type1_map_dma, ext->vaddr, ext->start, ext->len);
	trace_guard(VFIO_IOMMU_TYPE1_MAP_DMA) {
		trace_emit("%p at 0x%" PRIx64 ", %" PRIu64 " bytes", ext->vaddr, ext->start,
			   ext->len);
	}
}

static void trace_unmap(const struct iommu_extent *ext)
{
	vfn_probe(vfio_iommu_type1_unmap_dma, ext->vaddr, ext->start, ext->len);
	trace_guard(VFIO_IOMMU_TYPE1_UNMAP_DMA) {
		trace_emit("%p at 0x%" PRIx64 ", %" PRIu64 " bytes", ext->vaddr, ext->start,
			   ext->len);
	}

	if (ext->persistent)
		return;

	vfn_probe(vfio_iommu_type1_recycle_ephemeral_iovas, ext->start, ext->len);
	trace_guard(VFIO_IOMMU_TYPE1_RECYCLE_EPHEMERAL_IOVAS) {
		trace_emit("0x%" PRIx64 ", %" PRIu64 " bytes", ext->start, ext->len);
	}
}

static int type1_map(struct iommu_ctx *ctx, const struct iommu_extent *ext,
		     const struct iommu_file *file)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = (ext->permissions & IOMMU_PAGE_NOREAD ? 0 : VFIO_DMA_MAP_FLAG_READ) |
			 (ext->permissions & IOMMU_PAGE_NOWRITE ? 0 : VFIO_DMA_MAP_FLAG_WRITE),
		.vaddr = (uintptr_t)ext->vaddr,
		.iova = ext->start,
		.size = ext->len,
	};

	if (file)
		return vfn_fail(ENOTSUP, "%s: files can be mapped with iommufd only (%s)",
				ctx->name, ctx->reason);

	if (os_ioctl(ctx->fd, VFIO_IOMMU_MAP_DMA, &map))
		return iommu_explain_map(ctx, ext);

	trace_map(ext);

	return 0;
}

static int type1_unmap(struct iommu_ctx *ctx, const struct iommu_extent *ext)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = ext->start,
		.size = ext->len,
	};

	if (os_ioctl(ctx->fd, VFIO_IOMMU_UNMAP_DMA, &unmap))
		return iommu_explain_unmap(ctx, ext);

	if (unmap.size != ext->len)
		return iommu_explain_part(ctx, ext, unmap.size);

	trace_unmap(ext);

	return 0;
}

const struct iommu_ops iommu_type1_ops = {
	.iommufd = false,
	.map = type1_map,
	.unmap = type1_unmap,
	.attach = type1_attach,
	.detach = type1_detach,
};
