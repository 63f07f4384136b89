# SPDX-License-Identifier: GPL-2.0-or-later
"""Build a guest kernel of our own from Debian's linux-source package, which has what Debian's kernels lack: iommufd.

It is kept in the cache as NAME_VERSION_HASH, where the hash is one of the source's version and of the configuration:
who changes images/kernel.config gets a new kernel, and nobody else does.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

from images import archive
from images.archive import KernelError
from images.progress import run, say

SOURCE = "linux-source-6.12"
HERE = pathlib.Path(__file__).resolve().parent

# name -> the files that make up its configuration
OWN = {
    "own-6.12": ["kernel.config"],
    "own-6.12-debug": ["kernel.config", "kernel-debug.config"],
}

# What the build runs, or a package that has the headers that it needs.
PROGRAMS = ["setpriv", "make", "gcc", "flex", "bison", "bc", "tar", "xz"]
HEADERS = {"gelf.h": "libelf-dev"}


def fragment(name):
    """The configuration of a kernel, as far as we have an opinion."""
    return "".join((HERE / file).read_text(encoding="ascii") for file in OWN[name])


def folder_name(name, version, config):
    """Where below the cache's kernels this one is."""
    key = hashlib.sha256(f"{version}\n{config}".encode()).hexdigest()
    return f"{name}_{version}_{key[:12]}"


def cached(name, root, config):
    """The kernel of this configuration that was built last, or None."""
    found = [folder for folder in root.glob(f"{name}_*_*")
             if folder.name == folder_name(name, folder.name.split("_")[1], config)]
    return max(found, key=lambda folder: folder.stat().st_mtime, default=None)


def get(name, root, update=False):
    """The folder of a kernel, which is built if the cache has none or, with update, none of the newest source.

    The caller holds the lock of this name.
    """
    config = fragment(name)
    folder = cached(name, root, config)
    return build(name, root, config) if update or not folder else folder


def build(name, root, config):
    """Download the source, build a kernel below root; return its folder."""
    # What a run that was killed has left is large.
    for left in root.glob(f".{name}.new-*"):
        shutil.rmtree(left, ignore_errors=True)
    archive.check_installed(name)
    check_installed(name)
    with tempfile.TemporaryDirectory(dir=root, prefix=f".{name}.new-") as folder:
        work = pathlib.Path(folder)
        package = archive.download(name, SOURCE, find, work)
        target = root / folder_name(name, package.name.split("_")[1], config)
        if target.exists():
            # so that it counts as the newest
            target.touch()
            return target
        say(f"unpacking {package.name}")
        unpack(package, work)
        say(f"configuring {name}")
        configure(work, config)
        say(f"building {name}: once, 4 to 10 minutes on two cores")
        jobs = len(os.sched_getaffinity(0))
        make(work, f"building {name}", "-j", str(jobs), "bzImage")

        new = work / "kernel"
        (new / "modules").mkdir(parents=True)
        (new / "modules/order").touch()
        shutil.copy(work / "out/arch/x86/boot/bzImage", new / "vmlinuz")
        shutil.copy(work / "out/.config", new / "config")
        new.rename(target)
        say(f"built {target}")
    return target


def check_installed(name):
    """Complain at once about all that a build would miss."""
    lacking = [program for program in PROGRAMS if not shutil.which(program)]
    for header, package in HEADERS.items():
        tried = subprocess.run(["gcc", "-E", "-include", header, "-x", "c", "/dev/null"], check=False,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) if shutil.which("gcc") else None
        if tried and tried.returncode:
            lacking.append(package)
    if lacking:
        raise KernelError(f"to build {name}, {', '.join(lacking)} must be installed: run ci/install-deps kernel")


def find(options):
    """The name of the source package if the archive has it."""
    return SOURCE if archive.show(SOURCE, options) else None


def unpack(package, work):
    """Unpack the source to work/source."""
    tree = work / "tree"
    (work / "source").mkdir()
    (work / "out").mkdir()
    for command in (["dpkg", "-x", package, tree],
                    ["tar", "-xf", tree / f"usr/src/{SOURCE}.tar.xz", "--strip-components=1", "-C", work / "source"]):
        result = run(command, "unpacking")
        if result.returncode:
            raise KernelError(f"{package.name} could not be unpacked to {work} (2 GiB):\n{result.stdout.strip()}")
    shutil.rmtree(tree)
    package.unlink()


def configure(work, config):
    """Write the configuration: what the fragment says, all else off."""
    (work / "fragment").write_text(config, encoding="ascii")
    make(work, "configuring", f"KCONFIG_ALLCONFIG={work}/fragment", "allnoconfig")
    dropped = lost(config, (work / "out/.config").read_text(encoding="ascii"))
    if dropped:
        raise KernelError("the kernel's configuration did not take over (renamed, or lacks what it depends on):\n"
                          + "\n".join(dropped))


def lost(wanted, got):
    """The settings of a fragment that a configuration does not have. Of two for one option the last is wanted."""
    got = set(got.splitlines())
    last = {line.split("=")[0]: line for line in wanted.splitlines() if line.startswith("CONFIG_")}
    return [line for line in last.values() if line not in got]


def make(work, what, *arguments):
    """Run make for the kernel. Nothing of our own make's flags or the user's environment reaches it."""
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C",
                   "KBUILD_BUILD_USER": "libvfn", "KBUILD_BUILD_HOST": "libvfn"}
    # a run that is killed takes its build along
    result = run(["setpriv", "--pdeathsig", "TERM", "make", "-s", "-C", work / "source",
                  f"O={work}/out", "ARCH=x86_64", *arguments], what, interval=30, env=environment)
    if result.returncode:
        tail = "\n".join(result.stdout.splitlines()[-30:])
        raise KernelError(f"{what} failed: {tail}")
