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
        # Two, as writing to a file in text mode drops what was read ahead: an event behind the last reply.
        self.incoming = sock.makefile("r", encoding="utf-8", newline="\n")
        self.outgoing = sock.makefile("w", encoding="utf-8", newline="\n")
        self.receive()
        self.execute({"execute": "qmp_capabilities"})

    def receive(self):
        """Return the next message."""
        try:
            line = self.incoming.readline()
        except OSError as error:
            raise QMPError(f"no answer from QEMU: {error}") from error
        if not line:
            raise QMPError("QEMU closed the monitor")
        return json.loads(line)

    def execute(self, command):
        """Send one command, keep the names of events, return the reply with its "return" or "error"."""
        try:
            self.outgoing.write(json.dumps(command) + "\n")
            self.outgoing.flush()
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
