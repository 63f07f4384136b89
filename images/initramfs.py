# SPDX-License-Identifier: GPL-2.0-or-later
"""Write a guest's initramfs: busybox, kernel modules, programs and the shared libraries that they need."""

import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile

from images.kernel import contents, plain_name

# Parameters that a module is loaded with: every controller is to have a block device of its own.
PARAMETERS = {"nvme-core.ko": "multipath=N"}

# The system's, which is found where it always is, and no other one that there may be.
PYTHON = "/usr/bin/python3"

# Import what the second argument names; compile it, and whatever that needs, into the folder; print where each part belongs.
COMPILE = """
import importlib, os, pathlib, sys
for name in sys.argv[2].split():
    importlib.import_module(name)
specs = [getattr(module, "__spec__", None) for module in list(sys.modules.values())]
# os is built in, but shows where the others are
found = [os.__file__, *(spec.origin for spec in specs if spec and spec.has_location)]
import py_compile
for number, path in enumerate(dict.fromkeys(found)):
    target = f"{sys.argv[1]}/{number}"
    py_compile.compile(path, cfile=target, doraise=True) if path.endswith(".py") else pathlib.Path(target).symlink_to(path)
    print(target, path, sep="\t")
"""


class Initramfs:
    """Collects files and writes them as a cpio archive in the "newc" format."""

    def __init__(self):
        self.entries = {}

    def folder(self, path):
        """Add a folder and those above it."""
        path = path.strip("/")
        if path and path not in self.entries:
            self.folder(os.path.dirname(path))
            self.entries[path] = (stat.S_IFDIR | 0o755, b"", (0, 0))

    def data(self, path, data, mode=0o644):
        """Add a file with these contents."""
        self.folder(os.path.dirname(path))
        self.entries[path.strip("/")] = (stat.S_IFREG | mode, data, (0, 0))

    def link(self, path, target):
        """Add a symbolic link."""
        self.folder(os.path.dirname(path))
        self.entries[path.strip("/")] = (stat.S_IFLNK | 0o777, target.encode(), (0, 0))

    def console(self):
        """Add the device that init's first output goes to."""
        self.folder("dev")
        self.entries["dev/console"] = (stat.S_IFCHR | 0o600, b"", (5, 1))

    def file(self, path, source):
        """Add a file of the host, executable or not as it is there."""
        source = pathlib.Path(source)
        self.data(path, source.read_bytes(), stat.S_IMODE(source.stat().st_mode))

    def program(self, path, source):
        """Add a program of the host and the shared libraries that it needs."""
        self.file(path, source)
        for library in libraries(source):
            # One of our own build is found by LD_LIBRARY_PATH=/lib, the system's where it always is.
            place = library if library.startswith(("/lib", "/usr/lib")) else f"lib/{os.path.basename(library)}"
            if place.lstrip("/") not in self.entries:
                self.file(place, library)

    def busybox(self):
        """Add busybox and a link for each of its applets."""
        path = shutil.which("busybox")
        if not path:
            raise FileNotFoundError("busybox is not installed: run ci/install-deps vm")
        self.program("bin/busybox", path)
        applets = subprocess.run([path, "--list"], check=True, stdout=subprocess.PIPE, text=True).stdout
        for applet in applets.split():
            if applet != "busybox":
                self.link(f"bin/{applet}", "busybox")

    def python(self, modules, folders, library):
        """Add the system's Python with these modules, which are there or in these folders, and all that they import.

        What is in the folders goes to where Debian has modules of packages; the library is what VFN_LIBRARY is to name.
        """
        self.program(PYTHON, PYTHON)
        self.folder("usr/lib/python3/dist-packages")
        with tempfile.TemporaryDirectory() as work:
            found = subprocess.run([PYTHON, "-B", "-c", COMPILE, work, " ".join(modules)], check=True, text=True,
                                   env={"PYTHONPATH": ":".join(map(str, folders)), "VFN_LIBRARY": str(library)},
                                   stdout=subprocess.PIPE).stdout
            for line in found.splitlines():
                file, path = line.split("\t")
                for folder in map(str, folders):
                    path = path.replace(folder, "/usr/lib/python3/dist-packages")
                if path.endswith(".py"):
                    self.file(path + "c", file)
                else:
                    self.program(path, file)

    def modules(self, files):
        """Add kernel modules, and a list of them with their parameters in the order in which to load them."""
        load = []
        for file in files:
            name = plain_name(file)
            self.data(f"lib/modules/{name}", contents(file))
            load.append(f"{name} {PARAMETERS.get(name, '')}".strip())
        self.data("lib/modules/load", "".join(line + "\n" for line in load).encode())

    def write(self, path):
        """Write the archive."""
        with open(path, "wb") as archive:
            for number, (name, entry) in enumerate(self.entries.items(), 1):
                archive.write(record(name, number, *entry))
            archive.write(record("TRAILER!!!", 0, 0, b"", (0, 0)))


def record(name, inode, mode, data, device):
    """One member of a "newc" archive."""
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
    header = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    return pad(header) + pad(data)


def pad(data):
    """Fill up to a multiple of four bytes."""
    return data + bytes(-len(data) % 4)


def libraries(program):
    """The shared libraries that a program needs, with its loader."""
    listing = subprocess.run(["ldd", program], check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                             text=True).stdout
    missing = re.findall(r"(\S+) => not found", listing)
    if missing:
        raise FileNotFoundError(f"{program} needs {', '.join(missing)}")
    return re.findall(r"(/\S+) \(0x", listing)
