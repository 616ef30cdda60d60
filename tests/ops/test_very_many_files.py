"""What is held of very many files is little, and all comes out as it does for few."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

from zoostore import Store, reread
from zoostore.digest import hash_bytes
from zoostore.errors import FileChanged, LocalChanges, UnsafeName
from zoostore.files import readers, spool
from zoostore.files.reading import read_together
from zoostore.ops import fetching, laying, looking, publish, taking, taking_cached, tracking
from zoostore.ops.adopt import Adopted
from zoostore.ops.recording import Recorded
from zoostore.sources import remote_pack
from zoostore.store import batch, sweeping
from zoostore.store.index import Writer
from zoostore.store.records import PackedRow, PackRecord

if TYPE_CHECKING:
    from tests.conftest import Content, LayOut, Serve

Look: TypeAlias = "Callable[[Path], dict[str, Content]]"
STUB = "zoo:mine"
FILES: dict[str, Content] = {
    **{
        f"d{folder:02}/f{number}{'*' * (number == 1)}": f"{folder % 20} {number}".encode()
        for folder in range(40)
        for number in range(5)
    },
    **{f"d{folder:02}/e/g/big{folder}": bytes([folder]) * 70_000 for folder in range(0, 40, 4)},
    "d01/link": "f0",
    "d01/e/up": "../f1",
    "d02/void/": None,
    "d03-x": b"sorts before what is in d03",
    "d03/empty": b"",
}
PARTS = {
    (taking, "_SMALL_WAITING"): 20,
    (taking, "_LARGE_WAITING"): 3,
    (taking, "_GROUP_FILES"): 8,
    (taking_cached, "_TOGETHER_FILES"): 3,
    (readers, "_BETWEEN"): 4,
    (fetching, "_TOGETHER"): 6,
    (publish, "_MOST_IN_PACK"): 25,
    (publish, "_LOOKED_UP_TOGETHER"): 9,
    (sweeping, "_TOGETHER"): 7,
    (sweeping, "_ROWS_TOGETHER"): 20,
    (fetching, "_ASKED_TOGETHER"): 2,
    (remote_pack, "_RUN"): 200,
    (remote_pack, "_WHOLE_UP_TO"): 100,
    (laying, "_GROUP_FILES"): 8,
    (laying, "_COPIES_WAITING"): 3,
    (looking, "_FOLDERS_TOGETHER"): 4,
    (batch, "_MANY"): 50,
    (batch, "_MANY_FILES"): 3,
    (batch, "_INDEXED_TOGETHER"): 7,
    (batch, "_RELIED_TOGETHER"): 7,
    (spool, "_IN_MEMORY"): 500,
    (reread, "FEW"): 10,
    (tracking, "_WORTH_MAPPING"): 1,
}
"""How much is held at most, and how much is in work at a time."""


@pytest.fixture(params=["alone", "with a worker"])
def few_at_a_time(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every part of the work be too much to be done at once."""
    for (module, name), value in PARTS.items():
        monkeypatch.setattr(module, name, value)
    if request.param == "with a worker":
        for module in (taking, laying, looking):
            monkeypatch.setattr(module, "_WORTH_A_WORKER", 1)


@pytest.fixture
def bit_by_bit(few_at_a_time: None, store: Store) -> Store:
    (store.path / "config.toml").write_text("threads = 2\n")
    return Store(store.path)


@pytest.fixture
def source(lay: LayOut) -> Path:
    return lay("source", FILES)


@pytest.fixture
def at_once(new_store: Callable[[str], Store], source: Path) -> Recorded:
    return new_store("at once").add(source, STUB, time=1)


def test_the_same_snapshot_is_made(at_once: Recorded, bit_by_bit: Store, source: Path) -> None:
    done = bit_by_bit.add(source, STUB, time=1)

    assert done == at_once
    assert bit_by_bit.verify().is_clean
    contents = {data for data in FILES.values() if isinstance(data, bytes)}
    assert bit_by_bit.verify().objects > len(contents)


def test_what_goes_in_comes_out(
    bit_by_bit: Store, source: Path, look: Look, tmp_path: Path
) -> None:
    bit_by_bit.add(source, STUB)

    done = bit_by_bit.checkout(STUB, tmp_path / "out", link="copy")

    assert look(tmp_path / "out") == look(source)
    assert bit_by_bit.status(tmp_path / "out").is_clean
    kept = [content for content in FILES.values() if content is not None]
    assert (done.files, done.size) == (len(kept), sum(len(content) for content in kept))


