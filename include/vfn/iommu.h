/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Address spaces: memory that devices can reach. */
#ifndef VFN_IOMMU_H
#define VFN_IOMMU_H

#include <vfn/iommu/context.h>
#include <vfn/iommu/dma.h>
#include <vfn/iommu/dmabuf.h>

#endif /* VFN_IOMMU_H */
