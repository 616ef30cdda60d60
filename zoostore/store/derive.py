"""Deriving the index: everything LMDB holds, read again from the disk."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from zoostore.digest import OID_HEX, Oid
from zoostore.errors import DamagedContent, UsageError
from zoostore.objects.aliases import Aliases, decode_aliases
from zoostore.store.index import Writer
from zoostore.store.layout import Layout
from zoostore.store.lost_names import keep_lost_names, known_names
from zoostore.store.packs import PackReader, check_object, read_rows
from zoostore.store.records import Location, ObjectKind, PackedRow, PackRecord
from zoostore.store.reflog import Reflog
from zoostore.store.refs import catch_up

_PACK_SUFFIX = ".zpack"


def rebuild(
    index: Writer, layout: Layout, reflog: Reflog, *, keeps_lost_names: bool = True
) -> None:
    """Fill an index from nothing.

    Nothing is hashed here: what is indexed carries no stamp, and so is verified when
    it is first used. What the index knew of names and the reflog does not say is kept.

    Args:
        keeps_lost_names: whether it is; where nothing may be written to the store, it cannot.
    """
    known = known_names(index)
    index.clear()
    index.mark_swept()
    index_disk(index, layout)
    catch_up(index, reflog)
    if keeps_lost_names:
        keep_lost_names(index, layout, known)


def index_disk(index: Writer, layout: Layout) -> None:
    """Index what is on the disk, and the index has not seen: loose objects, and packs."""
    _index_loose(index, layout)
    index_packs(index, layout)


def _index_loose(index: Writer, layout: Layout) -> None:
    index.set_locations(
        (oid, location) for oid, location in _loose_locations(layout) if index.location(oid) is None
    )


def index_packs(index: Writer, layout: Layout) -> None:
    """Index the packs that the index has not seen, the newest last, so that it wins.

    A pack that is newer may hold a good copy of what is damaged in an older one.
    """
    known = index.indexed_packs()
    found = [(path.stat().st_mtime_ns, name, path) for name, path in pack_files(layout)]
    for _, name, path in sorted(found):
        if name in known:
            continue
        with PackReader(path) as pack:
            rows = read_rows(pack)
            index.index_pack(PackRecord(name, 0, 0, 0), rows.raw())
            for aliases in aliases_in(pack, rows.raw()):
                index.set_aliases(aliases.known)


def aliases_in(pack: PackReader, rows: Iterable[PackedRow]) -> Iterator[Aliases]:
    """The aliases that a pack holds; those that are damaged are passed over, to be found anew."""
    for oid, kind, _, offset, stored, _ in rows:
        if kind == ObjectKind.ALIASES:
            data = pack.read(offset, stored)
            with contextlib.suppress(DamagedContent):
                check_object(Oid(oid), ObjectKind.ALIASES, data, str(pack.path))
                yield decode_aliases(data)


def pack_files(layout: Layout) -> Iterator[tuple[Oid, Path]]:
    """The packs on disk, by name."""
    for entry in _listed(layout.packs):
        stem = entry.name.removesuffix(_PACK_SUFFIX)
        if stem != entry.name and len(stem) == OID_HEX:
            try:
                yield Oid.parse(stem), Path(entry.path)
            except UsageError:
                continue


def open_packs(layout: Layout) -> Iterator[tuple[Oid, PackReader]]:
    """The packs on disk, each open while it is looked at; one that has just gone is passed over."""
    for name, path in pack_files(layout):
        try:
            pack = PackReader(path)
        except FileNotFoundError:  # gc has packed anew what was in it
            continue
        with pack:
            yield name, pack


def loose_files(layout: Layout) -> Iterator[tuple[Oid, os.DirEntry[str]]]:
    """The loose objects on disk, by oid, in order."""
    for folder in sorted(_listed(layout.objects), key=lambda entry: entry.name):
        for entry in sorted(_listed(Path(folder.path)), key=lambda entry: entry.name):
            try:
                yield Oid.parse(folder.name + entry.name), entry
            except UsageError:
                continue


def _loose_locations(layout: Layout) -> Iterator[tuple[Oid, Location]]:
    for oid, entry in loose_files(layout):
        status = entry.stat(follow_symlinks=False)
        yield oid, Location.loose(status)._replace(mtime_ns=0, inode=0)


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
