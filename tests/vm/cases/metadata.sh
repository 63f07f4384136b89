#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The kernel's driver sees the namespaces anew first. Linux up to 6.12 at least has the effects of a namespace's commands
# from whichever controller it saw the namespace with first, and goes on reading them when that controller is gone and
# its memory somebody else's. A command of a program's own is then said to have unusual effects.
. /vfn/tap.sh

has_namespaces() {
	for nsid in $(seq 11); do
		[ -b "$(block_of "$BDF_B" "$nsid")" ] || return 1
	done
}

echo "$BDF_B" >/sys/bus/pci/drivers/nvme/unbind
echo "$BDF_B" >/sys/bus/pci/drivers/nvme/bind
for try in $(seq 200); do
	has_namespaces && exec metadata
	sleep 0.1
done
fail 'the kernel has all namespaces again'
finish
