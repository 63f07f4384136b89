#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# vfntool gives one controller to vfio-pci and back; those with the same vendor:device never notice.
. /vfn/tap.sh

override() {
	cat /sys/bus/pci/devices/"$1"/driver_override
}

# What must not change for a controller that nobody asked to bind: driver, override, and the kernel's very own object.
state_of() {
	echo "$(driver_of "$1") $(override "$1") $(ls -di /sys/bus/pci/devices/"$1"/nvme/nvme*)"
}

before_b=$(state_of "$BDF_B")
before_neighbour=$(state_of "$BDF_NEIGHBOUR")
same 'identical vendor and device' \
	"$(cat /sys/bus/pci/devices/"$BDF_NEIGHBOUR"/vendor /sys/bus/pci/devices/"$BDF_NEIGHBOUR"/device)" \
	"$(cat /sys/bus/pci/devices/"$BDF_A"/vendor /sys/bus/pci/devices/"$BDF_A"/device)"

check 'dry run' vfntool bind "$BDF_A" --dry-run
same 'dry run changes nothing' "$(driver_of "$BDF_A")" nvme

check 'bind' vfntool bind "$BDF_A"
same 'bound to vfio-pci' "$(driver_of "$BDF_A")" vfio-pci
same 'by driver_override' "$(override "$BDF_A")" vfio-pci
check 'its group can be opened' test -c /dev/vfio/"$(basename "$(readlink /sys/bus/pci/devices/"$BDF_A"/iommu_group)")"
same 'its block devices are gone' "$(block_of "$BDF_A")" ''
same 'b is untouched' "$(state_of "$BDF_B")" "$before_b"
same 'the neighbour is untouched' "$(state_of "$BDF_NEIGHBOUR")" "$before_neighbour"

check 'bind again' vfntool bind "$BDF_A"
same 'still bound to vfio-pci' "$(driver_of "$BDF_A")" vfio-pci

check 'list' vfntool list
says 'list has the bound controller' "$BDF_A.*vfio-pci"
says 'list has the neighbour on nvme' "$BDF_NEIGHBOUR.*nvme"
says 'list names the vendor and device' '1b36:0010'
# libpci is in the guest if vfntool was built with it.
if find / -xdev -name 'libpci.so*' | grep -q .; then
	says 'list has the name' 'QEMU NVM Express Controller'
fi
check 'list as JSON' vfntool list --json
says 'JSON has the address' "\"$BDF_A\""
check 'show' vfntool show "$BDF_A"
says 'show names the driver' 'vfio-pci'
says 'show names the group' "[Gg]roup.*$(basename "$(readlink /sys/bus/pci/devices/"$BDF_A"/iommu_group)")"

check 'reset' vfntool reset "$BDF_A"
same 'back on nvme' "$(driver_of "$BDF_A")" nvme
same 'without an override' "$(override "$BDF_A")" '(null)'
check 'its block devices are back' wait_for_kernel "$BDF_A"

check 'bind once more' vfntool bind "$BDF_A"
check 'unbind' vfntool unbind "$BDF_A"
same 'without a driver' "$(driver_of "$BDF_A")" none
check 'reset again' vfntool reset "$BDF_A"
same 'on nvme again' "$(driver_of "$BDF_A")" nvme
check 'and running' wait_for_kernel "$BDF_A"

check 'the old form binds' vfntool -d "$BDF_A"
same 'to vfio-pci' "$(driver_of "$BDF_A")" vfio-pci
check 'the old form takes a driver' vfntool -d "$BDF_A" -t nvme
same 'and binds to it' "$(driver_of "$BDF_A")" nvme
check 'running, too' wait_for_kernel "$BDF_A"
check 'nothing left to reset' vfntool reset "$BDF_A"
same 'without an override in the end' "$(override "$BDF_A")" '(null)'
check 'and running in the end' wait_for_kernel "$BDF_A"

same 'b never noticed' "$(state_of "$BDF_B")" "$before_b"
same 'the neighbour never noticed' "$(state_of "$BDF_NEIGHBOUR")" "$before_neighbour"
refuse 'a device that does not exist' vfntool bind 0000:ff:1f.7
says 'is named' '0000:ff:1f.7'
finish
