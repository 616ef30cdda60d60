"""Trees: one directory of a snapshot, as a value with one encoding.

    tree   = "ztree1\n"  count:u32  entry*
    entry  = kind:u8  name_length:u16  name  body
    body   = size:u64 oid:32            kind 1, a file; kind 2, an executable file
           | oid:32                     kind 3, a directory: the oid of its tree
           | target_length:u16 target   kind 4, a symbolic link

Integers are big-endian; names and targets are UTF-8. Entries stand in strictly
rising order of their name's bytes. Nothing may follow the last entry.
"""

import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

from zoostore.digest import OID_BYTES, Oid, hash_bytes, hash_encoded
from zoostore.errors import MalformedObject
from zoostore.objects.paths import check_names

TREE_CONTEXT = "zoostore 2026-11 tree v1"
"""BLAKE3 derive_key context of a tree's oid."""

_MAGIC = b"ztree1\n"
_COUNT = struct.Struct(">I")
_HEAD = struct.Struct(">BH")
_FILE = struct.Struct(f">Q{OID_BYTES}s")
_TARGET = struct.Struct(">H")
_MAX_SIZE = (1 << 63) - 1


class Kind(IntEnum):
    """What a name in a tree stands for."""

    FILE = 1
    EXECUTABLE = 2
    DIRECTORY = 3
    LINK = 4

    @property
    def mode(self) -> str:
        """The mode as Git writes it: type and permissions, octal."""
        return _MODES[self]

    @property
    def is_file(self) -> bool:
        # Not by order, which takes an enumeration five times as long.
        return self is Kind.FILE or self is Kind.EXECUTABLE


_FILE_KINDS = {int(kind): kind for kind in (Kind.FILE, Kind.EXECUTABLE)}

_MODES = {
    Kind.FILE: "100644",
    Kind.EXECUTABLE: "100755",
    Kind.DIRECTORY: "040000",
    Kind.LINK: "120000",
}


class Entry(NamedTuple):
    """What stands at a name.

    Attributes:
        kind: file, executable file, directory or link.
        size: bytes of a file's content or of a link's target; 0 for a directory.
        oid: of the content, of the target's UTF-8 bytes, or of the directory's tree.
        target: where a link points; empty for everything else.
    """

    kind: Kind
    size: int
    oid: Oid
    target: str = ""


def link_entry(target: str) -> Entry:
    """The entry of a symbolic link."""
    data = target.encode("utf-8")
    return Entry(Kind.LINK, len(data), hash_bytes(data), target)


def encode_tree(entries: Mapping[str, Entry]) -> bytes:
    """The one encoding of a directory.

    Raises:
        UnsafePath: a name cannot stand in a tree, or two are the same to some system.
    """
    check_names(entries)
    return join_entries([encode_entry(name, entries[name]) for name in sorted(entries)])


def join_entries(entries: Sequence[bytes]) -> bytes:
    """The encoding of a directory that holds encoded entries, in the order of their names.

    Their names were checked together.
    """
    return b"".join((_MAGIC, _COUNT.pack(len(entries)), *entries))


def encode_entry(name: str, entry: Entry) -> bytes:
    """What stands at a name, as a tree has it."""
    kind, size, oid, target = entry
    if kind in _FILE_KINDS:
        return encode_file(name, kind, _FILE.pack(size, oid))
    raw = name.encode("utf-8")
    head = _HEAD.pack(kind, len(raw)) + raw
    if kind is Kind.DIRECTORY:
        return head + oid
    end = target.encode("utf-8")
    return head + _TARGET.pack(len(end)) + end


def encode_file(name: str, kind: int, size_and_oid: bytes) -> bytes:
    """A file's entry, as a tree has it, of the bytes that say its size and its oid."""
    raw = name.encode("utf-8")
    return _HEAD.pack(kind, len(raw)) + raw + size_and_oid


def decode_tree(data: bytes) -> dict[str, Entry]:
    """The directory that `data` encodes, names in the encoding's order.

    Raises:
        MalformedObject: `data` is not the encoding of a directory.
        UnsafePath: a name cannot stand in a tree, or two are the same to some system.
    """
    try:
        entries = _decode_entries(data)
    except (struct.error, UnicodeDecodeError, ValueError) as error:
        raise MalformedObject(f"A tree cannot be decoded: {error}.") from error
    check_names(entries)
    return entries


def _decode_entries(data: bytes) -> dict[str, Entry]:
    start = len(_MAGIC) + _COUNT.size
    if data[: len(_MAGIC)] != _MAGIC:
        raise ValueError("it does not begin as one")
    (count,) = _COUNT.unpack_from(data, len(_MAGIC))
    entries: dict[str, Entry] = {}
    previous = b""
    offset = start
    file_kinds, unpack_file = _FILE_KINDS, _FILE.unpack_from
    new_entry, new_oid = tuple.__new__, bytes.__new__  # of the right length, as they were unpacked
    for _ in range(count):
        kind_code, name_length = _HEAD.unpack_from(data, offset)
        offset += _HEAD.size
        end = offset + name_length
        raw = data[offset:end]
        if len(raw) != name_length or raw <= previous:
            raise ValueError("a name is cut short, or out of order")
        previous = raw
        kind = file_kinds.get(kind_code)
        if kind is not None:  # here and not in a function: there are very many of them
            size, oid = unpack_file(data, end)
            if size > _MAX_SIZE:
                raise ValueError("a size is too large")
            entries[raw.decode()] = new_entry(Entry, (kind, size, new_oid(Oid, oid), ""))
            offset = end + _FILE.size
        else:
            entries[raw.decode("utf-8")], offset = _decode_other(Kind(kind_code), data, end)
    if offset != len(data):
        raise ValueError("it goes on after its last entry")
    return entries


def _decode_other(kind: Kind, data: bytes, offset: int) -> tuple[Entry, int]:
    """A directory's or a link's entry, and where it ends."""
    if kind is Kind.DIRECTORY:
        end = offset + OID_BYTES
        if end > len(data):
            raise ValueError("an entry is cut short")
        return Entry(kind, 0, Oid(data[offset:end])), end
    (length,) = _TARGET.unpack_from(data, offset)
    end = offset + _TARGET.size + length
    target = data[offset + _TARGET.size : end]
    if len(target) != length:
        raise ValueError("a link is cut short")
    return link_entry(target.decode("utf-8")), end


def tree_oid(data: bytes) -> Oid:
    """The oid of an encoded tree."""
    return hash_encoded(TREE_CONTEXT, data)
