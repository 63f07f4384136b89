# SPDX-License-Identifier: GPL-2.0-or-later
"""Speak QEMU's machine protocol."""

import json


class QMPError(Exception):
    """QEMU is gone or answered something that is no answer."""


class QMP:
    """A connection to the monitor of one QEMU."""

    def __init__(self, sock):
        sock.settimeout(30)
        self.events = []
        self.file = sock.makefile("rw", encoding="utf-8", newline="\n")
        self.receive()
        self.execute({"execute": "qmp_capabilities"})

    def receive(self):
        """Return the next message."""
        try:
            line = self.file.readline()
        except OSError as error:
            raise QMPError(f"no answer from QEMU: {error}") from error
        if not line:
            raise QMPError("QEMU closed the monitor")
        return json.loads(line)

    def execute(self, command):
        """Send one command, keep the names of events, return the reply with its "return" or "error"."""
        try:
            self.file.write(json.dumps(command) + "\n")
            self.file.flush()
        except OSError as error:
            raise QMPError(f"cannot reach QEMU: {error}") from error
        while True:
            message = self.receive()
            if "return" in message or "error" in message:
                return message
            self.events.append(message.get("event"))

    def event_count(self, name):
        """How often an event has come so far."""
        self.execute({"execute": "query-status"})
        return self.events.count(name)
