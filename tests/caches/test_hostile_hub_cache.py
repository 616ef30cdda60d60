"""Caches that somebody else made to be adopted: nothing outside of them is read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.sockets import make_socket
from zoostore.caches.base import Cache
from zoostore.caches.detect import read_cache

if TYPE_CHECKING:
    from tests.caches.conftest import CachedRepository

    Make = Callable[..., CachedRepository]

FIRST, SECOND = "1" * 40, "2" * 40
GOOD = {"good": b"good"}
ETAG = "a" * 64


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """What no cache may lead to."""
    path = tmp_path / "secret"
    path.write_bytes(b"secret")
    return path


def only_good(cache: Cache) -> dict[str, str]:
    """The problems of a cache, of which the good file must have been found, and no other."""
    (model,) = cache.models
    assert {path: file.place.read_bytes() for path, file in model.files.items()} == GOOD
    return dict(cache.problems)


@pytest.mark.parametrize(
    "target",
    ["{secret}", "../../../../../secret", "../../blobs/../../../../secret", "{home}", "/dev/null"],
)
def test_a_link_in_a_snapshot_does_not_lead_outside(
    hub_root: Path, repository: Make, secret: Path, target: str
) -> None:
    snapshot = repository().snapshot(FIRST, GOOD)
    target = target.format(secret=secret, home=secret.parent)
    link = repository().link(f"snapshots/{FIRST}/evil", target)

    assert list(only_good(read_cache(hub_root))) == [str(link)]
    assert link.parent == snapshot


def test_a_blob_does_not_lead_outside(hub_root: Path, repository: Make, secret: Path) -> None:
    found = repository()
    found.snapshot(FIRST, GOOD)
    found.link(f"blobs/{ETAG}", str(secret))
    link = found.link(f"snapshots/{FIRST}/evil", f"../../blobs/{ETAG}")

    problems = only_good(read_cache(hub_root))

    assert "outside" in problems[str(link)]


@pytest.mark.parametrize("name", ["blobs", "snapshots", f"snapshots/{SECOND}", "refs", "trees"])
def test_a_folder_of_a_repository_does_not_lead_outside(
    hub_root: Path, repository: Make, tmp_path: Path, name: str
) -> None:
    outside = tmp_path / "outside"
    (outside / FIRST).mkdir(parents=True)
    for path in (outside / ETAG, outside / "main", outside / FIRST / "a", outside / "a"):
        path.write_bytes(FIRST.encode())
    found = repository()
    if name == "snapshots":
        found.put("refs/main", FIRST.encode())
    else:
        found.put(f"snapshots/{FIRST}/good", GOOD["good"])
        found.link(f"snapshots/{FIRST}/evil", f"../../blobs/{ETAG}")
    found.link(name, str(outside))

    cache = read_cache(hub_root)

    places = [file.place for model in cache.models for file in model.files.values()]
    assert not any(place.is_relative_to(outside) for place in places)
    assert all(model.names == () for model in cache.models)
    if name != "trees":  # there is no listing to be asked for
        assert str(found.folder / name) in cache.problems


def test_a_listing_does_not_lead_outside(hub_root: Path, repository: Make, tmp_path: Path) -> None:
    elsewhere = tmp_path / "listing.json"
    elsewhere.write_text('{"format_version": 1, "files": {}}')
    repository().snapshot(FIRST, GOOD)
    link = repository().link(f"trees/{FIRST}.json", str(elsewhere))

    cache = read_cache(hub_root)

    assert list(only_good(cache)) == [str(link)]
    assert cache.models[0].left_out is None


def test_a_repository_that_is_a_link_is_passed_over(
    hub_root: Path, repository: Make, tmp_path: Path
) -> None:
    repository().snapshot(FIRST, GOOD)
    elsewhere = tmp_path / "models--org--elsewhere"
    (elsewhere / "snapshots" / FIRST).mkdir(parents=True)
    (elsewhere / "snapshots" / FIRST / "a").write_bytes(b"a")
    link = hub_root / "models--org--elsewhere"
    link.symlink_to(elsewhere)

    assert list(only_good(read_cache(hub_root))) == [str(link)]
    assert read_cache(link).models[0].stub == "hf:org/elsewhere"


def test_links_that_go_round_end(hub_root: Path, repository: Make) -> None:
    found = repository()
    found.snapshot(FIRST, GOOD)
    found.link("blobs/" + "b" * 64, "c" * 64)
    found.link("blobs/" + "c" * 64, "b" * 64)
    links = [
        found.link(f"snapshots/{FIRST}/one", f"../../blobs/{'b' * 64}"),
        found.link(f"snapshots/{FIRST}/self", "self"),
        found.link(f"snapshots/{FIRST}/up", ".."),
        found.link(f"snapshots/{FIRST}/here", "."),
    ]

    assert set(only_good(read_cache(hub_root))) == {str(link) for link in links}


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [make_fifo, make_socket, Path.mkdir])
@pytest.mark.parametrize("is_blob", [True, False])
def test_what_is_no_plain_file_is_not_opened(
    hub_root: Path, repository: Make, make: Callable[[Path], None], is_blob: bool
) -> None:
    found = repository()
    snapshot = found.snapshot(FIRST, GOOD)
    if is_blob:
        make(found.folder / "blobs" / ETAG)
        found.link(f"snapshots/{FIRST}/evil", f"../../blobs/{ETAG}")
    else:
        make(snapshot / "evil")

    problems = only_good(read_cache(hub_root))

    is_empty_folder = make is Path.mkdir and not is_blob
    assert list(problems) == ([] if is_empty_folder else [str(snapshot / "evil")])


def test_refs_are_read_with_care(hub_root: Path, repository: Make, secret: Path) -> None:
    found = repository()
    found.snapshot(FIRST, GOOD)
    found.ref("main", FIRST + "\n")
    secret.write_text(FIRST)
    bad = [
        found.put("refs/empty", b""),
        found.put("refs/short", b"1" * 39),
        found.put("refs/upper", b"A" * 40),
        found.put("refs/binary", b"\xff" * 40),
        found.put("refs/large", b"1" * 5000),
        found.put("refs/with space", FIRST.encode()),
        found.put("refs/-option", FIRST.encode()),
        found.link("refs/outside", str(secret)),
        found.link("refs/round", "round"),
    ]
    os.mkfifo(found.folder / "refs" / "fifo")

    cache = read_cache(hub_root)

    expected = {str(path) for path in [*bad, found.folder / "refs" / "fifo"]}
    assert set(only_good(cache)) == expected
    assert cache.models[0].names == ()


def test_names_that_no_snapshot_can_hold_are_passed_over(hub_root: Path, repository: Make) -> None:
    found = repository()
    snapshot = found.snapshot(FIRST, GOOD)
    (snapshot / ".ZooStore").write_bytes(b"")
    with open(os.fsencode(snapshot) + b"/\xff\xfe", "wb") as file:
        file.write(b"name")

    problems = only_good(read_cache(hub_root))

    assert len(problems) == 2
    assert all(name.isprintable() for name in problems.values())


def test_folders_deeper_than_a_path_may_be_long_end(hub_root: Path, repository: Make) -> None:
    snapshot = repository().snapshot(FIRST, GOOD)
    here = os.open(snapshot, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)

    problems = only_good(read_cache(hub_root))

    assert len(problems) == 1
