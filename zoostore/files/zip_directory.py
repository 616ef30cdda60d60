"""The directory at the end of a zip file, which says what is in it and where.

Source: PKWARE, .ZIP File Format Specification 6.3.10 ("APPNOTE"), by its section numbers.
zipfile is not used: it reads the whole directory at once, however long, and keeps the first of
several members of one name out of sight.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from zoostore.errors import UnsafeArchive
from zoostore.files.entries import Limits, Unreadable, text

HAS_DESCRIPTOR = 0x0008
"""The sizes stand behind the content, for whoever wrote it did not know them before (4.4.4)."""

_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
_PATCH = 0x0020
_UTF8 = 0x0800

_END = struct.Struct("<4s4H2LH")  # 4.3.16
_LOCATOR = struct.Struct("<4sLQL")  # 4.3.15
_END_64 = struct.Struct("<4sQ2H2L4Q")  # 4.3.14
_HEADER = struct.Struct("<4s6H3L5H2L")  # 4.3.12
_LONGEST_COMMENT = 0xFFFF
_ELSEWHERE = 0xFFFFFFFF
"""Stands for a number that does not fit, and is among the extra fields (4.5.3)."""

_SIZES_64 = 0x0001
_UNICODE_PATH = 0x7075
_UNIX = 3


class Header(NamedTuple):
    """What the directory says of a member.

    Attributes:
        name: as it is to be read; `raw_name` as it stands there.
        packed, size: of the content as it is in the file, and unpacked; in bytes.
        mode: the permissions and kind of file on Unix; 0 if there are none.
        offset: where the member's own header is.
    """

    name: str
    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    mode: int
    offset: int


class Directory(NamedTuple):
    """Where the directory is, in bytes, and how many members it lists."""

    start: int
    size: int
    members: int


def find_directory(file: BinaryIO) -> Directory:
    """Where the directory of a zip file is: right before the file's end, with nothing between.

    Raises:
        Unreadable: it has none, or is one of several parts.
    """
    size = os.fstat(file.fileno()).st_size
    tail = read_at(file, max(0, size - _END.size - _LONGEST_COMMENT), size)
    at = tail.rfind(b"PK\5\6")
    while at >= 0 and not _is_end(tail, at):
        at = tail.rfind(b"PK\5\6", 0, at)
    if at < 0:
        raise Unreadable("the end of its directory is missing")
    end = size - len(tail) + at
    _, disk, first_disk, here, count, length, start, _ = _END.unpack_from(tail, at)
    locator = read_at(file, max(0, end - _LOCATOR.size), _LOCATOR.size)
    if locator.startswith(b"PK\6\7") and len(locator) == _LOCATOR.size:
        end, *numbers = _end_64(file, locator, end - _LOCATOR.size)
        disk, first_disk, here, count, length, start = numbers
    if (disk, first_disk, here) != (0, 0, count):
        raise Unreadable("it is one of several parts")
    if start + length != end:
        raise Unreadable("its directory is not where it should be")
    return Directory(start, length, count)


def _is_end(tail: bytes, at: int) -> bool:
    """Whether the record at a place, with its comment, ends where the file ends."""
    left = len(tail) - at - _END.size
    return left >= 0 and _END.unpack_from(tail, at)[-1] == left


def _end_64(file: BinaryIO, locator: bytes, end: int) -> Sequence[int]:
    """Where the record for large files is, and what it says."""
    _, _, offset, _ = _LOCATOR.unpack(locator)
    record = read_at(file, offset, _END_64.size) if offset < end else b""
    if not record.startswith(b"PK\6\6") or len(record) < _END_64.size:
        raise Unreadable("the end of its directory is broken")
    _, length, _, _, *numbers = _END_64.unpack(record)
    if offset + 12 + length != end:
        raise Unreadable("the end of its directory is broken")
    return [offset, *numbers]


def read_headers(file: BinaryIO, directory: Directory, limits: Limits) -> Iterator[Header]:
    """What the directory lists, in its order.

    Raises:
        UnsafeArchive: it lists more than the limits.
        Unreadable: it is broken, or lists what cannot be read.
    """
    if directory.members > limits.entries:
        raise UnsafeArchive(f"It holds more than {limits.entries} files and folders.")
    at, end = directory.start, directory.start + directory.size
    for _ in range(directory.members):
        fixed = read_at(file, at, _HEADER.size)
        if len(fixed) < _HEADER.size or not fixed.startswith(b"PK\1\2"):
            raise Unreadable("its directory is broken")
        values = _HEADER.unpack(fixed)
        lengths = values[10:13]
        variable = file.read(lengths[0] + lengths[1])
        at += _HEADER.size + sum(lengths)
        if at > end:
            raise Unreadable("its directory is broken")
        yield _header(values, variable[: lengths[0]], variable[lengths[0] :])
    if at != end:
        raise Unreadable("its directory has another length than it says")


def _header(values: Sequence[int], raw_name: bytes, extra: bytes) -> Header:
    _, maker, _, flags, method, _, _, crc, packed, size, *_, disk, _, attributes, offset = values
    fields = extra_fields(extra)
    name = _name(raw_name, flags, maker >> 8, fields)
    size, packed, offset = large_numbers(fields, size, packed, offset)
    if flags & _ENCRYPTED:
        raise Unreadable(f"the member {name[:200]!r} is encrypted")
    if flags & _PATCH:
        raise Unreadable(f"the member {name[:200]!r} is a patch")
    if disk not in (0, 0xFFFF):
        raise Unreadable("it is one of several parts")
    return Header(name, raw_name, flags, method, crc, packed, size, attributes >> 16, offset)


def extra_fields(data: bytes) -> dict[int, bytes]:
    """Extra fields by their ids (4.5.1). Of several with one id, the first counts."""
    fields: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        kind, length = struct.unpack_from("<2H", data, at)
        fields.setdefault(kind, data[at + 4 : at + 4 + length])
        at += 4 + length
    return fields


def large_numbers(fields: dict[int, bytes], *numbers: int) -> list[int]:
    """Numbers of a header, those taken from the extra field that do not fit (4.5.3)."""
    large = fields.get(_SIZES_64)
    if large is None:
        return list(numbers)
    found, at = [], 0
    for number in numbers:
        if number == _ELSEWHERE:
            if at + 8 > len(large):
                raise Unreadable("a size in its directory is missing")
            (number,) = struct.unpack_from("<Q", large, at)
            at += 8
        found.append(number)
    return found


def _name(raw: bytes, flags: int, system: int, fields: dict[int, bytes]) -> str:
    """The name of a member (4.4.4, bit 11; 4.6.9; appendix D).

    What was zipped on Unix may be in UTF-8 without saying so: Info-ZIP does that.
    """
    if flags & _UTF8:
        return text(raw)
    other = fields.get(_UNICODE_PATH, b"")
    if other[:1] == b"\1" and other[1:5] == struct.pack("<L", zlib.crc32(raw)):
        return text(other[5:])
    if system == _UNIX:
        with contextlib.suppress(UnicodeDecodeError):
            return raw.decode("utf-8")
    return raw.decode("cp437")


def read_at(file: BinaryIO, offset: int, size: int) -> bytes:
    """At most `size` bytes from an offset; fewer where the file ends before."""
    file.seek(offset)
    return file.read(size)
