"""Scanning: what a directory holds, as far as a snapshot could keep it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from zoostore.errors import SpecialFile, UnreadableFile, UnsafeName, UnsafePath
from zoostore.files.stamp import Stamp
from zoostore.objects.paths import (
    CHECKOUT_FOLDER,
    check_link,
    check_name,
    check_path,
    check_siblings,
)
from zoostore.objects.tree import Kind

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
    def lasting_stamp(self) -> Stamp:
        """The stamp to remember: what further links to the file do not change."""
        return self.stamp.without_ctime() if self.has_other_names else self.stamp


def found_at(path: str, status: os.stat_result, target: str = "") -> Found:
    """What a status says of a path."""
    return Found(path, _kind_of(status), Stamp.of(status), status.st_nlink > 1, target)


def scan(root: Path, *, strict: bool = True) -> Iterator[Found]:
    """Every file, link and empty directory below `root`, sorted within each folder.

    Folders named `.zoostore` are a checkout's own and are passed over.

    Args:
        strict: refuse what a snapshot cannot hold. Otherwise it is reported without a kind.

    Raises:
        UnreadableFile: a folder cannot be listed.
        SpecialFile: there is a socket, a device or a FIFO.
        UnsafeName: a name or a link cannot stand in a snapshot, or names are case twins.
    """
    pending = [""]
    while pending:
        prefix = pending.pop()
        folder = root / prefix
        children = _list(folder, strict=strict)
        if not children and prefix:
            yield found_at(prefix.rstrip("/"), os.lstat(folder))
        below = []
        for child in children:
            path = prefix + child.name
            status = child.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                below.append(path + "/")
            else:
                yield _found(root, path, status, strict=strict)
        pending.extend(reversed(below))


def _list(folder: Path, *, strict: bool) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            children = [entry for entry in entries if entry.name != CHECKOUT_FOLDER]
    except OSError as error:
        raise UnreadableFile(
            f"The folder {folder} cannot be read: {error.strerror}.", path=str(folder)
        ) from error
    children.sort(key=lambda entry: entry.name)
    if strict:
        try:
            for child in children:
                check_name(child.name)
            check_siblings(child.name for child in children)
        except UnsafePath as error:
            raise UnsafeName(f"In {folder}: {error.message}", path=str(folder)) from error
    return children


def _found(root: Path, path: str, status: os.stat_result, *, strict: bool) -> Found:
    is_link = stat.S_ISLNK(status.st_mode)
    found = found_at(path, status, os.readlink(root / path) if is_link else "")
    if strict and found.kind is None:
        what = _SPECIAL.get(stat.S_IFMT(status.st_mode), "not a file")
        raise SpecialFile(
            f"{root / path} is {what}, which a snapshot cannot hold; nothing was added.",
            path=str(root / path),
        )
    if strict:
        _check_found(root, found)
    return found


def _check_found(root: Path, found: Found) -> None:
    try:
        check_path(found.path)
        if found.kind is Kind.LINK:
            check_link(found.path, found.target)
    except UnsafePath as error:
        raise UnsafeName(
            f"In {root}: {error.message} Nothing was added.", path=str(root / found.path)
        ) from error


def _kind_of(status: os.stat_result) -> Kind | None:
    if stat.S_ISREG(status.st_mode):
        return Kind.EXECUTABLE if status.st_mode & stat.S_IXUSR else Kind.FILE
    if stat.S_ISDIR(status.st_mode):
        return Kind.DIRECTORY
    return Kind.LINK if stat.S_ISLNK(status.st_mode) else None
