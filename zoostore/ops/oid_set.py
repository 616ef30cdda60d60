"""Sets of very many oids, of which each takes 32 bytes, and not 130."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import pairwise

from zoostore.digest import OID_BYTES, Oid

_BUCKETS = 256


class OidSet:
    """Oids to which more can be added until it is asked which there are."""

    def __init__(self, oids: Iterable[Oid] = ()) -> None:
        # By their first byte, so that they can be sorted bit by bit.
        self._buckets = [bytearray() for _ in range(_BUCKETS)]
        self._is_sorted = [True] * _BUCKETS
        self.update(oids)

    def add(self, oid: Oid) -> None:
        self._buckets[oid[0]] += oid
        self._is_sorted[oid[0]] = False

    def update(self, oids: Iterable[Oid]) -> None:
        for oid in oids:
            self.add(oid)

    def __contains__(self, oid: Oid) -> bool:
        bucket = self._bucket(oid[0])
        rows = range(0, len(bucket), OID_BYTES)
        row = bisect_left(rows, bytes(oid), key=lambda at: bytes(bucket[at : at + OID_BYTES]))
        return bucket.startswith(oid, row * OID_BYTES)

    def __iter__(self) -> Iterator[Oid]:
        """In rising order."""
        for first in range(_BUCKETS):
            yield from map(Oid, _split(self._bucket(first)))

    def repeated(self) -> list[Oid]:
        """Those that were added before, as often as they were, which is forgotten then."""
        found: list[Oid] = []
        for first, bucket in enumerate(self._buckets):
            every = sorted(_split(bucket))
            found += (Oid(oid) for oid, after in pairwise(every) if oid == after)
            self._bucket(first)
        return found

    def _bucket(self, first: int) -> bytearray:
        """The oids that begin with a byte, sorted, each once."""
        if not self._is_sorted[first]:
            self._buckets[first] = bytearray(b"".join(sorted(set(_split(self._buckets[first])))))
            self._is_sorted[first] = True
        return self._buckets[first]


def _split(joined: bytearray) -> Iterator[bytes]:
    return (bytes(joined[at : at + OID_BYTES]) for at in range(0, len(joined), OID_BYTES))
