#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""See that the library keeps what docs/guarantees.rst promises about what it never does.

usage: promises.py SOURCE ARCHIVE

ARCHIVE is the static library.
"""

import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from tap import run_tests, test

# W17: who calls them is a program. The allocators that do not fail are for programs, and say so.
ENDS_THE_PROCESS = {"exit", "_exit", "_Exit", "quick_exit", "abort", "__assert_fail", "__assert_perror_fail", "raise", "kill",
                    "err", "errx", "verr", "verrx", "backtrace_abort"}
MAY_END_IT = {("support_mem.c.o", "abort"), ("support_inline.c.o", "backtrace_abort")}

BEHIND_THE_BACK = {"pthread_create", "signal", "sigaction", "sigprocmask", "pthread_sigmask", "atexit", "on_exit", "fork",
                   "vfork", "system", "popen", "posix_spawn", "printf", "puts", "putchar", "vprintf", "perror",
                   "pthread_atfork", "setenv", "putenv", "unsetenv", "setlocale", "umask", "chdir"}

SOURCE = pathlib.Path(sys.argv[1]) if len(sys.argv) == 3 else sys.exit(__doc__.strip())
CODE = {path.relative_to(SOURCE): path.read_text(encoding="utf-8")
        for path in sorted([*SOURCE.glob("src/**/*.[ch]"), *SOURCE.glob("include/**/*.h")])}


def calls(names):
    """Which of these functions each object of the library calls."""
    lines = subprocess.run(["nm", "-A", "--undefined-only", sys.argv[2]], text=True, capture_output=True, check=True).stdout
    symbols = [re.fullmatch(r".*[:/]([\w.-]+\.o): +U ([\w@.]+)", line) for line in lines.splitlines()]
    found = {(symbol[1], re.sub(r"^__(\w+)_chk$", r"\1", symbol[2])) for symbol in symbols if symbol}
    assert any(name == "os_ioctl" for _, name in found), f"nm(1) says nothing that makes sense:\n{lines}"
    return {call for call in found if call[1] in names}


@test
def the_process_is_never_ended():
    wrong = calls(ENDS_THE_PROCESS) - MAY_END_IT
    assert not wrong, "\n".join(f"{place} calls {name}" for place, name in sorted(wrong))


@test
def nothing_happens_behind_the_programs_back():
    wrong = calls(BEHIND_THE_BACK)
    assert not wrong, "\n".join(f"{place} calls {name}" for place, name in sorted(wrong))


# W25: no measuring before main(). On x86-64 the size of a page is known without asking.
@test
def nothing_runs_at_load_time_but_a_look_at_the_size_of_a_page():
    found = [(str(path), name) for path, text in CODE.items()
             for name in re.findall(r"\bconstructor\b[^;{]*?(\w+)\(", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))]
    assert found == [("src/support/mem.c", "find_pagesize")], found


# W25: what the processor's clock does says nothing about the time stamp counter
@test
def frequencies_of_the_processor_are_not_looked_at():
    for path, text in CODE.items():
        assert not re.search(r"cpuinfo|cpufreq|devices/system/cpu", text), path


if __name__ == "__main__":
    sys.exit(run_tests())
