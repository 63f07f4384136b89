#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the programs that the manual quotes, each on an emulated machine, and see that it quotes no others.

usage: quotes.py SOURCE VFNTOOL PROGRAM...

A PROGRAM is one of docs/snippets, or the README's, linked with tests/unit/examples/machine.c; its name is behind the
last "-". VFNTOOL may be "", where it was not built.
"""

import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from tap import command, run_tests, test

SOURCE = pathlib.Path(sys.argv[1]) if len(sys.argv) > 3 else sys.exit(__doc__.strip())
VFNTOOL = sys.argv[2]
PROGRAMS = {pathlib.Path(path).name.split("-")[-1]: path for path in sys.argv[3:]}
MANUAL = {path: path.read_text(encoding="utf-8") for path in sorted(SOURCE.glob("docs/**/*.rst"))}

# What they print on the emulated machine.
OUTPUT = {
    "readme": r"vid 0x1b36\n",
    "first": r"model .*\n64 I/O queues\n",
    "support": r"level 0: .*nonsense.*\n(level 1: .*\n)*version 1\.4\.2\n",
    "pci": r"(0000:0\d:00\.0 has driver vfio-pci\n)+\d controllers\n0000:01:00\.0: would .*\n(0000:01:00\.0: would .*\n)*",
    "iommu": r"would open by (type1|iommufd): .*\noffset 512\n(0x[0-9a-f]+ to 0x[0-9a-f]+\n)+",
    "vfio": r"0000:01:00\.0, class 010802, \d+ vectors\nvendor 1b36, device 0010\nregister 8 is 00010402\n4 of \d+ vectors\n",
    "nvme": r"cid 0x1234, status 0\n",
    "blk": r"8 blocks of 512 bytes\n",
}


@test
def every_program_runs_and_says_what_it_should():
    assert PROGRAMS.keys() == OUTPUT.keys(), " ".join(sorted(PROGRAMS.keys() ^ OUTPUT.keys()))
    for iommufd in ("0", "1"):
        for name, path in PROGRAMS.items():
            done = subprocess.run([*command(path), "0000:01:00.0"], text=True, env=os.environ | {"EMU_IOMMUFD": iommufd}, timeout=60,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            assert done.returncode == 0, f"{name}: status {done.returncode}:\n{done.stdout}"
            assert re.fullmatch(OUTPUT[name], done.stdout), f"{name} said:\n{done.stdout}"


# C12
@test
def strings_of_a_controller_are_printed_in_part_and_safely():
    done = subprocess.run([*command(PROGRAMS["first"]), "0000:01:00.0"], env=os.environ | {"EXAMPLE_STRINGS": "1"}, timeout=60,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0 and re.fullmatch(rb"model \?{40}\n64 I/O queues\n", done.stdout), done.stdout


@test
def the_manual_quotes_only_files_that_are_compiled():
    compiled = {*(SOURCE / "docs/snippets").glob("**/*.c"), *(SOURCE / "examples").glob("*.[ch]")}
    unquoted = {path.stem for path in (SOURCE / "docs/snippets").glob("*.c")}
    assert unquoted <= PROGRAMS.keys(), f"not run: {unquoted - PROGRAMS.keys()}"
    for path, text in MANUAL.items():
        assert not re.search(r"^\.\. (code-block|sourcecode):: c\b", text, re.MULTILINE), f"{path}: C that nobody compiles"
        for quoted in re.findall(r"^\.\. literalinclude:: (.*\.[ch])$", text, re.MULTILINE):
            target = (path.parent / quoted).resolve()
            assert target in compiled, f"{path}: {quoted} is not compiled"
            unquoted.discard(target.stem)
    assert not unquoted, f"quoted nowhere: {unquoted}"


@test
def marks_of_quotations_are_there_and_only_they():
    for path, text in MANUAL.items():
        for quoted, options in re.findall(r"^\.\. literalinclude:: (.*\.[ch])\n((?:   .*\n)*)", text, re.MULTILINE):
            code = (path.parent / quoted).read_text(encoding="utf-8")
            for mark in re.findall(r":(?:start-after|end-before): (.*)", options):
                assert code.count(mark) == 1, f"{path}: {quoted} has {mark} {code.count(mark)} times"


@test
def the_page_of_vfntool_has_every_command_and_option_and_no_others():
    if not VFNTOOL:
        return
    text = subprocess.run([*command(VFNTOOL), "--help"], text=True, capture_output=True, check=True).stdout
    page = MANUAL[SOURCE / "docs/vfntool.rst"]
    ours = re.findall(r"^  (-\w), (--[\w-]+)", text, re.MULTILINE)
    theirs = re.findall(r"^\.\. option:: (-\w)\b.*?(--[\w-]+)", page, re.MULTILINE)
    assert ours == theirs, f"{ours}\n{theirs}"
    commands = re.findall(r"^  (\w+) .*\n +(\[.*)?$", text, re.MULTILINE)
    assert commands, text
    for name, options in commands:
        line = re.search(rf"^\| \*\*vfntool {name}\*\*.*$", page, re.MULTILINE)
        # a line has all options, or says that there are more
        assert line and ("*OPTION*..." in line[0] or
                         re.findall(r"--[\w-]+", line[0]) == re.findall(r"--[\w-]+", options)), f"{name}: {line}"
        assert f"\n**{name}**\n" in page, f"{name} is not explained"


@test
def the_page_of_the_library_has_every_variable_that_it_reads():
    code = "".join(path.read_text(encoding="utf-8") for path in sorted(SOURCE.glob("src/**/*.c")))
    read = {*re.findall(r'getenv\("(\w+)"\)', code), *re.findall(r'#define \w+_ENV "(\w+)"', code)}
    told = set(re.findall(r"^``(\w+)``$", MANUAL[SOURCE / "docs/libvfn.rst"], re.MULTILINE))
    assert read == told and len(re.findall(r"getenv\((?!\")", code)) == len(re.findall(r"#define \w+_ENV ", code)), read ^ told


@test
def the_page_about_performance_names_what_there_is():
    page = (SOURCE / "docs/performance.md").read_text(encoding="utf-8")
    code = "".join(path.read_text(encoding="utf-8") for path in [*SOURCE.glob("src/**/*.[ch]"), *SOURCE.glob("include/**/*.h")])
    targets = set(re.findall(r"^([a-z0-9-]+):", (SOURCE / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    functions, paths = re.findall(r"\b(\w+)\(\)`", page), re.findall(r"[`(]((?:bench|docs|examples)/[\w/.-]+|\w+\.rst)\b", page)
    commands = re.findall(r"(?:    |`)make ([\w-]+)", page)
    assert functions and paths and commands
    wrong = [name for name in commands if name not in targets]
    wrong += [name for name in functions if not re.search(rf"\b{name}\(", code)]
    wrong += [path for path in paths if not (SOURCE / path).exists() and not (SOURCE / "docs" / path).exists()]
    assert not wrong, wrong


@test
def the_manual_names_every_example():
    examples = {path.stem for path in SOURCE.glob("examples/*.c")} - {"common"}
    told = set(re.findall(r"``([\w-]+)``", MANUAL[SOURCE / "docs/start.rst"]))
    assert examples and not examples - told, f"docs/start.rst lacks {examples - told}"


if __name__ == "__main__":
    sys.exit(run_tests())
