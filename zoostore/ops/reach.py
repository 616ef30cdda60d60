"""Reaching: which objects a snapshot needs, from the snapshot down to the blobs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from zoostore.digest import Oid
from zoostore.errors import DamagedContent
from zoostore.objects.tree import Kind
from zoostore.ops.history import history
from zoostore.store.objectstore import ObjectStore


class Reach:
    """The objects that some snapshots need, whether they are here or not.

    Args:
        strict: raise where nobody knows what a snapshot needs; otherwise that is passed over.

    Attributes:
        objects: what was reached so far.
        logical_bytes: what the snapshots among it would take as full copies.
    """

    def __init__(self, store: ObjectStore, *, strict: bool = True) -> None:
        self._store = store
        self._strict = strict
        self.objects: set[Oid] = set()
        self.logical_bytes = 0

    def add_lines(self, tips: Iterable[Oid]) -> None:
        """Reach snapshots and what they follow and is here. Raises what `add` raises."""
        for tip in tips:
            with self._passing_over():
                for oid, _ in history(self._store, tip):
                    self.add(oid)

    def add(self, snapshot: Oid) -> None:
        """Reach a snapshot without what it follows.

        Raises:
            DamagedContent: it, or a tree of it, is missing or damaged: nobody knows what it needs.
        """
        if snapshot not in self.objects:
            with self._passing_over():
                value = self._store.snapshot(snapshot)
                self._add_tree(value.tree)
                self.logical_bytes += value.size
            self.objects.add(snapshot)

    def _add_tree(self, root: Oid) -> None:
        pending = [root]
        while pending:
            oid = pending.pop()
            if oid in self.objects:
                continue
            with self._passing_over():
                for entry in self._store.tree(oid).values():
                    if entry.kind is Kind.DIRECTORY:
                        pending.append(entry.oid)
                    elif entry.kind.is_file:
                        self.objects.add(entry.oid)
            self.objects.add(oid)

    @contextlib.contextmanager
    def _passing_over(self) -> Iterator[None]:
        try:
            yield
        except DamagedContent:
            if self._strict:
                raise
