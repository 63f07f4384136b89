#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What an I/O costs the CPU: one table, or a check of the instruction counts.

usage: bench/bench.py BUILD [--all] [--json]      measure; BUILD is a release build
       bench/bench.py BUILD --check [--update]    compare instruction counts with bench/figures.json

Instructions are counted by callgrind, lines of memory in lackey's trace, both of valgrind. Each row is what the case
costs less what its loops alone do. --all shows every row, --json prints what was measured; --update writes the counts
of today to bench/figures.json.
"""

import argparse
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

FIGURES = pathlib.Path(__file__).resolve().parent / "figures.json"
LIMIT = 1.02
LINE = 64

# ---- what the tools print ----

COST = re.compile(r"^[-+*\d]\S* (\d+)$")
FUNCTION = re.compile(r"^(c?fn)=\((\d+)\)(?: (.+))?$")


def callgrind_parts(lines):
    """For each part of a callgrind file, what each function cost with all that it called."""
    names, parts, costs = {}, [], None
    for line in lines:
        line = line.rstrip("\n")
        if line.startswith("part:"):
            costs = {}
            parts.append(costs)
            continue
        found = FUNCTION.match(line)
        if found:
            kind, number, name = found.groups()
            if name:
                names[number] = name
            if kind == "fn":
                function = names[number]
            continue
        found = COST.match(line)
        if found and costs is not None:
            costs[function] = costs.get(function, 0) + int(found.group(1))
    return parts


def instructions(costs, ios):
    """Instructions per I/O to submit and to complete, and the controller's, from one part."""
    def net(kind):
        idle = f"measured_{kind}_nothing"
        return round(sum(-cost if name.startswith(idle) else cost for name, cost in costs.items()
                         if name.startswith(f"measured_{kind}_")) / ios, 2)

    return {"submit": net("submit"), "complete": net("complete"),
            "controller": round(costs.get("controller_serve", 0) / ios, 2)}


