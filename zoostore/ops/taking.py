"""Taking the files of a directory into a batch: small ones together, large ones hashed ahead."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from zoostore.digest import Oid
from zoostore.files.helping import several_at_a_time
from zoostore.files.reading import Wanted, hash_file, read_together
from zoostore.files.scan import Found
from zoostore.groups import grouped, taken_from
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
_SMALL_WAITING = 1 << 14
_LARGE_WAITING = 1 << 8
"""So many files are held at most of which the content is not known."""

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


def take_in(
    batch: Batch, directory: Path, found: Iterable[Found], progress: Progress
) -> Iterator[tuple[Found, Entry]]:
    """Take files into a batch while others are still found: each, in no order, and its entry.

    Raises:
        CannotAdd: a file cannot be read, or changes meanwhile.
    """
    return _Taking(batch, directory, progress).entries(found)


class _Taking:
    """Takes files of a directory into a batch. While it still sees some, a worker reads others."""

    def __init__(self, batch: Batch, directory: Path, progress: Progress) -> None:
        self._batch = batch
        self._directory = directory
        self._progress = progress
        self._large: list[Found] = []
        self._small: deque[Found] = deque()
        self._apart: Apart | None = None
        self._read_apart: deque[_Group] = deque()
        self._seen_bytes = 0
        self._may_hire = True
        self._advance: Callable[[int], None] = self._advance_early
        self._early_bytes = 0
        self._has_begun = False

    def entries(self, found: Iterable[Found]) -> Iterator[tuple[Found, Entry]]:
        for item in found:
            if not item.is_file:
                yield item, _not_a_file(item)
                continue
            self._seen_bytes += item.stamp.size
            yield from self._see(item)
        if self._has_begun:
            self._progress.end()
        self._progress.begin("adding", self._seen_bytes - self._early_bytes)
        self._advance = self._progress.advance
        yield from self._taken_small()
        yield from self._taken_large()
        self._progress.end()

    def _see(self, item: Found) -> Iterator[tuple[Found, Entry]]:
        """Take note of a file; what was taken in meanwhile, so that few wait."""
        if item.stamp.size >= self._batch.large_object:
            self._large.append(item)
            if len(self._large) >= _LARGE_WAITING:
                yield from self._taken_large()
                yield from self._make_room()
            return
        self._small.append(item)
        if len(self._small) % _GROUP_FILES == 0:
            yield from self._make_room()
            yield from self._handed_over()
            if len(self._small) >= _SMALL_WAITING:
                yield from self._taken_here()

    def _advance_early(self, count: int) -> None:
        """Tell of what is taken in before it is known how much there is."""
        if not self._has_begun:
            self._has_begun = True
            self._progress.begin("adding", 0)
        self._early_bytes += count
        self._progress.advance(count)

    def _taken_small(self) -> Iterator[tuple[Found, Entry]]:
        while self._small:
            yield from self._make_room()
            yield from self._handed_over()
            if self._small:
                yield from self._taken_here()
        yield from self._all_back()
        self._finish_apart()

    def _make_room(self) -> Iterator[tuple[Found, Entry]]:
        """Publish what was taken in, if that is so much that not much more should be held."""
        if self._batch.is_full:
            yield from self._all_back()
            self._finish_apart()
            self._batch.publish()
            self._may_hire = True

    def _finish_apart(self) -> None:
        """Have the worker make its pack durable, which ends with the next that is published."""
        if self._apart is not None:
            self._apart.finish()
            self._apart = None

    def _taken_here(self) -> Iterator[tuple[Found, Entry]]:
        """Take in a group of the small files."""
        group = self._group()
        objects = read_together(str(self._directory), group.wanted())
        self._batch.put_all(ObjectKind.BLOB, objects)
        yield from self._taken(group, [oid for oid, _ in objects])

    def _handed_over(self) -> Iterator[tuple[Found, Entry]]:
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
            yield from self._back_from_worker(self._apart)
        while self._apart.has_room and self._small:
            group = self._group()
            self._apart.read(group.wanted())
            self._read_apart.append(group)

    def _all_back(self) -> Iterator[tuple[Found, Entry]]:
        """Wait for all that the worker was given."""
        while self._read_apart:
            assert self._apart is not None
            yield from self._back_from_worker(self._apart)

    def _back_from_worker(self, apart: Apart) -> Iterator[tuple[Found, Entry]]:
        group = self._read_apart.popleft()
        return self._taken(group, self._batch.put_apart(apart, group.sizes))

    def _taken(self, group: _Group, oids: list[Oid]) -> Iterator[tuple[Found, Entry]]:
        items, sizes = group
        self._advance(sum(sizes))
        return zip(items, map(_file_entry, items, sizes, oids), strict=True)

    def _group(self) -> _Group:
        waiting = taken_from(self._small)
        items = next(grouped(waiting, _size, most=_GROUP_FILES, most_size=_GROUP_BYTES))
        return _Group(items, list(map(_size, items)))

    def _taken_large(self) -> Iterator[tuple[Found, Entry]]:
        """Take in files of which some are hashed by other threads, while others are copied."""
        if not self._large:
            return
        # Imported here: most often there is nothing to read.
        from zoostore.files.readers import Readers, threads_for

        batch, directory, files = self._batch, self._directory, self._large
        self._large = []
        threads = threads_for(directory, batch.threads)
        share = threads.share(sum(item.stamp.size for item in files))
        with Readers(threads.files) as readers:
            hashed = readers.ahead(
                (item, partial(hash_file, directory / item.path, item.stamp, readers.go_on))
                for item in files
                if item.stamp.size < share
            )
            for item, oid in hashed:
                yield item, self._added(item, oid())
        for item in files:
            if item.stamp.size >= share:
                yield item, self._added(item)

    def _added(self, item: Found, known: Oid | None = None) -> Entry:
        path, size = self._directory / item.path, item.stamp.size
        added = self._batch.add_file(path, item.stamp, self._advance, known)
        return _file_entry(item, size, added.oid)


def _file_entry(item: Found, size: int, oid: Oid) -> Entry:
    assert item.kind is not None  # what has none was refused
    return Entry(item.kind, size, oid)


def _not_a_file(item: Found) -> Entry:
    return link_entry(item.target) if item.kind is Kind.LINK else EMPTY_DIRECTORY
