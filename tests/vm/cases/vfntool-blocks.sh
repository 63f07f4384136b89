#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# vfntool moves blocks: an image of a file system is copied in, which the kernel mounts then; what cannot be read is named.
. /vfn/tap.sh

# An image as large as the disk of "mounted", that has an ext4 already.
image=/tmp/image
neighbour=$(block_of "$BDF_NEIGHBOUR")
mounted=$(block_of "$BDF_MOUNTED")
check 'mount what the image is made of' mount -t ext4 "$mounted" /mnt
head -c 300000 /dev/urandom >/mnt/file
sum=$(sha256sum </mnt/file)
sync
check 'umount' umount /mnt

check 'bind the source' vfntool bind "$BDF_MOUNTED"
check 'bind the destination' vfntool bind "$BDF_NEIGHBOUR"
check 'copy a file system out' vfntool copy "$BDF_MOUNTED" $image
says 'zeros are holes' 'bytes, [0-9]+ of them zeros'
same 'as large as the disk' "$(stat -c %s $image)" 16777216
dd if=/dev/urandom of=/tmp/half bs=1M count=1 2>/dev/null
if vfntool write "$BDF_MOUNTED" --data-file /tmp/half 2>&1 | grep -q libblkid; then
	known='no libblkid'
else
	known='file system or partition table \(ext4\)'
fi
refuse 'a file system is not overwritten' vfntool write "$BDF_MOUNTED" --data-file /tmp/half
says 'says what is there' "$known: --force overwrites it"
refuse 'nor discarded' vfntool discard "$BDF_MOUNTED" --all
check 'zero' vfntool zero "$BDF_NEIGHBOUR" --length 8M --force
check 'copy the first half in' vfntool copy $image "$BDF_NEIGHBOUR" --length 8M --verify
refuse 'blocks that cannot be written' vfntool write "$BDF_NEIGHBOUR" --data-file /tmp/half --offset 8M --force
says 'are named' 'write of 1 blocks from 16448 on: '
says 'all before them is there' "write: called off: the first 32768 bytes are in $BDF_NEIGHBOUR/1"
refuse 'blocks that cannot be read (E13)' vfntool copy "$BDF_NEIGHBOUR" /tmp/out
says 'are named, too' 'read of 1 blocks from 16384 on: Unrecovered Read Error'
same 'all before them is there, too' "$(stat -c %s /tmp/out)" 8388608
check 'as it was copied' cmp -n 8388608 /tmp/out $image
rm /tmp/out

# onto the disk that it came from, after that was something else
check 'zero all' vfntool zero "$BDF_MOUNTED" --all --force
check 'copy the image in' vfntool copy $image "$BDF_MOUNTED" --verify
says 'verified' '16777216 bytes, verified, [0-9]+ of them zeros'
check 'reset the source' vfntool reset "$BDF_MOUNTED"
check 'reset the destination' vfntool reset "$BDF_NEIGHBOUR"
check 'the kernel has them again' wait_for_kernel "$BDF_MOUNTED"
check 'both' wait_for_kernel "$BDF_NEIGHBOUR"

mounted=$(block_of "$BDF_MOUNTED")
check 'fsck finds nothing' e2fsck -fn "$mounted"
check 'the kernel mounts it' mount -t ext4 "$mounted" /mnt
same 'and reads the file' "$(sha256sum </mnt/file)" "$sum"
refuse 'a mounted disk is not written' vfntool write "$BDF_MOUNTED" --data-file /tmp/half --force
says 'says where it is mounted' '/mnt'
rm /mnt/file
check 'umount again' umount /mnt

# from one controller to another
check 'bind' vfntool bind "$BDF_A"
check 'write' vfntool write "$BDF_A/1" --data-file /tmp/half --force
check 'the kernel reads it by the other controller' cmp -n 1048576 /tmp/half "$(block_of "$BDF_B" 1)"
check 'from a namespace to another, of other blocks' vfntool copy "$BDF_A/1" "$BDF_A/2" --length 1M --verify --force
check 'the kernel reads that, too' cmp -n 1048576 /tmp/half "$(block_of "$BDF_B" 2)"
check 'a pipe' sh -c "vfntool copy $BDF_A/2 - --length 1M | cmp - /tmp/half"
check 'discard' vfntool discard "$BDF_A/2" --length 1M --force
check 'reset' vfntool reset "$BDF_A"
check 'and running' wait_for_kernel "$BDF_A"
rm -f $image /tmp/half
finish
