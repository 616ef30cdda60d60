"""Entries: what an archive that anyone may have made holds, each checked by itself."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, Protocol

from zoostore.errors import UnsafeArchive, UnsafePath
from zoostore.objects.paths import check_link, check_name, check_path, why_not_on_windows


class Unreadable(Exception):
    """An archive cannot be read; half a sentence says why."""


@dataclass(frozen=True, slots=True)
class Limits:
    """An archive of N bytes may hold `spare + ratio * N` bytes of content in `entries` files
    and folders. Links count as the copies that they become.
    """

    entries: int = 100_000
    spare: int = 1 << 30
    ratio: int = 200


DEFAULT_LIMITS = Limits()


class Entry(NamedTuple):
    """A header, checked by itself. `target` is the path in the archive that a link leads to."""

    path: str
    is_folder: bool
    size: int
    is_executable: bool
    target: str | None


class Entries(Protocol):
    """The entries of one archive, read once and in its order, in the memory of one chunk.

    Iterating reads each entry's content, unless `content` did, and what it is to be compared
    with. It raises `UnsafeArchive` or `UnsafePath` with a sentence that says why, and
    `Unreadable` for what cannot be read.
    """

    def __iter__(self) -> Iterator[Entry]: ...

    def content(self) -> Iterator[bytes]:
        """What is left of the content of the entry that was given last."""

    def spend(self, size: int) -> None:
        """Count bytes against the limit, before they are read or written."""


class Budget:
    """How many bytes an archive may still become."""

    def __init__(self, limits: Limits, archive: BinaryIO) -> None:
        self._limit = limits.spare + limits.ratio * os.fstat(archive.fileno()).st_size
        self._left = self._limit

    def spend(self, size: int) -> None:
        """Count bytes. Raises `UnsafeArchive` if that are too many."""
        self._left -= size
        if self._left < 0:
            raise UnsafeArchive(
                f"It holds more than {self._limit} bytes, the most for an archive of its size."
            )


def member_path(name: str, what: str = "The path") -> str:
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


def link_target(path: str, link: str) -> str:
    """The path in the archive that a symbolic link at `path` leads to.

    Raises:
        UnsafePath: it leads, or could be made to lead, out of the archive.
    """
    check_link(path, link)
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


def text(name: bytes) -> str:
    """A name in UTF-8; what is none becomes a name that cannot stand in an archive."""
    return name.decode("utf-8", "surrogateescape")
