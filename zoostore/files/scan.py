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


class FoundFolder(NamedTuple):
    """What was found in a folder.

    Attributes:
        prefix: its path, with a slash at the end; empty for the root.
        found: what is in it and no folder, sorted.
        folders: the names of the folders in it.
        itself: the folder, if nothing at all is in it, and it is not the root.
    """

    prefix: str
    found: list[Found]
    folders: list[str]
    itself: Found | None


def scan(
    root: Path,
    tell: Callable[[UnreadableFile], None] | None = None,
    list_folders: ListFolders | None = None,
) -> Iterator[Found]:
    """Every file, link and empty directory below `root`, sorted within each folder.

    Args and raises: as `scan_folders`.
    """
    for folder in scan_folders(root, tell, list_folders):
        if folder.itself is not None:
            yield folder.itself
        yield from folder.found


def scan_folders(
    root: Path,
    tell: Callable[[UnreadableFile], None] | None = None,
    list_folders: ListFolders | None = None,
) -> Iterator[FoundFolder]:
    """Every folder that `root` holds, and `root` first, each before those in it.

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
            found = _found_in(root, folder)
            below += (f"{found.prefix}{name}/" for name in found.folders)
            yield found
        depth = below


def _found_in(root: Path, folder: Folder) -> FoundFolder:
    prefix, children, is_empty = folder
    itself = None
    if is_empty and prefix:
        itself = found_at(prefix.rstrip("/"), os.lstat(root / prefix))
    found: list[Found] = []
    folders: list[str] = []
    for name, status in children:
        if stat.S_ISDIR(status.st_mode):
            folders.append(name)
        elif stat.S_ISLNK(status.st_mode):
            found.append(found_at(prefix + name, status, os.readlink(root / (prefix + name))))
        else:
            found.append(found_at(prefix + name, status))
    return FoundFolder(prefix, found, folders, itself)


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
    folders = _paths_by_folder([*(item.path for item in kept), *beside])
    with _named(root):
        for paths in folders.values():
            check_names({path.rpartition("/")[2] for path in paths})
        for item in kept:
            if item.path in folders and item.kind is not Kind.DIRECTORY:
                raise UnsafePath(f"{item.path!r} stands where the snapshot has a folder.")
        _check_each(root, kept)
    return kept


def require_keepable_folder(root: Path, folder: FoundFolder) -> None:
    """Refuse what a snapshot cannot hold in a folder below `root`. Raises as `require_keepable`."""
    begin = len(folder.prefix)
    with _named(root):
        check_names([*(item.path[begin:] for item in folder.found), *folder.folders])
        _check_each(root, folder.found)
        if folder.itself is not None:
            check_path(folder.itself.path)


@contextlib.contextmanager
def _named(root: Path) -> Iterator[None]:
    """Have an unsafe path say where it is."""
    try:
        yield
    except UnsafePath as error:
        raise UnsafeName(
            f"In {root}: {error.message} Nothing was added.", path=str(root)
        ) from error


def _check_each(root: Path, found: Iterable[Found]) -> None:
    for item in found:
        if item.kind is None:
            raise _special(root, item)
        check_path(item.path)
        if item.kind is Kind.LINK:
            check_link(item.path, item.target)


def _special(root: Path, found: Found) -> SpecialFile:
    path = root / found.path
    what = _SPECIAL.get(stat.S_IFMT(os.lstat(path).st_mode), "no plain file")
    return SpecialFile(
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
