// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The list of address spaces, and the devices' way in and out. */
#include "iommu/context.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vfn/pci/util.h>
#include <vfn/support/log.h>
#include <vfn/support/mutex.h>

#include "os/os.h"
#include "pci/sysfs.h"
#include "support/error.h"

#define FORCE_ENV "VFN_IOMMU_FORCE_VFIO"
#define FORCED_REASON "type1: " FORCE_ENV " is set"
#define IOMMUFD_REASON "iommufd: %s has a character device of VFIO and /dev/iommu opens"

pthread_mutex_t iommu_devices_lock = PTHREAD_MUTEX_INITIALIZER;
static struct iommu_ctx *contexts;
static struct iommu_device *devices;

static void destroy(struct iommu_ctx *ctx)
{
	struct iommu_ctx **p = &contexts;

	while (*p && *p != ctx)
		p = &(*p)->next;
	if (*p)
		*p = ctx->next;

	iommu_forget_all(ctx);
	iommu_table_free(ctx);
	(void)pthread_mutex_destroy(&ctx->lock);
	free(ctx->name);
	free(ctx);
}

static struct iommu_ctx *create(const char *name)
{
	struct iommu_ctx *ctx = vfn_zalloc(sizeof(*ctx));
	size_t len = strlen(name) + 1;

	if (!ctx)
		return NULL;

	ctx->fd = -1;
	(void)pthread_mutex_init(&ctx->lock, NULL);

	ctx->name = vfn_zalloc(len);
	ctx->root = vfn_zalloc(IOMMU_TABLE_BYTES);
	if (!ctx->name || !ctx->root) {
		destroy(ctx);
		errno = ENOMEM;
		return NULL;
	}

	memcpy(ctx->name, name, len);
	ctx->next = contexts;
	contexts = ctx;

	return ctx;
}

static struct iommu_ctx *find(const char *name)
{
	struct iommu_ctx *ctx = contexts;

	while (ctx && strcmp(ctx->name, name))
		ctx = ctx->next;

	return ctx;
}

struct iommu_ctx *iommu_get_context(const char *name)
{
	struct iommu_ctx *ctx;

	if (!name || !*name) {
		(void)vfn_fail(EINVAL, "an address space needs a name");
		return NULL;
	}

	__autolock(&iommu_devices_lock);

	ctx = find(name);

	return ctx ? ctx : create(name);
}

void vfn_iommu_put_context(struct iommu_ctx *ctx)
{
	__autolock(&iommu_devices_lock);

	if (ctx && !ctx->devices)
		destroy(ctx);
}

static bool is_parents(const struct iommu_ctx *ctx)
{
	int pid = __atomic_load_n(&ctx->pid, __ATOMIC_RELAXED);

	return pid && pid != os_getpid();
}

int iommu_check_process(const struct iommu_ctx *ctx)
{
	if (!ctx || !is_parents(ctx))
		return 0;

	return vfn_fail(ECHILD,
			"%s: the process that has opened it is a parent of this one, and its "
			"devices, memory and queues are not the child's to use",
			ctx->name);
}

bool iommu_ctx_is_iommufd(struct iommu_ctx *ctx)
{
	return ctx && ctx->ops && ctx->ops->iommufd;
}

int iommu_get_iova_ranges(struct iommu_ctx *ctx, struct iommu_iova_range **ranges)
{
	if (!ctx)
		return vfn_fail(ENODEV, "no address space: open a device first");

	__autolock(&ctx->lock);

	if (!ctx->nranges)
		return vfn_fail(ENODEV, "%s: open a device before asking for its address ranges",
				ctx->name);

	*ranges = ctx->ranges;

	return ctx->nranges;
}

/* ---- the choice of a back-end ---- */

const char *vfn_iommu_reason(struct iommu_ctx *ctx)
{
	return ctx && ctx->ops ? ctx->reason : "none: no device was opened yet";
}

static bool is_forced(void)
{
	const char *value = getenv(FORCE_ENV);

	return value && *value && strcmp(value, "0");
}

