#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the examples, each on an emulated machine of its own, and look at what they say and how they end.

usage: examples.py PROGRAM...

A PROGRAM is an example linked with machine.c; its name is the example's behind the last "-".
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from tap import command, run_tests, test, zeros

BDF = ["-d", "0000:01:00.0"]
PEER = ["--peer", "0000:02:00.0"]
PROGRAMS = {pathlib.Path(path).name.removeprefix("emulated-"): path for path in sys.argv[1:]}


def run(name, *arguments, status=0, **environment):
    """Run an example; return what it said, on both channels."""
    done = subprocess.run([*command(PROGRAMS[name]), *arguments], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, check=False, env=os.environ | environment)
    assert done.returncode == status, f"{name} {' '.join(arguments)}: status {done.returncode}, not {status}:\n{done.stdout}"
    return done.stdout


def says(output, *texts):
    """See that all texts are in the output."""
    for text in texts:
        assert text in output, f"no '{text}' in:\n{output}"


def pattern(seed, start, length):
    """The bytes of examples/pattern.h, from what its comment says."""
    words = ((seed + offset // 8) * 0x9E3779B97F4A7C15 % 2**64 for offset in range(start, start + length, 8))
    return b"".join(word.to_bytes(8, "little") for word in words)


@test
def every_example_explains_itself():
    for name in PROGRAMS:
        says(run(name, "-h"), f"{name} -d BDF", "--help", "Exit status")


@test
def a_mistake_is_quoted_and_ends_with_status_2():
    for name in PROGRAMS:
        says(run(name, status=2), "-d BDF is missing")
        says(run(name, "-d", "01:00", status=2), "'01:00' is not a PCI address")
        says(run(name, *BDF, "more", status=2), "'more'")
        run(name, *BDF, "--nonsense", status=2)


@test
def a_device_that_is_not_there_ends_with_status_1():
    for name in PROGRAMS:
        says(run(name, "-d", "0000:7f:00.0", *(PEER if name == "cmb-p2p" else []), status=1), "0000:7f:00.0")


@test
def numbers_are_read_strictly():
    for text in ("", " 1M", "-1", "+1M", "1MM", "1 M", "1m", "1Q", "0x", "0xg", "1.5M", "M", "99999999999999999999",
                 "99999999999T"):
        says(run("io", *BDF, f"--length={text}", status=2), f"'{text}'")
    for text in ("", "1K", "x", "0", "1025", "0x401"):
        says(run("io", *BDF, f"--depth={text}", status=2), f"'{text}'")
    says(run("io", *BDF, "--length=010K"), "verified 10 KiB")
    says(run("io", *BDF, "--length=0x4K"), "verified 4 KiB")


@test
def regs_shows_an_enabled_controller_and_one_as_it_is():
    # W42: each part of the version is its own
    says(run("regs", *BDF), "version 1.4.2", "MJR         1", "MNR         4", "TER         2", "EN          1",
         "RDY         1", "MQES     1023", "ASQS")
    says(run("regs", *BDF, "--as-is"), "version 1.4.2", "EN          0", "RDY         0")


@test
def identify_and_oneshot_show_all_16_bits_of_the_vendor():
    output = run("identify", *BDF)
    says(output, "Max queue entries       : 1024", "Max data transfer size  : 524288", "NVM Express version     : 1.4.2")
    # W42: not 8 of them
    vid = next(line for line in output.splitlines() if line.startswith("vid 0x"))
    assert vid == "vid 0x1b36", vid
    low_first = f"PCI Vendor ID           : {vid[8:10]} {vid[6:8]}\n"
    says(output, low_first)
    says(run("oneshot", *BDF), vid.replace("0x0", "0x"))


@test
def eventfd_hears_of_each_command_by_each_kind_of_interrupt():
    for kind, name in (("intx", "INTx"), ("msi", "MSI"), ("msix", "MSI-X")):
        says(run("eventfd", *BDF, "--irq", kind, "--count", "20"), "20 commands", f"by {name}\n", "vid 0x")
    says(run("eventfd", *BDF, "--irq", "pin", status=2), "'pin'")


@test
def io_writes_what_its_documentation_says_and_nothing_else():
    with tempfile.TemporaryDirectory() as folder:
        disk = pathlib.Path(folder) / "disk"
        for slba, length, depth in ((0, 512, 1), (3, 4096 + 512, 2), (1000, 3 * 2**20 + 1024, 8), (64, 2**20, 64)):
            output = run("io", *BDF, "--slba", str(slba), "--length", str(length), "--depth", str(depth),
                         "--pattern", "77", EXAMPLE_DISK=str(disk))
            says(output, "wrote ", "verified ")
            data, start = disk.read_bytes(), 512 * slba
            assert data[start:start + length] == pattern(77, start, length), f"{length} bytes at block {slba}"
            assert zeros(data[:start]) and zeros(data[start + length:]), "more was written"


@test
def io_describes_memory_in_every_way():
    with tempfile.TemporaryDirectory() as folder:
        disk = pathlib.Path(folder) / "disk"
        for number, how in enumerate((["--vector"], ["--iova"], ["--sgl"], ["--vector", "--sgl"], ["--iova", "--sgl"])):
            for length in (512, 8192, 2**20 + 4608):
                seed = 100 * number + length
                says(run("io", *BDF, "--length", str(length), "--pattern", str(seed), *how, EXAMPLE_DISK=str(disk)),
                     "verified ")
                data = disk.read_bytes()
                assert data[:length] == pattern(seed, 0, length), f"{length} bytes by {how}"
                assert zeros(data[length:]), "more was written"
    says(run("io", *BDF, "--vector", "--iova", status=2), "exclude")
    says(run("io", *BDF, "--sgl", status=1, EXAMPLE_NO_SGLS="1"), "has no SGLs")


@test
def zns_pi_and_sriov_say_what_there_is_not():
    says(run("sriov", *BDF, status=1), "0000:01:00.0 has no virtual functions")
    says(run("sriov", *BDF, "--vfs", "0", status=2), "'0'")
    says(run("zns", *BDF, status=1), "namespace 1 has no zones")
    says(run("pi", *BDF, status=1), "namespace 1 has no protection information")


@test
def negative_shows_what_the_controller_says_of_each_mistake():
    output = run("negative", *BDF, EXAMPLE_VIOLATIONS="1")
    answers = re.findall("^(an? .*|blocks .*|reserved .*|one .*?)  +(.*)$", output, re.M)
    assert [answer.removesuffix(", do not retry") for _, answer in answers] == [
        "Successful Completion", "Invalid Command Opcode", "Invalid Namespace or Format", "LBA Out of Range",
        "PRP Offset Invalid", "Successful Completion", "Successful Completion", "Command ID Conflict",
        "Successful Completion"], output
    says(output, "reserved CDW0 bits is 0x3c", "is already outstanding")
    assert output.count("violation") == 3, output


@test
def iopf_maps_the_pages_that_the_controller_asks_for():
    for length, pages in (("4K", 1), ("64K", 16), ("512K", 128)):
        output = run("iopf", *BDF, "-l", length, EMU_IOMMUFD="1", EXAMPLE_FILL="1")
        assert output.count(" for writing: mapped\n") == pages, output
        says(output, f"{pages} pages of which were mapped on request\n")


@test
def iopf_says_what_is_missing():
    says(run("iopf", *BDF, status=1), "no page faults", "/dev/iommu is missing")
    says(run("iopf", *BDF, status=1, EMU_IOMMUFD="1", VFN_IOMMU_FORCE_VFIO="1"), "fault queues take iommufd")
    says(run("iopf", *BDF, "-l", "5K", status=2), "5120 bytes")
    says(run("iopf", *BDF, "-l", "1M", status=2), "512 KiB")
    says(run("iopf", *BDF, "-s", "0xffffffffffffffff", status=2), "the namespace ends")


@test
def io_notices_data_that_is_not_what_it_wrote():
    says(run("io", *BDF, "--read-only", status=1), "byte 0:")


@test
def io_refuses_what_does_not_fit():
    says(run("io", *BDF, "-s", "65536", status=2), "block 65536")
    says(run("io", *BDF, "-s", "65535", "-l", "1K", status=2), "block 65536")
    says(run("io", *BDF, "-l", "513", status=2), "513")
    says(run("io", *BDF, "-n", "7", status=1), "nsid 7")
    says(run("io", *BDF, "-w", "-r", status=2), "exclude")


@test
def io_verifies_a_file_and_finds_the_first_byte_that_differs():
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "file"
        data = bytearray(pattern(5, 0, 2**20 + 4096))
        file.write_bytes(data)
        arguments = ["--verify-file", str(file), "--pattern", "5"]
        says(run("io", *arguments, "-l", str(len(data))), "verified 1028 KiB")
        says(run("io", *arguments, "-s", "8", "-l", "1M"), "verified 1 MiB")
        data[2**20 + 8] ^= 1
        file.write_bytes(data)
        says(run("io", *arguments, "-l", "1M"), "verified 1 MiB")
        says(run("io", *arguments, "-l", str(len(data)), status=1), f"byte {2**20 + 8}:")
        says(run("io", *arguments, "-l", "2M", status=1), "cannot read")
        run("io", *BDF, *arguments, status=2)


@test
def perf_measures_every_kind_of_access():
    for arguments in (["--sequential"], ["--write", "-b", "64K", "-q", "1"]):
        output = run("perf", *BDF, "--time", "1", *arguments)
        assert "instructions" not in output
        says(output, "sequential" if "--sequential" in arguments else "random",
             "write of" if "--write" in arguments else "read of", " IOPS, ", "latency in us: average ", "99.9% ")
        rate = float(output.split(" s: ")[1].split(" IOPS")[0])
        average, median = (float(output.split(word)[1].split(",")[0]) for word in ("average ", "50% "))
        maximum = float(output.split("maximum ")[1].split()[0])
        assert rate > 0 and 0 < average <= maximum and 0 < median <= maximum, output
        # at a depth of 1 the library is at work for less than a command takes, at any other for less than all do
        assert 0 < float(output.split("CPU time in the library: ")[1].split(" ns")[0]) <= 1e9 / rate, output
    says(run("perf", *BDF, "-b", "1M", status=2), "512 KiB")


# of a command's submission and of its completion, without what a look itself costs
@test
def perf_says_what_the_processor_counted_where_it_does():
    says(run("perf", *BDF, "--time", "1", "-q", "1", EXAMPLE_COUNTERS="1"), " ns, 2000 instructions, 400 cycles a command")


@test
def cmb_has_commands_and_data_in_the_controller():
    with tempfile.TemporaryDirectory() as folder:
        disk = pathlib.Path(folder) / "disk"
        says(run("cmb", *BDF, "--slba", "8", EXAMPLE_DISK=str(disk)), "1 MiB of memory", "verified 64 KiB")
        assert disk.read_bytes()[4096:4096 + 65536] == pattern(1, 4096, 65536)
    says(run("cmb", *BDF, EXAMPLE_NO_CMB="1", status=1), "no memory")
    says(run("cmb", *BDF, "--slba", "65500", status=2), "block 65536")


@test
def cmb_p2p_reads_into_the_other_controller():
    says(run("cmb-p2p", *BDF, *PEER, EXAMPLE_PEER="1"), "0000:01:00.0 read 64 KiB into 0000:02:00.0")
    says(run("cmb-p2p", *BDF, *PEER, EXAMPLE_PEER="1", EXAMPLE_NO_CMB="1", status=1), "no memory")
    says(run("cmb-p2p", *BDF, status=2), "--peer BDF is missing")
    says(run("cmb-p2p", *BDF, "--peer", "0000:01:00.0", status=1), "cannot initialise the peer")


if __name__ == "__main__":
    sys.exit(run_tests() if PROGRAMS else __doc__.strip())
