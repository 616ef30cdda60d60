"""Packs: their bytes, and what is still read when some of them are wrong or gone."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from zoostore.digest import Oid, hash_bytes
from zoostore.errors import DamagedContent, MalformedObject, NewerFormat
from zoostore.files.staging import Staging
from zoostore.objects.snapshot import snapshot_oid
from zoostore.objects.tree import tree_oid
from zoostore.store.layout import Layout
from zoostore.store.packs import (
    FOOTER,
    MAGIC,
    RAW,
    RECORD,
    ROW,
    PackReader,
    PackWriter,
    check_object,
    decode_footer,
    decode_table,
    oid_of,
)
from zoostore.store.records import ObjectKind, Packed
from zoostore.store.repacking import write_pack

HELLO = Oid.parse("ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f")
EMPTY_TREE = Oid.parse("4759141fcc219e699b247d8997a6c6b19569fd4c19a5b09369cae594de8252ce")
TABLE_CHECKSUM = "846c45effab5bd5e0f215b7749dc94794cfcee60e067c3433adb385425389638"
GOLDEN_NAME = "bba28f58b97894c978a493020e73171fa398b8545f2cab51848838ec29bdf175"

# Written out by hand from the format in zoostore/store/packs.py: one blob and one tree, each
# record ending where the next begins; the table the other way round, for it is sorted by oid.
GOLDEN_RECORDS = [
    b"R\x01\x00\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x05" + HELLO + b"hello",
    b"R\x02\x00"
    b"\x00\x00\x00\x00\x00\x00\x00\x0b"
    b"\x00\x00\x00\x00\x00\x00\x00\x0b" + EMPTY_TREE + b"ztree1\n\x00\x00\x00\x00",
]
GOLDEN_TABLE = (
    b"" + EMPTY_TREE + b"\x02\x00"
    b"\x00\x00\x00\x00\x00\x00\x00\x73"
    b"\x00\x00\x00\x00\x00\x00\x00\x0b"
    b"\x00\x00\x00\x00\x00\x00\x00\x0b" + HELLO + b"\x01\x00"
    b"\x00\x00\x00\x00\x00\x00\x00\x3b"
    b"\x00\x00\x00\x00\x00\x00\x00\x05"
    b"\x00\x00\x00\x00\x00\x00\x00\x05"
)
GOLDEN_FOOTER = (
    b"\x00\x00\x00\x00\x00\x00\x00\x7e"
    b"\x00\x00\x00\x00\x00\x00\x00\x02" + bytes.fromhex(TABLE_CHECKSUM) + b"zpackend"
)
GOLDEN = b"zpack1\n\x00" + b"".join(GOLDEN_RECORDS) + GOLDEN_TABLE + GOLDEN_FOOTER
GOLDEN_OBJECTS = {
    HELLO: (ObjectKind.BLOB, b"hello"),
    EMPTY_TREE: (ObjectKind.TREE, b"ztree1\n\0\0\0\0"),
}
GOLDEN_ROWS = [
    Packed(EMPTY_TREE, ObjectKind.TREE, RAW, 115, 11, 11),
    Packed(HELLO, ObjectKind.BLOB, RAW, 59, 5, 5),
]

OBJECTS = st.lists(st.tuples(st.sampled_from(ObjectKind), st.binary(max_size=30)), max_size=8)


def pack_of(objects: list[tuple[ObjectKind, bytes]]) -> tuple[bytes, Oid, list[Packed]]:
    """A pack's bytes, its name, and its rows as its writer says them."""
    file = io.BytesIO()
    writer = PackWriter(file)
    for kind, data in dict.fromkeys(objects):
        writer.add(oid_of(kind, data), kind, data)
    name, rows = writer.finish()
    return file.getvalue(), name, list(rows)


def written(path: Path, data: bytes) -> PackReader:
    path.write_bytes(data)
    return PackReader(path)


def with_table(*rows: bytes, checksum: bytes | None = None) -> bytes:
    """A pack with the golden records and a table of these rows, whole and consistent."""
    body = MAGIC + b"".join(GOLDEN_RECORDS)
    table = b"".join(rows)
    footer = FOOTER.pack(len(body), len(rows), checksum or hash_bytes(table), b"zpackend")
    return body + table + footer


def row(
    oid: bytes = HELLO,
    kind: int = 1,
    encoding: int = RAW,
    offset: int = 59,
    stored: int = 5,
    size: int = 5,
) -> bytes:
    return ROW.pack(oid, kind, encoding, offset, stored, size)


def assert_intact(pack: PackReader, found: Packed) -> None:
    kind, data = GOLDEN_OBJECTS[found.oid]
    assert (found.kind, found.encoding) == (kind, RAW)
    assert (found.stored, found.size) == (len(data), len(data))
    assert pack.read(found.offset, found.stored) == data


