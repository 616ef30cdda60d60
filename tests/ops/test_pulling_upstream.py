"""Pulling by foreign digests: what is here under any name does not move, and nothing is lost."""

from __future__ import annotations

import errno
import hashlib
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from zoostore import Store
from zoostore.digest import Digest
from zoostore.errors import (
    Diverged,
    NeededNetwork,
    NothingLeft,
    TransferFailed,
    UnknownRevision,
    UnknownStub,
)
from zoostore.ops.pull import plan_pull
from zoostore.store.objectstore import ObjectStore

if TYPE_CHECKING:
    from tests.conftest import Cli, LayOut
    from tests.hub import Handler as HubHandler
    from tests.hub import Hub

Look = Callable[[Path], dict[str, bytes | str | None]]

STUB = "hf:org/name"
WEIGHTS = random.Random(1).randbytes(100_000)
FILES = {"config.json": b"{}", "model.safetensors": WEIGHTS, "sub/vocab.txt": b"a b c"}


@pytest.fixture(autouse=True)
def _endpoint(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)


@pytest.fixture
def commit(hub: Hub) -> str:
    return hub.commit("org/name", FILES)


def moved(hub: Hub) -> list[str]:
    """The names of the files that were asked for since the last look."""
    names = [path.rpartition("/")[2] for path in hub.paths if "/resolve/" in path]
    hub.requests.clear()
    return sorted(names)


# What is here does not move


def test_what_was_added_from_a_directory_is_recognised(
    hub: Hub, commit: str, store: Store, lay: LayOut
) -> None:
    """It has no digest but its oid; its size says that it is worth a look."""
    store.add(lay("mine", {"weights.bin": WEIGHTS, "same size": WEIGHTS[::-1]}), "zoo:mine")

    pulled = store.pull(STUB)

    assert moved(hub) == ["config.json", "vocab.txt"]
    assert (pulled.reused_files, pulled.reused_bytes) == (1, len(WEIGHTS))
    assert store.verify().is_clean


