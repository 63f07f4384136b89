#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Take the library into another Meson project by the wrap file, as shared and as static library, and run a program of it.

usage: subproject.py SOURCE COMPILER...
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from tap import report

PROJECT = """
project('user', 'c', meson_version: '>= 1.0', default_options: ['c_std=gnu11', 'werror=true'])
test('program', executable('program', 'program.c', dependencies: dependency('libvfn', version: '>= 5.1.0')))
"""

PROGRAM = """
#include <vfn/nvme.h>

int main(void)
{
	static struct nvme_ctrl ctrl;

	return nvme_init(&ctrl, "nonsense", 0) == -1 && errno == EINVAL && vfn_last_error()[0] ? 0 : 1;
}
"""


def run(*command, folder, compiler):
    """Run a command; return what it said if it failed."""
    done = subprocess.run(command, cwd=folder, env=os.environ | {"CC": compiler}, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return f"{' '.join(command)}\n{done.stdout}" if done.returncode else ""


def build(source, compiler, library):
    """Make the project, build it, run its test."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "meson.build").write_text(PROJECT, encoding="utf-8")
        (folder / "program.c").write_text(PROGRAM, encoding="utf-8")
        (folder / "subprojects").mkdir()
        shutil.copy(source / "subprojects/libvfn.wrap", folder / "subprojects")
        # what the wrap file would fetch
        (folder / "subprojects/libvfn").symlink_to(source)
        complaint = (run("meson", "setup", "build", "--wrap-mode=nodownload", "--force-fallback-for=libvfn",
                         f"-Dlibvfn:default_library={library}", folder=folder, compiler=compiler)
                     or run("meson", "test", "-C", "build", "--print-errorlogs", folder=folder, compiler=compiler))
        if not complaint:
            needs = subprocess.run(["readelf", "-d", folder / "build/program"], text=True, capture_output=True, check=True)
            if ("libvfn.so" in needs.stdout) != (library == "shared"):
                complaint = f"the program is not linked with the {library} library"
        return complaint


def main():
    """Report one test per kind of library."""
    if len(sys.argv) < 3:
        sys.exit(__doc__.strip())
    source, compiler = pathlib.Path(sys.argv[1]), " ".join(sys.argv[2:])
    return report([(f"{library} library in another project", build(source, compiler, library).splitlines())
                   for library in ("shared", "static")])


if __name__ == "__main__":
    sys.exit(main())
