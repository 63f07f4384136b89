#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What an I/O costs the CPU: one table, or a check of the instruction counts.

usage: bench/bench.py BUILD [--all] [--guest] [--json]    measure; BUILD is a release build
       bench/bench.py BUILD --check [--update]            compare instruction counts with bench/figures.json

--all     every queue depth, size and way to ring the doorbells
--guest   boot a guest, and time the steps from nvme_init() to the first verified read there, next to those of the
          kernel's driver; PROFILE=NAME chooses the guest as for make check-vm
--json    what was measured, and each target with whether it is met, for programs
--check   fail where a row takes over 2 % more instructions than bench/figures.json says, is not in it, or has gone, and
          where two threads with a queue pair each take lines of memory from each other
--update  write the counts of today to bench/figures.json

How to read a row of the first table. A round is as many reads as the queue depth (QD): submit them, have the controller
complete them, take the completions. The controller is a few lines of C in the same process; before anything is
measured, one that looks at every command, its PRP lists included, goes through each row over the end of the queues.

instructions   per read, counted by callgrind, the same in each run: to submit, to complete, and both, which is the
               driver; what the loops of the benchmark take is not in it; the controller's are next to it
x bound        how many times what the lower bound takes: a driver by hand that checks nothing, in the same group
lines          lines of 64 bytes per read that the driver touches in a round, in lackey's trace; the benchmark's loops,
               the doorbells and the controller are not in it
ns             time per read, medians of rounds that take turns with those of the other rows, and quartiles; less what
               the loops and the controller take, which is measured in the same minute. The parts are not shown for
               short rounds, of which the clock would be the greater part
targets        what is wanted of this row, and whether it is met. The last lines of all name what is missed

A request of the block API is compared with vfn_nvme_io, which it adds to: the target is how many instructions more.

Level one is a command with PRPs of its own; level two takes a request, maps the data, and gives the request back;
vfn_nvme_io is what <vfn/nvme/io.h> has. Doorbells are rung once for all commands of a round, or for each command;
shadow doorbells are memory, and take a fence each.
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


