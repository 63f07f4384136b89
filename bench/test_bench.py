#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of bench.py with made-up output of the tools."""

import contextlib
import io
import json
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import bench

CALLGRIND = """\
# callgrind format
positions: line
events: Ir
part: 1
summary: 100

fl=(1) a.c
fn=(1) row
cfn=(2) measured_submit_io
calls=2 0
0 999

fn=(2)
10 200
+3 20
cfi=(2) b.c
cfn=(3) vfn_nvme_io_submit
calls=4 0
* 700
fi=(2)
11 80
fn=(3)
5 700

fn=(4) measured_submit_nothing
1 100
part: 2
summary: 10

fn=(2)
10 50
fn=(5) measured_complete_io
7 64
totals: 1114
"""


def row(case="io", depth=32, submit=70.0, complete=30.0, size=512):
    """A row as it was counted."""
    return {"case": case, "what": case, "each": False, "shadow": False, "depth": depth, "bytes": size,
            "instructions": {"submit": submit, "complete": complete, "controller": 29.0}}


def timed(one, driver, lines=2.5):
    """The same row with what was measured otherwise."""
    return one | {"driver": [driver, 1, 9], "submit": [1, 1, 1], "complete": [1, 1, 1], "controller": [2, 2, 2],
                  "lines": lines}


class Counts(unittest.TestCase):
    """Callgrind's file."""

    def test_function_has_the_cost_of_its_callees_by_part(self):
        """And of the lines that were inlined, and no cost of another part."""
        first, second = bench.callgrind_parts(CALLGRIND.splitlines())
        self.assertEqual(first["measured_submit_io"], 200 + 20 + 700 + 80)
        self.assertEqual(first["measured_submit_nothing"], 100)
        self.assertEqual(second, {"measured_submit_io": 50, "measured_complete_io": 64})

    def test_loops_are_subtracted(self):
        """The sum over measured functions has those of the loops in it, too."""
        costs = {"measured_submit_io": 1000, "measured_submit_nothing": 100, "measured_complete_io": 64, "main": 7,
                 "measured_complete_nothing_at_once": 4, "controller_serve": 250}
        self.assertEqual(bench.instructions(costs, 10), {"submit": 90.0, "complete": 6.0, "controller": 25.0})


class Lines(unittest.TestCase):
    """Lackey's trace."""

    MARKS = {"window": 0x10, "round": 0x14, "row": 0x18, "ignore": [0, 128]}

    def rounds(self, trace):
        """The rounds of the rows of a trace."""
        return list(bench.traced_rounds(self.MARKS, (access + "\n" for access in trace)))

    def lines(self, trace):
        """The lines of these rows."""
        return [bench.mean_lines(rounds) for rounds in self.rounds(trace)]

    def test_distinct_lines_of_rounds_are_averaged_less_those_of_the_loops(self):
        """A line counts once a round; an access may be in two."""
        trace = ["==1== Lackey", "I  1000,4", " S 10,4", " L 1000,8", " S 10,4", " S 14,4",
                 " S 10,4", " L 1008,8", " S 2000,8", " M 2008,8", " S 303c,8", " S 10,4", " L 9000,8", " S 14,4",
                 " S 10,4", " S 2000,8", " S 10,4", " S 14,4", " S 18,4"]
        self.assertEqual(self.lines(trace), [(3 + 1) / 2])

    def test_device_and_clearing_do_not_count(self):
        """Doorbells are no lines of the driver, and memset is no mark."""
        trace = [" S 10,16", " S 10,4", " S 10,4", " S 14,4", " S 10,4", " S 40,4", " S 10,4", " S 14,4", " S 18,4"]
        self.assertEqual(self.lines(trace), [0])


    def test_lines_that_one_writes_and_the_other_touches_are_shared(self):
        """Whichever of them writes; what both only read is nobody's."""
        def shared(first, second):
            trace = [" S 10,4", *first, " S 10,4", " S 14,4", " S 10,4", *second, " S 10,4", " S 14,4", " S 18,4"]
            return bench.shared_lines(self.rounds(trace)[0])

        self.assertEqual(shared([" L 1000,8", " S 2000,8"], [" L 1000,8", " S 3000,8"]), 0)
        self.assertEqual(shared([" S 1000,8"], [" L 1010,8"]), 1)
        self.assertEqual(shared([" L 1010,8"], [" M 103c,8"]), 1)
        self.assertEqual(shared([" S 1000,8", " S 2000,8"], [" S 1000,8", " S 203c,8"]), 2)


