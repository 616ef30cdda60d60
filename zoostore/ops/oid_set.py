"""Sets of very many oids, of which each takes 16 bytes, and not 130.

That is half of an oid. Two contents whose ids begin with the same 128 bits have not been found, and
nobody comes to harm by it if they are: it is asked here what was read already, and no more.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise
from typing import TypeAlias

KEY_BYTES = 16

Key: TypeAlias = bytes
"""How an oid begins."""

_CHUNK_BYTES = 1 << 20
_BUCKETS = 256


class OidSet:
    """Oids to which more can be added until it is asked which there are.

    Args:
        key_bytes: so much of each is kept, by which it is known.
    """

    def __init__(self, key_bytes: int = KEY_BYTES) -> None:
        self._key_bytes = key_bytes
        self._added = [bytearray()]
        self._buckets: list[bytes] = []

    def add(self, oid: bytes) -> None:
        self._added[-1] += oid[: self._key_bytes]
        if len(self._added[-1]) >= _CHUNK_BYTES:  # so that never all of it is moved elsewhere
            self._added.append(bytearray())

    def update(self, oids: Iterable[bytes]) -> None:
        for oid in oids:
            self.add(oid)

    def __contains__(self, oid: bytes) -> bool:
        size = self._key_bytes
        bucket, key = self._sorted()[oid[0]], oid[:size]
        keys = range(0, len(bucket), size)
        number = bisect_left(keys, key, key=lambda at: bucket[at : at + size])
        return bucket.startswith(key, number * size)

    def __iter__(self) -> Iterator[Key]:
        """How they begin, each once, in rising order."""
        for bucket in self._sorted():
            yield from (key for key, _ in groupby(self._split(bucket)))

    def repeated(self) -> Iterator[Key]:
        """How those begin that were added before; each as often as that was."""
        for bucket in self._sorted():
            yield from (key for key, after in pairwise(self._split(bucket)) if key == after)

    def _sorted(self) -> list[bytes]:
        """All keys in order, by their first byte."""
        if not self._buckets:
            buckets = deque(bytearray() for _ in range(_BUCKETS))
            while self._added:
                for key in self._split(self._added.pop()):
                    buckets[key[0]] += key
            while buckets:  # each goes as it is put in order: all are never there twice
                self._buckets.append(b"".join(sorted(self._split(buckets.popleft()))))
        return self._buckets

    def _split(self, joined: bytes | bytearray) -> Iterator[Key]:
        size = self._key_bytes
        return (bytes(joined[at : at + size]) for at in range(0, len(joined), size))
