"""Records: what was laid out in a directory, folder by folder, as bytes that need not be values.

    entries = "zentries2\\n" snapshot:32 folder*  table  table_offset:u64 folders:u32 checksum:32
    folder  = row*  names  targets
    row     = kind:u8 laid_out:u8 size:u64 mtime_ns:i64 inode:u64 ctime_ns:i64 oid:32
    table   = (offset:u64 rows:u32 names:u32 targets:u32 laid_out:u8)*  paths

A folder has a row for each file and link that is in it, in the order of their names. Names, the
targets of its links, and the paths of folders are UTF-8, each list joined by NUL bytes; `names`
and `targets` in the table are lengths in bytes, and offsets count from the beginning. A folder
that holds nothing is there without rows, and one that holds only folders is not. The checksum is
the BLAKE3 of all before it. A `ctime_ns` of 0 is not compared.
"""

import operator
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO, NamedTuple

from zoostore.digest import OID_BYTES, HashingWriter, Oid, hash_bytes
from zoostore.files.spool import Bytes, Spool
from zoostore.files.stamp import STAMP_BYTES, Stamp
from zoostore.objects.listing import EMPTY_DIRECTORY, with_all_above
from zoostore.objects.paths import parted
from zoostore.objects.tree import Entry, Kind, encode_entry, encode_file
from zoostore.streamed import Streamed

MAGIC = b"zentries2\n"
_BEGINNING = struct.Struct(">BBQ")
_STAMP = slice(2, 2 + STAMP_BYTES)
"""Of a row: it holds the size, which is the entry's too."""

_SIZE = slice(_STAMP.start, _BEGINNING.size)
ROW_BYTES = _STAMP.stop + OID_BYTES
_TIMES = struct.Struct(f">10xq8xq{OID_BYTES}x")
_FOLDER = struct.Struct(">QIIIB")
_TAIL = struct.Struct(f">QI{OID_BYTES}s{OID_BYTES}s")
TAIL_BYTES = _TAIL.size


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
_name = operator.itemgetter(0)
_AWAY = (b"/", b"\0\0", b"\0.\0", b"\0..\0")
"""What no list of names holds, between NUL bytes."""

_KINDS = {int(kind): kind for kind in Kind}
_FILES = {int(kind) for kind in Kind if kind.is_file}
_IN_ROWS = _FILES | {int(Kind.LINK)}


def left_out(entry: Entry) -> Tracked:
    """The record of a path that was not laid out."""
    return Tracked(entry, is_laid_out=False, stamp=NO_STAMP)


def laid_out(entry: Entry, stamp: Stamp) -> Tracked:
    """The record of a path that was laid out."""
    return Tracked(entry, True, stamp)


def row_of(tracked: Tracked) -> bytes:
    """A path's record as bytes."""
    (kind, size, oid, _), is_laid_out, stamp = tracked
    return _BEGINNING.pack(kind, is_laid_out, size) + stamp[_SIZE.stop - _SIZE.start :] + oid


def is_laid_out(row: bytes) -> bool:
    """What the bytes of a record say."""
    return row[1] != 0


class _Place(NamedTuple):
    """Where the record of a folder is, and how long its parts are."""

    at: int
    rows: int
    names: int
    targets: int
    is_laid_out: bool


