"""Choosing: the part of a listing that globs choose, and that it is not nothing."""

import itertools
from collections.abc import Iterator

from zoostore.errors import NothingLeft
from zoostore.files.globs import Selector, everything
from zoostore.objects.listing import Listing
from zoostore.objects.tree import Entry
from zoostore.streamed import Streamed


class Part(Streamed[Entry]):
    """What is chosen of a listing: of each path there is only whether it is.

    Args:
        listing: whose paths come in the same order whenever it is read.
    """

    def __init__(self, listing: Listing, is_chosen: Selector) -> None:
        self._listing = listing
        self._is_chosen = is_chosen
        self._chosen = bytearray(is_chosen(path, entry.kind) for path, entry in listing.items())

    def __len__(self) -> int:
        return self._chosen.count(True)

    def __getitem__(self, path: str) -> Entry:
        entry = self._listing[path]
        if not self._is_chosen(path, entry.kind):
            raise KeyError(path)
        return entry

    def streamed(self) -> Iterator[tuple[str, Entry]]:
        return itertools.compress(self._listing.items(), self._chosen)


def part_of(listing: Listing, is_chosen: Selector) -> Listing:
    """What is chosen of a listing."""
    return listing if is_chosen is everything else Part(listing, is_chosen)


def choose(stub: str, listing: Listing, is_chosen: Selector) -> Listing:
    """What is chosen of a model. Raises `NothingLeft` if that is nothing."""
    chosen = part_of(listing, is_chosen)
    require_any(stub, listing, chosen)
    return chosen


def require_any(stub: str, listing: Listing, chosen: Listing) -> None:
    """Refuse to have chosen nothing, where there is something. Raises `NothingLeft`."""
    if listing and not chosen:
        raise nothing_left(stub, len(listing))


def nothing_left(stub: str, count: int) -> NothingLeft:
    return NothingLeft(
        f"The globs choose none of the {count} paths of {stub}; nothing was done.", stub=stub
    )
