#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compile every public header alone, and before and after the headers that its users also include, in C and C++.

usage: compile.py INCLUDE[:INCLUDE]... COMPILER...

INCLUDEs are the folders that have vfn/, COMPILER the C compiler's command.
"""

import concurrent.futures
import os
import pathlib
import subprocess
import sys

STRANGERS = ["libnvme.h", "nvme/types.h", "syslog.h", "linux/vfio.h", "linux/iommufd.h"]
LANGUAGES = {
    "C11": ["-xc", "-std=gnu11"],
    "C++17": ["-xc++", "-std=c++17"],
}
# of those that many projects switch on for themselves
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Wundef", "-Werror"]
NEWER = pathlib.Path(__file__).parent / "newer"


# W40: headers that stand alone, get along with others, and cause no warnings in who includes them
def sources(header, language):
    """Includes of each translation unit that a header must survive in; twice in a row is one of them."""
    yield [header, header]
    yield [*STRANGERS, header]
    yield [header, *STRANGERS]
    # The ones that programs include have to get along with each stranger alone, too. Who complains of the other
    # depends on which comes first, and not on the language.
    if header.count("/") == 1:
        for stranger in STRANGERS:
            yield [stranger, header] if language == "C11" else [header, stranger]


def compile_one(command, includes):
    """Compile a list of includes; return what the compiler complained about."""
    source = "".join(f"#include <{name}>\n" for name in includes)
    done = subprocess.run([*command, "-"], input=source, text=True, capture_output=True, check=False)
    return f"{source}{done.stderr}" if done.returncode else None


def main():
    """Report one test per header and language."""
    if len(sys.argv) < 3:
        sys.exit(__doc__.strip())
    includes, *compiler = sys.argv[1:]
    includes = includes.split(":")
    headers = sorted(str(path.relative_to(include)) for include in includes
                     for path in pathlib.Path(include).glob("vfn/**/*.h"))
    # Behind the system's folders, so that the system's own file wins where there is one.
    command = [*compiler, *WARNINGS, "-fsyntax-only", *(f"-I{include}" for include in includes), "-idirafter", str(NEWER)]

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        tests = [
            (f"{header} in {language}",
             [pool.submit(compile_one, command + options, includes) for includes in sources(header, language)])
            for header in headers
            for language, options in LANGUAGES.items()
        ]
        print(f"1..{len(tests)}")
        for number, (name, jobs) in enumerate(tests, 1):
            complaints = [job.result() for job in jobs if job.result()]
            print(f"{'not ok' if complaints else 'ok'} {number} - {name}")
            for line in "".join(complaints).splitlines():
                print(f"# {line}")
            failed += bool(complaints)
    return 1 if failed or not tests else 0


if __name__ == "__main__":
    sys.exit(main())
