"""What the cache of the Hugging Face Hub says of its models, their revisions and their files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore.caches.base import Cache, CachedModel
from zoostore.caches.detect import read_cache

if TYPE_CHECKING:
    from tests.caches.conftest import CachedRepository

    Make = Callable[..., CachedRepository]

FIRST, SECOND, THIRD = "1" * 40, "2" * 40, "3" * 40
FILES = {"config.json": b"{}", "model.bin": b"weights" * 20, "sub/more.bin": b"more", "empty": b""}
XET = "ab" * 32
SHARED = Path("blobs")


def only_model(cache: Cache) -> CachedModel:
    (model,) = cache.models
    return model


def contents(model: CachedModel) -> dict[str, bytes]:
    for file in model.files.values():
        assert file.place.is_file()
        assert not file.place.is_symlink()
        assert file.size == file.stamp.size == file.place.stat().st_size
    return {path: file.place.read_bytes() for path, file in model.files.items()}


def digests(model: CachedModel) -> dict[str, list[str]]:
    return {path: [str(digest) for digest in file.digests] for path, file in model.files.items()}


def expected_digests(repository: CachedRepository, files: dict[str, bytes]) -> dict[str, list[str]]:
    lines = {path: repository.line(path, content) for path, content in files.items()}
    return {
        path: [f"sha256:{line['lfs_sha256']}" if "lfs_sha256" in line else f"git-sha1:{blob_id}"]
        for path, line in lines.items()
        for blob_id in [line["blob_id"]]
    }


def test_files_are_called_by_the_names_of_their_blobs(hub_root: Path, repository: Make) -> None:
    repository().snapshot(FIRST, FILES)
    repository().ref("main", FIRST)

    cache = read_cache(hub_root)

    model = only_model(cache)
    assert (cache.kind, cache.root, cache.problems) == ("huggingface", hub_root, {})
    assert (model.stub, model.revision, model.names) == ("hf:org/name", FIRST, ())
    assert model.is_current
    assert model.left_out is None
    assert contents(model) == FILES
    assert digests(model) == expected_digests(repository(), FILES)
    assert not any(file.is_executable for file in model.files.values())


def test_the_cache_may_be_named_by_what_holds_it_or_by_a_repository_or_a_link(
    hub_root: Path, repository: Make, tmp_path: Path
) -> None:
    repository().snapshot(FIRST, FILES)
    link = tmp_path / "link"
    link.symlink_to(hub_root)

    models = read_cache(hub_root).models

    assert read_cache(hub_root.parent).models == models
    assert read_cache(repository().folder).models == models
    assert read_cache(link).models == models
    assert read_cache(link).root == hub_root


def test_a_cache_stays_as_it_is(
    hub_root: Path, repository: Make, stamps: Callable[[Path], dict[str, tuple[int, int]]]
) -> None:
    repository().snapshot(FIRST, FILES)
    repository().list_files(FIRST, FILES)
    repository().ref("main", FIRST)
    before = stamps(hub_root)

    read_cache(hub_root)

    assert stamps(hub_root) == before


def test_main_is_the_current_state_and_other_refs_are_names(
    hub_root: Path, repository: Make
) -> None:
    found = repository()
    found.snapshot(FIRST, {"a": b"1"})
    found.snapshot(SECOND, {"a": b"2"})
    found.ref("main", SECOND)
    found.ref("v1", FIRST, mtime=99)
    found.ref("refs/pr/1", FIRST)
    found.ref("gone", THIRD)

    current, other = read_cache(hub_root).models

    assert (current.revision, current.is_current, current.names) == (SECOND, True, ())
    assert (other.revision, other.is_current) == (FIRST, False)
    assert other.names == ("refs/pr/1", "v1")


def test_without_main_the_ref_that_was_written_last_is_current(
    hub_root: Path, repository: Make
) -> None:
    found = repository()
    for commit in (FIRST, SECOND):
        found.snapshot(commit, {"a": commit.encode()})
    found.ref("main", THIRD, mtime=900)
    found.ref("v1", FIRST, mtime=100)
    found.ref("v2", SECOND, mtime=200)

    assert [model.revision for model in read_cache(hub_root).models] == [SECOND, FIRST]


def test_without_refs_the_snapshot_that_was_changed_last_is_current(
    hub_root: Path, repository: Make
) -> None:
    for commit, moment in ((FIRST, 200), (SECOND, 100)):
        os.utime(repository().snapshot(commit, {"a": b""}), (moment, moment))

    current, _ = read_cache(hub_root).models

    assert current.revision == FIRST
    assert current.is_current


@pytest.mark.parametrize(
    ("folder", "stub"),
    [
        ("models--gpt2", "hf:gpt2"),
        ("models--org--a-b_c.d", "hf:org/a-b_c.d"),
        ("datasets--org--name", "hf:datasets/org/name"),
        ("datasets--squad", "hf:datasets/squad"),
    ],
)
def test_a_folder_is_named_after_its_repository(
    hub_root: Path, repository: Make, folder: str, stub: str
) -> None:
    repository(folder).snapshot(FIRST, {"a": b""})

    assert only_model(read_cache(hub_root)).stub == stub


@pytest.mark.parametrize(
    "folder",
    [
        "spaces--org--name",
        "kernels--org--name",
        "models--a--b--c",
        "models--org----name",
        "models--org--na me",
        "models--org--name@v1",
        "models--org--name?recipe=a",
        "models--datasets--name",
        "models--org--..",
        "models--" + "x" * 240,
    ],
)
def test_what_no_stub_can_name_is_passed_over(
    hub_root: Path, repository: Make, folder: str
) -> None:
    repository().snapshot(FIRST, {"a": b""})
    strange = repository(folder)
    strange.snapshot(FIRST, {"a": b""})
    cache = read_cache(hub_root)

    if folder == "models--" + "x" * 240:
        assert [model.stub for model in cache.models] == ["hf:org/name", "hf:" + "x" * 240]
        return
    assert only_model(cache).stub == "hf:org/name"
    assert list(cache.problems) == [str(strange.folder)]


def test_what_the_cache_keeps_for_itself_is_no_problem(hub_root: Path, repository: Make) -> None:
    found = repository()
    found.snapshot(FIRST, {"a": b""})
    found.put(f".no_exist/{FIRST}/tokenizer.json", b"")
    (hub_root / ".locks" / "models--org--name").mkdir(parents=True)
    (hub_root / "version.txt").write_text("1")
    (hub_root / "CACHEDIR.TAG").write_text("")

    assert read_cache(hub_root).problems == {}


def test_models_are_in_the_order_of_their_stubs(hub_root: Path, repository: Make) -> None:
    for name in ("models--z", "models--org--a", "datasets--org--b", "models--b"):
        repository(name).snapshot(FIRST, {"a": b""})

    stubs = [model.stub for model in read_cache(hub_root).models]

    assert stubs == ["hf:b", "hf:datasets/org/b", "hf:org/a", "hf:z"]


# Listings


def test_a_listing_says_how_many_files_are_not_here(hub_root: Path, repository: Make) -> None:
    found = repository()
    found.snapshot(FIRST, {"config.json": FILES["config.json"]})
    found.list_files(FIRST, FILES)

    model = only_model(read_cache(hub_root))

    assert list(model.files) == ["config.json"]
    assert model.left_out == 3


def test_a_whole_commit_leaves_nothing_out(hub_root: Path, repository: Make) -> None:
    repository().snapshot(FIRST, FILES)
    repository().list_files(FIRST, FILES)

    model = only_model(read_cache(hub_root))

    assert model.left_out == 0
    assert digests(model) == expected_digests(repository(), FILES)


def test_plain_files_in_place_of_links_are_called_as_they_are_listed(
    hub_root: Path, repository: Make
) -> None:
    found = repository()
    for path, content in FILES.items():
        found.put(f"snapshots/{FIRST}/{path}", content)
        found.put(f"snapshots/{SECOND}/{path}", content)
    found.list_files(FIRST, FILES)
    found.ref("main", FIRST)

    listed, unknown = read_cache(hub_root).models

    assert contents(listed) == contents(unknown) == FILES
    assert digests(listed) == expected_digests(found, FILES)
    assert (listed.left_out, unknown.left_out) == (0, None)
    assert not any(file.digests for file in unknown.files.values())


def test_what_is_not_as_it_is_listed_is_left_out(hub_root: Path, repository: Make) -> None:
    found = repository()
    snapshot = found.snapshot(FIRST, FILES | {"extra": b"extra"})
    changed = FILES | {"config.json": b"longer", "model.bin": b"WEIGHTS" * 20}
    found.list_files(FIRST, changed)

    cache = read_cache(hub_root)

    model = only_model(cache)
    assert list(model.files) == ["empty", "sub/more.bin"]
    assert model.left_out == 2
    assert {Path(path).relative_to(snapshot).as_posix() for path in cache.problems} == {
        "extra",
        "config.json",
        "model.bin",
    }
    assert "2 bytes" in cache.problems[str(snapshot / "config.json")]
    assert "and the commit has" in cache.problems[str(snapshot / "model.bin")]


GOOD_LINE = {"size": 0, "blob_id": "0" * 40}


@pytest.mark.parametrize(
    "listing",
    [
        [],
        None,
        {"files": {}},
        {"format_version": 2, "files": {}},
        {"format_version": 1},
        {"format_version": 1, "files": []},
        {"format_version": 1, "files": {"a": None}},
        {"format_version": 1, "files": {"a": {"size": 0}}},
        {"format_version": 1, "files": {"a": {"size": 0, "blob_id": 7}}},
        {"format_version": 1, "files": {"a": {"size": 0, "blob_id": "0" * 39}}},
        {"format_version": 1, "files": {"a": {"size": 0, "blob_id": "0" * 64}}},
        {"format_version": 1, "files": {"a": {"size": -1, "blob_id": "0" * 40}}},
        {"format_version": 1, "files": {"a": {"size": True, "blob_id": "0" * 40}}},
        {"format_version": 1, "files": {"a": {"size": 0.0, "blob_id": "0" * 40}}},
        {"format_version": 1, "files": {"a": {"size": 10**30, "blob_id": "0" * 40}}},
        {"format_version": 1, "files": {"a": GOOD_LINE | {"lfs_sha256": "0" * 63, "lfs_size": 0}}},
        {"format_version": 1, "files": {"a": GOOD_LINE | {"lfs_sha256": "0" * 64, "lfs_size": 1}}},
        {"format_version": 1, "files": {"a": GOOD_LINE | {"lfs_sha256": "0" * 64}}},
        {"format_version": 1, "files": {"../a": GOOD_LINE}},
        {"format_version": 1, "files": {"/a": GOOD_LINE}},
        {"format_version": 1, "files": {"a//b": GOOD_LINE}},
        {"format_version": 1, "files": {"": GOOD_LINE}},
        {"format_version": 1, "files": {"\udc80": GOOD_LINE}},
        {"format_version": 1, "files": {"a/" * 600 + "b": GOOD_LINE}},
    ],
)
def test_a_listing_that_is_none_is_as_if_it_were_not_there(
    hub_root: Path, repository: Make, listing: object
) -> None:
    repository().snapshot(FIRST, FILES)
    path = repository().write_listing(FIRST, listing)

    cache = read_cache(hub_root)

    assert only_model(cache).left_out is None
    assert contents(only_model(cache)) == FILES
    assert list(cache.problems) == [str(path)]


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b"9" * 5000])
def test_a_listing_that_is_no_json_is_as_if_it_were_not_there(
    hub_root: Path, repository: Make, data: bytes
) -> None:
    repository().snapshot(FIRST, FILES)
    path = repository().put(f"trees/{FIRST}.json", data)

    cache = read_cache(hub_root)

    assert only_model(cache).left_out is None
    assert list(cache.problems) == [str(path)]


def test_a_listing_that_is_too_large_is_not_read(hub_root: Path, repository: Make) -> None:
    repository().snapshot(FIRST, FILES)
    path = repository().put(f"trees/{FIRST}.json", b"")
    os.truncate(path, 1 << 40)

    cache = read_cache(hub_root)

    assert only_model(cache).left_out is None
    assert "bytes" in cache.problems[str(path)]


# Blobs that the cache shares


def share(hub_root: Path, found: CachedRepository, *, marker: str = "1\n") -> Path:
    """A cache in which `model.bin` is a link to a blob of all repositories."""
    found.snapshot(FIRST, FILES)
    blob = found.blob("model.bin", FILES["model.bin"])
    shared = hub_root / SHARED / XET[:2] / XET
    shared.parent.mkdir(parents=True)
    blob.rename(shared)
    shared.with_name(f"{XET}.refs").write_text(f"models--org--name/blobs/{blob.name}\n")
    blob.symlink_to(os.path.relpath(shared, blob.parent))
    if marker:
        (hub_root / SHARED / ".huggingface-shared-blobs").write_text(marker)
    return shared


@pytest.mark.parametrize("place", [".", "models--org--name"])
def test_a_shared_blob_is_called_by_its_etag_not_by_its_own_name(
    hub_root: Path, repository: Make, place: str
) -> None:
    shared = share(hub_root, repository())

    cache = read_cache(hub_root / place)

    model = only_model(cache)
    assert contents(model) == FILES
    assert digests(model) == expected_digests(repository(), FILES)
    assert model.files["model.bin"].place == shared
    assert cache.problems == {}


def test_what_stands_beside_a_repository_is_no_shared_folder_without_its_marker(
    hub_root: Path, repository: Make
) -> None:
    share(hub_root, repository(), marker="")

    cache = read_cache(repository().folder)

    assert "model.bin" not in only_model(cache).files
    assert "outside" in cache.problems[str(repository().folder / f"snapshots/{FIRST}/model.bin")]


# What is passed over


def test_downloads_and_broken_links_are_named(hub_root: Path, repository: Make) -> None:
    found = repository()
    snapshot = found.snapshot(FIRST, FILES)
    found.list_files(FIRST, FILES)
    found.blob("model.bin", FILES["model.bin"]).unlink()
    part = found.put("blobs/0123abcd.4f5e6d7c.incomplete", b"half")

    cache = read_cache(hub_root)

    model = only_model(cache)
    assert set(model.files) == FILES.keys() - {"model.bin"}
    assert model.left_out == 1
    assert set(cache.problems) == {str(part), str(snapshot / "model.bin")}


def test_a_snapshot_that_is_no_commit_is_named(hub_root: Path, repository: Make) -> None:
    found = repository()
    found.snapshot(FIRST, {"a": b""})
    found.snapshot("main", {"a": b""})
    found.snapshot("1" * 39 + "G", {"a": b""})
    found.put("snapshots/file", b"")

    cache = read_cache(hub_root)

    assert only_model(cache).revision == FIRST
    assert {Path(path).name for path in cache.problems} == {"main", "1" * 39 + "G", "file"}


def test_a_snapshot_without_files_is_no_model(hub_root: Path, repository: Make) -> None:
    (repository().folder / "snapshots" / FIRST).mkdir(parents=True)

    assert read_cache(hub_root).models == ()


@pytest.mark.parametrize("etag", ["1234", "Z" * 40, '"quoted"', "w" * 64])
def test_an_etag_of_another_kind_promises_nothing(
    hub_root: Path, repository: Make, etag: str
) -> None:
    repository().put(f"blobs/{etag}", b"content")
    repository().link(f"snapshots/{FIRST}/a", f"../../blobs/{etag}")

    file = only_model(read_cache(hub_root)).files["a"]

    assert file.digests == ()
    assert file.place.read_bytes() == b"content"


def test_of_names_that_fold_to_one_the_first_is_kept(hub_root: Path, repository: Make) -> None:
    files = {"Read/a": b"1", "read/b": b"2", "x": b"3", "X": b"4"}
    snapshot = repository().snapshot(FIRST, files)

    cache = read_cache(hub_root)

    assert set(only_model(cache).files) == {"Read/a", "X"}
    assert set(cache.problems) == {str(snapshot / "read/b"), str(snapshot / "x")}
