# SPDX-License-Identifier: GPL-2.0-or-later
"""Download packages from Debian's archive, without root and without installing them."""

import re
import shutil
import subprocess

from images.progress import run, say

ELSEWHERE = """set VFN_KERNEL=/path/to/bzImage and VFN_MODULES=/lib/modules/VERSION to use a kernel that is already here
(virtio-pci, virtio-console, nvme, ext4, vfio-pci and vfio_iommu_type1, built in or as modules)"""


class KernelError(Exception):
    """No such kernel can be had; the text says what to do."""


def check_installed(name):
    """Complain where there are no Debian packages to be had."""
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise KernelError(f"{name} comes from Debian's package archive, and there is no apt-get here:\n{ELSEWHERE}")


def download(name, what, find, work, suite=None):
    """Download the package that find(options of apt) names to work; return its path.

    If the system's package lists do not do, fresh ones are fetched to work; they have no other suite than this one
    if it is given, which the system need not know. What describes the package in errors.
    """
    own = ["-o", f"Dir::State={work}/apt", "-o", f"Dir::State::lists={work}/apt/lists",
           "-o", f"Dir::Cache={work}/apt", "-o", "Dir::State::status=/var/lib/dpkg/status"]
    options = ["-q", "-o", "APT::Sandbox::User=root"]
    reason = said = ""
    for private in [True] if suite else [False, True]:
        if private:
            options += own
            said = update(options, work)
        if suite:
            options += only(suite, mirror(options), work)
            said = update(options, work)
        package = find(options)
        if not package:
            reason = said or (f"no archive in /etc/apt has a {what} package (Debian 12 with its security updates has "
                              "one: suite bookworm-security)" if not suite else f"{suite} has no {what} package")
            continue
        say(f"downloading {package}")
        result = run(["apt-get", *options, "download", package], f"downloading {package}", cwd=work)
        found = list(work.glob("*.deb"))
        if result.returncode == 0 and found:
            return found[0]
        reason = "\n".join(filter(None, [errors(result), said]))
    raise KernelError(f"{name} could not be downloaded: {reason}\n"
                      f"Without access to Debian's package archive, {ELSEWHERE}")


def update(options, work):
    """Fetch package lists to work. An archive that the package does not come from may fail: return what was said."""
    (work / "apt/lists/partial").mkdir(parents=True, exist_ok=True)
    say("fetching fresh package lists (apt-get update, into the cache)")
    return errors(run(["apt-get", *options, "-o", "APT::Update::Error-Mode=any", "update"], "fetching package lists"))


def mirror(options):
    """Where the system gets Debian's packages from."""
    listed = subprocess.run(["apt-get", *options, "indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)",
                             "Created-By: Packages"], check=False, stdout=subprocess.PIPE, text=True).stdout
    found = re.search(r"^Debian Debian (\S+)$", listed, re.MULTILINE)
    if not found:
        raise KernelError("no archive in /etc/apt is Debian's, which this kernel comes from")
    return found[1]


def only(suite, uri, work):
    """Options for apt that make it know one suite of Debian's archive, and nothing else."""
    (work / "sources.list").write_text(f"deb {uri} {suite} main\n", encoding="ascii")
    return ["-o", f"Dir::Etc::sourcelist={work}/sources.list", "-o", "Dir::Etc::sourceparts=-"]


def errors(result):
    """What apt-get calls an error in its output."""
    return "\n".join(line for line in result.stdout.splitlines() if line.startswith("E: "))


def show(package, options):
    """What the archive says about the newest version of a package, "" if it has none."""
    return subprocess.run(["apt-cache", *options, "show", "--no-all-versions", package], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def find_dependency(prefix, metas, options):
    """The package whose name starts with prefix and which one of the meta packages depends on, or None."""
    for meta in metas:
        found = re.search(rf"^Depends:.*?({re.escape(prefix)}\S+)", show(meta, options), re.MULTILINE)
        if found:
            return found[1]
    return None
