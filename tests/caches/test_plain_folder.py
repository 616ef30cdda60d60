"""Folders of weights: one model, or one for each of LM Studio's folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore.caches.base import FOLDER
from zoostore.caches.detect import read_cache
from zoostore.caches.plain_folder import name_after

if TYPE_CHECKING:
    from tests.conftest import LayOut
    from zoostore.caches.base import Cache


def paths(cache: Cache) -> dict[str, set[str]]:
    return {model.stub: set(model.files) for model in cache.models}


def test_a_folder_is_one_model_called_as_it_is(lay: LayOut) -> None:
    folder = lay("My Loras", {"a.safetensors": b"a", "sub/b.safetensors": b"b", "run.sh*": b"#!"})

    cache = read_cache(folder)

    (model,) = cache.models
    assert (cache.kind, model.stub, model.revision) == (FOLDER, "zoo:my-loras", "")
    assert (set(model.files), model.left_out) == (
        {"a.safetensors", "sub/b.safetensors", "run.sh"},
        0,
    )
    assert [path for path, file in model.files.items() if file.is_executable] == ["run.sh"]
    assert not any(file.digests for file in model.files.values())
    assert cache.problems == {}


@pytest.mark.parametrize(
    ("path", "stub"),
    [
        ("/x/loras", "zoo:loras"),
        ("/x/ComfyUI/models", "zoo:comfyui"),
        ("/x/Größe & Co.", "zoo:gr-e-co."),
        ("/x/..hidden", "zoo:hidden"),
        ("/x/日本", "zoo:folder"),
        ("/x/" + "n" * 300, "zoo:" + "n" * 100),
        ("/", "zoo:folder"),
    ],
)
def test_a_name_is_made_that_can_be_a_stub(path: str, stub: str) -> None:
    assert name_after(Path(path)) == stub


def test_a_name_can_be_given(lay: LayOut) -> None:
    folder = lay("loras", {"pub/model/a.gguf": b"a"})

    assert paths(read_cache(folder, stub="zoo:mine")) == {"zoo:mine": {"pub/model/a.gguf"}}
    assert [model.left_out for model in read_cache(folder, stub="hf:org/name").models] == [None]


def test_lm_studios_folders_are_models_by_publisher(lay: LayOut) -> None:
    folder = lay(
        "models",
        {
            "org/one-GGUF/one-Q4.gguf": b"1",
            "org/two/config.json": b"{}",
            "org/two/two.safetensors": b"2",
            "other/three/three.gguf": b"3",
            ".hidden": b"",
        },
    )

    cache = read_cache(folder)

    assert paths(cache) == {
        "hf:org/one-GGUF": {"one-Q4.gguf"},
        "hf:org/two": {"config.json", "two.safetensors"},
        "hf:other/three": {"three.gguf"},
    }
    assert [model.left_out for model in cache.models] == [None] * 3


def test_what_lm_studio_keeps_beside_its_models_is_passed_by(lay: LayOut) -> None:
    folder = lay(".lmstudio", {"models/org/one/one.gguf": b"1", "config/settings.json": b"{}"})

    assert paths(read_cache(folder)) == {"hf:org/one": {"one.gguf"}}


@pytest.mark.parametrize(
    "more",
    [
        {"README.md": b"beside"},
        {"org/file.gguf": b"beside"},
        {"org/three/notes.txt": b"no weights"},
    ],
)
def test_a_folder_that_holds_more_is_one_model(lay: LayOut, more: dict[str, bytes]) -> None:
    folder = lay("comfy", {"org/one/one.gguf": b"1", **more})

    assert paths(read_cache(folder)).keys() == {"zoo:comfy"}


def test_downloads_in_progress_are_named_and_what_is_hidden_is_not(lay: LayOut) -> None:
    whole = {"a.gguf": b"a", ".cache/x": b"x", ".gitattributes": b"", "a.gguf.lock": b""}
    unfinished = ["b.gguf.part", "c.crdownload", "sub/d.incomplete", "e.TMP"]
    folder = lay("loras", {**whole, **dict.fromkeys(unfinished, b"half")})

    cache = read_cache(folder)

    assert paths(cache) == {"zoo:loras": {"a.gguf"}}
    assert cache.problems.keys() == {str(folder / name) for name in unfinished}


def test_links_are_followed_within_the_folder_only(lay: LayOut, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    folder = lay(
        "loras",
        {
            "a.gguf": b"a",
            "good": "a.gguf",
            "out": "../secret",
            "absolute": str(tmp_path / "secret"),
            "broken": "nothing",
            "loop": "loop",
            "folder": ".",
        },
    )

    cache = read_cache(folder)

    assert paths(cache) == {"zoo:loras": {"a.gguf", "good"}}
    assert cache.models[0].files["good"].place == folder / "a.gguf"
    bad = {"out", "absolute", "broken", "loop", "folder"}
    assert cache.problems.keys() == {str(folder / name) for name in bad}


def test_a_folder_of_which_the_first_is_a_link_to_itself_is_read(lay: LayOut) -> None:
    folder = lay("loras", {"a": "a", "org": "org"})
    assert paths(read_cache(folder)) == {}

    lay("loras", {"b.gguf": b"b"})
    assert paths(read_cache(folder)) == {"zoo:loras": {"b.gguf"}}


def test_names_that_no_snapshot_can_hold_are_named(lay: LayOut) -> None:
    folder = lay("loras", {"a.gguf": b"a", "A.gguf": b"A", "sub/x": b"x", "SUB/y": b"y"})
    (folder / os.fsdecode(b"\xff.gguf")).write_bytes(b"?")

    cache = read_cache(folder)

    assert paths(cache) == {"zoo:loras": {"A.gguf", "SUB/y"}}
    assert len(cache.problems) == 3


def test_what_is_no_file_is_named(lay: LayOut) -> None:
    folder = lay("loras", {"a.gguf": b"a"})
    os.mkfifo(folder / "pipe")

    cache = read_cache(folder)

    assert paths(cache) == {"zoo:loras": {"a.gguf"}}
    assert cache.problems.keys() == {str(folder / "pipe")}


def test_a_folder_that_holds_nothing_has_no_model(lay: LayOut) -> None:
    assert read_cache(lay("empty", {"sub/": None})).models == ()
