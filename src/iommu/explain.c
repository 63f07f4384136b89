// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* What the kernel's errors mean, and what to do about them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <vfn/pci/device.h>

#include "iommu/context.h"
#include "os/os.h"
#include "support/error.h"

int iommu_explain_open(const char *bdf, const char *path)
{
	int err = errno;

	switch (err) {
	case EBUSY:
		return vfn_fail(err, "%s: %s is in use by another process: stop that one first",
				bdf, path);
	case EACCES:
	case EPERM:
		return vfn_fail(EACCES, "%s: no permission to open %s: be root or change its mode",
				bdf, path);
	default:
		return vfn_fail(err, "%s: cannot open %s: %s", bdf, path, strerror(err));
	}
}

struct members {
	char text[128];
	size_t len;
};

static int add_member(const char *bdf, const char *driver, void *arg)
{
	struct members *members = arg;

	/* these do not get in the way */
	if (!driver || strstr(driver, "vfio") || !strcmp(driver, "pcieport") ||
	    !strcmp(driver, "pci-stub") || members->len >= sizeof(members->text))
		return 0;

	members->len += (size_t)snprintf(members->text + members->len,
					 sizeof(members->text) - members->len, "%s%s (%s)",
					 members->len ? ", " : "", bdf, driver);

	return 0;
}

int iommu_explain_group(const char *bdf, const char *group)
{
	struct members members = { .text = "" };

	(void)vfn_pci_group_members(bdf, add_member, &members);

	return vfn_fail(
		EPERM,
		"%s: other devices of %s have kernel drivers: %s; run vfntool bind or unbind on them",
		bdf, group, members.len ? members.text : "unknown ones");
}

bool iommu_group_is_taken(const char *bdf)
{
	struct members members = { .text = "" };
	int saved = errno;

	(void)vfn_pci_group_members(bdf, add_member, &members);
	errno = saved;

	return members.len;
}

/* The kernel does not say which of the two it is. */
static int explain_no_memory(const struct iommu_ctx *ctx, unsigned long long len)
{
	const uint64_t limit = os_memlock_limit();

	if (limit == UINT64_MAX)
		return vfn_fail(ENOMEM, "%s: cannot pin %llu bytes: the kernel is short of memory",
				ctx->name, len);

	return vfn_fail(
		ENOMEM,
		"%s: cannot pin %llu more bytes: the limit on locked memory is %llu bytes: raise RLIMIT_MEMLOCK (ulimit -l, memlock in /etc/security/limits.conf, LimitMEMLOCK= of a systemd unit)",
		ctx->name, len, (unsigned long long)limit);
}

int iommu_explain_map(const struct iommu_ctx *ctx, const struct iommu_extent *ext)
{
	int err = errno;

	switch (err) {
	case ENOSPC:
		return vfn_fail(
			ENOMEM,
			"%s: the kernel's limit of mappings is reached: map fewer, larger pieces or raise dma_entry_limit of vfio_iommu_type1",
			ctx->name);
	case ENOMEM:
		return explain_no_memory(ctx, ext->len);
	case EFAULT:
		return vfn_fail(err, "%s: %llu bytes at %p are not memory that a device may %s",
				ctx->name, (unsigned long long)ext->len, ext->vaddr,
				ext->permissions & IOMMU_PAGE_NOWRITE ? "read" : "write");
	case EOVERFLOW:
		err = EINVAL;
		break;
	default:
		break;
	}

	return vfn_fail(err, "%s: cannot map %llu bytes at 0x%llx: %s", ctx->name,
			(unsigned long long)ext->len, (unsigned long long)ext->start,
			strerror(err));
}

int iommu_explain_unmap(const struct iommu_ctx *ctx, const struct iommu_extent *ext)
{
	return vfn_fail(errno, "%s: cannot unmap 0x%llx: %s", ctx->name,
			(unsigned long long)ext->start, strerror(errno));
}

int iommu_explain_part(const struct iommu_ctx *ctx, const struct iommu_extent *ext, uint64_t done)
{
	return vfn_fail(EIO, "%s: the kernel unmapped %llu of %llu bytes at 0x%llx", ctx->name,
			(unsigned long long)done, (unsigned long long)ext->len,
			(unsigned long long)ext->start);
}
