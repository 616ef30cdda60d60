"""Records of what was laid out: as bytes they say what they said as values, and no more."""

from __future__ import annotations

import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoostore.digest import Oid, hash_bytes
from zoostore.files import spool as spool_module
from zoostore.files.spool import Spool
from zoostore.files.staging import BEGUN, Staging
from zoostore.files.stamp import Stamp
from zoostore.objects.listing import EMPTY_DIRECTORY, build
from zoostore.objects.tree import Entry, Kind, link_entry
from zoostore.ops.oid_set import OidSet
from zoostore.ops.recorded_entries import Entries
from zoostore.ops.records import NO_STAMP, Paths, Records, Tracked, decode

SNAPSHOT = hash_bytes(b"snapshot")
OIDS = st.binary(min_size=32, max_size=32).map(Oid)
TIMES = st.integers(0, 1 << 40)
FILES = st.builds(
    Entry,
    st.sampled_from([Kind.FILE, Kind.EXECUTABLE]),
    st.integers(0, 99),
    OIDS,
    st.just(""),
)
LINKS = st.sampled_from(["a", "b/c"]).map(link_entry)


def with_stamp(entry: Entry, is_laid_out: bool, *times: int) -> Tracked:
    return Tracked(entry, is_laid_out, Stamp.made_of(entry.size, *times))


TRACKED = st.one_of(
    st.builds(with_stamp, st.one_of(FILES, LINKS), st.booleans(), TIMES, TIMES, TIMES),
    st.builds(Tracked, st.just(EMPTY_DIRECTORY), st.booleans(), st.just(NO_STAMP)),
)


def holds_no_path_twice(paths: dict[str, Tracked]) -> bool:
    """Whether no path is a folder of another."""
    return not any(other.startswith(f"{path}/") for path in paths for other in paths)


PATHS = st.dictionaries(
    st.text("ab-é", min_size=1, max_size=2).flatmap(
        lambda name: st.sampled_from([name, f"a/{name}", f"b/c/{name}"])
    ),
    TRACKED,
    max_size=12,
).filter(holds_no_path_twice)


def written(records: Records) -> bytes:
    file = BytesIO()
    records.write(file, str(SNAPSHOT))
    return file.getvalue()


@given(PATHS)
def test_what_is_recorded_is_read(paths: dict[str, Tracked]) -> None:
    records = Records.of(paths.items())
    for found in (records.paths(), decode(written(records), SNAPSHOT)):
        assert dict(found.items()) == paths
        assert {path: found[path] for path in found} == paths
        assert sorted(found) == sorted(paths)
        assert len(found) == len(paths)
        assert list(found.values()) == [found[path] for path in found]
        assert not any(path in found for path in ("no", "a/no", "no/a", ""))


