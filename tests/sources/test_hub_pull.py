"""What is pulled from the Hub is what the real library gets there, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore import Store
from zoostore.errors import (
    GatedModel,
    MalformedObject,
    TransferFailed,
    UnknownStub,
    WrongContent,
    ZooError,
)

if TYPE_CHECKING:
    from tests.conftest import Cli
    from tests.hub import Handler, Hub

Look = Callable[[Path], dict[str, bytes | str | None]]

SECRET = "hf_secret-of-somebody"
LARGE = os.urandom(1 << 20) * 9
FILES = {
    ".gitattributes": b"*.bin filter=lfs\n",
    "config.json": b"{}",
    "empty": b"",
    "empty.bin": b"",
    "model.safetensors": LARGE,
    "same.bin": b"same" * 5000,
    "sub/same again.bin": b"same" * 5000,
    "sub/same.txt": b"same" * 5000,
    "sub/deep er/ü #1?%41+&=;@~.txt": b"odd",
    "sub/deep er/日本 语.bin": b"odder" * 5000,
    "sub/100%.bin": os.urandom(70_000),
    "-rf": b"",
}


@pytest.fixture(autouse=True)
def _endpoint(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)


def below(root: Path) -> dict[str, bytes]:
    """The files of a snapshot in the library's cache, which are links."""
    paths = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.parametrize("name", ["org/name", "datasets/org/name"])
def test_it_is_byte_for_byte_what_the_real_library_downloads(
    hub: Hub, store: Store, tmp_path: Path, look: Look, name: str
) -> None:
    commit = hub.commit(name, FILES)
    hub.page_size = 3

    theirs = hub.download(name, tmp_path / "cache")
    moved = sum(asked.sent for asked in hub.requests if "/api/models" not in asked.path)
    hub.requests.clear()
    ours = store.checkout(f"hf:{name}", tmp_path / "ours")

    assert below(theirs) == FILES
    assert look(ours.directory) == FILES
    assert theirs.name == commit
    assert store.snapshot(f"hf:{name}").snapshot.revision == commit
    assert sum(asked.sent for asked in hub.asked("cdn")) < moved, "same contents come once"


def test_what_is_pulled_again_is_not_sent_again(hub: Hub, store: Store) -> None:
    commit = hub.commit("org/name", FILES)
    store.pull("hf:org/name")
    hub.commit("org/name", {**FILES, "new.bin": b"new" * 9000})
    hub.requests.clear()

    pulled = store.pull("hf:org/name")

    assert pulled.downloaded_files == 1
    assert sum(asked.sent for asked in hub.asked("cdn")) == 27_000
    assert not any("/resolve/" in path and "new.bin" not in path for path in hub.paths)
    hub.requests.clear()
    assert store.pull(f"hf:org/name@{commit}").downloaded_files == 0
    assert hub.requests == []


def test_the_same_commit_is_the_same_snapshot_for_everyone(
    hub: Hub, new_store: Callable[[str], Store]
) -> None:
    commit = hub.commit("org/name", FILES)
    first = new_store("first").pull("hf:org/name").snapshot
    hub.commit("org/name", {"other": b""})

    assert new_store("second").pull(f"hf:org/name@{commit}").snapshot == first


def test_a_renamed_model_is_pulled_and_its_new_name_said(hub: Hub, cli: Cli, store: Store) -> None:
    hub.commit("new/called", FILES)
    hub.renamed["old/name"] = "new/called"

    ran = cli("--store", store.path, "pull", "hf:old/name")

    assert ran.code == 0
    assert "hf:old/name is now called hf:new/called" in ran.err
    assert [found.stub for found in store.snapshots()] == ["hf:old/name"]


