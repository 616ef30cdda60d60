"""What a folder is taken for, wherever in a cache one points."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore.caches.detect import read_cache
from zoostore.errors import InvalidStub, UsageError

if TYPE_CHECKING:
    from tests.conftest import Files, LayOut

COMMIT = "c" * 40
ETAG = hashlib.sha256(b"weights").hexdigest()
HUB: Files = {
    f"models--org--name/blobs/{ETAG}": b"weights",
    f"models--org--name/snapshots/{COMMIT}/w.safetensors": f"../../blobs/{ETAG}",
    "models--org--name/refs/main": COMMIT.encode(),
}
MANIFEST = {
    "layers": [
        {
            "mediaType": "application/vnd.ollama.image.model",
            "digest": f"sha256:{ETAG}",
            "size": len(b"weights"),
        }
    ]
}
OLLAMA: Files = {
    "manifests/registry.ollama.ai/library/llama3/8b": json.dumps(MANIFEST).encode(),
    f"blobs/sha256-{ETAG}": b"weights",
}
SPARSEZOO: Files = {"neuralmagic/some_model/model.onnx": b"onnx"}


def below(folder: str, files: Files) -> Files:
    return {f"{folder}/{path}": content for path, content in files.items()}


@pytest.mark.parametrize(
    ("files", "inside", "kind", "stub"),
    [
        (HUB, ".", "huggingface", "hf:org/name"),
        (HUB, "models--org--name", "huggingface", "hf:org/name"),
        (below("hub", HUB), ".", "huggingface", "hf:org/name"),
        (OLLAMA, ".", "ollama", "ollama:llama3:8b"),
        (below("models", OLLAMA), ".", "ollama", "ollama:llama3:8b"),
        (SPARSEZOO, ".", "sparsezoo", "zoo:some_model"),
        (below("models", {"org/name/w.gguf": b"w"}), "models", "folder", "hf:org/name"),
        ({"w.gguf": b"w"}, ".", "folder", "zoo:place"),
    ],
)
def test_a_folder_is_taken_for_what_it_is(
    lay: LayOut, tmp_path: Path, files: Files, inside: str, kind: str, stub: str
) -> None:
    folder = lay("place", files) / inside
    (tmp_path / "link").symlink_to(folder)

    for directory in (folder, tmp_path / "link"):
        cache = read_cache(directory)

        assert (cache.kind, [model.stub for model in cache.models]) == (kind, [stub])
        assert all(file.place.is_file() for file in cache.models[0].files.values())


def test_what_says_its_names_is_given_none(lay: LayOut) -> None:
    with pytest.raises(UsageError, match="huggingface cache"):
        read_cache(lay("hub", HUB), stub="zoo:mine")


@pytest.mark.parametrize("stub", ["zoo:mine@v1", "zoo:mine?recipe=x", "no such:scheme"])
def test_a_name_is_a_name_only(lay: LayOut, stub: str) -> None:
    with pytest.raises(InvalidStub):
        read_cache(lay("weights", {"w": b"w"}), stub=stub)


def test_what_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(UsageError, match="not a directory"):
        read_cache(tmp_path / "file")
    with pytest.raises(UsageError, match="does not exist"):
        read_cache(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("files", "place", "kind"),
    [
        ({"hub/version.txt": b"1", "token": b"hf_secret"}, "huggingface", "huggingface"),
        ({"hub/": None, "token": b"hf_secret"}, "huggingface", "huggingface"),
        ({"id_ed25519": b"key"}, ".ollama", "ollama"),
        ({"credentials.yaml": b"nm_api_token: secret"}, "sparsezoo", "sparsezoo"),
    ],
)
def test_the_home_of_a_tool_without_models_is_no_folder_of_weights(
    lay: LayOut, files: Files, place: str, kind: str
) -> None:
    cache = read_cache(lay(place, files))

    assert (cache.kind, cache.models) == (kind, ())


def test_what_a_tool_keeps_beside_its_models_is_not_read(lay: LayOut) -> None:
    home = lay("huggingface", {**below("hub", HUB), "token": b"hf_secret"})

    (model,) = read_cache(home).models

    assert [file.place.name for file in model.files.values()] == [ETAG]
