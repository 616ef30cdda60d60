"""The cache of SparseZoo: folders by name or by id, which at best say what they are."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore.caches.sparsezoo_cache import is_sparsezoo_cache, read_sparsezoo_cache

if TYPE_CHECKING:
    from tests.conftest import Files, LayOut

UUID = "0d83b6f5-0d3c-4b3a-9b6c-1f0a2b3c4d5e"
STUB = "zoo:cv/classification/resnet_v1-50/pytorch/sparseml/imagenet/pruned95_quant-none"
CARD = b"""---
card_version: 1.0.0
domain: cv
sub_domain: classification
architecture: resnet_v1
sub_architecture: 50
framework: pytorch
repo: 'sparseml'
dataset: imagenet
sparse_name: pruned95_quant
sparse_category: none
tags:
  - cv
---
# ResNet
domain: nlp
"""
MODEL: Files = {"model.md": CARD, "model.onnx": b"onnx", "deployment/model.onnx": b"deployed"}


@pytest.fixture
def lay_cache(lay: LayOut) -> Callable[..., Path]:
    return lambda **folders: lay(
        "sparsezoo",
        {
            f"{folder.replace('__', '/')}/{path}": content
            for folder, files in folders.items()
            for path, content in files.items()
        },
    )


def test_a_model_is_called_as_its_card_says(lay_cache: Callable[..., Path]) -> None:
    root = lay_cache(neuralmagic__some_name=MODEL)

    cache = read_sparsezoo_cache(root)

    (model,) = cache.models
    assert (model.stub, model.revision, model.left_out) == (STUB, "", None)
    assert model.files.keys() == MODEL.keys()
    assert cache.problems == {}


def test_one_in_a_folder_with_an_id_is_found_too(lay: LayOut) -> None:
    root = lay("anywhere", {f"{UUID}/{path}": content for path, content in MODEL.items()})

    assert is_sparsezoo_cache(root)
    assert [model.stub for model in read_sparsezoo_cache(root).models] == [STUB]


@pytest.mark.parametrize(
    "card",
    [f"---\nstub: {STUB}\n---\n", f"---\nname: {STUB.removeprefix('zoo:')}\n---\n"],
)
def test_a_card_may_say_the_whole_stub(lay_cache: Callable[..., Path], card: str) -> None:
    root = lay_cache(neuralmagic__x={"model.md": card.encode()})

    assert [model.stub for model in read_sparsezoo_cache(root).models] == [STUB]


@pytest.mark.parametrize(
    "card",
    [
        b"",
        b"no front matter",
        b"---\ndomain: cv\n---\n",
        b"---\nstub: hf:org/name\n---\n",
        f"---\nstub: {STUB}@v1\n---\n".encode(),
        f"---\nstub: {STUB}?recipe=x\n---\n".encode(),
        b"---\nstub: zoo:../../../etc\n---\n",
        b"---\nstub: \xff\xfe\n---\n",
        CARD.replace(b"architecture: resnet_v1", b"architecture: ../resnet"),
    ],
)
def test_a_card_that_says_nothing_of_use_leaves_the_folders_name(
    lay_cache: Callable[..., Path], card: bytes
) -> None:
    root = lay_cache(neuralmagic__ResNet_50={"model.md": card, "model.onnx": b"onnx"})

    cache = read_sparsezoo_cache(root)

    assert [model.stub for model in cache.models] == ["zoo:resnet_50"]
    assert cache.problems.keys() == {str(root / "neuralmagic" / "ResNet_50")}


def test_a_card_that_leads_outside_is_not_read(
    lay_cache: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "card").write_bytes(CARD)
    root = lay_cache(neuralmagic__x={"model.onnx": b"onnx"})
    card = root / "neuralmagic" / "x" / "model.md"
    card.symlink_to(tmp_path / "card")

    cache = read_sparsezoo_cache(root)

    assert [(model.stub, [*model.files]) for model in cache.models] == [("zoo:x", ["model.onnx"])]
    assert str(card) in cache.problems


def test_what_sparsezoo_leaves_behind_is_no_model(lay_cache: Callable[..., Path]) -> None:
    root = lay_cache(
        neuralmagic__chunks={"x/ab12/model_onnx/0": b"half", "model.md": CARD},
        neuralmagic__x=MODEL,
        other={"file": b"no model"},
    )
    (root / "credentials.yaml").write_bytes(b"token: secret")

    cache = read_sparsezoo_cache(root)

    assert [model.stub for model in cache.models] == [STUB]
    places = [file.place.name for model in cache.models for file in model.files.values()]
    assert "credentials.yaml" not in places


def test_a_folder_of_weights_is_not_taken_for_it(lay: LayOut) -> None:
    assert not is_sparsezoo_cache(lay("weights", {"a/model.onnx": b"onnx"}))
    assert not is_sparsezoo_cache(lay("empty/sparsezoo", {}))


def test_a_folder_that_cannot_be_listed_holds_nothing(lay: LayOut) -> None:
    root = lay("sparsezoo", {})
    os.symlink(root, root / "loop")

    assert read_sparsezoo_cache(root).models == ()


def test_of_two_folders_with_one_name_the_second_is_named(lay_cache: Callable[..., Path]) -> None:
    root = lay_cache(a__same={"model.onnx": b"1"}, b__same={"model.onnx": b"2"})

    cache = read_sparsezoo_cache(root)

    (model,) = cache.models
    assert model.files["model.onnx"].place == root / "a/same/model.onnx"
    assert "Another folder" in cache.problems[str(root / "b/same")]


def test_a_card_of_spaces_is_read_at_once(lay_cache: Callable[..., Path]) -> None:
    card = b"---\nstub: x" + b" " * 900_000 + b"y\n---\n"

    (model,) = read_sparsezoo_cache(lay_cache(neuralmagic__x={"model.md": card})).models

    assert model.stub == "zoo:x"
