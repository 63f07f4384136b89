// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Single steps on sysfs: bind, unbind, read an attribute, follow a link. */
#include <vfn/pci/util.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/os.h"
#include "pci/sysfs.h"
#include "support/error.h"

int vfn_pci_check_bdf(const char *s, char bdf[VFN_PCI_BDF_LEN])
{
	if (!vfn_pci_parse_bdf(s, bdf))
		return 0;

	return vfn_fail(EINVAL, "'%.40s' is no PCI address: write it as 0000:01:00.0", s ? s : "");
}

int vfn_pci_find(const char *s, char bdf[VFN_PCI_BDF_LEN])
{
	char path[sizeof(SYS_DEVICES) + VFN_PCI_BDF_LEN];

	if (vfn_pci_check_bdf(s, bdf))
		return -1;

	snprintf(path, sizeof(path), SYS_DEVICES "/%s", bdf);
	if (!os_access(path, F_OK))
		return 0;

	if (errno == ENOENT)
		return vfn_fail(ENODEV, "%s: no such PCI device: see vfntool list --all", bdf);

	return vfn_fail(errno, "%s: %s: %s", bdf, path, strerror(errno));
}

static int check_driver(const char *driver)
{
	if (vfn_sysfs_is_name(driver))
		return 0;

	return vfn_fail(EINVAL, "'%.40s' is no name of a driver", driver ? driver : "");
}

char *vfn_pci_driver_name(const char *bdf)
{
	__autostr path = vfn_sysfs_format(SYS_DEVICES "/%s/driver", bdf);

	return path ? vfn_sysfs_link_name(path) : NULL;
}

int vfn_pci_group_number(const char *bdf)
{
	__autostr path = vfn_sysfs_format(SYS_DEVICES "/%s/iommu_group", bdf);
	__autostr name = path ? vfn_sysfs_link_name(path) : NULL;
	unsigned long long group;

	if (!name || vfn_sysfs_parse_ull(name, &group))
		return -1;
	if (group > INT_MAX) {
		errno = ERANGE;
		return -1;
	}

	return (int)group;
}

int pci_bind(const char *bdf, const char *driver)
{
	char id[VFN_PCI_BDF_LEN];
	__autostr path = NULL;

	if (vfn_pci_find(bdf, id) || check_driver(driver))
		return -1;

	path = vfn_sysfs_format(SYS_DRIVERS "/%s/bind", driver);
	if (path && !vfn_sysfs_write(path, id))
		return 0;

	if (errno == ENOENT)
		return vfn_fail(ENOENT, "%s: driver %s is not loaded: modprobe %s", id, driver,
				driver);

	return vfn_fail(errno, "%s: cannot bind to %s: %s", id, driver, strerror(errno));
}

int pci_unbind(const char *bdf)
{
	char id[VFN_PCI_BDF_LEN];
	__autostr path = NULL;

	if (vfn_pci_find(bdf, id))
		return -1;

	path = vfn_sysfs_format(SYS_DEVICES "/%s/driver/unbind", id);
	if (path && !vfn_sysfs_write(path, id))
		return 0;

	if (errno == ENOENT)
		return vfn_fail(ENOENT, "%s: no driver is bound", id);

	return vfn_fail(errno, "%s: cannot unbind: %s", id, strerror(errno));
}

static int write_ids(const char *driver, const char *attr, uint16_t vid, uint16_t did)
{
	__autostr path = NULL;
	char ids[sizeof("ffff ffff")];

	if (check_driver(driver))
		return -1;

	snprintf(ids, sizeof(ids), "%04x %04x", vid, did);

	path = vfn_sysfs_format(SYS_DRIVERS "/%s/%s", driver, attr);
	if (path && !vfn_sysfs_write(path, ids))
		return 0;

	return vfn_fail(errno, "driver %s: cannot write '%s' to %s: %s", driver, ids, attr,
			strerror(errno));
}

int pci_driver_new_id(const char *driver, uint16_t vid, uint16_t did)
{
	return write_ids(driver, "new_id", vid, did);
}

int pci_driver_remove_id(const char *driver, uint16_t vid, uint16_t did)
{
	return write_ids(driver, "remove_id", vid, did);
}

int pci_device_info_get_ull(const char *bdf, const char *prop, unsigned long long *v)
{
	__autostr path = NULL, text = NULL;
	char id[VFN_PCI_BDF_LEN];

	if (vfn_pci_find(bdf, id))
		return -1;
	if (!prop || !*prop)
		return vfn_fail(EINVAL, "%s: no attribute named", id);

	path = vfn_sysfs_format(SYS_DEVICES "/%s/%s", id, prop);
	text = path ? vfn_sysfs_read(path) : NULL;
	if (!text)
		return vfn_fail(errno, "%s: cannot read %s: %s", id, prop, strerror(errno));

	if (vfn_sysfs_parse_ull(text, v))
		return vfn_fail(errno, "%s: %s is no number: '%.40s'", id, prop, text);

	return 0;
}

char *pci_get_driver(const char *bdf)
{
	char id[VFN_PCI_BDF_LEN];
	char *name;

	if (vfn_pci_find(bdf, id))
		return NULL;

	name = vfn_pci_driver_name(id);
	if (!name && errno == ENOENT)
		vfn_fail(ENOENT, "%s: no driver is bound", id);
	else if (!name)
		vfn_fail(errno, "%s: cannot read the driver: %s", id, strerror(errno));

	return name;
}

char *pci_get_iommu_group(const char *bdf)
{
	char id[VFN_PCI_BDF_LEN];
	char *path = NULL;
	int group;

	if (vfn_pci_find(bdf, id))
		return NULL;

	group = vfn_pci_group_number(id);
	if (group < 0 && errno == ENOENT) {
		vfn_fail(ENODEV, "%s has no IOMMU group: boot with intel_iommu=on or amd_iommu=on",
			 id);
		return NULL;
	}

	if (group >= 0)
		path = vfn_sysfs_format("/dev/vfio/%d", group);
	if (!path)
		vfn_fail(errno, "%s: cannot read the IOMMU group: %s", id, strerror(errno));

	return path;
}

static int take_name(const char *name, void *arg)
{
	char **result = arg;

	*result = vfn_sysfs_copy(name, strlen(name));

	return *result ? 1 : -1;
}

char *pci_get_device_vfio_id(const char *bdf)
{
	char id[VFN_PCI_BDF_LEN];
	__autostr path = NULL;
	char *name = NULL;

	if (vfn_pci_find(bdf, id))
		return NULL;

	path = vfn_sysfs_format(SYS_DEVICES "/%s/vfio-dev", id);
	if (!path || vfn_sysfs_list(path, take_name, &name) < 0)
		vfn_fail(errno, "%s: cannot read vfio-dev: %s", id, strerror(errno));
	else if (!name)
		vfn_fail(ENOENT, "%s has no VFIO device file: that takes vfio-pci and Linux 6.6",
			 id);

	return name;
}
