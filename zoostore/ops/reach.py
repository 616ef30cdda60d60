"""Reaching: which objects a snapshot needs, from the snapshot down to the blobs."""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Iterable, Iterator

from zoostore.errors import DamagedContent
from zoostore.ops.graph import Graph
from zoostore.ops.numbering import Marks
from zoostore.ops.roots import NameRoots


class Reach:
    """The objects that some snapshots need, whether they are here or not.

    Args:
        reached: what need not be reached again; gets what is reached.
        strict: raise where nobody knows what a snapshot needs; otherwise that is passed over.

    Attributes:
        objects: the numbers of what was reached.
        logical_bytes: what the snapshots among it would take as full copies.
    """

    def __init__(self, graph: Graph, reached: Marks, *, strict: bool = True) -> None:
        self._graph = graph
        self._strict = strict
        self._reached = reached
        self.objects = array("I")
        self.logical_bytes = 0

    def add_lines(self, tips: Iterable[bytes]) -> None:
        """Reach snapshots and what they follow and is here. Raises what `add` raises."""
        pending = list(tips)
        while pending:
            tip = pending.pop()
            if not self.add(tip):
                continue
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

    def add(self, snapshot: bytes) -> bool:
        """Reach a snapshot without what it follows; whether it was not reached before.

        Raises:
            DamagedContent: it, or a tree of it, is missing or damaged: nobody knows what it needs.
        """
        if not self._mark([snapshot]):
            return False
        with self._passing_over():
            value = self._graph.snapshot(snapshot)
            self._add_tree(value.tree)
            self.logical_bytes += value.size
        return True

    def here(self) -> Iterator[int]:
        """The numbers of what was reached, and stands on the disk."""
        count = len(self._graph.disk.numbering)
        return (number for number in self.objects if number < count)

    def forget(self) -> None:
        """Let others reach the same, as if this had not."""
        self._reached.unmark(self.objects)

    def _add_tree(self, root: bytes) -> None:
        pending = [root]
        while pending:
            oid = pending.pop()
            if not self._mark([oid]):
                continue
            try:
                tree = self._graph.tree(oid)
            except DamagedContent:
                if self._strict:
                    raise
                continue
            pending += tree.folders
            self._mark(tree.blobs)

    def _mark(self, oids: Iterable[bytes]) -> bool:
        """Take objects in; whether one was not reached before."""
        new = self._reached.mark(oids)
        self.objects.extend(new)
        return bool(new)

    @contextlib.contextmanager
    def _passing_over(self) -> Iterator[None]:
        try:
            yield
        except DamagedContent:
            if self._strict:
                raise
