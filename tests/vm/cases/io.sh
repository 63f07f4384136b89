#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What the io example writes is what the kernel reads: live by a second controller, and after a reset by the same one.
. /vfn/tap.sh

# With "short": one namespace, described in one way.
namespaces='1 2'
[ "$1" = short ] && namespaces=1

seed=41
for nsid in $namespaces; do
	seed=$((seed + 1))
	oracle=$(block_of "$BDF_B" $nsid)
	check "bind for namespace $nsid" vfntool bind "$BDF_A"
	check "write 4 MiB to namespace $nsid" io -d "$BDF_A" -n $nsid -l 4M --pattern $seed --write-only
	says 'io says how much' '^wrote 4 ?MiB'
	check 'the kernel reads the same by the other controller, live' io --verify-file "$oracle" -l 4M --pattern $seed
	says 'and says how much' '^verified 4 ?MiB'
	refuse 'another pattern is not taken for it' io --verify-file "$oracle" -l 4M --pattern 1

	check 'io reads it back itself' io -d "$BDF_A" -n $nsid -l 4M --pattern $seed --read-only
	check 'reset' vfntool reset "$BDF_A"
	check 'the kernel has it again' wait_for_kernel "$BDF_A"
	check 'and reads the same by the same controller' \
		io --verify-file "$(block_of "$BDF_A" $nsid)" -l 4M --pattern $seed
done

# However the memory is described.
however_described() {
	check 'bind' vfntool bind "$BDF_A"
	for how in --vector --iova --sgl '--vector --sgl' '--iova --sgl'; do
		seed=$((seed + 1))
		check "write $how" io -d "$BDF_A" -l 2051K --pattern $seed --write-only $how
		check 'the kernel reads the same' io --verify-file "$(block_of "$BDF_B" 1)" -l 2051K --pattern $seed
		check "read $how" io -d "$BDF_A" -l 2051K --pattern $seed --read-only $how
	done
	check 'write what the rest looks for' io -d "$BDF_A" -l 4M --pattern 42 --write-only
	check 'reset' vfntool reset "$BDF_A"
	check 'the kernel has it again' wait_for_kernel "$BDF_A"
}
[ "$1" = short ] || however_described

# And the other way round: what the kernel wrote is what the library reads.
check 'bind' vfntool bind "$BDF_A"
dd if=/dev/zero of="$(block_of "$BDF_B" 1)" bs=64k count=1 oflag=direct 2>/dev/null
refuse 'the library notices that the kernel wrote' io -d "$BDF_A" -n 1 -l 4M --pattern 42 --read-only
says 'at the first byte' 'byte 0'
check 'and that it did not further on' io -d "$BDF_A" -n 1 --slba 128 -l 3M --pattern 42 --read-only
check 'reset' vfntool reset "$BDF_A"
finish
