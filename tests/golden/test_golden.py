"""A store, a checkout and a zoo of the first format: every release must read them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.golden.make import BASE, FILES, HERE
from zoostore import Store
from zoostore.digest import GIT_BLOB, SHA256, digest_bytes, hash_bytes
from zoostore.errors import InvalidConfig, NewerFormat
from zoostore.store.packs import END, FOOTER, MAGIC, RECORD, ROW

SNAPSHOTS = {
    "v1": "ebfb89fb3387626750486e8ab0c4e5727254a1cf3c6f3c050a9eb9294b336cfa",
    "": "8e35811cc7bcab631ee7815bd1900b1735ba404b7437a2dfd12c5e0dcbc6faf3",
}
NEWEST = {**FILES, "model.md": b"# A better model\n", "latest": b"model.onnx"}


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    """A copy of what is kept. (Git keeps no empty folders.)"""
    for name in ("store", "checkout", "zoo"):
        shutil.copytree(HERE / name, tmp_path / name, symlinks=True)
    (tmp_path / "checkout/empty").mkdir(exist_ok=True)
    return tmp_path


@pytest.fixture
def store(golden: Path) -> Store:
    return Store(golden / "store", offline=True)


def contents(store: Store, stub: str) -> dict[str, bytes]:
    found = {}
    for file in store.files(stub):
        if file.mode != "040000":
            with store.open_file(stub, file.path) as opened:
                found[file.path] = opened.read()
    return found


def test_every_file_of_every_snapshot_is_read(store: Store) -> None:
    assert {model.stub: str(model.snapshot) for model in store.snapshots()} == {BASE: SNAPSHOTS[""]}
    for tag, snapshot in SNAPSHOTS.items():
        assert str(store.snapshot(f"{BASE}@{tag}" if tag else BASE).id) == snapshot
    assert contents(store, BASE) == {**NEWEST, "latest": FILES["model.onnx"]}
    assert contents(store, f"{BASE}@v1")["model.md"] == FILES["model.md"]
    assert [entry.snapshot.message for entry in store.log(BASE)] == ["Größer", "The first"]
    assert {file.path: file.mode for file in store.files(BASE)}["recipe/run.sh"] == "100755"


def test_it_is_as_it_should_be(store: Store) -> None:
    assert store.verify().is_clean
    removed = store.gc(yes=True)
    assert {garbage.why.stub for garbage in removed.removed} <= {"zoo:gone"}
    assert store.verify().is_clean


def test_aliases_are_known(store: Store) -> None:
    content = FILES["model.onnx"]

    for kind in (SHA256, GIT_BLOB):
        assert store._opened.objects().find(digest_bytes(kind, content)) == hash_bytes(content)


def test_the_settings_are_read(store: Store) -> None:
    assert store.remotes()["lab"] == "https://models.example.org/zoo"


def test_it_is_laid_out_and_worked_with(golden: Path, store: Store) -> None:
    work = store.checkout(BASE, golden / "work").directory
    assert (work / "latest").read_bytes() == FILES["model.onnx"]
    (work / "model.md").unlink()
    done = store.commit(work, message="goes on", time=1_800_000_000)

    assert str(done.parent) == SNAPSHOTS[""]
    assert store.verify().is_clean


def test_the_checkout_is_one(golden: Path, store: Store) -> None:
    status = store.status(golden / "checkout")
    assert (status.stub, str(status.snapshot)) == (BASE, SNAPSHOTS[""])
    assert status.is_clean

    (golden / "checkout/nothing").write_bytes(b"something")
    assert store.status(golden / "checkout").modified == ("nothing",)


def test_the_zoo_is_one(golden: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "other", offline=True)
    store.add_remote("golden", str(golden / "zoo"))
    store.pull(BASE)

    assert str(store.snapshot(BASE).id) == SNAPSHOTS[""]
    store.pull(f"{BASE}@v1")
    assert contents(store, f"{BASE}@v1")["model.md"] == FILES["model.md"]
    assert store.verify().is_clean


# What a later release wrote


def later_store(golden: Path) -> object:
    (golden / "store/format").write_text("zoostore 2\n")
    return Store(golden / "store", offline=True).snapshots()


def later_checkout(golden: Path) -> object:
    path = golden / "checkout/.zoostore/checkout.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    return Store(golden / "store", offline=True).status(golden / "checkout")


def later_zoo(golden: Path) -> object:
    path = golden / "zoo/zoo.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    store = Store(golden / "other", offline=True)
    store.add_remote("golden", str(golden / "zoo"))
    return store.pull(BASE)


@pytest.mark.parametrize(
    "meet", [later_store, later_checkout, later_zoo], ids=lambda meet: meet.__name__
)
def test_what_is_newer_is_refused_and_left_alone(
    golden: Path, meet: Callable[[Path], object]
) -> None:
    with pytest.raises(NewerFormat, match="format 2"):
        meet(golden)

    reflog = golden / "store/reflog"
    assert reflog.read_bytes() == (HERE / "store/reflog").read_bytes()


def later_pack(store: Path, kind: int, encoding: int) -> None:
    """Put a whole and sound pack into a store, with an object in it that is of a later release."""
    payload = b"what is to come"
    size, oid = len(payload), hash_bytes(payload)
    record = RECORD.pack(b"R", kind, encoding, size, size, oid) + payload
    row = ROW.pack(oid, kind, encoding, len(MAGIC) + RECORD.size, size, size)
    footer = FOOTER.pack(len(MAGIC) + len(record), 1, hash_bytes(row), END)
    data = MAGIC + record + row + footer
    (store / f"packs/{hash_bytes(data)}.zpack").write_bytes(data)


def held(root: Path) -> dict[str, bytes]:
    """What a store holds, without what is derived."""
    return {
        str(path): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and "index" not in path.relative_to(root).parts
    }


@pytest.mark.parametrize(("kind", "encoding"), [(5, 0), (1, 1)], ids=["kind", "encoding"])
def test_a_pack_of_a_later_release_is_refused_and_left_alone(
    golden: Path, kind: int, encoding: int
) -> None:
    later_pack(golden / "store", kind, encoding)
    before = held(golden / "store")

    with pytest.raises(NewerFormat, match=f"kind {kind} in encoding {encoding}"):
        Store(golden / "store", offline=True).snapshots()
    with pytest.raises(NewerFormat):
        Store(golden / "store", offline=True).add(golden / "checkout", "zoo:new")

    assert held(golden / "store") == before


def test_a_setting_of_a_later_release_is_named(golden: Path) -> None:
    with open(golden / "store/config.toml", "a") as config:
        config.write("\n[later]\nx = 1\n")

    with pytest.raises((InvalidConfig, NewerFormat), match="later"):
        Store(golden / "store", offline=True).remotes()
