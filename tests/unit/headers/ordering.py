#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""See that the compiled library orders accesses to memory that a device shares as it should, and no more than that.

usage: ordering.py LIBRARY CPU_FAMILY OBJDUMP...

No emulator reorders accesses as a processor may, so this looks at the instructions.
"""

import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from tap import report

# Atomic operations, and stores that go around the caches.
COSTLY = {
    "x86_64": r"lock|movnt|xchg .*\(",
    "aarch64": r"lda?x[rp]|stl?x[rp]|stnp|cas|swp|ld(add|clr|eor|set)|bl.*<__aarch64_",
}


def code(function):
    """Its instructions, one by one, without comments."""
    library, _, *objdump = sys.argv[1:]
    text = subprocess.run([*objdump, "-d", "--no-show-raw-insn", f"--disassemble={function}", library], text=True,
                          capture_output=True, check=True).stdout
    found = [re.sub(r"\s+", " ", line) for line in re.findall(r"^ *[0-9a-f]+:\t(.*?) *(?://.*|# [0-9a-f]+ <.*)?$", text, re.M)]
    return found if len(found) > 5 else sys.exit(f"{objdump} knows nothing about {function} in {library}")


def costly(cpu):
    """Instructions of the fast calls that should not be there."""
    return [f"{function}: {line}" for function in ("vfn_nvme_io_submit", "vfn_nvme_io_poll") for line in code(function)
            if re.match(COSTLY[cpu], line)]


def unordered_doorbells(lines):
    """Stores to a doorbell, which is what stores to a register without offset are, and no barrier or another store before."""
    rings, since = 0, ["no barrier"]
    for line in lines:
        if line == "dmb oshst":
            since = []
        elif re.fullmatch(r"str w\d+, \[x\d+\]", line):
            rings += 1
            yield from (f"{line} after {before}" for before in since)
            since = ["another doorbell"]
        elif re.match(r"st|ret", line):
            since.append(line)
    if not rings:
        yield "no store to a doorbell"


def early_phases(lines):
    """The phase of a completion is read by a load that later ones, of the rest of it, wait for."""
    if not any(re.match(r"ldap?u?r ", line) for line in lines):
        yield "no load that later ones wait for"


def main():
    """Report one test per promise."""
    if len(sys.argv) < 4:
        sys.exit(__doc__.strip())
    cpu = sys.argv[2]
    tests = [("the fast calls take no lock", costly(cpu))]
    if cpu == "aarch64":
        tests += [
            ("a command is in memory before the doorbell says so", unordered_doorbells(code("nvme_sq_update_tail"))),
            ("a completion is read after its phase", early_phases(code("vfn_nvme_io_poll"))),
        ]
    return report([(name, list(wrong)) for name, wrong in tests])


if __name__ == "__main__":
    sys.exit(main())
