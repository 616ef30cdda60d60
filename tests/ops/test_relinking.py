"""adopt --relink: a cache's duplicates become links, one by one, and no file is ever lost."""

from __future__ import annotations

import functools
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zoostore import Store
from zoostore.caches.base import CachedModel
from zoostore.ops.adopt import Adopted, adopt
from zoostore.progress import Silent
from zoostore.store.objectstore import ObjectStore

if TYPE_CHECKING:
    from tests.conftest import InStore
    from tests.ops.conftest import CacheOf, ModelOf
    from zoostore.caches.base import Cache

WEIGHTS = bytes(range(256))
OTHER = WEIGHTS[::-1]

Adopt = Callable[..., Adopted]


@pytest.fixture(autouse=True)
def _links(no_reflinks: None) -> None:
    """What tests count is the same on all file systems."""


@pytest.fixture
def take(objects: ObjectStore) -> Adopt:
    return functools.partial(adopt, objects, now=0, progress=Silent())


@pytest.fixture
def relink(take: Adopt) -> Adopt:
    return functools.partial(take, replace_by_links=True)


@pytest.fixture
def copied(
    take: Adopt, model_of: ModelOf, cache_of: CacheOf, monkeypatch: pytest.MonkeyPatch
) -> Cache:
    """A cache that was adopted where no links could be made, so that all of it is there twice."""
    cache = cache_of(model_of({"a": WEIGHTS, "b": OTHER, "small": b"{}"}))
    with monkeypatch.context() as patched:
        patched.setattr("zoostore.store.adopting.link_aside", lambda *_: None)
        take(cache)
    return cache


def places(cache: Cache) -> dict[str, Path]:
    return {path: file.place for path, file in cache.models[0].files.items()}


def is_object(place: Path, stored: list[Path]) -> bool:
    return any(os.path.samefile(place, path) for path in stored)


def test_duplicates_become_links_to_the_objects(
    relink: Adopt, copied: Cache, store: Store, loose: InStore
) -> None:
    done = relink(copied)

    assert (done.relinked_files, done.relinked_bytes) == (2, 2 * len(WEIGHTS))
    at = places(copied)
    assert [is_object(at[name], loose(store.path)) for name in ("a", "b", "small")] == [1, 1, 0]
    assert [at[name].read_bytes() for name in ("a", "b", "small")] == [WEIGHTS, OTHER, b"{}"]
    assert stat.S_IMODE(at["a"].stat().st_mode) == 0o444
    assert done.passed_over == {}
    assert store.verify().is_clean


def test_nothing_is_left_beside_them(relink: Adopt, copied: Cache, cache_root: Path) -> None:
    before = sorted(os.listdir(cache_root))

    relink(copied)

    assert sorted(os.listdir(cache_root)) == before


def test_relinking_twice_does_nothing(
    relink: Adopt, model_of: ModelOf, cache_of: CacheOf, copied: Cache, store: Store
) -> None:
    relink(copied)
    cache = cache_of(model_of({"a": WEIGHTS, "b": OTHER, "small": b"{}"}))
    before = {place: place.stat() for place in places(cache).values()}

    done = relink(cache)

    assert (done.relinked_files, done.relinked_bytes) == (0, 0)
    assert {place: place.stat() for place in places(cache).values()} == before


def test_what_an_object_shares_with_the_cache_becomes_read_only(
    relink: Adopt, model_of: ModelOf, cache_of: CacheOf, store: Store, tmp_path: Path
) -> None:
    cache = cache_of(model_of({"a": WEIGHTS}))

    done = relink(cache)

    place = places(cache)["a"]
    assert done.linked["hardlink"] == 1
    assert (done.relinked_files, done.relinked_bytes) == (0, 0)
    assert stat.S_IMODE(place.stat().st_mode) == 0o444
    assert store.checkout("hf:org/name", tmp_path / "work").linked["hardlink"] == 1
    assert store.verify().is_clean


