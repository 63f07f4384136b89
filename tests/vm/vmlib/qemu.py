# SPDX-License-Identifier: GPL-2.0-or-later
"""Make QEMU's command line, start it and end it."""

import json
import os
import pathlib
import platform
import re
import shutil
import socket
import subprocess
import tempfile

from images.cache import cache_dir, locked
from images.initramfs import libraries
from images.kernel import tool
from images.progress import say
from vmlib.qmp import QMP, QMPError

PROGRAM = "qemu-system-x86_64"
PROBE_SECONDS = 20


class QemuError(Exception):
    """QEMU cannot be started, or went away."""


class Qemu:
    """One QEMU with three channels: the monitor, the guest's results and its requests."""

    def __init__(self, profile, kernel, initramfs, accel, folder):
        self.folder = folder
        self.log = open(folder / "qemu.log", "wb")
        ours, theirs = zip(*(socket.socketpair() for _ in range(3)))
        monitor, self.results, self.requests = ours
        fds = [sock.fileno() for sock in theirs]
        command = command_line(profile, kernel, initramfs, accel, folder, fds)
        (folder / "qemu.cmd").write_text(" \\\n  ".join(map(str, command)) + "\n", encoding="utf-8")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        pass_fds=fds)
        for sock in theirs:
            sock.close()
        try:
            self.qmp = QMP(monitor)
        except QMPError as error:
            self.kill()
            raise QemuError((folder / "qemu.log").read_text(errors="replace").strip() or str(error)) from error

    def kill(self):
        """End QEMU, whatever it is doing."""
        self.process.kill()
        self.process.wait()
        self.log.close()

    def trace_count(self, text):
        """How many lines of the trace log, which has the events that were switched on, start with this expression."""
        with open(self.folder / "trace.log", "rb") as trace:
            return sum(bool(re.match(text.encode(), line)) for line in trace)

    def read_image(self, name, offset, length):
        """The bytes that a drive or a memory of the profile has, as this host sees them."""
        with open(self.folder / f"{name}.img", "rb") as image:
            image.seek(offset)
            return image.read(length)

    def save_memory(self, name, address, length):
        """Put what the machine has at a physical address, which may be a device's, into a file like those of drives."""
        return self.qmp.execute({"execute": "pmemsave", "arguments": {
            "val": address, "size": length, "filename": str(self.folder / f"{name}.img")}})


# With a thread for each CPU, QEMU 7.2 now and then crashes when a device's registers are unmapped by one of them.
ACCELERATORS = {"tcg": "tcg,thread=single"}


def command_line(profile, kernel, initramfs, accel, folder, fds):
    """The arguments of QEMU for a profile."""
    monitor, results, requests = fds
    guest = profile.guest
    # What the kernel does not know itself ends up in init's environment.
    append = ["console=ttyS0", "panic=-1", "loglevel=4", guest["append"], guest["environment"],
              os.environ.get("GUEST_ENV", "")]
    append += [f"BDF_{name.upper()}={address}" for name, address in profile.addresses.items()]
    command = [
        # a runner that is killed takes its guests along
        "setpriv", "--pdeathsig", "KILL", PROGRAM, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
        "-name", profile.name, "-machine", guest["machine"], "-accel", ACCELERATORS.get(accel, accel),
        "-cpu", guest["cpu"],
        "-smp", guest["cpus"], "-m", guest["memory"],
        "-kernel", kernel.image, "-initrd", initramfs, "-append", " ".join(append),
        "-chardev", f"file,id=console,path={folder}/console.log", "-serial", "chardev:console",
        "-chardev", f"socket,id=monitor,fd={monitor}", "-mon", "chardev=monitor,mode=control",
        "-D", folder / "trace.log",
        "-device", guest["iommu"],
        "-device", "virtio-serial-pci",
        "-chardev", f"socket,id=results,fd={results}", "-device", "virtserialport,chardev=results,name=vfn.results",
        "-chardev", f"socket,id=requests,fd={requests}", "-device", "virtserialport,chardev=requests,name=vfn.requests",
    ]
    for word in guest.get("globals", "").split():
        command += ["-global", word]
    for name, options in profile.drives.items():
        make_drive(folder / f"{name}.img", options)
        command += ["-blockdev", f"driver=raw,node-name={name},discard=unmap,cache.no-flush=on,"
                                 + protocol(folder / f"{name}.img", options.get("errors", ""))]
    for name, options in profile.memories.items():
        make_drive(folder / f"{name}.img", options)
        command += ["-object", f"memory-backend-file,id={name},share=on,size={options['mib']}M,"
                               f"mem-path={folder}/{name}.img"]
    for device in profile.devices:
        command += ["-device", device]
    return command


def protocol(path, errors):
    """The options of a drive's file, with errors where it has some: each is "KIND SECTOR ERRNO", as in "read 16384 5"."""
    image = "file.image." if errors else "file."
    options = [f"{image}driver=file,{image}filename={path},{image}locking=off"]
    options += ["file.driver=blkdebug"] * bool(errors)
    for number, error in enumerate(filter(None, map(str.split, errors.splitlines()))):
        fields = zip(("event", "iotype", "sector", "errno"), ("none", *error))
        options += [f"file.inject-error.{number}.{field}={value}" for field, value in fields]
    return ",".join(options)


def make_drive(path, options):
    """Make an empty file of this size, or one with a file system, which may have programs of the host's in it."""
    path.unlink(missing_ok=True)
    with open(path, "wb") as file:
        os.truncate(file.fileno(), int(options["mib"]) << 20)
    if "filesystem" not in options:
        return
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        for name in options.get("programs", "").split():
            program = shutil.which(name)
            if not program:
                raise QemuError(f"{name} is not installed: run ci/install-deps {name}")
            for file in [program, *libraries(program)]:
                shutil.copy(file, folder)
        subprocess.run([tool(f"mkfs.{options['filesystem']}"), "-q", "-d", folder, path], check=True)


def accelerator(kernel):
    """KVM if it really runs a kernel here, else TCG: /dev/kvm may well exist and do nothing."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    version = subprocess.run([PROGRAM, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout
    machine = f"{platform.node()} {platform.release()} {version.splitlines()[0]}"
    path = cache_dir() / "accelerator.json"
    with locked(path.with_suffix(".lock")):
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if machine not in known:
            say(f"probing KVM with a boot (up to {PROBE_SECONDS} s, once)")
            known = {machine: "kvm" if kvm_works(kernel) else "tcg"}
            say(f"using {known[machine]}")
            path.write_text(json.dumps(known), encoding="utf-8")
    return known[machine]


def kvm_works(kernel):
    """Boot a kernel without a root file system under KVM: it panics, and QEMU ends, if it runs at all."""
    command = [PROGRAM, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-accel", "kvm",
               "-machine", "q35", "-cpu", "host", "-m", "256M", "-kernel", kernel.image, "-append", "panic=-1 quiet"]
    try:
        done = subprocess.run(command, check=False, timeout=PROBE_SECONDS, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def check_installed():
    """Complain early if there is no QEMU."""
    for program in (PROGRAM, "setpriv"):
        if not shutil.which(program):
            raise QemuError(f"{program} is not installed: run ci/install-deps vm")


def folder_for(output, profile):
    """An empty folder for the logs of a guest."""
    folder = pathlib.Path(output) / profile.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder.resolve()
