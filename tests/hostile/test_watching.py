"""The watch itself: it would see what it is there to see."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hostile.watching import Watch, picture


def in_a_thread(act: Callable[[], object]) -> None:
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()


CHANGES: dict[str, Callable[[Path], object]] = {
    "write": lambda root: (root / "out/file").write_bytes(b"x"),
    "append": lambda root: (root / "out/old").open("ab").close(),
    "through a link": lambda root: (root / "in/link/file").write_bytes(b"x"),
    "by a path up": lambda root: (root / "in/../out/file").write_bytes(b"x"),
    "os.open": lambda root: os.close(os.open(root / "out/file", os.O_CREAT | os.O_WRONLY)),
    "rename into": lambda root: os.rename(root / "in/file", root / "out/file"),
    "rename out of": lambda root: os.rename(root / "out/old", root / "in/old"),
    "replace": lambda root: os.replace(root / "in/file", root / "out/old"),
    "link": lambda root: os.link(root / "in/file", root / "out/file"),
    "symlink": lambda root: os.symlink("x", root / "out/file"),
    "mkdir": lambda root: os.mkdir(root / "out/folder"),
    "remove": lambda root: os.remove(root / "out/old"),
    "rmdir": lambda root: os.rmdir(root / "out/empty"),
    "rmtree": lambda root: shutil.rmtree(root / "out"),
    "chmod": lambda root: os.chmod(root / "out/old", 0o600),
    "utime": lambda root: os.utime(root / "out/old", (1, 1)),
    "truncate": lambda root: os.truncate(root / "out/old", 0),
    "in a thread": lambda root: in_a_thread((root / "out/file").touch),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("in", "out/empty"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "in/file").write_bytes(b"x")
    (tmp_path / "in/link").symlink_to("../out")
    (tmp_path / "out/old").write_bytes(b"old")
    return tmp_path


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_outside_is_seen(root: Path, change: str) -> None:
    with Watch([root / "in"]) as watch:
        CHANGES[change](root)

    assert watch.outside
    assert all(path.startswith(str(root / "out")) for _, path in watch.outside)


def test_a_change_inside_and_what_only_reads_is_not(root: Path) -> None:
    with Watch([root / "in"]) as watch:
        (root / "in/new").write_bytes(b"x")
        os.symlink("../out/old", root / "in/away")
        os.remove(root / "in/away")
        (root / "out/old").read_bytes()
        list(root.rglob("*"))

    assert (watch.outside, watch.inside) == ([], 3)


def test_a_watch_that_has_ended_sees_nothing(root: Path) -> None:
    with Watch([root / "in"]) as watch:
        pass
    (root / "out/file").touch()

    assert watch.outside == []


def test_a_picture_shows_what_was_touched(root: Path) -> None:
    before = picture(root, [root / "in"])
    (root / "in/new").touch()
    assert picture(root, [root / "in"]) == before
    (root / "out/old").write_bytes(b"new")
    assert picture(root, [root / "in"]) != before
