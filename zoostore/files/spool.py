"""Spools: bytes that come one after the other, and are looked at when all are there."""

from collections.abc import Callable
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
        new_file: opens a file without a name; None: they are few.
    """

    def __init__(self, new_file: Callable[[], BinaryIO] | None = None) -> None:
        self._new_file = new_file
        self._rest = bytearray()
        self._file: BinaryIO | None = None
        self._written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self._written + len(self._rest)

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """Add some at the end. Raises `OSError` where the disk is full."""
        self._rest += data
        if len(self._rest) >= _IN_MEMORY and self._new_file is not None:
            self._write_out()

    def view(self) -> Bytes:
        """All of them, as they are now, which can still be looked at when this is closed."""
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
            assert self._new_file is not None
            self._file = self._new_file()
        self._file.write(self._rest)
        self._file.flush()
        self._written += len(self._rest)
        self._rest.clear()


def temporary_file() -> BinaryIO:
    """A file without a name, where the system keeps such files."""
    import tempfile

    return tempfile.TemporaryFile()


def mapped(file: BinaryIO) -> Bytes:
    """What an open file holds, which takes no memory of the process."""
    from mmap import ACCESS_READ, mmap

    return mmap(file.fileno(), 0, access=ACCESS_READ)
