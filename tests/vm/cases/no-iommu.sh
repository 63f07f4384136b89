#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Without an IOMMU nothing is driven, and what is said helps; the kernel's no-IOMMU mode is no way around that.
. /vfn/tap.sh

device=/sys/bus/pci/devices/$BDF_A

refuse 'bind' vfntool bind "$BDF_A"
says 'says how to switch it on' 'intel_iommu=on'
same 'leaves the controller on nvme' "$(driver_of "$BDF_A")" nvme

# As one does it without vfntool: give the controller to a driver, or with no name to the one that it has by itself.
give_to() {
	echo "$1" >"$device/driver_override"
	[ ! -e "$device/driver" ] || echo "$BDF_A" >"$device/driver/unbind"
	echo "$BDF_A" >/sys/bus/pci/drivers_probe
}

give_to vfio-pci
refuse 'open' identify -d "$BDF_A"
says 'says what is missing' "$BDF_A has no IOMMU group"
says 'says how to switch it on, too' 'intel_iommu=on'

echo Y >/sys/module/vfio/parameters/enable_unsafe_noiommu_mode
give_to vfio-pci
same 'no-IOMMU mode lets vfio-pci have it' "$(driver_of "$BDF_A")" vfio-pci
refuse 'open in that mode' identify -d "$BDF_A"
says 'says that it does not isolate' 'no-IOMMU mode, which does not isolate'

give_to ''
check 'the kernel has it again' wait_for_kernel "$BDF_A"
finish
