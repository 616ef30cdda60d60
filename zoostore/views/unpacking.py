"""Unpacking: an archive on a disk, and the files it holds beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from zoostore.errors import LocalChanges
from zoostore.files.archive import Member, members, unpack
from zoostore.files.disk import errors_named
from zoostore.files.staging import Staging
from zoostore.ops.status import content_oid


def members_of(archive: Path) -> Sequence[Member]:
    """What an archive holds. It is read once, and again if it changes."""
    status = os.stat(archive)
    return _members(archive, status.st_size, status.st_mtime_ns, status.st_ino)


@lru_cache(maxsize=64)
def _members(archive: Path, size: int, mtime_ns: int, inode: int) -> Sequence[Member]:
    return members(archive)


def unpack_beside(archive: Path, folder: Path) -> None:
    """Have what an archive holds as files in a folder, each whole or not at all.

    Files that are there already stay as they are.

    Raises:
        LocalChanges: one of them is of another size, or, where some are missing, has
            another content; nothing was changed.
        UnsafeArchive, MalformedObject: the archive cannot be unpacked.
    """
    with errors_named():
        wanted = members_of(archive)
        _require_plain_folders(archive, folder, wanted)
        missing = [member for member in wanted if not _stands(folder, member)]
        if not missing:
            return
        staging = Staging(archive.parent, prefix=".zoostore-")
        try:
            staged = staging.new_path()
            staged.mkdir()
            unpack(archive, staged)
            _require_same(archive, folder, staged, wanted)
            for member in missing:
                target = folder / member.path
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(staged / member.path, target)
        finally:
            staging.close()


def _require_plain_folders(archive: Path, folder: Path, wanted: Sequence[Member]) -> None:
    """Refuse to write through links: they could lead anywhere."""
    below = {folder / parent for member in wanted for parent in Path(member.path).parents}
    for place in below - {archive.parent}:
        if place.is_symlink():
            raise LocalChanges(
                f"{place} is a link, and files of {archive.name} go there; nothing was unpacked.",
                path=str(folder),
                paths=[str(place)],
            )


def _stands(folder: Path, member: Member) -> bool:
    target = folder / member.path
    try:
        size = os.stat(target).st_size
    except (FileNotFoundError, NotADirectoryError):
        return False
    if size != member.size or target.is_dir():
        raise _other(folder, member)
    return True


def _require_same(archive: Path, folder: Path, staged: Path, wanted: Sequence[Member]) -> None:
    for member in wanted:
        target = folder / member.path
        if target.exists() and content_oid(target) != content_oid(staged / member.path):
            raise _other(folder, member)


def _other(folder: Path, member: Member) -> LocalChanges:
    return LocalChanges(
        f"{folder / member.path} stands where a file of an archive goes, and is another; nothing "
        "was unpacked.",
        path=str(folder),
        paths=[member.path],
    )
