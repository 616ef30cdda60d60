"""du: what models take, what they share, and what removing one would free."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoostore.digest import Oid
from zoostore.ops.gc import GRACE_SECONDS
from zoostore.ops.reach import Reach
from zoostore.ops.roots import NameRoots, Roots, find_roots
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import ObjectKind


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
    places = store.names.view(
        lambda index: {
            oid: (place.kind, place.stored)
            for oid, place in index.locations()
            if place.kind is not ObjectKind.ALIASES
        }
    )
    sizes = {oid: size for oid, (_, size) in places.items()}
    kinds = Counter(kind for kind, _ in places.values())
    reached = {stub: _reach(store, found) for stub, found in roots.names.items()}
    owners = Counter(oid for reach in reached.values() for oid in reach.objects)
    held = _held(store, roots)
    models = tuple(
        _usage(stub, reached[stub], owners, sizes, held)
        for stub in (sorted(stubs) if stubs else reached)
    )
    logical = sum(reach.logical_bytes for reach in reached.values())
    snapshots = kinds[ObjectKind.SNAPSHOT]
    return Usage(logical, sum(sizes.values()), len(sizes), snapshots, models)


def _reach(store: ObjectStore, found: NameRoots) -> Reach:
    reach = Reach(store, strict=False)
    reach.add_lines([*found.lines, *found.lately])
    return reach


def _held(store: ObjectStore, roots: Roots) -> dict[Path, set[Oid]]:
    """What each checkout needs."""
    held = {}
    for checkout in roots.checkouts:
        reach = Reach(store, strict=False)
        for snapshot in checkout.snapshots:
            if store.location(snapshot) is not None:
                reach.add(snapshot)
        held[checkout.root] = reach.objects
    return held


def _usage(
    stub: str,
    reach: Reach,
    owners: Counter[Oid],
    sizes: dict[Oid, int],
    held: dict[Path, set[Oid]],
) -> ModelUsage:
    here = reach.objects & sizes.keys()
    alone = {oid for oid in here if owners[oid] == 1}
    exclusive = sum(sizes[oid] for oid in alone)
    shared = sum(sizes[oid] for oid in here) - exclusive
    checkouts = tuple(root for root, needed in held.items() if not needed.isdisjoint(alone))
    freed = alone.difference(*held.values())
    frees = sum(sizes[oid] for oid in freed)
    return ModelUsage(stub, reach.logical_bytes, exclusive, shared, frees, checkouts)
