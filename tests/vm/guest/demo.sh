#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What "make demo" shows: take a controller from the kernel, use it with the library, let the kernel check the data.
. /vfn/tap.sh
set -e

step() {
	echo "== $*"
}

run() {
	echo "\$ $*"
	"$@"
}

step "controllers of this guest"
run vfntool list
step "take $BDF_A from the kernel's driver"
run vfntool bind "$BDF_A"
step "identify it with libvfn"
run identify -d "$BDF_A"
step "write 16 MiB with libvfn"
run io -d "$BDF_A" --length 16M --pattern 2024 --write-only
step "read them with the kernel's driver, through the second controller of the same namespace, and compare"
run io --verify-file "$(block_of "$BDF_B")" --length 16M --pattern 2024
step "a short performance run (under emulation, so only the fact that it runs counts)"
run perf -d "$BDF_A" --time 2
step "give the controller back to the kernel's driver"
run vfntool reset "$BDF_A"
