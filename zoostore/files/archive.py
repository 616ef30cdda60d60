"""Archives: a tar file that anyone may have made, read as the folder that it holds.

Who made the archive is not trusted. Only files come out of it, below one folder, and no
more of them than an archive of its size may hold. All of that is known before the first
is written: an archive is read twice, for the plan and for the content.
"""

from __future__ import annotations

import bz2
import contextlib
import errno
import gzip
import lzma
import os
import posixpath
import re
import stat
import tarfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

from zoostore.digest import CHUNK
from zoostore.errors import MalformedObject, SpecialFile, UnknownPath, UnsafeArchive, UnsafePath
from zoostore.files.staging import fsync_directory, random_name
from zoostore.objects.paths import (
    check_link,
    check_name,
    check_path,
    check_siblings,
    why_not_on_windows,
)

SUFFIX = ".tar.gz"

_SUFFIXES = re.compile(r"\.(tar(\.\w+)?|tgz|tbz2?|txz)$", re.IGNORECASE)
_COMPRESSION_LEVEL = 6
_MAX_LINKS = 40
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
_UNWRITABLE_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)

_Folder: TypeAlias = dict[str, "_Folder | None"]
"""The names in a folder; None stands for a file."""


@dataclass(frozen=True, slots=True)
class Limits:
    """An archive of N bytes may hold `spare + ratio * N` bytes of content in `entries` files
    and folders. Links count as the copies that they become.
    """

    entries: int = 100_000
    spare: int = 1 << 30
    ratio: int = 200


DEFAULT_LIMITS = Limits()


class Member(NamedTuple):
    """A file of an archive.

    Attributes:
        path: relative to the folder that the archive holds, with `/` between its parts.
        size: in bytes.
    """

    path: str
    size: int
    is_executable: bool


def members(archive: Path, limits: Limits = DEFAULT_LIMITS) -> tuple[Member, ...]:
    """The files of an archive, in its order. Links are the files that they lead to.

    If all files stand in folders of which one is called as the archive is, paths begin
    below the last such folder: `tmp/inputs/0.npz` in `inputs.tar.gz` is `0.npz`.

    Raises:
        UnsafeArchive: it holds a name, a link or a kind of file that could do harm, or more
            than its limits.
        MalformedObject: it is no archive, or damaged, or cut off.
        UnknownPath: there is no such file.
        OSError: the file system failed.
    """
    with _opened(archive) as file:
        return tuple(member for member, _ in _plan(archive, _Tar(file, limits), limits))


def unpack(
    archive: Path,
    folder: Path,
    *,
    limits: Limits = DEFAULT_LIMITS,
    only: Collection[str] | None = None,
) -> tuple[Member, ...]:
    """Write an archive's files below `folder`, which is there, and say which they are.

    All are plain files of mode 0644 or 0755, less the umask. Nothing is replaced. On an
    error, what was written stays: `folder` is to be one that the caller can remove.

    Args:
        only: the paths to write, as `members` has them. None for all.

    Raises:
        UnsafeArchive, MalformedObject, OSError: as `members` does; nothing was written
            unless the file system failed or could not hold a name.
        UnknownPath: there is no such archive, or it does not hold one of `only`.
    """
    with _opened(archive) as file:
        plan = _plan(archive, _Tar(file, limits), limits)
        if only is not None:
            plan = _selected(archive, plan, frozenset(only))
        copies: dict[_Entry, list[Member]] = {}
        for member, source in plan:
            copies.setdefault(source, []).append(member)
        tar = _Tar(file, limits)
        for entry in tar if copies else ():
            _write(folder, copies.pop(entry, []), tar.content())
            if not copies:
                break
        if copies:
            raise tarfile.ReadError("it changed while it was read")
    return tuple(member for member, _ in plan)


def pack(files: Iterable[tuple[str, Path]], archive: Path, *, top: str) -> None:
    """Write a `.tar.gz` that holds files as `top/NAME`, in the order given.

    The same names and content give the same bytes (with one version of zlib). The archive
    gets its name when it is whole and durable.

    Raises:
        UnsafePath: a name cannot stand in an archive, or two are the same file.
        SpecialFile: a path is no regular file.
        OSError: a file cannot be read, or the archive cannot be written.
    """
    staged = archive.with_name(f".{archive.name}.{os.getpid()}.{random_name(4)}.tmp")
    try:
        with open(staged, "xb") as file:
            with (
                gzip.GzipFile("", "wb", _COMPRESSION_LEVEL, file, mtime=0) as zipped,
                tarfile.open(
                    mode="w", fileobj=zipped, format=tarfile.PAX_FORMAT, encoding="utf-8"
                ) as tar,
            ):
                _add_all(tar, ((f"{top}/{name}", path) for name, path in files))
            file.flush()
            os.fsync(file.fileno())
        os.replace(staged, archive)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    fsync_directory(archive.parent)