def test_a_clone_keeps_a_file_its_permissions_and_its_time(
    relink: Adopt, copied: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clone(source: Path, target: Path, permissions: int) -> None:
        shutil.copyfile(source, target)

    monkeypatch.setattr("zoostore.ops.relink.reflink", clone)
    place = places(copied)["a"]
    place.chmod(0o640)
    before = place.stat()

    relink(copied)

    after = place.stat()
    assert after.st_ino != before.st_ino
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    assert place.read_bytes() == WEIGHTS


def test_a_file_with_other_names_gives_no_space_back(
    relink: Adopt, copied: Cache, cache_root: Path
) -> None:
    os.link(places(copied)["a"], cache_root / "another name")

    done = relink(copied)

    assert (done.relinked_files, done.relinked_bytes) == (2, len(OTHER))


# What is not exactly the object is left alone


def test_a_file_that_changed_is_left_as_it_is(relink: Adopt, copied: Cache) -> None:
    place = places(copied)["a"]
    place.write_bytes(b"edited since, and by a person")

    done = relink(copied)

    assert place.read_bytes() == b"edited since, and by a person"
    assert "changed since" in done.passed_over[str(place)]
    assert done.relinked_files == 1


def test_a_change_that_the_stamp_does_not_show_is_found_by_reading(
    relink: Adopt, copied: Cache
) -> None:
    place = places(copied)["a"]
    time = place.stat().st_mtime_ns
    place.write_bytes(OTHER)
    os.utime(place, ns=(time, time))

    done = relink(copied)

    assert place.read_bytes() == OTHER
    assert list(done.passed_over) == [str(place)]


def test_a_link_that_took_a_files_place_is_left_alone(
    relink: Adopt, copied: Cache, cache_root: Path
) -> None:
    place = places(copied)["a"]
    place.rename(cache_root / "moved")
    place.symlink_to("moved")

    relink(copied)

    assert os.readlink(place) == "moved"
    assert (cache_root / "moved").stat().st_nlink == 1


def test_a_file_that_went_away_is_no_reason_to_stop(relink: Adopt, copied: Cache) -> None:
    place = places(copied)["a"]
    place.unlink()

    done = relink(copied)

    assert not place.exists()
    assert done.relinked_files == 1


def test_a_damaged_object_takes_the_place_of_no_file(
    relink: Adopt, copied: Cache, store: Store, loose: InStore
) -> None:
    for stored in loose(store.path):
        stored.chmod(0o644)
        stored.write_bytes(bytes(len(WEIGHTS)))

    relink(copied)

    assert [places(copied)[name].read_bytes() for name in "ab"] == [WEIGHTS, OTHER]
    assert store.verify().is_clean  # they were taken in anew


def test_a_file_on_another_file_system_is_left_as_it_is(
    relink: Adopt, copied: Cache, elsewhere: Path, cache_of: CacheOf
) -> None:
    model = copied.models[0]
    place = Path(shutil.copy2(places(copied)["a"], elsewhere))
    stamp = model.files["a"].stamp.of(place.stat())
    file = model.files["a"]._replace(at=str(place), stamp=stamp)

    done = relink(cache_of(model._replace(files={"a": file})))

    assert (done.relinked_files, list(done.passed_over)) == (0, [str(place)])
    assert place.read_bytes() == WEIGHTS
    assert os.listdir(elsewhere) == [place.name]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than the store."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other file system")
    folder = memory / f"zoostore-test-relink-{os.getpid()}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


# When it is cut off

_RELINK_AND_DIE = """
import os, sys
from pathlib import Path
from zoostore.caches.base import CachedFile
from zoostore.files.stamp import Stamp
from zoostore.objects.tree import Entry, Kind
from zoostore.ops.relink import relink
from zoostore.progress import Silent
from zoostore.store.layout import Layout
from zoostore.store.names import Names
from zoostore.store.objectstore import ObjectStore
from zoostore.digest import hash_bytes
import zoostore.ops.relink

def refuse(*_):
    raise OSError(95, "no reflinks in this test")

zoostore.ops.relink.reflink = refuse
when, store, *places = sys.argv[1:]
objects = ObjectStore(Names(Layout(Path(store))), large_object=16)
files = {place: CachedFile(place, Stamp.of(os.lstat(place))) for place in places}
listing = {
    place: Entry(Kind.FILE, file.size, hash_bytes(file.place.read_bytes()))
    for place, file in files.items()
}
rename, count = os.replace, 0

def replace(source, target):
    global count
    count += 1
    if when == "before":
        os._exit(9)
    rename(source, target)
    os._exit(9)

os.replace = replace
relink(objects, [(files, listing)], Silent())
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_moment_it_leaves_good_files_and_the_next_clears_up(
    when: str, relink: Adopt, copied: Cache, store: Store, cache_root: Path
) -> None:
    names = sorted(os.listdir(cache_root))
    at = places(copied)
    arguments = [when, str(store.path), str(at["a"]), str(at["b"])]

    died = subprocess.run([sys.executable, "-c", _RELINK_AND_DIE, *arguments], check=False)

    assert died.returncode == 9
    assert [at["a"].read_bytes(), at["b"].read_bytes()] == [WEIGHTS, OTHER]
    assert sorted(os.listdir(cache_root)) != names  # its own folder was left
    relink(refreshed(copied))
    assert sorted(os.listdir(cache_root)) == names
    assert [at["a"].read_bytes(), at["b"].read_bytes()] == [WEIGHTS, OTHER]
    assert [at["a"].stat().st_nlink, at["b"].stat().st_nlink] == [2, 2]


def refreshed(cache: Cache) -> Cache:
    """The cache as it would be found now."""
    models = []
    for model in cache.models:
        files = {
            path: file._replace(stamp=file.stamp.of(os.lstat(file.place)))
            for path, file in model.files.items()
        }
        models.append(CachedModel(model.stub, model.revision, files))
    return cache._replace(models=tuple(models))
