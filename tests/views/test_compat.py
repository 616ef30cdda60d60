"""zoostore.compat: the names that code written for SparseZoo imports."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import onnx
import pytest

from zoostore.compat import Model, is_stub, parse_zoo_stub, setup_model
from zoostore.compat.utils import save_onnx, validate_onnx
from zoostore.errors import DirectoryNotEmpty, InvalidStub

BUILT_IN = "zoo:cv/classification/mlp-512/numpy/zoostore/digits/pruned80_quant-none"
PLACES = ("", ".objects", ".model", ".model.utils", ".search", ".utils")


@pytest.mark.parametrize("place", PLACES)
def test_every_name_is_there_and_documented(place: str) -> None:
    module = importlib.import_module(f"zoostore.compat{place}")

    assert module.__all__ == sorted(module.__all__, key=lambda name: (not name.isupper(), name))
    for name in module.__all__:
        value = getattr(module, name)
        assert inspect.getdoc(value) or isinstance(value, str), name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BUILT_IN, True),
        (BUILT_IN.removeprefix("zoo:"), True),
        ("zoo:resnet_v1-50-imagenet-pruned95", True),
        ("resnet_v1-50-imagenet-pruned95?recipe=transfer", True),
        ("hf:org/name", True),
        ("model_dir", False),
        ("/home/user/model", False),
        ("./a-b-c", False),
        ("", False),
    ],
)
def test_stubs_are_told_from_paths(text: str, expected: bool) -> None:
    assert is_stub(text) is expected


def test_a_stub_is_taken_apart() -> None:
    assert parse_zoo_stub("zoo:a-b-c") == ("a-b-c", {})
    assert parse_zoo_stub("a-b-c?recipe=x&y=z") == ("a-b-c", {"recipe": "x", "y": "z"})
    with pytest.warns(UserWarning, match="y"):
        parse_zoo_stub("a-b-c?y=z", valid_params=["recipe"])
    for wrong in ("a?b=c?d=e", "a?b"):
        with pytest.raises(InvalidStub):
            parse_zoo_stub(wrong)


def test_a_model_is_put_together_of_views_and_paths(tmp_path: Path) -> None:
    model = Model(BUILT_IN)
    assert model.training is not None
    assert model.deployment is not None
    assert model.onnx_model is not None
    assert model.sample_inputs is not None
    assert model.model_card is not None

    setup_model(
        tmp_path / "out",
        training=[file.path for file in model.training.files],
        deployment=model.deployment,
        onnx_model=model.onnx_model.path,
        sample_inputs=model.sample_inputs,
        sample_outputs=list(model.sample_outputs.values()),
        model_card=model.model_card.path,
        recipes=model.recipes,
    )

    made = Model(tmp_path / "out")
    # The recipes are at the top, as in SparseZoo's later releases.
    assert made.available.keys() == model.available.keys() - {"sample_labels"}
    assert made.recipes.available == model.recipes.available
    assert made.validate()
    with pytest.raises(DirectoryNotEmpty):
        setup_model(tmp_path / "out", [], [], model.onnx_model, model.sample_inputs)


def test_an_onnx_model_is_saved_with_its_tensors_beside_it(tmp_path: Path) -> None:
    found = Model(BUILT_IN).onnx_model
    assert found is not None
    model = onnx.load(found.path)

    assert not save_onnx(model, tmp_path / "a.onnx")
    sizes = []
    for _ in range(2):
        assert save_onnx(onnx.load(found.path), tmp_path / "b.onnx", "b.data")
        sizes.append((tmp_path / "b.data").stat().st_size)

    assert sizes[0] == sizes[1] > 0
    validate_onnx(str(tmp_path / "b.onnx"))
    (tmp_path / "c.onnx").write_bytes(b"no model")
    with pytest.raises(ValueError, match="ONNX"):
        validate_onnx(str(tmp_path / "c.onnx"))
