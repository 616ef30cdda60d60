"""Stat stamps: cheap evidence that a file still holds what was read from it."""

import os
from typing import NamedTuple, Self, TypeAlias

BareStamp: TypeAlias = tuple[int, int, int, int]
"""What a `Stamp` holds, as a plain tuple: to make, and to send, very many named ones takes long."""


class Stamp(NamedTuple):
    """What a file's inode said when its content was known.

    The time of the last status change is left out where a file is hard-linked to
    an object: every further link to the object changes it.
    """

    size: int
    mtime_ns: int
    inode: int
    ctime_ns: int = 0

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        return cls(*bare_stamp(status))

    def without_ctime(self) -> Self:
        return self._replace(ctime_ns=0)

    def bare(self) -> BareStamp:
        return self[:]

    @property
    def newest_ns(self) -> int:
        """The last moment at which this stamp says that the file changed."""
        return max(self.mtime_ns, self.ctime_ns)


def bare_stamp(status: os.stat_result) -> BareStamp:
    """What `Stamp.of` says."""
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns
