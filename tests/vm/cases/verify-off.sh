#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Any length from any offset, on controllers that move any number, two pages and 512 KiB at a time (MDTS 0, 1, 7), with blocks of 512
# and 4096 bytes, by PRPs and by SGLs: the kernel reads the same. That the IOMMU does not complain the runner sees.
. /vfn/tap.sh

# sweep CONTROLLER NSID NUMBER OPTION...: up to so many blocks
sweep() {
	bdf=$1 nsid=$2 most=$3
	shift 3
	check "E$number: namespace $nsid, up to $most blocks $*" vfntool verify off "$bdf/$nsid" --blocks "$most" \
		--check "$(block_of "$BDF_B" "$nsid")" --force "$@"
	same 'each offset' "$(grep -Ec '^ok [1-8] - ' /tmp/output)" 8
}

for name in a mdts0 mdts1; do
	number=9
	[ $name = mdts1 ] && number=10
	controller=$(eval "echo \$BDF_$(echo $name | tr a-z A-Z)")
	check "bind $name" vfntool bind "$controller"
	sweep "$controller" 1 4097
	sweep "$controller" 1 1024 --sgl
	number=10
	sweep "$controller" 2 1024
	sweep "$controller" 2 17 --sgl
	if [ $name = mdts1 ]; then
		host trace pci_nvme_write
		before=$(host count 'pci_nvme_write ')
		dd if=/dev/urandom of=/tmp/data bs=1052672 count=1 2>/dev/null
		check 'E10: 1028 KiB' vfntool write "$controller/1" --data-file /tmp/data --force
		same 'E10: a command for each 8 KiB' "$(($(host count 'pci_nvme_write ') - before))" 129
	fi
	check "reset $name" vfntool reset "$controller"
	check "$name is back" wait_for_kernel "$controller"
done
finish
