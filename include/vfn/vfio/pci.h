/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* PCI devices of VFIO: opening, base address registers, configuration space. */
#ifndef VFN_VFIO_PCI_H
#define VFN_VFIO_PCI_H

#include <stdint.h>
#include <sys/types.h>
#include <linux/vfio.h>

#include <vfn/support/compiler.h>
#include <vfn/vfio/device.h>

VFN_BEGIN_DECLS

#ifndef PCI_STD_NUM_BARS
#define PCI_STD_NUM_BARS 6
#endif

/**
 * struct vfio_pci_device - an open PCI device
 * @dev: the device; must stay the first member
 * @classcode: base class, subclass and programming interface, e.g. 0x010802
 * @bdf: its address, owned; NULL means closed
 * @config_region_info: where configuration space is
 * @bar_region_info: where the base address registers' regions are
 * @event_fds: of vfn_vfio_request_fd() and vfn_vfio_error_fd(), 0 before; private
 */
struct vfio_pci_device {
	struct vfio_device dev;
	unsigned long long classcode;
	char *bdf;
	struct vfio_region_info config_region_info;
	struct vfio_region_info bar_region_info[PCI_STD_NUM_BARS];
	int event_fds[2];
};

/* Kinds of PCI interrupt, with VFIO's index of each. */
enum vfn_irq_type {
	VFN_IRQ_INTX = VFIO_PCI_INTX_IRQ_INDEX,
	VFN_IRQ_MSI = VFIO_PCI_MSI_IRQ_INDEX,
	VFN_IRQ_MSIX = VFIO_PCI_MSIX_IRQ_INDEX,
};

/*
 * A device is used by one thread at a time, save for mapped registers.
 * Different devices may be used, opened and closed by different threads.
 */

/**
 * vfio_pci_open - open a PCI device that is bound to vfio-pci
 * @pci: zeroed, except that dev.ctx may be preset to share an address space
 * @bdf: address, [DDDD:]BB:DD.F
 *
 * Attaches the device to its address space, reads what the kernel knows of it,
 * enables bus mastering and picks the kind of interrupt (MSI-X, else MSI, else
 * INTx). Nothing is left behind on error; vfn_last_error() says what to do.
 *
 * Return: 0, or -1 with errno: EINVAL (no address), ENODEV (no such device, no
 * IOMMU group, or VFIO is not loaded), EBUSY (another driver, process or open has it),
 * EACCES (no permission), EPERM (another device of its IOMMU group has a kernel
 * driver), EALREADY (@pci is open), ENOTSUP (kernel without what is needed),
 * EPROTO (the kernel contradicts itself), ENOMEM.
 */
int vfio_pci_open(struct vfio_pci_device *pci, const char *bdf);

/**
 * vfio_pci_close - close a device
 * @pci: device; zeroed
 *
 * Unmap base address registers before; what others have of them for DMA is
 * taken from them. After a surprise removal the kernel may
 * take over a minute to return from this.
 *
 * Return: 0 (also if it was closed), or -1 with errno; it is closed then, too.
 */
int vfio_pci_close(struct vfio_pci_device *pci);

/**
 * vfio_pci_get_irq_info - the kind of interrupt in use
 * @pci: device
 * @irq: receives at most irq->argsz bytes, all if that is 0
 *
 * Return: 0, or -1 with errno: ENODEV (closed), EINVAL (argsz below 4).
 */
int vfio_pci_get_irq_info(struct vfio_pci_device *pci, struct vfio_irq_info *irq);

/**
 * vfn_vfio_select_irq - use another kind of interrupt
 * @pci: open device
 * @type: which; all interrupts are off afterwards, irq_info describes the new kind
 *
 * Return: 0, or -1 with errno: ENODEV (closed), ENOTSUP (the device has none of that kind),
 * EPROTO (the kernel contradicts itself).
 */
int vfn_vfio_select_irq(struct vfio_pci_device *pci, enum vfn_irq_type type);

/**
 * vfn_vfio_request_fd - be told when the kernel wants the device back
 * @pci: open device
 *
 * That is when it is about to be removed in order, or taken from vfio-pci. The kernel waits
 * for the device to be closed, which goes on working until then, and asks again now and then.
 *
 * Return: an eventfd that becomes readable, close-on-exec and not blocking, to be polled and read. It
 * is the device's, always the same one, and closed with it. Or -1 with errno: ENODEV (closed),
 * ENOTSUP (the kernel does not tell), EMFILE and others (no descriptor).
 */
