"""Extents: where on the disk the bytes of a file are, to tell what is there once from a copy."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_FIEMAP = 0xC020660B
"""ioctl request of Linux's linux/fs.h; the structures and flags are those of linux/fiemap.h."""

_HEAD = struct.Struct("=QQIIII")
_EXTENT = struct.Struct("=QQQ16xI12x")
_AT_ONCE = 256
_TO_THE_END = (1 << 64) - 1

_SYNC = 0x1
"""Write first what has no place on the disk yet."""

_LAST = 0x1
_HAS_NO_PLACE = 0x2 | 0x4 | 0x200
"""The place is unknown, or not chosen yet, or the bytes stand among the file's metadata."""


_UNWRITTEN = 0x800
"""Kept free for the file, and read as zeros."""


class _Extent(NamedTuple):
    """A run of bytes: where in the file it begins, where on the disk, and how long it is."""

    logical: int
    physical: int
    length: int

    def ends_before(self, other: _Extent) -> bool:
        """Whether the other begins where this one ends, in the file and on the disk."""
        ends = (self.logical + self.length, self.physical + self.length)
        return ends == (other.logical, other.physical)


def share_blocks(first: Path, second: Path) -> bool:
    """Whether all bytes of two files are at the same places of the same disk.

    False where the file system does not tell.
    """
    if first.stat().st_dev != second.stat().st_dev:
        return False
    try:
        extents = _joined(_extents(first))
        return bool(extents) and extents == _joined(_extents(second))
    except OSError:
        return False


def _joined(extents: Iterable[_Extent]) -> list[_Extent]:
    """The extents, joined where one goes on from another: how they are cut says nothing."""
    joined: list[_Extent] = []
    for extent in extents:
        before = joined[-1] if joined else None
        if before is not None and before.ends_before(extent):
            joined[-1] = before._replace(length=before.length + extent.length)
        else:
            joined.append(extent)
    return joined


def _extents(path: Path) -> Iterator[_Extent]:
    """The extents of a file in their order.

    Raises:
        OSError: the file system does not tell, or bytes have no place of their own.
    """
    if sys.platform != "linux":
        raise OSError("no extents on this system")
    import fcntl

    start = 0
    with open(path, "rb") as file:
        while True:
            answer = bytearray(_HEAD.size + _AT_ONCE * _EXTENT.size)
            _HEAD.pack_into(answer, 0, start, _TO_THE_END - start, _SYNC, 0, _AT_ONCE, 0)
            fcntl.ioctl(file.fileno(), _FIEMAP, answer)
            count = _HEAD.unpack_from(answer)[3]
            for number in range(count):
                *place, flags = _EXTENT.unpack_from(answer, _HEAD.size + number * _EXTENT.size)
                if flags & _HAS_NO_PLACE:
                    raise OSError("bytes without a place of their own")
                extent = _Extent(*place)
                if not flags & _UNWRITTEN:
                    yield extent
                if flags & _LAST:
                    return
                start = extent.logical + extent.length
            if count == 0:
                return
