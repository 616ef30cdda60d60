"""du: what models take, what they share, and what removing one would free."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from zoostore.digest import Oid
from zoostore.errors import MissingObject
from zoostore.objects.tree import Kind
from zoostore.ops.history import history
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import ObjectKind


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """One model, all its snapshots counted: the newest, its history and its tags.

    Attributes:
        logical_bytes: what the snapshots would take as full copies.
        exclusive_bytes: what is stored for this model alone: removing it frees exactly this.
        shared_bytes: what is stored for it and for others too.
    """

    stub: str
    logical_bytes: int
    exclusive_bytes: int
    shared_bytes: int


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


def du(store: ObjectStore, stubs: Sequence[str]) -> Usage:
    """Count.

    Args:
        stubs: the refs to report on; what is shared is found among all.
    """
    reached = {name: _reach(store, name) for name in store.names.refs()}
    owners = Counter(oid for _, objects in reached.values() for oid in objects)
    kinds, stored = Counter[ObjectKind](), 0
    for kind, size in store.names.view(
        lambda index: [(place.kind, place.stored) for _, place in index.locations()]
    ):
        kinds[kind] += 1
        stored += size
    models = tuple(
        _usage(name, *reached[name], owners) for name in (sorted(stubs) if stubs else reached)
    )
    logical = sum(logical for logical, _ in reached.values())
    return Usage(logical, stored, kinds.total(), kinds[ObjectKind.SNAPSHOT], models)


def _usage(stub: str, logical: int, objects: dict[Oid, int], owners: Counter[Oid]) -> ModelUsage:
    exclusive = sum(size for oid, size in objects.items() if owners[oid] == 1)
    return ModelUsage(stub, logical, exclusive, sum(objects.values()) - exclusive)


def _reach(store: ObjectStore, name: str) -> tuple[int, dict[Oid, int]]:
    """The logical size of a model's snapshots, and every object here that they need."""
    record = store.names.ref(name)
    tips = [record.snapshot] if record else []
    tips += store.names.tags(name).values()
    objects: dict[Oid, int] = {}
    logical = 0
    for tip in tips:
        for oid, snapshot in history(store, tip):
            if oid not in objects:
                logical += snapshot.size
                _take(store, oid, objects)
                _take_tree(store, snapshot.tree, objects)
    return logical, objects


def _take(store: ObjectStore, oid: Oid, objects: dict[Oid, int]) -> bool:
    location = store.location(oid)
    if location is None or oid in objects:
        return False
    objects[oid] = location.stored
    return True


def _take_tree(store: ObjectStore, root: Oid, objects: dict[Oid, int]) -> None:
    pending = [root]
    while pending:
        oid = pending.pop()
        if not _take(store, oid, objects):
            continue
        try:
            entries = store.tree(oid).values()
        except MissingObject:
            continue
        for entry in entries:
            if entry.kind is Kind.DIRECTORY:
                pending.append(entry.oid)
            elif entry.kind.is_file:
                _take(store, entry.oid, objects)