class Folder:
    """What is recorded of a folder.

    Attributes:
        prefix: its path, with a slash at the end; empty for the root.
        names: of the files and links in it, sorted.
        is_laid_out: whether it was, of one that holds nothing.
    """

    def __init__(self, data: Bytes, prefix: str, place: _Place) -> None:
        self._data = data
        self._place = place
        self.prefix = prefix
        self.is_laid_out = place.is_laid_out
        start = place.at + place.rows * ROW_BYTES
        joined = data[start : start + place.names].decode("utf-8")
        self.names = joined.split("\0") if place.rows else []
        self._numbers: dict[str, int] = {}
        self._targets: dict[int, str] = {}
        if place.targets:
            start += place.names
            targets = data[start : start + place.targets].decode("utf-8").split("\0")
            self._targets = dict(zip(self._links(), targets, strict=False))

    def _links(self) -> Iterator[int]:
        link = int(Kind.LINK)  # an enumeration takes ten times as long to compare
        return (number for number, kind in enumerate(self.kinds()) if kind == link)

    def kinds(self) -> bytes:
        """Of the rows, a byte each."""
        at = self._place.at
        return self._data[at : at + self._place.rows * ROW_BYTES : ROW_BYTES]

    def number(self, name: str) -> int | None:
        """Which row is of a name, if any is."""
        if not self._numbers:
            self._numbers = {name: number for number, name in enumerate(self.names)}
        return self._numbers.get(name)

    def rows(self) -> list[bytes]:
        """All of them, in the order of the names."""
        at, end = self._place.at, self._place.at + self._place.rows * ROW_BYTES
        data = self._data[at:end]
        return [data[row : row + ROW_BYTES] for row in range(0, len(data), ROW_BYTES)]

    def row(self, number: int) -> bytes:
        at = self._place.at + number * ROW_BYTES
        return self._data[at : at + ROW_BYTES]

    def tracked(self, number: int) -> Tracked:
        """A row as a value."""
        return self._value(number, self.row(number))

    def encoded(self) -> Iterator[bytes]:
        """The entries of all names, as a tree has them."""
        for number, (name, row) in enumerate(zip(self.names, self.rows(), strict=True)):
            if row[0] in _FILES:
                yield encode_file(name, row[0], row[_SIZE] + row[_STAMP.stop :])
            else:
                yield encode_entry(name, self._value(number, row).entry)

    def items(self) -> Iterator[tuple[str, Tracked]]:
        """Each path with its record; for one that holds nothing, its own."""
        if not self.names:
            yield self.prefix[:-1], Tracked(EMPTY_DIRECTORY, self.is_laid_out, NO_STAMP)
        for number, (name, row) in enumerate(zip(self.names, self.rows(), strict=True)):
            yield self.prefix + name, self._value(number, row)

    def _value(self, number: int, row: bytes) -> Tracked:
        kind, is_laid_out, size = _BEGINNING.unpack_from(row)
        target = self._targets.get(number, "")
        entry = Entry(_KINDS[kind], size, Oid(row[_STAMP.stop :]), target)
        return Tracked(entry, bool(is_laid_out), Stamp(row[_STAMP]))


class Paths(Streamed[Tracked]):
    """What is recorded of each path, read when it is asked for.

    Most commands compare very many paths with what stands there, and need no more than a few of
    them as values.

    Args:
        data: all records.
        places: by the prefixes of the folders.
    """

    def __init__(self, data: Bytes = b"", places: Mapping[str, _Place] | None = None) -> None:
        self._data = data
        self._places = places or {}
        self._last: Folder | None = None

    def folder(self, prefix: str) -> Folder | None:
        """What is recorded of a folder; None if nothing is, or only of others below it."""
        place = self._places.get(prefix)
        return None if place is None else Folder(self._data, prefix, place)

    def folders(self) -> Iterator[Folder]:
        """All folders."""
        return (Folder(self._data, prefix, place) for prefix, place in self._places.items())

    def prefixes(self) -> Iterable[str]:
        """Of the folders."""
        return self._places.keys()

    def __len__(self) -> int:
        return sum(place.rows or 1 for place in self._places.values())

    def __iter__(self) -> Iterator[str]:
        for folder in self.folders():
            if folder.names:
                yield from (folder.prefix + name for name in folder.names)
            else:
                yield folder.prefix[:-1]

    def __getitem__(self, path: str) -> Tracked:
        prefix, name = parted(path)
        folder = self._read(prefix)
        number = None if folder is None else folder.number(name)
        if folder is not None and number is not None:
            return folder.tracked(number)
        place = self._places[path + "/"]
        if place.rows:
            raise KeyError(path)
        return Tracked(EMPTY_DIRECTORY, place.is_laid_out, NO_STAMP)

    def streamed(self) -> Iterator[tuple[str, Tracked]]:
        for folder in self.folders():
            yield from folder.items()

    def _read(self, prefix: str) -> Folder | None:
        if self._last is None or self._last.prefix != prefix:
            self._last = self.folder(prefix) or self._last
        return self._last if self._last and self._last.prefix == prefix else None


