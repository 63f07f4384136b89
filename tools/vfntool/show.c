// SPDX-License-Identifier: GPL-2.0-or-later
/* vfntool show: everything about one device. */
#include "vfntool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

/* Flags of the kernel's struct resource. */
#define RESOURCE_IO 0x00000100
#define RESOURCE_PREFETCH 0x00002000
#define RESOURCE_MEM_64 0x00100000

struct details {
	struct vfn_pci_info info;
	struct vfn_pci_record record;
	bool recorded;
	int backend;
	char why[256];
	char *group;
	char *cdev;
	char *pf;
};

static bool is_vfio(const struct details *d)
{
	return d->info.driver && strstr(d->info.driver, "vfio");
}

static int get_details(const char *bdf, struct details *d)
{
	if (vfn_pci_get_info(bdf, &d->info))
		return -1;

	d->recorded = !vfn_pci_get_record(bdf, &d->record);
	if (!d->recorded && errno != ENOENT)
		return -1;

	if (is_vfio(d)) {
		d->backend = vfn_iommu_choose(bdf, d->why, sizeof(d->why));
		if (d->backend < 0)
			return -1;
		d->group = pci_get_iommu_group(bdf);
		if (!d->group)
			return -1;
		d->cdev = pci_get_device_vfio_id(bdf);
		if (!d->cdev && errno != ENOENT)
			return -1;
	}

	if (pci_is_vf(bdf)) {
		d->pf = pci_vf_get_pf_bdf(bdf);
		if (!d->pf)
			return -1;
	}

	return 0;
}

static void put_details(struct details *d)
{
	vfn_pci_put_info(&d->info);
	vfn_pci_put_record(&d->record);
	free(d->group);
	free(d->cdev);
	free(d->pf);
}

/* What a program that opens the device would use; NULL where that is not the question. */
static const char *backend_name(const struct details *d)
{
	static const char *const names[] = {
		[VFN_IOMMU_NONE] = "none",
		[VFN_IOMMU_TYPE1] = "type1",
		[VFN_IOMMU_IOMMUFD] = "iommufd",
	};

	return is_vfio(d) ? names[d->backend] : NULL;
}

/* The reason begins with the name. */
static const char *backend_reason(const struct details *d)
{
	const char *colon = strchr(d->why, ':');

	return colon ? colon + 2 : NULL;
}

/* -------------------------------------------------------------------- text */

static void row(FILE *out, const char *key, const char *value)
{
	fprintf(out, "  %-16s ", key);
	put_text(out, value ? value : "-");
	fputc('\n', out);
}

static void id_row(FILE *out, const char *key, unsigned int id, int digits, char *name)
{
	fprintf(out, "  %-16s %0*x%s", key, digits, id, name ? " " : "");
	put_text(out, name ? name : "");
	fputc('\n', out);
	free(name);
}

static void number_row(FILE *out, const char *key, int number)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", number);
	row(out, key, number < 0 ? NULL : text);
}

static int member_row(const char *bdf, const char *driver, void *arg)
{
	fprintf(arg, "  %-16s %s ", "also in group", bdf);
	put_text(arg, driver ? driver : "no driver");
	fputc('\n', arg);

	return 0;
}

static int block_row(const char *name, const char *use, void *arg)
{
	fprintf(arg, "  %-16s ", "block device");
	put_text(arg, name);
	fputc(' ', arg);
	put_text(arg, use ? use : "not in use");
	fputc('\n', arg);

	return 0;
}

static void bar_rows(FILE *out, const struct vfn_pci_info *info)
{
	for (int i = 0; i < VFN_PCI_NUM_BARS; i++) {
		const struct vfn_pci_bar *bar = &info->bars[i];

		if (!bar->size)
			continue;

		fprintf(out, "  BAR %-12d 0x%llx, %llu bytes, %s%s%s\n", i,
			(unsigned long long)bar->start, (unsigned long long)bar->size,
			bar->flags & RESOURCE_IO ? "I/O" : "memory",
			bar->flags & RESOURCE_MEM_64 ? ", 64 bits" : "",
			bar->flags & RESOURCE_PREFETCH ? ", prefetchable" : "");
	}
}

static void irq_rows(FILE *out, const struct vfn_pci_info *info)
{
	number_row(out, "INTx line", info->irq ? (int)info->irq : -1);

	if (info->nr_vectors)
		fprintf(out, "  %-16s %u in use\n", info->msix ? "MSI-X vectors" : "MSI vectors",
			info->nr_vectors);
}

