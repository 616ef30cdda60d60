"""Measuring one command: its time on the wall, and the memory that it and its children had."""

from __future__ import annotations

import contextlib
import os
import resource
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.reserve import Reserve

_KIB = 1024
_FIRST_PAUSE_SECONDS = 0.002
_LONGEST_PAUSE_SECONDS = 0.05
_TOLD_OF_STDERR = 300
_PEAK, _ANONYMOUS = b"VmHWM", b"RssAnon"
_DROP_CACHES = Path("/proc/sys/vm/drop_caches")


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Command:
    """A program with its arguments, where it runs, and what is added to its environment."""

    arguments: Sequence[str]
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """A command to be timed, with what stands around it and is not.

    Attributes:
        command: what is timed.
        before: run first; not timed.
        reads: folders whose files it reads.
        check: run afterwards, not timed; raises if what the command did is not right.
        after: run last, whatever happened; not timed.
    """

    command: Command
    before: Callable[[], None] = _nothing
    reads: Sequence[Path] = ()
    check: Callable[[], None] = _nothing
    after: Callable[[], None] = _nothing


@dataclass(frozen=True)
class Run:
    """One run of a command.

    Attributes:
        seconds: on the wall.
        peak_bytes: the most memory that one of its processes had, mapped files included.
        anonymous_bytes: the most that all its processes had at once beyond mapped files. It is
            sampled: what comes and goes between two samples is missed.
    """

    seconds: float
    peak_bytes: int
    anonymous_bytes: int


class CommandFailed(Exception):
    """A command that was to be measured ended with an error."""


def measure(step: Step, reserve: Reserve | None = None, *, cold: bool = False) -> Run:
    """Run a step to its end, and check what it did.

    Args:
        reserve: memory to let the command have; None for one that needs little.
        cold: drop the kernel's caches first; if not, what is read is in them.

    Raises:
        CommandFailed: it failed.
    """
    try:
        step.before()
        os.sync()  # nobody pays for what another wrote
        if cold:
            _DROP_CACHES.write_text("3")
        else:
            _warm(step.reads)
        if reserve:
            reserve.give()
        done = _timed(step.command)
        step.check()
    finally:
        step.after()
        if reserve:
            reserve.take()
    return done


def _warm(folders: Sequence[Path]) -> None:
    """Have the kernel hold all files of some folders in its cache."""
    for folder in filter(Path.exists, folders):
        command = ["find", str(folder), "-type", "f", "-exec", "cat", "{}", "+"]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def can_drop_caches() -> bool:
    """Whether this user may empty the kernel's caches, so that reading begins at the disk."""
    return os.access(_DROP_CACHES, os.W_OK)


def run(command: Command) -> None:
    """Run a command to its end, unmeasured. Raises what `measure` raises."""
    _timed(command)


def disk_bytes(folder: Path) -> int:
    """The blocks that a folder's files take, each inode once."""
    inodes = {}
    for path in (folder, *folder.rglob("*")):
        status = path.lstat()
        inodes[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(inodes.values())


def _timed(command: Command) -> Run:
    with _stderr_file() as errors:
        start = time.perf_counter()
        with subprocess.Popen(
            command.arguments,
            cwd=command.cwd,
            env={**os.environ, **command.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        ) as process:
            with _sampled(process.pid) as memory:
                _, status, usage = os.wait4(process.pid, 0)
                seconds = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            told = os.pread(errors, _TOLD_OF_STDERR, 0).decode(errors="replace")
            said = (told.strip().splitlines() or [""])[0]
            raise CommandFailed(
                f"exit code {process.returncode}: {said} ({shlex.join(command.arguments)})"
            )
    return Run(seconds, memory.most(usage.ru_maxrss * _KIB), memory.anonymous_bytes)


@contextlib.contextmanager
def _stderr_file() -> Iterator[int]:
    descriptor = os.memfd_create("stderr")
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class _Memory:
    """The most memory that was seen of a process and its children."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self.anonymous_bytes = 0

    def look(self, pid: int) -> None:
        seen = [_sizes(each) for each in _family(pid)]
        self.peak_bytes = max(self.peak_bytes, *(sizes.get(_PEAK, 0) for sizes in seen))
        anonymous = sum(sizes.get(_ANONYMOUS, 0) for sizes in seen)
        self.anonymous_bytes = max(self.anonymous_bytes, anonymous)

    def most(self, reported: int) -> int:
        """The peak, given the one that the kernel reports when all have ended.

        A new process counts as having had what this one has. So the kernel's number is exact
        if it is more than that, and says nothing if it is not.
        """
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB
        return reported if reported > own else self.peak_bytes


@contextlib.contextmanager
def _sampled(pid: int) -> Iterator[_Memory]:
    memory = _Memory()
    ended = threading.Event()

    def watch() -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not ended.wait(pause):
            memory.look(pid)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        ended.set()
        thread.join()


def _family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    with contextlib.suppress(OSError):  # it has ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += _family(int(child))
    return found


def _sizes(pid: int) -> dict[bytes, int]:
    """What the kernel says of a process's memory now, in bytes."""
    found = {}
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", "rb") as status:
        for line in status:
            name, _, value = line.partition(b":")
            if name in (_PEAK, _ANONYMOUS):
                found[name] = int(value.split()[0]) * _KIB
    return found
