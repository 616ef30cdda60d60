"""adopt_file: somebody's file becomes an object, and stays as it is."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore import Store
from zoostore.digest import Digest, hash_bytes
from zoostore.errors import FileChanged, WrongContent
from zoostore.files.links import reflink
from zoostore.files.stamp import Stamp
from zoostore.store.adopting import Adopted, adopt_file, read_file
from zoostore.store.batch import Batch

if TYPE_CHECKING:
    from tests.conftest import LayOut

LARGE = bytes(range(256)) * 300


def sha256(content: bytes) -> Digest:
    return Digest("sha256", hashlib.sha256(content).digest())


def adopt(store: Store, path: Path, *promised: Digest) -> Adopted:
    with Batch(store._opened.writable()) as batch:
        stamp = Stamp.of(path.lstat())
        read = read_file(path, stamp, promised, batch.staging)
        done = adopt_file(batch, path, stamp, read, "test", lambda _: None)
        batch.publish()
    return done


@pytest.fixture
def shares_blocks(tmp_path: Path) -> bool:
    (tmp_path / "probe").write_bytes(b"x")
    try:
        reflink(tmp_path / "probe", tmp_path / "clone", 0o600)
    except OSError:
        return False
    return True


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder on another file system than the store's."""
    folder = Path("/dev/shm") / f"zoostore-test-{os.getpid()}"
    if not folder.parent.is_dir():
        pytest.skip("there is no other file system here")
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def test_a_large_file_is_linked_and_stays_as_it_was(
    store: Store, lay: LayOut, shares_blocks: bool
) -> None:
    path = lay("theirs", {"weights": LARGE}) / "weights"
    path.chmod(0o640)
    before = path.stat()

    done = adopt(store, path, sha256(LARGE))

    assert (done.oid, done.is_new) == (hash_bytes(LARGE), True)
    assert done.how == ("reflink" if shares_blocks else "hardlink")
    after = path.stat()
    for field in ("st_mode", "st_mtime_ns", "st_ino", "st_size", "st_uid"):
        assert getattr(after, field) == getattr(before, field)
    assert store._opened.objects().find(sha256(LARGE)) == done.oid
    assert store.verify().is_clean


def test_a_small_file_is_packed(store: Store, lay: LayOut) -> None:
    done = adopt(store, lay("theirs", {"a": b"small"}) / "a")

    assert done.how == "packed"
    assert store.verify().is_clean


def test_what_is_here_is_not_linked_again(store: Store, lay: LayOut) -> None:
    folder = lay("theirs", {"a": LARGE, "b": LARGE})
    adopt(store, folder / "a")

    assert adopt(store, folder / "b") == (hash_bytes(LARGE), len(LARGE), False, "")
    assert (folder / "b").stat().st_nlink == 1


def test_another_file_system_is_copied_from(store: Store, elsewhere: Path) -> None:
    (elsewhere / "a").write_bytes(LARGE)
    if elsewhere.stat().st_dev == store.path.stat().st_dev:
        pytest.skip("it is the same file system")

    assert adopt(store, elsewhere / "a").how == "copy"
    loose = store._opened.objects().loose_path(hash_bytes(LARGE))
    assert loose is not None
    assert stat.S_IMODE(loose.stat().st_mode) == 0o444


@pytest.mark.parametrize("content", [LARGE, b"small"])
def test_a_file_that_is_not_what_it_is_called_is_refused(
    store: Store, lay: LayOut, content: bytes
) -> None:
    path = lay("theirs", {"a": content}) / "a"

    with pytest.raises(WrongContent, match="sha256"):
        adopt(store, path, sha256(content + b"x"))
    assert store.verify().objects == 0
    assert path.stat().st_nlink == 1


def test_a_file_that_is_written_to_meanwhile_is_refused(
    store: Store, lay: LayOut, monkeypatch: pytest.MonkeyPatch, shares_blocks: bool
) -> None:
    """Between reading it and linking to it: the link would be to other bytes."""
    if shares_blocks:
        pytest.skip("a reflink is a file of its own, which is what is read")
    path = lay("theirs", {"a": LARGE}) / "a"
    from zoostore.files.copying import link_aside

    def write_first(*args: object) -> Path | None:
        path.write_bytes(LARGE[::-1])
        os.utime(path, ns=(1, 1))
        return link_aside(*args)  # type: ignore[arg-type]

    monkeypatch.setattr("zoostore.store.adopting.link_aside", write_first)

    with pytest.raises(FileChanged):
        adopt(store, path)
    assert store.verify().objects == 0


@pytest.mark.parametrize("link", ["hardlink", "symlink"])
def test_no_checkout_links_to_a_file_that_can_be_written_to(
    store: Store, lay: LayOut, tmp_path: Path, link: str, shares_blocks: bool
) -> None:
    if shares_blocks:
        pytest.skip("nothing is hard-linked where blocks are shared")
    folder = lay("theirs", {"a": LARGE})
    adopt(store, folder / "a")
    store.add(folder, "zoo:m")

    work = store.checkout("zoo:m", tmp_path / "work", link=link).directory
    (work / "a").write_bytes(b"edited")

    assert (folder / "a").read_bytes() == LARGE
    assert store.verify().is_clean


def test_names_of_one_file_are_all_adopted(store: Store, tmp_path: Path, lay: LayOut) -> None:
    """Linking to it by one name changes the time of its status by all."""
    folder = lay("theirs", {"a": LARGE})
    os.link(folder / "a", folder / "b")

    done = store.adopt(folder, stub="zoo:theirs")

    assert not done.damaged
    assert done.models[0].files == 2
    again = Store(tmp_path / "second").adopt(folder, stub="zoo:theirs")
    assert not again.damaged
    assert store.adopt(folder, stub="zoo:theirs", relink=True).models[0].is_new is False
