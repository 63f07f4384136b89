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

refuse 'a device that the kernel has' identify -d "$BDF_B"
says 'says which driver has it' "$BDF_B is bound to nvme"
says 'says what to do' 'vfntool bind'
finish
