"""Mending: what is damaged is set aside, and what is intact beside it is kept."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from zoostore.digest import Oid
from zoostore.errors import DamagedContent
from zoostore.files.sharing import make_folder
from zoostore.files.staging import Staging, fsync_directory, random_name, replace_durably
from zoostore.store.derive import open_packs
from zoostore.store.index import Writer
from zoostore.store.layout import Layout
from zoostore.store.names import Names
from zoostore.store.packs import PackReader, check_object, read_rows
from zoostore.store.records import ObjectKind, Packed, PackRecord
from zoostore.store.repacking import NewPack, write_pack


def set_aside(layout: Layout, path: Path, name: str) -> Path:
    """Move a damaged file into the quarantine folder; where it is now."""
    make_folder(layout.quarantine)
    aside = layout.quarantine / f"{name}.{random_name(4)}"
    os.replace(path, aside)
    return aside


def write_aside(layout: Layout, name: str, data: bytes) -> None:
    """Keep the content of an object in the quarantine folder."""
    make_folder(layout.quarantine)
    replace_durably(layout.quarantine / f"{name}.{random_name(4)}", data)


def mend_pack(names: Names, number: int) -> None:
    """Set a damaged pack aside, after packing anew what is intact in it.

    What was not intact is found in another pack if one has it, and is missing otherwise.
    """
    record = names.view(lambda index: index.pack(number))
    if record is None:
        return
    layout = names.layout
    path = layout.pack(record.name)
    kept = _pack_anew(layout, path) if path.exists() else None
    if kept is not None and kept.record.name == record.name:
        return  # somebody else has mended it in the meantime
    if path.exists():
        set_aside(layout, path, path.name)

    def replace(index: Writer) -> None:
        lost = index.forget_pack(number)
        if kept is not None:
            lost -= {row.oid for row in kept.rows}
            index.index_pack(kept.record, kept.rows.raw())
        index_copies(index, layout, lost)

    names.update(replace)


def _pack_anew(layout: Layout, path: Path) -> NewPack | None:
    """A new pack with the intact objects of another, in the same order; None if there are none."""
    staging = Staging(layout.tmp)
    try:
        with PackReader(path) as pack:
            new = write_pack(layout, staging, _intact_objects(pack))
        if new is not None:
            fsync_directory(layout.packs)
        return new
    finally:
        staging.close()


def _intact_objects(pack: PackReader) -> Iterator[tuple[Oid, ObjectKind, bytes]]:
    """What can still be read of a pack, in the order in which it stands there."""
    for row in read_rows(pack).in_place():
        data = pack.read(row.offset, row.stored)
        try:
            check_object(row.oid, row.kind, data, str(pack.path))
        except DamagedContent:
            continue
        yield row.oid, row.kind, data


def index_copies(index: Writer, layout: Layout, wanted: Collection[Oid]) -> None:
    """Look for intact copies of objects in every pack there is."""
    for name, pack in open_packs(layout) if wanted else ():
        rows = [row for row in read_rows(pack) if row.oid in wanted and _is_intact(pack, row)]
        if rows:
            record = index.pack_named(name)
            if record is None:  # the rest of it is still to be indexed
                record = PackRecord(name, 0, 0, 0)
                index.begin_pack(record)
            index.index_rows(record, rows)


def read_copy(layout: Layout, oid: Oid) -> bytes | None:
    """An object from the first pack that has an intact copy of it."""
    for _, pack in open_packs(layout):
        for row in read_rows(pack):
            if row.oid == oid and _is_intact(pack, row):
                return pack.read(row.offset, row.stored)
    return None


def _is_intact(pack: PackReader, row: Packed) -> bool:
    try:
        check_object(row.oid, row.kind, pack.read(row.offset, row.stored), str(pack.path))
    except DamagedContent:
        return False
    return True
