/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Mapping memory for DMA, and translation between the two kinds of address. */
#ifndef VFN_IOMMU_DMA_H
#define VFN_IOMMU_DMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Where the system has the kernel's definition of struct iommu_iova_range, it stands. */
#ifdef __has_include
#if __has_include(<linux/iommufd.h>)
#include <linux/iommufd.h>
#endif
#endif

#include <vfn/iommu/context.h>
#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS

/* An I/O virtual address: what a device uses to reach memory. 0 is never mapped. */
typedef uint64_t __vfn_nocast iova_t;

/* A piece of memory by I/O virtual address. */
struct iova_vec {
	iova_t iova;
	size_t len;
};

/* For memory mapped so that both kinds of address are equal. */
#define same_iova(ptr) ((iova_t __force)(uintptr_t)(ptr))

/**
 * enum iommu_map_flags - how to map
 * @IOMMU_MAP_FIXED_IOVA: at the address in *iova
 * @IOMMU_MAP_EPHEMERAL: for a short time. Every such map is counted, and paired
 *	with an iommu_unmap_vaddr(); the last one removes the mapping.
 * @IOMMU_MAP_NOWRITE: devices may not write the memory
 * @IOMMU_MAP_NOREAD: devices may not read the memory
 */
enum iommu_map_flags {
	IOMMU_MAP_FIXED_IOVA = 1 << 0,
	IOMMU_MAP_EPHEMERAL = 1 << 1,
	IOMMU_MAP_NOWRITE = 1 << 2,
	IOMMU_MAP_NOREAD = 1 << 3,
};

/*
 * All functions of this file may be called from any thread at any time.
 * Translation of what is mapped takes no lock and makes no system call.
 */

/**
 * iommu_map_vaddr - make memory reachable for the devices of an address space
 * @ctx: address space
 * @vaddr: start of the memory, aligned to the host's page size
 * @len: bytes, a multiple of the host's page size
 * @iova: receives the I/O virtual address (with IOMMU_MAP_FIXED_IOVA: holds it);
 *	may be NULL without that flag; untouched on error
 * @flags: of enum iommu_map_flags
 *
 * Memory that already is mapped from @vaddr to its end, contiguously and with
 * the same permissions, is not mapped again: the call succeeds quickly with
 * the address it has, and alignment does not matter then. The pages stay
 * pinned, and must stay allocated, until they are unmapped.
 *
 * Memory of another device, mapped by vfio_pci_map_bar(), can be given, too:
 * transfers then go from device to device. With iommufd that takes Linux 6.19.
 *
 * Return: 0, or -1 with errno: EINVAL (alignment, length 0 or wrapping, an
 * address outside the ranges of the IOMMU, unknown flags), EEXIST (some of the
 * memory, or of the fixed address range, is mapped already, or is mapped with
 * other permissions or elsewhere), ENOMEM (no address range free, limit on
 * locked memory or on the number of mappings), EFAULT (not memory, or
 * read-only memory without IOMMU_MAP_NOWRITE), ENODEV (no device attached, or the
 * memory is that of a closed one), ENOTSUP (the kernel cannot map a device's memory).
 */
int iommu_map_vaddr(struct iommu_ctx *ctx, void *vaddr, size_t len, iova_t *iova,
		    unsigned long flags);

/**
 * iommu_map_vaddr_align - iommu_map_vaddr() at an aligned I/O virtual address
 * @ctx: address space
 * @vaddr: start of the memory, aligned to the host's page size
 * @len: bytes, a multiple of the host's page size
 * @align: alignment of the address, a power of two of at least the host's page size
 * @iova: receives the I/O virtual address, or NULL
 * @flags: of enum iommu_map_flags, but not IOMMU_MAP_FIXED_IOVA (EINVAL)
 *
 * Return: as iommu_map_vaddr(); EEXIST also where the memory is mapped at an
 * address that is not so aligned.
 */
int iommu_map_vaddr_align(struct iommu_ctx *ctx, void *vaddr, size_t len, size_t align,
			  iova_t *iova, unsigned long flags);

/**
 * vfn_iommu_map_file - iommu_map_vaddr() for memory of a file
 * @ctx: address space
 * @fd: a memfd; needed for this call only
 * @offset: where in the file, a multiple of the host's page size
 * @vaddr: where the process has that part mapped, with MAP_SHARED; translation uses it
 * @len: bytes, a multiple of the host's page size
 * @iova: receives the I/O virtual address (with IOMMU_MAP_FIXED_IOVA: holds it), or NULL
 * @flags: of enum iommu_map_flags
 *
 * The pages are the file's, not the process's: what the process does to its
 * mapping, by fork() for example, does not separate it from the device. Memory
 * that is mapped already is treated as by iommu_map_vaddr(), and so is unmapping.
 *
 * Return: 0, or -1 with errno as iommu_map_vaddr(), and ENOTSUP (not iommufd,
 * or Linux before 6.13), EBADF; EINVAL also where the file is no memfd or too short.
 */
