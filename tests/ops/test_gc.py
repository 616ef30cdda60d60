"""gc: what nobody needs goes, and nothing else; what was said to be freed is freed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zoostore import Store
from zoostore.digest import BLAKE3, Digest, digest_bytes, hash_bytes
from zoostore.errors import (
    DamagedContent,
    ReadOnlyStore,
    StoreBusy,
    UnknownRevision,
    UnknownStub,
    UsageError,
)
from zoostore.files.claim import claim
from zoostore.ops.fates import IN_WORK, MOVED, REMOVED, UNFINISHED
from zoostore.ops.gc import Collected
from zoostore.ops.on_disk import OnDisk, on_disk
from zoostore.ops.roots import find_roots
from zoostore.store.batch import Batch
from zoostore.store.layout import Layout
from zoostore.store.names import Names
from zoostore.store.records import ObjectKind, RefChange
from zoostore.store.sweeping import sweep_loose, sweep_packs

if TYPE_CHECKING:
    from tests.conftest import Cli, Files, InStore, LayOut

WEEK = 7 * 86_400
SMALL, LARGE = b"small", b"large" * 40


def now(store: Store, **options: int) -> Collected:
    return store.gc(yes=True, grace=0, **options)


def held(root: Path) -> set[str]:
    """The ids of the loose objects on the disk."""
    files = (root / "objects").rglob("*")
    return {path.parent.name + path.name for path in files if path.is_file()}


def content(store: Store, stub: str, path: str) -> bytes:
    with store.open_file(stub, path) as file:
        return file.read()


def grow_old(store: Store, seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time pass, for all that asks what time it is."""
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + seconds)


@pytest.fixture
def two(store: Store, lay: LayOut) -> Store:
    """Two models that share a large and a small file."""
    shared: Files = {"shared.bin": LARGE, "shared.txt": SMALL}
    store.add(lay("one", {**shared, "own.bin": LARGE + b"1", "own.txt": b"1"}), "zoo:one")
    store.add(lay("two", {**shared, "own.bin": LARGE + b"2", "own.txt": b"2"}), "zoo:two")
    return store


# What goes, and what stays


def test_a_store_without_garbage_keeps_everything(two: Store) -> None:
    before = held(two.path)

    done = now(two)

    assert (done.removed_objects, done.removed_bytes) == (0, 0)
    assert done.kept_objects == two.du().objects
    assert held(two.path) == before
    assert two.verify().is_clean


def test_removing_a_model_frees_exactly_what_du_says(two: Store, lay: LayOut) -> None:
    said = two.du(["zoo:one"]).models[0]
    stored = two.du().stored_bytes

    two.remove("zoo:one")
    done = two.gc(yes=True)

    assert done.removed_bytes == said.frees_bytes == said.exclusive_bytes
    assert two.du().stored_bytes == stored - done.removed_bytes
    assert [(garbage.why.reason, garbage.why.stub) for garbage in done.removed] == [
        (REMOVED, "zoo:one")
    ]
    assert two.verify().is_clean
    assert content(two, "zoo:two", "shared.bin") == LARGE
    assert content(two, "zoo:two", "shared.txt") == SMALL
    assert two.add(lay("two", {}), "zoo:three").files == 4


def test_what_was_removed_is_off_the_disk(two: Store, packs: InStore) -> None:
    two.remove("zoo:one")
    now(two)

    assert held(two.path) == {str(hash_bytes(LARGE)), str(hash_bytes(LARGE + b"2"))}
    everything = b"".join(path.read_bytes() for path in packs(two.path))
    assert bytes(hash_bytes(b"1")) not in everything
    assert bytes(hash_bytes(b"2")) in everything


def test_nothing_is_done_without_yes(two: Store) -> None:
    two.remove("zoo:one")
    before = sorted(path for path in two.path.rglob("*") if "index" not in path.parts)

    planned = two.gc()

    assert planned.dry_run
    assert planned.removed_objects > 0
    assert sorted(path for path in two.path.rglob("*") if "index" not in path.parts) == before
    done = two.gc(yes=True)
    assert not done.dry_run
    assert done.removed == planned.removed


