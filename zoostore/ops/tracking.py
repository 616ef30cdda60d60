"""Tracking: what was laid out in a directory, and the stat stamps it then had.

So that nobody need read again what has not been touched, a file `entries` holds for every
path of a snapshot:

    entries = "zentries1\n" snapshot:32 count:u32  record*  paths  NUL  targets  checksum:32
    record  = kind:u8 laid_out:u8 size:u64 mtime_ns:i64 inode:u64 ctime_ns:i64 oid:32

Paths, and the targets of links, are UTF-8, each list joined by NUL bytes. The checksum is
the BLAKE3 of all before it. A `ctime_ns` of 0 is not compared.
"""

import os
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from zoostore.digest import OID_BYTES, HashingWriter, Oid, hash_bytes
from zoostore.files.sharing import share
from zoostore.files.staging import Staging
from zoostore.files.stamp import STAMP_BYTES, Stamp
from zoostore.objects.tree import Entry, Kind

_MAGIC = b"zentries1\n"
_HEAD = struct.Struct(f">{len(_MAGIC)}s{OID_BYTES}sI")
_BEGINNING = struct.Struct(">BBQ")
_STAMP = slice(2, 2 + STAMP_BYTES)
"""Of a record: it holds the size, which is the entry's too."""

_SIZE_BYTES = _BEGINNING.size - _STAMP.start
_RECORD_BYTES = _STAMP.stop + OID_BYTES
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


NO_STAMP = Stamp.made_of(0, 0, 0)
_KINDS = {int(kind): kind for kind in Kind}


def left_out(entry: Entry) -> Tracked:
    """The record of a path that was not laid out."""
    return Tracked(entry, is_laid_out=False, stamp=NO_STAMP)


def laid_out(entry: Entry, stamp: Stamp) -> Tracked:
    """The record of a path that was laid out."""
    return Tracked(entry, True, stamp)


class Paths(Mapping[str, Tracked]):
    """What a file of records holds, each path read when it is asked for.

    Most commands compare a hundred thousand paths with what stands there, and need no more than
    a few of them as values.

    Args:
        data: of the file.
        offsets: where in it the record of each path begins.
        targets: of those that are links.
    """

    def __init__(self, data: bytes, offsets: Mapping[str, int], targets: Mapping[str, str]) -> None:
        self.data = data
        self.offsets = offsets
        self._targets = targets

    def __len__(self) -> int:
        return len(self.offsets)

    def __iter__(self) -> Iterator[str]:
        return iter(self.offsets)

    def __contains__(self, path: object) -> bool:
        return path in self.offsets

    def __getitem__(self, path: str) -> Tracked:
        at = self.offsets[path]
        row = self.data[at : at + _RECORD_BYTES]
        kind, is_laid_out, size = _BEGINNING.unpack_from(row)
        entry = Entry(_KINDS[kind], size, Oid(row[_STAMP.stop :]), self._targets.get(path, ""))
        return Tracked(entry, bool(is_laid_out), Stamp(row[_STAMP]))


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


class Records:
    """The paths of a snapshot, encoded one by one: they take much less memory so.

    Attributes:
        newest_ns: the last moment at which the stamps say that something changed.
    """

    def __init__(self, tracked: Iterable[tuple[str, Tracked]]) -> None:
        rows = self._rows = bytearray()
        paths: list[str] = []
        self._paths = paths
        self._targets: list[str] = []
        newest = 0
        for path, ((kind, size, oid, target), is_laid_out, stamp) in tracked:
            rows += _BEGINNING.pack(kind, is_laid_out, size)
            rows += stamp[_SIZE_BYTES:]
            rows += oid
            paths.append(path)
            if kind is Kind.LINK:
                self._targets.append(target)
            newest = max(newest, stamp.newest_ns)
        self.newest_ns = newest

    def write(self, file: BinaryIO, snapshot: str) -> None:
        """Write the file that says so of a snapshot."""
        out = HashingWriter(file, expect_size=len(self._rows))
        out.write(_HEAD.pack(_MAGIC, Oid.parse(snapshot), len(self._paths)))
        out.write(memoryview(self._rows))
        out.write("\0".join(self._paths).encode("utf-8"))
        out.write(b"\0")
        out.write("\0".join(self._targets).encode("utf-8"))
        file.write(out.oid())


class TrackingFile:
    """The `entries` file of a folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "entries"

    def read(self, snapshot: str) -> Tracking | None:
        """What was laid out of a snapshot; None if the record of it is missing or damaged."""
        try:
            with open(self._path, "rb") as file:
                written_ns = os.fstat(file.fileno()).st_mtime_ns
                return Tracking(_decode(file.read(), Oid.parse(snapshot)), written_ns)
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
        self.write_records(snapshot, Records((path, paths[path]) for path in sorted(paths)))

    def write_records(self, snapshot: str, records: Records) -> None:
        """The same, of what is encoded already."""
        staging = Staging(self._path.parent)
        try:
            with staging.new_file() as (file, staged):
                records.write(file, snapshot)
                file.flush()
                share(staged)
                _touch_after(file.fileno(), records.newest_ns)
                # What a power cut left empty or in zeros would be called damaged.
                os.fsync(file.fileno())
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


def _leads_away(path: str) -> bool:
    between = f"/{path}/"
    return "//" in between or "/../" in between or "/./" in between


def _decode(data: bytes, snapshot: Oid) -> Paths:
    if hash_bytes(memoryview(data)[:-OID_BYTES]) != data[-OID_BYTES:]:
        raise ValueError("the record of a checkout's files is damaged")
    magic, recorded, count = _HEAD.unpack_from(data)
    if magic != _MAGIC or recorded != snapshot:
        raise ValueError("the record of a checkout's files is of another snapshot")
    start = _HEAD.size
    names_at = start + count * _RECORD_BYTES
    texts = data[names_at:-OID_BYTES].decode("utf-8").split("\0")
    if count and _leads_away("/".join(texts[:count])):
        raise ValueError("the record of a checkout's files names what is not in it")
    offsets = dict(zip(texts, range(start, names_at, _RECORD_BYTES), strict=False))
    kinds = data[start:names_at:_RECORD_BYTES]
    if not _KINDS.keys() >= set(kinds) or len(offsets) != count:
        raise ValueError("the record of a checkout's files holds what nobody lays out")
    link = int(Kind.LINK)  # an enumeration takes ten times as long to compare
    links = [path for path, kind in zip(texts, kinds, strict=False) if kind == link]
    return Paths(data, offsets, dict(zip(links, texts[count:], strict=False)))
