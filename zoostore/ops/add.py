"""add: import a directory as a new snapshot of a stub."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from zoostore.digest import Oid
from zoostore.errors import DamagedContent, Diverged, UsageError
from zoostore.files.scan import Found, require_keepable, scan
from zoostore.groups import drained
from zoostore.objects.listing import Listing, totals
from zoostore.objects.tree import Entry
from zoostore.ops.recording import Note, Recorded, put_trees, record
from zoostore.ops.remembering import Remembered
from zoostore.ops.tracking import Records, Tracked, laid_out
from zoostore.progress import Progress
from zoostore.store.batch import Batch
from zoostore.store.objectstore import ObjectStore

_TRIES = 5


class _TakenIn(NamedTuple):
    """A directory whose files and trees are in a batch.

    Attributes:
        tree: the root.
        extent: how many files and links it holds, and their size in bytes.
        records: what is to be remembered of them; None where nothing had to be read.
    """

    tree: Oid
    extent: tuple[int, int]
    records: Records | None


def add(store: ObjectStore, directory: Path, stub: str, note: Note, progress: Progress) -> Recorded:
    """Import a directory. Adding again what the stub already holds changes nothing, and reads
    nothing that was not touched.

    Raises:
        UsageError: it is no directory, or holds the store.
        CannotAdd: something in it cannot be kept; nothing was added.
    """
    _check_directory(store, directory)
    remembered = Remembered(store, directory)
    with Batch(store) as batch:
        taken = _take_in(batch, directory, remembered, progress)
        recorded = _record_at_last(store, batch, taken, stub, note)
    if taken.records is not None:
        remembered.write(recorded.snapshot, taken.records)
    return recorded


def _take_in(batch: Batch, directory: Path, remembered: Remembered, progress: Progress) -> _TakenIn:
    listing, records = _take_in_files(batch, directory, remembered, progress)
    return _TakenIn(put_trees(batch, listing), totals(listing), records)


def _take_in_files(
    batch: Batch, directory: Path, remembered: Remembered, progress: Progress
) -> tuple[Listing, Records | None]:
    """Take a directory's files into a batch: the listing of them, and what is to be remembered."""
    if remembered.is_nothing:
        return _take_in_all(batch, directory, progress)
    found = require_keepable(directory, scan(directory))
    listing = remembered.entries(found)
    batch.rely_on(entry.oid for entry in listing.values())
    unchanged = [item for item in found if item.path in listing]
    unknown = [item for item in found if item.path not in listing]
    if not unknown:
        return listing, None
    # Imported here: most often there is nothing to take in.
    from zoostore.ops.taking import take_in

    if not any(item.is_file for item in unknown):
        listing.update(
            (item.path, entry) for item, entry in take_in(batch, directory, unknown, progress)
        )
        return listing, None
    # What was found takes five times the memory of its record: both are there of a few only.
    del found
    taken = take_in(batch, directory, drained(unknown), progress)
    known = ((item, listing[item.path]) for item in unchanged)
    return listing, _records(itertools.chain(taken, known), listing)


def _take_in_all(
    batch: Batch, directory: Path, progress: Progress
) -> tuple[Listing, Records | None]:
    """The same for a directory of which nothing is remembered."""
    from zoostore.ops.taking import Taking

    taking = Taking(batch, directory, progress)
    require_keepable(directory, taking.seen(scan(directory)))
    listing: dict[str, Entry] = {}
    return listing, _records(taking.entries(), listing)


def _records(taken: Iterable[tuple[Found, Entry]], listing: dict[str, Entry]) -> Records:
    """What is to be remembered of what is taken in, which stands in the listing then."""

    def tracked() -> Iterator[tuple[str, Tracked]]:
        for item, entry in taken:
            listing[item.path] = entry
            yield item.path, laid_out(entry, item.lasting_stamp)

    return Records(tracked())


def _record_at_last(
    store: ObjectStore, batch: Batch, taken: _TakenIn, stub: str, note: Note
) -> Recorded:
    for _ in range(_TRIES):
        try:
            return _record(store, batch, taken, stub, note)
        except Diverged:  # somebody else added to it meanwhile: go on from there
            continue
    return _record(store, batch, taken, stub, note)


def _record(store: ObjectStore, batch: Batch, taken: _TakenIn, stub: str, note: Note) -> Recorded:
    tree, extent, _ = taken
    parent = store.names.ref(stub)
    old = parent.snapshot if parent else None
    if old is None or not _says_the_same(store, old, tree, note):
        return record(batch, tree, extent, stub, follows=old, old=old, op="add", note=note)
    batch.publish()
    before = store.snapshot(old).parents
    # What had been damaged, or was left out of a pull, is new even so.
    new = (batch.new_objects, batch.new_bytes)
    return Recorded(stub, old, before[0] if before else None, *extent, *new)


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
