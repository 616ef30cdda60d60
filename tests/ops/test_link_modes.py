"""checkout in every link mode, on every file system that can be had."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

from zoostore import Store
from zoostore.digest import hash_bytes
from zoostore.errors import LinkModeUnavailable, UsageError

if TYPE_CHECKING:
    from tests.conftest import Content, Files, LayOut

Look: TypeAlias = "Callable[[Path], dict[str, Content]]"
STUB = "zoo:mine"
BIG = bytes(range(256)) * 64
FILES: dict[str, Content] = {
    "big.bin": BIG,
    "sub/big2.bin": BIG[::-1],
    "tool*": BIG + b"#!",
    "small.txt": b"small",
    "link": "big.bin",
    "void/": None,
}
LARGE = ("big.bin", "sub/big2.bin")


@pytest.fixture
def added(store: Store, lay: LayOut) -> Store:
    store.add(lay("source", FILES), STUB)
    return store


def object_of(store: Store, content: bytes) -> Path:
    digits = hash_bytes(content).hex()
    return store.path / "objects" / digits[:2] / digits[2:]


def count(**modes: int) -> dict[str, int]:
    return {"reflink": 0, "hardlink": 0, "symlink": 0, "copy": 0, **modes}


def test_hard_links_are_the_objects_themselves_and_read_only(
    added: Store, tmp_path: Path, look: Look
) -> None:
    done = added.checkout(STUB, tmp_path / "work", link="hardlink")

    assert look(done.directory) == FILES
    assert (done.link, done.linked) == ("hardlink", count(hardlink=2, copy=2))
    for name, content in (("big.bin", BIG), ("sub/big2.bin", BIG[::-1])):
        status = (done.directory / name).stat()
        assert status.st_ino == object_of(added, content).stat().st_ino
        assert not stat.S_IMODE(status.st_mode) & 0o222


def test_an_executable_file_is_its_own_where_links_share_permissions(
    added: Store, tmp_path: Path
) -> None:
    for mode in ("hardlink", "symlink"):
        tool = added.checkout(STUB, tmp_path / mode, link=mode).directory / "tool"

        assert not tool.is_symlink()
        assert tool.stat().st_nlink == 1
        assert tool.stat().st_mode & 0o111
    assert not object_of(added, BIG + b"#!").stat().st_mode & 0o111


def test_symbolic_links_lead_to_the_objects(added: Store, tmp_path: Path) -> None:
    done = added.checkout(STUB, tmp_path / "work", link="symlink")

    assert (done.link, done.linked) == ("symlink", count(symlink=2, copy=2))
    for name, content in (("big.bin", BIG), ("sub/big2.bin", BIG[::-1])):
        assert Path(os.readlink(done.directory / name)) == object_of(added, content).absolute()
        assert (done.directory / name).read_bytes() == content
    assert os.readlink(done.directory / "link") == "big.bin"


def test_symbolic_links_lead_to_the_objects_from_a_store_named_relatively(
    added: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    Store("store").checkout(STUB, "here/out", link="symlink")

    assert (tmp_path / "here/out/big.bin").read_bytes() == BIG


def test_copies_are_files_of_their_own(added: Store, tmp_path: Path, look: Look) -> None:
    done = added.checkout(STUB, tmp_path / "work", link="copy")

    assert look(done.directory) == FILES
    assert (done.link, done.linked) == ("copy", count(copy=4))
    for name in LARGE:
        status = (done.directory / name).stat()
        assert (status.st_nlink, status.st_mode & 0o200) == (1, 0o200)


def test_a_write_into_a_copy_leaves_the_object(added: Store, tmp_path: Path) -> None:
    work = added.checkout(STUB, tmp_path / "work", link="copy").directory

    (work / "big.bin").write_bytes(b"mine")

    assert added.verify().is_clean


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_are_those_the_user_gives_to_new_files(
    added: Store, tmp_path: Path, umask: int
) -> None:
    before = os.umask(umask)
    try:
        work = added.checkout(STUB, tmp_path / "work", link="copy").directory
    finally:
        os.umask(before)

    for name, whole in (("big.bin", 0o666), ("small.txt", 0o666), ("tool", 0o777)):
        assert stat.S_IMODE((work / name).stat().st_mode) == whole & ~umask
    assert stat.S_IMODE((work / "sub").stat().st_mode) == 0o777 & ~umask


def test_auto_takes_the_best_that_works_and_says_which(added: Store, tmp_path: Path) -> None:
    done = added.checkout(STUB, tmp_path / "work", link="auto")

    assert done.link in ("reflink", "hardlink")
    assert done.linked[done.link] >= 2


def test_there_is_no_other_link_mode(added: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        added.checkout(STUB, tmp_path / "work", link="magic")

    assert not (tmp_path / "work").exists()


def test_the_link_mode_can_be_configured(store: Store, lay: LayOut, tmp_path: Path) -> None:
    (store.path / "config.toml").write_text('large_object = 16\nlink = "symlink"\n')
    store.add(lay("source", FILES), STUB)

    assert store.checkout(STUB, tmp_path / "work").link == "symlink"
    assert store.checkout(STUB, tmp_path / "other", link="copy").link == "copy"


@pytest.mark.parametrize("mode", ["hardlink", "symlink", "copy"])
def test_a_small_model_needs_no_links(store: Store, lay: LayOut, tmp_path: Path, mode: str) -> None:
    store.add(lay("source", {"a": b"a", "b": b"b"}), STUB)

    assert store.checkout(STUB, tmp_path / "work", link=mode).linked == count(copy=2)


@pytest.mark.parametrize("first", ["hardlink", "symlink", "copy"])
@pytest.mark.parametrize("second", ["hardlink", "symlink", "copy"])
def test_a_checkout_can_be_updated_in_another_mode(
    added: Store, lay: LayOut, tmp_path: Path, first: str, second: str
) -> None:
    work = added.checkout(STUB, tmp_path / "work", link=first).directory
    added.add(lay("next", {"big.bin": BIG + b"2", "small.txt": b"small"}), STUB)

    added.checkout(STUB, work, link=second)

    assert (work / "big.bin").read_bytes() == BIG + b"2"
    assert added.status(work).is_clean
    assert added.verify().is_clean


def test_an_object_with_as_many_names_as_can_be_is_copied(
    store: Store, lay: LayOut, tmp_path: Path, look: Look
) -> None:
    store.add(lay("source", {"big.bin": BIG}), STUB)
    names = tmp_path / "names"
    names.mkdir()
    source = object_of(store, BIG)
    try:
        for number in range(66_000):
            os.link(source, names / str(number))
        pytest.skip("this file system takes more than 66,000 names")
    except OSError as error:
        if error.errno != errno.EMLINK:
            raise
        done = store.checkout(STUB, tmp_path / "work", link="auto")
        assert look(done.directory) == {"big.bin": BIG}
        assert done.linked == count(copy=1)
        with pytest.raises(LinkModeUnavailable):
            store.checkout(STUB, tmp_path / "strict", link="hardlink")
        assert not (tmp_path / "strict").exists()
    finally:
        shutil.rmtree(names)


# Other file systems


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder on another file system."""
    here = tmp_path_factory.getbasetemp()
    if not os.access("/dev/shm", os.W_OK) or os.stat("/dev/shm").st_dev == here.stat().st_dev:
        pytest.skip("there is no other file system here")
    folder = Path("/dev/shm") / f"zoostore-test-{os.getpid()}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("mode", ["hardlink", "reflink"])
