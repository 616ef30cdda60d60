"""What objects stand on the disk, in which form, whatever the index believes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from zoostore.digest import Oid
from zoostore.store.derive import loose_files, pack_files, read_rows
from zoostore.store.layout import Layout
from zoostore.store.packs import PackReader
from zoostore.store.records import ObjectKind
from zoostore.store.sweeping import PackToSweep


class Standing(NamedTuple):
    """An object on the disk.

    Attributes:
        size: in bytes.
        changed: when its file last changed, in seconds since 1970-01-01 UTC. (The time of its
            status, which nobody can set: a file that was adopted has its owner's time.)
    """

    size: int
    changed: float


@dataclass
class OnDisk:
    """All objects but tables of aliases, which are about objects and none that a model needs.

    Attributes:
        objects: each that stands somewhere, once.
        loose: those that have a file of their own.
        packs: all packs, with their rows; nothing in them is dead yet.
    """

    objects: dict[Oid, Standing] = field(default_factory=dict)
    loose: list[Oid] = field(default_factory=list)
    packs: list[PackToSweep] = field(default_factory=list)

    def loose_among(self, dead: set[Oid]) -> list[Oid]:
        return [oid for oid in self.loose if oid in dead]

    def packs_with(self, dead: set[Oid]) -> Iterator[PackToSweep]:
        """The packs that hold something dead."""
        for pack in self.packs:
            found = frozenset(row.oid for row in pack.rows if row.oid in dead)
            if found:
                yield PackToSweep(pack.name, pack.path, pack.rows, found)


def on_disk(layout: Layout) -> OnDisk:
    """Look at every folder and every pack's table.

    Raises:
        NewerFormat: a pack holds what only a later release knows.
    """
    found = OnDisk()
    for oid, entry in loose_files(layout):
        status = entry.stat(follow_symlinks=False)
        found.loose.append(oid)
        found.objects[oid] = Standing(status.st_size, status.st_ctime)
    for name, path in pack_files(layout):
        with PackReader(path) as pack:
            changed = os.fstat(pack.fileno()).st_ctime
            rows = tuple(read_rows(pack))
        found.packs.append(PackToSweep(name, path, rows, frozenset()))
        for row in rows:
            if row.kind is not ObjectKind.ALIASES:
                found.objects.setdefault(row.oid, Standing(row.stored, changed))
    return found