@pytest.mark.parametrize(
    "files",
    [
        {"README.md": b"1", "readme.md": b"2"},
        {"a": b"1", "a/b": b"2"},
        {"sub/ü": b"1", "sub/u\u0308": b"2"},
    ],
)
def test_names_that_cannot_stand_beside_each_other_are_refused_before_a_file_is_sent(
    hub: Hub, store: Store, files: dict[str, bytes]
) -> None:
    hub.commit("org/name", files)

    with pytest.raises(MalformedObject):  # UnsafePath is one
        store.pull("hf:org/name")
    assert not any("/resolve/" in path for path in hub.paths)
    assert store.snapshots() == []


def flipped(handler: Handler) -> None:
    handler.send_content(bytes([LARGE[0] ^ 1]) + LARGE[1:], {"ETag": '"x"'})


def pointer(handler: Handler) -> None:
    handler.send_content(b"version https://git-lfs.github.com/spec/v1\n", {"ETag": '"x"'})


def page(handler: Handler) -> None:
    handler.answer(200, b"<html>Please log in" + bytes(len(LARGE) - 19))


def denied(handler: Handler) -> None:
    handler.answer(403, b"Request has expired")


@pytest.mark.parametrize(
    ("answer", "errors"),
    [
        (flipped, (WrongContent,)),
        (pointer, (WrongContent, TransferFailed)),
        (page, (WrongContent, TransferFailed)),
        (denied, (TransferFailed,)),
    ],
)
def test_a_file_that_is_not_what_the_hub_lists_is_no_part_of_a_model(
    hub: Hub,
    store: Store,
    answer: Callable[[Handler], None],
    errors: tuple[type[ZooError], ...],
) -> None:
    commit = hub.commit("org/name", {"config.json": b"{}", "model.safetensors": LARGE})
    blob = hub.repository("org/name").commits[commit].blobs["model.safetensors"]
    hub.answers[f"/{blob.sha256}"] = [answer]

    with pytest.raises(ZooError) as raised:
        store.pull("hf:org/name")
    assert isinstance(raised.value, errors)
    assert "Signature" not in f"{raised.value} {raised.value.facts}"
    assert store.snapshots() == []

    del hub.answers[f"/{blob.sha256}"]
    assert store.pull("hf:org/name").files == 2


@pytest.mark.parametrize("content", [b"{ }", b"[]", b"<html>not found</html>"])
def test_a_small_file_is_checked_against_its_blob_id(
    hub: Hub, store: Store, content: bytes
) -> None:
    commit = hub.commit("org/name", {"config.json": b"{}"})
    path = f"/api/resolve-cache/models/org/name/{commit}/config.json"
    hub.answers[path] = [lambda handler: handler.send_content(content, {})]

    with pytest.raises((WrongContent, TransferFailed)):
        store.pull("hf:org/name")
    assert store.snapshots() == []


def test_a_token_is_sent_to_the_hub_only_and_is_nowhere_afterwards(
    hub: Hub, cli: Cli, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.tokens.add(SECRET)
    hub.commit("org/name", FILES)
    repository = hub.repository("org/name")
    repository.is_private, repository.gated, repository.readers = True, "auto", {SECRET}
    with pytest.raises(UnknownStub):
        store.pull("hf:org/name")
    monkeypatch.setenv("HF_TOKEN", SECRET)

    ran = cli("--store", store.path, "-v", "--json", "pull", "hf:org/name")
    shown = cli("--store", store.path, "show", "hf:org/name")

    assert ran.code == shown.code == 0
    assert SECRET not in f"{ran} {shown}"
    assert {asked.token for asked in hub.asked("cdn")} == {None}
    for path in store.path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert SECRET.encode() not in content
            assert b"Signature=" not in content


def test_a_gated_model_is_refused_with_what_to_do(hub: Hub, cli: Cli, store: Store) -> None:
    hub.commit("org/name", FILES)
    hub.repository("org/name").gated = "manual"

    with pytest.raises(GatedModel):
        store.pull("hf:org/name")
    ran = cli("--store", store.path, "pull", "hf:org/name")

    assert ran.code == 1
    assert f"{hub.url}/org/name" in ran.err
    assert "No token was sent." in ran.err
    assert "hf auth login" in ran.err