static void record_row(FILE *out, const struct details *d)
{
	if (!d->recorded) {
		row(out, "reset gives it", NULL);
		return;
	}

	fprintf(out, "  %-16s driver ", "reset gives it");
	put_text(out, d->record.driver ? d->record.driver : "none");
	fputs(", override ", out);
	put_text(out, d->record.driver_override ? d->record.driver_override : "none");
	fputc('\n', out);
}

static int show_text(FILE *out, const struct details *d)
{
	const struct vfn_pci_info *info = &d->info;

	fprintf(out, "%s\n", info->bdf);
	id_row(out, "vendor", info->vendor, 4, vendor_name(info->vendor));
	id_row(out, "device", info->device, 4, device_name(info->vendor, info->device));
	id_row(out, "subsystem vendor", info->subsystem_vendor, 4,
	       vendor_name(info->subsystem_vendor));
	id_row(out, "subsystem", info->subsystem_device, 4, NULL);
	id_row(out, "class", info->classcode, 6, class_name(info->classcode));
	id_row(out, "revision", info->revision, 2, NULL);
	number_row(out, "NUMA node", info->numa_node);
	row(out, "driver", info->driver);
	row(out, "driver override", info->driver_override);
	record_row(out, d);
	if (d->pf) {
		fputs("  virtual function of ", out);
		put_text(out, d->pf);
		fputc('\n', out);
	}
	number_row(out, "IOMMU group", info->iommu_group);
	if (info->iommu_group >= 0 && vfn_pci_group_members(info->bdf, member_row, out))
		return -1;
	row(out, "IOMMU interface", backend_name(d));
	row(out, "because", backend_reason(d));
	row(out, "VFIO group", d->group);
	row(out, "VFIO device", d->cdev);
	bar_rows(out, info);
	irq_rows(out, info);

	return vfn_pci_for_each_block(info->bdf, block_row, out);
}

/* -------------------------------------------------------------------- JSON */

static void json_bars(struct json *j, const struct vfn_pci_info *info)
{
	json_open(j, "bars", '[');
	for (int i = 0; i < VFN_PCI_NUM_BARS; i++) {
		const struct vfn_pci_bar *bar = &info->bars[i];

		if (!bar->size)
			continue;

		json_open(j, NULL, '{');
		json_int(j, "index", i);
		json_hex(j, "start", 8, bar->start);
		json_int(j, "size", (long long)bar->size);
		json_string(j, "type", bar->flags & RESOURCE_IO ? "io" : "memory");
		json_bool(j, "64bit", bar->flags & RESOURCE_MEM_64);
		json_bool(j, "prefetchable", bar->flags & RESOURCE_PREFETCH);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void json_record(struct json *j, const struct details *d)
{
	if (!d->recorded) {
		json_string(j, "recorded", NULL);
		return;
	}

	json_open(j, "recorded", '{');
	json_string(j, "driver", d->record.driver);
	json_string(j, "driver_override", d->record.driver_override);
	json_close(j, '}');
}

static int show_json(FILE *out, const struct details *d)
{
	const struct vfn_pci_info *info = &d->info;
	struct json json = { .out = out };
	struct json *j = &json;
	char *class = class_name(info->classcode);
	int ret;

	json_open(j, NULL, '{');
	ret = json_device(j, info);
	json_hex(j, "subsystem_vendor", 4, info->subsystem_vendor);
	json_hex(j, "subsystem_device", 4, info->subsystem_device);
	json_hex(j, "class", 6, info->classcode);
	json_string(j, "class_name", class);
	json_hex(j, "revision", 2, info->revision);
	json_string(j, "driver_override", info->driver_override);
	json_record(j, d);
	json_string(j, "physical_function", d->pf);
	json_string(j, "iommu_interface", backend_name(d));
	json_string(j, "iommu_reason", backend_reason(d));
	json_string(j, "vfio_group", d->group);
	json_string(j, "vfio_device", d->cdev);
	json_bars(j, info);
	json_optional(j, "intx_line", info->irq ? (int)info->irq : -1);
	json_open(j, "vectors", '{');
	json_int(j, "in_use", info->nr_vectors);
	json_bool(j, "msix", info->msix);
	json_close(j, '}');
	json_close(j, '}');
	free(class);

	return ret;
}

int cmd_show(const struct request *req)
{
	struct details d = {};
	struct report report;
	int ret;

	if (report_open(&report))
		return EXIT_FAILURE;

	ret = get_details(req->bdf, &d);
	if (!ret)
		ret = req->json ? show_json(report.out, &d) : show_text(report.out, &d);
	put_details(&d);

	if (ret) {
		complain_last_error();
		return report_drop(&report);
	}

	return report_print(&report);
}
