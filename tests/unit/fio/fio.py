#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Run fio with the engine on an emulated machine, which goes with fio: data stay no longer than that.

usage: fio.py FIO ENGINE
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from tap import run_tests, test

if len(sys.argv) != 3:
    sys.exit(__doc__.strip())
FIO, ENGINE = sys.argv[1], os.path.abspath(sys.argv[2])
FILE = "0000.01.00.0/1"


def run(*options, status=0, file=FILE, thread="--thread", **environment):
    """Run fio; return its report, or what it said if there is none."""
    words = [FIO, "--name=job", f"--ioengine=external:{ENGINE}", f"--filename={file}", "--output-format=json",
             "--eta=never", *options]
    # which leaves files where it is, when a job fails
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(words + ([thread] if thread else []), text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60, check=False, env=os.environ | environment, cwd=folder)
    assert (done.returncode != 0) == (status != 0), f"fio {' '.join(options)}: status {done.returncode}:\n{done.stdout}"
    assert "violation" not in done.stdout, done.stdout
    if status:
        return done.stdout
    report = json.loads(done.stdout[done.stdout.index("{"):])
    assert all(job["error"] == 0 for job in report["jobs"]), done.stdout
    return report["jobs"]


def says(output, *texts):
    """See that all texts are in the output."""
    for text in texts:
        assert text in output, f"no '{text}' in:\n{output}"


@test
def data_is_verified_by_many_jobs():
    jobs = run("--rw=randrw", "--verify=crc32c", "--bs=4k", "--iodepth=32", "--numjobs=4", "--size=2M", "--offset_increment=2M")
    assert len(jobs) == 4
    for job in jobs:
        total = job["read"]["io_bytes"] + job["write"]["io_bytes"]
        assert job["write"]["io_bytes"] > 0 and total >= 2 << 20, job


@test
def blocks_of_other_sizes_and_odd_depths_are_verified():
    for options in (["--bs=512", "--iodepth=1", "--size=256k"],
                    ["--bsrange=512-64k", "--iodepth=300", "--size=4M"],
                    ["--bs=128k", "--iodepth=7", "--iodepth_batch=4", "--iodepth_batch_complete_min=3", "--size=4M"],
                    ["--bs=4k", "--iodepth=8", "--size=1M", "--verify_backlog=16"]):
        run("--rw=randwrite", "--verify=md5", *options)
    run("--rw=write", "--verify=crc32c", "--bs=4k", "--iodepth=4", file="01.00.0/2")
    # two namespaces in a job
    jobs = run("--rw=randwrite", "--verify=crc32c", "--bs=4k", "--iodepth=16", "--size=2M", file=f"{FILE}:0000.01.00.0/2")
    assert jobs[0]["write"]["io_bytes"] == 2 << 20


@test
def trims_and_syncs_are_commands_of_their_own():
    jobs = run("--rw=trimwrite", "--bs=4k", "--iodepth=8", "--size=1M")
    assert jobs[0]["trim"]["total_ios"] > 0 and jobs[0]["write"]["total_ios"] > 0
    jobs = run("--rw=randwrite", "--bs=4k", "--iodepth=8", "--size=1M", "--fsync=16", "--fdatasync=5", "--sync=1",
               "--end_fsync=1")
    assert jobs[0]["sync"]["total_ios"] > 0


@test
def a_rate_that_is_asked_for_is_kept():
    jobs = run("--rw=randread", "--bs=4k", "--iodepth=4", "--size=1M", "--rate_iops=1000")
    assert 200 < jobs[0]["job_runtime"] < 3000 and jobs[0]["read"]["total_ios"] == 256, jobs[0]["job_runtime"]


@test
def what_is_wrong_is_said():
    job = ["--rw=read", "--bs=4k", "--size=1M"]
    says(run(*job, thread="", status=1), "thread=1 is missing")
    says(run(*job, file="nonsense", status=1), "'nonsense' is no namespace")
    says(run(*job, file="0000.7f.00.0", status=1), "0000:7f:00.0")
    says(run(*job, file="0000.01.00.0/7", status=1), "01:00.0")
    says(run("--rw=read", "--bs=1k", file="0000.01.00.0/2", status=1), "bs is no multiple of 4096 bytes")
    says(run(*job, "--numjobs=3", MACHINE_FEW="1", status=1), "2 queues for us, and 3 jobs need one each")
    says(run(*job, MACHINE_FAIL="2:5", status=1), "Input/output error")
    says(run("--rw=write", "--bs=4k", "--size=1M", MACHINE_FAIL="1:5", status=1), "Input/output error")


@test
def a_colon_may_be_escaped():
    run("--rw=read", "--bs=4k", "--size=64k", file="0000\\:01\\:00.0/1")


if __name__ == "__main__":
    sys.exit(run_tests())
