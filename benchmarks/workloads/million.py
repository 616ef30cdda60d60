"""store-1M: a store with 1,000,000 objects and 100,000 snapshots of 1,000 models.

It is written with the store's own layer, a model and a pack at a time as a store grows, for so
its index gets the size that it gets in use. Only the index waits for the disk: a million objects
take a minute or two. All of it follows from seeds.
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
_BLOB_BYTES = 64
_LOOSE_BYTES = 1 << 16
_TIME = 1_700_000_000


class _Model(NamedTuple):
    """A model as it is indexed: its pack, and its one loose object."""

    pack: PackRecord
    rows: list[Packed]
    weights: tuple[Oid, Location]


def write_store(root: Path, scale: float) -> list[Oid]:
    """Make the store in a folder; every hundredth of its objects, in no order."""
    layout = Layout(root)
    layout.create()
    names = Names(layout)
    sample: list[Oid] = []
    for number in range(max(1, int(scale * MODELS))):
        model = _write_model(layout, number)
        names.update(lambda index, model=model: _index(index, model))  # type: ignore[misc]
        sample += [row.oid for row in model.rows[::100]]
    names.update(lambda index: catch_up(index, names.reflog))
    random.Random("sample").shuffle(sample)
    return sample


def _index(index: Writer, model: _Model) -> None:
    index.index_pack(model.pack, model.rows)
    index.set_locations([model.weights])


def _write_model(layout: Layout, number: int) -> _Model:
    staged = layout.tmp / "pack"
    source = random.Random(f"model {number}")
    weights = _write_loose(layout, source.randbytes(_LOOSE_BYTES))
    with open(staged, "wb", buffering=1 << 20) as file:
        pack = PackWriter(file)
        change = _write_history(pack, f"zoo:model-{number:04}", source, weights[0])
        name, rows = pack.finish()
    os.replace(staged, layout.pack(name))
    with open(layout.reflog, "ab") as reflog:
        reflog.write(encode_change(change))
    return _Model(PackRecord.of(name, layout.pack(name).stat()), list(rows), weights)


def _write_loose(layout: Layout, data: bytes) -> tuple[Oid, Location]:
    oid = hash_bytes(data)
    path = layout.loose(oid)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o444)
    return oid, Location.loose(path.stat())


def _write_history(pack: PackWriter, stub: str, source: random.Random, weights: Oid) -> RefChange:
    """Write all snapshots of a model; the line that makes its ref."""
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
