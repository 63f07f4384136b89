# SPDX-License-Identifier: GPL-2.0-or-later
"""Find, fetch or build a guest kernel: Debian's stock ones, ours from Debian's source package, or the user's.

A Debian kernel is downloaded and unpacked without root and without installing it. Only the boot image and the
modules that a guest loads are kept, in ${XDG_CACHE_HOME:-~/.cache}/libvfn/kernels/PACKAGE_VERSION.
One of ours is configured by images/kernel.config, has no modules, and is built once (see images/own.py).

  python3 -m images.kernel debian-6.1              print where it is, fetching it if need be
  python3 -m images.kernel own-6.12                the same, building it if need be
  python3 -m images.kernel --update debian-6.1     look for a newer package
  VFN_KERNEL=bzImage [VFN_MODULES=/lib/modules/X] python3 -m images.kernel custom
"""

import lzma
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from images import archive, own
from images.archive import KernelError
from images.cache import cache_dir, locked
from images.progress import say

# name -> the prefix of the package that holds the kernel, and the meta packages that may lead to it
DEBIAN = {
    "debian-6.1": ("linux-image-6.1.", ["linux-image-amd64"]),
    "debian-6.12": ("linux-image-6.12.", ["linux-image-6.12-cloud-amd64", "linux-image-cloud-amd64"]),
}

# What a guest loads, in order. A name that the kernel has built in, or has not, is passed over.
MODULES = ["virtio_pci", "virtio_console", "crc32c_generic", "ext4", "nvme", "vfio_iommu_type1", "vfio-pci"]


@dataclass
class Kernel:
    """A boot image and the modules to load, in that order."""
    name: str
    image: pathlib.Path
    modules: list


def get(name, update=False):
    """Return the Kernel called name."""
    if name == "custom":
        return custom()
    if name not in DEBIAN and name not in own.OWN:
        raise KernelError(f"unknown kernel {name!r} ({', '.join([*DEBIAN, *own.OWN])}, custom)")
    root = cache_dir() / "kernels"
    with locked(root / f".{name}.lock"):
        if name in own.OWN:
            return unpacked(name, own.get(name, root, update))
        current = root / name
        if update or not current.exists():
            current.unlink(missing_ok=True)
            current.symlink_to(fetch(name, root))
    return unpacked(name, current.resolve())


def custom():
    """The kernel that VFN_KERNEL and VFN_MODULES name."""
    name = os.environ.get("VFN_KERNEL")
    if not name:
        raise KernelError("VFN_KERNEL=/path/to/bzImage names the kernel of this profile, and it is not set")
    image = pathlib.Path(name)
    try:
        with open(image, "rb") as file:
            header = file.read(0x206)
    except OSError as error:
        raise KernelError(f"VFN_KERNEL={name}: {error.strerror}") from error
    if header[0x202:] != b"HdrS":
        raise KernelError(f"VFN_KERNEL={name} is not a Linux bzImage")
    tree = os.environ.get("VFN_MODULES")
    if tree and not (pathlib.Path(tree) / "modules.dep").is_file():
        raise KernelError(f"VFN_MODULES={tree} has no modules.dep (run depmod)")
    return Kernel("custom", image, needed_modules(pathlib.Path(tree)) if tree else [])


def unpacked(name, folder):
    """A Kernel from a folder of the cache."""
    order = (folder / "modules" / "order").read_text(encoding="ascii").split()
    return Kernel(f"{name} ({folder.name})", folder / "vmlinuz", [folder / "modules" / file for file in order])


def fetch(name, root):
    """Download and unpack one of Debian's kernels below root; return the name of its folder."""
    archive.check_installed(name)
    prefix, metas = DEBIAN[name]
    with tempfile.TemporaryDirectory(dir=root, prefix=".new-") as folder:
        work = pathlib.Path(folder)
        package = archive.download(name, f"{prefix}*", lambda options: archive.find_dependency(prefix, metas, options),
                                   work)
        say(f"unpacking {package.name}")
        tree = work / "tree"
        subprocess.run(["dpkg", "-x", package, tree], check=True)
        release = next((tree / "lib/modules").iterdir()).name
        subprocess.run([tool("depmod"), "-b", tree, release], check=True)

        new = work / "kernel"
        (new / "modules").mkdir(parents=True)
        shutil.copy(tree / "boot" / f"vmlinuz-{release}", new / "vmlinuz")
        files = needed_modules(tree / "lib/modules" / release)
        for file in files:
            (new / "modules" / plain_name(file)).write_bytes(contents(file))
        (new / "modules" / "order").write_text("\n".join(map(plain_name, files)) + "\n", encoding="ascii")

        target = root / package.stem
        shutil.rmtree(target, ignore_errors=True)
        new.rename(target)
        return target.name


def tool(name):
    """Where a program of the system administrator is: not every user has sbin in PATH."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not found:
        raise KernelError(f"{name} is not installed: run ci/install-deps vm")
    return found


def needed_modules(tree):
    """The files of MODULES and of what they depend on, in the order in which to load them."""
    depends = {}
    for line in (tree / "modules.dep").read_text(encoding="ascii").splitlines():
        file, _, needs = line.partition(":")
        depends[module_name(file)] = (file, needs.split())
    order = []

    def add(name):
        if name not in depends:
            return
        file, needs = depends[name]
        for need in reversed(needs):
            add(module_name(need))
        if tree / file not in order:
            order.append(tree / file)

    for name in MODULES:
        add(module_name(name))
    return order


def plain_name(path):
    """The file name of a module without the suffix of its compression."""
    return re.sub(r"\.ko.*$", ".ko", os.path.basename(path))


def module_name(path):
    """The name under which the kernel knows a module."""
    return plain_name(path).removesuffix(".ko").replace("-", "_")


def contents(path):
    """A module's bytes, uncompressed."""
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix in (".zst", ".gz"):
        program = {".zst": "zstd", ".gz": "gzip"}[path.suffix]
        return subprocess.run([program, "-dc", path], check=True, stdout=subprocess.PIPE).stdout
    return path.read_bytes()


def main():
    """Print where a kernel is."""
    arguments = sys.argv[1:]
    update = "--update" in arguments
    names = [name for name in arguments if name != "--update"]
    if not names:
        sys.exit(__doc__.strip())
    try:
        for name in names:
            print(get(name, update).image)
    except KernelError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