def traced_lines(marks, trace):
    """For each row, the mean number of distinct lines of a round, less those of the loops; from lackey's trace."""
    ignore = range(marks["ignore"][0] // LINE, (marks["ignore"][0] + marks["ignore"][1] - 1) // LINE + 1)
    names = {marks[name]: name for name in ("window", "round", "row")}
    rows, rounds, touched, inside = [], [], set(), False
    for access in trace:
        if access[0] != " ":
            continue
        address, size = access[3:].split(",")
        address, size = int(address, 16), int(size)
        # marks are 4 bytes; the memory was cleared in larger pieces before
        mark = size == 4 and names.get(address)
        if mark == "window":
            inside = not inside
        elif mark == "round":
            rounds.append(touched)
            touched = set()
        elif mark == "row":
            idle, *rounds = rounds
            rows.append(sum(len(one - idle) for one in rounds) / len(rounds))
            rounds = []
        elif inside:
            touched.update(line for line in range(address // LINE, (address + size - 1) // LINE + 1)
                           if line not in ignore)
    return rows


# ---- runs ----

def fail(text):
    """Leave with a text."""
    sys.exit(f"bench: {text}")


def objects(text):
    """The JSON objects that a program printed, one a line."""
    return [json.loads(line) for line in text.splitlines()]


def run(command):
    """What a command prints; it must succeed."""
    try:
        result = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    except FileNotFoundError:
        fail(f"{command[0]} is not there (Debian package valgrind, or: make bench)")
    if result.returncode:
        fail(f"{' '.join(map(str, command))} failed:\n{result.stderr[-2000:]}")
    return result.stdout


def count(program, everything):
    """Rows with their instructions."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "callgrind.out"
        rows = objects(run(["valgrind", "--tool=callgrind", "--toggle-collect=measured_*",
                            "--toggle-collect=controller_serve", "--zero-before=row_begin",
                            "--dump-before=row_end", "--combine-dumps=yes", f"--callgrind-out-file={out}",
                            program, "counts", *(["all"] if everything else [])]))
        with out.open(encoding="utf-8") as lines:
            parts = callgrind_parts(lines)
    if len(parts) < len(rows):
        fail(f"{len(rows)} rows, but callgrind counted {len(parts)}")
    for row, costs in zip(rows, parts):
        row["instructions"] = instructions(costs, row.pop("ios"))
    return rows


def trace(program, everything):
    """Rows with their lines per I/O."""
    command = ["valgrind", "--tool=lackey", "--trace-mem=yes", program, "lines", *(["all"] if everything else [])]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out, \
            subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE) as tool, \
            subprocess.Popen(["grep", "^ "], stdin=tool.stderr, stdout=subprocess.PIPE, text=True) as accesses:
        # what it prints first is needed to understand the rest, of which there is too much to keep
        start = []
        for access in accesses.stdout:
            start.append(access)
            if len(start) % 65536 == 0 and os.fstat(out.fileno()).st_size:
                break
        # not by reading on, as its place in the file is that of the program
        text = os.pread(out.fileno(), 1024, 0).partition(b"\n")[0]
        counted = traced_lines(json.loads(text or "null"), itertools.chain(start, accesses.stdout))
        if tool.wait():
            fail("lackey failed")
        out.seek(0)
        _, *rows = objects(out.read())
    for row, lines in zip(rows, counted):
        row["lines"] = round(lines / row["depth"], 2)
    return rows


KEY = ("case", "each", "shadow", "depth", "bytes")


def join(rows, more):
    """Add to each row what there is more of the same."""
    known = {tuple(row[name] for name in KEY): row for row in more}
    return [row | known.get(tuple(row[name] for name in KEY), {}) for row in rows]


def driver_instructions(row):
    """What the driver takes per I/O."""
    return round(row["instructions"]["submit"] + row["instructions"]["complete"], 2)


def add_ratios(rows):
    """How many times the lower bound, of the same size, depth and way to ring, a row costs."""
    bounds = {tuple(row[name] for name in KEY[1:]): row for row in rows if row["case"] == "bound"}
    for row in rows:
        bound = bounds.get((row["each"], False, row["depth"], row["bytes"]))
        if bound:
            row["instructions_of_bound"] = round(driver_instructions(row) / driver_instructions(bound), 2)
            row["ns_of_bound"] = round(row["driver"][0] / bound["driver"][0], 2)


# What a row may have at most: for which rows, its name for people, where it is, and the limit.
SMALL = (512, 4096)
TARGETS = (
    (("io",), (False,), (1,), SMALL, "instr", driver_instructions, 165),
    (("io",), (False,), (32,), SMALL, "instr", driver_instructions, 90),
    (("io",), (False,), (32,), (128 << 10,), "instr", driver_instructions, 170),
    (("io",), (False,), (32,), SMALL, "lines", lambda row: row["lines"], 3.0),
    (("io",), (False,), (1, 32), SMALL, "x bound ns", lambda row: row["ns_of_bound"], 1.3),
    (("iova",), (False, True), (32,), SMALL, "instr", driver_instructions, 130),
    (("vaddr",), (False, True), (32,), SMALL, "instr", driver_instructions, 170),
)


def target(name, limit, value):
    """A target and whether it is met."""
    return {"name": name, "limit": limit, "is": value, "met": value <= limit}


def add_targets(rows):
    """Those of each row."""
    for row in rows:
        row["targets"] = [target(name, limit, value(row))
                          for cases, each, depths, sizes, name, value, limit in TARGETS
                          if row["case"] in cases and row["each"] in each and row["depth"] in depths
                          and row["bytes"] in sizes and not row["shadow"]]


def measure(build, everything):
    """All there is."""
    program = build / "bench/bench"
    run([program, "contents"])
    choice = ["all"] if everything else []
    rows = join(join(count(program, everything), trace(program, everything)),
                objects(run([program, "times", *choice])))
    add_ratios(rows)
    add_targets(rows)
    translate = build / "bench/bench-translate"
    return {
        "compiler": compiler(build),
        "rows": rows,
        "threads": objects(run([program, "threads"])),
        "memory": objects(run([program, "memory"])),
        "translation": json.loads(run([translate, "--json"])) if translate.exists() else [],
    }


def compiler(build):
    """The one that made the program, in its own words."""
    return objects(run([build / "bench/bench", "compiler"]))[0]["compiler"]


# ---- the table ----

def size(number):
    """Bytes for people."""
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number} {unit}"
        number //= 1024
    return f"{number} GiB"


def ns(values):
    """A median with its quartiles."""
    return f"{values[0]:7.2f} ({values[1]:.2f} to {values[2]:.2f})"


def doorbells(row):
    """In what way the controller is told."""
    return ("shadow, " if row["shadow"] else "") + ("each" if row["each"] else "batch")


def ratio(value):
    """How many times something else; where that is not there, nothing."""
    return "" if value is None else f"{value:.2f}"


def verdicts(targets):
    """Targets in a few words."""
    return ", ".join(f"{one['limit']:g} {one['name']} {'met' if one['met'] else 'MISSED'}" for one in targets)


HEAD = (f"{'':38} {'instructions':^39}  {'lines':>5}   ns: medians (quartiles)\n"
        f"{'':38} {'submit':>7} {'compl.':>7} {'driver':>7} {'x bound':>7} {'contr.':>7}  {'':>5}"
        f" {'driver':>7}{'':19} {'x bound':>7} {'submit':>7} {'compl.':>7} {'contr.':>7}   targets")


def group_text(row):
    """What the rows of a group have in common."""
    return (f"{size(row['bytes'])}, QD {row['depth']}, {'shadow ' if row['shadow'] else ''}"
            f"doorbell {'for each command' if row['each'] else 'once for all'}")


def row_text(row):
    """A row of the first table. What a clock between the parts says of few I/Os at a time would be noise."""
    count_of = row["instructions"]
    parts = [f"{row[name][0]:7.2f}" if row["depth"] >= 8 else f"{'':7}" for name in ("submit", "complete")]
    return (f"  {row['what']:36} {count_of['submit']:7.1f} {count_of['complete']:7.1f} {driver_instructions(row):7.1f} "
            f"{ratio(row.get('instructions_of_bound')):>7} {count_of['controller']:7.1f}  {row.get('lines', ''):>5} "
            f"{ns(row['driver']):<26} {ratio(row.get('ns_of_bound')):>7} {parts[0]} {parts[1]} "
            f"{row['controller'][0]:7.2f}   {verdicts(row['targets'])}").rstrip()


def tables(data):
    """The text for people."""
    yield ("Cost of a read per I/O to the driver, in one process with a controller that answers at once, whose own\n"
           f"cost is not in it. Every command was checked first. Compiled by {data['compiler']}.\n")
    yield HEAD
    before = None
    for row in data["rows"]:
        if group_text(row) != before:
            before = group_text(row)
            yield f"\n{before}"
        yield row_text(row)

    yield "\nThreads with a queue pair each, vfn_nvme_io, QD 32, 512 B: ns per I/O of a thread, controller included"
    for row in data["threads"]:
        yield (f"{row['thread']} of {row['threads']}: {ns(row['io']):<28} "
               f"a loop that shares nothing: {ns(row['control'])}")

    yield "\nMemory that a queue pair pins besides its queues, all requests in use"
    for row in data["memory"]:
        yield f"{row['entries']:6} entries, transfers of {size(row['bytes']):>7}: {row['pinned'] / 1024:8.0f} KiB"

    if data["translation"]:
        yield "\nTranslation of virtual addresses, map and unmap: ns per call"
        for row in data["translation"]:
            target = f"   (target {row['target']})" if row.get("target") is not None else ""
            yield f"{row['name']:44} {row['mappings']:8} mappings {row['threads']:3} threads {row['ns']:10.2f}{target}"


# ---- the check ----

def figures(rows):
    """Instructions by the name of the row, of those that are checked."""
    return {f"{row['case']}, {doorbells(row)}, QD {row['depth']}, {size(row['bytes'])}":
            driver_instructions(row) for row in rows}


def compare(now, then):
    """What rose by more than the limit, or is in one of them only; one text each."""
    for name in sorted(now.keys() | then.keys()):
        if name not in then:
            yield f"{name}: not in {FIGURES.name}"
        elif name not in now:
            yield f"{name}: in {FIGURES.name}, but not measured"
        elif now[name] > then[name] * LIMIT:
            yield f"{name}: {now[name]} instructions, {(now[name] / then[name] - 1) * 100:.1f} % more than {then[name]}"


def check(build, update):
    """Count, compare, and say how many rows are as they were."""
    made_by = compiler(build)
    now = figures(count(build / "bench/bench", True))
    if update:
        FIGURES.write_text(json.dumps({"compiler": made_by, "instructions": now}, indent="\t") + "\n",
                           encoding="utf-8")
        print(f"bench: wrote {len(now)} figures to {FIGURES.name}")
        return 0

    known = json.loads(FIGURES.read_text(encoding="utf-8"))
    worse = list(compare(now, known["instructions"]))
    better = sum(known["instructions"].get(name, 0) > value * LIMIT for name, value in now.items())
    if better:
        print(f"{better} rows take fewer instructions than before. To keep it so: make bench-check ARGS=--update")
    for text in worse:
        print(text)
    if worse:
        print("If that is meant to be so: make bench-check ARGS=--update")
        if made_by != known["compiler"]:
            print(f"The figures are of another compiler: {known['compiler']}; this is {made_by}")
    print(f"bench: {len(now) - len(worse)} passed, {len(worse)} failed")
    return 1 if worse else 0


def main():
    """Measure or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    for flag in ("--all", "--json", "--check", "--update"):
        parser.add_argument(flag, action="store_true")
    options = parser.parse_args()
    if options.check or options.update:
        return check(options.build, options.update)
    data = measure(options.build, options.all)
    print(json.dumps(data, indent="\t") if options.json else "\n".join(tables(data)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
