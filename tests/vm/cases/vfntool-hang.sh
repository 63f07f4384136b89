#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# vfntool takes a controller from the kernel's driver, which waits for a drive that takes forever, and nobody can interrupt
# it there: vfntool says so meanwhile, and can be called off (T6, L2).
. /vfn/tap.sh

exec 8<>/dev/virtio-ports/vfn.requests

throttle() {
	echo "{\"execute\": \"block_set_io_throttle\", \"arguments\": {\"id\": \"neighbour\", \"bps\": 0, \"bps_rd\": 0,
		\"bps_wr\": 0, \"iops\": $1, \"iops_rd\": 0, \"iops_wr\": 0}}" | tr -d '\n\t' >&8
	echo >&8
	read -r answer <&8
	[ "$answer" = '{"return": {}}' ] || echo "# $answer"
}

state() {
	echo "$(driver_of "$BDF_NEIGHBOUR") $(cat /sys/bus/pci/devices/"$BDF_NEIGHBOUR"/driver_override)"
}

# begin COMMAND...: start a change while reads are out that take a second each
begin() {
	throttle 1
	for block in $(seq 20); do
		dd if="$device" of=/dev/null bs=4k count=1 skip="$block" iflag=direct 2>/dev/null &
	done
	sleep 0.5
	"$@" >/tmp/said 2>&1 &
	tool=$!
}

# The processes that vfntool is, with their states.
processes() {
	ps -o stat,args | grep ' vfntool [a-z]*bind'
}

# One of them is where nobody can interrupt it.
hangs() {
	for try in $(seq 30); do
		processes | grep -q ^D && return
		sleep 0.1
	done
	return 1
}

device=$(block_of "$BDF_NEIGHBOUR")
as_was=$(state)

begin vfntool bind "$BDF_NEIGHBOUR"
check 'bind hangs' hangs
kill -TERM $tool
sleep 0.3
check 'a signal lets it wait for the kernel' kill -0 $tool
throttle 0
wait $tool
same 'then it ends with the signal' $? 143
same 'and has undone what it did' "$(state)" "$as_was"
check 'the kernel has the controller again' wait_for_kernel "$BDF_NEIGHBOUR"

device=$(block_of "$BDF_NEIGHBOUR")
begin vfntool unbind "$BDF_NEIGHBOUR"
check 'unbind hangs' hangs
for try in $(seq 80); do
	grep -q 'still at it' /tmp/said && break
	sleep 0.1
done
cp /tmp/said /tmp/output
says 'it says so while it does' 'the kernel is still at it'
check 'and still does' hangs
kill -TERM $tool
sleep 0.2
kill -TERM $tool
sleep 0.2
refuse 'the second signal ends it at once' kill -0 $tool
wait $tool
same 'with the signal' $? 143
throttle 0
for try in $(seq 100); do
	processes >/dev/null || break
	sleep 0.1
done
refuse 'nothing of it stays when the kernel is through' processes
same 'it has undone what it did' "$(state)" "$as_was"
check 'and the kernel has the controller again' wait_for_kernel "$BDF_NEIGHBOUR"
wait
finish
