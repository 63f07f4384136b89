/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Registers that are out of reach read as ones, instead of ending the process: opt-in. */
#ifndef VFN_VFIO_GUARD_H
#define VFN_VFIO_GUARD_H

#include <stdbool.h>

#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS

/**
 * vfn_sigbus_guard - guard the process against SIGBUS from devices' memory
 * @on: whether to do so from now on, or no more
 *
 * The kernel takes a device's memory away from the process when the device is removed, is put to sleep, or has
 * its memory decoding switched off; an access raises SIGBUS then, which by default ends the process. The
 * guard is a handler of that signal. Where the access was to a base address register of
 * vfio_pci_map_bar(), which those of controllers are, the handler puts ordinary memory, all ones, in the
 * place of the whole mapping (of the page, where it has more than 1 MiB), and the access is repeated:
 * the library finds the device gone, and says ENODEV. It stays like that, and what is written goes nowhere, until
 * the base address register is mapped again: close the device, and open it.
 *
 * Any other SIGBUS is for whom it was for before: the handler of that time is called, or
 * the process ends.
 *
 * This is the only thing that the library does to the process as a whole, and not unless this
 * function is called. All threads are guarded. Call it while no other thread changes the action for SIGBUS; not
 * from handlers; and, to switch it off, before the library is unloaded.
 *
 * Return: 0, also when it was like that before; or -1 with errno EBUSY (the program, or another
 * library, has put a handler of its own in the place of the guard's: it has to go first).
 */
int vfn_sigbus_guard(bool on);

VFN_END_DECLS

#endif /* VFN_VFIO_GUARD_H */
