/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The address of a PCI function as text. */
#ifndef VFN_PCI_BDF_H
#define VFN_PCI_BDF_H

#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS

/**
 * define VFN_PCI_BDF_LEN - bytes of a normalised address with its final NUL
 *
 * "0000:01:00.0" is domain, bus, device and function. Domains above ffff
 * (functions behind Intel VMD) are not supported.
 */
#define VFN_PCI_BDF_LEN 13

/**
 * vfn_pci_parse_bdf - check and normalise the address of a PCI function
 * @s: text of the form ``[DDDD:]BB:DD.F``, hexadecimal in either case
 * @bdf: result ``dddd:bb:dd.f`` in lower case; untouched on failure
 *
 * Makes no system call. May be called from any thread. @s and @bdf may be the
 * same buffer.
 *
 * Return: 0, or -1 with errno EINVAL when @s is NULL or not an address.
 */
int vfn_pci_parse_bdf(const char *s, char bdf[VFN_PCI_BDF_LEN]);

VFN_END_DECLS

#endif /* VFN_PCI_BDF_H */
