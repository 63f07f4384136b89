/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Inside an address space: its extents, its translation table, its back-end. */
#ifndef VFN_SRC_IOMMU_CONTEXT_H
#define VFN_SRC_IOMMU_CONTEXT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vfn/iommu.h>
#include <vfn/pci/bdf.h>

#include "iommu/tree.h"

/* Low bits of a translation: what is known of a page besides its address. */
enum iommu_page_bits {
	IOMMU_PAGE_NOWRITE = 1 << 0,
	IOMMU_PAGE_NOREAD = 1 << 1,
	/* only ephemeral maps hold it: it may go at any moment */
	IOMMU_PAGE_EPHEMERAL = 1 << 2,
};

#define IOMMU_PAGE_PERMISSIONS (IOMMU_PAGE_NOWRITE | IOMMU_PAGE_NOREAD)

/* table.h has its shape */
struct iommu_table;
#define IOMMU_TABLE_BYTES (4096 * sizeof(uint64_t))

/* An attached device. Guarded by iommu_devices_lock. */
struct iommu_device {
	struct iommu_device *next;
	struct iommu_ctx *ctx;
	char bdf[VFN_PCI_BDF_LEN];
	/* its IOMMU group, as the path of the group's node */
	char *group;
	int fd;

	/* iommufd: its number, and the page table it got with a fault queue, or 0 */
	uint32_t id;
	uint32_t hwpt;
};

/* Where memory comes from that is a file's. */
struct iommu_file {
	int fd;
	uint64_t offset;
};

/* What differs between the kernel's interfaces. Errors as documented in <vfn/iommu/dma.h>. */
struct iommu_ops {
	bool iommufd;
	/* @file is NULL for memory that is just the process's */
	int (*map)(struct iommu_ctx *ctx, const struct iommu_extent *ext,
		   const struct iommu_file *file);
	/* -1 with errno EIO where less than the extent was unmapped */
	int (*unmap)(struct iommu_ctx *ctx, const struct iommu_extent *ext);
	/* open the device and attach it; returns its descriptor */
	int (*attach)(struct iommu_ctx *ctx, struct iommu_device *dev);
	/* after the device's descriptor was closed; ctx->devices still counts it */
	void (*detach)(struct iommu_ctx *ctx, struct iommu_device *dev);
};

#define IOMMU_REASON_LEN 256

struct iommu_ctx {
	/* decided when the first device is attached; NULL without one */
	const struct iommu_ops *ops;
	char reason[IOMMU_REASON_LEN];
	char *name;
	struct iommu_ctx *next;
	/* attached devices; guarded by iommu_devices_lock, as are next and holders */
	unsigned int devices;
	unsigned int holders;

	/* taken by all that changes what follows; translation reads without it */
	pthread_mutex_t lock;
	struct iommu_extent *extents;
	struct iommu_deferred *deferred;
	struct iommu_table *root;

	struct iommu_iova_range *ranges;
	int nranges;

	/* the process that opened the devices, 0 without any; any thread may look */
	int pid;
	/* the container, or iommufd; -1 until the first device is attached */
	int fd;
	/* iommufd: the number of the address space */
	uint32_t ioas;
};

/*
 * bar.c: memory of devices that the process has mapped. Removing it takes away
 * all its DMA mappings, and fails where some stay; it also tells the length.
 * Closing a device orphans what is left of it.
 */
struct iommu_bar {
	void *vaddr;
	/* the device's descriptor, -1 once it is closed */
	int fd;
	/* its region, and where in it */
	uint32_t region;
	uint64_t offset;
};

int iommu_add_bar(void *vaddr, size_t len, const struct iommu_bar *bar);
int iommu_remove_bar(void *vaddr, size_t *len);
void iommu_orphan_bars(int fd);
/* For handlers of signals, which may call it at any time: the one that this address is in, all of it. */
bool iommu_bar_around(const void *addr, void **start, size_t *len);
/* The one that holds all of a range, with its offset there. */
bool iommu_find_bar(const void *vaddr, size_t len, struct iommu_bar *bar);

/* context.c, map.c: remove the mappings of a range of memory, from all address spaces or one. */
int iommu_unmap_everywhere(void *vaddr, size_t len);
int iommu_unmap_range(struct iommu_ctx *ctx, void *vaddr, size_t len);

/*
 * context.c: descriptors are shared with the children of fork(), memory and registers are not: -1 with errno ECHILD
 * in one of them. Before any lock, which a thread that is not in the child may hold. @ctx may be NULL.
 */
int iommu_check_process(const struct iommu_ctx *ctx);

/* context.c: guards what devices are attached where; taken before any address space's lock. */
extern pthread_mutex_t iommu_devices_lock;
/* The device with this descriptor, or NULL. */
struct iommu_device *iommu_find_fd(struct iommu_ctx *ctx, int fd);
/* The device with this number of iommufd's, or NULL. */
struct iommu_device *iommu_find_id(uint32_t id);

/*
 * context.c: a device's way in and out of an address space. Attach and detach
 * are serialised. Attach stores the address space in *ctx when there is none.
 */
int iommu_attach_device(struct iommu_ctx **ctx, const char *bdf);
void iommu_detach_device(struct iommu_ctx *ctx, const char *bdf, int fd);

/*
 * While held, an address space outlives its last device, empty: it goes back to
 * the caller who brought it. NULL does nothing.
 */
void iommu_hold(struct iommu_ctx *ctx);
void iommu_let_go(struct iommu_ctx *ctx);

/* Forget all mappings and addresses, after the kernel has. */
void iommu_forget_all(struct iommu_ctx *ctx);

