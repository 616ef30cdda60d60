"""The object store: what it hands out is what the oid names, or an error."""

from __future__ import annotations

import gc
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from zoostore.digest import Oid, hash_bytes
from zoostore.errors import DamagedContent, MissingObject
from zoostore.objects.snapshot import Snapshot, encode_snapshot, snapshot_oid
from zoostore.objects.tree import Entry, Kind, encode_tree, tree_oid
from zoostore.store.batch import Batch
from zoostore.store.objectstore import ObjectStore
from zoostore.store.packs import PackWriter
from zoostore.store.records import Location, ObjectKind

OpenStore = Callable[..., ObjectStore]

SMALL = b"a small object"
LARGE = bytes(range(256)) * 40
TREE = {"file": Entry(Kind.FILE, len(SMALL), hash_bytes(SMALL))}
TREE_OID = tree_oid(encode_tree(TREE))
SNAPSHOT = Snapshot(TREE_OID, 1, len(SMALL), "zoo:m")
SNAPSHOT_OID = snapshot_oid(encode_snapshot(SNAPSHOT))


def put(store: ObjectStore, *contents: bytes) -> list[Oid]:
    """Keep blobs; their oids."""
    oids = [hash_bytes(content) for content in contents]
    with Batch(store) as batch:
        for oid, content in zip(oids, contents, strict=True):
            batch.receive(oid, len(content), [content], lambda _: None)
        batch.publish()
    return oids


def put_tree_and_snapshot(store: ObjectStore) -> None:
    with Batch(store) as batch:
        batch.put(TREE_OID, ObjectKind.TREE, encode_tree(TREE))
        batch.put(SNAPSHOT_OID, ObjectKind.SNAPSHOT, encode_snapshot(SNAPSHOT))
        batch.publish()


def packs(store: ObjectStore) -> list[Path]:
    return sorted(store.layout.packs.iterdir())


def write_pack(store: ObjectStore, *contents: bytes) -> Path:
    """Put a pack of blobs where packs are, as another machine would: the index is not told."""
    staged = store.layout.root / "elsewhere"
    with open(staged, "xb") as file:
        writer = PackWriter(file)
        for content in contents:
            writer.add(hash_bytes(content), ObjectKind.BLOB, content)
        name, _ = writer.finish()
    return staged.rename(store.layout.pack(name))


def later(path: Path, seconds: int = 10) -> None:
    """Make a file look as if it was changed some time later than it was."""
    status = path.stat()
    later_ns = status.st_mtime_ns + seconds * 10**9
    os.utime(path, ns=(status.st_atime_ns, later_ns))


# Ways to damage a file


def flip(path: Path, old: bytes = b"", new: bytes = b"") -> None:
    """Change content, not size: some bytes, or the first."""
    path.chmod(0o644)
    data = path.read_bytes()
    changed = data.replace(old, new) if old else bytes([data[0] ^ 1]) + data[1:]
    assert changed != data
    assert len(changed) == len(data)
    with open(path, "r+b") as file:
        file.write(changed)
    later(path)


def cut(path: Path) -> None:
    path.chmod(0o644)
    os.truncate(path, 100)


def grow(path: Path) -> None:
    path.chmod(0o644)
    with open(path, "ab") as file:
        file.write(b"more")


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"x" * path.stat().st_size)
    os.replace(other, path)


DAMAGES = [flip, cut, grow, replace]


def flip_and_hide_it(path: Path, old: bytes = b"", new: bytes = b"") -> None:
    """Change content, and neither size nor time."""
    status = path.stat()
    flip(path, old, new)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


# Reading


def test_objects_of_every_kind_are_read(store: ObjectStore) -> None:
    small, large = put(store, SMALL, LARGE)
    put_tree_and_snapshot(store)

    assert (store.read(small), store.read(large)) == (SMALL, LARGE)
    with store.open(small) as file, store.open(large) as other:
        assert (file.read(7), file.seek(2), file.read()) == (SMALL[:7], 2, SMALL[2:])
        assert (other.read(7), other.seek(2), other.read()) == (LARGE[:7], 2, LARGE[2:])
    assert store.tree(TREE_OID) == TREE
    assert store.snapshot(SNAPSHOT_OID) == SNAPSHOT
    assert all(store.has(oid) for oid in (small, large, TREE_OID, SNAPSHOT_OID))


def test_only_large_objects_have_a_file_of_their_own(store: ObjectStore) -> None:
    small, large = put(store, SMALL, LARGE)

    assert store.loose_path(small) is None
    assert store.loose_path(large) == store.layout.loose(large)


