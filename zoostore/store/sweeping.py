"""Sweeping: objects that nobody needs leave the store, while others may be writing to it.

The index forgets them first, all at once and durably, and their files go afterwards, a few at a
time. Both happen in transactions of the index, of which there is one at a time. Whoever looks for
an object in between finds it on the disk, and so in the index again: then its file stays. Whoever
found it before, and then points a name to it, sees that the sweep mark is another, and looks again
(`require_kept`). No lock is held while bytes move.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoostore.digest import Oid
from zoostore.errors import SweptAway
from zoostore.files.staging import Staging, fsync_directory
from zoostore.objects.aliases import Aliases, aliases_oid, decode_aliases, encode_aliases
from zoostore.store.index import Writer
from zoostore.store.layout import Layout
from zoostore.store.names import Names
from zoostore.store.packs import PackReader, Rows, check_object
from zoostore.store.records import Location, ObjectKind, Packed
from zoostore.store.repacking import NewPack, write_pack

Revived = Callable[[], Collection[bytes]]
"""What a name leads to by now, that none led to when it was said that it can go."""

_FILES_AT_A_TIME = 256
_PACK_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class PackToSweep:
    """A pack that holds what can go.

    Attributes:
        name, path: of the pack.
        rows: all that is in it.
        dead: the objects in it that can go.
    """

    name: Oid
    path: Path
    rows: Rows
    dead: frozenset[Oid]

    @property
    def kept(self) -> list[Packed]:
        """What is in it and stays, in the order in which it stands there."""
        return [row for row in self.rows.in_place() if row.oid not in self.dead]


def require_kept(index: Writer, layout: Layout, oids: Iterable[Oid]) -> None:
    """See that objects which were found earlier are still here.

    Raises:
        SweptAway: one of them is not.
    """
    packs = index.packs()
    for oid in oids:
        location = index.location(oid)
        is_loose = location is None or location.is_loose
        if layout.has_loose(oid) if is_loose else location and location.pack in packs:
            continue
        raise SweptAway(
            f"The object {oid} was removed from {layout.root} by another process, while it was "
            "needed here; nothing was recorded.",
            oid=str(oid),
        )


def sweep_loose(names: Names, oids: Sequence[Oid], revived: Revived) -> set[Oid]:
    """Remove loose objects; those that are gone."""
    _forget_loose(names, oids, revived)
    gone: set[Oid] = set()
    for start in range(0, len(oids), _FILES_AT_A_TIME):
        gone |= _unlink_loose(names, oids[start : start + _FILES_AT_A_TIME], revived)
    return gone


def _forget_loose(names: Names, oids: Sequence[Oid], revived: Revived) -> None:
    def forget(index: Writer) -> None:
        dead = set(oids).difference(revived())
        for oid in dead:
            location = index.location(oid)
            if location is not None and location.is_loose:
                index.forget_object(oid)
        index.forget_aliases(dead)
        index.mark_swept()

    if oids:
        names.update(forget)
        names.make_index_durable()


def _unlink_loose(names: Names, oids: Iterable[Oid], revived: Revived) -> set[Oid]:
    def unlink(index: Writer) -> set[Oid]:
        gone = set()
        for oid in set(oids).difference(revived()):
            location = index.location(oid)
            if location is None or not location.is_loose:  # and otherwise somebody has found it
                names.layout.loose(oid).unlink(missing_ok=True)
                gone.add(oid)
        index.mark_swept()
        return gone

    return names.update(unlink)


def sweep_packs(names: Names, packs: Sequence[PackToSweep], revived: Revived) -> set[Oid]:
    """Take what can go out of packs: what stays in them is packed anew; the objects gone.

    Raises:
        DamagedContent: what stays is damaged; no pack was changed.
    """
    packed = _pack_anew(names.layout, packs)
    swept: list[PackToSweep] = []

    def retire(index: Writer) -> None:
        back = revived()
        swept[:] = [pack for pack in packs if pack.dead.isdisjoint(back)]
        new: dict[Oid, Location] = {}
        for record, rows in packed:
            number = index.add_pack(record)
            new |= {row.oid: Location.packed(number, row) for row in rows}
        for pack in swept:
            _retire(index, pack, new)
        tables = [row for _, rows in packed for row in rows if row.kind is ObjectKind.ALIASES]
        index.set_locations((row.oid, new[row.oid]) for row in tables)
        index.forget_aliases(set().union(*(pack.dead for pack in swept)))
        index.mark_swept()

    def remove(index: Writer) -> None:
        retire(index)  # another process may have seen the file in between, and indexed it again
        for pack in swept:
            pack.path.unlink(missing_ok=True)

    if packs:
        names.update(retire)
        names.make_index_durable()
        names.update(remove)
    return set().union(*(pack.dead for pack in swept))


def _retire(index: Writer, pack: PackToSweep, new: dict[Oid, Location]) -> None:
    """Point the index to the new places of what stays, and forget the rest and the pack."""
    number = index.pack_number(pack.name)
    if number is None:
        return
    for row in pack.rows:
        location = index.location(row.oid)
        if location is None or location.pack != number:
            continue
        if row.oid in new:
            index.set_locations([(row.oid, new[row.oid])])
        else:
            index.forget_object(row.oid)
    index.forget_pack_record(number)


def _pack_anew(layout: Layout, packs: Sequence[PackToSweep]) -> list[NewPack]:
    """New packs with what stays in others, durable and under their names."""
    staging = Staging(layout.tmp)
    made = []
    try:
        left = _what_stays(packs)
        while (new := write_pack(layout, staging, left, _PACK_BYTES)) is not None:
            made.append(new)
        if made:
            fsync_directory(layout.packs)
        return made
    finally:
        staging.close()


def _what_stays(packs: Sequence[PackToSweep]) -> Iterator[tuple[Oid, ObjectKind, bytes]]:
    """The objects of packs that stay, and of their tables of aliases what is about those."""
    dead = frozenset[Oid]().union(*(pack.dead for pack in packs))
    for pack in packs:
        with PackReader(pack.path) as reader:
            for row in pack.kept:
                data = reader.read(row.offset, row.stored)
                check_object(row.oid, row.kind, data, str(pack.path))
                if row.kind is not ObjectKind.ALIASES:
                    yield row.oid, row.kind, data
                elif (table := _without(data, dead)) is not None:
                    yield aliases_oid(table), row.kind, table


def _without(table: bytes, dead: frozenset[Oid]) -> bytes | None:
    """A table of aliases without those of some contents; None if none are left."""
    aliases = decode_aliases(table)
    known = frozenset(item for item in aliases.known if item[0] not in dead)
    if known == aliases.known:
        return table
    return encode_aliases(Aliases(aliases.origin, known)) if known else None
