"""Snapshots: one encoding, and nothing else is decoded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from zoostore.digest import Oid, hash_bytes
from zoostore.errors import MalformedObject, UsageError, ZooError
from zoostore.objects.snapshot import (
    MAX_SNAPSHOT_BYTES,
    Snapshot,
    decode_snapshot,
    encode_snapshot,
    snapshot_oid,
)
from zoostore.objects.tree import tree_oid

CONTEXT = "zoostore 2026-11 snapshot v1"
TREE = "dcd0ac74ce3abd10c8d5d4cc7dd4641607aef4dfa936bd294bac8f2f0d9f36cb"
PARENT = "00" * 32

# Written out by hand from the format in zoostore/objects/snapshot.py.
GOLDEN = (
    '{"files":3,'
    '"message":"un modèle \\"neuf\\"\\n",'
    '"metadata":{"a":"1","b":"\\u0001"},'
    f'"parents":["{PARENT}"],'
    '"revision":"r1",'
    '"size":15,'
    '"source":"zoo https://example.org",'
    '"stub":"zoo:m",'
    '"time":1700000000,'
    f'"tree":"{TREE}"}}'
).encode()
GOLDEN_OID = "54a9a13e299ae5d3ac9c83566470d45d7caa745d6e41190bfc4810afb256dde8"
GOLDEN_SNAPSHOT = Snapshot(
    tree=Oid.parse(TREE),
    files=3,
    size=15,
    stub="zoo:m",
    parents=(Oid(bytes(32)),),
    time=1_700_000_000,
    message='un modèle "neuf"\n',
    source="zoo https://example.org",
    revision="r1",
    metadata={"b": "\x01", "a": "1"},
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
OIDS = st.binary(min_size=32, max_size=32).map(Oid)
NUMBERS = st.integers(0, (1 << 53) - 1)
SNAPSHOTS = st.builds(
    Snapshot,
    tree=OIDS,
    files=NUMBERS,
    size=NUMBERS,
    stub=TEXTS,
    parents=st.lists(OIDS, max_size=3).map(tuple),
    time=NUMBERS,
    message=TEXTS,
    source=TEXTS,
    revision=TEXTS,
    metadata=st.dictionaries(TEXTS, TEXTS, max_size=3),
)


def golden_with(**changes: Any) -> bytes:
    """The golden snapshot with other values, encoded the canonical way with nothing checked."""
    value = json.loads(GOLDEN) | changes
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def assert_refused_or_canonical(data: bytes) -> None:
    try:
        snapshot = decode_snapshot(data)
    except ZooError:
        return
    assert encode_snapshot(snapshot) == data


@given(SNAPSHOTS)
def test_a_snapshot_is_decoded_to_what_was_encoded(snapshot: Snapshot) -> None:
    assert decode_snapshot(encode_snapshot(snapshot)) == snapshot


@given(SNAPSHOTS, st.data())
def test_damaged_bytes_are_refused_or_are_another_snapshots_only_encoding(
    snapshot: Snapshot, data: st.DataObject
) -> None:
    encoded = bytearray(encode_snapshot(snapshot))
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(encoded) - 1))
        encoded[position] = data.draw(st.integers(0, 255))

    assert_refused_or_canonical(bytes(encoded))


def test_every_flipped_bit_is_refused_or_makes_another_snapshots_only_encoding() -> None:
    for position in range(len(GOLDEN)):
        for bit in range(8):
            damaged = bytearray(GOLDEN)
            damaged[position] ^= 1 << bit
            assert_refused_or_canonical(bytes(damaged))


def test_a_snapshot_cut_short_anywhere_is_refused() -> None:
    for length in range(len(GOLDEN)):
        with pytest.raises(MalformedObject):
            decode_snapshot(GOLDEN[:length])


@given(SNAPSHOTS, st.binary(min_size=1, max_size=20))
def test_a_snapshot_that_goes_on_is_refused(snapshot: Snapshot, more: bytes) -> None:
    with pytest.raises(MalformedObject):
        decode_snapshot(encode_snapshot(snapshot) + more)


@given(st.one_of(st.binary(max_size=60), st.text(max_size=30).map(repr).map(str.encode)))
def test_any_bytes_are_refused_or_are_a_snapshots_only_encoding(data: bytes) -> None:
    assert_refused_or_canonical(data)


def test_the_golden_snapshot_is_encoded_as_the_format_says() -> None:
    assert encode_snapshot(GOLDEN_SNAPSHOT) == GOLDEN
    assert decode_snapshot(GOLDEN) == GOLDEN_SNAPSHOT


def test_the_golden_snapshot_has_the_oid_that_blake3_derives() -> None:
    assert blake3(GOLDEN, derive_key_context=CONTEXT).hexdigest() == GOLDEN_OID
    assert str(snapshot_oid(GOLDEN)) == GOLDEN_OID


def test_a_file_or_a_tree_with_the_bytes_of_a_snapshot_has_another_oid() -> None:
    assert len({snapshot_oid(GOLDEN), hash_bytes(GOLDEN), tree_oid(GOLDEN)}) == 3


def test_metadata_is_sorted_by_code_point() -> None:
    snapshot = GOLDEN_SNAPSHOT._replace(metadata={"\U00010000": "", "\uffff": "", "a": ""})

    assert '"metadata":{"a":"","\uffff":"","\U00010000":""}'.encode() in encode_snapshot(snapshot)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b" " + GOLDEN,
        GOLDEN + b"\n",
        b"\xef\xbb\xbf" + GOLDEN,
        GOLDEN.replace(b'"files":3', b'"files": 3'),
        GOLDEN.replace("è".encode(), b"\\u00e8"),
        GOLDEN.replace(b"https://", b"https:\\/\\/"),
        GOLDEN.replace(b"\\n", b"\\u000a"),
        GOLDEN.replace(b"\\u0001", b"\x01"),
        GOLDEN.replace(b'"files":3', b'"files":2,"files":3'),
        GOLDEN.replace(b'{"files":3,', b"{").replace(b'"tree"', b'"files":3,"tree"'),
        GOLDEN.replace(b'"a":"1","b":"\\u0001"', b'"b":"\\u0001","a":"1"'),
        GOLDEN.replace(b'"size":15', b'"size":15.0'),
        GOLDEN.replace(b'"size":15', b'"size":1.5e1'),
        GOLDEN.replace(b'"size":15', b'"size":-0'),
        GOLDEN.replace(b'"size":15', b'"size":NaN'),
        GOLDEN.replace(b'"size":15', b'"size":' + b"9" * 5000),
        GOLDEN.replace(TREE.encode(), TREE.upper().encode()),
        GOLDEN.replace(b'"neuf', b'"\\ud800neuf').replace(b'\\"\\ud800', b"\\ud800"),
        GOLDEN.decode().encode("utf-16"),
        GOLDEN.decode().encode("latin-1"),
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_what_is_not_canonical_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedObject):
        decode_snapshot(data)


@pytest.mark.parametrize(
    "changes",
    [
        {"files": -1},
        {"files": True},
        {"files": "3"},
        {"files": None},
        {"size": 1 << 53},
        {"time": -1},
        {"time": 1.5},
        {"message": None},
        {"message": 1},
        {"stub": ["zoo:m"]},
        {"metadata": None},
        {"metadata": []},
        {"metadata": {"a": 1}},
        {"metadata": {"a": None}},
        {"metadata": {"a": {"b": "c"}}},
        {"parents": None},
        {"parents": PARENT},
        {"parents": {PARENT: ""}},
        {"parents": [None]},
        {"parents": [list(PARENT)]},
        {"parents": [PARENT[:-1]]},
        {"tree": None},
        {"tree": ""},
        {"tree": TREE[:-2]},
        {"tree": list(TREE)},
        {"more": ""},
    ],
)
def test_a_value_of_another_type_or_range_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedObject):
        decode_snapshot(golden_with(**changes))


def test_a_snapshot_without_one_of_its_keys_is_refused() -> None:
    for key in json.loads(GOLDEN):
        value = {name: item for name, item in json.loads(GOLDEN).items() if name != key}
        with pytest.raises(MalformedObject):
            decode_snapshot(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())


@pytest.mark.parametrize(
    "snapshot",
    [
        GOLDEN_SNAPSHOT._replace(time=-1),
        GOLDEN_SNAPSHOT._replace(time=1 << 53),
        GOLDEN_SNAPSHOT._replace(size=-1),
        GOLDEN_SNAPSHOT._replace(files=1 << 53),
    ],
)
def test_a_snapshot_that_could_not_be_decoded_is_not_encoded(snapshot: Snapshot) -> None:
    with pytest.raises(UsageError):
        encode_snapshot(snapshot)


@pytest.mark.parametrize(
    "snapshot",
    [
        GOLDEN_SNAPSHOT._replace(message="\ud800"),
        GOLDEN_SNAPSHOT._replace(metadata={"a": "\udcff"}),
        GOLDEN_SNAPSHOT._replace(metadata={"\udcff": "a"}),
        GOLDEN_SNAPSHOT._replace(message="a" * MAX_SNAPSHOT_BYTES),
    ],
)
def test_what_cannot_be_text_or_is_too_long_is_not_encoded(snapshot: Snapshot) -> None:
    with pytest.raises(UsageError):
        encode_snapshot(snapshot)


def test_a_snapshot_may_be_so_large_and_no_larger() -> None:
    room = MAX_SNAPSHOT_BYTES - len(encode_snapshot(GOLDEN_SNAPSHOT._replace(message="")))
    largest = encode_snapshot(GOLDEN_SNAPSHOT._replace(message="a" * room))

    assert decode_snapshot(largest).message == "a" * room
    with pytest.raises(MalformedObject):
        decode_snapshot(largest.replace(b"aaa", b"aaaa", 1))
