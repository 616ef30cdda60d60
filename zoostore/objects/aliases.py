"""Aliases: what others call the contents that a store has, as a value with one encoding.

    aliases = "zalias1\n"  origin_length:u16  origin  count:u32  alias*
    alias   = oid:32  algorithm:u8  digest          algorithm 2: sha256, 32 bytes
                                                    algorithm 3: git-sha1, 20 bytes

Integers are big-endian; the origin is UTF-8. Aliases stand in strictly rising order of
their bytes. Nothing may follow the last one. Each digest was computed from the content
that has the oid: an alias is a fact, whoever named it first.
"""

import struct
from types import MappingProxyType
from typing import Final, NamedTuple

from zoostore.digest import DIGEST_BYTES, GIT_BLOB, OID_BYTES, SHA256, Digest, Oid, hash_encoded
from zoostore.errors import MalformedObject, UsageError

ALIASES_CONTEXT = "zoostore 2026-11 aliases v1"
"""BLAKE3 derive_key context of an alias table's oid."""

ALGORITHM_CODES: Final = MappingProxyType({SHA256: 2, GIT_BLOB: 3})
"""How the algorithms of aliases are written. A BLAKE3 digest is an oid, and no alias."""

_ALGORITHMS = {code: name for name, code in ALGORITHM_CODES.items()}
_MAGIC = b"zalias1\n"
_ORIGIN = struct.Struct(">H")
_COUNT = struct.Struct(">I")
_MAX_ORIGIN_BYTES = 4096


class Aliases(NamedTuple):
    """Digests of contents.

    Attributes:
        origin: who called them so: an address, or the name of a kind of cache.
        known: each oid with a digest of the same content.
    """

    origin: str
    known: frozenset[tuple[Oid, Digest]]


def encode_aliases(aliases: Aliases) -> bytes:
    """The one encoding of aliases.

    Raises:
        UsageError: the origin is too long, or an algorithm cannot be written.
    """
    origin = aliases.origin.encode("utf-8", errors="replace")
    if len(origin) > _MAX_ORIGIN_BYTES:
        raise UsageError(f"The origin of aliases is longer than {_MAX_ORIGIN_BYTES} bytes.")
    rows = sorted(_encode_row(oid, digest) for oid, digest in aliases.known)
    head = _MAGIC + _ORIGIN.pack(len(origin)) + origin
    return b"".join([head, _COUNT.pack(len(rows)), *rows])


def _encode_row(oid: Oid, digest: Digest) -> bytes:
    if digest.algorithm not in ALGORITHM_CODES:
        raise UsageError(f"A {digest.algorithm} digest is no alias.")
    return oid + bytes([ALGORITHM_CODES[digest.algorithm]]) + digest.value


def decode_aliases(data: bytes) -> Aliases:
    """The aliases that `data` encodes.

    Raises:
        MalformedObject: `data` is not the encoding of aliases.
    """
    try:
        return _decode(data)
    except (struct.error, ValueError) as error:
        raise MalformedObject(f"A table of aliases cannot be decoded: {error}.") from error


def _decode(data: bytes) -> Aliases:
    if data[: len(_MAGIC)] != _MAGIC:
        raise ValueError("it does not begin as one")
    offset = len(_MAGIC)
    (length,) = _ORIGIN.unpack_from(data, offset)
    offset += _ORIGIN.size
    if length > _MAX_ORIGIN_BYTES:
        raise ValueError("its origin is too long")
    origin = data[offset : offset + length].decode("utf-8")
    offset += length
    (count,) = _COUNT.unpack_from(data, offset)
    offset += _COUNT.size
    known, previous = set(), b""
    for _ in range(count):
        oid = Oid(data[offset : offset + OID_BYTES])
        algorithm = _ALGORITHMS[_code_at(data, offset + OID_BYTES)]
        end = offset + OID_BYTES + 1 + DIGEST_BYTES[algorithm]
        row = data[offset:end]
        if end > len(data) or row <= previous:
            raise ValueError("an alias is cut short, or out of order")
        known.add((oid, Digest(algorithm, row[OID_BYTES + 1 :])))
        previous, offset = row, end
    if offset != len(data):
        raise ValueError("it goes on after its last alias")
    return Aliases(origin, frozenset(known))


def _code_at(data: bytes, offset: int) -> int:
    code = data[offset] if offset < len(data) else 0
    if code not in _ALGORITHMS:
        raise ValueError("an alias is of no known algorithm")
    return code


def aliases_oid(data: bytes) -> Oid:
    """The oid of encoded aliases."""
    return hash_encoded(ALIASES_CONTEXT, data)
