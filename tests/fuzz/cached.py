"""Decoders of what other tools keep beside the files that can be adopted."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.fuzz.decoder import Decoder, put, to_json
from zoostore.caches.base import Cache
from zoostore.caches.detect import read_cache
from zoostore.caches.hub_listing import decode_listing
from zoostore.errors import MalformedObject

COMMIT = "1" * 40
LISTING = to_json(
    {
        "format_version": 1,
        "files": {
            "a": {"size": 7, "blob_id": "a" * 40},
            "sub/b": {"size": 7, "blob_id": "a" * 40, "lfs_sha256": "b" * 64, "lfs_size": 7},
        },
    }
)
DIGITS = hashlib.sha256(b"GGUF").hexdigest()
LAYER = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{DIGITS}", "size": 4}
MANIFEST = to_json({"schemaVersion": 2, "config": LAYER, "layers": [LAYER, LAYER]})
CARD = b"---\ndomain: cv\nstub: zoo:x\narchitecture: resnet\n---\n# ResNet\n"


def check(cache: Cache, root: Path) -> None:
    """Nothing outside of the cache is among what was found in it."""
    for model in cache.models:
        for file in model.files.values():
            assert file.place.is_relative_to(root)


def read_manifest(data: bytes, folder: Path) -> None:
    root = folder / "ollama"
    put(root, f"blobs/sha256-{DIGITS}", b"GGUF")
    put(root, "manifests/registry.ollama.ai/library/m/latest", data)
    check(read_cache(root), root)


def read_ref(data: bytes, folder: Path) -> None:
    root = folder / "hub"
    put(root, f"models--org--name/snapshots/{COMMIT}/a", b"a")
    put(root, "models--org--name/refs/main", data)
    check(read_cache(root), root)


def read_listing(data: bytes, folder: Path) -> None:
    root = folder / "listed"
    put(root, f"models--org--name/snapshots/{COMMIT}/a", b"content")
    put(root, f"models--org--name/trees/{COMMIT}.json", data)
    check(read_cache(root), root)


def read_card(data: bytes, folder: Path) -> None:
    root = folder / "sparsezoo"
    put(root, "neuralmagic/x/model.onnx", b"onnx")
    put(root, "neuralmagic/x/model.md", data)
    check(read_cache(root), root)


DECODERS = {
    "listing of a commit": Decoder(
        (LISTING,), lambda data, _: decode_listing(data), (MalformedObject,), is_json=True
    ),
    "listing in a cache": Decoder((LISTING,), read_listing, is_json=True),
    "ref in a cache": Decoder((COMMIT.encode(), COMMIT.encode() + b"\n"), read_ref),
    "manifest of Ollama": Decoder((MANIFEST,), read_manifest, is_json=True),
    "card of SparseZoo": Decoder((CARD,), read_card),
}
