// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Hand a PCI function to another driver and back again. */
#include <vfn/pci/driver.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <vfn/pci/util.h>
#include <vfn/support/log.h>

#include "os/os.h"
#include "pci/sysfs.h"
#include "support/error.h"

/* Base class of bridges, whose drivers serve the devices behind them. */
#define PCI_BASE_CLASS_BRIDGE 0x06

/* What a function is bound to; NULL for none. */
struct binding {
	char *driver;
	char *override;
};

static void put_binding(struct binding *b)
{
	vfn_sysfs_free(&b->driver);
	vfn_sysfs_free(&b->override);
}

#define __autobinding __attribute__((cleanup(put_binding))) struct binding

static bool equal(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool is_dry(const struct vfn_pci_steps *steps)
{
	return steps && steps->dry_run;
}

static const char *advice(int err)
{
	return err == EACCES || err == EPERM ? " (are you root?)" : "";
}

static int announce(const char *bdf, const struct vfn_pci_steps *steps, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* -1 when the caller calls the change off. */
static int announce(const char *bdf, const struct vfn_pci_steps *steps, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (!steps || !steps->report)
		return 0;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);

	if (!steps->report(bdf, text, steps->arg))
		return 0;

	return vfn_fail(ECANCELED, "%s: stopped before: %s", bdf, text);
}

static int get_binding(const char *bdf, struct binding *b)
{
	b->driver = vfn_pci_driver_name(bdf);
	if ((b->driver || errno == ENOENT) && !vfn_pci_read_override(bdf, &b->override))
		return 0;

	return vfn_fail(errno, "%s: cannot read the driver: %s", bdf, strerror(errno));
}

/* ------------------------------------------------------- the bare steps */

static int write_override(const char *bdf, const char *override)
{
	__autostr path = vfn_sysfs_format(SYS_DEVICES "/%s/driver_override", bdf);

	/* an empty line clears it */
	return path ? vfn_sysfs_write(path, override ? override : "\n") : -1;
}

static int write_unbind(const char *bdf, const char *driver)
{
	__autostr path = vfn_sysfs_format(SYS_DRIVERS "/%s/unbind", driver);

	return path ? vfn_sysfs_write(path, bdf) : -1;
}

static int write_bind(const char *bdf, const char *driver)
{
	__autostr path = vfn_sysfs_format(SYS_DRIVERS "/%s/bind", driver);

	return path ? vfn_sysfs_write(path, bdf) : -1;
}

/* Older kernels do not pass on that the driver refused. */
static int check_bound(const char *bdf, const char *driver)
{
	__autostr bound = vfn_pci_driver_name(bdf);

	if (!bound && errno == ENOENT)
		errno = ENODEV;
	if (!bound || equal(bound, driver))
		return bound ? 0 : -1;

	errno = EBUSY;
	return -1;
}

static int fail_step(const char *bdf, const char *step, const char *what)
{
	int err = errno;

	return vfn_fail(err, "%s: cannot %s%s: %s%s", bdf, step, what, strerror(err), advice(err));
}

static int change_override(const char *bdf, const char *override, const struct vfn_pci_steps *steps)
{
	if (override ? announce(bdf, steps, "set driver_override to %s", override) :
		       announce(bdf, steps, "clear driver_override"))
		return -1;

	if (!is_dry(steps) && write_override(bdf, override))
		return fail_step(bdf, "write driver_override", "");

	return 0;
}

static int change_driver(const char *bdf, const char *from, const char *to,
			 const struct vfn_pci_steps *steps)
{
	if (from) {
		if (announce(bdf, steps, "unbind from %s", from))
			return -1;
		if (!is_dry(steps) && write_unbind(bdf, from))
			return fail_step(bdf, "unbind from ", from);
	}

	if (to) {
		if (announce(bdf, steps, "bind to %s", to))
			return -1;
		if (!is_dry(steps) && write_bind(bdf, to))
			return fail_step(bdf, "bind to ", to);
	}

	if (announce(bdf, steps, "check that %s has it", to ? to : "no driver"))
		return -1;
	if (to && !is_dry(steps) && check_bound(bdf, to))
		return fail_step(bdf, "bind to ", to);

	return 0;
}

static int change(const char *bdf, const struct binding *from, const char *driver,
		  const char *override, const struct vfn_pci_steps *steps)
{
	if (!equal(from->override, override) && change_override(bdf, override, steps))
		return -1;

	return equal(from->driver, driver) ? 0 : change_driver(bdf, from->driver, driver, steps);
}

/* Undo what a failed change() did; errno and the text of the failure are kept. */
static void put_back(const char *bdf, const struct binding *before)
{
	__autostr now = NULL;
	int saved = errno;
	int ret;

	ret = write_override(bdf, before->override);

	now = vfn_pci_driver_name(bdf);
	if (!equal(now, before->driver)) {
		if (now)
			ret |= write_unbind(bdf, now);
		if (before->driver)
			ret |= write_bind(bdf, before->driver);
	}

	if (ret) {
		__autostr first = vfn_sysfs_format("%s", vfn_last_error());

		vfn_fail(saved, "%s; and it could not be given back to %s: %s", first ? first : bdf,
			 before->driver ? before->driver : "no driver", strerror(errno));
	}
	errno = saved;
}

/* --------------------------------------------------------------- checks */

static int check_loaded(const char *bdf, const char *driver)
{
	__autostr path = NULL;

	if (!vfn_sysfs_is_name(driver))
		return vfn_fail(EINVAL, "'%.40s' is no name of a driver", driver ? driver : "");

	path = vfn_sysfs_format(SYS_DRIVERS "/%s", driver);
	if (path && !os_access(path, F_OK))
		return 0;

	if (errno == ENOENT)
		return vfn_fail(ENOENT, "%s: driver %s is not loaded: modprobe %s", bdf, driver,
				driver);

	return fail_step(bdf, "find driver ", driver);
}

/* VFIO's drivers are vfio-pci and its variants, such as mlx5_vfio_pci. */
static int check_group(const char *bdf, const char *driver)
{
	__autostr group = NULL;

	if (!strstr(driver, "vfio"))
		return 0;

	group = pci_get_iommu_group(bdf);

	return group ? 0 : -1;
}

static int check_class(const char *bdf)
{
	unsigned long long class;

	if (pci_device_info_get_ull(bdf, "class", &class))
		return -1;

	if (class >> 16 == PCI_BASE_CLASS_BRIDGE)
		return vfn_fail(EINVAL, "%s is a bridge: its driver serves the devices behind it",
				bdf);

	return 0;
}

/* -------------------------------------------------------- with a record */

static void put_back_record(const char *bdf, bool existed, const struct vfn_pci_record *old)
{
	int saved = errno;

	if (existed)
		vfn_pci_save_record(bdf, old->driver, old->driver_override, old->bound);
	else
		vfn_pci_drop_record(bdf);
	errno = saved;
}

/*
 * What is kept is what was there before the first of our changes in a row; a
 * record whose driver somebody has replaced meanwhile is stale.
 */
static int change_recorded(const char *bdf, const struct binding *now, const char *driver,
			   const char *override, const struct vfn_pci_steps *steps)
{
	const struct binding *keep = now;
	struct vfn_pci_record old;
	struct binding first;
	bool existed;
	int ret;

	existed = !vfn_pci_get_record(bdf, &old);
	if (!existed && errno != ENOENT)
		return -1;

	if (existed && equal(old.bound, now->driver)) {
		first = (struct binding){ old.driver, old.driver_override };
		keep = &first;
	}

	ret = announce(bdf, steps, "record driver %s in " VFN_PCI_RECORD_DIR,
		       keep->driver ? keep->driver : "none");
	if (ret)
		goto put_record;

	if (is_dry(steps)) {
		ret = change(bdf, now, driver, override, steps);
		goto put_record;
	}

	ret = vfn_pci_save_record(bdf, keep->driver, keep->override, driver);
	if (ret) {
		fail_step(bdf, "record its driver in ", VFN_PCI_RECORD_DIR);
		goto put_record;
	}

	ret = change(bdf, now, driver, override, steps);
	if (ret) {
		put_back(bdf, now);
		put_back_record(bdf, existed, &old);
	}

put_record:
	vfn_pci_put_record(&old);
	return ret;
}

int vfn_pci_bind_driver(const char *bdf, const char *driver, const struct vfn_pci_steps *steps)
{
	__autobinding now = {};
	char id[VFN_PCI_BDF_LEN];

	if (vfn_pci_find(bdf, id) || check_loaded(id, driver) || get_binding(id, &now))
		return -1;

	if (equal(now.driver, driver))
		return 0;

	if (check_class(id) || check_group(id, driver) || vfn_pci_check_idle(id))
		return -1;

	return change_recorded(id, &now, driver, driver, steps);
}

int vfn_pci_unbind_driver(const char *bdf, const struct vfn_pci_steps *steps)
{
	__autobinding now = {};
	char id[VFN_PCI_BDF_LEN];

	if (vfn_pci_find(bdf, id) || get_binding(id, &now))
		return -1;

	if (!now.driver)
		return 0;

	if (check_class(id) || vfn_pci_check_idle(id))
		return -1;

	return change_recorded(id, &now, NULL, now.override, steps);
}

static int restore(const char *bdf, const struct vfn_pci_record *record,
		   const struct vfn_pci_steps *steps)
{
	__autobinding now = {};

	if (get_binding(bdf, &now))
		return -1;

	if (!equal(now.driver, record->driver)) {
		if (record->driver && check_loaded(bdf, record->driver))
			return -1;
		if (now.driver && vfn_pci_check_idle(bdf))
			return -1;
	}

	if (change(bdf, &now, record->driver, record->driver_override, steps)) {
		if (!is_dry(steps))
			put_back(bdf, &now);
		return -1;
	}

	/* nothing is left to be called off */
	announce(bdf, steps, "drop the record");
	if (!is_dry(steps) && vfn_pci_drop_record(bdf))
		return fail_step(bdf, "drop the record in ", VFN_PCI_RECORD_DIR);

	return 0;
}

int vfn_pci_restore_driver(const char *bdf, const struct vfn_pci_steps *steps)
{
	struct vfn_pci_record record;
	char id[VFN_PCI_BDF_LEN];
	int ret;

	if (vfn_pci_find(bdf, id) || vfn_pci_get_record(id, &record))
		return -1;

	ret = restore(id, &record, steps);
	vfn_pci_put_record(&record);

	return ret;
}
