#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# fio with the library's engine: it verifies what it has written, and so does fio with the kernel's driver.
. /vfn/tap.sh

cd /tmp || exit 1
mount -o ro "$(block_of "$BDF_PROGRAMS")" /mnt
file=$(echo "$BDF_A" | tr : .)/1
jobs='--bs=4k --size=4M --offset_increment=4M --numjobs=4 --iodepth=32 --group_reporting --eta=never'

# A name decides what is written where, so both have the same.
run() {
	LD_LIBRARY_PATH=/mnt /mnt/fio --name=verified "$@"
}

check 'fio with the engine verifies what four jobs write' run --ioengine=external:/vfn/vfn-fio.so --thread \
	--filename="$file" --rw=randrw --verify=crc32c $jobs
says 'without an error' 'err= 0'
says 'written' 'WRITE: .* io=[1-9]'
check 'fio with the kernel verifies it, too' run --ioengine=libaio --direct=1 --filename="$(block_of "$BDF_B" 1)" \
	--rw=randrw --verify=crc32c --verify_only $jobs
says 'it has read' 'READ: .* io=[1-9]'
says 'without an error, too' 'err= 0'
dd if=/dev/zero of="$(block_of "$BDF_B" 1)" bs=64k count=1 seek=70 oflag=direct 2>/dev/null
refuse 'which notices what is not there any more' run --ioengine=libaio --direct=1 --filename="$(block_of "$BDF_B" 1)" \
	--rw=randrw --verify=crc32c --verify_only $jobs

check 'trims and syncs' run --ioengine=external:/vfn/vfn-fio.so --thread --filename="$file" --rw=trimwrite --fsync=8 \
	--bs=4k --size=256k --iodepth=4
refuse 'jobs that are processes' run --ioengine=external:/vfn/vfn-fio.so --filename="$file" --rw=read --size=64k
says 'says what is missing' 'thread=1 is missing'
umount /mnt
finish
