#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""vfntool on an emulated controller, as a process: what it sends, what it says of the answers, how it ends.

usage: vfntool.py VFNTOOL MANUAL

VFNTOOL is linked with machine.c of the examples' tests; MANUAL is the source of its manual page.
"""

import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from tap import command, run_tests, test, zeros

TOOL, MANUAL = sys.argv[1:] if len(sys.argv) == 3 else sys.exit(__doc__.strip())
BDF = "0000:01:00.0"

# The emulator of other processors has no io_setup(2), by which bench loads the kernel's driver.
HAS_AIO = "MESON_EXE_WRAPPER" not in os.environ


def run(*args, status=0, stdout=subprocess.PIPE, **environment):
    done = subprocess.run([*command(TOOL), *args], stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, timeout=60,
                          check=False, env=os.environ | environment)
    assert done.returncode == status, f"{args}: status {done.returncode}, not {status}:\n{done.stdout}\n{done.stderr.decode()}"
    return done


def answer(*args, violations=None, **kwargs):
    """What comes as JSON. The emulated controller must complain of a command, or must not."""
    done = run(*args, "--json", EXAMPLE_VIOLATIONS="1", **kwargs)
    complaints = done.stderr.decode()
    if violations:
        assert violations in complaints, f"{args}: no '{violations}' in {complaints}"
    else:
        assert "violation" not in complaints, f"{args}: {complaints}"
    return json.loads(done.stdout)


def admin(*args, **kwargs):
    return answer("admin-passthru", BDF, *args, **kwargs)


def io(*args, **kwargs):
    return answer("io-passthru", BDF, *args, **kwargs)


def on_terminal(*args, written, status=0, **environment):
    """What it says where its standard streams are a terminal, on which somebody writes an answer."""
    ours, its = os.openpty()
    with subprocess.Popen([*command(TOOL), *args], stdin=its, stdout=its, stderr=its, env=os.environ | environment) as process:
        os.close(its)
        said = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:
                break
            if not piece:
                break
            said += piece
            if said.endswith(b"Write yes: "):
                os.write(ours, written.encode())
        assert process.wait(60) == status, said
    os.close(ours)
    return said.decode()


def says(output, *texts):
    for text in texts:
        assert text in output, f"no '{text}' in:\n{output}"


def usage_error(*args, text=""):
    done = run(*args, status=2)
    assert not done.stdout, done.stdout
    says(done.stderr.decode(), text)
    return done.stderr.decode()


IDENTIFY = ["--opcode", "6", "--cdw10", "1", "--length", "4K"]
READ = ["--opcode", "2", "--nsid", "1", "--length", "512"]
WRITE = ["--opcode", "1", "--nsid", "1"]


@test
def identify_is_decoded_and_dumped():
    output = run("admin-passthru", BDF, *IDENTIFY).stdout.decode()
    says(output, f"{BDF} queue 0: 1 of 1 commands completed\n", "completion 0: Successful Completion\n",
         "status 0x0000: SCT 0h Generic Command Status, SC 00h, CRD 0, M 0, DNR 0\n", "CID 0x0000, SQID 0, SQHD ",
         "00000000  36 1b ", "|6.")
    assert len(re.findall("^[0-9a-f]{8}  ", output, re.M)) == 256
    result = admin(*IDENTIFY)
    assert result["data"].startswith("361b") and len(result["data"]) == 8192
    assert result["completions"][0]["sc_text"] == "Successful Completion"
    assert result["outstanding"] is None


@test
def status_of_a_refused_command_is_in_words_and_ends_with_3():
    output = run("admin-passthru", BDF, "--opcode", "0xc1", status=3).stdout.decode()
    says(output, "completion 0: Invalid Command Opcode\n", "SC 01h")
    completion = io(*READ, "--cdw10", "0xffffffff", status=3)["completions"][0]
    assert (completion["sct"], completion["sc"], completion["sc_text"]) == (0, 0x80, "LBA Out of Range"), completion
    completion = admin("--opcode", "5", "--cdw10", "0x00010000", "--cdw11", "1", "--length", "4K", status=3)["completions"][0]
    assert (completion["sct"], completion["sct_text"], completion["sc_text"]) == \
        (1, "Command Specific Status", "Invalid Queue Identifier"), completion


@test
def written_data_are_read_again_from_hex_and_from_files():
    with tempfile.TemporaryDirectory() as folder:
        disk, source, sink = (pathlib.Path(folder) / name for name in ("disk", "source", "sink"))
        io(*WRITE, "--data", "00 01 fe Ff", "--length", "512", EXAMPLE_DISK=str(disk))
        assert disk.read_bytes()[:512] == b"\0\1\xfe\xff" + bytes(508)
        # more than two pages, and more entries than a list of PRPs has
        for blocks in (1, 16, 17, 64, 1024):
            data = bytes((at * 7 + at // 512) % 251 for at in range(512 * blocks))
            source.write_bytes(data)
            io(*WRITE, "--data-file", str(source), "--cdw10", "5", "--cdw12", str(blocks - 1), EXAMPLE_DISK=str(disk))
            assert disk.read_bytes()[5 * 512:][:len(data)] == data, blocks
        result = io(*READ[:4], "--length", "4K", "--cdw12", "7", "--output", str(sink), EXAMPLE_FILL="1")
        assert "data" not in result
        assert sink.read_bytes() == b"".join(word.to_bytes(8, "little") for word in range(1, 513))


@test
def nothing_is_corrected():
    # what goes out is what was given: the strict controller names each mistake
    io(*READ, "--prp1", "+1", violations="PRP1", status=3)
    io(*READ, "--prp1", "0x123456789000", violations="unmapped IOVA 0x123456789000", status=3)
    flush = ["--opcode", "0", "--nsid", "1"]
    for number in (2, 3, 10, 11, 12, 13, 14, 15):
        io(*flush, f"--cdw{number}", "0x80000001", violations=f"reserved CDW{number} is 0x80000001")
    io(*flush, "--prp1", "0x123456789abcdef0", "--prp2", "1", violations="reserved PRP1 is 0x123456789abcdef0")
    io(*READ, "--flags", "0x04", violations="reserved CDW0 bits")
    io(*READ, "--flags", "0xc0", violations="PSDT is 3", status=3)
    io(*flush, "--mptr", "0xfedcba9876543210", violations="reserved MPTR is 0xfedcba9876543210")
    io(*READ, "--cid", "0xffff", violations="cid 0xffff is reserved")
    completion = io(*READ, "--cid", "7", "--repeat", "20", status=3, violations="cid 7 is already outstanding")["completions"][1]
    assert completion["cid"] == 7 and completion["sc_text"] == "Command ID Conflict"


@test
def data_over_the_queues_is_survived():
    # all that a wrong address can reach is what the controller has anyway: here it writes over its own queues
    reached = set()
    for page in range(1, 9):
        done = subprocess.run([*command(TOOL), "io-passthru", BDF, "--opcode", "2", "--nsid", "1", "--length", "4K", "--cdw12", "7",
                               "--prp1", hex(page * 4096), "--timeout", "50", "--queues", "--json"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False,
                              env=os.environ | {"EXAMPLE_FILL": "1", "EXAMPLE_VIOLATIONS": "1"})
        assert done.returncode in (0, 3, 4), f"page {page}: {done}"
        result = json.loads(done.stdout)
        reached |= {name for name in ("submission_queue", "completion_queue") if int(result[name]["iova"], 16) == page * 4096}
    assert len(reached) == 2, reached


@test
def sgls_are_built_by_hand():
    descriptor = ["--flags", "0x40", "--prp1", "+0", "--prp2"]
    assert io(*READ, *descriptor, "512", EXAMPLE_FILL="1")["data"].startswith("01" + "00" * 7 + "02")
    io(*READ, *descriptor, "0xe000000000000200", status=3, violations="SGL")
    # a segment in the data itself: one descriptor at the place that --iova fixes
    segment = (0x100001000).to_bytes(8, "little") + (512).to_bytes(4, "little") + bytes(4)
    result = io("--opcode", "2", "--nsid", "1", "--iova", "0x100000000", "--data", segment.hex(), "--length", "8K",
                "--flags", "0x40", "--prp1", "+0", "--prp2", hex(3 << 60 | 16), EXAMPLE_FILL="1")
    assert bytes.fromhex(result["data"])[4096:4104] == bytes([1]) + bytes(7), result["data"][8190:8220]


@test
def raw_commands_go_out_as_they_are():
    with tempfile.TemporaryDirectory() as folder:
        raw = pathlib.Path(folder) / "raw"
        raw.write_bytes(bytes([0x0a, 0, 0x34, 0x12]) + bytes(36) + bytes([7]) + bytes(23))
        completion = admin("--raw-file", str(raw))["completions"][0]
        assert completion["cid"] == 0x1234
        # Get Features: Number of Queues is granted as asked for
        assert completion["dw0"] == "0x00000000", completion
        assert admin("--raw", raw.read_bytes().hex(" "))["completions"][0]["cid"] == 0x1234
        assert admin("--raw", raw.read_bytes().hex(), "--cid", "5")["completions"][0]["cid"] == 5
        # nobody fills the data pointer in
        io("--raw", (bytes([2, 0, 0, 0, 1]) + bytes(59)).hex(), "--length", "512", violations="unmapped IOVA 0x0", status=3)
        raw.write_bytes(bytes(63))
        says(run("admin-passthru", BDF, "--raw-file", str(raw), status=1).stderr.decode(), "fewer bytes")
        raw.write_bytes(bytes(65))
        says(run("admin-passthru", BDF, "--raw-file", str(raw), status=1).stderr.decode(), "more bytes")
    usage_error("admin-passthru", BDF, "--raw", "06" * 63, text="63 bytes")


@test
def more_commands_than_the_queue_holds_all_complete():
    for depth in ("2", "5", "32"):
        result = io("--opcode", "0", "--nsid", "1", "--repeat", "70", "--depth", depth)
        assert [c["cid"] for c in result["completions"]] == list(range(70)), result
    usage_error("admin-passthru", BDF, "--depth", "8", text="does not take --depth")
    says(run("io-passthru", BDF, "--depth", "65536", status=1).stderr.decode(), "65536")


@test
def command_that_never_completes_ends_with_4():
    # an Asynchronous Event Request waits for its event
    result = admin("--opcode", "0xc", "--timeout", "50", status=4)
    assert result["outstanding"] == "time is up" and result["completed"] == 0
    done = run("admin-passthru", BDF, "--opcode", "0xc", "--timeout", "50", status=4)
    says(done.stderr.decode(), "1 of 1 commands are outstanding: time is up")
    # a doorbell that is not the tail: the controller sees nothing new, or more than there is
    io(*READ, "--doorbell", "0", "--timeout", "50", status=4)
    io(*READ, "--doorbell", "9999", "--timeout", "50", status=4, violations="doorbell")


@test
def queues_are_printed_entry_by_entry():
    output = run("io-passthru", BDF, *READ, "--repeat", "3", "--depth", "4", "--queues").stdout.decode()
    says(output, "submission queue 1: 4 entries at 0x", "entry 2: opcode 0x02 Read, FUSE 0, PSDT 0 PRP, CID 0x0002, NSID 0x1\n",
         "completion queue 1: 4 entries", "head 3")
    result = io(*READ, "--repeat", "3", "--depth", "4", "--queues")
    assert [entry["name"] for entry in result["submission_queue"]["entries"]] == ["Read", "Read", "Read", "Flush"]
    assert [entry["cid"] for entry in result["completion_queue"]["entries"]] == [0, 1, 2, 0]
    admin_queue = admin(*IDENTIFY, "--queues")["submission_queue"]
    assert admin_queue["entries"][admin_queue["tail"] - 1]["name"] == "Identify"


@test
def regs_are_decoded():
    output = run("regs", BDF, "--enable").stdout.decode()
    says(output, "VS       0x00010402  version\n", "MJR      31:16  0x1 ", "MNR", "RDY", "ASQS", "CMBSZ")
    registers = answer("regs", BDF, "--enable")["registers"]
    assert registers["VS"] == {"offset": "0x008", "value": "0x00010402", "fields": {"MJR": 1, "MNR": 4, "TER": 2}}
    assert registers["CSTS"]["fields"]["RDY"] == 1 and registers["CC"]["fields"]["IOSQES"] in (0, 6)
    assert registers["CAP"]["fields"]["MQES"] == 1023 and registers["AQA"]["fields"]["ASQS"] > 0
    assert answer("regs", BDF)["registers"]["CSTS"]["fields"]["RDY"] == 0
    assert "CMBMSC" in registers and "PMRCAP" not in registers and "BPINFO" not in registers
    for register in registers.values():
        value = int(register["value"], 16)
        assert all(field <= value for field in register["fields"].values())


@test
def controller_is_described_with_the_names_of_the_specification():
    output = run("id-ctrl", BDF).stdout.decode()
    says(output, "\nSN         EMU0001             serial number\n", "\nMN         Emulated NVMe Controller  model number\n",
         "\n  MJR      31:16  0x1 ", "\nSQES       0x66 ", "\npower state 0\nMP         0 ", "threshold, K, 70 C\n")
    result = answer("id-ctrl", BDF)
    assert (result["bdf"], result["VID"], result["SN"], result["FR"]) == (BDF, "0x1b36", "EMU0001", "1.0"), result
    assert result["VER"] == {"value": "0x00010402", "fields": {"TER": 2, "MNR": 4, "MJR": 1}}, result["VER"]
    assert (result["MDTS"], result["NN"], result["WCTEMP"], result["TNVMCAP"]) == (7, 1, 343, 0), result
    assert result["SUBNQN"].endswith("emu-" + BDF) and len(result["PSD"]) == 1
    # what text calls fields JSON does, too
    for name in result.keys() - {"bdf", "PSD"}:
        assert re.search(rf"^{name} ", output, re.M), name


@test
def namespaces_are_listed_and_described():
    says(run("list-ns", BDF, EXAMPLE_TWO="1").stdout.decode(), "         1  65536 blocks of 512 bytes\n",
         "         2  100 blocks of 4096 bytes\n")
    for args in ([], ["--allocated"]):
        namespaces = answer("list-ns", BDF, *args, EXAMPLE_TWO="1")["namespaces"]
        assert [n["nsid"] for n in namespaces] == [1, 2]
        assert namespaces[1] == {"nsid": 2, "NSZE": 100, "NCAP": 100, "NUSE": 100, "block_size": 4096, "metadata_size": 0}
    assert [n["nsid"] for n in answer("list-ns", BDF, "--nsid", "1", EXAMPLE_TWO="1")["namespaces"]] == [2]
    result = answer("id-ns", BDF, "--nsid", "2", EXAMPLE_TWO="1")
    assert (result["nsid"], result["NSZE"], result["FLBAS"]["fields"]["FIDXL"]) == (2, 100, 1), result
    assert [(f["in_use"], f["LBADS"]) for f in result["LBAF"]] == [(False, 9), (True, 12)], result
    says(run("id-ns", BDF).stdout.decode(), "\nLBA format in use: 0\nMS         0 ", "\nLBA format 1\n", "\nEUI64      ")
    done = run("id-ns", BDF, "--nsid", "3", status=3)
    assert not done.stdout
    says(done.stderr.decode(), "Identify (CNS 00h, namespace 0x3): Invalid Namespace or Format (SCT 0h, SC 0bh)", "list-ns prints")


@test
def health_and_errors_are_decoded():
    output = run("smart", BDF).stdout.decode()
    says(output, "CW         0x00 ", "\nCTEMP      310                 composite temperature, K, 37 C\n", "\nPUSED      0 ")
    result = answer("smart", BDF)
    assert (result["AVSP"], result["AVSPT"], result["PWRC"], result["CW"]["fields"]["TTC"]) == (100, 10, 1, 0), result
    # bringing the controller up must not cost errors
    assert result["NEILE"] == 0 and answer("error-log", BDF)["entries"] == []
    says(run("error-log", BDF).stdout.decode(), f"{BDF}: no errors\n")
    result = answer("error-log", BDF, EXAMPLE_ERRORS="1")["entries"]
    assert [e["ECNT"] for e in result] == list(range(3, 0, -1)), result
    assert result[0]["STS"]["fields"] == {"P": 0, "SC": 0x80, "SCT": 0, "CRD": 0, "M": 0, "DNR": 1}, result[0]
    assert result[0]["status_text"] == "LBA Out of Range" and result[0]["SQID"] == 1
    assert len(answer("error-log", BDF, "--entries", "2", EXAMPLE_ERRORS="1")["entries"]) == 2
    says(run("error-log", BDF, EXAMPLE_ERRORS="1").stdout.decode(), "entry 2\nECNT       1 ", "\nstatus_text LBA Out of Range\n")


@test
def log_pages_come_in_pieces_that_the_controller_moves():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "log"
        result = answer("get-log", BDF, "--lid", "3")
        assert (result["lid"], result["length"]) == ("0x03", 512) and result["data"].startswith("01" + "00" * 7 + "312e30"), result
        says(run("get-log", BDF, "--lid", "3", "--length", "16").stdout.decode(), "00000000  01 00 00", "|........1.0     |\n")
        whole = answer("get-log", BDF, "--lid", "1", "--length", "4K", EXAMPLE_ERRORS="1")["data"]
        assert not run("get-log", BDF, "--lid", "1", "--length", "4K", "--output", str(path), EXAMPLE_ERRORS="1").stdout
        assert path.read_bytes().hex() == whole and not zeros(path.read_bytes())
        # whatever MDTS says
        pieces = answer("get-log", BDF, "--lid", "1", "--length", "4K", EXAMPLE_ERRORS="1", EXAMPLE_COUNTS="1")["data"]
        assert pieces == whole
        part = answer("get-log", BDF, "--lid", "1", "--offset", "64", "--length", "64", EXAMPLE_ERRORS="1")["data"]
        assert part == whole[128:256]
        # what is behind the end is zeros; 300 KiB are more than one command moves
        done = run("get-log", BDF, "--lid", "1", "--length", "300K", status=3)
        says(done.stderr.decode(), "Get Log Page 01h, 45056 bytes from 262144 on: Invalid Field in Command")
        says(run("get-log", BDF, "--lid", "0xc0", status=3).stderr.decode(), "Invalid Log Page",
             "the controller does not have this log page")
        says(run("get-log", BDF, "--lid", "1", "--output", "/nonexistent/x", status=1).stderr.decode(), "/nonexistent/x: No such")
        for extra in (["--length", "300K"], ["--offset", "4"]):
            done = run("get-log", BDF, "--lid", "1", *extra, status=1, EXAMPLE_NO_OFFSETS="1")
            says(done.stderr.decode(), "first 16384 bytes of a log page and no offsets (LPA bit 2)")
    usage_error("get-log", BDF, text="get-log needs --lid")
    usage_error("get-log", BDF, "--lid", "1", "--length", "5", text="multiples of 4")


@test
def features_are_shown_and_changed():
    says(run("get-feature", BDF, "--fid", "4").stdout.decode(), "value      0x00000157 ", "Temperature Threshold\n",
         "  TMPTH     15:0  0x157 ")
    result = answer("get-feature", BDF, "--fid", "6")
    assert result == {"bdf": BDF, "fid": "0x06", "name": "Volatile Write Cache", "select": 0,
                      "value": {"value": "0x00000001", "fields": {"WCE": 1}}}, result
    assert answer("get-feature", BDF, "--fid", "6", "--select", "3")["value"]["fields"] == {"SAVE": 0, "NSS": 0, "CHANG": 1}
    assert answer("set-feature", BDF, "--fid", "6", "--value", "0")["value"]["fields"]["WCE"] == 0
    result = answer("set-feature", BDF, "--fid", "0x16", "--data", "01", EXAMPLE_DELAYS="1")
    assert result["data"] == "01" + "00" * 511 and result["name"] == "Host Behavior Support", result
    says(run("set-feature", BDF, "--fid", "6", "--value", "0", "--save", status=3).stderr.decode(),
         "Set Features 06h: Feature Identifier Not Saveable", "leave --save out")
    says(run("get-feature", BDF, "--fid", "0x78", status=3).stderr.decode(), "Get Features 78h: Invalid Field in Command")
    usage_error("get-feature", BDF, text="get-feature needs --fid")
    usage_error("set-feature", BDF, "--value", "1", text="set-feature needs --fid")
    usage_error("set-feature", BDF, "--fid", "1", text="set-feature needs --value")
    usage_error("get-feature", BDF, "--fid", "1", "--length", "4100", text="4096 at most")
    usage_error("set-feature", BDF, "--fid", "0x16", "--value", "1", text="this feature has data")
    usage_error("set-feature", BDF, "--fid", "0x16", "--data", "00" * 513, text="more data than the feature has")
    usage_error("set-feature", BDF, "--fid", "0x16", "--data", "0", text="--data: ")


@test
def controller_that_does_not_answer_ends_with_4():
    for args, opcode, what in ((["smart", BDF], 2, "Get Log Page 02h, 512 bytes from 0 on"), (["list-ns", BDF], 6, ""),
                               (["get-feature", BDF, "--fid", "6"], 10, "Get Features 06h"),
                               (["format", BDF, "--nsid", "1", "--force"], 128, "Format NVM")):
        # the first Identify is the library's, and belongs to bringing the controller up
        done = run(*args, "--timeout", "200", status=4 if what else 1, EXAMPLE_LOSE=str(opcode))
        assert not done.stdout
        says(done.stderr.decode(), f"{BDF}: {what}: " if what else BDF, "no completion within 200 ms")


@test
def namespace_is_formatted_only_when_somebody_is_sure():
    done = run("format", BDF, "--nsid", "1", "--lbaf", "1", status=1)
    says(done.stderr.decode(), "all data would be lost: --force")
    with tempfile.TemporaryDirectory() as folder:
        disk = pathlib.Path(folder) / "disk"

        def is_formatted(*args, **kwargs):
            done = run("format", BDF, *args, EXAMPLE_FILL="1", EXAMPLE_DISK=str(disk), **kwargs)
            return zeros(disk.read_bytes()), done.stdout.decode(), done.stderr.decode()

        gone, output, _ = is_formatted("--nsid", "1", "--lbaf", "1", "--dry-run")
        assert not gone
        says(output, f"would format namespace 1, 65536 blocks of 512 bytes, of {BDF} with LBA format 1\n")
        gone, output, _ = is_formatted("--nsid", "1", "--lbaf", "1", "--force")
        assert gone
        says(output, "         1  8192 blocks of 4096 bytes\n")
        gone, output, _ = is_formatted("--nsid", "0xffffffff", "--lbaf", "0", "--ses", "1", "--force")
        assert gone
        says(output, "all namespaces are formatted\n")
        # what no option says stays
        assert answer("format", BDF, "--nsid", "1", "--force") == \
            {"bdf": BDF, "nsid": 1, "NSZE": 65536, "NCAP": 65536, "NUSE": 65536, "block_size": 512, "metadata_size": 0}
        for args, status, text in ((["--nsid", "1", "--lbaf", "2"], 1, "LBA formats 0 to 1, not 2: id-ns prints"),
                                   (["--nsid", "2"], 3, "Invalid Namespace or Format"),
                                   (["--nsid", "1", "--pi", "1"], 3, "Format NVM: Invalid Format"),
                                   (["--nsid", "0xffffffff", "--lbaf", "7"], 3, "id-ns prints the formats")):
            gone, output, error = is_formatted(*args, "--force", status=status)
            assert not gone and not output
            says(error, text)
        gone, _, error = is_formatted("--nsid", "1", "--force", status=1, EXAMPLE_NO_FORMAT="1")
        assert not gone
        says(error, "does not have Format NVM (OACS bit 1)")
        gone, _, error = is_formatted("--nsid", "1", "--force", status=1, EXAMPLE_MOUNTED="1")
        assert not gone
        says(error, f"{BDF} is in use: nvme9n1 is mounted on /data")
        for written, status, wanted in (("yes\n", 0, True), ("no\n", 1, False), ("\n", 1, False), ("yes please\n", 1, False)):
            done = on_terminal("format", BDF, "--nsid", "1", "--lbaf", "1", written=written, status=status,
                               EXAMPLE_FILL="1", EXAMPLE_DISK=str(disk))
            says(done, f"Format namespace 1, 65536 blocks of 512 bytes, of {BDF} with LBA format 1? All data are lost. Write yes: ")
            assert zeros(disk.read_bytes()) == wanted, written
    usage_error("format", BDF, text="format needs --nsid")
    usage_error("format", BDF, "--nsid", "0xffffffff", text="needs --lbaf")


@test
def what_a_controller_says_is_not_believed():
    for args in (["id-ctrl", BDF], ["id-ns", BDF], ["list-ns", BDF], ["smart", BDF], ["error-log", BDF]):
        output = run(*args, EXAMPLE_STRINGS="1", EXAMPLE_COUNTS="1").stdout.decode()
        assert "\x1b" not in output and "\0" not in output, output
        json.loads(run(*args, "--json", EXAMPLE_STRINGS="1", EXAMPLE_COUNTS="1").stdout)
    assert len(answer("id-ctrl", BDF, EXAMPLE_COUNTS="1")["PSD"]) == 32
    result = answer("id-ns", BDF, EXAMPLE_COUNTS="1")
    assert len(result["LBAF"]) == 64 and result["LBAF"][63] == {"in_use": True, "MS": 65535, "LBADS": 255, "RP": 255}
    assert answer("list-ns", BDF, EXAMPLE_COUNTS="1")["namespaces"][0]["block_size"] is None
    says(run("list-ns", BDF, EXAMPLE_COUNTS="1").stdout.decode(), "blocks of no size that makes sense and 65535 of metadata")
    says(run("list-ns", BDF, EXAMPLE_LOOP="1", status=1).stderr.decode(), "its list of namespaces has 1 after 1")


NS = BDF + "/1"
SIZE = 65536 * 512


def noise(length, start=0):
    """Bytes that differ from block to block."""
    return b"".join((at * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "little") for at in range(start + 1, start + 1 + length // 8))


@test
def blocks_are_printed_and_copied_with_their_holes():
    output = run("read", NS, EXAMPLE_FILL="1").stdout.decode()
    assert output.startswith("00000000  01 00") and output.count("\n") == 32, output
    result = answer("read", BDF, "--offset", "512", "--length", "1K", EXAMPLE_FILL="1")
    assert result["data"][:16] == "4100000000000000" and (result["nsid"], result["offset"], result["length"]) == (1, 512, 1024)
    with tempfile.TemporaryDirectory() as folder:
        source, sink, disk = (pathlib.Path(folder) / name for name in ("source", "sink", "disk"))
        data = noise(100 * 1024) + bytes(5 << 20) + noise(64 * 1024, 7) + bytes(1 << 20)
        source.write_bytes(data)
        says(run("copy", str(source), BDF, "--verify", EXAMPLE_DISK=str(disk)).stdout.decode(),
             f"{source} to {NS}: {len(data)} bytes, verified, ", " of them zeros")
        assert disk.read_bytes() == data[:-1 << 20].rstrip(b"\0") + bytes(-len(data[:-1 << 20].rstrip(b"\0")) % 4096)
        # where something else was; a controller without a command for it gets zeros written
        for extra in ({}, {"EXAMPLE_NO_ZEROES": "1"}):
            run("copy", str(source), BDF, "--seek", "1M", "--force", EXAMPLE_FILL="1", EXAMPLE_DISK=str(disk), **extra)
            assert disk.read_bytes()[1 << 20:][:len(data)] == data and not zeros(disk.read_bytes()[:512])
        result = answer("copy", NS, str(sink), "--verify", EXAMPLE_START=str(disk))
        assert (result["from"], result["to"], result["bytes"], result["verified"]) == (NS, str(sink), SIZE, True), result
        assert sink.read_bytes()[1 << 20:][:len(data)] == data and result["zeros"] > 5 << 20
        run("copy", NS, str(sink), EXAMPLE_START=str(source))
        assert sink.read_bytes() == data + bytes(SIZE - len(data)) and sink.stat().st_blocks * 512 < 1 << 20
        # into a file that has something there: the rest stays
        sink.write_bytes(b"x" * 4096)
        run("copy", NS, str(sink), "--seek", "1K", "--skip", "512", "--length", "512")
        assert sink.read_bytes() == b"x" * 1024 + bytes(512) + b"x" * 2560
        run("read", NS, "--offset", "512", "--length", "1K", "--output", str(sink), EXAMPLE_START=str(source))
        assert sink.read_bytes() == data[512:1536]
        run("write", NS, "--data", "01 fe", "--pad", "--offset", "1K", EXAMPLE_DISK=str(disk))
        assert disk.read_bytes()[1022:1028] == b"\0\0\1\xfe\0\0"
        run("write", NS, "--data-file", str(source), "--length", "1K", "--verify", EXAMPLE_DISK=str(disk))
        assert disk.read_bytes()[:1026] == data[:1024] + bytes(2)
        says(run("copy", NS, BDF + "/2", "--length", "16K", "--verify", EXAMPLE_TWO="1", EXAMPLE_FILL="1").stdout.decode(),
             f"{NS} to {BDF}/2: 16384 bytes, verified")
        run("copy", NS, "0000:02:00.0/1", EXAMPLE_PEER="1", EXAMPLE_FILL="1")
        out = subprocess.run([*command(TOOL), "copy", NS, "-", "--length", "1M"], stdout=subprocess.PIPE, timeout=60, check=True,
                             env=os.environ | {"EXAMPLE_START": str(source)}).stdout
        assert out == data[:1 << 20]


# T8
@test
def copies_that_do_not_fit_are_refused_before_anything_is_written():
    with tempfile.TemporaryDirectory() as folder:
        path, disk = pathlib.Path(folder) / "file", pathlib.Path(folder) / "disk"

        def refused(*args, text, status=1, **environment):
            says(run(*args, status=status, EXAMPLE_DISK=str(disk), **environment).stderr.decode(), text)
            assert not disk.exists() or zeros(disk.read_bytes()), "something was written"

        path.write_bytes(b"x" * 1000)
        refused("copy", str(path), NS, text=f"{path}: 1000 bytes, and {NS} has blocks of 512: --pad fills the last one up")
        refused("copy", str(path), NS, "--length", "1M", "--pad", text=f"{path}: 1000 bytes, and --length wants 1048576")
        refused("copy", str(path), NS, "--skip", "2K", text="it ends before 2048")
        refused("copy", str(path), NS, "--pad", "--seek", "100", text="blocks of 512 bytes: 100 is no multiple of that, 512 is")
        refused("copy", str(path), NS, "--pad", "--seek", str(SIZE - 512), text="has room for 512 bytes, and")
        refused("copy", str(path), NS, "--pad", "--seek", "1T", text="there are no 0 from 1099511627776 on")
        refused("copy", NS, str(path), "--length", "1000", text="1000 is no multiple of that, 1024 is")
        refused("copy", NS, BDF, text="source and destination overlap")
        refused("copy", NS, BDF + "/2", text="has room for 409600 bytes", EXAMPLE_TWO="1")
        refused("copy", NS, "/dev/null", "--verify", text="/dev/null cannot be read again: leave --verify out")
        refused("copy", folder, NS, text="Is a directory")
        refused("copy", str(path / "none"), NS, text="Not a directory")
        refused("copy", str(path), BDF + "/7", text="has no namespace 7")
        refused("copy", str(path), NS, "--pad", text="nvme9n1 is mounted on /data", EXAMPLE_MOUNTED="1")
        path.write_bytes(b"")
        refused("copy", str(path), NS, text="empty")
        refused("read", NS, "--length", "128M", text=f"{NS} has {SIZE} bytes: there are no 134217728 from 0 on")
        refused("zero", NS, "--length", "100", text="100 is no multiple of that")
        refused("discard", NS, "--length", "32M", "--offset", "512", text="there are no 33554432 from 512 on")
    for args, text in ((["copy", NS], "copy needs SOURCE DESTINATION"), (["copy", "a", "b"], "cp(1) is for files"),
                       (["copy", NS, "a", "b"], "surplus argument: b"), (["read", BDF + "/0"], "no namespace such as"),
                       (["read", BDF + "/x"], "no namespace"), (["read", "a/b"], "no namespace"), (["zero", NS], "--length, or --all"),
                       (["write", NS], "write needs --data-file"), (["read", NS, "--verify"], "--verify is for --output"),
                       (["write", NS, "--data", "0x1"], "--data: no bytes"), (["id-ctrl", BDF + "/1"], "no PCI address")):
        usage_error(*args, text=text)


@test
def what_is_there_is_overwritten_only_by_force():
    with tempfile.TemporaryDirectory() as folder:
        source, sink = pathlib.Path(folder) / "source", pathlib.Path(folder) / "sink"
        swap = bytearray(8192)
        swap[1024:1036] = (1).to_bytes(4, "little") + (8).to_bytes(4, "little") + bytes(4)
        swap[4086:4096] = b"SWAPSPACE2"
        table = bytearray(512)
        table[446:462] = bytes([0, 0, 2, 0, 0x83, 0, 0, 0]) + (2048).to_bytes(4, "little") + (8192).to_bytes(4, "little")
        table[510:512] = b"\x55\xaa"
        raid = bytearray(SIZE)
        raid[SIZE - 65536:SIZE - 65536 + 12] = (0xa92b4efc).to_bytes(4, "little") + bytes([0, 0, 0, 0, 90, 0, 0, 0])
        for content, what in ((swap, "swap"), (table, "dos"), (raid, "linux_raid_member")):
            source.write_bytes(content)
            for args in (["zero", NS, "--all"], ["discard", NS, "--length", "512"], ["write", NS, "--data", "00", "--pad"],
                         ["copy", BDF + "/2", NS, "--length", "4K"])[:1 if content is raid else 4]:
                said = run(*args, status=1, EXAMPLE_START=str(source), EXAMPLE_DISK=str(sink), EXAMPLE_TWO="1").stderr.decode()
                if "no libblkid" not in said:
                    says(said, f"{NS}: there is a file system or partition table ({what}): --force overwrites it")
                assert sink.read_bytes()[:512] == content[:512] and sink.stat().st_size >= len(bytes(content).rstrip(b"\0"))
                if content is swap:
                    run(*args, "--force", EXAMPLE_START=str(source), EXAMPLE_TWO="1")
        source.write_bytes(swap)
        run("zero", NS, "--all", "--force", EXAMPLE_START=str(source), EXAMPLE_DISK=str(sink))
        assert zeros(sink.read_bytes())
        result = answer("zero", NS, "--offset", "1K", "--length", "512", "--force", EXAMPLE_FILL="1", EXAMPLE_DISK=str(sink))
        assert result == {"bdf": BDF, "nsid": 1, "offset": 1024, "bytes": 512}, result
        data = sink.read_bytes()
        assert zeros(data[1024:1536]) and data[1016:1024] != bytes(8) != data[1536:1544] and len(data) == SIZE
        says(run("discard", NS, "--all", "--force", EXAMPLE_FILL="1").stdout.decode(), f"{NS}: discard: {SIZE} bytes from 0 on\n")


@test
def what_goes_wrong_half_way_leaves_what_is_before_it():
    with tempfile.TemporaryDirectory() as folder:
        source, sink, disk = (pathlib.Path(folder) / name for name in ("source", "sink", "disk"))
        data = noise(6 << 20)
        source.write_bytes(data)
        # a block that cannot be read: whatever is before it is there. Chunks of 4 MiB take 8 commands
        done = run("copy", NS, str(sink), status=3, EXAMPLE_START=str(source), EXAMPLE_FAIL="-1:2:12:4000000000")
        says(done.stderr.decode(), "read of 1 blocks from 8192 on: Internal Error",
             f"copy: called off: the first {4 << 20} bytes are in {sink}")
        assert sink.read_bytes() == data[:4 << 20]
        # once is not always
        run("copy", NS, str(sink), EXAMPLE_START=str(source), EXAMPLE_FAIL="-1:2:12")
        assert sink.read_bytes() == data + bytes(SIZE - len(data))
        done = run("copy", str(source), NS, status=3, EXAMPLE_DISK=str(disk), EXAMPLE_FAIL="-1:1:12:4000000000")
        says(done.stderr.decode(), "write of 1 blocks from 8192 on: ", f"the first {4 << 20} bytes are in {NS}")
        assert disk.read_bytes()[:4 << 20] == data[:4 << 20]
        done = run("zero", NS, "--all", status=3, EXAMPLE_FAIL="-1:8:1:4000000000")
        says(done.stderr.decode(), "write zeroes of ")
        says(run("copy", NS, "/dev/full", status=1).stderr.decode(), "/dev/full: No space left on device", "the first 0 bytes")
        done = run("copy", NS, str(sink), "--timeout", "100", status=4, EXAMPLE_DROP="-1:2:12:4000000000")
        says(done.stderr.decode(), "read of 8192 blocks from 8192 on: ", f"the first {4 << 20} bytes")
        # a pipe that ends too early, or off a block
        for sent, args, text in ((1024, ["--length", "2K"], "it ends after 1024 bytes, and --length wants 2048"),
                                 (1200, [], "standard input: 1200 bytes, and ")):
            done = subprocess.run([*command(TOOL), "copy", "-", NS, *args], input=data[:sent], capture_output=True, timeout=60,
                                  check=False, env=os.environ | {"EXAMPLE_DISK": str(disk)})
            assert done.returncode == 1 and disk.read_bytes() == data[:1024] + bytes(3072), done
            says(done.stderr.decode(), text, f"copy: called off: the first 1024 bytes are in {NS}")


@test
def signal_calls_a_copy_off_after_what_was_begun():
    with tempfile.TemporaryDirectory() as folder:
        disk = pathlib.Path(folder) / "disk"
        data = noise(5 << 20)
        with subprocess.Popen([*command(TOOL), "copy", "-", NS], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=os.environ | {"EXAMPLE_DISK": str(disk)}) as process:
            process.stdin.write(data)
            process.stdin.flush()
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            said = process.stderr.read().decode()
            assert process.wait(60) == 130, said
        says(said, f"copy: called off: the first {len(data)} bytes are in {NS}")
        assert disk.read_bytes() == data


@test
def progress_is_for_terminals():
    with tempfile.TemporaryDirectory() as folder:
        fifo, disk = pathlib.Path(folder) / "fifo", pathlib.Path(folder) / "disk"
        os.mkfifo(fifo)
        with subprocess.Popen(["sh", "-c", 'exec >"$1"; head -c 4194304 /dev/zero; sleep 0.5; head -c 4194304 /dev/zero', "sh",
                               str(fifo)]) as writer:
            said = on_terminal("copy", str(fifo), NS, written="", EXAMPLE_DISK=str(disk))
            writer.wait()
        says(said, "\rcopy", " MiB/s ", f"{fifo} to {NS}: 8388608 bytes, 8388608 of them zeros")


def verify(*args, status=0, **environment):
    """What a test prints."""
    text = run("verify", *args, "--seed", "7", status=status, **environment).stdout.decode()
    says(text, f"# {args[0]}, --seed 7\n", f"\n1..{len(re.findall('^(?:ok|not ok) ', text, re.M))}\n")
    return text


@test
def controller_is_verified():
    with tempfile.TemporaryDirectory() as folder:
        disk = pathlib.Path(folder) / "disk"
        says(verify("sim", NS, "--length", "3000K", "--threads", "3", EXAMPLE_DISK=str(disk)),
             f"ok 1 - {NS}: 3072000 bytes written by 3 queues are read by them again\n",
             f"# sha256: {hashlib.sha256(disk.read_bytes()[:3072000]).hexdigest()} {NS}, first 3072000 bytes\n")
        assert not zeros(disk.read_bytes()[3071488:3072000]) and zeros(disk.read_bytes()[3072000:])
    # the same seed, the same data; several namespaces have the same
    text = verify("mcd", NS, BDF + "/2", "0000:02:00.0", "--length", "100K", EXAMPLE_TWO="1", EXAMPLE_PEER="1")
    assert text.count("\nok ") == 3 and len(set(re.findall("# sha256: (\\w+)", text))) == 1, text
    result = answer("verify", "api", NS, "--depth", "20", "--ratio", "3", "--length", "2M", "--seed", "7")
    assert result == {"test": "api", "seed": 7, "ok": True, "results": [
        {"ok": True, "text": f"{NS}: 2 queues, 228 requests: 0 miscompares, 0 leaks"}]}, result
    assert verify("mts", NS, "--blocks", "70", "--sessions", "3", "--threads", "2").count("\nok ") == 3
    assert verify("off", NS).count("up to 4097 blocks\n") == 8
    assert verify("off", NS, "--sgl", "--blocks", "17").count("up to 17 blocks\n") == 8
    text = verify("lat", NS, "--runtime", "1")
    for what in ("read slat", "read clat", "write slat", "write clat"):
        least, average, most = map(float, re.search(f"# {what}: min (.*) avg (.*) max (.*) us", text).groups())
        assert least <= average <= most, text
    says(run("verify", "sim", NS, "--length", "4K").stdout.decode(), "# sim, --seed ")


@test
def verify_tells_what_is_wrong_and_refuses_what_it_would_destroy():
    for name, opcode, what in (("sim", 1, "write"), ("api", 2, "read"), ("mts", 1, "write"), ("off", 2, "read")):
        short = ["--length", "16M"] if name == "sim" else ["--length", "2M"] if name == "api" else ["--blocks", "17"]
        text = verify(name, NS, *short, "--force", status=1, EXAMPLE_FAIL=f"-1:{opcode}:40:4000000000")
        says(text, "\nnot ok ", "Internal Error", what)
    text = verify("mts", NS, "--blocks", "9", "--sessions", "3", "--threads", "24", status=1)
    says(text, "# error: 0000:01:00.0 has 16 pairs of queues left, not 24\n",
         "not ok 1 - session 3 is refused: 24 queues, and 16 of 64 are available\n")
    assert text.count("\nok ") == 2
    says(verify("off", NS, "--blocks", "1", "--check", "/nonexistent/x", status=1), "not ok 1 - /nonexistent/x: No such file")
    says(verify("sim", NS, "--timeout", "100", "--force", status=4, EXAMPLE_DROP="-1:1:40:4000000000"), "\nnot ok 1 - ")
    says(run("verify", "sim", NS, status=1, EXAMPLE_FILL="1", EXAMPLE_MOUNTED="1").stderr.decode(), "is mounted on /data")
    says(run("verify", "sim", NS, "--threads", "64", status=1).stderr.decode(), "has 64 pairs of queues left, not 65")
    for args, text in ((["verify", "sim"], "verify needs TEST BDF"), (["verify", "x", NS], "the tests are sim, api, mts, lat, mcd and off"),
                       (["verify", "sim", "x"], "a namespace is written"), (["verify", "sim", NS, NS], "several namespaces are for mcd")):
        usage_error(*args, text=text)


def picture(path):
    """The texts of a picture that is well-formed, and how many lines and bars it has."""
    root = xml.etree.ElementTree.parse(path).getroot()
    parts = [element.tag.split("}")[1] for element in root]
    return " ".join(element.text for element in root if element.text and element.text.strip()), parts


@test
def latencies_have_percentiles_and_a_picture():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "lat.svg"
        load = [NS, "--runtime", "1", "--iodepth", "4", "--bs", "8K"]
        text = run("lat", *load, "--plot", str(path)).stdout.decode()
        says(text, f"{NS}: randread of 8192 bytes, 1 thread, 4 at a time\n", "requests in 1.0 s", "99.99 % within")
        least, average, most = map(float, re.search("us: min (.*) avg (.*) max (.*)", text).groups())
        within = [float(number) for number in re.findall("within +(.*) us", text)]
        assert least <= average <= most and sorted(within) == within and within[-1] <= most, text
        texts, parts = picture(path)
        says(texts, "randread of 8192 bytes", "99.9 %: ", "microseconds")
        assert parts.count("rect") > 2
        result = answer("lat", *load, "--rw", "randrw", "--threads", "2")
        counts = [bar["count"] for bar in result["histogram"]]
        assert sum(counts) == result["requests"] > 0 and result["threads"] == 2, result
        starts = [bar["from_ns"] for bar in result["histogram"]]
        assert starts == sorted(starts) and starts[0] <= result["min_ns"] and starts[-1] <= result["max_ns"]
    says(run("lat", NS, "--bs", "1000", status=1).stderr.decode(), "1000 is no multiple of that, 1024 is")
    says(run("lat", NS, "--length", "512", status=1).stderr.decode(), "512 bytes are fewer than a request has")
    says(run("lat", NS, "--runtime", "1", status=1, EXAMPLE_FAIL="-1:2:9:4000000000").stderr.decode(), f"{NS}: Internal Error")
    usage_error("lat", NS, "--rw", "write,read", text="--rw: none of read, write")
    usage_error("lat", NS, "--iodepth", "1,2", text="lat takes one number for --iodepth")
    for text in ("1,", ",1", "", "1,,2", "0", "x", ",".join(["1"] * 17)):
        usage_error("bench", NS, f"--iodepth={text}", text="--iodepth: no number from 1 to 4096: ")


@test
def benchmarks_go_on_where_they_ended():
    with tempfile.TemporaryDirectory() as folder:
        csv, svg, kernel = (pathlib.Path(folder) / name for name in ("csv", "svg", "kernel"))
        kernel.write_bytes(bytes(1 << 20))
        sides = 1 + HAS_AIO
        args = [NS, "--runtime", "1", "--csv", str(csv), "--plot", str(svg), *(["--kernel", str(kernel)] if HAS_AIO else [])]
        first = run("bench", *args, "--iodepth", "1").stdout.decode()
        lines = csv.read_text(encoding="ascii").splitlines()
        assert len(lines) == 1 + sides and first.startswith("vfn    randread   1 x 1 "), first
        assert ("\nkernel randread " in first) == HAS_AIO, first
        assert lines[0].startswith("engine,rw,threads,iodepth,bs,iops,"), lines
        # what was cut off is measured again, the others are not
        csv.write_text("\n".join(lines)[:-9], encoding="ascii")
        result = answer("bench", *args, "--iodepth", "1", "--bs", "4K")
        assert len(result["rows"]) == sides and all(row["iops"] > 0 and row["avg_ns"] > 0 for row in result["rows"]), result
        again = csv.read_text(encoding="ascii").splitlines()
        assert again[:sides] == lines[:sides] and len(again) == 1 + sides and all(all(line.split(",")) for line in again), again
        assert run("bench", *args, "--iodepth", "1").stdout.decode().count(" (was there)\n") == sides
        assert csv.read_text(encoding="ascii").splitlines() == again
        texts, parts = picture(svg)
        says(texts, "libvfn, 1 thread", "randread, 4096 bytes: average latency", "requests per second")
        assert ("kernel, 1 thread" in texts) == HAS_AIO and parts.count("circle") == 3 * sides
        says(run("bench", NS, "--kernel", str(kernel), "--rw", "randwrite", status=1).stderr.decode(), f"{kernel} would be overwritten: --force")
        csv.write_text("something else\n", encoding="ascii")
        says(run("bench", *args, status=1).stderr.decode(), f"{csv}: it is there, and has other figures")
        assert csv.read_text(encoding="ascii") == "something else\n"
    says(run("bench", NS, "--kernel", "/nonexistent/x", status=1).stderr.decode(), "/nonexistent/x: No such file")
    usage_error("bench", NS, "--rw", "read,trim", text="--rw: none of read, write, randread, randwrite, randrw: trim")


# T1, T2
@test
def usage_errors_quote_the_text_and_end_with_2():
    for args in (["admin-passthru"], ["io-passthru", "--opcode", "1"], ["regs", BDF, "--queues"], ["list", "--opcode", "1"],
                 ["admin-passthru", BDF, "--opcode", "1", "--opcode", "1"], ["admin-passthru", BDF, "surplus"],
                 ["admin-passthru", BDF, "--data", "00", "--data-file", "x"], ["admin-passthru", BDF, "--opcode"],
                 ["admin-passthru", BDF, "--prp1", "+0"], ["admin-passthru", BDF, "--output", "x"],
                 ["admin-passthru", BDF, "--iova", "0x1000"]):
        usage_error(*args)
    for text in ("-1", "18446744073709551616", "12x", "", "0x", "4Kfoo", " 1", "+1", "0x 1", "1.5", "0x1g", "1e3", "٣"):
        for option in ("--nsid", "--cdw10", "--length", "--repeat", "--timeout"):
            says(usage_error("io-passthru", BDF, f"{option}={text}", text=option), "Try vfntool --help")
        if text != "+1":
            usage_error("io-passthru", BDF, f"--prp1={text}", text="--prp1")
    for option, text in (("--opcode", "256"), ("--cid", "0x10000"), ("--nsid", "4294967296"), ("--length", "0"),
                         ("--length", "65M"), ("--repeat", "0"), ("--depth", "1"), ("--depth", "65537"), ("--cdw10", "1K")):
        usage_error("io-passthru", BDF, f"{option}={text}", text=f": {text}\n")
    for text in ("", "0", "0g", "000", "0x00", "00,00"):
        usage_error("io-passthru", BDF, f"--data={text}", text="--data: ")


# T3
@test
def output_that_cannot_be_written_is_a_failure():
    with open("/dev/full", "wb") as full:
        for args in (["regs", BDF], ["admin-passthru", BDF, *IDENTIFY], ["list", "--json"], ["--help"], ["--completion"]):
            says(run(*args, stdout=full, status=1).stderr.decode(), "cannot write the output: No space left on device")
    says(run("admin-passthru", BDF, *IDENTIFY, "--output", "/dev/full", status=1).stderr.decode(),
         "/dev/full: not all of the data is there: No space left")
    says(run("admin-passthru", BDF, *IDENTIFY, "--output", "/nonexistent/x", status=1).stderr.decode(), "/nonexistent/x: No such")


# T3
@test
def closed_pipe_ends_it_quietly():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        done = subprocess.run([*command(TOOL), "--help"], stdout=pipe, stderr=subprocess.PIPE, timeout=60, check=False,
                              restore_signals=True)
    assert done.returncode in (-13, 141) and not done.stderr, done


# T8
@test
def data_files_that_are_none_are_named():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "file"
        disk = pathlib.Path(folder) / "disk"

        def refused(*args, text):
            done = run("io-passthru", BDF, *WRITE, "--data-file", str(path), *args, status=1, EXAMPLE_DISK=str(disk))
            says(done.stderr.decode(), str(path), text)
            assert not done.stdout and zeros(disk.read_bytes()), "something was written"

        refused(text="No such file")
        path.mkdir()
        refused(text="Is a directory")
        path.rmdir()
        path.write_bytes(b"")
        refused(text="empty")
        path.write_bytes(b"x" * 511)
        refused("--length", "512", text="511 bytes, and --length wants 512")
        path.unlink()
        os.mkfifo(path)
        with subprocess.Popen(["sh", "-c", 'printf abc > "$1"', "sh", str(path)]) as writer:
            refused("--length", "512", text="3 bytes, and --length wants 512")
            writer.wait()
        with subprocess.Popen(["sh", "-c", 'head -c 512 /dev/zero | tr "\\0" z > "$1"', "sh", str(path)]) as writer:
            run("io-passthru", BDF, *WRITE, "--data-file", str(path), EXAMPLE_DISK=str(disk))
            writer.wait()
        assert disk.read_bytes()[:513] == b"z" * 512 + b"\0"
        path.unlink()
        # holes are zeros, and too much is too much
        with path.open("wb") as sparse:
            sparse.truncate(1024)
        run("io-passthru", BDF, *WRITE, "--cdw12", "1", "--data-file", str(path))
        with path.open("wb") as sparse:
            sparse.truncate(2**27)
        run("io-passthru", BDF, *WRITE, "--data-file", str(path), "--length", "512")
        done = run("io-passthru", BDF, *WRITE, "--data-file", str(path), status=1)
        says(done.stderr.decode(), "more than 67108864 bytes")


# T10: the help and the completion come from one table
@test
def help_manual_and_completion_agree():
    text = run("--help").stdout.decode()
    manual = pathlib.Path(MANUAL).read_text(encoding="utf-8")
    options = {name: letter for letter, name in re.findall(r"^  (?:-(\w),|   ) --([\w-]+)", text, re.M)}
    documented = {}
    for line in re.findall(r"^\.\. option:: (.*)$", manual, re.M):
        for names in re.finditer(r"(?:-(\w)(?: \w+)?, )?--([\w-]+)", line):
            documented[names[2]] = names[1] or ""
    assert options == documented, f"help: {options}\nmanual: {documented}"

    # commands with their options
    help_commands = {}
    for part in re.split(r"^  (?=\w)", text.split("\ncommands:\n")[1].split("\noptions:\n")[0], flags=re.M)[1:]:
        help_commands[part.split()[0]] = set(re.findall(r"\[--([\w-]+)", part))
    for name, wanted in help_commands.items():
        line = re.search(rf"^\| \*\*vfntool {name}\*\*(.*(?:\n  .*)*)", manual, re.M)
        assert line, f"{name} is not in the manual's synopsis"
        written = set(re.findall(r"--([\w-]+)", line[1]))
        assert written in (wanted, {"json"} if "OPTION" in line[1] else None), f"{name}: {written} and {wanted}"
        assert re.search(rf"^\*\*(?:[\w-]+\*\*, \*\*)*{name}\*\*", manual, re.M), f"{name} is not described"

    script = run("--completion").stdout.decode() + """
