"""Packs: many small objects in one file that describes itself.

    pack    = "zpack1\n\0"  record*  table  footer
    record  = "R" kind:u8 encoding:u8 stored:u64 size:u64 oid:32  payload[stored]
    table   = ( oid:32 kind:u8 encoding:u8 offset:u64 stored:u64 size:u64 )*   rising by oid
    footer  = table_offset:u64 count:u64 table_blake3:32 "zpackend"

Integers are big-endian. `offset` is where the payload begins, counted from the
start of the file. A pack's name is the BLAKE3 of the whole file. The table is
what readers use; the records repeat it, so that a pack whose end is lost can be
read from its beginning.
"""

import contextlib
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from zoostore.digest import OID_BYTES, HashingWriter, Oid, hash_bytes, hash_descriptor
from zoostore.errors import DamagedContent, MalformedObject, NewerFormat, ZooError
from zoostore.files.spool import Bytes
from zoostore.objects.aliases import aliases_oid
from zoostore.objects.snapshot import snapshot_oid
from zoostore.objects.tree import tree_oid
from zoostore.store.records import ObjectKind, Packed, PackedRow, PackRecord

MAGIC = b"zpack1\n\0"
END = b"zpackend"
RECORD = struct.Struct(f">cBBQQ{OID_BYTES}s")
ROW = struct.Struct(f">{OID_BYTES}sBBQQQ")
FOOTER = struct.Struct(f">QQ{OID_BYTES}s{len(END)}s")

MAX_PACKED_BYTES = 1 << 28
"""An object in a pack is read as a whole: of somebody else's pack, none that is larger is read."""

_BLOCK_BYTES = 1 << 20
_GAP_BYTES = 1 << 14
"""What is read together, and how far apart it may stand: to pass over less is no faster."""

_PARTS = 256
"""So many parts of a pack are put in order one after the other."""

RAW = 0
"""The only encoding so far: the payload is the object's bytes."""

_KINDS: dict[int, ObjectKind] = {int(kind): kind for kind in ObjectKind}

_OID_OF = {
    ObjectKind.BLOB: hash_bytes,
    ObjectKind.TREE: tree_oid,
    ObjectKind.SNAPSHOT: snapshot_oid,
    ObjectKind.ALIASES: aliases_oid,
}


def oid_of(kind: ObjectKind, data: bytes) -> Oid:
    """The oid that an object of this kind and content has."""
    return _OID_OF[kind](data)


def check_object(oid: Oid, kind: ObjectKind, data: bytes, where: str) -> None:
    """Refuse bytes that are not the object they were stored as.

    Raises:
        DamagedContent: they are not.
    """
    got = oid_of(kind, data)
    if got != oid:
        raise DamagedContent(
            f"The {kind.name.lower()} {oid} in {where} is damaged: its {len(data)} bytes have the "
            f"id {got}. They were not used.",
            oid=str(oid),
            where=where,
        )


