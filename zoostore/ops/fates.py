"""Fates: why objects of the store go, or not yet."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import NamedTuple

from zoostore.digest import Oid
from zoostore.ops.on_disk import OnDisk

REMOVED = "removed"
MOVED = "moved on"
UNFINISHED = "unfinished"
IN_WORK = "in work"


class Why(NamedTuple):
    """Why objects can go, or cannot yet.

    Attributes:
        reason: `removed`: the name was taken away; `moved on`: the name leads elsewhere;
            `unfinished`: a command that did not end left them; `in work`: a process is at work
            that may need them.
        stub: the name that led to them; empty if none did.
        snapshot: the snapshot that needs them; None if none does.
        since: when it ceased to be kept, in seconds since 1970-01-01 UTC; 0 if nobody knows.
    """

    reason: str
    stub: str = ""
    snapshot: Oid | None = None
    since: int = 0


class Garbage(NamedTuple):
    """Objects that share a fate; `bytes` is what they take."""

    why: Why
    objects: int
    bytes: int


class Fates:
    """Why some of the objects on the disk go, or not yet; by number."""

    def __init__(self, disk: OnDisk) -> None:
        self._disk = disk
        self._whys: dict[Why, int] = {}
        self._fates = array("I", bytes(4 * len(disk.sizes)))

    def set(self, number: int, why: Why) -> None:
        self._fates[number] = self._whys.setdefault(why, len(self._whys) + 1)

    def forget(self, number: int) -> None:
        self._fates[number] = 0

    def __contains__(self, oid: object) -> bool:
        assert isinstance(oid, bytes)
        number = self._disk.numbering.find(oid)
        return number is not None and self._fates[number] > 0

    def __iter__(self) -> Iterator[int]:
        return (number for number, fate in enumerate(self._fates) if fate)

    def tally(self) -> tuple[Garbage, ...]:
        """How many objects share each fate, and what they take."""
        counts = [[0, 0] for _ in range(len(self._whys) + 1)]
        for number, fate in enumerate(self._fates):
            if fate:
                counts[fate][0] += 1
                counts[fate][1] += self._disk.sizes[number]
        found = (Garbage(why, *counts[fate]) for why, fate in self._whys.items())
        return tuple(garbage for garbage in found if garbage.objects)
