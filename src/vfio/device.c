// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* What any VFIO device has. */
#include "vfio/device.h"

#include <errno.h>
#include <string.h>

#include "iommu/context.h"
#include "os/os.h"
#include "support/error.h"

int vfio_read_device_info(struct vfio_device *dev, const char *name)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	if (os_ioctl(dev->fd, VFIO_DEVICE_GET_INFO, &info))
		return vfn_fail(errno, "%s: cannot read the device's properties: %s", name,
				strerror(errno));

	dev->device_info = info;

	return 0;
}

int vfio_read_region_info(struct vfio_device *dev, const char *name, unsigned int index,
			  struct vfio_region_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	info->index = index;

	if (os_ioctl(dev->fd, VFIO_DEVICE_GET_REGION_INFO, info))
		return vfn_fail(errno, "%s: cannot read the properties of region %u: %s", name,
				index, strerror(errno));

	return 0;
}

int vfio_reset(struct vfio_device *dev)
{
	if (iommu_check_process(dev->ctx))
		return -1;
	if (!(dev->device_info.flags & VFIO_DEVICE_FLAGS_RESET))
		return vfn_fail(ENOTSUP, "the device cannot be reset");

	if (os_ioctl(dev->fd, VFIO_DEVICE_RESET, NULL))
		return vfn_fail(errno, "cannot reset the device: %s", strerror(errno));

	return 0;
}