class PackWriter:
    """Writes one pack, from its beginning to its end, to an open file.

    The caller computed each oid from its bytes, and gives each object once.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._out = HashingWriter(file, expect_size=0)
        # As they will stand in the table, by the first byte of their oids: each is sorted alone.
        self._rows = [bytearray() for _ in range(256)]
        self._count = 0
        self._out.write(MAGIC)

    def __len__(self) -> int:
        return self._count

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._out.size

    def add(self, oid: Oid, kind: ObjectKind, data: bytes) -> None:
        """Append an object."""
        self.add_all(kind, [(oid, data)])

    def add_all(self, kind: ObjectKind, objects: Iterable[tuple[Oid, bytes]]) -> None:
        """Append objects of one kind."""
        parts: list[bytes] = []
        offset = self._out.size
        for oid, data in objects:
            size = len(data)
            parts += (RECORD.pack(b"R", kind, RAW, size, size, oid), data)
            offset += RECORD.size
            self._rows[oid[0]] += ROW.pack(oid, kind, RAW, offset, size, size)
            self._count += 1
            offset += size
        self._out.write(b"".join(parts))

    def finish(self) -> tuple[Oid, "Rows"]:
        """Write the table and the footer; the pack's name and rows, in order of oid.

        Nothing more can be added then.
        """
        offset, size = self._out.size, ROW.size
        table = bytearray()
        for rows in self._rows:
            some = bytes(rows)
            rows.clear()
            # Each begins with its oid.
            table += b"".join(sorted(some[at : at + size] for at in range(0, len(some), size)))
        self._out.write(memoryview(table))
        self._out.write(FOOTER.pack(offset, self._count, hash_bytes(table), END))
        return self._out.oid(), Rows(table)


class Rows:
    """The rows of a table, each made when it is asked for: there may be very many.

    Args:
        table: whose rows are known to be right.
    """

    def __init__(self, table: "bytearray | Bytes") -> None:
        self._table = table

    def __len__(self) -> int:
        return len(self._table) // ROW.size

    def __iter__(self) -> Iterator[Packed]:
        return map(_as_packed, self.raw())

    def raw(self) -> Iterator[PackedRow]:
        """The same as bare tuples, for who needs no more of very many."""
        return ROW.iter_unpack(self._table)

    def __contains__(self, oid: object) -> bool:
        return isinstance(oid, bytes) and self.number(oid) is not None

    def number(self, oid: bytes) -> int | None:
        """Which row is of an object, of a table in order of oids, if any is."""
        from bisect import bisect_left  # most often nobody looks into a table

        number = bisect_left(range(len(self)), oid, key=self._oid)
        return number if number < len(self) and self._oid(number) == oid else None

    def row(self, number: int) -> Packed:
        """One of them."""
        return _as_packed(ROW.unpack_from(self._table, number * ROW.size))

    def _oid(self, number: int) -> bytes:
        at = number * ROW.size
        return bytes(self._table[at : at + OID_BYTES])

    def in_place(self) -> Iterator[Packed]:
        """The rows in the order in which what they say stands in the pack."""
        from array import array  # most often nothing is read so

        # Bit by bit: to sort a million numbers at once takes 40 bytes for each.
        last = max((offset for _, _, _, offset, _, _ in self.raw()), default=0)
        width = last // _PARTS + 1
        parts = [array("I") for _ in range(_PARTS)]
        for number, (_, _, _, offset, _, _) in enumerate(self.raw()):
            parts[offset // width].append(number)
        for part in parts:
            yield from map(self.row, sorted(part, key=self._offset))

    def _offset(self, number: int) -> int:
        offset: int = ROW.unpack_from(self._table, number * ROW.size)[3]
        return offset


def _as_packed(raw: PackedRow) -> Packed:
    oid, kind, encoding, offset, stored, size = raw
    return Packed(Oid(oid), _KINDS[kind], encoding, offset, stored, size)


class Table(NamedTuple):
    """The footer of a pack, decoded; `offset` and `length` say where the table is."""

    offset: int
    length: int
    checksum: bytes


def decode_footer(data: bytes, pack_size: int) -> Table:
    """Where the table of a pack is, from the last bytes of a pack of this size.

    Raises:
        MalformedObject: these are not the last bytes of a whole pack.
    """
    if len(data) < FOOTER.size:
        raise MalformedObject("A pack is shorter than its footer.")
    offset, count, checksum, end = FOOTER.unpack(data[-FOOTER.size :])
    length = count * ROW.size
    if end != END or offset + length + FOOTER.size != pack_size or offset < len(MAGIC):
        raise MalformedObject("A pack does not end as one: it is cut short, or not a pack.")
    return Table(offset, length, checksum)


def decode_table(table: Table, data: Bytes) -> Rows:
    """The rows of a pack's table.

    Raises:
        MalformedObject: the bytes are not the table that the footer promised.
        NewerFormat: an object is of a kind or in an encoding of a later release.
    """
    if len(data) != table.length or hash_bytes(memoryview(data)) != table.checksum:
        raise MalformedObject("A pack's table is damaged.")
    before = b""
    length = len(MAGIC)
    for oid, kind, encoding, offset, stored, size in ROW.iter_unpack(data):
        if encoding != RAW or kind not in _KINDS:
            raise NewerFormat(
                f"A pack holds an object of kind {kind} in encoding {encoding}, which this "
                "zoostore does not know.",
            )
        if offset + stored > table.offset or stored != size:
            raise MalformedObject("A pack's table points outside the pack.")
        if before >= oid:
            raise MalformedObject("A pack's table is out of order.")
        before = oid
        length += RECORD.size + stored
    # Rows that share bytes would make a small pack into a very large model.
    if length != table.offset:
        raise MalformedObject("A pack's table does not list the records that the pack has.")
    return Rows(data)


def read_rows(pack: "PackReader") -> Rows:
    """What a pack's table says, or, where that cannot be read, what the records say.

    Raises:
        NewerFormat: the pack holds what only a later release knows.
    """
    try:
        return pack.table()
    except MalformedObject:
        return Rows(b"".join(ROW.pack(*row) for row in pack.salvage()))


class PackReader:
    """Reads objects out of one pack file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # A store keeps packs open for as long as it is used, and nobody need close a store.
        with contextlib.suppress(AttributeError):
            self.close()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def fileno(self) -> int:
        return self._descriptor

    def status(self) -> os.stat_result:
        return os.fstat(self._descriptor)

    def table(self) -> Rows:
        """The rows of the table. Raises what `decode_footer` and `decode_table` raise."""
        table = self._footer()
        return decode_table(table, self.read(table.offset, table.length))

    def rows(self) -> Rows:
        """The same, not looked at, of a pack that was just written. Raises what `table` raises."""
        table = self._footer()
        return Rows(self.read(table.offset, table.length))

    def stored_bytes(self) -> int:
        """How many bytes its objects have, as its footer says. Raises what `decode_footer` does."""
        table = self._footer()
        return max(0, table.offset - len(MAGIC) - table.length // ROW.size * RECORD.size)

    def _footer(self) -> Table:
        size = self.status().st_size
        return decode_footer(self.read(max(size - FOOTER.size, 0), FOOTER.size), size)

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset` on; fewer where the file ends before."""
        if hasattr(os, "pread"):
            return os.pread(self._descriptor, length, offset)
        os.lseek(self._descriptor, offset, os.SEEK_SET)
        return os.read(self._descriptor, length)

    def read_together(self, places: Sequence[tuple[int, int]]) -> Iterator[bytes]:
        """What stands at some places, read at once where they stand together.

        Args:
            places: offset and length in bytes, in rising order of offset.
        """
        first = 0
        while first < len(places):
            start, length = places[first]
            end, last = start + length, first + 1
            while last < len(places):
                offset, length = places[last]
                if offset > end + _GAP_BYTES or offset + length > start + _BLOCK_BYTES:
                    break
                end, last = max(end, offset + length), last + 1
            block = memoryview(self.read(start, end - start))
            for offset, length in places[first:last]:
                yield bytes(block[offset - start : offset - start + length])
            first = last

    def salvage(self) -> Iterator[Packed]:
        """The objects that can still be read one after the other from the beginning.

        Each is checked against its oid; one that is damaged is passed over, and where
        a record itself cannot be read, the rest is given up.
        """
        size = self.status().st_size
        if self.read(0, len(MAGIC)) != MAGIC:
            return
        offset = len(MAGIC)
        while offset + RECORD.size <= size:
            mark, kind, encoding, stored, length, oid = RECORD.unpack(
                self.read(offset, RECORD.size)
            )
            offset += RECORD.size
            if mark != b"R" or offset + stored > size:
                return
            row = Packed(Oid(oid), kind, encoding, offset, stored, length)
            if self._is_intact(row):
                yield row._replace(kind=ObjectKind(kind))
            offset += stored

    def _is_intact(self, row: Packed) -> bool:
        is_known = row.encoding == RAW and row.kind in ObjectKind._value2member_map_
        if not is_known or row.stored != row.size:
            return False
        data = self.read(row.offset, row.stored)
        try:
            check_object(row.oid, ObjectKind(row.kind), data, str(self.path))
        except ZooError:
            return False
        return True


def intact_record(path: Path, record: PackRecord) -> PackRecord | None:
    """What to know of a pack whose file is intact; None if it is not, or gone.

    The stamp is believed; where it is another, the whole file is read.
    """
    try:
        with PackReader(path) as pack:
            seen = PackRecord.of(record.name, pack.status())
            if seen == record:
                return record
            pack.table()
            return seen if hash_descriptor(pack.fileno())[0] == record.name else None
    except (FileNotFoundError, DamagedContent):
        return None
