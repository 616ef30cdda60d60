"""status: what in a checkout differs from its snapshot, reading no file it need not."""

import itertools
import os
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import NamedTuple

from zoostore.digest import Oid, hash_descriptor
from zoostore.errors import UnreadableFile
from zoostore.files.scan import Found, found_at
from zoostore.objects.tree import Entry, Kind
from zoostore.ops.known_checkouts import remember_if_unknown
from zoostore.ops.looking import Unchanged
from zoostore.ops.records import NO_STAMP, Records, Tracked, laid_out, left_out
from zoostore.ops.resuming import resume
from zoostore.ops.tracking import Tracking
from zoostore.ops.working import WorkingDirectory
from zoostore.store.objectstore import ObjectStore


class Status(NamedTuple):
    """How a checkout differs from its snapshot; paths sorted.

    Attributes:
        stub, snapshot: what was checked out.
        modified: files whose content, kind or executable bit is another.
        deleted: files and empty folders that are gone.
        untracked: what the snapshot does not have; an empty folder ends in a slash.
    """

    stub: str
    snapshot: Oid
    modified: tuple[str, ...]
    deleted: tuple[str, ...]
    untracked: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        return not (self.modified or self.deleted or self.untracked)


class Comparison(NamedTuple):
    """A checkout held against what was laid out in it.

    Attributes:
        clean: paths that are as they were laid out, with the stamp they have now.
        modified, untracked: paths that are not, and what was found there.
        emptied: folders that hold nothing only because what they held was deleted or left out.
        deleted: paths that are gone.
        learned: what of the clean had to be read to be known to be so: stamps worth keeping.
    """

    clean: Mapping[str, Tracked]
    modified: Mapping[str, Found]
    untracked: Mapping[str, Found]
    emptied: Mapping[str, Found]
    deleted: tuple[str, ...]
    learned: Mapping[str, Tracked]


class Clean(Mapping[str, Tracked]):
    """Paths that are as they were laid out.

    Args:
        tracked: how they were.
        unchanged: those whose stamps prove it.
        looked_at: those that had to be looked at, with the stamp they have now.
    """

    def __init__(
        self,
        tracked: Mapping[str, Tracked],
        unchanged: Set[str],
        looked_at: Mapping[str, Tracked],
    ) -> None:
        self._tracked = tracked
        self._unchanged = unchanged
        self._looked_at = looked_at

    def __len__(self) -> int:
        return len(self._unchanged) + len(self._looked_at)

    def __iter__(self) -> Iterator[str]:
        return itertools.chain(self._unchanged, self._looked_at)

    def __contains__(self, path: object) -> bool:
        return path in self._unchanged or path in self._looked_at

    def __getitem__(self, path: str) -> Tracked:
        return self._tracked[path] if path in self._unchanged else self._looked_at[path]


def status(store: ObjectStore, working: WorkingDirectory) -> Status:
    """What differs. Stamps learned on the way are kept for the next time.

    Raises:
        NotACheckout: the directory is not a checkout.
    """
    resume(store, working)
    state = working.state()
    tracking = tracking_of(store, working)
    remember_if_unknown(store, working.root, Oid.parse(state.snapshot))
    compared = compare(working.root, tracking, store.threads)
    if compared.learned and os.access(working.folder, os.W_OK):
        working.record_changes(state.snapshot, tracking.paths, compared.learned)
    return Status(
        state.stub,
        Oid.parse(state.snapshot),
        tuple(sorted(compared.modified)),
        compared.deleted,
        tuple(sorted(map(_shown, compared.untracked.values()))),
    )


def _shown(found: Found) -> str:
    return found.path + "/" if found.kind is Kind.DIRECTORY else found.path


def tracking_of(store: ObjectStore, working: WorkingDirectory) -> Tracking:
    """What was laid out, from the checkout's record or, where that is lost, the snapshot.

    Raises:
        MissingObject: the record is lost, and so is the snapshot.
    """
    state = working.state()
    tracking = working.tracking(state.snapshot)
    if tracking is not None:
        return tracking
    from zoostore.files.globs import selector
    from zoostore.objects.walking import flatten

    listing = flatten(store.tree, store.snapshot(Oid.parse(state.snapshot)).tree)
    is_chosen = selector(state.include, state.exclude)
    paths = (
        (path, laid_out(entry, NO_STAMP) if is_chosen(path, entry.kind) else left_out(entry))
        for path, entry in listing.items()
    )
    return Tracking(Records.of(paths).paths(), 0)


