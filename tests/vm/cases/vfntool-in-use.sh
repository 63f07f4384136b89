#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# vfntool refuses a controller whose disk is in use, says which and why, and leaves it alone (T4).
. /vfn/tap.sh

device=$(block_of "$BDF_MOUNTED")
name=$(basename "$device")

check 'mount' mount -t ext4 "$device" /mnt
echo kept >/mnt/file

for command in 'bind' 'unbind' 'bind --dry-run'; do
	set -- $command
	refuse "$command of a mounted disk" vfntool "$1" "$BDF_MOUNTED" $2
	says 'names the disk' "$name"
	says 'names where it is mounted' '/mnt'
	same 'leaves it on nvme' "$(driver_of "$BDF_MOUNTED")" nvme
done
refuse 'the old form, too' vfntool -d "$BDF_MOUNTED"
same 'and leaves it' "$(driver_of "$BDF_MOUNTED")" nvme

check 'list' vfntool list
says 'shows the disk and its use' "$name is mounted on /mnt"
check 'show' vfntool show "$BDF_MOUNTED"
says 'shows where it is mounted' '/mnt'

same 'the file is still there' "$(cat /mnt/file)" kept
check 'umount' umount /mnt
check 'bind when it is free' vfntool bind "$BDF_MOUNTED"
same 'is on vfio-pci' "$(driver_of "$BDF_MOUNTED")" vfio-pci
check 'reset' vfntool reset "$BDF_MOUNTED"
check 'is back' wait_for_kernel "$BDF_MOUNTED"

# Swap is a use, too.
device=$(block_of "$BDF_NEIGHBOUR")
mkswap "$device" >/dev/null
check 'swapon' swapon "$device"
refuse 'bind of a swap disk' vfntool bind "$BDF_NEIGHBOUR"
says 'names the disk' "$(basename "$device")"
says 'says why' 'swap'
same 'leaves it on nvme' "$(driver_of "$BDF_NEIGHBOUR")" nvme
check 'swapoff' swapoff "$device"
finish
