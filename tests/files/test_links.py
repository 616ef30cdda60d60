"""Link modes: what each makes of a file, and which one `auto` finds on real file systems."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from zoostore.digest import hash_bytes
from zoostore.errors import LinkModeUnavailable
from zoostore.files.copying import copy_aside
from zoostore.files.links import (
    AUTO,
    COPY,
    HARDLINK,
    LINK_MODES,
    LINKERS,
    REFLINK,
    SYMLINK,
    choose_mode,
    is_unavailable,
)
from zoostore.files.staging import Staging

DATA = bytes(range(256)) * 64
IMAGE_BYTES = 320 << 20
"""The smallest that mkfs.xfs takes is about 300 MiB; the file is sparse."""


def mount_or_skip(place: Path, *options: str) -> None:
    place.mkdir()
    command = ["mount", *options, str(place)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")


def require_root() -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount another file system")


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system other than that of `tmp_path`, which has no reflinks."""
    require_root()
    place = tmp_path / "other-disk"
    mount_or_skip(place, "-t", "tmpfs", "-o", "size=1m", "none")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture(scope="module", params=["btrfs", "xfs"])
def reflinking_disk(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A new file system that can share blocks between files."""
    require_root()
    kind = request.param
    mkfs = shutil.which(f"mkfs.{kind}")
    if mkfs is None:
        pytest.skip(f"mkfs.{kind} is not on PATH")
    folder = tmp_path_factory.mktemp(kind)
    image = folder / "image"
    with open(image, "xb") as file:
        file.truncate(IMAGE_BYTES)
    subprocess.run([mkfs, "-q", str(image)], check=True, capture_output=True)
    mount_or_skip(folder / "disk", "-t", kind, "-o", "loop", str(image))
    try:
        yield folder / "disk"
    finally:
        subprocess.run(["umount", str(folder / "disk")], check=True)
        image.unlink()


def new_object(folder: Path) -> Path:
    """A read-only file of a store, in a new folder."""
    number = len(list(folder.iterdir()))
    path = folder / f"store-{number}" / "object"
    path.parent.mkdir()
    path.write_bytes(DATA)
    path.chmod(0o444)
    return path


def new_directory(folder: Path) -> Path:
    path = folder / f"checkout-{len(list(folder.iterdir()))}"
    path.mkdir()
    return path


# What each mode makes


def test_a_copy_is_a_file_of_its_own_with_the_permissions_asked_for(tmp_path: Path) -> None:
    source, target = new_object(tmp_path), tmp_path / "target"
    LINKERS[COPY](source, target, 0o640)

    assert target.read_bytes() == DATA
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert target.stat().st_ino != source.stat().st_ino
    with open(target, "r+b") as file:
        file.write(b"edited")
    assert source.read_bytes() == DATA


def test_a_hard_link_is_the_same_read_only_file(tmp_path: Path) -> None:
    source, target = new_object(tmp_path), tmp_path / "target"
    LINKERS[HARDLINK](source, target, 0o644)

    assert target.samefile(source)
    assert not target.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o444
    assert source.stat().st_nlink == 2


def test_a_symbolic_link_points_to_the_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = new_object(tmp_path), tmp_path / "target"
    monkeypatch.chdir(source.parent)
    LINKERS[SYMLINK](Path("object"), target, 0o644)

    assert os.readlink(target) == str(source)
    assert target.read_bytes() == DATA


def test_a_reflink_is_a_file_of_its_own_that_shares_its_blocks(reflinking_disk: Path) -> None:
    source = new_object(reflinking_disk)
    target = new_directory(reflinking_disk) / "target"
    LINKERS[REFLINK](source, target, 0o644)

    assert target.read_bytes() == DATA
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    assert target.stat().st_ino != source.stat().st_ino
    with open(target, "r+b") as file:
        file.write(b"edited")
    assert source.read_bytes() == DATA


@pytest.mark.parametrize("mode", LINK_MODES)
def test_what_stands_at_the_target_is_not_overwritten(tmp_path: Path, mode: str) -> None:
    source, target = new_object(tmp_path), tmp_path / "target"
    target.write_bytes(b"precious")

    with pytest.raises(FileExistsError):
        LINKERS[mode](source, target, 0o644)

    assert target.read_bytes() == b"precious"
    assert source.read_bytes() == DATA


def test_a_reflink_that_cannot_be_made_leaves_nothing(other_disk: Path) -> None:
    source = new_object(other_disk)

    with pytest.raises(OSError, match=r"ioctl|not supported|Invalid") as caught:
        LINKERS[REFLINK](source, other_disk / "target", 0o644)

    assert is_unavailable(caught.value)
    assert not (other_disk / "target").exists()


# Which mode is chosen


def test_auto_is_reflink_where_blocks_can_be_shared(reflinking_disk: Path) -> None:
    directory = new_directory(reflinking_disk)

    assert choose_mode(AUTO, new_object(reflinking_disk), directory) == REFLINK
    assert list(directory.iterdir()) == []


def test_auto_is_hardlink_where_blocks_cannot_be_shared(other_disk: Path) -> None:
    directory = new_directory(other_disk)

    assert choose_mode(AUTO, new_object(other_disk), directory) == HARDLINK
    assert list(directory.iterdir()) == []


def test_auto_is_copy_from_one_file_system_to_another(tmp_path: Path, other_disk: Path) -> None:
    assert choose_mode(AUTO, new_object(tmp_path), other_disk) == COPY
    assert list(other_disk.iterdir()) == []


def test_auto_is_copy_from_another_to_one_that_shares_blocks(
    tmp_path: Path, reflinking_disk: Path
) -> None:
    assert choose_mode(AUTO, new_object(tmp_path), new_directory(reflinking_disk)) == COPY


@pytest.mark.parametrize("error", [errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP])
def test_auto_is_copy_where_no_link_can_be_made(
    tmp_path: Path, error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setitem(LINKERS, REFLINK, refuse)

    assert choose_mode(AUTO, new_object(tmp_path), tmp_path) == COPY


@pytest.mark.parametrize("mode", [HARDLINK, SYMLINK, COPY])
def test_a_mode_asked_for_by_name_is_taken_where_it_works(tmp_path: Path, mode: str) -> None:
    source, directory = new_object(tmp_path), new_directory(tmp_path)

    assert choose_mode(mode, source, directory) == mode
    assert list(directory.iterdir()) == []
    assert source.stat().st_nlink == 1


@pytest.mark.parametrize("mode", LINK_MODES)
def test_every_mode_works_where_blocks_can_be_shared(reflinking_disk: Path, mode: str) -> None:
    source, directory = new_object(reflinking_disk), new_directory(reflinking_disk)

    assert choose_mode(mode, source, directory) == mode


@pytest.mark.parametrize("mode", [REFLINK, HARDLINK])
def test_a_mode_asked_for_by_name_is_refused_where_it_does_not_work(
    tmp_path: Path, other_disk: Path, mode: str
) -> None:
    with pytest.raises(LinkModeUnavailable) as caught:
        choose_mode(mode, new_object(tmp_path), other_disk)

    assert caught.value.facts == {"mode": mode, "directory": str(other_disk)}
    assert list(other_disk.iterdir()) == []


@pytest.mark.parametrize("mode", [SYMLINK, COPY])
def test_some_modes_work_from_one_file_system_to_another(
    tmp_path: Path, other_disk: Path, mode: str
) -> None:
    assert choose_mode(mode, new_object(tmp_path), other_disk) == mode


def test_an_error_that_says_nothing_of_links_is_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        choose_mode(HARDLINK, new_object(tmp_path), tmp_path / "missing")


# Copying aside, which shares blocks where it can


def assert_copied_aside(folder: Path) -> None:
    source = new_object(folder)
    staging = Staging(folder / "tmp")
    with open(source, "rb") as file:
        staged, oid = copy_aside(source, file, staging)

    assert oid == hash_bytes(DATA)
    assert staged.read_bytes() == DATA
    assert not staged.samefile(source)
    staging.close()
    assert list((folder / "tmp").iterdir()) == []


def test_a_file_is_copied_aside_where_blocks_can_be_shared(reflinking_disk: Path) -> None:
    assert_copied_aside(reflinking_disk)


def test_a_file_is_copied_aside_where_they_cannot(other_disk: Path) -> None:
    assert_copied_aside(other_disk)
