#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""See that every case of faults and bad input has tests, whose comments name it by number, or a reason.

usage: cases.py SOURCE [--page | --write]

With --page, see that docs/faults.rst, which shows them all, is as the tests are. With --write, make it so.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from numbers_of_tests import numbered_tests
from tap import report

GROUPS = {
    "V": "Opening a device",
    "D": "Memory for devices",
    "C": "A controller's life",
    "Q": "Queues and completions",
    "P": "Data pointers",
    "B": "Blocks",
    "L": "Processes",
    "H": "Removal and power",
    "T": "vfntool",
}

# What goes wrong, and what happens then.
CASES = {
    "V1": "an address that is none, is too long, or is a path: EINVAL before any system call",
    "V2": "no device has the address: ENODEV, with the address in the text",
    "V3": "the device is no NVMe controller: ENODEV, and it is not opened",
    "V4": "no IOMMU, so no group: ENODEV, with a text that says how to switch it on",
    "V5": "the kernel's VFIO is not loaded: ENODEV, with a text that says what to load",
    "V6": "another driver has the device: EBUSY, with its name; it keeps the device",
    "V7": "another process has the device: EBUSY at once, without trying again",
    "V8": "no permission: EACCES, with a text that says for what",
    "V9": "others of the group belong to other drivers: EPERM, with a list of them",
    "V10": "a kernel of another version, without type1v2 or without iommufd: the other back-end, or ENOTSUP",
    "V11": "each system call fails in turn: its errno, and nothing is left",
    "V12": "each allocation fails in turn: ENOMEM, and nothing is left",
    "V13": "capability chains that loop, grow or leave their buffer: a walk with an end, within bounds",
    "V14": "address ranges that are empty, unsorted, or overlap: put in order, or EPROTO",
    "V15": "registers that are absent, small or not mappable: ENOTSUP, and nothing is accessed beyond their end",
    "V16": "an offset and a length that wrap around: EINVAL",
    "V17": "fewer interrupt vectors than wanted, or none: fewer are used, and the caller is told",
    "V18": "system calls that a signal interrupts: started again",
    "V19": "the standard streams are closed: descriptors 0 to 2 are not used, 0 does not mean none",
    "V20": "configuration space reads as ones: ENODEV",
    "V21": "bus mastering is gone after a reset: set again before the controller is enabled",
    "V22": "two controllers in a group, or in an address space: both work, whichever closes first",
    "V23": "the kernel's mode without an IOMMU: refused",

    "D1": "an address or a length off a page: EINVAL before the system call",
    "D2": "a length of nothing, or one that wraps around: EINVAL",
    "D3": "an address for the device that is taken, in part or all of it: EEXIST, and nothing has changed",
    "D4": "memory that overlaps what is mapped: EEXIST, wherever it begins and ends",
    "D5": "translation beyond a mapping, or across a gap: what is mapped, and no more",
    "D6": "no addresses left: ENOMEM, until some are free again; a million cycles change nothing",
    "D7": "free addresses in pieces, and wishes for alignment: a place, or ENOMEM",
    "D8": "the limit on locked memory: ENOMEM, with limit and need in the text",
    "D9": "the kernel's limit on mappings: ENOMEM, with a text that says so",
    "D10": "addresses that the IOMMU cannot reach, or that belong to interrupts: never given out",
    "D11": "memory that is read-only, for a device that writes: EFAULT",
    "D12": "the kernel maps, and then the library fails: unmapped again, and the address is free",
    "D13": "unmapping what is not mapped, a part, or twice: ENOENT",
    "D14": "the kernel unmaps less than it was asked to: EIO, and the addresses are not used again",
    "D15": "unmapping what a command uses: EBUSY",
    "D16": "memory that the program gives back while it is mapped: no crash, and it can be unmapped",
    "D17": "threads that map, unmap and translate at a time: no race",
    "D18": "fork() while memory is mapped: the child has none of it, its calls fail with ECHILD, and the parent's transfers are right",
    "D19": "a device that reaches for what is not mapped: stopped, and the kernel's report fails a guest's case",

    "C1": "registers read as ones, from any access on: ENODEV at once",
    "C2": "registers read as zeros, from any access on: the controller has failed, and nobody waits for it",
    "C3": "capabilities that make no sense: ENOTSUP or bounds, and no doorbell outside of the registers",
    "C4": "a controller that somebody left enabled, or failed: disabled first, then used",
    "C5": "never ready, or never disabled: ETIMEDOUT after the controller's own limit, asleep meanwhile",
    "C6": "a fatal status while it is enabled: EIO within 10 ms",
    "C7": "a fatal status in operation: commands fail, and a reset brings the controller back",
    "C8": "a reset that fails at any step: the controller counts as dead, and can be closed",
    "C9": "a reset with everything in flight: each command completes once, event requests are posted again",
    "C10": "a controller that has fewer queues after a reset: the others are lost, and their users told",
    "D15": "to count would cost each command; what the library maps for a command stays until that has completed, what the "
           "caller unmaps the IOMMU keeps the device from",
    "C11": "Identify data of namespaces that make no sense",
    "C12": "Identify strings with anything in them: never printed as they are, never read beyond their end",
    "C13": "fewer queues than asked for, more, or none: what there is, or an error",
    "C14": "creating the k-th queue fails: the earlier ones work, memory is freed after the controller is done with it",
    "C15": "deleting a queue fails, or times out: its memory is kept until the controller is disabled",
    "C16": "an admin command that never completes: ETIMEDOUT, an abort, in the end a reset",
    "C17": "an abort that comes too late, does nothing, or is lost: one completion each way",
    "C18": "events in masses, of any type: delivered one by one, and never late",
    "C19": "a shutdown that never ends: given up after the controller's own limit, disabled all the same",
    "C20": "closing: submission queues, completion queues, controller, memory, device, in this order",
    "C21": "a controller that needs long, and says so: waited for",
    "C22": "a host of the other byte order",
    "C23": "event indexes of shadow doorbells that are garbage: at worst a doorbell too many",

    "Q1": "a submission queue that is full: an error, nothing is overwritten, and it works again",
    "Q2": "queues of 2, of odd and of most entries, a million times around: right",
    "Q3": "a completion with an identifier out of range: dropped, counted, and told of at most once per second",
    "Q4": "a completion for a request that is not in flight: dropped",
    "Q5": "a second completion: dropped",
    "Q6": "a completion with another queue's number, or a head out of range: dropped, or of no effect",
    "Q7": "a completion that never comes: a time-out, and the memory stays the device's",
    "Q8": "a completion after the time-out, or after an abort: reaches nobody",
    "Q9": "a completion whose phase is seen before the rest: not possible, by order of accesses",
    "Q10": "a completion that changes after it was looked at: the copy counts",
    "Q11": "memory of a queue that looks like completions: zeroed before use",
    "Q12": "more completions than commands: found, and the queue works again after it is made anew",
    "Q13": "interrupts that are lost, or come without a completion: a poll sees what there is",
    "Q14": "every type and code of status: an errno, and the status itself is kept",
    "Q15": "a status that says try again, perhaps later: that is done, not for ever",
    "Q16": "calls from where completions are handled: allowed, or EBUSY, as documented",
    "Q17": "threads that submit, and others that poll: right by the rules for threads",
    "Q18": "commands during a reset, or after closing: an error",
    "Q19": "a doorbell with an invalid value: never, and the controller's report of one is delivered",
    "Q20": "a process that was stopped for a minute: what has completed meanwhile is not late",
    "Q21": "the wall clock jumps: nothing depends on it",

    "P1": "no data, a byte, lengths off a block: EINVAL, or described exactly",
    "P2": "more than the controller takes in a command: its status, and the next command works",
    "P3": "memory off a dword: EINVAL",
    "P4": "pieces that begin or end within a page: an SGL, or EINVAL",
    "P5": "lists around each boundary of a page: exact, chained in the last entry",
    "P6": "a last piece that is no multiple of a page: described to its last byte",
    "P7": "2 GiB, 4 GiB, and all that there is: not cut",
    "P8": "SGLs around the size of a segment: chained, and announced in the command",
    "P9": "memory that is mapped in part: EFAULT",
    "P10": "vectors of nothing, of too much, or of sums that wrap: EINVAL",
    "P11": "metadata that is missing or misaligned, formats of protection that do not exist: refused",
    "P12": "pages of the host that are not the controller's: the controller's count",

    "B1": "blocks beyond the end, sums that wrap, none, lengths off a block: EINVAL, and no command is sent",
    "B2": "errors of the medium: an errno, and the whole status",
    "B3": "a namespace that is protected: EROFS",
    "B4": "protection information that does not match: EILSEQ",
    "B5": "no capacity: ENOSPC",
    "B6": "a flush where there is no write cache: nothing is sent",
    "B7": "discard or zeroes that the controller has no command for: other commands, or ENOTSUP",
    "B8": "a namespace that is formatted or resized in use",
    "B9": "a namespace that goes while it is used",
    "B10": "a part of a split request fails: it ends once, with the first error",
    "B11": "waits for none, for more than there is, without and with limits: as documented",
    "B12": "closing with requests out: EBUSY",
    "B13": "a request that is submitted twice: EBUSY; one that is not submitted: EINVAL",
    "B14": "threads that read, write and discard at a time: what a model says",
    "B15": "a slow device: time limits as asked for, and requests can be called off",

    "L1": "SIGKILL with commands in flight: the device can be opened again at once",
    "L2": "SIGINT and SIGTERM: what was begun is undone",
    "L3": "fork(), and a child that exits, or executes: no harm to the parent",
    "L4": "exec() with descriptors open: none is inherited",
    "L5": "loaded, unloaded, and twice in a process: no state outside of the copy",
    "L6": "closing twice, closing what was never or half open: no effect",
    "L7": "threads with small stacks: no function needs more than 2 KiB",
    "L8": "a core dump of a process with much memory for devices",
    "L9": "a process that may make documented system calls only: enough",

    "H1": "removal in order, idle or under load: the program is asked, finishes and closes",
    "H2": "removal without a word, under load: ENODEV at the next look",
    "H3": "removal during bring-up, reset or close: an error, and nothing is left",
    "H4": "access to registers that raises SIGBUS: by the guard, for who asks for it, they read as ones",
    "H5": "the kernel reports an error of the bus (AER): the program is told, fails the controller, and resets it",
    "H6": "a device is back at its address: a fresh open works, the old one stays dead",
    "H7": "the device is asked back while sysfs is held by the remover: no file of sysfs is touched",
    "H8": "the machine sleeps, and the controller forgets: commands fail, and it can be brought up again",

    "T1": "no arguments, wrong ones, too many: usage on standard error, status 2",
    "T2": "numbers that are none: status 2, and the text is quoted",
    "T3": "standard output that takes nothing: a status that is not 0",
    "T4": "a device in use: refused, status 1",
    "T5": "a bind that fails or is interrupted at any step: driver and override are as before",
    "T6": "a device that hangs when it is unbound: a message and an end",
    "T7": "JSON with hostile texts, or with an error half-way: valid, or none",
    "T8": "input files that are short, sparse, or no files: the right message",
    "T9": "not root: one line that says so, status 1",
    "T10": "help, version and manual page: they agree",
}

