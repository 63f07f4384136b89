# SPDX-License-Identifier: GPL-2.0-or-later
"""Read the Test Anything Protocol."""

import re
from dataclasses import dataclass, field

TEST = re.compile(r"(not )?ok\b\s*(\d*)\s*(?:-\s*)?(.*)")
PLAN = re.compile(r"1\.\.(\d+)")
NOTE = "# note: "


@dataclass
class Test:
    """One test point and the diagnostics that came with it."""
    name: str
    passed: bool
    diagnostics: list = field(default_factory=list)


class Parser:
    """Collects the test points of one program, line by line."""

    def __init__(self):
        self.tests = []
        self.planned = 0
        self.pending = []
        self.notes = []

    def line(self, text):
        """Take one line of output."""
        test = TEST.match(text)
        plan = PLAN.match(text)
        if test:
            name = test[3].strip() or f"test {test[2]}"
            if "# SKIP" in name.upper():
                # What is skipped here was not tested, and nothing in a guest may be.
                test, name = (None, "not "), f"{name} (skipped)"
            self.tests.append(Test(name, not test[1], [] if not test[1] else self.pending))
            self.pending = []
        elif plan:
            self.planned += int(plan[1])
        elif text.startswith(NOTE):
            self.notes.append(text[len(NOTE):].strip())
        elif text.strip():
            if self.tests and not self.tests[-1].passed and text.startswith("#"):
                self.tests[-1].diagnostics.append(text)
            else:
                self.pending = (self.pending + [text])[-40:]

    def finish(self, status):
        """Close a program that ended with this exit status: say what is wrong with it as test points of their own."""
        failed = sum(not test.passed for test in self.tests)
        if not self.tests:
            self.tests.append(Test("the program reports results", False, self.pending))
        elif self.planned != len(self.tests) and not failed:
            self.tests.append(Test(f"all {self.planned} planned tests ran, not {len(self.tests)}", False, self.pending))
        elif status and not failed:
            self.tests.append(Test(f"exit status 0, not {status}", False, self.pending))
