# SPDX-License-Identifier: GPL-2.0-or-later
# Report the results of a shell case as TAP. A case sources this, calls these functions and ends with "finish".

tests=0
failures=0

pass() {
	tests=$((tests + 1))
	echo "ok $tests - $1"
}

fail() {
	tests=$((tests + 1))
	failures=$((failures + 1))
	echo "not ok $tests - $1"
}

# Show what a command said as diagnostics of the last test.
explain() {
	sed 's/^/# /' "${1:-/tmp/output}"
}

# check TEXT COMMAND...: the command succeeds
check() {
	what=$1
	shift
	"$@" >/tmp/output 2>&1
	result=$?
	if [ $result -eq 0 ]; then pass "$what"; else fail "$what"; echo "# exit status $result of: $*"; explain; fi
}

# refuse TEXT COMMAND...: the command fails by itself (not by a signal), its words are in /tmp/output
refuse() {
	what=$1
	shift
	"$@" >/tmp/output 2>&1
	result=$?
	if [ $result -gt 0 ] && [ $result -lt 126 ]; then pass "$what"; else fail "$what"; echo "# exit status $result of: $*"; explain; fi
}

# says TEXT PATTERN: the last command's output has a line with this extended regular expression
says() {
	if grep -Eq -- "$2" /tmp/output; then pass "$1"; else fail "$1"; echo "# no '$2' in:"; explain; fi
}

# same TEXT GOT WANTED: the two strings are equal
same() {
	if [ "$2" = "$3" ]; then pass "$1"; else fail "$1"; echo "# '$2' is not '$3'"; fi
}

finish() {
	echo "1..$tests"
	exit $((failures > 0))
}

# The driver of a PCI device, or "none".
driver_of() {
	link=/sys/bus/pci/devices/$1/driver
	[ -e "$link" ] && basename "$(readlink "$link")" || echo none
}

# Whether a PCI device is an NVMe controller.
is_nvme() {
	grep -q ^0x0108 /sys/bus/pci/devices/"$1"/class
}

# The block device of a namespace of a controller that the kernel drives. Its number need not be the NSID.
block_of() {
	for path in /sys/bus/pci/devices/"$1"/nvme/nvme*/nvme*n*; do
		[ "$(cat "$path/nsid" 2>/dev/null)" = "${2:-1}" ] && echo "/dev/${path##*/}"
	done
}

# Wait until the kernel's driver has a controller running and its scan finds no more namespaces. To take the
# controller away before is allowed, but makes the kernel complain. What is no controller it has no driver for.
wait_for_kernel() {
	is_nvme "$1" || return 0
	before=none
	for try in $(seq 200); do
		now=$(ls -d /sys/bus/pci/devices/"$1"/nvme/nvme*/nvme*n* 2>/dev/null)
		grep -qs live /sys/bus/pci/devices/"$1"/nvme/nvme*/state && [ -n "$now" ] && [ "$now" = "$before" ] && return
		before=$now
		sleep 0.1
	done
	return 1
}
