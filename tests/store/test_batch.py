"""Batches: what comes in is what was promised, or nothing of it stays."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from zoostore.digest import Oid, hash_bytes, hash_descriptor
from zoostore.errors import CannotAdd, FileChanged, WrongContent, ZooError
from zoostore.files.copying import copy_aside
from zoostore.files.staging import Staging
from zoostore.files.stamp import Stamp
from zoostore.objects.listing import EMPTY_TREE, EMPTY_TREE_BYTES
from zoostore.store import batch as batch_module
from zoostore.store.batch import Added, Batch
from zoostore.store.layout import Layout
from zoostore.store.names import Names
from zoostore.store.objectstore import ObjectStore
from zoostore.store.records import ObjectKind, RefChange

OpenStore = Callable[..., ObjectStore]
RunPython = Callable[..., subprocess.CompletedProcess[str]]

SMALL = b"small object"
LARGE = bytes(range(256)) * 40


def ignore(_: int) -> None:
    """For progress that nobody watches."""


def stamp(path: Path) -> Stamp:
    return Stamp.of(os.lstat(path))


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def kept(store: ObjectStore) -> list[str]:
    """Every file of the store that holds content, finished or not."""
    folders = (store.layout.objects, store.layout.packs, store.layout.tmp, store.layout.quarantine)
    return sorted(
        str(path.relative_to(store.layout.root))
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file()
    )


def fill_disk(folder: Path) -> None:
    with open(folder / "filling", "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 16))


def put_until_written(batch: Batch) -> None:
    """Take in small objects until the pack's buffer has overflowed."""
    for number in range(40):
        data = bytes([number]) * (1 << 16)
        batch.put(hash_bytes(data), ObjectKind.BLOB, data)


def add(store: ObjectStore, *paths: Path) -> list[Added]:
    with Batch(store) as batch:
        added = [batch.add_file(path, stamp(path), ignore) for path in paths]
        batch.publish()
    return added


def put(store: ObjectStore, *contents: bytes) -> list[Oid]:
    oids = [hash_bytes(content) for content in contents]
    with Batch(store) as batch:
        for oid, content in zip(oids, contents, strict=True):
            batch.receive(oid, len(content), [content], ignore)
        batch.publish()
    return oids


