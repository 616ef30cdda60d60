"""A full disk: an error that says so, and a store that still opens, verifies and works."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from zoostore.digest import hash_bytes, hash_descriptor
from zoostore.errors import DiskFull
from zoostore.files.disk import errors_named
from zoostore.files.stamp import Stamp, packed_stamp
from zoostore.store.batch import Batch
from zoostore.store.layout import Layout
from zoostore.store.names import Names
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import RefChange

Outcomes = Callable[[str, Iterable[Path]], dict[str, str]]
RunPython = Callable[..., subprocess.CompletedProcess[str]]

SMALL = b"a small object"
LARGE = bytes(range(256)) * 40
TOO_LARGE = 8 << 20


@pytest.fixture
def disk_store(small_disk: Path) -> ObjectStore:
    """A store on a small disk, with a small and a large object and a ref."""
    layout = Layout(small_disk / "store")
    layout.create()
    store = ObjectStore(Names(layout), large_object=1000)
    keep(store, SMALL, LARGE)
    store.names.change(RefChange("zoo:m", hash_bytes(SMALL), None, "add", 1))
    return store


def keep(store: ObjectStore, *contents: bytes) -> None:
    with Batch(store) as batch:
        for data in contents:
            batch.receive(hash_bytes(data), len(data), [data], lambda _: None)
        batch.publish()


@contextlib.contextmanager
def full(disk: Path) -> Iterator[None]:
    """No space is left while the context lasts."""
    filling = disk / "filling"
    with open(filling, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        filling.unlink()


def assert_whole_and_working(store: ObjectStore) -> None:
    """As another process would see it."""
    assert list(store.layout.tmp.iterdir()) == []
    again = ObjectStore(Names(store.layout), large_object=1000)
    assert again.read(hash_bytes(SMALL)) == SMALL
    assert again.read(hash_bytes(LARGE)) == LARGE
    assert [record.snapshot for record in again.names.refs().values()] == [hash_bytes(SMALL)]
    for path in again.layout.objects.rglob("*/*"):
        with open(path, "rb") as file:
            assert str(hash_descriptor(file.fileno())[0]) == path.parent.name + path.name
    keep(again, b"more")
    again.names.change(RefChange("zoo:more", hash_bytes(b"more"), None, "add", 2))
    assert again.read(hash_bytes(b"more")) == b"more"


def chunks(count: int) -> Iterator[bytes]:
    return (bytes([number % 251]) * (1 << 16) for number in range(count))


def test_a_file_that_does_not_fit_is_refused(disk_store: ObjectStore, tmp_path: Path) -> None:
    path = tmp_path / "too-large"
    path.write_bytes(bytes(TOO_LARGE))

    with pytest.raises(DiskFull) as caught, errors_named(), Batch(disk_store) as batch:
        batch.add_file(path, Stamp.of(path.stat()), lambda _: None)

    assert caught.value.exit_code == 1
    assert_whole_and_working(disk_store)


def test_a_download_that_does_not_fit_is_refused(disk_store: ObjectStore) -> None:
    with pytest.raises(DiskFull), errors_named(), Batch(disk_store) as batch:
        batch.receive(hash_bytes(b""), TOO_LARGE, chunks(TOO_LARGE >> 16), lambda _: None)

    assert_whole_and_working(disk_store)


def test_small_objects_that_do_not_fit_are_refused(small_disk: Path) -> None:
    layout = Layout(small_disk / "store")
    layout.create()
    store = ObjectStore(Names(layout), large_object=1 << 30)

    many = [number.to_bytes(4, "big") * 256 for number in range(TOO_LARGE >> 10)]

    with pytest.raises(DiskFull), errors_named():
        keep(store, *many)

    assert list(layout.tmp.iterdir()) == []
    keep(store, SMALL, LARGE)
    store.names.change(RefChange("zoo:m", hash_bytes(SMALL), None, "add", 1))
    assert_whole_and_working(ObjectStore(Names(layout), large_object=1000))


def test_small_files_that_do_not_fit_where_a_worker_packs_them_are_refused(
    disk_store: ObjectStore, tmp_path: Path
) -> None:
    names = [f"{number}" for number in range(TOO_LARGE >> 17)]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(bytes([number]) * (1 << 17))
    found = [(name, 1 << 17, packed_stamp((tmp_path / name).stat())) for name in names]

    def pack_apart(batch: Batch) -> None:
        apart = batch.pack_apart(tmp_path)
        assert apart is not None
        for each in found:
            apart.read([each])
            batch.put_apart(apart, [1 << 17])
        apart.finish()
        batch.publish()

    with pytest.raises(DiskFull), errors_named(), Batch(disk_store) as batch:
        pack_apart(batch)

    assert_whole_and_working(disk_store)


def test_objects_are_read_on_a_full_disk(disk_store: ObjectStore, small_disk: Path) -> None:
    with full(small_disk), errors_named():
        disk_store.names.refresh()
        assert disk_store.read(hash_bytes(SMALL)) == SMALL
        assert disk_store.read(hash_bytes(LARGE)) == LARGE
        assert not disk_store.has(hash_bytes(b"missing"))
        assert disk_store.names.refs().keys() == {"zoo:m"}


def test_an_object_whose_stamp_cannot_be_remembered_is_still_read(
    disk_store: ObjectStore, small_disk: Path
) -> None:
    path = disk_store.layout.loose(hash_bytes(LARGE))
    path.chmod(0o644)
    path.touch()

    with full(small_disk), errors_named():
        assert disk_store.read(hash_bytes(LARGE)) == LARGE


def test_a_ref_cannot_be_set_on_a_full_disk(disk_store: ObjectStore, small_disk: Path) -> None:
    def set_many() -> None:  # the last block of the reflog may have room for a few
        for number in range(1000):
            change = RefChange(f"zoo:n{number}", hash_bytes(SMALL), None, "add", 1)
            disk_store.names.change(change)

    with full(small_disk), pytest.raises(DiskFull), errors_named():
        set_many()


OPEN = """
import sys
from pathlib import Path
from zoostore.errors import DiskFull
from zoostore.files.disk import errors_named
from zoostore.store.layout import Layout
from zoostore.store.names import Names