def test_what_was_looked_at_once_is_known_from_then_on(
    hub: Hub, commit: str, store: Store, lay: LayOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(lay("mine", {"same size": WEIGHTS[::-1]}), "zoo:mine")
    store.pull(STUB)
    hub.commit("org/name", {**FILES, "other.safetensors": WEIGHTS[1:] + b"x"})
    read: list[object] = []
    monkeypatch.setattr(ObjectStore, "digests_of", lambda _, oid, __: read.append(oid))

    assert store.pull(STUB).downloaded_files == 1
    assert not read


def test_another_model_with_the_same_file_brings_nothing(
    hub: Hub, commit: str, store: Store
) -> None:
    hub.commit("other/tuned", {"base.safetensors": WEIGHTS, "config.json": b"[]"})
    store.pull(STUB)
    moved(hub)

    pulled = store.pull("hf:other/tuned")

    assert moved(hub) == ["config.json"]
    assert pulled.reused_bytes == len(WEIGHTS)


def test_aliases_outlive_the_index(hub: Hub, commit: str, store: Store) -> None:
    store.pull(STUB)
    store.remove(STUB)
    shutil.rmtree(store.path / "index")
    moved(hub)

    pulled = Store(store.path).pull(STUB)

    assert moved(hub) == []
    assert pulled.downloaded_files == 0


def test_a_content_that_was_lost_is_fetched_again(
    hub: Hub, commit: str, store: Store, tmp_path: Path, look: Look
) -> None:
    found = store.pull(STUB).snapshot
    oid = next(file.oid for file in store.files(STUB) if file.path == "model.safetensors")
    (store.path / "objects" / str(oid)[:2] / str(oid)[2:]).unlink()
    moved(hub)

    done = store.checkout(STUB, tmp_path / "work")

    assert moved(hub) == ["model.safetensors"]
    assert look(done.directory) == FILES
    assert done.pulled.snapshot == found


def test_a_plan_says_what_would_move_and_moves_nothing(
    hub: Hub, commit: str, store: Store, cli: Cli
) -> None:
    plan = store.pull(STUB, dry_run=True)

    assert dict(plan.missing) == {path: len(content) for path, content in FILES.items()}
    assert plan.snapshot is None
    assert moved(hub) == []
    assert not (store.path / "format").exists(), "a plan makes no store"
    ran = cli("--store", store.path, "pull", STUB, "--dry-run", "--json")
    assert ran.json["snapshot"] is None
    assert ran.json["downloaded_bytes"] == sum(map(len, FILES.values()))


# Parts of a model


def test_a_part_is_pulled_and_then_the_rest(
    hub: Hub, commit: str, store: Store, new_store: Callable[[str], Store]
) -> None:
    part = store.pull(STUB, include=["*.json"])
    assert moved(hub) == ["config.json"]
    assert store.snapshot(STUB).snapshot.metadata == {"left_out": "2"}

    store.pull(STUB, include=["vocab.txt"])
    assert moved(hub) == ["vocab.txt"]
    assert {file.path for file in store.files(STUB)} == {"config.json", "sub/vocab.txt"}

    whole = store.pull(STUB)
    assert moved(hub) == ["model.safetensors"]
    assert part.snapshot != whole.snapshot
    assert whole.snapshot == new_store("other").pull(STUB).snapshot
    assert store.verify().is_clean


def test_a_checkout_of_what_was_pulled_in_part_brings_the_rest(
    hub: Hub, commit: str, store: Store, tmp_path: Path, look: Look
) -> None:
    store.pull(STUB, include=["*.json"])

    offline = Store(store.path, offline=True).checkout(STUB, tmp_path / "part").directory
    assert look(offline) == {"config.json": b"{}"}
    assert look(store.checkout(STUB, tmp_path / "whole").directory) == FILES


def test_what_is_here_in_part_is_laid_out_where_the_rest_cannot_be_had(
    hub: Hub, commit: str, store: Store, tmp_path: Path, look: Look, impatient: None
) -> None:
    store.pull(STUB, include=["*.json"])
    hub.close()

    assert look(store.checkout(STUB, tmp_path / "part").directory) == {"config.json": b"{}"}
    with pytest.raises(TransferFailed):
        store.pull(STUB)


def test_globs_that_choose_nothing_are_an_error(hub: Hub, commit: str, store: Store) -> None:
    with pytest.raises(NothingLeft):
        store.pull(STUB, include=["*.onnx"])
    assert store.snapshots() == []


# Revisions


@pytest.mark.parametrize("digits", [40, 12])
def test_a_commit_that_is_here_is_not_asked_for(
    hub: Hub, commit: str, store: Store, digits: int
) -> None:
    first = store.pull(STUB).snapshot
    hub.commit("org/name", {**FILES, "config.json": b"[]"})
    second = store.pull(STUB).snapshot
    hub.requests.clear()

    pulled = store.pull(f"{STUB}@{commit[:digits]}")

    assert (pulled.snapshot, pulled.downloaded_files) == (first, 0)
    assert hub.requests == []
    assert store.snapshot(STUB).id == second


def test_a_revision_by_name_is_found_again_without_the_network(
    hub: Hub, commit: str, store: Store
) -> None:
    hub.repository("org/name").refs["v1"] = commit
    hub.commit("org/name", {**FILES, "config.json": b"[]"})
    newest = store.pull(STUB).snapshot
    tagged = store.pull(f"{STUB}@v1").snapshot
    offline = Store(store.path, offline=True)

    assert tagged != newest
    assert store.snapshot(STUB).id == newest
    for revision, meant in (("v1", tagged), (commit, tagged), ("main", newest)):
        assert offline.pull(f"{STUB}@{revision}").snapshot == meant
    with pytest.raises((NeededNetwork, UnknownRevision)):
        offline.pull(f"{STUB}@v2")


def test_a_branch_that_moved_is_asked_for(hub: Hub, commit: str, store: Store) -> None:
    hub.repository("org/name").refs["dev"] = commit
    first = store.pull(f"{STUB}@dev").snapshot
    hub.repository("org/name").refs["dev"] = hub.commit("org/name", {"a": b"a"}, to="dev")

    assert store.pull(f"{STUB}@dev").snapshot != first


def test_a_model_that_was_changed_here_is_not_overwritten(
    hub: Hub, commit: str, store: Store, tmp_path: Path
) -> None:
    work = store.checkout(STUB, tmp_path / "work").directory
    (work / "config.json").write_bytes(b"mine")
    mine = store.commit(work, message="mine").snapshot

    assert store.pull(STUB).snapshot == mine  # it follows what the Hub has
    hub.commit("org/name", {"a": b"a"})
    with pytest.raises(Diverged):
        store.pull(STUB)
    assert store.snapshot(STUB).id == mine
    assert store.pull(STUB, force=True).snapshot != mine


# Who is asked


def test_a_zoo_that_has_the_model_is_asked_before_the_hub(
    hub: Hub, commit: str, store: Store, new_store: Callable[[str], Store], tmp_path: Path
) -> None:
    publisher = new_store("publisher")
    published = publisher.pull(STUB).snapshot
    publisher.publish([STUB], tmp_path / "zoo")
    store.add_remote("mirror", str(tmp_path / "zoo"))
    hub.requests.clear()

    pulled = store.pull(STUB)

    assert (pulled.snapshot, pulled.source) == (published, "mirror")
    assert hub.requests == []


def test_what_the_hub_has_is_named_by_pulling_it_only(hub: Hub, commit: str, store: Store) -> None:
    with pytest.raises(UnknownStub, match="once it was pulled"):
        store.contents(STUB)


@pytest.mark.parametrize("stub", [STUB, f"{STUB}@main", f"{STUB}@{'0' * 40}"])
def test_offline_what_is_not_here_is_named_and_nothing_is_sent(
    hub: Hub, commit: str, cli: Cli, store: Store, stub: str
) -> None:
    ran = cli("--store", store.path, "--offline", "pull", stub)

    assert ran.code == 4
    assert "org/name" in ran.err
    assert hub.requests == []


# Nothing is lost on the way


def test_what_came_before_a_failure_stays_and_the_ref_does_not_move(
    hub: Hub, commit: str, store: Store, impatient: None
) -> None:
    path = f"/org/name/resolve/{commit}/sub/vocab.txt"
    hub.answers[path] = [lambda handler: handler.refuse(500, "broken")]

    with pytest.raises(TransferFailed):
        store.pull(STUB)
    assert store.snapshots() == []
    del hub.answers[path]
    moved(hub)

    assert store.pull(STUB).downloaded_files == 1
    assert moved(hub) == ["vocab.txt"]
    assert store.verify().is_clean


def test_a_model_that_two_pull_at_once_is_sent_once(
    hub: Hub, commit: str, store: Store, tmp_path: Path
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: Store(store.path).pull(STUB).snapshot, range(8)))

    assert len(found) == 1
    assert moved(hub) == ["config.json", "model.safetensors", "vocab.txt"]
    assert not list((store.path / "tmp").glob("*.claim"))


