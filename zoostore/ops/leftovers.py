"""Leftovers: files of a store that are no objects, and that nobody will come back for."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Container, Iterator
from dataclasses import dataclass
from pathlib import Path

from zoostore.digest import OID_HEX, Oid
from zoostore.errors import UsageError
from zoostore.files.claim import SUFFIX
from zoostore.ops.known_checkouts import known_checkouts
from zoostore.ops.tracking import TrackingFile
from zoostore.store.in_flight import is_at_work, oldest_work
from zoostore.store.lost_names import PREFIX
from zoostore.store.objectstore import ObjectStore

DOWNLOAD = "a download that nobody went on with"
DAMAGED = "a damaged file that was set aside"
ABANDONED = "left by a process that is gone"
UNNAMED = "laid out from a snapshot that is not kept"
NO_CHECKOUT = "says where a checkout was, which is gone"


@dataclass(frozen=True, slots=True)
class Leftover:
    """A file or a folder that can go.

    Attributes:
        path: where it is.
        bytes: what removing it frees, as far as its files have no other names.
        reason: what it is.
    """

    path: Path
    bytes: int
    reason: str


def find_leftovers(
    store: ObjectStore, kept: Container[bytes], *, grace: float, now: float
) -> list[Leftover]:
    """What can go besides objects.

    Args:
        kept: the objects that stay.
        grace: how long things are kept that somebody may come back for, in seconds.
    """
    layout = store.layout
    before = min(now - grace, oldest_work(layout, now))
    found = [
        *_old(layout.downloads, before, DOWNLOAD),
        *_old(layout.quarantine, now - grace, DAMAGED),
        *_abandoned(layout.tmp, now),
        *_unnamed(layout.checkouts, kept),
        *_records(layout.checkouts / ".laid", kept),
    ]
    for checkout in known_checkouts(store):
        if not checkout.counts(grace, now):
            found.append(_leftover(checkout.entry, NO_CHECKOUT))
    return found


def remove_leftovers(leftovers: Collection[Leftover]) -> None:
    for leftover in leftovers:
        if leftover.path.is_dir() and not leftover.path.is_symlink():
            shutil.rmtree(leftover.path, ignore_errors=True)
        else:
            leftover.path.unlink(missing_ok=True)


def _old(folder: Path, before: float, reason: str) -> Iterator[Leftover]:
    for path, status in _listed(folder):
        # What names were lost stays until they are restored, or given up.
        if status.st_ctime < before and not path.name.startswith(PREFIX):
            yield _leftover(path, reason)


def _abandoned(folder: Path, now: float) -> Iterator[Leftover]:
    for path, status in _listed(folder):
        is_staging = path.is_dir() and path.name.count(".") >= 2
        is_work = is_staging or path.suffix == SUFFIX
        if is_work and not is_at_work(path, now - status.st_mtime):
            yield _leftover(path, ABANDONED)


def _unnamed(folder: Path, kept: Container[bytes]) -> Iterator[Leftover]:
    for path, _ in _listed(folder):
        if len(path.name) != OID_HEX:
            continue
        try:
            snapshot = Oid.parse(path.name)
        except UsageError:
            continue
        if snapshot not in kept:
            yield _leftover(path, UNNAMED)


def _records(folder: Path, kept: Container[bytes]) -> Iterator[Leftover]:
    for path, _ in _listed(folder):
        snapshot = TrackingFile(path).snapshot()
        if snapshot is None or snapshot not in kept:
            yield _leftover(path, UNNAMED)


def _listed(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        with contextlib.suppress(FileNotFoundError):  # somebody has just taken it away
            yield path, os.lstat(path)


def _leftover(path: Path, reason: str) -> Leftover:
    return Leftover(path, sum(_sizes(path)), reason)


def _sizes(path: Path) -> Iterator[int]:
    if not path.is_dir() or path.is_symlink():
        with contextlib.suppress(FileNotFoundError):
            status = os.lstat(path)
            yield status.st_size if status.st_nlink == 1 else 0
        return
    for folder, _, names in os.walk(path):
        for name in names:
            yield from _sizes(Path(folder, name))
