"""The graph: which objects refer to which, read as they are asked for."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

from zoostore.digest import Oid
from zoostore.errors import MissingObject
from zoostore.objects.references import (
    SnapshotReferences,
    TreeReferences,
    snapshot_references,
    tree_references,
)
from zoostore.ops.on_disk import OnDisk
from zoostore.store.objectstore import ObjectStore
from zoostore.store.packs import PackReader, oid_of
from zoostore.store.records import ObjectKind

_BLOCK_BYTES: Final = 1 << 18
_BLOCKS = 32
"""What a model needs stands together in few packs: what is read next was mostly read already."""
_OPEN_PACKS = 16
_SNAPSHOTS = 64


class Graph:
    """The trees and the snapshots of a store, and what each refers to.

    Every one is hashed as it is read. Few are kept in memory.

    Args:
        store: is asked for what is not intact in its own packs, or not there.
        disk: what stands in those.
    """

    def __init__(self, store: ObjectStore, disk: OnDisk) -> None:
        self._store = store
        self.disk = disk
        self._pack = lru_cache(_OPEN_PACKS)(PackReader)
        self._block = lru_cache(_BLOCKS)(self._read_block)
        self.snapshot = lru_cache(_SNAPSHOTS)(self._snapshot)

    def tree(self, oid: bytes) -> TreeReferences:
        """What a tree refers to.

        Raises:
            DamagedContent: it is missing, or damaged.
        """
        return tree_references(self._read(oid, ObjectKind.TREE))

    def _snapshot(self, oid: bytes) -> SnapshotReferences:
        """What a snapshot refers to. Raises what `tree` raises."""
        return snapshot_references(self._read(oid, ObjectKind.SNAPSHOT))

    def has_snapshot(self, oid: bytes) -> bool:
        """Whether a snapshot is here; one that is missing may be so for good reasons."""
        try:
            self.snapshot(oid)
        except MissingObject:
            return False
        return True

    def forget(self) -> None:
        """Let go of what was read; it is read again if it is asked for again."""
        for cache in (self._pack, self._block, self.snapshot):
            cache.cache_clear()

    def _read(self, oid: bytes, kind: ObjectKind) -> bytes:
        place = self.disk.in_pack(oid)
        if place is not None and place.kind == kind:
            try:
                data = self._read_from(place.path, place.offset, place.size)
            except FileNotFoundError:  # what was in a pack that is gone, the store has elsewhere
                data = b""
            if oid_of(kind, data) == oid:
                return data
        return self._store.read_packed(Oid(oid), kind)

    def _read_from(self, path: Path, offset: int, size: int) -> bytes:
        number, start = divmod(offset, _BLOCK_BYTES)
        if start + size > _BLOCK_BYTES:
            return self._pack(path).read(offset, size)
        return self._block(path, number)[start : start + size]

    def _read_block(self, path: Path, number: int) -> bytes:
        return self._pack(path).read(number * _BLOCK_BYTES, _BLOCK_BYTES)
