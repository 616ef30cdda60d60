"""Small values that the parts of a store hand to each other."""

import os
from enum import IntEnum
from typing import NamedTuple, Self, TypeAlias

from zoostore.digest import Oid
from zoostore.store.causes import cause_of

LOOSE = 0
"""The pack number of an object that is not in a pack."""


class ObjectKind(IntEnum):
    """What an object is, which says how its oid is computed."""

    BLOB = 1
    TREE = 2
    SNAPSHOT = 3
    ALIASES = 4


class Packed(NamedTuple):
    """Where a pack holds an object; `stored` and `size` are in bytes."""

    oid: Oid
    kind: ObjectKind
    encoding: int
    offset: int
    stored: int
    size: int


PackedRow: TypeAlias = tuple[bytes, int, int, int, int, int]
"""A `Packed` as it stands in a table: oid, kind, encoding, offset, stored, size."""


class Location(NamedTuple):
    """Where an object is.

    Attributes:
        kind: blob, tree or snapshot.
        encoding: of the payload, as in packs.
        pack: the number of its pack; 0 for a loose object.
        offset, stored: where its payload is in the pack, in bytes.
        size: of the object, in bytes.
        mtime_ns, inode: the loose file's stamp when its content was last known; 0 in a pack. With
            an inode of 0 the file is looked at before it is next used.
    """

    kind: ObjectKind
    encoding: int
    pack: int
    offset: int
    stored: int
    size: int
    mtime_ns: int = 0
    inode: int = 0

    @property
    def is_loose(self) -> bool:
        return self.pack == LOOSE

    def is_of(self, status: os.stat_result) -> bool:
        """Whether a loose object's file still has the stamp it had."""
        stamp = (status.st_size, status.st_mtime_ns, status.st_ino)
        return stamp == (self.size, self.mtime_ns, self.inode)

    def cause(self, status: os.stat_result) -> str:
        """Why a loose object's file is damaged, by what it says of itself now."""
        return cause_of(self.size, self.mtime_ns, self.inode, status)

    def distrusted(self) -> Self:
        """The same, to be looked at before it is next used."""
        return self._replace(inode=0)

    @classmethod
    def loose(cls, status: os.stat_result) -> Self:
        """The location of a loose blob whose file has just been verified."""
        size = status.st_size
        stamp = (status.st_mtime_ns, status.st_ino)
        return cls(ObjectKind.BLOB, 0, LOOSE, 0, size, size, *stamp)

    @classmethod
    def packed(cls, number: int, row: Packed) -> Self:
        return cls(row.kind, row.encoding, number, row.offset, row.stored, row.size)


class PackRecord(NamedTuple):
    """A pack the index knows: its name and the stamp of its file when its content was right."""

    name: Oid
    size: int
    mtime_ns: int
    inode: int

    def cause(self, status: os.stat_result) -> str:
        """Why the pack's file is damaged, by what it says of itself now."""
        return cause_of(self.size, self.mtime_ns, self.inode, status)

    def distrusted(self) -> Self:
        """The same, to be looked at before it is next used."""
        return self._replace(inode=0)

    @classmethod
    def of(cls, name: Oid, status: os.stat_result) -> Self:
        return cls(name, status.st_size, status.st_mtime_ns, status.st_ino)


class RefRecord(NamedTuple):
    """What a ref points to, with the snapshot's totals, so that listing reads no objects.

    Attributes:
        is_partial: some of its files were left out on purpose.
        is_pulled: it came from a source, and was not changed here since.
    """

    snapshot: Oid
    files: int
    size: int
    is_partial: bool
    is_pulled: bool


DROP = "drop"
"""The `op` of a change that gives up what nobody has any more."""


class RefChange(NamedTuple):
    """One line of the reflog; the fields are explained there."""

    stub: str
    new: Oid | None
    old: Oid | None
    op: str
    time: int
    files: int = 0
    size: int = 0
    tag: str = ""
    message: str = ""
    partial: bool = False

    @property
    def is_note(self) -> bool:
        """Whether it only says that a snapshot is in part from now on, and moves nothing."""
        return self.op == DROP and not self.tag and self.new is not None and self.new == self.old


class Position(NamedTuple):
    """How far a reader has come: a length in bytes, and the last line's digest there.

    The digest tells a reflog that grew from one that was replaced.
    """

    length: int
    last_line: bytes

    @classmethod
    def start(cls) -> Self:
        return cls(0, b"")
