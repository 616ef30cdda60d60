"""Sets of very many oids, of which each takes 16 bytes, and not 130.

That is half of an oid. Two contents whose ids begin with the same 128 bits have not been found, and
nobody comes to harm by it if they are: it is asked here what was read already, and no more.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise
from typing import TypeAlias

from zoostore.digest import Oid

KEY_BYTES = 16

Key: TypeAlias = bytes
"""How an oid begins."""

_CHUNK_BYTES = 1 << 20
_BUCKETS = 256


class OidSet:
    """Oids to which more can be added until it is asked which there are."""

    def __init__(self) -> None:
        self._added = [bytearray()]
        self._buckets: list[bytes] = []

    def add(self, oid: Oid) -> None:
        self._added[-1] += oid[:KEY_BYTES]
        if len(self._added[-1]) >= _CHUNK_BYTES:  # so that never all of it is moved elsewhere
            self._added.append(bytearray())

    def update(self, oids: Iterable[Oid]) -> None:
        for oid in oids:
            self.add(oid)

    def __contains__(self, oid: Oid) -> bool:
        bucket, key = self._sorted()[oid[0]], oid[:KEY_BYTES]
        keys = range(0, len(bucket), KEY_BYTES)
        number = bisect_left(keys, key, key=lambda at: bucket[at : at + KEY_BYTES])
        return bucket.startswith(key, number * KEY_BYTES)

    def __iter__(self) -> Iterator[Key]:
        """How they begin, each once, in rising order."""
        for bucket in self._sorted():
            yield from (key for key, _ in groupby(_split(bucket)))

    def repeated(self) -> Iterator[Key]:
        """How those begin that were added before; each as often as that was."""
        for bucket in self._sorted():
            yield from (key for key, after in pairwise(_split(bucket)) if key == after)

    def _sorted(self) -> list[bytes]:
        """All keys in order, by their first byte."""
        if not self._buckets:
            buckets = [bytearray() for _ in range(_BUCKETS)]
            while self._added:
                for key in _split(self._added.pop()):
                    buckets[key[0]] += key
            self._buckets = [b"".join(sorted(_split(bucket))) for bucket in buckets]
        return self._buckets


def _split(joined: bytes | bytearray) -> Iterator[Key]:
    return (bytes(joined[at : at + KEY_BYTES]) for at in range(0, len(joined), KEY_BYTES))