# Writing and reading


@given(OBJECTS)
def test_what_is_packed_is_read_back(objects: list[tuple[ObjectKind, bytes]]) -> None:
    data, name, rows = pack_of(objects)

    table = decode_footer(data, len(data))
    decoded = decode_table(table, data[table.offset : table.offset + table.length])
    contents = {oid_of(kind, content): (kind, content) for kind, content in objects}
    assert list(decoded) == rows
    assert name == hash_bytes(data)
    assert {
        row.oid: (row.kind, data[row.offset : row.offset + row.stored]) for row in rows
    } == contents


@given(OBJECTS)
def test_the_table_stands_in_the_order_of_oids(objects: list[tuple[ObjectKind, bytes]]) -> None:
    oids = [row.oid for row in pack_of(objects)[2]]

    assert oids == sorted(set(oids))


@given(st.binary(max_size=5000), st.data(), st.integers(0, 300), st.integers(1, 600))
def test_what_is_read_together_is_what_stands_there(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, draw: st.DataObject, gap: int, block: int
) -> None:
    """Whatever is read at once: objects that touch, overlap, are far apart, or larger than that."""
    path = tmp_path_factory.getbasetemp() / "together"
    path.write_bytes(data)
    place = st.tuples(st.integers(0, len(data) + 10), st.integers(0, 700))
    places = sorted(draw.draw(st.lists(place)))
    with pytest.MonkeyPatch.context() as patch, PackReader(path) as pack:
        patch.setattr("zoostore.store.packs._GAP_BYTES", gap)
        patch.setattr("zoostore.store.packs._BLOCK_BYTES", block)
        read = list(pack.read_together(places))
    assert read == [data[offset : offset + length] for offset, length in places]


def test_the_golden_pack_is_written_as_the_format_says() -> None:
    objects = list(GOLDEN_OBJECTS.values())

    assert pack_of(objects) == (GOLDEN, Oid.parse(GOLDEN_NAME), GOLDEN_ROWS)
    assert blake3(GOLDEN).hexdigest() == GOLDEN_NAME


def test_the_golden_pack_is_read_by_its_table_and_by_its_records(tmp_path: Path) -> None:
    with written(tmp_path / "pack", GOLDEN) as pack:
        assert list(pack.table()) == GOLDEN_ROWS
        assert list(pack.salvage()) == [GOLDEN_ROWS[1], GOLDEN_ROWS[0]]


def test_a_pack_may_hold_nothing(tmp_path: Path) -> None:
    with written(tmp_path / "pack", pack_of([])[0]) as pack:
        assert list(pack.table()) == list(pack.salvage()) == []


def test_a_writer_says_how_much_it_has_written() -> None:
    file = io.BytesIO()
    writer = PackWriter(file)
    assert (len(writer), writer.size) == (0, len(MAGIC))
    writer.add(HELLO, ObjectKind.BLOB, b"hello")
    assert len(writer) == 1
    assert writer.size == len(file.getvalue()) == len(MAGIC) + len(GOLDEN_RECORDS[0])


