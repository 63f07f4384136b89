# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
"""NVMe namespaces from user space: blocks are read and written by libvfn, without the kernel's driver.

    import vfn

    with vfn.open("0000:01:00.0") as ns:
        ns.write(0, b"hello".ljust(ns.info.block_size, b"\\0"))
        print(ns.read(0, 1)[:5])

Data is anything with the buffer protocol: bytes, bytearray, memoryview, array, mmap, arrays of numpy. That of alloc() and
register() is transferred from and to where it is; other data the library copies.
"""

import contextlib
import ctypes
import enum
import errno
import mmap
import os
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Optional, Set, Union

from vfn import _library
from vfn._library import lib

__all__ = ["Error", "Features", "Flags", "Info", "Namespace", "Op", "Queue", "Request", "open"]

# What has the buffer protocol, which has no type before Python 3.12.
Buffer = Any

PYBUF_SIMPLE, PYBUF_WRITABLE = 0, 1

# Requests, queues and namespaces know each other.
# pylint: disable=protected-access

MS, NS = 1000, 1000000000

# Type 2h, code 85h (NVM Command Set Specification 1.0, section 3.2.1).
COMPARE_FAILURE = 0x285

# Of an opcode, whose two low bits say where data goes.
FROM_CONTROLLER = 2


class Error(OSError):
    """What the library says of a failure: errno, strerror, and the status of the NVMe command that has failed, or 0."""

    def __init__(self, number: int, text: str, status: int = 0) -> None:
        super().__init__(number, text)
        self.status = status

    @property
    def status_text(self) -> str:
        """What the status means."""
        return _status_text(self.status)


class Flags(enum.IntFlag):
    """How to open a namespace: see enum vfn_blk_flags."""
    RDONLY = 1 << 0
    EXACT = 1 << 1
    TRY = 1 << 2
    SGL = 1 << 3
    NO_FALLBACK = 1 << 4
    INTERRUPTS = 1 << 5


class Features(enum.IntFlag):
    """What a namespace and its controller can do: see enum vfn_blk_features."""
    RDONLY = 1 << 0
    WRITE_CACHE = 1 << 1
    COMPARE = 1 << 2
    DISCARD = 1 << 3
    WRITE_ZEROES = 1 << 4
    VERIFY = 1 << 5
    COPY = 1 << 6


class Op(enum.IntEnum):
    """What a request does: see enum vfn_blk_op. Commands of one's own are calls of Namespace."""
    READ = 0
    WRITE = 1
    COMPARE = 2
    FLUSH = 3
    DISCARD = 4
    WRITE_ZEROES = 5
    VERIFY = 6


@dataclass(frozen=True)
class Info:  # pylint: disable=too-many-instance-attributes
    """A namespace that is open: see struct vfn_blk_info."""
    bdf: str
    nsid: int
    block_size: int
    nblocks: int
    max_blocks: int
    boundary: int
    queues: int
    depth: int
    features: Features
    vendor: int
    serial: str
    model: str
    firmware: str
    nguid: bytes
    eui64: bytes
    zone_size: int
    max_append: int


def _status_text(status: int) -> str:
    text: bytes = lib.vfn_nvme_status_text(status)
    return text.decode()


def _fail() -> Error:
    """What the call that has just failed has to say."""
    number = ctypes.get_errno()
    text = lib.vfn_last_error().decode(errors="replace") or os.strerror(number)
    return Error(number, text, lib.vfn_blk_last_status())


def _check(result: int) -> int:
    if result < 0:
        raise _fail()
    return result


class _Memory:
    """The memory of an object, which stays where it is until release()."""

    def __init__(self, data: Buffer, writable: bool) -> None:
        self._view = _library.PyBuffer()
        _library.get_buffer(data, self._view, PYBUF_WRITABLE if writable else PYBUF_SIMPLE)
        self.address: int = self._view.buf or 0
        self.len: int = self._view.len

    def release(self) -> None:
        """Let the object go."""
        _library.release_buffer(self._view)

    def blocks(self, size: int) -> int:
        """How many blocks it is."""
        if self.len % size:
            raise ValueError(f"{self.len} bytes are no number of blocks of {size}")
        return self.len // size


@contextlib.contextmanager
def _memory(data: Buffer, writable: bool = False) -> Iterator[_Memory]:
    memory = _Memory(data, writable)
    try:
        yield memory
    finally:
        memory.release()


