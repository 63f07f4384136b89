// SPDX-License-Identifier: GPL-2.0-or-later
/* /sys/bus/pci: devices, drivers and how they come together, as Linux does it. */
#include "emu_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUS "/sys/bus/pci"
#define DEVICES "/sys/devices/pci0000:00"
#define MAX_IDS 16
#define PATH_LEN 256
#define FIRST_OWN_GROUP 100

struct pci_driver {
	char *name;
	uint32_t classcode;
	struct {
		uint16_t vendor, device;
	} ids[MAX_IDS];
	unsigned int nids;
	struct pci_driver *next;
};

static struct pci_driver *drivers;
static unsigned int next_group, next_nvme;

/* A path made of @fmt, in a buffer of the caller's. */
__attribute__((format(printf, 2, 3))) static const char *path_of(char *buf, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, PATH_LEN, fmt, ap);
	va_end(ap);

	return buf;
}

/* A link at @path to the target @dir/@name. */
static void link_to(const char *path, const char *dir, const char *name)
{
	char target[PATH_LEN];

	path_of(target, "%s%s", dir, name);
	fs_set(fs_make(path, NODE_LINK), target, strlen(target));
}

static struct pci_driver *find_driver(const char *name)
{
	for (struct pci_driver *d = drivers; d; d = d->next) {
		if (!strcmp(d->name, name))
			return d;
	}

	return NULL;
}

static bool is_vfio(const struct pci_driver *drv)
{
	return drv && !strcmp(drv->name, "vfio-pci");
}

bool pci_bound_to_vfio(struct emu_pci *pci)
{
	return is_vfio(pci->driver);
}

const char *sysfs_driver_name(struct emu_pci *pci)
{
	return pci->driver ? pci->driver->name : "";
}

/* ----------------------------------------------- what a bound driver makes */

static void update_group_node(struct vfio_group *group)
{
	char path[PATH_LEN];
	bool wanted = false;

	if (!group)
		return;
	for (struct emu_pci *p = emu_pcis; p; p = p->next)
		wanted |= p->group == group && pci_bound_to_vfio(p);

	snprintf(path, sizeof(path), "/dev/vfio/%u", group->id);
	if (wanted)
		fs_device(path, vfio_open_group, group, NULL);
	else
		fs_remove(path);
}

static bool has_vfio_index(unsigned int n, const struct emu_pci *but)
{
	for (struct emu_pci *p = emu_pcis; p; p = p->next) {
		if (p != but && pci_bound_to_vfio(p) && p->vfio_index == n)
			return true;
	}

	return false;
}

static void add_vfio_dev(struct emu_pci *pci)
{
	char at[PATH_LEN], path[PATH_LEN];
	unsigned int n = 0;

	while (has_vfio_index(n, pci))
		n++;
	pci->vfio_index = n;
	path_of(at, DEVICES "/%s/vfio-dev", pci->bdf);
	fs_make(at, NODE_DIR)->absent = iommu_no_iommufd;
	path_of(at, DEVICES "/%s/vfio-dev/vfio%u", pci->bdf, n);
	fs_make(at, NODE_DIR);
	fs_printf(path_of(path, "%s/dev", at), "511:%u\n", n)->absent = iommu_no_cdev;
	path_of(path, "/sys/class/vfio-dev/vfio%u", n);
	fs_set(fs_make(path, NODE_LINK), at, strlen(at));
	fs_device(path_of(path, "/dev/vfio/devices/vfio%u", n), cdev_open, pci, iommu_no_cdev);
}

static void remove_vfio_dev(struct emu_pci *pci)
{
	char path[PATH_LEN];

	fs_remove(path_of(path, "/dev/vfio/devices/vfio%u", pci->vfio_index));
	fs_remove(path_of(path, "/sys/class/vfio-dev/vfio%u", pci->vfio_index));
	fs_remove(path_of(path, DEVICES "/%s/vfio-dev", pci->bdf));
}

static void nvme_names(struct emu_pci *pci, char *ctrl, char *disk)
{
	snprintf(ctrl, 16, "nvme%u", pci->nvme_index);
	snprintf(disk, 16, "nvme%un1", pci->nvme_index);
}

