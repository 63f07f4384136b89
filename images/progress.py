# SPDX-License-Identifier: GPL-2.0-or-later
"""Say what is being done, with elapsed time, also while a slow command runs."""

import subprocess
import sys
import time

START = time.monotonic()


def say(text):
    """Print one line with the seconds since the program started."""
    print(f"[{time.monotonic() - START:6.1f}s] {text}", flush=True)


def run(command, what, interval=10, **kwargs):
    """Run a command quietly; say every few seconds that it still runs. Return its CompletedProcess."""
    started = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", **kwargs) as process:
        while True:
            try:
                output, _ = process.communicate(timeout=interval)
                break
            except subprocess.TimeoutExpired:
                say(f"... {what}: {time.monotonic() - started:.0f} s")
    return subprocess.CompletedProcess(command, process.returncode, output)


def die(text):
    """End the program with a message for the person who started it."""
    sys.exit(f"error: {text}")
