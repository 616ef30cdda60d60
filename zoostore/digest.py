"""Content ids: the only importer of blake3.

An object's id is the BLAKE3-256 of its raw content. Trees and snapshots are
hashed in BLAKE3's derive_key mode under a context of their own, so that no file
can be made that has the id of a tree.
"""

from __future__ import annotations

import os
from typing import Protocol, Self

from blake3 import blake3

from zoostore.errors import UsageError

OID_BYTES = 32
OID_HEX = 2 * OID_BYTES
CHUNK = 1 << 20
"""How many bytes are read, hashed and written at a time."""

_PARALLEL_FROM = 1 << 20
"""Below this, handing work to a second thread costs more than it saves."""

_HEX_DIGITS = frozenset("0123456789abcdef")


class Oid(bytes):
    """A BLAKE3-256 digest: 32 bytes, printed as 64 lower-case hex digits.

    Raises:
        UsageError: the value is not 32 bytes long.
    """

    __slots__ = ()

    def __new__(cls, value: bytes) -> Self:
        if len(value) != OID_BYTES:
            raise UsageError(f"An object id has {OID_BYTES} bytes, not {len(value)}.")
        return super().__new__(cls, value)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The id that 64 lower-case hex digits write.

        Raises:
            UsageError: the text is anything else.
        """
        if len(text) != OID_HEX or not _HEX_DIGITS.issuperset(text):
            raise UsageError(f"An object id has {OID_HEX} lower-case hex digits, not {text!r}.")
        return cls(bytes.fromhex(text))

    def __str__(self) -> str:
        return self.hex()

    def __repr__(self) -> str:
        return f"Oid({self.hex()})"

    @property
    def short(self) -> str:
        """Enough digits for a person to tell ids apart."""
        return self.hex()[:12]


class Hasher:
    """BLAKE3 over bytes that arrive in pieces."""

    __slots__ = ("_state", "size")

    def __init__(self, *, parallel: bool = False) -> None:
        self._state = blake3(max_threads=blake3.AUTO if parallel else 1)
        self.size = 0

    def update(self, data: bytes | memoryview) -> None:
        self._state.update(data)
        self.size += len(data)

    def oid(self) -> Oid:
        return Oid(self._state.digest())


class _Sink(Protocol):
    def write(self, data: bytes | memoryview, /) -> int | None: ...


class HashingWriter:
    """Passes bytes on to a file and hashes them on the way."""

    __slots__ = ("_hasher", "_sink")

    def __init__(self, sink: _Sink, *, expect_size: int | None = None) -> None:
        self._sink = sink
        self._hasher = Hasher(parallel=expect_size is None or expect_size >= _PARALLEL_FROM)

    def write(self, data: bytes | memoryview) -> None:
        self._hasher.update(data)
        self._sink.write(data)

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._hasher.size

    def oid(self) -> Oid:
        return self._hasher.oid()


def hash_bytes(data: bytes | bytearray | memoryview) -> Oid:
    """The oid of a blob."""
    return Oid(blake3(data).digest())


def hash_encoded(context: str, data: bytes) -> Oid:
    """The oid of an encoded value whose kind `context` names."""
    return Oid(blake3(data, derive_key_context=context).digest())


def hash_descriptor(descriptor: int) -> tuple[Oid, int]:
    """The oid and the size in bytes of an open file, read from its start.

    The file position is not used and not moved.
    """
    size = os.fstat(descriptor).st_size
    hasher = Hasher(parallel=size >= _PARALLEL_FROM)
    buffer = bytearray(min(max(size, 1), CHUNK))
    view = memoryview(buffer)
    while count := _read_at(descriptor, view, hasher.size):
        hasher.update(view[:count])
    return hasher.oid(), hasher.size


def _read_at(descriptor: int, view: memoryview, offset: int) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [view], offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    data = os.read(descriptor, len(view))
    view[: len(data)] = data
    return len(data)
