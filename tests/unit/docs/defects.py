#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""See that each defect that drivers of this kind were seen to have is named by a test that would find it here.

usage: defects.py TESTS

TESTS is the folder of the tests, whose comments name defects by number.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from numbers_of_tests import numbers_in_programs
from tap import report

DEFECTS = {
    # wrong data, wrong DMA
    "W1": "PRPs: of a last piece longer than a page, the partial page at its end is left out",
    "W2": "PRPs: a first piece that ends within a page is taken, and the rest of that page is used instead of the next piece",
    "W3": "PRPs: lengths cut to 32 bits, no check of dwords, no pieces at all read as one",
    "W4": "SGLs: of a single piece, PSDT is not set and dwords are not checked",
    "W5": "SGLs: reserved bytes are not cleared, lengths cut to 32 bits, flags only ever added",
    "W6": "a mapping that starts inside another, runs past it, or has other permissions counts as mapped",
    "W7": "queues freed before the controller lets go of them; closed while enabled and without shutdown",
    "W8": "two threads get the same request (ABA)",
    "W9": "CMB: offset taken in bytes, size not cut to the BAR, left enabled after a failure",
    "W10": "a caller's queue memory: stale phase tags, length not checked, admin queues of more than 4096 entries",
    "W11": "shadow doorbells beyond their page, with large strides",
    "W12": "I/O virtual address 0 is valid: a forgotten data pointer reaches memory",
    "W13": "fixed addresses are given out twice, or collide with automatic ones",
    # crashes
    "W14": "no IOMMU group, or no address space: NULL dereferenced",
    "W15": "the quirk against shadow doorbells crashes at close",
    "W16": "a buffer that could not be allocated is freed",
    "W17": "the library ends the process",
    "W18": "the registry keeps closed controllers, and has no lock",
    "W19": "a shared address space goes with the first controller that closes",
    "W20": "an attribute of sysfs fills its buffer and one byte more",
    "W21": "a completion's identifier, queue or a caller's size is believed: accesses out of bounds",
    "W22": "close of what was never or half open; second init of what is half open",
    # time
    "W23": "waits without an end; identifiers used again while their command is still out",
    "W24": "waiting to be ready: wall clock, busy, blind to fatal status, CRTO and a device that is gone",
    "W25": "the processor's frequency taken for that of the time stamp counter; measured at load time",
    "W26": "waiting for no completion consumes one; waiting for more than the queue holds never ends",
    "W27": "completions of others are dropped while waiting for one's own",
    # resources
    "W28": "addresses are lost when a map fails; ephemeral ones run out",
    "W29": "unmapping everything leaks, and resets nothing",
    "W30": "steps that fail leave descriptors, mappings, memory",
    "W31": "iommufd's objects are never destroyed",
    "W32": "a page is mapped for each entry of a queue, used or not",
    # races, portability, interface
    "W33": "unmapping by two threads frees twice; opening is not locked",
    "W34": "what is not mapped translates",
    "W35": "sizes, identifiers, options, capabilities out of range are accepted",
    "W36": "VF tokens: not with iommufd",
    "W37": "a device is opened twice",
    "W38": "INTx fires once; interrupts stay on when they are switched off",
    "W39": "a driver is chosen by ids, which takes other devices, too, and is not undone",
    "W40": "headers that clash with others, warn, or do not stand alone",
    "W41": "errno does not say what failed",
    "W42": "examples: version mixed up, ids cut, memory not zeroed",
    # seen under sanitizers, in small programs
    "K1": "PRPs of 0x1000 and 0x1800 bytes lack a page",
    "K2": "an SGL of one element is announced as PRPs",
    "K3": "identifier qsize - 1 has a request",
    "K4": "registers of ones mean ready",
    "K5": "a fatal status is waited upon",
    "K6": "a second completion makes the list of free requests a circle",
    "K7": "queues larger than the controller's",
    "K8": "negative queue identifiers",
    "K9": "4 GiB + 4 KiB, or 8 TiB, is described by one PRP",
    "K10": "a large map whose first page is mapped succeeds, and maps nothing",
    "K11": "a map that starts below another and overlaps it succeeds",
    "K12": "a map that fails after the kernel's part stays there",
    "K13": "a device without IOMMU group crashes",
    "K14": "an attribute of 32 bytes or more writes beyond its buffer",
    "K15": "the tree of mappings leaks",
    "K16": "an offset beyond a BAR makes its length wrap",
    "K17": "the kernel's chain of capabilities is followed wherever it leads",
}


def main():
    """One test for each direction."""
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    named = numbers_in_programs(sys.argv[1], "WK")
    tests = [
        ("every defect has a test", [f"{name}: {DEFECTS[name]}" for name in DEFECTS if name not in named]),
        ("every number is a defect", sorted(named - DEFECTS.keys())),
    ]
    return report(tests)


if __name__ == "__main__":
    sys.exit(main())
