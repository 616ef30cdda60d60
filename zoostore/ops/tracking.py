"""Tracking: what was laid out in a directory, and the stat stamps it then had.

So that nobody need read again what has not been touched, a file `entries` says it of every path
of a snapshot, as in `ops.records`.
"""

import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from zoostore.digest import Oid
from zoostore.files.sharing import share
from zoostore.files.spool import Bytes, Spool, mapped
from zoostore.files.staging import Staging
from zoostore.files.stamp import Stamp
from zoostore.ops.records import MAGIC, TAIL_BYTES, Paths, Records, Tracked, decode, snapshot_of

_TICK_TRIES = 100
_TICK_SECONDS = 0.002
_WORTH_MAPPING = 4 << 20
"""Bytes that are not to be in memory. A file that is mapped cannot be replaced on Windows."""


class Tracking(NamedTuple):
    """All paths of a checkout's snapshot; `written_ns` is when they were recorded."""

    paths: Paths
    written_ns: int

    def is_certain(self, tracked: Tracked, stamp: Stamp) -> bool:
        """Whether a file's stamp proves that it was not changed.

        One that last changed in the very moment in which stamps were recorded may
        have changed once more in that moment, as Git says of its index.
        """
        if tracked.stamp.ctime_ns == 0:
            stamp = stamp.without_ctime()
        return tracked.stamp == stamp and stamp.newest_ns < self.written_ns


NOTHING_TRACKED = Tracking(Paths(), 0)


class TrackingFile:
    """The `entries` file of a folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "entries"

    def read(self, snapshot: str) -> Tracking | None:
        """What was laid out of a snapshot; None if the record of it is missing or damaged."""
        try:
            with open(self._path, "rb") as file:
                written_ns = os.fstat(file.fileno()).st_mtime_ns
                return Tracking(decode(_contents(file), Oid.parse(snapshot)), written_ns)
        except (OSError, ValueError, struct.error):
            return None

    def snapshot(self) -> Oid | None:
        """Of which snapshot the record is; None if it is missing or cut short."""
        try:
            with open(self._path, "rb") as file:
                if file.read(len(MAGIC)) != MAGIC:
                    return None
                file.seek(-TAIL_BYTES, os.SEEK_END)
                return snapshot_of(file.read())
        except (OSError, struct.error):
            return None

    def write(self, snapshot: str, paths: Mapping[str, Tracked]) -> None:
        """Remember what was laid out of a snapshot, once its stamps lie in the past."""
        self.write_records(snapshot, Records.of(paths.items()))

    def write_changes(self, snapshot: str, paths: Paths, changes: Mapping[str, Tracked]) -> None:
        """The same of paths that were recorded, some of which are laid out otherwise by now."""
        with Staging(self._path.parent) as staging, Spool(staging.unnamed_file) as spool:
            self._write(staging, snapshot, Records.merged(paths, changes.get, spool=spool))

    def write_records(self, snapshot: str, records: Records) -> None:
        """The same, of what is encoded already."""
        with Staging(self._path.parent) as staging:
            self._write(staging, snapshot, records)

    def _write(self, staging: Staging, snapshot: str, records: Records) -> None:
        with staging.new_file() as (file, staged):
            records.write(file, snapshot)
            file.flush()
            share(staged)
            _touch_after(file.fileno(), records.newest_ns)
            # What a power cut left empty or in zeros would be called damaged.
            os.fsync(file.fileno())
            os.replace(staged, self._path)


def _contents(file: BinaryIO) -> Bytes:
    if os.fstat(file.fileno()).st_size < _WORTH_MAPPING or os.name == "nt":
        return file.read()
    return mapped(file)


def _touch_after(descriptor: int, moment_ns: int) -> None:
    """Let the file system's clock pass a moment that is only just gone."""
    for _ in range(_TICK_TRIES):
        modified = os.fstat(descriptor).st_mtime_ns
        # A stamp from a clock that is ahead is not waited for: its files are read instead.
        if not 0 <= moment_ns - modified < _TICK_TRIES * _TICK_SECONDS * 1e9:
            return
        time.sleep(_TICK_SECONDS)
        os.pwrite(descriptor, MAGIC[:1], 0)
