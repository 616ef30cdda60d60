"""Where the bytes of a cache's file are: links followed, within the cache only."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from zoostore.errors import CannotAdd, SpecialFile, UnreadableFile, UnsafeName
from zoostore.files.reading import open_regular
from zoostore.files.scan import Found, FoundFolder, scan_folders
from zoostore.files.stamp import Stamp
from zoostore.objects.tree import Kind


def folders_below(folder: Path, problems: dict[str, str]) -> Iterator[FoundFolder]:
    """A folder and those below it, with whatever is in them and is no folder.

    Args:
        problems: gets the folders that cannot be listed, by path.
    """

    def tell(error: UnreadableFile) -> None:
        problems[str(error.facts["path"])] = error.message

    return scan_folders(folder, tell)


def files_below(folder: Path, problems: dict[str, str]) -> Iterator[Found]:
    """Whatever is below a folder and is no folder.

    Args: as `folders_below`.
    """
    return (found for below in folders_below(folder, problems) for found in below.found)


def find_file(path: Path, within: Sequence[Path]) -> tuple[Path, Stamp]:
    """The regular file that a path means, and its stamp.

    Args:
        within: the folders that it may be in, as `os.path.realpath` has them.

    Raises:
        UnsafeName: links lead outside, or in a circle.
        SpecialFile: it is a folder, a device, a FIFO, or a socket.
        UnreadableFile: it is not there, or cannot be looked at.
    """
    try:
        place = Path(os.path.realpath(path, strict=True))
        status = os.lstat(place)
    except OSError as error:
        raise _unreachable(path, error) from error
    if not any(place.is_relative_to(folder) for folder in within):
        raise UnsafeName("It is a link that leads outside of the cache.", path=str(path))
    if not stat.S_ISREG(status.st_mode):
        raise SpecialFile("It is no plain file.", path=str(path))
    return place, Stamp.of(status)


def locate(root: Path, found: Found, within: Sequence[Path]) -> tuple[Path, Stamp]:
    """The regular file that was found below `root`, or that a link found there means.

    Args:
        root: a folder, as `os.path.realpath` has it; it was scanned.
        within, and what is raised: as `find_file`.
    """
    path = root / found.path
    if found.kind in (Kind.FILE, Kind.EXECUTABLE):
        return path, found.stamp
    return find_file(path, within)


def read_small(path: Path, within: Sequence[Path], limit: int) -> bytes:
    """What a file of a cache says about others.

    Args:
        limit: how many bytes it may have.

    Raises:
        CannotAdd: as `find_file`, or it is larger, or cannot be read.
    """
    place, stamp = find_file(path, within)
    if stamp.size > limit:
        raise CannotAdd(
            f"It has {stamp.size} bytes, and {limit} are the most that such a file may have.",
            path=str(path),
        )
    with open_regular(place) as file:
        return file.read(limit) or b""


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder by name, links left out; none if it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return [folder / name for name in sorted(names)]


def _unreachable(path: Path, error: OSError) -> CannotAdd:
    if error.errno == errno.ELOOP:
        return UnsafeName("It is a link that leads in a circle.", path=str(path))
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        what = "a link to what is not there" if os.path.lexists(path) else "not there"
        return UnreadableFile(f"It is {what}.", path=str(path))
    return UnreadableFile(f"It cannot be read: {error.strerror}.", path=str(path))
