#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""See that trace events cost nothing: the queues' inline functions are the same instructions without them, one by one.

usage: no_cost.py INCLUDE[:INCLUDE]... COMPILER...

INCLUDEs are the folders that have vfn/, COMPILER the C compiler's command.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

USER = """
#define VFN_INLINE __attribute__((used))
#include <vfn/nvme/queue.h>
#include <vfn/nvme/rq.h>
"""


def without_events(include, folder):
    """A copy of the headers in which no function has a trace event; returns how many there were."""
    removed = 0
    for path in include.glob("vfn/**/*.h"):
        text = path.read_text(encoding="utf-8")
        if path.name != "trace.h":
            text, count = re.subn(r"^(\t+)trace_guard\(\w+\) \{\n.*?^\1\}\n", "", text, flags=re.M | re.S)
            removed += count
        copy = folder / path.relative_to(include)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text, encoding="utf-8")
    return removed


def instructions(compiler, includes, *options):
    """The operations that the compiler makes of the functions; it may choose other registers, or another order of operands."""
    flags = [word for include in includes for word in ("-I", str(include))]
    done = subprocess.run([*compiler, "-xc", "-std=gnu11", "-S", "-o-", *options, *flags, "-"], input=USER, text=True,
                          capture_output=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return re.findall(r"^(?:\t([a-z]\w*)|(\w+):)", done.stdout, re.M)


def main():
    """Report one test per optimisation level, and one that the method can tell."""
    if len(sys.argv) < 3:
        sys.exit(__doc__.strip())
    includes, compiler = [pathlib.Path(path) for path in sys.argv[1].split(":")], sys.argv[2:]

    tests = []
    with tempfile.TemporaryDirectory() as name:
        bare = pathlib.Path(name) / "include"
        removed = sum([without_events(include, bare) for include in includes])
        for level in ("-O0", "-O1", "-O2", "-O3", "-Os"):
            tests.append((f"instructions are the same at {level}",
                          instructions(compiler, includes, level) == instructions(compiler, [bare], level)))
        tests.append(("events are there with DEBUG",
                      removed >= 7 and len(instructions(compiler, includes, "-O2", "-DDEBUG")) >
                      len(instructions(compiler, includes, "-O2")) + 5 * removed))

    print(f"1..{len(tests)}")
    for number, (name, good) in enumerate(tests, 1):
        print(f"{'ok' if good else 'not ok'} {number} - {name}")
    return 0 if all(good for _, good in tests) else 1


if __name__ == "__main__":
    sys.exit(main())
