# SPDX-License-Identifier: GPL-2.0-or-later
"""Which tests name which numbers of defects and of cases, in the comments above them."""

import pathlib
import re

# A comment, directly above a test, and the test's name.
C_TEST = re.compile(r"/\*((?:(?!\*/).)*)\*/\nstatic void (\w+)\(void \*\*", re.DOTALL)
PYTHON_TEST = re.compile(r"((?:^# .*\n)+)@test\ndef (\w+)", re.MULTILINE)
GUEST_CASE = re.compile(r"((?:^# .*\n)+)\[([\w-]+)\]", re.MULTILINE)
HARNESS = re.compile(r"\A//[^\n]*\n/\*((?:(?!\*/).)*)\*/()", re.DOTALL)


def read(path):
    """The text of a file."""
    return path.read_text(encoding="utf-8", errors="replace")


def comments(path):
    """What the comments of a program say."""
    if path.suffix in (".c", ".h"):
        return "\n".join(re.findall(r"/\*.*?\*/", read(path), re.DOTALL))
    return "\n".join(re.findall(r"^\s*#.*", read(path), re.MULTILINE))


def numbers(text, groups):
    """The numbers of some groups, which are letters, that a text has."""
    return re.findall(rf"\b[{groups}]\d+\b", text)


def numbers_in_programs(tests, groups):
    """All numbers in comments below the folder of the tests."""
    programs = [path for path in pathlib.Path(tests).glob("**/*")
                if path.suffix in (".c", ".py", ".sh") or path.name == "meson.build"]
    return {number for path in programs if path.name not in ("defects.py", "cases.py")
            for number in numbers(comments(path), groups)}


def level(path):
    """Where a test runs."""
    if path.parts[0] in ("fuzz", "vm"):
        return {"fuzz": "fuzz", "vm": "guest"}[path.parts[0]]
    return "emulated" if path.parts[0] in ("emu", "contract") or path.parent.name in ("nvme", "blk", "examples", "tools") else "unit"


def numbered_tests(tests, groups):
    """Each number with its tests, as triples: level, program and the test in it."""
    found = {}
    top = pathlib.Path(tests)
    for path in sorted([*top.glob("**/*.c"), *top.glob("**/*.py"), top / "vm/cases.ini"]):
        pattern = {".c": C_TEST, ".py": PYTHON_TEST, ".ini": GUEST_CASE}[path.suffix]
        place = path.relative_to(top)
        if place.parts[0] == "fuzz":
            pattern = HARNESS
        program = re.sub(r"^unit/|^vm/(guest/)?|^fuzz/|test_|\.\w+$", "", place.as_posix())
        for comment, test in pattern.findall(read(path)):
            for number in numbers(comment, groups):
                found.setdefault(number, []).append((level(place), program, test))
    return found
