"""The suite: every row, one workload after the other."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import pulling
from benchmarks.contests import Contest, Fact, Outcome, hold
from benchmarks.millions import FULL, Millions
from benchmarks.rows import ROWS
from benchmarks.seats import Seats
from benchmarks.serving import served
from benchmarks.tools import OURS, PEERS
from benchmarks.workloads import FOLDERS

WORKLOADS = (*FOLDERS, FULL)

_NOT_INSTALLED = "not installed"
_LEFT_OUT = "left out by --peers"


@dataclass(frozen=True)
class Options:
    """What is to be run.

    Attributes:
        scale: what the sizes of the workloads are multiplied by.
        rounds: how often each contender runs, at least.
        only: the workloads.
        peers: the peers that take part, by name or program; None for all.
        directory: a folder, on the file system to be measured.
        cold: whether what reads is measured with empty caches too.
    """

    scale: float
    rounds: int
    only: Collection[str]
    peers: Collection[str] | None
    directory: Path
    cold: bool


@dataclass(frozen=True)
class ToolFacts:
    """A tool as it was found; `absent` says why it took no part, and is empty if it did."""

    name: str
    version: str
    durability: str
    absent: str


def found_tools(peers: Collection[str] | None) -> list[ToolFacts]:
    """All tools, with their versions, and whether they take part."""
    found = []
    for tool in (*OURS, *PEERS):
        is_wanted = tool in OURS or peers is None or not {tool.name, tool.program}.isdisjoint(peers)
        version = tool.version() if is_wanted else None
        absent = "" if version else _NOT_INSTALLED if is_wanted else _LEFT_OUT
        found.append(ToolFacts(tool.name, version or "", tool.durability, absent))
    return found


def held(options: Options, tools: Collection[ToolFacts]) -> Iterator[Outcome | Fact]:
    """Hold all contests, giving each outcome as it comes. Workloads go when they are done."""
    absent = {tool.name: tool.absent for tool in tools if tool.absent}
    for workload in options.only:
        root = options.directory / workload
        root.mkdir()
        try:
            if workload == FULL:
                yield from _on_a_million(root, options)
            else:
                yield from _on_folder(workload, root, options, absent)
        finally:
            shutil.rmtree(root)


def _on_folder(
    workload: str, root: Path, options: Options, absent: dict[str, str]
) -> Iterator[Outcome]:
    source = root / "source"
    FOLDERS[workload](source, options.scale)
    seats = Seats(source, root, absent)
    for row in ROWS:
        if row.workload == workload:
            yield from _warm_and_cold(seats.contest(row), options)
    if workload == "big":
        zoo = pulling.publish(source, root)
        (root / "server").mkdir()
        with served(zoo, root / "server") as url:
            yield hold(pulling.contest(source, zoo, url, root), options.rounds)


def _on_a_million(root: Path, options: Options) -> Iterator[Outcome | Fact]:
    millions = Millions(root, options.scale, options.rounds)
    for contest in millions.contests():
        yield from _warm_and_cold(contest, options)
    yield from millions.facts()


def _warm_and_cold(contest: Contest, options: Options) -> Iterator[Outcome]:
    yield hold(contest, options.rounds)
    if contest.reads and options.cold:
        yield hold(contest, options.rounds, cold=True)