static void add_disk(struct emu_pci *pci)
{
	char ctrl[16], disk[16], path[PATH_LEN], at[PATH_LEN];

	pci->nvme_index = next_nvme++;
	nvme_names(pci, ctrl, disk);
	snprintf(at, sizeof(at), DEVICES "/%s/nvme/%s/%s", pci->bdf, ctrl, disk);
	fs_printf(path_of(path, "%s/dev", at), "259:%u\n", pci->nvme_index);
	fs_printf(path_of(path, "%s/size", at), "65536\n");
	fs_make(path_of(path, "%s/holders", at), NODE_DIR);
	fs_make(path_of(path, "%s/slaves", at), NODE_DIR);

	fs_set(fs_make(path_of(path, "/sys/block/%s", disk), NODE_LINK), at, strlen(at));
	fs_set(fs_make(path_of(path, "/sys/class/block/%s", disk), NODE_LINK), at, strlen(at));
	fs_printf(path_of(path, "/dev/%s", disk), "%s", "");
	fs_printf(path_of(path, "/dev/%s", ctrl), "%s", "");
}

static void remove_disk(struct emu_pci *pci)
{
	char ctrl[16], disk[16], path[PATH_LEN];

	nvme_names(pci, ctrl, disk);
	fs_remove(path_of(path, "/sys/block/%s", disk));
	fs_remove(path_of(path, "/sys/class/block/%s", disk));
	fs_remove(path_of(path, "/dev/%s", disk));
	fs_remove(path_of(path, "/dev/%s", ctrl));
	fs_remove(path_of(path, DEVICES "/%s/nvme", pci->bdf));
}

/* -------------------------------------------------------- bind and unbind */

static bool driver_matches(const struct pci_driver *drv, const struct emu_pci *pci)
{
	if (pci->override)
		return !strcmp(pci->override, drv->name);
	for (unsigned int i = 0; i < drv->nids; i++) {
		if (drv->ids[i].vendor == pci->opts.vendor &&
		    drv->ids[i].device == pci->opts.device)
			return true;
	}

	return drv->classcode && drv->classcode == pci->opts.classcode;
}

static int probe(struct pci_driver *drv, struct emu_pci *pci)
{
	char path[PATH_LEN];

	if (pci->driver)
		return -EBUSY;
	if (is_vfio(drv) && !pci->group)
		return -EINVAL;
	if (!is_vfio(drv) && pci->group && (pci->group->container || pci->group->cdevs))
		return -EBUSY;

	pci->driver = drv;
	link_to(path_of(path, DEVICES "/%s/driver", pci->bdf), "../../../bus/pci/drivers/",
		drv->name);
	link_to(path_of(path, BUS "/drivers/%s/%s", drv->name, pci->bdf),
		"../../../../devices/pci0000:00/", pci->bdf);
	if (is_vfio(drv)) {
		update_group_node(pci->group);
		add_vfio_dev(pci);
	}
	if (!strcmp(drv->name, "nvme"))
		add_disk(pci);

	return 0;
}

static int detach(struct emu_pci *pci)
{
	struct pci_driver *drv = pci->driver;
	char path[PATH_LEN];

	if (pci->open || pci->files) {
		emu_report("%s: unbind of an open device would block", pci->bdf);
		return -EBUSY;
	}
	if (is_vfio(drv) && sriov_remove_all(pci))
		return -EBUSY;
	pci->driver = NULL;
	fs_remove(path_of(path, DEVICES "/%s/driver", pci->bdf));
	fs_remove(path_of(path, BUS "/drivers/%s/%s", drv->name, pci->bdf));
	if (is_vfio(drv)) {
		update_group_node(pci->group);
		remove_vfio_dev(pci);
	}
	if (!strcmp(drv->name, "nvme"))
		remove_disk(pci);

	return 0;
}

/* A virtual function is left alone if its physical one says so, unless there is an override. */
void sysfs_probe(struct emu_pci *pci)
{
	if (pci->physfn && pci->physfn->vfs_not_probed && !pci->override)
		return;
	for (struct pci_driver *d = drivers; d && !pci->driver; d = d->next) {
		if (driver_matches(d, pci))
			probe(d, pci);
	}
}

