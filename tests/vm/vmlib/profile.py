# SPDX-License-Identifier: GPL-2.0-or-later
"""Read profiles (what a guest is made of) and cases (what runs in it)."""

import configparser
import fnmatch
import os
import pathlib
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent.parent

# The PCI slot of the first controller: the others follow, one each, so that a case knows their addresses.
FIRST_SLOT = 0x10


# What a guest may have or lack: the program "features" finds out, a profile's "lacks" says what is expected.
FEATURES = ["iommu", "dynamic-msix", "no-iommu", "iommufd", "fault-queue", "iommufd-token", "map-file", "dma-buf"]


class ProfileError(Exception):
    """A profile or the list of cases does not make sense."""


@dataclass
class Profile:
    """Kernel, machine, drives and devices of a guest."""
    name: str
    guest: dict
    suite: str
    # None if nobody knows
    lacks: list = None
    optional: bool = False
    drives: dict = field(default_factory=dict)
    memories: dict = field(default_factory=dict)
    devices: list = field(default_factory=list)
    addresses: dict = field(default_factory=dict)

    def runs(self, case):
        """Whether a case is for this guest."""
        return self.suite in case.suites or self.name in case.suites


@dataclass
class Case:
    """One program of the guest, and under which circumstances it runs."""
    name: str
    run: str
    bind: list = field(default_factory=list)
    timeout: int = 60
    announce: list = field(default_factory=list)
    suites: list = field(default_factory=lambda: ["device"])
    needs: list = field(default_factory=list)


def reader():
    """A parser of INI files in which names keep their case and values are taken as they are."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parser.optionxform = str
    return parser


def read(path, parser):
    """Read a profile, after the one that it extends."""
    own = reader()
    if not own.read(path, encoding="utf-8"):
        raise ProfileError(f"there is no {path}")
    extends = own.get("profile", "extends", fallback=None)
    if extends:
        read(path.parent / extends, parser)
    parser.read(path, encoding="utf-8")


def load(path):
    """Return the Profile of a file."""
    parser = reader()
    read(path, parser)
    about = parser["profile"]
    profile = Profile(path.stem, dict(parser["guest"]), about.get("suite", path.stem),
                      about.get("lacks").split() if "lacks" in about else None, about.getboolean("optional", False))
    slot = FIRST_SLOT
    for section in parser.sections():
        kind, _, name = section.partition(" ")
        options = dict(parser[section])
        if kind == "drive":
            profile.drives[name] = options
        elif kind == "memory":
            profile.memories[name] = options
        elif kind == "device":
            profile.devices.append(options["device"])
        elif kind in ("controller", "peer"):
            device = f"{options['device']},id={name}"
            address = options.get("address")
            if not address:
                device += f",addr={slot:#x}"
                address = f"0000:00:{slot:02x}.0"
                slot += 1
            profile.devices.append(device)
            profile.addresses[name] = address
        elif section not in ("profile", "guest"):
            raise ProfileError(f"{path}: unknown section [{section}]")
    return profile


def profiles(wanted, custom_kernel):
    """The profiles to run: those that are named, or else all whose kernel is the kind in use but the optional ones."""
    known = {}
    for path in sorted((HERE / "profiles").glob("*.ini")):
        if not path.stem.startswith("base"):
            known[path.stem] = load(path)
    if wanted:
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise ProfileError(f"no profile {', '.join(unknown)}: there are {', '.join(known)}")
        return [known[name] for name in wanted]
    return [profile for profile in known.values()
            if (profile.guest["kernel"] == "custom") == custom_kernel and not profile.optional]


def cases(wanted):
    """The cases to run, in the order of their file: those that match one of the patterns, or all but the optional ones."""
    parser = reader()
    parser.read(HERE / "cases.ini", encoding="utf-8")
    found = []
    for name in parser.sections():
        section = parser[name]
        if wanted and not any(fnmatch.fnmatch(name, pattern) for pattern in wanted):
            continue
        if not wanted and section.getboolean("optional", False):
            continue
        seconds = int(os.environ.get("SOAK_TIME") or section.get("seconds", 0)) if "seconds" in section else 0
        run = section["run"].replace("{seconds}", f"{seconds} {os.environ.get('SOAK_ARGS', '')}".strip())
        found.append(Case(name, run, section.get("bind", "").split(), section.getint("timeout", 60) + seconds,
                          section.get("announce", "").strip().splitlines(), section.get("suites", "device").split(),
                          section.get("needs", "").split()))
    idle = [pattern for pattern in wanted if not fnmatch.filter(parser.sections(), pattern)]
    if idle:
        raise ProfileError(f"no case matches {', '.join(idle)}: there are {', '.join(parser.sections())}")
    return found
