#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the examples, each on an emulated machine of its own, and look at what they say and how they end.

usage: examples.py PROGRAM...

A PROGRAM is an example linked with machine.c; its name is the example's behind the last "-".
"""

import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from tap import command, run_tests, test, zeros

BDF = ["-d", "0000:01:00.0"]
PEER = ["--peer", "0000:02:00.0"]
MORE = {"cmb-p2p": PEER, "copy": ["--to", "0000:02:00.0"], "kv": ["--list"]}
PROGRAMS = {pathlib.Path(path).name.removeprefix("emulated-"): path for path in sys.argv[1:]}


def run(name, *arguments, status=0, given="", **environment):
    """Run an example with this as its input; return what it said, on both channels."""
    done = subprocess.run([*command(PROGRAMS[name]), *arguments], text=True, input=given, stdout=subprocess.PIPE,
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
        says(run(name, "-d", "0000:7f:00.0", *MORE.get(name, []), status=1), "0000:7f:00.0")


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


@test
def hello_blk_writes_and_reads_a_text():
    with tempfile.TemporaryDirectory() as folder:
        disk = pathlib.Path(folder) / "disk"
        says(run("hello-blk", *BDF, EXAMPLE_DISK=str(disk)), "hello, blocks\n")
        assert disk.read_bytes().rstrip(b"\0") == b"hello, blocks"


@test
def copy_has_all_of_it_where_it_should_be():
    second, both = [*BDF, "-n", "2", "--to", "0000:01:00.0/1"], {"EXAMPLE_TWO": "1", "EXAMPLE_FILL": "2"}
    words = b"".join(number.to_bytes(8, "little") for number in range(1, 51201))
    with tempfile.TemporaryDirectory() as folder:
        disk = pathlib.Path(folder) / "disk"
        both["EXAMPLE_DISK"] = str(disk)
        # blocks of 4096 bytes to blocks of 512, as one request and as more than go at a time
        for arguments, length in ((["-q", "1", "-c", "512K"], 409600), (["-q", "8", "-c", "4K"], 409600),
                                  (["-q", "1000", "-l", "200K", "-c", "12K"], 204800), (["-l", "4K"], 4096)):
            output = run("copy", *second, *arguments, **both)
            says(output, f"copied {length // 1024} KiB from 0000:01:00.0/2 to 0000:01:00.0/1")
            assert disk.read_bytes().rstrip(b"\0") == words[:length].rstrip(b"\0"), arguments
        # from another controller, whose disk has zeros
        run("copy", "-d", "0000:02:00.0", "--to", "01:00.0", "-l", "1M", EXAMPLE_PEER="1", EXAMPLE_FILL="1",
            EXAMPLE_DISK=str(disk))
        assert zeros(disk.read_bytes()[:2**20]) and disk.read_bytes()[2**20:2**20 + 8] == (2**17 + 1).to_bytes(8, "little")


@test
def copy_refuses_what_makes_no_sense_and_says_which_command_fails():
    says(run("copy", *BDF, status=2), "--to BDF[/NSID] is missing")
    says(run("copy", *BDF, "--to", "01:00.0", status=2), "0000:01:00.0/1 is the namespace that is read")
    says(run("copy", *BDF, "--to", "01:00.0/7", status=1), "01:00.0/7")
    two = ["copy", *BDF, "--to", "01:00.0/2"]
    says(run(*two, "-l", "5K", status=2, EXAMPLE_TWO="1"), "5 KiB is no number of blocks of 4096 bytes")
    says(run(*two, "-c", "6K", status=2, EXAMPLE_TWO="1"), "6 KiB is no number of blocks of 4096 bytes")
    says(run(*two, "-l", "404K", status=2, EXAMPLE_TWO="1"), "no room for 404 KiB")
    says(run(*two, "-c", "4K", status=1, EXAMPLE_TWO="1", EXAMPLE_FAIL="-1:2:3"), "reading 8 blocks from 16 on: Internal Error")
    # queues 3 and 4 are the second handle's
    says(run(*two, "-c", "4K", status=1, EXAMPLE_TWO="1", EXAMPLE_FAIL="4:1:5"), "writing 1 blocks from 4 on: Internal Error")


def crc64(data):
    """The checksum of NVMe, bit by bit."""
    crc = 2**64 - 1
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x9A6C9329AC4BC9B5 if crc & 1 else 0)
    return crc ^ 2**64 - 1


def kv_records(disk):
    """The records of a store's log, as the comments of examples/kv.c describe it: store, session, number, key, value."""
    place, records = 0, []
    while disk[place:place + 8] == b"-vfn-kv1":
        crc, store, session, number, key, value = struct.unpack_from("<QQQQII", disk, place + 8)
        last = records[-1] if records else (store, session - 1)
        data = disk[place + 48:place + 48 + key + value]
        if (crc64(disk[place + 16:place + 48 + key + value]) != crc or
                (store, session, number) != (last[0], last[1] + (key == 0), len(records))):
            break
        records.append((store, session, number, data[:key].decode(), data[key:].decode()))
        place += -(-(48 + key + value) // 512) * 512
    return records


class Store:
    """A store whose medium is a file from program to program."""

    def __init__(self, folder):
        self.disk = pathlib.Path(folder) / "disk"
        self.disk.touch()

    def run(self, *arguments, **how):
        """Run the program on it."""
        return run("kv", *BDF, *arguments, EXAMPLE_START=str(self.disk), EXAMPLE_DISK=str(self.disk), **how)


@test
def kv_keeps_what_it_was_given():
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        says(store.run("--list", status=1), "no store", "--format")
        says(store.run("--format"), "has a store of 32 MiB")
        assert store.run("--list") == ""
        store.run("--put", "colour=red")
        store.run("--put", "empty=")
        # more than are written at a time, some of them in several blocks, one as long as may be
        pairs = [(f"key{number % 60}", f"{number} " * number) for number in range(100)] + [("k" * 255, "v" * (16384 - 48 - 255))]
        output = store.run("--load", given="".join(f"{key} {value}\n" for key, value in pairs))
        assert output == "".join(f"{key}\n" for key, _ in pairs), output
        store.run("--put", "colour=blue = blue")
        wanted = {"colour": "blue = blue", "empty": ""} | dict(pairs)
        assert store.run("--list") == "".join(f"{key} {value}\n" for key, value in sorted(wanted.items()))
        assert store.run("--get", "key59") == wanted["key59"] + "\n" and store.run("--get", "empty") == "\n"
        says(store.run("--get", "key60", status=1), "'key60' is not in the store")
        records = kv_records(store.disk.read_bytes())
        starts = [("", "")]
        assert [record[3:] for record in records] == (starts * 2 + [("colour", "red")] + starts + [("empty", "")] + starts +
                                                      pairs + starts + [("colour", "blue = blue")])
        # what was there is no part of the new one
        store.run("--format")
        assert store.run("--list") == ""


# L1: as if the program had been killed
@test
def kv_finds_the_end_of_its_log_whatever_is_behind_it():
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        store.run("--format")
        assert store.run("--load", given="one 1\ntwo 2\nthree 3\nfour 4\n") == "one\ntwo\nthree\nfour\n"
        whole = store.disk.read_bytes()
        # the session's start is the second block
        for byte in (0, 8, 16, 24, 32, 40, 47, 49, 50):
            torn = bytearray(whole)
            torn[3 * 512 + byte] ^= 1
            store.disk.write_bytes(torn)
            assert store.run("--list") == "one 1\n", byte
        # the place of what is missing is used again, and what was behind it does not come back
        assert store.run("--load", given="two 2\n") == "two\n"
        assert store.run("--list") == "one 1\ntwo 2\n"
        assert kv_records(store.disk.read_bytes())[-1][:4:2] == (kv_records(whole)[0][0], 4)
        # a record whose second block was not written
        store.disk.write_bytes(whole)
        store.run("--put", "long=" + "x" * 900)
        data = store.disk.read_bytes().rstrip(b"\0")
        store.disk.write_bytes(data[:len(data) // 512 * 512])
        assert "long" not in store.run("--list")


# what is not safe is not acknowledged
@test
def kv_acknowledges_nothing_before_the_flush():
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        store.run("--format")
        pairs = "".join(f"{number} x\n" for number in range(80))
        for fault, acknowledged in (("-1:0:1", 0), ("-1:0:2", 32), ("2:1:3", 0), ("2:1:40", 32)):
            output = store.run("--load", given=pairs, status=1, EXAMPLE_FAIL=fault)
            assert re.findall(r"^\d+$", output, re.M) == [str(number) for number in range(acknowledged)], f"{fault}: {output}"
            says(output, "Internal Error")


@test
def kv_refuses_what_it_cannot_keep():
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        store.run("--format")
        says(store.run(status=2), "what to do?")
        says(store.run("--list", "--format", status=2), "what to do?")
        for pair in ("x", "=x", "k" * 256 + "=x", "a b=c", "a=b\nc", "x=" + "v" * (16384 - 48)):
            says(store.run("--put", pair, status=2), "is no KEY=VALUE")
        says(store.run("--load", given="one 1\ntwo\n", status=1), "'two' is no KEY VALUE")
        says(run("kv", *BDF, "--load", status=1, given="".join(f"{number} {'x' * 16000}\n" for number in range(3000)),
                 EXAMPLE_START=str(store.disk)), "the store is full")


if __name__ == "__main__":
    sys.exit(run_tests() if PROGRAMS else __doc__.strip())