class Records:
    """The record of a directory, being made.

    Args:
        spool: for what is recorded.

    Attributes:
        newest_ns: the last moment at which the stamps say that something changed.
    """

    def __init__(self, spool: Spool | None = None) -> None:
        self._spool = Spool() if spool is None else spool
        self._spool.append(MAGIC)
        self._places: dict[str, _Place] = {}
        self.newest_ns = 0

    @classmethod
    def of(cls, paths: Iterable[tuple[str, Tracked]], spool: Spool | None = None) -> "Records":
        """The record of paths, in whatever order."""
        return cls.merged(Paths(), lambda _, tracked: tracked, paths, spool)

    @classmethod
    def merged(
        cls,
        paths: Paths,
        now: Callable[[str, Tracked], Tracked | None],
        new: Iterable[tuple[str, Tracked]] = (),
        spool: Spool | None = None,
    ) -> "Records":
        """The record of paths of which most were recorded before.

        Args:
            now: what is to be recorded of one of these; None: it is gone.
            new: other paths, in whatever order.
        """
        records = cls(spool)
        empty: dict[str, bool] = {}
        others: dict[str, _Rows] = {}
        for path, tracked in new:
            if tracked.entry.kind is Kind.DIRECTORY:
                empty[path + "/"] = tracked.is_laid_out
            else:
                prefix, name = parted(path)
                others.setdefault(prefix, _Rows()).put(name, tracked)
        for folder in paths.folders():
            kept = ((path, now(path, tracked)) for path, tracked in folder.items())
            items = {path: tracked for path, tracked in kept if tracked is not None}
            if folder.names:
                rows = _Rows.of(folder.prefix, items.items())
                rows.update(others.pop(folder.prefix, _Rows()))
                records._add_rows(folder.prefix, rows)
            else:
                empty |= {path + "/": tracked.is_laid_out for path, tracked in items.items()}
        for prefix in list(others):
            records._add_rows(prefix, others.pop(prefix))
        for prefix in empty.keys() - with_all_above(records._places):  # others hold something now
            records.add_empty(prefix, is_laid_out=empty[prefix])
        return records

    def add_paths(self, prefix: str, paths: Iterable[tuple[str, Tracked]]) -> None:
        """Record the files and links in a folder, in whatever order."""
        self._add_rows(prefix, _Rows.of(prefix, paths))

    def _add_rows(self, prefix: str, rows: "_Rows") -> None:
        names = sorted(rows.rows)
        targets = [rows.targets[name] for name in names if name in rows.targets]
        if names:
            self.add(prefix, names, b"".join(map(rows.rows.__getitem__, names)), targets)

    def add(
        self,
        prefix: str,
        names: Sequence[str],
        rows: bytes | bytearray,
        targets: Sequence[str] = (),
    ) -> None:
        """Record what is in a folder, the names sorted, and the targets of its links."""
        joined, ends = "\0".join(names).encode("utf-8"), "\0".join(targets).encode("utf-8")
        at = len(self._spool)
        self._places[prefix] = _Place(at, len(names), len(joined), len(ends), True)
        for data in (rows, joined, ends):
            self._spool.append(data)
        self.newest_ns = max(self.newest_ns, max(map(max, _TIMES.iter_unpack(rows))))

    def add_empty(self, prefix: str, *, is_laid_out: bool = True) -> None:
        """Record a folder that holds nothing."""
        at = len(self._spool)
        self._places[prefix] = _Place(at, 0, 0, 0, is_laid_out)

    def paths(self) -> Paths:
        """What was recorded until now."""
        return Paths(self._spool.view(), self._places)

    def write(self, file: BinaryIO, snapshot: str) -> None:
        """Write the file that says so of a snapshot."""
        table = b"".join(_FOLDER.pack(*place) for place in self._places.values())
        paths = "\0".join(prefix[:-1] for prefix in self._places).encode("utf-8")
        out = HashingWriter(file, expect_size=len(self._spool))
        out.write(memoryview(self._spool.view()))
        at = out.size
        out.write(table)
        out.write(paths)
        # The checksum is of all before it.
        out.write(_TAIL.pack(at, len(self._places), Oid.parse(snapshot), b"")[:-OID_BYTES])
        file.write(out.oid())


