"""Tracking: what was laid out in a directory, and the stat stamps it then had.

So that nobody need read again what has not been touched, a file `entries` holds for every
path of a snapshot:

    entries = "zentries1\n" snapshot:32 count:u32  record*  paths  NUL  targets  checksum:32
    record  = kind:u8 laid_out:u8 size:u64 mtime_ns:u64 inode:u64 ctime_ns:u64 oid:32

Paths, and the targets of links, are UTF-8, each list joined by NUL bytes. The checksum is
the BLAKE3 of all before it. A `ctime_ns` of 0 is not compared.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from zoostore.digest import OID_BYTES, Oid, hash_bytes
from zoostore.files.staging import Staging
from zoostore.files.stamp import Stamp
from zoostore.objects.tree import Entry, Kind

_MAGIC = b"zentries1\n"
_HEAD = struct.Struct(f">{len(_MAGIC)}s{OID_BYTES}sI")
_RECORD = struct.Struct(f">BBQQQQ{OID_BYTES}s")
_TICK_TRIES = 100
_TICK_SECONDS = 0.002


class Tracked(NamedTuple):
    """A path of the snapshot, and how it was laid out.

    Attributes:
        entry: what the snapshot has there.
        is_laid_out: False for what globs left out.
        stamp: of the file, if it was laid out.
    """

    entry: Entry
    is_laid_out: bool
    stamp: Stamp


NO_STAMP = Stamp(0, 0, 0)
_KINDS = {int(kind): kind for kind in Kind}


def left_out(entry: Entry) -> Tracked:
    """The record of a path that was not laid out."""
    return Tracked(entry, is_laid_out=False, stamp=NO_STAMP)


def laid_out(entry: Entry, stamp: Stamp) -> Tracked:
    """The record of a path that was laid out."""
    return Tracked(entry, is_laid_out=True, stamp=stamp)


class Tracking(NamedTuple):
    """All paths of a checkout's snapshot; `written_ns` is when they were recorded."""

    paths: Mapping[str, Tracked]
    written_ns: int

    def is_certain(self, tracked: Tracked, stamp: Stamp) -> bool:
        """Whether a file's stamp proves that it was not changed.

        One that last changed in the very moment in which stamps were recorded may
        have changed once more in that moment, as Git says of its index.
        """
        if tracked.stamp.ctime_ns == 0:
            stamp = stamp.without_ctime()
        return tracked.stamp == stamp and stamp.newest_ns < self.written_ns


class TrackingFile:
    """The `entries` file of a folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "entries"

    def read(self, snapshot: str) -> Tracking | None:
        """What was laid out of a snapshot; None if the record of it is missing or damaged."""
        try:
            with open(self._path, "rb") as file:
                written_ns = os.fstat(file.fileno()).st_mtime_ns
                return Tracking(_decode(file.read(), snapshot), written_ns)
        except (OSError, ValueError, struct.error):
            return None

    def snapshot(self) -> Oid | None:
        """Of which snapshot the record is; None if it is missing or cut short."""
        try:
            with open(self._path, "rb") as file:
                return Oid(_HEAD.unpack(file.read(_HEAD.size))[1])
        except (OSError, struct.error):
            return None

    def write(self, snapshot: str, paths: Mapping[str, Tracked]) -> None:
        """Remember what was laid out of a snapshot, once its stamps lie in the past."""
        newest = max((tracked.stamp.newest_ns for tracked in paths.values()), default=0)
        staging = Staging(self._path.parent)
        try:
            with staging.new_file() as (file, staged):
                file.write(_encode(snapshot, paths))
                file.flush()
                _touch_after(file.fileno(), newest)
                os.replace(staged, self._path)
        finally:
            staging.close()


def _touch_after(descriptor: int, moment_ns: int) -> None:
    """Let the file system's clock pass a moment that is only just gone."""
    for _ in range(_TICK_TRIES):
        modified = os.fstat(descriptor).st_mtime_ns
        # A stamp from a clock that is ahead is not waited for: its files are read instead.
        if not 0 <= moment_ns - modified < _TICK_TRIES * _TICK_SECONDS * 1e9:
            return
        time.sleep(_TICK_SECONDS)
        os.pwrite(descriptor, _MAGIC[:1], 0)


def _encode(snapshot: str, paths: Mapping[str, Tracked]) -> bytes:
    data = bytearray(_HEAD.pack(_MAGIC, Oid.parse(snapshot), len(paths)))
    for tracked in paths.values():
        entry, stamp = tracked.entry, tracked.stamp
        times = (stamp.mtime_ns, stamp.inode, stamp.ctime_ns)
        data += _RECORD.pack(entry.kind, tracked.is_laid_out, entry.size, *times, entry.oid)
    data += "\0".join(paths).encode("utf-8") + b"\0"
    links = (item.entry.target for item in paths.values() if item.entry.kind is Kind.LINK)
    data += "\0".join(links).encode("utf-8")
    data += hash_bytes(data)
    return bytes(data)


def _leads_away(path: str) -> bool:
    between = f"/{path}/"
    return "//" in between or "/../" in between or "/./" in between


def _decode(data: bytes, snapshot: str) -> dict[str, Tracked]:
    if hash_bytes(memoryview(data)[:-OID_BYTES]) != data[-OID_BYTES:]:
        raise ValueError("the record of a checkout's files is damaged")
    magic, recorded, count = _HEAD.unpack_from(data)
    if magic != _MAGIC or recorded != Oid.parse(snapshot):
        raise ValueError("the record of a checkout's files is of another snapshot")
    start = _HEAD.size
    names_at = start + count * _RECORD.size
    texts = data[names_at:-OID_BYTES].decode("utf-8").split("\0")
    if any(_leads_away(path) for path in texts[:count]):
        raise ValueError("the record of a checkout's files names what is not in it")
    targets = iter(texts[count:])
    found = {}
    records = _RECORD.iter_unpack(memoryview(data)[start:names_at])
    for path, record in zip(texts, records, strict=False):
        kind, is_laid_out, size, mtime_ns, inode, ctime_ns, oid = record
        target = next(targets) if kind == Kind.LINK else ""
        entry = Entry(_KINDS[kind], size, Oid(oid), target)
        found[path] = Tracked(entry, bool(is_laid_out), Stamp(size, mtime_ns, inode, ctime_ns))
    return found
