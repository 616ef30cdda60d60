"""Trees: one encoding, and nothing else is decoded."""

from __future__ import annotations

import random
import struct

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from zoostore.digest import Oid, hash_bytes
from zoostore.errors import MalformedObject, UnsafePath, ZooError
from zoostore.objects.listing import EMPTY_TREE, EMPTY_TREE_BYTES
from zoostore.objects.paths import MAX_NAME_BYTES, folded
from zoostore.objects.tree import (
    Entry,
    Kind,
    decode_tree,
    encode_tree,
    link_entry,
    tree_oid,
)

CONTEXT = "zoostore 2026-11 tree v1"
HELLO = Oid.parse("ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f")
NOTHING = Oid.parse("af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262")
NO_ENTRIES = Oid.parse("4759141fcc219e699b247d8997a6c6b19569fd4c19a5b09369cae594de8252ce")

# Written out by hand from the format in zoostore/objects/tree.py.
GOLDEN = (
    b"ztree1\n"
    b"\x00\x00\x00\x04"
    b"\x04\x00\x06latest\x00\x0amodel.onnx"
    b"\x01\x00\x0amodel.onnx\x00\x00\x00\x00\x00\x00\x00\x05" + HELLO + b"\x03\x00\x06recipe"
    b"" + NO_ENTRIES + b"\x02\x00\x06run.sh\x00\x00\x00\x00\x00\x00\x00\x00" + NOTHING
)
GOLDEN_OID = "dcd0ac74ce3abd10c8d5d4cc7dd4641607aef4dfa936bd294bac8f2f0d9f36cb"
GOLDEN_ENTRIES = {
    "run.sh": Entry(Kind.EXECUTABLE, 0, NOTHING),
    "recipe": Entry(Kind.DIRECTORY, 0, NO_ENTRIES),
    "model.onnx": Entry(Kind.FILE, 5, HELLO),
    "latest": link_entry("model.onnx"),
}

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), max_size=12)
NAMES = TEXTS.filter(lambda name: name not in ("", ".", "..") and folded(name) != ".zoostore")
OIDS = st.binary(min_size=32, max_size=32).map(Oid)
ENTRIES = st.one_of(
    st.builds(
        Entry,
        st.sampled_from([Kind.FILE, Kind.EXECUTABLE]),
        st.integers(0, (1 << 63) - 1),
        OIDS,
        st.just(""),
    ),
    OIDS.map(lambda oid: Entry(Kind.DIRECTORY, 0, oid)),
    TEXTS.map(link_entry),
)
TREES = st.lists(st.tuples(NAMES, ENTRIES), max_size=5, unique_by=lambda item: folded(item[0])).map(
    dict
)


def file_named(raw: bytes) -> bytes:
    """The encoding of an empty file's entry."""
    return struct.pack(">BH", 1, len(raw)) + raw + bytes(8) + NOTHING


def tree_of(*entries: bytes) -> bytes:
    """A tree's bytes, with nothing checked."""
    return b"ztree1\n" + struct.pack(">I", len(entries)) + b"".join(entries)


def assert_refused_or_canonical(data: bytes) -> None:
    try:
        entries = decode_tree(data)
    except ZooError:
        return
    assert encode_tree(entries) == data


@given(TREES)
def test_a_tree_is_decoded_to_what_was_encoded(entries: dict[str, Entry]) -> None:
    decoded = decode_tree(encode_tree(entries))

    assert decoded == entries
    assert list(decoded) == sorted(entries, key=str.encode)


@given(TREES, st.randoms())
def test_the_order_of_a_mapping_does_not_change_its_encoding(
    entries: dict[str, Entry], chance: random.Random
) -> None:
    items = list(entries.items())
    chance.shuffle(items)

    assert encode_tree(dict(items)) == encode_tree(entries)


@given(TREES, st.data())
def test_damaged_bytes_are_refused_or_are_another_trees_only_encoding(
    entries: dict[str, Entry], data: st.DataObject
) -> None:
    encoded = bytearray(encode_tree(entries))
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(encoded) - 1))
        encoded[position] = data.draw(st.integers(0, 255))

    assert_refused_or_canonical(bytes(encoded))


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_are_a_trees_only_encoding(data: bytes) -> None:
    assert_refused_or_canonical(data)
    assert_refused_or_canonical(GOLDEN[:11] + data)


def test_every_flipped_bit_is_refused_or_makes_another_trees_only_encoding() -> None:
    for position in range(len(GOLDEN)):
        for bit in range(8):
            damaged = bytearray(GOLDEN)
            damaged[position] ^= 1 << bit
            assert_refused_or_canonical(bytes(damaged))


