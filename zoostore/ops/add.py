"""add: import a directory as a new snapshot of a stub."""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from zoostore.digest import Oid
from zoostore.errors import DamagedContent, Diverged, UsageError
from zoostore.files.scan import Found, FoundFolder, require_keepable_folder, scan_folders
from zoostore.files.spool import Spool
from zoostore.groups import grouped
from zoostore.objects.tree import Kind, link_entry
from zoostore.ops.open_folders import OpenFolders
from zoostore.ops.recording import Note, Recorded, put_folders, record
from zoostore.ops.records import Records, laid_out
from zoostore.ops.remembering import Remembered
from zoostore.progress import Progress
from zoostore.store.batch import Batch
from zoostore.store.objectstore import ObjectStore

_TRIES = 5
_FOLDERS, _FILES = 64, 256
"""So many are looked up together, at most."""


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
    with Batch(store) as batch, Spool(batch.staging.unnamed_file) as spool:
        taken = _take_in(batch, directory, remembered, spool, progress)
        recorded = _record_at_last(store, batch, taken, stub, note)
        if taken.records is not None:
            remembered.write(recorded.snapshot, taken.records)
        return recorded


def _take_in(
    batch: Batch, directory: Path, remembered: Remembered, spool: Spool, progress: Progress
) -> _TakenIn:
    seen = _Seen(Records(spool))
    unknown = seen.unknown(batch, directory, remembered)
    first = next(unknown, None)
    if first is not None:
        # Imported here: most often there is nothing to take in.
        from zoostore.ops.taking import take_in

        unknown = itertools.chain([first], unknown)
        for item, entry in take_in(batch, directory, unknown, progress):
            seen.folders.know(item.path, _row(item, entry.oid))
    tree = put_folders(batch, seen.records.paths())
    return _TakenIn(tree, (seen.files, seen.size), None if first is None else seen.records)


class _Seen:
    """What was found in a directory.

    Attributes:
        records: what is to be remembered of it.
        folders: those of which not all is known.
        files, size: how many files and links there are, and their size in bytes.
    """

    def __init__(self, records: Records) -> None:
        self.records = records
        self.folders = OpenFolders(records)
        self.files = self.size = 0

    def unknown(self, batch: Batch, directory: Path, remembered: Remembered) -> Iterator[Found]:
        """Look at all of it; the files of which it is not remembered what they hold."""
        folders = scan_folders(directory)
        for some in grouped(folders, _files_in, most=_FOLDERS, most_size=_FILES):
            for folder in some:
                require_keepable_folder(directory, folder)
            known = remembered.known(some)
            batch.rely_on(known.values())
            for folder in some:
                yield from self._see(folder, known)

    def _see(self, folder: FoundFolder, known: Mapping[str, Oid]) -> Iterator[Found]:
        prefix, found, _, itself = folder
        if itself is not None:
            self.records.add_empty(prefix)
        if found:
            begin = len(prefix)
            self.folders.open(prefix, [item.path[begin:] for item in found])
        self.files += len(found)
        for item in found:
            oid = known.get(item.path)
            if item.kind is Kind.LINK:
                entry = link_entry(item.target)
                self.size += entry.size
                self.folders.learn(item.path, laid_out(entry, item.lasting_stamp))
                continue
            self.size += item.stamp.size
            if oid is None:
                yield item
            else:
                self.folders.know(item.path, _row(item, oid))


def _files_in(folder: FoundFolder) -> int:
    return len(folder.found)


def _row(item: Found, oid: Oid) -> bytes:
    """What is to be remembered of a file."""
    assert item.kind is not None  # what has none was refused
    return bytes((item.kind, True)) + item.lasting_stamp + oid


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
