"""Aliases: one encoding, strict to read, and no file that poses as one."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoostore.digest import DIGEST_BYTES, Digest, Oid, hash_bytes
from zoostore.errors import MalformedObject, UsageError
from zoostore.objects.aliases import (
    ALGORITHM_CODES,
    Aliases,
    aliases_oid,
    decode_aliases,
    encode_aliases,
)

OIDS = st.binary(min_size=32, max_size=32).map(Oid)
DIGESTS = st.sampled_from(sorted(ALGORITHM_CODES)).flatmap(
    lambda name: st.binary(min_size=DIGEST_BYTES[name], max_size=DIGEST_BYTES[name]).map(
        lambda value: Digest(name, value)
    )
)
ALIASES = st.builds(
    Aliases,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.frozensets(st.tuples(OIDS, DIGESTS), max_size=6),
)
HELLO = b"hello\n"
ONE = Aliases(
    "https://example.org/a",
    frozenset(
        [
            (hash_bytes(HELLO), Digest("sha256", hashlib.sha256(HELLO).digest())),
            (hash_bytes(HELLO), Digest("git-sha1", hashlib.sha1(b"blob 6\0" + HELLO).digest())),
        ]
    ),
)
GOLDEN = bytes.fromhex(
    "7a616c696173310a 0015 68747470733a2f2f6578616d706c652e6f72672f61 00000002"
    "8e4c7c1b99dbfd50e7a95185fead5ee1448fa904a2fdd778eaf5f2dbfd629a99"
    "02 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    "8e4c7c1b99dbfd50e7a95185fead5ee1448fa904a2fdd778eaf5f2dbfd629a99"
    "03 ce013625030ba8dba906f756967f9e9ca394464a"
)


def test_the_encoding_is_the_documented_one() -> None:
    assert encode_aliases(ONE) == GOLDEN
    assert decode_aliases(GOLDEN) == ONE


@given(ALIASES)
def test_what_is_encoded_is_decoded(aliases: Aliases) -> None:
    assert decode_aliases(encode_aliases(aliases)) == aliases


@given(st.binary(max_size=200))
def test_bytes_are_aliases_in_one_way_or_not_at_all(data: bytes) -> None:
    for candidate in (data, GOLDEN[: len(data)] + data, data + GOLDEN):
        try:
            decoded = decode_aliases(candidate)
        except MalformedObject:
            continue
        assert encode_aliases(decoded) == candidate


@pytest.mark.parametrize("at", range(len(GOLDEN)))
def test_no_byte_can_be_cut_off(at: int) -> None:
    with pytest.raises(MalformedObject):
        decode_aliases(GOLDEN[:at])


@pytest.mark.parametrize(
    "data",
    [
        GOLDEN + b"\0",
        GOLDEN.replace(b"zalias1", b"zalias2"),
        GOLDEN[:31] + b"\0\0\0\3" + GOLDEN[35:],
        GOLDEN[:31] + b"\xff\xff\xff\xff" + GOLDEN[35:],
        GOLDEN[:35] + GOLDEN[-53:] + GOLDEN[35:-53],
        GOLDEN[:67] + b"\x01" + GOLDEN[68:],
        GOLDEN[:10] + b"\xff" + GOLDEN[11:],
    ],
    ids=["more", "magic", "count", "huge count", "order", "algorithm", "not text"],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedObject):
        decode_aliases(data)


def test_what_cannot_be_written_is_refused() -> None:
    oid = hash_bytes(HELLO)
    with pytest.raises(UsageError):
        encode_aliases(Aliases("x" * 5000, frozenset()))
    with pytest.raises(UsageError):
        encode_aliases(Aliases("", frozenset([(oid, Digest.of_oid(oid))])))


def test_no_file_poses_as_aliases() -> None:
    assert aliases_oid(GOLDEN) != hash_bytes(GOLDEN)
