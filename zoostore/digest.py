"""Content ids and digests: the only importer of blake3 and hashlib.

An object's id is the BLAKE3-256 of its raw content. Trees and snapshots are
hashed in BLAKE3's derive_key mode under a context of their own, so that no file
can be made that has the id of a tree. What others call a content by is a digest.
"""

import contextlib
import os
from collections.abc import Callable, Generator, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol, Self, TypeAlias

from blake3 import blake3

from zoostore.errors import UsageError

OID_BYTES = 32
OID_HEX = 2 * OID_BYTES
CHUNK = 1 << 20
"""How many bytes are read, hashed and written at a time."""

_PARALLEL_CHUNK = 4 << 20
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


BLAKE3: Final = "blake3"
SHA256: Final = "sha256"
GIT_BLOB: Final = "git-sha1"
"""The id that Git gives a file: SHA-1 over `blob SIZE NUL` and the content."""

DIGEST_BYTES: Final[Mapping[str, int]] = MappingProxyType({BLAKE3: 32, SHA256: 32, GIT_BLOB: 20})
"""The algorithms of digests that are known, and how long theirs are."""


class Digest(NamedTuple):
    """What somebody calls a content by. `value` has the length that its algorithm gives."""

    algorithm: str
    value: bytes

    @classmethod
    def parse(cls, algorithm: str, text: str) -> Self:
        """The digest that hex digits, of either case, write.

        Raises:
            UsageError: the algorithm is not known, or the digits are not those of a digest.
        """
        length = DIGEST_BYTES.get(algorithm)
        if length is None:
            raise UsageError(f"{algorithm!r} is none of {', '.join(DIGEST_BYTES)}.")
        if len(text) != 2 * length or not _HEX_DIGITS.issuperset(text.lower()):
            raise UsageError(f"A {algorithm} digest has {2 * length} hex digits, not {text!r}.")
        return cls(algorithm, bytes.fromhex(text))

    @classmethod
    def of_oid(cls, oid: Oid) -> Self:
        """An oid, which is the BLAKE3 of its blob, as a digest."""
        return cls(BLAKE3, bytes(oid))

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value.hex()}"


class Hasher:
    """BLAKE3 over bytes that arrive in pieces.

    Args:
        parallel: use every core there is, if the pieces are large.
        threads: use so many of them, whatever `parallel` says; 0: as that says.
    """

    __slots__ = ("_state", "size")

    def __init__(self, *, parallel: bool = False, threads: int = 0) -> None:
        most = threads or (blake3.AUTO if parallel else 1)
        self._state = blake3(max_threads=most)
        self.size = 0

    def update(self, data: bytes | memoryview) -> None:
        self._state.update(data)
        self.size += len(data)

    def oid(self) -> Oid:
        return Oid(self._state.digest())


class DigestHasher:
    """Several digests of bytes that arrive in pieces, BLAKE3 always among them.

    Args:
        algorithms: which, of `DIGEST_BYTES`.
        size: of the whole, in bytes; None if it is not known, and then there is no Git id.
        threads: how many BLAKE3 may use; 0: as many as are worth it.
    """

    def __init__(
        self, algorithms: Iterable[str] = (), size: int | None = None, threads: int = 0
    ) -> None:
        parallel = size is None or size >= _PARALLEL_FROM
        self._blake3 = Hasher(parallel=parallel, threads=threads)
        self._others: dict[str, Any] = {}
        wanted = frozenset(algorithms) - {BLAKE3}
        if not wanted:
            return
        # Imported here: it loads OpenSSL, and most commands need no other digest.
        import hashlib

        if SHA256 in wanted:
            self._others[SHA256] = hashlib.sha256()
        if GIT_BLOB in wanted and size is not None:
            self._others[GIT_BLOB] = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)

    def update(self, data: bytes | memoryview) -> None:
        self._blake3.update(data)
        for state in self._others.values():
            state.update(data)

    @property
    def size(self) -> int:
        """Bytes hashed so far."""
        return self._blake3.size

    def oid(self) -> Oid:
        return self._blake3.oid()

    def digests(self) -> dict[str, Digest]:
        """Every digest that was asked for, by algorithm, and BLAKE3."""
        found = {BLAKE3: Digest.of_oid(self.oid())}
        found |= {name: Digest(name, state.digest()) for name, state in self._others.items()}
        return found


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


