"""repair, and healing on use: whoever has the bytes gives them, and what nobody has is named."""

from __future__ import annotations

import json
import os
import random
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

from zoostore import Model, Store
from zoostore.digest import Digest, Oid, digest_bytes, hash_bytes
from zoostore.errors import DamagedContent, ReadOnlyStore
from zoostore.objects.aliases import Aliases, aliases_oid, encode_aliases
from zoostore.store.batch import Batch
from zoostore.store.derive import loose_files
from zoostore.store.layout import Layout
from zoostore.store.objectstore import ObjectStore
from zoostore.store.packs import PackReader
from zoostore.store.records import Location, ObjectKind

if TYPE_CHECKING:
    from tests.conftest import Cli, Content, Files, LayOut, Serve
    from tests.hub import Hub

Look: TypeAlias = "Callable[[Path], dict[str, Content]]"

STUB = "zoo:one"
BIG = bytes(range(256)) * 8
FILES: dict[str, Content] = {"big.bin": BIG, "small.txt": b"small", "sub/deep": b"deep"}


@pytest.fixture
def added(store: Store, lay: LayOut) -> Store:
    store.add(lay("source", FILES), STUB, message="first", time=1)
    return Store(store.path, offline=True)


def loose(store: Store, content: bytes = BIG) -> Path:
    digits = hash_bytes(content).hex()
    return store.path / "objects" / digits[:2] / digits[2:]


def flip(path: Path, offset: int = 100) -> None:
    path.chmod(0o644)
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def rot(path: Path, offset: int = 100) -> None:
    """Other bytes under the same stamp."""
    before = path.stat()
    flip(path, offset)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def lose(store: Store, *kinds: ObjectKind) -> None:
    """Damage what packs hold of some kinds."""
    for path in (store.path / "packs").iterdir():
        with PackReader(path) as pack:
            rows = [row for row in pack.table() if row.kind in kinds]
        for row in rows:
            flip(path, row.offset)


def aside(store: Store) -> list[str]:
    folder = store.path / "quarantine"
    return sorted(path.name.partition(".")[0] for path in folder.iterdir())


def objects_of(store: Store) -> ObjectStore:
    return store._opened.writable()


# Who gives it back


def test_a_checkout_gives_back_what_is_damaged(added: Store, tmp_path: Path) -> None:
    work = added.checkout(STUB, tmp_path / "work", link="copy").directory
    flip(loose(added))

    done = added.repair()

    assert [finding.what for finding in done.repaired] == [str(hash_bytes(BIG))]
    assert (done.repaired[0].models, done.repaired[0].paths) == ((STUB,), ("big.bin",))
    assert not done.missing
    assert loose(added).read_bytes() == BIG
    assert not os.path.samefile(loose(added), work / "big.bin")
    assert aside(added) == [str(hash_bytes(BIG))]
    assert added.verify().is_clean


def test_another_name_of_the_damaged_file_is_no_copy(added: Store, tmp_path: Path) -> None:
    work = added.checkout(STUB, tmp_path / "work", link="hardlink").directory
    flip(work / "big.bin")

    done = added.repair()

    assert [finding.what for finding in done.missing] == [str(hash_bytes(BIG))]
    assert done.missing[0].files == (str(work / "big.bin"),)
    assert not loose(added).exists()


def test_a_hard_link_in_a_checkout_that_is_intact_gives_back_what_was_deleted(
    added: Store, tmp_path: Path
) -> None:
    added.checkout(STUB, tmp_path / "work", link="hardlink")
    loose(added).unlink()

    assert not added.repair().missing
    assert loose(added).read_bytes() == BIG


def test_what_the_store_laid_out_itself_gives_back(added: Store) -> None:
    added.materialize(STUB, ["big.bin"], link="copy")
    flip(loose(added))

    assert not added.repair().missing


