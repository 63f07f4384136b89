// SPDX-License-Identifier: GPL-2.0-or-later
/* What list and show both say about a device, as JSON. */
#include "json.h"
#include "vfntool.h"

#include <stdlib.h>

static int json_member(const char *bdf, const char *driver, void *arg)
{
	json_open(arg, NULL, '{');
	json_string(arg, "bdf", bdf);
	json_string(arg, "driver", driver);
	json_close(arg, '}');

	return 0;
}

static int json_block(const char *name, const char *use, void *arg)
{
	json_open(arg, NULL, '{');
	json_string(arg, "name", name);
	json_string(arg, "use", use);
	json_close(arg, '}');

	return 0;
}

int json_device(struct json *j, const struct vfn_pci_info *info)
{
	char *vendor = vendor_name(info->vendor);
	char *device = device_name(info->vendor, info->device);
	int ret = 0;

	json_string(j, "bdf", info->bdf);
	json_hex(j, "vendor", 4, info->vendor);
	json_string(j, "vendor_name", vendor);
	json_hex(j, "device", 4, info->device);
	json_string(j, "device_name", device);
	free(vendor);
	free(device);

	json_string(j, "driver", info->driver);
	json_optional(j, "numa_node", info->numa_node);
	json_optional(j, "iommu_group", info->iommu_group);

	json_open(j, "group_members", '[');
	if (info->iommu_group >= 0)
		ret = vfn_pci_group_members(info->bdf, json_member, j);
	json_close(j, ']');
	if (ret)
		return ret;

	json_open(j, "block_devices", '[');
	ret = vfn_pci_for_each_block(info->bdf, json_block, j);
	json_close(j, ']');

	return ret;
}
