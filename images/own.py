# SPDX-License-Identifier: GPL-2.0-or-later
"""Build a guest kernel of our own from one of Debian's linux-source packages: with what its kernels lack, like iommufd.

It is kept in the cache as NAME_VERSION_HASH, where the hash is one of the source's version and of the configuration:
who changes images/kernel.config gets a new kernel, and nobody else does.
"""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

from images import archive
from images.archive import KernelError
from images.progress import run, say

HERE = pathlib.Path(__file__).resolve().parent



@dataclass
class Recipe:
    """The files that make up a kernel's configuration, and where its source is from."""
    config: list
    source: str = "linux-source-6.12"
    # A suite that need not be in /etc/apt, and whose package of this name depends on the one that has the source.
    suite: str = None


OWN = {
    "own-6.12": Recipe(["kernel.config"]),
    "own-6.12-debug": Recipe(["kernel.config", "kernel-debug.config"]),
    # The backports of Debian 12 itself end with 6.12.
    "own-newest": Recipe(["kernel.config", "kernel-newest.config"], "linux-source", "trixie-backports"),
}

# What the build runs, or a package that has the headers that it needs.
PROGRAMS = ["setpriv", "make", "gcc", "flex", "bison", "bc", "tar", "xz"]
HEADERS = {"gelf.h": "libelf-dev"}


def fragment(name):
    """The configuration of a kernel, as far as we have an opinion."""
    return "".join((HERE / file).read_text(encoding="ascii") for file in OWN[name].config)


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
        recipe = OWN[name]
        package = archive.download(name, recipe.source, lambda options: find(recipe, options), work, recipe.suite)
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


def lacking():
    """What a build would miss: programs, and packages of headers."""
    found = [program for program in PROGRAMS if not shutil.which(program)]
    for header, package in HEADERS.items():
        tried = subprocess.run(["gcc", "-E", "-include", header, "-x", "c", "/dev/null"], check=False,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) if shutil.which("gcc") else None
        if tried and tried.returncode:
            found.append(package)
    return found


def check_installed(name):
    """Install what a build needs, or complain at once about all that it would miss."""
    if lacking():
        subprocess.run([HERE.parent / "ci/install-deps", "kernel"], check=False)
    missing = lacking()
    if missing:
        raise KernelError(f"to build {name}, {', '.join(missing)} must be installed: run ci/install-deps kernel")


def find(recipe, options):
    """The name of the package with the source if the archive has it."""
    if recipe.suite:
        return archive.find_dependency(f"{recipe.source}-", [recipe.source], options)
    return recipe.source if archive.show(recipe.source, options) else None


def unpack(package, work):
    """Unpack the source to work/source."""
    tree = work / "tree"
    (work / "source").mkdir()
    (work / "out").mkdir()
    for command in (["dpkg", "-x", package, tree],
                    ["tar", "-xf", tree / f"usr/src/{package.name.split('_')[0]}.tar.xz", "--strip-components=1",
                     "-C", work / "source"]):
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
    last = {}
    for line in wanted.splitlines():
        setting = re.match(r"(CONFIG_\w+)=|# (CONFIG_\w+) is not set", line)
        if setting:
            last[setting[1] or setting[2]] = line if setting[1] else None
    return [line for line in last.values() if line and line not in got]


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
