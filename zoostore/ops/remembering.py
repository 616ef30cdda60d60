"""Remembering what a directory held when it was added, so that it is not read again for nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from zoostore.digest import Oid, hash_bytes
from zoostore.files.scan import Found
from zoostore.files.sharing import make_folder
from zoostore.objects.tree import Entry
from zoostore.ops.tracking import Records, Tracking, TrackingFile
from zoostore.store.objectstore import ObjectStore


class Remembered:
    """What a store remembers of a directory that was added to it.

    It is derived: without it, all files are read.
    """

    def __init__(self, store: ObjectStore, directory: Path) -> None:
        key = hash_bytes(os.fsencode(os.path.abspath(directory)) + b"\0added").hex()
        self._folder = store.layout.checkouts / ".laid" / key
        self._file = TrackingFile(self._folder)
        self._store = store
        self._tracking = self._read()

    @property
    def is_nothing(self) -> bool:
        """Whether nothing of it is known."""
        return not self._tracking.paths

    def entries(self, found: Iterable[Found]) -> dict[str, Entry]:
        """The entries of files that are as they were, and whose content is still in the store."""
        tracking = self._tracking
        same = {
            item.path: tracked.entry
            for item in found
            if item.is_file
            and (tracked := tracking.paths.get(item.path)) is not None
            and tracked.entry.kind is item.kind
            and tracking.is_certain(tracked, item.stamp)
        }
        here = self._store.those_here({entry.oid for entry in same.values()})
        return {path: entry for path, entry in same.items() if entry.oid in here}

    def _read(self) -> Tracking:
        snapshot = self._file.snapshot()
        tracking = self._file.read(str(snapshot)) if snapshot is not None else None
        return tracking or Tracking({}, 0)

    def write(self, snapshot: Oid, records: Records) -> None:
        """Remember what was added."""
        with contextlib.suppress(OSError):  # then it is read again
            make_folder(self._folder)
            self._file.write_records(str(snapshot), records)
