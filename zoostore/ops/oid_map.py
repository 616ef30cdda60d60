"""Maps from very many oids to numbers. One takes 16 bytes, and not 230; the rest is in files.

An oid is known by its first half, as in `ops.oid_set`.
"""

from array import array
from collections.abc import Iterable, Iterator
from itertools import accumulate

from zoostore.digest import Oid
from zoostore.files.spool import Bytes, Spool, temporary_file
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
        with Spool(temporary_file) as spool:
            for oid, number in found:
                spool.append(oid[:KEY_BYTES] + number.to_bytes(_NUMBER_BYTES, "big"))
            groups = _by_first_byte(spool.view())
        self._places = Numbering(map(self._take, groups), KEY_BYTES)

    def _take(self, records: Iterable[bytes]) -> list[bytes]:
        """How oids begin, in rising order; their numbers are taken note of."""
        each = sorted(set(records), reverse=True)
        least = {record[:KEY_BYTES]: record[KEY_BYTES:] for record in each}
        self.is_certain = self.is_certain and len(least) == len(each)
        keys = sorted(least)
        self.numbers.extend(int.from_bytes(least[key], "big") for key in keys)
        return keys

    def place(self, oid: bytes) -> int | None:
        """Where the number of an oid stands, if it has one."""
        return self._places.find(oid)

    def get(self, oid: bytes) -> int | None:
        """The number of an oid, if it has one."""
        place = self.place(oid)
        return None if place is None else self.numbers[place]


def _by_first_byte(data: Bytes) -> Iterator[Iterator[bytes]]:
    """Records in groups, of which each rises above the one before.

    In memory that is not a file's they would stay, in pieces that are too small to go back.
    """
    if isinstance(data, bytes):
        yield _split(data, 0, len(data))
        return
    from mmap import mmap  # most often there are few

    sizes = [0] * 256
    for record in _split(data, 0, len(data)):
        sizes[record[0]] += _RECORD_BYTES
    ends = list(accumulate(sizes))
    starts = [end - size for end, size in zip(ends, sizes, strict=True)]
    with temporary_file() as file:
        file.truncate(len(data))
        sorted_out = mmap(file.fileno(), len(data))
    next_at = starts.copy()
    for record in _split(data, 0, len(data)):
        at = next_at[record[0]]
        sorted_out[at : at + _RECORD_BYTES] = record
        next_at[record[0]] += _RECORD_BYTES
    yield from (_split(sorted_out, start, end) for start, end in zip(starts, ends, strict=True))


def _split(data: Bytes, start: int, end: int) -> Iterator[bytes]:
    return (data[at : at + _RECORD_BYTES] for at in range(start, end, _RECORD_BYTES))