int sysfs_remove(struct emu_pci *pci)
{
	char path[PATH_LEN];
	int ret = pci->driver ? detach(pci) : 0;

	if (ret)
		return ret;
	fs_remove(path_of(path, BUS "/devices/%s", pci->bdf));
	fs_remove(path_of(path, DEVICES "/%s", pci->bdf));
	if (pci->group)
		fs_remove(path_of(path, "/sys/kernel/iommu_groups/%u/devices/%s", pci->group->id,
				  pci->bdf));

	return 0;
}

static int store_bind(void *priv, const char *text)
{
	struct emu_pci *pci = pci_find(text);

	return pci && driver_matches(priv, pci) ? probe(priv, pci) : -ENODEV;
}

static int store_driver_unbind(void *priv, const char *text)
{
	struct emu_pci *pci = pci_find(text);

	return pci && pci->driver == priv ? detach(pci) : -ENODEV;
}

static int store_drivers_probe(void *priv, const char *text)
{
	struct emu_pci *pci = pci_find(text);

	(void)priv;
	if (!pci)
		return -ENODEV;
	sysfs_probe(pci);

	return 0;
}

static int parse_id(const char *text, uint16_t *vendor, uint16_t *device)
{
	unsigned int v, d;

	if (sscanf(text, "%x %x", &v, &d) != 2)
		return -EINVAL;
	*vendor = v;
	*device = d;

	return 0;
}

static int find_id(const struct pci_driver *drv, uint16_t vendor, uint16_t device)
{
	for (unsigned int i = 0; i < drv->nids; i++) {
		if (drv->ids[i].vendor == vendor && drv->ids[i].device == device)
			return i;
	}

	return -1;
}

static int store_new_id(void *priv, const char *text)
{
	struct pci_driver *drv = priv;
	uint16_t vendor, device;

	if (parse_id(text, &vendor, &device))
		return -EINVAL;
	if (find_id(drv, vendor, device) >= 0)
		return -EEXIST;
	if (drv->nids == MAX_IDS)
		return -ENOMEM;
	drv->ids[drv->nids].vendor = vendor;
	drv->ids[drv->nids++].device = device;

	/* every unbound device that matches, not just the one that was meant */
	for (struct emu_pci *p = emu_pcis; p; p = p->next) {
		if (!p->driver && driver_matches(drv, p))
			probe(drv, p);
	}

	return 0;
}

static int store_remove_id(void *priv, const char *text)
{
	struct pci_driver *drv = priv;
	uint16_t vendor, device;
	int i;

	if (parse_id(text, &vendor, &device))
		return -EINVAL;
	i = find_id(drv, vendor, device);
	if (i < 0)
		return -ENODEV;
	drv->ids[i] = drv->ids[--drv->nids];

	return 0;
}

/* ------------------------------------------------------ device attributes */

static void show_override(struct emu_pci *pci)
{
	char path[PATH_LEN];

	path_of(path, DEVICES "/%s/driver_override", pci->bdf);
	fs_printf(path, "%s\n", pci->override ? pci->override : "(null)");
}

void sysfs_set_override(struct emu_pci *pci, const char *name)
{
	free(pci->override);
	pci->override = *name ? emu_strdup(name) : NULL;
	show_override(pci);
}

static int store_override(void *priv, const char *text)
{
	sysfs_set_override(priv, text);

	return 0;
}

static int store_reset(void *priv, const char *text)
{
	if (strcmp(text, "1"))
		return -EINVAL;
	pci_reset(priv);

	return 0;
}

static int store_ignored(void *priv, const char *text)
{
	(void)priv;
	(void)text;
	return 0;
}

static void add_numbers(struct emu_pci *pci, const char *at)
{
	const struct emu_pci_opts *o = &pci->opts;
	const struct {
		const char *name;
		int digits; /* hexadecimal; 0 for a decimal number */
		int val;
	} attrs[] = {
		{ "vendor", 4, o->vendor },
		{ "device", 4, o->device },
		{ "subsystem_vendor", 4, o->subvendor },
		{ "subsystem_device", 4, o->subdevice },
		{ "class", 6, o->classcode },
		{ "revision", 2, 2 },
		{ "numa_node", 0, o->numa_node },
		{ "irq", 0, 0 },
	};
	char path[PATH_LEN];

	for (size_t i = 0; i < ARRAY_SIZE(attrs); i++) {
		path_of(path, "%s/%s", at, attrs[i].name);
		if (attrs[i].digits)
			fs_printf(path, "0x%0*x\n", attrs[i].digits, attrs[i].val);
		else
			fs_printf(path, "%d\n", attrs[i].val);
	}
}

