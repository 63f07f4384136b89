#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The zns example: appended data lie where the completion says, as the kernel reads them; zones reset are empty.
. /vfn/tap.sh

oracle=$(block_of "$BDF_B" 3)

check 'report' zns -d "$BDF_A" -n 3
says 'all zones' '^zone 15: '
says 'of their capacity' '^zone 2: from block 16384, empty, 0 of 6144 blocks written$'

check 'append' zns -d "$BDF_A" -n 3 -z 2 -a 1M
says 'from the start of the zone' '^appended [0-9]+ blocks at block 16384$'
says 'that many' '^zone 2: from block 16384, open \(implicitly\), 2048 of 6144 blocks written$'
check 'append again' zns -d "$BDF_A" -n 3 -z 2 -a 512
says 'behind it' '^appended 1 blocks at block 18432$'

# examples/pattern.h: the first word of seed 2, 2 * 0x9e3779b97f4a7c15 modulo 2^64, low byte first
word=$(dd if="$oracle" bs=512 skip=18432 count=1 iflag=direct 2>/dev/null | hexdump -n 8 -e '8/1 "%02x"')
same 'the kernel reads it there' "$word" 2af894fe72f36e3c

check 'reset' zns -d "$BDF_A" -n 3 -z 2 --reset
says 'empty again' '^zone 2: from block 16384, empty, 0 of 6144 blocks written$'
refuse 'more than the zone holds' zns -d "$BDF_A" -n 3 -z 2 -a 4M
says 'fails at its end' 'append to zone 2: status type 1h, code b9h'
check 'report' zns -d "$BDF_A" -n 3
says 'and leaves what fitted' '^zone 2: from block 16384, full, 6144 of 6144 blocks written$'
check 'reset' zns -d "$BDF_A" -n 3 -z 2 --reset
refuse 'a namespace without zones' zns -d "$BDF_A" -n 1
says 'says so' 'namespace 1 has no zones'
finish
