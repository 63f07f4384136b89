#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Keep docs/performance.md as it should be: the instructions of bench/figures.json, and the code that the compiler makes.

usage: bench/page.py PROGRAM --check [--update]    compare; or write what is so now
       bench/page.py PROGRAM FUNCTION...           print the code of functions

PROGRAM is BUILD/bench/bench of a release build. Code is compared where the compiler is the one that the figures are of.

What is shown of a function goes to its first return; rare cases are behind that. Labels are numbered, and a jump to a rare
case has the name of the function that it leads to, or "rare".
"""

import difflib
import functools
import itertools
import json
import pathlib
import re
import subprocess
import sys

FIGURES = pathlib.Path(__file__).resolve().parent / "figures.json"
PAGE = pathlib.Path(__file__).resolve().parents[1] / "docs/performance.md"

INSTRUCTION = re.compile(r"^ *([0-9a-f]+):\t(.*?) *(?:#.*)?$")
JUMP = re.compile(r"(j\w+) +([0-9a-f]+) <([\w.]+)(\+0x[0-9a-f]+)?>")
PADDING = re.compile(r"(data16 |cs )*(nop|xchg +%ax,%ax)")

TABLE = re.compile(r"^\| instructions \|.*\n(\|.*\n)+", re.MULTILINE)

# A function's heading, and pieces of its code behind it.
SECTION = re.compile(r"^### `(\w+)\(\)`\n(.*?)(?=^#|\Z)", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```asm\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def hot_code(text, function):
    """Lines of a function, from what objdump(1) says."""
    code = {int(found[1], 16): found[2] for found in map(INSTRUCTION.match, text.splitlines()) if found}
    code = {address: line for address, line in code.items() if not PADDING.match(line)}
    returns = [address for address, line in code.items() if re.match(r"ret", line)]
    if not returns:
        raise ValueError(f"{function} is not there, or does not return")
    last = returns[0]
    jumps = {address: JUMP.match(line) for address, line in code.items()}
    inside = {address: int(jump[2], 16) for address, jump in jumps.items() if jump and jump[3] == function}
    labels = {target: f"L{number}" for number, target in
              enumerate(sorted({target for address, target in inside.items() if address <= last >= target}), 1)}

    def destination(address, jump):
        if address not in inside:
            return jump[3]
        if inside[address] in labels:
            return labels[inside[address]]
        # where the rare case goes on
        way = next(jumps[at] for at in sorted(code) if at >= inside[address] and jumps[at])
        return way[3] if way[1] == "jmp" and way[3] != function else "rare"

    for address, line in code.items():
        if address > last:
            return
        if address in labels:
            yield f"{labels[address]}:"
        jump = jumps[address]
        yield "    " + (f"{jump[1]:6} {destination(address, jump)}" if jump else line)


def disassemble(program, function):
    """The same, of a program."""
    done = subprocess.run(["objdump", "-d", "--no-show-raw-insn", f"--disassemble={function}", program], text=True,
                          capture_output=True, check=True)
    return list(hot_code(done.stdout, function))


def without_comment(line):
    """A line of the page as objdump(1) has it."""
    return line.partition(";")[0].rstrip()


def shown(section):
    """Code that a section shows."""
    return [without_comment(line) for piece in FENCE.findall(section) for line in piece.splitlines()]


def table(page, figures):
    """The page's table of instructions, and what it should be."""
    found = TABLE.search(page)
    rows = [line.split("|")[1:-1] for line in found[0].splitlines()]
    cases = [case.strip() for case in rows[0][1:]]
    lines = found[0].splitlines()[:2]
    for row in (row[0].strip() for row in rows[2:]):
        lines.append(f"| {row} | " + " | ".join(f"{figures[f'{case}, batch, {row}']:.0f}" for case in cases) + " |")
    return found[0], "".join(f"{line}\n" for line in lines)


def parts(page, figures, code_of):
    """Name, lines on the page, and what they should be, of each part that is kept. @code_of gives lines of a function."""
    before, now = table(page, figures)
    yield "instructions", before.splitlines(), now.splitlines()
    for function, section in SECTION.findall(page) if code_of else ():
        yield function, shown(section), code_of(function)


def check(page, figures, code_of):
    """Print what is not as it should be. Returns the exit status."""
    passed = failed = 0
    for name, then, now in parts(page, figures, code_of):
        print(*difflib.unified_diff(then, now, f"{PAGE.name}: {name}", "now", n=1, lineterm=""), sep="\n",
              end="\n" if then != now else "")
        passed += then == now
        failed += then != now
    if failed:
        print("make bench-check ARGS=--update writes it; then see that the page still explains what it shows")
    print(f"page: {passed} passed, {failed} failed")
    return 1 if failed else 0


def renew(section, now):
    """A section with the code of today. Lines that are as they were keep their piece and their comment."""
    old = [(number, line) for number, piece in enumerate(FENCE.findall(section)) for line in piece.splitlines()]
    pieces = {}
    for kind, start, end, first, last in difflib.SequenceMatcher(None, shown(section), now, False).get_opcodes():
        if kind == "equal":
            for number, line in old[start:end]:
                pieces.setdefault(number, []).append(line)
        else:
            pieces.setdefault(old[min(start, len(old) - 1)][0], []).extend(now[first:last])
    number = itertools.count()
    return FENCE.sub(lambda _: "```asm\n" + "".join(f"{line}\n" for line in pieces.get(next(number), [])) + "```", section)


def update(page, figures, code_of):
    """The page as it should be."""
    page = page.replace(*table(page, figures))
    if not code_of:
        return page
    return SECTION.sub(lambda found: f"### `{found[1]}()`\n" + renew(found[2], code_of(found[1])), page)


def compiler(program):
    """The one that made a program, in its own words."""
    return json.loads(subprocess.run([program, "compiler"], text=True, capture_output=True, check=True).stdout)["compiler"]


def main():
    """Print, compare, or write."""
    if len(sys.argv) < 3:
        sys.exit(__doc__.strip())
    program, *words = sys.argv[1:]
    if "--check" not in words:
        for function in words:
            print(f"{function}:", *disassemble(program, function), sep="\n")
        return 0

    known = json.loads(FIGURES.read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    code_of = functools.partial(disassemble, program) if compiler(program) == known["compiler"] else None
    if "--update" in words:
        PAGE.write_text(update(page, known["instructions"], code_of), encoding="utf-8")
        return 0
    return check(page, known["instructions"], code_of)


if __name__ == "__main__":
    sys.exit(main())
