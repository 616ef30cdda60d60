"""adopt on the files of huggingface_hub itself, which goes on working with them."""

from __future__ import annotations

import os
import random
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from zoostore import Store

if TYPE_CHECKING:
    from tests.conftest import Cli
    from tests.hub import Hub

MODEL, DATASET = "hf:org/name", "hf:datasets/org/data"
SHARED = random.Random(1).randbytes(100_000)
OLD = {"config.json": b"{}", "model.safetensors": SHARED, "sub/vocab.txt": b"a b"}
NEW = {**OLD, "model.safetensors": SHARED[::-1], "README.md": b"# new"}
ROWS = {"train.parquet": SHARED, "data.csv": b"1,2"}

_FROM_ITS_CACHE = """
import sys
from huggingface_hub import snapshot_download
name, kind, revision, cache = sys.argv[1:]
print(snapshot_download(
    name, repo_type=kind, revision=revision, cache_dir=cache, local_files_only=True
))
"""


class Cached(NamedTuple):
    """The real library's cache, with two states of a model and one of a dataset."""

    hub: Hub
    root: Path
    old: str
    new: str
    data: str

    def read(self, kind: str, name: str, revision: str) -> dict[str, bytes]:
        """What the library finds in its cache, without a network."""
        ran = subprocess.run(
            [sys.executable, "-c", _FROM_ITS_CACHE, name, kind, revision, str(self.root)],
            env=self.hub.environment(self.root.with_name("home")) | {"HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        folder = Path(ran.stdout.strip())
        files = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    def check(self) -> None:
        """The library has all that it had."""
        assert self.read("model", "org/name", "main") == NEW
        assert self.read("model", "org/name", self.old) == OLD
        assert self.read("dataset", "org/data", "main") == ROWS


@pytest.fixture
def cached(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cached:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    root = tmp_path / "hub"
    old = hub.commit("org/name", OLD)
    hub.repository("org/name").refs["v1"] = old
    hub.download("org/name", root, revision="v1")
    new = hub.commit("org/name", NEW)
    hub.download("org/name", root)
    data = hub.commit("datasets/org/data", ROWS)
    hub.download("datasets/org/data", root)
    hub.requests.clear()
    return Cached(hub, root, old, new, data)


def contents(store: Store, stub: str) -> dict[str, bytes]:
    found = {}
    for entry in store.files(stub):
        with store.open_file(stub, entry.path) as file:
            found[entry.path] = file.read()
    return found


def everything(root: Path) -> dict[str, tuple[object, ...]]:
    """All that a folder has: links, contents, permissions, times and inodes."""
    found: dict[str, tuple[object, ...]] = {}
    for path in root.rglob("*"):
        status = path.lstat()
        held: object = None
        if path.is_symlink():
            held = os.readlink(path)
        elif path.is_file():
            held = path.read_bytes()
        found[str(path)] = (status.st_mode, status.st_mtime_ns, status.st_ino, held)
    return found


def test_a_cache_is_adopted_whole_and_left_as_it_is(cached: Cached, store: Store) -> None:
    before = everything(cached.root)

    done = store.adopt(cached.root)

    assert [(model.stub, model.revision, model.left_out) for model in done.models] == [
        (DATASET, cached.data, 0),
        (MODEL, cached.new, 0),
        (MODEL, cached.old, 0),
    ]
    assert (done.damaged, done.passed_over, done.kind) == ({}, {}, "huggingface")
    assert contents(store, MODEL) == contents(store, f"{MODEL}@main") == NEW
    assert contents(store, f"{MODEL}@v1") == contents(store, f"{MODEL}@{cached.old}") == OLD
    assert contents(store, DATASET) == ROWS
    assert store.verify().is_clean
    assert everything(cached.root) == before
    assert cached.hub.requests == []
    cached.check()


def test_it_goes_on_working_after_it_was_relinked(cached: Cached, store: Store) -> None:
    store.adopt(cached.root, relink=True)

    again = store.adopt(cached.root, relink=True)

    assert (again.relinked_files, again.relinked_bytes) == (0, 0)
    assert not any(model.is_new for model in again.models)
    blobs = [path for path in cached.root.rglob("blobs/*") if path.stat().st_size >= len(SHARED)]
    assert len(blobs) == 3  # of which two have the same content
    assert all(stat.S_ISREG(path.lstat().st_mode) for path in blobs)
    assert store.verify().is_clean
    cached.check()


def test_what_was_adopted_is_not_pulled_again(cached: Cached, store: Store) -> None:
    adopted = {model.revision: model for model in store.adopt(cached.root).models}

    pulled = store.pull(f"{MODEL}@{cached.new}")
    older = store.pull(f"{MODEL}@{cached.old}")

    assert cached.hub.requests == []
    assert pulled.snapshot == adopted[cached.new].snapshot
    assert older.snapshot == adopted[cached.old].snapshot
    assert (pulled.downloaded_files, older.downloaded_files) == (0, 0)


def test_a_download_that_goes_on_is_adopted_with_what_it_brings(
    cached: Cached, store: Store
) -> None:
    store.adopt(cached.root)
    newer = cached.hub.commit("org/name", {**NEW, "more.safetensors": SHARED + b"more"})
    cached.hub.download("org/name", cached.root)

    done = store.adopt(cached.root)

    assert [model.revision for model in done.models if model.is_new] == [newer]
    assert sum(done.linked.values()) == 1
    assert contents(store, f"{MODEL}@{newer}").keys() == {*NEW, "more.safetensors"}


def test_on_the_command_line_damage_is_named_and_the_rest_is_adopted(
    cached: Cached, store: Store, cli: Cli
) -> None:
    (blob,) = {
        path.resolve()
        for path in cached.root.glob(f"models--*/snapshots/{cached.new}/model.safetensors")
    }
    blob.chmod(0o644)
    blob.write_bytes(bytes(len(SHARED)))

    ran = cli("--store", store.path, "--json", "adopt", cached.root)

    assert ran.code == 3
    assert [(model["revision"], model["left_out"]) for model in ran.json["models"]] == [
        (cached.data, 0),
        (cached.new, 1),
        (cached.old, 0),
    ]
    assert [line["path"] for line in ran.json["damaged"]] == [str(blob)]
    assert str(blob) in ran.err
    assert contents(store, f"{MODEL}@v1") == OLD
