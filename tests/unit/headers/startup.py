#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""See that loading the shared library takes nothing: no code of ours runs, and there is little to relocate.

usage: startup.py LIBRARY CPU_FAMILY
"""

import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from tap import report

# Besides the one of the compiler's start-up code. On arm64 a variable that programs read gets the size of a page, which differs
# from machine to machine there, and the compiler's atomic operations look at what the processor has.
CONSTRUCTORS = {"x86_64": 0, "aarch64": 2}

# All that the loader should have to do: addresses within the library, functions and variables by name, thread-local storage.
RELOCATIONS = {
    "x86_64": "RELATIVE|64|GLOB_DAT|JUMP_SLOT|DTPMOD64|DTPOFF64|TPOFF64",
    "aarch64": "RELATIVE?|ABS64|GLOB_DAT?|JUMP_SLOT?|TLSDESC|TLS_DTPMOD(64)?",
}

NEEDED = re.compile(r"(libc|ld-linux.*)\.so\.\d+")


def readelf(library, *options):
    """What readelf(1) prints."""
    return subprocess.run(["readelf", "-W", *options, library], text=True, capture_output=True, check=True).stdout


def relocations(library):
    """Types with the symbols they are for."""
    return re.findall(r"^[0-9a-f]{16}  [0-9a-f]{16} (\w+) +(?:[0-9a-f]{16} (\S+) [+-])?", readelf(library, "-r"), re.M)


def main():
    """Report one test per promise."""
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    library, cpu = sys.argv[1:]
    dynamic, found = readelf(library, "-d"), relocations(library)
    cheap = f"R_{cpu.upper()}_({RELOCATIONS[cpu]})"
    entries = int(re.search(r"\(INIT_ARRAYSZ\) +(\d+)", dynamic)[1]) // 8
    functions = set(re.findall(r"FUNC +GLOBAL +\w+ +\d+ (\w+@@\w+)", readelf(library, "--dyn-syms")))

    tests = [
        ("relocations and functions are found",
         [] if len(found) > 20 and len(functions) > 100 else [len(found), len(functions)]),
        ("nothing runs when it is loaded", range(1 + CONSTRUCTORS[cpu], entries)),
        ("its code is not written to", re.findall(r".*TEXTREL.*", dynamic)),
        ("relocations are of the cheap kinds", {kind for kind, _ in found if not re.fullmatch(cheap, kind)}),
        ("it calls its own functions directly", sorted({symbol for _, symbol in found} & functions)),
        ("libc is all it needs",
         [name for name in re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic) if not NEEDED.fullmatch(name)]),
    ]
    return report(tests)


if __name__ == "__main__":
    sys.exit(main())
