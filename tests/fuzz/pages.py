"""Decoders of what servers send: a zoo's pages, a Hub's answers."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.decoder import Decoder, to_json
from tests.fuzz.objects import OID
from zoostore.digest import hash_bytes
from zoostore.errors import MalformedObject, NewerFormat
from zoostore.sources.catalog import (
    Listed,
    Manifest,
    decode_catalog,
    decode_manifest,
    encode_catalog,
    encode_manifest,
)
from zoostore.sources.hub_answers import (
    Repository,
    decode_state,
    decode_time,
    decode_tree,
    next_query,
)

WHERE = "https://zoo.example"
COMMIT = "1" * 40
MANIFEST = encode_manifest(Manifest("Zoo", OID, 300))
FULL = "zoo:cv/classification/resnet_v1-50/pytorch/sparseml/imagenet/base-none"
CATALOG = encode_catalog(
    [
        Listed("zoo:a", OID, 3, 7, {"v1": OID}, {OID: 1000}),
        Listed(FULL, OID, 1 << 40, 1 << 50),
    ]
)
STATE = to_json({"id": "org/name", "sha": COMMIT, "gated": False, "siblings": []})
TREE = to_json(
    [
        {"type": "directory", "path": "sub", "oid": "a" * 40, "size": 0},
        {"type": "file", "path": "sub/a", "oid": "a" * 40, "size": 7},
        {
            "type": "file",
            "path": "b",
            "oid": "a" * 40,
            "size": 7,
            "lfs": {"oid": "b" * 64, "size": 7},
        },
    ]
)
COMMITS = to_json([{"id": COMMIT, "date": "2026-11-01T00:00:00.000Z", "title": "x"}])
LINK = b'<https://hub.example/api/x?cursor=abc&limit=3>; rel="next"'


def read_manifest(data: bytes, folder: Path) -> None:
    manifest = decode_manifest(data, WHERE)
    assert type(manifest.name) is str
    assert 0 <= manifest.catalog_size <= 1 << 28


def read_catalog(data: bytes, folder: Path) -> None:
    listed = decode_catalog(data, Manifest("", hash_bytes(data), len(data)), WHERE)
    assert decode_catalog(
        (encoded := encode_catalog(listed.values())),
        Manifest("", hash_bytes(encoded), len(encoded)),
        WHERE,
    ) == {**listed}


def read_next(data: bytes, folder: Path) -> None:
    query = next_query(data.decode("latin-1"))
    assert query is None or "#" not in query


DECODERS = {
    "zoo.json": Decoder((MANIFEST,), read_manifest, (MalformedObject, NewerFormat), is_json=True),
    "catalog": Decoder((CATALOG,), read_catalog, (MalformedObject,)),
    "line of a catalog": Decoder(
        tuple(CATALOG.splitlines()), read_catalog, (MalformedObject,), is_json=True
    ),
    "state of a repository": Decoder(
        (STATE,),
        lambda data, _: decode_state(data, Repository.of("org/name"), WHERE),
        (MalformedObject,),
        is_json=True,
    ),
    "files of a repository": Decoder(
        (TREE,), lambda data, _: list(decode_tree(data, WHERE)), (MalformedObject,), is_json=True
    ),
    "commits of a repository": Decoder(
        (COMMITS,), lambda data, _: decode_time(data, COMMIT), is_json=True
    ),
    "link to the next page": Decoder((LINK,), read_next),
}
