// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Physical and virtual functions: who belongs to whom. */
#include <vfn/pci/util.h>

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "os/os.h"
#include "pci/sysfs.h"
#include "support/error.h"

static bool has_attribute(const char *bdf, const char *attr)
{
	char id[VFN_PCI_BDF_LEN];
	__autostr path = NULL;

	if (vfn_pci_check_bdf(bdf, id))
		return false;

	path = vfn_sysfs_format(SYS_DEVICES "/%s/%s", id, attr);

	return path && !os_access(path, F_OK);
}

/* The address that the link @attr of @id points to, NULL with errno set. */
static char *linked_function(const char *id, const char *attr)
{
	__autostr path = vfn_sysfs_format(SYS_DEVICES "/%s/%s", id, attr);

	return path ? vfn_sysfs_link_name(path) : NULL;
}

static char *virtfn(const char *id, int vfnum)
{
	__autostr attr = vfn_sysfs_format("virtfn%d", vfnum - 1);

	return attr ? linked_function(id, attr) : NULL;
}

bool pci_is_vf(const char *bdf)
{
	return has_attribute(bdf, "physfn");
}

bool pci_is_pf(const char *bdf)
{
	return has_attribute(bdf, "sriov_numvfs");
}

bool pci_is_sriov_supported(const char *bdf)
{
	unsigned long long total;

	return pci_is_pf(bdf) && !pci_device_info_get_ull(bdf, "sriov_totalvfs", &total) && total;
}

char *pci_get_vf_bdf(const char *pf_bdf, int vfnum)
{
	char id[VFN_PCI_BDF_LEN];
	char *vf;

	if (vfn_pci_find(pf_bdf, id))
		return NULL;
	if (vfnum < 1) {
		vfn_fail(EINVAL, "%s: virtual functions are numbered from 1, not %d", id, vfnum);
		return NULL;
	}

	vf = virtfn(id, vfnum);
	if (!vf)
		vfn_fail(errno, "%s: cannot find virtual function %d: %s", id, vfnum,
			 strerror(errno));

	return vf;
}

char *pci_vf_get_pf_bdf(const char *bdf)
{
	char id[VFN_PCI_BDF_LEN];
	char *pf;

	if (vfn_pci_find(bdf, id))
		return NULL;

	pf = linked_function(id, "physfn");
	if (!pf && errno == ENOENT)
		vfn_fail(ENOENT, "%s is no virtual function", id);
	else if (!pf)
		vfn_fail(errno, "%s: cannot read physfn: %s", id, strerror(errno));

	return pf;
}

int pci_vf_get_vfnum(const char *bdf)
{
	char id[VFN_PCI_BDF_LEN];
	__autostr pf = pci_vf_get_pf_bdf(bdf);

	if (!pf || vfn_pci_check_bdf(bdf, id))
		return -1;

	for (int vfnum = 1;; vfnum++) {
		__autostr vf = virtfn(pf, vfnum);

		if (!vf)
			return vfn_fail(errno, "%s: not among the virtual functions of %s: %s", id,
					pf, strerror(errno));
		if (!strcmp(vf, id))
			return vfnum;
	}
}

static int write_numvfs(const char *id, unsigned int n)
{
	__autostr path = vfn_sysfs_format(SYS_DEVICES "/%s/sriov_numvfs", id);
	__autostr text = vfn_sysfs_format("%u", n);

	return path && text ? vfn_sysfs_write(path, text) : -1;
}

int vfn_pci_get_numvfs(const char *pf_bdf)
{
	unsigned long long n;

	if (pci_device_info_get_ull(pf_bdf, "sriov_numvfs", &n)) {
		if (errno != ENOENT)
			return -1;
		return vfn_fail(ENOTSUP, "%s is no physical function: it has no SR-IOV", pf_bdf);
	}
	if (n > INT_MAX)
		return vfn_fail(ERANGE, "%s has %llu virtual functions", pf_bdf, n);

	return (int)n;
}

static int cannot_set(const char *id, unsigned int n)
{
	if (errno == ENOENT)
		return vfn_fail(
			ENOTSUP,
			"%s: its driver makes no virtual functions: vfio-pci does with enable_sriov=1",
			id);

	return vfn_fail(errno, "%s: cannot have %u virtual functions: %s", id, n, strerror(errno));
}

int vfn_pci_set_numvfs(const char *pf_bdf, unsigned int n)
{
	int now = vfn_pci_get_numvfs(pf_bdf);
	char id[VFN_PCI_BDF_LEN];
	unsigned long long total;

	if (now < 0 || vfn_pci_check_bdf(pf_bdf, id))
		return -1;
	if ((unsigned int)now == n)
		return 0;
	if (pci_device_info_get_ull(id, "sriov_totalvfs", &total))
		return -1;
	if (n > total)
		return vfn_fail(EINVAL, "%s can have %llu virtual functions, not %u", id, total, n);
	if (now && n)
		return vfn_fail(EBUSY,
				"%s has %d virtual functions: remove them, before it gets %u", id,
				now, n);

	if (write_numvfs(id, n))
		return cannot_set(id, n);

	now = vfn_pci_get_numvfs(id);
	if (now < 0)
		return -1;
	if ((unsigned int)now != n) {
		(void)write_numvfs(id, 0);
		return vfn_fail(EIO, "%s: only %d of %u virtual functions were made", id, now, n);
	}

	return 0;
}
