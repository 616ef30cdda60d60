"""Maps from very many oids to numbers, at 24 bytes each, and not 230.

An oid is known by its first half, as in `ops.oid_set`.
"""

from array import array
from collections.abc import Iterable, Iterator

from zoostore.digest import Oid
from zoostore.ops.numbering import Numbering
from zoostore.ops.oid_set import KEY_BYTES

_NUMBER_BYTES = 8
_RECORD_BYTES = KEY_BYTES + _NUMBER_BYTES


class OidMap:
    """Numbers by oid. Each oid has a place, by which more can be known of it.

    Args:
        found: oids, and the number of each. Of one that comes with several the least counts.

    Attributes:
        numbers: by place.
        is_certain: whether none came with several.
    """

    def __init__(self, found: Iterable[tuple[Oid, int]]) -> None:
        self.numbers = array("Q")
        self.is_certain = True
        self._parts: list[_Part] = []
        for keys in self._in_order(found):
            self._parts.append(_Part(len(self.numbers) - len(keys), keys))

    def _in_order(self, found: Iterable[tuple[Oid, int]]) -> Iterator[list[bytes]]:
        """How the oids begin, in rising order, those that have their first byte in common
        together; their numbers are taken note of."""
        collected = [bytearray() for _ in range(256)]
        for oid, number in found:
            collected[oid[0]] += oid[:KEY_BYTES] + number.to_bytes(_NUMBER_BYTES, "big")
        collected.reverse()
        while collected:
            joined = bytes(collected.pop())
            starts = range(0, len(joined), _RECORD_BYTES)
            records = sorted({joined[at : at + _RECORD_BYTES] for at in starts}, reverse=True)
            least = {record[:KEY_BYTES]: record[KEY_BYTES:] for record in records}
            self.is_certain = self.is_certain and len(least) == len(records)
            keys = sorted(least)
            self.numbers.extend(int.from_bytes(least[key], "big") for key in keys)
            yield keys

    def place(self, oid: bytes) -> int | None:
        """Where the number of an oid stands, if it has one."""
        return self._parts[oid[0]].find(oid)

    def get(self, oid: bytes) -> int | None:
        """The number of an oid, if it has one."""
        place = self.place(oid)
        return None if place is None else self.numbers[place]


class _Part:
    """Oids that have their first byte in common.

    Args:
        first: the place of the first of them.
        keys: how they begin, in rising order.
    """

    def __init__(self, first: int, keys: list[bytes]) -> None:
        self._first = first
        self._numbering = Numbering([[key[1:] for key in keys]], KEY_BYTES - 1)

    def find(self, oid: bytes) -> int | None:
        number = self._numbering.find(oid[1:])
        return None if number is None else self._first + number