def test_tags_keep_what_they_name(store: Store, lay: LayOut) -> None:
    first = store.add(lay("a", {"f": LARGE}), "zoo:a")
    store.tag("zoo:a", "v1")
    store.add(lay("b", {"f": LARGE + b"x"}), "zoo:b")
    now(store)

    assert content(store, "zoo:a@v1", "f") == LARGE
    store.remove("zoo:a")
    now(store)
    with pytest.raises(UnknownStub):
        store.snapshot(f"zoo:a@{first.snapshot}")
    assert held(store.path) == {str(hash_bytes(LARGE + b"x"))}


def test_the_history_of_a_model_stays(store: Store, lay: LayOut) -> None:
    for number in range(3):
        store.add(lay("a", {"f": LARGE + bytes([number])}), "zoo:a", time=number)
    now(store)

    assert len(store.log("zoo:a")) == 3
    assert content(store, "zoo:a@~2", "f") == LARGE + b"\0"


def test_keep_recent_cuts_the_history_off(store: Store, lay: LayOut) -> None:
    for number in range(5):
        store.add(lay("a", {"f": LARGE + bytes([number])}), "zoo:a", time=number)
        if number == 1:
            store.tag("zoo:a", "v1")

    done = store.gc(yes=True, keep_recent=2)

    assert [garbage.why.reason for garbage in done.removed] == [MOVED] * len(done.removed)
    assert [entry.snapshot.time for entry in store.log("zoo:a")] == [4, 3]
    assert content(store, "zoo:a@v1", "f") == LARGE + b"\1"
    assert len(held(store.path)) == 3
    assert store.verify().is_clean


def test_a_checkout_keeps_what_it_is_of(two: Store, tmp_path: Path) -> None:
    work = tmp_path / "work"
    two.checkout("zoo:one", work, link="copy")
    two.remove("zoo:one")

    assert now(two).removed_objects == 0
    assert two.status(work).is_clean
    (work / "own.txt").write_bytes(b"edited")
    done = two.commit(work, message="goes on")
    assert two.verify().is_clean

    two.remove("zoo:one")
    shutil.rmtree(work)
    two.gc(yes=True)
    assert two.snapshot(f"zoo:one@{done.snapshot}"), "it may be on a disk that is not mounted"
    now(two)
    with pytest.raises(UnknownStub):
        two.snapshot(f"zoo:one@{done.snapshot}")


def test_a_checkout_that_was_moved_is_noticed(two: Store, tmp_path: Path) -> None:
    two.checkout("zoo:one", tmp_path / "work", link="copy")
    two.remove("zoo:one")
    (tmp_path / "work").rename(tmp_path / "elsewhere")

    two.status(tmp_path / "elsewhere")

    assert now(two).removed_objects == 0
    assert two.status(tmp_path / "elsewhere").is_clean


def test_a_directory_that_became_something_else_keeps_nothing(two: Store, tmp_path: Path) -> None:
    work = tmp_path / "work"
    two.checkout("zoo:one", work, link="copy")
    two.remove("zoo:one")
    shutil.rmtree(work / ".zoostore")

    assert now(two).removed_objects > 0
    assert not list((two.path / "checkouts/.known").iterdir())


