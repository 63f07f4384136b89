#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# vfntool sends what no driver would: the controller answers, the IOMMU stops it, nobody else comes to harm.
. /vfn/tap.sh

# ends WANTED TEXT COMMAND...: the command ends with this status
ends() {
	wanted=$1
	what=$2
	shift 2
	"$@" >/tmp/output 2>&1
	same "$what" $? "$wanted"
}

check 'registers' vfntool regs "$BDF_A" --enable
says 'registers show the version' '^VS +0x00010400'
says 'registers show that it is ready' 'RDY +0 +0x1'

check 'identify' vfntool admin-passthru "$BDF_A" --opcode 6 --cdw10 1 --length 4K
says 'identify shows the serial number' 'vfn-main'

ends 3 'unknown opcode' vfntool io-passthru "$BDF_A" --opcode 0x7f --nsid 1
says 'unknown opcode in words' 'Invalid Command Opcode'
ends 3 'blocks behind the last' vfntool io-passthru "$BDF_A" --opcode 2 --nsid 1 --length 512 --cdw11 1
says 'blocks behind the last in words' 'LBA Out of Range'
ends 3 'queue that is not there' vfntool admin-passthru "$BDF_A" --opcode 0 --cdw10 77
says 'queue that is not there in words' 'SCT 1h Command Specific Status, SC 01h'

# QEMU takes this for a success; only the kernel's log knows
ends 0 'data where no memory is' vfntool io-passthru "$BDF_A" --opcode 2 --nsid 1 --length 512 --prp1 0x123456000
ends 4 'event that does not come' vfntool admin-passthru "$BDF_A" --opcode 0xc --timeout 200
says 'event that does not come in words' 'outstanding: time is up'

check 'and it goes on' vfntool io-passthru "$BDF_A" --opcode 2 --nsid 1 --length 512 --repeat 100 --depth 8
finish