def test_what_is_not_here_is_missing(store: ObjectStore) -> None:
    put(store, SMALL)
    missing = hash_bytes(b"never seen")

    assert not store.has(missing)
    assert store.location(missing) is None
    reads: list[Callable[[Oid], object]] = [
        *(store.read, store.open, store.loose_path, store.tree, store.snapshot)
    ]
    for read in reads:
        with pytest.raises(MissingObject) as caught:
            read(missing)
        assert caught.value.facts["oid"] == str(missing)


def test_an_object_of_one_kind_is_not_taken_for_another(store: ObjectStore) -> None:
    small, large = put(store, SMALL, LARGE)
    put_tree_and_snapshot(store)

    for oid in (small, large, SNAPSHOT_OID):
        with pytest.raises(MissingObject):
            store.tree(oid)
    for oid in (small, large, TREE_OID):
        with pytest.raises(MissingObject):
            store.snapshot(oid)


def test_a_blob_with_the_bytes_of_a_tree_is_not_that_tree(store: ObjectStore) -> None:
    (blob,) = put(store, encode_tree(TREE))

    assert blob != TREE_OID
    assert not store.has(TREE_OID)


def test_what_another_process_added_is_seen(store: ObjectStore, open_store: OpenStore) -> None:
    oids = put(open_store(), SMALL, LARGE)

    assert [store.read(oid) for oid in oids] == [SMALL, LARGE]


def test_a_store_that_is_let_go_of_leaves_no_file_open(store: ObjectStore) -> None:
    oids = put(store, SMALL, LARGE)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        other = ObjectStore(store.names)
        assert [other.read(oid) for oid in oids] == [SMALL, LARGE]
        del other
        gc.collect()

    assert [str(warning.message) for warning in caught] == []


# Damaged loose objects


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_loose_object_is_set_aside_and_not_handed_out(
    store: ObjectStore, damage: Callable[[Path], None]
) -> None:
    (oid,) = put(store, LARGE)
    path = store.layout.loose(oid)
    damage(path)
    damaged = path.read_bytes()

    with pytest.raises(DamagedContent) as caught:
        store.read(oid)

    assert caught.value.facts["oid"] == str(oid)
    assert not path.exists()
    (aside,) = store.layout.quarantine.iterdir()
    assert aside.name.startswith(str(oid))
    assert aside.read_bytes() == damaged
    assert not store.has(oid)
    with pytest.raises(MissingObject):
        store.read(oid)


@pytest.mark.parametrize("ask", ["has", "read", "open", "loose_path"])
def test_no_way_to_ask_for_a_damaged_object_gives_it(store: ObjectStore, ask: str) -> None:
    (oid,) = put(store, LARGE)
    flip(store.layout.loose(oid))

    if ask == "has":
        assert not store.has(oid)
    else:
        with pytest.raises(DamagedContent):
            getattr(store, ask)(oid)

    assert len(list(store.layout.quarantine.iterdir())) == 1
    assert store.location(oid) is None


def test_an_object_edited_through_a_hard_link_is_noticed(
    store: ObjectStore, tmp_path: Path
) -> None:
    (oid,) = put(store, LARGE)
    link = tmp_path / "checked-out"
    os.link(store.layout.loose(oid), link)
    assert store.read(oid) == LARGE

    flip(link)

    with pytest.raises(DamagedContent):
        store.read(oid)


def test_damage_that_hides_itself_is_found_when_the_index_is_made_anew(
    store: ObjectStore, open_store: OpenStore
) -> None:
    (oid,) = put(store, LARGE)
    flip_and_hide_it(store.layout.loose(oid))
    shutil.rmtree(store.layout.index)

    with pytest.raises(DamagedContent):
        open_store().read(oid)


def test_a_file_that_was_touched_is_read_again_and_its_stamp_remembered(store: ObjectStore) -> None:
    (oid,) = put(store, LARGE)
    path = store.layout.loose(oid)
    later(path)

    assert store.has(oid)

    location = store.location(oid)
    assert location is not None
    assert location.mtime_ns == path.stat().st_mtime_ns


def test_a_file_that_was_copied_is_read_again(store: ObjectStore) -> None:
    (oid,) = put(store, LARGE)
    path = store.layout.loose(oid)
    shutil.copy2(path, path.with_name("copy"))
    os.replace(path.with_name("copy"), path)

    assert store.read(oid) == LARGE


