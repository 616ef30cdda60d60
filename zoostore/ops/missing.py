"""Missing blobs: what is to be brought here. One of very many takes 17 bytes, and not 230.

An object is known by half of its id, as in `ops.oid_set`; the other half, and what to call it, are
read from the listing that needs it.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator

from zoostore import reread
from zoostore.digest import Oid
from zoostore.errors import MalformedObject
from zoostore.objects.listing import Listing
from zoostore.ops.oid_map import OidMap


class Missing(Collection[Oid]):
    """The blobs of a listing that are not here, or not intact, and have not come yet.

    Args:
        listing: the paths that need them.
        found: their sizes in bytes; one that several paths need may come several times.

    Attributes:
        listing: the same.
        count, size: what there was at the beginning, each content once; `size` in bytes.

    Raises:
        MalformedObject: the listing says two sizes of one.
    """

    def __init__(self, listing: Listing, found: Iterable[tuple[Oid, int]]) -> None:
        self.listing = listing
        self._map = OidMap(found)
        if not self._map.is_certain:
            raise MalformedObject("A snapshot says that a content has two different sizes.")
        self._sizes = self._map.numbers
        self._has_come = bytearray(len(self._sizes))
        self.count = self._left = len(self._sizes)
        self.size = sum(self._sizes)
        self._held: dict[Oid, str] | None = None

    def __len__(self) -> int:
        """How many are left."""
        return self._left

    def __contains__(self, oid: object) -> bool:
        return isinstance(oid, bytes) and self._number(oid) is not None

    def __iter__(self) -> Iterator[Oid]:
        return (oid for _, oid, _ in self.items())

    def items(self) -> Iterator[tuple[str, Oid, int]]:
        """What is left: a path of each, its id, and its size. What comes meanwhile is left out."""
        if not self._left:
            return
        if self._held is None and self._left <= reread.FEW:
            self._held = {oid: path for path, oid, _ in self._read(self._has_come)}
        if self._held is None:
            yield from self._read(self._has_come)
            return
        for oid, path in self._held.items():
            number = self._number(oid)
            if number is not None:
                yield path, oid, self._sizes[number]

    def named(self) -> Iterator[tuple[str, int]]:
        """What there was at the beginning: a path of each, and its size."""
        return ((path, size) for path, _, size in self._read(bytes(self.count)))

    def _read(self, is_known: bytes | bytearray) -> Iterator[tuple[str, Oid, int]]:
        """Read the listing. What stands at several paths is given once."""
        seen = bytearray(is_known)
        for path, entry in self.listing.items():
            number = self._map.place(entry.oid) if entry.kind.is_file else None
            if number is not None and not (seen[number] or is_known[number]):
                seen[number] = True
                yield path, entry.oid, self._sizes[number]

    def size_of(self, oid: Oid) -> int:
        """In bytes, of one that is left. Raises `KeyError` for any other."""
        return self._sizes[self._require(oid)]

    def came(self, oid: Oid) -> None:
        """One that was left is here by now. Raises `KeyError` for any other."""
        self._has_come[self._require(oid)] = True
        self._left -= 1

    def _require(self, oid: Oid) -> int:
        number = self._number(oid)
        if number is None:
            raise KeyError(oid)
        return number

    def sizes(self) -> set[int]:
        """Those that something has that is left; in bytes."""
        return set(itertools.compress(self._sizes, self._is_left()))

    @property
    def size_left(self) -> int:
        """In bytes, of all that are left."""
        return sum(itertools.compress(self._sizes, self._is_left()))

    def _is_left(self) -> Iterator[bool]:
        return (not come for come in self._has_come)

    def _number(self, oid: bytes) -> int | None:
        """The number of one that is left: its place in the map."""
        number = self._map.place(oid)
        return None if number is None or self._has_come[number] else number
