"""Listings: to nested trees and back, and what unfolds into too much."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoostore import reread
from zoostore.digest import Oid, hash_bytes
from zoostore.errors import MalformedObject, MissingObject, UnsafePath
from zoostore.objects import walking
from zoostore.objects.listing import EMPTY_DIRECTORY, EMPTY_TREE, build, directories
from zoostore.objects.paths import MAX_DEPTH, folded
from zoostore.objects.tree import Entry, Kind, decode_tree, encode_tree, link_entry, tree_oid
from zoostore.objects.walking import ReadTree, TreeListing, flatten, totals, walk

Folder: TypeAlias = dict[str, "Entry | Folder"]

FILE = Entry(Kind.FILE, 5, hash_bytes(b"hello"))
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=4)
LEAVES = st.one_of(
    st.builds(
        Entry,
        st.sampled_from([Kind.FILE, Kind.EXECUTABLE]),
        st.integers(0, 1 << 40),
        st.binary(min_size=32, max_size=32).map(Oid),
        st.just(""),
    ),
    st.sampled_from(["a", "b/c", "."]).map(link_entry),
)


def folders_of(children: st.SearchStrategy[Entry | Folder]) -> st.SearchStrategy[Folder]:
    names = NAMES.filter(lambda name: name not in (".", ".."))
    return st.lists(
        st.tuples(names, children), max_size=4, unique_by=lambda item: folded(item[0])
    ).map(dict)


FOLDERS = folders_of(st.recursive(LEAVES, folders_of, max_leaves=12))


def listed(folder: Folder, prefix: str = "") -> dict[str, Entry]:
    """The listing of nested dictionaries."""
    listing: dict[str, Entry] = {}
    for name, child in folder.items():
        if isinstance(child, Entry):
            listing[prefix + name] = child
        else:
            listing |= listed(child, f"{prefix}{name}/") or {prefix + name: EMPTY_DIRECTORY}
    return listing


def reader(trees: Mapping[Oid, bytes]) -> ReadTree:
    def read_tree(oid: Oid) -> Mapping[str, Entry]:
        if oid not in trees:
            raise MissingObject("There is no such tree.", oid=str(oid))
        return decode_tree(trees[oid])

    return read_tree


def put(trees: dict[Oid, bytes], entries: Mapping[str, Entry]) -> Entry:
    """Add a tree; the entry of a directory that is this tree."""
    data = encode_tree(entries)
    trees[tree_oid(data)] = data
    return Entry(Kind.DIRECTORY, 0, tree_oid(data))


@given(FOLDERS)
def test_a_listing_comes_back_from_its_trees(folder: Folder) -> None:
    listing = listed(folder)
    built = build(listing)

    assert flatten(reader(built.trees), built.root) == listing


@given(FOLDERS, st.integers())
def test_trees_do_not_depend_on_the_order_of_a_listing(folder: Folder, seed: int) -> None:
    items = list(listed(folder).items())
    built = build(dict(items))
    random.Random(seed).shuffle(items)
    again = build(dict(items))

    assert (again.root, again.trees) == (built.root, built.trees)
    assert list(flatten(reader(again.trees), again.root)) == list(
        flatten(reader(built.trees), built.root)
    )


@given(FOLDERS)
def test_trees_come_before_those_that_hold_them(folder: Folder) -> None:
    built = build(listed(folder))
    seen: set[Oid] = set()
    for oid, data in built.trees.items():
        children = decode_tree(data).values()
        assert all(child.oid in seen for child in children if child.kind is Kind.DIRECTORY)
        seen.add(oid)
    assert list(built.trees)[-1] == built.root


@given(FOLDERS)
def test_a_walk_meets_a_directory_before_what_it_holds(folder: Folder) -> None:
    built = build(listed(folder))
    met = {""}
    for path, _ in walk(reader(built.trees), built.root):
        assert path.rpartition("/")[0] in met
        assert path not in met
        met.add(path)


@given(FOLDERS)
def test_directories_are_all_that_a_walk_meets(folder: Folder) -> None:
    listing = listed(folder)
    built = build(listing)
    walked = walk(reader(built.trees), built.root)

    assert directories(listing) == {path for path, e in walked if e.kind is Kind.DIRECTORY}


@given(FOLDERS)
def test_totals_count_files_and_links_and_no_directories(folder: Folder) -> None:
    listing = listed(folder)
    kept = [entry for entry in listing.values() if entry.kind is not Kind.DIRECTORY]

    assert totals(listing) == (len(kept), sum(entry.size for entry in kept))


def test_no_paths_are_the_empty_tree() -> None:
    built = build({})

    assert built.root == EMPTY_TREE
    assert flatten(reader(built.trees), built.root) == {}


def test_an_empty_directory_beside_what_stands_in_it_is_just_a_directory() -> None:
    both = build({"a": EMPTY_DIRECTORY, "a/b": FILE})

    assert both == build({"a/b": FILE, "a": EMPTY_DIRECTORY}) == build({"a/b": FILE})


@pytest.mark.parametrize("paths", [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a/b")])
def test_a_path_cannot_be_a_file_and_a_directory(paths: tuple[str, str]) -> None:
    with pytest.raises(MalformedObject):
        build(dict.fromkeys(paths, FILE))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/a",
        "a/",
        "a//b",
        "..",
        "../a",
        "a/../b",
        "./a",
        "a\0",
        ".zoostore/x",
        "a/.Zoostore",
        "\ud800",
        "a/\udcff",
        "a/" * MAX_DEPTH + "a",
        "a" * 5000,
    ],
)
def test_an_unsafe_path_is_not_built(path: str) -> None:
    with pytest.raises(UnsafePath):
        build({path: FILE})


@pytest.mark.parametrize("paths", [("a/X", "a/x"), ("A/b", "a/c"), ("é", "e\u0301")])
def test_paths_that_hide_each_other_are_not_built(paths: tuple[str, str]) -> None:
    with pytest.raises(UnsafePath):
        build(dict.fromkeys(paths, FILE))


def test_a_link_that_leads_outside_is_not_built() -> None:
    with pytest.raises(UnsafePath):
        build({"a/link": link_entry("../../x")})


def test_a_link_that_leads_outside_is_refused_where_its_depth_is_known() -> None:
    trees: dict[Oid, bytes] = {}
    folder = put(trees, {"link": link_entry("../x")})
    root = put(trees, {"a": folder, "link": link_entry("a")})

    assert set(flatten(reader(trees), root.oid)) == {"a/link", "link"}
    with pytest.raises(UnsafePath):
        flatten(reader(trees), folder.oid)


@pytest.mark.parametrize("target", ["", "/etc/passwd", "a\0b", "a/../..", "x" * 4096])
def test_an_unsafe_link_in_a_tree_is_refused(target: str) -> None:
    trees: dict[Oid, bytes] = {}
    root = put(trees, {"link": link_entry(target)})

    with pytest.raises(UnsafePath):
        list(walk(reader(trees), root.oid))


def test_the_deepest_path_that_is_built_is_walked() -> None:
    path = "/".join("d" * MAX_DEPTH)
    built = build({path: FILE})

    assert flatten(reader(built.trees), built.root) == {path: FILE}


def test_trees_nested_deeper_than_any_path_are_refused() -> None:
    trees: dict[Oid, bytes] = {}
    folder = put(trees, {"file": FILE})
    for _ in range(MAX_DEPTH + 1):
        folder = put(trees, {"d": folder})

    with pytest.raises(UnsafePath):
        list(walk(reader(trees), folder.oid))


def test_a_few_shared_trees_cannot_unfold_into_more_paths_than_are_bearable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trees: dict[Oid, bytes] = {}
    folder = put(trees, {"file": FILE})
    for _ in range(60):  # 2 ** 60 paths in 61 trees
        folder = put(trees, {"a": folder, "b": folder})
    monkeypatch.setattr(walking, "MAX_ENTRIES", 1000)

    with pytest.raises(MalformedObject):
        flatten(reader(trees), folder.oid)


def test_a_missing_tree_is_named() -> None:
    trees: dict[Oid, bytes] = {}
    missing = Oid(bytes(32))
    root = put(trees, {"d": Entry(Kind.DIRECTORY, 0, missing)})

    with pytest.raises(MissingObject) as caught:
        flatten(reader(trees), root.oid)

    assert caught.value.facts["oid"] == str(missing)


@given(FOLDERS, st.integers(0, 3))
def test_a_listing_that_is_read_from_its_trees_says_what_one_that_is_held_says(
    folder: Folder, few: int
) -> None:
    listing = listed(folder)
    built = build(listing)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reread, "FEW", few)
        found = flatten(lambda oid: decode_tree(built.trees[oid]), built.root)
        assert isinstance(found, TreeListing)
        for _ in range(2):
            assert dict(found.items()) == listing
            assert sorted(found) == sorted(listing)
            assert sorted(entry.oid for entry in found.values()) == sorted(
                entry.oid for entry in listing.values()
            )
        assert list(found.by_path()) == sorted(listing.items())
        assert {path: found[path] for path in sorted(listing)} == listing
        assert (len(found), totals(found)) == (len(listing), totals(listing))
        for path in ("no", "a/no/b", "", *directories(listing)):
            assert (path in found) == (path in listing)


def test_a_tree_that_cannot_be_read_is_noticed_when_a_listing_is_made() -> None:
    built = build({"a/b": FILE})
    del built.trees[built.root]
    with pytest.raises(KeyError):
        flatten(lambda oid: decode_tree(built.trees[oid]), built.root)
