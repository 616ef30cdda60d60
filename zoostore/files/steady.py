"""Writing files that are about to be made durable, at the pace of the disk."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

WRITE = 256 << 10
"""Bytes at a time. A write of 1 MiB takes three times as long for each byte as four of these, and
one of 4 MiB eight times (measured on Linux 6.18 with ext4)."""

_WRITE_OUT = 8 << 20
_BUFFER = 64 << 10


class SteadyFile(io.FileIO):
    """A new file, in writing order, whose bytes the disk begins to write long before a flush asks.

    So the disk is at work while the rest is made, and no more waits in memory than need be.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "x")
        self._written = self._on_its_way = 0

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of it; its length."""
        view = memoryview(data)
        for at in range(0, len(view), WRITE):
            piece = view[at : at + WRITE]
            while piece:
                piece = piece[super().write(piece) or 0 :]
        self._written += len(view)
        if self._written - self._on_its_way >= _WRITE_OUT:
            begin_writing_out(self.fileno(), self._on_its_way, self._written - self._on_its_way)
            self._on_its_way = self._written
        return len(view)


def create_steadily(path: Path) -> BinaryIO:
    """Create a file to write to from its beginning to its end.

    Raises:
        FileExistsError: something stands there.
    """
    return io.BufferedWriter(SteadyFile(path), _BUFFER)


def begin_writing_out(descriptor: int, offset: int, size: int) -> None:
    """Have the disk begin to write a part of a file, where the system can be told to."""
    if hasattr(os, "posix_fadvise"):
        # It drops what need not be written, and begins to write the rest, which stays in memory.
        os.posix_fadvise(descriptor, offset, size, os.POSIX_FADV_DONTNEED)
