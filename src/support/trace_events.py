#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
"""Make the header of trace events from the list of them.

usage: trace_events.py LIST HEADER
"""

import pathlib
import re
import sys

HEAD = """\
/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Trace events, made from the list in src/support/trace-events. See <vfn/trace.h>. */
#ifndef VFN_TRACE_EVENTS_H
#define VFN_TRACE_EVENTS_H

#include <stdbool.h>

#include <vfn/support/compiler.h>

VFN_BEGIN_DECLS
"""

EVENT = """
/* {text} */
#define TRACE_{name} "{lower}"
#ifndef TRACE_{name}_DISABLED
#define TRACE_{name}_DISABLED {disabled}
#endif
extern bool TRACE_{name}_ACTIVE;
"""

TAIL = """
/* One call of a macro for every event. */
#define __VFN_TRACE_EVENTS(event) \\
{calls}

VFN_END_DECLS

#endif /* VFN_TRACE_EVENTS_H */
"""


def main():
    """Read, check, write."""
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    source, header = map(pathlib.Path, sys.argv[1:])

    names, text = [], HEAD
    for line in source.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or not line:
            continue
        event = re.fullmatch(r"([A-Z0-9_]+)( off)?\t+(\S.*)", line)
        if not event or event[1] in names:
            sys.exit(f"{source}: what is '{line}'?")
        names.append(event[1])
        text += EVENT.format(name=event[1], lower=event[1].lower(), disabled=int(bool(event[2])), text=event[3])
    text += TAIL.format(calls=" \\\n".join(f"\tevent({name})" for name in names))
    header.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
