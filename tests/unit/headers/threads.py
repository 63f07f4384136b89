#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Each public function says which threads may call it: in its own comment, or in one for all that come after it.

usage: threads.py INCLUDE
"""

import pathlib
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from tap import report

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
FUNCTION = re.compile(r"/\*\*\n \* (\w+)(?:\(\))? - ")
RULE = re.compile(r"\bthread|\bas queues\b", re.IGNORECASE)


def silent(text):
    """The functions of a header that have no rule."""
    rule_for_all = False
    found = []
    for comment in COMMENT.findall(text):
        function = FUNCTION.match(comment)
        if RULE.search(comment) and not function:
            rule_for_all = True
        elif function and not rule_for_all and not RULE.search(comment):
            found.append(function[1])
    return found


def main():
    """Look at each header."""
    include = pathlib.Path(sys.argv[1])
    texts = {path.relative_to(include): path.read_text(encoding="utf-8") for path in sorted(include.rglob("*.h"))}
    return report([(f"{name} says which threads may call what", silent(text))
                   for name, text in texts.items() if FUNCTION.search(text)])


if __name__ == "__main__":
    sys.exit(main())