def test_files_are_listed_in_the_order_of_their_paths(bit_by_bit: Store, source: Path) -> None:
    bit_by_bit.add(source, STUB)

    listed = bit_by_bit.files(STUB)

    assert [file.path for file in listed] == sorted(path.rstrip("/*") for path in FILES)
    assert list(bit_by_bit.each_file(STUB)) == listed


def test_what_was_not_touched_is_not_read_again(
    bit_by_bit: Store, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in source.rglob("*"):
        if not path.is_symlink():
            os.utime(path, (1, 1))
    first = bit_by_bit.add(source, STUB)
    (source / "d07/f3").write_bytes(b"other")
    (source / "d09/f2").unlink()
    (source / "d11/new").write_bytes(b"new")
    read: list[str] = []

    def note(root: str, files: list[tuple[str, int, bytes]]) -> object:
        read.extend(path for path, _, _ in files)
        return read_together(root, files)

    monkeypatch.setattr(taking, "read_together", note)
    monkeypatch.setattr(taking, "_WORTH_A_WORKER", 1000)
    done = bit_by_bit.add(source, STUB)

    assert read == ["d07/f3", "d11/new"]
    assert (done.files, done.parent) == (first.files, first.snapshot)
    changed = bit_by_bit.diff(f"{STUB}@{first.snapshot}", STUB)
    assert (changed.added, changed.removed, changed.changed) == (
        ("d11/new",),
        ("d09/f2",),
        ("d07/f3",),
    )


def edit(out: Path) -> None:
    (out / "d05/f0").write_bytes(b"edited")
    (out / "d06/f1").chmod(0o644)
    (out / "d08/f4").unlink()
    (out / "d09/e").mkdir(exist_ok=True)
    (out / "d09/e/new").write_bytes(b"new")
    (out / "d02/void/filled").write_bytes(b"filled")
    (out / "d01/link").unlink()
    (out / "d01/link").symlink_to("f2")


def test_what_was_edited_is_seen_and_committed(
    bit_by_bit: Store, source: Path, look: Look, tmp_path: Path
) -> None:
    bit_by_bit.add(source, STUB)
    out = bit_by_bit.checkout(STUB, tmp_path / "out", link="copy").directory
    edit(out)

    status = bit_by_bit.status(out)
    assert status.modified == ("d01/link", "d05/f0", "d06/f1")
    assert status.deleted == ("d08/f4",)
    assert status.untracked == ("d02/void/filled", "d09/e/new")
    changed = bit_by_bit.diff(out)
    assert changed.added == ("d02/void/filled", "d09/e/new")
    assert changed.removed == ("d02/void", "d08/f4")
    assert changed.changed == status.modified

    bit_by_bit.commit(out, message="edited")
    assert bit_by_bit.status(out).is_clean
    again = bit_by_bit.checkout(STUB, tmp_path / "again").directory
    assert look(again) == look(out)
    assert bit_by_bit.verify().is_clean


def test_a_checkout_is_brought_up_to_another_snapshot(
    bit_by_bit: Store, source: Path, look: Look, tmp_path: Path
) -> None:
    first = bit_by_bit.add(source, STUB).snapshot
    out = bit_by_bit.checkout(STUB, tmp_path / "out", link="copy").directory
    edit(source)
    bit_by_bit.add(source, STUB)

    bit_by_bit.checkout(STUB, out)
    assert look(out) == look(source)
    assert bit_by_bit.status(out).is_clean

    (out / "d05/f0").write_bytes(b"mine")
    with pytest.raises(LocalChanges):
        bit_by_bit.checkout(f"{STUB}@{first}", out)
    bit_by_bit.checkout(f"{STUB}@{first}", out, force=True)
    assert bit_by_bit.status(out).is_clean


def test_what_globs_left_out_stays_in_the_model(
    bit_by_bit: Store, source: Path, look: Look, tmp_path: Path
) -> None:
    bit_by_bit.add(source, STUB)
    out = bit_by_bit.checkout(STUB, tmp_path / "out", include=["d1*", "void/"]).directory
    assert set(look(out)) == {
        path for path in look(source) if path.startswith("d1") or path == "d02/void/"
    }
    assert bit_by_bit.status(out).is_clean
    (out / "d12/f0").write_bytes(b"other")

    bit_by_bit.commit(out, message="other")

    assert len(bit_by_bit.files(STUB)) == len(FILES)
    changed = bit_by_bit.diff(f"{STUB}@{bit_by_bit.log(STUB)[1].id}", STUB)
    assert (changed.added, changed.removed, changed.changed) == ((), (), ("d12/f0",))


@pytest.mark.parametrize("name", ["F0", "f0\N{COMBINING ACUTE ACCENT}"])
def test_names_that_are_twins_are_refused(
    bit_by_bit: Store, source: Path, tmp_path: Path, name: str
) -> None:
    bit_by_bit.add(source, STUB)
    out = bit_by_bit.checkout(STUB, tmp_path / "out", link="copy").directory
    (out / "d30" / name).write_bytes(b"twin")
    if name == "F0":
        with pytest.raises(UnsafeName, match="F0"):
            bit_by_bit.commit(out, message="twins")
        with pytest.raises(UnsafeName, match="F0"):
            bit_by_bit.add(out, "zoo:other")
    else:
        bit_by_bit.commit(out, message="no twins")


def test_a_folder_that_is_the_twin_of_another_is_refused(
    bit_by_bit: Store, source: Path, tmp_path: Path
) -> None:
    bit_by_bit.add(source, STUB)
    out = bit_by_bit.checkout(STUB, tmp_path / "out", link="copy").directory
    (out / "D30").mkdir()
    (out / "D30/f").write_bytes(b"")
    with pytest.raises(UnsafeName, match="D30"):
        bit_by_bit.commit(out, message="twins")


def test_what_came_before_a_file_that_changes_goes_with_gc(
    bit_by_bit: Store, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was published by then, and nothing leads to it."""
    monkeypatch.setattr(taking, "_WORTH_A_WORKER", 1000)
    last = source / "d39/f4"

    def change(root: str, files: list[tuple[str, int, bytes]]) -> object:
        if any(path == "d39/f4" for path, _, _ in files):
            last.write_bytes(b"something else")
        return read_together(root, files)

    monkeypatch.setattr(taking, "read_together", change)
    with pytest.raises(FileChanged, match="d39/f4"):
        bit_by_bit.add(source, STUB)

    assert bit_by_bit.snapshots() == []
    assert bit_by_bit.verify().is_clean
    bit_by_bit.gc(grace=0, yes=True)
    assert bit_by_bit.verify().objects == 0


@pytest.mark.parametrize("stop_at", [0, 1, 3])
def test_a_pack_that_was_indexed_in_part_is_indexed_again(
    bit_by_bit: Store, source: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    """As by a process that was killed: what stands in the pack is found again."""
    index_rows, calls = Writer.index_rows, 0

    def stop(index: Writer, record: PackRecord, rows: Iterator[PackedRow]) -> None:
        nonlocal calls
        calls += 1
        if calls > stop_at:
            raise KeyboardInterrupt
        index_rows(index, record, rows)

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "index_rows", stop)
        with pytest.raises(KeyboardInterrupt):
            bit_by_bit.add(source, STUB)
    packs = list((bit_by_bit.path / "packs").iterdir())
    assert packs

    again = Store(bit_by_bit.path)
    assert again.verify().is_clean
    assert again.has(hash_bytes(b"0 0"))
    added = again.add(source, STUB)
    assert added.files == len([content for content in FILES.values() if content is not None])
    assert again.verify().is_clean


@pytest.fixture
def adopted_at_once(new_store: Callable[[str], Store], source: Path) -> tuple[Adopted, Store]:
    store = new_store("adopted at once")
    return store.adopt(source, stub=STUB), store


def test_what_is_adopted_is_the_same(
    adopted_at_once: tuple[Adopted, Store], bit_by_bit: Store, source: Path
) -> None:
    at_once, other = adopted_at_once

    done = bit_by_bit.adopt(source, stub=STUB)

    assert bit_by_bit.files(STUB) == other.files(STUB)
    assert bit_by_bit.snapshot(STUB).snapshot.tree == other.snapshot(STUB).snapshot.tree
    assert (done.files, done.size) == (at_once.files, at_once.size)
    assert bit_by_bit.verify().is_clean
    assert not bit_by_bit.adopt(source, stub=STUB).models[0].is_new


def test_what_is_adopted_becomes_links(bit_by_bit: Store, source: Path, look: Look) -> None:
    before = look(source)

    done = bit_by_bit.adopt(source, stub=STUB, relink=True)

    assert look(source) == before
    big = [path for path in source.rglob("big*") if not path.is_symlink()]
    objects = {os.lstat(path).st_ino for path in (bit_by_bit.path / "objects").rglob("*")}
    assert done.linked["copy"] or objects.issuperset(os.lstat(path).st_ino for path in big)


@pytest.fixture
def zoo(at_once: Recorded, new_store: Callable[[str], Store], tmp_path: Path) -> Path:
    Store(tmp_path / "at once").publish([STUB], tmp_path / "zoo")
    return tmp_path / "zoo"


@pytest.mark.parametrize("place", ["near", "web"])
def test_what_is_pulled_is_the_same(
    zoo: Path, bit_by_bit: Store, source: Path, look: Look, tmp_path: Path, serve: Serve, place: str
) -> None:
    bit_by_bit.add_remote("zoo", str(zoo) if place == "near" else serve(zoo).url)
    bit_by_bit.add(source / "d01", "zoo:part")

    planned = bit_by_bit.pull(STUB, dry_run=True)
    done = bit_by_bit.pull(STUB)

    assert dict(planned.missing) == dict(done.missing)
    assert (len(done.missing), sum(size for _, size in done.missing)) == (
        done.downloaded_files,
        done.downloaded_bytes,
    )
    here = {FILES[path] for path in FILES if path.startswith("d01/")}
    wanted = {content for content in FILES.values() if isinstance(content, bytes)}
    assert done.downloaded_files == len(wanted - here)
    bit_by_bit.checkout(STUB, tmp_path / "out", link="copy")
    assert look(tmp_path / "out") == look(source)
    assert bit_by_bit.verify().is_clean


def test_what_is_lost_comes_back_from_copies_and_from_the_zoo(
    zoo: Path, bit_by_bit: Store, source: Path, tmp_path: Path
) -> None:
    bit_by_bit.add_remote("zoo", str(zoo))
    bit_by_bit.adopt(source / "d04", stub="zoo:adopted")
    kept = set((bit_by_bit.path / "packs").iterdir())  # with what only this store knows
    bit_by_bit.pull(STUB)
    lost = [path for path in (bit_by_bit.path / "packs").iterdir() if path not in kept]
    lost += [path for path in (bit_by_bit.path / "objects").rglob("*") if path.is_file()]
    for path in lost:
        path.unlink()

    done = Store(bit_by_bit.path).repair()

    assert done.is_done
    assert not done.missing
    assert bit_by_bit.verify().is_clean


def test_what_is_published_in_many_packs_is_pulled(
    bit_by_bit: Store, new_store: Callable[[str], Store], source: Path, look: Look, tmp_path: Path
) -> None:
    bit_by_bit.add(source, STUB)
    bit_by_bit.add(source / "d01", "zoo:part")

    first = bit_by_bit.publish([STUB, "zoo:part"], tmp_path / "zoo")
    again = bit_by_bit.publish([STUB, "zoo:part"], tmp_path / "zoo")

    assert len(list((tmp_path / "zoo/packs").iterdir())) > 4
    assert first.new_objects > len({*FILES.values()})
    assert (again.new_objects, again.new_bytes) == (0, 0)
    other = new_store("other")
    other.add_remote("zoo", str(tmp_path / "zoo"))
    for stub, folder in ((STUB, source), ("zoo:part", source / "d01")):
        other.checkout(stub, tmp_path / stub[4:], link="copy")
        assert look(tmp_path / stub[4:]) == look(folder)
    assert other.verify().is_clean


def test_what_nobody_needs_goes_bit_by_bit(bit_by_bit: Store, source: Path) -> None:
    bit_by_bit.add(source, STUB)
    bit_by_bit.add(source / "d01", "zoo:part")
    kept = bit_by_bit.files("zoo:part")
    bit_by_bit.remove(STUB)

    planned = bit_by_bit.gc(grace=0)
    done = bit_by_bit.gc(grace=0, yes=True)

    contents = {content for content in FILES.values() if isinstance(content, bytes)}
    assert done.removed_objects == planned.removed_objects > len(contents)
    assert bit_by_bit.verify().is_clean
    assert bit_by_bit.verify().objects == done.kept_objects
    assert bit_by_bit.files("zoo:part") == kept
    shutil.rmtree(bit_by_bit.path / "index")
    assert Store(bit_by_bit.path).verify().objects == done.kept_objects
