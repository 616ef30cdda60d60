"""Archives: a tar or zip file that anyone may have made, read as the folder that it holds.

Who made the archive is not trusted. Only files come out of it, below one folder, and no
more of them than an archive of its size may hold. All of that is known before the first
is written: an archive is read twice, for the plan and for the content.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import posixpath
import re
import stat
import tarfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

from zoostore.digest import CHUNK
from zoostore.errors import MalformedObject, SpecialFile, UnknownPath, UnsafeArchive, UnsafePath
from zoostore.files.entries import (
    DEFAULT_LIMITS,
    Entries,
    Entry,
    Limits,
    Unreadable,
    member_path,
)
from zoostore.files.staging import fsync_directory, random_name
from zoostore.files.tar import Tar
from zoostore.files.zip import Zip, is_zip
from zoostore.objects.paths import check_siblings

SUFFIX = ".tar.gz"

_SUFFIXES = re.compile(r"\.(tar(\.\w+)?|tgz|tbz2?|txz|zip)$", re.IGNORECASE)
_READABLE = re.compile(r"\.(tar(\.(gz|bz2|xz))?|tgz|tbz2?|txz|zip)$", re.IGNORECASE)
_COMPRESSION_LEVEL = 6
_MAX_LINKS = 40

_UNWRITABLE_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)

_Folder: TypeAlias = dict[str, "_Folder | None"]
"""The names in a folder; None stands for a file."""


class Member(NamedTuple):
    """A file of an archive.

    Attributes:
        path: relative to the folder that the archive holds, with `/` between its parts.
        size: in bytes.
    """

    path: str
    size: int
    is_executable: bool


def is_named_archive(name: str) -> bool:
    """Whether a file's name is that of an archive which can be read here."""
    return _READABLE.search(name) is not None


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
        return tuple(member for member, _ in _plan(archive, _entries(file, limits), limits))


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
        plan = _plan(archive, _entries(file, limits), limits)
        if only is not None:
            plan = _selected(archive, plan, frozenset(only))
        copies: dict[Entry, list[Member]] = {}
        for member, source in plan:
            copies.setdefault(source, []).append(member)
        entries = _entries(file, limits)
        for entry in entries if copies else ():
            _write(folder, copies.pop(entry, []), entries.content())
            if not copies:
                break
        if copies:
            raise Unreadable("it changed while it was read")
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
        if name != member_path(name):
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


_Plan: TypeAlias = list[tuple[Member, Entry]]
"""The files that come out of an archive, each with the entry that has its content."""


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[BinaryIO]:
    """An archive, open for reading; what is wrong with it is said of it."""
    if not archive.exists():
        raise UnknownPath(f"There is no archive {archive}.", path=str(archive))
    try:
        if not archive.is_file():
            raise Unreadable("it is no regular file")
        with open(archive, "rb") as file:
            yield file
    except (UnsafePath, UnsafeArchive) as error:
        raise UnsafeArchive(
            f"The archive {archive} is not safe. {error.message} It was not unpacked.",
            path=str(archive),
        ) from error
    except Unreadable as error:
        raise MalformedObject(
            f"The archive {archive} cannot be read: {error}. It was not unpacked.",
            path=str(archive),
        ) from error


def _entries(file: BinaryIO, limits: Limits) -> Entries:
    """What an archive holds, by what the archive is, whatever it is called."""
    return Zip(file, limits) if is_zip(file) else Tar(file, limits)


def _plan(archive: Path, entries: Entries, limits: Limits) -> _Plan:
    tree: _Folder = {}
    files: dict[str, Entry] = {}
    count = 0
    for entry in entries:
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
            entries.spend(source.size)
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


def _source(entry: Entry, files: dict[str, Entry]) -> Entry:
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
    while shared and _spelled(shared[-1]) != _spelled(stem):
        shared.pop()
    return sum(len(part) + 1 for part in shared)


def _spelled(name: str) -> str:
    """A name in one of the two spellings that folders of models are found in."""
    return name.replace("-", "_")


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
