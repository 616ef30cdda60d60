"""adopt: another tool's files become models, are not changed by it, and twice is once."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from zoostore import Store
from zoostore.caches.detect import read_cache
from zoostore.errors import UnknownRevision, UsageError
from zoostore.objects.walking import flatten
from zoostore.ops import taking_cached
from zoostore.ops.adopt import Adopted, adopt
from zoostore.progress import Silent
from zoostore.store.adopting import Read, read_file
from zoostore.store.objectstore import ObjectStore
from zoostore.stubs import parse_stub

if TYPE_CHECKING:
    from tests.conftest import Content, InStore, LayOut
    from tests.ops.conftest import CacheOf, ModelOf
    from zoostore.caches.base import Cache

STUB = "hf:org/name"
COMMIT, OLDER = "c" * 40, "b" * 40
WEIGHTS = bytes(range(256))
CONFIG = b"{}"  # small: it goes into a pack
FILES = {"config.json": CONFIG, "sub/model.safetensors": WEIGHTS}
NOW = 1_700_000_000


class Adopt(Protocol):
    def __call__(self, cache: Cache, *, progress: Silent = ...) -> Adopted: ...


@pytest.fixture(autouse=True)
def _links(no_reflinks: None) -> None:
    """What tests count is the same on all file systems."""


@pytest.fixture
def take(objects: ObjectStore) -> Adopt:
    return functools.partial(adopt, objects, now=NOW, progress=Silent())


def held(objects: ObjectStore, done: Adopted) -> dict[str, bytes]:
    """The contents of the one model that was adopted."""
    (model,) = done.models
    listing = flatten(objects.tree, objects.snapshot(model.snapshot).tree)
    return {path: objects.read(entry.oid) for path, entry in listing.items()}


def inventory(store: Store) -> dict[str, tuple[int, int, int]]:
    """Every file of a store but those of the index, with its inode, length and time."""
    found = {}
    for path in store.path.rglob("*"):
        if path.is_file() and not path.is_relative_to(store.path / "index"):
            status = path.stat()
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
            found[str(path.relative_to(store.path))] = stamp
    return found


# Taking a cache in


def test_a_model_is_adopted_under_its_stub_and_revision(
    take: Adopt, objects: ObjectStore, store: Store, model_of: ModelOf, cache_of: CacheOf
) -> None:
    done = take(cache_of(model_of(FILES)))

    (model,) = done.models
    assert (model.stub, model.revision, model.is_new, model.left_out) == (STUB, COMMIT, True, 0)
    assert (model.files, model.size) == (2, len(CONFIG) + len(WEIGHTS))
    assert held(objects, done) == FILES
    assert store.locate(STUB)[1] == model.snapshot
    assert store.locate(f"{STUB}@{COMMIT}")[1] == model.snapshot
    assert store.locate(f"{STUB}@{COMMIT[:7]}")[1] == model.snapshot
    assert store.verify().is_clean


def test_large_files_are_linked_and_what_that_saved_is_counted(
    take: Adopt, model_of: ModelOf, cache_of: CacheOf, loose: InStore, store: Store
) -> None:
    model = model_of(FILES)

    done = take(cache_of(model))

    (stored,) = loose(store.path)
    assert done.linked == {"reflink": 0, "hardlink": 1, "copy": 1}
    assert os.path.samefile(stored, model.files["sub/model.safetensors"].place)
    assert (done.files, done.size) == (2, len(CONFIG) + len(WEIGHTS))
    assert done.saved_bytes == len(WEIGHTS)


def test_the_cache_stays_as_it_is(
    take: Adopt, model_of: ModelOf, cache_of: CacheOf, cache_root: Path
) -> None:
    model = model_of(FILES)
    places = [file.place for file in model.files.values()]
    places[1].chmod(0o640)

    def look() -> list[tuple[bytes, int, int, int, int]]:
        statuses = [(place.read_bytes(), place.stat()) for place in places]
        return [(data, *status[:2], status.st_mtime_ns, status.st_uid) for data, status in statuses]

    before, names = look(), sorted(os.listdir(cache_root))
    model = model_of(FILES)

    done = take(cache_of(model))

    assert done.linked["hardlink"] == 1
    assert (look(), sorted(os.listdir(cache_root))) == (before, names)


def test_a_checkout_never_shares_an_inode_that_can_be_written_to(
    take: Adopt, store: Store, model_of: ModelOf, cache_of: CacheOf, tmp_path: Path
) -> None:
    model = model_of(FILES)
    take(cache_of(model))

    done = store.checkout(STUB, tmp_path / "work")

    laid = tmp_path / "work/sub/model.safetensors"
    assert done.linked["copy"] == 2
    laid.write_bytes(b"edited")
    assert model.files["sub/model.safetensors"].place.read_bytes() == WEIGHTS
    assert store.verify().is_clean


def test_a_content_that_stands_twice_is_kept_once(
    take: Adopt, store: Store, model_of: ModelOf, cache_of: CacheOf, loose: InStore
) -> None:
    one = model_of({"a": WEIGHTS, "b": WEIGHTS}, stub="hf:one")
    two = model_of({"c": WEIGHTS}, stub="hf:two")

    done = take(cache_of(one, two))

    assert (done.files, done.size, done.saved_bytes) == (1, len(WEIGHTS), len(WEIGHTS))
    assert [model.stub for model in done.models] == ["hf:one", "hf:two"]
    assert len(loose(store.path)) == 1


def test_what_the_store_has_is_neither_read_nor_linked(
    take: Adopt,
    store: Store,
    lay: LayOut,
    model_of: ModelOf,
    cache_of: CacheOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    take(cache_of(model_of({"w": WEIGHTS}, stub="hf:other")))
    monkeypatch.setattr("zoostore.store.adopting.digest_descriptor", refuse)

    done = take(cache_of(model_of({"renamed": WEIGHTS})))

    assert (done.reused_files, done.reused_bytes) == (1, len(WEIGHTS))
    assert done.linked == {"reflink": 0, "hardlink": 0, "copy": 0}
    assert done.models[0].is_new


def test_on_another_file_system_files_are_copied(
    take: Adopt, store: Store, model_of: ModelOf, cache_of: CacheOf, elsewhere: Path
) -> None:
    model = model_of(FILES)
    found = dict(model.files)
    for path, file in found.items():
        place = Path(shutil.copy2(file.place, elsewhere))
        found[path] = file._replace(at=str(place), stamp=type(file.stamp).of(place.stat()))

    done = take(cache_of(model._replace(files=found)))

    assert done.linked == {"reflink": 0, "hardlink": 0, "copy": 2}
    assert done.saved_bytes == 0
    assert store.verify().is_clean


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than the store."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other file system")
    folder = memory / f"zoostore-test-{os.getpid()}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


# Twice is once


def test_adopting_twice_does_nothing(
    take: Adopt,
    store: Store,
    model_of: ModelOf,
    cache_of: CacheOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache = cache_of(
        model_of(FILES, names=("v1", "v2")),
        model_of({"w": WEIGHTS[1:]}, revision=OLDER, is_current=False),
        model_of({"w": WEIGHTS}, stub="hf:other", left_out=None),
    )
    first = take(cache)
    before = inventory(store)
    monkeypatch.setattr("zoostore.store.adopting.digest_descriptor", refuse)

    second = take(cache)

    assert inventory(store) == before
    assert [model._replace(is_new=False) for model in first.models] == list(second.models)
    assert (second.reused_files, second.reused_bytes) == (3, first.size)
    assert not any(second.linked.values())


def refuse(*_: object) -> None:
    raise AssertionError("a file is read that is known")


def test_a_file_that_came_since_is_added_to_the_same_state(
    take: Adopt, store: Store, objects: ObjectStore, model_of: ModelOf, cache_of: CacheOf
) -> None:
    part = take(cache_of(model_of({"config.json": CONFIG}, left_out=1)))

    whole = take(cache_of(model_of(FILES)))

    assert part.models[0].left_out == 1
    assert held(objects, whole) == FILES
    assert store.locate(STUB)[1] == whole.models[0].snapshot


def test_files_that_are_gone_from_the_cache_stay_in_the_model(
    take: Adopt, store: Store, model_of: ModelOf, cache_of: CacheOf
) -> None:
    whole = take(cache_of(model_of(FILES)))

    part = take(cache_of(model_of({"config.json": CONFIG}, left_out=1)))

    assert part.models[0].snapshot == whole.models[0].snapshot
    assert not part.models[0].is_new


def test_a_state_that_turns_out_to_be_complete_is_complete_from_then_on(
    take: Adopt, store: Store, model_of: ModelOf, cache_of: CacheOf
) -> None:
    take(cache_of(model_of(FILES, left_out=None)))
    assert store.snapshot(STUB).snapshot.metadata == {"left_out": "unknown"}

    take(cache_of(model_of(FILES, left_out=0)))

    assert store.snapshot(STUB).snapshot.metadata == {}


# Names


def test_other_states_are_found_by_their_revision_and_by_their_names(
    take: Adopt, store: Store, model_of: ModelOf, cache_of: CacheOf
) -> None:
    current = model_of(FILES, names=("v2", "release"))
    older = model_of({"w": WEIGHTS}, revision=OLDER, is_current=False, names=("v1", "old"))

    first, second = take(cache_of(current, older)).models

    for name in ("", "@main", f"@{COMMIT}", "@v2", "@release"):
        assert store.snapshot(f"{STUB}{name}").id == first.snapshot, name
    for name in (f"@{OLDER}", "@v1", "@old"):
        assert store.snapshot(f"{STUB}{name}").id == second.snapshot, name


def test_a_model_that_was_changed_here_keeps_its_name(
    take: Adopt,
    store: Store,
    model_of: ModelOf,
    cache_of: CacheOf,
    tmp_path: Path,
) -> None:
    take(cache_of(model_of({"config.json": CONFIG}, left_out=1)))
    work = store.checkout(STUB, tmp_path / "work").directory
    (work / "new").write_bytes(b"mine")
    mine = store.commit(work, message="mine").snapshot

    done = take(cache_of(model_of(FILES)))

    assert store.snapshot(STUB).id == mine
    assert store.snapshot(f"{STUB}@{COMMIT}").id == done.models[0].snapshot


def test_a_newer_state_does_not_move_the_name(
    take: Adopt, store: Store, model_of: ModelOf, cache_of: CacheOf
) -> None:
    first = take(cache_of(model_of(FILES, revision=OLDER))).models[0]

    second = take(cache_of(model_of(FILES | {"new": b"new"}))).models[0]

    assert store.snapshot(STUB).id == first.snapshot
    assert store.snapshot(f"{STUB}@{COMMIT}").id == second.snapshot


def test_a_model_that_a_zoo_gave_keeps_its_name(
    take: Adopt,
    store: Store,
    new_store: Callable[[str], Store],
    lay: LayOut,
    model_of: ModelOf,
    cache_of: CacheOf,
    tmp_path: Path,
) -> None:
    """Neither says a revision, so nothing says that they are the same state."""
    publisher = new_store("publisher")
    publisher.add(lay("far", {"far.bin": WEIGHTS}), "zoo:far")
    publisher.publish(["zoo:far"], tmp_path / "zoo")
    store.add_remote("there", str(tmp_path / "zoo"))
    pulled = store.pull("zoo:far").snapshot

    take(cache_of(model_of(FILES, stub="zoo:far", revision=""), kind="sparsezoo"))

    assert store.snapshot("zoo:far").id == pulled


def test_a_folder_of_ones_own_is_added_on_top_of_what_it_was(
    take: Adopt, store: Store, model_of: ModelOf, cache_of: CacheOf
) -> None:
    first = take(cache_of(model_of(FILES, stub="zoo:mine", revision=""), kind="folder"))
    more = FILES | {"more": b"more"}

    second = take(cache_of(model_of(more, stub="zoo:mine", revision=""), kind="folder"))

    shown = store.snapshot("zoo:mine")
    assert shown.id == second.models[0].snapshot
    assert shown.snapshot.parents == (first.models[0].snapshot,)


# What is not what its name says


def test_a_damaged_file_is_named_and_the_rest_is_adopted(
    take: Adopt, store: Store, objects: ObjectStore, model_of: ModelOf, cache_of: CacheOf
) -> None:
    bad = model_of(FILES).files["sub/model.safetensors"].place
    bad.write_bytes(WEIGHTS[:-1] + b"x")

    done = take(cache_of(model_of(FILES)))

    (damaged,) = done.damaged
    assert damaged == str(bad)
    assert "expected sha256:" in done.damaged[damaged]
    assert held(objects, done) == {"config.json": CONFIG}
    assert done.models[0].left_out == 1
    assert store.snapshot(STUB).snapshot.metadata == {"left_out": "1"}
    assert done.files == 1
    assert bad.read_bytes() == WEIGHTS[:-1] + b"x"


def test_a_damaged_file_that_is_good_again_completes_the_model(
    take: Adopt, objects: ObjectStore, model_of: ModelOf, cache_of: CacheOf
) -> None:
    bad = model_of(FILES).files["sub/model.safetensors"].place
    bad.write_bytes(WEIGHTS[:-1] + b"x")
    take(cache_of(model_of(FILES)))
    bad.write_bytes(WEIGHTS)

    done = take(cache_of(model_of(FILES)))

    assert held(objects, done) == FILES
    assert done.models[0].left_out == 0


def test_a_model_of_which_nothing_is_good_is_not_made(
    take: Adopt, store: Store, model_of: ModelOf, cache_of: CacheOf, loose: InStore
) -> None:
    model = model_of({"w": WEIGHTS})
    model.files["w"].place.write_bytes(WEIGHTS[::-1])

    done = take(cache_of(model_of({"w": WEIGHTS})))

    assert (done.models, len(done.damaged)) == ((), 1)
    assert store.snapshots() == []
    assert loose(store.path) == []


def test_a_file_that_changed_since_it_was_found_is_named(
    take: Adopt, model_of: ModelOf, cache_of: CacheOf
) -> None:
    model = model_of(FILES)
    model.files["sub/model.safetensors"].place.write_bytes(b"something longer" * 20)

    done = take(cache_of(model))

    assert ["changed while it was read" in why for why in done.damaged.values()] == [True]


def test_what_the_store_has_lost_is_taken_from_the_cache(
    take: Adopt,
    store: Store,
    objects: ObjectStore,
    model_of: ModelOf,
    cache_of: CacheOf,
    loose: InStore,
) -> None:
    take(cache_of(model_of(FILES)))
    loose(store.path)[0].unlink()

    done = take(cache_of(model_of(FILES)))

    assert done.linked["hardlink"] == 1
    assert held(objects, done) == FILES
    assert store.verify().is_clean


def test_a_snapshot_that_is_damaged_here_is_made_again(
    take: Adopt,
    store: Store,
    objects: ObjectStore,
    model_of: ModelOf,
    cache_of: CacheOf,
    packs: InStore,
) -> None:
    take(cache_of(model_of(FILES)))
    for pack in packs(store.path):
        pack.chmod(0o644)
        pack.write_bytes(bytes(pack.stat().st_size))
        pack.chmod(0o444)

    done = take(cache_of(model_of(FILES)))

    assert held(objects, done) == FILES
    assert store.snapshot(STUB).id == done.models[0].snapshot


# When it is cut off


def test_what_was_taken_before_it_was_cut_off_is_reused(
    take: Adopt,
    store: Store,
    model_of: ModelOf,
    cache_of: CacheOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models = cache_of(model_of(FILES), model_of({"w": WEIGHTS[1:]}, stub="hf:other"))
    with monkeypatch.context() as patched:
        patched.setattr("zoostore.ops.from_upstream.record_state", interrupt)
        with pytest.raises(KeyboardInterrupt):
            take(models)
    assert store.snapshots() == []
    assert store.verify().is_clean
    assert list((store.path / "tmp").iterdir()) == []

    done = take(models)

    assert (done.reused_files, done.linked["hardlink"]) == (2, 1)
    assert store.verify().is_clean


_ADOPT_AND_DIE = """
import os, sys
from pathlib import Path
from zoostore import Store
from zoostore.ops import taking_cached

