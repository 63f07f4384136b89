// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Memory that is mapped when its address is first asked for. */
#include <errno.h>
#include <stdlib.h>

#include <vfn/support/align.h>
#include <vfn/support/mutex.h>

#include "iommu/context.h"
#include "support/error.h"

struct iommu_deferred {
	struct iommu_deferred *next;
	char *vaddr;
	size_t len;
	size_t portion;
};

static struct iommu_deferred *find(struct iommu_ctx *ctx, const void *vaddr)
{
	struct iommu_deferred *mem = ctx->deferred;

	while (mem && (uintptr_t)vaddr - (uintptr_t)mem->vaddr >= mem->len)
		mem = mem->next;

	return mem;
}

int iommu_defer_vaddr(struct iommu_ctx *ctx, void *vaddr, size_t len, size_t portion)
{
	struct iommu_deferred *mem = vfn_zalloc(sizeof(*mem));

	if (!mem)
		return -1;

	__autolock(&ctx->lock);

	*mem = (struct iommu_deferred){ ctx->deferred, vaddr, len, portion };
	ctx->deferred = mem;

	return 0;
}

static size_t forget(struct iommu_ctx *ctx, const void *vaddr)
{
	struct iommu_deferred *mem, **p = &ctx->deferred;
	size_t len;

	__autolock(&ctx->lock);

	mem = find(ctx, vaddr);
	len = mem->len;
	while (*p != mem)
		p = &(*p)->next;
	*p = mem->next;
	free(mem);

	return len;
}

int iommu_undefer_vaddr(struct iommu_ctx *ctx, void *vaddr)
{
	return iommu_unmap_range(ctx, vaddr, forget(ctx, vaddr));
}

bool iommu_find_deferred(struct iommu_ctx *ctx, const void *vaddr, void **start, size_t *len)
{
	const struct iommu_deferred *mem = find(ctx, vaddr);
	size_t offset;

	if (!mem)
		return false;

	offset = ALIGN_DOWN((size_t)((const char *)vaddr - mem->vaddr), mem->portion);
	*start = mem->vaddr + offset;
	*len = mem->len - offset < mem->portion ? mem->len - offset : mem->portion;

	return true;
}

bool iommu_is_deferred(struct iommu_ctx *ctx, const void *vaddr, size_t len)
{
	const struct iommu_deferred *mem;

	__autolock(&ctx->lock);

	mem = find(ctx, vaddr);

	return mem && len <= (size_t)(mem->vaddr + mem->len - (const char *)vaddr);
}
