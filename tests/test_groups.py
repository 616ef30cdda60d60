"""Working through many things: groups of a bounded size, and lists that empty on the way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zoostore.groups import drained, grouped

SIZES = st.lists(st.integers(0, 20))


@given(SIZES, st.integers(1, 5), st.integers(1, 30))
def test_a_group_ends_as_soon_as_it_is_full(sizes: list[int], most: int, most_bytes: int) -> None:
    groups = list(grouped(sizes, lambda size: size, most=most, most_size=most_bytes))
    assert [size for group in groups for size in group] == sizes
    for group in groups:
        assert len(group) <= most
        assert sum(group[:-1]) < most_bytes
    for group in groups[:-1]:
        assert len(group) == most or sum(group) >= most_bytes


@given(SIZES)
def test_what_was_handed_out_has_left_the_list(sizes: list[int]) -> None:
    left = sizes.copy()
    for number, size in enumerate(drained(left)):
        assert size == sizes[number]
        assert len(left) == len(sizes) - number - 1
