/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What <linux/iommufd.h> of Linux 6.2 and later defines under a name that is ours, too; for build hosts without it. */
#ifndef TESTS_LINUX_IOMMUFD_H
#define TESTS_LINUX_IOMMUFD_H

#include <linux/types.h>

struct iommu_iova_range {
	__aligned_u64 start;
	__aligned_u64 last;
};

#define IOMMU_IOAS_IOVA_RANGES 0x3b84

#endif /* TESTS_LINUX_IOMMUFD_H */