def traced_rounds(marks, trace):
    """For each row its rounds, each as the lines that were touched and those of them that were written; from lackey."""
    ignore = range(marks["ignore"][0] // LINE, (marks["ignore"][0] + marks["ignore"][1] - 1) // LINE + 1)
    names = {marks[name]: name for name in ("window", "round", "row")}
    rounds, touched, written, inside = [], set(), set(), False
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
            rounds.append((touched, written))
            touched, written = set(), set()
        elif mark == "row":
            yield rounds
            rounds = []
        elif inside:
            for line in range(address // LINE, (address + size - 1) // LINE + 1):
                if line not in ignore:
                    touched.add(line)
                    if access[1] != "L":
                        written.add(line)


def mean_lines(rounds):
    """The mean number of distinct lines of a round, less those of the first, which are the loops'."""
    (idle, _), *rounds = rounds
    return sum(len(touched - idle) for touched, _ in rounds) / len(rounds)


def shared_lines(rounds):
    """How many lines one of two threads writes and the other one touches."""
    (touched, written), (other_touched, other_written) = rounds
    return len(written & other_touched | other_written & touched)


# ---- runs ----

def fail(text):
    """Leave with a text."""
    sys.exit(f"bench: {text}")


def objects(text):
    """The JSON objects that a program printed, one a line."""
    return [json.loads(line) for line in text.splitlines()]


def run(command, **variables):
    """What a command prints, with these variables in its environment; it must succeed."""
    try:
        result = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=os.environ | variables)
    except FileNotFoundError:
        fail(f"{command[0]} is not there (Debian package valgrind, or: make bench)")
    if result.returncode:
        fail(f"{' '.join(map(str, command))} failed:\n{(result.stdout + result.stderr)[-2000:]}")
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


def trace(command, count_lines):
    """What a command prints, line by line, and next to it what count_lines makes of the rounds of its rows."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out, \
            subprocess.Popen(["valgrind", "--tool=lackey", "--trace-mem=yes", *command], stdout=out,
                             stderr=subprocess.PIPE) as tool, \
            subprocess.Popen(["grep", "^ "], stdin=tool.stderr, stdout=subprocess.PIPE, text=True) as accesses:
        # what it prints first is needed to understand the rest, of which there is too much to keep
        start = []
        for access in accesses.stdout:
            start.append(access)
            if len(start) % 65536 == 0 and os.fstat(out.fileno()).st_size:
                break
        # not by reading on, as its place in the file is that of the program
        marks = os.pread(out.fileno(), 1024, 0).partition(b"\n")[0]
        counted = [count_lines(rounds) for rounds in traced_rounds(json.loads(marks or "null"),
                                                                   itertools.chain(start, accesses.stdout))]
        if tool.wait():
            fail("lackey failed")
        out.seek(0)
        return objects(out.read())[1:], counted


def lines(program, everything):
    """Rows with their lines per I/O."""
    rows, counted = trace([program, "lines", *(["all"] if everything else [])], mean_lines)
    for row, touched in zip(rows, counted):
        row["lines"] = round(touched / row["depth"], 2)
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
    """How many times the lower bound, of the same size, depth and way to ring, a row costs; a request, how much more than
    a command of the fast calls."""
    bounds = {tuple(row[name] for name in KEY[1:]): row for row in rows if row["case"] == "bound"}
    commands = {tuple(row[name] for name in KEY[1:]): row for row in rows if row["case"] == "io"}
    for row in rows:
        bound = bounds.get((row["each"], False, row["depth"], row["bytes"]))
        if bound:
            row["instructions_of_bound"] = round(driver_instructions(row) / driver_instructions(bound), 2)
            row["ns_of_bound"] = round(row["driver"][0] / bound["driver"][0], 2)
        command = commands.get(tuple(row[name] for name in KEY[1:]))
        if row["case"] == "blk" and command:
            row["instructions_over_io"] = round(driver_instructions(row) - driver_instructions(command), 2)


# What a row may have at most: for which rows, its name for people, where it is, and the limit.
SMALL = (512, 4096)
TARGETS = (
    (("io",), (False,), (1,), SMALL, "instr", driver_instructions, 165),
    (("io",), (False,), (32,), SMALL, "instr", driver_instructions, 90),
    (("io",), (False,), (32,), (128 << 10,), "instr", driver_instructions, 170),
    (("io",), (False,), (32,), SMALL, "lines", lambda row: row["lines"], 3.0),
    (("io",), (False,), (32,), SMALL, "x bound ns", lambda row: row["ns_of_bound"], 1.3),
    (("iova",), (False, True), (32,), SMALL, "instr", driver_instructions, 130),
    (("vaddr",), (False, True), (32,), SMALL, "instr", driver_instructions, 170),
    (("blk",), (False, True), (1, 32), SMALL, "instr over io", lambda row: row["instructions_over_io"], 60),
)


def target(name, limit, value, least=False):
    """A target, the most or the least that something may be, and whether it is met."""
    return {"name": name, "limit": limit, "is": value, "met": value >= limit if least else value <= limit}


def add_targets(rows):
    """Those of each row."""
    for row in rows:
        row["targets"] = [target(name, limit, value(row))
                          for cases, each, depths, sizes, name, value, limit in TARGETS
                          if row["case"] in cases and row["each"] in each and row["depth"] in depths
                          and row["bytes"] in sizes and not row["shadow"]]


# How much more two threads may take than the same without the library: noise.
NOISE = 1.1
# How much longer something may take where data is not in a core's own caches any more.
CACHED = 3


def threads(program):
    """What an I/O costs one thread and two, by the library and by hand, and what they share."""
    rows = objects(run([program, "threads", *map(str, cores())]))
    for row in rows:
        # the lower quartiles: others want the machine, too
        row["two_of_one"] = round(row["two"][1] / row["one"][1], 2)
    by_hand = next(row for row in rows if row["case"] == "bound")
    for row in rows:
        row["targets"] = []
        if row is not by_hand:
            row["shared_lines"] = shared(program)
            row["targets"] = [target("x by hand", NOISE, round(row["two_of_one"] / by_hand["two_of_one"], 2)),
                              target("shared lines", 0, row["shared_lines"])]
    return rows


def shared(program):
    """How many lines of memory two threads with a queue each take from each other."""
    return trace([program, "shared"], shared_lines)[1][0]


def cores():
    """Two CPUs to use: of different cores if there are."""
    first, *others = sorted(os.sched_getaffinity(0))
    siblings = pathlib.Path(f"/sys/devices/system/cpu/cpu{first}/topology/thread_siblings")
    mask = int(siblings.read_text(encoding="ascii").replace(",", ""), 16) if siblings.exists() else 1 << first
    apart = [cpu for cpu in others if not mask >> cpu & 1]
    return first, (apart or others or [first])[0]


def slowdown(row, name):
    """How much longer plain memory takes then than for one thread alone."""
    return max(row[name]["memory"] / row["one"]["memory"], 1)


def add_translation_targets(rows):
    """Those of each number of mappings."""
    few = next((row["library"] for row in rows if row["mappings"] == 10000), None)
    for row in rows:
        limit = 5 if row["mappings"] <= 10000 else 12
        alone = row["one"]["lookup"]
        # what the machine itself loses is not the library's
        scale = 2 * alone * slowdown(row, "two") / row["two"]["lookup"]
        mapper = max(row[name]["lookup"] / alone / slowdown(row, name)
                     for name in ("one_with_mapper", "two_with_mapper"))
        row["targets"] = [target("ns", limit, max(row["same_page"], row["one"]["lookup"])),
                          target("x by 2 threads", 1.8, round(scale, 2), least=True),
                          target("x with mapper", 1.25, round(mapper, 2))]
        if row["mappings"] > 10000:
            worst = max(row["library"][name] / few[name] for name in ("map", "unmap"))
            row["targets"].append(target("x of 10000 to map", CACHED, round(worst, 2)))
        if row["mappings"] == 1000000:
            row["targets"].append(target("s to map all", 2, round(row["map"] * row["mappings"] / 1e9, 2)))


GUEST_ROW = re.compile(r"^(\S+) +startup .*?  (library: .*)$", re.MULTILINE)
STEP = re.compile(r"([a-z ]+) ([\d.]+)(?:, | ms)")


def guest(build):
    """Milliseconds to the first read in a guest, for each driver, step by step."""
    text = run([FIGURES.parents[1] / "tests/vm/run", "--build", build], TEST="startup",
               PROFILE=os.environ.get("PROFILE", "debian-6.12"))
    return [{"guest": name, "driver": driver, "ms": {step: float(ms) for step, ms in STEP.findall(steps)}}
            for name, notes in GUEST_ROW.findall(text)
            for driver, _, steps in (one.partition(": ") for one in notes.split("; "))]


def measure(build, everything, in_guest):
    """All there is."""
    program = build / "bench/bench"
    in_guest = guest(build) if in_guest else []
    run([program, "contents"])
    choice = ["all"] if everything else []
    rows = join(join(count(program, everything), lines(program, everything)),
                objects(run([program, "times", *choice])))
    add_ratios(rows)
    add_targets(rows)
    translation = objects(run([build / "bench/bench-translate"]))
    add_translation_targets(translation)
    return {
        "compiler": compiler(build),
        "rows": rows,
        "threads": threads(program),
        "memory": memory(program),
        "translation": translation,
        "guest": in_guest,
    }


# Of one request that has a page to itself, as in other libraries.
PAGE = 4096


def memory(program):
    """What a queue pair pins, next to a page for each request."""
    rows = objects(run([program, "memory"]))
    for row in rows:
        row["page_per_entry"] = row["entries"] * PAGE
        row["targets"] = [target("KiB", 1024, row["pinned"] / 1024)] \
            if row["entries"] == 1024 and row["bytes"] <= 2 * PAGE else []
    return rows


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

    yield (f"\n\nThreads with a queue pair each, QD 32, 512 B: ns per I/O of a thread, controller included; lower\n"
           f"quartiles of pieces that take turns\n{'':38} {'one':>7} {'two':>7} {'two/one':>7}   targets")
    for row in data["threads"]:
        yield (f"  {row['what']:36} {row['one'][1]:7.2f} {row['two'][1]:7.2f} {row['two_of_one']:7.2f}   "
               f"{verdicts(row['targets'])}").rstrip()

    yield from memory_table(data["memory"])
    yield from translation_table(data["translation"])
    yield from guest_table(data["guest"])
    yield from summary(data)


def memory_table(rows):
    """Lines by queue depth, columns by size."""
    sizes = sorted({row["bytes"] for row in rows})
    yield ("\n\nKiB that a queue pair pins besides its queues, all requests in use\n"
           f"{'entries':>9}{''.join(f'{size(one):>12}' for one in sizes)}   a page each   targets")
    for _, group in itertools.groupby(rows, lambda row: row["entries"]):
        group = sorted(group, key=lambda row: row["bytes"])
        pinned = "".join(f"{row['pinned'] / 1024:12.0f}" for row in group)
        targets = verdicts(itertools.chain.from_iterable(row["targets"] for row in group))
        yield f"{group[0]['entries']:9}{pinned}{group[0]['page_per_entry'] / 1024:14.0f}   {targets}".rstrip()


def translation_table(rows):
    """Lines by number of mappings."""
    yield ("\n\nAddresses: ns per lookup of 64k, of 1 or 2 threads, alone or while another one maps and unmaps; (in\n"
           "brackets: of plain memory at as many places); ns per mapping made and taken away, of that the library's\n"
           f"\n{'mappings':>9} {'same page':>9} {'1 thread':>15} {'2 threads':>15} {'1, mapper':>15} {'2, mapper':>15} "
           f"{'map':>6} {'library':>7} {'unmap':>6} {'library':>7} {'at random':>9}   targets")
    for row in rows:
        lookups = [(row[name]["lookup"], f"({row[name]['memory']:.2f})")
                   for name in ("one", "two", "one_with_mapper", "two_with_mapper")]
        lookups = " ".join(f"{lookup:6.2f} {memory_alone:>8}" for lookup, memory_alone in lookups)
        maps = [row.get("map"), row.get("library", {}).get("map"), row.get("unmap"),
                row.get("library", {}).get("unmap"), row.get("library", {}).get("unmap_in_no_order")]
        maps = " ".join(f"{'' if value is None else round(value):>{width}}"
                        for value, width in zip(maps, (6, 7, 6, 7, 9)))
        yield f"{row['mappings']:9} {row['same_page']:9.2f} {lookups} {maps}   {verdicts(row['targets'])}".rstrip()


def guest_table(rows):
    """A line for each driver."""
    if rows:
        yield ("\n\nms from a controller without a driver to the first read, whose data is checked, in a guest. Whoever\n"
               "opens a device of vfio-pci has it reset, for which the kernel waits 100 ms. Without KVM times say little.")
    for row in rows:
        yield f"  {row['guest']}, {row['driver']:8} " + ", ".join(f"{step} {ms:.2f}" for step, ms in row["ms"].items())


def summary(data):
    """How many targets are met, and what the others are."""
    rows = [(f"{group_text(row)}: {row['what']}", row) for row in data["rows"]]
    rows += [("two threads", row) for row in data["threads"]]
    rows += [(f"memory of {row['entries']} entries, {size(row['bytes'])}", row) for row in data["memory"]]
    rows += [(f"{row['mappings']} mappings", row) for row in data["translation"]]
    all_of_them = [(name, one) for name, row in rows for one in row["targets"]]
    missed = [(name, one) for name, one in all_of_them if not one["met"]]
    yield f"\n\nbench: {len(all_of_them) - len(missed)} targets met, {len(missed)} missed"
    for name, one in missed:
        yield f"  {name}: {one['is']:g}, target {one['limit']:g} {one['name']}"


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
    lost = shared(build / "bench/bench")
    if lost:
        worse.append(f"two threads: {lost} lines of memory that one of them writes and the other one uses")
    better = sum(known["instructions"].get(name, 0) > value * LIMIT for name, value in now.items())
    if better:
        print(f"{better} rows take fewer instructions than before. To keep it so: make bench-check ARGS=--update")
    for text in worse:
        print(text)
    if worse:
        print("If that is meant to be so: make bench-check ARGS=--update")
        if made_by != known["compiler"]:
            print(f"The figures are of another compiler: {known['compiler']}; this is {made_by}")
    print(f"bench: {len(now) + 1 - len(worse)} passed, {len(worse)} failed")
    return 1 if worse else 0


def main():
    """Measure or check."""
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].partition("\n\n")[0],
                                     description=__doc__.partition("\n\n")[2].partition("\n\n")[2],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    for flag in ("--all", "--guest", "--json", "--check", "--update"):
        parser.add_argument(flag, action="store_true")
    options = parser.parse_args()
    if options.check or options.update:
        return check(options.build, options.update)
    data = measure(options.build, options.all, options.guest)
    print(json.dumps(data, indent="\t") if options.json else "\n".join(tables(data)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
