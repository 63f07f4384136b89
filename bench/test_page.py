#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of page.py with a made-up page and function; and that the real page has the figures of figures.json."""

import contextlib
import io
import json
import sys
import unittest

sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import page

OBJDUMP = """
0000000000001000 <work>:
    1000:\tmov    0x8(%rdi),%rax
    1004:\tlea    0x9(%rip),%rdx        # 2000 <names>
    1008:\tdata16 cs nopw 0x0(%rax,%rax,1)
    1010:\tadd    $0x1,%eax
    1013:\tjne    1030 <work+0x30>
    1015:\tjb     1010 <work+0x10>
    1017:\tja     1040 <work+0x40>
    1019:\tcall   3000 <helper>
    101e:\tje     1050 <work+0x50>
    1020:\tret
    1021:\tnopl   0x0(%rax)
    1030:\tmov    %rax,%rdi
    1033:\tjmp    3000 <helper>
    1040:\tmov    $0x0,%eax
    1045:\tjmp    1020 <work+0x20>
    1050:\ttest   %eax,%eax
    1052:\tjne    1010 <work+0x10>
    1054:\tjmp    3000 <helper>
"""

CODE = """\
    mov    0x8(%rdi),%rax
    lea    0x9(%rip),%rdx
L1:
    add    $0x1,%eax
    jne    helper
    jb     L1
    ja     rare
    call   3000 <helper>
    je     rare
    ret
""".splitlines()

PAGE = """\
| instructions | bound | io |
|---|--:|--:|
| QD 1, 512 B | 1 | 2 |

### `work()`

It begins.

```asm
    first                ; stays
    second               ; goes
```

It ends.

```asm
    third                ; stays, too
```

### Other

```asm
nobody's
```
"""

FIGURES = {"bound, batch, QD 1, 512 B": 1.4, "io, batch, QD 1, 512 B": 1.6, "io, each, QD 1, 512 B": 7}


class Page(unittest.TestCase):
    """The comparison, and the update."""

    def check(self, text, code, figures=None):
        """Status and output of a check."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            status = page.check(text, figures or FIGURES, lambda function: code if function == "work" else self.fail(function))
        return status, out.getvalue()

    def test_code_ends_at_the_first_return_and_has_labels(self):
        """Padding and comments are not in it."""
        self.assertEqual(list(page.hot_code(OBJDUMP, "work")), CODE)
        with self.assertRaisesRegex(ValueError, "other is not there"):
            list(page.hot_code("", "other"))

    def test_page_that_is_right_passes(self):
        """In figures and code, whatever the comments."""
        self.assertEqual(self.check(PAGE, ["    first", "    second", "    third"]), (0, "page: 2 passed, 0 failed\n"))

    def test_other_code_and_figures_fail(self):
        """With a diff."""
        status, text = self.check(PAGE, ["    first", "    third"])
        self.assertEqual(status, 1)
        self.assertIn("\n-    second\n", text)
        self.assertTrue(text.endswith("page: 1 passed, 1 failed\n"))
        status, text = self.check(PAGE, ["    first", "    second", "    third"], FIGURES | {"io, batch, QD 1, 512 B": 3.0})
        self.assertEqual(status, 1)
        self.assertIn("\n-| QD 1, 512 B | 1 | 2 |\n+| QD 1, 512 B | 1 | 3 |\n", text)

    def test_update_keeps_comments_of_what_stays(self):
        """And pieces; what is new is in the piece that it follows or replaces."""
        code = ["    zeroth", "    first", "    2nd", "    third", "    fourth"]
        text = page.update(PAGE, FIGURES | {"io, batch, QD 1, 512 B": 3.0}, lambda _: code)
        self.assertEqual(self.check(text, code, FIGURES | {"io, batch, QD 1, 512 B": 3.0})[0], 0)
        self.assertIn("```asm\n    zeroth\n    first                ; stays\n    2nd\n```\n\nIt ends.\n\n"
                      "```asm\n    third                ; stays, too\n    fourth\n```\n\n### Other\n\n```asm\nnobody's\n", text)

    def test_real_page_has_the_figures_of_the_check(self):
        """Without measuring."""
        figures = json.loads(page.FIGURES.read_text(encoding="utf-8"))["instructions"]
        text = page.PAGE.read_text(encoding="utf-8")
        self.assertEqual(*page.table(text, figures))
        self.assertEqual([name for name, _ in page.SECTION.findall(text)], ["vfn_nvme_io_submit", "vfn_nvme_io_poll"])


if __name__ == "__main__":
    unittest.main()