def test_what_comes_out_of_two_packs_is_packed_once(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.packs.mkdir()
    hello = (HELLO, ObjectKind.BLOB, b"hello")
    tree = (EMPTY_TREE, ObjectKind.TREE, b"ztree1\n\0\0\0\0")
    new = write_pack(layout, Staging(tmp_path / "tmp"), [hello, tree, hello])
    assert new is not None
    assert layout.pack(new.record.name).read_bytes() == GOLDEN


def test_a_kind_says_how_an_oid_is_computed() -> None:
    assert oid_of(ObjectKind.BLOB, b"x") == hash_bytes(b"x")
    assert oid_of(ObjectKind.TREE, b"x") == tree_oid(b"x")
    assert oid_of(ObjectKind.SNAPSHOT, b"x") == snapshot_oid(b"x")


def test_bytes_that_are_not_the_object_are_refused_with_its_name() -> None:
    check_object(HELLO, ObjectKind.BLOB, b"hello", "here")
    with pytest.raises(DamagedContent) as caught:
        check_object(HELLO, ObjectKind.BLOB, b"hellO", "here")

    assert caught.value.facts == {"oid": str(HELLO), "where": "here"}
    with pytest.raises(DamagedContent):
        check_object(HELLO, ObjectKind.TREE, b"hello", "here")


# Damage


def test_a_pack_cut_short_anywhere_has_no_table(tmp_path: Path) -> None:
    for length in range(len(GOLDEN)):
        with written(tmp_path / "pack", GOLDEN[:length]) as pack, pytest.raises(MalformedObject):
            pack.table()


def test_every_whole_record_of_a_pack_cut_short_is_salvaged(tmp_path: Path) -> None:
    first = len(MAGIC) + len(GOLDEN_RECORDS[0])
    second = first + len(GOLDEN_RECORDS[1])
    for length in range(len(GOLDEN) + 1):
        with written(tmp_path / "pack", GOLDEN[:length]) as pack:
            found = list(pack.salvage())
            assert [row.oid for row in found] == [
                oid for oid, end in ((HELLO, first), (EMPTY_TREE, second)) if end <= length
            ]
            for salvaged in found:
                assert_intact(pack, salvaged)


@pytest.mark.parametrize("flip", [0x01, 0x20, 0x80, 0xFF])
def test_no_flipped_byte_makes_wrong_content_pass_unnoticed(tmp_path: Path, flip: int) -> None:
    for position in range(len(GOLDEN)):
        damaged = bytearray(GOLDEN)
        damaged[position] ^= flip
        with written(tmp_path / "pack", bytes(damaged)) as pack:
            try:
                rows = pack.table()
            except (MalformedObject, NewerFormat):
                continue
            assert list(rows) == GOLDEN_ROWS
            for found in rows:
                data = pack.read(found.offset, found.stored)
                try:
                    check_object(found.oid, found.kind, data, "pack")
                except DamagedContent:
                    continue
                assert_intact(pack, found)


@pytest.mark.parametrize("flip", [0x01, 0x20, 0x80, 0xFF])
def test_only_intact_objects_are_salvaged_whichever_byte_is_flipped(
    tmp_path: Path, flip: int
) -> None:
    for position in range(len(GOLDEN)):
        damaged = bytearray(GOLDEN)
        damaged[position] ^= flip
        with written(tmp_path / "pack", bytes(damaged)) as pack:
            for salvaged in pack.salvage():
                assert_intact(pack, salvaged)


def test_a_record_whose_payload_is_damaged_does_not_hide_the_next(tmp_path: Path) -> None:
    with written(tmp_path / "pack", GOLDEN.replace(b"hello", b"hellO")) as pack:
        assert [row.oid for row in pack.salvage()] == [EMPTY_TREE]


def test_an_object_of_an_unknown_encoding_does_not_hide_the_next(tmp_path: Path) -> None:
    newer = RECORD.pack(b"R", 1, 7, 3, 5, HELLO) + b"zip"
    data = MAGIC + newer + GOLDEN_RECORDS[1]

    with written(tmp_path / "pack", data) as pack:
        assert [row.oid for row in pack.salvage()] == [EMPTY_TREE]


@pytest.mark.parametrize("data", [b"", b"zpack1", b"not a pack at all, but long enough" * 3])
def test_what_is_no_pack_has_no_table_and_nothing_to_salvage(tmp_path: Path, data: bytes) -> None:
    with written(tmp_path / "pack", data) as pack:
        with pytest.raises(MalformedObject):
            pack.table()
        assert list(pack.salvage()) == []


@pytest.mark.parametrize(
    "rows", [row(encoding=1), row(encoding=255), row(kind=5), row(kind=0)], ids=bytes.hex
)
def test_an_object_of_a_later_release_says_so(tmp_path: Path, rows: bytes) -> None:
    with written(tmp_path / "pack", with_table(rows)) as pack, pytest.raises(NewerFormat):
        pack.table()


@pytest.mark.parametrize(
    "data",
    [
        with_table(row(), row()),
        with_table(row(), row(oid=EMPTY_TREE, kind=2, offset=115, stored=11, size=11)),
        with_table(row(offset=122)),
        with_table(row(stored=5, size=6)),
        with_table(row(offset=(1 << 64) - 1)),
        with_table(row(stored=(1 << 64) - 1, size=(1 << 64) - 1)),
        with_table(row(), checksum=bytes(32)),
        with_table(row()) + b"\0",
        with_table(row())[:-1] + b"D",
        MAGIC + FOOTER.pack(8, 1 << 63, hash_bytes(b""), b"zpackend"),
        FOOTER.pack(0, 0, hash_bytes(b""), b"zpackend"),
    ],
    ids=[
        "twice",
        "out of order",
        "outside",
        "sizes differ",
        "far outside",
        "too long",
        "checksum",
        "goes on",
        "end mark",
        "count",
        "no beginning",
    ],
)
def test_a_table_that_is_not_canonical_is_refused(tmp_path: Path, data: bytes) -> None:
    with written(tmp_path / "pack", data) as pack, pytest.raises(MalformedObject):
        pack.table()


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_as_a_footer_or_point_inside(data: bytes) -> None:
    try:
        table = decode_footer(data, len(data))
    except MalformedObject:
        return
    assert len(MAGIC) <= table.offset <= table.offset + table.length <= len(data)
