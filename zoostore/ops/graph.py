"""The graph: which objects refer to which, read from the packs in the order in which they stand."""

from __future__ import annotations

import contextlib

from zoostore.digest import Oid
from zoostore.errors import MissingObject, ZooError
from zoostore.objects.references import (
    SnapshotReferences,
    TreeReferences,
    snapshot_references,
    tree_references,
)
from zoostore.ops.on_disk import OnDisk
from zoostore.store.objectstore import ObjectStore
from zoostore.store.packs import PackReader, oid_of
from zoostore.store.records import ObjectKind, PackedRow


class Graph:
    """The trees and the snapshots of a store, and what each refers to.

    Every one is hashed as it is read; what is damaged is not in the graph.

    Args:
        store: is asked for what is not in its own packs.
        disk: what stands in those.
    """

    def __init__(self, store: ObjectStore, disk: OnDisk) -> None:
        self._store = store
        self._trees: dict[bytes, TreeReferences] = {}
        self._snapshots: dict[bytes, SnapshotReferences] = {}
        for path, rows in disk.inner:
            # What was in a pack that is gone by now, the store has elsewhere.
            with contextlib.suppress(FileNotFoundError), PackReader(path) as pack:
                self._read(pack, rows)

    def _read(self, pack: PackReader, rows: list[PackedRow]) -> None:
        rows = sorted(rows, key=_offset)
        pieces = pack.read_together([(row[3], row[4]) for row in rows])
        for row, data in zip(rows, pieces, strict=True):
            oid, kind = row[0], row[1]
            if oid_of(ObjectKind(kind), data) != oid:
                continue
            try:
                if kind == ObjectKind.TREE:
                    self._trees[oid] = tree_references(data)
                else:
                    self._snapshots[oid] = snapshot_references(data)
            except ZooError:  # what nobody can read is as good as damaged
                continue

    def tree(self, oid: bytes) -> TreeReferences:
        """What a tree refers to.

        Raises:
            DamagedContent: it is missing, or damaged.
        """
        found = self._trees.get(oid)
        if found is None:
            data = self._store.read_packed(Oid(oid), ObjectKind.TREE)
            found = self._trees[oid] = tree_references(data)
        return found

    def snapshot(self, oid: bytes) -> SnapshotReferences:
        """What a snapshot refers to. Raises what `tree` raises."""
        found = self._snapshots.get(oid)
        if found is None:
            data = self._store.read_packed(Oid(oid), ObjectKind.SNAPSHOT)
            found = self._snapshots[oid] = snapshot_references(data)
        return found

    def has_snapshot(self, oid: bytes) -> bool:
        """Whether a snapshot is here; one that is missing may be so for good reasons."""
        if oid in self._snapshots:
            return True
        try:
            self.snapshot(oid)
        except MissingObject:
            return False
        return True


def _offset(row: PackedRow) -> int:
    return row[3]
