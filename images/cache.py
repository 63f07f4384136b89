# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of what is made once and used by every clone on this machine: ${XDG_CACHE_HOME:-~/.cache}/libvfn."""

import contextlib
import fcntl
import os
import pathlib

from images.progress import say


def cache_dir():
    """The folder itself."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(base) / "libvfn"


@contextlib.contextmanager
def locked(path):
    """Hold an exclusive lock, so that two runs do not make the same thing at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run, which holds {path}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
