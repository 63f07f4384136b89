#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The tests of vfntool verify, and what the kernel's driver says of the same blocks.
. /vfn/tap.sh

# sum_of DEVICE MIB: the digest of its beginning, as the kernel's driver reads it now
sum_of() {
	dd if="$1" bs=1M count="$2" iflag=direct 2>/dev/null | sha256sum | cut -d' ' -f1
}

# digest NAMESPACE: what the last command has printed for it
digest() {
	sed -n "s|^# sha256: \([0-9a-f]*\) $1,.*|\1|p" /tmp/output
}

oracle=$(block_of "$BDF_B" 1)
check 'bind' vfntool bind "$BDF_A"
host trace pci_nvme_create_sq

check 'E5: sim' vfntool verify sim "$BDF_A" --threads 4 --depth 8 --length 16M --seed 1 --force
says 'E5: OK' '^ok 1 - .*16777216 bytes written by 4 queues are read by them again'
same 'E5: the kernel reads what has this digest' "$(digest "$BDF_A/1")" "$(sum_of "$oracle" 16)"

before=$(host count 'pci_nvme_create_sq .*qsize=499')
check 'E6: api' vfntool verify api "$BDF_A" --threads 2 --depth 500 --ratio 4 --seed 1 --length 24M --force
says 'E6: no miscompares, no leaks' '^ok 1 - .*2 queues, [0-9]+ requests: 0 miscompares, 0 leaks'
same 'E6: 499 commands fit into each queue' "$(($(host count 'pci_nvme_create_sq .*qsize=499') - before))" 3

check 'E11: lat' vfntool verify lat "$BDF_A" --runtime 1 --threads 1 --depth 8 --force
for what in 'read slat' 'read clat' 'write slat' 'write clat'; do
	says "E11: $what" "^# $what: min [0-9.]+ avg [0-9.]+ max [0-9.]+ us$"
	same "E11: in this order" "$(sed -n "s/^# $what: min \([0-9.]*\) avg \([0-9.]*\) max \([0-9.]*\) us/\1 \2 \3/p" /tmp/output |
		awk '{ print ($1 <= $2 && $2 <= $3) }')" 1
done
says 'E11: reads and writes' '^ok 1 - .*: [1-9][0-9]* reads, [1-9][0-9]* writes'

check 'bind a third' vfntool bind "$BDF_NEIGHBOUR"
check 'E12: mcd' vfntool verify mcd "$BDF_A/1" "$BDF_A/2" "$BDF_NEIGHBOUR" --length 4M --force
first=$(digest "$BDF_A/1") second=$(digest "$BDF_A/2") third=$(digest "$BDF_NEIGHBOUR/1")

# somebody who is killed in the middle
check 'E17: what is written before' vfntool verify sim "$BDF_A/2" --length 4M --seed 17 --force
second=$(digest "$BDF_A/2")
vfntool copy /dev/urandom "$BDF_A/2" --seek 16M --length 40M --force >/dev/null 2>&1 &
victim=$!
sleep 0.7
kill -9 $victim
wait $victim
same 'E17: was killed' $? 137

check 'reset' vfntool reset "$BDF_A"
check 'reset the third' vfntool reset "$BDF_NEIGHBOUR"
check 'E17: the kernel has the controller' wait_for_kernel "$BDF_A"
check 'and the third' wait_for_kernel "$BDF_NEIGHBOUR"
same 'E12: namespace 1' "$first" "$(sum_of "$(block_of "$BDF_A" 1)" 4)"
same 'E12 E17: namespace 2' "$second" "$(sum_of "$(block_of "$BDF_A" 2)" 4)"
same 'E12: another controller' "$third" "$(sum_of "$(block_of "$BDF_NEIGHBOUR" 1)" 4)"
finish
