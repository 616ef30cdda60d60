"""du: what models take, what they share, and what removing one would free."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zoostore.ops.gc import GRACE_SECONDS
from zoostore.ops.graph import Graph
from zoostore.ops.numbering import Marks
from zoostore.ops.on_disk import on_disk
from zoostore.ops.reach import Reach
from zoostore.ops.roots import find_roots
from zoostore.store.objectstore import ObjectStore

_NOBODY, _SHARED = -1, -2
"""The owners of what no model needs, and of what several do."""


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """One model, all its snapshots counted: the newest, its history, its tags, and what it lately
    was.

    Attributes:
        logical_bytes: what the snapshots would take as full copies.
        exclusive_bytes: what is stored for this model alone.
        shared_bytes: what is stored for it and for other models too.
        frees_bytes: what removing it frees: of what is stored for it alone, what no checkout
            needs.
        checkouts: the directories that need the rest.
    """

    stub: str
    logical_bytes: int
    exclusive_bytes: int
    shared_bytes: int
    frees_bytes: int
    checkouts: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """A store's use of its disk.

    Attributes:
        logical_bytes: what all snapshots of all models would take as full copies.
        stored_bytes: what all objects take, each once.
        objects, snapshots: how many there are.
        models: each model asked for, in the order of names.
    """

    logical_bytes: int
    stored_bytes: int
    objects: int
    snapshots: int
    models: tuple[ModelUsage, ...]


def du(store: ObjectStore, stubs: Sequence[str], now: float) -> Usage:
    """Count. Tables of aliases, which are no part of any model, are not counted.

    Args:
        stubs: the refs to report on; what is shared is found among all.
    """
    roots = find_roots(store, grace=GRACE_SECONDS, now=now)
    disk = on_disk(store.layout)
    graph = Graph(store.without_mending(), disk)
    count = _Count(disk.sizes)
    reached = Marks(disk.numbering)
    for found in roots.names.values():
        reach = Reach(graph, reached, strict=False)
        reach.add_name(found)
        count.take(reach)
        reach.forget()  # each is counted as if it were alone
    count.find_exclusive()
    for checkout in roots.checkouts:
        reach = Reach(graph, reached, strict=False)
        reach.add_those_here(checkout.snapshots)
        count.hold(checkout.root, reach)
        reach.forget()
    wanted = frozenset(stubs)
    models = [
        count.usage(number, stub)
        for number, stub in enumerate(roots.names)
        if not wanted or stub in wanted
    ]
    stored = sum(disk.sizes)
    return Usage(count.logical, stored, len(disk.sizes), disk.snapshots, tuple(models))


@dataclass
class _Totals:
    logical: int
    stored: int
    exclusive: int = 0
    held: int = 0
    checkouts: list[Path] = field(default_factory=list)


class _Count:
    """Who needs what, one model after the other.

    Args:
        sizes: of the objects on the disk, by number, in bytes.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = sizes
        self._owners = array("i", [_NOBODY]) * len(sizes)
        self._is_held = bytearray(len(sizes))
        self._totals: list[_Totals] = []
        self.logical = 0

    def take(self, reach: Reach) -> None:
        """Count what the next model needs."""
        owner = len(self._totals)
        stored = 0
        for number in reach.here():
            stored += self._sizes[number]
            self._owners[number] = owner if self._owners[number] == _NOBODY else _SHARED
        self._totals.append(_Totals(reach.logical_bytes, stored))
        self.logical += reach.logical_bytes

    def find_exclusive(self) -> None:
        """Count what models have for themselves, when all were taken in."""
        for number, owner in enumerate(self._owners):
            if owner >= 0:
                self._totals[owner].exclusive += self._sizes[number]

    def hold(self, root: Path, reach: Reach) -> None:
        """Count what of that a checkout needs."""
        owned = [number for number in reach.here() if self._owners[number] >= 0]
        for owner in {self._owners[number] for number in owned}:
            self._totals[owner].checkouts.append(root)
        for number in owned:
            if not self._is_held[number]:
                self._is_held[number] = True
                self._totals[self._owners[number]].held += self._sizes[number]

    def usage(self, number: int, stub: str) -> ModelUsage:
        found = self._totals[number]
        shared = found.stored - found.exclusive
        frees = found.exclusive - found.held
        return ModelUsage(
            stub, found.logical, found.exclusive, shared, frees, tuple(found.checkouts)
        )