def test_an_edited_checkout_gives_nothing(added: Store, tmp_path: Path) -> None:
    work = added.checkout(STUB, tmp_path / "work", link="copy").directory
    (work / "big.bin").write_bytes(BIG[::-1])
    flip(loose(added))

    assert [finding.what for finding in added.repair().missing] == [str(hash_bytes(BIG))]
    assert not loose(added, BIG[::-1]).exists()


def test_a_second_copy_in_the_store_takes_the_place(added: Store) -> None:
    objects = objects_of(added)
    oid = hash_bytes(BIG)
    loose(added).rename(added.path / "kept")
    objects.names.update(lambda index: index.forget_object(oid))
    objects.large_object = 1 << 20
    with Batch(objects) as batch:
        batch.put(oid, ObjectKind.BLOB, BIG)
        batch.publish()
    (added.path / "kept").rename(loose(added))
    objects.names.update(
        lambda index: index.set_locations([(oid, Location.loose(loose(added).stat()))])
    )
    flip(loose(added))

    with added.open_file(STUB, "big.bin") as file:
        assert file.read() == BIG
    assert aside(added) == [str(oid)]


def test_trees_are_made_anew_from_the_record_of_a_checkout(added: Store, tmp_path: Path) -> None:
    added.checkout(STUB, tmp_path / "work")
    lose(added, ObjectKind.TREE)
    assert len(added.verify().damaged) > 1

    done = added.repair()

    assert not done.missing
    assert added.verify().is_clean
    assert {file.path for file in added.files(STUB)} == set(FILES)


