"""Checkouts, held against the store: what they say of themselves, and their links to objects."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from zoostore.digest import Oid
from zoostore.errors import NotACheckout, ZooError
from zoostore.ops.findings import Report
from zoostore.ops.known_checkouts import is_of, known_checkouts
from zoostore.ops.records import Tracked
from zoostore.ops.working import WorkingDirectory
from zoostore.store.layout import Layout, is_object_path
from zoostore.store.objectstore import ObjectStore

Inode = tuple[int, int]


def verify_checkouts(store: ObjectStore, report: Report) -> None:
    """Look at every directory that the store was checked out to and that is still there."""
    damaged = dict(_inodes(store.layout, report))
    for checkout in known_checkouts(store):
        working = WorkingDirectory(checkout.root)
        if _is_closed(working):
            continue
        why = why_unbelievable(store, working)
        if why:
            report.damage(str(working.folder / "checkout.json"), why)
            report.checkouts[working.root] = working.folder / "checkout.json"
        elif checkout.is_there:
            _verify_checkout(store, working, damaged, report)


def _is_closed(working: WorkingDirectory) -> bool:
    """Whether somebody else who uses the store keeps a directory to himself."""
    try:
        with open(working.folder / "checkout.json", "rb"):
            return False
    except PermissionError:
        return True
    except OSError:
        return False


def why_unbelievable(store: ObjectStore, working: WorkingDirectory) -> str:
    """What is wrong with what a directory that was checked out to says of itself, or nothing.

    One that is no checkout any more, or one of another store, says nothing.
    """
    recorded = working.recorded()
    try:
        state = working.state()
    except NotACheckout:
        return "it is gone" if recorded is not None else ""
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    except ZooError as error:
        return error.message
    if recorded is None or str(recorded) == state.snapshot or is_of(state, store.layout):
        return ""  # a checkout may have been cut off between its two records
    is_ours = store.knows(recorded)
    return "it is of another store than what was laid out there" if is_ours else ""


def _inodes(layout: Layout, report: Report) -> Iterator[tuple[Inode, Oid]]:
    """The files of damaged objects: what else is a name of one is damaged too."""
    for oid in report.loose:
        try:
            status = os.lstat(layout.loose(oid))
        except OSError:
            continue
        yield (status.st_dev, status.st_ino), oid


def _verify_checkout(
    store: ObjectStore, working: WorkingDirectory, damaged: Mapping[Inode, Oid], report: Report
) -> None:
    recorded = working.recorded()
    tracking = working.tracking(str(recorded)) if recorded is not None else None
    if tracking is None or recorded is None or not store.knows(recorded):
        what = "gone or damaged" if tracking is None else "of what this store does not have"
        report.damage(str(working.folder / "entries"), f"it is {what}")
        report.checkouts[working.root] = working.folder / "entries"
        return
    for path, tracked in tracking.paths.items():
        if tracked.is_laid_out and tracked.entry.kind.is_file:
            _verify_file(store, working, path, tracked, damaged, report)


def _verify_file(
    store: ObjectStore,
    working: WorkingDirectory,
    path: str,
    tracked: Tracked,
    damaged: Mapping[Inode, Oid],
    report: Report,
) -> None:
    file = f"{working.root}/{path}"
    try:
        status = os.lstat(file)
    except OSError:
        return  # it was deleted, as may be
    oid = damaged.get((status.st_dev, status.st_ino))
    if oid is not None:
        report.files.setdefault(str(oid), []).append(file)
    elif stat.S_ISLNK(status.st_mode):
        _verify_link(store, Path(file), tracked, report)


def _verify_link(store: ObjectStore, file: Path, tracked: Tracked, report: Report) -> None:
    """A link that stands for an object must lead to it; another is the user's own."""
    what, oid = str(tracked.entry.oid), tracked.entry.oid
    target = os.readlink(file)
    if not is_object_path(target):
        return
    is_right = os.path.abspath(target) == os.path.abspath(store.layout.loose(oid))
    if is_right and (what in report.damaged or what in report.missing):
        report.files.setdefault(what, []).append(str(file))
        return
    if not os.path.exists(file):
        report.lack(str(file), f"it leads to {target}, which is not there; expected {oid}")
        report.links[file] = oid
    elif not is_right and Path(target).is_relative_to(store.layout.objects):
        report.damage(str(file), f"it leads to {target}, which is another object than {oid}")
        report.links[file] = oid
