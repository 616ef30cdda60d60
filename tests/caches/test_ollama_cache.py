"""The models folder of Ollama: tags by their manifests, and manifests are not believed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from zoostore.caches.ollama_cache import is_ollama_cache, read_ollama_cache
from zoostore.digest import Digest

LLAMA = "registry.ollama.ai/library/llama3/8b"
MEDIA = "application/vnd.ollama.image."


def blob(root: Path, content: bytes, kind: str) -> dict[str, Any]:
    """A layer, whose content is in the folder of blobs."""
    digits = hashlib.sha256(content).hexdigest()
    (root / "blobs").mkdir(parents=True, exist_ok=True)
    (root / "blobs" / f"sha256-{digits}").write_bytes(content)
    return {"mediaType": MEDIA + kind, "digest": f"sha256:{digits}", "size": len(content)}


def manifest(root: Path, name: str, *layers: Mapping[str, Any], **more: Any) -> Path:
    path = root / "manifests" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"schemaVersion": 2, "layers": layers, **more}))
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "models"
    for name in ("manifests", "blobs"):
        (root / name).mkdir(parents=True)
    return root


def test_a_tag_is_a_model_of_files_with_names_that_people_know(root: Path) -> None:
    contents = {
        "config.json": b"{}",
        "model.gguf": b"GGUF",
        "model-2.gguf": b"GGUF 2",
        "adapter.gguf": b"adapter",
        "projector.gguf": b"projector",
        "params.json": b'{"stop": []}',
        "messages.json": b"[]",
        "template": b"{{ .Prompt }}",
        "system": b"be kind",
        "license": b"MIT",
        "license-2": b"and more",
    }
    kinds = {name: name.partition(".")[0].partition("-")[0] for name in contents}
    config, *layers = (blob(root, content, kinds[name]) for name, content in contents.items())
    path = manifest(root, LLAMA, *layers, config=config)

    (model,) = read_ollama_cache(root).models

    assert (model.stub, model.left_out, model.is_current) == ("ollama:llama3:8b", 0, True)
    assert model.revision == f"sha256-{hashlib.sha256(path.read_bytes()).hexdigest()}"
    read = {name: file.place.read_bytes() for name, file in model.files.items()}
    assert read == {**contents, "manifest.json": path.read_bytes()}
    for name, file in model.files.items():
        assert file.digests == (Digest("sha256", hashlib.sha256(read[name]).digest()),)


@pytest.mark.parametrize(
    ("name", "stub"),
    [
        (LLAMA, "ollama:llama3:8b"),
        ("registry.ollama.ai/someone/tuned/latest", "ollama:someone/tuned:latest"),
        ("hf.co/org/name-GGUF/Q4_K_M", "ollama:hf.co/org/name-GGUF:Q4_K_M"),
        ("localhost:5000/library/llama3/8b", "ollama:localhost:5000/library/llama3:8b"),
    ],
)
def test_a_stub_says_what_ollama_itself_would_say(root: Path, name: str, stub: str) -> None:
    manifest(root, name, blob(root, b"GGUF", "model"))

    assert [model.stub for model in read_ollama_cache(root).models] == [stub]


def test_tags_share_what_they_share(root: Path) -> None:
    weights = blob(root, b"GGUF", "model")
    manifest(root, LLAMA, weights)
    manifest(root, "registry.ollama.ai/library/llama3/latest", weights)

    first, second = read_ollama_cache(root).models

    assert (first.stub, second.stub) == ("ollama:llama3:8b", "ollama:llama3:latest")
    assert first.files["model.gguf"].place == second.files["model.gguf"].place


def test_blobs_of_earlier_releases_have_a_colon_in_their_names(root: Path) -> None:
    layer = blob(root, b"GGUF", "model")
    new = root / "blobs" / layer["digest"].replace(":", "-")
    new.rename(root / "blobs" / layer["digest"])
    manifest(root, LLAMA, layer)

    (model,) = read_ollama_cache(root).models

    assert model.files["model.gguf"].place.name == layer["digest"]


def test_a_blob_that_is_missing_or_of_another_size_is_left_out(root: Path) -> None:
    missing, short = blob(root, b"missing", "model"), blob(root, b"short", "template")
    gone, cut = (root / "blobs" / layer["digest"].replace(":", "-") for layer in (missing, short))
    gone.unlink()
    cut.write_bytes(b"sho")
    manifest(root, LLAMA, missing, short, blob(root, b"MIT", "license"))

    cache = read_ollama_cache(root)

    (model,) = cache.models
    assert (set(model.files), model.left_out) == ({"manifest.json", "license"}, 2)
    assert cache.problems.keys() == {str(gone), str(cut)}
    assert "3 bytes, and 5" in cache.problems[str(cut)]


def test_downloads_that_did_not_end_are_named(root: Path) -> None:
    partial = root / "blobs" / f"sha256-{'a' * 64}-partial-0"
    partial.write_bytes(b"half")

    cache = read_ollama_cache(root)

    assert (cache.models, set(cache.problems)) == ((), {str(partial)})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        '{"layers": {}}',
        '{"layers": [1]}',
        '{"layers": [{"mediaType": 1}]}',
        '{"layers": [{"mediaType": "a.b", "digest": "sha256:../../etc/passwd", "size": 1}]}',
        '{"layers": [{"mediaType": "a.b", "digest": "md5:00", "size": 1}]}',
        '{"layers": [{"mediaType": "a.b", "digest": ["sha256:00"], "size": 1}]}',
        f'{{"layers": [{{"mediaType": "a.b", "digest": "sha256:{"0" * 64}", "size": -1}}]}}',
        f'{{"layers": [{{"mediaType": "a.b", "digest": "sha256:{"0" * 64}", "size": 1e400}}]}}',
        f'{{"layers": [{{"mediaType": "a.b", "digest": "sha256:{"0" * 64}", "size": true}}]}}',
        f'{{"layers": [{{"mediaType": "a.b", "digest": "sha256:{"0" * 64}", "size": {10**400}}}]}}',
        '{"layers": [], "config": 3}',
        "[" * 100_000,
        "\ud800",
    ],
)
def test_what_is_no_manifest_is_named_and_passed_over(root: Path, text: str) -> None:
    good = manifest(root, LLAMA, blob(root, b"GGUF", "model"))
    bad = good.with_name("bad")
    bad.write_bytes(text.encode("utf-8", errors="surrogatepass"))

    cache = read_ollama_cache(root)

    assert [model.stub for model in cache.models] == ["ollama:llama3:8b"]
    assert cache.problems.keys() == {str(bad)}


def test_a_manifest_without_end_is_not_read(root: Path) -> None:
    path = manifest(root, LLAMA, blob(root, b"GGUF", "model"))
    os.truncate(path, 1 << 40)  # of which nothing is on the disk

    cache = read_ollama_cache(root)

    assert (cache.models, set(cache.problems)) == ((), {str(path)})


def test_names_of_files_are_made_of_types_so_that_they_are_safe(root: Path) -> None:
    types = ["../../x", "..", "/etc/passwd", "MODEL", "a b", "manifest", "config", ""]
    manifest(root, LLAMA, *(blob(root, kind.encode(), kind) for kind in types))

    (model,) = read_ollama_cache(root).models

    expected = "etc-passwd x a-b model.gguf manifest-layer config-layer manifest.json layer layer-2"
    assert model.files.keys() == set(expected.split())


def test_no_layer_takes_the_name_of_another(root: Path) -> None:
    types = ["license", "license-2", "license", "license", "model", "model-2", "model"]
    layers = [blob(root, f"{at}".encode(), kind) for at, kind in enumerate(types)]
    manifest(root, LLAMA, *layers)

    (model,) = read_ollama_cache(root).models

    assert model.left_out == 0
    assert {path: file.place.read_bytes() for path, file in model.files.items()}.items() >= {
        ("license", b"0"),
        ("license-2", b"1"),
        ("license-3", b"2"),
        ("license-4", b"3"),
        ("model.gguf", b"4"),
        ("model-2", b"5"),
        ("model-2.gguf", b"6"),
    }


def test_names_that_make_no_stub_are_named(root: Path) -> None:
    layer = blob(root, b"GGUF", "model")
    strange = ["too/short", "h/n/m/t/too-long", "h/n/m/with space", "h/n/m/t@v", "h/n/m/t?recipe=x"]
    paths = {str(manifest(root, name, layer)) for name in strange}

    cache = read_ollama_cache(root)

    assert (cache.models, set(cache.problems)) == ((), paths)


def test_links_out_of_the_folder_and_what_is_no_file_are_not_read(
    root: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    link, pipe = blob(root, b"secret", "model"), blob(root, b"pipe", "template")
    for layer in (link, pipe):
        (root / "blobs" / layer["digest"].replace(":", "-")).unlink()
    (root / "blobs" / link["digest"].replace(":", "-")).symlink_to(tmp_path / "secret")
    os.mkfifo(root / "blobs" / pipe["digest"].replace(":", "-"))
    path = manifest(root, LLAMA, link, pipe)
    outside = root / "manifests/h/n/m/t"
    outside.parent.mkdir(parents=True)
    outside.symlink_to(tmp_path / "secret")

    cache = read_ollama_cache(root)

    (model,) = cache.models
    assert (set(model.files), model.left_out) == ({"manifest.json"}, 2)
    assert path.is_file()
    assert len(cache.problems) == 3


def test_a_folder_is_ollamas_if_it_has_manifests_and_blobs(root: Path, tmp_path: Path) -> None:
    assert is_ollama_cache(root)
    assert not is_ollama_cache(tmp_path)
