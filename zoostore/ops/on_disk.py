"""What objects stand on the disk, in which form, whatever the index believes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from zoostore.digest import Oid
from zoostore.store.derive import loose_files, pack_files
from zoostore.store.layout import Layout
from zoostore.store.objectstore import ObjectStore
from zoostore.store.packs import PackReader, read_raw_rows, read_rows
from zoostore.store.records import ObjectKind, PackedRow
from zoostore.store.sweeping import PackToSweep, sweep_packs

_TRIES = 10
_INNER = (int(ObjectKind.TREE), int(ObjectKind.SNAPSHOT))


class _Pack(NamedTuple):
    name: Oid
    path: Path
    changed: float


@dataclass
class OnDisk:
    """All objects but tables of aliases, which are about objects and none that a model needs.

    Attributes:
        sizes: of each object that stands somewhere, in bytes.
        snapshots: how many of them are snapshots.
        inner: the rows of the trees and the snapshots in each pack.
    """

    sizes: dict[bytes, int] = field(default_factory=dict)
    snapshots: int = 0
    inner: list[tuple[Path, list[PackedRow]]] = field(default_factory=list)
    _loose: dict[bytes, float] = field(default_factory=dict)
    _packs: list[_Pack] = field(default_factory=list)

    def changed(self, oids: Collection[bytes]) -> dict[bytes, float]:
        """When the files of some objects last changed, in seconds since 1970-01-01 UTC.

        The time of a file's status is taken, which nobody can set: a file that was adopted has
        its owner's time.
        """
        found: dict[bytes, float] = {}
        for pack, reader in self._opened():
            found |= {row[0]: pack.changed for row in read_raw_rows(reader) if row[0] in oids}
        found |= {oid: when for oid, when in self._loose.items() if oid in oids}
        return found

    def _opened(self) -> Iterator[tuple[_Pack, PackReader]]:
        """The packs; one that somebody has replaced meanwhile is passed over."""
        for pack in self._packs:
            with contextlib.suppress(FileNotFoundError), PackReader(pack.path) as reader:
                yield pack, reader

    def loose_among(self, dead: Collection[bytes]) -> list[Oid]:
        """Those that have a file of their own."""
        return [Oid(oid) for oid in self._loose if oid in dead]

    def packs_with(self, dead: Collection[bytes]) -> Iterator[PackToSweep]:
        """The packs that hold some of them."""
        for pack, reader in self._opened():
            rows = read_rows(reader)
            found = frozenset(row.oid for row in rows if row.oid in dead)
            if found:
                yield PackToSweep(pack.name, pack.path, rows, found)


def on_disk(layout: Layout) -> OnDisk:
    """Look at every folder and every pack's table.

    Raises:
        NewerFormat: a pack holds what only a later release knows.
    """
    for _ in range(_TRIES):
        with contextlib.suppress(FileNotFoundError):  # a pack was replaced while it was listed
            return _look(layout)
    return _look(layout)


def _look(layout: Layout) -> OnDisk:
    found = OnDisk()
    for name, path in pack_files(layout):
        with PackReader(path) as pack:
            found._packs.append(_Pack(name, path, os.fstat(pack.fileno()).st_ctime))
            rows = read_raw_rows(pack)
        found.sizes |= {row[0]: row[4] for row in rows if row[1] != ObjectKind.ALIASES}
        inner = [row for row in rows if row[1] in _INNER]
        found.snapshots += sum(row[1] == ObjectKind.SNAPSHOT for row in inner)
        found.inner.append((path, inner))
    for oid, entry in loose_files(layout):
        with contextlib.suppress(FileNotFoundError):
            status = entry.stat(follow_symlinks=False)
            found._loose[oid] = status.st_ctime
            found.sizes[oid] = status.st_size
    return found


def take_out_of_packs(store: ObjectStore, disk: OnDisk, dead: Collection[bytes]) -> None:
    """Take objects out of packs of which it is known that nobody comes to need them.

    Raises what `sweep_packs` raises.
    """
    sweep_packs(store.names, list(disk.packs_with(dead)), lambda: ())
    store.forget_packs()
