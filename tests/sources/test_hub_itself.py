"""The Hub of the tests is one: the real library downloads from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.hub import Hub

Look = Callable[[Path], dict[str, bytes | str | None]]

FILES = {
    "config.json": b"{}",
    "model.safetensors": bytes(range(256)) * 300,
    "empty": b"",
    "empty.bin": b"",
    "sub/deep er/ü #1?%41+.txt": b"odd",
    "sub/weights.bin": b"w" * 5000,
}


@pytest.mark.parametrize("name", ["org/name", "datasets/org/name", "name"])
def test_the_real_library_downloads_from_it(hub: Hub, tmp_path: Path, name: str) -> None:
    commit = hub.commit(name, FILES)
    hub.page_size = 2

    folder = hub.download(name, tmp_path / "cache")

    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert found == FILES
    assert folder.name == commit
    assert len([asked for asked in hub.requests if "/tree/" in asked.path]) == 4
    assert sum(asked.sent for asked in hub.asked("cdn")) == 256 * 300 + 5000
    assert not any("authorization" in asked.headers for asked in hub.requests)


def test_the_real_library_sends_its_token_to_the_hub_only(hub: Hub, tmp_path: Path) -> None:
    hub.commit("org/name", FILES)
    hub.tokens.add("hf_reader")
    repository = hub.repository("org/name")
    repository.is_private, repository.readers = True, {"hf_reader"}

    hub.download("org/name", tmp_path / "cache", token="hf_reader")

    assert {asked.token for asked in hub.requests if asked.host == "hub"} == {"hf_reader"}
    assert {asked.token for asked in hub.requests if asked.host == "cdn"} == {None}


def test_the_real_library_finds_revisions_and_renamed_repositories(
    hub: Hub, tmp_path: Path
) -> None:
    first = hub.commit("org/name", {"a": b"1"})
    second = hub.commit("org/name", {"a": b"2"}, to="refs/pr/1")
    hub.renamed["old/name"] = "org/name"

    assert hub.download("old/name", tmp_path / "cache").name == first
    assert hub.download("org/name", tmp_path / "cache", revision="refs/pr/1").name == second
    assert hub.download("org/name", tmp_path / "cache", revision=first).name == first


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ({"gated": "manual"}, "GatedRepoError"),
        ({"gated": "auto", "is_listing_gated": True}, "GatedRepoError"),
        ({"is_private": True}, "401 Unauthorized.*Invalid username or password"),
        ({"is_disabled": True}, "DisabledRepoError"),
    ],
)
def test_the_real_library_is_refused_as_by_the_real_hub(
    hub: Hub, tmp_path: Path, state: dict[str, object], error: str
) -> None:
    hub.commit("org/name", FILES)
    for key, value in state.items():
        setattr(hub.repository("org/name"), key, value)

    with pytest.raises(AssertionError, match=f"(?s){error}"):
        hub.download("org/name", tmp_path / "cache")


def test_the_real_library_does_not_find_what_it_may_not_know_of(hub: Hub, tmp_path: Path) -> None:
    hub.tokens.add("hf_stranger")
    hub.commit("org/name", FILES)
    hub.repository("org/name").is_private = True

    for name in ("org/name", "org/missing"):
        with pytest.raises(AssertionError, match="RepositoryNotFoundError"):
            hub.download(name, tmp_path / "cache", token="hf_stranger")
