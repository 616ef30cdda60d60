"""Numbers of objects: what a dictionary and a set would say, in less memory."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from zoostore.ops.numbering import Marks, Numbering

# Few different bytes, and those in the middle mostly the same: many ids begin alike.
OIDS = st.builds(
    lambda first, middle, last: first + middle * 28 + last,
    st.binary(min_size=2, max_size=2),
    st.sampled_from([b"\0", b"\x7f", b"\xff"]),
    st.binary(min_size=2, max_size=2),
)


def numbered(oids: set[bytes], groups: int = 3) -> Numbering:
    rising = sorted(oids)
    size = max(1, len(rising) // groups)
    return Numbering(rising[start : start + size] for start in range(0, len(rising), size))


@given(st.sets(OIDS), st.sets(OIDS))
def test_each_object_has_its_place_in_the_order_of_ids(
    oids: set[bytes], others: set[bytes]
) -> None:
    numbering = numbered(oids)
    assert len(numbering) == len(oids)
    for number, oid in enumerate(sorted(oids)):
        assert numbering.find(oid) == number
        assert numbering.oid(number) == oid
    for oid in others - oids:
        assert numbering.find(oid) is None


@given(st.sets(OIDS), st.sets(OIDS))
def test_an_object_is_known_by_how_its_id_begins(oids: set[bytes], others: set[bytes]) -> None:
    rising = sorted({oid[:31] for oid in oids})
    numbering = Numbering([rising], 31)
    for number, key in enumerate(rising):
        assert numbering.find(key + b"x") == number
        assert numbering.oid(number) == key
    for oid in others:
        assert (numbering.find(oid) is not None) == (oid[:31] in rising)


@given(st.sets(OIDS), st.lists(OIDS))
def test_those_that_come_later_get_the_numbers_behind(oids: set[bytes], later: list[bytes]) -> None:
    numbering = numbered(oids)
    numbers = list(numbering.numbers(later))
    assert [numbering.oid(number) for number in numbers] == later
    assert list(numbering.numbers(later)) == numbers
    new = dict.fromkeys(oid for oid in later if oid not in oids)
    assert list(numbering.numbers(new)) == list(range(len(oids), len(oids) + len(new)))
    assert len(numbering) == len(oids)
    assert all(numbering.find(oid) is None for oid in new)


@given(st.sets(OIDS), st.lists(st.lists(OIDS)), st.sets(OIDS))
def test_marks_are_a_set(
    oids: set[bytes], marked: Sequence[list[bytes]], taken: set[bytes]
) -> None:
    numbering = numbered(oids)
    marks = Marks(numbering)
    expected: set[bytes] = set()
    for some in marked:
        new = [numbering.oid(number) for number in marks.mark(some)]
        assert new == list(dict.fromkeys(oid for oid in some if oid not in expected))
        expected |= set(some)
    before = marks.copy()
    taken &= expected
    marks.unmark(numbering.numbers(taken))
    for oid in oids | expected:
        assert (oid in marks) == (oid in expected - taken)
        assert (oid in before) == (oid in expected)
    left = [numbering.oid(number) for number in marks.without()]
    assert left == sorted(oids - (expected - taken))
