"""Copies: files on this machine that should hold a content, for when an object is lost.

They are looked for in checkouts, in what the store laid out itself, and in caches that were
adopted. None is believed: a file is hashed, and only what has the oid is taken in. So another name
of the damaged file itself is no copy.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from zoostore.caches.base import CachedFile
from zoostore.digest import BLAKE3, Oid
from zoostore.errors import CannotAdd, ZooError
from zoostore.files.stamp import Stamp
from zoostore.objects.tree import Entry
from zoostore.ops.known_caches import known_caches
from zoostore.ops.known_checkouts import known_checkouts
from zoostore.ops.missing import Missing
from zoostore.ops.status import content_oid
from zoostore.ops.tracking import TrackingFile
from zoostore.ops.working import WorkingDirectory
from zoostore.progress import Progress
from zoostore.store.batch import Batch
from zoostore.store.objectstore import ObjectStore


def take_copies(store: ObjectStore, batch: Batch, missing: Missing, progress: Progress) -> None:
    """Take in what is missing from files on this machine, as far as it is found."""
    sizes = missing.sizes()
    for oid, path in _candidates(store, missing):
        if not missing:
            return
        if oid is None or oid in missing:
            _take(batch, missing, sizes if oid is None else {missing.size_of(oid)}, path, progress)


def laid_out_entries(store: ObjectStore) -> Iterator[tuple[Path, Mapping[str, Entry], set[str]]]:
    """What was laid out of snapshots: where, all entries of the snapshot, and which are there."""
    for checkout in known_checkouts(store):
        if checkout.is_there:
            with contextlib.suppress(OSError, ZooError):
                working = WorkingDirectory(checkout.root)
                tracking = working.tracking(working.state().snapshot)
                if tracking is not None:
                    there = {path for path, item in tracking.paths.items() if item.is_laid_out}
                    entries = {path: item.entry for path, item in tracking.paths.items()}
                    yield checkout.root, entries, there
    laid = store.layout.checkouts / ".laid"
    for folder in sorted(laid.iterdir()) if laid.is_dir() else ():
        file = TrackingFile(folder)
        snapshot = file.snapshot()
        if snapshot is not None and folder.name == str(snapshot):
            tracking = file.read(str(snapshot))
            if tracking is not None:
                entries = {path: item.entry for path, item in tracking.paths.items()}
                yield store.layout.checkout(snapshot), entries, set(entries)


def _candidates(store: ObjectStore, missing: Missing) -> Iterator[tuple[Oid | None, Path]]:
    """Files, and what each should hold; None: nobody knows."""
    for root, entries, there in laid_out_entries(store):
        for path, entry in entries.items():
            if path in there and entry.kind.is_file and entry.oid in missing:
                yield entry.oid, root / path
    for cache in known_caches(store.layout):
        for model in cache.models:
            for file in model.files.values():
                if not file.digests:
                    yield None, file.place
                for oid in _called(store, file):
                    yield oid, file.place


def _called(store: ObjectStore, file: CachedFile) -> Iterator[Oid]:
    """What a file of a cache should hold, by its digests."""
    for digest in file.digests:
        oid: Oid | None = Oid(digest.value) if digest.algorithm == BLAKE3 else None
        if oid is None:
            oid = store.names.view(lambda index, digest=digest: index.alias(digest))  # type: ignore[misc]
        if oid is not None:
            yield oid


def _take(
    batch: Batch, missing: Missing, sizes: Collection[int], path: Path, progress: Progress
) -> None:
    """Take a file in if it is of one of these sizes, and holds something that is missing."""
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_size not in sizes:
            return
        oid = content_oid(path)
        if oid not in missing or missing.size_of(oid) != status.st_size:
            return
        if batch.add_file(path, Stamp.of(status), progress.advance).oid == oid:
            missing.came(oid)
    except (OSError, CannotAdd):
        return
