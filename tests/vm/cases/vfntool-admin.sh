#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What vfntool prints of a controller is what the kernel's driver says of the same one; what it formats the kernel sees.
. /vfn/tap.sh

# field NAME: its value in the last command's output, which ends before the two blanks in front of its meaning
field() {
	sed -En "s/^$1 +([^ ]+( [^ ]+)*)  .*/\1/p" /tmp/output | head -n 1
}

# number FILE OFFSET BYTES: a number in a structure that the kernel has fetched
number() {
	od -An -tu"$3" -j"$2" -N"$3" "$1" | tr -d ' '
}

# attribute NAME: of the controller in sysfs, without the blanks at its end
attribute() {
	sed 's/ *$//' /sys/bus/pci/devices/"$BDF_A"/nvme/nvme*/"$1"
}

# numbers FILE NAME OFFSET BYTES...: these fields are equal
numbers() {
	file=$1
	shift
	while [ $# -gt 0 ]; do
		same "$1" "$(field "$1")" "$(number "$file" "$2" "$3")"
		shift 3
	done
}

kernel=/dev/$(basename /sys/bus/pci/devices/"$BDF_A"/nvme/nvme*)
for name in serial model firmware_rev cntlid subsysnqn; do
	eval "$name=\$(attribute $name)"
done
blocks=$(cat /sys/class/block/"$(basename "$(block_of "$BDF_A" 1)")"/size)
block_size=$(cat /sys/class/block/"$(basename "$(block_of "$BDF_A" 2)")"/queue/logical_block_size)
ask "$kernel" 6 0 1 0 4096 >/tmp/ctrl
ask "$kernel" 6 2 0 0 4096 >/tmp/ns
ask "$kernel" 2 0xffffffff 0x007f0002 0 512 >/tmp/smart
ask "$kernel" 2 0xffffffff 0x007f0003 0 512 >/tmp/firmware
# features of the controller, and one of a namespace
features=
for feature in 1:0 2:0 4:0 5:1 6:0 10:0; do
	features="$features $feature:$(ask "$kernel" 10 ${feature#*:} ${feature%:*} 0 0)"
done

check 'bind' vfntool bind "$BDF_A"

check 'id-ctrl' vfntool id-ctrl "$BDF_A"
same 'SN' "$(field SN)" "$serial"
same 'MN' "$(field MN)" "$model"
same 'FR' "$(field FR)" "$firmware_rev"
same 'SUBNQN' "$(field SUBNQN)" "$subsysnqn"
same 'CNTLID' "$(($(field CNTLID)))" "$cntlid"
same 'VID' "$(($(field VID)))" "$(($(cat /sys/bus/pci/devices/"$BDF_A"/vendor)))"
numbers /tmp/ctrl MDTS 77 1 RTD3R 84 4 ACL 258 1 AERL 259 1 ELPE 262 1 NPSS 263 1 WCTEMP 266 2 CCTEMP 268 2 \
	MAXCMD 514 2 NN 516 4 AWUN 526 2 MP 2048 2
same 'OACS' "$(($(field OACS)))" "$(number /tmp/ctrl 256 2)"
same 'ONCS' "$(($(field ONCS)))" "$(number /tmp/ctrl 520 2)"
same 'SGLS' "$(($(field SGLS)))" "$(number /tmp/ctrl 536 4)"
check 'id-ctrl as JSON' vfntool id-ctrl "$BDF_A" --json
says 'JSON has the serial number' "\"SN\": \"$serial\""

check 'list-ns' vfntool list-ns "$BDF_A"
says 'list-ns has the size of namespace 1' "^ +1  $blocks blocks of 512 bytes$"
says 'list-ns has the blocks of namespace 2' "^ +2  [0-9]+ blocks of $block_size bytes$"
check 'id-ns' vfntool id-ns "$BDF_A" --nsid 2
numbers /tmp/ns NSZE 0 8 NCAP 8 8 NUSE 16 8 NLBAF 25 1 NOIOB 46 2 MSSRL 74 2 MCL 76 4 MS 128 2 LBADS 130 1
lbaf=$(sed -n 's/^LBA format in use: //p' /tmp/output)
same 'format in use' "$lbaf" "$(($(number /tmp/ns 26 1) & 15))"

check 'smart' vfntool smart "$BDF_A"
numbers /tmp/smart CTEMP 1 2 AVSP 3 1 AVSPT 4 1 PUSED 5 1 UPL 144 8 MDIE 160 8 NEILE 176 8
check 'error-log' vfntool error-log "$BDF_A"
check 'get-log' vfntool get-log "$BDF_A" --lid 3 --output /tmp/log
check 'get-log has what the kernel has' cmp /tmp/log /tmp/firmware

for feature in $features; do
	set -- $(echo "$feature" | tr : ' ')
	check "get-feature $1" vfntool get-feature "$BDF_A" --fid "$1" --nsid "$2"
	same "feature $1" "$(field value)" "$3"
done
check 'set-feature' vfntool set-feature "$BDF_A" --fid 4 --value 352
says 'set-feature shows what is in force' 'TMPTH +15:0 +0x160'
check 'set-feature as before' vfntool set-feature "$BDF_A" --fid 4 --value 343

# a disk of the kernel's is refused, and so is silence
device=$(block_of "$BDF_MOUNTED")
check 'mount' mount -t ext4 "$device" /mnt
refuse 'format of a mounted disk' vfntool format "$BDF_MOUNTED" --nsid 1 --force
says 'says why' "${device#/dev/} is mounted on /mnt"
check 'umount' umount /mnt
refuse 'format without a word' vfntool format "$BDF_A" --nsid 2
says 'wants --force' '--force'
check 'format dry run' vfntool format "$BDF_A" --nsid 2 --lbaf 0 --dry-run
says 'dry run says what would be done' 'would format namespace 2, .* with LBA format 0'

check 'format with other blocks' vfntool format "$BDF_A" --nsid 2 --lbaf 0 --force
says 'format shows the blocks' 'blocks of 512 bytes'
check 'reset' vfntool reset "$BDF_A"
check 'the kernel is back' wait_for_kernel "$BDF_A"
device=$(block_of "$BDF_A" 2)
same 'the kernel sees other blocks' "$(cat /sys/class/block/"${device#/dev/}"/queue/logical_block_size)" 512

check 'bind again' vfntool bind "$BDF_A"
check 'format as before' vfntool format "$BDF_A" --nsid 2 --lbaf "$lbaf" --force
check 'reset again' vfntool reset "$BDF_A"
check 'the kernel is back again' wait_for_kernel "$BDF_A"
device=$(block_of "$BDF_A" 2)
same 'the kernel sees the blocks as before' "$(cat /sys/class/block/"${device#/dev/}"/queue/logical_block_size)" "$block_size"
check 'the kernel reads' dd if="$device" of=/tmp/read bs=4096 count=16
dd if=/dev/zero of=/tmp/zeros bs=4096 count=16 2>/dev/null
check 'and finds zeros' cmp /tmp/read /tmp/zeros
finish
