"""What a source needs of the place that its files are in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from zoostore.errors import TransferFailed
from zoostore.transport.wanted import Place


class NotThere(TransferFailed):
    """The place answers, and has no file of this path."""

    kind = "not_there"


class AccessDenied(TransferFailed):
    """The place wants to know who asks, or does not let them have it."""

    kind = "access_denied"


class RangesIgnored(TransferFailed):
    """The place sends whole files only."""

    kind = "ranges_ignored"


class StaticFiles(Protocol):
    """A directory that can be read. Nothing it says is trusted; whoever reads checks."""

    @property
    def address(self) -> str:
        """Where it is, for messages; without credentials."""

    @property
    def url(self) -> str:
        """The same as a URL."""

    @property
    def needs_network(self) -> bool:
        """Whether reading it sends anything."""

    def place_of(self, path: str) -> Place | None:
        """Where a file is, to be downloaded from; None if it is on a disk here."""

    def has_folder(self, path: str) -> bool:
        """Whether files may be in a folder. Nothing is sent to find out."""

    def close(self) -> None:
        """Let go of connections; it can still be used again."""

    def stream(self, path: str) -> AbstractContextManager[Iterator[bytes]]:
        """A file's content in pieces.

        Raises:
            NotThere: there is no such file.
            TransferFailed: it cannot be read, or what came was cut short.
        """

    def read_range(self, path: str, offset: int, into: memoryview) -> int:
        """Read a file's bytes from `offset` on, as many as there is room for, into memory that is
        there; how many there were: fewer where it ends before.

        Raises:
            RangesIgnored: only whole files are to be had.
            NotThere, TransferFailed: as for `stream`.
        """


def read_whole(files: StaticFiles, path: str, limit: int) -> bytes:
    """A small file's content.

    Raises:
        TransferFailed: it is longer than `limit` bytes, or cannot be read.
    """
    parts, size = [], 0
    with files.stream(path) as chunks:
        for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise TransferFailed(
                    f"{files.address}/{path} is longer than the {limit} bytes it should have; "
                    "the rest was not read.",
                    url=f"{files.address}/{path}",
                )
            parts.append(chunk)
    return b"".join(parts)