def _add_all(tar: tarfile.TarFile, files: Iterable[tuple[str, Path]]) -> None:
    tree: _Folder = {}
    for name, path in files:
        if name != _path(name):
            raise UnsafePath(f"The path {name!r} is not in its shortest form.", path=name)
        _put(tree, name, is_folder=False)
        if not stat.S_ISREG(path.stat().st_mode):  # before it is opened: a FIFO would block
            raise SpecialFile(f"{path} is no regular file; nothing was packed.", path=str(path))
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            info = tarfile.TarInfo(name)
            info.size = status.st_size
            info.mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
            tar.addfile(info, file)
    _check_twins(tree)


# What an archive holds


class _Entry(NamedTuple):
    """A header, checked by itself. `target` is the path in the archive that a link leads to."""

    path: str
    is_folder: bool
    size: int
    is_executable: bool
    target: str | None


class _Tar:
    """The entries of a tar file, read once and forwards, in the memory of one chunk.

    Of tarfile, only the parser of a single header is used. The rest trusts too much: it keeps
    all headers, reads a long name of any size at once, takes a broken header for the end, and
    before 3.12.6 needs quadratic time for some (CVE-2024-6232).

    Iterating raises `UnsafeArchive` or `UnsafePath` with a sentence that says why, and
    `tarfile.TarError` with half a sentence for what cannot be read.
    """

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        self._limit = limits.spare + limits.ratio * os.fstat(file.fileno()).st_size
        self._left = self._limit
        self._extended_left = _MAX_HEADER_BYTES + _EXTENDED_BYTES_PER_ENTRY * limits.entries
        self._unread = 0
        self._read_some = _decoded(file)

    def __iter__(self) -> Iterator[_Entry]:
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

    def spend(self, size: int) -> None:
        """Count bytes against the limit, before they are read or written."""
        self._left -= size
        if self._left < 0:
            raise UnsafeArchive(
                f"It holds more than {self._limit} bytes, the most for an archive of its size."
            )

    def _next(self) -> _Entry | None:
        extended: dict[str, str] = {}
        while (info := self._header()) is not None and info.type in _EXTENSIONS:
            extended |= self._extension(info)
        return None if info is None else self._entry(info, extended)

    def _header(self) -> tarfile.TarInfo | None:
        block = self._exactly(tarfile.BLOCKSIZE)
        if not any(block):
            return None
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")

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
            return {_LONG[info.type]: _text(data.partition(b"\0")[0])}
        return dict(_pax_records(data)) if info.type in _PAX else {}

    def _entry(self, info: tarfile.TarInfo, extended: dict[str, str]) -> _Entry:
        name = extended.get("path", info.name)
        link = extended.get("linkpath", info.linkname)
        if info.type not in _KNOWN or "sparse" in extended:
            what = _OTHERS.get(info.type, "a sparse file" if "sparse" in extended else "unknown")
            raise UnsafeArchive(f"The member {name[:200]!r} is {what} (type {info.type!r}).")
        path = _path(name)
        if not path and info.type != tarfile.DIRTYPE:
            raise UnsafeArchive(f"The member {name!r} has no name.")
        return _Entry(
            path,
            is_folder=info.type == tarfile.DIRTYPE,
            size=_size(name, info, extended) if info.type in _FILES else 0,
            is_executable=bool(info.mode & stat.S_IXUSR),
            target=_target(path, info.type, link) if info.type in _LINKS else None,
        )

    def _exactly(self, size: int) -> bytes:
        data = self._read(size)
        if len(data) < size:
            raise tarfile.ReadError("it ends early")
        return data

    def _read(self, size: int) -> bytes:
        try:
            return self._read_some(size)
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's error, not the archive's
            raise tarfile.ReadError(str(error)) from error


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
            raise tarfile.ReadError("an extended header is broken")
        if key in (b"path", b"linkpath", b"size"):
            yield key.decode(), _text(value)
        elif key.startswith(b"GNU.sparse."):
            yield "sparse", ""
        start = end


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")  # which no name may hold


def _size(name: str, info: tarfile.TarInfo, extended: dict[str, str]) -> int:
    digits = extended.get("size", str(info.size))
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):
        raise UnsafeArchive(f"The member {name!r} claims a size of {digits[:40]!r} bytes.")
    return int(digits)