adopt_file, count = taking_cached.adopt_file, 0

def die_at_the_third(*arguments):
    global count
    count += 1
    if count == 3:
        os._exit(9)
    return adopt_file(*arguments)

taking_cached.adopt_file = die_at_the_third
taking_cached.PUBLISH_BYTES = 300
store, folder = sys.argv[1:]
Store(store).adopt(folder, stub="zoo:mine")
"""


def test_a_process_that_is_killed_loses_what_it_had_not_yet_published(
    store: Store, lay: LayOut
) -> None:
    files = {str(number): WEIGHTS[number:] for number in range(4)}
    folder = lay("mine", files)

    died = subprocess.run(
        [sys.executable, "-c", _ADOPT_AND_DIE, str(store.path), str(folder)], check=False
    )

    assert died.returncode == 9
    assert store.snapshots() == []
    assert store.verify().is_clean
    done = store.adopt(folder, stub="zoo:mine")
    assert (done.reused_files, done.linked["hardlink"]) == (2, 2)
    assert store.verify().is_clean
    assert list((store.path / "tmp").iterdir()) == []


def test_small_files_that_changed_since_they_were_found_are_named(
    take: Adopt, objects: ObjectStore, lay: LayOut
) -> None:
    folder = lay("mine", {str(number): bytes([number]) for number in range(5)})
    cache = read_cache(folder, stub="zoo:mine")
    (folder / "1").write_bytes(b"longer")
    (folder / "3").unlink()

    done = take(cache)

    assert done.damaged.keys() == {str(folder / "1"), str(folder / "3")}
    assert held(objects, done) == {"0": b"\0", "2": b"\2", "4": b"\4"}
    assert (done.files, done.size, done.linked["copy"]) == (3, 3, 3)


def test_a_file_that_others_are_links_to_is_read_once(
    take: Adopt, objects: ObjectStore, lay: LayOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever comes first; and the progress comes to its end."""
    read: list[Path] = []

    def note(path: Path, *arguments: Any, **more: Any) -> Read:
        read.append(path)
        return read_file(path, *arguments, **more)

    monkeypatch.setattr(taking_cached, "read_file", note)
    files: dict[str, Content] = {"b.bin": WEIGHTS, "a": "b.bin", "c": "b.bin", "s": b"s", "t": "s"}
    folder = lay("mine", files)
    steps = Steps()

    done = take(read_cache(folder, stub="zoo:mine"), progress=steps)

    assert read == [folder / "b.bin", folder / "s"]
    assert (done.files, done.size, done.reused_files) == (2, len(WEIGHTS) + 1, 0)
    assert held(objects, done) == dict.fromkeys(("a", "b.bin", "c"), WEIGHTS) | dict.fromkeys(
        "st", b"s"
    )
    assert steps.done == steps.total


class Steps(Silent):
    """Progress that is added up."""

    done = total = 0

    def begin(self, what: str, total: int) -> None:
        self.total += total

    def advance(self, count: int) -> None:
        self.done += count


def test_neither_the_store_nor_what_holds_it_is_adopted(store: Store, lay: LayOut) -> None:
    store.add(lay("mine", {"w": WEIGHTS}), "zoo:mine")

    for folder in (store.path, store.path.parent, store.path / "objects"):
        with pytest.raises(UsageError, match="nothing was done"):
            store.adopt(folder, relink=True)


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_revision_that_is_not_there_is_still_unknown(
    take: Adopt, store: Store, model_of: ModelOf, cache_of: CacheOf
) -> None:
    take(cache_of(model_of(FILES)))

    with pytest.raises(UnknownRevision):
        store.snapshot(str(parse_stub(f"{STUB}@{OLDER}")))
