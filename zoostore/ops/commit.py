"""commit: record what changed in a checkout as a child of its snapshot."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping

from zoostore.digest import Oid
from zoostore.errors import (
    Diverged,
    MalformedObject,
    NothingToCommit,
    UnsafeName,
    UsageError,
)
from zoostore.files.scan import Found, require_keepable
from zoostore.objects.listing import Listing, directories
from zoostore.objects.tree import Entry, Kind
from zoostore.objects.walking import totals
from zoostore.ops.bringing import missing_blobs
from zoostore.ops.history import Found as SnapshotFound
from zoostore.ops.known_checkouts import remember_checkout, remember_if_unknown
from zoostore.ops.recording import Note, Recorded, put_trees, record
from zoostore.ops.records import Records, Tracked, laid_out
from zoostore.ops.resuming import resume
from zoostore.ops.status import compare, tracking_of
from zoostore.ops.taking import take_in
from zoostore.ops.working import CheckoutState, Committing, WorkingDirectory
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
    differing = [*compared.modified.values(), *compared.untracked.values()]
    left_out = {path: item for path, item in tracking.paths.items() if not item.is_laid_out}
    kept = {**left_out, **compared.clean}
    changed = require_keepable(working.root, differing, beside=kept if differing else ())
    if not changed and not compared.deleted and name == state.stub:
        raise NothingToCommit(
            f"{working.root} is the same as its snapshot {parent.short}; nothing was committed.",
            path=str(working.root),
            snapshot=str(parent),
        )
    unchanged = {path: item.entry for path, item in compared.clean.items()}
    if missing_blobs(store, unchanged):  # what is committed must be here
        complete(SnapshotFound(state.stub, parent, store.snapshot(parent)), unchanged)
    with Batch(store) as batch:
        listing = {path: item.entry for path, item in kept.items()}
        for item, entry in take_in(batch, working.root, changed, progress):
            listing[item.path] = entry
        listing = _without_filled_folders(listing)
        entries = {path: item.entry for path, item in left_out.items()}
        try:
            recorded = record(
                batch,
                put_trees(batch, listing),
                totals(listing),
                name,
                follows=parent,
                old=old,
                op="commit",
                note=note,
                is_partial=bool(missing_blobs(store, entries)),
                announce=lambda oid: working.begin_commit(Committing(name, str(oid))),
            )
        except MalformedObject as error:  # a new file stands where globs left a folder out
            raise UnsafeName(
                f"In {working.root}: {error.message} Nothing was committed.",
                path=str(working.root),
            ) from error
    _follow(working, state, recorded, kept, changed, listing)
    remember_checkout(store, working.root, recorded.snapshot)
    _remove_emptied_folders(working, compared.deleted, keep=directories(listing))
    return recorded


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


def _without_filled_folders(listing: Mapping[str, Entry]) -> dict[str, Entry]:
    """Leave out the entries of folders that were empty and now hold something."""
    filled = {path.rpartition("/")[0] for path in listing}
    while parents := {path.rpartition("/")[0] for path in filled} - filled:
        filled |= parents
    return {
        path: entry
        for path, entry in listing.items()
        if entry.kind is not Kind.DIRECTORY or path not in filled
    }


def _remove_emptied_folders(
    working: WorkingDirectory, deleted: Iterable[str], keep: set[str]
) -> None:
    """Take away folders that hold nothing since their files were deleted: nobody added them."""
    root = os.path.realpath(working.root)
    for path in deleted:
        folder = path.rpartition("/")[0]
        while folder and folder not in keep:
            target = os.path.join(root, folder)
            if os.path.realpath(target) == target:  # and not somewhere that a link leads to
                with contextlib.suppress(OSError):  # it still holds something, or is gone
                    os.rmdir(target)
            folder = folder.rpartition("/")[0]


def _follow(
    working: WorkingDirectory,
    state: CheckoutState,
    recorded: Recorded,
    kept: Mapping[str, Tracked],
    changed: list[Found],
    listing: Mapping[str, Entry],
) -> None:
    taken = {
        found.path: laid_out(listing[found.path], found.lasting_stamp)
        for found in changed
        if found.path in listing
    }
    paths = {path: item for path, item in {**kept, **taken}.items() if path in listing}
    follow = state._replace(stub=recorded.stub, snapshot=str(recorded.snapshot))
    working.record(follow, Records.of(paths.items()))