def test_a_link_that_cannot_cross_file_systems_is_refused(
    added: Store, elsewhere: Path, mode: str
) -> None:
    with pytest.raises(LinkModeUnavailable):
        added.checkout(STUB, elsewhere / f"work-{mode}", link=mode)

    assert list(elsewhere.glob(f"*{mode}*")) == []
    assert list(elsewhere.glob(".zoostore*")) == []


def test_auto_copies_across_file_systems(added: Store, elsewhere: Path, look: Look) -> None:
    done = added.checkout(STUB, elsewhere / "auto", link="auto")

    assert (done.link, done.linked) == ("copy", count(copy=4))
    assert look(done.directory) == FILES


def test_symbolic_links_cross_file_systems(added: Store, elsewhere: Path) -> None:
    done = added.checkout(STUB, elsewhere / "symlink", link="symlink")

    assert (done.directory / "big.bin").read_bytes() == BIG


@contextlib.contextmanager
def loop_mount(kind: str, folder: Path) -> Iterator[Path]:
    """A small file system of a kind that shares blocks between files."""
    maker = shutil.which(f"mkfs.{kind}")
    if sys.platform != "linux" or os.geteuid() != 0 or maker is None:
        pytest.skip(f"only root on Linux, with mkfs.{kind}, can mount one")
    image, place = folder / f"{kind}.image", folder / kind
    place.mkdir()
    with open(image, "wb") as file:
        file.truncate(320 << 20)
    commands = [[maker, "-q", str(image)], ["mount", "-o", "loop", str(image), str(place)]]
    for command in commands:
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        if done.returncode:
            pytest.skip(f"{command[0]}: {done.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True, timeout=60)
        image.unlink()


@pytest.fixture(scope="module", params=["btrfs", "xfs"])
def sharing_blocks(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    with loop_mount(request.param, tmp_path_factory.mktemp("loop")) as place:
        yield place


@pytest.mark.parametrize("mode", ["auto", "reflink", "hardlink", "symlink", "copy"])
def test_every_mode_works_where_blocks_can_be_shared(
    sharing_blocks: Path, mode: str, lay_at: Callable[[Path, Files], Path], look: Look
) -> None:
    place = sharing_blocks / mode
    store = Store(place / "store")
    large: dict[str, Content] = {**FILES, "large.bin": bytes(1 << 17), "big tool*": BIG * 8}
    store.add(lay_at(place / "source", large), STUB)

    done = store.checkout(STUB, place / "work", link=mode)

    used = "reflink" if mode == "auto" else mode
    assert done.link == used
    own = 0 if used in ("reflink", "copy") else 1  # an executable file cannot be a shared one
    assert done.linked[used] == (6 if used == "copy" else 2 - own)
    assert (done.directory / "large.bin").read_bytes() == bytes(1 << 17)
    assert store.status(done.directory).is_clean
    if used == "reflink":
        assert look(done.directory) == large
        shared = (done.directory / "large.bin").stat()
        assert (shared.st_nlink, shared.st_mode & 0o200) == (1, 0o200)
        (done.directory / "large.bin").write_bytes(b"mine")
        assert store.status(done.directory).modified == ("large.bin",)
    assert store.verify().is_clean


def test_adding_shares_blocks_where_it_can(
    sharing_blocks: Path, lay_at: Callable[[Path, Files], Path]
) -> None:
    place = sharing_blocks / "adding"
    store = Store(place / "store")
    content = os.urandom(24 << 20)
    source = lay_at(place / "source", {"large.bin": content})
    os.sync()
    before = free_bytes(place)

    store.add(source, STUB)

    os.sync()
    assert before - free_bytes(place) < 12 << 20
    assert store.verify().is_clean


def free_bytes(place: Path) -> int:
    status = os.statvfs(place)
    return status.f_bfree * status.f_frsize
