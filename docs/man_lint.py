#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""See that manual pages are there and that groff(1) and mandoc(1) have nothing against them.

usage: man_lint.py FOLDER

FOLDER has man3, man7 and man8. A tool that is missing is a test that is skipped.
"""

import pathlib
import re
import shutil
import subprocess
import sys


def complaints(command, pages):
    """What a tool says of the pages."""
    if not shutil.which(command[0]):
        return None
    wrong = []
    for page in pages:
        done = subprocess.run([*command, page], text=True, capture_output=True, check=False)
        wrong += [line for line in (done.stderr + done.stdout).splitlines() if line]
    return wrong


def dangling(folder, links):
    """Pages that refer to one that is not there."""
    for link in links:
        target = link.read_text(encoding="utf-8").split()[1]
        if not (folder / target).exists():
            yield f"{link.name} refers to {target}"


def unnamed(pages):
    """Functions with a page of their own that the NAME section of no header's page has."""
    for page in pages:
        if "\\-" not in re.split(r"\n\.SH ", page.read_text(encoding="utf-8"))[1]:
            yield f"{page.name}: no NAME section that apropos(1) understands"


def main():
    """Report one test per tool."""
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    folder = pathlib.Path(sys.argv[1])
    everything = sorted(folder.glob("man[1-8]/*.[1-8]"))
    links = [page for page in everything if page.read_text(encoding="utf-8").startswith(".so ")]
    pages = [page for page in everything if page not in links]

    tests = [
        ("there are pages", [] if len(pages) > 20 and len(links) > 100 else [f"{len(pages)} and {len(links)} links"]),
        ("links lead somewhere", list(dangling(folder, links))),
        ("pages say what they are about", list(unnamed(pages))),
        ("groff has nothing against them", complaints(["groff", "-man", "-ww", "-z", "-Kutf8", "-Tutf8"], pages)),
        ("mandoc has nothing against them", complaints(["mandoc", "-Tlint", "-Wwarning"], pages)),
    ]
    print(f"1..{len(tests)}")
    for number, (name, wrong) in enumerate(tests, 1):
        print(f"{'not ok' if wrong else 'ok'} {number} - {name}{' # SKIP not installed' if wrong is None else ''}")
        for line in wrong or []:
            print(f"# {line}")
    return 1 if any(wrong for _, wrong in tests) else 0


if __name__ == "__main__":
    sys.exit(main())
