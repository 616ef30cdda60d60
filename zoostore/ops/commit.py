"""commit: record what changed in a checkout as a child of its snapshot."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from zoostore.digest import Oid
from zoostore.errors import (
    Diverged,
    MalformedObject,
    NothingToCommit,
    UnsafeName,
    UsageError,
)
from zoostore.files.scan import Found, require_keepable
from zoostore.files.spool import Spool
from zoostore.groups import drained
from zoostore.objects.listing import Listing, with_all_above
from zoostore.objects.paths import parted
from zoostore.objects.walking import totals
from zoostore.ops.bringing import missing_blobs
from zoostore.ops.history import Found as SnapshotFound
from zoostore.ops.known_checkouts import remember_checkout, remember_if_unknown
from zoostore.ops.recorded_entries import Entries
from zoostore.ops.recording import Note, Recorded, put_folders, record
from zoostore.ops.records import Records, Tracked, laid_out
from zoostore.ops.resuming import resume
from zoostore.ops.status import compare, tracking_of
from zoostore.ops.taking import take_in
from zoostore.ops.tracking import Tracking
from zoostore.ops.working import Committing, WorkingDirectory
from zoostore.progress import Progress
from zoostore.store.batch import Batch
from zoostore.store.objectstore import ObjectStore

Complete = Callable[[SnapshotFound, Listing], None]


def commit(
    store: ObjectStore,
    working: WorkingDirectory,
    stub: str | None,
    note: Note,
    complete: Complete,
    progress: Progress,
) -> Recorded:
    """Record a checkout, untracked files included, and make it a checkout of what was recorded.

    Args:
        stub: a new name for it; None: the name it was checked out by.
        complete: gets back what is lost of some files of a snapshot.

    Raises:
        NothingToCommit: it is the same as its snapshot, and keeps its name.
        Diverged: the name has moved to a snapshot that this is no checkout of.
        CannotAdd: a changed file cannot be kept; nothing was committed.
    """
    if not note.message.strip():
        raise UsageError("A commit needs a message; nothing was committed.")
    store.layout.require_not_within(working.root)
    resume(store, working)
    state = working.state()
    parent = Oid.parse(state.snapshot)
    name = stub or state.stub
    old = _expected_ref(store, name, parent, is_new_name=stub is not None)
    tracking = tracking_of(store, working)
    remember_if_unknown(store, working.root, parent)  # what was not changed is not looked for
    compared = compare(working.root, tracking, store.threads)
    clean, deleted = compared.clean, compared.deleted
    kept = _Kept(tracking, clean)
    differing = [*compared.modified.values(), *compared.untracked.values()]
    beside = kept.beside(differing)
    changed = require_keepable(working.root, differing, beside)
    if not changed and not deleted and name == state.stub:
        raise NothingToCommit(
            f"{working.root} is the same as its snapshot {parent.short}; nothing was committed.",
            path=str(working.root),
            snapshot=str(parent),
        )
    del compared, differing  # there may be very many, and each goes when it was taken in
    unchanged = Entries(clean)
    if missing_blobs(store, unchanged) is not None:  # what is committed must be here
        complete(SnapshotFound(state.stub, parent, store.snapshot(parent)), unchanged)
    with Batch(store) as batch, Spool(batch.staging.unnamed_file) as spool:
        taken = take_in(batch, working.root, drained(changed), progress)
        new = ((item.path, laid_out(entry, item.lasting_stamp)) for item, entry in taken)
        records = Records.merged(tracking.paths, kept.now, new, spool)
        paths = records.paths()
        left_out = Entries(tracking.paths, left_out_only=True)
        try:
            recorded = record(
                batch,
                put_folders(batch, paths),
                totals(Entries(paths)),
                name,
                follows=parent,
                old=old,
                op="commit",
                note=note,
                is_partial=missing_blobs(store, left_out) is not None,
                announce=lambda oid: working.begin_commit(Committing(name, str(oid))),
            )
        except MalformedObject as error:  # a new file stands where globs left a folder out
            raise UnsafeName(
                f"In {working.root}: {error.message} Nothing was committed.",
                path=str(working.root),
            ) from error
        follow = state._replace(stub=recorded.stub, snapshot=str(recorded.snapshot))
        working.record(follow, records)
    remember_checkout(store, working.root, recorded.snapshot)
    _remove_emptied_folders(working, deleted, keep=with_all_above(paths.prefixes()))
    return recorded


class _Kept:
    """What of a checkout's snapshot stays in the next: what is as it was, and what was left out."""

    def __init__(self, tracking: Tracking, clean: Mapping[str, Tracked]) -> None:
        self._paths = tracking.paths
        self._clean = clean

    def now(self, path: str, tracked: Tracked) -> Tracked | None:
        """What is recorded of a path from now on; None if it is not kept."""
        return self._clean.get(path, None if tracked.is_laid_out else tracked)

    def beside(self, differing: Sequence[Found]) -> Iterator[str]:
        """The paths that stay in the folders that something differs in, and one of each other."""
        if not differing:
            return
        touched = with_all_above(parted(item.path)[0] for item in differing)
        for folder in self._paths.folders():
            stay = (path for path, item in folder.items() if self.now(path, item) is not None)
            yield from stay if folder.prefix in touched else itertools.islice(stay, 1)


def _expected_ref(store: ObjectStore, name: str, parent: Oid, *, is_new_name: bool) -> Oid | None:
    current = store.names.ref(name)
    tip = current.snapshot if current else None
    if tip is None or tip == parent or (is_new_name and _has_tree_of(store, tip, parent)):
        return tip
    raise Diverged(
        f"{name} points to the snapshot {tip.short}, and this is a checkout of {parent.short}; "
        "nothing was committed.",
        stub=name,
        current=str(tip),
        expected=str(parent),
    )


def _has_tree_of(store: ObjectStore, tip: Oid, parent: Oid) -> bool:
    return store.snapshot(tip).tree == store.snapshot(parent).tree


def _remove_emptied_folders(
    working: WorkingDirectory, deleted: Iterable[str], keep: set[str]
) -> None:
    """Take away folders that hold nothing since their files were deleted: nobody added them.

    Args:
        keep: the prefixes of those that belong to the snapshot.
    """
    root = os.path.realpath(working.root)
    for path in deleted:
        folder = path.rpartition("/")[0]
        while folder and folder + "/" not in keep:
            target = os.path.join(root, folder)
            if os.path.realpath(target) == target:  # and not somewhere that a link leads to
                with contextlib.suppress(OSError):  # it still holds something, or is gone
                    os.rmdir(target)
            folder = folder.rpartition("/")[0]