def _path(name: str, what: str = "The path") -> str:
    """A member's path in its one form; empty for the root.

    Args:
        what: what the message calls it.

    Raises:
        UnsafePath: it is absolute, goes up, or has a name that no snapshot may hold.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    try:
        if name.startswith("/"):
            raise UnsafePath("It is absolute.")
        check_path("/".join(parts))
        for part in parts:
            check_name(part)
            if os.name == "nt" and (reason := why_not_on_windows(part)):
                raise UnsafePath(f"{part!r} {reason}.")
    except UnsafePath as error:
        raise UnsafePath(f"{what} {name[:200]!r}: {error.message}", path=name) from None
    return "/".join(parts)


def _target(path: str, type: bytes, link: str) -> str:
    """The path in the archive that a link leads to."""
    if type == tarfile.LNKTYPE:
        return _path(link, f"The link {path!r} to")
    check_link(path, link)
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


# What becomes of it


_Plan: TypeAlias = list[tuple[Member, _Entry]]
"""The files that come out of an archive, each with the entry that has its content."""


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[BinaryIO]:
    """An archive, open for reading; what is wrong with it is said of it."""
    if not archive.exists():
        raise UnknownPath(f"There is no archive {archive}.", path=str(archive))
    try:
        if not archive.is_file():
            raise tarfile.ReadError("it is no regular file")
        with open(archive, "rb") as file:
            yield file
    except (UnsafePath, UnsafeArchive) as error:
        raise UnsafeArchive(
            f"The archive {archive} is not safe. {error.message} It was not unpacked.",
            path=str(archive),
        ) from error
    except tarfile.TarError as error:
        raise MalformedObject(
            f"The archive {archive} cannot be read: {error}. It was not unpacked.",
            path=str(archive),
        ) from error


def _plan(archive: Path, tar: _Tar, limits: Limits) -> _Plan:
    tree: _Folder = {}
    files: dict[str, _Entry] = {}
    count = 0
    for entry in tar:
        # Folders that no header names count too: one path could ask for hundreds of them.
        count += max(1, _put(tree, entry.path, entry.is_folder))
        if count > limits.entries:
            raise UnsafeArchive(f"It holds more than {limits.entries} files and folders.")
        if not entry.is_folder:
            files[entry.path] = entry
    _check_twins(tree)
    start = _start_of_paths(archive, files)
    plan = []
    for entry in files.values():
        source = _source(entry, files)
        if source is not entry:
            tar.spend(source.size)
        plan.append((Member(entry.path[start:], source.size, source.is_executable), source))
    return plan


def _put(tree: _Folder, path: str, is_folder: bool) -> int:
    """Put a file or a folder in a tree; how many names are new.

    Raises:
        UnsafePath: something else stands there.
    """
    *parts, name = [*path.split("/"), ""] if is_folder else path.split("/")
    new = 0
    for part in filter(None, parts):
        new += part not in tree
        below = tree.setdefault(part, {})
        if below is None:
            raise UnsafePath(f"The path {path!r} goes through a file.", path=path)
        tree = below
    if name in tree:
        raise UnsafePath(f"The path {path!r} is there twice.", path=path)
    if name:
        tree[name] = None
        new += 1
    return new


def _check_twins(tree: _Folder) -> None:
    pending = [tree]
    while pending:
        folder = pending.pop()
        check_siblings(folder)
        pending.extend(below for below in folder.values() if below is not None)


def _source(entry: _Entry, files: dict[str, _Entry]) -> _Entry:
    """The entry that has the content of a file or a link."""
    found = entry
    for _ in range(_MAX_LINKS + 1):
        if found.target is None:
            return found
        if found.target not in files:
            raise UnsafePath(
                f"The link {entry.path!r} leads to {found.target!r}, which is no file in it."
            )
        found = files[found.target]
    raise UnsafePath(f"The link {entry.path!r} leads to no file within {_MAX_LINKS} links.")


def _start_of_paths(archive: Path, paths: Collection[str]) -> int:
    """How much of every path leads to the folder that is called as the archive is."""
    stem = _SUFFIXES.sub("", archive.name)
    shared = posixpath.commonprefix(list(paths)).split("/")[:-1]
    while shared and shared[-1] != stem:
        shared.pop()
    return sum(len(part) + 1 for part in shared)


def _selected(archive: Path, plan: _Plan, only: frozenset[str]) -> _Plan:
    missing = only.difference(member.path for member, _ in plan)
    if missing:
        raise UnknownPath(
            f"The archive {archive} does not hold {min(missing)!r}. It was not unpacked.",
            path=min(missing),
        )
    return [item for item in plan if item[0].path in only]


def _write(folder: Path, copies: list[Member], content: Iterator[bytes]) -> None:
    for member in copies:
        path = folder / member.path
        try:
            _make_folders(folder, member.path)
            with _new_file(path, 0o755 if member.is_executable else 0o644) as file:
                for chunk in content:
                    file.write(chunk)
        except OSError as error:
            if error.errno in _UNWRITABLE_NAME:
                raise UnsafeArchive(
                    f"The file system cannot hold {member.path!r}: {error.strerror}."
                ) from error
            raise
        content = _chunks(path)  # for the links to it


def _make_folders(folder: Path, path: str) -> None:
    """Make the folders that a path names. One that is there is no error, but a link is."""
    place = os.fspath(folder)
    for name in path.split("/")[:-1]:
        place = os.path.join(place, name)
        try:
            os.mkdir(place)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(place).st_mode):
                raise


def _new_file(path: Path, mode: int) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    for name in ("O_NOFOLLOW", "O_BINARY"):  # each on some systems only
        flags |= getattr(os, name, 0)
    return open(os.open(path, flags, mode), "wb")


def _chunks(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
