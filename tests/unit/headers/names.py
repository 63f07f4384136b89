#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compare the list of the names that existing programs use with headers and symbols; see that tests call all functions.

usage: names.py NAMES TESTS INCLUDE[:INCLUDE]... LIBRARY COMPILER...

NAMES is the list, TESTS the folder of all tests, INCLUDEs are the folders that have vfn/, LIBRARY the shared library,
COMPILER the C compiler's command.
"""

import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from symbols import declared, exported, own_text
from tap import report

# What proves that a name of a kind is there; a compiler complains about the line otherwise.
PROOFS = {
    "function": "const void *proof_{n}(void) {{ return (const void *)&({name}); }}",
    "variable": "const void *proof_{n}(void) {{ return (const void *)&({name}); }}",
    "macro": "\n#ifndef {name}\n#line {n} \"names\"\n#error {name}\n#endif",
    "value": "enum {{ proof_{n} = (int)({name}) }};",
    "type": "extern {name} proof_{n};",
    "field": "enum {{ proof_{n} = (int)sizeof(((({type}) *)0)->{name}) }};",
}


class Name:
    """One name of the list, and the line that it is in."""

    def __init__(self, header, kind, owner, name, number):
        self.header, self.kind, self.owner, self.name, self.number = header, kind, owner, name, number

    def __str__(self):
        return f"{self.kind} {self.owner + ' ' if self.owner else ''}{self.name} of <{self.header}>"

    def proof(self):
        """C text that compiles if the name is there."""
        if self.kind == "field":
            return f"enum {{ proof_{self.number} = (int)sizeof((({self.owner} *)0)->{self.name}) }};"
        return PROOFS[self.kind].format(name=self.name, n=self.number)


def read(path):
    """All names of the list, numbered."""
    names, header = [], None
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            header = line.strip("[]")
            continue
        kind, rest = line.split(" ", 1)
        owner = None
        if kind == "field":
            owner, rest = rest.split(": ")
        if kind not in PROOFS:
            sys.exit(f"{path}: what is '{line}'?")
        for name in [rest] if kind == "type" else rest.split():
            names.append(Name(header, kind, owner, name, len(names) + 1))
    return names


def missing_in_headers(names, includes, compiler):
    """Names that the header they belong to does not have, included alone."""
    wrong = set()
    for header in {name.header for name in names}:
        source = f"#include <{header}>\n"
        for name in names:
            if name.header == header:
                source += f"#line {name.number} \"names\"\n{name.proof()}\n"
        done = subprocess.run([*compiler, "-xc", "-std=gnu11", "-fsyntax-only", "-Wno-deprecated-declarations",
                               *(f"-I{path}" for path in includes), "-"],
                              input=source, text=True, capture_output=True, check=False)
        lines = {int(line) for line in re.findall(r"^names:(\d+):\d+: (?:fatal )?error", done.stderr, re.M)}
        if done.returncode and not lines:
            lines = {name.number for name in names if name.header == header}
        wrong |= lines
    return [str(name) for name in names if name.number in wrong]


def missing_in_library(names, library):
    """Functions and variables that cannot be linked with."""
    symbols = exported(library)
    return [str(name) for name in names if name.kind in ("function", "variable") and name.name not in symbols]


def functions(includes, compiler):
    """All public functions, ours and those of the list."""
    text = own_text(includes, compiler)
    return {name for name in declared(text) if re.search(rf"\b{name}\)?\s*\(", text)}


def code_of_tests(folder):
    """The text of all tests in C, without comments, literals, and the list of prototypes."""
    code = []
    for kind in ("contract", "unit", "vm/guest"):
        for path in pathlib.Path(folder, kind).glob("**/*.[ch]"):
            if path.name != "api.c":
                text = path.read_text(encoding="utf-8")
                code.append(re.sub(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"", " ", text, flags=re.S))
    return "\n".join(code)


def never_called(includes, compiler, folder):
    """Public functions that no test calls by their names."""
    calls = set(re.findall(r"\b(\w+)\)?\s*\(", code_of_tests(folder)))
    return sorted(functions(includes, compiler) - calls)


def main():
    """Report one test per comparison."""
    if len(sys.argv) < 6:
        sys.exit(__doc__.strip())
    path, folder, includes, library, *compiler = sys.argv[1:]
    includes = includes.split(":")
    names = read(path)

    tests = [
        (f"{len(names)} names are in the headers", missing_in_headers(names, includes, compiler)),
        ("functions and variables are in the library", missing_in_library(names, library)),
        ("every public function is called by a test", never_called(includes, compiler, folder)),
    ]
    return report(tests)


if __name__ == "__main__":
    sys.exit(main())