def compare(root: Path, tracking: Tracking, threads: int | None) -> Comparison:
    """Hold a directory against what was laid out in it.

    Args:
        threads: how many files to look at at a time; None: as suits the disk.

    Raises:
        UnreadableFile: a file whose stamp changed, or a folder, cannot be read.
    """
    unchanged = Unchanged(tracking)
    clean: dict[str, Tracked] = {}
    modified: dict[str, Found] = {}
    untracked: dict[str, Found] = {}
    learned: dict[str, Tracked] = {}
    for found in unchanged.others(root, threads):
        tracked = tracking.paths.get(found.path)
        if tracked is None:
            untracked[found.path] = found
            continue
        content = content_of(root, found, tracked.entry)
        is_kind = content.kind is tracked.entry.kind
        is_certain = found.kind is Kind.DIRECTORY or tracking.is_certain(tracked, content.stamp)
        if tracked.is_laid_out and is_kind and is_certain:
            clean[found.path] = tracked
        elif is_same(root, content, tracked.entry):
            learned[found.path] = laid_out(tracked.entry, content.lasting_stamp)
        else:
            modified[found.path] = found
    clean_paths = Clean(tracking.paths, unchanged, clean | learned)
    deleted = _deleted(root, tracking, unchanged, {*clean, *learned, *modified})
    emptied = _emptied_folders(untracked, tracking)
    for path in emptied:
        del untracked[path]
    return Comparison(clean_paths, modified, untracked, emptied, deleted, learned)


def content_of(root: Path, found: Found, entry: Entry) -> Found:
    """The file itself, where an object was laid out as a link to it."""
    digits = entry.oid.hex()
    is_to_object = found.target.endswith(f"/objects/{digits[:2]}/{digits[2:]}")
    if found.kind is not Kind.LINK or not entry.kind.is_file or not is_to_object:
        return found
    try:
        status = os.stat(root / found.path)
    except OSError:
        return found
    # An object gets and loses hard links as others check it out.
    return found_at(found.path, status)._replace(has_other_names=True)


def is_same(root: Path, found: Found, entry: Entry) -> bool:
    """Whether what was found is what an entry says, its content read if need be.

    Raises:
        UnreadableFile: the content cannot be read.
    """
    if found.kind is not entry.kind:
        return False
    if entry.kind is Kind.LINK:
        return found.target == entry.target
    if entry.kind is Kind.DIRECTORY:
        return True
    return found.stamp.size == entry.size and content_oid(root / found.path) == entry.oid


def content_oid(path: Path) -> Oid:
    """The oid of a file's content.

    Raises:
        UnreadableFile: it cannot be read.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            return hash_descriptor(file.fileno())[0]
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error.strerror}.", path=str(path)) from error


def _deleted(
    root: Path, tracking: Tracking, unchanged: Unchanged, there: Set[str]
) -> tuple[str, ...]:
    """What was laid out, and is neither unchanged nor else among what is there."""
    missing = [
        path
        for path in unchanged.not_proven()
        if path not in there
        # A folder that was empty and now holds something is still there.
        and not (tracking.paths[path].entry.kind is Kind.DIRECTORY and os.path.isdir(root / path))
    ]
    return tuple(sorted(missing))


def _emptied_folders(untracked: Mapping[str, Found], tracking: Tracking) -> dict[str, Found]:
    empty = {path: found for path, found in untracked.items() if found.kind is Kind.DIRECTORY}
    if not empty:
        return empty
    # What holds something, and all that is above a folder.
    parents = {folder.prefix[:-1] for folder in tracking.paths.folders() if folder.names}
    parents.update(
        parent for prefix in tracking.paths.prefixes() for parent in _parents(prefix[:-1])
    )
    return {path: found for path, found in empty.items() if path in parents}


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: index + 1]) for index in range(len(parts))]
