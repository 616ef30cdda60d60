"""The layout: what is a store, what is not, and how one comes to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoostore.digest import hash_bytes
from zoostore.errors import NewerFormat, NoStore
from zoostore.store.layout import FORMAT, Layout
from zoostore.store.names import Names


def contents(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_new_store_says_its_format_in_one_line(layout: Layout) -> None:
    assert layout.format.read_bytes() == b"zoostore 1\n"
    assert layout.exists()
    assert contents(layout.root) == ["format", "objects", "packs", "tmp"]


def test_objects_and_packs_are_named_by_their_ids(layout: Layout) -> None:
    oid = hash_bytes(b"")

    assert layout.loose(oid) == layout.root / "objects" / "af" / str(oid)[2:]
    assert layout.pack(oid) == layout.root / "packs" / f"{oid}.zpack"


def test_the_index_may_be_elsewhere(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "store", tmp_path / "fast" / "index")
    layout.create()
    Names(layout)

    assert not (tmp_path / "store" / "index").exists()
    assert (tmp_path / "fast" / "index" / "data.mdb").exists()


@pytest.mark.parametrize("made", ["nothing", "folder", "parents"])
def test_a_store_is_made_where_nothing_is(tmp_path: Path, made: str) -> None:
    root = {"nothing": tmp_path / "a", "folder": tmp_path, "parents": tmp_path / "a" / "b" / "c"}
    layout = Layout(root[made])
    assert not layout.exists()
    with pytest.raises(NoStore):
        Names(layout)

    layout.create()

    assert layout.exists()
    assert Names(layout).refs() == {}


def test_to_make_a_store_twice_is_to_make_it_once(layout: Layout) -> None:
    layout.create()

    assert layout.exists()


@pytest.mark.parametrize("left", [["objects"], ["objects", "packs", "tmp"], [".format.1.ab.tmp"]])
def test_a_store_whose_making_was_cut_off_is_finished(tmp_path: Path, left: list[str]) -> None:
    for name in left:
        (tmp_path / name).mkdir()
    layout = Layout(tmp_path)
    assert not layout.exists()

    layout.create()

    assert Names(layout).refs() == {}


def test_a_folder_with_other_things_in_it_is_not_made_a_store(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("Once upon a time")
    (tmp_path / "objects").mkdir()

    with pytest.raises(NoStore) as caught:
        Layout(tmp_path).create()

    assert "thesis.tex" in caught.value.message
    assert caught.value.exit_code == 10
    assert contents(tmp_path) == ["objects", "thesis.tex"]


def test_a_file_is_not_made_a_store(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("content")

    assert not Layout(path).exists()
    with pytest.raises(NoStore):
        Layout(path).create()
    assert path.read_text() == "content"


def test_a_store_of_a_later_format_is_left_alone(layout: Layout) -> None:
    layout.format.write_text(f"zoostore {FORMAT + 1}\n")
    before = contents(layout.root)

    with pytest.raises(NewerFormat) as caught:
        Names(layout)

    assert caught.value.facts["found"] == FORMAT + 1
    assert contents(layout.root) == before


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"1\n", b"zoostore\n", b"zoostore one\n", b"zoostore -1\n", b"zoostore \xc2\xb2\n"),
        *(b"othertool 1\n", b"\xff\xfe\x00", b"<html>" * 1000),
    ],
)
def test_a_folder_whose_format_file_says_something_else_is_no_store(
    layout: Layout, line: bytes
) -> None:
    layout.format.write_bytes(line)

    with pytest.raises(NoStore):
        layout.exists()
