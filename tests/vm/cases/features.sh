#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What the guest has and lacks, for the runner. Without an IOMMU a controller cannot be bound, and so has nothing to tell.
. /vfn/tap.sh

vfntool bind "$BDF_A"
features "$BDF_A"
result=$?
vfntool reset "$BDF_A"
wait_for_kernel "$BDF_A" && exit $result