def test_a_damaged_object_can_be_added_again(store: ObjectStore, open_store: OpenStore) -> None:
    (oid,) = put(store, LARGE)
    flip(store.layout.loose(oid))
    assert not store.has(oid)

    put(store, LARGE)

    assert store.read(oid) == open_store().read(oid) == LARGE
    assert len(list(store.layout.quarantine.iterdir())) == 1


def test_an_object_whose_file_is_gone_is_missing_until_it_is_back(
    store: ObjectStore, tmp_path: Path
) -> None:
    (oid,) = put(store, LARGE)
    path = store.layout.loose(oid)
    path.rename(tmp_path / "away")

    assert not store.has(oid)
    with pytest.raises(MissingObject):
        store.read(oid)

    (tmp_path / "away").rename(path)
    assert store.read(oid) == LARGE


# Damaged packs


@pytest.mark.parametrize("ask", ["has", "read", "open"])
def test_a_damaged_packed_object_is_not_handed_out(
    store: ObjectStore, open_store: OpenStore, ask: str
) -> None:
    oid, other = put(store, SMALL, b"another object")
    (path,) = packs(store)
    flip(path, SMALL, SMALL.upper())
    store = open_store()

    if ask == "has":
        assert not store.has(oid)
    else:
        with pytest.raises(DamagedContent) as caught:
            getattr(store, ask)(oid)
        assert caught.value.facts["oid"] == str(oid)

    assert not store.has(oid)
    assert store.read(other) == b"another object"


@pytest.mark.parametrize("harm", [flip, flip_and_hide_it])
def test_a_damaged_tree_or_snapshot_is_not_handed_out_whatever_the_packs_time_says(
    store: ObjectStore, open_store: OpenStore, harm: Callable[[Path, bytes, bytes], None]
) -> None:
    put_tree_and_snapshot(store)
    (path,) = packs(store)
    harm(path, b"file", b"life")
    harm(path, b"zoo:m", b"zoo:n")
    store = open_store()

    with pytest.raises(DamagedContent):
        store.tree(TREE_OID)
    with pytest.raises(DamagedContent):
        store.snapshot(SNAPSHOT_OID)


def test_a_pack_that_was_touched_is_still_read(store: ObjectStore, open_store: OpenStore) -> None:
    (oid,) = put(store, SMALL)
    later(packs(store)[0])

    assert open_store().read(oid) == SMALL


