"""Working through many things: in groups, or so that they need not all be held to the end."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def grouped(
    items: Iterable[T], size: Callable[[T], int], *, most: int, most_size: int
) -> Iterator[list[T]]:
    """Items in their order, in groups.

    Args:
        size: of an item, in bytes or whatever else there is much of.
        most: how many a group has at most.
        most_size: a group ends with the item by which it comes to as much.
    """
    group: list[T] = []
    total = 0
    for item in items:
        group.append(item)
        total += size(item)
        if len(group) >= most or total >= most_size:
            yield group
            group, total = [], 0
    if group:
        yield group


def batched(items: Iterable[T], most: int) -> Iterator[list[T]]:
    """Items in their order, so many at a time."""
    waiting = iter(items)
    while some := list(itertools.islice(waiting, most)):
        yield some


def drained(items: list[T]) -> Iterator[T]:
    """Items in their order, each of which leaves the list as it is handed out."""
    items.reverse()
    while items:
        yield items.pop()


def taken_from(queue: deque[T]) -> Iterator[T]:
    """The same of a queue, to which more may be added meanwhile."""
    while queue:
        yield queue.popleft()
