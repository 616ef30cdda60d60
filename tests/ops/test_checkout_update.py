"""checkout into a checkout: touches only what differs, and never what was edited unless forced."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

from zoostore import Store
from zoostore.errors import DirectoryNotEmpty, LinkModeUnavailable, LocalChanges, UsageError
from zoostore.progress import Silent

if TYPE_CHECKING:
    from tests.conftest import Content, LayOut

Look: TypeAlias = "Callable[[Path], dict[str, Content]]"
Stamps: TypeAlias = Callable[[Path], dict[str, tuple[int, int]]]
Edit: TypeAlias = Callable[[Path], object]

STUB = "zoo:mine"
BIG = bytes(range(256))
OLD: dict[str, Content] = {
    "same.bin": BIG,
    "same.txt": b"same",
    "sub/same.txt": b"same too",
    "link": "same.txt",
    "changed.txt": b"old",
    "changed.bin": BIG + b"old",
    "removed.txt": b"removed",
    "gone/removed.bin": BIG + b"gone",
    "kind": b"a file",
    "folder/in.txt": b"in",
}
NEW: dict[str, Content] = {
    "same.bin": BIG,
    "same.txt": b"same",
    "sub/same.txt": b"same too",
    "link": "same.txt",
    "changed.txt": b"new",
    "changed.bin": BIG + b"new",
    "added.txt": b"added",
    "more/added.bin": BIG + b"more",
    "kind/now": b"a folder",
    "folder": b"now a file",
}
SAME = ("same.bin", "same.txt", "sub/same.txt", "link")


@pytest.fixture
def both(store: Store, lay: LayOut) -> Store:
    """A store in which `@old` and the newest snapshot of a model are `OLD` and `NEW`."""
    store.add(lay("old", OLD), STUB)
    store.tag(STUB, "old")
    store.add(lay("new", NEW), STUB)
    return store


@pytest.fixture
def work(both: Store, tmp_path: Path) -> Path:
    """A checkout of `OLD`."""
    return both.checkout(f"{STUB}@old", tmp_path / "work").directory


@pytest.mark.parametrize("link", ["hardlink", "symlink", "copy"])
def test_an_update_gives_the_other_snapshot(
    both: Store, tmp_path: Path, look: Look, link: str
) -> None:
    work = both.checkout(f"{STUB}@old", tmp_path / "work", link=link).directory

    done = both.checkout(STUB, work, link=link)

    fresh = both.checkout(STUB, tmp_path / "fresh", link=link).directory
    assert look(work) == look(fresh)
    assert (done.kept, done.removed, done.files) == (4, 4, len(NEW))
    assert both.status(work).is_clean
    assert both.status(work).snapshot == both.snapshot(STUB).id


def test_an_update_touches_only_what_differs(both: Store, work: Path, stamps: Stamps) -> None:
    before = stamps(work)

    both.checkout(STUB, work)

    after = stamps(work)
    assert {name: after[name] for name in SAME} == {name: before[name] for name in SAME}


def test_a_checkout_of_what_is_there_touches_nothing(
    both: Store, work: Path, stamps: Stamps
) -> None:
    before = {name: stamp for name, stamp in stamps(work).items() if ".zoostore" not in name}

    done = both.checkout(f"{STUB}@old", work)

    after = {name: stamp for name, stamp in stamps(work).items() if ".zoostore" not in name}
    assert after == before
    assert (done.kept, done.removed, sum(done.linked.values())) == (len(OLD), 0, 0)


def test_deleted_files_come_back(both: Store, work: Path, look: Look) -> None:
    (work / "same.txt").unlink()
    (work / "changed.bin").unlink()
    shutil.rmtree(work / "sub")

    both.checkout(f"{STUB}@old", work)

    assert look(work) == OLD


def test_a_file_deleted_from_both_sides_is_no_conflict(both: Store, work: Path, look: Look) -> None:
    (work / "removed.txt").unlink()
    shutil.rmtree(work / "gone")

    both.checkout(STUB, work)

    assert look(work) == NEW


def test_a_folder_that_was_emptied_by_deleting_is_not_in_the_way(
    both: Store, work: Path, look: Look
) -> None:
    """Its place is taken by a file, or by nothing."""
    (work / "folder/in.txt").unlink()
    (work / "gone/removed.bin").unlink()

    both.checkout(STUB, work)

    assert look(work) == NEW
    assert both.status(work).is_clean


def test_edited_and_untracked_files_that_are_not_in_the_way_survive(
    both: Store, work: Path, look: Look
) -> None:
    (work / "same.txt").write_bytes(b"edited")
    (work / "mine.txt").write_bytes(b"mine")
    (work / "sub/mine.txt").write_bytes(b"mine too")
    (work / "void").mkdir()

    both.checkout(STUB, work)

    expected = {"same.txt": b"edited", "mine.txt": b"mine", "sub/mine.txt": b"mine too"}
    assert look(work) == {**NEW, **expected, "void/": None}
    status = both.status(work)
    assert status.modified == ("same.txt",)
    assert sorted(status.untracked) == ["mine.txt", "sub/mine.txt", "void/"]


def test_an_untracked_file_in_a_folder_that_goes_survives(
    both: Store, work: Path, look: Look
) -> None:
    (work / "gone/mine.txt").write_bytes(b"mine")

    both.checkout(STUB, work)

    assert look(work) == {**NEW, "gone/mine.txt": b"mine"}


def test_a_file_that_already_is_what_is_wanted_is_no_conflict(
    both: Store, work: Path, look: Look
) -> None:
    (work / "changed.txt").write_bytes(b"new")
    (work / "added.txt").write_bytes(b"added")

    both.checkout(STUB, work)

    assert look(work) == NEW
    assert both.status(work).is_clean


def write(name: str) -> Edit:
    def edit(root: Path) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(b"mine")

    return edit


def folder_at(name: str) -> Edit:
    def edit(root: Path) -> None:
        (root / name).unlink(missing_ok=True)
        write(f"{name}/mine.txt")(root)

    return edit


def link_at(name: str) -> Edit:
    def edit(root: Path) -> None:
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to("sub")

    return edit


IN_THE_WAY: dict[str, tuple[Edit, str]] = {
    "an edited file that changes": (write("changed.txt"), "changed.txt"),
    "an edited large file that changes": (write("changed.bin"), "changed.bin"),
    "an edited file that goes": (write("removed.txt"), "removed.txt"),
    "an edited file in a folder that goes": (write("gone/removed.bin"), "gone/removed.bin"),
    "an edited file that becomes a folder": (write("kind"), "kind"),
    "an edited file in a folder that becomes a file": (write("folder/in.txt"), "folder/in.txt"),
    "a file made executable that changes": (
        lambda root: (root / "changed.txt").chmod(0o755),
        "changed.txt",
    ),
    "a link where a file changes": (link_at("changed.txt"), "changed.txt"),
    "an untracked file where one comes": (write("added.txt"), "added.txt"),
    "an untracked link where a file comes": (link_at("added.txt"), "added.txt"),
    "an untracked file where a folder comes": (write("more"), "more"),
    "an untracked link where a folder comes": (link_at("more"), "more"),
    "an untracked file where a folder becomes a file": (write("folder/mine"), "folder/mine"),
    "an untracked folder where a file comes": (folder_at("added.txt"), "added.txt/mine.txt"),
    "an empty folder where a file comes": (lambda root: (root / "added.txt").mkdir(), "added.txt"),
    "a folder where a file changes": (folder_at("changed.txt"), "changed.txt/mine.txt"),
}


@pytest.mark.parametrize("case", IN_THE_WAY)
def test_what_would_be_lost_is_a_conflict_that_is_named(
    both: Store, work: Path, look: Look, stamps: Stamps, case: str
) -> None:
    edit, path = IN_THE_WAY[case]
    edit(work)
    before, files = stamps(work), look(work)

    with pytest.raises(LocalChanges) as raised:
        both.checkout(STUB, work)

    assert raised.value.facts["paths"] == [path]
    assert path in raised.value.message
    assert (stamps(work), look(work)) == (before, files)
    assert both.status(work).snapshot == both.snapshot(f"{STUB}@old").id


@pytest.mark.parametrize("case", IN_THE_WAY)
def test_force_overwrites_what_is_in_the_way(
    both: Store, work: Path, look: Look, case: str
) -> None:
    edit, _ = IN_THE_WAY[case]
    edit(work)
    (work / "mine.txt").write_bytes(b"not in the way")

    both.checkout(STUB, work, force=True)

    assert look(work) == {**NEW, "mine.txt": b"not in the way"}
    assert both.status(work).untracked == ("mine.txt",)
    assert not both.status(work).modified


class Meddling(Silent):
    """A progress that edits a file once the checkout has been planned."""

    def __init__(self, edit: Callable[[], object]) -> None:
        self._edit = edit

    def begin(self, what: str, total_bytes: int) -> None:
        if what == "checking out":
            self._edit()

    def advance(self, count: int) -> None:
        pass

    def end(self) -> None:
        pass


@pytest.mark.parametrize(
    "name", ["changed.txt", "changed.bin", "removed.txt", "gone/removed.bin", "added.txt"]
)
def test_a_file_edited_while_an_update_is_made_ready_is_not_lost(
    both: Store, work: Path, name: str
) -> None:
    def edit() -> None:
        (work / name).unlink(missing_ok=True)
        (work / name).write_bytes(b"just now")

    with pytest.raises(LocalChanges):
        Store(both.path, progress=Meddling(edit)).checkout(STUB, work)

    assert (work / name).read_bytes() == b"just now"


def test_an_update_never_writes_through_a_link_that_took_a_folders_place(
    both: Store, work: Path, tmp_path: Path, look: Look, lay: LayOut
) -> None:
    outside = lay("outside", {"same.txt": b"precious", "in.txt": b"precious too"})
    for name in ("sub", "folder"):
        shutil.rmtree(work / name)
        (work / name).symlink_to(outside)

    for force in (False, True):
        try:
            both.checkout(f"{STUB}@old", work, force=force)
        except LocalChanges:
            assert not force
        assert look(outside) == {"same.txt": b"precious", "in.txt": b"precious too"}
    assert look(work) == OLD


def test_every_conflict_is_named_up_to_ten_and_the_rest_counted(
    store: Store, lay: LayOut, tmp_path: Path
) -> None:
    names = [f"file{number:02}" for number in range(15)]
    store.add(lay("old", dict.fromkeys(names, b"old")), STUB)
    work = store.checkout(STUB, tmp_path / "work").directory
    store.add(lay("new", dict.fromkeys(names, b"new")), STUB)
    for name in names:
        (work / name).write_bytes(b"mine")

    with pytest.raises(LocalChanges) as raised:
        store.checkout(STUB, work)

    assert raised.value.facts["paths"] == names
    assert "file09" in raised.value.message
    assert "file10" not in raised.value.message
    assert "5 more" in raised.value.message


@pytest.mark.parametrize("target", ["b", "a", "nowhere", "b/x"])
def test_a_link_becomes_a_folder_and_a_link_again(
    store: Store, lay: LayOut, tmp_path: Path, look: Look, target: str
) -> None:
    old: dict[str, Content] = {"a": target, "b/x": b"x"}
    new: dict[str, Content] = {"a/x": b"in a", "b/x": b"x"}
    store.add(lay("old", old), STUB)
    work = store.checkout(STUB, tmp_path / "work").directory
    store.add(lay("new", new), STUB)

    store.checkout(STUB, work)
    assert look(work) == new
    store.checkout(f"{STUB}@~1", work)
    assert look(work) == old


def test_globs_can_be_widened_and_narrowed(both: Store, tmp_path: Path, look: Look) -> None:
    work = both.checkout(STUB, tmp_path / "work", include=["sub/", "*.bin"]).directory
    narrow = {"sub/same.txt": b"same too"}
    wide = {**narrow, "same.bin": BIG, "changed.bin": BIG + b"new", "more/added.bin": BIG + b"more"}
    assert look(work) == wide

    both.checkout(STUB, work, include=["sub/"])
    assert look(work) == narrow
    both.checkout(STUB, work)
    assert look(work) == NEW


def test_a_checkout_of_another_model_replaces_the_first(
    both: Store, work: Path, look: Look, lay: LayOut
) -> None:
    both.add(lay("other", {"a": b"a", "same.txt": b"same"}), "zoo:other")

    both.checkout("zoo:other", work)

    assert look(work) == {"a": b"a", "same.txt": b"same"}
    assert both.status(work).stub == "zoo:other"


def test_a_directory_with_other_things_in_it_is_refused(
    both: Store, lay: LayOut, look: Look
) -> None:
    directory = lay("strange", {"thesis.txt": b"ten years"})

    with pytest.raises(DirectoryNotEmpty):
        both.checkout(STUB, directory)

    assert look(directory) == {"thesis.txt": b"ten years"}
    assert not (directory / ".zoostore").exists()


def test_force_lays_out_among_other_things(both: Store, lay: LayOut, look: Look) -> None:
    directory = lay("strange", {"thesis.txt": b"ten years", "same.txt": b"other"})

    both.checkout(STUB, directory, force=True)

    assert look(directory) == {**NEW, "thesis.txt": b"ten years"}
    assert both.status(directory).untracked == ("thesis.txt",)


def test_a_file_is_no_place_for_a_checkout(both: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a file")

    for force in (False, True):
        with pytest.raises(DirectoryNotEmpty):
            both.checkout(STUB, tmp_path / "file", force=force)

    assert (tmp_path / "file").read_bytes() == b"a file"


@pytest.mark.parametrize("place", ["new", "sub/new", "sub"])
def test_a_folder_of_a_checkout_is_no_place_for_another(
    both: Store, work: Path, look: Look, place: str
) -> None:
    before = look(work)

    for force in (False, True):
        with pytest.raises((UsageError, DirectoryNotEmpty)):
            both.checkout(STUB, work / place, force=force)

    assert look(work) == before
    assert both.status(work).is_clean


@pytest.mark.parametrize("place", ["", "objects/x", "tmp"])
def test_a_store_is_no_place_for_a_checkout(both: Store, place: str) -> None:
    for force in (False, True):
        with pytest.raises((UsageError, DirectoryNotEmpty)):
            both.checkout(STUB, both.path / place, force=force)

    assert both.verify().is_clean
    assert not (both.path / place / "same.txt").exists()


def test_a_link_to_nowhere_is_no_place_for_a_checkout(both: Store, tmp_path: Path) -> None:
    (tmp_path / "dead").symlink_to(tmp_path / "nowhere")

    for force in (False, True):
        with pytest.raises(DirectoryNotEmpty):
            both.checkout(STUB, tmp_path / "dead", force=force)

    assert not (tmp_path / "nowhere").exists()


def test_an_empty_directory_is_a_place_for_a_checkout(
    both: Store, tmp_path: Path, look: Look
) -> None:
    (tmp_path / "empty").mkdir()

    both.checkout(STUB, tmp_path / "empty")

    assert look(tmp_path / "empty") == NEW


@pytest.mark.parametrize("exists", [False, True])
def test_a_checkout_that_fails_leaves_the_place_as_it_was(
    both: Store, tmp_path: Path, look: Look, exists: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty directory stays empty, so that the next try is not refused."""
    monkeypatch.setattr("zoostore.files.links._FICLONE", 0)  # no file system knows this request
    place = tmp_path / "place"
    if exists:
        place.mkdir()
    before = sorted(tmp_path.iterdir())

    with pytest.raises(LinkModeUnavailable):
        both.checkout(STUB, place, link="reflink")

    assert sorted(tmp_path.iterdir()) == before
    both.checkout(STUB, place)
    assert look(place) == NEW


def test_the_default_place_is_the_models_short_name_here(
    both: Store, tmp_path: Path, look: Look, monkeypatch: pytest.MonkeyPatch, lay: LayOut
) -> None:
    full = "zoo:cv/classification/resnet_v1-50/pytorch/torchvision/imagenette/base-none"
    both.add(lay("full", {"a": b"a"}), full)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    done = both.checkout("resnet_v1-50-imagenette-base")

    assert done.directory == Path("resnet_v1-50-imagenette-base")
    assert look(Path("resnet_v1-50-imagenette-base")) == {"a": b"a"}


def test_missing_folders_above_the_place_are_made(both: Store, tmp_path: Path, look: Look) -> None:
    both.checkout(STUB, tmp_path / "a/b/c")

    assert look(tmp_path / "a/b/c") == NEW


def test_a_place_given_through_a_link_is_updated_where_it_leads(
    both: Store, work: Path, tmp_path: Path, look: Look
) -> None:
    (tmp_path / "alias").symlink_to(work)

    both.checkout(STUB, tmp_path / "alias")

    assert os.path.islink(tmp_path / "alias")
    assert look(work) == NEW
