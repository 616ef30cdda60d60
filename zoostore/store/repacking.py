"""Repacking: objects out of packs, written to a new one."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import NamedTuple

from zoostore.digest import Oid
from zoostore.files.staging import Staging, publish
from zoostore.store.layout import Layout
from zoostore.store.packs import PackWriter, Rows
from zoostore.store.records import ObjectKind, PackRecord


class NewPack(NamedTuple):
    """A pack that was just written: what the index has to know of it."""

    record: PackRecord
    rows: Rows


def write_pack(
    layout: Layout,
    staging: Staging,
    objects: Iterable[tuple[Oid, ObjectKind, bytes]],
    most_bytes: int = sys.maxsize,
) -> NewPack | None:
    """Write one pack and give it its name; the folder of packs is still to be flushed.

    Args:
        objects: are taken until the pack is large enough; the rest is left. What comes twice, out
            of two packs, is packed once.
        most_bytes: how large that is.

    Returns:
        None if there were no objects.
    """
    with staging.new_file() as (file, staged):
        writer = PackWriter(file)
        packed: set[Oid] = set()
        for oid, kind, data in objects:
            if oid not in packed:
                packed.add(oid)
                writer.add(oid, kind, data)
            if writer.size >= most_bytes:
                break
        if not len(writer):
            staged.unlink()
            return None
        name, rows = writer.finish()
        status = publish(file, staged, layout.pack(name))
    return NewPack(PackRecord.of(name, status), rows)
