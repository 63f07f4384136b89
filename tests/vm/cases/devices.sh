#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The guest is what the other cases take for granted: controllers on the kernel's driver, each in a group of its own.
. /vfn/tap.sh

for variable in $(env | grep ^BDF_ | sort); do
	bdf=${variable#*=}
	is_nvme "$bdf" || continue
	same "${variable%%=*} is on nvme" "$(driver_of "$bdf")" nvme
	check "${variable%%=*} has a block device" test -b "$(block_of "$bdf")"
	same "${variable%%=*} is alone in its group" "$(ls /sys/bus/pci/devices/"$bdf"/iommu_group/devices/)" "$bdf"
done

same 'namespace 1 has blocks of 512 bytes' "$(cat "/sys/block/$(basename "$(block_of "$BDF_B" 1)")/queue/logical_block_size")" 512
same 'namespace 2 has blocks of 4096 bytes' "$(cat "/sys/block/$(basename "$(block_of "$BDF_B" 2)")/queue/logical_block_size")" 4096
finish
