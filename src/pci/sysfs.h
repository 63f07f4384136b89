/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What the pci layer shares: small files, links and directories of /sys and /proc. */
#ifndef VFN_SRC_PCI_SYSFS_H
#define VFN_SRC_PCI_SYSFS_H

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <vfn/pci/bdf.h>

#define SYS_DEVICES "/sys/bus/pci/devices"
#define SYS_DRIVERS "/sys/bus/pci/drivers"

static inline void vfn_sysfs_free(void *p)
{
	int saved = errno;

	free(*(void **)p);
	errno = saved;
}

/* A string that is released when it goes out of scope, errno kept. */
typedef char *vfn_autostr;
#define __autostr __attribute__((cleanup(vfn_sysfs_free))) vfn_autostr

/*
 * Strings are allocated, so no name is too long for them. All of these return
 * NULL or -1 with errno set and leave the text of the error to the caller.
 */

char *vfn_sysfs_format(const char *fmt, ...) __attribute__((format(printf, 1, 2), nonnull(1)));
char *vfn_sysfs_copy(const char *s, size_t len);

/* The whole file without its last newline. */
char *vfn_sysfs_read(const char *path);
int vfn_sysfs_write(const char *path, const char *text);

/* The target of a link; its last component. */
char *vfn_sysfs_link(const char *path);
char *vfn_sysfs_link_name(const char *path);

/*
 * Visit the entries of a directory in the order of their names (nvme2 comes
 * before nvme10). A directory that does not exist is an empty one.
 */
int vfn_sysfs_list(const char *path, int (*fn)(const char *name, void *arg), void *arg);

/* A decimal or 0x number and nothing else: 0, or -1 with EINVAL or ERANGE. */
int vfn_sysfs_parse_ull(const char *s, unsigned long long *v);

/* Whether a name may be a path component: nonempty, no slash, no dots alone. */
bool vfn_sysfs_is_name(const char *name);

/*
 * Normalise an address and see that the device exists; failures are reported
 * with vfn_fail() (EINVAL, ENODEV).
 */
int vfn_pci_find(const char *s, char bdf[VFN_PCI_BDF_LEN]);

/* The same without a look at sysfs. */
int vfn_pci_check_bdf(const char *s, char bdf[VFN_PCI_BDF_LEN]);

/* Name of the bound driver, NULL with ENOENT when there is none. */
char *vfn_pci_driver_name(const char *bdf);

/* Number of the IOMMU group, -1 with ENOENT when there is none. */
int vfn_pci_group_number(const char *bdf);

/* The device's driver_override; *override is NULL when none is set. */
int vfn_pci_read_override(const char *bdf, char **override);

int vfn_pci_save_record(const char *bdf, const char *driver, const char *override,
			const char *bound);
int vfn_pci_drop_record(const char *bdf);

#endif /* VFN_SRC_PCI_SYSFS_H */
