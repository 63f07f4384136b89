# SPDX-License-Identifier: GPL-2.0-or-later
"""Judge what the guest's kernel says: a complaint that the case did not announce is a failure."""

import re

# Whatever its level: the kernel found itself, or a device's DMA, in the wrong.
ALWAYS = re.compile(r"DMAR:.*fault|DMAR: \[(DMA|INTR)|WARNING:|BUG:|Oops|general protection|Call Trace|soft lockup"
                    r"|rcu.*stall|segfault|traps:|hung_task|blocked for more than|Kernel panic")
# While a case runs the IOMMU has no reason to speak at all.
RUNNING = re.compile(r"DMAR:")
# Of these, anything that is a warning or worse.
SUBSYSTEMS = re.compile(r"vfio|nvme|iommu|I/O error|EXT4-fs error", re.IGNORECASE)
WARNING = 4

RAW = re.compile(r"<(\d+)>(.*)")


def missing(lines, announced):
    """The announced messages that did not come."""
    return [pattern for pattern in announced if not any(re.search(pattern, line) for line in lines)]


def complaints(lines, announced=(), booting=False):
    """The lines of a raw kernel log (dmesg -r) that nobody announced."""
    found = []
    for line in lines:
        raw = RAW.match(line)
        level, text = (int(raw[1]) & 7, raw[2]) if raw else (7, line)
        bad = (ALWAYS.search(text)
               or (not booting and RUNNING.search(text))
               or (level <= WARNING and SUBSYSTEMS.search(text)))
        if bad and not any(re.search(pattern, text) for pattern in announced):
            found.append(text.strip())
    return found