class Check(unittest.TestCase):
    """The comparison with the figures."""

    def check(self, now, then, update=False, shared=0):
        """What the check says, and its status."""
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "figures.json"
            file.write_text(json.dumps({"compiler": "cc 1", "instructions": bench.figures(then)}), encoding="utf-8")
            out = io.StringIO()
            with mock.patch.object(bench, "FIGURES", file), mock.patch.object(bench, "count", return_value=now), \
                    mock.patch.object(bench, "shared", return_value=shared), \
                    mock.patch.object(bench, "compiler", return_value="cc 2"), contextlib.redirect_stdout(out):
                status = bench.check(pathlib.Path(folder), update)
            return status, out.getvalue(), json.loads(file.read_text(encoding="utf-8"))

    def test_two_percent_more_pass(self):
        """Without a word."""
        status, text, _ = self.check([row(submit=72.0), row("iova")], [row(), row("iova")])
        self.assertEqual((status, text), (0, "bench: 3 passed, 0 failed\n"))

    def test_fewer_pass_with_a_hint(self):
        """New figures keep them few."""
        status, text, _ = self.check([row(submit=10)], [row()])
        self.assertEqual(status, 0)
        self.assertRegex(text, r"^1 rows take fewer .*--update\nbench: 2 passed, 0 failed\n$")

    def test_more_than_two_percent_fail(self):
        """With the row, and that the compiler is another one."""
        status, text, _ = self.check([row(submit=72.1), row("iova")], [row(), row("iova")])
        self.assertEqual(status, 1)
        self.assertIn("io, batch, QD 32, 512 B: 102.1 instructions, 2.1 % more than 100.0", text)
        self.assertIn("cc 1; this is cc 2", text)
        self.assertTrue(text.endswith("bench: 2 passed, 1 failed\n"))

    def test_rows_that_come_or_go_fail(self):
        """Or they would not be checked."""
        status, text, _ = self.check([row("iova")], [row("vaddr")])
        self.assertEqual(status, 1)
        self.assertIn("iova, batch, QD 32, 512 B: not in figures.json", text)
        self.assertIn("vaddr, batch, QD 32, 512 B: in figures.json, but not measured", text)

    def test_every_row_is_checked_by_a_name_of_its_own(self):
        """Whatever its depth, size and doorbells."""
        rows = [row(depth=depth, size=size) | {"each": each, "shadow": shadow}
                for depth in (1, 2, 128) for size in (512, 1 << 20) for each in (False, True)
                for shadow in (False, True)]
        status, text, _ = self.check(rows, rows)
        self.assertEqual((status, text), (0, "bench: 25 passed, 0 failed\n"))

    def test_lines_that_threads_share_fail(self):
        """Which no count of instructions shows."""
        status, text, _ = self.check([row()], [row()], shared=2)
        self.assertEqual(status, 1)
        self.assertIn("two threads: 2 lines of memory", text)

    def test_update_writes_what_was_counted(self):
        """For the next check."""
        status, _, file = self.check([row(submit=90.0)], [row()], update=True)
        self.assertEqual(status, 0)
        self.assertEqual(file, {"compiler": "cc 2", "instructions": {"io, batch, QD 32, 512 B": 120.0}})


