"""Regaining trees and snapshots that are lost, from checkouts and from zoos.

A tree is known by what it holds: the record of a checkout names every path, kind, size and oid of
its snapshot, and so gives all its trees. A snapshot has to be somewhere as it was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from zoostore.digest import Oid
from zoostore.errors import DamagedContent, ZooError
from zoostore.objects.listing import build
from zoostore.objects.tree import Kind
from zoostore.ops.copies import laid_out_entries
from zoostore.sources.base import Zoo
from zoostore.store.batch import Batch
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import ObjectKind


def regain_structure(store: ObjectStore, zoos: Iterable[Zoo], snapshots: Iterable[Oid]) -> set[Oid]:
    """Have some snapshots and all their trees here; what nobody has of them.

    Whoever cannot be asked has nothing.
    """
    wanted, zoos = list(snapshots), list(zoos)
    while lost := set(lost_structure(store, wanted)):
        if not (_from_checkouts(store, lost) or _from_zoos(store, zoos, lost)):
            return lost
    return set()


def lost_structure(store: ObjectStore, snapshots: Iterable[Oid]) -> Iterator[Oid]:
    """Of some snapshots and their trees, those that are missing or damaged, as far as it shows."""
    seen: set[Oid] = set()
    for snapshot in snapshots:
        try:
            pending = [store.snapshot(snapshot).tree]
        except DamagedContent:
            yield snapshot
            continue
        while pending:
            oid = pending.pop()
            if oid in seen:
                continue
            seen.add(oid)
            try:
                entries = store.tree(oid).values()
            except DamagedContent:
                yield oid
                continue
            pending.extend(entry.oid for entry in entries if entry.kind is Kind.DIRECTORY)


def _from_checkouts(store: ObjectStore, lost: Collection[Oid]) -> bool:
    """Take in the trees that the records of checkouts give; whether there were any."""
    with Batch(store) as batch:
        for _, entries, _ in laid_out_entries(store):
            try:
                trees = build(entries).trees
            except ZooError:
                continue
            for oid in trees.keys() & set(lost):
                batch.put(oid, ObjectKind.TREE, trees[oid])
        batch.publish()
        return batch.new_objects > 0


def _from_zoos(store: ObjectStore, zoos: Iterable[Zoo], lost: Collection[Oid]) -> bool:
    with Batch(store) as batch:
        for zoo in zoos:
            try:
                for oid, kind, data in zoo.small_objects(lost):
                    batch.put(oid, kind, data)
            except ZooError:  # another may have the rest
                continue
        batch.publish()
        return batch.new_objects > 0
