"""Measuring one command: its time on the wall, and the memory that it and its children had."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_KIB = 1024
_FIRST_PAUSE_SECONDS = 0.002
_LONGEST_PAUSE_SECONDS = 0.05
_TOLD_OF_STDERR = 2000
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
        check: run afterwards, not timed; raises if what the command did is not right.
        after: run last, whatever happened; not timed.
    """

    command: Command
    before: Callable[[], None] = _nothing
    check: Callable[[], None] = _nothing
    after: Callable[[], None] = _nothing


@dataclass(frozen=True)
class Run:
    """One run of a command.

    Attributes:
        seconds: on the wall.
        peak_bytes: the most memory that one of its processes had, mapped files included.
        anonymous_bytes: the most that all its processes had at once beyond mapped files, as
            sampled: a peak between two samples is missed.
    """

    seconds: float
    peak_bytes: int
    anonymous_bytes: int


class CommandFailed(Exception):
    """A command that was to be measured ended with an error."""


def measure(step: Step, *, cold: bool = False) -> Run:
    """Run a step to its end, and check what it did.

    Args:
        cold: drop the kernel's caches first.

    Raises:
        CommandFailed: it failed.
    """
    try:
        step.before()
        os.sync()  # nobody pays for what another wrote
        if cold:
            _DROP_CACHES.write_text("3")
        done = _timed(step.command)
        step.check()
    finally:
        step.after()
    return done


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
            with _sampled(process.pid) as peak:
                _, status, usage = os.wait4(process.pid, 0)
                seconds = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said = os.pread(errors, _TOLD_OF_STDERR, 0).decode(errors="replace").strip()
            raise CommandFailed(
                f"{shlex.join(command.arguments)} ended with {process.returncode}: {said}"
            )
    return Run(seconds, usage.ru_maxrss * _KIB, peak[0])


@contextlib.contextmanager
def _stderr_file() -> Iterator[int]:
    descriptor = os.memfd_create("stderr")
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _sampled(pid: int) -> Iterator[list[int]]:
    """The most anonymous memory of a process and its children, in a list of one number."""
    peak = [0]
    ended = threading.Event()

    def watch() -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not ended.wait(pause):
            peak[0] = max(peak[0], sum(map(_anonymous_bytes, _family(pid))))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def _family(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    with contextlib.suppress(OSError):  # it has ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _family(int(child))


def _anonymous_bytes(pid: int) -> int:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", "rb") as status:
        for line in status:
            if line.startswith(b"RssAnon:"):
                return int(line.split()[1]) * _KIB
    return 0
