#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The examples for memory in controllers: commands and data there, and what another controller does with it.
. /vfn/tap.sh

for name in a legacy; do
	bdf=$(eval echo "\$BDF_$(echo $name | tr a-z A-Z)")
	check "cmb on $name" cmb -d "$bdf" --slba 8
	says "cmb on $name says what it did" 'verified 64 KiB'
	check "the kernel reads what cmb wrote on $name" io --verify-file "$(block_of "$BDF_B")" --slba 8 -l 64K --pattern 1
done
refuse 'cmb on a controller without memory' cmb -d "$BDF_PLAIN"
says 'says what it lacks' 'no memory'

check 'cmb-p2p without iommufd' env VFN_IOMMU_FORCE_VFIO=1 cmb-p2p -d "$BDF_PLAIN" --peer "$BDF_A"
says 'cmb-p2p says what it did' 'read 64 KiB into'
set -- $(uname -r | tr .- '  ')
if [ $(($1 * 100 + $2)) -ge 619 ]; then
	check 'cmb-p2p by dma-buf' cmb-p2p -d "$BDF_PLAIN" --peer "$BDF_A"
else
	refuse 'cmb-p2p by iommufd without dma-buf' cmb-p2p -d "$BDF_PLAIN" --peer "$BDF_A"
	says 'says what to do' 'VFN_IOMMU_FORCE_VFIO=1'
fi
finish
