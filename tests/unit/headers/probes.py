#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""See that the shared library has its static probes, each of the name of a trace event.

usage: probes.py LIBRARY EVENTS

EVENTS is the header of trace events.
"""

import pathlib
import re
import subprocess
import sys


def main():
    """Report one test per direction."""
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    library, header = sys.argv[1:]
    events = set(re.findall(r'#define TRACE_\w+ "(\w+)"', pathlib.Path(header).read_text(encoding="utf-8")))
    notes = subprocess.run(["readelf", "-n", library], text=True, capture_output=True, check=True).stdout
    probes = set(re.findall(r"Provider: libvfn\s+Name: (\w+)", notes))

    # the queues' events are in programs, and reach tracers as texts
    tests = [
        ("every message reaches a probe", {"trace"} - probes),
        ("every probe is an event", probes - events - {"trace"}),
        ("mappings have probes", {name for name in events if re.match("vfio", name)} - probes),
    ]
    print(f"1..{len(tests)}")
    for number, (name, wrong) in enumerate(tests, 1):
        print(f"{'not ok' if wrong else 'ok'} {number} - {name}")
        for probe in sorted(wrong):
            print(f"# {probe}")
    return 1 if any(wrong for _, wrong in tests) else 0


if __name__ == "__main__":
    sys.exit(main())
