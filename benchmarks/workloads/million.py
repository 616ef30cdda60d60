"""store-1M: a store with 1,000,000 objects and 100,000 snapshots of 1,000 models.

It is written with the store's own layer, pack by pack as a store grows, and without waiting
for the disk: a million objects take a minute. All of it follows from seeds.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from zoostore.digest import Oid, hash_bytes
from zoostore.objects.snapshot import Snapshot, encode_snapshot, snapshot_oid
from zoostore.objects.tree import Entry, Kind, encode_tree, tree_oid
from zoostore.store.index import Writer
from zoostore.store.layout import Layout
from zoostore.store.names import Names
from zoostore.store.packs import PackWriter
from zoostore.store.records import Location, ObjectKind, Packed, PackRecord, RefChange
from zoostore.store.reflog import encode_change
from zoostore.store.refs import catch_up

MODELS = 1_000
_SNAPSHOTS_OF_A_MODEL = 100
_FILES_OF_A_SNAPSHOT = 8
_MODELS_IN_A_PACK = 10
_BLOB_BYTES = 64
_LOOSE_BYTES = 1 << 16
_TIME = 1_700_000_000


class _Group(NamedTuple):
    """The models of one pack, as they are indexed."""

    pack: PackRecord
    rows: list[Packed]
    loose: list[tuple[Oid, Location]]


def write_store(root: Path, scale: float) -> list[Oid]:
    """Make the store in a folder; every hundredth of its objects, in no order."""
    layout = Layout(root)
    layout.create()
    names = Names(layout)
    sample: list[Oid] = []
    models = max(1, int(scale * MODELS))
    for first in range(0, models, _MODELS_IN_A_PACK):
        group = _write_group(layout, range(first, min(models, first + _MODELS_IN_A_PACK)))
        names.update(lambda index, group=group: _index(index, group))  # type: ignore[misc]
        sample += [row.oid for row in group.rows[::100]]
    names.update(lambda index: catch_up(index, names.reflog))
    random.Random("sample").shuffle(sample)
    return sample


def _index(index: Writer, group: _Group) -> None:
    number = index.add_pack(group.pack)
    index.set_locations((row.oid, Location.packed(number, row)) for row in group.rows)
    index.set_locations(group.loose)


def _write_group(layout: Layout, numbers: range) -> _Group:
    staged = layout.tmp / "pack"
    loose, lines = [], []
    with open(staged, "wb", buffering=1 << 20) as file:
        pack = PackWriter(file)
        for number in numbers:
            source = random.Random(f"model {number}")
            weights = source.randbytes(_LOOSE_BYTES)
            loose.append(_write_loose(layout, weights))
            lines.append(encode_change(_write_model(pack, number, source, loose[-1][0])))
        name, rows = pack.finish()
    os.replace(staged, layout.pack(name))
    with open(layout.reflog, "ab") as reflog:
        reflog.writelines(lines)
    return _Group(PackRecord.of(name, layout.pack(name).stat()), rows, sorted(loose))


def _write_loose(layout: Layout, data: bytes) -> tuple[Oid, Location]:
    oid = hash_bytes(data)
    path = layout.loose(oid)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o444)
    return oid, Location.loose(path.stat())


def _write_model(pack: PackWriter, number: int, source: random.Random, weights: Oid) -> RefChange:
    """Write a model's history; the line that makes its ref."""
    stub = f"zoo:model-{number:04}"
    parents: tuple[Oid, ...] = ()
    for version in range(_SNAPSHOTS_OF_A_MODEL):
        # The weights are an object too: with the first snapshot they make it ten.
        files = _FILES_OF_A_SNAPSHOT - (version == 0)
        entries = dict(_write_blobs(pack, source, files))
        entries["weights.bin"] = Entry(Kind.FILE, _LOOSE_BYTES, weights)
        tree = encode_tree(entries)
        root = tree_oid(tree)
        pack.add(root, ObjectKind.TREE, tree)
        size = sum(entry.size for entry in entries.values())
        snapshot = Snapshot(root, len(entries), size, stub, parents, _TIME + version)
        encoded = encode_snapshot(snapshot)
        oid = snapshot_oid(encoded)
        pack.add(oid, ObjectKind.SNAPSHOT, encoded)
        parents = (oid,)
    return RefChange(stub, oid, None, "add", _TIME, snapshot.files, snapshot.size)


def _write_blobs(
    pack: PackWriter, source: random.Random, files: int
) -> Iterator[tuple[str, Entry]]:
    for number in range(files):
        data = source.randbytes(_BLOB_BYTES)
        oid = hash_bytes(data)
        pack.add(oid, ObjectKind.BLOB, data)
        yield f"file{number}.md", Entry(Kind.FILE, _BLOB_BYTES, oid)
