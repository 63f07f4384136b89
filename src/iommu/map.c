// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Mapping and unmapping memory. */
#include <errno.h>
#include <sys/mman.h>

#include <vfn/support/align.h>
#include <vfn/support/mem.h>
#include <vfn/support/mutex.h>

#include "iommu/context.h"
#include "os/os.h"
#include "support/error.h"

#define MAP_FLAGS \
	(IOMMU_MAP_FIXED_IOVA | IOMMU_MAP_EPHEMERAL | IOMMU_MAP_NOWRITE | IOMMU_MAP_NOREAD)

/* From this size on the IOMMU can use larger pages, if both addresses are aligned to them. */
#define LARGE_PAGE (2UL << 20)

struct request {
	void *vaddr;
	size_t len;
	size_t align;
	/* wanted with IOMMU_MAP_FIXED_IOVA, found or chosen in any case */
	iova_t iova;
	unsigned long flags;
	/* leave the kernel out of it */
	bool reserve;
	/* where the memory comes from, if not NULL */
	const struct iommu_file *file;
	/* the result */
	struct iommu_extent *ext;
};

static unsigned int permissions(unsigned long flags)
{
	return (flags & IOMMU_MAP_NOWRITE ? IOMMU_PAGE_NOWRITE : 0) |
	       (flags & IOMMU_MAP_NOREAD ? IOMMU_PAGE_NOREAD : 0);
}

/* What holds for any request. */
static int check(struct iommu_ctx *ctx, const struct request *req)
{
	uint64_t addr = (uintptr_t)req->vaddr;

	if (!ctx || (req->flags & ~(unsigned long)MAP_FLAGS) ||
	    (permissions(req->flags) == IOMMU_PAGE_PERMISSIONS))
		return vfn_fail(EINVAL, "map: no address space, or bad flags 0x%lx", req->flags);

	if (!req->len || addr + req->len < addr)
		return vfn_fail(EINVAL, "%s: cannot map %zu bytes at %p", ctx->name, req->len,
				req->vaddr);

	return 0;
}

/* What holds where memory is not mapped yet: the IOMMU knows whole pages only. */
static int check_pages(struct iommu_ctx *ctx, const struct request *req)
{
	uint64_t page = __VFN_PAGESIZE - 1, addr = (uintptr_t)req->vaddr;

	if ((addr | req->len) & page)
		return vfn_fail(
			EINVAL,
			"%s: cannot map %zu bytes at %p: address and length must be multiples of %zu",
			ctx->name, req->len, req->vaddr, __VFN_PAGESIZE);

	if ((req->flags & IOMMU_MAP_FIXED_IOVA) &&
	    ((req->iova & page) || req->iova + req->len < req->iova))
		return vfn_fail(EINVAL,
				"%s: fixed address 0x%llx must be a multiple of %zu and not wrap",
				ctx->name, (unsigned long long)req->iova, __VFN_PAGESIZE);

	return 0;
}

/* Whether what is mapped at @iova, for @run bytes, is what was asked for. */
static bool satisfies(const struct request *req, size_t run, iova_t iova, unsigned int bits)
{
	return run >= req->len && (bits & IOMMU_PAGE_PERMISSIONS) == permissions(req->flags) &&
	       ALIGNED(iova, req->align) &&
	       (!(req->flags & IOMMU_MAP_FIXED_IOVA) || iova == req->iova);
}

static void publish(struct iommu_ctx *ctx, const struct iommu_extent *ext)
{
	unsigned int bits = ext->permissions;
	bool plain = !ext->permissions && !ext->reserved &&
		     !iommu_find_bar(ext->vaddr, ext->len, &(struct iommu_bar){});

	if (!ext->persistent)
		bits |= IOMMU_PAGE_EPHEMERAL;

	iommu_table_set(ctx, ext->vaddr, ext->len, ext->start, bits, plain);
}