class Request:  # pylint: disable=too-many-instance-attributes
    """A request for Queue.submit(). When it has been handed out it may be submitted again.

    op, lba, nlb, data, fua (past the write cache) and timeout (in seconds, None for that of the namespace) are its own, as
    is anything else that one sets. Where data is given, nlb is as many blocks as that has. error is 0 or an errno then,
    status that of the command that has failed.
    """

    def __init__(self, op: Op, lba: int = 0, data: Optional[Buffer] = None, *, nlb: int = 0, fua: bool = False,
                 timeout: Optional[float] = None) -> None:
        self.op, self.lba, self.nlb, self.data, self.fua, self.timeout = op, lba, nlb, data, fua, timeout
        self._req = _library.Req()
        self._memory: Optional[_Memory] = None

    @property
    def error(self) -> int:
        """0, or an errno."""
        return int(self._req.error)

    @property
    def status(self) -> int:
        """Status of the command that has failed, or 0."""
        return int(self._req.status)

    def check(self) -> None:
        """Raise what went wrong."""
        if self.error:
            text = _status_text(self.status) if self.status else os.strerror(self.error)
            raise Error(self.error, f"{self.op.name} of {self._req.nlb} blocks from {self.lba} on: {text}", self.status)

    def _prepare(self, block_size: int) -> None:
        """Fill in what the library sees."""
        _positive(lba=self.lba, nlb=self.nlb)
        self._req.op, self._req.flags = self.op, int(self.fua)
        self._req.lba, self._req.nlb = self.lba, self.nlb
        self._req.timeout_ms = _milliseconds(self.timeout)
        self._req.buf = None
        if self.data is not None:
            self._memory = _Memory(self.data, self.op == Op.READ)
            self._req.buf = self._memory.address
            try:
                self._req.nlb = self._memory.blocks(block_size)
            except ValueError:
                self._release()
                raise

    def _release(self) -> None:
        if self._memory:
            self._memory.release()
            self._memory = None


class Queue:
    """Requests that do not wait, on a queue of one's own: one thread at a time. close() waits for what is in it."""

    def __init__(self, namespace: "Namespace") -> None:
        self._namespace = namespace
        self._queue = lib.vfn_blk_get_queue(namespace._handle())
        if not self._queue:
            raise _fail()
        self._out: Dict[int, Request] = {}
        namespace._queues.add(self)

    def __enter__(self) -> "Queue":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """How many requests were submitted and not handed out."""
        return len(self._out)

    def _handle(self) -> int:
        if not self._queue:
            raise ValueError("the queue is closed")
        return int(self._queue)

    def submit(self, request: Request) -> None:
        """Put a request into the queue; its data must not move until it is handed out, and so cannot."""
        queue = self._handle()
        address = ctypes.addressof(request._req)
        if request._memory or address in self._out:
            raise Error(errno.EBUSY, "the request is submitted already")
        request._prepare(self._namespace.info.block_size)
        if lib.vfn_blk_submit(queue, request._req) < 0:
            failure = _fail()
            request._release()
            raise failure
        self._out[address] = request

    def wait(self, at_least: int = 1, at_most: Optional[int] = None, timeout: Optional[float] = None) -> List[Request]:
        """Hand out requests that have ended, with or without an error: at_least so many, unless the time is up (in seconds,
        None for never), which raises an Error of ETIMEDOUT if there is none at all. 0 looks."""
        queue = self._handle()
        most = max(at_least, len(self._out), 1) if at_most is None else at_most
        done = (ctypes.c_void_p * max(most, 0))()
        limit = -1 if timeout is None else int(timeout * NS)
        found = []
        for i in range(_check(lib.vfn_blk_wait(queue, done, at_least, most, limit))):
            request = self._out.pop(done[i] or 0)
            request._release()
            found.append(request)
        return found

    def fileno(self) -> int:
        """For selectors and their kin, with Flags.INTERRUPTS: readable when wait(0) may have something to hand out.

        That look is also what tells the controller of what was submitted, so it comes before one sleeps, too.
        """
        return _check(lib.vfn_blk_event_fd(self._handle()))

    def cancel(self, request: Request) -> None:
        """Call a request off. It is handed out like any other, with an error of ECANCELED if it was not too late."""
        self._handle()
        _check(lib.vfn_blk_cancel(request._req))

    def close(self) -> None:
        """Wait for all requests, and give the queue back."""
        if not self._queue:
            return
        while self._out:
            self.wait(len(self._out))
        _check(lib.vfn_blk_put_queue(self._queue))
        self._queue = None
        self._namespace._queues.discard(self)