def digest_bytes(algorithm: str, data: bytes) -> Digest:
    """The digest of a blob."""
    hasher = DigestHasher([algorithm], len(data))
    hasher.update(data)
    return hasher.digests()[algorithm]


def hash_encoded(context: str, data: bytes) -> Oid:
    """The oid of an encoded value whose kind `context` names."""
    return Oid(blake3(data, derive_key_context=context).digest())


def hash_descriptor(
    descriptor: int, *, threads: int = 0, advance: Callable[[int], object] = lambda _: None
) -> tuple[Oid, int]:
    """The oid and the size in bytes of an open file, read from its start.

    The file position is not used and not moved.

    Args: as `digest_descriptor`.
    """
    parallel = os.fstat(descriptor).st_size >= _PARALLEL_FROM
    hasher = Hasher(parallel=parallel, threads=threads)
    _feed(hasher, descriptor, threads, advance)
    return hasher.oid(), hasher.size


Pieces: TypeAlias = Generator[memoryview, None, None]
"""What a file holds, in order. Each is good until the next is asked for."""


def pieces_of(descriptor: int, size: int = _PARALLEL_CHUNK) -> Pieces:
    """What an open file holds, from its start.

    The file position is not used and not moved.

    Args:
        size: of a piece, in bytes. As it is, it is worth sharing out among threads.
    """
    # Into the same memory again and again, so that it is still in a cache when it is hashed.
    length = os.fstat(descriptor).st_size
    view = memoryview(bytearray(min(max(length, 1), size)))
    offset = 0
    while count := _read_at(descriptor, view, offset):
        yield view[:count]
        offset += count


def digest_descriptor(
    descriptor: int,
    algorithms: Iterable[str],
    *,
    threads: int = 0,
    advance: Callable[[int], object] = lambda _: None,
) -> dict[str, Digest]:
    """The digests of an open file, BLAKE3 always among them, read from its start.

    The file position is not used and not moved.

    Args:
        threads: how many BLAKE3 may use; 0: as many as are worth it.
        advance: is told how many more bytes were read.
    """
    hasher = DigestHasher(algorithms, os.fstat(descriptor).st_size, threads)
    _feed(hasher, descriptor, threads, advance)
    return hasher.digests()


def _feed(
    hasher: Hasher | DigestHasher, descriptor: int, threads: int, advance: Callable[[int], object]
) -> None:
    pieces = pieces_of(descriptor, CHUNK) if threads == 1 else _pieces_ahead(descriptor)
    with contextlib.closing(pieces):
        for piece in pieces:
            hasher.update(piece)
            advance(len(piece))


def _pieces_ahead(descriptor: int) -> Pieces:
    """As `pieces_of`, but each piece is read while the one before it is hashed."""
    if os.fstat(descriptor).st_size <= _PARALLEL_CHUNK:
        yield from pieces_of(descriptor)
        return
    from concurrent.futures.thread import ThreadPoolExecutor  # few files are so large

    into, other = (memoryview(bytearray(_PARALLEL_CHUNK)) for _ in range(2))
    offset = 0
    with ThreadPoolExecutor(1, "reading ahead") as reader:
        reading = reader.submit(_read_at, descriptor, into, offset)
        while count := reading.result():
            piece = into[:count]
            into, other = other, into
            offset += count
            reading = reader.submit(_read_at, descriptor, into, offset)
            yield piece


def _read_at(descriptor: int, view: memoryview, offset: int) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [view], offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    data = os.read(descriptor, len(view))
    view[: len(data)] = data
    return len(data)