def test_digests_are_those_of_the_content(hub: Hub, commit: str, store: Store) -> None:
    store.pull(STUB)
    objects = store._opened.objects()
    sha256 = Digest("sha256", hashlib.sha256(WEIGHTS).digest())
    blob = Digest("git-sha1", hashlib.sha1(b"blob 2\0{}").digest())

    for digest, content in ((sha256, WEIGHTS), (blob, b"{}")):
        oid = objects.find(digest)
        assert oid is not None
        assert objects.read(oid) == content


def test_a_part_that_was_planned_earlier_does_not_replace_the_whole(
    hub: Hub, commit: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another pull is planned, done and over between a plan and its claim."""
    whole: list[object] = []
    original = plan_pull

    def planned(*args: Any) -> Any:
        todo = original(*args)
        if not whole:
            whole.append(None)
            whole[:] = [Store(store.path).pull(STUB).snapshot]
        return todo

    monkeypatch.setattr("zoostore.ops.pull.plan_pull", planned)
    store.pull(STUB, include=["*.json"])

    assert [store.snapshot(STUB).id] == whole
    assert {file.path for file in store.files(STUB)} == set(FILES)


def test_what_another_did_while_files_came_is_not_replaced(
    hub: Hub, commit: str, store: Store, lay: LayOut
) -> None:
    mine: list[object] = []

    def add_meanwhile(handler: HubHandler) -> None:
        if not mine:
            mine.append(Store(store.path).add(lay("mine", {"m": b"m"}), STUB).snapshot)
        handler.serve()

    hub.answers[f"/org/name/resolve/{commit}/config.json"] = [add_meanwhile]

    with pytest.raises(Diverged):
        store.pull(STUB)
    assert [store.snapshot(STUB).id] == mine


def test_a_model_is_pulled_where_no_hard_links_can_be_made(
    hub: Hub, commit: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)

    assert store.pull(STUB).files == len(FILES)
    assert store.verify().is_clean


def test_what_came_of_what_was_lost_is_kept_when_the_rest_fails(
    hub: Hub, store: Store, tmp_path: Path, impatient: None
) -> None:
    shards = {f"{name}.safetensors": name.encode() * 9000 for name in ("one", "two", "three")}
    commit = hub.commit("org/name", shards)
    store.pull(STUB)
    for path in (store.path / "objects").rglob("*"):
        if path.is_file():
            path.unlink()
    assert not any(store.has(file.oid) for file in store.files(STUB))
    broken = f"/org/name/resolve/{commit}/two.safetensors"
    hub.answers[broken] = [lambda handler: handler.refuse(500, "broken")]

    with pytest.raises(TransferFailed):
        store.checkout(STUB, tmp_path / "work")

    here = {file.path for file in store.files(STUB) if store.has(file.oid)}
    assert here == {"one.safetensors", "three.safetensors"}
