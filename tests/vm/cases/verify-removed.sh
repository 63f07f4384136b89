#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A controller is taken away while vfntool verify uses it: the tool says so and ends.
. /vfn/tap.sh

# wait_until COMMAND...: up to 15 s
wait_until() {
	for try in $(seq 150); do
		"$@" && return
		sleep 0.1
	done
	return 1
}

check 'bind' vfntool bind "$BDF_OTHER"
vfntool verify api "$BDF_OTHER" --ratio 16 --seed 18 --force >/tmp/said 2>&1 &
tool=$!
sleep 1
same 'E18: it runs' "$(kill -0 $tool && echo yes)" yes
before=$(cut -d. -f1 /proc/uptime)
host qmp '{"execute": "device_del", "arguments": {"id": "other"}}'
wait $tool
status=$?
took=$(($(cut -d. -f1 /proc/uptime) - before))
cp /tmp/said /tmp/output
same 'E18: it ends with 4' $status 4
says 'E18: device lost' '^not ok .*device lost'
check "E18: within 10 s, which were $took" test $took -lt 10
check 'the device is gone' wait_until test ! -e /sys/bus/pci/devices/"$BDF_OTHER"
finish
