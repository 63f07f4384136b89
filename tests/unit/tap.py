# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests in Python have in common: running programs; reports in the Test Anything Protocol, complaints below each line."""

import os
import shlex
import subprocess

_tests = []


def command(path):
    """The words of a command that runs a program of ours: by an emulator, where it is built for another processor."""
    return [*shlex.split(os.environ.get("MESON_EXE_WRAPPER", "")), str(path)]


def zeros(data):
    """Whether all of these bytes are: at once, as there may be millions of them."""
    return data == bytes(len(data))


def test(function):
    """Add a function to the tests of a program. It fails by an assertion, or where a program takes too long."""
    _tests.append(function)
    return function


def report(tests):
    """Print results: pairs of a name and what is wrong, one thing a line, empty if nothing is. Returns the exit status."""
    failed = False
    print(f"1..{len(tests)}")
    for number, (name, wrong) in enumerate(tests, 1):
        lines = [str(thing) for thing in wrong]
        failed |= bool(lines)
        print(f"{'not ok' if lines else 'ok'} {number} - {name}")
        for line in lines:
            print(f"# {line}")
    return 1 if failed else 0


def run_tests():
    """Run the functions, one after the other, and print results as they come. Returns the exit status."""
    failed = False
    print(f"1..{len(_tests)}")
    for number, function in enumerate(_tests, 1):
        try:
            function()
            print(f"ok {number} - {function.__name__}")
        except (AssertionError, subprocess.TimeoutExpired) as failure:
            failed = True
            print(f"not ok {number} - {function.__name__}")
            for line in str(failure).splitlines():
                print(f"# {line}")
    return 1 if failed else 0
