"""Content ids: BLAKE3 as everyone computes it, however the bytes arrive."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoostore.digest import (
    CHUNK,
    OID_BYTES,
    OID_HEX,
    Hasher,
    HashingWriter,
    Oid,
    hash_bytes,
    hash_descriptor,
    hash_encoded,
)
from zoostore.errors import UsageError

EMPTY = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
"""BLAKE3 of nothing: BLAKE3-team/BLAKE3, test_vectors.json, input_len 0."""

SIZES = [0, 1, 63, 64, 65, 1023, 1024, 1025, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 17]
B3SUM = shutil.which("b3sum")


def pattern(size: int) -> bytes:
    """The input of the official test vectors: 0, 1, …, 250, 0, 1, …"""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def hash_file(path: Path) -> tuple[Oid, int]:
    with open(path, "rb") as file:
        return hash_descriptor(file.fileno())


def test_nothing_has_the_published_hash() -> None:
    assert str(hash_bytes(b"")) == EMPTY
    assert str(Hasher().oid()) == EMPTY


def test_an_encoded_value_has_another_hash_in_every_context() -> None:
    oids = {hash_bytes(b"x"), hash_encoded("a", b"x"), hash_encoded("b", b"x")}

    assert len(oids) == 3


@pytest.mark.skipif(B3SUM is None, reason="b3sum is not on PATH")
@pytest.mark.parametrize("size", SIZES)
def test_an_oid_is_what_b3sum_prints(tmp_path: Path, size: int) -> None:
    path = written(tmp_path / "file", pattern(size))

    shown = subprocess.run(
        [str(B3SUM), "--no-names", path], capture_output=True, text=True, check=True
    )

    assert str(hash_bytes(pattern(size))) == shown.stdout.strip()


@pytest.mark.parametrize("size", SIZES)
def test_a_file_has_the_oid_of_its_bytes(tmp_path: Path, size: int) -> None:
    path = written(tmp_path / "file", pattern(size))

    assert hash_file(path) == (hash_bytes(pattern(size)), size)


@pytest.mark.parametrize("extra", [-1, 0, 1])
@pytest.mark.parametrize("threads", [0, 1, 2])
def test_a_file_of_many_pieces_has_the_oid_of_its_bytes(
    tmp_path: Path, extra: int, threads: int
) -> None:
    data = pattern(12 * CHUNK + extra)
    told: list[int] = []

    with open(written(tmp_path / "file", data), "rb") as file:
        found = hash_descriptor(file.fileno(), threads=threads, advance=told.append)

    assert found == (hash_bytes(data), len(data))
    assert sum(told) == len(data)


def test_who_is_told_of_pieces_can_have_the_reading_end(tmp_path: Path) -> None:
    def stop(count: int) -> None:
        raise InterruptedError(count)

    before = threading.active_count()
    with open(written(tmp_path / "file", pattern(20 * CHUNK)), "rb") as file:
        with pytest.raises(InterruptedError):
            hash_descriptor(file.fileno(), advance=stop)
        assert threading.active_count() == before


def test_a_files_position_is_neither_used_nor_moved(tmp_path: Path) -> None:
    path = written(tmp_path / "file", pattern(1000))

    with open(path, "rb", buffering=0) as file:
        file.seek(123)
        oid, size = hash_descriptor(file.fileno())
        position = os.lseek(file.fileno(), 0, os.SEEK_CUR)

    assert (oid, size) == (hash_bytes(pattern(1000)), 1000)
    assert position == 123


def test_all_of_a_file_is_hashed_that_holds_more_than_its_size_says() -> None:
    path = Path("/proc/self/status")
    if not path.exists():
        pytest.skip("no /proc here: no file that holds more than its size says")
    assert path.stat().st_size == 0

    assert hash_file(path)[1] > 0


@pytest.mark.parametrize("parallel", [False, True])
@given(pieces=st.lists(st.binary(max_size=100), max_size=10))
def test_pieces_have_the_hash_of_the_whole(parallel: bool, pieces: list[bytes]) -> None:
    hasher = Hasher(parallel=parallel)
    for piece in pieces:
        hasher.update(piece)

    assert hasher.oid() == hash_bytes(b"".join(pieces))
    assert hasher.size == sum(map(len, pieces))


def test_threads_do_not_change_the_hash() -> None:
    data = pattern(4 * CHUNK)
    hasher = Hasher(parallel=True)
    hasher.update(memoryview(data))

    assert hasher.oid() == hash_bytes(data)


@pytest.mark.parametrize("expect_size", [None, 0, CHUNK, 10 * CHUNK])
@given(pieces=st.lists(st.binary(max_size=100), max_size=10))
def test_a_hashing_writer_passes_on_what_it_hashes(
    expect_size: int | None, pieces: list[bytes]
) -> None:
    sink = io.BytesIO()
    out = HashingWriter(sink, expect_size=expect_size)
    for piece in pieces:
        out.write(memoryview(piece))

    assert sink.getvalue() == b"".join(pieces)
    assert (out.oid(), out.size) == (hash_bytes(sink.getvalue()), len(sink.getvalue()))


def test_an_oid_can_be_asked_for_while_bytes_still_arrive() -> None:
    out = HashingWriter(io.BytesIO())
    out.write(b"a")
    first = out.oid()
    out.write(b"b")

    assert (first, out.oid()) == (hash_bytes(b"a"), hash_bytes(b"ab"))


@given(st.binary(min_size=OID_BYTES, max_size=OID_BYTES))
def test_an_oid_prints_as_the_digits_it_is_parsed_from(value: bytes) -> None:
    oid = Oid(value)

    assert Oid.parse(str(oid)) == oid == value
    assert len(str(oid)) == OID_HEX
    assert str(oid).startswith(oid.short)
    assert f"{oid}" == str(oid)


@given(st.binary(max_size=80).filter(lambda value: len(value) != OID_BYTES))
def test_an_oid_of_another_length_is_refused(value: bytes) -> None:
    with pytest.raises(UsageError):
        Oid(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        EMPTY[:-1],
        EMPTY + "0",
        EMPTY.upper(),
        "g" + EMPTY[1:],
        " " + EMPTY[1:],
        EMPTY[:-1] + "\n",
        "0x" + EMPTY[2:],
        EMPTY[:-1] + "\N{FULLWIDTH DIGIT ONE}",
        EMPTY[:-1] + "\N{ARABIC-INDIC DIGIT ONE}",
    ],
)
def test_a_text_that_is_not_64_lower_case_hex_digits_is_no_oid(text: str) -> None:
    with pytest.raises(UsageError):
        Oid.parse(text)


def test_an_oid_is_ordered_hashed_and_pickled_as_its_bytes() -> None:
    low, high = Oid(bytes(32)), Oid(b"\xff" * 32)

    assert low < high
    assert {low: 1}[Oid(bytes(32))] == 1
    restored = pickle.loads(pickle.dumps(high))
    assert (restored, type(restored)) == (high, Oid)