for line in "vfntool " "vfntool bi" "vfntool io-passthru --d" "vfntool list --"; do
	COMP_WORDS=(${line}) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	[[ $line == *\\  ]] && COMP_WORDS+=("") && COMP_CWORD=$((COMP_CWORD + 1))
	_vfntool
	echo "${COMPREPLY[@]}"
done
"""
    lines = subprocess.run(["bash", "-c", script], stdout=subprocess.PIPE, timeout=30, check=True).stdout.decode().splitlines()
    assert set(lines[0].split()) == set(help_commands) | {"--help", "--version", "--completion"}, lines[0]
    assert lines[1] == "bind"
    assert set(lines[2].split()) == {"--" + name for name in help_commands["io-passthru"] if name.startswith("d")} | {"--device"}
    assert set(lines[3].split()) == {"--all", "--json", "--verbose"}, lines[3]
    says(run("--version").stdout.decode(), "vfntool ")


@test
def examples_of_the_manual_work():
    text = pathlib.Path(MANUAL).read_text(encoding="utf-8").split("\nExamples\n")[1].split("\nNotes\n")[0]
    lines = re.findall("^   vfntool (.*)$", text, re.M)
    assert len(lines) > 15, lines
    done = 0
    tool = command(pathlib.Path(TOOL).resolve())
    with tempfile.TemporaryDirectory() as folder:
        kernel = pathlib.Path(folder) / "kernel"
        kernel.write_bytes(bytes(1 << 20))
        for line in lines:
            # 16 alone is enough here
            words = line.split(" | ")[0].replace("/dev/nvme1n1", str(kernel)).replace("1,16", "16").split()
            # these have tests of their own, on a machine with a kernel's driver
            if words[0] in ("list", "bind", "reset"):
                continue
            if "--kernel" in words and not HAS_AIO:
                at = words.index("--kernel")
                del words[at:at + 2]
            finished = subprocess.run([*tool, *words], capture_output=True, timeout=60, check=False, cwd=folder,
                                      env=os.environ | {"EXAMPLE_VIOLATIONS": "1"})
            # some are about what a controller says of mistakes
            assert finished.returncode in ((0, 3) if "passthru" in words[0] else (0,)), f"{line}: {finished}"
            done += 1
    assert done > 12, lines


if __name__ == "__main__":
    sys.exit(run_tests())
