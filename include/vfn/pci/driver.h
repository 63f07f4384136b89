/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Hand a PCI function to another driver and back again. */
#ifndef VFN_PCI_DRIVER_H
#define VFN_PCI_DRIVER_H

#include <stdbool.h>

#include <vfn/pci/bdf.h>
#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS

/*
 * Only the named function changes hands: drivers are chosen by its
 * driver_override, never by new_id, which would take every unbound device with
 * the same ids. What the function had before is recorded in
 * %VFN_PCI_RECORD_DIR before anything is touched, and a step that fails puts
 * it back; errno and vfn_last_error() then tell of the first failure.
 *
 * Changes need root. Two threads, or processes, may work on different
 * functions at the same time, but not on the same one.
 */

/** define VFN_PCI_RECORD_DIR - where the previous state of functions is kept */
#define VFN_PCI_RECORD_DIR "/run/libvfn"

/**
 * struct vfn_pci_steps - how to go about a change
 * @dry_run: make every check, change nothing
 * @report: called before each step with its text ("unbind from nvme"), may be
 *	NULL. A nonzero return stops the change: what was done is undone and the
 *	call fails with ECANCELED
 * @arg: passed to @report
 */
struct vfn_pci_steps {
	bool dry_run;
	int (*report)(const char *bdf, const char *step, void *arg);
	void *arg;
};

/**
 * struct vfn_pci_record - what a function had before it was handed over
 * @driver: driver that was bound, NULL for none
 * @driver_override: override that was set, NULL for none
 * @bound: driver that took its place, NULL for none
 */
struct vfn_pci_record {
	char *driver;
	char *driver_override;
	char *bound;
};

/**
 * vfn_pci_check_idle - see that nobody uses a PCI function
 * @bdf: address
 *
 * In use means: a block device of the function is mounted, swap, part of an md
 * or dm device, or open exclusively; or its VFIO group is open. The last two
 * are seen by opening the device for a moment, and only by root.
 *
 * Return: 0, or -1 with errno EBUSY and the user in vfn_last_error(), or with
 * the errno of what went wrong.
 */
int vfn_pci_check_idle(const char *bdf);

/**
 * vfn_pci_bind_driver - hand a PCI function to a driver, reversibly
 * @bdf: address
 * @driver: name of the driver, for example "vfio-pci"
 * @steps: NULL to make the change without a word
 *
 * Does nothing when @driver has the function already.
 *
 * Return: 0, or -1 with errno: EINVAL (address, name, or the function is a
 * bridge), ENODEV (no such function, or no IOMMU group for a VFIO driver),
 * ENOENT (driver not loaded), EBUSY (in use), EACCES or EPERM (not root),
 * ECANCELED (by @steps), or the errno of the driver that refused.
 */
int vfn_pci_bind_driver(const char *bdf, const char *driver, const struct vfn_pci_steps *steps);

/**
 * vfn_pci_unbind_driver - take a PCI function from its driver, reversibly
 * @bdf: address
 * @steps: NULL to make the change without a word
 *
 * Does nothing when no driver is bound.
 *
 * Return: 0, or -1 with errno as for vfn_pci_bind_driver().
 */
int vfn_pci_unbind_driver(const char *bdf, const struct vfn_pci_steps *steps);

/**
 * vfn_pci_restore_driver - give a PCI function back to the driver it had
 * @bdf: address
 * @steps: NULL to make the change without a word
 *
 * Restores driver and override as recorded and drops the record. When only the
 * last of these fails, the device has been given back all the same.
 *
 * Return: 0, or -1 with errno: ENOENT when nothing is recorded, otherwise as
 * for vfn_pci_bind_driver().
 */
int vfn_pci_restore_driver(const char *bdf, const struct vfn_pci_steps *steps);

/**
 * vfn_pci_get_record - read what a function had before it was handed over
 * @bdf: address
 * @record: filled in; release with vfn_pci_put_record()
 *
 * Return: 0, or -1 with errno set and @record zeroed: ENOENT when nothing is
 * recorded, EPROTO when the record is damaged.
 */
int vfn_pci_get_record(const char *bdf, struct vfn_pci_record *record);

/**
 * vfn_pci_put_record - release what vfn_pci_get_record() allocated
 * @record: record, zeroed on return; a zeroed one is fine
 */
void vfn_pci_put_record(struct vfn_pci_record *record);

VFN_END_DECLS

#endif /* VFN_PCI_DRIVER_H */
