#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Change the library in small ways, one at a time, and see whether a test of "make check" notices.

usage: tests/mutation/mutants.py --build DIR

Comparisons and boundaries are flipped and statements are deleted in src/, as many of the one as of the other. A change that
does not compile without a warning, or that makes no difference to the compiler, does not count. For each, those tests run
that execute what was changed, the likeliest and quickest first: in a plain build, and if none notices, in those with sanitizers
that "make check" runs. The change is killed when a test fails, crashes or hangs.

The environment chooses:
  MUTANTS=N       how many, 300 without
  MUTANTS_SEED=N  which ones, 1 without
  MUTANTS_AT=FILE[:LINE]  all of a file or line instead, which may be in include/, too
  MUTANTS_JOBS=N  how many at a time, 2 without
  MUTANTS_BUILDS=plain  only the first of plain,asan,tsan: quicker, and what only a sanitizer notices has survived
  MUTANTS_PATIENCE=S  seconds of tests in each build after which one has survived, 60 without

Those that nothing can notice are in the file "explained": four lines each, with an empty line between: the file, or a pattern
of the shell; the code as it is behind "- "; as it was changed behind "+ "; why. The exit status is 1 where less than 85 % of the
others are killed.
"""

import argparse
import collections
import concurrent.futures
import fnmatch
import hashlib
import importlib.machinery
import importlib.util
import json
import math
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

# pylint: disable=wrong-import-position
import places
from images.progress import die, say

ENOUGH = 85
NOT_COPIED = {".git", "build", "__pycache__"}

# What a test gets, compared to how long it takes otherwise: of the processor, which endless loops use up, and in all.
CPU_FACTOR, CPU_LEAST = 6, 2
WALL_FACTOR, WALL_LEAST = 15, 20
# Sanitizers are this much slower than the build that the times are from.
SLOWER = 8
# Bytes that a test may write to a file or to its output, and bytes of memory where no sanitizer needs its own.
MOST_OUTPUT = 256 << 20
MOST_MEMORY = 6 << 30

COMMON = ["-Dvm_tests=disabled", "-Ddocs=disabled", "-Demu=true"]
COVERAGE = ["-Db_coverage=true", "-Ddebug=false", "-Doptimization=1"]
# "&&" becomes "||" next to "&&", and is to compile
QUICK = ["-Ddebug=false", "-Doptimization=1", "--werror", "-Dc_args=-Wno-parentheses"]

# A build that tests run in: the arguments that make it, and the suite that is run, or all.
Stage = collections.namedtuple("Stage", "name arguments suite slower")
STAGES = [
    Stage("plain", QUICK, None, 1),
    Stage("asan", [*QUICK, "-Db_sanitize=address,undefined", "-Db_lundef=false"], None, SLOWER),
    Stage("tsan", [*QUICK, "-Db_sanitize=thread", "-Db_lundef=false"], "threaded", SLOWER),
]

Outcome = collections.namedtuple("Outcome", "state by")
KILLED, SURVIVED, NONE, SAME = "killed", "SURVIVED", "does not compile", "is the same code"


def name_of(place, line=True):
    """A place and its change in a line."""
    return f"{place.file}{f':{place.line}' if line else ''}: {place.was} -> {place.shown}"


def sanitizer_options():
    """What ci/run-tests sets for the tests of "make check"."""
    loader = importlib.machinery.SourceFileLoader("run_tests", str(HERE.parents[1] / "ci/run-tests"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("run_tests", loader))
    loader.exec_module(module)
    return module.SANITIZERS


class Tree:
    """A copy of the source and the builds of it, for one mutant at a time."""

    def __init__(self, source, folder):
        self.folder, self.root = folder, folder / "source"
        self.copy(source, self.root)
        self.environment = dict(os.environ) | sanitizer_options() | {"MALLOC_PERTURB_": "85"}

    def copy(self, source, target):
        """Make a folder like another, but for what is as it was: of that nothing has to be built again."""
        target.mkdir(parents=True, exist_ok=True)
        wanted = [path for path in source.iterdir() if path.name not in NOT_COPIED]
        for path in target.iterdir():
            if path.name not in {other.name for other in wanted}:
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        for path in wanted:
            other = target / path.name
            if path.is_dir():
                self.copy(path, other)
            elif not other.exists() or other.read_bytes() != path.read_bytes():
                shutil.copyfile(path, other)
                shutil.copymode(path, other)

    def build(self, name, arguments):
        """The build with these arguments, configured; what is in it is built when it is needed."""
        path, stamp = self.folder / name, self.folder / name / ".made-with"
        settings = json.dumps([str(self.root), COMMON, arguments])
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != settings:
            shutil.rmtree(path, ignore_errors=True)
            result = subprocess.run(["meson", "setup", str(path), str(self.root), *COMMON, *arguments], check=False,
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if result.returncode:
                die(f"meson setup {path}:\n{result.stdout}")
            stamp.write_text(settings, encoding="utf-8")
        return Build(self, path)


class Build:
    """A build of a tree."""

    def __init__(self, tree, path):
        self.tree, self.path = tree, path
        introspection = path / "meson-info"
        self.files = {target["id"]: [os.path.relpath(name, path) for name in target["filename"]]
                      for target in json.loads((introspection / "intro-targets.json").read_text(encoding="utf-8"))}
        # without those that run nothing of this build, and those that need all of it to install it
        self.tests = {test["name"]: test
                      for test in json.loads((introspection / "intro-tests.json").read_text(encoding="utf-8"))
                      if test["depends"] and test["is_parallel"]}
        # one of those that are made from a file: what tests use, where they do
        self.objects = {}
        for entry in json.loads((path / "compile_commands.json").read_text(encoding="utf-8")):
            source = os.path.relpath(os.path.join(entry["directory"], entry["file"]), tree.root)
            if source not in self.objects or "test" in entry["output"]:
                self.objects[source] = entry["output"]

    def ninja(self, *targets, jobs=1):
        """Build targets; what was wrong, or nothing."""
        result = subprocess.run(["ninja", "-C", str(self.path), f"-j{jobs}", *targets], check=False, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        return result.stdout if result.returncode else ""

    def targets(self, name):
        """What a test needs to be built."""
        return sorted({file for target in self.tests[name]["depends"] for file in self.files.get(target, [])})

    def run(self, name, cpu, wall, memory=None, extra=None):
        """Run one test: whether it passed, and the seconds of the processor and in all that it took."""
        test = self.tests[name]

        def limit():
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(cpu), math.ceil(cpu) + 1))
            resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_OUTPUT, MOST_OUTPUT))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if memory:
                resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))

        started = time.monotonic()
        # pylint: disable=subprocess-popen-preexec-fn
        process = subprocess.Popen(test["cmd"], cwd=test["workdir"] or self.path, preexec_fn=limit, start_new_session=True,
                                   env=self.tree.environment | test["env"] | (extra or {}), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        timer = threading.Timer(wall, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        timer.cancel()
        timer.join()
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return process.returncode == 0, usage.ru_utime + usage.ru_stime, time.monotonic() - started


def executed_lines(build, data, prefix):
    """For each file of the source the lines that a run executed, and those that gcov knows of, from what the run left."""
    lines = collections.defaultdict(lambda: (set(), set()))
    found = sorted(data.rglob("*.gcda"))
    for path in found:
        notes = path.with_suffix(".gcno")
        notes.symlink_to(build.path / notes.relative_to(data))
    if not found:
        return {}
    output = subprocess.run(["gcov", "--json-format", "--stdout", *map(str, found)], check=True, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=build.path).stdout
    for document in map(json.loads, output.splitlines()):
        for file in document["files"]:
            name = os.path.relpath(os.path.join(document["current_working_directory"], file["file"]), build.tree.root)
            if name.startswith(prefix):
                executed, known = lines[name]
                executed.update(line["line_number"] for line in file["lines"] if line["count"])
                known.update(line["line_number"] for line in file["lines"])
    return {name: [sorted(executed), sorted(known)] for name, (executed, known) in lines.items()}


class Coverage:
    """Which tests execute a line, and how long they take."""

    def __init__(self, build, folders, jobs):
        self.build, self.prefix = build, tuple(f"{folder}/" for folder in folders)
        self.seconds, self.tests, self.known = {}, {}, collections.defaultdict(set)
        self.noticed, self.killers, self.killed = collections.Counter(), {}, build.tree.folder.parent / "killed"
        if self.killed.exists():
            self.killers = dict(line.split("\t", 1)[::-1] for line in self.killed.read_text(encoding="utf-8").splitlines())
        cache = build.tree.folder.parent / "coverage.json"
        before = json.loads(cache.read_text(encoding="utf-8")) if cache.exists() else {}

        say("building with gcov")
        wrong = build.ninja(*(file for name in build.tests for file in build.targets(name)), jobs=jobs)
        if wrong:
            die(f"the build with gcov failed:\n{wrong}")

        keys = {name: self.key(name) for name in build.tests}
        say(f"which of {len(keys)} tests execute what")
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            runs = dict(zip(keys, pool.map(
                lambda name: before[name] if before.get(name, {}).get("key") == keys[name] else self.measure(name), keys)))
        cache.write_text(json.dumps({name: one | {"key": keys[name]} for name, one in runs.items()}), encoding="utf-8")

        for name, one in runs.items():
            if not one["passed"]:
                say(f"{name} fails without any change: not taken into account")
                continue
            for file, (executed, known) in one["lines"].items():
                self.seconds[name] = one["seconds"]
                self.known[file].update(known)
                for number in executed:
                    self.tests.setdefault(file, {}).setdefault(number, []).append(name)

    def key(self, name):
        """What changes when a test or what it tests does."""
        key = hashlib.sha256(json.dumps(self.build.tests[name]["cmd"]).encode())
        for file in self.build.targets(name):
            key.update((self.build.path / file).read_bytes())
        return key.hexdigest()

    def measure(self, name):
        """Run a test with data of its own."""
        data = self.build.path / "data" / name
        shutil.rmtree(data, ignore_errors=True)
        passed, *seconds = self.build.run(name, 600, 900, MOST_MEMORY, {
            "GCOV_PREFIX": str(data), "GCOV_PREFIX_STRIP": str(len(self.build.path.parts) - 1)})
        lines = executed_lines(self.build, data, self.prefix) if passed else {}
        shutil.rmtree(data, ignore_errors=True)
        return {"passed": passed, "seconds": seconds, "lines": lines}

    def of(self, place):
        """The tests that execute a place; where no line of it is known, those that execute its file.

        First comes what noticed it in an earlier run, then what is named like the file, has noticed something in it, or is
        named like its folder; programs that have run on the one kernel run on the other one in the end.
        """
        lines = self.tests.get(place.file, {})
        known = self.known.get(place.file, set())
        wanted = known.intersection(range(place.first, place.last + 1)) or known
        names = {name for number in wanted for name in lines.get(number, ())}
        stem, layer = pathlib.Path(place.file).stem, pathlib.Path(place.file).parent.name
        killer = self.killers.get(name_of(place, False))
        return sorted(names, key=lambda name: (
            name != killer, name.removesuffix("-iommufd") in names - {name}, stem not in name.split("-"),
            -self.noticed[place.file, name], layer not in name.split("-"), self.seconds[name][0], name))

    def remember(self, place, name):
        """Which test has noticed a change: it is the first that is tried the next time."""
        self.noticed[place.file, name] += 1
        with self.killed.open("a", encoding="utf-8") as file:
            file.write(f"{name}\t{name_of(place, False)}\n")


class Worker:
    """Tries one mutant at a time in a tree of its own."""

    def __init__(self, tree, coverage, stages, patience):
        self.tree, self.coverage, self.stages, self.patience = tree, coverage, stages, patience
        self.sound, self.objects = set(), {}

    def passes(self, build, stage, name):
        """Whether a test passes in the time that it has."""
        cpu, wall = self.coverage.seconds[name]
        return build.run(name, CPU_LEAST + CPU_FACTOR * stage.slower * cpu, WALL_LEAST + WALL_FACTOR * stage.slower * wall,
                         MOST_MEMORY if stage.slower == 1 else None)[0]

    def is_sound(self, build, stage, name, text, place):
        """Whether a test that failed in a build passes on the source as it is."""
        if stage == self.stages[0] or (stage.name, name) in self.sound:
            return True
        path = self.tree.root / place.file
        changed = path.read_text(encoding="utf-8")
        path.write_text(text, encoding="utf-8")
        sound = not build.ninja(*build.targets(name)) and self.passes(build, stage, name)
        path.write_text(changed, encoding="utf-8")
        if sound:
            self.sound.add((stage.name, name))
        else:
            say(f"{name} fails in the build {stage.name} without any change: not taken into account")
        return sound

    def original(self, build, target):
        """An object as it is without any change."""
        if target not in self.objects:
            wrong = build.ninja(target)
            if wrong:
                die(f"{target} does not compile as it is:\n{wrong}")
            self.objects[target] = (build.path / target).read_bytes()
        return self.objects[target]

    def within_patience(self, build, stage, names):
        """Those of the tests that a stage runs, as long as they do not take too long in all."""
        suite = f":{stage.suite}" if stage.suite else ""
        wanted, spent = [], 0
        for name in names:
            if name in build.tests and any(own.endswith(suite) for own in build.tests[name]["suite"]):
                spent += self.coverage.seconds[name][0]
                if spent > self.patience:
                    break
                wanted.append(name)
        return wanted

    def run(self, place, text):
        """Run the tests that could notice, until one does."""
        names = self.coverage.of(place)
        build = self.tree.build(self.stages[0].name, self.stages[0].arguments)
        target = build.objects.get(place.file)
        original = self.original(build, target) if target else None
        (self.tree.root / place.file).write_text(places.mutated(text, place), encoding="utf-8")
        if target and build.ninja(target):
            return Outcome(NONE, "")
        if target and original == (build.path / target).read_bytes():
            return Outcome(SAME, "")

        for stage in self.stages:
            build = self.tree.build(stage.name, stage.arguments)
            wanted, built, at_once = self.within_patience(build, stage, names), set(), 1
            for index, name in enumerate(wanted):
                if not built.issuperset(build.targets(name)):
                    targets = {file for other in wanted[index:index + at_once] for file in build.targets(other)}
                    if build.ninja(*targets):
                        return Outcome(NONE, "")
                    built |= targets
                    at_once = 8
                if not self.passes(build, stage, name) and self.is_sound(build, stage, name, text, place):
                    self.coverage.remember(place, name)
                    return Outcome(KILLED, f"{name}, {stage.name}")
        return Outcome(SURVIVED, f"{len(names)} tests" if names else "no test executes it")

    def try_one(self, place):
        """What becomes of a mutant."""
        path = self.tree.root / place.file
        text = path.read_text(encoding="utf-8")
        try:
            return self.run(place, text)
        finally:
            path.write_text(text, encoding="utf-8")


def sample(found, seed):
    """The order in which places are tried: flips and deletions in turn. Changes elsewhere in the source change little of it."""
    chance, same = {}, collections.Counter()
    for place in found:
        name = name_of(place, False)
        chance[place] = hashlib.sha256(f"{seed} {name} {same[name]}".encode()).digest()
        same[name] += 1

    flips, deletions = [sorted((place for place in found if place.deleted == deleted), key=chance.get) for deleted in (False, True)]
    both = min(len(flips), len(deletions))
    mixed = [place for pair in zip(flips, deletions) for place in pair]
    return mixed + flips[both:] + deletions[both:]


def chosen(found, at):
    """The places of FILE[:LINE]."""
    file, _, line = at.partition(":")
    return [place for place in found if place.file == file and (not line or place.line == int(line))]


def read_explained(path, found):
    """What cannot be noticed: places and why. An entry that no place fits any more is an error."""
    explained = {}
    entries = path.read_text(encoding="utf-8").split("\n\n") if path.exists() else []
    for entry in filter(None, (re.sub(r"^#.*\n?", "", entry, flags=re.MULTILINE).strip() for entry in entries)):
        file, was, shown, *why = [line.strip() for line in entry.split("\n")]
        fit = [place for place in found
               if fnmatch.fnmatch(place.file, file) and (f"- {place.was}", f"+ {place.shown}") == (was, shown)]
        if not fit or not why:
            die(f"{path}: there is no such place, or no reason:\n{entry}")
        explained |= {place: " ".join(why) for place in fit}
    return explained


class Trial:
    """Mutants one after the other until there are enough, and what becomes of them."""

    def __init__(self, order, explained, wanted):
        self.order, self.explained, self.wanted = iter(order), explained, wanted
        self.counts = collections.Counter()
        self.survivors, self.reasons = [], []
        self.waiting = self.tried = 0
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)

    def next(self):
        """The next place, or None when there are enough."""
        with self.changed:
            while True:
                if self.tried + self.waiting < self.wanted:
                    place = next(self.order, None)
                    if place is None or place not in self.explained:
                        self.waiting += place is not None
                        return place
                    self.reasons.append(place)
                elif not self.waiting:
                    return None
                else:
                    self.changed.wait()

    def done(self, place, outcome):
        """Count a mutant and say what has become of it."""
        with self.changed:
            self.waiting -= 1
            self.counts[outcome.state] += 1
            if outcome.state in (KILLED, SURVIVED):
                self.tried += 1
            if outcome.state == SURVIVED:
                self.survivors.append((place, outcome))
            say(f"{self.tried}/{self.wanted} {outcome.state}: {name_of(place)}" + (f" ({outcome.by})" if outcome.by else ""))
            self.changed.notify_all()

    def work(self, worker):
        """Try mutants until there are enough."""
        while (place := self.next()) is not None:
            outcome = Outcome("was not tried", "")
            try:
                outcome = worker.try_one(place)
            finally:
                self.done(place, outcome)

    def report(self):
        """Print survivors and figures; the exit status."""
        for place in self.reasons:
            print(f"explained: {name_of(place)}\n    {self.explained[place]}")
        for place, outcome in sorted(self.survivors):
            print(f"survived: {name_of(place)} ({outcome.by})")
        killed, survived = self.counts[KILLED], self.counts[SURVIVED]
        percent = 100 * killed / max(1, killed + survived)
        print(f"not counted: {self.counts[NONE]} that do not compile, {self.counts[SAME]} that are the same code, "
              f"{len(self.reasons)} that are explained")
        print(f"mutants: {killed + survived} tried, {killed} killed, {survived} survived: {percent:.1f} %")
        return 0 if killed and percent >= ENOUGH else 1


def main():
    """Find places, try a sample of them, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, type=pathlib.Path, help="where copies of the source and builds are kept")
    parser.add_argument("--source", type=pathlib.Path, default=HERE.parents[1])
    arguments = parser.parse_args()
    wanted, seed = int(os.environ.get("MUTANTS", "300")), os.environ.get("MUTANTS_SEED", "1")
    jobs, at = int(os.environ.get("MUTANTS_JOBS", "2")), os.environ.get("MUTANTS_AT")
    builds = os.environ.get("MUTANTS_BUILDS", "plain,asan,tsan").split(",")
    stages = [stage for stage in STAGES if stage.name in builds]
    patience = float(os.environ.get("MUTANTS_PATIENCE", "60"))

    folders = ["src", "include"]
    found = places.find_all(arguments.source, folders)
    explained = read_explained(arguments.source / "tests/mutation/explained", found)
    order = chosen(found, at) if at else sample([place for place in found if place.file.startswith("src/")], seed)
    wanted = len(order) if at else wanted
    folder = arguments.build.resolve()
    folder.mkdir(parents=True, exist_ok=True)

    trees = [Tree(arguments.source.resolve(), folder / str(number)) for number in range(jobs)]
    coverage = Coverage(trees[0].build("coverage", COVERAGE), folders, jobs)
    say(f"{len(found)} places, seed {seed}" if not at else f"{len(order)} places at {at}")
    trial = Trial(order, explained, wanted)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for result in [pool.submit(trial.work, Worker(tree, coverage, stages, patience)) for tree in trees]:
            result.result()
    return trial.report()


if __name__ == "__main__":
    sys.exit(main())
