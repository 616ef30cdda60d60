"""Sweeping: objects that nobody needs leave the store, while others may be writing to it.

The index forgets them first, durably, and their files go afterwards, a few at a time. Both happen
in transactions of the index, of which there is one at a time, and in each it is asked anew what is
needed by now. Whoever looks for an object in between finds it on the disk, and so in the index
again: then its file stays. Whoever found it before, and then points a name to it, sees that the
sweep mark is another, and looks again (`require_kept`). No lock is held while bytes move.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from zoostore.digest import Oid
from zoostore.errors import DamagedContent, SweptAway
from zoostore.files.staging import Staging, fsync_directory
from zoostore.groups import batched, grouped
from zoostore.objects.aliases import Aliases, aliases_oid, decode_aliases, encode_aliases
from zoostore.store.index import Writer
from zoostore.store.layout import Layout
from zoostore.store.names import Names
from zoostore.store.packs import PackReader, Rows, check_object
from zoostore.store.records import Location, ObjectKind, Packed
from zoostore.store.repacking import NewPack, write_pack

Revived = Callable[[], Container[bytes]]
"""What a name leads to by now, that none led to when it was said that it can go."""

Tell = Callable[[Iterable[bytes]], object]
"""Is told of objects that are gone."""

_FILES_AT_A_TIME = 256
_TOGETHER = 2048
"""Objects whose places change in one transaction, which is in memory as a whole."""

_PACK_BYTES = 256 << 20
_PACKS_TOGETHER, _ROWS_TOGETHER = 1024, 1 << 15
"""So many packs are swept together at most, until there are so many objects in them."""

_TRIES = 5


@dataclass(frozen=True, slots=True)
class PackToSweep:
    """A pack that holds what can go.

    Attributes:
        name, path: of the pack.
        rows: all that is in it.
        dead: the objects that can go; others than those in the pack may be among them.
        leaving: those that are in the pack.
    """

    name: Oid
    path: Path
    rows: Rows
    dead: Container[bytes]
    leaving: Sequence[Oid]

    def kept(self) -> Iterator[Packed]:
        """What is in it and stays, in the order in which it stands there."""
        return (row for row in self.rows.in_place() if row.oid not in self.dead)


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


def _tell_nobody(_: Iterable[bytes]) -> None:
    pass


def sweep_loose(
    names: Names, oids: Iterable[Oid], revived: Revived, tell: Tell = _tell_nobody
) -> None:
    """Remove loose objects, some at a time."""
    for some in batched(oids, _TOGETHER):
        _forget_loose(names, some, revived)
        for few in batched(some, _FILES_AT_A_TIME):
            tell(_unlink_loose(names, few, revived))


def _forget_loose(names: Names, oids: Sequence[Oid], revived: Revived) -> None:
    def forget(index: Writer) -> None:
        dead = _without_those_back(oids, revived)
        for oid in dead:
            location = index.location(oid)
            if location is not None and location.is_loose:
                index.forget_object(oid)
        index.forget_aliases(dead)
        index.mark_swept()

    names.update(forget)
    names.make_index_durable()


def _unlink_loose(names: Names, oids: Iterable[Oid], revived: Revived) -> set[Oid]:
    def unlink(index: Writer) -> set[Oid]:
        gone = set()
        for oid in _without_those_back(oids, revived):
            location = index.location(oid)
            if location is None or not location.is_loose:  # and otherwise somebody has found it
                names.layout.loose(oid).unlink(missing_ok=True)
                gone.add(oid)
        index.mark_swept()
        return gone

    return names.update(unlink)


def _without_those_back(oids: Iterable[Oid], revived: Revived) -> set[Oid]:
    back = revived()
    return {oid for oid in oids if oid not in back}


def sweep_packs(
    names: Names, packs: Iterable[PackToSweep], revived: Revived, tell: Tell = _tell_nobody
) -> None:
    """Take what can go out of packs, some packs at a time: what stays in them is packed anew.

    Raises:
        DamagedContent: what stays is damaged in some. They were left as they are.
    """
    damage: DamagedContent | None = None
    for some in grouped(packs, _rows_in, most=_PACKS_TOGETHER, most_size=_ROWS_TOGETHER):
        try:
            made = _pack_anew(names.layout, some)
        except DamagedContent as error:
            damage = damage or error
            continue
        _Sweep(names, made, revived).take_away(some, tell)
    if damage is not None:
        raise damage


def _rows_in(pack: PackToSweep) -> int:
    return len(pack.rows)


class _Sweep:
    """Replaces packs by others that hold what stays of them.

    Every transaction leaves an index that can be worked with. What stays is found in the new packs
    before anything is forgotten, and a pack goes when the index knows of nothing that is in it.

    Args:
        made: the new packs, durable, with all that stays.
    """

    def __init__(self, names: Names, made: Sequence[NewPack], revived: Revived) -> None:
        self._names = names
        self._made = made
        self._revived = revived

    def take_away(self, packs: Sequence[PackToSweep], tell: Tell) -> None:
        """Remove packs, but for those that hold what is needed again."""
        left = packs
        for _ in range(_TRIES):
            self._relocate(left)
            needed = self._forget(left)
            left = [pack for pack in left if pack.name not in needed]
            gone = self._remove(self._retire(left))
            for pack in gone:
                tell(pack.leaving)
            left = [pack for pack in left if pack not in gone]
            if not left:
                return
            # Another process has seen a file in between, and indexed it again.

    def _relocate(self, packs: Sequence[PackToSweep]) -> None:
        """Have the index find in the new packs what it finds in these."""
        self._names.update(self._begin_new)
        for new in self._made:
            for some in batched(new.rows, _TOGETHER):
                self._names.update(partial(_move, packs=packs, new=new, rows=some))
        self._names.update(self._end_new)

    def _begin_new(self, index: Writer) -> None:
        for new in self._made:
            index.begin_pack(new.record)

    def _end_new(self, index: Writer) -> None:
        for new in self._made:
            index.end_pack(new.record.name)

    def _forget(self, packs: Sequence[PackToSweep]) -> set[Oid]:
        """Have the index forget what can go; the names of packs with what is needed again."""

        def forget(index: Writer, some: Sequence[tuple[Oid, Oid]]) -> set[Oid]:
            dead = _without_those_back((oid for _, oid in some), self._revived)
            for name, oid in some:
                if oid in dead and _is_in(index.location(oid), {index.pack_number(name)}):
                    index.forget_object(oid)
            index.forget_aliases(dead)
            index.mark_swept()
            return {name for name, oid in some if oid not in dead}

        needed: set[Oid] = set()
        leaving = ((pack.name, oid) for pack in packs for oid in _superseded(pack))
        for some in batched(leaving, _TOGETHER):
            needed |= self._names.update(partial(forget, some=some))
        return needed

    def _retire(self, packs: Sequence[PackToSweep]) -> list[PackToSweep]:
        """Have the index forget packs of which it knows nothing more; these packs."""

        def retire(index: Writer) -> list[PackToSweep]:
            retired = []
            for pack in packs:
                number = index.pack_number(pack.name)
                places = (index.location(Oid(oid)) for oid, *_ in pack.rows.raw())
                if number is None or not any(_is_in(place, {number}) for place in places):
                    retired.append(pack)
                    if number is not None:
                        index.forget_pack_record(number)
            index.mark_swept()
            return retired

        retired = self._names.update(retire)
        self._names.make_index_durable()
        return retired

    def _remove(self, packs: Sequence[PackToSweep]) -> list[PackToSweep]:
        """Remove the files of packs that the index does not know; these packs."""

        def remove(index: Writer) -> list[PackToSweep]:
            unknown = [pack for pack in packs if index.pack_number(pack.name) is None]
            for pack in unknown:
                pack.path.unlink(missing_ok=True)
            index.mark_swept()
            return unknown

        return self._names.update(remove)


def _move(
    index: Writer, packs: Sequence[PackToSweep], new: NewPack, rows: Sequence[Packed]
) -> None:
    """Have the index find some objects in a new pack that it finds in others."""
    number = index.pack_number(new.record.name)
    old = {index.pack_number(pack.name) for pack in packs}
    if number is None:
        return
    for row in rows:
        if row.kind is ObjectKind.ALIASES or _is_in(index.location(row.oid), old):
            index.set_locations([(row.oid, Location.packed(number, row))])


def _superseded(pack: PackToSweep) -> Iterator[Oid]:
    """What the index need not know to be in a pack any more.

    Tables of aliases stay, or there are others in their stead: they are in the new packs.
    """
    yield from pack.leaving
    yield from (row.oid for row in pack.rows if row.kind is ObjectKind.ALIASES)


def _is_in(location: Location | None, packs: Container[int | None]) -> bool:
    return location is not None and not location.is_loose and location.pack in packs


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
    for pack in packs:
        with PackReader(pack.path) as reader:
            for row in pack.kept():
                data = reader.read(row.offset, row.stored)
                check_object(row.oid, row.kind, data, str(pack.path))
                if row.kind is not ObjectKind.ALIASES:
                    yield row.oid, row.kind, data
                elif (table := _without(data, pack.dead)) is not None:
                    yield aliases_oid(table), row.kind, table


def _without(table: bytes, dead: Container[bytes]) -> bytes | None:
    """A table of aliases without those of some contents; None if none are left."""
    aliases = decode_aliases(table)
    known = frozenset(item for item in aliases.known if item[0] not in dead)
    if known == aliases.known:
        return table
    return encode_aliases(Aliases(aliases.origin, known)) if known else None