@given(PATHS, st.randoms())
def test_what_was_recorded_is_merged_with_what_is_new(
    paths: dict[str, Tracked], random: object
) -> None:
    shuffled = list(paths.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    old, new, gone = (dict(shuffled[start::3]) for start in range(3))
    before = Records.of((old | gone).items()).paths()

    merged = Records.merged(before, lambda path, _: old.get(path), new.items())

    assert dict(merged.paths().items()) == old | new


@given(PATHS)
def test_the_entries_of_a_folder_are_encoded_as_trees_have_them(paths: dict[str, Tracked]) -> None:
    recorded = Records.of(paths.items()).paths()
    for folder in recorded.folders():
        inside = {name: recorded[folder.prefix + name].entry for name in folder.names}
        built = build(inside)
        assert b"".join(folder.encoded()) in built.trees[built.root]


@given(PATHS)
def test_entries_are_those_of_the_paths(paths: dict[str, Tracked]) -> None:
    recorded = Records.of(paths.items()).paths()
    left_out = {path: item.entry for path, item in paths.items() if not item.is_laid_out}
    assert dict(Entries(recorded).items()) == {path: item.entry for path, item in paths.items()}
    assert dict(Entries(recorded, left_out_only=True).items()) == left_out
    assert len(Entries(recorded, left_out_only=True)) == len(left_out)


def test_an_empty_folder_is_one_no_more_when_it_holds_something() -> None:
    empty = Records.of([("a", Tracked(EMPTY_DIRECTORY, True, NO_STAMP))]).paths()
    file = Tracked(Entry(Kind.FILE, 0, SNAPSHOT), True, NO_STAMP)
    merged = Records.merged(empty, lambda _, tracked: tracked, [("a/b/c", file)]).paths()
    assert dict(merged.items()) == {"a/b/c": file}


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda data: data[:-1],
    "nothing": lambda data: b"",
    "another version": lambda data: data.replace(b"zentries2", b"zentries1"),
    "a byte changed": lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:],
    "the table somewhere else": lambda data: data[:-76] + struct.pack(">Q", 1 << 40) + data[-68:],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_is_not_read(damage: str) -> None:
    file = Tracked(Entry(Kind.FILE, 0, SNAPSHOT), True, NO_STAMP)
    data = written(Records.of([("a", file)]))
    with pytest.raises((ValueError, struct.error)):
        decode(DAMAGE[damage](data), SNAPSHOT)
    with pytest.raises(ValueError, match="another snapshot"):
        decode(data, hash_bytes(b"another"))


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "a\0b"])
@pytest.mark.parametrize("where", ["", "folder/"])
def test_a_name_that_leads_elsewhere_is_not_read(name: str, where: str) -> None:
    file = Tracked(Entry(Kind.FILE, 0, SNAPSHOT), True, NO_STAMP)
    good = Records.of([(f"{where}good", file)])
    records = Records()
    records.add(where, [name], b"".join(row for row in _rows(good.paths())))
    with pytest.raises(ValueError, match="names what is not in it"):
        decode(written(records), SNAPSHOT)


def test_folders_that_share_their_bytes_are_not_read() -> None:
    file = Tracked(Entry(Kind.FILE, 0, SNAPSHOT), True, NO_STAMP)
    data = written(Records.of([("a/f", file)]))
    (table,) = struct.unpack(">Q", data[-76:-68])
    paths = b"\0".join(b"%d" % number for number in range(50))
    forged = data[:table] + data[table : table + 21] * 50 + paths
    forged += struct.pack(">QI", table, 50) + SNAPSHOT
    with pytest.raises(ValueError, match="says more than it holds"):
        decode(forged + hash_bytes(forged), SNAPSHOT)


@pytest.mark.parametrize("prefix", ["../", "a//", "a/../", "./"])
def test_a_folder_that_is_elsewhere_is_not_read(prefix: str) -> None:
    file = Tracked(Entry(Kind.FILE, 0, SNAPSHOT), True, NO_STAMP)
    records = Records()
    records.add(prefix, ["a"], b"".join(_rows(Records.of([("a", file)]).paths())))
    with pytest.raises(ValueError, match="names what is not in it"):
        decode(written(records), SNAPSHOT)


def _rows(paths: Paths) -> list[bytes]:
    return [row for folder in paths.folders() for row in folder.rows()]


@given(st.lists(st.binary(max_size=40), max_size=30), st.integers(1, 60))
def test_a_spool_holds_what_was_put_into_it(pieces: list[bytes], in_memory: int) -> None:
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as made:
        folder = Path(made)
        patch.setattr(spool_module, "_IN_MEMORY", in_memory)
        with Staging(folder) as staging, Spool(staging.unnamed_file) as spool:
            for number, piece in enumerate(pieces):
                spool.append(piece)
                whole = b"".join(pieces[: number + 1])
                assert spool.view()[:] == whole
                assert len(spool) == len(whole)
            last = spool.view()
            assert {path.name for path in folder.glob("*/*")} <= {BEGUN}
        assert last[:] == b"".join(pieces), "what was looked at stays"


@given(st.lists(st.integers(0, 30)))
def test_a_set_of_oids_knows_what_is_in_it_and_what_came_twice(numbers: list[int]) -> None:
    oids = [hash_bytes(bytes([number])) for number in numbers]
    found = OidSet()
    found.update(oids)
    for number in range(31):
        oid = hash_bytes(bytes([number]))
        assert (oid in found) == (number in numbers)
    assert list(found) == sorted(oid[:16] for oid in set(oids))
    assert len(list(found.repeated())) == len(numbers) - len(set(numbers))
