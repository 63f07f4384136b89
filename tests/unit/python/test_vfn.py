#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Test the Python package on an emulated machine, which VFN_LIBRARY in the environment has.

usage: test_vfn.py SOURCE
"""

import array
import contextlib
import errno
import importlib.util
import io
import mmap
import os
import pathlib
import re
import runpy
import selectors
import shutil
import struct
import subprocess
import sys
import tempfile
import threading

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1]), str(pathlib.Path(sys.argv[1]) / "python")]
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
from tap import run_tests, test

import vfn
from vfn import _library

BDF = "0000:01:00.0"
SOURCE = pathlib.Path(sys.argv[1])
HEADER = (SOURCE / "include/vfn/blk.h").read_text(encoding="utf-8")
machine = _library.lib
machine.machine_layout.restype = _library.ctypes.c_char_p


def raises(kind, function, *arguments, **more):
    """The exception that a call ends with."""
    try:
        function(*arguments, **more)
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} of {function.__name__}{arguments}")


def fails(number, function, *arguments, **more):
    """The Error of this errno that a call ends with."""
    error = raises(vfn.Error, function, *arguments, **more)
    assert error.errno == number and error.strerror, f"errno {error.errno}, not {number}: {error}"
    return error


def pattern(length, seed=1):
    """Some bytes."""
    return bytes((seed + i * 7 + i // 256) % 256 for i in range(length))


@test
def structures_are_those_of_the_compiler():
    types = {"opts": _library.Opts, "info": _library.Info, "req": _library.Req}
    lines = [line.split() for line in machine.machine_layout().decode().splitlines()]
    for kind, name, offset, size in lines:
        field = getattr(types[kind], name)
        assert field.offset == int(offset), f"{kind}.{name} is at {offset}"
        assert field.size == int(size) or name == "priv" and field.size >= int(size), f"{kind}.{name} has {size} bytes"
    for kind, structure in types.items():
        assert [name for name, _ in structure._fields_] == [line[1] for line in lines if line[0] == kind], kind


@test
def numbers_are_those_of_the_header():
    for kind, prefix in ((vfn.Flags, ""), (vfn.Features, "F_"), (vfn.Op, "")):
        name = {"Flags": "flags", "Features": "features", "Op": "op"}[kind.__name__]
        body = re.search(rf"^enum vfn_blk_{name} {{\n(.*?)\n}}", HEADER, re.M | re.S)[1]
        names = re.findall(rf"VFN_BLK_{prefix}(\w+)(?: = (?:1 << )?(\d+))?,", body)
        values = {name: (1 << i if kind is not vfn.Op else i) for i, (name, _) in enumerate(names)}
        # which may have some that Python has not
        assert {member.name: member.value for member in kind}.items() <= values.items(), f"{kind.__name__}: {values}"


@test
def info_says_what_is_open():
    with vfn.open("01:00.0", queues=3, depth=16) as ns:
        assert (ns.info.bdf, ns.info.nsid, ns.info.block_size, ns.info.nblocks) == (BDF, 1, 512, 65536)
        assert (ns.info.queues, ns.info.depth, ns.info.vendor) == (3, 16, 0x1b36)
        assert ns.info.features & vfn.Features.WRITE_CACHE and isinstance(ns.info.serial, str) and len(ns.info.eui64) == 8
        with vfn.open(BDF + "/2") as other:
            assert (other.info.block_size, other.info.nblocks) == (4096, 100)
        assert repr(ns) == f"<vfn.Namespace {BDF}/1>"
    assert "closed" in repr(ns)


@test
def data_of_every_kind_is_written_and_read():
    with vfn.open(BDF) as ns:
        mine = ns.alloc(8192)
        mine[:] = pattern(8192)
        for data in (bytes(mine[:4096]), bytearray(mine[:4096]), mine[100:4196], array.array("H", bytes(mine[:4096])),
                     memoryview(bytes(mine[:4096]))):
            ns.write_zeroes(0, 32)
            ns.write(8, data)
            assert ns.read(8, 8) == bytes(data), type(data)
            into = bytearray(4096)
            ns.read_into(8, into)
            assert into == bytes(data) and ns.read(7) == ns.read(16) == bytes(512)
            assert ns.compare(8, data) and not ns.compare(7, data)
        ns.read_into(0, mine)
        assert mine[4096:] == pattern(8192)[:4096]
        ns.flush()
        ns.discard(0, 8)
        fails(errno.ENOTSUP, ns.verify, 0, 8)
        ns.free(mine)
        fails(errno.ENOENT, ns.free, mine)
        assert mine[4096] == pattern(1)[0]


@test
def bytes_are_read_and_written_anywhere():
    with vfn.open(BDF + "/2") as ns:
        ns.pwrite(pattern(10000), 4090)
        assert ns.pread(10000, 4090) == pattern(10000) and ns.pread(10, 4080) == bytes(10)
        assert ns.pread(0, 0) == b""


@test
def registered_memory_stays_where_it_is():
    with vfn.open(BDF) as ns:
        data = bytearray(pattern(4096))
        ns.register(data)
        fails(errno.EEXIST, ns.register, data)
        raises(BufferError, data.append, 0)
        ns.write(0, data)
        ns.unregister(data)
        data.append(0)
        pages = mmap.mmap(-1, 8192)
        ns.register(pages)
        raises(BufferError, pages.close)
    pages.close()


@test
def requests_end_in_any_order_and_once():
    with vfn.open(BDF, queues=2) as ns, ns.queue() as queue:
        fails(errno.EBUSY, ns.queue)
        memory = ns.alloc(64 * 512)
        memory[:] = pattern(64 * 512)
        requests = [vfn.Request(vfn.Op.WRITE, i, memory[i * 512:(i + 1) * 512], fua=True) for i in range(64)]
        for request in requests:
            queue.submit(request)
        fails(errno.EBUSY, queue.submit, requests[0])
        assert len(queue) == 64
        done = []
        while queue:
            done += queue.wait(min(8, len(queue)), 8)
        assert sorted(map(id, done)) == sorted(map(id, requests)) and not any(request.error for request in done)
        assert ns.read(0, 64) == memory
        # again, the other way round, without memory of the library's
        for request in requests:
            request.op, request.data, request.fua = vfn.Op.READ, bytearray(512), False
            queue.submit(request)
        queue.wait(64, timeout=30)
        assert b"".join(request.data for request in requests) == memory
        queue.submit(vfn.Request(vfn.Op.WRITE_ZEROES, 0, nlb=64))
        queue.submit(vfn.Request(vfn.Op.FLUSH))
        assert len(queue.wait(2)) == 2 and ns.read(0, 64) == bytes(64 * 512)
        assert queue.wait(0) == []
        fails(errno.EINVAL, queue.wait, 1)
        queue.submit(requests[0])
        # closing waits for it
    assert requests[0].error == 0
    raises(ValueError, queue.wait)


@test
def data_of_a_request_cannot_go():
    with vfn.open(BDF, queues=2) as ns:
        queue = ns.queue()
        data = bytearray(512)
        queue.submit(vfn.Request(vfn.Op.READ, 0, data))
        raises(BufferError, data.clear)
        # with a queue that nobody has closed
        del queue
    data.clear()


@test
def failures_are_errors_with_the_status():
    fails(errno.ENODEV, vfn.open, "0000:7f:00.0")
    assert "7f:00.0" in str(fails(errno.ENODEV, vfn.open, "0000:7f:00.0"))
    fails(errno.EINVAL, vfn.open, "nonsense")
    with vfn.open(BDF, queues=2, flags=vfn.Flags.RDONLY) as ns:
        fails(errno.EROFS, ns.write, 0, bytes(512))
    with vfn.open(BDF, queues=2) as ns, ns.queue() as queue:
        machine.machine_fail(-1, 2, 0x4281)
        error = fails(errno.EIO, ns.read, 3)
        assert (error.status, error.status_text) == (0x4281, "Unrecovered Read Error"), error.status_text
        assert isinstance(error, OSError) and "Unrecovered Read Error" in str(error)
        assert fails(errno.EINVAL, ns.read, 65536).status == 0
        # a comparison that cannot be made is no difference
        machine.machine_fail(-1, 5, 0x281)
        fails(errno.EIO, ns.compare, 0, bytes(512))
        machine.machine_fail(-1, 2, 0x281)
        request = vfn.Request(vfn.Op.READ, 3, bytearray(512))
        queue.submit(request)
        assert queue.wait() == [request] and (request.error, request.status) == (errno.EIO, 0x281)
        assert fails(errno.EIO, request.check).status == 0x281
        queue.submit(request)
        queue.wait()
        request.check()


@test
def what_makes_no_sense_is_refused():
    with vfn.open(BDF, queues=2) as ns, ns.queue() as queue:
        raises(ValueError, ns.write, 0, bytes(513))
        raises(ValueError, ns.write, -1, bytes(512))
        raises(ValueError, ns.read, 1 << 64)
        raises(ValueError, ns.read, 0, -1)
        fails(errno.EINVAL, ns.write, 0, b"")
        raises(TypeError, ns.write, 0, "text")
        raises(BufferError, ns.read_into, 0, bytes(512))
        raises(BufferError, ns.write, 0, memoryview(bytes(1024))[::2])
        raises(BufferError, queue.submit, vfn.Request(vfn.Op.READ, 0, bytes(512)))
        raises(ValueError, queue.submit, vfn.Request(vfn.Op.READ, 0, bytearray(100)))
        raises(ValueError, queue.submit, vfn.Request(vfn.Op.FLUSH, timeout=-1))
        fails(errno.EINVAL, queue.submit, vfn.Request(vfn.Op.READ, 65536, bytearray(512)))
        fails(errno.EINVAL, queue.cancel, vfn.Request(vfn.Op.FLUSH))
        raises(ValueError, ns.alloc, 0)
        assert len(queue) == 0
    raises(ValueError, vfn.open, BDF, queues=1 << 32)
    for call in (ns.flush, ns.queue, lambda: ns.read(0)):
        raises(ValueError, call)
    ns.close()


@test
def threads_share_a_namespace():
    wrong = []
    with vfn.open(BDF, queues=2) as ns:
        def work(number):
            for i in range(20):
                data = pattern(2048, number + i)
                ns.write(number * 4, data)
                if ns.read(number * 4, 4) != data:
                    wrong.append((number, i))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong, wrong


@test
def queues_tell_event_loops():
    with vfn.open(BDF, queues=2) as ns, ns.queue() as queue:
        fails(errno.ENOTSUP, queue.fileno)
    with vfn.open(BDF, queues=2, flags=vfn.Flags.INTERRUPTS) as ns, ns.queue() as queue, selectors.DefaultSelector() as loop:
        loop.register(queue, selectors.EVENT_READ)
        assert not loop.select(0)
        queue.submit(vfn.Request(vfn.Op.READ, 0, bytearray(512)))
        while not queue.wait(0):
            assert loop.select(10)


@test
def commands_of_ones_own_are_sent():
    identify = struct.pack("<B39xI20x", 6, 1)
    with vfn.open(BDF) as ns:
        ns.write(0, pattern(4096))
        ns.copy(100, 0, 8)
        assert ns.read(100, 8) == pattern(4096)
        data = bytearray(4096)
        assert ns.admin(identify, data) == 0 and data[:2] == b"\x36\x1b"
        data = bytearray(1024)
        ns.cmd(struct.pack("<B3xI32xQHH12x", 2, 1, 100, 1, 0), data)
        assert data == pattern(1024)
        ns.cmd(struct.pack("<B3xI56x", 0, 1))
        assert raises(vfn.Error, ns.cmd, bytes([0x7F]) + bytes(63)).status & 0x7FF == 1
        raises(ValueError, ns.cmd, bytes(63))
        raises(BufferError, ns.admin, identify, bytes(4096))


@test
def arrays_of_numpy_are_data():
    if not importlib.util.find_spec("numpy"):
        return
    import numpy  # pylint: disable=import-outside-toplevel
    with vfn.open(BDF) as ns:
        numbers = numpy.frombuffer(ns.alloc(4096), dtype=numpy.uint32)
        numbers[:] = range(1024)
        ns.write(0, numbers)
        into = numpy.zeros((2, 512), dtype=numpy.uint32)
        ns.read_into(0, into)
        assert (into.reshape(-1) == numbers).all()


@test
def the_manual_quotes_what_runs():
    output, arguments = io.StringIO(), sys.argv
    with contextlib.redirect_stdout(output):
        sys.argv = ["python.py", BDF]
        runpy.run_path(str(SOURCE / "docs/snippets/python.py"))
        sys.argv = arguments
    assert output.getvalue() == "bytearray(b'hello') of 65536 blocks\nb'hello'\n", output.getvalue()
    code = (SOURCE / "docs/snippets/python.py").read_text(encoding="utf-8")
    marks = re.findall(r":(?:start-after|end-before): (.*)", (SOURCE / "docs/python.rst").read_text(encoding="utf-8"))
    assert len(marks) == 6 and all(code.count(mark + "\n") == 1 for mark in marks), marks


@test
def pip_installs_it():
    assert re.search(r'^version = "(.*)"', (SOURCE / "python/pyproject.toml").read_text(encoding="utf-8"), re.M)[1] == \
        re.search(r"^  version: '(.*)'", (SOURCE / "meson.build").read_text(encoding="utf-8"), re.M)[1]
    if not all(map(importlib.util.find_spec, ("pip", "setuptools", "wheel"))):
        return
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(SOURCE / "python", f"{folder}/python", ignore=shutil.ignore_patterns("__pycache__"))
        pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-build-isolation", "--no-deps"]
        done = subprocess.run([*pip, "--target", f"{folder}/there", f"{folder}/python"], check=False, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout
        done = subprocess.run([sys.executable, "-c", "import vfn; print(vfn.__file__)"], stdout=subprocess.PIPE, text=True,
                              check=True, env=os.environ | {"PYTHONPATH": f"{folder}/there"})
        assert done.stdout == f"{folder}/there/vfn/__init__.py\n", done.stdout
        assert pathlib.Path(f"{folder}/there/vfn/py.typed").exists()


@test
def no_rule_was_broken():
    assert machine.machine_stop() == 0


if __name__ == "__main__":
    machine.machine_start()
    sys.exit(run_tests())
