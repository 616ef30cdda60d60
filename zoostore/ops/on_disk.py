"""What objects stand on the disk, in which form, whatever the index believes."""

from __future__ import annotations

import contextlib
import os
import struct
from array import array
from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from mmap import mmap
from pathlib import Path
from typing import NamedTuple, TypeAlias

from zoostore.digest import OID_BYTES, Oid
from zoostore.ops.numbering import Numbering
from zoostore.store.derive import loose_files, pack_files
from zoostore.store.layout import Layout
from zoostore.store.objectstore import ObjectStore
from zoostore.store.packs import PackReader, read_rows
from zoostore.store.records import ObjectKind
from zoostore.store.sweeping import PackToSweep, sweep_packs

_TRIES = 10
_SEEN = struct.Struct(f">{OID_BYTES}sIBQQ")
"""An object that was seen: oid, pack, kind, offset, size. Sorted so, of one that stands in several
places the last one counts; an object that is loose is in none."""
_LOOSE = (1 << 32) - 1
_BUCKETS = 64
_BUCKET_BYTES = 256 // _BUCKETS
_CHUNK_BYTES = _SEEN.size << 10

_Seen: TypeAlias = tuple[bytes, int, int, int, int]


class _Pack(NamedTuple):
    name: Oid
    path: Path
    changed: float


class InPack(NamedTuple):
    """Where a pack holds an object: which pack, and offset and size in it, in bytes."""

    path: Path
    kind: int
    offset: int
    size: int


class OnDisk:
    """All objects but tables of aliases, which are about objects and none that a model needs.

    Attributes:
        numbering: of each object that stands somewhere.
        sizes: by number, in bytes.
        snapshots: how many of them are snapshots.
    """

    def __init__(
        self, packs: Sequence[_Pack], loose_changed: Sequence[float], seen: Iterable[list[_Seen]]
    ) -> None:
        self._packs = packs
        self._loose_changed = loose_changed
        self._pack_of = array("I")
        self._kinds = bytearray()
        self._offsets = array("Q")
        self.sizes = array("Q")
        self.numbering = Numbering(map(self._take, seen))
        self.snapshots = self._kinds.count(ObjectKind.SNAPSHOT)

    def _take(self, seen: list[_Seen]) -> Sequence[bytes]:
        """Take in some objects, in their order; their ids."""
        if not seen:
            return ()
        oids, packs, kinds, offsets, sizes = zip(*seen, strict=True)
        self._pack_of.extend(packs)
        self._kinds += bytes(kinds)
        self._offsets.extend(offsets)
        self.sizes.extend(sizes)
        return oids

    def changed(self, number: int) -> float:
        """When the file that holds an object last changed, in seconds since 1970-01-01 UTC.

        The time of a file's status is taken, which nobody can set: a file that was adopted has
        its owner's time.
        """
        pack = self._pack_of[number]
        if pack == _LOOSE:
            return self._loose_changed[self._offsets[number]]
        return self._packs[pack].changed

    def in_pack(self, oid: bytes) -> InPack | None:
        """Where an object stands, if that is in a pack."""
        number = self.numbering.find(oid)
        if number is None or (pack := self._pack_of[number]) == _LOOSE:
            return None
        path = self._packs[pack].path
        return InPack(path, self._kinds[number], self._offsets[number], self.sizes[number])

    def loose_among(self, dead: Iterable[int]) -> Iterator[Oid]:
        """The objects of some numbers that have a file of their own."""
        found = (number for number in dead if self._pack_of[number] == _LOOSE)
        return (Oid(self.numbering.oid(number)) for number in found)

    def packs_with(self, dead: Container[bytes]) -> Iterator[PackToSweep]:
        """The packs that hold some objects. One that was replaced meanwhile is passed over."""
        for pack in self._packs:
            try:
                with PackReader(pack.path) as reader:
                    rows = read_rows(reader)
            except FileNotFoundError:
                continue
            leaving = [row.oid for row in rows if row.oid in dead]
            if leaving:
                yield PackToSweep(pack.name, pack.path, rows, dead, leaving)


def on_disk(layout: Layout) -> OnDisk:
    """Look at every folder and every pack's table.

    Raises:
        NewerFormat: a pack holds what only a later release knows.
    """
    for _ in range(_TRIES):
        with contextlib.suppress(FileNotFoundError):  # a pack was replaced while it was listed
            return _look(layout)
    return _look(layout)


def _look(layout: Layout) -> OnDisk:
    packs: list[_Pack] = []
    buckets = [_Bucket() for _ in range(_BUCKETS)]
    for name, path in pack_files(layout):
        with PackReader(path) as pack:
            for oid, kind, _, offset, _, size in read_rows(pack).raw():
                if kind != ObjectKind.ALIASES:
                    buckets[oid[0] // _BUCKET_BYTES].add(oid, len(packs), kind, offset, size)
            packs.append(_Pack(name, path, os.fstat(pack.fileno()).st_ctime))
    loose_changed = array("d")
    for oid, entry in loose_files(layout):
        with contextlib.suppress(FileNotFoundError):
            status = entry.stat(follow_symlinks=False)
            place = (_LOOSE, ObjectKind.BLOB, len(loose_changed), status.st_size)
            buckets[oid[0] // _BUCKET_BYTES].add(oid, *place)
            loose_changed.append(status.st_ctime)
    return OnDisk(packs, loose_changed, (bucket.drained() for bucket in buckets))


class _Bucket:
    """The objects whose ids begin alike.

    They are in memory that goes back to the system as it is drained: so all objects are never
    there twice, which they would be if it went back to where small things are kept.
    """

    def __init__(self) -> None:
        self._chunks: list[mmap] = []
        self._used = _CHUNK_BYTES

    def add(self, *seen: bytes | int) -> None:
        if self._used == _CHUNK_BYTES:
            self._chunks.append(mmap(-1, _CHUNK_BYTES))
            self._used = 0
        _SEEN.pack_into(self._chunks[-1], self._used, *seen)
        self._used += _SEEN.size

    def drained(self) -> list[_Seen]:
        """The objects in the order of their ids, each once; there are none left then."""
        each = b"".join(chunk[:] for chunk in self._chunks[:-1])
        if self._chunks:
            each += self._chunks[-1][: self._used]
        while self._chunks:
            self._chunks.pop().close()
        split = (each[at : at + _SEEN.size] for at in range(0, len(each), _SEEN.size))
        by_oid = {seen[:OID_BYTES]: seen for seen in sorted(split)}
        return list(map(_SEEN.unpack, by_oid.values()))


def take_out_of_packs(store: ObjectStore, disk: OnDisk, dead: Collection[bytes]) -> None:
    """Take objects out of packs of which it is known that nobody comes to need them.

    Raises what `sweep_packs` raises.
    """
    sweep_packs(store.names, disk.packs_with(dead), lambda: ())
    store.forget_packs()
