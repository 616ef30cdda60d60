"""A store of a million objects beside an empty one: nothing may be slower because of the others."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path

from benchmarks.contests import Contest, Fact, Steps, Target
from benchmarks.measuring import Command, Step, run
from benchmarks.seats import same
from benchmarks.tools import PYTHON_IMPORTS
from benchmarks.tools.plain import Python
from benchmarks.tools.zoostore import zoostore
from benchmarks.workloads.million import write_store
from benchmarks.workloads.seeded import write_seeded

FULL, EMPTY = "store-1M", "empty store"
_PROBE = "zoo:probe"
_SMALL_FILES, _SMALL_BYTES = 20, 4_096
_LARGE_FILES, _LARGE_BYTES = 4, 1 << 20
_LOOKUPS = 10_000
_LOOK_UP = """
import sys, zoostore
from zoostore.digest import Oid
store = zoostore.Store(sys.argv[1])
for line in open(sys.argv[2]):
    assert store.has(Oid.parse(line.rstrip()))
"""
_START_ROUNDS = 10
_PULL_ROUNDS = 5
_NO_SLOWER = Target(1.2, (EMPTY,))
_TEN_SECONDS = Target(10)
_INDEX_BYTES_AN_OBJECT = 200


class Millions:
    """Both stores, with one more model in each, and a zoo to pull others from.

    Args:
        root: a folder for them.
        rounds: how many rounds there will be.
    """

    def __init__(self, root: Path, scale: float, rounds: int) -> None:
        self._root = root
        self._stores = {FULL: root / "full", EMPTY: root / "empty"}
        self._probe = root / "probe"
        _write_model(self._probe, "probe")
        sample = write_store(self._stores[FULL], scale)
        self._publish(max(rounds, _PULL_ROUNDS))
        for name, store in self._stores.items():
            run(zoostore(store, "add", str(self._probe), _PROBE))
            run(zoostore(store, "remote", "add", "zoo", str(root / "zoo")))
            oids = sample if name == FULL else self._probe_oids(store)
            lines = "".join(f"{oid}\n" for oid in islice(cycle(oids), _LOOKUPS))
            (root / f"{store.name}.oids").write_text(lines)

    def contests(self) -> Iterator[Contest]:
        """What is measured on them."""
        yield self._looking("ls, beside starting Python", "ls", beside=PYTHON_IMPORTS)
        yield self._both(
            f"{_LOOKUPS:,} lookups", self._look_up, [_NO_SLOWER], least_rounds=_START_ROUNDS
        )
        yield self._looking("ls STUB", "ls", _PROBE, targets=[_NO_SLOWER])
        yield self._both(
            "checkout of one model", self._check_out, [_NO_SLOWER], least_rounds=_START_ROUNDS
        )
        yield self._both(
            "pull of one model", self._pull, [_NO_SLOWER], reads=False, least_rounds=_PULL_ROUNDS
        )
        yield self._looking("gc, marking only", "gc", targets=[_TEN_SECONDS], least_rounds=1)
        yield self._looking("du", "du", targets=[_TEN_SECONDS], least_rounds=1)

    def facts(self) -> Iterator[Fact]:
        """What its index takes."""
        from zoostore import Store

        store = self._stores[FULL]
        objects = Store(store).du().objects
        size = (store / "index" / "data.mdb").stat().st_size
        yield Fact(f"{FULL}: objects", objects, "objects")
        yield Fact(f"{FULL}: index", size / objects, "bytes an object", _INDEX_BYTES_AN_OBJECT)

    def _looking(
        self,
        what: str,
        *arguments: str,
        targets: Sequence[Target] = (),
        beside: Python | None = None,
        least_rounds: int = _START_ROUNDS,
    ) -> Contest:
        def step(store: Path, _: int) -> Step:
            return Step(zoostore(store, *arguments), reads=[store])

        if beside is None:
            return self._both(what, step, targets, least_rounds=least_rounds)
        command = beside.listing(self._root)
        more: dict[str, Steps] = {beside.name: lambda _: Step(command)}
        return self._both(
            what, step, [Target(1.5, (beside.name,))], least_rounds=least_rounds, more=more
        )

    def _both(
        self,
        what: str,
        step: Callable[[Path, int], Step],
        targets: Sequence[Target],
        *,
        least_rounds: int,
        reads: bool = True,
        more: dict[str, Steps] | None = None,
    ) -> Contest:
        contenders: dict[str, Steps] = {
            name: lambda number, store=store: step(store, number)  # type: ignore[misc]
            for name, store in self._stores.items()
        }
        return Contest(
            f"{FULL}: {what}",
            FULL,
            {**contenders, **(more or {})},
            targets,
            reads=reads,
            least_rounds=least_rounds,
        )

    def _look_up(self, store: Path, _: int) -> Step:
        oids = self._root / f"{store.name}.oids"
        command = Command([sys.executable, "-c", _LOOK_UP, str(store), str(oids)])
        return Step(command, reads=[store])

    def _check_out(self, store: Path, _: int) -> Step:
        out = self._root / "out"
        return Step(
            zoostore(store, "checkout", _PROBE, str(out)),
            reads=[store],
            check=lambda: same(self._probe, out),
            after=lambda: shutil.rmtree(out, ignore_errors=True),
        )

    def _pull(self, store: Path, number: int) -> Step:
        return Step(zoostore(store, "pull", f"zoo:pulled-{number}"), reads=[store])

    def _publish(self, models: int) -> None:
        store, folder = self._root / "publisher", self._root / "model"
        stubs = [f"zoo:pulled-{number}" for number in range(models)]
        for stub in stubs:
            _write_model(folder, stub)
            run(zoostore(store, "add", str(folder), stub))
        run(zoostore(store, "publish", *stubs, "--to", str(self._root / "zoo")))

    def _probe_oids(self, store: Path) -> list[str]:
        from zoostore import Store

        return [str(file.oid) for file in Store(store).files(_PROBE)]


def _write_model(folder: Path, seed: str) -> None:
    for number in range(_SMALL_FILES):
        write_seeded(folder / f"{number}.md", _SMALL_BYTES, f"{seed} {number}")
    for number in range(_LARGE_FILES):
        write_seeded(folder / f"{number}.bin", _LARGE_BYTES, f"{seed} large {number}")
