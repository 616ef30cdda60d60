"""Zoos made by hand, byte by byte, with anything in them."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import NamedTuple, TypeAlias

from zoostore.digest import Oid, hash_bytes
from zoostore.objects.snapshot import Snapshot, encode_snapshot, snapshot_oid
from zoostore.objects.tree import tree_oid
from zoostore.sources.catalog import (
    Listed,
    Manifest,
    catalog_path,
    encode_catalog,
    encode_manifest,
    pack_path,
)
from zoostore.store.packs import PackWriter
from zoostore.store.records import ObjectKind

STUB = "zoo:evil"
FILE, EXECUTABLE, DIRECTORY, LINK = 1, 2, 3, 4
RawEntry: TypeAlias = tuple[int, bytes, bytes]


def tree(*entries: RawEntry, count: int | None = None, after: bytes = b"") -> bytes:
    """A tree's encoding with anything in it: kind, name and body of each entry."""
    parts = [b"ztree1\n", struct.pack(">I", len(entries) if count is None else count)]
    for kind, name, body in entries:
        parts += [struct.pack(">BH", kind, len(name)), name, body]
    return b"".join([*parts, after])


def blob(content: bytes = b"evil", size: int | None = None) -> bytes:
    """The body of a file's entry."""
    return struct.pack(">Q", len(content) if size is None else size) + hash_bytes(content)


def link(target: bytes) -> bytes:
    return struct.pack(">H", len(target)) + target


def folder(content: bytes) -> bytes:
    return tree_oid(content)


def file_named(name: bytes) -> bytes:
    return tree((FILE, name, blob()))


def link_to(target: bytes) -> bytes:
    return tree((LINK, b"link", link(target)))


class Zoo(NamedTuple):
    """What to publish: trees with the root first, and what is claimed of them."""

    trees: tuple[bytes, ...]
    files: int = 1
    size: int = 4
    blobs: tuple[bytes, ...] = (b"evil",)
    time: int = 0

    def write(self, root: Path) -> None:
        snapshot = Snapshot(tree_oid(self.trees[0]), self.files, self.size, STUB, time=self.time)
        data = encode_snapshot(snapshot)
        objects = [(snapshot_oid(data), ObjectKind.SNAPSHOT, data)]
        objects += [(tree_oid(raw), ObjectKind.TREE, raw) for raw in self.trees]
        objects += [(hash_bytes(raw), ObjectKind.BLOB, raw) for raw in self.blobs]
        write_zoo(root, objects, snapshot_oid(data), self.files, self.size)


def write_zoo(
    root: Path,
    objects: list[tuple[Oid, ObjectKind, bytes]],
    snapshot: Oid,
    files: int,
    size: int,
) -> None:
    """Publish one model whose small objects are these, in one pack."""
    pack = io.BytesIO()
    writer = PackWriter(pack)
    for oid, kind, data in dict.fromkeys(objects):
        writer.add(oid, kind, data)
    name, _ = writer.finish()
    (root / "packs").mkdir(parents=True)
    (root / pack_path(name)).write_bytes(pack.getvalue())
    listed = Listed(STUB, snapshot, files, size, packs={name: len(pack.getvalue())})
    write_catalog(root, encode_catalog([listed]))


def write_catalog(root: Path, data: bytes) -> None:
    """Make a zoo's catalog these bytes, and have its zoo.json promise them."""
    (root / "catalog").mkdir(parents=True, exist_ok=True)
    (root / catalog_path(hash_bytes(data))).write_bytes(data)
    (root / "zoo.json").write_bytes(encode_manifest(Manifest("evil", hash_bytes(data), len(data))))
