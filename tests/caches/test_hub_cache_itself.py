"""A cache that the real huggingface_hub made: every path, digest and revision of it is found."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from zoostore.caches.base import CachedFile
from zoostore.caches.detect import read_cache
from zoostore.digest import GIT_BLOB, SHA256, Digest

if TYPE_CHECKING:
    from tests.hub import Hub

OLD = {
    "config.json": b"{}",
    "model.safetensors": bytes(range(256)) * 300,
    "sub/deep er/ü #1?%41+.txt": b"odd",
    "sub/weights.bin": b"w" * 5000,
    "empty": b"",
    "empty.bin": b"",
}
NEW = OLD | {"config.json": b'{"new": true}', "added.onnx": b"onnx" * 100}
TEXTS = {"README.md": b"# data", "data/train.csv": b"a,b\n1,2\n"}
LARGE = (".safetensors", ".bin", ".onnx")


def check(files: dict[str, CachedFile], expected: dict[str, bytes], root: Path) -> None:
    assert {path: file.place.read_bytes() for path, file in files.items()} == expected
    for path, file in files.items():
        assert file.place.is_relative_to(root)
        assert file.digests == (digest_of(path, expected[path]),)


def digest_of(path: str, content: bytes) -> Digest:
    if path.endswith(LARGE):
        return Digest(SHA256, hashlib.sha256(content).digest())
    return Digest(GIT_BLOB, hashlib.sha1(b"blob %d\0" % len(content) + content).digest())


def test_a_cache_of_the_real_library_is_read_as_it_is(hub: Hub, tmp_path: Path) -> None:
    root = tmp_path / "hub"
    old = hub.commit("org/name", OLD)
    new = hub.commit("org/name", NEW)
    hub.repository("org/name").refs["v1"] = old
    texts = hub.commit("datasets/org/texts", TEXTS)
    hub.download("org/name", root)
    hub.download("org/name", root, revision="v1")
    hub.download("datasets/org/texts", root)

    cache = read_cache(root)

    dataset, current, earlier = cache.models
    assert (dataset.stub, dataset.revision, dataset.names) == ("hf:datasets/org/texts", texts, ())
    assert (current.stub, current.revision, current.names) == ("hf:org/name", new, ())
    assert (earlier.stub, earlier.revision, earlier.names) == ("hf:org/name", old, ("v1",))
    assert [model.is_current for model in cache.models] == [True, True, False]
    assert [model.left_out for model in cache.models] == [0, 0, 0]
    check(dict(dataset.files), TEXTS, root)
    check(dict(current.files), NEW, root)
    check(dict(earlier.files), OLD, root)
    assert cache.problems == {}

    (root / "models--org--name" / "snapshots" / new / "added.onnx").unlink()
    assert read_cache(root).models[1].left_out == 1
