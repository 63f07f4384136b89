# SPDX-License-Identifier: GPL-2.0-or-later
"""Put what the guest runs into its initramfs."""

import atexit
import os
import pathlib
import shutil
import threading

from images.initramfs import Initramfs
from vmlib.profile import HERE

# Folders of the build tree whose programs a guest gets.
PROGRAMS = ["tools", "examples", "tests/vm/guest"]

# What its cases in Python import.
PYTHON_MODULES = ["vfn", "tap", "glob"]


class ContentsError(Exception):
    """The build tree lacks what the guest needs."""


def programs(build):
    """The programs of a build tree."""
    found = []
    for folder in PROGRAMS:
        for path, _, files in os.walk(pathlib.Path(build) / folder):
            for name in sorted(files):
                file = pathlib.Path(path) / name
                if os.access(file, os.X_OK) and file.suffix == "":
                    found.append(file)
    if not any(file.name == "vfntool" for file in found):
        raise ContentsError(f"{build} has no vfntool: run make first")
    return found


def write(kernel, build, path):
    """Write the initramfs of a kernel with the programs of a build tree."""
    image = Initramfs()
    image.console()
    image.busybox()
    image.modules(kernel.modules)
    image.file("init", HERE / "guest/init")
    for folder in ("misc", "hwdata"):
        image.file(f"usr/share/{folder}/pci.ids", HERE / "guest/pci.ids")
    for file in sorted((HERE / "guest").glob("*.sh")):
        image.file(f"vfn/{file.name}", file)
    for file in sorted((HERE / "cases").glob("*.*")):
        image.file(f"vfn/bin/{file.name}", file)
    # the kernel's own judge of what was copied
    image.program("vfn/bin/e2fsck", shutil.which("e2fsck", path=f"{os.environ['PATH']}:/sbin:/usr/sbin"))
    for file in programs(build):
        image.program(f"vfn/bin/{file.name}", file)
    # not in a tree that is built for less than all tests
    library = pathlib.Path(build).resolve() / "src/libvfn.so.6"
    if library.exists():
        image.file("lib/libvfn.so.6", library)
        image.python(PYTHON_MODULES, [HERE.parents[1] / "python", HERE.parent / "unit"], library)
    for file in (pathlib.Path(build) / "fio").glob("*.so"):
        image.program(f"vfn/{file.name}", file)
    image.write(path)


made = set()
making = threading.Lock()


def shared(kernel, build, folder):
    """The initramfs of a kernel, which is the same for all of its guests: made once, and there until this process ends."""
    path = folder / f"{kernel.name.split()[0]}.initramfs"
    with making:
        if path not in made:
            write(kernel, build, path)
            made.add(path)
            atexit.register(path.unlink, missing_ok=True)
    return path
