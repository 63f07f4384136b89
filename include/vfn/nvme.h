/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* NVMe controllers: queues, requests, data pointers, admin helpers. */
#ifndef VFN_NVME_H
#define VFN_NVME_H

#include <vfn/support.h>
#include <vfn/trace.h>
#include <vfn/trace/events.h>
#include <vfn/iommu.h>
#include <vfn/vfio.h>
#include <vfn/nvme/types.h>
#include <vfn/nvme/queue.h>
#include <vfn/nvme/recover.h>
#include <vfn/nvme/ctrl.h>
#include <vfn/nvme/cmb.h>
#include <vfn/nvme/pmr.h>
#include <vfn/nvme/util.h>
#include <vfn/nvme/rq.h>
#include <vfn/nvme/io.h>
#include <vfn/nvme/pi.h>

#endif /* VFN_NVME_H */