try:
    with errors_named():
        print(*Names(Layout(Path(sys.argv[1]))).refs())
except DiskFull:
    print("full")
"""


@pytest.mark.parametrize("missing", [[], ["lock.mdb"], ["data.mdb"], ["data.mdb", "lock.mdb"]])
def test_a_store_without_all_of_its_index_is_opened_on_a_full_disk_or_says_why_not(
    small_disk: Path, run_python: RunPython, missing: list[str]
) -> None:
    layout = Layout(small_disk / "store")
    layout.create()
    make = """
import sys
from pathlib import Path
from zoostore.digest import hash_bytes
from zoostore.store.layout import Layout
from zoostore.store.names import Names
from zoostore.store.records import RefChange
Names(Layout(Path(sys.argv[1]))).change(RefChange("zoo:m", hash_bytes(b""), None, "add", 1))
"""
    run_python(make, layout.root)
    for name in missing:
        (layout.index / name).unlink()

    with full(small_disk):
        opened = run_python(OPEN, layout.root, check=False)

    assert opened.returncode == 0, f"it ended with {opened.returncode}: {opened.stderr}"
    assert opened.stdout in ("zoo:m\n", "full\n")
    assert run_python(OPEN, layout.root).stdout == "zoo:m\n"


COMMIT = """
import os, shutil
from pathlib import Path
from zoostore.digest import hash_bytes
from zoostore.errors import DiskFull
from zoostore.files.disk import errors_named
from zoostore.store.batch import Batch
from zoostore.store.layout import Layout
from zoostore.store.names import Names
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import RefChange

CONTENTS = [b"%d" % number * 20 for number in range(100)] + [bytes(5000), b"x" * 9000]

def opened(folder):
    layout = Layout(folder)
    layout.create()
    return ObjectStore(Names(layout), large_object=1000)

def commit(store):
    with Batch(store) as batch:
        for content in CONTENTS:
            batch.receive(hash_bytes(content), len(content), [content], lambda _: None)
        record = store.names.ref("zoo:m")
        old = record.snapshot if record else None
        batch.commit(RefChange("zoo:m", hash_bytes(CONTENTS[0]), old, "add", 1))

def fill_all_but(pages, filling):
    with open(filling, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            os.ftruncate(file.fileno(), file.tell() - pages * 4096)

def check(folder):
    try:
        return commit_with_room_for(int(folder.name), folder)
    finally:
        shutil.rmtree(folder)

def commit_with_room_for(pages, folder):
    store = opened(folder)
    filling = folder.with_name("filling")
    fill_all_but(pages, filling)
    try:
        with errors_named():
            commit(store)
        answer = "done"
    except DiskFull:
        answer = "full"
    finally:
        filling.unlink()
    assert list((folder / "tmp").iterdir()) == [], "something was left in tmp"
    store = opened(folder)
    record = store.names.ref("zoo:m")
    assert record is not None or answer == "full", "what was reported as done is lost"
    if record is not None:
        assert [store.read(hash_bytes(content)) for content in CONTENTS] == CONTENTS
    commit(store)
    assert [store.read(hash_bytes(content)) for content in CONTENTS] == CONTENTS
    return answer
"""


def test_however_little_space_is_left_a_commit_is_done_or_says_that_the_disk_is_full(
    small_disk: Path, outcomes: Outcomes
) -> None:
    folders = [small_disk / str(pages) for pages in range(40)]

    answers = outcomes(COMMIT, folders)

    bad = {name: answer for name, answer in answers.items() if answer not in ("done", "full")}
    assert not bad
    assert set(answers.values()) == {"done", "full"}
