# SPDX-License-Identifier: GPL-2.0-or-later
"""Boot a guest, have it run cases, and judge what comes back."""

import json
import select
import time

from vmlib import kernellog
from vmlib.qemu import Qemu
from vmlib.qmp import QMPError
from vmlib.tap import Parser, Test

BOOT_SECONDS = 180

# Lines of the guest's init; everything between them is output of the case.
READY = "@@ ready"
KERNEL = "@@ kernel"
END = "@@ end"


class GuestGone(Exception):
    """The guest said nothing in time, or its QEMU ended."""


class Guest:
    """A running guest: its init takes one line per case and answers with output, kernel log and exit status."""

    def __init__(self, profile, kernel, initramfs, accel, folder):
        self.folder = folder
        self.announced = profile.guest.get("announce", "").strip().splitlines()
        self.partial = {}
        self.listener = None
        self.results = open(folder / "results.log", "w", encoding="utf-8")
        self.kernel_log = open(folder / "kernel.log", "w", encoding="utf-8")
        self.qemu = Qemu(profile, kernel, initramfs, accel, folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.qemu.kill()
        self.results.close()
        self.kernel_log.close()

    def boot(self):
        """Wait until the guest takes cases; return the complaints of its kernel so far."""
        _, log, _ = self.conversation(READY, time.monotonic() + BOOT_SECONDS)
        return kernellog.complaints(log, self.announced, booting=True)

    def run(self, case):
        """Run one case; return its tests."""
        deadline = time.monotonic() + case.timeout
        line = f"{case.name}\t{','.join(case.bind) or '-'}\t{case.run}\n"
        self.qemu.results.sendall(line.encode())
        parser = Parser()
        try:
            output, log, status = self.conversation(END, deadline)
        except GuestGone as gone:
            return [Test(f"{case.name}: {gone}", False, [])], False
        for text in output:
            parser.line(text)
        parser.finish(int(status))
        bad = kernellog.complaints(log, self.announced + case.announce)
        if bad:
            parser.tests.append(Test("the kernel has nothing to complain of", False, bad))
        return parser.tests, True

    def conversation(self, last, deadline):
        """Read what the guest says up to a line that starts with last, and answer its requests meanwhile."""
        output, log, into = [], [], None
        for text in self.lines(deadline):
            if text.startswith(last):
                return output, log, text[len(last):].strip()
            if text.startswith(KERNEL):
                into = log
            elif into is log:
                log.append(text)
                print(text, file=self.kernel_log, flush=True)
            else:
                output.append(text)
                if self.listener:
                    self.listener(text)
        raise GuestGone("no end")

    def lines(self, deadline):
        """Yield the lines of the results channel; raise GuestGone at the deadline."""
        results, requests = self.qemu.results, self.qemu.requests
        while True:
            left = deadline - time.monotonic()
            ready = select.select([results, requests], [], [], left)[0] if left > 0 else []
            if not ready:
                raise GuestGone("time is up" if self.qemu.process.poll() is None else "QEMU ended")
            if requests in ready:
                for text in self.received(requests):
                    requests.sendall((json.dumps(self.answer(text)) + "\n").encode())
            if results in ready:
                for text in self.received(results):
                    print(text, file=self.results, flush=True)
                    yield text

    def received(self, channel):
        """The complete lines that a channel has."""
        data = channel.recv(1 << 16)
        if not data:
            raise GuestGone("QEMU ended")
        *lines, self.partial[channel] = (self.partial.get(channel, b"") + data).split(b"\n")
        return [line.decode(errors="replace").rstrip("\r") for line in lines]

    def answer(self, text):
        """Do what a program of the guest asks for: a QMP command, or a question to the runner itself."""
        try:
            request = json.loads(text)
            if request.get("execute") == "vfn-trace-count":
                return {"return": self.qemu.trace_count(request["arguments"]["text"])}
            return self.qemu.qmp.execute(request)
        except (ValueError, KeyError, AttributeError, QMPError) as error:
            return {"error": {"desc": f"{type(error).__name__}: {error}"}}
