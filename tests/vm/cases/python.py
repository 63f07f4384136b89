#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The Python package on a real kernel: what it writes is what the kernel's driver reads, and the other way round."""

import errno
import glob
import mmap
import os
import sys

from tap import run_tests, test
import vfn

BDF = os.environ["BDF_A"]
LENGTH = 1 << 20


def disk(nsid):
    """The block device that the kernel has for a namespace, by the other controller."""
    for path in glob.glob(f"/sys/bus/pci/devices/{os.environ['BDF_B']}/nvme/nvme*/nvme*n*"):
        with open(f"{path}/nsid", encoding="utf-8") as file:
            if int(file.read()) == nsid:
                return os.open(f"/dev/{os.path.basename(path)}", os.O_RDWR | os.O_DIRECT)
    raise AssertionError(f"no block device of namespace {nsid}")


def kernel(nsid, data=None):
    """Read the first bytes of a namespace, or write them, past the page cache."""
    file = disk(nsid)
    with mmap.mmap(-1, LENGTH) as pages:
        if data:
            pages[:] = data
            assert os.pwritev(file, [pages], 0) == LENGTH
        assert os.preadv(file, [pages], 0) == LENGTH
        os.close(file)
        return pages[:]


@test
def writes_reads_and_comparisons_are_right():
    for nsid in (1, 2):
        with vfn.open(f"{BDF}/{nsid}") as ns:
            size = ns.info.block_size
            assert (ns.info.bdf, ns.info.nsid, size * ns.info.nblocks) == (BDF, nsid, 64 << 20)
            assert (ns.info.serial, ns.info.model) == ("vfn-main", "QEMU NVMe Ctrl"), ns.info
            data = os.urandom(LENGTH)
            mine = ns.alloc(LENGTH)
            mine[:] = data
            ns.write(0, mine)
            ns.flush()
            assert kernel(nsid) == data
            data = os.urandom(LENGTH)
            kernel(nsid, data)
            assert ns.read(0, LENGTH // size) == data and ns.compare(0, data) and ns.compare(1, data[size:])
            assert not ns.compare(1, data)
            ns.pwrite(b"anywhere", 12345)
            assert kernel(nsid) == data[:12345] + b"anywhere" + data[12353:] and ns.pread(8, 12345) == b"anywhere"
            ns.write_zeroes(0, LENGTH // size)
            assert kernel(nsid) == bytes(LENGTH)


@test
def many_requests_are_on_their_way():
    with vfn.open(BDF, queues=2) as ns, ns.queue() as queue:
        data = os.urandom(LENGTH)
        memory = ns.alloc(LENGTH)
        memory[:] = data
        requests = [vfn.Request(vfn.Op.WRITE, place // 512, memory[place:place + 4096]) for place in range(0, LENGTH, 4096)]
        for request in requests:
            queue.submit(request)
        assert set(queue.wait(len(requests))) == set(requests)
        for request in requests:
            request.check()
        assert kernel(1) == data


@test
def failures_have_names():
    with vfn.open(BDF) as ns:
        try:
            ns.write(ns.info.nblocks, bytes(512))
            assert False, "written behind the end"
        except vfn.Error as error:
            assert error.errno == errno.EINVAL and error.status == 0, error
    try:
        vfn.open(os.environ["BDF_B"])
        assert False, "opened what the kernel has"
    except OSError as error:
        assert error.errno == errno.EBUSY and "is bound to nvme" in str(error), error


if __name__ == "__main__":
    sys.exit(run_tests())