@pytest.fixture(params=[SMALL, LARGE], ids=["small", "large"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file to be added, once of a size for packs and once of a size for a file of its own."""
    return written(tmp_path / "file", request.param)


# Adding files


def test_an_added_file_is_read_back(store: ObjectStore, open_store: OpenStore, path: Path) -> None:
    data = path.read_bytes()

    assert add(store, path) == [Added(hash_bytes(data), len(data), is_new=True)]
    assert store.read(hash_bytes(data)) == data
    with open_store().open(hash_bytes(data)) as file:
        assert file.read() == data


def test_a_file_that_is_here_already_is_not_new(store: ObjectStore, path: Path) -> None:
    add(store, path)
    before = kept(store)

    with Batch(store) as batch:
        added = batch.add_file(path, stamp(path), ignore)
        batch.publish()

    assert not added.is_new
    assert (batch.new_objects, batch.new_bytes) == (0, 0)
    assert kept(store) == before


def test_a_batch_counts_what_is_new_once(store: ObjectStore, path: Path, tmp_path: Path) -> None:
    twin = written(tmp_path / "twin", path.read_bytes())

    with Batch(store) as batch:
        added = [batch.add_file(each, stamp(each), ignore) for each in (path, twin)]

        assert [one.is_new for one in added] == [True, False]
        assert (batch.new_objects, batch.new_bytes) == (1, path.stat().st_size)


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=len)
def test_a_blob_that_arrives_twice_is_counted_once(store: ObjectStore, data: bytes) -> None:
    with Batch(store) as batch:
        for _ in range(2):
            batch.receive(hash_bytes(data), len(data), [data], ignore)
        batch.publish()

    assert (batch.new_objects, batch.new_bytes) == (1, len(data))
    assert store.read(hash_bytes(data)) == data


def test_progress_is_told_every_byte(store: ObjectStore, path: Path) -> None:
    told: list[int] = []
    with Batch(store) as batch:
        batch.add_file(path, stamp(path), told.append)

    assert sum(told) == path.stat().st_size


def test_an_empty_file_is_an_object(store: ObjectStore, tmp_path: Path) -> None:
    (added,) = add(store, written(tmp_path / "empty", b""))

    assert store.read(added.oid) == b""


def test_a_large_object_is_a_read_only_file_named_by_its_hash(
    store: ObjectStore, tmp_path: Path
) -> None:
    (added,) = add(store, written(tmp_path / "file", LARGE))
    path = store.layout.loose(added.oid)

    assert path == store.loose_path(added.oid)
    assert path.read_bytes() == LARGE
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert path.stat().st_nlink == 1
    assert kept(store) == [str(path.relative_to(store.layout.root))]


@pytest.mark.skipif(shutil.which("b3sum") is None, reason="b3sum is not on PATH")
def test_b3sum_prints_the_name_of_a_large_object(store: ObjectStore, tmp_path: Path) -> None:
    (added,) = add(store, written(tmp_path / "file", LARGE))
    path = store.layout.loose(added.oid)

    command = ["b3sum", "--no-names", str(path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert printed == path.parent.name + path.name == str(added.oid)


def test_small_objects_of_a_batch_share_one_read_only_pack_named_by_its_hash(
    store: ObjectStore,
) -> None:
    oids = put(store, *(b"%d" % number for number in range(100)))

    (name,) = kept(store)
    path = store.layout.root / name
    assert name == f"packs/{hash_bytes(path.read_bytes())}.zpack"
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert [store.loose_path(oid) for oid in oids] == [None] * 100


@pytest.mark.parametrize(("size", "is_loose"), [(0, False), (999, False), (1000, True)])
def test_the_threshold_says_which_objects_are_files_of_their_own(
    store: ObjectStore, tmp_path: Path, size: int, is_loose: bool
) -> None:
    (added,) = add(store, written(tmp_path / "file", b"x" * size))

    assert (store.loose_path(added.oid) is not None) is is_loose


def test_a_batch_has_what_is_on_its_way(store: ObjectStore) -> None:
    small, large = hash_bytes(SMALL), hash_bytes(LARGE)
    with Batch(store) as batch:
        assert not batch.has(small)
        for data in (SMALL, LARGE):
            batch.receive(hash_bytes(data), len(data), [data], ignore)
        assert batch.has(small)
        assert batch.has(large)
        assert not store.has(small)
        assert not store.has(large)
        batch.publish()
        assert batch.has(small)
        assert batch.has(large)


def test_a_batch_can_be_published_more_than_once(store: ObjectStore) -> None:
    with Batch(store) as batch:
        for data in (SMALL, LARGE):
            batch.receive(hash_bytes(data), len(data), [data], ignore)
            batch.publish()
        batch.publish()

    assert [store.read(hash_bytes(data)) for data in (SMALL, LARGE)] == [SMALL, LARGE]


def test_a_tree_is_put_under_its_own_kind_of_oid(store: ObjectStore) -> None:
    with Batch(store) as batch:
        assert batch.put(EMPTY_TREE, ObjectKind.TREE, EMPTY_TREE_BYTES)
        assert not batch.put(EMPTY_TREE, ObjectKind.TREE, EMPTY_TREE_BYTES)
        batch.publish()

    assert store.tree(EMPTY_TREE) == {}
    assert not store.has(hash_bytes(EMPTY_TREE_BYTES))


# Files that change


def grow(path: Path) -> None:
    with open(path, "ab") as file:
        file.write(b"more")


def overwrite(path: Path) -> None:
    with open(path, "r+b") as file:
        file.write(b"other")


def overwrite_and_hide_it(path: Path) -> None:
    times = path.stat()
    overwrite(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def shrink(path: Path) -> None:
    os.truncate(path, 3)


CHANGES = [grow, overwrite, overwrite_and_hide_it, shrink]


def replace(path: Path) -> None:
    other = written(path.with_name("other"), path.read_bytes())
    os.replace(other, path)


def remove(path: Path) -> None:
    path.unlink()


def become_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def become_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_link(path: Path) -> None:
    other = path.rename(path.with_name("other"))
    path.symlink_to(other)


@pytest.mark.parametrize(
    "change", [grow, overwrite, overwrite_and_hide_it, shrink, replace, remove]
)
def test_a_file_that_changed_since_it_was_found_is_not_added(
    store: ObjectStore, path: Path, change: Callable[[Path], None]
) -> None:
    expected = stamp(path)
    change(path)

    with Batch(store) as batch, pytest.raises(FileChanged) as caught:
        batch.add_file(path, expected, ignore)

    assert caught.value.facts["path"] == str(path)
    assert kept(store) == []


@pytest.mark.timeout(30)
@pytest.mark.parametrize("change", [become_fifo, become_folder, become_link])
def test_a_file_that_became_something_else_is_not_added_nor_waited_for(
    store: ObjectStore, path: Path, change: Callable[[Path], None]
) -> None:
    expected = stamp(path)
    change(path)

    with Batch(store) as batch, pytest.raises(CannotAdd):
        batch.add_file(path, expected, ignore)

    assert kept(store) == []


@pytest.mark.timeout(30)
def test_a_file_that_became_a_folder_leaves_no_descriptor_open(
    store: ObjectStore, path: Path
) -> None:
    expected = stamp(path)
    become_folder(path)
    with Batch(store) as batch:
        before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
        with pytest.raises(CannotAdd):
            batch.add_file(path, expected, ignore)
        after = len(os.listdir("/proc/self/fd")) if before else 0

    assert after <= before


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_while_it_is_hashed_is_not_added(
    store: ObjectStore,
    path: Path,
    change: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def small(data: bytes | memoryview) -> Oid:
        change(path)
        return hash_bytes(data)

    def large(descriptor: int) -> tuple[Oid, int]:
        change(path)
        return hash_descriptor(descriptor)

    monkeypatch.setattr(batch_module, "hash_bytes", small)
    monkeypatch.setattr(batch_module, "hash_descriptor", large)

    with Batch(store) as batch, pytest.raises(FileChanged):
        batch.add_file(path, stamp(path), ignore)

    assert kept(store) == []


@pytest.mark.parametrize("change", CHANGES)
def test_a_large_file_that_changes_between_its_hash_and_its_copy_is_not_added(
    store: ObjectStore,
    tmp_path: Path,
    change: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = written(tmp_path / "file", LARGE)

    def copy(path: Path, file: BinaryIO, staging: Staging) -> tuple[Path, Oid]:
        change(path)
        return copy_aside(path, file, staging)

    monkeypatch.setattr("zoostore.files.copying.copy_aside", copy)

    with Batch(store) as batch, pytest.raises(FileChanged):
        batch.add_file(path, stamp(path), ignore)

    assert kept(store) == []


def test_a_file_that_cannot_be_read_is_named(public_folder: Path, run_python: RunPython) -> None:
    script = """
import os, sys
from pathlib import Path
from zoostore.errors import UnreadableFile
from zoostore.files.stamp import Stamp
from zoostore.store.batch import Batch
from zoostore.store.layout import Layout
from zoostore.store.names import Names
from zoostore.store.objectstore import ObjectStore

layout = Layout(Path(sys.argv[1]))
layout.create()
path = layout.root.with_name("secret")
path.write_bytes(b"x")
path.chmod(0)
try:
    with Batch(ObjectStore(Names(layout))) as batch:
        batch.add_file(path, Stamp.of(path.stat()), lambda _: None)
except UnreadableFile as error:
    print(error.facts["path"])
"""
    public_folder.chmod(0o777)

    done = run_python(script, public_folder / "store", as_nobody=True)

    assert done.stdout == f"{public_folder / 'secret'}\n"


# Receiving


def in_pieces(data: bytes, size: int = 7) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize("data", [b"", SMALL, LARGE], ids=len)
def test_a_blob_that_arrives_in_pieces_is_read_back(store: ObjectStore, data: bytes) -> None:
    told: list[int] = []
    with Batch(store) as batch:
        batch.receive(hash_bytes(data), len(data), in_pieces(data), told.append)
        batch.publish()

    assert store.read(hash_bytes(data)) == data
    assert sum(told) == len(data)


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=len)
@pytest.mark.parametrize("wrong", ["shorter", "longer", "other", "nothing"])
def test_what_is_not_what_was_promised_is_thrown_away(
    store: ObjectStore, data: bytes, wrong: str
) -> None:
    sent = {
        "shorter": data[:-1],
        "longer": data + b"x",
        "other": data[:-1] + b"?",
        "nothing": b"",
    }[wrong]

    with Batch(store) as batch:
        with pytest.raises(WrongContent) as caught:
            batch.receive(hash_bytes(data), len(data), in_pieces(sent), ignore)
        batch.publish()
        assert (batch.new_objects, batch.new_bytes) == (0, 0)

    assert caught.value.facts["oid"] == str(hash_bytes(data))
    assert kept(store) == []
    assert not store.has(hash_bytes(data))


@pytest.mark.timeout(30)
def test_a_source_that_never_ends_is_cut_off(store: ObjectStore) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 1000

    for size in (10, 5000):
        with Batch(store) as batch, pytest.raises(WrongContent):
            batch.receive(hash_bytes(b""), size, endless(), ignore)
    assert kept(store) == []


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=len)
def test_a_source_that_breaks_off_leaves_nothing(store: ObjectStore, data: bytes) -> None:
    def breaking() -> Iterator[bytes]:
        yield data[:5]
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError), Batch(store) as batch:
        batch.receive(hash_bytes(data), len(data), breaking(), ignore)

    assert kept(store) == []


# Leaving nothing behind


def test_a_batch_left_on_an_error_leaves_nothing(store: ObjectStore, path: Path) -> None:
    def fill_and_stop(batch: Batch) -> None:
        batch.add_file(path, stamp(path), ignore)
        batch.receive(hash_bytes(b"small too"), 9, [b"small too"], ignore)
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"), Batch(store) as batch:
        fill_and_stop(batch)

    assert kept(store) == []
    assert list(store.layout.tmp.iterdir()) == []


def test_a_batch_that_is_not_published_leaves_nothing(store: ObjectStore, path: Path) -> None:
    with Batch(store) as batch:
        added = batch.add_file(path, stamp(path), ignore)

    assert kept(store) == []
    assert not store.has(added.oid)


def test_a_batch_whose_pack_cannot_be_written_leaves_nothing(
    store: ObjectStore, small_disk: Path
) -> None:
    """The disk is full, and stays so: closing the pack fails as writing it did."""
    layout = Layout(small_disk / "store")
    layout.create()
    store = ObjectStore(Names(layout), large_object=1 << 30)
    fill_disk(small_disk)

    with pytest.raises(OSError, match="No space left"), Batch(store) as batch:
        put_until_written(batch)

    assert list(layout.tmp.iterdir()) == []


@pytest.mark.parametrize("call", ["fsync", "replace", "fchmod", "mkdir", "open"])
def test_an_error_anywhere_while_publishing_leaves_a_store_that_can_go_on(
    store: ObjectStore,
    open_store: OpenStore,
    tmp_path: Path,
    call: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fails the first, the second, … call in turn, until a batch gets through."""
    contents = [SMALL, LARGE, LARGE + b"2"]
    for number in range(100):
        is_through = published(store, contents, monkeypatch, call, number)
        assert list(store.layout.tmp.iterdir()) == []
        reopened = open_store()
        for data in contents:
            if reopened.has(hash_bytes(data)):
                assert reopened.read(hash_bytes(data)) == data
        if is_through:
            break

    assert is_through
    assert [open_store().read(hash_bytes(data)) for data in contents] == contents


def published(
    store: ObjectStore,
    contents: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    number: int,
) -> bool:
    """Whether a batch of these blobs could be published though one call of `os` failed."""
    try:
        with Batch(store) as batch:
            for data in contents:
                batch.receive(hash_bytes(data), len(data), [data], ignore)
            with monkeypatch.context() as patch:
                fail_at(patch, call, number)
                batch.publish()
    except OSError:
        return False
    return True


def fail_at(patch: pytest.MonkeyPatch, call: str, number: int) -> None:
    """From now on, one call of a function of `os` fails, after so many that do not."""
    original = getattr(os, call)
    calls = itertools.count()

    def failing(*args: object, **named: object) -> object:
        if next(calls) == number:
            raise OSError(errno.EIO, "Input/output error")
        return original(*args, **named)

    patch.setattr(os, call, failing)


def test_a_commit_that_came_too_late_keeps_its_objects_and_not_its_ref(
    store: ObjectStore, open_store: OpenStore
) -> None:
    put(store, b"theirs")
    store.names.change(RefChange("zoo:m", hash_bytes(b"theirs"), None, "add", 1))

    with Batch(store) as batch:
        for data in (SMALL, LARGE):
            batch.receive(hash_bytes(data), len(data), [data], ignore)
        with pytest.raises(ZooError) as caught:
            batch.commit(RefChange("zoo:m", hash_bytes(SMALL), None, "add", 2))

    assert caught.value.kind == "diverged"
    record = open_store().names.ref("zoo:m")
    assert record is not None
    assert record.snapshot == hash_bytes(b"theirs")
    assert [open_store().read(hash_bytes(data)) for data in (SMALL, LARGE)] == [SMALL, LARGE]


# Staging folders of other processes


def test_the_staging_folder_of_a_process_that_was_killed_is_removed(
    store: ObjectStore, run_python: RunPython
) -> None:
    script = """
import os, sys
from pathlib import Path
from zoostore.digest import hash_bytes
from zoostore.store.batch import Batch
from zoostore.store.layout import Layout
from zoostore.store.names import Names
from zoostore.store.objectstore import ObjectStore

data = bytes(100_000)
with Batch(ObjectStore(Names(Layout(Path(sys.argv[1]))))) as batch:
    batch.receive(hash_bytes(data), len(data), [data], lambda _: None)
    batch.receive(hash_bytes(b"x"), 1, [b"x"], lambda _: None)
    os.kill(os.getpid(), 9)
"""
    killed = run_python(script, store.layout.root, check=False)
    assert killed.returncode == -signal.SIGKILL
    (abandoned,) = store.layout.tmp.iterdir()

    put(store, SMALL)

    assert not abandoned.exists()


def test_the_staging_folder_of_a_living_process_is_kept(store: ObjectStore) -> None:
    with Batch(store) as first:
        first.receive(hash_bytes(LARGE), len(LARGE), [LARGE], ignore)
        put(store, SMALL)
        first.publish()

    assert store.read(hash_bytes(LARGE)) == LARGE


@pytest.mark.parametrize(
    "name", ["othermachine.1.ab", "notes", "a.b", "{host}.x.ab", "{host}.\N{SUPERSCRIPT TWO}.ab"]
)
def test_what_is_not_ours_in_the_folder_for_staging_is_left_alone(
    store: ObjectStore, name: str
) -> None:
    folder = store.layout.tmp / name.format(host=os.uname().nodename)
    folder.mkdir()
    (folder / "content").write_text("x")

    put(store, SMALL)

    assert (folder / "content").read_text() == "x"


# What fails is not tried again: a second flush of the same file says that all is well


def test_what_could_not_be_flushed_is_not_published_later(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "the disk is broken")

    with Batch(store) as batch:
        batch.take_bytes(hash_bytes(LARGE), LARGE)
        batch.take_bytes(hash_bytes(SMALL), SMALL)
        with monkeypatch.context() as broken:
            broken.setattr(os, "fsync", fail)
            with pytest.raises(OSError, match="broken"):
                batch.publish()
        batch.publish()

    assert not store.has(hash_bytes(LARGE))
    assert store.has(hash_bytes(SMALL)), "nobody had tried to flush it yet"


def test_a_pack_that_could_not_be_written_is_not_published_later(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with Batch(store) as batch:
        batch.put(hash_bytes(SMALL), ObjectKind.BLOB, SMALL)
        with monkeypatch.context() as full:
            full.setattr("zoostore.digest.HashingWriter.write", fail)
            with pytest.raises(OSError, match="space"):
                batch.put(hash_bytes(b"other"), ObjectKind.BLOB, b"other")
        batch.publish()

    assert kept(store) == []
    assert not store.has(hash_bytes(SMALL))
