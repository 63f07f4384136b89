// SPDX-License-Identifier: GPL-2.0-or-later
/* src/os/abi.h against the system's headers, as far as they go, and against what kernels have. */
#include <stddef.h>

#ifdef __has_include
#if __has_include(<linux/iommufd.h>)
#include <linux/iommufd.h>
#endif
#endif

#include "os/abi.h"

#define SAME_COMMAND(name) _Static_assert(ABI_##name == name, #name)
#define SAME_SIZE(name) _Static_assert(sizeof(struct abi_##name) == sizeof(struct name), #name)
#define SAME_PLACE(name, field) \
	_Static_assert(offsetof(struct abi_##name, field) == offsetof(struct name, field) && \
			       sizeof(((struct abi_##name *)0)->field) == \
				       sizeof(((struct name *)0)->field), \
		       #name "." #field)

#ifdef IOMMU_DESTROY
SAME_COMMAND(IOMMU_DESTROY);
SAME_SIZE(iommu_destroy);
SAME_PLACE(iommu_destroy, id);
#endif

#ifdef IOMMU_IOAS_ALLOC
SAME_COMMAND(IOMMU_IOAS_ALLOC);
SAME_SIZE(iommu_ioas_alloc);
SAME_PLACE(iommu_ioas_alloc, out_ioas_id);
#endif

#ifdef IOMMU_IOAS_IOVA_RANGES
SAME_COMMAND(IOMMU_IOAS_IOVA_RANGES);
SAME_SIZE(iommu_iova_range);
SAME_PLACE(iommu_iova_range, last);
SAME_SIZE(iommu_ioas_iova_ranges);
SAME_PLACE(iommu_ioas_iova_ranges, ioas_id);
SAME_PLACE(iommu_ioas_iova_ranges, num_iovas);
SAME_PLACE(iommu_ioas_iova_ranges, allowed_iovas);
SAME_PLACE(iommu_ioas_iova_ranges, out_iova_alignment);
#endif

#ifdef IOMMU_IOAS_MAP
SAME_COMMAND(IOMMU_IOAS_MAP);
_Static_assert(ABI_IOMMU_IOAS_MAP_FIXED_IOVA == IOMMU_IOAS_MAP_FIXED_IOVA, "fixed");
_Static_assert(ABI_IOMMU_IOAS_MAP_WRITEABLE == IOMMU_IOAS_MAP_WRITEABLE, "writeable");
_Static_assert(ABI_IOMMU_IOAS_MAP_READABLE == IOMMU_IOAS_MAP_READABLE, "readable");
SAME_SIZE(iommu_ioas_map);
SAME_PLACE(iommu_ioas_map, flags);
SAME_PLACE(iommu_ioas_map, ioas_id);
SAME_PLACE(iommu_ioas_map, user_va);
SAME_PLACE(iommu_ioas_map, length);
SAME_PLACE(iommu_ioas_map, iova);
#endif

#ifdef IOMMU_IOAS_MAP_FILE
SAME_COMMAND(IOMMU_IOAS_MAP_FILE);
SAME_SIZE(iommu_ioas_map_file);
SAME_PLACE(iommu_ioas_map_file, flags);
SAME_PLACE(iommu_ioas_map_file, ioas_id);
SAME_PLACE(iommu_ioas_map_file, fd);
SAME_PLACE(iommu_ioas_map_file, start);
SAME_PLACE(iommu_ioas_map_file, length);
SAME_PLACE(iommu_ioas_map_file, iova);
#endif

#ifdef IOMMU_IOAS_UNMAP
SAME_COMMAND(IOMMU_IOAS_UNMAP);
SAME_SIZE(iommu_ioas_unmap);
SAME_PLACE(iommu_ioas_unmap, ioas_id);
SAME_PLACE(iommu_ioas_unmap, iova);
SAME_PLACE(iommu_ioas_unmap, length);
#endif

#ifdef IOMMU_FAULT_QUEUE_ALLOC
/* HWPT_ALLOC got its last fields along with the fault queues */
SAME_COMMAND(IOMMU_HWPT_ALLOC);
_Static_assert(ABI_IOMMU_HWPT_FAULT_ID_VALID == IOMMU_HWPT_FAULT_ID_VALID, "fault id");
SAME_SIZE(iommu_hwpt_alloc);
SAME_PLACE(iommu_hwpt_alloc, flags);
SAME_PLACE(iommu_hwpt_alloc, dev_id);
SAME_PLACE(iommu_hwpt_alloc, pt_id);
SAME_PLACE(iommu_hwpt_alloc, out_hwpt_id);
SAME_PLACE(iommu_hwpt_alloc, data_type);
SAME_PLACE(iommu_hwpt_alloc, data_len);
SAME_PLACE(iommu_hwpt_alloc, data_uptr);
SAME_PLACE(iommu_hwpt_alloc, fault_id);

SAME_COMMAND(IOMMU_FAULT_QUEUE_ALLOC);
SAME_SIZE(iommu_fault_alloc);
SAME_PLACE(iommu_fault_alloc, flags);
SAME_PLACE(iommu_fault_alloc, out_fault_id);
SAME_PLACE(iommu_fault_alloc, out_fault_fd);

_Static_assert(ABI_IOMMU_PGFAULT_FLAGS_PASID_VALID == IOMMU_PGFAULT_FLAGS_PASID_VALID, "pasid");
_Static_assert(ABI_IOMMU_PGFAULT_FLAGS_LAST_PAGE == IOMMU_PGFAULT_FLAGS_LAST_PAGE, "last page");
_Static_assert(ABI_IOMMU_PGFAULT_PERM_READ == IOMMU_PGFAULT_PERM_READ, "read");
_Static_assert(ABI_IOMMU_PGFAULT_PERM_WRITE == IOMMU_PGFAULT_PERM_WRITE, "write");
_Static_assert(ABI_IOMMU_PGFAULT_PERM_EXEC == IOMMU_PGFAULT_PERM_EXEC, "exec");
_Static_assert(ABI_IOMMU_PGFAULT_PERM_PRIV == IOMMU_PGFAULT_PERM_PRIV, "priv");
SAME_SIZE(iommu_hwpt_pgfault);
SAME_PLACE(iommu_hwpt_pgfault, flags);
SAME_PLACE(iommu_hwpt_pgfault, dev_id);
SAME_PLACE(iommu_hwpt_pgfault, pasid);
SAME_PLACE(iommu_hwpt_pgfault, grpid);
SAME_PLACE(iommu_hwpt_pgfault, perm);
SAME_PLACE(iommu_hwpt_pgfault, addr);
SAME_PLACE(iommu_hwpt_pgfault, length);
SAME_PLACE(iommu_hwpt_pgfault, cookie);

_Static_assert(ABI_IOMMUFD_PAGE_RESP_SUCCESS == IOMMUFD_PAGE_RESP_SUCCESS, "success");
_Static_assert(ABI_IOMMUFD_PAGE_RESP_INVALID == IOMMUFD_PAGE_RESP_INVALID, "invalid");
SAME_SIZE(iommu_hwpt_page_response);
SAME_PLACE(iommu_hwpt_page_response, cookie);
SAME_PLACE(iommu_hwpt_page_response, code);
#endif

#ifdef VFIO_DEVICE_BIND_IOMMUFD
SAME_COMMAND(VFIO_DEVICE_BIND_IOMMUFD);
SAME_PLACE(vfio_device_bind_iommufd, flags);
SAME_PLACE(vfio_device_bind_iommufd, iommufd);
SAME_PLACE(vfio_device_bind_iommufd, out_devid);
#endif

#ifdef VFIO_DEVICE_BIND_FLAG_TOKEN
SAME_COMMAND(VFIO_DEVICE_BIND_FLAG_TOKEN);
SAME_SIZE(vfio_device_bind_iommufd);
SAME_PLACE(vfio_device_bind_iommufd, token_uuid_ptr);
#endif

#ifdef VFIO_DEVICE_ATTACH_IOMMUFD_PT
SAME_COMMAND(VFIO_DEVICE_ATTACH_IOMMUFD_PT);
SAME_PLACE(vfio_device_attach_iommufd_pt, flags);
SAME_PLACE(vfio_device_attach_iommufd_pt, pt_id);
SAME_COMMAND(VFIO_DEVICE_DETACH_IOMMUFD_PT);
SAME_PLACE(vfio_device_detach_iommufd_pt, flags);
#endif

#ifdef VFIO_DEVICE_FEATURE_DMA_BUF
SAME_COMMAND(VFIO_DEVICE_FEATURE_DMA_BUF);
SAME_SIZE(vfio_region_dma_range);
SAME_PLACE(vfio_region_dma_range, length);
SAME_SIZE(vfio_device_feature_dma_buf);
SAME_PLACE(vfio_device_feature_dma_buf, region_index);
SAME_PLACE(vfio_device_feature_dma_buf, open_flags);
SAME_PLACE(vfio_device_feature_dma_buf, nr_ranges);
#endif

/* As kernels from 6.2 to 7.3 have them, for build hosts whose headers say nothing or less. */
#define COMMAND(name, value) _Static_assert(ABI_##name == (value), #name)
#define SIZE(name, value) _Static_assert(sizeof(struct abi_##name) == (value), #name)
#define AT(name, field, value) \
	_Static_assert(offsetof(struct abi_##name, field) == (value), #name "." #field)

COMMAND(IOMMU_DESTROY, 0x3b80);
COMMAND(IOMMU_IOAS_ALLOC, 0x3b81);
COMMAND(IOMMU_IOAS_IOVA_RANGES, 0x3b84);
COMMAND(IOMMU_IOAS_MAP, 0x3b85);
COMMAND(IOMMU_IOAS_MAP_FILE, 0x3b8f);
COMMAND(IOMMU_IOAS_UNMAP, 0x3b86);
COMMAND(IOMMU_HWPT_ALLOC, 0x3b89);
COMMAND(IOMMU_FAULT_QUEUE_ALLOC, 0x3b8e);
COMMAND(VFIO_DEVICE_BIND_IOMMUFD, 0x3b76);
COMMAND(VFIO_DEVICE_ATTACH_IOMMUFD_PT, 0x3b77);
COMMAND(VFIO_DEVICE_DETACH_IOMMUFD_PT, 0x3b78);

AT(iommu_destroy, size, 0);
AT(iommu_destroy, id, 4);
SIZE(iommu_destroy, 8);

AT(iommu_ioas_alloc, size, 0);
AT(iommu_ioas_alloc, flags, 4);
AT(iommu_ioas_alloc, out_ioas_id, 8);
SIZE(iommu_ioas_alloc, 12);

AT(iommu_iova_range, start, 0);
AT(iommu_iova_range, last, 8);
SIZE(iommu_iova_range, 16);

AT(iommu_ioas_iova_ranges, size, 0);
AT(iommu_ioas_iova_ranges, ioas_id, 4);
AT(iommu_ioas_iova_ranges, num_iovas, 8);
AT(iommu_ioas_iova_ranges, allowed_iovas, 16);
AT(iommu_ioas_iova_ranges, out_iova_alignment, 24);
SIZE(iommu_ioas_iova_ranges, 32);

AT(iommu_ioas_map, size, 0);
AT(iommu_ioas_map, flags, 4);
AT(iommu_ioas_map, ioas_id, 8);
AT(iommu_ioas_map, user_va, 16);
AT(iommu_ioas_map, length, 24);
AT(iommu_ioas_map, iova, 32);
SIZE(iommu_ioas_map, 40);

AT(iommu_ioas_map_file, size, 0);
AT(iommu_ioas_map_file, flags, 4);
AT(iommu_ioas_map_file, ioas_id, 8);
AT(iommu_ioas_map_file, fd, 12);
AT(iommu_ioas_map_file, start, 16);
AT(iommu_ioas_map_file, length, 24);
AT(iommu_ioas_map_file, iova, 32);
SIZE(iommu_ioas_map_file, 40);

AT(iommu_ioas_unmap, size, 0);
AT(iommu_ioas_unmap, ioas_id, 4);
AT(iommu_ioas_unmap, iova, 8);
AT(iommu_ioas_unmap, length, 16);
SIZE(iommu_ioas_unmap, 24);

AT(iommu_hwpt_alloc, size, 0);
AT(iommu_hwpt_alloc, flags, 4);
AT(iommu_hwpt_alloc, dev_id, 8);
AT(iommu_hwpt_alloc, pt_id, 12);
AT(iommu_hwpt_alloc, out_hwpt_id, 16);
AT(iommu_hwpt_alloc, data_type, 24);
AT(iommu_hwpt_alloc, data_len, 28);
AT(iommu_hwpt_alloc, data_uptr, 32);
/* 40 bytes until 6.10 */
AT(iommu_hwpt_alloc, fault_id, 40);
SIZE(iommu_hwpt_alloc, 48);

AT(iommu_fault_alloc, size, 0);
AT(iommu_fault_alloc, flags, 4);
AT(iommu_fault_alloc, out_fault_id, 8);
AT(iommu_fault_alloc, out_fault_fd, 12);
SIZE(iommu_fault_alloc, 16);

AT(iommu_hwpt_pgfault, flags, 0);
AT(iommu_hwpt_pgfault, dev_id, 4);
AT(iommu_hwpt_pgfault, pasid, 8);
AT(iommu_hwpt_pgfault, grpid, 12);
AT(iommu_hwpt_pgfault, perm, 16);
AT(iommu_hwpt_pgfault, addr, 24);
AT(iommu_hwpt_pgfault, length, 32);
AT(iommu_hwpt_pgfault, cookie, 36);
SIZE(iommu_hwpt_pgfault, 40);

AT(iommu_hwpt_page_response, cookie, 0);
AT(iommu_hwpt_page_response, code, 4);
SIZE(iommu_hwpt_page_response, 8);

AT(vfio_device_bind_iommufd, argsz, 0);
AT(vfio_device_bind_iommufd, flags, 4);
AT(vfio_device_bind_iommufd, iommufd, 8);
AT(vfio_device_bind_iommufd, out_devid, 12);
/* 16 bytes until 6.16 */
AT(vfio_device_bind_iommufd, token_uuid_ptr, 16);
SIZE(vfio_device_bind_iommufd, 24);

AT(vfio_device_attach_iommufd_pt, argsz, 0);
AT(vfio_device_attach_iommufd_pt, flags, 4);
AT(vfio_device_attach_iommufd_pt, pt_id, 8);
SIZE(vfio_device_attach_iommufd_pt, 12);

AT(vfio_device_detach_iommufd_pt, argsz, 0);
AT(vfio_device_detach_iommufd_pt, flags, 4);
SIZE(vfio_device_detach_iommufd_pt, 8);

AT(vfio_region_dma_range, offset, 0);
AT(vfio_region_dma_range, length, 8);
SIZE(vfio_region_dma_range, 16);

AT(vfio_device_feature_dma_buf, region_index, 0);
AT(vfio_device_feature_dma_buf, open_flags, 4);
AT(vfio_device_feature_dma_buf, flags, 8);
AT(vfio_device_feature_dma_buf, nr_ranges, 12);
AT(vfio_device_feature_dma_buf, dma_ranges, 16);
SIZE(vfio_device_feature_dma_buf, 16);
