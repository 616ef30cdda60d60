"""Checkouts, held against the store: what they say of themselves, and their links to objects."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from zoostore.digest import Oid
from zoostore.errors import NotACheckout, ZooError
from zoostore.ops.findings import Report
from zoostore.ops.known_checkouts import known_checkouts
from zoostore.ops.tracking import Tracked
from zoostore.ops.working import WorkingDirectory
from zoostore.store.layout import Layout
from zoostore.store.objectstore import ObjectStore

Inode = tuple[int, int]


def verify_checkouts(store: ObjectStore, report: Report) -> None:
    """Look at every directory that the store was checked out to and that is still there."""
    damaged = dict(_inodes(store.layout, report))
    for checkout in known_checkouts(store):
        working = WorkingDirectory(checkout.root)
        if checkout.is_there:
            _verify_checkout(store, working, damaged, report)
        elif working.has_records() and not working.is_checkout():
            _damage(working, working.folder / "checkout.json", "it is gone", report)


def _inodes(layout: Layout, report: Report) -> Iterator[tuple[Inode, Oid]]:
    """The files of damaged objects: what else is a name of one is damaged too."""
    for oid in report.loose:
        try:
            status = os.lstat(layout.loose(oid))
        except OSError:
            continue
        yield (status.st_dev, status.st_ino), oid


def _damage(working: WorkingDirectory, path: Path, reason: str, report: Report) -> None:
    report.damage(str(path), reason)
    report.checkouts[working.root] = path


def _verify_checkout(
    store: ObjectStore, working: WorkingDirectory, damaged: Mapping[Inode, Oid], report: Report
) -> None:
    try:
        state = working.state()
    except NotACheckout:
        return  # it has just been removed
    except (OSError, ZooError) as error:
        reason = error.message if isinstance(error, ZooError) else str(error.strerror)
        _damage(working, working.folder / "checkout.json", reason, report)
        return
    tracking = working.tracking(state.snapshot)
    if tracking is None:
        _damage(
            working,
            working.folder / "entries",
            "it is gone, damaged, or of another snapshot",
            report,
        )
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
    file = working.root / path
    try:
        status = os.lstat(file)
    except OSError:
        return  # it was deleted, as may be
    oid = damaged.get((status.st_dev, status.st_ino))
    if oid is not None:
        report.files.setdefault(str(oid), []).append(str(file))
    elif stat.S_ISLNK(status.st_mode):
        _verify_link(store, file, tracked, report)


def _verify_link(store: ObjectStore, file: Path, tracked: Tracked, report: Report) -> None:
    """A link that stands for an object must lead to it; another is the user's own."""
    what, oid = str(tracked.entry.oid), tracked.entry.oid
    target = os.readlink(file)
    is_right = os.path.abspath(target) == os.path.abspath(store.layout.loose(oid))
    if is_right and (what in report.damaged or what in report.missing):
        report.files.setdefault(what, []).append(str(file))
        return
    if not os.path.exists(file):
        report.lack(str(file), f"it leads to {target}, which is not there; expected {oid}")
        report.links[file] = oid
    elif Path(target).is_relative_to(store.layout.objects):
        report.damage(str(file), f"it leads to {target}, which is another object than {oid}")
        report.links[file] = oid
