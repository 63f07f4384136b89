#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Every example runs and shows what it is for.
. /vfn/tap.sh

check 'regs' regs -d "$BDF_A"
says 'regs shows the capabilities' '[Cc][Aa][Pp].*4018200f0107ff'
says 'regs shows the version' '[Vv][Ss].*10400'

check 'identify' identify -d "$BDF_A"
says 'identify shows the vendor' '^vid 0x1b36'
says 'identify shows the subsystem vendor' '^ssvid 0x1af4'
says 'identify shows the serial number' 'Serial Number +: vfn-main$'
says 'identify shows the model' 'Model Number +: QEMU NVMe Ctrl$'
says 'identify shows the largest queue' 'Max queue entries +: 2048$'
says 'identify shows the largest transfer' 'Max data transfer size +: 524288$'

check 'oneshot' oneshot -d "$BDF_A"
says 'oneshot shows the vendor' '^vid 0x1b36'

# QEMU takes odd addresses, reserved bits and identifiers that are in use
check 'negative' negative -d "$BDF_A"
says 'negative shows an unknown opcode' 'opcode.*Invalid Command Opcode'
says 'negative shows an absent namespace' 'namespace.*Invalid Namespace or Format'
says 'negative shows blocks that are not there' 'behind the last.*LBA Out of Range'

for kind in msix intx; do
	check "eventfd by $kind" eventfd -d "$BDF_A" --irq $kind
done
refuse 'eventfd by msi, which the controller has not' eventfd -d "$BDF_A" --irq msi

for kind in '' '--sequential' '--write' '--sequential --write'; do
	check "perf $kind" perf -d "$BDF_A" --time 1 --depth 8 $kind
	says 'perf shows a rate' '[1-9][0-9]*.*IOPS'
	says 'perf shows a percentile' '99'
done

check 'hello-blk' hello-blk -d "$BDF_A"
says 'hello-blk shows its text' '^hello, blocks$'
same 'the kernel reads it' "$(dd if="$(block_of "$BDF_B" 1)" bs=4096 count=1 iflag=direct 2>/dev/null | head -c 13)" 'hello, blocks'

check 'data to copy' io -d "$BDF_A" -n 1 -l 4M --pattern 77 --write-only
check 'copy to blocks of another size' copy -d "$BDF_A" -n 1 --to "$BDF_A/2" -l 4M
says 'copy says how much' '^copied 4 MiB from '
check 'the kernel reads the copy' io --verify-file "$(block_of "$BDF_B" 2)" -l 4M --pattern 77

check 'kv makes a store' kv -d "$BDF_A" -n 2 --format
check 'kv stores a value' kv -d "$BDF_A" -n 2 --put colour=red
check 'kv stores another one' kv -d "$BDF_A" -n 2 --put colour=blue
check 'kv has a value' kv -d "$BDF_A" -n 2 --get colour
says 'the last one' '^blue$'

refuse 'a device that the kernel has' identify -d "$BDF_B"
says 'says which driver has it' "$BDF_B is bound to nvme"
says 'says what to do' 'vfntool bind'
finish
