#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The iopf example where nothing has page faults, as QEMU's controllers have no PRI: it says which part is missing, and the
# controller is none the worse for it.
. /vfn/tap.sh

features "$BDF_A" >/tmp/features
if grep -q 'has fault-queue' /tmp/features; then
	# newer kernels ask the device, older ones never get that far
	reason="$BDF_A(: the kernel, or the device's IOMMU, does not hand page faults on| has no page faults: .* no PRI)"
elif [ -e /dev/iommu ]; then
	reason="$BDF_A: fault queues take iommufd \(type1: VFN_IOMMU_FORCE_VFIO is set\)"
else
	reason='fault queue: /dev/iommu is missing: modprobe iommufd'
fi

check 'write' io -d "$BDF_A" -l 64K --pattern 1234 --write-only
refuse 'page faults' iopf -d "$BDF_A"
same 'ends with status 1' $result 1
says 'says which part is missing' "^iopf: no page faults: $reason\$"
check 'read' io -d "$BDF_A" -l 64K --pattern 1234 --read-only
finish