static int choose(const char *id, char *why, size_t len)
{
	__autostr group = NULL;

	if (!is_forced() && iommu_iommufd_is_there(id)) {
		(void)snprintf(why, len, IOMMUFD_REASON, id);
		return VFN_IOMMU_IOMMUFD;
	}

	if (is_forced())
		(void)snprintf(why, len, FORCED_REASON);
	else
		(void)snprintf(why, len, "type1: %s", vfn_last_error());

	group = pci_get_iommu_group(id);
	if (group && iommu_type1_is_there(id, group))
		return VFN_IOMMU_TYPE1;

	(void)snprintf(why, len, "none: %s", vfn_last_error());

	return VFN_IOMMU_NONE;
}

int vfn_iommu_choose(const char *bdf, char *why, size_t len)
{
	char id[VFN_PCI_BDF_LEN];
	int ret;

	if (vfn_pci_find(bdf, id))
		return -1;

	vfn_begin_attempt();
	ret = choose(id, why, len);
	vfn_end_attempt();

	return ret;
}

static int attach_by(const struct iommu_ops *ops, struct iommu_ctx *ctx, struct iommu_device *dev)
{
	int fd;

	ctx->ops = ops;
	fd = ops->attach(ctx, dev);
	if (fd < 0)
		ctx->ops = NULL;

	return fd;
}

/* Whether iommufd is there at all is in @there. */
static int attach_by_iommufd(struct iommu_ctx *ctx, struct iommu_device *dev, bool *there)
{
	int fd = -1;

	vfn_begin_attempt();
	*there = iommu_iommufd_is_there(dev->bdf);
	if (*there) {
		(void)snprintf(ctx->reason, sizeof(ctx->reason), IOMMUFD_REASON, dev->bdf);
		fd = attach_by(&iommu_iommufd_ops, ctx, dev);
	}
	vfn_end_attempt();

	return fd;
}

/*
 * iommufd if it can be used, else groups. A kernel may offer the one and have
 * only the other work, with a VF token for example.
 */
static int attach_first(struct iommu_ctx *ctx, struct iommu_device *dev)
{
	char first[IOMMU_REASON_LEN];
	int fd, err;
	bool there;

	if (is_forced()) {
		(void)snprintf(ctx->reason, sizeof(ctx->reason), FORCED_REASON);
		return attach_by(&iommu_type1_ops, ctx, dev);
	}

	fd = attach_by_iommufd(ctx, dev, &there);
	if (fd >= 0)
		return fd;

	err = errno;
	(void)snprintf(first, sizeof(first), "%s", vfn_last_error());
	(void)snprintf(ctx->reason, sizeof(ctx->reason), "type1: %.200s", first);

	vfn_begin_attempt();
	fd = attach_by(&iommu_type1_ops, ctx, dev);
	vfn_end_attempt();
	if (fd >= 0)
		return fd;

	/* both have a story; what is missing altogether explains less than what failed */
	if (errno == ENODEV && (there || err != ENOENT))
		return vfn_fail(err, "%s; and with its group: %s", first, vfn_last_error());
	if (there && errno != err)
		return vfn_fail(errno, "%s; and with iommufd: %s", vfn_last_error(), first);

	return vfn_fail_again();
}

/* ---- devices ---- */

static struct iommu_device *find_device(const char *bdf)
{
	struct iommu_device *dev = devices;

	while (dev && strcmp(dev->bdf, bdf))
		dev = dev->next;

	return dev;
}

struct iommu_device *iommu_find_fd(struct iommu_ctx *ctx, int fd)
{
	struct iommu_device *dev = devices;

	while (dev && (dev->ctx != ctx || dev->fd != fd))
		dev = dev->next;

	return dev;
}

struct iommu_device *iommu_find_id(uint32_t id)
{
	struct iommu_device *dev = devices;

	while (dev && (!dev->ctx->ops->iommufd || dev->id != id))
		dev = dev->next;

	return dev;
}

static void free_device(struct iommu_device *dev)
{
	int saved = errno;

	free(dev->group);
	free(dev);
	errno = saved;
}

static struct iommu_device *new_device(const char *bdf)
{
	struct iommu_device *dev;

