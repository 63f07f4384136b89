// SPDX-License-Identifier: GPL-2.0-or-later
/* vfntool list: devices, their drivers, groups and users. */
#include "vfntool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

struct listing {
	const struct request *req;
	FILE *out;
	struct json json;
	unsigned int seen, shown;
};

static int text_member(const char *bdf, const char *driver, void *arg)
{
	fprintf(arg, "    group also has %s (", bdf);
	put_text(arg, driver ? driver : "no driver");
	fputs(")\n", arg);

	return 0;
}

static int text_block(const char *name, const char *use, void *arg)
{
	fputs("    ", arg);
	put_text(arg, name);
	fputs(use ? " is " : " is not in use", arg);
	put_text(arg, use ? use : "");
	fputc('\n', arg);

	return 0;
}

static void text_number(FILE *out, int number)
{
	if (number < 0)
		fprintf(out, "%5s", "-");
	else
		fprintf(out, "%5d", number);
}

static void text_driver(FILE *out, const char *driver)
{
	size_t len = strlen(driver);

	fputs("  ", out);
	put_text(out, driver);
	fprintf(out, "%*s  ", len < 12 ? (int)(12 - len) : 0, "");
}

static void text_name(FILE *out, const struct vfn_pci_info *info)
{
	char *vendor = vendor_name(info->vendor);
	char *device = device_name(info->vendor, info->device);

	put_text(out, vendor ? vendor : "");
	fputs(vendor && device ? " " : "", out);
	put_text(out, device ? device : "");
	free(vendor);
	free(device);
}

static int text_device(struct listing *list, const struct vfn_pci_info *info)
{
	FILE *out = list->out;

	if (!list->shown)
		fputs("ADDRESS       ID         GROUP  NUMA  DRIVER        NAME\n", out);

	fprintf(out, "%s  %04x:%04x  ", info->bdf, info->vendor, info->device);
	text_number(out, info->iommu_group);
	fputc(' ', out);
	text_number(out, info->numa_node);
	text_driver(out, info->driver ? info->driver : "-");
	text_name(out, info);
	fputc('\n', out);

	if (info->iommu_group >= 0 && vfn_pci_group_members(info->bdf, text_member, out))
		return -1;

	return vfn_pci_for_each_block(info->bdf, text_block, out);
}

static int list_device(const char *bdf, void *arg)
{
	struct listing *list = arg;
	struct vfn_pci_info info;
	int ret;

	list->seen++;

	if (vfn_pci_get_info(bdf, &info)) {
		/* unplugged since the directory was read */
		return errno == ENODEV || errno == ENOENT ? 0 : -1;
	}

	if (!list->req->all && info.classcode >> 8 != VFN_PCI_CLASS_NVME) {
		vfn_pci_put_info(&info);
		return 0;
	}

	if (list->req->json) {
		json_open(&list->json, NULL, '{');
		ret = json_device(&list->json, &info);
		json_close(&list->json, '}');
	} else {
		ret = text_device(list, &info);
	}

	list->shown++;
	vfn_pci_put_info(&info);

	return ret;
}

static int list_all(struct listing *list)
{
	int ret;

	if (!list->req->json)
		return vfn_pci_for_each_device(list_device, list);

	json_open(&list->json, NULL, '[');
	ret = vfn_pci_for_each_device(list_device, list);
	json_close(&list->json, ']');

	return ret;
}

int cmd_list(const struct request *req)
{
	struct listing list = { .req = req };
	struct report report;

	if (report_open(&report))
		return EXIT_FAILURE;

	list.out = report.out;
	list.json.out = report.out;

	if (list_all(&list)) {
		complain_last_error();
		return report_drop(&report);
	}

	if (!list.shown && !req->json && !req->all)
		complain("no NVMe device among %u PCI devices: see vfntool list --all", list.seen);
	if (req->verbose)
		complain("%u of %u PCI devices listed", list.shown, list.seen);

	return report_print(&report);
}
