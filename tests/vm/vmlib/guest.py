# SPDX-License-Identifier: GPL-2.0-or-later
"""Boot a guest, have it run cases, and judge what comes back."""

import contextlib
import json
import os
import select
import time

from images import kernel as kernels
from images.progress import say
from vmlib import contents, kernellog, qemu
from vmlib.profile import FEATURES, Case
from vmlib.qmp import QMPError
from vmlib.tap import Parser, Test

BOOT_SECONDS = 180

# Lines of the guest's init; everything between them is output of the case.
READY = "@@ ready"
KERNEL = "@@ kernel"
END = "@@ end"


class GuestGone(Exception):
    """The guest said nothing in time, or its QEMU ended."""


class QemuCrashed(GuestGone):
    """QEMU itself was killed by a signal, which is no fault of what runs in the guest."""


# What start() and a Guest's methods raise when there is no guest to be had.
ERRORS = (GuestGone, QMPError, kernels.KernelError, contents.ContentsError, qemu.QemuError, OSError)


@contextlib.contextmanager
def start(profile, build, output):
    """Make everything that a profile's guest needs and start it; clean up what is no log afterwards."""
    folder = qemu.folder_for(output, profile)
    try:
        kernel = kernels.get(profile.guest["kernel"])
        accel = os.environ.get("VFN_ACCEL") or qemu.accelerator(kernel)
        initramfs = contents.shared(kernel, build, folder.parent)
        say(f"{profile.name}: booting {kernel.name} with {accel}")
        with Guest(profile, kernel, initramfs, accel, folder) as guest:
            yield guest
    finally:
        for image in folder.glob("*.img"):
            image.unlink(missing_ok=True)


def console_tail(folder):
    """The last lines of a guest's console, where a kernel that panics says so."""
    console = folder / "console.log"
    return console.read_text(encoding="utf-8", errors="replace").splitlines()[-20:] if console.exists() else []


class Guest:
    """A running guest: its init takes one line per case and answers with output, kernel log and exit status."""

    def __init__(self, profile, kernel, initramfs, accel, folder):
        self.folder = folder
        self.announced = profile.guest.get("announce", "").strip().splitlines()
        self.partial = {}
        self.listener = lambda text: None
        self.results = open(folder / "results.log", "w", encoding="utf-8")
        self.kernel_log = open(folder / "kernel.log", "w", encoding="utf-8")
        self.qemu = qemu.Qemu(profile, kernel, initramfs, accel, folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.qemu.kill()
        self.results.close()
        self.kernel_log.close()

    def boot(self):
        """Wait until the guest takes cases; return the complaints of its kernel so far."""
        log, _ = self.conversation(READY, time.monotonic() + BOOT_SECONDS)
        return kernellog.complaints(log, self.announced, booting=True)

    def execute(self, case):
        """Have the guest run a case; return its exit status and what is wrong with the kernel's log."""
        deadline = time.monotonic() + case.timeout
        line = f"{case.name}\t{','.join(case.bind) or '-'}\t{case.run}\n"
        self.qemu.results.sendall(line.encode())
        log, status = self.conversation(END, deadline)
        bad = kernellog.complaints(log, self.announced + case.announce)
        bad += [f"announced, but did not come: {pattern}" for pattern in kernellog.missing(log, case.announce)]
        return int(status), bad

    def run(self, case):
        """Run one case; return its tests, and what it has to say for the table."""
        parser = Parser()
        self.listener = parser.line
        status, bad = self.execute(case)
        parser.finish(status)
        if bad:
            parser.tests.append(Test("the kernel says what was announced and nothing else", False, bad))
        return parser.tests, "; ".join(parser.notes)

    def features(self, expected):
        """Find out which features the guest lacks; return them, and a test of whether it is those that were expected."""
        told = []
        self.listener = told.append
        status, bad = self.execute(Case("features", "features.sh"))
        lacks = [feature for feature in FEATURES if f"lacks {feature}" in told]
        if status or len([line for line in told if line.split(" ")[0] in ("has", "lacks")]) != len(FEATURES):
            bad += [f"exit status {status}", *told]
        if expected is not None and set(lacks) != set(expected):
            bad.append(f"expected to lack: {' '.join(expected) or 'nothing'}; does lack: {' '.join(lacks) or 'nothing'}")
        return lacks, Test("it lacks what its profile says and nothing else", not bad, bad)

    def conversation(self, last, deadline):
        """Read what the guest says up to a line that starts with last, and answer its requests meanwhile.

        The kernel's log is returned, with the rest of that last line; the listener gets everything else.
        """
        log, in_log = [], False
        for text in self.lines(deadline):
            if text.startswith(last):
                return log, text[len(last):].strip()
            if text.startswith(KERNEL):
                in_log = True
            elif in_log:
                log.append(text)
                print(text, file=self.kernel_log, flush=True)
            else:
                self.listener(text)
        raise GuestGone("no end")

    def lines(self, deadline):
        """Yield the lines of the results channel; raise GuestGone at the deadline."""
        results, requests = self.qemu.results, self.qemu.requests
        while True:
            left = deadline - time.monotonic()
            ready = select.select([results, requests], [], [], left)[0] if left > 0 else []
            if not ready:
                raise GuestGone("time is up")
            if requests in ready:
                for text in self.received(requests):
                    requests.sendall((json.dumps(self.answer(text)) + "\n").encode())
            if results in ready:
                for text in self.received(results):
                    print(text, file=self.results, flush=True)
                    yield text

    def received(self, channel):
        """The complete lines that a channel has."""
        try:
            data = channel.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        if not data:
            status = self.qemu.process.wait(10)
            if status < 0:
                raise QemuCrashed(f"QEMU died of signal {-status}")
            raise GuestGone(f"the guest went down (QEMU's exit status is {status}), see its console.log")
        *lines, self.partial[channel] = (self.partial.get(channel, b"") + data).split(b"\n")
        return [line.decode(errors="replace").rstrip("\r") for line in lines]

    def answer(self, text):
        """Do what a program of the guest asks for: a QMP command, or a question to the runner itself."""
        try:
            request = json.loads(text)
            if request.get("execute") == "vfn-trace-count":
                return {"return": self.qemu.trace_count(request["arguments"]["text"])}
            if request.get("execute") == "vfn-event-count":
                return {"return": self.qemu.qmp.event_count(request["arguments"]["name"])}
            if request.get("execute") == "vfn-seconds":
                return {"return": int(time.monotonic())}
            if request.get("execute") == "vfn-read":
                return {"return": self.qemu.read_image(**request["arguments"]).hex()}
            if request.get("execute") == "vfn-save":
                return self.qemu.save_memory(**request["arguments"])
            return self.qemu.qmp.execute(request)
        except (ValueError, KeyError, TypeError, AttributeError, OSError, QMPError) as error:
            return {"error": {"desc": f"{type(error).__name__}: {error}"}}
