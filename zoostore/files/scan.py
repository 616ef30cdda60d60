"""Scanning: what a directory holds, and whether a snapshot could keep it."""

import contextlib
import functools
import operator
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

from zoostore.errors import SpecialFile, UnreadableFile, UnsafeName, UnsafePath
from zoostore.files.stamp import Stamp
from zoostore.objects.paths import (
    CHECKOUT_FOLDER,
    check_link,
    check_names,
    check_path,
)
from zoostore.objects.tree import Kind

_STAGING = r"\.zoostore-.+\.[0-9]+\.[0-9a-f]{8}"
"""How `files.staging` calls the folders that it makes within others."""

_SPECIAL = {
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
    stat.S_IFIFO: "a FIFO",
}


class Found(NamedTuple):
    """One path of a directory.

    Attributes:
        path: relative, with `/` between its parts.
        kind: DIRECTORY only for one that holds nothing; None for what no snapshot can hold.
        stamp: of the path itself, links not followed.
        has_other_names: whether the file has hard links.
        target: where a link points.
    """

    path: str
    kind: Kind | None
    stamp: Stamp
    has_other_names: bool
    target: str = ""

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file, executable or not."""
        return self.kind is not None and self.kind.is_file

    @property
    def lasting_stamp(self) -> Stamp:
        """The stamp to remember: what further links to the file do not change."""
        return self.stamp.without_ctime() if self.has_other_names else self.stamp


def found_at(path: str, status: os.stat_result, target: str = "") -> Found:
    """What a status says of a path."""
    return Found(path, _kind_of(status.st_mode), Stamp.of(status), status.st_nlink > 1, target)


class Folder(NamedTuple):
    """What is in a folder.

    Attributes:
        prefix: its path, with a slash at the end; empty for the root.
        children: what is to be looked at, by name, with its status, sorted.
        is_empty: whether nothing at all is in it.
    """

    prefix: str
    children: list[tuple[str, os.stat_result]]
    is_empty: bool


ListFolders: TypeAlias = Callable[[list[str]], Iterable[Folder]]
"""Lists folders, by their prefixes, in any order."""


def scan(
    root: Path,
    tell: Callable[[UnreadableFile], None] | None = None,
    list_folders: ListFolders | None = None,
) -> Iterator[Found]:
    """Every file, link and empty directory below `root`, sorted within each folder.

    Folders named `.zoostore` are a checkout's own and are passed over, and so are those in
    which a process makes files ready, or did until it was killed.

    Args:
        tell: is told of a folder that cannot be listed, which is passed over then.
        list_folders: lists them instead, those of one depth together.

    Raises:
        UnreadableFile: a folder cannot be listed, and nobody is to be told.
    """
    list_folders = list_folders or (lambda prefixes: _listed(root, prefixes, tell))
    depth = [""]
    while depth:
        below: list[str] = []
        for folder in list_folders(depth):
            if folder.is_empty and folder.prefix:
                yield found_at(folder.prefix.rstrip("/"), os.lstat(root / folder.prefix))
            for name, status in folder.children:
                path = folder.prefix + name
                if stat.S_ISDIR(status.st_mode):
                    below.append(path + "/")
                elif stat.S_ISLNK(status.st_mode):
                    yield found_at(path, status, os.readlink(root / path))
                else:
                    yield found_at(path, status)
        depth = below


def _listed(
    root: Path, prefixes: Iterable[str], tell: Callable[[UnreadableFile], None] | None
) -> Iterator[Folder]:
    for prefix in prefixes:
        try:
            folder = list_folder(root, prefix)
        except UnreadableFile as error:
            if tell is None:
                raise
            tell(error)
            continue
        yield folder


def is_own_folder(name: str) -> bool:
    """Whether a name is of a folder that zoostore keeps, or works, in, beside what it keeps."""
    return name == CHECKOUT_FOLDER or re.fullmatch(_STAGING, name) is not None


def list_folder(root: Path, prefix: str) -> Folder:
    """List a folder. Raises what `children_of` raises."""
    children = children_of(root, prefix)
    return Folder(prefix, children, is_empty=not children)


def children_of(root: Path, prefix: str) -> list[tuple[str, os.stat_result]]:
    """The names in a folder, but for those that `scan` passes over, with their statuses, sorted.

    Raises:
        UnreadableFile: it cannot be listed.
    """
    folder = root / prefix
    try:
        with _opened(folder) as (where, status_of):
            return [(name, status_of(name)) for name in _names_in(where)]
    except OSError as error:
        raise UnreadableFile(
            f"The folder {folder} cannot be read: {error.strerror}.", path=str(folder)
        ) from error


def _names_in(folder: int | Path) -> list[str]:
    names = sorted(os.listdir(folder))
    if any(map(_MAY_BE_OWN, names)):
        return [name for name in names if not is_own_folder(name)]
    return names


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[tuple[int | Path, Callable[[str], os.stat_result]]]:
    """What to list a folder by, and the status of a name in it, links not followed.

    By a descriptor, the folder need not be found again for each file that is in it.
    """
    if not {os.listdir, os.stat} <= os.supports_fd or os.stat not in os.supports_dir_fd:
        yield folder, lambda name: os.lstat(folder / name)
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor, functools.partial(os.stat, dir_fd=descriptor, follow_symlinks=False)
    finally:
        os.close(descriptor)


by_name = operator.itemgetter(0)
_MAY_BE_OWN = operator.methodcaller("startswith", CHECKOUT_FOLDER)


def require_keepable(root: Path, found: Iterable[Found], beside: Iterable[str] = ()) -> list[Found]:
    """What was found below `root`, if a snapshot can hold all of it.

    Args:
        beside: other paths that the snapshot will hold.

    Raises:
        SpecialFile: there is a socket, a device or a FIFO.
        UnsafeName: a name or a link cannot stand in a snapshot, or names are case twins.
    """
    kept = list(found)
    for item in kept:
        _check_kind(root, item)
    try:
        folders = _paths_by_folder([*(item.path for item in kept), *beside])
        for paths in folders.values():
            check_names({path.rpartition("/")[2] for path in paths})
        for item in kept:
            check_path(item.path)
            if item.path in folders and item.kind is not Kind.DIRECTORY:
                raise UnsafePath(f"{item.path!r} stands where the snapshot has a folder.")
            if item.kind is Kind.LINK:
                check_link(item.path, item.target)
    except UnsafePath as error:
        raise UnsafeName(
            f"In {root}: {error.message} Nothing was added.", path=str(root)
        ) from error
    return kept


def _check_kind(root: Path, found: Found) -> None:
    if found.kind is None:
        path = root / found.path
        what = _SPECIAL.get(stat.S_IFMT(os.lstat(path).st_mode), "no plain file")
        raise SpecialFile(
            f"{path} is {what}, which a snapshot cannot hold; nothing was added.", path=str(path)
        )


def _paths_by_folder(paths: Iterable[str]) -> dict[str, list[str]]:
    """What is in each folder; of a hundred thousand files, the names would take much memory."""
    folders: dict[str, list[str]] = {}
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folders[folder] = [path]
            path, folder = folder, folder.rpartition("/")[0]
        folders.setdefault(folder, []).append(path)
    return folders


@functools.cache
def _kind_of(mode: int) -> Kind | None:
    if stat.S_ISREG(mode):
        return Kind.EXECUTABLE if mode & stat.S_IXUSR else Kind.FILE
    if stat.S_ISDIR(mode):
        return Kind.DIRECTORY
    return Kind.LINK if stat.S_ISLNK(mode) else None
