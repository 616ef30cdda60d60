"""Working directories: what a checkout knows of itself, in its `.zoostore` folder.

`checkout.json` says which snapshot of which stub it is. `entries` holds, for every
path of the snapshot, what was laid out there and the stat stamp it then had, so that
`status` need not read what has not been touched:

    entries = "zentries1\n" snapshot:32 count:u32  record*  paths  NUL  targets  checksum:32
    record  = kind:u8 laid_out:u8 size:u64 mtime_ns:u64 inode:u64 ctime_ns:u64 oid:32

`entries` is replaced before `checkout.json`, and counts only while both name the same
snapshot. Paths, and the targets of links, are UTF-8, each list joined by NUL bytes. The
checksum is the BLAKE3 of all before it. A `ctime_ns` of 0 is not compared.
"""

from __future__ import annotations

import json
import os
import struct
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from zoostore.digest import OID_BYTES, Oid, hash_bytes
from zoostore.errors import DamagedContent, NewerFormat, NotACheckout, ZooError
from zoostore.files.staging import replace_durably
from zoostore.files.stamp import Stamp
from zoostore.objects.paths import CHECKOUT_FOLDER
from zoostore.objects.tree import Entry, Kind

FORMAT = 1
_MAGIC = b"zentries1\n"
_HEAD = struct.Struct(f">{len(_MAGIC)}s{OID_BYTES}sI")
_RECORD = struct.Struct(f">BBQQQQ{OID_BYTES}s")
_TICK_TRIES = 100
_TICK_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class CheckoutState:
    """Which snapshot a working directory was laid out from.

    Attributes:
        stub: the ref it was checked out by.
        snapshot: the snapshot's id, as hex digits.
        store: the path of the store.
        link: the link mode that was used.
        include, exclude: the globs that chose what to lay out.
    """

    stub: str
    snapshot: str
    store: str
    link: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


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


class WorkingDirectory:
    """A directory that is, or is to become, a checkout."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / CHECKOUT_FOLDER
        self._state = self.folder / "checkout.json"
        self._entries = self.folder / "entries"

    @classmethod
    def containing(cls, path: Path) -> WorkingDirectory:
        """The checkout that a path is in.

        Raises:
            NotACheckout: it is in none.
        """
        start = Path(os.path.abspath(path))
        for folder in (start, *start.parents):
            working = cls(folder)
            if working.is_checkout():
                return working
        raise NotACheckout(f"{path} is not in a checkout.", path=str(path))

    def is_checkout(self) -> bool:
        return self._state.is_file()

    def state(self) -> CheckoutState:
        """What the checkout knows of itself.

        Raises:
            NotACheckout: the directory is not one.
            NewerFormat: a later release made it.
            DamagedContent: its checkout.json cannot be read.
        """
        try:
            value = json.loads(self._state.read_text("utf-8"))
            found = value.pop("format")
            if type(found) is int and found > FORMAT:
                raise NewerFormat(
                    f"The checkout {self.root} has format {found}, and this zoostore knows format "
                    f"{FORMAT}; nothing was changed.",
                    path=str(self.root),
                )
            Oid.parse(value["snapshot"])
            value["include"], value["exclude"] = tuple(value["include"]), tuple(value["exclude"])
            return CheckoutState(**value)
        except FileNotFoundError:
            raise NotACheckout(f"{self.root} is not a checkout.", path=str(self.root)) from None
        except NewerFormat:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, ZooError) as error:
            raise DamagedContent(
                f"{self._state} cannot be read ({error}); nothing was changed.",
                path=str(self._state),
            ) from error

    def tracking(self, snapshot: str) -> Tracking | None:
        """What was laid out of a snapshot; None if the record of it is missing or damaged."""
        try:
            with open(self._entries, "rb") as file:
                written_ns = os.fstat(file.fileno()).st_mtime_ns
                return Tracking(_decode(file.read(), snapshot), written_ns)
        except (OSError, ValueError, struct.error):
            return None

    def record(self, state: CheckoutState, paths: Mapping[str, Tracked]) -> None:
        """Remember a snapshot and what was laid out of it."""
        self.folder.mkdir(exist_ok=True)
        self.record_paths(state.snapshot, paths)
        value = {"format": FORMAT, **asdict(state)}
        replace_durably(self._state, json.dumps(value, sort_keys=True, indent=1).encode())

    def record_paths(self, snapshot: str, paths: Mapping[str, Tracked]) -> None:
        """Remember what was laid out of a snapshot, once its stamps lie in the past."""
        newest = max((tracked.stamp.newest_ns for tracked in paths.values()), default=0)
        staged = self._entries.with_name(f"entries.{os.getpid()}.tmp")
        with open(staged, "wb", buffering=0) as file:
            file.write(_encode(snapshot, paths))
            _touch_after(file.fileno(), newest)
        os.replace(staged, self._entries)


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
