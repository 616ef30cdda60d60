"""Numbering: a million objects, each known by its number, so that arrays say the rest of it.

A dictionary takes 200 bytes for each object that is in it, and this takes 8, and 24 in a file
without a name: the number of an object is its place in the order of ids.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from zoostore.digest import OID_BYTES
from zoostore.files.spool import Spool, temporary_file

_PREFIX_BYTES = 8
_IN_A_BUCKET_BITS = 4
"""Ids are spread evenly: the first bits of one nearly say where it is, among so few."""


class Numbering:
    """The numbers of objects. Those that come later get numbers too, behind all others.

    Args:
        oids: in groups; all of them in rising order, and none twice.
        key_bytes: so much of each is kept, by which it is known.
    """

    def __init__(self, oids: Iterable[Sequence[bytes]], key_bytes: int = OID_BYTES) -> None:
        self._key_bytes = key_bytes
        self._rest_bytes = key_bytes - _PREFIX_BYTES
        self._prefixes = array("Q")
        self._later: dict[bytes, int] = {}
        self._late: list[bytes] = []
        with Spool(temporary_file) as rests:
            for group in oids:
                self._prefixes.frombytes(b"".join([oid[:_PREFIX_BYTES] for oid in group]))
                rests.append(b"".join([oid[_PREFIX_BYTES:key_bytes] for oid in group]))
            self._rests = rests.view()
        if sys.byteorder == "little":
            self._prefixes.byteswap()
        bits = max(len(self._prefixes).bit_length() - _IN_A_BUCKET_BITS, 0)
        self._shift = 8 * _PREFIX_BYTES - bits
        self._starts = array("I", self._buckets(bits))

    def _buckets(self, bits: int) -> Iterator[int]:
        """The first number of each bucket, and the last one's end."""
        end = 0
        for bucket in range(1 << bits):
            end = bisect_left(self._prefixes, bucket << self._shift, end)
            yield end
        yield len(self._prefixes)

    def __len__(self) -> int:
        """How many objects there were at the beginning."""
        return len(self._prefixes)

    def find(self, oid: bytes) -> int | None:
        """The number of an object, if it was there at the beginning."""
        prefix = int.from_bytes(oid[:_PREFIX_BYTES], "big")
        bucket = prefix >> self._shift
        prefixes, end = self._prefixes, self._starts[bucket + 1]
        number = bisect_left(prefixes, prefix, self._starts[bucket], end)
        while number < end and prefixes[number] == prefix:
            if self._rest(number) == oid[_PREFIX_BYTES : self._key_bytes]:
                return number
            number += 1
        return None

    def known(self, oid: bytes) -> int | None:
        """The number of an object, if it has one."""
        number = self.find(oid)
        return self._later.get(oid) if number is None else number

    def numbers(self, oids: Iterable[bytes]) -> Iterator[int]:
        """The numbers of objects; new ones for those that have none yet."""
        for oid in oids:
            number = self.find(oid)
            if number is None:
                if oid not in self._later:
                    self._later[oid] = len(self._prefixes) + len(self._late)
                    self._late.append(oid)
                number = self._later[oid]
            yield number

    def oid(self, number: int) -> bytes:
        """The id of the object that has a number, or so much of it as is kept."""
        if number >= len(self._prefixes):
            return self._late[number - len(self._prefixes)]
        return self._prefixes[number].to_bytes(_PREFIX_BYTES, "big") + self._rest(number)

    def _rest(self, number: int) -> bytes:
        start = number * self._rest_bytes
        return self._rests[start : start + self._rest_bytes]


class Marks:
    """Some of the objects that have numbers; one takes a byte, whether it is marked or not."""

    def __init__(self, numbering: Numbering, marked: bytes | bytearray = b"") -> None:
        self._numbering = numbering
        self._marked = bytearray(marked) or bytearray(len(numbering))

    def copy(self) -> Marks:
        return Marks(self._numbering, self._marked)

    def __contains__(self, oid: object) -> bool:
        assert isinstance(oid, bytes)
        number = self._numbering.known(oid)
        return number is not None and number < len(self._marked) and bool(self._marked[number])

    def has(self, number: int) -> bool:
        """Whether the object of a number is marked."""
        return bool(self._marked[number])

    def mark(self, oids: Iterable[bytes]) -> list[int]:
        """Mark objects; the numbers of those that were not marked before."""
        new = []
        marked = self._marked
        for number in self._numbering.numbers(oids):
            if number >= len(marked):
                marked += bytes(number + 1 - len(marked))
            if not marked[number]:
                marked[number] = True
                new.append(number)
        return new

    def unmark(self, numbers: Iterable[int]) -> None:
        """Take marks away, of objects that have them."""
        for number in numbers:
            self._marked[number] = False

    def without(self) -> Iterator[int]:
        """The numbers of the objects that were there at the beginning, and have no mark."""
        number = self._marked.find(0)
        while 0 <= number < len(self._numbering):
            yield number
            number = self._marked.find(0, number + 1)