class Namespace:
    """A namespace that is open. Any thread may call; while one waits, the others go on. Lengths are of blocks, but for
    pread() and pwrite(). Failures are Errors, data of a wrong length or type ValueErrors, TypeErrors and BufferErrors."""

    def __init__(self, name: str, *, queues: int = 0, depth: int = 0, timeout: Optional[float] = None,
                 flags: Union[Flags, int] = 0, quirks: int = 0) -> None:
        _positive(32, queues=queues, depth=depth, flags=flags, quirks=quirks)
        opts = _library.Opts(queues, depth, _milliseconds(timeout), quirks, flags)
        blk = ctypes.c_void_p()
        self._blk: Optional[int] = None
        self._queues: Set[Queue] = set()
        self._pinned: Dict[int, _Memory] = {}
        _check(lib.vfn_blk_open(blk, name.encode(), opts))
        self._blk = blk.value
        self.info = self._get_info()
        _open_ones.add(self)

    def __enter__(self) -> "Namespace":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<vfn.Namespace {self.info.bdf}/{self.info.nsid}{'' if self._blk else ', closed'}>"

    def _handle(self) -> int:
        if not self._blk:
            raise ValueError("the namespace is closed")
        return self._blk

    def _get_info(self) -> Info:
        raw = _library.Info()
        lib.vfn_blk_get_info(self._blk, raw)
        texts = {name: getattr(raw, name).decode("ascii") for name in ("bdf", "serial", "model", "firmware")}
        numbers = {name: getattr(raw, name) for name in ("nsid", "block_size", "nblocks", "max_blocks", "boundary", "queues",
                                                         "depth", "vendor", "zone_size", "max_append")}
        return Info(**texts, **numbers, features=Features(raw.features), nguid=bytes(raw.nguid), eui64=bytes(raw.eui64))

    def close(self) -> None:
        """Close its queues, waiting for what is in them, and then the namespace. Memory of alloc() stays for as long as
        somebody has it. No other thread is in a call."""
        if not self._blk:
            return
        for queue in list(self._queues):
            queue.close()
        _check(lib.vfn_blk_close(self._blk))
        self._blk = None
        _open_ones.discard(self)
        for memory in self._pinned.values():
            memory.release()
        self._pinned.clear()

    def alloc(self, length: int) -> memoryview:
        """Zeroed memory of so many bytes that the controller reaches, at the start of a page, until free() or close()."""
        if length <= 0:
            raise ValueError(f"no memory of {length} bytes")
        pages = mmap.mmap(-1, length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        # the child of a fork() would copy what the controller writes
        pages.madvise(mmap.MADV_DONTFORK)
        view = memoryview(pages)
        self.register(view)
        return view

    def free(self, view: memoryview) -> None:
        """Undo alloc(). The memory goes when nobody has it any more."""
        self.unregister(view)

    def register(self, data: Buffer) -> None:
        """Let the controller reach the memory of an object, which cannot move or end, until unregister() or close()."""
        memory = _Memory(data, False)
        try:
            if memory.address in self._pinned:
                raise Error(errno.EEXIST, "registered already")
            _check(lib.vfn_blk_register(self._handle(), memory.address, memory.len))
        except BaseException:
            memory.release()
            raise
        self._pinned[memory.address] = memory

    def unregister(self, data: Buffer) -> None:
        """Undo register(). No request uses the memory."""
        with _memory(data) as memory:
            _check(lib.vfn_blk_unregister(self._handle(), memory.address))
            self._pinned.pop(memory.address).release()

    def queue(self) -> Queue:
        """A queue for oneself. One of the namespace's always stays for the calls below."""
        return Queue(self)

    def read(self, lba: int, nlb: int = 1) -> bytearray:
        """Read blocks."""
        _positive(lba=lba, nlb=nlb)
        data = bytearray(nlb * self.info.block_size)
        self.read_into(lba, data)
        return data

    def read_into(self, lba: int, data: Buffer) -> None:
        """Read as many blocks as there is room for."""
        self._transfer(lib.vfn_blk_read, lba, data, True)

    def write(self, lba: int, data: Buffer) -> None:
        """Write blocks."""
        self._transfer(lib.vfn_blk_write, lba, data)

    def compare(self, lba: int, data: Buffer) -> bool:
        """Whether the blocks have this data, by the controller."""
        try:
            self._transfer(lib.vfn_blk_compare, lba, data)
        except Error as error:
            if error.status & 0x7FF == COMPARE_FAILURE:
                return False
            raise
        return True

    def flush(self) -> None:
        """Make what was written safe."""
        _check(lib.vfn_blk_flush(self._handle()))

    def discard(self, lba: int, nlb: int) -> None:
        """Tell the controller that blocks are not needed any more."""
        self._blocks(lib.vfn_blk_discard, lba, nlb)

    def write_zeroes(self, lba: int, nlb: int) -> None:
        """Write zeroes."""
        self._blocks(lib.vfn_blk_write_zeroes, lba, nlb)

    def verify(self, lba: int, nlb: int) -> None:
        """Let the controller read blocks, and see whether it can."""
        self._blocks(lib.vfn_blk_verify, lba, nlb)

    def copy(self, target: int, source: int, nlb: int) -> None:
        """Copy blocks to blocks from target on."""
        _positive(target=target, source=source, nlb=nlb)
        _check(lib.vfn_blk_copy(self._handle(), target, source, nlb))

    def cmd(self, command: bytes, data: Optional[Buffer] = None) -> int:
        """Send an I/O command, 64 bytes in which identifier and data pointer are the library's, and wait for it; returns
        dwords 0 and 1 of its completion. Its opcode says whether it reads the data, or writes it."""
        return self._command(lib.vfn_blk_cmd, command, data)

    def admin(self, command: bytes, data: Optional[Buffer] = None) -> int:
        """Send an admin command, as cmd() does."""
        return self._command(lib.vfn_blk_admin, command, data)

    def pread(self, length: int, offset: int) -> bytearray:
        """Read bytes, as os.pread() does."""
        _positive(length=length, offset=offset)
        data = bytearray(length)
        with _memory(data, True) as memory:
            _check(lib.vfn_blk_pread(self._handle(), memory.address, memory.len, offset))
        return data

    def pwrite(self, data: Buffer, offset: int) -> None:
        """Write bytes, as os.pwrite() does, but all of them. Blocks that are written in part are read before."""
        _positive(offset=offset)
        with _memory(data) as memory:
            _check(lib.vfn_blk_pwrite(self._handle(), memory.address, memory.len, offset))

    def _transfer(self, function: Any, lba: int, data: Buffer, writable: bool = False) -> None:
        _positive(lba=lba)
        with _memory(data, writable) as memory:
            _check(function(self._handle(), memory.address, lba, memory.blocks(self.info.block_size)))

    def _command(self, function: Any, command: bytes, data: Optional[Buffer]) -> int:
        if len(command) != 64:
            raise ValueError(f"a command of {len(command)} bytes")
        result = ctypes.c_uint64()
        with _memory(b"" if data is None else data, data is not None and bool(command[0] & FROM_CONTROLLER)) as memory:
            address = None if data is None else memory.address
            _check(function(self._handle(), bytes(command), address, memory.len, result))
        return result.value

    def _blocks(self, function: Any, lba: int, nlb: int) -> None:
        _positive(lba=lba, nlb=nlb)
        _check(function(self._handle(), lba, nlb))


# Whoever forgets to close one has it open to the end of the program, and a controller that writes to memory has memory to
# write to.
_open_ones: Set[Namespace] = set()


def _positive(bits: int = 64, **numbers: int) -> None:
    """ctypes would cut them to what the library takes."""
    for name, number in numbers.items():
        if not 0 <= number < 1 << bits:
            raise ValueError(f"{name} is {number}")


def _milliseconds(seconds: Optional[float]) -> int:
    """A limit as the library has it: 0 is the default there, so what is shorter than one is one."""
    if seconds is None:
        return 0
    if not 0 < seconds * MS < 1 << 32:
        raise ValueError(f"a limit of {seconds} s")
    return max(1, int(seconds * MS))


def open(name: str, *, queues: int = 0, depth: int = 0, timeout: Optional[float] = None,  # pylint: disable=redefined-builtin
         flags: Union[Flags, int] = 0, quirks: int = 0) -> Namespace:
    """Open a namespace by [DDDD:]BB:DD.F[/NSID]: the first one of the controller, if no NSID is given.

    queues and depth (entries of each) are defaults if 0, as is timeout (of a request, in seconds) if None.
    """
    return Namespace(name, queues=queues, depth=depth, timeout=timeout, flags=flags, quirks=quirks)
