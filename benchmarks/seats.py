"""Tools at a workload: each has a place, made and filled when it is first needed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from benchmarks.contests import Contest, Steps
from benchmarks.measuring import Command, CommandFailed, Step, disk_bytes, run
from benchmarks.rows import Row
from benchmarks.tools.base import Tool

_TAKES_IN = ("add", "adopt")
_READS = ("start", "listing", "status", "checkout", "verify")
_OWN_NAMES = (".zoostore", ".git")


class Seat:
    """A tool at a workload.

    Args:
        tool: which.
        source: the workload's folder.
        folder: where the seat may keep what it needs.
    """

    def __init__(self, tool: Tool, source: Path, folder: Path) -> None:
        self._tool = tool
        self._source = source
        self._fresh, self._filled, self._target = (
            folder / name for name in ("fresh", "filled", "target")
        )
        self._laid_out: Path | None = None
        self.disk_bytes: int | None = None
        folder.mkdir(parents=True)

    def step(self, verb: str) -> Step | None:
        """A step that does the verb; None if the tool does not have it."""
        if verb == "start":
            command = self._tool.start()
            return Step(command) if command else None
        if verb in _TAKES_IN:
            return self._taking_in(verb)
        if verb == "checkout":
            return self._checking_out()
        return self._looking(verb)

    def _taking_in(self, verb: str) -> Step | None:
        command = getattr(self._tool, verb)(self._fresh, self._source)
        if command is None:
            return None
        return Step(
            command,
            self._make_fresh,
            [self._source, self._fresh],
            self._check_taken_in,
            lambda: _remove(self._fresh),
        )

    def _make_fresh(self) -> None:
        _remove(self._fresh)
        self._fresh.mkdir()
        self._tool.make(self._fresh, self._source)

    def _check_taken_in(self) -> None:
        """What was taken in comes out again, byte for byte."""
        self.disk_bytes = disk_bytes(self._fresh)
        self._lay_out(self._fresh)
        _remove(self._target)

    def _checking_out(self) -> Step | None:
        command = self._tool.checkout(self._filled, self._target)
        if command is None:
            return None
        laid_out = self._where(self._filled)

        def clear() -> None:
            _remove(self._target)
            _remove(laid_out)
            self._laid_out = None

        def before() -> None:
            self._fill()
            clear()

        reads = [self._source, self._filled]
        return Step(command, before, reads, lambda: same(self._source, laid_out), clear)

    def _looking(self, verb: str) -> Step | None:
        command: Command | None
        if verb == "status":
            command = self._tool.status(self._filled, self._where(self._filled))
        elif verb == "add_again":
            command = self._tool.add_again(self._filled, self._source)
        else:
            command = getattr(self._tool, verb)(self._filled)
        if command is None:
            return None
        before = self._fill_and_lay_out if verb == "status" else self._fill
        return Step(command, before, [self._source, self._filled, self._target])

    def _fill(self) -> None:
        if self._filled.exists():
            return
        self._filled.mkdir()
        self._tool.make(self._filled, self._source)
        if command := self._tool.add(self._filled, self._source):
            run(command)

    def _fill_and_lay_out(self) -> None:
        self._fill()
        if self._laid_out is None:
            _remove(self._target)
            self._laid_out = self._lay_out(self._filled)

    def _lay_out(self, place: Path) -> Path:
        laid_out = self._where(place)
        if command := self._tool.checkout(place, self._target):
            _remove(laid_out)
            run(command)
            same(self._source, laid_out)
        return laid_out

    def _where(self, place: Path) -> Path:
        return self._tool.laid_out(place, self._source, self._target)


class Seats:
    """The seats of all tools at a workload.

    Args:
        source: the workload's folder.
        root: where seats are made.
        known: the tools that were asked for, by name, and why they cannot take part: empty for
            those that can.
    """

    def __init__(self, source: Path, root: Path, known: Mapping[str, str]) -> None:
        self._source = source
        self._root = root
        self._known = known
        self._seats: dict[str, Seat] = {}

    def contest(self, row: Row) -> Contest:
        """The contest that a row describes, between those who are here."""
        steps: dict[str, Steps] = {}
        skipped: dict[str, str] = {}
        for tool in (row.ours, *row.peers):
            if tool.name not in self._known:
                continue
            if self._known[tool.name]:
                skipped[tool.name] = self._known[tool.name]
            elif step := self._seat(tool).step(row.verb):
                steps[tool.name] = lambda _, step=step: step  # type: ignore[misc]
            else:
                skipped[tool.name] = tool.skips.get(row.verb, "it has no such verb")
        return Contest(
            row.what,
            row.ours.name,
            steps,
            row.targets,
            reads=row.verb in _READS,
            disk=lambda name: self._seats[name].disk_bytes if row.verb in _TAKES_IN else None,
            skipped=skipped,
            least_rounds=row.least_rounds,
        )

    def _seat(self, tool: Tool) -> Seat:
        if tool.name not in self._seats:
            folder = self._root / f"seat{len(self._seats)}"
            self._seats[tool.name] = Seat(tool, self._source, folder)
        return self._seats[tool.name]


def same(source: Path, laid_out: Path) -> None:
    """See to it that two folders hold the same, byte for byte.

    Raises:
        CommandFailed: they do not.
    """
    excluded = [f"--exclude={name}" for name in _OWN_NAMES]
    command = ["diff", "-rq", "--no-dereference", *excluded, str(source), str(laid_out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandFailed(f"What came out is not what went in: {done.stdout[:2000]}{done.stderr}")


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