@given(TREES, st.data())
def test_a_tree_cut_short_is_refused(entries: dict[str, Entry], data: st.DataObject) -> None:
    encoded = encode_tree(entries)

    with pytest.raises(MalformedObject):
        decode_tree(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


@given(TREES, st.binary(min_size=1, max_size=50))
def test_a_tree_that_goes_on_is_refused(entries: dict[str, Entry], more: bytes) -> None:
    with pytest.raises(MalformedObject):
        decode_tree(encode_tree(entries) + more)


def test_the_golden_tree_is_encoded_as_the_format_says() -> None:
    assert encode_tree(GOLDEN_ENTRIES) == GOLDEN
    assert decode_tree(GOLDEN) == GOLDEN_ENTRIES


def test_the_golden_tree_has_the_oid_that_blake3_derives() -> None:
    assert blake3(GOLDEN, derive_key_context=CONTEXT).hexdigest() == GOLDEN_OID
    assert str(tree_oid(GOLDEN)) == GOLDEN_OID


def test_the_empty_tree_is_its_header() -> None:
    assert EMPTY_TREE_BYTES == b"ztree1\n\0\0\0\0"
    assert EMPTY_TREE == NO_ENTRIES


@given(TREES)
def test_a_file_with_the_bytes_of_a_tree_has_another_oid(entries: dict[str, Entry]) -> None:
    data = encode_tree(entries)

    assert tree_oid(data) != hash_bytes(data)


def test_names_stand_in_the_order_of_their_bytes_and_not_of_their_code_units() -> None:
    names = ["Z", "a", "é", "\N{FULLWIDTH LATIN SMALL LETTER A}", "\N{GRINNING FACE}"]
    entry = Entry(Kind.FILE, 0, NOTHING)

    assert list(decode_tree(encode_tree(dict.fromkeys(reversed(names), entry)))) == names


@pytest.mark.parametrize(
    "name",
    [
        "модель.onnx",
        "モデル",
        "نموذج",
        "मॉडल",
        "e\N{COMBINING ACUTE ACCENT}",
        "é",
        "new\nline",
        "\x01",
        "\N{GRINNING FACE}" * 255,
        "a" * MAX_NAME_BYTES,
    ],
)
def test_a_name_comes_back_as_it_was(name: str) -> None:
    entries = {name: Entry(Kind.FILE, 0, NOTHING)}

    assert decode_tree(encode_tree(entries)) == entries


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b".",
        b"..",
        b"a/b",
        b"/",
        b"\0",
        b"a\0",
        b".zoostore",
        b".ZOOstore",
        b"a" * (MAX_NAME_BYTES + 1),
        b"\xff",
        b"\xc0\xaf",  # an overlong slash
        b"\xed\xa0\x80",  # half a surrogate pair
    ],
)
def test_an_unsafe_name_is_not_decoded(raw: bytes) -> None:
    with pytest.raises(MalformedObject):
        decode_tree(tree_of(file_named(raw)))


@pytest.mark.parametrize(
    "names", [(b"A", b"a"), ("e\u0301".encode(), "é".encode()), (b"SS", "ß".encode())]
)
def test_names_that_hide_each_other_are_neither_encoded_nor_decoded(
    names: tuple[bytes, bytes],
) -> None:
    with pytest.raises(UnsafePath):
        decode_tree(tree_of(*map(file_named, names)))
    with pytest.raises(UnsafePath):
        encode_tree(dict.fromkeys((raw.decode() for raw in names), GOLDEN_ENTRIES["run.sh"]))


@pytest.mark.parametrize("names", [(b"b", b"a"), (b"a", b"a"), (b"a", b"b", b"ab")])
def test_names_out_of_order_or_twice_are_refused(names: tuple[bytes, ...]) -> None:
    with pytest.raises(MalformedObject):
        decode_tree(tree_of(*map(file_named, names)))


@pytest.mark.parametrize("kind", [0, 5, 255])
def test_an_unknown_kind_is_refused(kind: int) -> None:
    with pytest.raises(MalformedObject):
        decode_tree(tree_of(bytes([kind]) + file_named(b"a")[1:]))


def test_a_size_that_no_file_can_have_is_refused() -> None:
    entry = b"\1\0\1a" + b"\x80" + bytes(7) + NOTHING

    with pytest.raises(MalformedObject):
        decode_tree(tree_of(entry))


def test_a_link_that_is_not_text_is_refused() -> None:
    with pytest.raises(MalformedObject):
        decode_tree(tree_of(b"\4\0\1a\0\2\xff\xfe"))


def test_a_count_of_entries_that_are_not_there_costs_nothing() -> None:
    with pytest.raises(MalformedObject):
        decode_tree(b"ztree1\n\xff\xff\xff\xff" + file_named(b"a"))


def test_a_tree_of_a_later_version_is_refused() -> None:
    with pytest.raises(MalformedObject):
        decode_tree(GOLDEN.replace(b"ztree1", b"ztree2"))


def test_a_links_entry_says_what_its_target_says() -> None:
    entry = link_entry("é")

    assert entry == Entry(Kind.LINK, 2, hash_bytes("é".encode()), "é")


def test_modes_are_those_of_git() -> None:
    assert [kind.mode for kind in Kind] == ["100644", "100755", "040000", "120000"]
    assert [kind.is_file for kind in Kind] == [True, True, False, False]