class Table(unittest.TestCase):
    """The text."""

    def text(self, rows, **more):
        """The tables of these rows."""
        bench.add_ratios(rows)
        bench.add_targets(rows)
        data = {"compiler": "cc", "rows": rows, "threads": [], "memory": [], "translation": [], "guest": []}
        return "\n".join(bench.tables(data | more))

    def test_ratio_is_to_the_bound_of_the_same_size_depth_and_doorbells(self):
        """Of instructions and of ns, and the table has it."""
        each = {"each": True}
        rows = [timed(row("bound", submit=20.0), 4), timed(row(), 8), timed(row("bound", submit=70.0, size=4096), 12),
                timed(row(size=4096), 16), timed(row("bound", submit=170.0) | each, 16), timed(row() | each, 16)]
        text = self.text(rows)
        self.assertEqual([one["ns_of_bound"] for one in rows], [1.0, 2.0, 1.0, 1.33, 1.0, 1.0])
        self.assertEqual([one["instructions_of_bound"] for one in rows], [1.0, 2.0, 1.0, 1.0, 1.0, 0.5])
        self.assertRegex(text, r"512 B, QD 32, doorbell for each command\n +bound .*\n"
                               r" +io +70.0 +30.0 +100.0 +0.50 +29.0 +2.5 +16.00 \(1.00 to 9.00\) +1.00 ")

    def test_row_without_a_bound_has_no_ratio(self):
        """As there is none for shadow doorbells alone."""
        self.assertRegex(self.text([timed(row(depth=8), 8)]), r"io +70.0 +30.0 +100.0 +29.0 +2.5 +8.00 ")

    def test_target_is_met_or_missed_in_the_row(self):
        """Each limit is still within."""
        text = self.text([timed(row("bound"), 10), timed(row(submit=60.0), 13, lines=3.0)])
        self.assertRegex(text, r"io .*   90 instr met, 3 lines met, 1.3 x bound ns met")
        text = self.text([timed(row("bound"), 10), timed(row(submit=60.1), 13.1, lines=3.1)])
        self.assertRegex(text, r"io .*   90 instr MISSED, 3 lines MISSED, 1.3 x bound ns MISSED")

    def test_request_is_compared_with_a_command(self):
        """Of the same size, depth and way to ring."""
        text = self.text([timed(row("bound"), 1), timed(row(), 1), timed(row("blk", submit=130.0), 1)])
        self.assertRegex(text, r"blk +130.0 .* 60 instr over io met")
        text = self.text([timed(row("bound"), 1), timed(row(), 1), timed(row("blk", submit=130.1), 1)])
        self.assertRegex(text, r"blk +130.1 .* 60 instr over io MISSED")

    def test_targets_are_of_their_rows_only(self):
        """The contract's calls count with a doorbell for each command, too; nobody promised for shadow doorbells."""
        shadow, each = {"shadow": True}, {"each": True}

        def limits(one):
            bounds = [timed(row("bound", depth=one["depth"], size=one["bytes"]), 1)]
            rows = [*bounds, timed(one, 1)]
            bench.add_ratios(rows)
            bench.add_targets(rows)
            return [(target["name"], target["limit"]) for target in rows[-1]["targets"]]

        self.assertEqual(limits(row(depth=1, size=4096)), [("instr", 165)])
        self.assertEqual(limits(row(size=128 << 10)), [("instr", 170)])
        self.assertEqual(limits(row("iova")), [("instr", 130)])
        self.assertEqual(limits(row("vaddr")), [("instr", 170)])
        self.assertEqual(limits(row("iova") | each), [("instr", 130)])
        self.assertEqual(limits(row("bound")) + limits(row() | shadow) + limits(row(depth=8)) + limits(row("sgl")), [])

    def test_memory_is_next_to_a_page_each(self):
        """A line for each depth; what is wanted is of one."""
        with mock.patch.object(bench, "run", return_value="".join(
                json.dumps({"entries": entries, "bytes": size, "pinned": 2 * size}) + "\n"
                for entries in (8, 1024) for size in (8192, 131072))):
            text = self.text([], memory=bench.memory(pathlib.Path("bench")))
        self.assertRegex(text, r"8 KiB +128 KiB +a page each")
        self.assertRegex(text, r"\n +8 +16 +256 +32\n +1024 +16 +256 +4096   1024 KiB met\n")

    @staticmethod
    def threads(one, two, by_hand, shared):
        """Rows of threads, by the lower quartiles."""
        spreads = [{"case": case, "what": case, "one": [50, one, 90], "two": [60, two, 99]}
                   for case, one, two in (("io", one, two), ("bound", *by_hand))]
        with mock.patch.object(bench, "run", return_value="\n".join(map(json.dumps, spreads))), \
                mock.patch.object(bench, "shared", return_value=shared):
            return bench.threads(pathlib.Path("bench"))

    def test_threads_are_compared_with_a_driver_by_hand(self):
        """What the machine loses is not the library's fault."""
        text = self.text([], threads=self.threads(10, 15, (10, 14), 0))
        self.assertRegex(text, r"io +10.00 +15.00 +1.50   1.1 x by hand met, 0 shared lines met\n"
                               r" +bound +10.00 +14.00 +1.40\n")
        text = self.text([], threads=self.threads(10, 15, (10, 13), 1))
        self.assertRegex(text, r"io +10.00 +15.00 +1.50   1.1 x by hand MISSED, 0 shared lines MISSED\n")

    @staticmethod
    def lookups(mappings, memory=(1, 1, 1, 1), lookup=(2, 2, 2, 2), map_cost=300):
        """What is measured of a number of mappings."""
        names = ("one", "two", "one_with_mapper", "two_with_mapper")
        both = {name: {"memory": memory[i], "lookup": lookup[i]} for i, name in enumerate(names)}
        return [both | {"mappings": mappings, "same_page": 1.5, "map": 1500, "unmap": 400,
                        "library": {"map": map_cost, "unmap": 50, "unmap_in_no_order": 900}}]

    def translation(self, rows):
        """Their table."""
        bench.add_translation_targets(rows)
        return self.text([], translation=rows)

    def test_translation_has_its_targets(self):
        """All of these are met."""
        text = self.translation(self.lookups(10000) + self.lookups(10 ** 6, lookup=(12, 12, 12, 12), map_cost=900))
        self.assertRegex(text, r"\n +10000 +1.50 +2.00 +\(1.00\) +2.00 +\(1.00\) .* 1500 +300 +400 +50 +900   "
                               r"5 ns met, 1.8 x by 2 threads met, 1.25 x with mapper met\n")
        self.assertRegex(text, r"12 ns met, .*, 3 x of 10000 to map met, 2 s to map all met\n")

    def test_translation_that_is_slower_misses_them(self):
        """But not where the machine is as slow."""
        slow = (4, 5, 5.1, 4)
        self.assertRegex(self.translation(self.lookups(1, (1, 1.2, 1.1, 1), slow)),
                         "5 ns met, 1.8 x by 2 threads met, 1.25 x with mapper met")
        self.assertRegex(self.translation(self.lookups(1, lookup=slow)),
                         "5 ns met, 1.8 x by 2 threads MISSED, 1.25 x with mapper MISSED")
        self.assertRegex(self.translation(self.lookups(1, lookup=(5.1,) * 4)), "5 ns MISSED")
        text = self.translation(self.lookups(10000) + self.lookups(10 ** 6, map_cost=910))
        self.assertRegex(text, "3 x of 10000 to map MISSED")

    def test_single_mapping_takes_no_time_that_could_be_told(self):
        """Its columns are empty."""
        (row_of_one,) = self.lookups(1)
        for name in ("map", "unmap", "library"):
            del row_of_one[name]
        self.assertRegex(self.translation([row_of_one]), r"\n +1 +1.50 .*2.00 +\(1.00\) +5 ns met")

    def test_summary_names_what_is_missed(self):
        """And counts the others."""
        text = self.text([timed(row("bound"), 10), timed(row(submit=60.1), 13)])
        self.assertTrue(text.endswith("bench: 2 targets met, 1 missed\n"
                                      "  512 B, QD 32, doorbell once for all: io: 90.1, target 90 instr"))