# What cannot be tested here, or asks nothing of the library, and why.
REASONS = {
    "C22": "the build refuses all but x86-64 and arm64; sparse sees to the byte order of each field, tests to that of conversions",
}

# What the compiler sees to: the file with the option.
BUILD = {
    "L7": ("src/meson.build", "-Wframe-larger-than=2048"),
}

# What is not there yet.
OPEN = {
    "B8": "events of namespaces are not looked at",
}

LEVELS = {
    "unit": "on the fake kernel",
    "emulated": "the whole library, on an emulated controller",
    "guest": "in a guest, on a real kernel",
    "fuzz": "any input, against a model",
    "build": "by the compiler",
}


def state(number, tests):
    """In a word, with what there is to say."""
    if number in OPEN:
        return f"open: {OPEN[number]}"
    if number in REASONS:
        return f"reasoned: {REASONS[number]}"
    return "covered" if number in tests else "missing"


def places(triples):
    """Lines of tests, a program each."""
    programs = {}
    for level, program, test in triples:
        programs.setdefault((list(LEVELS).index(level), level, program), []).append(test)
    for (_, level, program), names in sorted(programs.items()):
        yield f"{level} ``{program}``" + ": " * any(names) + ", ".join(f"``{name}``" for name in names if name)


def page(tests):
    """The text of docs/faults.rst."""
    states = [state(number, tests).partition(":")[0] for number in CASES]
    lines = [
        ".. Made by tests/unit/docs/cases.py --write from the numbers in the comments of tests.",
        "",
        "Faults and bad input",
        "====================",
        "",
        "What devices, kernels and users do to the library, and the tests that show what happens then.",
        "",
        f"{len(CASES)} cases: {states.count('covered')} covered, {states.count('reasoned')} reasoned, {states.count('open')} open.",
        "",
        "A case is *covered* by tests that name its number; where nothing can be tested, or nothing is asked of the library, the",
        "case is *reasoned*; what is not there yet is *open*. The tests run",
        "",
        *[f"- *{name}*: {meaning}" + (";", ".")[name == list(LEVELS)[-1]] for name, meaning in LEVELS.items()],
    ]
    for letter, title in GROUPS.items():
        lines += ["", title, "-" * len(title), "", ".. list-table::", "   :widths: 6 34 60", ""]
        for number, what in CASES.items():
            if number[0] == letter:
                told = state(number, tests)
                lines += [f"   * - {number}", f"     - {what}", f"     - | {told[0].upper()}{told[1:]}"]
                lines += [f"       | {place}" for place in places(tests.get(number, []))]
    return "\n".join(lines) + "\n"


