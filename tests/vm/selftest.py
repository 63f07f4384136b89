#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the VM runner itself, without a guest: does it notice what it is there to notice?"""

import os
import pathlib
import socket
import sys
import tempfile
import unittest
from unittest import mock

sys.dont_write_bytecode = True
sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent), str(pathlib.Path(__file__).resolve().parents[2])]

# pylint: disable=wrong-import-position,missing-function-docstring
from images import kernel, own
from images.initramfs import Initramfs
from vmlib import kernellog, profile, qemu
from vmlib.qmp import QMP
from vmlib.tap import Parser


def parsed(text, status):
    parser = Parser()
    for line in text.splitlines():
        parser.line(line)
    parser.finish(status)
    return [(test.name, test.passed) for test in parser.tests]


class Tap(unittest.TestCase):
    """Results of a program."""

    def test_passed_and_failed_are_told_apart(self):
        self.assertEqual(parsed("1..2\nok 1 - a\nnot ok 2 - b\n", 1), [("a", True), ("b", False)])

    def test_no_result_is_a_failure(self):
        self.assertFalse(parsed("sh: queues: not found\n", 127)[-1][1])

    def test_missing_result_is_a_failure(self):
        self.assertFalse(parsed("1..2\nok 1 - a\n", 0)[-1][1])

    def test_bad_exit_status_is_a_failure(self):
        self.assertFalse(parsed("1..1\nok 1 - a\n", 139)[-1][1])

    def test_note_is_for_the_table(self):
        parser = Parser()
        for line in ("1..1", "# note: init 1.5 ms", "ok 1 - a", "# something else"):
            parser.line(line)
        self.assertEqual(parser.notes, ["init 1.5 ms"])

    def test_skipped_is_a_failure(self):
        self.assertFalse(parsed("1..1\nok 1 - a # SKIP no device\n", 0)[-1][1])


class KernelLog(unittest.TestCase):
    """What the kernel must not say unannounced."""

    FAULT = "<3>[    9.1] DMAR: [DMA Write NO_PASID] Request device [00:10.0] fault addr 0x1000 [fault reason 0x05]"

    def test_dma_fault_is_noticed(self):
        self.assertEqual(len(kernellog.complaints([self.FAULT])), 1)
        self.assertEqual(len(kernellog.complaints([self.FAULT], booting=True)), 1)

    def test_announced_fault_is_not(self):
        self.assertEqual(kernellog.complaints([self.FAULT], [r"DMAR: \[DMA Write"]), [])

    def test_announced_fault_must_come(self):
        self.assertEqual(kernellog.missing([self.FAULT], [r"DMAR: \[DMA Write"]), [])
        self.assertEqual(kernellog.missing(["<6>[    9.1] quiet"], [r"DMAR: \[DMA Write"]), [r"DMAR: \[DMA Write"])

    def test_any_word_of_the_iommu_is_noticed_after_boot(self):
        line = "<6>[    0.1] DMAR: Host address width 39"
        self.assertEqual(kernellog.complaints([line], booting=True), [])
        self.assertEqual(len(kernellog.complaints([line])), 1)

    def test_warnings_of_vfio_and_nvme_are_noticed(self):
        self.assertEqual(len(kernellog.complaints(["<4>[    5.0] vfio-pci 0000:00:10.0: not ready"])), 1)
        self.assertEqual(len(kernellog.complaints(["<3>[    5.0] nvme nvme0: I/O 5 QID 1 timeout"])), 1)
        self.assertEqual(kernellog.complaints(["<6>[    5.0] nvme nvme0: 2/0/0 default/read/poll queues"]), [])

    def test_kernel_bugs_are_noticed(self):
        for text in ("WARNING: CPU: 0 PID: 1 at mm/gup.c:1", "BUG: unable to handle page fault", "Oops: 0002 [#1]"):
            self.assertEqual(len(kernellog.complaints([f"<4>[    1.0] {text}"])), 1)


class Monitor(unittest.TestCase):
    """What QEMU says."""

    def test_event_right_behind_a_reply_is_counted(self):
        ours, qemus = socket.socketpair()
        with ours, qemus:
            qemus.sendall(b'{"QMP": {}}\n{"return": {}}\n{"return": "first"}\n{"event": "E"}\n')
            monitor = QMP(ours)
            self.assertEqual(monitor.execute({"execute": "first"}), {"return": "first"})
            qemus.sendall(b'{"return": {}}\n')
            self.assertEqual(monitor.event_count("E"), 1)


