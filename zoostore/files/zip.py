"""Zip: the entries of a zip file that anyone may have made, each checked by itself."""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from zoostore.digest import CHUNK
from zoostore.errors import UnsafeArchive
from zoostore.files.entries import (
    Budget,
    Entry,
    Limits,
    Unreadable,
    link_target,
    member_path,
    text,
)
from zoostore.files.zip_directory import (
    HAS_DESCRIPTOR,
    Header,
    extra_fields,
    find_directory,
    large_numbers,
    read_at,
    read_headers,
)
from zoostore.objects.paths import MAX_LINK_BYTES

_STARTS = (b"PK\3\4", b"PK\5\6")
"""The header of the first member, or the end of the directory of none."""

_LOCAL = struct.Struct("<4s5H3L2H")
_STORED, _DEFLATED = 0, 8
_KINDS = {
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
}


class _Member(NamedTuple):
    """A member that was found safe; `start` is where its content is."""

    header: Header
    path: str
    start: int

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.header.mode)

    @property
    def is_folder(self) -> bool:
        return self.header.name.endswith("/") or stat.S_ISDIR(self.header.mode)


def is_zip(file: BinaryIO) -> bool:
    """Whether a file begins as a zip file does. One behind a program is none."""
    return read_at(file, 0, 4) in _STARTS


class Zip:
    """The entries of a zip file, in the order of its directory.

    What the directory says must be what the members' own headers say, and no two members may
    share bytes: that is how a small file becomes a very large one.

    Raises what `Entries` does.
    """

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        self._file = file
        self._limits = limits
        self._content: Iterator[bytes] = iter(())
        self.spend = Budget(limits, file).spend

    def __iter__(self) -> Iterator[Entry]:
        for member in self._members():
            self.spend(member.header.size)
            self._content = self._unpacked(member)
            yield self._entry(member)
            for _ in self._content:
                pass

    def content(self) -> Iterator[bytes]:
        """What is left of the content of the entry that was given last."""
        return self._content

    def _members(self) -> list[_Member]:
        directory = find_directory(self._file)
        headers = read_headers(self._file, directory, self._limits)
        named = [(header, _checked_path(header)) for header in headers]
        members = [_Member(header, path, self._content_start(header)) for header, path in named]
        end = directory.start
        for member in sorted(members, key=lambda member: member.start, reverse=True):
            if member.start + member.header.packed > end:
                raise UnsafeArchive(f"The member {member.path!r} shares bytes with another.")
            end = member.header.offset
        return members

    def _content_start(self, header: Header) -> int:
        """Where a member's content is, behind a header of its own (4.3.7)."""
        fixed = read_at(self._file, header.offset, _LOCAL.size)
        if len(fixed) < _LOCAL.size or not fixed.startswith(b"PK\3\4"):
            raise Unreadable(f"the header of the member {header.name[:200]!r} is missing")
        _, _, flags, method, _, _, crc, packed, size, name, extra = _LOCAL.unpack(fixed)
        said = self._file.read(name)
        fields = extra_fields(self._file.read(extra))
        is_same = (said, method) == (header.raw_name, header.method)
        if not flags & HAS_DESCRIPTOR:
            size, packed = large_numbers(fields, size, packed)
            is_same &= (crc, packed, size) == (header.crc, header.packed, header.size)
        if not is_same:
            raise UnsafeArchive(f"The member {header.name[:200]!r} has two headers that differ.")
        return header.offset + _LOCAL.size + int(name) + int(extra)

    def _entry(self, member: _Member) -> Entry:
        header = member.header
        if not member.is_link:
            is_executable = bool(header.mode & stat.S_IXUSR)
            return Entry(member.path, member.is_folder, header.size, is_executable, None)
        link = text(b"".join(self._content))
        return Entry(member.path, False, 0, False, link_target(member.path, link))

    def _unpacked(self, member: _Member) -> Iterator[bytes]:
        header = member.header
        pieces = self._stored(member) if header.method == _STORED else self._inflated(member)
        size = crc = 0
        for piece in pieces:
            size += len(piece)
            if size > header.size:
                raise UnsafeArchive(
                    f"The member {member.path!r} holds more than the {header.size} bytes it claims."
                )
            crc = zlib.crc32(piece, crc)
            yield piece
        if (size, crc) != (header.size, header.crc):
            raise Unreadable(f"the member {member.path!r} is damaged")

    def _stored(self, member: _Member) -> Iterator[bytes]:
        at, end = member.start, member.start + member.header.packed
        while at < end:
            piece = read_at(self._file, at, min(CHUNK, end - at))
            if not piece:
                raise Unreadable("it ends early")
            at += len(piece)
            yield piece

    def _inflated(self, member: _Member) -> Iterator[bytes]:
        decoder = zlib.decompressobj(-zlib.MAX_WBITS)
        packed = self._stored(member)
        while not decoder.eof:
            data = decoder.unconsumed_tail or next(packed, b"")
            try:
                piece = decoder.decompress(data, CHUNK)
            except zlib.error as error:
                raise Unreadable(str(error)) from error
            if not data and not piece and not decoder.eof:
                raise Unreadable(f"the member {member.path!r} ends early")
            if piece:
                yield piece
        if decoder.unused_data or next(packed, b""):
            raise Unreadable(f"the member {member.path!r} ends late")


def _checked_path(header: Header) -> str:
    """The path of a member. What it is, and whether it can be read, is checked too."""
    name, kind = header.name, stat.S_IFMT(header.mode)
    if "\\" in name:
        raise UnsafeArchive(f"The member {name[:200]!r} has a backslash in its name.")
    path = member_path(name)
    is_folder = name.endswith("/") or kind == stat.S_IFDIR
    if not path and not is_folder:
        raise UnsafeArchive(f"The member {name!r} has no name.")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
        raise UnsafeArchive(f"The member {name[:200]!r} is {_KINDS.get(kind, 'unknown')}.")
    if is_folder and (header.size or kind == stat.S_IFLNK):
        raise UnsafeArchive(f"The member {name[:200]!r} is a folder, and has content.")
    if kind == stat.S_IFLNK and header.size > MAX_LINK_BYTES:
        raise UnsafeArchive(f"The link {name[:200]!r} is longer than {MAX_LINK_BYTES} bytes.")
    if header.method not in (_STORED, _DEFLATED):
        raise Unreadable(f"the member {name[:200]!r} is compressed by method {header.method}")
    if header.method == _STORED and header.packed != header.size:
        raise UnsafeArchive(f"The member {name[:200]!r} has two sizes.")
    return path