def main():
    """One test for each thing that may be wrong."""
    if len(sys.argv) < 2 or sys.argv[2:] not in ([], ["--page"], ["--write"]):
        sys.exit(__doc__.strip())
    source = pathlib.Path(sys.argv[1])
    path = source / "docs/faults.rst"
    tests = {number: found for number, found in numbered_tests(source / "tests", "".join(GROUPS)).items() if number in CASES}
    for number, (file, option) in BUILD.items():
        if f"'{option}'" in (source / file).read_text(encoding="utf-8"):
            tests.setdefault(number, []).append(("build", file, option))
    text = page(tests)
    if sys.argv[2:] == ["--write"]:
        path.write_text(text, encoding="utf-8")
        return 0
    if sys.argv[2:] == ["--page"]:
        same = path.exists() and path.read_text(encoding="utf-8") == text
        return report([("docs/faults.rst is as the tests are", [] if same else ["run tests/unit/docs/cases.py . --write"])])
    return report([
        ("every case is covered, reasoned or open", [f"{number}: {CASES[number]}" for number in CASES
                                                     if state(number, tests) == "missing"]),
        ("every reason is for a case, and one only", sorted((REASONS.keys() | OPEN.keys()) - CASES.keys() | REASONS.keys() & OPEN.keys())),
    ])


if __name__ == "__main__":
    sys.exit(main())
