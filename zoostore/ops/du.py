"""du: what models take, what they share, and what removing one would free."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zoostore.ops.gc import GRACE_SECONDS
from zoostore.ops.graph import Graph
from zoostore.ops.on_disk import on_disk
from zoostore.ops.reach import Reach
from zoostore.ops.roots import NameRoots, Roots, find_roots
from zoostore.store.objectstore import ObjectStore

_SHARED = -1
"""The owner of what several models need."""


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
    for number, found in enumerate(roots.names.values()):
        count.take(number, _reach(graph, found))
    count.hold(_held(graph, roots))
    wanted = frozenset(stubs)
    models = [
        count.usage(number, stub)
        for number, stub in enumerate(roots.names)
        if not wanted or stub in wanted
    ]
    stored = sum(disk.sizes.values())
    return Usage(count.logical, stored, len(disk.sizes), disk.snapshots, tuple(models))


def _reach(graph: Graph, found: NameRoots) -> Reach:
    reach = Reach(graph, strict=False)
    reach.add_name(found)
    return reach


def _held(graph: Graph, roots: Roots) -> dict[Path, set[bytes]]:
    """What each checkout needs."""
    held = {}
    for checkout in roots.checkouts:
        reach = Reach(graph, strict=False)
        reach.add_those_here(checkout.snapshots)
        held[checkout.root] = reach.objects
    return held


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
        sizes: of the objects on the disk, in bytes.
    """

    def __init__(self, sizes: Mapping[bytes, int]) -> None:
        self._sizes = sizes
        self._owner: dict[bytes, int] = {}
        self._totals: list[_Totals] = []
        self.logical = 0

    def take(self, number: int, reach: Reach) -> None:
        """Count what a model needs."""
        stored = 0
        for oid in reach.objects:
            size = self._sizes.get(oid)
            if size is not None:
                stored += size
                self._owner[oid] = _SHARED if oid in self._owner else number
        self._totals.append(_Totals(reach.logical_bytes, stored))
        self.logical += reach.logical_bytes

    def hold(self, held: Mapping[Path, Iterable[bytes]]) -> None:
        """Count what models have for themselves, and what of that checkouts need."""
        for oid, number in self._owner.items():
            if number != _SHARED:
                self._totals[number].exclusive += self._sizes[oid]
        counted: set[bytes] = set()
        for root, needed in held.items():
            owned = [oid for oid in needed if self._owner.get(oid, _SHARED) != _SHARED]
            for number in {self._owner[oid] for oid in owned}:
                self._totals[number].checkouts.append(root)
            for oid in owned:
                if oid not in counted:
                    self._totals[self._owner[oid]].held += self._sizes[oid]
            counted.update(owned)

    def usage(self, number: int, stub: str) -> ModelUsage:
        found = self._totals[number]
        shared = found.stored - found.exclusive
        frees = found.exclusive - found.held
        return ModelUsage(
            stub, found.logical, found.exclusive, shared, frees, tuple(found.checkouts)
        )
