/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* A namespace as a block device: open it by its address, and read and write any number of blocks. */
#ifndef VFN_BLK_H
#define VFN_BLK_H

#include <stddef.h>
#include <stdint.h>

#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS

/*
 * A namespace that is open is a handle, which threads may share. Handles of namespaces of one
 * controller share that controller: the first one brings it up, the last one shuts it down.
 *
 * Errors are 0 or -1 with errno, or a pointer or NULL with errno; vfn_last_error() says more.
 * Functions may be called by any thread at any time unless they say otherwise.
 */

/* A namespace that is open. Opaque. */
struct vfn_blk;

/**
 * enum vfn_blk_flags - how to open a namespace
 * @VFN_BLK_RDONLY: calls that write fail with EROFS
 * @VFN_BLK_EXACT: fail with ENOSPC where there are fewer queues or entries than asked for
 */
enum vfn_blk_flags {
	VFN_BLK_RDONLY = 1 << 0,
	VFN_BLK_EXACT = 1 << 1,
};

/**
 * struct vfn_blk_opts - what to ask for; zero is the default for every field
 * @queues: pairs of queues; default is one per CPU, but no more than half of those that the controller has left
 * @depth: entries of a queue; one less can be outstanding; default 256, or what the controller takes
 * @timeout_ms: limit of a command; default 30 s. For admin commands that of the controller's first handle holds
 * @quirks: NVME_QUIRK_*; those of the controller's first handle hold
 * @flags: of enum vfn_blk_flags
 */
struct vfn_blk_opts {
	unsigned int queues;
	unsigned int depth;
	unsigned int timeout_ms;
	unsigned int quirks;
	unsigned int flags;
};

/**
 * enum vfn_blk_features - what a namespace and its controller can do
 * @VFN_BLK_F_RDONLY: it cannot be written: it is protected, or was opened so
 * @VFN_BLK_F_WRITE_CACHE: what is written is safe only after a flush
 * @VFN_BLK_F_COMPARE: blocks are compared by the controller
 * @VFN_BLK_F_DISCARD: blocks can be deallocated
 * @VFN_BLK_F_WRITE_ZEROES: zeroes are written without a transfer
 * @VFN_BLK_F_VERIFY: blocks are verified without a transfer
 */
enum vfn_blk_features {
	VFN_BLK_F_RDONLY = 1 << 0,
	VFN_BLK_F_WRITE_CACHE = 1 << 1,
	VFN_BLK_F_COMPARE = 1 << 2,
	VFN_BLK_F_DISCARD = 1 << 3,
	VFN_BLK_F_WRITE_ZEROES = 1 << 4,
	VFN_BLK_F_VERIFY = 1 << 5,
};

/**
 * struct vfn_blk_info - a namespace that is open
 * @bdf: address of the controller, DDDD:BB:DD.F
 * @nsid: namespace identifier
 * @block_size: bytes of a block
 * @nblocks: blocks
 * @max_blocks: most blocks of a command: longer requests are split
 * @boundary: blocks between the places that commands do not cross, 0 for none (NOIOB)
 * @queues: pairs of queues of this handle
 * @depth: entries of each
 * @features: of enum vfn_blk_features
 * @vendor: PCI vendor of the controller
 * @serial: serial number, without the spaces around it
 * @model: model number, the same
 * @firmware: firmware revision, the same
 * @nguid: globally unique identifier, zeroes for none
 * @eui64: IEEE identifier, zeroes for none
 *
 * Texts end with a zero; bytes that are not printable ASCII are question marks.
 */
struct vfn_blk_info {
	char bdf[16];
	uint32_t nsid;
	uint32_t block_size;
	uint64_t nblocks;
	uint32_t max_blocks;
	uint32_t boundary;
	unsigned int queues;
	unsigned int depth;
	unsigned int features;
	uint16_t vendor;
	char serial[21];
	char model[41];
	char firmware[9];
	uint8_t nguid[16];
	uint8_t eui64[8];
};

/**
 * vfn_blk_open - open a namespace
 * @blk: receives the handle; untouched on error
 * @name: [DDDD:]BB:DD.F[/NSID]; without NSID, the first active namespace
 * @opts: what to ask for, NULL for defaults; copied
 *
 * Brings the controller up where no handle of this process has it. Identify, Base Specification 2.0,
 * section 5.17; NVM Command Set Specification 1.0, section 4.1.5.
 *
 * Return: 0, or -1 with errno: EINVAL (@name, @opts), ENODEV (no such device or namespace), EBUSY (another
 * process, or this one by nvme_init(), has the device), EACCES (permission), ENOSPC (the controller has no
 * queues left, or with VFN_BLK_EXACT fewer than asked for), ENOTSUP (blocks with metadata, or of a size that
 * makes no sense), and those of nvme_init() and nvme_create_ioqpair(). Nothing is left behind then.
 */
int vfn_blk_open(struct vfn_blk **blk, const char *name, const struct vfn_blk_opts *opts);

/**
 * vfn_blk_close - close a handle
 * @blk: handle, invalid afterwards; NULL does nothing
 *
 * Deletes its queues, and releases memory of vfn_blk_alloc() and vfn_blk_register(). The last handle
 * of a controller shuts that down. No other call for this handle is under way.
 *
 * Return: 0.
 */
int vfn_blk_close(struct vfn_blk *blk);

/**
 * vfn_blk_get_info - describe a namespace
 * @blk: handle
 * @info: filled in
 */
void vfn_blk_get_info(const struct vfn_blk *blk, struct vfn_blk_info *info);

/*
 * Memory that was allocated or registered by a handle can be used with all handles of the same controller,
 * wherever in it the data lies.
 */

/**
 * vfn_blk_alloc - allocate memory for data
 * @blk: handle
 * @len: bytes, rounded up to pages
 *
 * Zeroed, at the start of a page, in huge pages where the kernel has them and @len is 2 MiB or more. The child
 * of a fork() does not have it.
 *
 * Return: memory for vfn_blk_free(), which vfn_blk_close() calls for what is left; or NULL with errno: EINVAL
 * (@len), ENOMEM (also the limit on locked memory).
 */
void *vfn_blk_alloc(struct vfn_blk *blk, size_t len);

/**
 * vfn_blk_free - free memory
 * @blk: handle that has allocated it
 * @mem: what vfn_blk_alloc() returned; no request uses it; NULL does nothing
 *
 * Return: 0, or -1 with errno: ENOENT (not the start of such memory).
 */
int vfn_blk_free(struct vfn_blk *blk, void *mem);

/**
 * vfn_blk_register - let the controller reach memory of the caller's
 * @blk: handle
 * @mem: start
 * @len: bytes
 *
 * The pages that it lies in stay pinned until vfn_blk_unregister() or vfn_blk_close(), and must stay allocated.
 * The controller can reach all of each page. Registering the same pages several times counts.
 *
 * Return: 0, or -1 with errno: EINVAL (@len), EEXIST (some of the pages are registered with others), and those of
 * iommu_map_vaddr().
 */
int vfn_blk_register(struct vfn_blk *blk, void *mem, size_t len);

/**
 * vfn_blk_unregister - undo vfn_blk_register()
 * @blk: handle
 * @mem: start as it was registered; no request uses the memory
 *
 * Return: 0, or -1 with errno: ENOENT (not registered).
 */
int vfn_blk_unregister(struct vfn_blk *blk, void *mem);

VFN_END_DECLS

#endif /* VFN_BLK_H */