	dev = find_device(bdf);
	if (dev) {
		if (!iommu_check_process(dev->ctx))
			(void)vfn_fail(EBUSY, "%s is open in this process already: close it first",
				       bdf);
		return NULL;
	}

	dev = vfn_zalloc(sizeof(*dev));
	if (!dev)
		return NULL;

	(void)snprintf(dev->bdf, sizeof(dev->bdf), "%s", bdf);
	dev->group = pci_get_iommu_group(bdf);
	if (!dev->group) {
		free_device(dev);
		return NULL;
	}

	return dev;
}

/* The kernel wants all devices of a group in one address space. */
static int join_group(struct iommu_ctx **ctx, const struct iommu_device *dev)
{
	struct iommu_device *other = devices;

	while (other && strcmp(other->group, dev->group))
		other = other->next;

	if (other && *ctx && *ctx != other->ctx)
		return vfn_fail(EBUSY, "%s: another device of %s uses the address space %s",
				dev->bdf, dev->group, other->ctx->name);
	if (other)
		*ctx = other->ctx;

	return 0;
}

static int attach(struct iommu_ctx **pctx, struct iommu_device *dev)
{
	struct iommu_ctx *ctx = *pctx, *created = NULL;

	if (join_group(&ctx, dev))
		return -1;
	if (!ctx)
		ctx = find(dev->bdf);
	if (!ctx)
		ctx = created = create(dev->bdf);
	if (!ctx || iommu_check_process(ctx))
		return -1;

	dev->ctx = ctx;
	dev->fd = ctx->ops ? ctx->ops->attach(ctx, dev) : attach_first(ctx, dev);
	if (dev->fd < 0) {
		int saved = errno;

		if (created)
			destroy(created);
		errno = saved;
		return -1;
	}

	dev->next = devices;
	devices = dev;
	ctx->devices++;
	__atomic_store_n(&ctx->pid, os_getpid(), __ATOMIC_RELAXED);
	*pctx = ctx;

	return dev->fd;
}

int iommu_attach_device(struct iommu_ctx **pctx, const char *bdf)
{
	struct iommu_device *dev;
	int fd;

	__autolock(&iommu_devices_lock);

	dev = new_device(bdf);
	if (!dev)
		return -1;

	fd = attach(pctx, dev);
	if (fd < 0)
		free_device(dev);

	return fd;
}

void iommu_detach_device(struct iommu_ctx *ctx, const char *bdf, int fd)
{
	struct iommu_device *dev, **p = &devices;

	__autolock(&iommu_devices_lock);

	dev = find_device(bdf);
	while (*p != dev)
		p = &(*p)->next;
	*p = dev->next;

	if (ctx->devices == 1 && ctx->holders)
		(void)iommu_unmap_all(ctx);

	(void)os_close(fd);
	ctx->ops->detach(ctx, dev);
	free_device(dev);

	if (--ctx->devices)
		return;

	ctx->ops = NULL;
	__atomic_store_n(&ctx->pid, 0, __ATOMIC_RELAXED);
	if (!ctx->holders)
		destroy(ctx);
}

int iommu_unmap_everywhere(void *vaddr, size_t len)
{
	int ret = 0, saved = 0;

	__autolock(&iommu_devices_lock);

	for (struct iommu_ctx *ctx = contexts; ctx; ctx = ctx->next) {
		if (!is_parents(ctx) && iommu_unmap_range(ctx, vaddr, len)) {
			saved = errno;
			ret = -1;
		}
	}

	if (ret)
		errno = saved;

	return ret;
}

void iommu_hold(struct iommu_ctx *ctx)
{
	__autolock(&iommu_devices_lock);

	if (ctx)
		ctx->holders++;
}

void iommu_let_go(struct iommu_ctx *ctx)
{
	__autolock(&iommu_devices_lock);

	if (ctx)
		ctx->holders--;
}

void iommu_forget_all(struct iommu_ctx *ctx)
{
	while (ctx->extents) {
		struct iommu_extent *ext = ctx->extents;

		tree_remove(&ctx->extents, ext);
		free(ext);
	}

	free(ctx->ranges);
	ctx->ranges = NULL;
	ctx->nranges = 0;
}
