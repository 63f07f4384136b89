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

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from tap import report


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
    return report([(name, sorted(wrong)) for name, wrong in tests])


if __name__ == "__main__":
    sys.exit(main())
