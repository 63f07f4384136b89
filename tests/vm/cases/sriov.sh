#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Two virtual functions, each driven by a process of its own at the same time; the physical function's owner says who may.
. /vfn/tap.sh

token=6f7d2c1e-93a4-4b58-8c0d-1e2f3a4b5c6d
other=00000000-93a4-4b58-8c0d-1e2f3a4b5c6d
vf1=${BDF_A%.0}.1
vf2=${BDF_A%.0}.2
mkfifo /tmp/hold

# The program that has the physical function, for as long as the pipe has a writer.
start_owner() {
	VFTOKEN=$token sriov -d "$BDF_A" --vfs 2 --wait </tmp/hold >/tmp/owner 2>&1 &
	owner=$!
	exec 9>/tmp/hold
	for try in $(seq 100); do
		grep -q '^virtual function 2' /tmp/owner && break
		kill -0 $owner 2>/dev/null || break
		sleep 0.1
	done
	cp /tmp/owner /tmp/output
}

stop_owner() {
	exec 9>&-
	wait $owner
}

# While both programs run there is a moment when each has its function open.
both_are_open() {
	while kill -0 $first && kill -0 $second; do
		ls -l /proc/$first/fd | grep -q 'vfio-device\|vfio/devices' &&
			ls -l /proc/$second/fd | grep -q 'vfio-device\|vfio/devices' && return
	done
	return 1
}

# exchange NAME: write with both at once, halves of the namespace, and see what the kernel reads
exchange() {
	seed=$((seed + 1))
	VFTOKEN=$token io -d "$vf1" -l 24M --pattern $seed >/tmp/vf1 2>&1 &
	first=$!
	VFTOKEN=$token io -d "$vf2" -s 65536 -l 24M --pattern $((seed + 100)) >/tmp/vf2 2>&1 &
	second=$!
	check "$1: two processes have the functions" both_are_open
	check "$1: the first function writes and reads" wait $first
	check "$1: the second function does, too" wait $second
	cat /tmp/vf1 /tmp/vf2 >/tmp/output
	says "$1: and both say so" '^verified 24 MiB$'
	check "$1: the kernel reads what the first wrote" \
		io --verify-file "$(block_of "$BDF_B" 1)" -l 24M --pattern $seed
	check "$1: the kernel reads what the second wrote" \
		io --verify-file "$(block_of "$BDF_B" 1)" -s 65536 -l 24M --pattern $((seed + 100))
}

# admitted NAME: only who has the token may open a function. The library asks for no more than the kernel, which
# before 6.17 lets by who comes through iommufd without one.
admitted() {
	if [ -n "$checked" ]; then
		refuse "$1: without a token" identify -d "$vf1"
		says "$1: says which is missing" 'VF token is required: set VFTOKEN'
	fi
	VFTOKEN=$other refuse "$1: with another token" identify -d "$vf1"
	says "$1: says that it is another" 'VF token in VFTOKEN is not the one'
	VFTOKEN=not-a-uuid refuse "$1: with nonsense" identify -d "$vf1"
	says "$1: quotes it" "VFTOKEN='not-a-uuid' is no UUID"
	VFTOKEN=$token check "$1: with the token" identify -d "$vf1"
}

refuse 'a controller without virtual functions' sriov -d "$BDF_B"
says 'says so' "$BDF_B has no virtual functions"

features "$BDF_A" >/tmp/features
seed=0
for by in iommufd type1; do
	if [ $by = iommufd ]; then
		export VFN_IOMMU_FORCE_VFIO=0
		checked=$(grep 'has iommufd-token' /tmp/features)
		reason="type1: $vf1: the kernel takes no VF token with iommufd"
		[ -n "$checked" ] && reason="iommufd: $vf1 has a character device"
	else
		export VFN_IOMMU_FORCE_VFIO=1
		checked=yes
		reason='type1: VFN_IOMMU_FORCE_VFIO is set'
	fi
	start_owner
	says "$by: the first function is there" "^virtual function 1 is $vf1, controller [0-9]+ with [1-9]"
	says "$by: and the second" "^virtual function 2 is $vf2, controller [0-9]+ with [1-9]"
	says "$by: and says by which interface and why" "^virtual function 1 by $reason"
	admitted "$by"
	exchange "$by"
	check "$by: the functions are removed" stop_owner
	same "$by: none is left" "$(cat /sys/bus/pci/devices/"$BDF_A"/sriov_numvfs)" 0
done

# Nobody guards the functions of a physical one that the kernel itself drives.
check 'the kernel has the physical function' vfntool reset "$BDF_A"
wait_for_kernel "$BDF_A"
echo 0 >/sys/bus/pci/devices/"$BDF_A"/sriov_drivers_autoprobe
echo 2 >/sys/bus/pci/devices/"$BDF_A"/sriov_numvfs
check 'bind a virtual one' vfntool bind "$vf1"
for force in 0 1; do
	export VFN_IOMMU_FORCE_VFIO=$force
	refuse 'no token is required, but it is not online' regs -d "$vf1" --as-is
	says 'as its registers say' 'CAP 0x0'
	VFTOKEN=$token refuse 'nor accepted' regs -d "$vf1" --as-is
	says 'says what to do' "$vf1 takes no VF token, .*: unset VFTOKEN"
done
check 'give it back' vfntool unbind "$vf1"
echo 0 >/sys/bus/pci/devices/"$BDF_A"/sriov_numvfs
check 'bind the physical function again' vfntool bind "$BDF_A"
finish