class Files(unittest.TestCase):
    """Profiles, modules and archives."""

    def test_profiles_extend_each_other(self):
        found = {item.name: item for item in profile.profiles([], False)}
        large = {name for name, item in found.items() if item.suite == "device"}
        self.assertEqual(large, {"debian-6.1", "debian-6.12", "own-6.12-type1", "own-6.12"})
        self.assertEqual(found["debian-6.1"].addresses["a"], "0000:00:10.0")
        self.assertEqual(found["debian-6.1"].guest["machine"], found["debian-6.12"].guest["machine"])
        self.assertEqual(found["own-6.12-type1"].guest["environment"], "VFN_IOMMU_FORCE_VFIO=1")
        self.assertEqual(found["own-6.12"].guest["environment"], "")

    def test_unknown_names_are_refused(self):
        with self.assertRaises(profile.ProfileError):
            profile.profiles(["debian-2.2"], False)
        with self.assertRaises(profile.ProfileError):
            profile.cases(["devices", "no-such-case"])

    def test_optional_profiles_run_when_they_are_named(self):
        self.assertEqual([item.guest["kernel"] for item in profile.profiles(["own-6.12-debug"], False)],
                         ["own-6.12-debug"])

    def test_cases_bind_controllers_that_exist(self):
        everything = [*profile.profiles([], False), *profile.profiles(["own-newest", "own-6.12-debug"], False)]
        for item in everything:
            mine = [case for case in profile.cases([]) if item.runs(case)]
            self.assertTrue(mine, item.name)
            for case in mine:
                for controller in case.bind:
                    self.assertIn(controller, item.addresses, f"{item.name}: {case.name}")

    def test_cases_need_and_profiles_lack_features_that_exist(self):
        for words in [case.needs for case in profile.cases([])] + [item.lacks for item in profile.profiles([], False)]:
            self.assertLessEqual(set(words), set(profile.FEATURES))

    def test_of_a_kernel_of_the_users_nothing_is_known(self):
        self.assertIsNone(profile.profiles(["custom"], True)[0].lacks)

    def test_cases_name_suites_that_exist(self):
        found = [profile.load(path) for path in (profile.HERE / "profiles").glob("*.ini") if "base" not in path.stem]
        for case in profile.cases([]):
            self.assertLessEqual(set(case.suites), {item.suite for item in found} | {item.name for item in found}, case.name)

    def test_cases_of_one_profile_do_not_run_in_others_of_its_suite(self):
        case = profile.Case("one", "true", suites=["own-6.12"])
        self.assertEqual([item.name for item in profile.profiles([], False) if item.runs(case)], ["own-6.12"])

    def test_drives_have_the_errors_that_their_profile_says(self):
        self.assertEqual(qemu.protocol("x.img", ""), "file.driver=file,file.filename=x.img,file.locking=off")
        options = qemu.protocol("x.img", "\nread 8 5\nwrite 16 28").split(",")
        self.assertEqual(options[0], "file.image.driver=file")
        self.assertIn("file.driver=blkdebug", options)
        self.assertEqual(options[-3:], ["file.inject-error.1.iotype=write", "file.inject-error.1.sector=16",
                                        "file.inject-error.1.errno=28"])

    def test_every_example_runs_in_a_case(self):
        scripts = [(profile.HERE / "cases" / case.run.split()[-1]).read_text()
                   for case in profile.cases([]) if case.run.endswith(".sh")]
        for path in (profile.HERE.parents[1] / "examples").glob("*.c"):
            if "int main(" in path.read_text():
                self.assertTrue(any(f" {path.stem} -d " in text for text in scripts), path.stem)

    def test_devices_get_slots_in_their_order_but_where_they_say(self):
        item = profile.load(profile.HERE / "profiles/hotplug.ini")
        self.assertEqual(item.addresses, {"a": "0000:00:10.0", "b": "0000:00:11.0", "hot": "0000:01:00.0", "other": "0000:02:00.0"})
        self.assertTrue(any(device.endswith("id=b,addr=0x11") for device in item.devices))
        self.assertTrue(any(device.endswith("id=hot") for device in item.devices))

    def test_modules_come_after_what_they_need(self):
        with tempfile.TemporaryDirectory() as folder:
            tree = pathlib.Path(folder)
            (tree / "modules.dep").write_text("a/nvme.ko.xz: a/nvme-core.ko.xz b/t10-pi.ko\na/nvme-core.ko.xz: b/t10-pi.ko\n"
                                              "b/t10-pi.ko:\nc/unrelated.ko:\n", encoding="ascii")
            names = [kernel.plain_name(file) for file in kernel.needed_modules(tree)]
        self.assertEqual(names, ["t10-pi.ko", "nvme-core.ko", "nvme.ko"])

    def test_archive_has_what_was_put_in(self):
        with tempfile.TemporaryDirectory() as folder:
            image = Initramfs()
            image.data("vfn/bin/x", b"hello", 0o755)
            image.write(pathlib.Path(folder) / "cpio")
            data = (pathlib.Path(folder) / "cpio").read_bytes()
        self.assertEqual(data.count(b"070701"), 4)
        self.assertIn(b"vfn/bin/x\0hello", data)
        self.assertTrue(data.rstrip(b"\0").endswith(b"TRAILER!!!"))


