"""Adding a directory again: nothing is read that was not touched, and whatever was touched is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore import Store
from zoostore.digest import hash_bytes

if TYPE_CHECKING:
    from tests.conftest import Files, LayOut

FILES: Files = {"a": b"small", "d/b": b"large" * 20, "run*": b"#!", "link": "a", "empty/": None}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files below `model` that were opened."""
    seen: list[str] = []
    real = os.open

    def watch(path: object, flags: int, *rest: object, **more: object) -> int:
        is_file = isinstance(path, str | Path) and not flags & os.O_DIRECTORY
        if is_file and "/model/" in str(path):
            seen.append(str(path).rpartition("/model/")[2])
        return real(path, flags, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", watch)
    return seen


@pytest.fixture
def model(store: Store, lay: LayOut) -> Path:
    """A directory that was added, and whose files are older than that."""
    directory = lay("model", FILES)
    for path in directory.rglob("*"):
        if not path.is_symlink():
            os.utime(path, (1, 1))
    store.add(directory, "zoo:m")
    return directory


def test_what_was_not_touched_is_not_read(store: Store, model: Path, opened: list[str]) -> None:
    first = store.snapshot("zoo:m").id

    done = store.add(model, "zoo:m")

    assert opened == []
    assert (done.snapshot, done.new_objects) == (first, 0)
    assert store.add(model, "zoo:other").files == len(FILES) - 1
    assert opened == []


@pytest.mark.parametrize("path", ["a", "d/b", "run"])
def test_what_was_touched_is_read(store: Store, model: Path, opened: list[str], path: str) -> None:
    (model / path).write_bytes(b"LARGE" * 20)
    done = store.add(model, "zoo:m")

    assert opened == [path, path], "a large file is hashed ahead of its turn"
    assert done.new_objects > 0
    with store.open_file("zoo:m", path) as file:
        assert file.read() == b"LARGE" * 20


def test_an_edit_that_keeps_size_and_time_is_seen(store: Store, model: Path) -> None:
    (model / "a").write_bytes(b"SMALL")
    os.utime(model / "a", (1, 1))

    assert store.add(model, "zoo:m").new_objects > 0


def test_a_changed_mode_is_seen(store: Store, model: Path) -> None:
    (model / "a").chmod(0o755)
    store.add(model, "zoo:m")

    assert {file.path: file.mode for file in store.files("zoo:m")}["a"] == "100755"


def test_what_the_store_has_lost_is_read(store: Store, model: Path, opened: list[str]) -> None:
    digits = hash_bytes(b"large" * 20).hex()
    (store.path / "objects" / digits[:2] / digits[2:]).unlink()

    store.add(model, "zoo:m")

    assert opened == ["d/b", "d/b"]
    assert store.verify().is_clean


def test_what_gc_took_is_read(store: Store, model: Path, opened: list[str]) -> None:
    store.remove("zoo:m")
    store.gc(yes=True, grace=0)

    store.add(model, "zoo:m")

    assert sorted(opened) == ["a", "d/b", "d/b", "run"]
    assert store.verify().is_clean


def test_without_the_record_everything_is_read(
    store: Store, model: Path, opened: list[str]
) -> None:
    shutil.rmtree(store.path / "checkouts/.laid")

    assert store.add(model, "zoo:m").new_objects == 0
    assert sorted(opened) == ["a", "d/b", "d/b", "run"]


def test_files_from_before_1970_are_as_good_as_others(
    store: Store, lay: LayOut, tmp_path: Path, opened: list[str]
) -> None:
    """Some archives and file systems give all their files a time that is none."""
    directory = lay("model", FILES)
    for path in directory.rglob("*"):
        if not path.is_symlink():
            os.utime(path, (-86_400, -86_400))
    store.add(directory, "zoo:m")
    del opened[:]

    assert store.add(directory, "zoo:m").new_objects == 0
    assert opened == []
    assert len(store.adopt(directory, stub="zoo:adopted").models) == 1
    work = store.checkout("zoo:adopted", tmp_path / "work", link="hardlink").directory
    os.utime(work / "a", (-86_400, -86_400))
    assert store.status(work).is_clean
    (work / "a").write_bytes(b"other")
    os.utime(work / "a", (-86_400, -86_400))
    assert store.status(work).modified == ("a",)
    store.commit(work, message="an edit", time=1)
    assert store.verify().is_clean
