// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Remember what a PCI function had before it was handed over. */
#include <vfn/pci/driver.h>

#include <errno.h>
#include <string.h>

#include "os/os.h"
#include "pci/sysfs.h"
#include "support/error.h"

/*
 * A record is a text file of three lines in this order. An empty value stands
 * for none: neither drivers nor overrides have empty names.
 */
static const char *const keys[] = { "driver=", "driver_override=", "bound=" };

static char *record_path(const char *bdf)
{
	return vfn_sysfs_format(VFN_PCI_RECORD_DIR "/%s", bdf);
}

static int damaged(const char *bdf)
{
	return vfn_fail(EPROTO, "%s: the record " VFN_PCI_RECORD_DIR "/%s is damaged: remove it",
			bdf, bdf);
}

static int parse(const char *bdf, const char *text, struct vfn_pci_record *record)
{
	char **values[] = { &record->driver, &record->driver_override, &record->bound };

	for (int i = 0; i < 3; i++) {
		size_t len;

		if (strncmp(text, keys[i], strlen(keys[i])))
			return damaged(bdf);

		text += strlen(keys[i]);
		len = strcspn(text, "\n");
		if (len) {
			*values[i] = vfn_sysfs_copy(text, len);
			if (!*values[i])
				return vfn_fail(errno, "%s: cannot read the record: %s", bdf,
						strerror(errno));
			if (!vfn_sysfs_is_name(*values[i]))
				return damaged(bdf);
		}

		text += len;
		text += *text == '\n';
	}

	return *text ? damaged(bdf) : 0;
}

int vfn_pci_get_record(const char *bdf, struct vfn_pci_record *record)
{
	__autostr path = NULL, text = NULL;
	char id[VFN_PCI_BDF_LEN];

	memset(record, 0, sizeof(*record));

	if (vfn_pci_check_bdf(bdf, id))
		return -1;

	path = record_path(id);
	text = path ? vfn_sysfs_read(path) : NULL;
	if (!text && errno == ENOENT)
		return vfn_fail(ENOENT, "%s: nothing is recorded: vfntool did not bind it", id);
	if (!text)
		return vfn_fail(errno, "%s: cannot read the record: %s", id, strerror(errno));

	if (parse(id, text, record)) {
		vfn_pci_put_record(record);
		return -1;
	}

	return 0;
}

void vfn_pci_put_record(struct vfn_pci_record *record)
{
	int saved = errno;

	free(record->driver);
	free(record->driver_override);
	free(record->bound);
	memset(record, 0, sizeof(*record));
	errno = saved;
}

int vfn_pci_save_record(const char *bdf, const char *driver, const char *override,
			const char *bound)
{
	__autostr path = record_path(bdf);
	__autostr text = vfn_sysfs_format("%s%s\n%s%s\n%s%s\n", keys[0], driver ? driver : "",
					  keys[1], override ? override : "", keys[2],
					  bound ? bound : "");

	if (!path || !text)
		return -1;

	if (os_mkdir(VFN_PCI_RECORD_DIR, 0755) && errno != EEXIST)
		return -1;

	return os_write_file(path, text, strlen(text));
}

int vfn_pci_drop_record(const char *bdf)
{
	__autostr path = record_path(bdf);

	return path && (!os_unlink(path) || errno == ENOENT) ? 0 : -1;
}
