"""Remembering what a directory held when it was added, so that it is not read again for nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from zoostore.digest import Oid, hash_bytes
from zoostore.files.scan import FoundFolder
from zoostore.files.sharing import make_folder
from zoostore.ops.records import Records
from zoostore.ops.tracking import NOTHING_TRACKED, Tracking, TrackingFile
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

    def known(self, folders: Iterable[FoundFolder]) -> dict[str, Oid]:
        """The files in folders that are as they were, by path, if their content is still here."""
        same = {path: oid for folder in folders for path, oid in self._same(folder)}
        here = self._store.those_here(set(same.values()))
        return {path: oid for path, oid in same.items() if oid in here}

    def _same(self, folder: FoundFolder) -> Iterator[tuple[str, Oid]]:
        """The files of a folder that are as they were."""
        recorded = self._tracking.paths.folder(folder.prefix)
        if recorded is None:
            return
        begin = len(folder.prefix)
        for item in folder.found:
            number = recorded.number(item.path[begin:]) if item.is_file else None
            if number is not None:
                tracked = recorded.tracked(number)
                is_certain = self._tracking.is_certain(tracked, item.stamp)
                if is_certain and tracked.entry.kind is item.kind:
                    yield item.path, tracked.entry.oid

    def _read(self) -> Tracking:
        snapshot = self._file.snapshot()
        tracking = self._file.read(str(snapshot)) if snapshot is not None else None
        return tracking or NOTHING_TRACKED

    def write(self, snapshot: Oid, records: Records) -> None:
        """Remember what was added."""
        with contextlib.suppress(OSError):  # then it is read again
            make_folder(self._folder)
            self._file.write_records(str(snapshot), records)
