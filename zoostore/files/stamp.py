"""Stat stamps: cheap evidence that a file still holds what was read from it."""

import os
import struct
from typing import Self

_PACKED = struct.Struct(">QqQq")
STAMP_BYTES = _PACKED.size

_SIZE = struct.Struct(">Q")
_TIMES = struct.Struct(">8xq8xq")


class Stamp(bytes):
    """What a file's inode said when its content was known: four numbers, packed.

        size:u64 mtime_ns:i64 inode:u64 ctime_ns:i64        big-endian

    A tuple of them would take three times the memory, of which a hundred thousand files need
    much. The time of the last status change is 0, and not compared, where a file is hard-linked
    to an object: every further link to the object changes it.
    """

    __slots__ = ()

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        return cls(packed_stamp(status))

    @classmethod
    def made_of(cls, size: int, mtime_ns: int, inode: int, ctime_ns: int = 0) -> Self:
        """The stamp that says so."""
        return cls(_PACKED.pack(size, mtime_ns, inode, ctime_ns))

    @property
    def size(self) -> int:
        size: int = _SIZE.unpack_from(self)[0]
        return size

    @property
    def mtime_ns(self) -> int:
        return int.from_bytes(self[8:16], "big", signed=True)

    @property
    def inode(self) -> int:
        return int.from_bytes(self[16:24], "big")

    @property
    def ctime_ns(self) -> int:
        return int.from_bytes(self[24:], "big", signed=True)

    @property
    def newest_ns(self) -> int:
        """The last moment at which this stamp says that the file changed."""
        newest: int = max(_TIMES.unpack(self))
        return newest

    def without_ctime(self) -> Self:
        return type(self)(self[:24] + bytes(8))

    def __repr__(self) -> str:
        return "Stamp.made_of({}, {}, {}, {})".format(*_PACKED.unpack(self))


def packed_stamp(status: os.stat_result) -> bytes:
    """What `Stamp.of` says, as plain bytes: very many of them are made, and sent, more quickly."""
    numbers = status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns
    try:
        return _PACKED.pack(*numbers)
    except struct.error:
        # Inodes of 128 bits, and times after 2262, of which the last moment is never past.
        size, mtime_ns, inode, ctime_ns = numbers
        low = inode & (1 << 64) - 1
        return _PACKED.pack(size, _clamped(mtime_ns), low, _clamped(ctime_ns))


def _clamped(time_ns: int) -> int:
    return max(-1 << 63, min(time_ns, (1 << 63) - 1))