def test_what_is_said_of_a_checkout_is_left_alone_while_it_is_written(
    two: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.replace
    seen: list[Path] = []

    def replace(source: Path, target: Path) -> None:
        if Path(target).parent.name == ".known" and not seen:
            seen.append(source)
            now(Store(two.path))
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    two.checkout("zoo:one", tmp_path / "work")

    assert seen
    assert two.status(tmp_path / "work").is_clean


# What waits


def test_what_a_name_led_to_is_kept_for_a_while(
    two: Store, lay: LayOut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo = Store(tmp_path / "other")
    (tmp_path / "other").mkdir()
    zoo.add(lay("new", {"f": LARGE + b"new"}), "zoo:one")
    zoo.publish(["zoo:one"], tmp_path / "zoo")
    two.add_remote("there", str(tmp_path / "zoo"))
    before = two.snapshot("zoo:one").id
    two.pull("zoo:one", force=True)

    kept = two.gc(yes=True)
    assert kept.removed_objects == 0
    assert {garbage.why.reason for garbage in kept.waiting} == {MOVED}
    assert content(two, f"zoo:one@{before}", "own.txt") == b"1"

    grow_old(two, 3 * WEEK, monkeypatch)
    assert two.gc(yes=True).removed_objects == sum(found.objects for found in kept.waiting)
    with pytest.raises(UnknownRevision):
        two.snapshot(f"zoo:one@{before}")
    assert two.verify().is_clean


def test_what_a_command_left_that_did_not_end_is_kept_for_a_while(
    two: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Batch(two._opened.objects()) as batch:
        for data in (b"orphan", b"large orphan" * 9):
            batch.receive(hash_bytes(data), len(data), [data], lambda _: None)
        batch.publish()

    kept = two.gc(yes=True)
    assert kept.removed_objects == 0
    assert [(found.why.reason, found.objects) for found in kept.waiting] == [(UNFINISHED, 2)]
    grow_old(two, 3 * WEEK, monkeypatch)
    assert two.gc(yes=True).removed_objects == 2
    assert two.verify().is_clean


def test_what_work_in_flight_has_published_stays(two: Store) -> None:
    data = b"large orphan" * 9
    with Batch(two._opened.objects()) as batch:
        batch.receive(hash_bytes(data), len(data), [data], lambda _: None)
        batch.publish()
        batch.receive(hash_bytes(SMALL), len(SMALL), [SMALL], lambda _: None)

        during = now(two)

        assert during.removed_objects == 0
        assert [found.why.reason for found in during.waiting] == [IN_WORK]
    assert now(two).removed_objects == 1


def test_work_that_a_killed_process_left_does_not_count(two: Store) -> None:
    folder = two.path / "tmp" / f"{os.uname().nodename}.999999999.0123abcd"
    folder.mkdir(parents=True)
    (folder / "begun").touch()
    two.remove("zoo:one")

    done = now(two)

    assert done.removed_objects > 0
    assert not folder.exists()


def test_one_gc_at_a_time(two: Store) -> None:
    (two.path / "tmp").mkdir(exist_ok=True)
    with claim(two.path / "tmp/gc.claim", "it"), pytest.raises(StoreBusy) as busy:
        two.gc(yes=True)

    assert str(os.getpid()) in busy.value.message


# Writers beside it


@pytest.fixture
def before_commit(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Has something done once, between the last look of a writer and its name."""

    def arrange(what: Callable[[], object]) -> None:
        real = Batch.commit
        todo = [what]

        def commit(batch: Batch, change: RefChange) -> None:
            if todo:
                todo.pop()()
            real(batch, change)

        monkeypatch.setattr(Batch, "commit", commit)

    return arrange


def test_a_writer_that_found_what_is_swept_then_does_not_lose_it(
    two: Store, lay: LayOut, before_commit: Callable[[Callable[[], object]], None]
) -> None:
    other = Store(two.path)
    two.remove("zoo:one")
    removed: list[int] = []
    before_commit(lambda: removed.append(now(other).removed_objects))

    done = two.add(lay("again", {"own.bin": LARGE + b"1", "own.txt": b"1"}), "zoo:again")

    assert removed[0] > 0
    assert two.verify().is_clean
    assert content(two, "zoo:again", "own.bin") == LARGE + b"1"
    assert content(two, "zoo:again", "own.txt") == b"1"
    assert done.new_objects >= 3


def test_a_pull_that_found_what_is_swept_then_gets_it_again(
    two: Store,
    lay: LayOut,
    tmp_path: Path,
    before_commit: Callable[[Callable[[], object]], None],
) -> None:
    two.publish(["zoo:one"], tmp_path / "zoo")
    two.add_remote("there", str(tmp_path / "zoo"))
    two.remove("zoo:one")
    removed: list[int] = []
    before_commit(lambda: removed.append(now(Store(two.path)).removed_objects))

    two.pull("zoo:one")

    assert removed[0] > 0
    assert two.verify().is_clean
    assert content(two, "zoo:one", "own.txt") == b"1"


def test_a_tag_is_not_given_to_what_goes(two: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    real = type(two._opened.objects().names).change
    todo = ["rm"]

    def change(names: object, change: RefChange, *rest: object) -> None:
        if todo:
            todo.pop()
            other = Store(two.path)
            other.remove("zoo:one")
            now(other)
        real(names, change, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(type(two._opened.objects().names), "change", change)
    with pytest.raises(UnknownStub):
        two.tag("zoo:one", "v1")
    assert two.verify().is_clean


def test_a_name_that_comes_while_it_plans_is_seen(
    two: Store, monkeypatch: pytest.MonkeyPatch, lay: LayOut
) -> None:
    two.remove("zoo:one")
    module = sys.modules[Collected.__module__]
    real = sweep_loose

    def sweep(*arguments: object) -> None:
        files: Files = {"own.bin": LARGE + b"1", "own.txt": b"1"}
        Store(two.path).add(lay("late", files), "zoo:late")
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "sweep_loose", sweep)
    now(two)

    assert two.verify().is_clean
    assert content(two, "zoo:late", "own.bin") == LARGE + b"1"
    assert content(two, "zoo:late", "own.txt") == b"1"


# Packs and aliases


def test_aliases_of_what_goes_are_forgotten_and_the_others_kept(two: Store) -> None:
    store = two._opened.objects()
    sha = {data: digest_bytes("sha256", data) for data in (SMALL, b"1")}
    with Batch(store) as batch:
        batch.note_aliases("tests", {hash_bytes(data): [digest] for data, digest in sha.items()})
        batch.put(hash_bytes(b"1!"), ObjectKind.BLOB, b"1!")
        batch.publish()
    two.remove("zoo:one")

    now(two)

    shutil.rmtree(two.path / "index")
    again = Store(two.path)._opened.objects()
    assert again.find(sha[SMALL]) == hash_bytes(SMALL)
    assert again.names.view(lambda index: index.alias(sha[b"1"])) is None
    assert again.find(Digest(BLAKE3, hash_bytes(b"1"))) is None


def test_a_reader_that_has_a_pack_open_goes_on(two: Store) -> None:
    reader = Store(two.path)
    assert content(reader, "zoo:two", "own.txt") == b"2"
    two.remove("zoo:one")
    now(two)

    assert content(reader, "zoo:two", "shared.txt") == SMALL


# Fitting a size


def test_a_size_is_met_by_letting_go_of_what_was_pulled(
    store: Store, lay: LayOut, tmp_path: Path, new_store: Callable[[str], Store]
) -> None:
    zoo = new_store("maker")
    for name in "abc":
        zoo.add(lay(name, {"f": name.encode() * 1000}), f"zoo:{name}")
    zoo.publish(["zoo:a", "zoo:b", "zoo:c"], tmp_path / "zoo")
    store.add_remote("there", str(tmp_path / "zoo"))
    for name in "abc":
        store.pull(f"zoo:{name}")
    store.add(lay("own", {"f": b"own" * 500}), "zoo:own")
    store.checkout("zoo:a", tmp_path / "work", link="copy")

    done = store.gc(yes=True, max_size=4500)

    assert [model.stub for model in done.evicted] == ["zoo:b"]
    assert done.over == 0
    assert done.kept_bytes <= 4500
    assert store.verify().is_clean
    least = store.gc(yes=True, max_size=0)
    assert [model.stub for model in least.evicted] == ["zoo:c"]
    assert least.over == least.kept_bytes == store.du().stored_bytes
    assert {model.stub for model in store.snapshots()} == {"zoo:a", "zoo:own"}


# What else lies about


def test_leftovers_go_when_they_are_old(two: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tmp/downloads/ab.part", "quarantine/ab.0123"):
        (two.path / name).parent.mkdir(parents=True, exist_ok=True)
        (two.path / name).write_bytes(b"half")

    assert not two.gc(yes=True).leftovers
    grow_old(two, 3 * WEEK, monkeypatch)
    done = two.gc(yes=True)

    assert sorted(left.path.name for left in done.leftovers) == ["ab.0123", "ab.part"]
    assert sum(left.bytes for left in done.leftovers) == 8
    assert not (two.path / "quarantine/ab.0123").exists()


def test_what_was_laid_out_of_a_snapshot_goes_with_it(two: Store) -> None:
    place = two.materialize("zoo:one", ["own.txt"])
    other = two.materialize("zoo:two", ["own.txt"])
    two.remove("zoo:one")

    two.gc(yes=True)

    assert not place.exists()
    assert (other / "own.txt").read_bytes() == b"2"


# What it refuses


def test_it_refuses_where_nobody_knows_what_is_needed(two: Store, packs: InStore) -> None:
    two.remove("zoo:one")
    for path in packs(two.path):
        path.chmod(0o644)
        data = bytearray(path.read_bytes())
        for position in range(60, len(data) - 200, 40):
            data[position] ^= 1
        path.write_bytes(bytes(data))
    before = held(two.path)

    with pytest.raises(DamagedContent):
        now(two)

    assert held(two.path) == before


def test_a_store_that_cannot_be_written_to_can_be_looked_at(
    two: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    two.remove("zoo:one")
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and real(path, mode))
    reader = Store(two.path)

    assert reader.gc().removed_objects > 0
    with pytest.raises(ReadOnlyStore):
        now(reader)


@pytest.mark.parametrize("options", [{"grace": -1}, {"max_size": -1}, {"keep_recent": 0}], ids=str)
def test_numbers_that_make_no_sense_are_refused(two: Store, options: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        two.gc(yes=True, **options)


# The command line


def test_the_command_line_says_what_and_why(two: Store, cli: Cli) -> None:
    two.remove("zoo:one")

    planned = cli("--store", two.path, "gc")
    assert planned.code == 0
    assert "zoo:one@" in planned.out
    assert "--yes" in planned.err
    done = cli("--store", two.path, "gc", "--yes", "--json").json
    assert (done["dry_run"], done["removed_objects"]) == (False, 4)
    assert done["removed"][0]["stub"] == "zoo:one"
    nothing = cli("--store", two.path, "gc", "--yes")
    assert "removed 0 objects" in nothing.err


@pytest.mark.parametrize(("text", "code"), [("1GB", 0), ("1.5 GiB", 0), ("9", 3), ("much", 2)])
def test_sizes_are_written_as_people_do(two: Store, cli: Cli, text: str, code: int) -> None:
    assert cli("--store", two.path, "gc", "--max-size", text).code == code


# In general

NAMES = st.sampled_from(["a", "b", "c/d", "c/e"])
CONTENTS = st.sampled_from([b"", b"s", b"t", b"large" * 9, b"LARGE" * 9, b"larger" * 30])
MODELS = st.lists(st.dictionaries(NAMES, CONTENTS, min_size=1), min_size=1, max_size=4)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(models=MODELS, data=st.data())
def test_every_model_frees_what_du_says(
    models: list[dict[str, bytes]],
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
    lay_at: Callable[[Path, Files], Path],
) -> None:
    root = tmp_path_factory.mktemp("gc")
    (root / "store").mkdir()
    (root / "store/config.toml").write_text("large_object = 16\n")
    store = Store(root / "store")
    for number, files in enumerate(models):
        directory = lay_at(root / f"{number}", files)
        store.add(directory, f"zoo:{number % 2 and number}", time=number)
    left = {model.stub for model in store.snapshots()}
    while left:
        stub = data.draw(st.sampled_from(sorted(left)))
        left.remove(stub)
        said = store.du([stub]).models[0].frees_bytes
        before = store.du().stored_bytes
        store.remove(stub)
        assert store.gc(yes=True).removed_bytes == said
        assert store.du().stored_bytes == before - said
        assert store.verify().is_clean
    assert store.du().stored_bytes == 0
    assert not held(store.path)
    shutil.rmtree(root)


def test_a_checkout_of_what_is_not_here_is_in_nobodys_way(two: Store, tmp_path: Path) -> None:
    work = tmp_path / "work"
    two.checkout("zoo:one", work, link="copy")
    state = work / ".zoostore/checkout.json"
    state.write_text(state.read_text().replace(str(two.snapshot("zoo:one").id), "ab" * 32))
    two.remove("zoo:two")

    assert now(two).removed_objects > 0
    assert two.verify(["zoo:one"]).is_clean


def test_what_is_stored_anew_while_its_old_file_goes_is_not_lost(
    store: Store, lay: LayOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new file may have the name of the old one, which a sweep is about to remove."""
    model = lay("one", {"own.bin": LARGE, "own.txt": SMALL})
    store.add(model, "zoo:one", time=1)
    store.remove("zoo:one")
    disk, objects = on_disk(store._opened.layout), store._opened.objects()
    numbers = range(len(disk.sizes))
    packs = list(disk.packs_with({disk.numbering.oid(number) for number in numbers}))
    dead = list(disk.loose_among(numbers))

    def sweep() -> None:
        sweep_loose(objects.names, dead, lambda: ())
        sweep_packs(objects.names, packs, lambda: ())

    sweep()
    assert not list(store.path.glob("packs/*"))
    real, todo = Names.change, [sweep]

    def change(*arguments: object) -> None:
        if todo:
            assert list(store.path.glob("packs/*")) == [pack.path for pack in packs]
            todo.pop()()
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Names, "change", change)
    store.add(model, "zoo:one", time=1)

    assert not todo
    assert store.verify().is_clean
    assert content(store, "zoo:one", "own.txt") == SMALL
    assert content(store, "zoo:one", "own.bin") == LARGE


_LATE = """
import sys
from zoostore import Store
from zoostore.store.reflog import Reflog

real = Reflog.append

def append(reflog, change):
    print("ready", flush=True)
    sys.stdin.readline()
    position = real(reflog, change)
    print("appended", flush=True)
    sys.stdin.readline()
    return position

Reflog.append = append
Store(sys.argv[1]).add(sys.argv[2], "zoo:late")
print("done", flush=True)
"""


def test_a_line_that_the_index_does_not_know_yet_is_not_passed_over(
    two: Store, lay: LayOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer has appended to the reflog, and commits to the index a moment later."""
    late = lay("late", {"late.bin": LARGE + b"late", "late.txt": b"late"})
    module = sys.modules[Collected.__module__]
    find, look = find_roots, on_disk
    with subprocess.Popen(
        [sys.executable, "-c", _LATE, str(two.path), str(late)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdin
        assert writer.stdout

        def go_on(said: str) -> None:
            assert writer.stdin
            assert writer.stdout
            writer.stdin.write("\n")
            writer.stdin.flush()
            assert writer.stdout.readline() == f"{said}\n"

        def find_then(*arguments: object, **options: object) -> object:
            go_on("appended")
            return find(*arguments, **options)  # type: ignore[arg-type]

        def look_then(layout: Layout) -> OnDisk:
            go_on("done")
            writer.wait()
            return look(layout)

        assert writer.stdout.readline() == "ready\n"
        monkeypatch.setattr(module, "find_roots", find_then)
        monkeypatch.setattr(module, "on_disk", look_then)
        now(two)

    assert two.verify().is_clean
    assert content(two, "zoo:late", "late.bin") == LARGE + b"late"
    assert content(two, "zoo:late", "late.txt") == b"late"
