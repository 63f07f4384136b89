#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""See that the library keeps what docs/guarantees.rst promises about what it never does.

usage: promises.py SOURCE ARCHIVE

ARCHIVE is the static library.
"""

import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# pylint: disable=wrong-import-position
from tap import run_tests, test

# W17: who calls them is a program. The allocators that do not fail are for programs, and say so.
ENDS_THE_PROCESS = {"exit", "_exit", "_Exit", "quick_exit", "abort", "__assert_fail", "__assert_perror_fail", "raise", "kill",
                    "err", "errx", "verr", "verrx", "backtrace_abort"}
MAY_END_IT = {("support_mem.c.o", "abort"), ("support_inline.c.o", "backtrace_abort"), ("os_linux.c.o", "raise")}

BEHIND_THE_BACK = {"pthread_create", "signal", "sigaction", "sigprocmask", "pthread_sigmask", "atexit", "on_exit", "fork",
                   "vfork", "system", "popen", "posix_spawn", "printf", "puts", "putchar", "vprintf", "perror",
                   "pthread_atfork", "setenv", "putenv", "unsetenv", "setlocale", "umask", "chdir"}

# Functions of libc, and the system calls that they make.
SYSTEM_CALLS = {
    "access": "access", "clock_gettime": "clock_gettime", "clock_nanosleep": "clock_nanosleep", "close": "close",
    "closedir": "close", "eventfd": "eventfd2", "fcntl": "fcntl", "fsync": "fsync", "getpid": "getpid", "getrlimit": "prlimit64",
    "ioctl": "ioctl", "madvise": "madvise", "mkdir": "mkdir", "mkostemp": "openat getrandom", "mmap": "mmap", "mremap": "mremap",
    "munmap": "munmap", "open": "openat", "opendir": "openat newfstatat", "ppoll": "ppoll", "pread": "pread64",
    "pwrite": "pwrite64",
    "raise": "getpid gettid tgkill", "read": "read", "readdir": "getdents64", "readlink": "readlink", "rename": "rename",
    "sched_getaffinity": "sched_getaffinity", "sigaction": "rt_sigaction", "unlink": "unlink", "write": "write",
}
ALLOCATOR = {"brk", "futex", "mprotect", "mremap"}

# What needs memory at most, and locks; messages go to standard error; a multiplication that overflows says where, and aborts.
HARMLESS = (r"mem\w+|str\w+|v?snprintf|v?sscanf|qsort|malloc|calloc|realloc|free|pthread_(mutex|rwlock|once)\w*|getenv|stderr|fprintf|"
            r"__ctype_\w+|__errno_location|__tls_get_addr|__isoc\w+|__u?divti3|_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|"
            r"abort|backtrace\w*|__(a|ub|t)san_\w+|__sanitizer_\w+|__gcov_\w+|__aarch64_\w+|(get|set)auxval|\w*_semaphore|"
            r"__sched_cpucount")

SOURCE = pathlib.Path(sys.argv[1]) if len(sys.argv) == 3 else sys.exit(__doc__.strip())
CODE = {path.relative_to(SOURCE): path.read_text(encoding="utf-8")
        for path in sorted([*SOURCE.glob("src/**/*.[ch]"), *SOURCE.glob("include/**/*.h")])}


def calls(names):
    """Which of these functions each object of the library calls."""
    lines = subprocess.run(["nm", "-A", "--undefined-only", sys.argv[2]], text=True, capture_output=True, check=True).stdout
    symbols = [re.fullmatch(r".*[:/]([\w.-]+\.o): +U ([\w@.]+)", line) for line in lines.splitlines()]
    found = {(symbol[1], re.sub(r"^__(\w+)_chk$", r"\1", symbol[2])) for symbol in symbols if symbol}
    assert any(name == "os_ioctl" for _, name in found), f"nm(1) says nothing that makes sense:\n{lines}"
    return {call for call in found if call[1] in names}


@test
def the_process_is_never_ended():
    wrong = calls(ENDS_THE_PROCESS) - MAY_END_IT
    assert not wrong, "\n".join(f"{place} calls {name}" for place, name in sorted(wrong))


@test
def nothing_happens_behind_the_programs_back():
    wrong = calls(BEHIND_THE_BACK) - {("os_linux.c.o", "sigaction")}
    assert not wrong, "\n".join(f"{place} calls {name}" for place, name in sorted(wrong))


# H4: who asks for a handler of SIGBUS gets one, and nobody else does
@test
def signals_are_handled_by_the_guard_only():
    places = {place for place, _ in calls({"os_sigaction", "os_raise"})}
    assert places == {"vfio_guard.c.o"}, places
    assert not calls({"vfn_sigbus_guard"}), calls({"vfn_sigbus_guard"})


# W25: no measuring before main(). On x86-64 the size of a page is known without asking.
@test
def nothing_runs_at_load_time_but_a_look_at_the_size_of_a_page():
    found = [(str(path), name) for path, text in CODE.items()
             for name in re.findall(r"\bconstructor\b[^;{]*?(\w+)\(", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))]
    assert found == [("src/support/mem.c", "find_pagesize")], found


# W25: what the processor's clock does says nothing about the time stamp counter
@test
def frequencies_of_the_processor_are_not_looked_at():
    for path, text in CODE.items():
        assert not re.search(r"cpuinfo|cpufreq|devices/system/cpu", text), path


# Q21
@test
def the_wall_clock_is_not_asked():
    wrong = calls({"time", "gettimeofday", "ftime", "timespec_get", "pthread_cond_timedwait", "pthread_mutex_timedlock"})
    assert not wrong, "\n".join(f"{place} calls {name}" for place, name in sorted(wrong))
    clocks = {clock for text in CODE.values() for clock in re.findall(r"\bCLOCK_[A-Z_]+", text)}
    assert clocks == {"CLOCK_MONOTONIC"}, clocks


# L9
@test
def system_calls_are_those_that_the_manual_names():
    functions = {name: re.sub(r"64$", "", name) for _, name in calls({*SYSTEM_CALLS, *(name + "64" for name in SYSTEM_CALLS)})}
    places = {place for place, _ in calls(functions.keys())}
    assert places == {"os_linux.c.o"}, places
    page = (SOURCE / "docs/os.rst").read_text(encoding="utf-8")
    told = set(re.findall(r"``(\w+)``", page[page.index("What it calls\n"):page.index("The names are")]))
    used = {name for function in functions.values() for name in SYSTEM_CALLS[function].split()}
    assert used | ALLOCATOR == told, (used | ALLOCATOR) ^ told
    traced = set(re.findall(r"\bCALL\((\w+)\)[,\s]", (SOURCE / "tests/vm/guest/syscalls.c").read_text(encoding="utf-8")))
    assert traced - {"name"} == told, (traced - {"name"}) ^ told


@test
def libc_is_used_for_what_is_known_not_to_call_the_kernel():
    lines = subprocess.run(["nm", "--undefined-only", "--extern-only", "-P", sys.argv[2]], text=True, capture_output=True,
                           check=True).stdout
    ours = subprocess.run(["nm", "--defined-only", "-P", sys.argv[2]], text=True, capture_output=True, check=True).stdout
    needed = {re.sub(r"^__(\w+)_chk$", r"\1", line.split()[0]) for line in lines.splitlines() if " U" in line}
    needed -= {line.split()[0] for line in ours.splitlines() if " " in line}
    known = {*SYSTEM_CALLS, *(name + "64" for name in SYSTEM_CALLS)}
    unknown = [name for name in needed if name not in known and not re.fullmatch(HARMLESS, name)]
    assert not unknown, " ".join(sorted(unknown))


if __name__ == "__main__":
    sys.exit(run_tests())
