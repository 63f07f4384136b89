#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Install into an empty folder, then build the tests of a tool that the manual shows against that, and run them.

usage: emu.py SOURCE BUILD LIBRARY COMPILER... [-- FLAG...]

What they are is as for install.py; the build has -Demu=true.
"""

import os
import pathlib
import sys
import tempfile

from install import C, CXX, WARNINGS, Failed, Installation, arguments_and_flags, run

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from tap import command, report

HEADER = "#include <vfn/emu.h>\nint main() { emu_init(); emu_fini(); return 0; }\n"


def main():
    """Report whether the tests of the tool succeed, as do programs of the header alone."""
    arguments, flags = arguments_and_flags()
    if len(arguments) < 4:
        sys.exit(__doc__.strip())
    source, build, library, *compiler = arguments
    snippets = pathlib.Path(source) / "docs/snippets/emu"
    results = []
    with tempfile.TemporaryDirectory() as folder:
        place = Installation(pathlib.Path(folder), build, library, compiler, flags, "libvfn-emu")
        words, libraries = place.pkg_config("--cflags"), place.pkg_config("--static", "--libs")

        def tool():
            objects = []
            for name, define in [("blocks", ["-Dmain=blocks_main"]), ("test_blocks", [])]:
                objects.append(f"{folder}/{name}.o")
                run(*compiler, *C, *WARNINGS, *flags, *words, *define, "-c", str(snippets / f"{name}.c"), "-o", objects[-1])
            run(*compiler, *flags, *objects, "-o", f"{folder}/test", *libraries)
            run(*command(f"{folder}/test"))

        def header(language, suffix, *more):
            program = place.compile(f"header{suffix}", language, HEADER, *libraries, *more)
            run(*command(program))

        for name, build_and_run in [("tool_is_tested", tool), ("header_in_c", lambda: header(C, ".c")),
                                    ("header_in_cxx", lambda: header(CXX, ".cc", "-lstdc++"))]:
            try:
                build_and_run()
                results.append((name, []))
            except Failed as failure:
                results.append((name, str(failure).splitlines()))
    return report(results)


if __name__ == "__main__":
    os.environ.pop("CMOCKA_MESSAGE_OUTPUT", None)
    sys.exit(main())
