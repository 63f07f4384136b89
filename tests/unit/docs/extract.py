#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Print the programs that a Markdown file quotes.

usage: extract.py FILE
"""

import pathlib
import re
import sys


def main():
    """Every block of C, one after the other; a file without is a mistake."""
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    blocks = re.findall(r"^```c\n(.*?)^```$", pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    if not blocks:
        sys.exit(f"{sys.argv[1]}: no C code")
    print("\n".join(blocks), end="")


if __name__ == "__main__":
    main()
