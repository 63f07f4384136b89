#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Install into an empty folder, then build programs against it with what pkg-config says and nothing else.

usage: install.py SOURCE BUILD LIBRARY VERSION COMPILER... [-- FLAG...]

LIBRARY is the shared library in BUILD. FLAGs are what the library itself was instrumented with (sanitizers, coverage).
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from tap import command

WARNINGS = ["-Wall", "-Wextra", "-Werror"]
BUNDLES = ["vfn/support.h", "vfn/iommu.h", "vfn/vfio.h", "vfn/pci.h", "vfn/nvme.h"]

# Touches no device: it is there to see that the program loads, and finds functions, inline ones and variables.
PROGRAM = "".join(f"#include <{name}>\n" for name in BUNDLES) + r"""
int main(void)
{
	static struct nvme_ctrl ctrl;
	char bdf[VFN_PCI_BDF_LEN];
	void *mem;
	ssize_t len = pgmap(&mem, 1);

	if (len != (ssize_t)__VFN_PAGESIZE || vfn_pci_parse_bdf("01:00.0", bdf))
		return 1;
	pgunmap(mem, (size_t)len);
	if (nvme_init(&ctrl, "nonsense", 0) != -1)
		return 1;
	printf("%s\n", bdf);

	return 0;
}
"""


class Failed(Exception):
    """A command that did not do what it should, with its output."""


def run(*words, **environment):
    """Run a command and return its output."""
    done = subprocess.run(words, env=os.environ | environment, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(words)}\n{done.stdout}")
    return done.stdout


def readme_program(source):
    """The program that the README prints."""
    for block in re.findall(r"^```c\n(.*?)^```$", (source / "README.md").read_text(encoding="utf-8"), re.M | re.S):
        if "int main(" in block:
            return block
    raise Failed("README.md has no program")


class Installation:
    """A fresh installation below a folder, and a way to build programs against it."""

    def __init__(self, folder, build, library, compiler, flags, name="libvfn"):
        self.root = folder / "root"
        self.folder = folder
        self.name = name
        # what ours requires is the system's
        self.others = run("pkg-config", "--variable=pc_path", "pkg-config").strip() if name != "libvfn" else ""
        self.compiler, self.flags = compiler, flags
        run("meson", "install", "-C", build, "--no-rebuild", "--destdir", str(self.root))
        self.description = next(self.root.glob(f"**/{name}.pc"))
        self.library = next(self.root.glob(f"**/{pathlib.Path(library).name}")).parent

    def pkg_config(self, *arguments):
        """What pkg-config says, as a list of words."""
        return run("pkg-config", *arguments, self.name, PKG_CONFIG_LIBDIR=str(self.description.parent),
                   PKG_CONFIG_PATH=self.others, PKG_CONFIG_SYSROOT_DIR=str(self.root), PKG_CONFIG_ALLOW_SYSTEM_CFLAGS="1",
                   PKG_CONFIG_ALLOW_SYSTEM_LIBS="1").split()

    def compile(self, name, language, text, *libraries):
        """Build a program; return its path."""
        source = self.folder / name
        source.write_text(text, encoding="utf-8")
        program = source.with_suffix(".out")
        run(*self.compiler, *language, *WARNINGS, *self.flags, *self.pkg_config("--cflags"), str(source), "-xnone",
            "-o", str(program), *libraries)
        return str(program)

    def shared(self):
        """What to link for the shared library."""
        return self.pkg_config("--libs")

    def static(self):
        """The same for the static library."""
        return ["-l:libvfn.a" if word == "-lvfn" else word for word in self.pkg_config("--static", "--libs")]

    def execute(self, program):
        """Run a program with the installed library."""
        if run(*command(program), LD_LIBRARY_PATH=str(self.library)) != "0000:01:00.0\n":
            raise Failed(f"{program}: unexpected output")


C, CXX = ["-xc", "-std=gnu11"], ["-xc++", "-std=c++17"]


def version_is_declared(place, version):
    """The version of the project, which is more than the one that existing programs ask for."""
    place.pkg_config("--atleast-version=5.1.0")
    if place.pkg_config("--modversion") != [version]:
        raise Failed(f"libvfn.pc is not of version {version}")
    if not (place.library / f"libvfn.so.{version}").exists():
        raise Failed(f"there is no libvfn.so.{version}")


def shared_program_runs(place, _):
    """A program in C with the shared library."""
    program = place.compile("shared.c", C, PROGRAM, *place.shared())
    if "libvfn.so" not in run("readelf", "-d", program):
        raise Failed("the program does not need libvfn.so")
    place.execute(program)


def shared_program_in_cxx_runs(place, _):
    """The same in C++."""
    place.execute(place.compile("shared_cxx.cc", CXX, PROGRAM, *place.shared(), "-lstdc++"))


def static_program_runs(place, _):
    """A program in C with the static library inside."""
    program = place.compile("static.c", C, PROGRAM, *place.static())
    if "libvfn.so" in run("readelf", "-d", program):
        raise Failed("the program needs libvfn.so")
    place.execute(program)


def static_program_in_cxx_runs(place, _):
    """The same in C++."""
    place.execute(place.compile("static_cxx.cc", CXX, PROGRAM, *place.static(), "-lstdc++"))


def arguments_and_flags():
    """What stands before "--" on the command line, and behind it."""
    arguments, flags = sys.argv[1:], []
    if "--" in arguments:
        where = arguments.index("--")
        arguments, flags = arguments[:where], arguments[where + 1:]
    return arguments, flags


def main():
    """Report one test per way of building."""
    arguments, flags = arguments_and_flags()
    if len(arguments) < 5:
        sys.exit(__doc__.strip())
    source, build, library, version, *compiler = arguments

    def readme_program_builds(place, _):
        text = readme_program(pathlib.Path(source))
        place.compile("readme.c", C, text, *place.shared())
        place.compile("readme_static.c", C, text, *place.static())

    tests = [version_is_declared, shared_program_runs, shared_program_in_cxx_runs, static_program_runs,
             static_program_in_cxx_runs, readme_program_builds]
    failed = 0
    print(f"1..{len(tests)}")
    with tempfile.TemporaryDirectory() as folder:
        place = Installation(pathlib.Path(folder), build, library, compiler, flags)
        for number, test in enumerate(tests, 1):
            try:
                test(place, version)
                print(f"ok {number} - {test.__name__}")
            except Failed as failure:
                failed += 1
                print(f"not ok {number} - {test.__name__}")
                for line in str(failure).splitlines():
                    print(f"# {line}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