int vfn_vfio_request_fd(struct vfio_pci_device *pci);

/**
 * vfn_vfio_error_fd - be told of errors of the bus
 * @pci: open device
 *
 * The kernel has received a report of an uncorrectable error (Advanced Error Reporting, PCI
 * Express Base Specification, section 6.2) of this device, or of a bridge above it. What the device
 * has done since is not to be relied on: reset it, a controller by vfn_nvme_fail_ctrl() and
 * vfn_nvme_reset_ctrl().
 *
 * Return: as vfn_vfio_request_fd(); ENOTSUP also where the device is not of PCI Express.
 */
int vfn_vfio_error_fd(struct vfio_pci_device *pci);

/**
 * vfn_vfio_pci_set_master - let the device access memory
 * @pci: open device
 *
 * vfio_pci_open() does this; a reset takes it back.
 *
 * Return: 0, or -1 with errno.
 */
int vfn_vfio_pci_set_master(struct vfio_pci_device *pci);

/**
 * vfio_pci_map_bar - map registers or memory of the device
 * @pci: open device
 * @idx: base address register, 0 to 5
 * @len: bytes, SIZE_MAX for all from @offset; cut to the region's end
 * @offset: where in the region, page-aligned
 * @prot: PROT_READ, PROT_WRITE or both
 *
 * Children of a fork() do not get the mapping.
 *
 * Return: address, or NULL with errno: EINVAL (no such region, or @offset
 * beyond its end), ENOTSUP (the region cannot be mapped), ENODEV (closed).
 */
void *vfio_pci_map_bar(struct vfio_pci_device *pci, int idx, size_t len, uint64_t offset, int prot);

/**
 * vfio_pci_unmap_bar - undo vfio_pci_map_bar()
 * @pci: device
 * @idx: as at the map
 * @mem: what vfio_pci_map_bar() returned; NULL does nothing
 * @len: as at the map
 * @offset: as at the map
 *
 * What is mapped of it for DMA, in any address space, is unmapped first; memory
 * of which that fails stays where it is.
 */
void vfio_pci_unmap_bar(struct vfio_pci_device *pci, int idx, void *mem, size_t len,
			uint64_t offset);

/**
 * vfn_vfio_pci_pread - read from configuration space
 * @pci: open device
 * @buf: room for @len bytes, little-endian
 * @len: bytes
 * @offset: where
 *
 * Return: bytes read, or -1 with errno: EINVAL (outside), ENODEV (closed).
 */
ssize_t vfn_vfio_pci_pread(struct vfio_pci_device *pci, void *buf, size_t len, off_t offset);

/**
 * vfn_vfio_pci_pwrite - write to configuration space
 * @pci: open device
 * @buf: @len bytes, little-endian
 * @len: bytes
 * @offset: where
 *
 * Return: bytes written, or -1 with errno: EINVAL (outside), ENODEV (closed).
 */
ssize_t vfn_vfio_pci_pwrite(struct vfio_pci_device *pci, const void *buf, size_t len, off_t offset);

/**
 * vfio_pci_read_config - another name of vfn_vfio_pci_pread()
 * @pci: open device
 * @buf: receives @len bytes, little-endian
 * @len: bytes
 * @offset: where
 *
 * Return: as vfn_vfio_pci_pread().
 */
VFN_INLINE ssize_t vfio_pci_read_config(struct vfio_pci_device *pci, void *buf, size_t len,
					off_t offset)
{
	return vfn_vfio_pci_pread(pci, buf, len, offset);
}

/**
 * vfio_pci_write_config - another name of vfn_vfio_pci_pwrite()
 * @pci: open device
 * @buf: @len bytes, little-endian
 * @len: bytes
 * @offset: where
 *
 * Return: as vfn_vfio_pci_pwrite().
 */
VFN_INLINE ssize_t vfio_pci_write_config(struct vfio_pci_device *pci, void *buf, size_t len,
					 off_t offset)
{
	return vfn_vfio_pci_pwrite(pci, buf, len, offset);
}

VFN_END_DECLS

#endif /* VFN_VFIO_PCI_H */
