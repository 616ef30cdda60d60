"""The reflog: every line that was reported as done is read back, whatever crashed after it."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoostore.digest import Oid, hash_bytes
from zoostore.store.records import Position, RefChange
from zoostore.store.reflog import Reflog, decode_change, encode_change

Write: TypeAlias = Callable[[int, memoryview], int]

STUB = "zoo:m"
FIRST = RefChange(STUB, hash_bytes(b"1"), None, "add", 1, files=3, size=15, message="é \n")
SECOND = RefChange(STUB, hash_bytes(b"2"), hash_bytes(b"1"), "commit", 2, partial=True)
THIRD = RefChange(STUB, hash_bytes(b"2"), None, "tag", 3, tag="v1")
LAST = RefChange(STUB, None, hash_bytes(b"2"), "rm", 4)

OIDS = st.one_of(st.none(), st.binary(min_size=32, max_size=32).map(Oid))
NUMBERS = st.integers(0, (1 << 63) - 1)
CHANGES = st.builds(
    RefChange,
    stub=st.text(max_size=10),
    new=OIDS,
    old=OIDS,
    op=st.text(max_size=5),
    time=NUMBERS,
    files=NUMBERS,
    size=NUMBERS,
    tag=st.text(max_size=5),
    message=st.text(st.characters(), max_size=20),
    partial=st.booleans(),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reflog"


@pytest.fixture
def reflog(path: Path) -> Reflog:
    return Reflog(path)


def changes(reflog: Reflog, start: int = 0) -> list[RefChange]:
    """What can be read."""
    return [line.change for line in reflog.read(start) if line.change is not None]


# Lines


@given(CHANGES)
def test_a_change_is_decoded_to_what_was_encoded(change: RefChange) -> None:
    line = encode_change(change)

    assert decode_change(line[:-1]) == change
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (b'"files":3', b'"files":-3'),
        (b'"files":3', b'"files":"3"'),
        (b'"size":15', b'"size":15.0'),
        (b'"size":15', b'"size":%d' % 10**30),
        (b'"partial":false', b'"partial":0'),
        (b'"stub":"zoo:m"', b'"stub":null'),
        (b'"old":null', b'"old":""'),
        (b'"files":3,', b'"files": 3,'),
        (b'"old":null,', b'"old":null,"older":null,'),
    ],
)
def test_a_line_that_no_release_writes_is_damaged_though_its_check_is_right(
    was: bytes, now: bytes
) -> None:
    line = encode_change(FIRST)[:-1]
    rest = line[28:].replace(was, now)
    assert rest != line[28:]
    check = hash_bytes(b"{" + rest).hex()[:16].encode()

    assert decode_change(b'{"check":"' + check + b'",' + rest) is None


def test_a_line_is_sorted_json_with_its_own_check() -> None:
    value = json.loads(encode_change(FIRST))
    check = value.pop("check")
    unchecked = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

    assert check == hash_bytes(unchecked).hex()[:16]
    assert sorted(value) == [
        *("files", "message", "new", "old", "op", "partial", "size", "stub", "tag", "time")
    ]
    assert (value["new"], value["old"]) == (str(FIRST.new), None)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"check":1}',
        b"\xff\xfe",
        b"[" * 100_000,
        encode_change(FIRST)[:-2],
        encode_change(FIRST)[:-1] + b" torn",
        encode_change(FIRST).replace(b'"size":15', b'"size":16'),
        encode_change(FIRST).replace(b"zoo:m", b"zoo:n"),
    ],
)
def test_a_damaged_line_is_no_change(line: bytes) -> None:
    assert decode_change(line) is None


def test_a_line_with_a_true_check_that_is_no_change_is_passed_over() -> None:
    value: dict[str, object] = {"op": "add"}
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    value["check"] = hash_bytes(canonical).hex()[:16]

    assert decode_change(json.dumps(value).encode()) is None


# The file


def test_nothing_is_read_where_there_is_no_reflog_yet(reflog: Reflog) -> None:
    assert reflog.size() == 0
    assert changes(reflog) == []
    assert reflog.continues(Position.start())
    assert not reflog.continues(Position(1, b"x"))


def test_changes_are_read_in_the_order_they_were_appended(reflog: Reflog, path: Path) -> None:
    positions = [reflog.append(change) for change in (FIRST, SECOND, THIRD, LAST)]

    lines = list(reflog.read())
    assert [line.change for line in lines] == [FIRST, SECOND, THIRD, LAST]
    assert [Position(line.end, line.digest) for line in lines] == positions
    assert not any(line.torn for line in lines)
    assert positions[-1].length == reflog.size() == path.stat().st_size


def test_reading_goes_on_where_it_ended(reflog: Reflog) -> None:
    position = reflog.append(FIRST)
    reflog.append(SECOND)

    assert changes(reflog, position.length) == [SECOND]


def test_a_line_that_the_system_takes_in_pieces_is_whole(
    reflog: Reflog, monkeypatch: pytest.MonkeyPatch
) -> None:
    write: Write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    reflog.append(FIRST)

    assert changes(reflog) == [FIRST]


def test_a_last_line_without_its_newline_is_not_yet_a_line(reflog: Reflog, path: Path) -> None:
    reflog.append(FIRST)
    length = reflog.size()
    reflog.append(SECOND)
    whole = path.read_bytes()

    for size in range(length, len(whole)):
        path.write_bytes(whole[:size])
        assert changes(reflog) == [FIRST]


def test_a_torn_line_is_marked_and_swallows_nothing(reflog: Reflog, path: Path) -> None:
    reflog.append(FIRST)
    length = reflog.size()
    reflog.append(SECOND)
    whole = path.read_bytes()

    for size in range(length + 1, len(whole)):
        path.write_bytes(whole[:size])
        position = reflog.append(THIRD)
        lines = list(reflog.read())
        assert [(line.change, line.torn) for line in lines] == [
            (FIRST, False),
            (None, True),
            (THIRD, False),
        ]
        assert position == (lines[-1].end, lines[-1].digest) == (reflog.size(), position.last_line)
        assert reflog.continues(position)


def test_the_first_line_torn_anywhere_swallows_nothing(reflog: Reflog, path: Path) -> None:
    whole = encode_change(FIRST)

    for size in range(1, len(whole)):
        path.write_bytes(whole[:size])
        reflog.append(SECOND)
        assert changes(reflog) == [SECOND]


def test_a_line_that_was_cut_off_twice_swallows_nothing(reflog: Reflog, path: Path) -> None:
    reflog.append(FIRST)
    for torn in (b'{"che', b" tor"):
        with open(path, "ab") as file:
            file.write(torn)
    reflog.append(SECOND)

    assert changes(reflog) == [FIRST, SECOND]


def test_a_disk_that_fills_up_within_a_line_loses_no_other(
    reflog: Reflog, monkeypatch: pytest.MonkeyPatch
) -> None:
    reflog.append(FIRST)
    write: Write = os.write

    def write_a_little(descriptor: int, data: memoryview) -> int:
        if len(data) < 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:20])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write_a_little)
        with pytest.raises(OSError, match="No space"):
            reflog.append(SECOND)
    reflog.append(THIRD)

    assert changes(reflog) == [FIRST, THIRD]


@pytest.mark.parametrize("flip", [0x01, 0x20, 0x80, 0xFF])
def test_a_damaged_line_is_passed_over_and_hides_no_other(
    reflog: Reflog, path: Path, flip: int
) -> None:
    reflog.append(FIRST)
    start = reflog.size()
    reflog.append(SECOND)
    end = reflog.size()
    reflog.append(THIRD)
    whole = path.read_bytes()

    for position in range(start, end - 1):
        damaged = bytearray(whole)
        damaged[position] ^= flip
        path.write_bytes(damaged)
        # A letter's case does not count in an escape: such a line still says the same.
        assert changes(reflog) in ([FIRST, THIRD], [FIRST, SECOND, THIRD])
        lines = list(reflog.read())
        assert not any(line.torn for line in lines)
        assert lines[-1].end == len(whole)


def test_a_lost_newline_hides_the_two_lines_it_stood_between_and_no_other(
    reflog: Reflog, path: Path
) -> None:
    for change in (FIRST, SECOND, THIRD, LAST):
        reflog.append(change)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(lines[0] + b"\n" + lines[1] + b"x" + lines[2] + b"\n" + lines[3] + b"\n")

    assert changes(reflog) == [FIRST, LAST]


# Positions


def test_a_reflog_that_grew_continues_what_was_read(reflog: Reflog) -> None:
    positions = [reflog.append(change) for change in (FIRST, SECOND, THIRD)]

    assert all(reflog.continues(position) for position in positions)


def test_a_reflog_that_was_replaced_does_not_continue(reflog: Reflog, path: Path) -> None:
    position = reflog.append(FIRST)
    path.unlink()
    same_length = FIRST._replace(new=hash_bytes(b"other"))
    assert len(encode_change(same_length)) == position.length
    reflog.append(same_length)

    assert not reflog.continues(position)


def test_a_reflog_that_was_cut_off_does_not_continue(reflog: Reflog, path: Path) -> None:
    reflog.append(FIRST)
    position = reflog.append(SECOND)
    for size in (0, 1, position.length // 2, position.length - 1):
        os.truncate(path, size)
        assert not reflog.continues(position)
        path.write_bytes(encode_change(FIRST) + encode_change(SECOND))


@pytest.mark.parametrize("size", [10, 4000, 4096, 5000, 20_000, 300_000])
def test_a_position_is_found_behind_a_line_of_any_length(reflog: Reflog, size: int) -> None:
    reflog.append(FIRST)
    position = reflog.append(SECOND._replace(message="x" * size))
    reflog.append(THIRD)

    assert reflog.continues(position)
    assert not reflog.continues(position._replace(last_line=hash_bytes(b"")))
    assert not reflog.continues(position._replace(length=position.length - 1))


def test_a_line_that_could_not_be_flushed_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reflog = Reflog(tmp_path / "reflog")
    reflog.append(FIRST)

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "the disk is broken")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="broken"):
            reflog.append(SECOND)

    assert [line.change for line in reflog.read()] == [FIRST]