def test_a_pack_that_is_cut_short_gives_what_is_left_of_it(
    store: ObjectStore, open_store: OpenStore
) -> None:
    oids = put(store, *(b"object %03d" % number for number in range(100)))
    (path,) = packs(store)
    path.chmod(0o644)
    os.truncate(path, path.stat().st_size // 3)
    store = open_store()

    found = [oid for oid in oids if store.has(oid)]

    assert found == oids[: len(found)]
    assert 0 < len(found) < 100
    assert [store.read(oid) for oid in found] == [
        b"object %03d" % number for number in range(len(found))
    ]


def test_a_damaged_packed_object_can_be_added_again(
    store: ObjectStore, open_store: OpenStore
) -> None:
    (oid,) = put(store, SMALL)
    flip(packs(store)[0], SMALL, SMALL.upper())
    store = open_store()

    put(store, SMALL)

    assert store.read(oid) == open_store().read(oid) == SMALL
    shutil.rmtree(store.layout.index)
    assert open_store().read(oid) == SMALL


def test_a_good_copy_in_another_pack_is_used(store: ObjectStore, open_store: OpenStore) -> None:
    (oid,) = put(store, SMALL)
    (damaged,) = packs(store)
    write_pack(store, b"first", SMALL)
    flip(damaged, SMALL, SMALL.upper())  # so that it is also the newest
    shutil.rmtree(store.layout.index)

    assert open_store().read(oid) == SMALL
    assert open_store().has(oid)


def test_a_copy_in_another_pack_is_used_where_a_pack_is_gone(
    store: ObjectStore, open_store: OpenStore
) -> None:
    (oid,) = put(store, SMALL)
    (gone,) = packs(store)
    write_pack(store, b"first", SMALL)
    assert store.read(hash_bytes(b"first")) == b"first"  # and so the index knows both packs
    later(gone)
    shutil.rmtree(store.layout.index)
    assert open_store().has(oid)
    gone.unlink()

    assert open_store().read(oid) == SMALL


def test_what_was_in_a_pack_that_is_gone_is_missing(
    store: ObjectStore, open_store: OpenStore
) -> None:
    (oid,) = put(store, SMALL)
    packs(store)[0].unlink()
    store = open_store()

    assert not store.has(oid)
    with pytest.raises(MissingObject):
        store.read(oid)
    put(store, SMALL)
    assert store.read(oid) == SMALL


def test_packs_that_are_numbered_anew_are_not_confused_with_those_read_before(
    store: ObjectStore,
) -> None:
    contents = [b"one object", b"two object"]
    oids = [oid for content in contents for oid in put(store, content)]
    assert [store.read(oid) for oid in oids] == contents
    first = next(path for path in packs(store) if contents[0] in path.read_bytes())

    later(first)
    shutil.rmtree(store.layout.index)
    store.names.refresh()

    assert [store.read(oid) for oid in oids] == contents


@pytest.mark.parametrize("moves", [1, 3])
def test_an_object_that_is_packed_anew_again_and_again_is_read(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    """Each time it is found, and the pack is gone by the time that it is opened."""
    (oid,) = put(store, SMALL)
    real, left = store.location, list(range(moves))

    def location(oid: Oid) -> Location | None:
        found = real(oid)
        return found._replace(pack=100 + left.pop()) if found and left else found

    monkeypatch.setattr(store, "location", location)

    assert store.read(oid) == SMALL
    assert not left


# Objects that the index does not know


def test_a_pack_that_another_machine_brought_is_found(store: ObjectStore) -> None:
    put(store, b"known")
    write_pack(store, SMALL, b"")

    assert store.read(hash_bytes(SMALL)) == SMALL
    assert store.read(hash_bytes(b"")) == b""


def test_a_loose_object_that_another_machine_brought_is_verified_and_found(
    store: ObjectStore,
) -> None:
    path = store.layout.loose(hash_bytes(LARGE))
    path.parent.mkdir()
    path.write_bytes(LARGE)

    assert store.read(hash_bytes(LARGE)) == LARGE
    assert store.loose_path(hash_bytes(LARGE)) == path


def test_a_loose_object_that_arrived_damaged_is_set_aside(store: ObjectStore) -> None:
    path = store.layout.loose(hash_bytes(LARGE))
    path.parent.mkdir()
    path.write_bytes(LARGE[:-1])

    assert not store.has(hash_bytes(LARGE))
    assert not path.exists()


def test_a_pack_that_arrived_cut_short_gives_what_is_left_of_it(store: ObjectStore) -> None:
    path = write_pack(store, SMALL, b"second")
    os.truncate(path, path.stat().st_size - 1)

    assert store.read(hash_bytes(SMALL)) == SMALL
    assert store.read(hash_bytes(b"second")) == b"second"


def test_what_is_no_pack_is_passed_over(store: ObjectStore) -> None:
    (store.layout.packs / "notes.txt").write_text("x")
    (store.layout.packs / "junk.zpack").write_text("x")
    (store.layout.packs / ("a" * 64 + ".zpack")).write_text("x")
    (store.layout.objects / "junk").write_text("x")
    (store.layout.objects / "ab").mkdir()
    (store.layout.objects / "ab" / "junk").write_text("x")

    (oid,) = put(store, SMALL)

    assert store.read(oid) == SMALL
    assert not store.has(hash_bytes(b"missing"))


@pytest.mark.parametrize("folder", ["objects", "packs", "tmp"])
def test_an_empty_folder_that_a_copy_of_the_store_left_out_is_made_again(
    store: ObjectStore, open_store: OpenStore, folder: str
) -> None:
    """Object storage, zip files and Git keep no empty folders."""
    (store.layout.root / folder).rmdir()
    store = open_store()

    assert not store.has(hash_bytes(SMALL))
    oids = put(store, SMALL, LARGE)

    assert [store.read(oid) for oid in oids] == [SMALL, LARGE]


# Names


def test_snapshots_are_found_by_the_first_digits_of_their_ids(store: ObjectStore) -> None:
    put(store, SMALL, LARGE)
    put_tree_and_snapshot(store)
    digits = str(SNAPSHOT_OID)

    assert [store.names.snapshots_from(digits[:count]) for count in (0, 1, 2, 7, 64)] == [
        [SNAPSHOT_OID]
    ] * 5
    assert store.names.snapshots_from(digits[:6] + ("0" if digits[6] != "0" else "1")) == []
    assert store.names.snapshots_from(str(TREE_OID)) == []
