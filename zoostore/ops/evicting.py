"""Evicting: which models to let go of, the longest unused first, so that a store fits a size.

Only models that follow a source are let go of: what was made here, nobody else may have. What
is checked out, or shared with a model that stays, would free nothing.
"""

from __future__ import annotations

import os
from array import array
from typing import NamedTuple

from zoostore.digest import Oid
from zoostore.ops.graph import Graph
from zoostore.ops.numbering import Marks
from zoostore.ops.reach import Reach
from zoostore.ops.roots import NameRoots, Roots
from zoostore.store.objectstore import ObjectStore


class Evicted(NamedTuple):
    """A model to let go of.

    Attributes:
        stub: its name.
        used: when it was last pulled, checked out or opened, in seconds since 1970-01-01 UTC.
        bytes: what that frees.
    """

    stub: str
    used: float
    bytes: int


class Fit(NamedTuple):
    """What it takes to fit a size; `over` is by how many bytes it is missed even so."""

    evicted: tuple[Evicted, ...]
    over: int


def choose_evicted(store: ObjectStore, graph: Graph, roots: Roots, max_size: int) -> Fit:
    """Choose models whose going makes what is kept fit a size in bytes."""
    sizes = graph.disk.sizes
    reached = Marks(graph.disk.numbering)
    needs = {stub: _needs_of(Reach(graph, reached), found) for stub, found in roots.names.items()}
    checked_out = Reach(graph, reached)
    checked_out.add_those_here(roots.checked_out())
    owners = array("I", bytes(4 * len(sizes)))
    for needed in (*needs.values(), checked_out.here()):
        for number in needed:
            owners[number] += 1
    kept = sum(size for size, count in zip(sizes, owners, strict=True) if count)
    evicted = []
    for used, stub in sorted(_candidates(store, roots)):
        if kept <= max_size:
            break
        freed = sum(sizes[number] for number in needs[stub] if owners[number] == 1)
        if freed:
            for number in needs[stub]:
                owners[number] -= 1
            kept -= freed
            evicted.append(Evicted(stub, used, freed))
    return Fit(tuple(evicted), max(kept - max_size, 0))


def _needs_of(reach: Reach, found: NameRoots) -> array[int]:
    """The numbers of what a name needs, others or not, and stands on the disk."""
    reach.add_name(found)
    reach.forget()
    return array("I", reach.here())


def _candidates(store: ObjectStore, roots: Roots) -> list[tuple[float, str]]:
    times = _times(store)
    laid_out = {
        snapshot: checkout.used for checkout in roots.checkouts for snapshot in checkout.snapshots
    }
    found = []
    for stub, record in store.names.refs().items():
        if record.is_pulled:
            opened = _opened(store, record.snapshot)
            used = max(times.get(stub, 0.0), laid_out.get(record.snapshot, 0.0), opened)
            found.append((used, stub))
    return found


def _times(store: ObjectStore) -> dict[str, float]:
    changes = (line.change for line in store.names.reflog.read())
    return {change.stub: float(change.time) for change in changes if change is not None}


def _opened(store: ObjectStore, snapshot: Oid) -> float:
    """When a program last asked for a file of a snapshot; 0 if none did."""
    try:
        return os.stat(store.layout.laid(snapshot)).st_mtime
    except OSError:
        return 0.0
