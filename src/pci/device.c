// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Find and describe PCI functions. */
#include <vfn/pci/device.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vfn/pci/util.h>

#include "pci/sysfs.h"
#include "support/error.h"

static char *read_attribute(const char *bdf, const char *attr)
{
	__autostr path = vfn_sysfs_format(SYS_DEVICES "/%s/%s", bdf, attr);

	return path ? vfn_sysfs_read(path) : NULL;
}

/* Not every kernel and platform has every attribute: an absent one is 0. */
static int read_optional(const char *bdf, const char *attr, unsigned long long *v)
{
	__autostr text = read_attribute(bdf, attr);

	*v = 0;
	if (!text)
		return errno == ENOENT ? 0 : -1;

	return vfn_sysfs_parse_ull(text, v);
}

static int read_ids(struct vfn_pci_info *info)
{
	unsigned long long vendor, device, classcode, subvendor, subdevice, revision;

	if (pci_device_info_get_ull(info->bdf, "vendor", &vendor) ||
	    pci_device_info_get_ull(info->bdf, "device", &device) ||
	    pci_device_info_get_ull(info->bdf, "class", &classcode) ||
	    read_optional(info->bdf, "subsystem_vendor", &subvendor) ||
	    read_optional(info->bdf, "subsystem_device", &subdevice) ||
	    read_optional(info->bdf, "revision", &revision))
		return -1;

	info->vendor = (uint16_t)vendor;
	info->device = (uint16_t)device;
	info->classcode = (uint32_t)classcode;
	info->subsystem_vendor = (uint16_t)subvendor;
	info->subsystem_device = (uint16_t)subdevice;
	info->revision = (uint8_t)revision;

	return 0;
}

static int read_place(struct vfn_pci_info *info)
{
	__autostr node = read_attribute(info->bdf, "numa_node");

	if (!node && errno != ENOENT)
		return -1;

	/* the kernel's word for "none" is -1 */
	info->numa_node = node ? atoi(node) : -1;

	info->iommu_group = vfn_pci_group_number(info->bdf);

	return info->iommu_group < 0 && errno != ENOENT ? -1 : 0;
}

int vfn_pci_read_override(const char *bdf, char **override)
{
	__autostr text = read_attribute(bdf, "driver_override");

	*override = NULL;
	if (!text)
		return errno == ENOENT ? 0 : -1;

	/* the kernel prints a null pointer where there is none */
	if (!*text || !strcmp(text, "(null)"))
		return 0;

	*override = text;
	text = NULL;

	return 0;
}

static int read_driver(struct vfn_pci_info *info)
{
	info->driver = vfn_pci_driver_name(info->bdf);
	if (!info->driver && errno != ENOENT)
		return -1;

	return vfn_pci_read_override(info->bdf, &info->driver_override);
}

/* One line per region: first address, last address, flags. */
static int read_bars(struct vfn_pci_info *info)
{
	__autostr text = read_attribute(info->bdf, "resource");
	char *s = text;

	if (!text)
		return errno == ENOENT ? 0 : -1;

	for (int i = 0; i < VFN_PCI_NUM_BARS; i++) {
		struct vfn_pci_bar *bar = &info->bars[i];
		uint64_t last;

		bar->start = strtoull(s, &s, 16);
		last = strtoull(s, &s, 16);
		bar->flags = strtoull(s, &s, 16);
		bar->size = bar->flags && last >= bar->start ? last - bar->start + 1 : 0;
	}

	return 0;
}

static int count_vector(const char *name, void *arg)
{
	struct vfn_pci_info *info = arg;
	__autostr path = NULL, mode = NULL;

	if (!info->nr_vectors++) {
		path = vfn_sysfs_format(SYS_DEVICES "/%s/msi_irqs/%s", info->bdf, name);
		mode = path ? vfn_sysfs_read(path) : NULL;
		if (!mode)
			return -1;
		info->msix = !strcmp(mode, "msix");
	}

	return 0;
}

static int read_irqs(struct vfn_pci_info *info)
{
	__autostr path = vfn_sysfs_format(SYS_DEVICES "/%s/msi_irqs", info->bdf);
	unsigned long long irq;

	if (!path || read_optional(info->bdf, "irq", &irq))
		return -1;

	info->irq = (unsigned int)irq;

	return vfn_sysfs_list(path, count_vector, info);
}

int vfn_pci_get_info(const char *bdf, struct vfn_pci_info *info)
{
	int err;

	memset(info, 0, sizeof(*info));

	if (vfn_pci_find(bdf, info->bdf))
		goto zero;

	if (!read_ids(info) && !read_place(info) && !read_driver(info) && !read_bars(info) &&
	    !read_irqs(info))
		return 0;

	err = errno;
	vfn_fail(err, "%s: cannot describe the device: %s", info->bdf, strerror(err));
zero:
	vfn_pci_put_info(info);
	return -1;
}

void vfn_pci_put_info(struct vfn_pci_info *info)
{
	int saved = errno;

	free(info->driver);
	free(info->driver_override);
	memset(info, 0, sizeof(*info));
	errno = saved;
}

struct visit {
	const char *bdf;
	int (*device)(const char *bdf, void *arg);
	int (*member)(const char *bdf, const char *driver, void *arg);
	void *arg;
};

static int visit_device(const char *name, void *arg)
{
	struct visit *visit = arg;
	char bdf[VFN_PCI_BDF_LEN];

	return vfn_pci_parse_bdf(name, bdf) ? 0 : visit->device(bdf, visit->arg);
}

int vfn_pci_for_each_device(int (*fn)(const char *bdf, void *arg), void *arg)
{
	struct visit visit = { .device = fn, .arg = arg };

	return vfn_sysfs_list(SYS_DEVICES, visit_device, &visit);
}

static int visit_member(const char *name, void *arg)
{
	struct visit *visit = arg;
	char bdf[VFN_PCI_BDF_LEN];
	__autostr driver = NULL;

	if (vfn_pci_parse_bdf(name, bdf) || !strcmp(bdf, visit->bdf))
		return 0;

	driver = vfn_pci_driver_name(bdf);
	if (!driver && errno != ENOENT)
		return vfn_fail(errno, "%s: cannot read the driver: %s", bdf, strerror(errno));

	return visit->member(bdf, driver, visit->arg);
}

int vfn_pci_group_members(const char *bdf,
			  int (*fn)(const char *member_bdf, const char *driver, void *arg),
			  void *arg)
{
	struct visit visit = { .member = fn, .arg = arg };
	__autostr group = pci_get_iommu_group(bdf);
	__autostr path = NULL;
	char id[VFN_PCI_BDF_LEN];

	if (!group || vfn_pci_check_bdf(bdf, id))
		return -1;

	visit.bdf = id;
	path = vfn_sysfs_format("/sys/kernel/iommu_groups%s/devices", strrchr(group, '/'));
	if (!path)
		return vfn_fail(errno, "%s: %s", id, strerror(errno));

	return vfn_sysfs_list(path, visit_member, &visit);
}
