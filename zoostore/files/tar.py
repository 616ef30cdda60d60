"""Tar: the entries of a tar file that anyone may have made, each checked by itself."""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from zoostore.digest import CHUNK
from zoostore.errors import UnsafeArchive
from zoostore.files.entries import Budget, Entry, Limits, Unreadable, link_target, member_path, text

_MAX_HEADER_BYTES = 1 << 20
_EXTENDED_BYTES_PER_ENTRY = 1 << 10
_XZ_MEMORY_BYTES = 1 << 27
"""Twice what `xz -9` needs; a hostile file could ask for 4 GiB."""
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_LINKS = (tarfile.LNKTYPE, tarfile.SYMTYPE)
_KNOWN = (*_FILES, *_LINKS, tarfile.DIRTYPE)
_LONG = {tarfile.GNUTYPE_LONGNAME: "path", tarfile.GNUTYPE_LONGLINK: "linkpath"}
_PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_EXTENSIONS = (*_LONG, *_PAX, tarfile.XGLTYPE)
_OTHERS = {
    tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device",
    tarfile.FIFOTYPE: "a FIFO",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}


class Tar:
    """The entries of a tar file, read once and forwards, in the memory of one chunk.

    Of tarfile, only the parser of a single header is used. The rest trusts too much: it keeps
    all headers, reads a long name of any size at once, takes a broken header for the end, and
    before 3.12.6 needs quadratic time for some (CVE-2024-6232).

    Raises what `Entries` does.
    """

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        self.spend = Budget(limits, file).spend
        self._extended_left = _MAX_HEADER_BYTES + _EXTENDED_BYTES_PER_ENTRY * limits.entries
        self._unread = 0
        self._read_some = _decoded(file)

    def __iter__(self) -> Iterator[Entry]:
        while (entry := self._next()) is not None:
            self.spend(entry.size)
            self._unread = entry.size
            yield entry
            for _ in self.content():
                pass
            self._exactly(-entry.size % tarfile.BLOCKSIZE)
        while chunk := self._read(CHUNK):  # the checksum comes last, after what pads a record
            self.spend(max(0, len(chunk) - tarfile.RECORDSIZE))

    def content(self) -> Iterator[bytes]:
        """What is left of the content of the entry that was given last."""
        while self._unread:
            chunk = self._exactly(min(self._unread, CHUNK))
            self._unread -= len(chunk)
            yield chunk

    def _next(self) -> Entry | None:
        extended: dict[str, str] = {}
        while (info := self._header()) is not None and info.type in _EXTENSIONS:
            extended |= self._extension(info)
        return None if info is None else self._entry(info, extended)

    def _header(self) -> tarfile.TarInfo | None:
        block = self._exactly(tarfile.BLOCKSIZE)
        if not any(block):
            return None
        try:
            return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.TarError as error:
            raise Unreadable(str(error)) from error

    def _extension(self, info: tarfile.TarInfo) -> dict[str, str]:
        if not 0 <= info.size <= _MAX_HEADER_BYTES:
            raise UnsafeArchive(
                f"A header claims {info.size} bytes, and at most {_MAX_HEADER_BYTES} are possible."
            )
        self._extended_left -= tarfile.BLOCKSIZE + info.size
        if self._extended_left < 0:
            raise UnsafeArchive("Its extended headers are too long or too many.")
        data = self._exactly(info.size)
        self._exactly(-info.size % tarfile.BLOCKSIZE)
        if info.type in _LONG:
            return {_LONG[info.type]: text(data.partition(b"\0")[0])}
        return dict(_pax_records(data)) if info.type in _PAX else {}

    def _entry(self, info: tarfile.TarInfo, extended: dict[str, str]) -> Entry:
        name = extended.get("path", info.name)
        link = extended.get("linkpath", info.linkname)
        if info.type not in _KNOWN or "sparse" in extended:
            what = _OTHERS.get(info.type, "a sparse file" if "sparse" in extended else "unknown")
            raise UnsafeArchive(f"The member {name[:200]!r} is {what} (type {info.type!r}).")
        path = member_path(name)
        if not path and info.type != tarfile.DIRTYPE:
            raise UnsafeArchive(f"The member {name!r} has no name.")
        return Entry(
            path,
            is_folder=info.type == tarfile.DIRTYPE,
            size=_size(name, info, extended) if info.type in _FILES else 0,
            is_executable=bool(info.mode & stat.S_IXUSR),
            target=_target(path, info.type, link) if info.type in _LINKS else None,
        )

    def _exactly(self, size: int) -> bytes:
        data = self._read(size)
        if len(data) < size:
            raise Unreadable("it ends early")
        return data

    def _read(self, size: int) -> bytes:
        try:
            return self._read_some(size)
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's error, not the archive's
            raise Unreadable(str(error)) from error


def _decoded(file: BinaryIO) -> Callable[[int], bytes]:
    """What reads the tar file within a compressed file."""
    file.seek(0)
    start = file.read(10)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file, mode="rb").read
    if start.startswith(b"BZh") and start.endswith(b"1AY&SY"):
        return bz2.BZ2File(file).read
    if start.startswith((b"\xfd7zXZ\0", b"\x5d\0\0\x80")):
        return _Xz(file).read
    return file.read


class _Xz:
    """As `lzma.LZMAFile`, which cannot be told how much memory it may take."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES)

    def read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            more = b""
            if self._decoder.eof:
                more = self._decoder.unused_data or self._file.read(CHUNK)
                if not more:
                    break
                self._decoder = lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES)
            elif self._decoder.needs_input:
                more = self._file.read(CHUNK)
                if not more:
                    raise EOFError("it ends early")
            data += self._decoder.decompress(more, size - len(data))
        return bytes(data)


def _pax_records(data: bytes) -> Iterator[tuple[str, str]]:
    """What matters here of an extended header: `path`, `linkpath`, `size`, and `sparse`.

    Source: POSIX.1-2017, pax, "pax Extended Header". A record is `LENGTH KEY=VALUE\\n`.
    """
    start = 0
    while start < len(data):
        digits = data[start : start + 20].partition(b" ")[0]
        end = start + int(digits) if digits.isdigit() else 0
        key, equals, value = data[start + len(digits) + 1 : end - 1].partition(b"=")
        if not equals or data[end - 1 : end] != b"\n":
            raise Unreadable("an extended header is broken")
        if key in (b"path", b"linkpath", b"size"):
            yield key.decode(), text(value)
        elif key.startswith(b"GNU.sparse."):
            yield "sparse", ""
        start = end


def _size(name: str, info: tarfile.TarInfo, extended: dict[str, str]) -> int:
    digits = extended.get("size", str(info.size))
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):
        raise UnsafeArchive(f"The member {name!r} claims a size of {digits[:40]!r} bytes.")
    return int(digits)


def _target(path: str, type: bytes, link: str) -> str:
    """The path in the archive that a link leads to."""
    if type == tarfile.LNKTYPE:
        return member_path(link, f"The link {path!r} to")
    return link_target(path, link)
