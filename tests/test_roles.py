"""Roles: what the files of a model are for, told by their paths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoostore.errors import Ambiguous, UnknownChoice, ZooError
from zoostore.files.globs import exact, selector
from zoostore.objects.listing import reaching
from zoostore.objects.tree import Entry, Kind, link_entry
from zoostore.roles import checkpoints, choose, left_out, playing, recipes, sample_outputs

FILE = Entry(Kind.FILE, 1, link_entry("x").oid)
NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)


@pytest.mark.parametrize(
    ("role", "paths", "expected"),
    [
        ("training", ["training/a"], "training"),
        ("training", ["training.tar.gz"], "training.tar.gz"),
        ("training", ["training/a", "training.tar.gz"], "training"),
        ("training", ["training/", "training.tar.gz"], "training.tar.gz"),
        ("training", ["training"], None),
        ("logs", ["logs/"], "logs"),
        ("sample_inputs", ["sample-inputs/a"], "sample-inputs"),
        ("sample_inputs", ["sample_inputs.tar.gz"], "sample_inputs.tar.gz"),
        ("onnx_model", ["model.onnx", "model.onnx.tar.gz"], "model.onnx.tar.gz"),
        ("onnx_model", ["deployment/model.onnx"], "deployment/model.onnx"),
        ("model_card", ["README.md", "model.md"], "model.md"),
        ("model_card", ["training/model.md", "model.md/"], None),
    ],
)
def test_the_first_that_is_there_plays_a_role(
    role: str, paths: list[str], expected: str | None
) -> None:
    assert playing(role, paths) == expected


def test_sample_outputs_are_known_by_the_engine() -> None:
    paths = ["sample_outputs/a", "sample-outputs_onnxruntime.tar.gz", "sample-inputs/a"]

    assert sample_outputs(paths) == {
        "framework": "sample_outputs",
        "onnxruntime": "sample-outputs_onnxruntime.tar.gz",
    }


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["recipe/recipe_original.md", "recipe/recipe_transfer-a.md"], ["original", "transfer-a"]),
        (["recipe_transfer_a.md", "recipe.md"], ["original", "transfer_a"]),
        (["recipe.md", "recipe_original.md"], ["recipe", "original"]),
        (["recipe.md", "recipe.yaml"], ["original", "recipe"]),
        (["recipe_a.md", "recipe_a.yaml"], ["a", "recipe_a.yaml"]),
        (["recipe/a.md", "recipe_b.md", "logs/recipe_c.md"], ["a", "b"]),
        (["model.md"], []),
    ],
)
def test_recipes_have_names(paths: list[str], names: list[str]) -> None:
    assert list(recipes(paths)) == names
    assert set(recipes(paths).values()) == {path for path in paths if "recipe" in path[:7]}


def test_checkpoints_are_in_the_order_in_which_they_are_reached() -> None:
    own = ["training/postqat.pth", "training/checkpoint_preqat/a", "training/config.json"]

    assert checkpoints(own) == {
        "preqat": ["training/checkpoint_preqat/a"],
        "postqat": ["training/postqat.pth"],
    }


def test_the_beginning_of_a_name_is_enough() -> None:
    assert choose("recipe", "transfer", ["original", "transfer-a"]) == "transfer-a"
    assert choose("recipe", "Transfer", ["transfer", "transfer-a"]) == "transfer"


@pytest.mark.parametrize(
    ("value", "error"), [("none", UnknownChoice), ("transfer", Ambiguous), ("", Ambiguous)]
)
def test_what_fits_nothing_or_two_is_an_error(value: str, error: type[ZooError]) -> None:
    with pytest.raises(error) as raised:
        choose("recipe", value, ["transfer-a", "transfer-b"])

    assert isinstance(raised.value, ValueError)
    assert "transfer-a" in raised.value.message


def test_selectors_leave_out_the_others() -> None:
    paths = ["recipe_a.md", "recipe_b.md", "training/preqat.pth", "training/postqat.pth", "x"]

    assert left_out(paths, {}) == set()
    assert left_out(paths, {"recipe": "a", "checkpoint": "postqat"}) == {
        "recipe_b.md",
        "training/preqat.pth",
    }
    assert left_out(paths, {"recipe_type": "b", "deployment": "default"}) == {"recipe_a.md"}


def test_a_link_brings_along_what_it_leads_to() -> None:
    listing = {
        "a/b": link_entry("../c/d"),
        "c/d": FILE,
        "c/e": FILE,
        "f": link_entry("c"),
        "g": FILE,
        "h": link_entry("nowhere"),
    }

    assert reaching(listing, ["a/b"]).keys() == {"a/b", "c/d"}
    assert reaching(listing, ["f"]).keys() == {"f", "c/d", "c/e"}
    assert reaching(listing, ["f/e"]).keys() == {"f", "c/d", "c/e"}
    assert reaching(listing, ["a", "h"]).keys() == {"a/b", "c/d", "h"}
    assert reaching(listing, [""]).keys() == listing.keys()


@given(st.lists(NAMES, min_size=1, max_size=3), NAMES)
def test_an_exact_glob_fits_one_path(parts: list[str], other: str) -> None:
    path = "/".join(parts)
    if any(part in (".", "..") for part in parts):
        return
    fits = selector([exact(path)], [])

    assert fits(path, Kind.FILE)
    assert not fits(f"x{path}", Kind.FILE)
    assert fits(other, Kind.FILE) == (other == path)
    assert fits(f"{other}/{path}", Kind.FILE) == f"{other}/{path}".startswith(f"{path}/")
