"""Measuring a command: its time, its memory and what it printed, always beside a peer."""

from __future__ import annotations

import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_KIB = 1024


@dataclass(frozen=True)
class Run:
    """One run of a command: seconds on the wall, and the most memory it had, in bytes."""

    seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Compared:
    """A command beside a peer: medians, and their ratio."""

    what: str
    peer: str
    seconds: float
    peer_seconds: float
    peak_bytes: int

    @property
    def ratio(self) -> float:
        return self.seconds / self.peer_seconds


def run(command: Sequence[str], home: Path) -> Run:
    """Run a command to its end.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    start = time.perf_counter()
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "ZOOSTORE_HOME": str(home)},
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, shlex.join(command))
    return Run(time.perf_counter() - start, usage.ru_maxrss * _KIB)


def compare(
    what: str,
    ours: Callable[[int], Sequence[str]],
    peer: str,
    theirs: Callable[[int], Sequence[str]],
    home: Path,
    rounds: int,
) -> Compared:
    """Run two commands in turn, each round a new one, and compare the medians."""
    mine, other = [], []
    for number in range(rounds):
        mine.append(run(ours(number), home))
        other.append(run(theirs(number), home))
    return Compared(
        what,
        peer,
        statistics.median(one.seconds for one in mine),
        statistics.median(one.seconds for one in other),
        max(one.peak_bytes for one in mine),
    )


def zoostore(*arguments: str) -> list[str]:
    """The command line that is installed beside this Python."""
    return [str(Path(sys.executable).with_name("zoostore")), *arguments]


def disk_bytes(folder: Path) -> int:
    """The blocks that a folder's files take, each inode once."""
    inodes = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        inodes[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(inodes.values())