/* The memory is mapped already, at least in part. */
static int map_again(struct iommu_ctx *ctx, struct request *req)
{
	struct iommu_extent *ext;
	unsigned int bits = 0;
	size_t run, rest;
	iova_t iova = 0;

	run = iommu_table_lookup(ctx, req->vaddr, req->len, &iova, &bits);
	if (req->reserve || !satisfies(req, run, iova, bits))
		goto conflict;

	ext = tree_find(ctx->extents, iova);
	rest = ext->len - (iova - ext->start);

	/* what counts is one mapping; parts of several may go at different times */
	if (rest < req->len && (!ext->persistent || (req->flags & IOMMU_MAP_EPHEMERAL)))
		goto conflict;

	req->iova = iova;
	req->ext = ext;

	if (req->flags & IOMMU_MAP_EPHEMERAL) {
		ext->count++;
	} else if (!ext->persistent) {
		ext->count++;
		ext->persistent = true;
		publish(ctx, ext);
	}

	return 0;

conflict:
	return vfn_fail(
		EEXIST,
		"%s: part of %zu bytes at %p is mapped already, or mapped differently: unmap it first",
		ctx->name, req->len, req->vaddr);
}

static struct iommu_extent *place(struct iommu_ctx *ctx, const struct request *req)
{
	bool top = req->flags & IOMMU_MAP_EPHEMERAL;
	size_t align = req->align;

	if (req->flags & IOMMU_MAP_FIXED_IOVA)
		return req->reserve ? iova_reserve_any(ctx, req->iova, req->len) :
				      iova_reserve(ctx, req->iova, req->len);

	/* nice to have, where there is room for it */
	if (req->len >= LARGE_PAGE && align < LARGE_PAGE &&
	    ALIGNED((uintptr_t)req->vaddr, LARGE_PAGE) &&
	    tree_fit(ctx->extents, req->len, LARGE_PAGE, top))
		align = LARGE_PAGE;

	return iova_alloc(ctx, req->len, align, top);
}

static int map_new(struct iommu_ctx *ctx, struct request *req)
{
	struct iommu_extent *ext;

	if (check_pages(ctx, req) || iommu_table_reserve(ctx, req->vaddr, req->len))
		return -1;

	ext = place(ctx, req);
	if (!ext)
		return -1;

	ext->vaddr = req->vaddr;
	ext->permissions = permissions(req->flags);
	ext->persistent = !(req->flags & IOMMU_MAP_EPHEMERAL);
	ext->reserved = req->reserve;

	if (!ext->reserved && ctx->ops->map(ctx, ext, req->file)) {
		int saved = errno;

		iova_release(ctx, ext);
		errno = saved;
		return -1;
	}

	publish(ctx, ext);
	req->iova = ext->start;
	req->ext = ext;

	return 0;
}

/* Called with the lock, before looking at what is mapped at @vaddr. */
static int map_deferred(struct iommu_ctx *ctx, const void *vaddr)
{
	struct request req = { .align = __VFN_PAGESIZE };

	if (!iommu_find_deferred(ctx, vaddr, &req.vaddr, &req.len) ||
	    !iommu_table_is_empty(ctx, vaddr, 1))
		return 0;

	return map_new(ctx, &req);
}

bool iommu_map_deferred(struct iommu_ctx *ctx, const void *vaddr)
{
	__autolock(&ctx->lock);

	return !map_deferred(ctx, vaddr) && !iommu_table_is_empty(ctx, vaddr, 1);
}

static int map(struct iommu_ctx *ctx, struct request *req)
{
	unsigned int bits;
	size_t run;
	iova_t iova;

	if (check(ctx, req))
		return -1;

	/* a program may ask before every command: no lock where it is mapped to stay */
	if (!(req->flags & IOMMU_MAP_EPHEMERAL) && !req->reserve) {
		run = iommu_table_lookup(ctx, req->vaddr, req->len, &iova, &bits);
		if (run && !(bits & IOMMU_PAGE_EPHEMERAL) && satisfies(req, run, iova, bits)) {
			req->iova = iova;
			return 0;
		}
	}

	if (iommu_check_process(ctx))
		return -1;

	__autolock(&ctx->lock);

	if (!ctx->nranges)
		return vfn_fail(ENODEV, "%s: open a device before mapping memory for it",
				ctx->name);

	if (map_deferred(ctx, req->vaddr))
		return -1;

	if (iommu_table_is_empty(ctx, req->vaddr, req->len) ? map_new(ctx, req) :
							      map_again(ctx, req))
		return -1;

	if (req->flags & IOMMU_MAP_EPHEMERAL)
		req->ext->ephemeral++;

	return 0;
}

static int map_to(struct iommu_ctx *ctx, struct request *req, iova_t *iova)
{
	if (req->flags & IOMMU_MAP_FIXED_IOVA) {
		if (!iova)
			return vfn_fail(EINVAL, "map: IOMMU_MAP_FIXED_IOVA needs an address");
		/* the caller names the place; the alignment is its business */
		req->iova = *iova;
	}

	if (map(ctx, req))
		return -1;

	if (iova)
		*iova = req->iova;

	return 0;
}

