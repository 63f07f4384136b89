// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The list of address spaces, and the devices' way in and out. */
#include "iommu/context.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vfn/support/mutex.h>

#include "os/os.h"
#include "support/error.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct iommu_ctx *contexts;

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

	ctx->ops = &iommu_type1_ops;
	ctx->container = -1;
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

	__autolock(&lock);

	ctx = find(name);

	return ctx ? ctx : create(name);
}

void vfn_iommu_put_context(struct iommu_ctx *ctx)
{
	__autolock(&lock);

	if (ctx && !ctx->devices)
		destroy(ctx);
}

bool iommu_ctx_is_iommufd(struct iommu_ctx *ctx)
{
	return ctx && ctx->ops->iommufd;
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

int iommu_attach_device(struct iommu_ctx **pctx, const char *bdf)
{
	struct iommu_ctx *ctx = *pctx, *created = NULL;
	int fd;

	__autolock(&lock);

	if (!ctx && iommu_type1_group_context(bdf, &ctx))
		return -1;
	if (!ctx)
		ctx = find(bdf);
	if (!ctx)
		ctx = created = create(bdf);
	if (!ctx)
		return -1;

	fd = ctx->ops->attach(ctx, bdf);
	if (fd < 0) {
		int saved = errno;

		if (created)
			destroy(created);
		errno = saved;
		return -1;
	}

	ctx->devices++;
	*pctx = ctx;

	return fd;
}

void iommu_detach_device(struct iommu_ctx *ctx, const char *bdf, int fd)
{
	__autolock(&lock);

	if (ctx->devices == 1 && ctx->holders)
		(void)iommu_unmap_all(ctx);

	(void)os_close(fd);
	ctx->ops->detach(ctx, bdf);

	if (!--ctx->devices && !ctx->holders)
		destroy(ctx);
}

void iommu_hold(struct iommu_ctx *ctx)
{
	__autolock(&lock);

	if (ctx)
		ctx->holders++;
}

void iommu_let_go(struct iommu_ctx *ctx)
{
	__autolock(&lock);

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
