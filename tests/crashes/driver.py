"""A process that runs under the shim and sweeps one command: `python -m tests.crashes.driver`.

It imports everything once. Each position is then tried in a forked child, on a fresh copy of the
scene, and looked at in another.
"""

from __future__ import annotations

import copy
import errno
import importlib
import json
import os
import pkgutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, cast

import zoostore.caches
import zoostore.files
import zoostore.objects
import zoostore.ops
import zoostore.sources
import zoostore.store.index_stamp
import zoostore.transport.http
from tests.crashes.children import Ended, T, in_child
from tests.crashes.commands import COMMANDS, Command
from tests.crashes.disk import Call, Cut, Disk, read_log
from tests.crashes.scenes import Scene, copy_scene, prepare
from tests.crashes.shim import NOWHERE, Action, Shim
from tests.crashes.states import (
    State,
    check_crashed,
    check_directories,
    check_recovered,
    check_repeated,
    look_at,
    state_of,
)
from zoostore.errors import ZooError

KILLS = {
    "before": Action.KILL_BEFORE,
    "after": Action.KILL_AFTER,
    "torn": Action.KILL_WITHIN,
}
FAULTS = {
    "EIO": (Action.FAIL, errno.EIO, "file_system"),
    "ENOSPC": (Action.FAIL_FROM_HERE_ON, errno.ENOSPC, "disk_full"),
    "EDQUOT": (Action.FAIL, errno.EDQUOT, "disk_full"),
}
POWER = "power"
CHANCES = 3
"""How many cuts by chance are played through at each position."""


class Sweep:
    """A command, and the scene that it is run on."""

    def __init__(self, shim: Shim, folder: Path, scene: Scene, command: Command) -> None:
        self._shim = shim
        self._pristine = folder / "pristine"
        self._log = folder / "log"
        self._scene = scene
        self._command = command
        self.failures: list[str] = []
        self.before, self.after, self.calls = self._undisturbed()

    def _undisturbed(self) -> tuple[State, State, list[Call]]:
        """What the scene is without the command, and with it; and the calls that it makes."""
        scene, command = self._scene, self._command
        _value(in_child(lambda: prepare(scene)))
        if command.damage is not None:
            _value(in_child(partial(command.damage, scene)))
        scene.root.rename(self._pristine)
        self._fresh()
        self._disk = Disk(scene.root, self._pristine)
        with open(self._log, "wb") as log:
            _value(in_child(lambda: self._run(NOWHERE, Action.COUNT, log=log.fileno())))
        calls = read_log(self._log.read_bytes())
        self._check_model(calls)
        after = _value(in_child(lambda: state_of(scene, command.store)))
        if command.damage is not None:
            return after, after, calls
        self._fresh()
        return _value(in_child(lambda: state_of(scene, command.store))), after, calls

    def _check_model(self, calls: list[Call]) -> None:
        """Make sure that the calls are all that was done: played back, they come to the same."""
        disk = copy.deepcopy(self._disk)
        for call in calls:
            disk.apply(call)
        there = dict(look_at(self._scene.root, whole=True))
        for path, content in disk.contents().items():
            if Path(path).name != "lock.mdb":  # whose pages are written to in memory
                assert there.pop(path) == content, f"{path} was changed unseen"
        there = {path: content for path, content in there.items() if content[:3] != b"-> "}
        assert {Path(path).name for path in there} <= {"lock.mdb"}, f"made unseen: {there.keys()}"

    def _fresh(self) -> None:
        copy_scene(self._pristine, self._scene.root)

    def _run(self, position: int, action: Action, error: int = 0, log: int = -1) -> str:
        """Run the command under the shim; the kind of the error that it ended with."""
        self._shim.arm(position, action, error, log)
        try:
            self._command.run(self._scene)
        except ZooError as caught:
            return caught.kind
        finally:
            self._shim.disarm()
        return ""

    @property
    def positions(self) -> int:
        return max((call.position for call in self.calls), default=-1) + 1

    def _report(self, where: str, ended: Ended[None]) -> None:
        if ended.wrong or ended.killed:
            self.failures.append(f"{where}: {ended.wrong or 'killed'}")

    def _named(self, position: int) -> str:
        """A position, and what is called there."""
        for call in self.calls:
            if call.position == position:
                return f"{position} ({call.kind} {Path(call.path).name} {Path(call.other).name})"
        return f"{position} ({'the end' if position >= self.positions else 'what was refused'})"

    # Killing

    def kill(self, kind: str, positions: list[int]) -> int:
        action = KILLS[kind]
        tried = 0
        for position in positions:
            self._fresh()
            ended = in_child(partial(self._run, position, action))
            where = f"killed {kind} {self._named(position)}"
            if ended.wrong or ended.value:
                self.failures.append(f"{where}: it ended with {ended.value} {ended.wrong}")
                continue
            tried += ended.killed
            finished = not ended.killed
            self._report(where, in_child(partial(self._check, finished)))
        return tried

    def _check(self, finished: bool) -> None:
        if finished or self._command.damage is None:
            check_crashed(self._scene, self._command, self.before, self.after, finished=finished)
            check_directories(state_of(self._scene, self._command.store), self.before, self.after)
        check_repeated(self._scene, self._command, self.after)

    # Failing

    def fail(self, kind: str, positions: list[int]) -> int:
        action, error, expected = FAULTS[kind]
        tried = 0
        for position in positions:
            self._fresh()
            ended = in_child(partial(self._run_faulty, position, action, error))
            where = f"{kind} at {self._named(position)}"
            if ended.value is None:
                self.failures.append(f"{where}: {ended.wrong}")
                continue
            said, fired = ended.value
            tried += fired
            if said and said != expected:
                self.failures.append(f"{where}: it says {said}")
            finished = not said
            self._report(where, in_child(partial(self._check, finished)))
        return tried

    def _run_faulty(self, position: int, action: Action, error: int) -> tuple[str, bool]:
        return self._run(position, action, error), self._shim.fired

    # Cutting the power

    def cut_power(self, positions: list[int]) -> int:
        disk = copy.deepcopy(self._disk)
        wanted = set(positions)
        tried = 0
        for position in range(self.positions + 1):
            if position in wanted:
                for cut, seed in _cuts():
                    tried += 1
                    self._check_cut(disk, position, cut, seed)
            for call in self.calls:
                if call.position == position:
                    disk.apply(call)
        return tried

    def _check_cut(self, disk: Disk, position: int, cut: Cut, seed: int) -> None:
        import shutil

        shutil.rmtree(self._scene.root)
        disk.lay_out(self._scene.root, cut, seed)
        _believe_index(self._scene.root / self._command.store / "index")
        finished = position == self.positions
        where = f"power cut before {self._named(position)}, {cut.name} {seed or ''}"
        self._report(where, in_child(lambda: self._check_after_cut(finished)))

    def _check_after_cut(self, finished: bool) -> None:
        if finished or self._command.damage is None:
            check_crashed(self._scene, self._command, self.before, self.after, finished=finished)
        check_recovered(self._scene, self._command, self.after)