int iommu_map_vaddr(struct iommu_ctx *ctx, void *vaddr, size_t len, iova_t *iova,
		    unsigned long flags)
{
	struct request req = {
		.vaddr = vaddr,
		.len = len,
		/* any place that memory is mapped at already will do */
		.align = 1,
		.flags = flags,
	};

	return map_to(ctx, &req, iova);
}

int vfn_iommu_map_file(struct iommu_ctx *ctx, int fd, off_t offset, void *vaddr, size_t len,
		       iova_t *iova, unsigned long flags)
{
	const struct iommu_file file = { .fd = fd, .offset = (uint64_t)offset };
	struct request req = {
		.vaddr = vaddr,
		.len = len,
		.align = 1,
		.flags = flags,
		.file = &file,
	};

	if (fd < 0 || offset < 0 || !ALIGNED((uint64_t)offset, __VFN_PAGESIZE))
		return vfn_fail(EINVAL, "map: no file %d, or offset %lld is no multiple of %zu", fd,
				(long long)offset, __VFN_PAGESIZE);

	return map_to(ctx, &req, iova);
}

int iommu_reserve_vaddr(struct iommu_ctx *ctx, void *vaddr, size_t len, iova_t *iova,
			unsigned long flags)
{
	struct request req = {
		.vaddr = vaddr,
		.len = len,
		.align = 1,
		.flags = flags,
		.reserve = true,
	};

	return map_to(ctx, &req, iova);
}

int iommu_map_vaddr_align(struct iommu_ctx *ctx, void *vaddr, size_t len, size_t align,
			  iova_t *iova, unsigned long flags)
{
	struct request req = {
		.vaddr = vaddr,
		.len = len,
		.align = align,
		.flags = flags,
	};

	if (align < __VFN_PAGESIZE || (align & (align - 1)) || (flags & IOMMU_MAP_FIXED_IOVA))
		return vfn_fail(
			EINVAL,
			"map: alignment %zu must be a power of two of at least %zu, and not with a fixed address",
			align, __VFN_PAGESIZE);

	return map_to(ctx, &req, iova);
}

/* Take the mapping out of the table, then out of the IOMMU, then free its address. */
static int remove_mapping(struct iommu_ctx *ctx, struct iommu_extent *ext)
{
	iommu_table_clear(ctx, ext->vaddr, ext->len);

	if (ext->reserved || !ctx->ops->unmap(ctx, ext)) {
		iova_release(ctx, ext);
		return 0;
	}

	/* what the kernel still maps is lost: never translated, never given out again */
	if (errno == EIO)
		ext->vaddr = NULL;
	else
		publish(ctx, ext);

	return -1;
}

/* What the caller's unmap takes back: an ephemeral map, else the persistent one, never a pin. */
static int release_mapping(struct iommu_ctx *ctx, struct iommu_extent *ext)
{
	if (!ext->ephemeral && !ext->persistent)
		return vfn_fail(ENOENT, "%s: %p is only mapped for a command that is not over",
				ctx->name, ext->vaddr);

	if (ext->count == 1)
		return remove_mapping(ctx, ext);

	ext->count--;
	if (ext->ephemeral) {
		ext->ephemeral--;
	} else {
		ext->persistent = false;
		publish(ctx, ext);
	}

	return 0;
}

int iommu_unmap_vaddr(struct iommu_ctx *ctx, void *vaddr, size_t *len)
{
	struct iommu_extent *ext;
	unsigned int bits;
	iova_t iova;
	size_t size;

	if (!ctx)
		return vfn_fail(EINVAL, "unmap: no address space");

	if (iommu_check_process(ctx))
		return -1;

	__autolock(&ctx->lock);

	if (!iommu_table_lookup(ctx, vaddr, 1, &iova, &bits))
		return vfn_fail(ENOENT, "%s: nothing is mapped at %p", ctx->name, vaddr);

	ext = tree_find(ctx->extents, iova);
	size = ext->len;

	if (release_mapping(ctx, ext))
		return -1;

	if (len)
		*len = size;

	return 0;
}

