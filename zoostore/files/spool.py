"""Spools: bytes that come one after the other, and are looked at when all are there."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self, TypeAlias

# What maps files is imported where that is done: mostly there is little to map.
if TYPE_CHECKING:
    from mmap import mmap

_IN_MEMORY = 4 << 20

Bytes: TypeAlias = "bytes | mmap"
"""What a slice of is bytes."""


class Spool:
    """Bytes in memory while they are few, and in a file without a name when they are many.

    Use as a context, or close it.

    Args:
        new_path: gives a path at which nothing stands, for that file; None: they are few.
    """

    def __init__(self, new_path: Callable[[], Path] | None = None) -> None:
        self._new_path = new_path
        self._rest = bytearray()
        self._file: BinaryIO | None = None
        self._written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self._written + len(self._rest)

    def append(self, data: bytes | bytearray) -> None:
        """Add some at the end. Raises `OSError` where the disk is full."""
        self._rest += data
        if len(self._rest) >= _IN_MEMORY and self._new_path is not None:
            self._write_out()

    def view(self) -> Bytes:
        """All of them, as they are now."""
        if self._file is None:
            return bytes(self._rest)
        self._write_out()
        return mapped(self._file)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()

    def _write_out(self) -> None:
        if self._file is None:
            assert self._new_path is not None
            path = self._new_path()
            self._file = open(path, "x+b")  # noqa: SIM115 -- until it is closed
            if os.name != "nt":  # where a file that is open cannot be removed
                path.unlink()
        self._file.write(self._rest)
        self._file.flush()
        self._written += len(self._rest)
        self._rest.clear()


def mapped(file: BinaryIO) -> Bytes:
    """What an open file holds, which takes no memory of the process."""
    from mmap import ACCESS_READ, mmap

    return mmap(file.fileno(), 0, access=ACCESS_READ)
