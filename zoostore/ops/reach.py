"""Reaching: which objects a snapshot needs, from the snapshot down to the blobs."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator

from zoostore.errors import DamagedContent
from zoostore.ops.graph import Graph
from zoostore.ops.roots import NameRoots


class Reach:
    """The objects that some snapshots need, whether they are here or not.

    Args:
        strict: raise where nobody knows what a snapshot needs; otherwise that is passed over.
        known: what need not be reached again.

    Attributes:
        objects: what was reached so far, and is not known.
        logical_bytes: what the snapshots among it would take as full copies.
    """

    def __init__(
        self, graph: Graph, *, strict: bool = True, known: Collection[bytes] = frozenset()
    ) -> None:
        self._graph = graph
        self._strict = strict
        self._known = known
        self.objects: set[bytes] = set()
        self.logical_bytes = 0

    def add_lines(self, tips: Iterable[bytes]) -> None:
        """Reach snapshots and what they follow and is here. Raises what `add` raises."""
        pending = list(tips)
        while pending:
            tip = pending.pop()
            if tip in self.objects or tip in self._known:
                continue
            self.add(tip)
            with self._passing_over():
                parents = self._graph.snapshot(tip).parents
                pending += (parent for parent in parents if self._graph.has_snapshot(parent))

    def add_name(self, found: NameRoots) -> None:
        """Reach all that a name keeps, what it led to until lately too."""
        self.add_lines([*found.lines, *found.lately])
        for snapshot in found.alone:
            self.add(snapshot)

    def add_those_here(self, snapshots: Iterable[bytes]) -> None:
        """Reach snapshots without what they follow, as far as they are here."""
        for snapshot in snapshots:
            if self._graph.has_snapshot(snapshot):
                self.add(snapshot)

    def add(self, snapshot: bytes) -> None:
        """Reach a snapshot without what it follows.

        Raises:
            DamagedContent: it, or a tree of it, is missing or damaged: nobody knows what it needs.
        """
        if snapshot in self.objects or snapshot in self._known:
            return
        with self._passing_over():
            value = self._graph.snapshot(snapshot)
            self._add_tree(value.tree)
            self.logical_bytes += value.size
        self.objects.add(snapshot)

    def _add_tree(self, root: bytes) -> None:
        pending = [root]
        objects, known = self.objects, self._known
        while pending:
            oid = pending.pop()
            if oid in objects or oid in known:
                continue
            objects.add(oid)
            try:
                tree = self._graph.tree(oid)
            except DamagedContent:
                if self._strict:
                    raise
                continue
            pending += tree.folders
            objects.update(blob for blob in tree.blobs if blob not in known)

    @contextlib.contextmanager
    def _passing_over(self) -> Iterator[None]:
        try:
            yield
        except DamagedContent:
            if self._strict:
                raise
