"""Decoders of objects, and of the packs that hold them."""

from __future__ import annotations

import io
from pathlib import Path

from tests.fuzz.decoder import Decoder, put
from zoostore.digest import GIT_BLOB, SHA256, Digest, hash_bytes
from zoostore.errors import MalformedObject, NewerFormat
from zoostore.objects.aliases import Aliases, decode_aliases, encode_aliases
from zoostore.objects.snapshot import Snapshot, decode_snapshot, encode_snapshot
from zoostore.objects.tree import Entry, Kind, decode_tree, encode_tree, link_entry
from zoostore.store.packs import (
    PackReader,
    PackWriter,
    decode_footer,
    decode_table,
    oid_of,
)
from zoostore.store.records import ObjectKind, Packed

OID = hash_bytes(b"content")
TREE = encode_tree(
    {
        "a": Entry(Kind.FILE, 7, OID),
        "b.sh": Entry(Kind.EXECUTABLE, 1 << 40, OID),
        "sub": Entry(Kind.DIRECTORY, 0, OID),
        "latest": link_entry("sub/a"),
        "ü": Entry(Kind.FILE, 0, OID),
    }
)
SNAPSHOT = encode_snapshot(
    Snapshot(OID, 5, 1 << 40, "zoo:m", (OID,), 7, "é\n", "there", "main", {"a": "b"})
)
ALIASES = encode_aliases(
    Aliases(
        "https://hub.example",
        frozenset({(OID, Digest(SHA256, bytes(32))), (OID, Digest(GIT_BLOB, bytes(20)))}),
    )
)


def pack_of(*objects: tuple[ObjectKind, bytes]) -> bytes:
    out = io.BytesIO()
    writer = PackWriter(out)
    for kind, data in dict.fromkeys(objects):
        writer.add(oid_of(kind, data), kind, data)
    writer.finish()
    return out.getvalue()


PACKS = (
    pack_of(),
    pack_of(
        (ObjectKind.BLOB, b"content"),
        (ObjectKind.BLOB, b""),
        (ObjectKind.TREE, TREE),
        (ObjectKind.SNAPSHOT, SNAPSHOT),
        (ObjectKind.ALIASES, ALIASES),
    ),
)


def read_table(data: bytes, folder: Path) -> list[Packed]:
    table = decode_footer(data, len(data))
    rows = decode_table(table, data[table.offset : table.offset + table.length])
    assert sum(row.stored for row in rows) <= len(data)
    assert all(0 <= row.offset <= row.offset + row.stored <= len(data) for row in rows)
    return list(rows)


def read_pack(data: bytes, folder: Path) -> list[Packed]:
    with PackReader(put(folder, "x.zpack", data)) as pack:
        return list(pack.table())


def salvage(data: bytes, folder: Path) -> None:
    """Whatever is salvaged is what its oid says."""
    with PackReader(put(folder, "x.zpack", data)) as pack:
        for row in pack.salvage():
            assert oid_of(row.kind, data[row.offset : row.offset + row.stored]) == row.oid


DECODERS = {
    "tree": Decoder((TREE,), lambda data, _: decode_tree(data), (MalformedObject,), encode_tree),
    "snapshot": Decoder(
        (SNAPSHOT,),
        lambda data, _: decode_snapshot(data),
        (MalformedObject,),
        encode_snapshot,
        is_json=True,
    ),
    "aliases": Decoder(
        (ALIASES,), lambda data, _: decode_aliases(data), (MalformedObject,), encode_aliases
    ),
    "table of a pack": Decoder(PACKS, read_table, (MalformedObject, NewerFormat)),
    "pack": Decoder(PACKS, read_pack, (MalformedObject, NewerFormat)),
    "pack that is salvaged": Decoder(PACKS, salvage),
}
