"""add: import a directory as a new snapshot of a stub."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from zoostore.digest import Oid
from zoostore.errors import DamagedContent, Diverged, UsageError
from zoostore.files.readers import Readers, threads_for
from zoostore.files.scan import Found, require_keepable, scan
from zoostore.objects.listing import EMPTY_DIRECTORY, Listing, totals
from zoostore.objects.tree import Entry, Kind, link_entry
from zoostore.ops.recording import Note, Recorded, put_trees, record
from zoostore.ops.remembering import Remembered
from zoostore.progress import Progress
from zoostore.store.batch import Added, Batch, hash_file
from zoostore.store.objectstore import ObjectStore

_TRIES = 5


def add(store: ObjectStore, directory: Path, stub: str, note: Note, progress: Progress) -> Recorded:
    """Import a directory. Adding again what the stub already holds changes nothing, and reads
    nothing that was not touched.

    Raises:
        UsageError: it is no directory, or holds the store.
        CannotAdd: something in it cannot be kept; nothing was added.
    """
    _check_directory(store, directory)
    found = require_keepable(directory, scan(directory))
    remembered = Remembered(store, directory)
    with Batch(store) as batch:
        known = remembered.entries(found)
        batch.rely_on(entry.oid for entry in known.values())
        unknown = [item for item in found if item.path not in known]
        taken = {**known, **take_in(batch, directory, unknown, progress)}
        listing = {item.path: taken[item.path] for item in found}
        recorded = _record_at_last(store, batch, listing, stub, note)
    if any(item.kind is not None and item.kind.is_file for item in unknown):
        remembered.write(recorded.snapshot, found, listing)
    return recorded


def _record_at_last(
    store: ObjectStore, batch: Batch, listing: Listing, stub: str, note: Note
) -> Recorded:
    tree = put_trees(batch, listing)
    for _ in range(_TRIES):
        try:
            return _record(store, batch, listing, tree, stub, note)
        except Diverged:  # somebody else added to it meanwhile: go on from there
            continue
    return _record(store, batch, listing, tree, stub, note)


def _record(
    store: ObjectStore, batch: Batch, listing: Listing, tree: Oid, stub: str, note: Note
) -> Recorded:
    parent = store.names.ref(stub)
    old = parent.snapshot if parent else None
    if old is None or not _says_the_same(store, old, tree, note):
        return record(batch, listing, tree, stub, follows=old, old=old, op="add", note=note)
    batch.publish()
    before = store.snapshot(old).parents
    # What had been damaged, or was left out of a pull, is new even so.
    new = (batch.new_objects, batch.new_bytes)
    return Recorded(stub, old, before[0] if before else None, *totals(listing), *new)


def take_in(
    batch: Batch, directory: Path, found: list[Found], progress: Progress
) -> dict[str, Entry]:
    """Take files into a batch; the listing of them.

    Raises:
        CannotAdd: a file cannot be read, or changes meanwhile.
    """
    total = sum(item.stamp.size for item in found if item.kind and item.kind.is_file)
    progress.begin("adding", total)
    files = [item for item in found if item.kind is not None and item.kind.is_file]
    small = [item for item in files if item.stamp.size < batch.large_object]
    stamps = ((item.path, item.stamp) for item in small)
    taken = dict(
        zip(
            (item.path for item in small),
            batch.add_small_files(directory, stamps, progress.advance),
            strict=True,
        )
    )
    large = [item for item in files if item.path not in taken]
    taken |= _take_in_large(batch, directory, large, progress)
    progress.end()
    return {item.path: _entry(item, taken.get(item.path)) for item in found}


def _take_in_large(
    batch: Batch, directory: Path, files: list[Found], progress: Progress
) -> dict[str, Added]:
    """Take in files of which some are hashed by other threads, while others are copied."""
    if not files:
        return {}
    threads = threads_for(directory, batch.threads)
    share = threads.share(sum(item.stamp.size for item in files))
    with Readers(threads.files) as readers:
        hashed = readers.ahead(
            (item, partial(hash_file, directory / item.path, item.stamp, readers.go_on))
            for item in files
            if item.stamp.size < share
        )
        taken = {
            item.path: batch.add_file(directory / item.path, item.stamp, progress.advance, oid())
            for item, oid in hashed
        }
    for item in files:
        if item.path not in taken:
            taken[item.path] = batch.add_file(directory / item.path, item.stamp, progress.advance)
    return taken


def _entry(item: Found, added: Added | None) -> Entry:
    if item.kind is Kind.LINK:
        return link_entry(item.target)
    if item.kind is Kind.DIRECTORY:
        return EMPTY_DIRECTORY
    assert item.kind is not None  # what has none was refused
    assert added is not None
    return Entry(item.kind, added.size, added.oid)


def _check_directory(store: ObjectStore, directory: Path) -> None:
    if not directory.is_dir():
        what = "is not a directory" if directory.exists() else "does not exist"
        raise UsageError(f"{directory} {what}; nothing was added.", path=str(directory))
    store.layout.require_not_within(directory)


def _says_the_same(store: ObjectStore, snapshot: Oid, tree: Oid, note: Note) -> bool:
    try:
        current = store.snapshot(snapshot)
    except DamagedContent:  # what is added takes its place
        return False
    return (
        current.tree == tree
        and note.message in ("", current.message)
        and (not note.metadata or dict(note.metadata) == dict(current.metadata))
    )
