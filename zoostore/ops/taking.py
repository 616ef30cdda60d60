"""Taking the files of a directory into a batch: small ones together, large ones hashed ahead."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from zoostore.digest import Oid
from zoostore.files.helping import several_at_a_time
from zoostore.files.reading import Wanted, hash_file, read_together
from zoostore.files.scan import Found
from zoostore.groups import drained, grouped
from zoostore.objects.listing import EMPTY_DIRECTORY
from zoostore.objects.tree import Entry, Kind, link_entry
from zoostore.progress import Progress
from zoostore.store.batch import Batch
from zoostore.worker import hired, shared

# The contents of a group are in memory together.
_GROUP_FILES = 256
_GROUP_BYTES = 1 << 19
_WORTH_A_WORKER = 4000
"""So many small files take longer to read than a worker takes to start."""

_size = operator.attrgetter("stamp.size")


def take_in(
    batch: Batch, directory: Path, found: Iterable[Found], progress: Progress
) -> Iterator[tuple[Found, Entry]]:
    """Take files into a batch: each, in no order, and its entry.

    Raises:
        CannotAdd: a file cannot be read, or changes meanwhile.
    """
    small: list[Found] = []
    large: list[Found] = []
    for item in found:
        if item.is_file:
            (small if item.stamp.size < batch.large_object else large).append(item)
        else:
            yield item, _not_a_file(item)
    progress.begin("adding", sum(item.stamp.size for files in (small, large) for item in files))
    yield from _take_in_small(batch, directory, small, progress)
    for item, oid in _take_in_large(batch, directory, large, progress):
        yield item, _file_entry(item, oid)
    progress.end()


def _take_in_small(
    batch: Batch, directory: Path, files: list[Found], progress: Progress
) -> Iterator[tuple[Found, Entry]]:
    """Take in files, each of which leaves the list."""
    is_much = len(files) >= _WORTH_A_WORKER
    groups = grouped(drained(files), _size, most=_GROUP_FILES, most_bytes=_GROUP_BYTES)
    work = ((some, partial(read_together, str(directory), _wanted(some))) for some in groups)
    with hired(when=is_much and several_at_a_time(batch.threads, directory)) as worker:
        for some, contents in shared(worker, work):
            objects = list(contents.each())
            batch.put_blobs(objects)
            progress.advance(len(contents.data))
            for item, (oid, _) in zip(some, objects, strict=True):
                yield item, _file_entry(item, oid)


def _take_in_large(
    batch: Batch, directory: Path, files: list[Found], progress: Progress
) -> Iterator[tuple[Found, Oid]]:
    """Take in files of which some are hashed by other threads, while others are copied."""
    if not files:
        return
    # Imported here: most often there is nothing to read.
    from zoostore.files.readers import Readers, threads_for

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
            yield item, batch.add_file(path, item.stamp, progress.advance, oid()).oid
    for item in files:
        if item.stamp.size >= share:
            path = directory / item.path
            yield item, batch.add_file(path, item.stamp, progress.advance).oid


def _wanted(files: Iterable[Found]) -> list[Wanted]:
    return [(item.path, item.stamp.bare()) for item in files]


def _file_entry(item: Found, oid: Oid) -> Entry:
    assert item.kind is not None  # what has none was refused
    return Entry(item.kind, item.stamp.size, oid)


def _not_a_file(item: Found) -> Entry:
    return link_entry(item.target) if item.kind is Kind.LINK else EMPTY_DIRECTORY
