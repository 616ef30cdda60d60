"""Roles: what the files of a model are for, told by their paths."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from zoostore.errors import Ambiguous, UnknownChoice, ZooError
from zoostore.files.globs import exact, selector
from zoostore.objects.listing import MAX_LINKS, reaching
from zoostore.objects.tree import Entry, Kind, link_entry
from zoostore.roles import checkpoints, choose, left_out, playing, recipes, sample_outputs

FILE = Entry(Kind.FILE, 1, link_entry("x").oid)
RECIPES = st.builds(
    "{}{}.{}".format,
    st.sampled_from(["", "recipe/"]),
    st.sampled_from(
        ["recipe", "recipe_original", "recipe_a", "recipe_ab", "recipe-A", "recipe_recipe"]
    ),
    st.sampled_from(["md", "yaml"]),
)
STEPS = ("a", "b", "c")
PATHS = st.lists(st.sampled_from(STEPS), min_size=1, max_size=3).map("/".join)
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


@given(st.sets(RECIPES, min_size=1))
def test_every_name_of_a_recipe_chooses_it(paths: set[str]) -> None:
    for name, path in recipes(paths).items():
        left = recipes(paths - left_out(paths, {"recipe": name}))

        assert set(left.values()) == {path}


@given(st.lists(st.sampled_from(["a", "A", "ab", "AB", "b.md", "b"]), min_size=1, unique=True))
def test_a_name_means_itself_whatever_others_there_are(names: list[str]) -> None:
    assert [choose("recipe", name, names) for name in names] == names


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
    if other in (".", ".."):  # no path of a snapshot holds one: it would be a longer way to `path`
        return
    assert fits(f"{other}/{path}", Kind.FILE) == f"{other}/{path}".startswith(f"{path}/")


@st.composite
def listings(draw: st.DrawFn) -> dict[str, Entry]:
    """Files and links, none below a file; few of the links go round."""
    found: dict[str, Entry] = {}
    for path in draw(st.lists(PATHS, unique=True, max_size=8)):
        parents = {path[:at] for at, character in enumerate(path) if character == "/"}
        if parents & found.keys() or any(other.startswith(path + "/") for other in found):
            continue
        aims = [other for other in found if not other.startswith(path + "/")] + ["nowhere"]
        aims += [posixpath.dirname(aim) for aim in aims if "/" in aim]
        aims += [f"{aim}/{step}" for aim in aims for step in STEPS]
        target = draw(st.none() | st.sampled_from(aims))
        is_above = target is not None and f"{path}/".startswith(f"{target}/")
        start = posixpath.dirname(path) or "."
        link = link_entry(posixpath.relpath(target, start)) if target and not is_above else FILE
        found[path] = link
    return found


def ends(listing: Mapping[str, Entry], path: str) -> tuple[str, set[str]]:
    """Where a path leads as a file system goes, name by name; and the links on the way.

    One that goes round, or through as many links as Linux follows, is another test's.
    """
    left, at, met, hops = path.split("/"), "", set[str](), 0
    while left:
        step = left.pop(0)
        at = posixpath.normpath(posixpath.join(at, step))
        entry = listing.get(at)
        if entry is not None and entry.kind is Kind.LINK:
            met.add(at)
            hops += 1
            assume(hops < MAX_LINKS)
            left, at = [*entry.target.split("/"), *left], posixpath.dirname(at)
    return at, met


def reached(listing: Mapping[str, Entry], paths: list[str]) -> set[str]:
    """The same as `reaching`, said more simply."""
    found: set[str] = set()
    pending = list(paths)
    while pending:
        at, met = ends(listing, pending.pop())
        new = met.union(path for path in listing if f"{path}/".startswith(f"{at}/")) - found
        found |= new
        pending += [path for path in new if listing[path].kind is Kind.LINK]
    return found


@given(listings(), st.lists(PATHS, max_size=3))
def test_what_is_reached_is_what_a_file_system_would_reach(
    listing: dict[str, Entry], paths: list[str]
) -> None:
    assert reaching(listing, paths).keys() == reached(listing, paths)


class Patient(dict[str, Entry]):
    """A listing that is asked for an entry a thousand times, and no more."""

    asked = 0

    def get(self, path: str, default: Any = None) -> Any:
        self.asked += 1
        assert self.asked < 1000
        return super().get(path, default)


@pytest.mark.parametrize(
    "links",
    [
        {"k": "k"},
        {"k": "l", "l": "k"},
        {"k": "l/x", "l": "l"},
        {"k": "l/x", "l": "m", "m": "l"},
        {"k": "l/x", "l": "l/y"},
        {"k": "l/x", "l": "m/y", "m": "l/z"},
    ],
    ids=str,
)
def test_links_that_go_round_come_to_an_end(links: dict[str, str]) -> None:
    """A snapshot may hold them, and whoever made it may mean harm."""
    listing = Patient({path: link_entry(target) for path, target in links.items()})

    assert "k" in reaching(listing, ["k"])
    assert reaching(listing, [""]).keys() == links.keys()


@given(NAMES, st.sampled_from(["", " ", "\t", "\\", "*", "?", "x", ".", "\u3000"]))
def test_an_exact_glob_fits_none_of_the_names_beside_it(name: str, more: str) -> None:
    siblings = {name + more, more + name, name.strip(), name.swapcase(), name[1:], name[:-1]}
    siblings |= {name.replace(character, "x") for character in name} | {"x", "x" * len(name)}
    siblings -= {f"{name}\n"}  # which globs do not tell apart
    fits = selector([exact(f"folder/{name}")], [])

    fitting = [other for other in siblings | {name} if fits(f"folder/{other}", Kind.FILE)]

    assert fitting == [name]