/* The mapping that @vaddr lies in, and how much of [vaddr, end) it covers. */
static struct iommu_extent *find_mapping(struct iommu_ctx *ctx, char *vaddr, char *end,
					 size_t *covers)
{
	struct iommu_extent *ext;
	unsigned int bits;
	iova_t iova;

	if (!iommu_table_lookup(ctx, vaddr, 1, &iova, &bits))
		return NULL;

	ext = tree_find(ctx->extents, iova);
	*covers = ext->len - (iova - ext->start);
	if (*covers > (size_t)(end - vaddr))
		*covers = (size_t)(end - vaddr);

	return ext;
}

static void unpin(struct iommu_ctx *ctx, char *vaddr, char *end)
{
	struct iommu_extent *ext;
	size_t covers;

	for (; vaddr < end; vaddr += covers) {
		ext = find_mapping(ctx, vaddr, end, &covers);
		if (!ext)
			return;

		if (ext->count > 1)
			ext->count--;
		else
			(void)remove_mapping(ctx, ext);
	}
}

/* Map what lies from @vaddr to the next mapping, or to @end. */
static int map_gap(struct iommu_ctx *ctx, char *vaddr, char *end, size_t *covers)
{
	struct request req = {
		.vaddr = vaddr,
		.align = __VFN_PAGESIZE,
		.flags = IOMMU_MAP_EPHEMERAL,
	};

	do {
		req.len += __VFN_PAGESIZE;
	} while (vaddr + req.len < end &&
		 iommu_table_is_empty(ctx, vaddr + req.len, __VFN_PAGESIZE));

	*covers = req.len;

	return map_new(ctx, &req);
}

int iommu_pin(struct iommu_ctx *ctx, void *vaddr, size_t len)
{
	char *pos = vaddr, *end = pos + len;
	struct iommu_extent *ext;
	size_t covers;

	if (iommu_check_process(ctx))
		return -1;

	__autolock(&ctx->lock);

	for (; pos < end; pos += covers) {
		bool failed = map_deferred(ctx, pos);

		ext = find_mapping(ctx, pos, end, &covers);
		if (ext) {
			ext->count++;
		} else if (failed || map_gap(ctx, pos, end, &covers)) {
			int saved = errno;

			unpin(ctx, vaddr, pos);
			errno = saved;
			return -1;
		}
	}

	return 0;
}

void iommu_unpin(struct iommu_ctx *ctx, void *vaddr, size_t len)
{
	__autolock(&ctx->lock);

	unpin(ctx, vaddr, (char *)vaddr + len);
}

int iommu_unmap_all(struct iommu_ctx *ctx)
{
	struct iommu_extent *ext;
	uint64_t addr = 0;
	int ret = 0, saved = 0;

	if (!ctx)
		return vfn_fail(EINVAL, "unmap: no address space");

	if (iommu_check_process(ctx))
		return -1;

	__autolock(&ctx->lock);

	/* removing a mapping may join what is around it, never what is behind its end */
	while ((ext = tree_next(ctx->extents, addr))) {
		addr = ext->start + ext->len;
		if (ext->vaddr && remove_mapping(ctx, ext)) {
			saved = errno;
			ret = -1;
		}
	}

	if (ret)
		errno = saved;

	return ret;
}

int iommu_unmap_range(struct iommu_ctx *ctx, void *vaddr, size_t len)
{
	char *pos = vaddr, *end = pos + len;
	struct iommu_extent *ext;
	int ret = 0, saved = 0;
	size_t covers;

	__autolock(&ctx->lock);

	for (; pos < end; pos += covers) {
		ext = find_mapping(ctx, pos, end, &covers);
		if (!ext) {
			covers = __VFN_PAGESIZE;
		} else if (remove_mapping(ctx, ext)) {
			saved = errno;
			ret = -1;
		}
	}

	if (ret)
		errno = saved;

	return ret;
}

ssize_t iommu_translate_iova(struct iommu_ctx *ctx, iova_t iova, void **vaddr)
{
	struct iommu_extent *ext;
	uint64_t offset;

	if (!ctx)
		return vfn_fail(EINVAL, "translate: no address space");

	__autolock(&ctx->lock);

	ext = tree_find(ctx->extents, iova);
	if (!ext || !ext->vaddr)
		return vfn_fail(EINVAL, "%s: nothing is mapped at I/O virtual address 0x%llx",
				ctx->name, (unsigned long long)iova);

	offset = iova - ext->start;
	*vaddr = (char *)ext->vaddr + offset;

	return (ssize_t)(ext->len - offset);
}
