"""Contests: contenders that do the same, in turn, in rounds, and what zoostore must reach."""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.measuring import CommandFailed, Run, Step, measure
from benchmarks.reserve import Reserve

WARM, COLD = "warm", "cold"
"""How the kernel's caches are when a command begins: with all that it reads, or empty."""

Steps = Callable[[int], Step]
"""The step of a round."""


@dataclass(frozen=True)
class Target:
    """What is to be reached.

    Attributes:
        limit: at most this, as a ratio of times; or in seconds.
        of: the contenders of whom the fastest counts; none for a limit in seconds.
    """

    limit: float
    of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fact:
    """A number that is not a time; `limit` is what it must not be over."""

    what: str
    value: float
    unit: str
    limit: float | None = None


@dataclass(frozen=True)
class Contest:
    """One row of the table.

    Attributes:
        what: what is done.
        ours: the contender that the targets are about.
        contenders: by name, with `ours` among them.
        targets: what `ours` must reach.
        reads: whether it only reads, so that cold caches are measured too.
        disk: what a contender's result takes on the disk, in bytes, once it has run.
        skipped: who is absent, and why.
        least_rounds: short commands need more rounds, and little memory.
    """

    what: str
    ours: str
    contenders: Mapping[str, Steps]
    targets: Sequence[Target] = ()
    reads: bool = False
    disk: Callable[[str], int | None] = lambda _: None
    skipped: Mapping[str, str] = field(default_factory=dict)
    least_rounds: int = 1


@dataclass(frozen=True)
class Measured:
    """The runs of a contender in the order of the rounds, and the disk it took."""

    runs: Sequence[Run]
    disk_bytes: int | None = None

    @property
    def seconds(self) -> list[float]:
        return [run.seconds for run in self.runs]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Outcome:
    """A contest that was held.

    Attributes:
        caches: `warm` or `cold`.
        measured: by contender.
        failed: who could not do it, and what it said.
    """

    contest: Contest
    caches: str
    measured: Mapping[str, Measured]
    failed: Mapping[str, str]


def hold(contest: Contest, rounds: int, reserve: Reserve, *, cold: bool = False) -> Outcome:
    """Run all contenders in each round, one after the other. Who fails is out."""
    names = [*contest.contenders]
    runs: dict[str, list[Run]] = {name: [] for name in names}
    failed: dict[str, str] = {}
    is_short = contest.least_rounds > 1
    for number, name in _turns(names, max(rounds, contest.least_rounds)):
        if name in failed:
            continue
        _tell(f"{contest.what}: round {number + 1}: {name}")
        try:
            step = contest.contenders[name](number)
            runs[name].append(measure(step, None if is_short else reserve, cold=cold))
        except CommandFailed as error:
            failed[name] = str(error)
    measured = {
        name: Measured(done, contest.disk(name))
        for name, done in runs.items()
        if name not in failed
    }
    return Outcome(contest, COLD if cold else WARM, measured, failed)


def _turns(names: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Whose turn it is in which round, in another order each time.

    A machine may be slower for a while after it was busy: nobody always follows the same other.
    """
    for number in range(rounds):
        for name in random.Random(number).sample(names, len(names)):
            yield number, name


def _tell(text: str) -> None:
    """Say on a terminal what is being done."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