def _cuts() -> Iterator[tuple[Cut, int]]:
    for cut in Cut:
        if cut is not Cut.SOME:
            yield cut, 0
    for seed in range(1, CHANCES + 1):
        yield Cut.SOME, seed


def _believe_index(folder: Path) -> None:
    """Note the stamp of an index whose file has the size that was noted: the worst that can be."""
    try:
        size = (folder / "stamp").read_text().split()[0]
        if int(size) == (folder / "data.mdb").stat().st_size:
            zoostore.store.index_stamp.record_stamp(folder)
    except (OSError, ValueError, IndexError):
        pass


def _value(ended: Ended[T]) -> T:
    if ended.wrong or ended.killed:
        raise SystemExit(f"the scene cannot be made: {ended.wrong or 'killed'}")
    return cast(T, ended.value)


class Job(NamedTuple):
    """What to sweep: a command, in some way, at every so many positions."""

    shim: str
    folder: str
    zoo: str
    web: str
    command: str
    kinds: list[str]
    step: int


def _import_everything() -> None:
    """What is imported late is imported once, here, and not in every child."""
    for package in (zoostore.objects, zoostore.files, zoostore.store, zoostore.sources):
        _import_modules_of(package)
    for package in (zoostore.ops, zoostore.transport, zoostore.transport.http, zoostore.caches):
        _import_modules_of(package)


def _import_modules_of(package: ModuleType) -> None:
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)


def main() -> None:
    _import_everything()
    job = Job(*json.loads(sys.argv[1]))
    folder = Path(job.folder)
    scene = Scene(folder / "scene", Path(job.zoo), job.web)
    shim = Shim(Path(job.shim))
    shim.watch(scene.root)
    sweep = Sweep(shim, folder, scene, COMMANDS[job.command])
    tried = {}
    for kind in job.kinds:
        tried[kind] = _sweep(sweep, kind, job.step)
    answer = {"positions": sweep.positions, "tried": tried, "failures": sweep.failures}
    os.write(1, json.dumps(answer).encode())


def _sweep(sweep: Sweep, kind: str, step: int) -> int:
    everywhere = range(sweep.positions)
    if kind == POWER:
        return sweep.cut_power([*everywhere[::step], sweep.positions])
    if kind in FAULTS:
        return sweep.fail(kind, list(everywhere[::step]))
    if kind == "torn":
        writes = sorted({call.position for call in sweep.calls if call.kind == "write"})
        return sweep.kill(kind, writes[::step])
    return sweep.kill(kind, list(everywhere[::step]))


if __name__ == "__main__":
    main()