class _Rows:
    """What is to be recorded of a folder, in whatever order it comes.

    Attributes:
        rows: by name.
        targets: of the links.
    """

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}
        self.targets: dict[str, str] = {}

    @classmethod
    def of(cls, prefix: str, paths: Iterable[tuple[str, Tracked]]) -> "_Rows":
        """What is to be recorded of paths in the folder that they begin with."""
        rows = cls()
        for path, tracked in paths:
            rows.put(path[len(prefix) :], tracked)
        return rows

    def put(self, name: str, tracked: Tracked) -> None:
        """Record a file or a link, in place of what was."""
        self.rows[name] = row_of(tracked)
        self.targets.pop(name, None)
        if tracked.entry.kind is Kind.LINK:
            self.targets[name] = tracked.entry.target

    def update(self, others: "_Rows") -> None:
        """Record all that others do, in place of what was."""
        for name, row in others.rows.items():
            self.rows[name] = row
            self.targets.pop(name, None)
        self.targets |= others.targets


def snapshot_of(tail: bytes) -> Oid:
    """Of which snapshot a file is the record, by its last bytes. Raises `struct.error`."""
    return Oid(_TAIL.unpack(tail)[2])


def decode(data: Bytes, snapshot: Oid) -> Paths:
    """What a file of records holds.

    Raises:
        ValueError, struct.error: it is damaged, or says what nobody recorded.
    """
    table_end = len(data) - TAIL_BYTES
    if table_end < len(MAGIC) or data[: len(MAGIC)] != MAGIC:
        raise ValueError("it is no record of a checkout's files")
    table_at, count, recorded, checksum = _TAIL.unpack(data[table_end:])
    if recorded != snapshot:
        raise ValueError("the record of a checkout's files is of another snapshot")
    if hash_bytes(memoryview(data)[:-OID_BYTES]) != checksum:
        raise ValueError("the record of a checkout's files is damaged")
    paths_at = table_at + count * _FOLDER.size
    if not len(MAGIC) <= table_at <= paths_at <= table_end:
        raise ValueError("the record of a checkout's files is damaged")
    paths = data[paths_at:table_end].decode("utf-8").split("\0") if count else []
    places = [_Place(*found) for found in _FOLDER.iter_unpack(data[table_at:paths_at])]
    if _leads_away("/".join(["root", *filter(None, paths)])):
        raise ValueError("the record of a checkout's files names what is not in it")
    # Folders that share bytes would make a small file into a very large checkout.
    if sum(place.rows * ROW_BYTES + place.names + place.targets for place in places) > table_at:
        raise ValueError("the record of a checkout's files says more than it holds")
    for path, place in zip(paths, places, strict=True):
        _check_place(data, place, table_at, is_root=not path)
    prefixes = (path + "/" if path else "" for path in paths)
    return Paths(data, dict(zip(prefixes, places, strict=True)))


def _check_place(data: Bytes, place: _Place, end: int, *, is_root: bool) -> None:
    """Refuse a folder whose record cannot be read, or names what is not in it."""
    names_at = place.at + place.rows * ROW_BYTES
    names_end = names_at + place.names
    if place.at < len(MAGIC) or names_end + place.targets > end or (is_root and not place.rows):
        raise ValueError("the record of a folder is damaged")
    names = b"\0" + data[names_at:names_end] + b"\0"
    if place.rows and (names.count(b"\0") != place.rows + 1 or any(map(names.count, _AWAY))):
        raise ValueError("the record of a checkout's files names what is not in it")
    if not _IN_ROWS.issuperset(data[place.at : names_at : ROW_BYTES]):
        raise ValueError("the record of a checkout's files holds what nobody lays out")


def _leads_away(path: str) -> bool:
    between = f"/{path}/"
    return "//" in between or "/../" in between or "/./" in between
