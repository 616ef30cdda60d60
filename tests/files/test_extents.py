"""Extents: a clone is told from a copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from zoostore.files.extents import share_blocks
from zoostore.files.links import reflink

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def first(tmp_path: Path) -> Path:
    path = tmp_path / "first"
    path.write_bytes(CONTENT)
    return path


def test_a_copy_has_blocks_of_its_own(first: Path, tmp_path: Path) -> None:
    # By way of memory: the kernel may clone what it is asked to copy.
    (tmp_path / "copy").write_bytes(first.read_bytes())

    assert not share_blocks(first, tmp_path / "copy")


def test_a_clone_shares_them_until_one_of_the_two_is_edited(first: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    try:
        reflink(first, clone, 0o600)
    except OSError:
        pytest.skip("the file system makes no reflinks")

    assert share_blocks(first, clone)

    with open(clone, "r+b") as file:
        file.write(b"edited")
    assert not share_blocks(first, clone)


def test_an_empty_file_shares_nothing(tmp_path: Path) -> None:
    (tmp_path / "one").touch()
    (tmp_path / "two").touch()

    assert not share_blocks(tmp_path / "one", tmp_path / "two")


def test_where_the_file_system_does_not_tell_nothing_is_shared(first: Path) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == first.stat().st_dev:
        pytest.skip("there is no other file system")
    other = memory / f"zoostore-test-extents-{first.stat().st_ino}"
    shutil.copyfile(first, other)
    try:
        assert not share_blocks(other, other)
        assert not share_blocks(first, other)
    finally:
        other.unlink()


def test_a_file_in_many_pieces_is_read_to_its_end(tmp_path: Path) -> None:
    pieces = tmp_path / "pieces"
    with open(pieces, "wb") as file:
        for number in range(600):
            file.seek(number * 16384)
            file.write(b"x" * 4096)
    other = tmp_path / "other"
    try:
        reflink(pieces, other, 0o600)
    except OSError:
        pytest.skip("the file system makes no reflinks")

    assert share_blocks(pieces, other)

    with open(other, "r+b") as file:
        file.seek(599 * 16384)
        file.write(b"y")
    assert not share_blocks(pieces, other)