int vfn_iommu_map_file(struct iommu_ctx *ctx, int fd, off_t offset, void *vaddr, size_t len,
		       iova_t *iova, unsigned long flags);

/**
 * iommu_unmap_vaddr - remove the mapping that contains an address
 * @ctx: address space
 * @vaddr: any address inside the mapping
 * @len: receives the length of the mapping, may be NULL
 *
 * No device may be using the memory any more. Ephemeral maps of the same
 * memory count: the mapping goes with the last of them, and each of these calls
 * takes one back.
 *
 * Return: 0, or -1 with errno: ENOENT (nothing is mapped there), EIO
 * (the kernel did not remove all of it; its addresses stay reserved).
 */
int iommu_unmap_vaddr(struct iommu_ctx *ctx, void *vaddr, size_t *len);

/**
 * iommu_unmap_all - remove every mapping of an address space
 * @ctx: address space
 *
 * Queues of open controllers are mappings, too: meant for address spaces whose
 * devices are quiet and that one fills again.
 *
 * Return: 0, or -1 with errno as iommu_unmap_vaddr(); what could be removed is.
 */
int iommu_unmap_all(struct iommu_ctx *ctx);

/**
 * iommu_alloc_same_iova - allocate memory whose two kinds of address are equal
 * @ctx: address space
 * @len: bytes, rounded up to pages
 *
 * Return: zeroed memory for iommu_free_same_iova(), or NULL with errno (EINVAL,
 * ENOMEM where no range of the IOMMU fits the process's addresses).
 */
void *iommu_alloc_same_iova(struct iommu_ctx *ctx, size_t len);

/**
 * iommu_free_same_iova - unmap and free memory of iommu_alloc_same_iova()
 * @ctx: address space
 * @vaddr: what iommu_alloc_same_iova() returned
 *
 * Return: 0, or -1 with errno as iommu_unmap_vaddr().
 */
int iommu_free_same_iova(struct iommu_ctx *ctx, void *vaddr);

/* A range of I/O virtual addresses, both ends included; the kernel's layout. */
#ifndef IOMMU_IOAS_IOVA_RANGES
struct iommu_iova_range {
	iova_t __attribute__((aligned(8))) start;
	iova_t __attribute__((aligned(8))) last;
};
#endif

/**
 * iommu_get_iova_ranges - what the IOMMU can translate
 * @ctx: address space
 * @ranges: receives an array, sorted and without overlaps; owned by @ctx, valid
 *	until another device is attached or the last one closed
 *
 * Return: number of ranges, or -1 with errno (ENODEV: no device attached).
 */
int iommu_get_iova_ranges(struct iommu_ctx *ctx, struct iommu_iova_range **ranges);

/**
 * iommu_translate_vaddr - the I/O virtual address of mapped memory
 * @ctx: address space
 * @vaddr: address
 * @iova: receives its I/O virtual address; untouched if there is none
 *
 * Return: whether @vaddr is mapped; never in an address space of NULL. See
 * vfn_iommu_translate() for ranges.
 */
bool iommu_translate_vaddr(struct iommu_ctx *ctx, void *vaddr, iova_t *iova);

/**
 * vfn_iommu_translate - the I/O virtual address of mapped memory, and how far it goes
 * @ctx: address space
 * @vaddr: start
 * @len: bytes of interest, at least 1
 * @iova: receives the I/O virtual address of @vaddr
 *
 * Return: bytes from @vaddr that are mapped at consecutive I/O virtual
 * addresses, at most @len; 0 where @vaddr is not mapped.
 */
size_t vfn_iommu_translate(struct iommu_ctx *ctx, const void *vaddr, size_t len, iova_t *iova);

/**
 * iommu_translate_iova - the memory behind an I/O virtual address
 * @ctx: address space
 * @iova: address
 * @vaddr: receives the address in this process
 *
 * Takes a lock, unlike the other direction.
 *
 * Return: bytes from there to the end of the mapping, or -1 with errno EINVAL.
 */
ssize_t iommu_translate_iova(struct iommu_ctx *ctx, iova_t iova, void **vaddr);

VFN_END_DECLS

#endif /* VFN_IOMMU_DMA_H */