/*
 * map.c: give addresses to memory that a device reaches by itself, such as its
 * own controller memory buffer: translation works, the IOMMU maps nothing. With
 * IOMMU_MAP_FIXED_IOVA the address may lie outside of the IOMMU's ranges.
 * iommu_unmap_vaddr() undoes it. Errors as of iommu_map_vaddr(); EEXIST where any
 * of it is mapped already.
 */
int iommu_reserve_vaddr(struct iommu_ctx *ctx, void *vaddr, size_t len, iova_t *iova,
			unsigned long flags);

/*
 * map.c: keep memory mapped for a while, whatever of it is mapped already and by
 * whom; what is not gets mapped. Whole pages. Unpinning takes the same arguments.
 */
int iommu_pin(struct iommu_ctx *ctx, void *vaddr, size_t len);
void iommu_unpin(struct iommu_ctx *ctx, void *vaddr, size_t len);

/*
 * deferred.c: memory that takes an I/O virtual address only when somebody asks for
 * it: to map any of it, or to translate its address, maps the portion that it lies
 * in. @vaddr and @portion, a power of two, are whole pages. Undoing it takes the same
 * @vaddr, and fails as iommu_unmap_range().
 */
int iommu_defer_vaddr(struct iommu_ctx *ctx, void *vaddr, size_t len, size_t portion);
int iommu_undefer_vaddr(struct iommu_ctx *ctx, void *vaddr);
bool iommu_is_deferred(struct iommu_ctx *ctx, const void *vaddr, size_t len);
/* The portion that @vaddr lies in, if it is deferred. Called with the lock. */
bool iommu_find_deferred(struct iommu_ctx *ctx, const void *vaddr, void **start, size_t *len);

/*
 * map.c: map the portion that @vaddr lies in, if it is deferred. False where that does not
 * make it mapped.
 */
bool iommu_map_deferred(struct iommu_ctx *ctx, const void *vaddr);

/*
 * iova.c: who has which address. Extents tile the usable ranges: each is either
 * free or a mapping. Callers hold the lock, or are the only user.
 */

/*
 * Take over what the kernel reports, sorted and merged; 0 is left out. Later
 * calls can only narrow what there is.
 */
int iova_set_ranges(struct iommu_ctx *ctx, const struct iommu_iova_range *ranges,
		    unsigned int nranges);
/* Find a free place; the highest with @top, else the lowest. NULL with errno ENOMEM. */
struct iommu_extent *iova_alloc(struct iommu_ctx *ctx, uint64_t len, uint64_t align, bool top);
/* Take just this place. NULL with errno EEXIST, EINVAL or ENOMEM. */
struct iommu_extent *iova_reserve(struct iommu_ctx *ctx, iova_t iova, uint64_t len);
/* The same for a place that the IOMMU does not translate, or only some other part of. */
struct iommu_extent *iova_reserve_any(struct iommu_ctx *ctx, iova_t iova, uint64_t len);
/* Give a place back; never fails. */
void iova_release(struct iommu_ctx *ctx, struct iommu_extent *ext);

/*
 * translate.c: a table from pages to addresses, read without a lock. Tables are
 * freed with the address space only, so a reader never loses one.
 */

/* Make room for a range; what was made stays. -1 with errno ENOMEM or EINVAL. */
int iommu_table_reserve(struct iommu_ctx *ctx, const void *vaddr, size_t len);
/*
 * Fill a reserved range with consecutive addresses. @plain: it is memory of the
 * process that any command and device may use, and gets a run.
 */
void iommu_table_set(struct iommu_ctx *ctx, const void *vaddr, size_t len, iova_t iova,
		     unsigned int bits, bool plain);
/* Empty a reserved range. */
void iommu_table_clear(struct iommu_ctx *ctx, const void *vaddr, size_t len);
/* Whether no page of a range is present. */
bool iommu_table_is_empty(struct iommu_ctx *ctx, const void *vaddr, size_t len);
/*
 * Bytes from @vaddr, at most @len, at consecutive addresses with the same bits;
 * 0 where it is not present.
 */
size_t iommu_table_lookup(struct iommu_ctx *ctx, const void *vaddr, size_t len, iova_t *iova,
			  unsigned int *bits);
void iommu_table_free(struct iommu_ctx *ctx);

/*
 * token.c: the VF token that opening the device takes, from the environment; empty
 * without. -1 with errno EINVAL where it is malformed.
 */
struct iommu_token {
	char text[37];
	uint8_t uuid[16];
};

int iommu_get_token(const char *bdf, struct iommu_token *token);
/* errno is what the kernel said; explains it as far as the token is concerned. */
bool iommu_token_is_refused(const char *bdf, const struct iommu_token *token);

/*
 * explain.c: why it did not work, from errno; return -1 with the errno of our
 * convention.
 */
int iommu_explain_open(const char *bdf, const char *path);
int iommu_explain_group(const char *bdf, const char *group);
int iommu_explain_map(const struct iommu_ctx *ctx, const struct iommu_extent *ext);
int iommu_explain_unmap(const struct iommu_ctx *ctx, const struct iommu_extent *ext);
/* Only @done bytes were unmapped. */
int iommu_explain_part(const struct iommu_ctx *ctx, const struct iommu_extent *ext, uint64_t done);
/* Whether kernel drivers have other devices of the group, so that VFIO does not get it. */
bool iommu_group_is_taken(const char *bdf);

/* A back-end each. is_there: whether an open could use it; if not, vfn_last_error() says why. */
bool iommu_type1_is_there(const char *bdf, const char *group);
extern const struct iommu_ops iommu_type1_ops;

bool iommu_iommufd_is_there(const char *bdf);
extern const struct iommu_ops iommu_iommufd_ops;

#endif /* VFN_SRC_IOMMU_CONTEXT_H */
