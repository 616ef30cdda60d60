"""Looking at folders of others: which files are really there, and which paths can be kept."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from zoostore.errors import UnreadableFile, UnsafePath
from zoostore.files.scan import Found, scan
from zoostore.files.stamp import Stamp
from zoostore.objects.paths import check_name, check_path, folded
from zoostore.objects.tree import Kind

_BUSY_SUFFIXES = (".incomplete", ".part", ".crdownload", ".download", ".tmp", ".temp")


class RealFile(NamedTuple):
    """A regular file that can be read, links followed, and its stamp."""

    place: Path
    stamp: Stamp


def real_file(root: Path, path: Path) -> RealFile | str:
    """The file that a path leads to within a folder; or why there is none, as a sentence.

    Args:
        root: the folder, without links in its own path.
    """
    try:
        place = Path(os.path.realpath(path, strict=True))
        status = os.lstat(place)
    except OSError as error:
        return _why_unusable(error)
    if not place.is_relative_to(root):
        return "It is a link that leads out of the folder."
    if not stat.S_ISREG(status.st_mode):
        return "It is no file."
    if not os.access(place, os.R_OK):
        return "It cannot be read."
    return RealFile(place, Stamp.of(status))


def _why_unusable(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "It is a link to nothing."
    if error.errno == errno.ELOOP:
        return "It is a link that goes round."
    return f"It cannot be read: {error.strerror}."


class KeptPaths:
    """The paths of one model, as far as they can stand in a snapshot beside each other."""

    def __init__(self) -> None:
        self._taken: dict[str, str] = {}
        self._files: set[str] = set()

    def why_not(self, path: str) -> str:
        """Why a file cannot be kept under this path; if it can, it is, and nothing is said."""
        parts = path.split("/")
        try:
            check_path(path)
            for name in parts:
                check_name(name)
        except UnsafePath as error:
            return error.message
        steps = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        for step in steps:
            twin = self._taken.get(folded(step), step)
            if twin != step:
                return f"Where case does not count it is the same as {twin!r}."
            if step in self._files or (step == path and folded(step) in self._taken):
                return f"Something else of the model stands at {step!r}."
        self._taken.update((folded(step), step) for step in steps)
        self._files.add(path)
        return ""


def files_below(folder: Path, problems: dict[str, str]) -> Iterator[Found]:
    """Every file and link below a folder; what is neither is a problem.

    A folder that cannot be listed ends it, and is a problem.
    """
    try:
        for found in scan(folder):
            if found.kind is None:
                problems[str(folder / found.path)] = "It is no file."
            elif found.kind is not Kind.DIRECTORY:
                yield found
    except UnreadableFile as error:
        problems[str(folder)] = error.message


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder by name, links to folders left out; none if it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return [folder / name for name in sorted(names)]


def is_unfinished(name: str) -> bool:
    """Whether a file's name says that it is a download in progress."""
    return name.lower().endswith(_BUSY_SUFFIXES)


def read_json(path: Path, at_most: int) -> object:
    """The JSON value in a file.

    Args:
        at_most: bytes; a larger file is not read.

    Raises:
        ValueError: it holds no JSON, or is too large.
        OSError: it cannot be read.
    """
    data = read_bytes(path, at_most)
    try:
        value: object = json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def read_bytes(path: Path, at_most: int) -> bytes:
    """The bytes of a file, links not followed. Raises as `read_json`."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is no file")
        data = file.read(at_most + 1)
    if len(data) > at_most:
        raise ValueError(f"it is larger than {at_most} bytes")
    return data
