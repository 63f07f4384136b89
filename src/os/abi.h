/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The kernel's interface to iommufd and to VFIO's character devices, whatever the age of the build host's headers. */
#ifndef VFN_SRC_OS_ABI_H
#define VFN_SRC_OS_ABI_H

#include <stdint.h>
#include <sys/ioctl.h>

#include <linux/vfio.h>

/*
 * Names are the kernel's with abi_ or ABI_ before them, so that the system's
 * headers can be included, too; tests/unit/os/abi.c compares. Linux 6.2 has
 * iommufd, 6.6 the character devices; what came later says since when.
 *
 * Each structure of iommufd begins with its size. A kernel takes a larger one
 * than it knows if the rest is zero, else it answers E2BIG; a command it does
 * not know is ENOTTY, a flag it does not know EOPNOTSUPP.
 */

#define ABI_IOMMU_IOCTL(nr) _IO(';', nr)

/* Frees an object by its number: an IOAS, a HWPT, a fault queue. EBUSY while it is in use. */
#define ABI_IOMMU_DESTROY ABI_IOMMU_IOCTL(0x80)
struct abi_iommu_destroy {
	uint32_t size;
	uint32_t id;
};

/* Makes an I/O address space. */
#define ABI_IOMMU_IOAS_ALLOC ABI_IOMMU_IOCTL(0x81)
struct abi_iommu_ioas_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t out_ioas_id;
};

struct abi_iommu_iova_range {
	uint64_t start;
	uint64_t last;
};

/* What addresses there are. EMSGSIZE with num_iovas set where the array is too short. */
#define ABI_IOMMU_IOAS_IOVA_RANGES ABI_IOMMU_IOCTL(0x84)
struct abi_iommu_ioas_iova_ranges {
	uint32_t size;
	uint32_t ioas_id;
	uint32_t num_iovas;
	uint32_t __reserved;
	uint64_t allowed_iovas;
	uint64_t out_iova_alignment;
};

#define ABI_IOMMU_IOAS_MAP_FIXED_IOVA (1U << 0)
#define ABI_IOMMU_IOAS_MAP_WRITEABLE (1U << 1)
#define ABI_IOMMU_IOAS_MAP_READABLE (1U << 2)

#define ABI_IOMMU_IOAS_MAP ABI_IOMMU_IOCTL(0x85)
struct abi_iommu_ioas_map {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas_id;
	uint32_t __reserved;
	uint64_t user_va;
	uint64_t length;
	uint64_t iova;
};

/* The same for memory of a file: a memfd (6.13), a dma-buf of VFIO (6.19). */
#define ABI_IOMMU_IOAS_MAP_FILE ABI_IOMMU_IOCTL(0x8f)
struct abi_iommu_ioas_map_file {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas_id;
	int32_t fd;
	uint64_t start;
	uint64_t length;
	uint64_t iova;
};

/* Removes whole mappings; length receives the bytes. ENOENT where there is none. */
#define ABI_IOMMU_IOAS_UNMAP ABI_IOMMU_IOCTL(0x86)
struct abi_iommu_ioas_unmap {
	uint32_t size;
	uint32_t ioas_id;
	uint64_t iova;
	uint64_t length;
};

/* Makes a page table for an IOAS; with a fault queue since 6.11. */
#define ABI_IOMMU_HWPT_FAULT_ID_VALID (1U << 2)

#define ABI_IOMMU_HWPT_ALLOC ABI_IOMMU_IOCTL(0x89)
struct abi_iommu_hwpt_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t dev_id;
	uint32_t pt_id;
	uint32_t out_hwpt_id;
	uint32_t __reserved;
	uint32_t data_type;
	uint32_t data_len;
	uint64_t data_uptr;
	uint32_t fault_id;
	uint32_t __reserved2;
};

/* Since 6.11. The descriptor gives records of faults and takes the answers. */
#define ABI_IOMMU_FAULT_QUEUE_ALLOC ABI_IOMMU_IOCTL(0x8e)
struct abi_iommu_fault_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t out_fault_id;
	uint32_t out_fault_fd;
};

#define ABI_IOMMU_PGFAULT_FLAGS_PASID_VALID (1U << 0)
#define ABI_IOMMU_PGFAULT_FLAGS_LAST_PAGE (1U << 1)

#define ABI_IOMMU_PGFAULT_PERM_READ (1U << 0)
#define ABI_IOMMU_PGFAULT_PERM_WRITE (1U << 1)
#define ABI_IOMMU_PGFAULT_PERM_EXEC (1U << 2)
#define ABI_IOMMU_PGFAULT_PERM_PRIV (1U << 3)

struct abi_iommu_hwpt_pgfault {
	uint32_t flags;
	uint32_t dev_id;
	uint32_t pasid;
	uint32_t grpid;
	uint32_t perm;
	uint32_t __reserved;
	uint64_t addr;
	uint32_t length;
	uint32_t cookie;
};

#define ABI_IOMMUFD_PAGE_RESP_SUCCESS 0U
#define ABI_IOMMUFD_PAGE_RESP_INVALID 1U

struct abi_iommu_hwpt_page_response {
	uint32_t cookie;
	uint32_t code;
};

/* A device's own descriptor joins an iommufd, with a VF token since 6.17 (EINVAL before). */
#define ABI_VFIO_DEVICE_BIND_FLAG_TOKEN (1U << 0)

#define ABI_VFIO_DEVICE_BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
struct abi_vfio_device_bind_iommufd {
	uint32_t argsz;
	uint32_t flags;
	int32_t iommufd;
	uint32_t out_devid;
	/* 16 bytes */
	uint64_t token_uuid_ptr;
};

/* Attaches a device to an IOAS or a HWPT, in place of what it is attached to; pt_id receives the HWPT. */
#define ABI_VFIO_DEVICE_ATTACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 19)
struct abi_vfio_device_attach_iommufd_pt {
	uint32_t argsz;
	uint32_t flags;
	uint32_t pt_id;
};

#define ABI_VFIO_DEVICE_DETACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 20)
struct abi_vfio_device_detach_iommufd_pt {
	uint32_t argsz;
	uint32_t flags;
};

/* Since 6.19. Data of VFIO_DEVICE_FEATURE with GET; returns a dma-buf of parts of a region. */
#define ABI_VFIO_DEVICE_FEATURE_DMA_BUF 11U

struct abi_vfio_region_dma_range {
	uint64_t offset;
	uint64_t length;
};

struct abi_vfio_device_feature_dma_buf {
	uint32_t region_index;
	uint32_t open_flags;
	uint32_t flags;
	uint32_t nr_ranges;
	struct abi_vfio_region_dma_range dma_ranges[];
};

#endif /* VFN_SRC_OS_ABI_H */
