"""The suite: every row, one workload after the other."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import pulling
from benchmarks.contests import COLD, WARM, Contest, Fact, Outcome, hold
from benchmarks.millions import FULL, Millions
from benchmarks.reserve import Reserve
from benchmarks.rows import ROWS
from benchmarks.seats import Seats
from benchmarks.serving import served
from benchmarks.tools import OURS, PEERS
from benchmarks.workloads import FOLDERS

WORKLOADS = (*FOLDERS, FULL)

_NOT_INSTALLED = "not installed"


@dataclass(frozen=True)
class Options:
    """What is to be run.

    Attributes:
        scale: what the sizes of the workloads are multiplied by.
        rounds: how often each contender runs, at least.
        only: the workloads.
        rows: words of which a row's name must hold one; none for all rows.
        peers: the beginnings of the names of those that take part; None for all.
        directory: a folder, on the file system to be measured.
        caches: of `warm` and `cold`, how they are when something is measured; `cold` for what
            reads only.
    """

    scale: float
    rounds: int
    only: Collection[str]
    rows: Collection[str]
    peers: Collection[str] | None
    directory: Path
    caches: Collection[str]


@dataclass(frozen=True)
class ToolFacts:
    """A tool as it was found; `absent` says why it takes no part, and is empty if it does."""

    name: str
    version: str
    durability: str
    absent: str


def found_tools(peers: Collection[str] | None) -> list[ToolFacts]:
    """The tools that are asked for, with their versions, and whether they can take part."""
    found = []
    for tool in (*OURS, *PEERS):
        if tool in OURS or _is_asked_for(tool.name, peers):
            version = tool.version()
            absent = "" if version else _NOT_INSTALLED
            found.append(ToolFacts(tool.name, version or "", tool.durability, absent))
    return found


def _is_asked_for(name: str, peers: Collection[str] | None) -> bool:
    if peers is None:
        return True
    return any(name.casefold().startswith(peer.casefold()) for peer in peers)


def held(options: Options, tools: Collection[ToolFacts]) -> Iterator[Outcome | Fact]:
    """Hold all contests, giving each outcome as it comes. Workloads go when they are done."""
    known = {tool.name: tool.absent for tool in tools}
    with Reserve(options.scale) as reserve:
        for workload in options.only:
            root = options.directory / workload
            root.mkdir()
            try:
                if workload == FULL:
                    yield from _on_a_million(root, options, reserve)
                else:
                    yield from _on_folder(workload, root, options, known, reserve)
            finally:
                shutil.rmtree(root)


def _on_folder(
    workload: str, root: Path, options: Options, known: dict[str, str], reserve: Reserve
) -> Iterator[Outcome]:
    source = root / "source"
    FOLDERS[workload](source, options.scale)
    seats = Seats(source, root, known)
    for row in ROWS:
        if row.workload == workload and _is_wanted(row.what, options):
            yield from _held(seats.contest(row), options, reserve)
    if workload == "big" and _is_wanted(pulling.WHAT, options):
        zoo = pulling.publish(source, root)
        (root / "server").mkdir()
        with served(zoo, root / "server") as url:
            yield from _held(pulling.contest(source, zoo, url, root, known), options, reserve)


def _on_a_million(root: Path, options: Options, reserve: Reserve) -> Iterator[Outcome | Fact]:
    millions = Millions(root, options.scale, options.rounds)
    for contest in millions.contests():
        if _is_wanted(contest.what, options):
            yield from _held(contest, options, reserve)
    yield from millions.facts()


def _is_wanted(what: str, options: Options) -> bool:
    return not options.rows or any(word in what for word in options.rows)


def _held(contest: Contest, options: Options, reserve: Reserve) -> Iterator[Outcome]:
    if WARM in options.caches:
        yield hold(contest, options.rounds, reserve)
    if COLD in options.caches and contest.reads:
        yield hold(contest, options.rounds, reserve, cold=True)
