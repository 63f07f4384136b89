#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compare what the shared library exports with what the public headers declare, inline functions included.

usage: symbols.py INCLUDE[:INCLUDE]... LIBRARY COMPILER...

INCLUDEs are the folders that have vfn/, COMPILER the C compiler's command.
"""

import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from tap import report

INLINE = "a_public_inline_function"


def own_text(includes, compiler):
    """The preprocessed headers, without those of others."""
    headers = sorted(path.relative_to(include) for include in includes for path in pathlib.Path(include).glob("vfn/**/*.h"))
    source = "".join(f"#include <{path}>\n" for path in headers)
    command = [*compiler, "-E", "-xc", "-std=gnu11", f"-DVFN_INLINE={INLINE}", *(f"-I{path}" for path in includes), "-"]
    text = subprocess.run(command, input=source, text=True, capture_output=True, check=True).stdout
    own, lines = False, []
    for line in text.splitlines():
        marker = re.match(r'# \d+ "([^"]*)"', line)
        if marker:
            own = any(marker[1].startswith(f"{include}/vfn/") for include in includes)
        elif own and not line.startswith("#"):
            lines.append(line)
    return "\n".join(lines)


def without(text, opening, closing, replacement):
    """The text with everything between these characters, nested ones included, replaced."""
    depth, result = 0, []
    for character in text:
        if character == opening:
            depth += 1
        elif character == closing:
            depth -= 1
            if depth == 0:
                result.append(replacement)
        elif depth == 0:
            result.append(character)
    return "".join(result)


def declared(text):
    """Names of the functions and variables in C text that a program may link with."""
    names = set()
    for statement in without(text, "{", "}", " {};").split(";"):
        function = statement.rstrip().endswith("{}")
        statement = re.sub(r"__attribute__\s*|__extension__|_Pragma", " ", statement)
        statement = " ".join(without(statement, "(", ")", "()").split()).lstrip("() ")
        if re.match(r"(typedef|static|_Static_assert)\b", statement):
            continue
        variable = re.match(r"extern [^()]*?(\w+)( \(\))*$", statement)
        call = re.match(r"[\w\s*]+?\b(\w+) ?\(\)", statement)
        if variable:
            names.add(variable[1])
        elif call and (statement.startswith(INLINE) or not function):
            # helpers of the inline functions stay in the headers
            if not call[1].startswith("__vfn_"):
                names.add(call[1])
    return names


def exported(library):
    """Names of the symbols that a program can link with."""
    lines = subprocess.run(["nm", "-D", "--defined-only", library], text=True, capture_output=True, check=True).stdout
    symbols = (line.split() for line in lines.splitlines())
    # A is the node of the version script
    return {symbol[-1].split("@")[0] for symbol in symbols if symbol[-2] != "A"}


def main():
    """Report one test per direction."""
    if len(sys.argv) < 4:
        sys.exit(__doc__.strip())
    includes, library, *compiler = sys.argv[1:]
    ours, theirs = declared(own_text(includes.split(":"), compiler)), exported(library)

    tests = [
        ("headers declare something", [] if len(ours) > 100 else sorted(ours)),
        ("what is declared is exported", sorted(ours - theirs)),
        ("what is exported is declared", sorted(theirs - ours)),
    ]
    return report(tests)


if __name__ == "__main__":
    sys.exit(main())
