"""Taking the files of a directory into a batch: small ones together, large ones hashed ahead."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from zoostore.digest import Oid
from zoostore.files.helping import several_at_a_time
from zoostore.files.reading import Wanted, hash_file, read_together
from zoostore.files.scan import Found
from zoostore.groups import drained, grouped, taken_from
from zoostore.objects.listing import EMPTY_DIRECTORY
from zoostore.objects.tree import Entry, Kind, link_entry
from zoostore.progress import Progress
from zoostore.store.batch import Batch
from zoostore.store.records import ObjectKind

if TYPE_CHECKING:
    from zoostore.store.apart import Apart

# The contents of a group are in memory together.
_GROUP_FILES = 256
_GROUP_BYTES = 1 << 19
_WORTH_A_WORKER = 4000
"""So many small files take longer to read than a worker takes to start."""


_size = operator.attrgetter("stamp.size")


class _Group(NamedTuple):
    """Small files that are read together, and their sizes."""

    items: list[Found]
    sizes: list[int]

    def wanted(self) -> list[Wanted]:
        return [
            (item.path, size, bytes(item.stamp))
            for item, size in zip(self.items, self.sizes, strict=True)
        ]


_Taken: TypeAlias = tuple[_Group, list[Oid]]


def take_in(
    batch: Batch, directory: Path, found: Iterable[Found], progress: Progress
) -> Iterator[tuple[Found, Entry]]:
    """Take files into a batch: each, in no order, and its entry.

    Raises:
        CannotAdd: a file cannot be read, or changes meanwhile.
    """
    taking = Taking(batch, directory, progress)
    deque(taking.seen(found), maxlen=0)
    yield from taking.entries()


class Taking:
    """Takes files of a directory into a batch. While it still sees some, a worker reads others.

    Read `seen` to its end, and then `entries`.
    """

    def __init__(self, batch: Batch, directory: Path, progress: Progress) -> None:
        self._batch = batch
        self._directory = directory
        self._progress = progress
        self._others: list[Found] = []
        self._large: list[Found] = []
        self._small: deque[Found] = deque()
        self._apart: Apart | None = None
        self._read_apart: deque[_Group] = deque()
        self._taken: list[_Taken] = []
        self._seen_bytes = 0
        self._may_hire = True

    def seen(self, found: Iterable[Found]) -> Iterator[Found]:
        """What was found, which is to be taken in.

        Raises:
            CannotAdd: a file that was seen before cannot be read, or changes meanwhile.
        """
        for item in found:
            size = item.stamp.size
            if not item.is_file:
                self._others.append(item)
            elif size >= self._batch.large_object:
                self._large.append(item)
                self._seen_bytes += size
            else:
                self._small.append(item)
                self._seen_bytes += size
                if len(self._small) % _GROUP_FILES == 0:
                    self._taken += self._handed_over()
            yield item

    def entries(self) -> Iterator[tuple[Found, Entry]]:
        """Take in what was seen: each, in no order, and its entry. Raises what `seen` raises."""
        for item in drained(self._others):
            yield item, _not_a_file(item)
        self._progress.begin("adding", self._seen_bytes)
        for (items, sizes), oids in self._taken_small():
            self._progress.advance(sum(sizes))
            yield from zip(items, map(_file_entry, items, sizes, oids), strict=True)
        for item, oid in self._taken_large():
            yield item, _file_entry(item, item.stamp.size, oid)
        self._progress.end()

    def _taken_small(self) -> Iterator[_Taken]:
        yield from drained(self._taken)
        while self._small:
            yield from self._handed_over()
            if self._small:
                group = self._group()
                objects = read_together(str(self._directory), group.wanted())
                self._batch.put_all(ObjectKind.BLOB, objects)
                yield group, [oid for oid, _ in objects]
        while self._read_apart:
            yield self._back_from_worker()
        if self._apart is not None:
            self._apart.finish()

    def _handed_over(self) -> Iterator[_Taken]:
        """Give the worker more of the small files; what has come back from it."""
        if self._apart is None:
            if not self._may_hire or len(self._small) < _WORTH_A_WORKER:
                return
            self._may_hire = False
            if not several_at_a_time(self._batch.threads, self._directory):
                return
            self._apart = self._batch.pack_apart(self._directory)
            if self._apart is None:
                return
        while self._apart.is_ready:
            yield self._back_from_worker()
        while self._apart.has_room and self._small:
            group = self._group()
            self._apart.read(group.wanted())
            self._read_apart.append(group)

    def _back_from_worker(self) -> _Taken:
        assert self._apart is not None
        group = self._read_apart.popleft()
        return group, self._batch.put_apart(self._apart, group.sizes)

    def _group(self) -> _Group:
        waiting = taken_from(self._small)
        items = next(grouped(waiting, _size, most=_GROUP_FILES, most_bytes=_GROUP_BYTES))
        return _Group(items, list(map(_size, items)))

    def _taken_large(self) -> Iterator[tuple[Found, Oid]]:
        """Take in files of which some are hashed by other threads, while others are copied."""
        if not self._large:
            return
        # Imported here: most often there is nothing to read.
        from zoostore.files.readers import Readers, threads_for

        batch, directory, files = self._batch, self._directory, self._large
        threads = threads_for(directory, batch.threads)
        share = threads.share(sum(item.stamp.size for item in files))
        with Readers(threads.files) as readers:
            hashed = readers.ahead(
                (item, partial(hash_file, directory / item.path, item.stamp, readers.go_on))
                for item in files
                if item.stamp.size < share
            )
            for item, oid in hashed:
                path = directory / item.path
                yield item, batch.add_file(path, item.stamp, self._progress.advance, oid()).oid
        for item in files:
            if item.stamp.size >= share:
                path = directory / item.path
                yield item, batch.add_file(path, item.stamp, self._progress.advance).oid


def _file_entry(item: Found, size: int, oid: Oid) -> Entry:
    assert item.kind is not None  # what has none was refused
    return Entry(item.kind, size, oid)


def _not_a_file(item: Found) -> Entry:
    return link_entry(item.target) if item.kind is Kind.LINK else EMPTY_DIRECTORY
