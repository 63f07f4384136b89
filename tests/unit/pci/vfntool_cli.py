#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The real vfntool as a process: exit status, streams, valid JSON of this machine. Needs no root.

usage: vfntool_cli.py VFNTOOL [argument of unittest]...
"""

import json
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from tap import command

TOOL = sys.argv.pop(1) if len(sys.argv) > 1 else sys.exit(__doc__.strip())


def run(*args, **kwargs):
    kwargs.setdefault("stdout", subprocess.PIPE)
    return subprocess.run([*command(TOOL), *args], stderr=subprocess.PIPE, timeout=30, check=False, **kwargs)


class VfntoolProcess(unittest.TestCase):
    # T1
    def test_usage_error_is_exit_2_and_silent_on_stdout(self):
        for args in [], ["nonsense"], ["bind"], ["bind", "../.."], ["list", "surplus"]:
            result = run(*args)
            self.assertEqual(result.returncode, 2, args)
            self.assertEqual(result.stdout, b"")
            self.assertIn(b"usage: vfntool", result.stderr)

    def test_help_and_version_are_exit_0(self):
        for args in ["--help"], ["--version"]:
            result = run(*args)
            self.assertEqual(result.returncode, 0)
            self.assertEqual(result.stderr, b"")

    # T7
    def test_list_json_of_this_machine_is_valid(self):
        result = run("list", "--all", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        devices = json.loads(result.stdout.decode("utf-8"))
        for device in devices:
            shown = run("show", "--json", device["bdf"])
            self.assertEqual(shown.returncode, 0, shown.stderr)
            self.assertEqual(json.loads(shown.stdout)["bdf"], device["bdf"])

    def test_absent_device_is_exit_1_and_named(self):
        result = run("show", "ffff:ff:1f.7")
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stdout, b"")
        self.assertIn(b"ffff:ff:1f.7: no such PCI device", result.stderr)

    # T3
    def test_full_disk_is_exit_1(self):
        with open("/dev/full", "wb") as full:
            self.assertEqual(run("--help", stdout=full).returncode, 1)

    # T3
    def test_closed_streams_are_survived(self):
        result = subprocess.run(["sh", "-c", '"$@" list --all <&- >&- 2>&-', "sh", *command(TOOL)], timeout=30, check=False)
        self.assertEqual(result.returncode, 1)


if __name__ == "__main__":
    if not os.access(TOOL, os.X_OK):
        sys.exit(f"{TOOL}: no such program")
    unittest.main()