def test_an_adopted_cache_gives_back_what_is_damaged(
    hub: Hub, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.commit("org/name", {"model.bin": BIG, "config.json": b"{}"})
    hub.download("org/name", tmp_path / "cache")
    store.adopt(tmp_path / "cache")
    os.unlink(loose(store))

    done = Store(store.path, offline=True).repair()

    assert [finding.paths for finding in done.repaired] == [("model.bin",)]
    assert not done.missing


def test_a_folder_that_was_adopted_under_a_name_gives_back_too(store: Store, lay: LayOut) -> None:
    store.adopt(lay("weights", FILES), stub=STUB)
    os.unlink(loose(store))

    assert not Store(store.path, offline=True).repair().missing


def test_the_upstream_gives_back_what_is_damaged(
    hub: Hub, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    hub.commit("org/name", {"model.bin": BIG, "config.json": b"{}"})
    store.pull("hf:org/name")
    hub.commit("org/name", {"model.bin": BIG[::-1]})
    flip(loose(store))

    done = store.repair()

    assert not done.missing
    assert loose(store).read_bytes() == BIG


@pytest.mark.parametrize("is_archive", [False, True], ids=["a file", "an archive"])
def test_the_address_it_came_from_gives_back(
    serve: Serve, store: Store, lay: LayOut, tmp_path: Path, is_archive: bool
) -> None:
    lay("web", {"big.bin": BIG})
    name = "big.bin"
    if is_archive:
        name = "all.tar.gz"
        with tarfile.open(tmp_path / "web" / name, "w:gz") as archive:
            archive.add(tmp_path / "web/big.bin", "in/big.bin")
            (tmp_path / "web/other").write_bytes(b"other" * 99)
            archive.add(tmp_path / "web/other", "other")
    web = serve(tmp_path / "web")
    store.pull_url(f"{web.url}/{name}", STUB)
    flip(loose(store))

    assert [finding.what for finding in Store(store.path, offline=True).repair().missing]
    assert not store.repair().missing
    assert loose(store).read_bytes() == BIG
    assert store.verify().is_clean


def test_a_remote_that_cannot_be_read_does_not_keep_others_from_being_asked(
    serve: Serve, store: Store, lay: LayOut, tmp_path: Path, impatient: None
) -> None:
    web = serve(lay("web", {"big.bin": BIG}))
    store.pull_url(f"{web.url}/big.bin", STUB)
    store.add_remote("gone", "http://127.0.0.1:1/zoo")
    flip(loose(store))

    assert not store.repair().missing


def test_everything_at_once_comes_back_from_a_remote(
    added: Store, tmp_path: Path, look: Look
) -> None:
    added.publish([STUB], tmp_path / "zoo")
    added.add_remote("zoo", str(tmp_path / "zoo"))
    for path in [*(added.path / "packs").iterdir(), loose(added)]:
        path.unlink()

    done = added.repair()

    assert not done.missing
    assert added.verify().is_clean
    added.checkout(STUB, tmp_path / "work")
    assert look(tmp_path / "work") == FILES


# Edited, or rotten


def test_an_edit_is_told_from_rot(added: Store, lay: LayOut, tmp_path: Path) -> None:
    other = BIG[::-1]
    added.add(lay("other", {"other.bin": other}), "zoo:other")
    work = added.checkout(STUB, tmp_path / "work", link="hardlink").directory
    flip(work / "big.bin")
    rot(loose(added, other))

    found = {finding.what: finding for finding in added.verify().damaged}

    edited, rotten = found[str(hash_bytes(BIG))], found[str(hash_bytes(other))]
    assert (edited.cause, edited.files) == ("edited", (str(work / "big.bin"),))
    assert "somebody wrote to it" in edited.reason
    assert (rotten.cause, rotten.files) == ("rot", ())
    assert "nothing wrote to it" in rotten.reason
    assert {finding.cause for finding in added.verify().damaged} == {"edited", "rot"}, "still told"


@pytest.mark.parametrize(("damage", "cause"), [(flip, "edited"), (rot, "rot")])
def test_use_says_the_cause_too(
    added: Store, tmp_path: Path, damage: Callable[[Path], None], cause: str
) -> None:
    damage(loose(added))
    added.verify()

    objects = objects_of(added).without_mending()
    with pytest.raises(DamagedContent) as caught:
        objects.open(hash_bytes(BIG))

    assert caught.value.facts["cause"] == cause


def test_an_edit_through_a_hard_link_is_noticed_at_the_next_use(
    added: Store, tmp_path: Path, look: Look
) -> None:
    """As root, whom no permission stops; the edit stays in the checkout it was made in."""
    work = added.checkout(STUB, tmp_path / "work", link="hardlink").directory
    added.checkout(STUB, tmp_path / "intact", link="copy")
    flip(work / "big.bin")

    added.checkout(STUB, tmp_path / "again", link="hardlink")

    assert look(tmp_path / "again") == FILES
    assert added.status(work).modified == ("big.bin",)
    assert added.verify().is_clean


def test_a_pack_that_was_written_to_is_told_from_one_that_rotted(added: Store) -> None:
    (pack,) = (added.path / "packs").iterdir()
    rot(pack, 60)
    assert {finding.cause for finding in added.verify().damaged} == {"rot"}
    flip(pack, 61)
    assert {finding.cause for finding in added.verify().damaged} == {"edited"}


def test_a_first_clean_verify_knows_the_stamps_of_a_store_that_was_copied(
    added: Store, tmp_path: Path
) -> None:
    copy = Store(shutil.copytree(added.path, tmp_path / "copy", ignore=_index), offline=True)
    assert copy.verify().is_clean
    rot(loose(copy))

    assert [finding.cause for finding in copy.verify().damaged] == ["rot"]


def _index(folder: str, names: list[str]) -> list[str]:
    return ["index"] if "index" in names else []


# Healing on use


@pytest.fixture
def with_copy(added: Store, tmp_path: Path) -> Store:
    """A store with an intact checkout, no remote, and a damaged file and tree."""
    added.checkout(STUB, tmp_path / "intact", link="copy")
    flip(loose(added))
    lose(added, ObjectKind.TREE)
    return added


def test_checkout_heals_from_a_copy(with_copy: Store, tmp_path: Path, look: Look) -> None:
    with_copy.checkout(STUB, tmp_path / "work")

    assert look(tmp_path / "work") == FILES
    assert with_copy.verify().is_clean


def test_cat_heals_from_a_copy(with_copy: Store) -> None:
    with with_copy.open_file(STUB, "big.bin") as file:
        assert file.read() == BIG


def test_publish_heals_from_a_copy(
    with_copy: Store, new_store: Callable[[str], Store], tmp_path: Path
) -> None:
    with_copy.publish([STUB], tmp_path / "zoo")

    reader = new_store("reader")
    reader.add_remote("zoo", str(tmp_path / "zoo"))
    reader.pull(STUB)
    assert reader.verify().is_clean


def test_commit_heals_what_it_keeps(with_copy: Store, tmp_path: Path) -> None:
    (tmp_path / "intact/small.txt").write_bytes(b"changed")

    with_copy.commit(tmp_path / "intact", message="second")

    assert loose(with_copy).read_bytes() == BIG
    with with_copy.open_file(STUB, "big.bin") as file:
        assert file.read() == BIG


def test_a_path_of_a_model_heals(
    with_copy: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ZOOSTORE_HOME", str(with_copy.path))

    path = Path(Model(STUB).path)

    assert (path / "big.bin").read_bytes() == BIG


@pytest.mark.parametrize("verb", ["checkout", "cat", "publish"])
def test_what_nobody_has_is_exit_code_5(
    added: Store, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setenv("ZOOSTORE_HOME", str(added.path))
    work = added.checkout(STUB, tmp_path / "copy", link="copy").directory
    flip(loose(added))
    rot(work / "big.bin")  # the copy is damaged too
    arguments: dict[str, tuple[str | Path, ...]] = {
        "checkout": ("checkout", STUB, tmp_path / "work"),
        "cat": ("cat", STUB, "big.bin"),
        "publish": ("publish", STUB, "--to", tmp_path / "zoo"),
    }

    ran = cli("--offline", *arguments[verb])

    assert (ran.code, ran.out) == (5, "")
    assert not (tmp_path / "zoo/zoo.json").exists()


# What nobody has


def test_what_nobody_has_is_named_and_stays_known_as_missing(added: Store) -> None:
    flip(loose(added))

    first = added.repair()

    assert not first.is_done
    assert [(finding.models, finding.paths) for finding in first.missing] == [
        ((STUB,), ("big.bin",))
    ]
    assert [finding.what for finding in added.verify().missing] == [str(hash_bytes(BIG))]
    assert added.repair().missing
    assert aside(added) == [str(hash_bytes(BIG))]


def test_what_is_dropped_leaves_a_model_in_part(added: Store, lay: LayOut) -> None:
    flip(loose(added))
    snapshot = added.snapshot(STUB).id

    done = added.repair(drop=True)

    assert [(item.stub, item.snapshot, item.lost) for item in done.dropped] == [
        (STUB, snapshot, snapshot)
    ]
    (model,) = added.snapshots()
    assert (model.snapshot, model.partial) == (snapshot, True)
    assert added.verify().is_clean
    assert added.repair().damaged == ()
    assert Store(added.path).gc(yes=True, grace=0).removed_objects == 0
    added.add(lay("source", FILES), STUB)
    with added.open_file(STUB, "big.bin") as file:
        assert file.read() == BIG


def test_a_pulled_model_that_lacks_files_still_follows_its_source(
    added: Store, new_store: Callable[[str], Store], lay: LayOut, tmp_path: Path
) -> None:
    added.publish([STUB], tmp_path / "zoo")
    reader = new_store("reader")
    reader.add_remote("zoo", str(tmp_path / "zoo"))
    reader.pull(STUB)
    reader.remove_remote("zoo")
    flip(loose(reader))
    assert Store(reader.path, offline=True).repair(drop=True).dropped
    added.add(lay("source", {"new": b"new"}), STUB)
    added.publish([STUB], tmp_path / "zoo")

    reader.add_remote("zoo", str(tmp_path / "zoo"))
    reader.pull(STUB)

    assert {file.path for file in reader.files(STUB)} == {"big.bin", "small.txt", "sub/deep", "new"}


def test_what_an_older_snapshot_lacks_is_dropped_without_moving_the_ref(
    added: Store, lay: LayOut
) -> None:
    added.add(lay("newer", {"small.txt": b"newer"}), STUB, time=2)
    tip = added.snapshot(STUB).id
    flip(loose(added))

    done = added.repair(drop=True)

    assert [item.lost != tip for item in done.dropped] == [True]
    (model,) = added.snapshots()
    assert (model.snapshot, model.partial) == (tip, False)
    assert added.verify().is_clean


def test_a_ref_whose_snapshot_is_lost_moves_to_the_newest_whole_one(
    added: Store, lay: LayOut
) -> None:
    first = added.snapshot(STUB).id
    added.tag(STUB, "v1")
    added.add(lay("newer", {"small.txt": b"newer"}), STUB, time=2)
    tip = added.snapshot(STUB).id
    added.tag(STUB, "v2")
    _lose_object(added, tip)

    done = added.repair(drop=True)

    assert {(item.tag, item.snapshot, item.lost) for item in done.dropped} == {
        ("", first, tip),
        ("v2", None, tip),
    }
    assert added.snapshot(STUB).id == first
    assert added.snapshot(STUB).tags == {"v1": first}
    assert added.verify().is_clean
    shutil.rmtree(added.path / "index")
    again = Store(added.path, offline=True)
    assert (again.snapshot(STUB).id, again.snapshot(STUB).tags) == (first, {"v1": first})


def _lose_object(store: Store, oid: Oid) -> None:
    for path in (store.path / "packs").iterdir():
        with PackReader(path) as pack:
            rows = [row for row in pack.table() if row.oid == oid]
        for row in rows:
            flip(path, row.offset)


def test_a_model_of_which_nothing_is_left_goes(added: Store, lay: LayOut) -> None:
    added.add(lay("other", {"o": b"o"}), "zoo:other")
    _lose_object(added, added.snapshot(STUB).id)

    done = added.repair(drop=True)

    assert [(item.stub, item.snapshot) for item in done.dropped] == [(STUB, None)]
    assert [model.stub for model in added.snapshots()] == ["zoo:other"]
    assert added.verify().is_clean


def test_a_history_ends_before_a_snapshot_whose_trees_are_lost(added: Store, lay: LayOut) -> None:
    tree = added.snapshot(STUB).snapshot.tree
    added.add(lay("newer", {"small.txt": b"newer"}), STUB, time=2)
    _lose_object(added, tree)
    assert not added.verify().is_clean

    done = added.repair(drop=True)

    assert done.missing
    assert added.verify().is_clean
    assert len(added.log(STUB)) == 1
    added.gc(yes=True, grace=0)
    assert added.verify().is_clean


# Names


def test_names_that_a_reflog_lost_are_restored(added: Store, lay: LayOut) -> None:
    added.tag(STUB, "v1")
    added.add(lay("other", {"o": b"o"}), "zoo:other")
    before = {model.stub: model.snapshot for model in added.snapshots()}
    (added.path / "reflog").unlink()
    assert Store(added.path, offline=True).snapshots() == []

    (finding,) = added.verify().damaged
    assert finding.models == (STUB, "zoo:other")
    assert added.gc(yes=True, grace=0).removed_objects == 0, "what was lost may be wanted"

    done = added.repair()

    assert done.restored == (STUB, "zoo:other")
    assert {model.stub: model.snapshot for model in added.snapshots()} == before
    assert added.snapshot(STUB).tags.keys() == {"v1"}
    assert added.verify().is_clean


def test_a_name_that_moved_on_after_it_was_lost_keeps_what_it_has(
    added: Store, lay: LayOut
) -> None:
    lost = added.snapshot(STUB).id
    os.truncate(added.path / "reflog", 0)
    added.add(lay("newer", {"small.txt": b"newer"}), STUB, time=2)
    newer = added.snapshot(STUB).id

    added.repair()

    assert added.snapshot(STUB).id == newer
    assert added.snapshot(STUB).tags == {lost.short: lost}
    assert added.verify().is_clean


@pytest.mark.parametrize("target", ["nowhere", "/nowhere/at/all", "objects/ab/cd"])
def test_a_link_of_the_users_own_is_no_damage(added: Store, tmp_path: Path, target: str) -> None:
    file = added.checkout(STUB, tmp_path / "work", link="hardlink").directory / "big.bin"
    file.unlink()
    file.symlink_to(target)

    assert added.verify().is_clean
    assert added.repair().is_done
    assert os.readlink(file) == target


def test_what_gc_takes_away_while_it_is_verified_is_no_damage(
    added: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    added.remove(STUB)

    def going(layout: Layout) -> Iterator[tuple[Oid, os.DirEntry[str]]]:
        for oid, entry in loose_files(layout):
            Path(entry.path).unlink(missing_ok=True)
            yield oid, entry

    monkeypatch.setattr("zoostore.ops.verifying_objects.loose_files", going)

    assert added.verify().is_clean
    assert not loose(added).exists()


def test_an_empty_reflog_is_no_damage(store: Store, lay: LayOut) -> None:
    store._opened.writable()
    (store.path / "reflog").write_bytes(b"")

    assert store.verify().is_clean


def test_what_the_index_says_wrongly_of_a_name_is_found_and_made_right(added: Store) -> None:
    objects = objects_of(added)
    record = objects.names.ref(STUB)
    assert record is not None
    objects.names.update(lambda index: index.set_ref("zoo:never", record))

    assert [finding.models for finding in added.verify().damaged] == [("zoo:never",)]
    done = added.repair()

    assert done.is_done
    assert added.verify().is_clean


def test_what_the_index_says_wrongly_of_a_place_is_found_and_made_right(added: Store) -> None:
    objects, oid = objects_of(added), hash_bytes(b"small")
    place = objects.location(oid)
    assert place is not None
    wrong = place._replace(offset=place.offset + 1)
    objects.names.update(lambda index: index.set_locations([(oid, wrong)]))

    assert [finding.what for finding in added.verify().damaged] == [str(added.path / "index")]
    assert added.repair().is_done
    with added.open_file(STUB, "small.txt") as file:
        assert file.read() == b"small"


def test_what_the_index_alone_believes_to_be_there_is_forgotten(added: Store) -> None:
    objects, gone = objects_of(added), hash_bytes(b"gone")
    place = objects.location(hash_bytes(BIG))
    assert place is not None
    objects.names.update(lambda index: index.set_locations([(gone, place)]))

    assert added.verify().is_clean
    assert objects.location(gone) is None


# Digests


def test_a_digest_that_a_content_does_not_have_is_found_and_taken_away(added: Store) -> None:
    wrong = digest_bytes("sha256", b"something else")
    right = digest_bytes("git-sha1", BIG)
    known = frozenset({(hash_bytes(BIG), wrong), (hash_bytes(BIG), right)})
    _put_table(added, Aliases("a liar", known))

    (finding,) = added.verify().damaged
    assert finding.what == str(wrong)
    assert str(hash_bytes(BIG)) in finding.reason

    assert added.repair().is_done
    assert added.verify().is_clean
    objects = objects_of(added)
    assert objects.find(wrong) is None
    assert objects.find(right) == hash_bytes(BIG)


def _put_table(store: Store, aliases: Aliases) -> None:
    data = encode_aliases(aliases)
    with Batch(objects_of(store)) as batch:
        batch.put(aliases_oid(data), ObjectKind.ALIASES, data)
        batch.publish()
    objects_of(store).names.update(lambda index: index.set_aliases(aliases.known))


def test_digests_of_a_lost_table_are_kept_if_they_are_right(added: Store) -> None:
    right: set[Digest] = {digest_bytes("sha256", BIG)}
    with Batch(objects_of(added)) as batch:
        batch.note_aliases("somebody", {hash_bytes(BIG): right})
        batch.publish()
    lose(added, ObjectKind.ALIASES)

    assert not added.verify().is_clean
    assert added.repair().is_done

    assert added.verify().is_clean
    shutil.rmtree(added.path / "index")
    assert objects_of(Store(added.path)).find(*right) == hash_bytes(BIG)


# The command


def test_the_command_names_models_and_files(
    added: Store, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOOSTORE_HOME", str(added.path))
    work = added.checkout(STUB, tmp_path / "work", link="hardlink").directory
    flip(work / "big.bin")

    verified = cli("verify", "--json")
    dry = cli("--offline", "repair", "--dry-run", "--json")
    before = loose(added).read_bytes()
    done = cli("--offline", "repair", "--json")
    said = cli("--offline", "repair")
    dropped = cli("--offline", "repair", "--drop", "--json")

    assert (verified.code, dry.code, done.code, said.code, dropped.code) == (5, 5, 3, 3, 0)
    assert dry.json["damaged"] == verified.json["damaged"]
    assert before != BIG
    (missing,) = done.json["missing"]
    assert (missing["models"], missing["paths"]) == ([STUB], ["big.bin"])
    assert missing["files"] == [str(work / "big.bin")]
    assert missing["cause"] == "edited"
    assert STUB in said.out
    assert "big.bin" in said.out
    assert [item["stub"] for item in dropped.json["dropped"]] == [STUB]
    assert json.loads(cli("--offline", "repair", "--json").out)["damaged"] == []


def test_repair_of_one_model_leaves_others_alone(added: Store, lay: LayOut) -> None:
    other = random.Random(1).randbytes(500)
    added.add(lay("other", {"other.bin": other}), "zoo:other")
    flip(loose(added, other))

    assert added.repair([STUB]).damaged == ()
    assert [finding.models for finding in added.repair(["zoo:other"]).missing] == [("zoo:other",)]


def test_a_store_that_cannot_be_written_to_is_not_repaired(
    added: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip(loose(added))
    monkeypatch.setattr("zoostore.store.names.os.access", lambda *_: False)
    read_only = Store(added.path, offline=True)

    assert read_only.repair(dry_run=True).damaged
    with pytest.raises(ReadOnlyStore):
        read_only.repair()


@pytest.mark.parametrize("threads", [1, 3])
def test_verify_finds_the_same_with_any_number_of_threads(
    added: Store, lay: LayOut, threads: int
) -> None:
    contents = {f"{number}.bin": random.Random(number).randbytes(99) for number in range(60)}
    files: Files = {**contents}
    added.add(lay("many", files), "zoo:many")
    damaged = [content for content in contents.values() if content[0] < 60]
    for content in damaged:
        flip(loose(added, content), 5)

    found = added.verify(threads=threads)

    assert [finding.what for finding in found.damaged] == sorted(
        str(hash_bytes(content)) for content in damaged
    )
    assert found.objects == 60 + 3 - len(damaged) + 5


def test_a_checkout_whose_records_are_lost_is_one_again(added: Store, tmp_path: Path) -> None:
    work = added.checkout(STUB, tmp_path / "work", exclude=["sub/"]).directory
    (work / "small.txt").write_bytes(b"edited")
    shutil.copytree(work / ".zoostore", tmp_path / "before")
    (work / ".zoostore/checkout.json").write_bytes(b"{")

    assert added.repair().is_done

    state = json.loads((work / ".zoostore/checkout.json").read_bytes())
    before = json.loads((tmp_path / "before/checkout.json").read_bytes())
    assert {**state, "exclude": 0} == {**before, "exclude": 0}
    status = added.status(work)
    assert (status.modified, status.deleted) == (("small.txt",), ())


def test_what_the_index_does_not_know_is_not_missing(store: Store, lay: LayOut) -> None:
    store.add(lay("model", {"a": b"a"}), "zoo:m")
    names = store._opened.writable().names
    for name in names.view(lambda index: {record.name for record in index.packs().values()}):
        names.update(lambda index, name=name: index.forget_pack(index.pack_number(name)))  # type: ignore[misc]

    assert store.verify().is_clean