class Guest(unittest.TestCase):
    """Times of a guest."""

    TEXT = ("profile  case     passed failed     time\n"
            "own-6.12 boot          1      0    5.1 s\n"
            "own-6.12 startup       2      0    2.4 s  library: init 126.97, queue pair 0.36, first read 0.37, "
            "all 127.71 ms; kernel: bind 34.01, block device 17.18, first read 7.42, all 58.62 ms\n\nvm: 3 passed\n")

    def test_steps_are_in_the_table(self):
        """Those of the library and of the kernel's driver."""
        with mock.patch.object(bench, "run", return_value=self.TEXT):
            rows = bench.guest(pathlib.Path("build"))
        self.assertEqual(rows, [
            {"guest": "own-6.12", "driver": "library",
             "ms": {"init": 126.97, "queue pair": 0.36, "first read": 0.37, "all": 127.71}},
            {"guest": "own-6.12", "driver": "kernel",
             "ms": {"bind": 34.01, "block device": 17.18, "first read": 7.42, "all": 58.62}}])
        text = "\n".join(bench.guest_table(rows))
        self.assertIn("own-6.12, library  init 126.97, queue pair 0.36, first read 0.37, all 127.71\n", text)
        self.assertIn("own-6.12, kernel   bind 34.01, block device 17.18", text)

    def test_without_a_guest_there_is_nothing_to_say(self):
        """Which takes no line."""
        self.assertEqual(list(bench.guest_table([])), [])


class Cores(unittest.TestCase):
    """Where two threads run."""

    def test_siblings_are_avoided(self):
        """As long as there are others."""
        def cores(allowed, mask):
            with mock.patch.object(bench.os, "sched_getaffinity", return_value=allowed), \
                    mock.patch.object(pathlib.Path, "exists", return_value=True), \
                    mock.patch.object(pathlib.Path, "read_text", return_value=mask):
                return bench.cores()

        self.assertEqual(cores({0, 1, 2, 3}, "00000000,00000003\n"), (0, 2))
        self.assertEqual(cores({0, 1}, "1\n"), (0, 1))
        self.assertEqual(cores({2, 3}, "c\n"), (2, 3))
        self.assertEqual(cores({5}, "20\n"), (5, 5))


if __name__ == "__main__":
    unittest.main()