class OwnKernel(unittest.TestCase):
    """A kernel that is built here."""

    def test_dropped_option_is_noticed(self):
        wanted = 'CONFIG_A=y\n# CONFIG_B=y\nCONFIG_C="x"\nCONFIG_D=y\n'
        self.assertEqual(own.lost(wanted, 'CONFIG_A=y\nCONFIG_C="x"\nCONFIG_D=y\nCONFIG_E=y\n'), [])
        self.assertEqual(own.lost(wanted, 'CONFIG_A=m\n# CONFIG_D is not set\n'),
                         ["CONFIG_A=y", 'CONFIG_C="x"', "CONFIG_D=y"])

    def test_an_option_that_a_later_file_takes_back_is_not_wanted(self):
        self.assertEqual(own.lost("CONFIG_A=y\n# CONFIG_A is not set\n", ""), [])

    def test_of_two_settings_the_last_is_wanted(self):
        self.assertEqual(own.lost("CONFIG_A=1\nCONFIG_A=2\n", "CONFIG_A=2\n"), [])
        self.assertEqual(own.lost("CONFIG_A=1\nCONFIG_A=2\n", "CONFIG_A=1\n"), ["CONFIG_A=2"])

    def test_both_variants_have_what_the_plain_one_has(self):
        self.assertIn("CONFIG_IOMMUFD=y\n", own.fragment("own-6.12"))
        self.assertTrue(own.fragment("own-6.12-debug").startswith(own.fragment("own-6.12")))
        self.assertIn("CONFIG_PROVE_LOCKING=y\n", own.fragment("own-6.12-debug"))

    def test_cache_knows_source_and_configuration_apart(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            config = own.fragment("own-6.12")
            self.assertIsNone(own.cached("own-6.12", root, config))
            for number, version in enumerate(["6.12.9-1", "6.12.10-1~deb12u1"]):
                place = root / own.folder_name("own-6.12", version, config)
                place.mkdir()
                os.utime(place, (number, number))
            (root / own.folder_name("own-6.12-debug", "6.12.11-1", config)).mkdir()
            self.assertEqual(own.cached("own-6.12", root, config), place)
            self.assertIsNone(own.cached("own-6.12", root, config + "CONFIG_X=y\n"))

    def test_building_does_not_touch_what_is_cached(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(own, "build") as build:
            root = pathlib.Path(folder)
            place = root / own.folder_name("own-6.12", "6.12.9-1", own.fragment("own-6.12"))
            place.mkdir()
            self.assertEqual(own.get("own-6.12", root), place)
            build.assert_not_called()
            own.get("own-6.12", root, update=True)
            own.get("own-6.12-debug", root)
            self.assertEqual([call.args[0] for call in build.call_args_list], ["own-6.12", "own-6.12-debug"])

    def test_what_the_build_needs_is_named_at_once(self):
        with mock.patch.object(own.shutil, "which", lambda program: None if program in ("flex", "bc") else program), \
                mock.patch.object(own.subprocess, "run") as run:
            run.return_value.returncode = 0
            with self.assertRaisesRegex(kernel.KernelError, "flex, bc.*ci/install-deps kernel"):
                own.check_installed("own-6.12")
            self.assertIn("kernel", run.call_args_list[1].args[0])


if __name__ == "__main__":
    unittest.main()
