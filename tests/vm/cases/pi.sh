#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The pi example on every kind of protected namespace. From block 8 on, since QEMU checks what was never written where
# it shares 4096 bytes with what was.
. /vfn/tap.sh

for kind in '3 1 separate 16' '4 2 separate 16' '5 3 separate 16' '6 1 extended 16' '7 1 separate 64' \
	'8 2 extended 16' '9 3 extended 16' '10 2 extended 64' '11 3 separate 64'; do
	set -- $kind
	check "namespace $1" pi -d "$BDF_A" -n "$1" -s 8
	says "type $2" "$3; protection of type $2, guards of $4 bits"
	says 'wrote and verified' '^wrote and verified 8 blocks$'
	says 'the controller refuses to store a corrupted block' 'refuses to write a corrupted block'
	says 'and to hand one out' 'refuses to read a corrupted block'
	says 'the library finds which' 'the library finds it: .*block 4'
done
refuse 'a namespace without protection' pi -d "$BDF_A" -n 1
says 'says so' 'no protection information'
finish