static void add_attributes(struct emu_pci *pci, const char *at)
{
	const struct emu_pci_opts *o = &pci->opts;
	char path[PATH_LEN];

	add_numbers(pci, at);
	if (o->sriov_totalvfs)
		sriov_add_attributes(pci, at);
	fs_printf(path_of(path, "%s/modalias", at), "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X\n",
		  o->vendor, o->device, o->subvendor, o->subdevice, o->classcode >> 16,
		  o->classcode >> 8 & 0xff, o->classcode & 0xff);
	fs_attr(path_of(path, "%s/driver_override", at), store_override, pci);
	show_override(pci);
	if (!o->no_reset)
		fs_attr(path_of(path, "%s/reset", at), store_reset, pci);
	fs_attr(path_of(path, "%s/enable", at), store_ignored, pci);
	fs_printf(path, "0\n");
	fs_set(fs_make(path_of(path, "%s/config", at), NODE_FILE), pci->config, 256);
	link_to(path_of(path, "%s/subsystem", at), "../../../bus/pci", "");
}

static void add_group(struct emu_pci *pci, const char *at)
{
	char path[PATH_LEN], id[16];

	if (pci->opts.no_group)
		return;
	pci->group = vfio_group_get(pci->opts.group ? pci->opts.group : next_group++);
	snprintf(id, sizeof(id), "%u", pci->group->id);
	link_to(path_of(path, "%s/iommu_group", at), "../../../kernel/iommu_groups/", id);
	link_to(path_of(path, "/sys/kernel/iommu_groups/%s/devices/%s", id, pci->bdf),
		"../../../../devices/pci0000:00/", pci->bdf);
}

static struct pci_driver *add_driver(const char *name, uint32_t classcode)
{
	struct pci_driver *drv = emu_zalloc(sizeof(*drv)), **end = &drivers;
	char path[PATH_LEN];

	drv->name = emu_strdup(name);
	drv->classcode = classcode;
	while (*end)
		end = &(*end)->next;
	*end = drv;

	fs_attr(path_of(path, BUS "/drivers/%s/%s", name, "bind"), store_bind, drv);
	fs_attr(path_of(path, BUS "/drivers/%s/%s", name, "unbind"), store_driver_unbind, drv);
	fs_attr(path_of(path, BUS "/drivers/%s/%s", name, "new_id"), store_new_id, drv);
	fs_attr(path_of(path, BUS "/drivers/%s/%s", name, "remove_id"), store_remove_id, drv);

	return drv;
}

void emu_driver_add(const char *name, uint32_t classcode)
{
	emu_autolock();
	add_driver(name, classcode);
}

static void bind_first(struct emu_pci *pci)
{
	const char *name = pci->opts.driver;
	struct pci_driver *drv = find_driver(name);

	if (*name)
		probe(drv ? drv : add_driver(name, 0), pci);
}

void sysfs_add(struct emu_pci *pci)
{
	char at[PATH_LEN], path[PATH_LEN];

	path_of(at, DEVICES "/%s", pci->bdf);
	fs_make(at, NODE_DIR);
	link_to(path_of(path, BUS "/devices/%s", pci->bdf), "../../../devices/pci0000:00/",
		pci->bdf);
	add_attributes(pci, at);
	add_group(pci, at);
	bind_first(pci);
}

void sysfs_init(void)
{
	next_group = FIRST_OWN_GROUP;
	next_nvme = 0;
	drivers = NULL;
	fs_make(BUS "/devices", NODE_DIR);
	fs_attr(BUS "/drivers_probe", store_drivers_probe, NULL);
	fs_printf(BUS "/drivers_autoprobe", "1\n");
	fs_printf("/sys/module/vfio_pci/parameters/enable_sriov", "N\n");
	fs_make("/sys/kernel/iommu_groups", NODE_DIR);
	add_driver("vfio-pci", 0);
	add_driver("nvme", 0x010802);
}

void sysfs_fini(void)
{
	while (drivers) {
		struct pci_driver *drv = drivers;

		drivers = drv->next;
		free(drv->name);
		free(drv);
	}
}
